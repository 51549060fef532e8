/* template_functions - what templates can call: the functions of Go and of Prometheus. */
#include "rules/template_priv.h"

#include "base/limits.h"
#include "promql/promql.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- arguments and results --- */

static int wrong(const char *name, const struct value *v, const char *expected, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s takes a %s, not a %s", name, expected, value_type(v));
}

static int text_of(const char *name, const struct value *v, struct str *out, struct err *e)
{
    *out = v->text;
    return v->kind == VALUE_TEXT ? 0 : wrong(name, v, "string", e);
}

/* A number, or a text that is one. */
static int number_of(const char *name, const struct value *v, double *out, struct err *e)
{
    char text[64], *end;

    switch (v->kind) {
    case VALUE_FLOAT:
    case VALUE_DURATION:
        *out = v->number;
        return 0;
    case VALUE_INT:
        *out = (double)v->whole;
        return 0;
    case VALUE_TEXT:
        if (v->text.len > 0 && str_copy(v->text, text, sizeof(text)) == 0 &&
            !isspace((unsigned char)text[0])) {
            *out = strtod(text, &end);
            if (*end == '\0') {
                return 0;
            }
        }
        return err_set(e, ERR_INVALID, "%s: \"%.*s\" is no number", name,
                       STR_ARG(str_first(v->text, 60)));
    default:
        return wrong(name, v, "number", e);
    }
}

static struct value kept(struct template_run *r, const char *text)
{
    return value_text(arena_str(r->arena, str_of(text)));
}

/* What was put into `b`, which is done with. */
static int kept_buf(struct template_run *r, struct buf *b, struct value *out, struct err *e)
{
    int result =
        b->failed ? err_set(e, ERR_LIMIT, "a text in a template is longer than %zu bytes", b->max)
                  : 0;

    *out = value_text(arena_str(r->arena, buf_str(b)));
    buf_done(b);
    return result;
}

bool value_is_true(const struct value *v)
{
    switch (v->kind) {
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v->truth;
    case VALUE_INT:
        return v->whole != 0;
    case VALUE_FLOAT:
        return v->number != 0;
    case VALUE_TEXT:
        return v->text.len > 0;
    case VALUE_LABELS:
        return v->labels.len > 0;
    case VALUE_SAMPLES:
        return v->n_samples > 0;
    case VALUE_ARGS:
        return v->n_args > 0;
    default:
        return true;
    }
}

const struct value *value_arg(const struct value *v, struct str name)
{
    uint64_t i;

    return str_starts(name, STR("arg")) && str_to_u64(str_from(name, 3), &i) == 0 && i < v->n_args
               ? &v->args[i]
               : NULL;
}

/* Of the alert: .Labels, .ExternalLabels, .ExternalURL, .Value. */
static bool data_field(const struct rule_values *v, struct str name, struct value *out)
{
    if (str_eq_c(name, "Labels") || str_eq_c(name, "ExternalLabels")) {
        *out = (struct value){.kind = VALUE_LABELS,
                              .labels = name.p[0] == 'L' ? v->labels : v->external};
    } else if (str_eq_c(name, "ExternalURL")) {
        *out = value_text(v->external_url);
    } else if (str_eq_c(name, "Value")) {
        *out = value_float(v->value);
    } else {
        return false;
    }
    return true;
}

int value_field(struct template_run *r, const struct value *v, struct str name, struct value *out,
                struct err *e)
{
    const struct value *arg;

    switch (v->kind) {
    case VALUE_DATA:
        if (data_field(r->values, name, out)) {
            return 0;
        }
        break;
    case VALUE_LABELS:
        *out = value_text(labels_get(v->labels, name));
        return 0;
    case VALUE_ARGS:
        arg = value_arg(v, name);
        *out = arg != NULL ? *arg : (struct value){.kind = VALUE_NONE};
        return 0;
    case VALUE_SAMPLE:
        if (str_eq_c(name, "Labels")) {
            *out = (struct value){.kind = VALUE_LABELS, .labels = v->samples[0].labels};
            return 0;
        }
        if (str_eq_c(name, "Value")) {
            *out = value_float(v->samples[0].v);
            return 0;
        }
        break;
    case VALUE_TIME:
        if (str_eq_c(name, "Unix")) {
            *out = value_int((int64_t)floor(v->number));
            return 0;
        }
        break;
    default:
        break;
    }
    return err_set(e, ERR_INVALID, "a %s has no field \"%.*s\"", value_type(v),
                   STR_ARG(str_first(name, 60)));
}

#define FUNCTION(name)                                                                             \
    static int name(struct template_run *r UNUSED, const struct value *args, size_t n UNUSED,      \
                    struct value *out UNUSED, struct err *e UNUSED)

/* --- Go's: logic --- */

FUNCTION(fn_not)
{
    *out = value_bool(!value_is_true(&args[0]));
    return 0;
}

static bool is_basic(const struct value *v)
{
    return v->kind == VALUE_BOOL || v->kind == VALUE_INT || v->kind == VALUE_FLOAT ||
           v->kind == VALUE_TEXT;
}

/* Go does not compare a whole number with one that is not: `gt $value 90` is a mistake. */
static int comparable(const struct value *a, const struct value *b, struct err *e)
{
    if (!is_basic(a) || !is_basic(b)) {
        return err_set(e, ERR_INVALID, "a %s cannot be compared", value_type(is_basic(a) ? b : a));
    }
    if (a->kind != b->kind) {
        bool mixed = (a->kind == VALUE_INT && b->kind == VALUE_FLOAT) ||
                     (a->kind == VALUE_FLOAT && b->kind == VALUE_INT);

        return err_set(e, ERR_INVALID, "incompatible types for comparison: %s and %s%s",
                       value_type(a), value_type(b),
                       mixed ? "; write whole numbers with a point, as in 90.0" : "");
    }
    return 0;
}

static bool same(const struct value *a, const struct value *b)
{
    switch (a->kind) {
    case VALUE_BOOL:
        return a->truth == b->truth;
    case VALUE_INT:
        return a->whole == b->whole;
    case VALUE_FLOAT:
        return a->number == b->number;
    default:
        return str_eq(a->text, b->text);
    }
}

/* a < b, or -1. */
static int less(const struct value *a, const struct value *b, struct err *e)
{
    if (comparable(a, b, e) < 0) {
        return -1;
    }
    switch (a->kind) {
    case VALUE_BOOL:
        return err_set(e, ERR_INVALID, "a bool is neither less nor greater");
    case VALUE_INT:
        return a->whole < b->whole;
    case VALUE_FLOAT:
        return a->number < b->number;
    default:
        return str_cmp(a->text, b->text) < 0;
    }
}

FUNCTION(fn_eq)
{
    for (size_t i = 1; i < n; i++) {
        if (comparable(&args[0], &args[i], e) < 0) {
            return -1;
        }
        if (same(&args[0], &args[i])) {
            *out = value_bool(true);
            return 0;
        }
    }
    *out = value_bool(false);
    return 0;
}

FUNCTION(fn_ne)
{
    if (comparable(&args[0], &args[1], e) < 0) {
        return -1;
    }
    *out = value_bool(!same(&args[0], &args[1]));
    return 0;
}

static int compare(const struct value *args, bool or_same, bool turned, struct value *out,
                   struct err *e)
{
    int result = less(&args[0], &args[1], e);

    if (result < 0) {
        return -1;
    }
    *out = value_bool((result > 0 || (or_same && same(&args[0], &args[1]))) != turned);
    return 0;
}

FUNCTION(fn_lt)
{
    return compare(args, false, false, out, e);
}

FUNCTION(fn_le)
{
    return compare(args, true, false, out, e);
}

FUNCTION(fn_gt)
{
    return compare(args, true, true, out, e);
}

FUNCTION(fn_ge)
{
    return compare(args, false, true, out, e);
}

/* --- Go's: parts --- */

FUNCTION(fn_len)
{
    const struct value *v = &args[0];

    switch (v->kind) {
    case VALUE_TEXT:
        *out = value_int((int64_t)v->text.len);
        return 0;
    case VALUE_LABELS:
        *out = value_int((int64_t)v->labels.len);
        return 0;
    case VALUE_SAMPLES:
        *out = value_int((int64_t)v->n_samples);
        return 0;
    case VALUE_ARGS:
        *out = value_int((int64_t)v->n_args);
        return 0;
    default:
        return err_set(e, ERR_INVALID, "len of type %s", value_type(v));
    }
}

/* A whole number from 0 to `most`. */
static int place(const struct value *v, size_t most, size_t *out, struct err *e)
{
    if (v->kind != VALUE_INT) {
        return err_set(e, ERR_INVALID, "cannot index with type %s", value_type(v));
    }
    if (v->whole < 0 || (uint64_t)v->whole > most) {
        return err_set(e, ERR_INVALID, "index out of range: %lld", (long long)v->whole);
    }
    *out = (size_t)v->whole;
    return 0;
}

static int index_one(const struct value *v, const struct value *by, struct value *out,
                     struct err *e)
{
    size_t len = v->kind == VALUE_TEXT ? v->text.len : v->n_samples, i;
    const struct value *arg;
    struct str name;

    switch (v->kind) {
    case VALUE_LABELS:
    case VALUE_ARGS:
        if (text_of("index of a map", by, &name, e) < 0) {
            return -1;
        }
        arg = v->kind == VALUE_ARGS ? value_arg(v, name) : NULL;
        *out = v->kind == VALUE_LABELS ? value_text(labels_get(v->labels, name))
               : arg != NULL           ? *arg
                                       : (struct value){.kind = VALUE_NONE};
        return 0;
    case VALUE_TEXT:
    case VALUE_SAMPLES:
        if (place(by, len, &i, e) < 0) {
            return -1;
        }
        if (i == len) {
            return err_set(e, ERR_INVALID, "index out of range: %zu", i);
        }
        *out =
            v->kind == VALUE_TEXT
                ? value_int((unsigned char)v->text.p[i])
                : (struct value){.kind = VALUE_SAMPLE, .samples = &v->samples[i], .n_samples = 1};
        return 0;
    default:
        return err_set(e, ERR_INVALID, "can't index item of type %s", value_type(v));
    }
}

FUNCTION(fn_index)
{
    struct value v = args[0];

    for (size_t i = 1; i < n; i++) {
        struct value inner = v;

        if (index_one(&inner, &args[i], &v, e) < 0) {
            return -1;
        }
    }
    *out = v;
    return 0;
}

FUNCTION(fn_slice)
{
    const struct value *v = &args[0];
    size_t from = 0, to = v->kind == VALUE_TEXT ? v->text.len : v->n_samples;

    if (v->kind != VALUE_TEXT && v->kind != VALUE_SAMPLES) {
        return err_set(e, ERR_INVALID, "can't slice item of type %s", value_type(v));
    }
    if ((n > 1 && place(&args[1], to, &from, e) < 0) ||
        (n > 2 && place(&args[2], to, &to, e) < 0)) {
        return -1;
    }
    if (from > to) {
        return err_set(e, ERR_INVALID, "invalid slice index: %zu > %zu", from, to);
    }
    *out = *v;
    if (v->kind == VALUE_TEXT) {
        out->text = str_n(v->text.p + from, to - from);
    } else {
        out->samples += from;
        out->n_samples = to - from;
    }
    return 0;
}

FUNCTION(fn_call)
{
    return err_set(e, ERR_INVALID, "call of type %s, which is no function", value_type(&args[0]));
}

/* --- Go's: text --- */

FUNCTION(fn_print)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

    value_print(&b, args, n, false);
    return kept_buf(r, &b, out, e);
}

FUNCTION(fn_println)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

    value_print(&b, args, n, true);
    return kept_buf(r, &b, out, e);
}

FUNCTION(fn_printf)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct str format;

    if (text_of("printf", &args[0], &format, e) < 0) {
        return -1;
    }
    value_printf(&b, format, args + 1, n - 1);
    return kept_buf(r, &b, out, e);
}

static void add_query(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (isalnum(c) || (c != 0 && strchr("-_.~", c) != NULL)) {
            (void)buf_add(out, str_n(s.p + i, 1));
        } else {
            (void)buf_printf(out, c == ' ' ? "+" : "%%%02X", c);
        }
    }
}

static void add_html(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        (void)buf_add(out, c == '<'    ? STR("&lt;")
                           : c == '>'  ? STR("&gt;")
                           : c == '&'  ? STR("&amp;")
                           : c == '\'' ? STR("&#39;")
                           : c == '"'  ? STR("&#34;")
                           : c == '\0' ? STR("\xef\xbf\xbd")
                                       : str_n(s.p + i, 1));
    }
}

static void add_js(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < ' ' || (c != 0 && strchr("<>&=", c) != NULL)) {
            (void)buf_printf(out, "\\u%04X", c);
        } else {
            (void)buf_add(out, c == '\\' || c == '\'' || c == '"' ? STR("\\") : STR_EMPTY);
            (void)buf_add(out, str_n(s.p + i, 1));
        }
    }
}

static int escaped(struct template_run *r, const struct value *args, size_t n,
                   void (*add)(struct buf *out, struct str s), struct value *out, struct err *e)
{
    struct buf plain = BUF_MAX(LIMIT_LABEL_VALUE_BYTES), b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

    value_print(&plain, args, n, false);
    add(&b, buf_str(&plain));
    b.failed |= plain.failed;
    buf_done(&plain);
    return kept_buf(r, &b, out, e);
}

FUNCTION(fn_html)
{
    return escaped(r, args, n, add_html, out, e);
}

FUNCTION(fn_js)
{
    return escaped(r, args, n, add_js, out, e);
}

FUNCTION(fn_urlquery)
{
    return escaped(r, args, n, add_query, out, e);
}

/* --- Prometheus': results of queries --- */

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

FUNCTION(fn_query)
{
    struct promql_answer answer = {.type = PROMQL_VECTOR};
    struct str text;

    if (text_of("query", &args[0], &text, e) < 0) {
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
    return v->kind == VALUE_SAMPLES ? 0 : wrong(name, v, "result of a query", e);
}

static int sample_arg(const char *name, const struct value *v, struct err *e)
{
    return v->kind == VALUE_SAMPLE ? 0 : wrong(name, v, "sample of a result", e);
}

FUNCTION(fn_first)
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

FUNCTION(fn_label)
{
    struct str name;

    if (text_of("label", &args[0], &name, e) < 0 || sample_arg("label", &args[1], e) < 0) {
        return -1;
    }
    *out = value_text(labels_get(args[1].samples[0].labels, name));
    return 0;
}

FUNCTION(fn_value)
{
    if (sample_arg("value", &args[0], e) < 0) {
        return -1;
    }
    *out = value_float(args[0].samples[0].v);
    return 0;
}

FUNCTION(fn_strvalue)
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

FUNCTION(fn_sort_by_label)
{
    const struct value *v = &args[1];
    struct template_sample *sorted;
    struct keyed *keys;
    struct str name;

    if (text_of("sortByLabel", &args[0], &name, e) < 0 || samples_arg("sortByLabel", v, e) < 0) {
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

FUNCTION(fn_args)
{
    struct value *copy = arena_new_array(r->arena, struct value, n + 1);

    if (n > 0) {
        memcpy(copy, args, n * sizeof(*copy));
    }
    *out = (struct value){.kind = VALUE_ARGS, .args = copy, .n_args = n};
    return 0;
}

/* --- Prometheus': numbers --- */

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

FUNCTION(fn_humanize)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y", NULL};
    double v;

    if (number_of("humanize", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = v == 0 || !isfinite(v) ? four_digits(r, v, "", "")
           : fabs(v) >= 1         ? large(r, v, 1000, prefixes)
                                  : small(r, v, "");
    return 0;
}

FUNCTION(fn_humanize1024)
{
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL};
    double v;

    if (number_of("humanize1024", &args[0], &v, e) < 0) {
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

FUNCTION(fn_humanize_duration)
{
    double v;

    if (number_of("humanizeDuration", &args[0], &v, e) < 0) {
        return -1;
    }
    *out = duration(r, v);
    return 0;
}

FUNCTION(fn_humanize_percentage)
{
    double v;

    if (number_of("humanizePercentage", &args[0], &v, e) < 0) {
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
    if (number_of(name, v, out, e) < 0) {
        return -1;
    }
    return isfinite(*out) && fabs(*out) >= 9223372036.0
               ? err_set(e, ERR_INVALID, "%s: %g cannot be represented as a nanoseconds timestamp",
                         name, *out)
               : 0;
}

FUNCTION(fn_humanize_timestamp)
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
    return kept_buf(r, &b, out, e);
}

FUNCTION(fn_to_time)
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

FUNCTION(fn_to_duration)
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

FUNCTION(fn_now)
{
    (void)args;
    *out = value_float((double)r->values->at_ms / 1000);
    return 0;
}

FUNCTION(fn_parse_duration)
{
    struct str text;
    int64_t ms;

    if (text_of("parseDuration", &args[0], &text, e) < 0) {
        return -1;
    }
    if (promql_duration(text, &ms) < 0) {
        return err_set(e, ERR_INVALID, "parseDuration: \"%.*s\" is no duration",
                       STR_ARG(str_first(text, 60)));
    }
    *out = value_float((double)ms / 1000);
    return 0;
}

/* --- Prometheus': text --- */

static int cased(struct template_run *r, const char *name, const struct value *v, struct value *out,
                 struct err *e)
{
    struct str s;
    char *copy;

    if (text_of(name, v, &s, e) < 0) {
        return -1;
    }
    copy = arena_strdup(r->arena, s);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char before = i > 0 ? (unsigned char)s.p[i - 1] : ' ';
        bool begins = !isalnum(before) && before != '_' && before < 0x80;

        if (strcmp(name, "toLower") == 0) {
            copy[i] = (char)tolower((unsigned char)copy[i]);
        } else if (strcmp(name, "toUpper") == 0 || begins) {
            copy[i] = (char)toupper((unsigned char)copy[i]);
        }
    }
    *out = value_text(str_n(copy, s.len));
    return 0;
}

FUNCTION(fn_title)
{
    return cased(r, "title", &args[0], out, e);
}

FUNCTION(fn_to_upper)
{
    return cased(r, "toUpper", &args[0], out, e);
}

FUNCTION(fn_to_lower)
{
    return cased(r, "toLower", &args[0], out, e);
}

FUNCTION(fn_match)
{
    struct label_regex *regex;
    struct str pattern, text;
    int matched;

    if (text_of("match", &args[0], &pattern, e) < 0 || text_of("match", &args[1], &text, e) < 0) {
        return -1;
    }
    regex = label_regex_search_new(r->arena, pattern, e);
    matched = regex == NULL ? -1 : label_regex_match(regex, text, e);
    *out = value_bool(matched > 0);
    return matched < 0 ? -1 : 0;
}

FUNCTION(fn_replace)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct label_regex *regex;
    struct str pattern, with, text;

    if (text_of("reReplaceAll", &args[0], &pattern, e) < 0 ||
        text_of("reReplaceAll", &args[1], &with, e) < 0 ||
        text_of("reReplaceAll", &args[2], &text, e) < 0) {
        return -1;
    }
    regex = label_regex_search_new(r->arena, pattern, e);
    if (regex == NULL || label_regex_replace(regex, text, with, &b, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return kept_buf(r, &b, out, e);
}

/* Paths of the page where the console shows a query, as Prometheus names them. */
static int link_to(struct template_run *r, const char *name, const struct value *v,
                   struct value *out, struct err *e)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct str query;

    if (text_of(name, v, &query, e) < 0) {
        return -1;
    }
    (void)buf_add(&b, STR("/graph?g0.expr="));
    add_query(&b, query);
    (void)buf_printf(&b, "&g0.tab=%d", name[0] == 't');
    return kept_buf(r, &b, out, e);
}

FUNCTION(fn_graph_link)
{
    return link_to(r, "graphLink", &args[0], out, e);
}

FUNCTION(fn_table_link)
{
    return link_to(r, "tableLink", &args[0], out, e);
}

FUNCTION(fn_safe_html)
{
    struct str s;

    *out = args[0];
    return text_of("safeHtml", &args[0], &s, e);
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

FUNCTION(fn_strip_port)
{
    struct str s, host, port;

    if (text_of("stripPort", &args[0], &s, e) < 0) {
        return -1;
    }
    *out = value_text(split_host(s, &host, &port) ? host : s);
    return 0;
}

FUNCTION(fn_strip_domain)
{
    struct str s, host, port = STR_EMPTY;
    unsigned char address[16];
    char text[64];

    if (text_of("stripDomain", &args[0], &s, e) < 0) {
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

FUNCTION(fn_external_url)
{
    (void)args;
    *out = value_text(r->values->external_url);
    return 0;
}

FUNCTION(fn_path_prefix)
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

static const struct template_function functions[] = {
    {"and", 1, TEMPLATE_ARGS, NULL},
    {"args", 0, TEMPLATE_ARGS, fn_args},
    {"call", 1, TEMPLATE_ARGS, fn_call},
    {"eq", 2, TEMPLATE_ARGS, fn_eq},
    {"externalURL", 0, 0, fn_external_url},
    {"first", 1, 1, fn_first},
    {"ge", 2, 2, fn_ge},
    {"graphLink", 1, 1, fn_graph_link},
    {"gt", 2, 2, fn_gt},
    {"html", 0, TEMPLATE_ARGS, fn_html},
    {"humanize", 1, 1, fn_humanize},
    {"humanize1024", 1, 1, fn_humanize1024},
    {"humanizeDuration", 1, 1, fn_humanize_duration},
    {"humanizePercentage", 1, 1, fn_humanize_percentage},
    {"humanizeTimestamp", 1, 1, fn_humanize_timestamp},
    {"index", 1, TEMPLATE_ARGS, fn_index},
    {"js", 0, TEMPLATE_ARGS, fn_js},
    {"label", 2, 2, fn_label},
    {"le", 2, 2, fn_le},
    {"len", 1, 1, fn_len},
    {"lt", 2, 2, fn_lt},
    {"match", 2, 2, fn_match},
    {"ne", 2, 2, fn_ne},
    {"not", 1, 1, fn_not},
    {"now", 0, 0, fn_now},
    {"or", 1, TEMPLATE_ARGS, NULL},
    {"parseDuration", 1, 1, fn_parse_duration},
    {"pathPrefix", 0, 0, fn_path_prefix},
    {"print", 0, TEMPLATE_ARGS, fn_print},
    {"printf", 1, TEMPLATE_ARGS, fn_printf},
    {"println", 0, TEMPLATE_ARGS, fn_println},
    {"query", 1, 1, fn_query},
    {"reReplaceAll", 3, 3, fn_replace},
    {"safeHtml", 1, 1, fn_safe_html},
    {"slice", 1, 4, fn_slice},
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
    {"urlquery", 0, TEMPLATE_ARGS, fn_urlquery},
    {"value", 1, 1, fn_value},
};

const struct template_function *template_function(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (str_eq_c(name, functions[i].name)) {
            return &functions[i];
        }
    }
    return NULL;
}
