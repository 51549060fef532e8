/* Queries in PromQL, what is scraped, care of the store. */
#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "labels/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SERIES_SHOWN = 50, SERIES_COLUMNS = 100, DEFAULT_POINTS = 120 };

/* --- what is asked for --- */

/* "1h": that long ago, as seconds since 1970; other times as they are. */
static char *moment(const char *text, int64_t now_ms)
{
    struct err e;
    int64_t sec;
    size_t n = strlen(text);

    if (n > 0 && strchr("smhd", text[n - 1]) != NULL &&
        str_parse_seconds(str_of(text), &sec, &e) == 0) {
        return xasprintf("%.3f", (double)now_ms / 1000 - (double)sec);
    }
    return xstrdup(text);
}

/* Seconds, when we can tell; else 0 and the server says what is wrong. */
static double seconds_of(const char *text)
{
    int64_t ms;
    char *end;
    double v = strtod(text, &end);

    if (end != text && *end == '\0') {
        return v;
    }
    return clock_parse(str_of(text), &ms) == 0 ? (double)ms / 1000 : 0;
}

static void add_param(struct buf *b, const char *name, const char *value)
{
    (void)buf_printf(b, "%s%s=%s", b->len > 0 ? "&" : "", name, url_segment(value));
}

static void add_range(struct cli *c, struct buf *form, int64_t now_ms)
{
    const char *start_text = cli_option(c, "start"), *end_text = cli_option(c, "end");
    SCOPED(freep) char *start = moment(start_text ? start_text : "1h", now_ms);
    SCOPED(freep) char *end = moment(end_text ? end_text : "0s", now_ms);
    const char *step = cli_option(c, "step");
    double width = (seconds_of(end) - seconds_of(start)) / DEFAULT_POINTS;
    char own[32];

    (void)snprintf(own, sizeof(own), "%.0f", width > 1 ? ceil(width) : 1);
    add_param(form, "start", start);
    add_param(form, "end", end);
    add_param(form, "step", step ? step : own);
}

static int ask(struct cli *c, const char *path, struct str form, json_t **out, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};
    struct client_request q = {.method = "POST",
                               .path = str_of(path),
                               .type = "application/x-www-form-urlencoded",
                               .body = form};

    if (client_send(c->client, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    if (out == NULL) {
        return 0;
    }
    *out = json_parse_answer(buf_str(&a.body), e);
    return *out == NULL ? err_wrap(e, "the answer") : 0;
}

/* --- what comes back --- */

static void quote(struct buf *b, struct str s)
{
    (void)buf_add(b, STR("\""));
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.p[i];

        if (ch < 32 || ch == 127) {
            (void)buf_printf(b, ch == '\n' ? "\\n" : "\\x%02x", ch);
        } else {
            (void)buf_printf(b, ch == '"' || ch == '\\' ? "\\%c" : "%c", ch);
        }
    }
    (void)buf_add(b, STR("\""));
}

/* name{a="b"}, {"other name", "other label"="b"}: a selector that finds it. */
static char *series_text(const json_t *metric)
{
    struct buf b = BUF_MAX(32 * MIB);
    struct str name = str_of(json_text(metric, "__name__"));
    bool plain = metric_name_is_plain(name), open = false;
    const char *key;
    json_t *value;

    if (plain) {
        (void)buf_add(&b, name);
    } else if (name.len > 0) {
        (void)buf_add(&b, STR("{"));
        quote(&b, name);
        open = true;
    }
    json_object_foreach((json_t *)(uintptr_t)metric, key, value)
    {
        if (strcmp(key, "__name__") == 0) {
            continue;
        }
        (void)buf_add(&b, open ? STR(", ") : STR("{"));
        open = true;
        if (label_name_is_plain(str_of(key))) {
            (void)buf_add_c(&b, key);
        } else {
            quote(&b, str_of(key));
        }
        (void)buf_add(&b, STR("="));
        quote(&b, str_n(json_string_value(value), json_string_length(value)));
    }
    (void)buf_add(&b, open ? STR("}") : plain ? STR_EMPTY : STR("{}"));
    if (b.failed || b.len == 0) {
        buf_done(&b);
        return xstrdup("{...}");
    }
    return buf_take(&b);
}

static double number_of(const json_t *sample)
{
    const char *text = json_string_value(json_array_get(sample, 1));

    return text ? strtod(text, NULL) : NAN;
}

static int width_of(const char *s)
{
    int n = 0;

    for (; *s; s++) { /* continuation bytes of UTF-8 take no column */
        n += ((unsigned char)*s & 0xc0) != 0x80;
    }
    return n < SERIES_COLUMNS ? n : SERIES_COLUMNS;
}

/* No table: a series is not cut, many differ at their end only. */
static void print_vector(const json_t *result)
{
    size_t n = json_array_size(result), i;
    SCOPED(freep) char **names = xnew_array(char *, n + 1);
    int width = width_of("SERIES");
    const json_t *series;

    if (n == 0) {
        (void)printf("No series.\n");
        return;
    }
    json_array_foreach(result, i, series)
    {
        names[i] = series_text(json_object_get(series, "metric"));
        width = width_of(names[i]) > width ? width_of(names[i]) : width;
    }
    (void)printf("%-*s  VALUE\n", width, "SERIES");
    json_array_foreach(result, i, series)
    {
        const char *value = json_string_value(json_array_get(json_object_get(series, "value"), 1));

        print_safe(stdout, str_of(names[i]));
        (void)printf("%*s  ", width - width_of(names[i]), "");
        print_safe(stdout, str_of(value ? value : ""));
        (void)putchar('\n');
        free(names[i]);
    }
}

/* Samples that one range vector has at one moment. */
static void print_samples(const json_t *series)
{
    const json_t *sample;
    size_t i;

    json_array_foreach(json_object_get(series, "values"), i, sample)
    {
        char when[32];
        double sec = json_number_value(json_array_get(sample, 0));

        (void)printf("  %s  %s\n", clock_format((int64_t)(sec * 1000), when),
                     json_string_value(json_array_get(sample, 1)));
    }
}

/* The values on the steps of the range: where there is none, a gap. */
static void print_graph(const json_t *series, double start, double step, size_t steps)
{
    SCOPED(freep) double *values = xnew_array(double, steps);
    double least = NAN, most = NAN, last = NAN;
    const json_t *sample;
    size_t i;

    for (i = 0; i < steps; i++) {
        values[i] = NAN;
    }
    json_array_foreach(json_object_get(series, "values"), i, sample)
    {
        double at = (json_number_value(json_array_get(sample, 0)) - start) / step;
        double v = number_of(sample);

        if (at > -0.5 && at < (double)steps - 0.5 && isfinite(v)) {
            values[(size_t)(at + 0.5)] = v;
            least = isnan(least) || v < least ? v : least;
            most = isnan(most) || v > most ? v : most;
        }
        last = v;
    }
    (void)printf("  %.6g to %.6g, last %.6g\n  ", least, most, last);
    print_chart(values, steps, least, most);
}

static void print_series(const json_t *series, bool is_graph)
{
    SCOPED(freep) char *name = series_text(json_object_get(series, "metric"));
    const json_t *values = json_object_get(series, "values");
    double start = json_number_value(json_array_get(json_array_get(values, 0), 0));
    size_t n = json_array_size(values);
    double end = json_number_value(json_array_get(json_array_get(values, n - 1), 0));
    double step = n > 1 ? INFINITY : 1;

    print_safe(stdout, str_of(name));
    (void)putchar('\n');
    if (!is_graph || n == 0) {
        print_samples(series);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        double d = json_number_value(json_array_get(json_array_get(values, i), 0)) -
                   json_number_value(json_array_get(json_array_get(values, i - 1), 0));

        step = d < step ? d : step;
    }
    print_graph(series, start, step, (size_t)((end - start) / step + 1.5));
}

static void print_matrix(const json_t *result, bool is_graph)
{
    const json_t *series;
    size_t i;

    json_array_foreach(result, i, series)
    {
        if (i == SERIES_SHOWN) {
            (void)printf("... and %zu more; --json has all\n", json_array_size(result) - i);
            return;
        }
        print_series(series, is_graph);
    }
    if (json_array_size(result) == 0) {
        (void)printf("No series.\n");
    }
}

static void print_notes(const json_t *answer, const char *key)
{
    const json_t *note;
    size_t i;

    json_array_foreach(json_object_get(answer, key), i, note)
    {
        print_safe(stderr, str_of(json_string_value(note)));
        (void)fputc('\n', stderr);
    }
}

static void print_answer(const json_t *answer, bool is_range)
{
    const json_t *data = json_object_get(answer, "data");
    const json_t *result = json_object_get(data, "result");
    const char *type = json_text(data, "resultType");

    if (strcmp(type, "vector") == 0) {
        print_vector(result);
    } else if (strcmp(type, "matrix") == 0) {
        print_matrix(result, is_range);
    } else {
        print_safe(stdout, str_of(json_string_value(json_array_get(result, 1))));
        (void)putchar('\n');
    }
    print_notes(answer, "warnings");
    print_notes(answer, "infos");
}

int verb_query(struct cli *c, struct err *e)
{
    bool is_range = cli_option(c, "start") || cli_option(c, "end") || cli_option(c, "step");
    SCOPED(buf_done) struct buf form = BUF_MAX(4 * LIMIT_QUERY_BYTES);
    SCOPED(json_decrefp) json_t *answer = NULL;
    const char *time = cli_option(c, "time");
    int64_t now_ms = clock_wall_ms();

    add_param(&form, "query", cli_arg(c, 0));
    if (is_range) {
        add_range(c, &form, now_ms);
    } else if (time != NULL) {
        SCOPED(freep) char *at = moment(time, now_ms);

        add_param(&form, "time", at);
    }
    if (form.failed) {
        return err_set(e, ERR_LIMIT, "the query is too long");
    }
    if (ask(c, is_range ? "/prometheus/api/v1/query_range" : "/prometheus/api/v1/query",
            buf_str(&form), &answer, e) < 0) {
        return -1;
    }
    if (!print_json(c, answer)) {
        print_answer(answer, is_range);
    }
    return 0;
}

/* --- targets --- */

int verb_metrics_targets(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"JOB", "scrapePool", COLUMN_TEXT},
                                            {"TARGET", "scrapeUrl", COLUMN_TEXT},
                                            {"HEALTH", "health", COLUMN_TEXT},
                                            {"SCRAPED", "lastScrape", COLUMN_AGE},
                                            {"ERROR", "lastError", COLUMN_WHOLE}};
    SCOPED(json_decrefp) json_t *answer = NULL;

    if (client_call(c->client, "GET", NULL, &answer, e, "/prometheus/api/v1/targets?state=active") <
        0) {
        return -1;
    }
    if (!print_json(c, answer)) {
        table_print(json_object_get(json_object_get(answer, "data"), "activeTargets"), columns,
                    ARRAY_LEN(columns), "No targets.");
    }
    return 0;
}

/* --- tsdb analyze --- */

static void print_top(const json_t *data, const char *key, const char *title, const char *count)
{
    const struct column columns[] = {{title, "name", COLUMN_TEXT}, {count, "value", COLUMN_NUMBER}};

    (void)putchar('\n');
    table_print(json_object_get(data, key), columns, ARRAY_LEN(columns), "None.");
}

int verb_metrics_analyze(struct cli *c, struct err *e)
{
    const char *limit = cli_option(c, "limit");
    SCOPED(json_decrefp) json_t *answer = NULL;
    const json_t *data, *head;

    if (client_call(c->client, "GET", NULL, &answer, e, "/prometheus/api/v1/status/tsdb?limit=%s",
                    url_segment(limit ? limit : "10")) < 0) {
        return -1;
    }
    if (print_json(c, answer)) {
        return 0;
    }
    data = json_object_get(answer, "data");
    head = json_object_get(data, "headStats");
    (void)printf("%lld series, %lld pairs of label and value\n",
                 (long long)json_number(head, "numSeries"),
                 (long long)json_number(head, "numLabelPairs"));
    print_top(data, "seriesCountByMetricName", "METRIC", "SERIES");
    print_top(data, "labelValueCountByLabelName", "LABEL", "VALUES");
    print_top(data, "seriesCountByLabelValuePair", "LABEL=VALUE", "SERIES");
    return 0;
}

/* --- care of the store --- */

#define ADMIN "/prometheus/api/v1/admin/tsdb"

int verb_metrics_delete(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf form = BUF_MAX(4 * LIMIT_QUERY_BYTES);
    int64_t now_ms = clock_wall_ms();

    add_param(&form, "match[]", cli_arg(c, 0));
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "start" : "end", *time = cli_option(c, name);

        if (time != NULL) {
            SCOPED(freep) char *at = moment(time, now_ms);

            add_param(&form, name, at);
        }
    }
    if (form.failed) {
        return err_set(e, ERR_LIMIT, "the selector is too long");
    }
    return ask(c, ADMIN "/delete_series", buf_str(&form), NULL, e);
}

int verb_metrics_import(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf form = BUF_MAX(4 * KIB);
    SCOPED(json_decrefp) json_t *answer = NULL;
    const json_t *data;

    add_param(&form, "name", cli_arg(c, 0));
    if (ask(c, ADMIN "/import", buf_str(&form), &answer, e) < 0) {
        return -1;
    }
    if (print_json(c, answer)) {
        return 0;
    }
    data = json_object_get(answer, "data");
    (void)printf("%lld blocks, %lld series, %lld samples taken over\n",
                 (long long)json_number(data, "blocks"), (long long)json_number(data, "series"),
                 (long long)json_number(data, "samples"));
    if (json_number(data, "histograms") > 0) {
        (void)printf("%lld pieces of native histograms left out\n",
                     (long long)json_number(data, "histograms"));
    }
    return 0;
}

int verb_metrics_snapshot(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *answer = NULL;

    if (ask(c, ADMIN "/snapshot", STR_EMPTY, &answer, e) < 0) {
        return -1;
    }
    if (!print_json(c, answer)) {
        (void)printf("metrics/snapshots/%s\n", json_text(json_object_get(answer, "data"), "name"));
    }
    return 0;
}
