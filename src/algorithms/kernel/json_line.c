#include "algorithms/kernel/json_line.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct json_scan {
    const char *begin, *at, *end;
    struct err *e;
};

void json_line_done(struct json_line *l)
{
    free(l->fields);
    *l = (struct json_line){0};
}

static int refuse(const struct json_scan *s, const char *at, const char *what)
{
    return err_set(s->e, ERR_DATA, "column %zu: %s", (size_t)(at - s->begin) + 1, what);
}

static void skip_space(struct json_scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r')) {
        s->at++;
    }
}

/* The next character that counts; 0 at the end. */
static char peek(struct json_scan *s)
{
    skip_space(s);
    return s->at < s->end ? *s->at : '\0';
}

/* --- texts ------------------------------------------------------------------------------------ */

static int hex4(const char *p, const char *end, uint32_t *c)
{
    *c = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char d = p[i];
        uint32_t v = d >= '0' && d <= '9'   ? (uint32_t)(d - '0')
                     : d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a') + 10
                     : d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A') + 10
                                            : 16;

        if (v == 16) {
            return -1;
        }
        *c = *c << 4 | v;
    }
    return 0;
}

/* What "\u" and what follows stand for: *n bytes from `p`, which is behind the "u". -1: no
 * character. */
static int escaped_char(const char *p, const char *end, uint32_t *c, size_t *n)
{
    uint32_t low;

    *n = 4;
    if (hex4(p, end, c) < 0) {
        return -1;
    }
    if (*c < 0xd800 || *c > 0xdfff) {
        return 0;
    }
    if (*c > 0xdbff || end - p < 10 || p[4] != '\\' || p[5] != 'u' || hex4(p + 6, end, &low) < 0 ||
        low < 0xdc00 || low > 0xdfff) {
        return -1; /* half of a pair */
    }
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    *n = 10;
    return 0;
}

/* At the backslash; to behind the escape. */
static int scan_escape(struct json_scan *s)
{
    const char *at = s->at++;
    uint32_t c = 0;
    size_t n = 0;

    if (s->at == s->end || strchr("\"\\/bfnrtu", *s->at) == NULL || *s->at == '\0') {
        return refuse(s, at, "a backslash, and no escape of JSON");
    }
    if (*s->at++ != 'u') {
        return 0;
    }
    if (escaped_char(s->at, s->end, &c, &n) < 0) {
        return refuse(s, at, "an escape that is no character");
    }
    if (c == 0) {
        return refuse(s, at, "a NUL character, which no table can hold");
    }
    s->at += n;
    return 0;
}

/* At the opening quote; to behind the closing one. */
static int scan_text(struct json_scan *s, struct str *text, bool *escaped)
{
    const char *open = s->at++, *from = s->at;

    *escaped = false;
    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < ' ') {
            return refuse(s, s->at, *s->at ? "a control character in a text" : "a NUL byte");
        }
        if (*s->at != '\\') {
            s->at++;
            continue;
        }
        *escaped = true;
        if (scan_escape(s) < 0) {
            return -1;
        }
    }
    if (s->at == s->end) {
        return refuse(s, open, "a text is opened and never closed");
    }
    *text = str_n(from, (size_t)(s->at++ - from));
    if (text->len > ML_LIMIT_CELL_BYTES) {
        return err_set(s->e, ERR_DATA, "column %zu: the text is longer than %llu bytes",
                       (size_t)(open - s->begin) + 1, ML_LIMIT_CELL_BYTES);
    }
    return 0;
}

void json_line_unescape(struct str spelled, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *p = spelled.p, *end = p + spelled.len;

    while (p < end) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        char bytes[4];
        uint32_t c = 0;
        size_t n = 0;

        (void)buf_add(out, str_n(p, (size_t)((back ? back : end) - p)));
        if (back == NULL || end - back < 2) {
            return;
        }
        p = back + 2;
        if (back[1] != 'u') {
            const char *at = strchr(names, back[1]);

            (void)buf_add(out, str_n(at ? &means[at - names] : "?", 1));
            continue;
        }
        if (escaped_char(p, end, &c, &n) < 0) {
            return;
        }
        (void)buf_add(out, str_n(bytes, utf8_put(bytes, c)));
        p += n;
    }
}

/* --- numbers and words ------------------------------------------------------------------------ */

static bool digits(struct json_scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    return s->at > from;
}

static bool take(struct json_scan *s, char c)
{
    bool there = s->at < s->end && *s->at == c;

    s->at += there;
    return there;
}

static int scan_number(struct json_scan *s, bool *is_whole)
{
    const char *from = s->at, *first;

    (void)take(s, '-');
    first = s->at;
    if (!digits(s) || (*first == '0' && s->at - first > 1)) {
        return refuse(s, from, "no number of JSON");
    }
    *is_whole = true;
    if (take(s, '.')) {
        *is_whole = false;
        if (!digits(s)) {
            return refuse(s, from, "no number of JSON");
        }
    }
    if (take(s, 'e') || take(s, 'E')) {
        *is_whole = false;
        if (!take(s, '+')) {
            (void)take(s, '-');
        }
        if (!digits(s)) {
            return refuse(s, from, "no number of JSON");
        }
    }
    return 0;
}

static int scan_word(struct json_scan *s, enum json_line_type *type)
{
    static const struct {
        struct str word;
        enum json_line_type type;
    } words[] = {{{"null", 4}, JSON_LINE_NULL},
                 {{"true", 4}, JSON_LINE_TRUE},
                 {{"false", 5}, JSON_LINE_FALSE}};
    struct str rest = str_n(s->at, (size_t)(s->end - s->at));

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_starts(rest, words[i].word)) {
            s->at += words[i].word.len;
            *type = words[i].type;
            return 0;
        }
    }
    if (str_starts(rest, STR("NaN")) || str_starts(rest, STR("Infinity"))) {
        return refuse(s, s->at, "NaN and Infinity are no JSON: write null");
    }
    return refuse(s, s->at, rest.len == 0 ? "the line ends too early" : "no value of JSON");
}

/* --- what is nested --------------------------------------------------------------------------- */

/* One bit a level: whether it is an object. */
struct levels {
    uint64_t objects;
    unsigned depth;
};

static int push(struct json_scan *s, struct levels *l)
{
    if (l->depth == ML_LIMIT_JSON_DEPTH) {
        return err_set(s->e, ERR_DATA, "column %zu: nested deeper than %d levels",
                       (size_t)(s->at - s->begin) + 1, ML_LIMIT_JSON_DEPTH);
    }
    l->objects = l->objects << 1 | (*s->at == '{');
    l->depth++;
    s->at++;
    return 0;
}

static void pop(struct json_scan *s, struct levels *l)
{
    l->objects >>= 1;
    l->depth--;
    s->at++;
}

static int scan_key(struct json_scan *s, struct str *key, bool *escaped)
{
    if (peek(s) != '"') {
        return refuse(s, s->at, "a key in quotes is missing");
    }
    if (scan_text(s, key, escaped) < 0) {
        return -1;
    }
    if (peek(s) != ':') {
        return refuse(s, s->at, "a ':' is missing behind a key");
    }
    s->at++;
    return 0;
}

static int scan_plain(struct json_scan *s, struct json_line_field *f)
{
    char c = peek(s);
    const char *from = s->at;

    if (c == '"') {
        f->type = JSON_LINE_TEXT;
        return scan_text(s, &f->value, &f->value_escaped);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        f->type = JSON_LINE_NUMBER;
        if (scan_number(s, &f->is_whole) < 0) {
            return -1;
        }
        f->value = str_n(from, (size_t)(s->at - from));
        return 0;
    }
    return scan_word(s, &f->type);
}

/* At the beginning of a value inside of `l`. 1: it opened a level that is not empty. */
static int enter_value(struct json_scan *s, struct levels *l)
{
    struct json_line_field ignored;
    char c = peek(s);

    if (c != '{' && c != '[') {
        return scan_plain(s, &ignored);
    }
    if (push(s, l) < 0) {
        return -1;
    }
    if (peek(s) == (c == '{' ? '}' : ']')) {
        pop(s, l);
        return 0;
    }
    return c == '{' && scan_key(s, &ignored.key, &ignored.key_escaped) < 0 ? -1 : 1;
}

/* Behind a value inside of `l`: 1: another one follows, 0: no level is open any more. */
static int leave_value(struct json_scan *s, struct levels *l)
{
    struct str key;
    bool escaped;

    while (l->depth > 0) {
        bool is_object = l->objects & 1;
        char c = peek(s);

        if (c == (is_object ? '}' : ']')) {
            pop(s, l);
            continue;
        }
        if (c != ',') {
            return refuse(s, s->at, "a ',' or the end of an object or array is missing");
        }
        s->at++;
        return is_object && scan_key(s, &key, &escaped) < 0 ? -1 : 1;
    }
    return 0;
}

static int scan_nested(struct json_scan *s, struct json_line_field *f)
{
    const char *from = s->at;
    struct levels l = {0};
    int more = 1;

    while (more > 0) {
        more = enter_value(s, &l);
        if (more == 0) {
            more = leave_value(s, &l);
        }
    }
    f->type = JSON_LINE_NESTED;
    f->value = str_n(from, (size_t)(s->at - from));
    if (more == 0 && f->value.len > ML_LIMIT_CELL_BYTES) {
        return err_set(s->e, ERR_DATA, "column %zu: the value is longer than %llu bytes",
                       (size_t)(from - s->begin) + 1, ML_LIMIT_CELL_BYTES);
    }
    return more;
}

/* --- the line --------------------------------------------------------------------------------- */

static struct json_line_field *new_field(struct json_line *l, struct json_scan *s)
{
    if (l->n == ML_LIMIT_COLUMNS) {
        (void)err_set(s->e, ERR_DATA, "an object has at most %d keys", ML_LIMIT_COLUMNS);
        return NULL;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->fields = xrealloc(l->fields, l->cap * sizeof(*l->fields));
    }
    l->fields[l->n] = (struct json_line_field){0};
    return &l->fields[l->n++];
}

static int scan_fields(struct json_line *l, struct json_scan *s)
{
    for (;;) {
        struct json_line_field *f = new_field(l, s);
        char c;

        if (f == NULL || scan_key(s, &f->key, &f->key_escaped) < 0) {
            return -1;
        }
        c = peek(s);
        if ((c == '{' || c == '[' ? scan_nested(s, f) : scan_plain(s, f)) < 0) {
            return -1;
        }
        c = peek(s);
        if (c != ',' && c != '}') {
            return refuse(s, s->at, "a ',' or a '}' is missing");
        }
        s->at++;
        if (c == '}') {
            return 0;
        }
    }
}

int json_line_parse(struct json_line *l, struct str text, struct err *e)
{
    struct json_scan s = {.begin = text.p, .at = text.p, .end = text.p + text.len, .e = e};
    ptrdiff_t bad = utf8_check(text);
    char c;

    l->n = 0;
    if (bad >= 0) {
        return refuse(&s, s.begin + bad, "this is not UTF-8, as JSON has to be");
    }
    c = peek(&s);
    if (c != '{') {
        return refuse(&s, s.at,
                      c == '[' ? "an array, and each line of JSON Lines is one object: {...}"
                               : "no object, and each line of JSON Lines is one: {...}");
    }
    s.at++;
    if (peek(&s) == '}') {
        s.at++;
    } else if (scan_fields(l, &s) < 0) {
        return -1;
    }
    return peek(&s) == '\0' && s.at == s.end ? 0 : refuse(&s, s.at, "more follows the object");
}
