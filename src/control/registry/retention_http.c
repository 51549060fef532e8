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

struct run_id {
    int64_t project_id, id;
};

static int write_runs(struct registry *r, const void *of, struct page *p, struct jw *w,
                      struct err *e)
{
    const struct run_id *run = of;

    return retention_runs_write(r, run->project_id, p, w, e);
}

static int write_rows(struct registry *r, const void *of, struct page *p, struct jw *w,
                      struct err *e)
{
    const struct run_id *run = of;

    return retention_rows_write(r, run->project_id, run->id, p, w, e);
}

int api_retention_runs(struct http_req *req, struct err *e)
{
    struct run_id run;

    return run_of(req, &run.project_id, &run.id, e) < 0 ? -1 : reply_page(req, write_runs, &run, e);
}

int api_retention_rows(struct http_req *req, struct err *e)
{
    struct run_id run;

    return run_of(req, &run.project_id, &run.id, e) < 0 ? -1 : reply_page(req, write_rows, &run, e);
}
