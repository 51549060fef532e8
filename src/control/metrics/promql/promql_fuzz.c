/* promql: any text gives an error or a tree whose text gives the same text again; and the tree an
 * answer or an error, of a small store, within the limits. */
#include "base/buf.h"
#include "promql/promql.h"
#include "promql/series.h"
#include "promql/store_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const lines[] = {
    "m{i=\"1\",job=\"a\"} 0+1x30",       "m{i=\"2\",job=\"a\"} 5-1x10 stale 1 2 _ 3",
    "m{i=\"3\",job=\"b\"} NaN Inf -Inf", "n{i=\"1\"} 1x20",
    "h_bucket{le=\"1\"} 0+1x20",         "h_bucket{le=\"2\"} 0+2x20",
    "h_bucket{le=\"+Inf\"} 0+3x20",      "up 1x30",
};

static struct tsdb_view *store(void)
{
    static struct tsdb_view view;
    struct arena a = {0};

    for (size_t i = 0; view.series.len < ARRAY_LEN(lines) && i < ARRAY_LEN(lines); i++) {
        struct promql_series s = {0};
        struct err e;

        if (promql_parse_series(&a, str_of(lines[i]), &s, &e) < 0) {
            abort();
        }
        for (size_t k = 0; k < s.len; k++) {
            if (s.points[k].there) {
                store_sample(stored_of(&view, s.labels), (int64_t)k * 15000, s.points[k].v);
            }
        }
    }
    arena_done(&a);
    return &view;
}

static bool over(void *ctx)
{
    return ++*(int *)ctx > 2000;
}

static void answer(const struct promql_node *n, int64_t step_ms)
{
    struct arena a = {0};
    int asked = 0;
    const struct promql_limits limits = {20000, 300000, 60000, over, &asked};
    struct promql_range range = {120000, 300000, step_ms};
    struct promql_answer out;
    int64_t from, to;
    struct err e;

    promql_times(n, &range, &limits, &from, &to);
    if (promql_run(store(), n, &range, &limits, &a, &out, &e) == 0) {
        for (size_t i = 0; i < out.n_rows; i++) {
            if (out.rows[i].len > 20000) {
                abort();
            }
        }
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf once = BUF_MAX(1 << 22), twice = BUF_MAX(1 << 22), formatted = BUF_MAX(1 << 24);
    struct err e;
    struct promql_node *n = promql_parse(&a, str_n((const char *)data, size), &e);

    if (n != NULL) {
        answer(n, 0);
        answer(n, 15000);
        promql_print(n, &once);
        promql_format(n, &formatted);
        n = once.failed ? NULL : promql_parse(&a, buf_str(&once), &e);
        if (n == NULL && !once.failed && e.kind != ERR_LIMIT) {
            abort();
        }
        if (n != NULL) {
            promql_print(n, &twice);
            if (!str_eq(buf_str(&once), buf_str(&twice))) {
                abort();
            }
        }
    }
    buf_done(&once);
    buf_done(&twice);
    buf_done(&formatted);
    arena_done(&a);
    return 0;
}
