/* promql-driver - answers queries over series from a file, for tests/test_e10_promql.py.
 *
 *   promql-driver FILE DIR   a store in DIR; FILE: a line a series, `{__name__="a", b="c"} MS:VALUE
 * MS:VALUE ...` stdin                    i MS QUERY  or  r FROM_MS TO_MS STEP_MS QUERY, a line each
 *   stdout                   a line of JSON each, as Prometheus' API answers */
#include "base/vec.h"
#include "promql/promql.h"
#include "promql/series.h"
#include "tsdb/tsdb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    int64_t ts_ms;
    double v;
    tsdb_ref series;
};

struct loading {
    struct arena arena;
    struct tsdb_appender *appender;
    VEC(struct sample) samples;
};

static int read_line(struct loading *l, struct str line, struct err *e)
{
    ptrdiff_t end = str_rfind_char(line, '}');
    struct labels labels;
    tsdb_ref series;
    char *at;

    if (end < 0 ||
        promql_parse_labels(&l->arena, str_first(line, (size_t)end + 1), &labels, e) < 0) {
        return -1;
    }
    series = tsdb_series(l->appender, labels);
    for (at = arena_strdup(&l->arena, str_from(line, (size_t)end + 1)); *at == ' ';) {
        int64_t ts = strtoll(at + 1, &at, 10);
        bool stale = strncmp(at, ":stale", 6) == 0;
        double v = stale ? tsdb_stale() : strtod(at + 1, &at);

        at += stale ? 6 : 0;
        *vec_push(&l->samples) = (struct sample){ts, v, series};
    }
    arena_reset(&l->arena);
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;

    return x->ts_ms < y->ts_ms ? -1 : x->ts_ms > y->ts_ms;
}

/* All series of the file, in the order of time, as a scraper would bring them. */
static int load(struct tsdb *db, const char *path, struct err *e)
{
    struct loading l = {.appender = tsdb_appender_new(db)};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int result = 0;
    FILE *in = fopen(path, "re");

    if (in == NULL) {
        tsdb_appender_free(l.appender);
        return err_sys(e, "open %s", path);
    }
    while (result == 0 && (n = getline(&line, &cap, in)) > 0) {
        result = read_line(&l, str_n(line, (size_t)n - 1), e);
    }
    fclose(in);
    qsort(l.samples.p, l.samples.len, sizeof(struct sample), by_time);
    for (size_t i = 0; result == 0 && i < l.samples.len; i++) {
        const struct sample *s = &l.samples.p[i];

        if (tsdb_append(l.appender, s->series, s->ts_ms, s->v) != TSDB_TAKEN) {
            result = err_set(e, ERR_INVALID, "a sample at %lld was not taken", (long long)s->ts_ms);
        }
        if (result == 0 && (i % 10000 == 9999 || i + 1 == l.samples.len)) {
            result = tsdb_commit(l.appender, TSDB_SOON, e);
        }
    }
    free(line);
    vec_done(&l.samples);
    arena_done(&l.arena);
    tsdb_appender_free(l.appender);
    return result;
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

static int answer(struct tsdb *db, struct arena *a, char *line, struct err *e)
{
    static const struct promql_limits limits = {50000000, 300000, 60000, NULL, NULL};
    char kind = line[0], *at = line + 1;
    struct promql_range range = {.start_ms = strtoll(at, &at, 10)};
    struct promql_answer out;
    struct promql_node *n;
    int64_t from, to;

    range.end_ms = kind == 'r' ? strtoll(at, &at, 10) : range.start_ms;
    range.step_ms = kind == 'r' ? strtoll(at, &at, 10) : 0;
    n = promql_parse(a, str_of(at + 1), e);
    if (n == NULL) {
        return -1;
    }
    promql_times(n, &range, &limits, &from, &to);

    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(db, from, to);

    if (promql_run(view, n, &range, &limits, a, &out, e) < 0) {
        return -1;
    }
    put_answer(&out);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct tsdb_options options = {.block_ms = 2 * 3600 * 1000, .max_series = 1000000};
    struct arena a = {0};
    struct err e = {0};
    struct tsdb *db;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (argc != 3) {
        fprintf(stderr, "usage: promql-driver FILE DIRECTORY\n");
        return 64;
    }
    db = tsdb_open(argv[2], &options, &e);
    if (db == NULL || load(db, argv[1], &e) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], e.msg);
        tsdb_close(db);
        return 65;
    }
    while ((n = getline(&line, &cap, stdin)) > 0) {
        line[n - 1] = '\0';
        if (answer(db, &a, line, &e) < 0) {
            printf("{\"error\":");
            put_text(str_of(e.msg));
            printf("}\n");
        }
        fflush(stdout);
        arena_reset(&a);
    }
    free(line);
    arena_done(&a);
    tsdb_close(db);
    return 0;
}
