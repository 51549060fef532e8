/* An image under another name of the same registry: its blobs are mounted, not moved. */
#include "main/cli/cli.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define ACCEPT                                                                                     \
    "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json," \
    " application/vnd.docker.distribution.manifest.v2+json,"                                       \
    " application/vnd.docker.distribution.manifest.list.v2+json"

enum { DEPTH_MAX = 4 };

struct copying {
    struct cli *c;
    const char *from, *to; /* repositories */
    int depth;
};

/* "project/repo:tag" -> its halves; the tag is `latest` when none is given. */
static int split(const char *ref, char **repo, char **tag, struct err *e)
{
    const char *slash = strrchr(ref, '/');
    const char *colon = slash ? strchr(slash, ':') : NULL;

    if (slash == NULL || slash == ref || strchr(ref, '@')) {
        return err_set(e, ERR_INVALID, "'%s': write PROJECT/REPOSITORY:TAG", ref);
    }
    *repo = colon ? xstrndup(ref, (size_t)(colon - ref)) : xstrdup(ref);
    *tag = xstrdup(colon ? colon + 1 : "latest");
    return 0;
}

static int send(struct cli *c, const struct client_request *q, int status, struct client_answer *a,
                struct err *e)
{
    if (client_send(c->client, q, a, e) < 0) {
        return -1;
    }
    return a->status == status ? 0
           : a->status >= 400  ? client_error(a, e)
                               : err_set(e, ERR_INTERNAL, "the registry answered %d", a->status);
}

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

static int put(const struct copying *y, const char *as, const json_t *manifest, struct str bytes,
               struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/v2/%s/manifests/%s", url_path(y->to), url_segment(as));
    SCOPED(client_answer_done) struct client_answer a = {0};
    const char *type = json_text(manifest, "mediaType");

    return send(y->c,
                &(struct client_request){
                    .method = "PUT",
                    .path = str_of(path),
                    .type = type[0] ? type : "application/vnd.oci.image.manifest.v1+json",
                    .body = bytes},
                201, &a, e);
}

static int copy(struct copying *y, const char *reference, const char *as, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/manifests/%s", url_path(y->from), url_segment(reference));
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(json_decrefp) json_t *manifest = NULL;
    int result;

    if (y->depth == DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes are nested deeper than %d", DEPTH_MAX);
    }
    if (send(y->c,
             &(struct client_request){.method = "GET", .path = str_of(path), .headers = {ACCEPT}},
             200, &a, e) < 0 ||
        (manifest = json_parse(buf_str(&a.body), e)) == NULL) {
        return -1;
    }
    y->depth++;
    result = copy_parts(y, manifest, e);
    y->depth--;
    return result < 0 ? -1 : put(y, as, manifest, buf_str(&a.body), e);
}

int verb_image_copy(struct cli *c, struct err *e)
{
    SCOPED(freep) char *from = NULL;
    SCOPED(freep) char *from_tag = NULL;
    SCOPED(freep) char *to = NULL;
    SCOPED(freep) char *to_tag = NULL;
    struct copying y = {.c = c};

    if (split(cli_arg(c, 0), &from, &from_tag, e) < 0 ||
        split(cli_arg(c, 1), &to, &to_tag, e) < 0) {
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
