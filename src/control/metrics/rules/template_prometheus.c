/* template_prometheus - what templates can call: the functions that Prometheus adds to Go's. */
#include "rules/template_priv.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "promql/promql.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- results of queries --- */

static struct value samples_of(struct template_run *r, const struct promql_answer *a)
{
    struct template_sample *s = arena_new_array(r->arena, struct template_sample, a->n_rows + 1);
    size_t n = a->n_rows;

    for (size_t i = 0; i < n; i++) {
        s[i] = (struct template_sample){a->rows[i].labels, a->rows[i].v[0]};
    }
    if (a->type == PROMQL_SCALAR) {
        s[0] = (struct template_sample){{NULL, 0}, a->scalar};
        n = 1;
    }
    return (struct value){.kind = VALUE_SAMPLES, .samples = s, .n_samples = n};
}

TEMPLATE_FUNCTION(fn_query)
{
    struct promql_answer answer = {.type = PROMQL_VECTOR};
    struct str text;

    if (template_text("query", &args[0], &text, e) < 0) {
        return -1;
    }
    if (++r->queries > TEMPLATE_QUERIES) {
        return err_set(e, ERR_LIMIT, "a template asks more than %d queries", TEMPLATE_QUERIES);
    }
    if (r->values->query != NULL &&
        r->values->query(r->values->ctx, text, r->arena, &answer, e) < 0) {
        return err_wrap(e, "query \"%.*s\"", STR_ARG(str_first(text, 100)));
    }
    if (answer.type != PROMQL_VECTOR && answer.type != PROMQL_SCALAR) {
        return err_set(e, ERR_INVALID, "query \"%.*s\": the result is no vector and no scalar",
                       STR_ARG(str_first(text, 100)));
    }
    *out = samples_of(r, &answer);
    return 0;
}

static int samples_arg(const char *name, const struct value *v, struct err *e)
{
    return v->kind == VALUE_SAMPLES ? 0 : template_wrong(name, v, "result of a query", e);
}

static int sample_arg(const char *name, const struct value *v, struct err *e)
{
    return v->kind == VALUE_SAMPLE ? 0 : template_wrong(name, v, "sample of a result", e);
}

TEMPLATE_FUNCTION(fn_first)
{
    if (samples_arg("first", &args[0], e) < 0) {
        return -1;
    }
    if (args[0].n_samples == 0) {
        return err_set(e, ERR_INVALID, "first() called on vector with no elements");
    }
    *out = args[0];
    out->kind = VALUE_SAMPLE;
    out->n_samples = 1;
    return 0;
}

TEMPLATE_FUNCTION(fn_label)
{
    struct str name;

    if (template_text("label", &args[0], &name, e) < 0 || sample_arg("label", &args[1], e) < 0) {
        return -1;
    }
    *out = value_text(labels_get(args[1].samples[0].labels, name));
    return 0;
}

TEMPLATE_FUNCTION(fn_value)
{
    if (sample_arg("value", &args[0], e) < 0) {
        return -1;
    }
    *out = value_float(args[0].samples[0].v);
    return 0;
}

TEMPLATE_FUNCTION(fn_strvalue)
{
    if (sample_arg("strvalue", &args[0], e) < 0) {
        return -1;
    }
    *out = value_text(labels_get(args[0].samples[0].labels, STR("__value__")));
    return 0;
}

struct keyed {
    struct str key;
    size_t at;
    struct template_sample sample;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = str_cmp(x->key, y->key);

    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

TEMPLATE_FUNCTION(fn_sort_by_label)
{
    const struct value *v = &args[1];
    struct template_sample *sorted;
    struct keyed *keys;
    struct str name;

    if (template_text("sortByLabel", &args[0], &name, e) < 0 ||
        samples_arg("sortByLabel", v, e) < 0) {
        return -1;
    }
    keys = arena_new_array(r->arena, struct keyed, v->n_samples + 1);
    sorted = arena_new_array(r->arena, struct template_sample, v->n_samples + 1);
    for (size_t i = 0; i < v->n_samples; i++) {
        keys[i] = (struct keyed){labels_get(v->samples[i].labels, name), i, v->samples[i]};
    }
    qsort(keys, v->n_samples, sizeof(*keys), by_key);
    for (size_t i = 0; i < v->n_samples; i++) {
        sorted[i] = keys[i].sample;
    }
    *out = *v;
    out->samples = sorted;
    return 0;
}

TEMPLATE_FUNCTION(fn_args)
{
    struct value *copy = arena_new_array(r->arena, struct value, n + 1);

    if (n > 0) {
        memcpy(copy, args, n * sizeof(*copy));
    }
    *out = (struct value){.kind = VALUE_ARGS, .args = copy, .n_args = n};
    return 0;
}

/* --- numbers --- */

static struct value kept(struct template_run *r, const char *text)
{
    return value_text(arena_str(r->arena, str_of(text)));
}

/* "%.4g" as Go writes it, with what follows. */
static struct value four_digits(struct template_run *r, double v, const char *prefix,
                                const char *unit)
{
    if (!isfinite(v)) {
        return kept(r, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
    }
    return value_text(str_of(arena_printf(r->arena, "%.4g%s%s", v, prefix, unit)));
}

static struct value large(struct template_run *r, double v, double base,
                          const char *const *prefixes)
{
    const char *prefix = "";

    for (size_t i = 0; prefixes[i] != NULL && fabs(v) >= base; i++) {
        prefix = prefixes[i];
        v /= base;
    }
    return four_digits(r, v, prefix, "");
}

static struct value small(struct template_run *r, double v, const char *unit)
{
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";

    for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(v) < 1; i++) {
        prefix = prefixes[i];
        v *= 1000;
    }
    return four_digits(r, v, prefix, unit);
}

TEMPLATE_FUNCTION(fn_humanize)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y", NULL};
    double v;

    if (template_number("humanize", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = v == 0 || !isfinite(v) ? four_digits(r, v, "", "")
           : fabs(v) >= 1         ? large(r, v, 1000, prefixes)
                                  : small(r, v, "");
    return 0;
}

TEMPLATE_FUNCTION(fn_humanize1024)
{
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL};
    double v;

    if (template_number("humanize1024", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = fabs(v) <= 1 || !isfinite(v) ? four_digits(r, v, "", "") : large(r, v, 1024, prefixes);
    return 0;
}

static struct value duration(struct template_run *r, double v)
{
    const char *sign = v < 0 ? "-" : "";
    long long s;

    if (!isfinite(v) || fabs(v) > 9e18) {
        return four_digits(r, v, "", "");
    }
    if (fabs(v) < 1) {
        return v == 0 ? kept(r, "0s") : small(r, v, "s");
    }
    s = (long long)fabs(v);
    if (s < 60) {
        return four_digits(r, v, "", "s");
    }
    return value_text(str_of(
        s < 3600 ? arena_printf(r->arena, "%s%lldm %llds", sign, s / 60, s % 60)
        : s < 86400
            ? arena_printf(r->arena, "%s%lldh %lldm %llds", sign, s / 3600, s / 60 % 60, s % 60)
            : arena_printf(r->arena, "%s%lldd %lldh %lldm %llds", sign, s / 86400, s / 3600 % 24,
                           s / 60 % 60, s % 60)));
}

TEMPLATE_FUNCTION(fn_humanize_duration)
{
    double v;

    if (template_number("humanizeDuration", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = duration(r, v);
    return 0;
}

TEMPLATE_FUNCTION(fn_humanize_percentage)
{
    double v;

    if (template_number("humanizePercentage", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = isfinite(v) ? four_digits(r, v * 100, "%", "")
                       : value_text(str_of(isnan(v) ? "NaN%"
                                           : v > 0  ? "+Inf%"
                                                    : "-Inf%"));
    return 0;
}

/* Seconds since 1970 that fit nanoseconds in 64 bits. */
static int time_of(const char *name, const struct value *v, double *out, struct err *e)
{
    if (template_number(name, v, out, e) < 0) {
        return -1;
    }
    return isfinite(*out) && fabs(*out) >= 9223372036.0
               ? err_set(e, ERR_INVALID, "%s: %g cannot be represented as a nanoseconds timestamp",
                         name, *out)
               : 0;
}

TEMPLATE_FUNCTION(fn_humanize_timestamp)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct value t = {.kind = VALUE_TIME};

    if (time_of("humanizeTimestamp", &args[0], &t.number, e) < 0) {
        return -1;
    }
    if (!isfinite(t.number)) {
        *out = four_digits(r, t.number, "", "");
        return 0;
    }
    value_put(&b, &t);
    return template_kept(r, &b, out, e);
}

TEMPLATE_FUNCTION(fn_to_time)
{
    double v;

    if (time_of("toTime", &args[0], &v, e) < 0) {
        return -1;
    }
    if (!isfinite(v)) {
        return err_set(e, ERR_INVALID, "toTime: %g is no moment", v);
    }
    *out = (struct value){.kind = VALUE_TIME, .number = v};
    return 0;
}

TEMPLATE_FUNCTION(fn_to_duration)
{
    double v;

    if (time_of("toDuration", &args[0], &v, e) < 0) {
        return -1;
    }
    if (!isfinite(v)) {
        return err_set(e, ERR_INVALID, "toDuration: %g is no time", v);
    }
    *out = (struct value){.kind = VALUE_DURATION, .number = v};
    return 0;
}

TEMPLATE_FUNCTION(fn_now)
{
    (void)args;
    *out = value_float((double)r->values->at_ms / 1000);
    return 0;
}

TEMPLATE_FUNCTION(fn_parse_duration)
{
    struct str text;
    int64_t ms;

    if (template_text("parseDuration", &args[0], &text, e) < 0) {
        return -1;
    }
    if (promql_duration(text, &ms) < 0) {
        return err_set(e, ERR_INVALID, "parseDuration: \"%.*s\" is no duration",
                       STR_ARG(str_first(text, 60)));
    }
    *out = value_float((double)ms / 1000);
    return 0;
}

/* --- text --- */

static int cased(struct template_run *r, const char *name, const struct value *v, enum utf8_case to,
                 struct value *out, struct err *e)
{
    struct str s;

    if (template_text(name, v, &s, e) < 0) {
        return -1;
    }
    *out = value_text(utf8_cased(r->arena, s, to));
    return 0;
}

TEMPLATE_FUNCTION(fn_title)
{
    return cased(r, "title", &args[0], UTF8_TITLE, out, e);
}

TEMPLATE_FUNCTION(fn_to_upper)
{
    return cased(r, "toUpper", &args[0], UTF8_UPPER, out, e);
}

TEMPLATE_FUNCTION(fn_to_lower)
{
    return cased(r, "toLower", &args[0], UTF8_LOWER, out, e);
}

TEMPLATE_FUNCTION(fn_match)
{
    struct label_regex *regex;
    struct str pattern, text;
    int matched;

    if (template_text("match", &args[0], &pattern, e) < 0 ||
        template_text("match", &args[1], &text, e) < 0) {
        return -1;
    }
    regex = label_regex_search_new(r->arena, pattern, e);
    matched = regex == NULL ? -1 : label_regex_match(regex, text, e);
    *out = value_bool(matched > 0);
    return matched < 0 ? -1 : 0;
}

TEMPLATE_FUNCTION(fn_replace)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct label_regex *regex;
    struct str pattern, with, text;

    if (template_text("reReplaceAll", &args[0], &pattern, e) < 0 ||
        template_text("reReplaceAll", &args[1], &with, e) < 0 ||
        template_text("reReplaceAll", &args[2], &text, e) < 0) {
        return -1;
    }
    regex = label_regex_search_new(r->arena, pattern, e);
    if (regex == NULL || label_regex_replace(regex, text, with, &b, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return template_kept(r, &b, out, e);
}

/* Paths of the page where the console shows a query, as Prometheus names them. */
static int link_to(struct template_run *r, const char *name, const struct value *v,
                   struct value *out, struct err *e)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct str query;

    if (template_text(name, v, &query, e) < 0) {
        return -1;
    }
    (void)buf_add(&b, STR("/graph?g0.expr="));
    template_add_query(&b, query);
    (void)buf_printf(&b, "&g0.tab=%d", name[0] == 't');
    return template_kept(r, &b, out, e);
}

TEMPLATE_FUNCTION(fn_graph_link)
{
    return link_to(r, "graphLink", &args[0], out, e);
}

TEMPLATE_FUNCTION(fn_table_link)
{
    return link_to(r, "tableLink", &args[0], out, e);
}

TEMPLATE_FUNCTION(fn_safe_html)
{
    struct str s;

    *out = args[0];
    return template_text("safeHtml", &args[0], &s, e);
}

/* host:port, [host]:port; false: neither. */
static bool split_host(struct str s, struct str *host, struct str *port)
{
    ptrdiff_t colon = str_rfind_char(s, ':');

    if (colon < 0) {
        return false;
    }
    *host = str_first(s, (size_t)colon);
    *port = str_from(s, (size_t)colon + 1);
    if (host->len > 1 && host->p[0] == '[' && host->p[host->len - 1] == ']') {
        *host = str_n(host->p + 1, host->len - 2);
        return str_find_char(*host, ']') < 0 && str_find_char(*host, '[') < 0;
    }
    return str_find_char(*host, ':') < 0 && str_find_char(s, '[') < 0 && str_find_char(s, ']') < 0;
}

TEMPLATE_FUNCTION(fn_strip_port)
{
    struct str s, host, port;

    if (template_text("stripPort", &args[0], &s, e) < 0) {
        return -1;
    }
    *out = value_text(split_host(s, &host, &port) ? host : s);
    return 0;
}

TEMPLATE_FUNCTION(fn_strip_domain)
{
    struct str s, host, port = STR_EMPTY;
    unsigned char address[16];
    char text[64];

    if (template_text("stripDomain", &args[0], &s, e) < 0) {
        return -1;
    }
    if (!split_host(s, &host, &port)) {
        host = s;
        port = STR_EMPTY;
    }
    if (str_copy(host, text, sizeof(text)) == 0 &&
        (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)) {
        *out = args[0];
        return 0;
    }
    host = str_cut(&host, '.');
    *out =
        port.len > 0
            ? value_text(str_of(arena_printf(r->arena, "%.*s:%.*s", STR_ARG(host), STR_ARG(port))))
            : value_text(host);
    return 0;
}

TEMPLATE_FUNCTION(fn_external_url)
{
    (void)args;
    *out = value_text(r->values->external_url);
    return 0;
}

TEMPLATE_FUNCTION(fn_path_prefix)
{
    struct str url = r->values->external_url;
    ptrdiff_t host = str_find(url, STR("://")), path;

    (void)args;
    url = host < 0 ? url : str_from(url, (size_t)host + 3);
    path = str_find_char(url, '/');
    url = path < 0 ? STR_EMPTY : str_from(url, (size_t)path);
    *out = value_text(str_cut(&url, '?'));
    return 0;
}

const struct template_function template_prometheus[] = {
    {"args", 0, TEMPLATE_ARGS, fn_args},
    {"externalURL", 0, 0, fn_external_url},
    {"first", 1, 1, fn_first},
    {"graphLink", 1, 1, fn_graph_link},
    {"humanize", 1, 1, fn_humanize},
    {"humanize1024", 1, 1, fn_humanize1024},
    {"humanizeDuration", 1, 1, fn_humanize_duration},
    {"humanizePercentage", 1, 1, fn_humanize_percentage},
    {"humanizeTimestamp", 1, 1, fn_humanize_timestamp},
    {"label", 2, 2, fn_label},
    {"match", 2, 2, fn_match},
    {"now", 0, 0, fn_now},
    {"parseDuration", 1, 1, fn_parse_duration},
    {"pathPrefix", 0, 0, fn_path_prefix},
    {"query", 1, 1, fn_query},
    {"reReplaceAll", 3, 3, fn_replace},
    {"safeHtml", 1, 1, fn_safe_html},
    {"sortByLabel", 2, 2, fn_sort_by_label},
    {"stripDomain", 1, 1, fn_strip_domain},
    {"stripPort", 1, 1, fn_strip_port},
    {"strvalue", 1, 1, fn_strvalue},
    {"tableLink", 1, 1, fn_table_link},
    {"title", 1, 1, fn_title},
    {"toDuration", 1, 1, fn_to_duration},
    {"toLower", 1, 1, fn_to_lower},
    {"toTime", 1, 1, fn_to_time},
    {"toUpper", 1, 1, fn_to_upper},
    {"value", 1, 1, fn_value},
    {NULL, 0, 0, NULL},
};
