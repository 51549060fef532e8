/* /metrics: what the registry holds and did, in the text format of Prometheus 0.0.4. */
#include "registry_priv.h"

#include "base/metric.h"
#include "state/state.h"

#include <stdio.h>

/* One number each; a family without rows is not written. */
static const struct {
    const char *name, *type, *help, *sql;
} numbers[] = {
    {"strata_registry_blobs", "gauge", "Blobs stored.", "SELECT count(*) FROM blobs"},
    {"strata_registry_stored_bytes", "gauge", "Bytes of all blobs.",
     "SELECT coalesce(sum(size_bytes), 0) FROM blobs"},
    {"strata_registry_repositories", "gauge", "Repositories.", "SELECT count(*) FROM repositories"},
    {"strata_registry_manifests", "gauge", "Manifests.", "SELECT count(*) FROM manifests"},
    {"strata_registry_tags", "gauge", "Tags.", "SELECT count(*) FROM tags"},
    {"strata_registry_trash_blobs", "gauge", "Blobs whose files are about to go.",
     "SELECT count(*) FROM blob_trash"},
    {"strata_registry_trash_entries", "gauge", "Deletions that can be taken back.",
     "SELECT entries FROM trash_totals WHERE project_id = 0"},
    {"strata_registry_trash_manifests", "gauge", "Manifests in the trash.",
     "SELECT manifests FROM trash_totals WHERE project_id = 0"},
    {"strata_registry_trash_bytes", "gauge",
     "Bytes of blobs in the trash; one that several entries have counts in each.",
     "SELECT blob_bytes FROM trash_totals WHERE project_id = 0"},
    {"strata_registry_freed_last_day_bytes", "gauge", "Bytes that collection freed in a day.",
     "SELECT coalesce(sum(bytes), 0) FROM registry_freed"
     " WHERE hour_ms > (unixepoch() - 86400) * 1000"},
    {"strata_registry_check_problems", "gauge", "Problems that the last check found.",
     "SELECT problems FROM registry_checks"},
};

static int write_numbers(struct state_db *db, struct buf *b, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        SCOPED(query_done) struct query q = {0};
        int r;

        if (query_open(&q, db, e, numbers[i].sql, "") < 0 || (r = query_step(&q, e)) < 0) {
            return -1;
        }
        if (r > 0) {
            metric_one(b, numbers[i].name, numbers[i].type, numbers[i].help, query_i64(&q, 0));
        }
    }
    return 0;
}

/* Names of projects have no character that a label escapes. Projects without images are left out.
 */
static int write_projects(struct state_db *db, struct buf *b, const char *name, const char *help,
                          const char *value, struct err *e)
{
    char sql[512];
    SCOPED(query_done) struct query q = {0};
    int r;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT (SELECT r.name FROM repositories r WHERE r.project_id = p.project_id"
                   " LIMIT 1) AS name, %s AS value FROM registry_projects p"
                   " WHERE name IS NOT NULL AND value IS NOT NULL",
                   value);
    if (query_open(&q, db, e, sql, "") < 0) {
        return -1;
    }
    metric_head(b, name, "gauge", help);
    while ((r = query_step(&q, e)) > 0) {
        buf_printf(b, "%s{project=\"%.*s\"} %lld\n", name, STR_ARG(name_project(query_str(&q, 0))),
                   (long long)query_i64(&q, 1));
    }
    return r;
}

struct metrics_op {
    const struct registry *r;
    struct buf *out;
};

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct metrics_op *op = ctx;
    const struct registry_hooks *h = &op->r->hooks;
    struct buf *b = op->out;

    if (h->metrics != NULL && h->metrics(h->ctx, db, b, e) < 0) {
        return -1;
    }
    return write_numbers(db, b, e) < 0 ||
                   write_projects(db, b, "strata_registry_project_used_bytes",
                                  "Bytes of images that a project holds.", "p.used_bytes", e) < 0
               ? -1
               : write_projects(db, b, "strata_registry_project_quota_bytes",
                                "Bytes of images that a project may hold, where it has a quota of "
                                "its own.",
                                "p.quota_bytes", e);
}

int api_metrics(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    struct buf b = BUF_MAX(4 * MIB);
    int64_t uploads, bytes;
    struct metrics_op op = {r, &b};
    int result = state_read(r->state, write_fn, &op, e);

    content_uploads_count(r->content, &uploads, &bytes);
    metric_one(&b, "strata_registry_uploads", "gauge", "Uploads under way.", uploads);
    metric_one(&b, "strata_registry_upload_bytes", "gauge", "Bytes of uploads under way.", bytes);
    metric_one(&b, "strata_registry_pushes_total", "counter", "Manifests pushed since the start.",
               atomic_load(&r->pushes));
    metric_one(&b, "strata_registry_pulls_total", "counter", "Manifests pulled since the start.",
               atomic_load(&r->pulled));
    if (result == 0 && b.failed) {
        result = err_set(e, ERR_LIMIT, "there are more metrics than fit an answer");
    }
    if (result == 0) {
        result = http_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b), e);
    }
    buf_done(&b);
    return result;
}
