/* How many answers, by the kind of route and their status. */
#include "base/metric.h"
#include "net_priv.h"

/* The first that fits; the last is all the rest. */
static const struct {
    const char *name, *prefix;
} kinds[ROUTE_KINDS] = {{"registry", "/v2/"},     {"token", "/service/token"}, {"api", "/api/v1/"},
                        {"harbor", "/api/v2.0/"}, {"metrics", "/metrics"},     {"other", ""}};

void count_answer(struct http_server *s, struct str path, int status)
{
    size_t kind = 0;

    while (!str_starts(path, str_of(kinds[kind].prefix))) {
        kind++;
    }
    if (status >= 100 && status < 100 + STATUSES) {
        atomic_fetch_add_explicit(&s->answers[kind][status - 100], 1, memory_order_relaxed);
    }
}

void http_server_metrics(struct http_server *s, struct buf *out)
{
    metric_head(out, "strata_http_requests_total", "counter",
                "Answers since the start, by the kind of route and their status.");
    for (size_t kind = 0; kind < ROUTE_KINDS; kind++) {
        for (int i = 0; i < STATUSES; i++) {
            uint64_t n = atomic_load_explicit(&s->answers[kind][i], memory_order_relaxed);

            if (n > 0) {
                (void)buf_printf(out, "strata_http_requests_total{route=\"%s\",code=\"%d\"} %llu\n",
                                 kinds[kind].name, i + 100, (unsigned long long)n);
            }
        }
    }
    metric_one(out, "strata_http_connections", "gauge", "Open connections.",
               atomic_load(&s->n_conns));
}
