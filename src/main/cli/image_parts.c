#include "main/cli/image.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

int image_split(const struct cli *c, const char *name, char **repo, char **reference, struct err *e)
{
    const char *at = strchr(name, '@'), *slash = strrchr(name, '/');
    const char *colon = strchr(slash ? slash : name, ':');
    const char *end = at ? at : colon;
    /* "app:1@sha256:...": the digest says which, the tag is for people. */
    const char *last = colon && (at == NULL || colon < at) ? colon : end;
    SCOPED(freep) char *given = last ? xstrndup(name, (size_t)(last - name)) : xstrdup(name);

    if (given[0] == '\0' || (end && end[1] == '\0') || (slash == NULL && c->project == NULL)) {
        return err_set(e, ERR_INVALID, "'%s': write PROJECT/REPOSITORY:TAG", name);
    }
    *repo = strchr(given, '/') ? xstrdup(given) : xasprintf("%s/%s", c->project, given);
    *reference = xstrdup(end ? end + 1 : "latest");
    return 0;
}

void image_digest_of(struct str bytes, char digest[IMAGE_DIGEST])
{
    memcpy(digest, "sha256:", 7);
    sha256_hex_of(bytes, digest + 7);
}

int image_digest_check(const char *digest, struct err *e)
{
    if (strncmp(digest, "sha256:", 7) == 0 && strlen(digest) == IMAGE_DIGEST - 1 &&
        strspn(digest + 7, "0123456789abcdef") == SHA256_HEX) {
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED, "%s is no SHA-256 digest", Q(str_of(digest)));
}

static int get(struct cli *c, const char *path, struct buf *bytes, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (client_send(c->client,
                    &(struct client_request){
                        .method = "GET", .path = str_of(path), .headers = {IMAGE_ACCEPT}},
                    &a, e) < 0) {
        return -1;
    }
    if (a.status != 200) {
        return a.status >= 400 ? client_error(&a, e)
                               : err_set(e, ERR_INTERNAL, "the registry answered %d", a.status);
    }
    return buf_add(bytes, buf_str(&a.body)) < 0
               ? err_set(e, ERR_LIMIT, "the registry answered more than 4 MiB")
               : 0;
}

static int check(const char *want, struct str bytes, struct err *e)
{
    char have[IMAGE_DIGEST];

    image_digest_of(bytes, have);
    return strcmp(have, want) == 0
               ? 0
               : err_set(e, ERR_IO, "what the registry sent has the digest %s, not %s", have, want);
}

int image_manifest(struct cli *c, const char *repo, const char *reference, struct buf *bytes,
                   json_t **manifest, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/manifests/%s", url_path(repo), url_segment(reference));

    /* A digest that we cannot check is none: tags have no colon. */
    if ((strchr(reference, ':') && image_digest_check(reference, e) < 0) ||
        get(c, path, bytes, e) < 0 ||
        (strchr(reference, ':') && check(reference, buf_str(bytes), e) < 0)) {
        return -1;
    }
    *manifest = json_parse(buf_str(bytes), e);
    return *manifest ? 0 : err_wrap(e, "manifest %s of %s", reference, repo);
}

int image_small_blob(struct cli *c, const char *repo, const char *digest, struct buf *bytes,
                     struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/blobs/%s", url_path(repo), url_segment(digest));

    return image_digest_check(digest, e) < 0 || get(c, path, bytes, e) < 0
               ? -1
               : check(digest, buf_str(bytes), e);
}

const char *image_architecture(void)
{
    static struct utsname u;

    (void)uname(&u);
    return strcmp(u.machine, "x86_64") == 0    ? "amd64"
           : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                               : u.machine;
}

char *image_platform(const json_t *descriptor)
{
    const json_t *p = json_object_get(descriptor, "platform");
    const char *variant = json_text(p, "variant");

    return p == NULL ? xstrdup("")
                     : xasprintf("%s/%s%s%s", json_text(p, "os"), json_text(p, "architecture"),
                                 variant[0] ? "/" : "", variant);
}
