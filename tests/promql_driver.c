/* promql-driver - answers queries over series from a file, for tests/test_e10_promql.py.
 *
 *   promql-driver FILE       FILE: a line a series, `{__name__="a", b="c"} MS:VALUE MS:VALUE ...`
 *   stdin                    i MS QUERY  or  r FROM_MS TO_MS STEP_MS QUERY, a line each
 *   stdout                   a line of JSON each, as Prometheus' API answers */
#include "base/buf.h"
#include "control/metrics/promql/store_test.h"
#include "promql/promql.h"
#include "promql/series.h"

#include <math.h>
#include <stdio.h>

static int read_line(struct tsdb_view *view, struct arena *a, struct str line, struct err *e)
{
    ptrdiff_t end = str_rfind_char(line, '}');
    struct labels labels;
    struct stored *s;
    char *at;

    if (end < 0 || promql_parse_labels(a, str_first(line, (size_t)end + 1), &labels, e) < 0) {
        return -1;
    }
    s = stored_of(view, labels);
    for (at = arena_strdup(a, str_from(line, (size_t)end + 1)); *at == ' ';) {
        int64_t ts = strtoll(at + 1, &at, 10);

        store_sample(s, ts,
                     strncmp(at, ":stale", 6) == 0 ? (at += 6, tsdb_stale()) : strtod(at + 1, &at));
    }
    return 0;
}

static void put_text(struct str s)
{
    putchar('"');
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] < 32 || s.p[i] == '"' || s.p[i] == '\\') {
            printf("\\u%04x", (unsigned)(unsigned char)s.p[i]);
        } else {
            putchar(s.p[i]);
        }
    }
    putchar('"');
}

static void put_row(const struct promql_row *row)
{
    printf("{\"metric\":{");
    for (size_t i = 0; i < row->labels.len; i++) {
        printf(i > 0 ? "," : "");
        put_text(row->labels.p[i].name);
        putchar(':');
        put_text(row->labels.p[i].value);
    }
    printf("},\"values\":[");
    for (size_t i = 0; i < row->len; i++) {
        printf("%s[%.3f,\"%.17g\"]", i > 0 ? "," : "", (double)row->ts_ms[i] / 1000, row->v[i]);
    }
    printf("]}");
}

static void put_notes(const char *what, const char **list, size_t n)
{
    printf(",\"%s\":[", what);
    for (size_t i = 0; i < n; i++) {
        printf(i > 0 ? "," : "");
        put_text(str_of(list[i]));
    }
    putchar(']');
}

static void put_answer(const struct promql_answer *out)
{
    printf("{\"type\":\"%s\",", promql_type_name(out->type));
    if (out->type == PROMQL_SCALAR) {
        printf("\"scalar\":\"%.17g\"", out->scalar);
    } else if (out->type == PROMQL_STRING) {
        printf("\"text\":");
        put_text(out->text);
    } else {
        printf("\"result\":[");
        for (size_t i = 0; i < out->n_rows; i++) {
            printf(i > 0 ? "," : "");
            put_row(&out->rows[i]);
        }
        putchar(']');
    }
    put_notes("warnings", out->notes.warnings, out->notes.n_warnings);
    put_notes("infos", out->notes.infos, out->notes.n_infos);
    printf("}\n");
}

static int answer(struct tsdb_view *view, struct arena *a, char *line, struct err *e)
{
    static const struct promql_limits limits = {50000000, 300000, 60000, NULL, NULL};
    char kind = line[0], *at = line + 1;
    struct promql_range range = {.start_ms = strtoll(at, &at, 10)};
    struct promql_answer out;
    struct promql_node *n;

    range.end_ms = kind == 'r' ? strtoll(at, &at, 10) : range.start_ms;
    range.step_ms = kind == 'r' ? strtoll(at, &at, 10) : 0;
    n = promql_parse(a, str_of(at + 1), e);
    if (n == NULL || promql_run(view, n, &range, &limits, a, &out, e) < 0) {
        return -1;
    }
    put_answer(&out);
    return 0;
}

int main(int argc, char **argv)
{
    struct tsdb_view view = {0};
    struct arena a = {0};
    struct err e = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *in = argc == 2 ? fopen(argv[1], "re") : NULL;

    if (in == NULL) {
        fprintf(stderr, "usage: promql-driver FILE\n");
        return 64;
    }
    while ((n = getline(&line, &cap, in)) > 0) {
        if (read_line(&view, &a, str_n(line, (size_t)n - 1), &e) < 0) {
            fprintf(stderr, "%s: %s\n", argv[1], e.msg);
            return 65;
        }
        arena_reset(&a);
    }
    fclose(in);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        line[n - 1] = '\0';
        if (answer(&view, &a, line, &e) < 0) {
            printf("{\"error\":");
            put_text(str_of(e.msg));
            printf("}\n");
        }
        fflush(stdout);
        arena_reset(&a);
    }
    free(line);
    arena_done(&a);
    store_done(&view);
    return 0;
}
