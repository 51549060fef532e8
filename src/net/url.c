#include "net/url.h"

#include "net/parse.h"

#include <string.h>

enum decode_plus { PLUS_IS_PLUS, PLUS_IS_SPACE };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `s` to `out` (never longer); the length, or -1: a bad escape or %00. */
static ssize_t percent_decode(struct str s, enum decode_plus plus, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c == '+' && plus == PLUS_IS_SPACE) {
            c = ' ';
        } else if (c == '%') {
            int hi = s.len - i > 2 ? hex_digit(s.p[i + 1]) : -1;
            int lo = s.len - i > 2 ? hex_digit(s.p[i + 2]) : -1;

            if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
                return -1;
            }
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        out[n++] = c;
    }
    return (ssize_t)n;
}

static int bad_escape(struct str where, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "\"%.*s\" holds a bad percent-escape (%%XX with two hex digits; never %%00)",
                   STR_ARG(str_first(where, 200)));
}

/* --- the path --- */

static unsigned flags_of(struct str segment, size_t i, size_t n)
{
    unsigned flags = 0;

    if (segment.len == 0) {
        flags |= i + 1 == n ? URL_ENDS_IN_SLASH : URL_HAS_EMPTY;
    }
    if (str_eq(segment, STR(".")) || str_eq(segment, STR(".."))) {
        flags |= URL_HAS_DOTS;
    }
    if (memchr(segment.p, '/', segment.len)) {
        flags |= URL_HAS_SLASH;
    }
    return flags;
}

static size_t count_char(struct str s, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        n += s.p[i] == c;
    }
    return n;
}

static int split_path(struct arena *a, struct str raw, struct url *u, struct err *e)
{
    bool escaped = memchr(raw.p, '%', raw.len) != NULL;
    char *copy = escaped ? arena_alloc(a, raw.len + 1) : NULL;
    size_t n = count_char(raw, '/'), len = 0;
    struct str rest = str_from(raw, 1);

    if (n > URL_SEGMENTS_MAX) {
        return err_set(e, ERR_INVALID, "the path has more than %d segments", URL_SEGMENTS_MAX);
    }
    u->segments = arena_new_array(a, struct str, n);
    while (rest.p) {
        struct str segment = str_cut(&rest, '/');

        if (escaped) {
            ssize_t got = percent_decode(segment, PLUS_IS_PLUS, copy + len + 1);

            if (got < 0) {
                return bad_escape(segment, e);
            }
            copy[len] = '/';
            segment = str_n(copy + len + 1, (size_t)got);
            len += (size_t)got + 1;
        }
        u->flags |= flags_of(segment, u->n_segments, n);
        u->segments[u->n_segments++] = segment;
    }
    u->path = escaped ? str_n(copy, len) : raw;
    return 0;
}

static int strip_authority(struct str *target, struct url *u, struct err *e)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_eq_nocase(str_first(*target, schemes[i].len), schemes[i])) {
            size_t n = 0;

            *target = str_from(*target, schemes[i].len);
            while (n < target->len && target->p[n] != '/' && target->p[n] != '?') {
                n++;
            }
            u->authority = str_first(*target, n);
            *target = str_from(*target, n);
            return http_host_valid(u->authority)
                       ? 0
                       : err_set(e, ERR_INVALID, "the host in the request target is not valid");
        }
    }
    return err_set(e, ERR_INVALID, "the request target is neither a path nor an http URL");
}

int url_parse(struct arena *a, struct str target, struct url *out, struct err *e)
{
    struct url u = {.authority = STR_EMPTY, .query = STR_EMPTY};
    ptrdiff_t mark;

    if (str_eq(target, STR("*"))) {
        u.path = target;
        *out = u;
        return 0;
    }
    if (target.len == 0 || target.p[0] != '/') {
        if (strip_authority(&target, &u, e) < 0) {
            return -1;
        }
    }
    mark = str_find_char(target, '?');
    if (mark >= 0) {
        u.query = str_from(target, (size_t)mark + 1);
        target = str_first(target, (size_t)mark);
    }
    if (split_path(a, target.len > 0 ? target : STR("/"), &u, e) < 0) {
        return -1;
    }
    *out = u;
    return 0;
}

/* --- queries and forms --- */

static int decode_field(struct arena *a, struct str raw, struct str *out, struct err *e)
{
    char *copy;
    ssize_t n;

    if (memchr(raw.p, '%', raw.len) == NULL && memchr(raw.p, '+', raw.len) == NULL) {
        *out = raw;
        return 0;
    }
    copy = arena_alloc(a, raw.len + 1);
    n = percent_decode(raw, PLUS_IS_SPACE, copy);
    if (n < 0) {
        return bad_escape(raw, e);
    }
    *out = str_n(copy, (size_t)n);
    return 0;
}

int url_parse_form(struct arena *a, struct str text, const struct http_param **out, size_t *n,
                   struct err *e)
{
    size_t max = text.len > 0 ? count_char(text, '&') + 1 : 0, found = 0;
    struct http_param *params;
    struct str rest = text;

    if (max > URL_PARAMS_MAX) {
        return err_set(e, ERR_INVALID, "there are more than %d parameters", URL_PARAMS_MAX);
    }
    params = arena_new_array(a, struct http_param, max);
    while (rest.p && max > 0) {
        struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');

        if (name.len == 0 && value.p == NULL) {
            continue; /* "a=1&&b=2" */
        }
        if (decode_field(a, name, &params[found].name, e) < 0 ||
            decode_field(a, value.p ? value : STR_EMPTY, &params[found].value, e) < 0) {
            return -1;
        }
        found++;
    }
    *out = params;
    *n = found;
    return 0;
}
