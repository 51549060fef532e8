#include "net/schema.h"

#include <stdio.h>

static const struct {
    const char *name, *json;
} scalars[] = {
    {"string", "{\"type\":\"string\"}"},
    {"integer", "{\"type\":\"integer\"}"},
    {"number", "{\"type\":\"number\"}"},
    {"boolean", "{\"type\":\"boolean\"}"},
    {"null", "{\"type\":\"null\"}"},
    {"time", "{\"format\":\"date-time\",\"type\":\"string\"}"},
    {"any", "{}"},
};

/* As str_cut, but what stands in brackets or quotes is not looked at. Trimmed. */
static struct str cut(struct str *rest, char separator)
{
    struct str s = *rest;
    bool quoted = false;
    int depth = 0;

    *rest = (struct str){NULL, 0};
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        quoted = quoted != (c == '\'');
        if (!quoted) {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        }
        if (!quoted && depth == 0 && c == separator) {
            *rest = str_from(s, i + 1);
            return str_trim(str_first(s, i));
        }
    }
    return str_trim(s);
}

static bool is_between(struct str s, char open, char close)
{
    return s.len >= 2 && s.p[0] == open && s.p[s.len - 1] == close;
}

static struct str inside(struct str s)
{
    return str_trim(str_n(s.p + 1, s.len - 2));
}

/* --- objects --- */

struct field {
    char key[64];
    struct str form;
    bool optional;
};

static int read_field(struct str text, struct field *out, struct err *e)
{
    struct str form = text;
    struct str key = str_trim(str_cut(&form, ':'));

    out->optional = str_ends(key, STR("?"));
    key.len -= out->optional;
    if (form.p == NULL || key.len == 0 || str_copy(key, out->key, sizeof(out->key)) < 0) {
        return err_set(e, ERR_INTERNAL, "'%.*s' is no field such as 'name: string'", STR_ARG(text));
    }
    out->form = form;
    return 0;
}

static int write_properties(struct jw *w, struct str fields, struct err *e)
{
    jw_key(w, "properties");
    jw_object(w);
    for (struct str rest = fields; rest.p && fields.len > 0;) {
        struct field f;

        if (read_field(cut(&rest, ','), &f, e) < 0) {
            return -1;
        }
        jw_key(w, f.key);
        if (schema_write(w, f.form, e) < 0) {
            return err_wrap(e, "%s", f.key);
        }
    }
    jw_end(w);
    return 0;
}

static int write_required(struct jw *w, struct str fields, struct err *e)
{
    jw_key(w, "required");
    jw_array(w);
    for (struct str rest = fields; rest.p && fields.len > 0;) {
        struct field f;

        if (read_field(cut(&rest, ','), &f, e) < 0) {
            return -1;
        }
        if (!f.optional) {
            jw_str(w, str_of(f.key));
        }
    }
    jw_end(w);
    return 0;
}

static int write_object(struct jw *w, struct str fields, struct err *e)
{
    int rc;

    jw_object(w);
    jw_kv_c(w, "type", "object");
    if (str_starts(fields, STR("*:"))) {
        jw_key(w, "additionalProperties");
        rc = schema_write(w, str_from(fields, 2), e);
    } else {
        jw_kv_bool(w, "additionalProperties", false);
        rc = write_properties(w, fields, e) < 0 ? -1 : write_required(w, fields, e);
    }
    jw_end(w);
    return rc;
}

/* --- the rest --- */

static int write_list(struct jw *w, struct str item, struct err *e)
{
    int rc;

    jw_object(w);
    jw_kv_c(w, "type", "array");
    jw_key(w, "items");
    rc = schema_write(w, item, e);
    jw_end(w);
    return rc;
}

static int write_name(struct jw *w, struct str name, struct err *e)
{
    char ref[128];

    for (size_t i = 0; i < ARRAY_LEN(scalars); i++) {
        if (str_eq_c(name, scalars[i].name)) {
            jw_raw(w, str_of(scalars[i].json));
            return 0;
        }
    }
    if (name.len == 0 || name.len > 64 || name.p[0] < 'A' || name.p[0] > 'Z') {
        return err_set(e, ERR_INTERNAL, "'%.*s' is no form", STR_ARG(name));
    }
    (void)snprintf(ref, sizeof(ref), "#/components/schemas/%.*s", STR_ARG(name));
    jw_object(w);
    jw_kv_c(w, "$ref", ref);
    jw_end(w);
    return 0;
}

static int write_one(struct jw *w, struct str form, struct err *e)
{
    if (is_between(form, '{', '}')) {
        return write_object(w, inside(form), e);
    }
    return is_between(form, '[', ']') ? write_list(w, inside(form), e) : write_name(w, form, e);
}

/* --- one of several --- */

/* Counts; literals are quoted. A bar before the first is allowed, as in TypeScript. */
static void count_choices(struct str form, size_t *n, size_t *n_literals)
{
    *n = *n_literals = 0;
    while (form.p) {
        struct str one = cut(&form, '|');

        *n += one.len > 0;
        *n_literals += is_between(one, '\'', '\'');
    }
}

static void write_literals(struct jw *w, struct str form)
{
    jw_object(w);
    jw_kv_c(w, "type", "string");
    jw_key(w, "enum");
    jw_array(w);
    while (form.p) {
        struct str one = cut(&form, '|');

        if (is_between(one, '\'', '\'')) {
            jw_str(w, inside(one));
        }
    }
    jw_end(w);
    jw_end(w);
}

/* The literals as one enum, then the others. */
static int write_any_of(struct jw *w, struct str form, size_t n_literals, struct err *e)
{
    jw_object(w);
    jw_key(w, "anyOf");
    jw_array(w);
    if (n_literals > 0) {
        write_literals(w, form);
    }
    while (form.p) {
        struct str one = cut(&form, '|');

        if (one.len > 0 && !is_between(one, '\'', '\'') && write_one(w, one, e) < 0) {
            return -1;
        }
    }
    jw_end(w);
    jw_end(w);
    return 0;
}

int schema_write(struct jw *w, struct str form, struct err *e)
{
    size_t n, n_literals;

    count_choices(form, &n, &n_literals);
    if (n > 0 && n == n_literals) {
        write_literals(w, form);
        return 0;
    }
    return n > 1 ? write_any_of(w, form, n_literals, e) : write_one(w, str_trim(form), e);
}
