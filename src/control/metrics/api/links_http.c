/* Addresses of Prometheus' own pages, as alerts, dashboards and people have them: to the console's
 * page that shows the same.
 *
 *   /prometheus/graph?g0.expr=up&g0.range_input=1h&g0.tab=1 -->
 * /ui/monitoring?q=up&range=1h&tab=table */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

enum { PANELS_MAX = 8 };

static void add_param(struct buf *out, const char *name, struct str value)
{
    if (value.len == 0) {
        return;
    }
    (void)buf_printf(out, "%s%s=", str_find_char(buf_str(out), '?') < 0 ? "?" : "&", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';

        (void)buf_printf(out, plain ? "%c" : "%%%02X", (unsigned char)c);
    }
}

static struct str panel(struct http_req *req, unsigned n, const char *what)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "g%u.%s", n, what);
    return http_query(req, name);
}

/* "2026-01-31 10:00:00", as Prometheus' pages have it, or any other time. */
static int parse_end(struct str text, int64_t *ms)
{
    char rfc[32];

    if (text.len == 19 && text.p[10] == ' ') {
        (void)snprintf(rfc, sizeof(rfc), "%.10sT%.8sZ", text.p, text.p + 11);
        return parse_time(str_of(rfc), ms);
    }
    return parse_time(text, ms);
}

static void add_panels(struct http_req *req, struct buf *out)
{
    struct str tab = panel(req, 0, "tab"), range = panel(req, 0, "range_input"),
               end = panel(req, 0, "end_input");
    char when[32];
    int64_t ms;

    for (unsigned i = 0; i < PANELS_MAX; i++) {
        add_param(out, "q", panel(req, i, "expr"));
    }
    if (parse_duration(range, &ms) == 0 && ms > 0) {
        add_param(out, "range", range);
    }
    if (parse_end(end, &ms) == 0) {
        add_param(out, "end", str_of(clock_format(ms, when)));
    }
    /* 1 was the table in Prometheus 2 */
    add_param(out, "tab", str_eq_c(tab, "1") || str_eq_c(tab, "table") ? STR("table") : STR_EMPTY);
}

static int lead_to(struct http_req *req, const char *page, struct err *e)
{
    SCOPED(buf_done) struct buf to = BUF_MAX(16 * KIB);

    (void)buf_add_c(&to, page);
    add_panels(req, &to);
    if (to.failed) {
        return err_set(e, ERR_LIMIT, "the query is too long for an address");
    }
    http_set_header(req, "Location", "%.*s", (int)to.len, to.p);
    return http_reply_empty(req, 302, e);
}

int prom_page_graph(struct http_req *req, struct err *e)
{
    return lead_to(req, "/ui/monitoring", e);
}

int prom_page_targets(struct http_req *req, struct err *e)
{
    http_set_header(req, "Location", "/ui/monitoring/targets");
    return http_reply_empty(req, 302, e);
}
