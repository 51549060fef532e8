/* An image under another name of the same registry: its blobs are mounted, not moved. */
#include "main/cli/image.h"

#include "base/limits.h"

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

int verb_image_copy(struct cli *c, struct err *e)
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
