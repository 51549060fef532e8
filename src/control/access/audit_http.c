#include "access_http.h"

#include "base/clock.h"

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
