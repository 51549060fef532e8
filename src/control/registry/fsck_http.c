/* /api/v1/registry: what the store of images takes, collecting now, and checking it. */
#include "fsck.h"

#include "base/json.h"
#include "state/state.h"
#include "store.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static int reply(struct http_req *req, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(req, status, b, e);
    }
    buf_done(b);
    return result;
}

static int sums_fn(struct state_db *db, void *ctx, struct err *e)
{
    static const char *const names[] = {
        "blobs",       "stored_bytes", "unreferenced_blobs", "unreferenced_bytes",
        "freed_blobs", "freed_bytes"};
    struct jw *w = ctx;
    SCOPED(query_done) struct query q = {0};

    /* No manifest uses it: found by the partial indexes, so it costs what it counts. */
    if (query_open(&q, db, e,
                   "SELECT * FROM (SELECT count(*), coalesce(sum(size_bytes), 0) FROM blobs),"
                   " (SELECT count(*), coalesce(sum(size_bytes), 0) FROM blobs b WHERE digest IN"
                   "  (SELECT digest FROM repository_blobs WHERE manifests = 0"
                   "   UNION SELECT digest FROM blobs WHERE repositories = 0)"
                   "  AND NOT EXISTS (SELECT 1 FROM repository_blobs rb"
                   "   WHERE rb.digest = b.digest AND rb.manifests > 0)),"
                   " (SELECT coalesce(sum(blobs), 0), coalesce(sum(bytes), 0) FROM registry_freed"
                   "  WHERE hour_ms > ?)",
                   "i", clock_wall_ms() - DAY_MS) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        jw_kv_i64(w, names[i], query_i64(&q, (int)i));
    }
    return 0;
}

int api_storage(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    struct buf b = BUF_MAX(64 * KIB);
    struct buf last = BUF_MAX(16 * KIB);
    struct jw w = JW(&b), last_w = JW(&last);
    int64_t uploads, upload_bytes;
    struct err none;
    int result;

    content_uploads_count(r->content, &uploads, &upload_bytes);
    jw_object(&w);
    result = state_read(r->state, sums_fn, &w, e);
    jw_kv_i64(&w, "uploads", uploads);
    jw_kv_i64(&w, "upload_bytes", upload_bytes);
    jw_key(&w, "last_fsck");
    if (fsck_write(r, &last_w, &none) == 0) {
        jw_raw(&w, buf_str(&last));
    } else {
        jw_null(&w);
    }
    jw_end(&w);
    buf_done(&last);
    return reply(req, 200, &b, result, e);
}

/* A client waits for so long only, and may ask again. */
int api_collect(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct collected c;

    if (registry_collect_now(req->ctx, &c, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_i64(&w, "blobs", c.blobs);
    jw_kv_i64(&w, "bytes", c.bytes);
    jw_kv_bool(&w, "more", c.more);
    jw_end(&w);
    return reply(req, 200, &b, 0, e);
}

static int reply_check(struct http_req *req, int status, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);

    return reply(req, status, &b, fsck_write(req->ctx, &w, e), e);
}

int api_fsck_start(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"deep", "repair"};
    SCOPED(json_decrefp) json_t *body = NULL;
    bool deep = false, repair = false;

    if (http_body_json(req, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_bool(body, "deep", &deep, e) < 0 ||
        json_get_bool(body, "repair", &repair, e) < 0 ||
        fsck_start(req->ctx,
                   (deep ? REGISTRY_CHECK_DEEP : 0) | (repair ? REGISTRY_CHECK_REPAIR : 0),
                   str_of(req->who.name), e) < 0) {
        return -1;
    }
    return reply_check(req, 202, e);
}

int api_fsck(struct http_req *req, struct err *e)
{
    return reply_check(req, 200, e);
}

static int write_findings(struct registry *r, const void *of UNUSED, struct page *p, struct jw *w,
                          struct err *e)
{
    return fsck_findings_write(r, p, w, e);
}

int api_fsck_findings(struct http_req *req, struct err *e)
{
    return reply_page(req, write_findings, NULL, e);
}
