/* What else an artifact has: of an image how it was built. What Harbor reads out of charts is not
 * here. */
#include "images.h"

#include "content/content.h"

enum { CONFIG_BYTES_MAX = 4 * 1024 * 1024 };

/* "history" of the image's configuration, as it stands there. */
static int reply_history(struct http_req *r, const char *digest, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(buf_done) struct buf text = BUF_MAX(CONFIG_BYTES_MAX);
    SCOPED(json_decrefp) json_t *config = NULL;
    const json_t *history;
    struct buf b = BUF_MAX(2 * CONFIG_BYTES_MAX);
    char *dump;

    if (content_blob_read(h->content, digest, CONFIG_BYTES_MAX, &text, e) < 0 ||
        json_count_check(buf_str(&text), e) < 0 ||
        (config = json_parse(buf_str(&text), e)) == NULL) {
        return err_wrap(e, "configuration of the image");
    }
    history = json_object_get(config, "history");
    dump = json_is_array(history) ? json_dumps(history, JSON_COMPACT) : NULL;
    buf_add_c(&b, dump ? dump : "[]");
    free(dump);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

static bool is_config(const struct manifest *m)
{
    return !m->is_index && (str_eq_c(m->config.media_type, MEDIA_OCI_CONFIG) ||
                            str_eq_c(m->config.media_type, MEDIA_DOCKER_CONFIG));
}

int harbor_addition(struct http_req *r, struct err *e)
{
    struct str what = http_path_param(r, "addition");
    struct artifacts of = {0};
    struct stored_manifest stored;
    struct manifest m;

    if (artifact_of(r, &of, &stored, e) < 0 ||
        manifest_parse(&r->arena, stored.media_type, stored.body, &m, e) < 0) {
        return -1;
    }
    return str_eq_c(what, "build_history") && is_config(&m)
               ? reply_history(r, m.config.digest, e)
               : err_set(e, ERR_INVALID, "this artifact has no %.*s: images have build_history",
                         STR_ARG(str_first(what, 64)));
}
