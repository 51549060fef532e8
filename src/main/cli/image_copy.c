/* An image under another name of the same registry, where its blobs are mounted and not moved; from
 * or to another registry; or from and to files, as import, export and pull do. */
#include "main/cli/image.h"

#include "base/limits.h"
#include "main/cli/transfer.h"

#include <stdlib.h>
#include <string.h>

struct copying {
    struct cli *c;
    const char *from, *to; /* repositories */
    int depth;
};

/* A layer that lives elsewhere (urls) is not ours to mount. */
static int mount(const struct copying *y, const json_t *descriptor, struct err *e)
{
    const char *digest = json_text(descriptor, "digest");
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/blobs/uploads/?mount=%s&from=%s", url_path(y->to),
                           url_segment(digest), url_segment(y->from));
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (json_array_size(json_object_get(descriptor, "urls")) > 0) {
        return 0;
    }
    if (client_send(y->c->client, &(struct client_request){.method = "POST", .path = str_of(path)},
                    &a, e) < 0) {
        return -1;
    }
    return a.status == 201 ? 0
           : a.status == 202
               ? err_set(e, ERR_FORBIDDEN,
                         "%s has no blob %s for you, or it does not fit the quota of %s", y->from,
                         digest, y->to)
               : client_error(&a, e);
}

static int copy(struct copying *y, const char *reference, const char *as, struct err *e);

static int copy_parts(struct copying *y, const json_t *manifest, struct err *e)
{
    const json_t *children = json_object_get(manifest, "manifests");
    const json_t *layers = json_object_get(manifest, "layers");
    size_t i;
    const json_t *part;

    json_array_foreach(children, i, part)
    {
        if (copy(y, json_text(part, "digest"), json_text(part, "digest"), e) < 0) {
            return -1;
        }
    }
    json_array_foreach(layers, i, part)
    {
        if (mount(y, part, e) < 0) {
            return -1;
        }
    }
    return children ? 0 : mount(y, json_object_get(manifest, "config"), e);
}

static int copy(struct copying *y, const char *reference, const char *as, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_MANIFEST_BYTES);
    SCOPED(json_decrefp) json_t *manifest = NULL;
    const char *type;
    int result;

    if (y->depth == IMAGE_DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes are nested deeper than %d", IMAGE_DEPTH_MAX);
    }
    if (image_manifest(y->c, y->from, reference, &bytes, &manifest, e) < 0) {
        return -1;
    }
    y->depth++;
    result = copy_parts(y, manifest, e);
    y->depth--;
    type = json_text(manifest, "mediaType");
    return result < 0
               ? -1
               : image_put_manifest(y->c, y->to, as,
                                    type[0] ? type : "application/vnd.oci.image.manifest.v1+json",
                                    buf_str(&bytes), e);
}

static int copy_here(struct cli *c, struct err *e)
{
    SCOPED(freep) char *from = NULL;
    SCOPED(freep) char *from_tag = NULL;
    SCOPED(freep) char *to = NULL;
    SCOPED(freep) char *to_tag = NULL;
    struct copying y = {.c = c};

    if (image_split(c, cli_arg(c, 0), &from, &from_tag, e) < 0 ||
        image_split(c, cli_arg(c, 1), &to, &to_tag, e) < 0) {
        return -1;
    }
    y.from = from;
    y.to = to;
    if (copy(&y, from_tag, to_tag, e) < 0) {
        return -1;
    }
    print_done(c, "%s:%s is a copy of %s:%s.", to, to_tag, from, from_tag);
    return 0;
}

/* --- other registries: docker://HOST/NAME:TAG, http://HOST/... --- */

struct place {
    char *url; /* of another registry; NULL: ours */
    char *repo, *reference;
    struct remote *remote;
};

static void place_done(struct place *p)
{
    free(p->url);
    free(p->repo);
    free(p->reference);
    remote_close(p->remote);
    *p = (struct place){.url = NULL};
}

static bool is_elsewhere(const char *name)
{
    return strncmp(name, "docker://", 9) == 0 || strncmp(name, "https://", 8) == 0 ||
           strncmp(name, "http://", 7) == 0;
}

/* What docker calls "alpine" is library/alpine of its Hub. */
static void of_hub(struct place *p, struct str host)
{
    SCOPED(freep) char *name = p->repo;

    p->url = str_eq_c(host, "docker.io") ? xstrdup("https://registry-1.docker.io")
                                         : xasprintf("https://%.*s", STR_ARG(host));
    p->repo = str_eq_c(host, "docker.io") && strchr(name, '/') == NULL
                  ? xasprintf("library/%s", name)
                  : xstrdup(name);
}

static int parse_elsewhere(const char *name, struct place *p, struct err *e)
{
    bool is_plain = strncmp(name, "http://", 7) == 0;
    struct str rest = str_of(strstr(name, "://") + 3), host = str_cut(&rest, '/');
    const char *image = rest.p ? rest.p : "", *slash = strrchr(image, '/');
    const char *at = strchr(image, '@'), *colon = strchr(slash ? slash : image, ':');
    const char *end = at ? at : colon;

    if (host.len == 0 || image[0] == '\0' || end == image || (end && end[1] == '\0')) {
        return err_set(e, ERR_INVALID, "'%.200s': write docker://HOST/NAME:TAG", name);
    }
    p->repo = end ? xstrndup(image, (size_t)(end - image)) : xstrdup(image);
    p->reference = xstrdup(end ? end + 1 : "latest");
    if (is_plain) {
        p->url = xasprintf("http://%.*s", STR_ARG(host));
    } else {
        of_hub(p, host);
    }
    return 0;
}

static int read_password(struct cli *c, const char *user, const char *variable, struct buf *out,
                         struct err *e)
{
    const char *of_environment = getenv(variable);

    if (user == NULL) {
        return 0;
    }
    if (of_environment != NULL && of_environment[0] && !cli_option(c, "password-stdin")) {
        return buf_add_c(out, of_environment) < 0
                   ? err_set(e, ERR_LIMIT, "%s is too long", variable)
                   : 0;
    }
    return ask_password(c, out, e);
}

static int open_place(struct cli *c, const char *name, const char *user, const char *variable,
                      struct place *p, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(16 * KIB);
    struct remote_options o = {.user = user};

    if (!is_elsewhere(name)) {
        p->remote =
            image_split(c, name, &p->repo, &p->reference, e) < 0 ? NULL : transfer_here(c, e);
        return p->remote ? 0 : -1;
    }
    if (parse_elsewhere(name, p, e) < 0 || read_password(c, user, variable, &password, e) < 0) {
        return -1;
    }
    o.url = p->url;
    o.password = password.p;
    p->remote = remote_open(&o, e);
    if (password.p) {
        explicit_bzero(password.p, password.len);
    }
    return p->remote ? 0 : -1;
}

static int transfer(struct cli *c, const struct place *from, const struct place *to, struct err *e)
{
    SCOPED(freep) char *spool = transfer_spool(c);
    SCOPED(transfer_closep)
    struct transfer *t = transfer_open(
        &(struct transfer_options){.from = from->remote, .to = to->remote, .spool = spool}, e);
    struct remote_manifest got = {0};
    int result = t == NULL ? -1
                           : transfer_image(t, str_of(from->repo), str_of(from->reference),
                                            str_of(to->repo), &got, e);

    if (result >= 0 && strchr(to->reference, ':') == NULL) {
        result = remote_manifest_put(to->remote, str_of(to->repo), str_of(to->reference),
                                     got.media_type, buf_str(&got.body), e);
    } else if (result >= 0 && strcmp(to->reference, got.digest) != 0) {
        result = err_set(e, ERR_INVALID, "it is copied, but its digest is %s", got.digest);
    }
    buf_done(&got.body);
    return result < 0 ? -1 : 0;
}

static int copy_elsewhere(struct cli *c, struct err *e)
{
    struct place from = {.url = NULL}, to = {.url = NULL};
    int result =
        open_place(c, cli_arg(c, 0), cli_option(c, "from-user"), "STRATA_FROM_PASSWORD", &from, e);

    if (result == 0) {
        result =
            open_place(c, cli_arg(c, 1), cli_option(c, "to-user"), "STRATA_TO_PASSWORD", &to, e);
    }
    result = result < 0 ? -1 : transfer(c, &from, &to, e);
    if (result == 0) {
        print_done(c, "%s is a copy of %s.", cli_arg(c, 1), cli_arg(c, 0));
    }
    place_done(&from);
    place_done(&to);
    return result;
}

/* --- files: as skopeo names them --- */

static const char *file_of(const char *name)
{
    static const char *const kinds[] = {"oci:", "oci-archive:", "docker-archive:"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0 && name[strlen(kinds[i])] != '\0') {
            return name + strlen(kinds[i]);
        }
    }
    return NULL;
}

/* A file is read by what is in it; written as a folder, or as an archive that is both kinds. */
static int copy_file(struct cli *c, const char *from, const char *to, struct err *e)
{
    bool is_folder = strncmp(cli_arg(c, 1), "oci:", 4) == 0;

    if ((from && to) || is_elsewhere(cli_arg(c, from ? 1 : 0))) {
        return err_set(e, ERR_UNSUPPORTED,
                       "one side of a copy from or to a file is this registry: copy it here first");
    }
    if (from) {
        c->args.p[0] = from;
        return verb_image_import(c, e);
    }
    c->args.p[1] = to;
    return is_folder ? verb_image_pull(c, e) : verb_image_export(c, e);
}

int verb_image_copy(struct cli *c, struct err *e)
{
    const char *from = file_of(cli_arg(c, 0)), *to = file_of(cli_arg(c, 1));

    return from || to                                                   ? copy_file(c, from, to, e)
           : is_elsewhere(cli_arg(c, 0)) || is_elsewhere(cli_arg(c, 1)) ? copy_elsewhere(c, e)
                                                                        : copy_here(c, e);
}
