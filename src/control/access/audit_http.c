#include "access_http.h"

#include "base/clock.h"

enum { PART_ROWS = 500 };

/* ?since=2026-11-23T18:04:37Z */
static int query_time(const struct http_req *r, const char *name, int64_t *out, struct err *e)
{
    struct str text = http_query(r, name);

    if (text.p == NULL || clock_parse(text, out) == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s: give a time such as 2026-11-23T18:04:37Z", name);
}

int access_http_audit(struct http_req *r, struct err *e)
{
    struct audit_filter f = {.user = http_query(r, "user"), .project = http_query(r, "project")};
    struct buf b = BUF_MAX(REPLY_MAX);
    struct page p;

    if (query_time(r, "since", &f.since_ms, e) < 0 || query_time(r, "until", &f.until_ms, e) < 0 ||
        access_http_page(r, &b, &p, e) < 0 || access_audit_page(r->ctx, &f, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

/* Each part is a read of its own, so that a slow reader holds neither memory nor the log of the
 * state. What is written meanwhile is newer than where we are. */
static int send_parts(struct http_req *r, const struct audit_filter *f, struct str words,
                      enum audit_format format, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(REPLY_MAX);
    int64_t before = INT64_MAX, n = PART_ROWS;

    while (n == PART_ROWS) {
        buf_clear(&b);
        if (access_audit_part(r->ctx, f, words, format, PART_ROWS, &before, &n, &b, e) < 0 ||
            (b.len > 0 && http_stream_write(r, buf_str(&b), e) < 0)) {
            return -1;
        }
    }
    return 0;
}

int access_http_audit_export(struct http_req *r, struct err *e)
{
    struct audit_filter f = {.user = http_query(r, "user"), .project = http_query(r, "project")};
    struct str name = http_query(r, "format"), words;
    bool is_csv = name.p != NULL && str_eq_c(name, "csv");

    if (name.p != NULL && !is_csv && !str_eq_c(name, "ndjson")) {
        return err_set(e, ERR_INVALID, "format: ndjson or csv");
    }
    if (query_time(r, "since", &f.since_ms, e) < 0 || query_time(r, "until", &f.until_ms, e) < 0 ||
        http_query_filter(r, &words, e) < 0) {
        return -1;
    }
    http_set_attachment(r, is_csv ? "audit.csv" : "audit.ndjson");
    if (http_stream_begin(r, 200, is_csv ? "text/csv; charset=utf-8" : "application/x-ndjson", e) <
            0 ||
        (is_csv && http_stream_write(r, STR(AUDIT_CSV_HEAD), e) < 0)) {
        return -1;
    }
    return send_parts(r, &f, words, is_csv ? AUDIT_CSV : AUDIT_NDJSON, e);
}

int access_http_permissions(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_key(&w, "roles");
    jw_object(&w);
    for (int role = 0; role < ROLES; role++) {
        jw_key(&w, role_name((enum role)role));
        jw_array(&w);
        for (int p = 0; p < PERM_COUNT; p++) {
            if (role_permissions((enum role)role) & PERM_BIT(p)) {
                jw_str(&w, str_of(perm_name((enum perm)p)));
            }
        }
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    return access_http_json(r, 200, &b, e);
}
