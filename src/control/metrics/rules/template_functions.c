/* template_functions - what templates can call: the functions of Go. */
#include "rules/template_priv.h"

#include "base/limits.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- arguments and results --- */

int(template_wrong)(const char *name, const struct value *v, const char *expected, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s takes a %s, not a %s", name, expected, value_type(v));
}

int template_text(const char *name, const struct value *v, struct str *out, struct err *e)
{
    *out = v->text;
    return v->kind == VALUE_TEXT ? 0 : template_wrong(name, v, "string", e);
}

/* A number, or a text that is one. */
int template_number(const char *name, const struct value *v, double *out, struct err *e)
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
        return template_wrong(name, v, "number", e);
    }
}

/* What was put into `b`, which is done with. */
int template_kept(struct template_run *r, struct buf *b, struct value *out, struct err *e)
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

/* --- Go's: logic --- */

TEMPLATE_FUNCTION(fn_not)
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

        return mixed ? err_set(e, ERR_INVALID,
                               "incompatible types for comparison: %s and %s; write whole numbers "
                               "with a point, as in 90.0",
                               value_type(a), value_type(b))
                     : err_set(e, ERR_INVALID, "incompatible types for comparison: %s and %s",
                               value_type(a), value_type(b));
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

TEMPLATE_FUNCTION(fn_eq)
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

TEMPLATE_FUNCTION(fn_ne)
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

TEMPLATE_FUNCTION(fn_lt)
{
    return compare(args, false, false, out, e);
}

TEMPLATE_FUNCTION(fn_le)
{
    return compare(args, true, false, out, e);
}

TEMPLATE_FUNCTION(fn_gt)
{
    return compare(args, true, true, out, e);
}

TEMPLATE_FUNCTION(fn_ge)
{
    return compare(args, false, true, out, e);
}

/* --- Go's: parts --- */

TEMPLATE_FUNCTION(fn_len)
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
        if (template_text("index of a map", by, &name, e) < 0) {
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

TEMPLATE_FUNCTION(fn_index)
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

TEMPLATE_FUNCTION(fn_slice)
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

TEMPLATE_FUNCTION(fn_call)
{
    return err_set(e, ERR_INVALID, "call of type %s, which is no function", value_type(&args[0]));
}

/* --- Go's: text --- */

TEMPLATE_FUNCTION(fn_print)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

    value_print(&b, args, n, false);
    return template_kept(r, &b, out, e);
}

TEMPLATE_FUNCTION(fn_println)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);

    value_print(&b, args, n, true);
    return template_kept(r, &b, out, e);
}

TEMPLATE_FUNCTION(fn_printf)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct str format;

    if (template_text("printf", &args[0], &format, e) < 0) {
        return -1;
    }
    value_printf(&b, format, args + 1, n - 1);
    return template_kept(r, &b, out, e);
}

void template_add_query(struct buf *out, struct str s)
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
    return template_kept(r, &b, out, e);
}

TEMPLATE_FUNCTION(fn_html)
{
    return escaped(r, args, n, add_html, out, e);
}

TEMPLATE_FUNCTION(fn_js)
{
    return escaped(r, args, n, add_js, out, e);
}

TEMPLATE_FUNCTION(fn_urlquery)
{
    return escaped(r, args, n, template_add_query, out, e);
}

static const struct template_function functions[] = {
    {"and", 1, TEMPLATE_ARGS, NULL},
    {"call", 1, TEMPLATE_ARGS, fn_call},
    {"eq", 2, TEMPLATE_ARGS, fn_eq},
    {"ge", 2, 2, fn_ge},
    {"gt", 2, 2, fn_gt},
    {"html", 0, TEMPLATE_ARGS, fn_html},
    {"index", 1, TEMPLATE_ARGS, fn_index},
    {"js", 0, TEMPLATE_ARGS, fn_js},
    {"le", 2, 2, fn_le},
    {"len", 1, 1, fn_len},
    {"lt", 2, 2, fn_lt},
    {"ne", 2, 2, fn_ne},
    {"not", 1, 1, fn_not},
    {"or", 1, TEMPLATE_ARGS, NULL},
    {"print", 0, TEMPLATE_ARGS, fn_print},
    {"printf", 1, TEMPLATE_ARGS, fn_printf},
    {"println", 0, TEMPLATE_ARGS, fn_println},
    {"slice", 1, 3, fn_slice},
    {"urlquery", 0, TEMPLATE_ARGS, fn_urlquery},
    {NULL, 0, 0, NULL},
};

static const struct template_function *find(const struct template_function *f, struct str name)
{
    while (f->name != NULL && !str_eq_c(name, f->name)) {
        f++;
    }
    return f->name != NULL ? f : NULL;
}

const struct template_function *template_function(struct str name)
{
    const struct template_function *f = find(functions, name);

    return f != NULL ? f : find(template_prometheus, name);
}
