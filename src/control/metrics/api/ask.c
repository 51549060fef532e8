#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "promql/promql.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_EVERY_MS = 50 };

/* --- parameters --- */

static bool is_form(struct http_req *req)
{
    struct str type = http_header(req, "Content-Type");

    return req->method == HTTP_POST &&
           str_eq_nocase(str_trim(str_cut(&type, ';')), STR("application/x-www-form-urlencoded"));
}

int ask_init(struct ask *a, struct http_req *req, struct err *e)
{
    *a = (struct ask){.m = req->ctx, .req = req};
    return is_form(req) ? http_body_form(req, &a->form, &a->n_form, e) : 0;
}

void ask_done(struct ask *a)
{
    arena_done(&a->arena);
}

struct str ask_str(const struct ask *a, const char *name)
{
    for (size_t i = 0; i < a->n_form; i++) {
        if (str_eq_c(a->form[i].name, name)) {
            return a->form[i].value;
        }
    }
    return http_query(a->req, name);
}

static bool holds(const struct http_param *p, size_t n, const char *name, struct str value,
                  bool *is_there)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(p[i].name, name)) {
            *is_there = true;
            if (str_eq(p[i].value, value)) {
                return true;
            }
        }
    }
    return false;
}

bool ask_takes(const struct ask *a, const char *name, struct str value)
{
    bool is_there = false;

    return holds(a->form, a->n_form, name, value, &is_there) ||
           holds(a->req->query, a->req->n_query, name, value, &is_there) || !is_there;
}

/* --- times --- */

static int parse_number(struct str text, double *out)
{
    char copy[64], *end;

    if (text.len == 0 || str_copy(text, copy, sizeof(copy)) < 0 ||
        strspn(copy, "+-.0123456789eE") != text.len) {
        return -1;
    }
    *out = strtod(copy, &end);
    return *end == '\0' && end != copy && isfinite(*out) ? 0 : -1;
}

static int64_t clamp_ms(double ms)
{
    return ms < (double)TIME_MIN ? TIME_MIN : ms > (double)TIME_MAX ? TIME_MAX : (int64_t)ms;
}

static int take_digits(struct str *rest, size_t n, int *out)
{
    uint64_t v;

    if (rest->len < n || str_to_u64(str_first(*rest, n), &v) < 0) {
        return -1;
    }
    *out = (int)v;
    *rest = str_from(*rest, n);
    return 0;
}

static int take_char(struct str *rest, const char *of)
{
    int c = rest->len > 0 && strchr(of, rest->p[0]) != NULL ? rest->p[0] : -1;

    *rest = str_from(*rest, c > 0 ? 1 : 0);
    return c;
}

/* "+08:00", "Z" */
static int take_zone(struct str *rest, int *sec)
{
    int sign = take_char(rest, "+-Zz"), hours = 0, minutes = 0;

    if (sign == 'Z' || sign == 'z') {
        *sec = 0;
        return 0;
    }
    if (sign < 0 || take_digits(rest, 2, &hours) < 0 || take_char(rest, ":") < 0 ||
        take_digits(rest, 2, &minutes) < 0 || hours > 23 || minutes > 59) {
        return -1;
    }
    *sec = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return 0;
}

/* Digits of a second behind the point, as milliseconds. */
static int take_fraction(struct str *rest, int *ms)
{
    int scale = 100;
    size_t n = 0;

    *ms = 0;
    if (take_char(rest, ".,") < 0) {
        return 0;
    }
    while (n < rest->len && rest->p[n] >= '0' && rest->p[n] <= '9') {
        *ms += (rest->p[n++] - '0') * scale;
        scale /= 10;
    }
    *rest = str_from(*rest, n);
    return n > 0 ? 0 : -1;
}

/* RFC 3339 with any zone. */
static int parse_rfc3339(struct str text, int64_t *out)
{
    struct str rest = text;
    struct tm t = {0};
    int ms, zone;

    if (take_digits(&rest, 4, &t.tm_year) < 0 || take_char(&rest, "-") < 0 ||
        take_digits(&rest, 2, &t.tm_mon) < 0 || take_char(&rest, "-") < 0 ||
        take_digits(&rest, 2, &t.tm_mday) < 0 || take_char(&rest, "Tt") < 0 ||
        take_digits(&rest, 2, &t.tm_hour) < 0 || take_char(&rest, ":") < 0 ||
        take_digits(&rest, 2, &t.tm_min) < 0 || take_char(&rest, ":") < 0 ||
        take_digits(&rest, 2, &t.tm_sec) < 0 || take_fraction(&rest, &ms) < 0 ||
        take_zone(&rest, &zone) < 0 || rest.len > 0 || t.tm_mon < 1 || t.tm_mon > 12 ||
        t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60) {
        return -1;
    }
    t.tm_year -= 1900;
    t.tm_mon--;
    *out = ((int64_t)timegm(&t) - zone) * 1000 + ms;
    return 0;
}

int parse_time(struct str text, int64_t *ms)
{
    double sec, whole, rest;

    /* What Go writes for its earliest and latest time, and promtool sends. */
    if (str_eq_c(text, "-292273086-05-16T16:47:06Z")) {
        *ms = TIME_MIN;
        return 0;
    }
    if (str_eq_c(text, "292277025-08-18T07:12:54.999999999Z")) {
        *ms = TIME_MAX;
        return 0;
    }
    if (parse_number(text, &sec) < 0) {
        return parse_rfc3339(text, ms);
    }
    rest = modf(sec, &whole);
    *ms = clamp_ms(whole * 1000 + round(rest * 1000));
    return 0;
}

/* "1h30m": each unit once, the larger first. */
static int parse_units(struct str text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"y", 31536000000}, {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
                 {"m", 60000},       {"s", 1000},      {"ms", 1}};
    struct str rest = text;
    size_t next = 0;
    int64_t sum = 0;

    while (rest.len > 0) {
        size_t n = 0, letters = 0, unit = next;
        uint64_t v;

        while (n < rest.len && rest.p[n] >= '0' && rest.p[n] <= '9') {
            n++;
        }
        while (n + letters < rest.len && rest.p[n + letters] >= 'a' && rest.p[n + letters] <= 'z') {
            letters++;
        }
        while (unit < ARRAY_LEN(units) && !str_eq_c(str_n(rest.p + n, letters), units[unit].name)) {
            unit++;
        }
        if (n == 0 || unit == ARRAY_LEN(units) || str_to_u64(str_first(rest, n), &v) < 0 ||
            v > (uint64_t)(TIME_MAX / units[unit].ms) ||
            (sum += (int64_t)v * units[unit].ms) > TIME_MAX) {
            return -1;
        }
        rest = str_from(rest, n + letters);
        next = unit + 1;
    }
    *out = sum;
    return text.len > 0 ? 0 : -1;
}

int parse_duration(struct str text, int64_t *ms)
{
    double sec;

    if (parse_number(text, &sec) < 0) {
        return parse_units(text, ms);
    }
    *ms = clamp_ms(sec * 1000);
    return 0;
}

static int cannot_parse(const char *name, struct str text, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid %s",
                   name, STR_ARG(str_first(text, 100)), what);
}

int ask_time(const struct ask *a, const char *name, int64_t *ms, struct err *e)
{
    struct str text = ask_str(a, name);

    return text.len == 0 || parse_time(text, ms) == 0 ? 0
                                                      : cannot_parse(name, text, "timestamp", e);
}

int ask_duration(const struct ask *a, const char *name, int64_t *ms, struct err *e)
{
    struct str text = ask_str(a, name);

    return text.len == 0 || parse_duration(text, ms) == 0 ? 0
                                                          : cannot_parse(name, text, "duration", e);
}

int ask_limit(const struct ask *a, const char *name, size_t *out, struct err *e)
{
    struct str text = ask_str(a, name);
    uint64_t v = 0;

    if (text.len > 0 && str_to_u64(text, &v) < 0) {
        return err_set(e, ERR_INVALID,
                       "invalid parameter \"%s\": \"%.*s\" is no whole number from 0", name,
                       STR_ARG(str_first(text, 40)));
    }
    *out = v > SIZE_MAX ? SIZE_MAX : (size_t)v;
    return 0;
}

/* --- names --- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "_2e_" behind the first '_': the code point, and how long it was; 0: none. */
static size_t escaped(struct str s, uint32_t *code)
{
    size_t n = 1;

    *code = 0;
    while (n < s.len && n < 8 && hex_of(s.p[n]) >= 0) {
        *code = *code * 16 + (uint32_t)hex_of(s.p[n++]);
    }
    return n > 1 && n < s.len && s.p[n] == '_' && *code > 0 && *code <= 0x10ffff &&
                   !(*code >= 0xd800 && *code < 0xe000)
               ? n + 1
               : 0;
}

static size_t put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (char)(0xc0 | c >> 6);
        p[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (char)(0xe0 | c >> 12);
        p[1] = (char)(0x80 | (c >> 6 & 0x3f));
        p[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (char)(0xf0 | c >> 18);
    p[1] = (char)(0x80 | (c >> 12 & 0x3f));
    p[2] = (char)(0x80 | (c >> 6 & 0x3f));
    p[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

struct str unescape_name(struct arena *a, struct str name)
{
    struct str rest = str_from(name, 3);
    char *out;
    size_t n = 0;

    if (!str_starts(name, STR("U__"))) {
        return name;
    }
    out = arena_alloc(a, name.len); /* "_2e_" is longer than what it stands for */
    while (rest.len > 0) {
        uint32_t code;
        size_t len;

        if (rest.p[0] != '_') {
            out[n++] = rest.p[0];
            rest = str_from(rest, 1);
        } else if (rest.len > 1 && rest.p[1] == '_') {
            out[n++] = '_';
            rest = str_from(rest, 2);
        } else if ((len = escaped(rest, &code)) > 0) {
            n += put_utf8(out + n, code);
            rest = str_from(rest, len);
        } else {
            return name;
        }
    }
    return str_n(out, n);
}

/* --- what he may see --- */

/* "a|b\.c": names of projects are [a-z0-9._-]. */
static int any_project(struct ask *a, struct sight *s, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(LIMIT_REGEX_BYTES);

    for (size_t i = 0; i < s->n_projects; i++) {
        (void)buf_add(&b, i > 0 ? STR("|") : STR_EMPTY);
        for (size_t k = 0; k < s->projects[i].len; k++) {
            (void)buf_add(&b,
                          s->projects[i].p[k] == '.' ? STR("\\.") : str_n(s->projects[i].p + k, 1));
        }
    }
    if (b.failed) {
        return err_set(e, ERR_INVALID,
                       "you are in %zu projects, more than one query can choose among; use a token "
                       "or robot of fewer",
                       s->n_projects);
    }
    s->n = 1;
    return label_matcher_init(&s->m[0], &a->arena, STR("project"), LABEL_LIKE,
                              arena_str(&a->arena, buf_str(&b)), e);
}

int ask_sight(struct ask *a, struct sight *out, struct err *e)
{
    const struct metrics_hooks *h = &a->m->hooks;
    int all;

    *out = (struct sight){0};
    all = h->projects(h->ctx, &a->req->who, &a->arena, &out->projects, &out->n_projects, e);
    out->all = all > 0;
    if (all != 0) {
        return all > 0 ? 0 : -1;
    }
    if (out->n_projects == 0) { /* in no project: two that no series fits */
        out->n = 2;
        return label_matcher_init(&out->m[0], &a->arena, STR("project"), LABEL_IS, STR_EMPTY, e) <
                           0 ||
                       label_matcher_init(&out->m[1], &a->arena, STR("project"), LABEL_IS_NOT,
                                          STR_EMPTY, e) < 0
                   ? -1
                   : 0;
    }
    if (out->n_projects == 1) {
        out->n = 1;
        return label_matcher_init(&out->m[0], &a->arena, STR("project"), LABEL_IS, out->projects[0],
                                  e);
    }
    return any_project(a, out, e);
}

bool sight_takes(const struct sight *s, struct labels labels)
{
    struct str project = labels_get(labels, STR("project"));

    for (size_t i = 0; !s->all && i < s->n_projects; i++) {
        if (str_eq(s->projects[i], project)) {
            return true;
        }
    }
    return s->all;
}

/* --- match[] --- */

static int is_empty_matcher(const struct label_matcher *m, struct err *e)
{
    return label_matcher_match(m, STR_EMPTY, e);
}

static int add_selector(struct ask *a, const struct sight *s, struct str text,
                        struct selectors *out, struct err *e)
{
    struct promql_node *n = promql_parse_selector(&a->arena, text, e);
    int empty = 1;

    if (n == NULL) {
        return err_wrap(e, "invalid parameter \"match[]\"");
    }
    for (size_t i = 0; i < n->n_matchers && empty == 1; i++) {
        empty = is_empty_matcher(&n->matchers[i], e);
    }
    if (empty != 0) {
        return empty < 0
                   ? -1
                   : err_set(e, ERR_INVALID, "match[] must contain at least one non-empty matcher");
    }
    if (!s->all) {
        promql_restrict(n, &a->arena, s->m, s->n);
    }
    out->p[out->len++] = (struct selector){n->matchers, n->n_matchers};
    return 0;
}

static int add_selectors(struct ask *a, const struct http_param *p, size_t n, const struct sight *s,
                         struct selectors *out, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(p[i].name, "match[]") &&
            (out->len >= LIMIT_MATCHES
                 ? err_set(e, ERR_INVALID, "more than %d match[]", LIMIT_MATCHES)
                 : add_selector(a, s, p[i].value, out, e)) < 0) {
            return -1;
        }
    }
    return 0;
}

int ask_selectors(struct ask *a, const struct sight *s, struct selectors *out, struct err *e)
{
    *out = (struct selectors){arena_new_array(&a->arena, struct selector, LIMIT_MATCHES), 0};
    return add_selectors(a, a->form, a->n_form, s, out, e) < 0
               ? -1
               : add_selectors(a, a->req->query, a->req->n_query, s, out, e);
}

/* --- patience --- */

int ask_patience(const struct ask *a, struct patience *out, struct err *e)
{
    int64_t ms = a->m->timeout_ms;

    if (ask_duration(a, "timeout", &ms, e) < 0) {
        return -1;
    }
    if (ms <= 0 || ms > a->m->timeout_ms) {
        ms = a->m->timeout_ms;
    }
    *out = (struct patience){.req = a->req, .deadline_ms = clock_mono_ms() + ms};
    return 0;
}

bool patience_is_over(void *patience)
{
    struct patience *p = patience;
    int64_t now = clock_mono_ms();

    if (p->why == PATIENT && now >= p->deadline_ms) {
        p->why = TIME_IS_OVER;
    }
    if (p->why == PATIENT && now >= p->look_ms) {
        p->look_ms = now + LOOK_EVERY_MS;
        p->why = http_client_is_gone(p->req) ? CLIENT_IS_GONE : PATIENT;
    }
    return p->why != PATIENT;
}
