#include "base/json.h"

#include "base/clock.h"
#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Deepest nesting of brackets outside strings; what is no JSON is left to jansson. */
static unsigned nesting_of(struct str text)
{
    unsigned depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

static json_t *parse(struct str text, size_t flags, struct err *e)
{
    json_error_t why;
    json_t *j;

    if (nesting_of(text) > LIMIT_JSON_DEPTH) {
        err_set(e, ERR_LIMIT, "JSON is nested deeper than %d levels", LIMIT_JSON_DEPTH);
        return NULL;
    }
    j = json_loadb(text.p, text.len, flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (j == NULL) {
        err_set(e, ERR_INVALID, "JSON line %d column %d: %s", why.line, why.column, why.text);
    }
    return j;
}

json_t *json_parse(struct str text, struct err *e)
{
    return parse(text, 0, e);
}

json_t *json_parse_answer(struct str text, struct err *e)
{
    return parse(text, JSON_ALLOW_NUL, e);
}

static int wrong_type(const char *key, const char *want, struct err *e)
{
    return err_set(e, ERR_INVALID, "'%s' must be %s", key, want);
}

int json_get_str(const json_t *obj, const char *key, struct str *out, struct err *e)
{
    const json_t *v = json_object_get(obj, key);

    if (v == NULL) {
        return 0;
    }
    if (!json_is_string(v)) {
        return wrong_type(key, "a string", e);
    }
    *out = str_n(json_string_value(v), json_string_length(v));
    return 0;
}

int json_get_i64(const json_t *obj, const char *key, int64_t *out, struct err *e)
{
    const json_t *v = json_object_get(obj, key);

    if (v == NULL) {
        return 0;
    }
    if (!json_is_integer(v)) {
        return wrong_type(key, "a whole number", e);
    }
    *out = json_integer_value(v);
    return 0;
}

int json_get_bool(const json_t *obj, const char *key, bool *out, struct err *e)
{
    const json_t *v = json_object_get(obj, key);

    if (v == NULL) {
        return 0;
    }
    if (!json_is_boolean(v)) {
        return wrong_type(key, "true or false", e);
    }
    *out = json_is_true(v);
    return 0;
}

int json_need_str(const json_t *obj, const char *key, struct str *out, struct err *e)
{
    if (!json_is_object(obj)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    if (json_object_get(obj, key) == NULL) {
        return err_set(e, ERR_INVALID, "'%s' is missing", key);
    }
    return json_get_str(obj, key, out, e);
}

static bool is_one_of(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

int json_only_keys(const json_t *obj, const char *const *names, size_t n, struct err *e)
{
    if (!json_is_object(obj)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    for (void *it = json_object_iter((json_t *)obj); it;
         it = json_object_iter_next((json_t *)obj, it)) {
        const char *key = json_object_iter_key(it);
        const char *near;

        if (is_one_of(key, names, n)) {
            continue;
        }
        near = str_nearest(str_of(key), names, n);
        return err_set(e, ERR_INVALID, "unknown key '%.60s'%s%s%s", key,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return 0;
}

/* --- writing --- */

/* What comes before a value: a comma, or nothing. */
static void before_value(struct jw *w)
{
    uint64_t bit = 1ULL << w->depth;

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->has_items & bit) {
        buf_add_c(w->out, ",");
    }
    w->has_items |= bit;
}

static void open_with(struct jw *w, const char *bracket, uint64_t array)
{
    before_value(w);
    buf_add_c(w->out, bracket);
    if (w->depth == 63) {
        w->out->failed = true;
        return;
    }
    w->depth++;
    w->has_items &= ~(1ULL << w->depth);
    w->is_array = (w->is_array & ~(1ULL << w->depth)) | array << w->depth;
}

void jw_object(struct jw *w)
{
    open_with(w, "{", 0);
}

void jw_array(struct jw *w)
{
    open_with(w, "[", 1);
}

void jw_end(struct jw *w)
{
    buf_add_c(w->out, w->is_array >> w->depth & 1 ? "]" : "}");
    w->depth--;
}

static void add_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add_c(out, "\\\"");
        return;
    case '\\':
        buf_add_c(out, "\\\\");
        return;
    case '\n':
        buf_add_c(out, "\\n");
        return;
    case '\t':
        buf_add_c(out, "\\t");
        return;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

static void add_string(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t start = 0, i = 0;

    buf_add_c(out, "\"");
    while (i < s.len) {
        size_t n = str_utf8_len(p + i, s.len - i);

        if (n > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f) {
            i += n;
            continue;
        }
        buf_add(out, str_n(s.p + start, i - start));
        if (n == 0) {
            buf_add_c(out, "\xef\xbf\xbd");
        } else {
            add_escaped(out, p[i]);
        }
        start = ++i;
    }
    buf_add(out, str_n(s.p + start, i - start));
    buf_add_c(out, "\"");
}

void jw_key(struct jw *w, const char *key)
{
    before_value(w);
    add_string(w->out, str_of(key));
    buf_add_c(w->out, ":");
    w->after_key = true;
}

void jw_str(struct jw *w, struct str s)
{
    before_value(w);
    add_string(w->out, s);
}

void jw_i64(struct jw *w, int64_t v)
{
    before_value(w);
    buf_printf(w->out, "%lld", (long long)v);
}

void jw_double(struct jw *w, double v)
{
    before_value(w);
    if (isfinite(v)) {
        buf_printf(w->out, "%.17g", v);
    } else {
        buf_add_c(w->out, "null");
    }
}

void jw_bool(struct jw *w, bool v)
{
    before_value(w);
    buf_add_c(w->out, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
    before_value(w);
    buf_add_c(w->out, "null");
}

void jw_raw(struct jw *w, struct str json)
{
    before_value(w);
    buf_add(w->out, json);
}

void jw_kv_str(struct jw *w, const char *key, struct str s)
{
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kv_c(struct jw *w, const char *key, const char *cstr)
{
    jw_key(w, key);
    if (cstr) {
        jw_str(w, str_of(cstr));
    } else {
        jw_null(w);
    }
}

void jw_kv_str_or_null(struct jw *w, const char *key, struct str s)
{
    jw_key(w, key);
    if (s.p != NULL) {
        jw_str(w, s);
    } else {
        jw_null(w);
    }
}

void jw_kv_i64(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

void jw_kv_bool(struct jw *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_kv_time(struct jw *w, const char *key, int64_t wall_ms)
{
    char when[32];

    jw_kv_c(w, key, wall_ms ? clock_format(wall_ms, when) : NULL);
}
