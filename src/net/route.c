#include "net/route.h"

#include "base/mem.h"
#include "base/vec.h"

#include <string.h>

enum { PATTERN_SEGMENTS_MAX = 16 };

enum segment_kind { SEGMENT_LITERAL, SEGMENT_ONE, SEGMENT_MANY };

struct segment {
    enum segment_kind kind;
    struct str text; /* the literal, or the parameter's name */
};

struct compiled {
    const struct http_mount *mount;
    const struct route *route;
    struct segment segments[PATTERN_SEGMENTS_MAX];
    size_t n;
    size_t many;       /* position of {x...}, or n */
    struct str prefix; /* the pattern up to the first "{": compared in one go */
    size_t literal_bytes;
};

struct route_table {
    VEC(struct compiled) rows; /* most literal text first */
};

static struct segment segment_of(struct str text)
{
    if (text.len >= 2 && text.p[0] == '{' && text.p[text.len - 1] == '}') {
        struct str name = str_n(text.p + 1, text.len - 2);

        if (str_ends(name, STR("..."))) {
            return (struct segment){SEGMENT_MANY, str_first(name, name.len - 3)};
        }
        return (struct segment){SEGMENT_ONE, name};
    }
    return (struct segment){SEGMENT_LITERAL, text};
}

static int compile(const struct http_mount *m, const struct route *r, struct compiled *out,
                   struct err *e)
{
    struct compiled c = {.mount = m, .route = r, .many = SIZE_MAX};
    struct str pattern = str_of(r->pattern), rest = str_from(pattern, 1);
    ptrdiff_t brace = str_find_char(pattern, '{');
    size_t params = 0;

    while (pattern.len > 0 && rest.p && c.n < PATTERN_SEGMENTS_MAX) {
        struct segment s = segment_of(str_cut(&rest, '/'));

        if (s.kind == SEGMENT_MANY) {
            params += c.many != SIZE_MAX ? ROUTE_PARAMS_MAX : 0; /* two of them: refused below */
            c.many = c.n;
        }
        params += s.kind != SEGMENT_LITERAL;
        c.literal_bytes += s.kind == SEGMENT_LITERAL ? s.text.len + 1 : 0;
        c.segments[c.n++] = s;
    }
    if (c.n == 0 || rest.p || pattern.p[0] != '/' || params > ROUTE_PARAMS_MAX) {
        return err_set(e, ERR_INTERNAL, "route pattern \"%s\" is malformed", r->pattern);
    }
    c.many = c.many == SIZE_MAX ? c.n : c.many;
    c.prefix = brace < 0 ? pattern : str_first(pattern, (size_t)brace);
    *out = c;
    return 0;
}

/* More literal text first, then fixed shapes before {x...}, then HEAD before the GET that would
 * answer it too; the order of the tables breaks ties. */
static bool goes_before(const struct compiled *a, const struct compiled *b)
{
    if (a->literal_bytes != b->literal_bytes) {
        return a->literal_bytes > b->literal_bytes;
    }
    if ((a->many == a->n) != (b->many == b->n)) {
        return a->many == a->n;
    }
    return a->route->method == HTTP_HEAD && b->route->method != HTTP_HEAD;
}

static void insert(struct route_table *t, const struct compiled *c)
{
    size_t at = t->rows.len;

    (void)vec_push(&t->rows);
    while (at > 0 && goes_before(c, &t->rows.p[at - 1])) {
        t->rows.p[at] = t->rows.p[at - 1];
        at--;
    }
    t->rows.p[at] = *c;
}

struct route_table *route_table_new(const struct http_mount *mounts, size_t n, struct err *e)
{
    SCOPED(route_table_freep) struct route_table *t = xnew(struct route_table);

    for (size_t i = 0; i < n; i++) {
        for (const struct route *r = mounts[i].routes; r->pattern; r++) {
            struct compiled c;

            if (compile(&mounts[i], r, &c, e) < 0) {
                return NULL;
            }
            insert(t, &c);
        }
    }
    return TAKE(t);
}

void route_table_free(struct route_table *t)
{
    if (t) {
        vec_done(&t->rows);
        free(t);
    }
}

/* --- matching --- */

/* Empty and dotted segments fit a parameter only where the handler looks itself. */
static bool may_hold(const struct compiled *c, struct str value)
{
    return value.len > 0 || (c->route->flags & ROUTE_RAW_PATH);
}

static bool segment_fits(const struct compiled *c, const struct segment *s, struct str value)
{
    return s->kind == SEGMENT_LITERAL ? str_eq(s->text, value) : may_hold(c, value);
}

/* {x...} swallows what the segments before and after it leave, so the last fit wins. */
static bool fits(const struct compiled *c, const struct url *u)
{
    size_t tail = c->many < c->n ? c->n - c->many - 1 : 0;

    if (!str_starts(u->path, c->prefix) ||
        (c->many == c->n ? u->n_segments != c->n : u->n_segments < c->n)) {
        return false;
    }
    for (size_t i = 0; i < c->many; i++) {
        if (!segment_fits(c, &c->segments[i], u->segments[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < tail; i++) {
        if (!segment_fits(c, &c->segments[c->n - 1 - i], u->segments[u->n_segments - 1 - i])) {
            return false;
        }
    }
    return c->many == c->n || u->n_segments > c->n || may_hold(c, u->segments[c->many]);
}

static void take_params(const struct compiled *c, const struct url *u, struct route_match *out)
{
    size_t extra = u->n_segments - c->n; /* what {x...} holds beyond one segment */

    for (size_t i = 0; i < c->n; i++) {
        const struct segment *s = &c->segments[i];
        size_t first = i > c->many ? i + extra : i;
        size_t last = i >= c->many && c->many < c->n ? i + extra : i;
        const char *begin = u->segments[first].p;

        if (s->kind != SEGMENT_LITERAL) {
            struct str end = u->segments[last];

            out->params[out->n_params++] =
                (struct http_param){s->text, str_n(begin, (size_t)(end.p + end.len - begin))};
        }
    }
}

/* How many segments from the start are the same words. */
static size_t same_words(const struct compiled *c, const struct url *u)
{
    size_t n = 0;

    while (n < c->n && n < u->n_segments && c->segments[n].kind == SEGMENT_LITERAL &&
           c->segments[n].text.len > 0 && str_eq(c->segments[n].text, u->segments[n])) {
        n++;
    }
    return n;
}

/* For the error format of paths that no route fits: the table that serves the nearest ones. */
static const struct http_mount *neighbour(const struct route_table *t, const struct url *u)
{
    const struct http_mount *found = NULL;
    size_t most = 0;

    for (size_t i = 0; i < t->rows.len; i++) {
        size_t n = same_words(&t->rows.p[i], u);

        if (n > most) {
            most = n;
            found = t->rows.p[i].mount;
        }
    }
    return found;
}

unsigned route_allowed(const struct route_table *t, const struct url *u)
{
    unsigned allowed = 0;

    for (size_t i = 0; i < t->rows.len; i++) {
        allowed |= fits(&t->rows.p[i], u) ? 1U << t->rows.p[i].route->method : 0;
    }
    return allowed;
}

void route_find(const struct route_table *t, enum http_method method, const struct url *u,
                struct route_match *out)
{
    enum http_method same = method == HTTP_HEAD ? HTTP_GET : method;

    out->mount = NULL;
    out->route = NULL;
    out->allowed = 0;
    out->n_params = 0;
    for (size_t i = 0; i < t->rows.len; i++) {
        const struct compiled *c = &t->rows.p[i];

        if (!fits(c, u)) {
            continue;
        }
        out->allowed |= 1U << c->route->method;
        out->mount = out->mount ? out->mount : c->mount;
        if (c->route->method == method || c->route->method == same) {
            out->mount = c->mount;
            out->route = c->route;
            take_params(c, u, out);
            return;
        }
    }
    if (out->allowed == 0) {
        out->mount = neighbour(t, u);
    }
}
