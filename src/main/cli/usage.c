#include "main/cli/cli.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum usage_kind { USAGE_CORES, USAGE_BYTES, USAGE_BYTES_PER_SECOND, USAGE_COUNT };

/* The lines of the table. */
static const struct usage_line {
    const char *title, *key, *limit;
    enum usage_kind kind;
} usage_lines[] = {
    {"CPU", "cpu_usec", "cpu_milli_limit", USAGE_CORES},
    {"memory", "memory_bytes", "memory_limit_bytes", USAGE_BYTES},
    {"read/s", "io_read_bytes", NULL, USAGE_BYTES_PER_SECOND},
    {"written/s", "io_write_bytes", NULL, USAGE_BYTES_PER_SECOND},
    {"processes", "processes", NULL, USAGE_COUNT},
};

static int64_t at_ms(const char *when)
{
    struct tm tm = {0};
    const char *rest = strptime(when, "%Y-%m-%dT%H:%M:%S", &tm);

    return rest ? timegm(&tm) * 1000LL + (rest[0] == '.' ? strtol(rest + 1, NULL, 10) : 0) : 0;
}

/* Of two, where one may be NaN. */
static double higher(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

/* A figure as it is, or NaN. */
static double figure_of(const json_t *sample, const char *key)
{
    const json_t *v = json_object_get(sample, key);

    return json_is_integer(v) ? (double)json_integer_value(v) : NAN;
}

/* How fast a total grew since the sample before; the first one since the start. Two samples that
 * are hardly apart (the last one comes when the job ends) say nothing. */
static double rate_of(const json_t *usage, size_t i, const char *key)
{
    const json_t *samples = json_object_get(usage, "samples");
    const json_t *now = json_array_get(samples, i);
    const json_t *before = i > 0 ? json_array_get(samples, i - 1) : NULL;
    int64_t since = at_ms(before ? json_text(before, "at") : json_text(usage, "started_at"));
    int64_t ms = at_ms(json_text(now, "at")) - since;
    int64_t least = i > 0 ? json_number(usage, "interval_ms") / 10 : 1;

    if (ms < least) {
        return NAN;
    }
    return (figure_of(now, key) - (before ? figure_of(before, key) : 0)) * 1000 / (double)ms;
}

static double value_of(const json_t *usage, size_t i, const struct usage_line *line)
{
    switch (line->kind) {
    case USAGE_CORES:
        return rate_of(usage, i, line->key) / 1e6;
    case USAGE_BYTES_PER_SECOND:
        return rate_of(usage, i, line->key);
    case USAGE_BYTES:
    case USAGE_COUNT:
    default:
        return figure_of(json_array_get(json_object_get(usage, "samples"), i), line->key);
    }
}

static const char *format_value(double v, enum usage_kind kind, char out[32])
{
    char bytes[16];

    if (isnan(v)) {
        return "-";
    }
    switch (kind) {
    case USAGE_CORES:
        (void)snprintf(out, 32, "%.2f", v);
        break;
    case USAGE_COUNT:
        (void)snprintf(out, 32, "%.0f", v);
        break;
    case USAGE_BYTES:
    case USAGE_BYTES_PER_SECOND:
    default:
        (void)snprintf(out, 32, "%s", str_format_bytes((int64_t)v, bytes));
    }
    return out;
}

static void print_line(const json_t *usage, size_t n, const struct usage_line *line)
{
    SCOPED(freep) double *values = xnew_array(double, n);
    double most = NAN, last = NAN, limit = line->limit ? figure_of(usage, line->limit) : NAN;
    char cells[3][32];

    for (size_t i = 0; i < n; i++) {
        values[i] = value_of(usage, i, line);
        most = higher(most, values[i]);
        last = isnan(values[i]) ? last : values[i];
    }
    if (line->kind == USAGE_CORES) {
        limit /= 1000;
    }
    (void)printf("%-10s  %10s  %10s  %10s  ", line->title, format_value(last, line->kind, cells[0]),
                 format_value(most, line->kind, cells[1]),
                 format_value(limit, line->kind, cells[2]));
    print_chart(values, n, 0, most);
}

static void print_usage(const json_t *usage)
{
    const json_t *samples = json_object_get(usage, "samples");
    size_t n = json_array_size(samples);
    const json_t *last = n > 0 ? json_array_get(samples, n - 1) : NULL;
    double peak = figure_of(last, "memory_peak_bytes");
    char text[32];

    if (n == 0) {
        (void)printf("Nothing yet: the first figures come a second after the start.\n");
        return;
    }
    (void)printf("attempt %lld, %zu sample%s of %g s from %s to %s\n",
                 (long long)json_number(usage, "attempt"), n, n == 1 ? "" : "s",
                 (double)json_number(usage, "interval_ms") / 1000, json_text(usage, "started_at"),
                 json_text(last, "at"));
    (void)printf("%-10s  %10s  %10s  %10s  %s\n", "", "LAST", "MOST", "LIMIT", "OVER TIME");
    for (size_t i = 0; i < ARRAY_LEN(usage_lines); i++) {
        print_line(usage, n, &usage_lines[i]);
    }
    (void)printf("%.2f CPU seconds, memory peak %s\n", figure_of(last, "cpu_usec") / 1e6,
                 format_value(peak, USAGE_BYTES, text));
}

int verb_job_usage(struct cli *c, struct err *e)
{
    const char *attempt = cli_option(c, "attempt");
    SCOPED(json_decrefp) json_t *usage = NULL;

    if (client_call(c->client, "GET", NULL, &usage, e, "/api/v1/projects/%s/jobs/%s/usage%s%s",
                    url_segment(c->project), url_segment(cli_arg(c, 0)), attempt ? "?attempt=" : "",
                    attempt ? url_segment(attempt) : "") < 0) {
        return -1;
    }
    if (!print_json(c, usage)) {
        print_usage(usage);
    }
    return 0;
}
