/* /api/v1/projects/{p}/retention/runs: what the rules removed, would remove, and why. */
#include "registry_priv.h"
#include "retention.h"

#include "access/access.h"
#include "store.h"

/* The run of the path; its project too. */
static int run_of(struct http_req *req, int64_t *project_id, int64_t *id, struct err *e)
{
    const struct registry *r = req->ctx;
    uint32_t id_base;
    uint64_t n = 0;
    struct str text = http_path_param(req, "id");

    if (access_project(r->access, http_path_param(req, "p"), project_id, &id_base, e) < 0) {
        return -1;
    }
    if (text.p != NULL && (str_to_u64(text, &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_NOT_FOUND, "there is no such run: %.*s is no number",
                       STR_ARG(str_first(text, 32)));
    }
    *id = (int64_t)n;
    return 0;
}

static int reply_run(struct http_req *req, int status, int64_t project_id, int64_t id,
                     struct err *e)
{
    struct buf b = BUF_MAX(64 * KIB);
    struct jw w = JW(&b);
    int result = retention_run_write(req->ctx, project_id, id, &w, e);

    if (result == 0) {
        result = http_reply_json(req, status, &b, e);
    }
    buf_done(&b);
    return result;
}

int api_retain(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"dry_run"};
    SCOPED(json_decrefp) json_t *body = NULL;
    bool is_dry = true; /* what nobody asked for plainly is only told */
    int64_t project_id, id;

    if (run_of(req, &project_id, &id, e) < 0 || http_body_json(req, &body, e) < 0 ||
        json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_bool(body, "dry_run", &is_dry, e) < 0 ||
        retention_run(req->ctx, http_path_param(req, "p"), project_id,
                      is_dry ? RETENTION_DRY_RUN : 0, str_of(req->who.name), &id, e) < 0) {
        return -1;
    }
    return reply_run(req, 201, project_id, id, e);
}

int api_retention_run(struct http_req *req, struct err *e)
{
    int64_t project_id, id;

    return run_of(req, &project_id, &id, e) < 0 ? -1 : reply_run(req, 200, project_id, id, e);
}

static int reply_list(struct http_req *req, struct buf *b, struct jw *w, const struct page *page,
                      int result, struct err *e)
{
    jw_end(w);
    jw_key(w, "next");
    if (page->last.p != NULL) {
        jw_str(w, page->last);
    } else {
        jw_null(w);
    }
    jw_end(w);
    if (result == 0) {
        result = http_reply_json(req, 200, b, e);
    }
    buf_done(b);
    return result;
}

static int list(struct http_req *req, bool of_rows, struct err *e)
{
    struct page page = {.after = http_query(req, "after"), .arena = &req->arena};
    struct buf b = BUF_MAX(4 * MIB);
    struct jw w = JW(&b);
    int64_t project_id, id;
    int result;

    if (run_of(req, &project_id, &id, e) < 0 ||
        http_query_i64(req, "limit", 100, 1, LIMIT_LIST_ROWS, &page.limit, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = of_rows ? retention_rows_write(req->ctx, project_id, id, &page, &w, e)
                     : retention_runs_write(req->ctx, project_id, &page, &w, e);
    return reply_list(req, &b, &w, &page, result, e);
}

int api_retention_runs(struct http_req *req, struct err *e)
{
    return list(req, false, e);
}

int api_retention_rows(struct http_req *req, struct err *e)
{
    return list(req, true, e);
}
