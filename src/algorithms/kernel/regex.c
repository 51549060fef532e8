#include "algorithms/kernel/regex_priv.h"

#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    REGEX_OPS = 4096,
    REGEX_RANGES = 4096,
    REGEX_DEPTH = 32,
    REGEX_WAYS = 256,
    REGEX_ATOMS = 65536, /* read, those that are repeated again and again */
    REGEX_TIMES = 255
};

struct parser {
    struct regex *r;
    struct str s;
    size_t at;
    int depth, atoms;
};

void regex_free(struct regex *r)
{
    if (r) {
        free(r->ins);
        free(r->ranges);
        free(r->now);
        free(r->next);
        free(r->stack);
        free(r->seen);
        free(r);
    }
}

/* --- pattern to instructions; jumps are relative, so that they can be moved ---------------------
 */

static int fail(const struct parser *p, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "the pattern at character %zu: %s", p->at + 1, what);
}

static int emit(struct parser *p, enum regex_op op, int a, int b, struct err *e)
{
    if (p->r->n == REGEX_OPS) {
        return fail(p, "it is too long", e);
    }
    p->r->ins[p->r->n++] = (struct regex_ins){op, a, b};
    return 0;
}

static int insert(struct parser *p, int at, struct regex_ins ins, struct err *e)
{
    if (emit(p, OP_SPLIT, 1, 1, e) < 0) {
        return -1;
    }
    memmove(&p->r->ins[at + 1], &p->r->ins[at], (size_t)(p->r->n - 1 - at) * sizeof(ins));
    p->r->ins[at] = ins;
    return 0;
}

static int add_range(struct parser *p, uint32_t first, uint32_t last, struct err *e)
{
    if (p->r->n_ranges == REGEX_RANGES) {
        return fail(p, "it is too long", e);
    }
    p->r->ranges[p->r->n_ranges++] = (struct regex_range){first, last};
    return 0;
}

static bool more(const struct parser *p)
{
    return p->at < p->s.len;
}

static bool is(const struct parser *p, char c)
{
    return more(p) && p->s.p[p->at] == c;
}

static uint32_t take(struct parser *p)
{
    uint32_t c = 0;

    p->at += utf8_next(str_from(p->s, p->at), &c);
    return c;
}

/* Behind a backslash: a class (its ranges are added, true) or one character. */
static int escape(struct parser *p, bool *class, bool *negated, uint32_t *c, struct err *e)
{
    static const struct regex_range digits[] = {{'0', '9'}}, spaces[] = {{'\t', '\r'}, {' ', ' '}};
    static const struct regex_range words[] = {
        {'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {0xaa, 0x10ffff}};
    const struct regex_range *ranges = NULL;
    size_t n = 0;

    if (!more(p)) {
        return fail(p, "a backslash ends it", e);
    }
    *c = take(p);
    *class = *c < 128 && strchr("dDwWsS", (int)*c) && *c;
    *negated = *class && *c < 'a';
    switch (*c | 32) {
    case 'd':
        ranges = digits;
        n = ARRAY_LEN(digits);
        break;
    case 'w':
        ranges = words;
        n = ARRAY_LEN(words);
        break;
    case 's':
        ranges = spaces;
        n = ARRAY_LEN(spaces);
        break;
    default:
        break;
    }
    for (size_t i = 0; *class && i < n; i++) {
        if (add_range(p, ranges[i].first, ranges[i].last, e) < 0) {
            return -1;
        }
    }
    if (!*class && ((*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z'))) {
        *c = *c == 'n' ? '\n' : *c == 't' ? '\t' : *c == 'r' ? '\r' : 0;
        return *c ? 0 : fail(p, "this letter means nothing behind a backslash", e);
    }
    return 0;
}

/* One member of [...]: a character, a range or a class. */
static int member(struct parser *p, struct err *e)
{
    uint32_t first = take(p), last;
    bool class = false, negated = false;

    if (first == '\\' && escape(p, &class, &negated, &first, e) < 0) {
        return -1;
    }
    if (class) {
        return negated ? fail(p, "write [^...] around the small letter", e) : 0;
    }
    last = first;
    if (is(p, '-') && p->at + 1 < p->s.len && p->s.p[p->at + 1] != ']') {
        p->at++;
        last = take(p);
        if (last == '\\' && escape(p, &class, &negated, &last, e) < 0) {
            return -1;
        }
        if (class || last < first) {
            return fail(p, "a range goes from a smaller character to a larger one", e);
        }
    }
    return add_range(p, first, last, e);
}

static int set(struct parser *p, struct err *e)
{
    int from = p->r->n_ranges;
    bool negated = is(p, '^');

    p->at += negated;
    do { /* a ] that comes first is one of them */
        if (!more(p)) {
            return fail(p, "[ is never closed", e);
        }
        if (member(p, e) < 0) {
            return -1;
        }
    } while (!is(p, ']'));
    p->at++;
    return emit(p, negated ? OP_NOT_SET : OP_SET, from, p->r->n_ranges, e);
}

static int ways(struct parser *p, struct err *e);

static int atom(struct parser *p, struct err *e)
{
    uint32_t c = take(p);
    int from = p->r->n_ranges;
    bool class = false, negated = false;

    if (++p->atoms > REGEX_ATOMS) {
        return fail(p, "it repeats too much", e);
    }
    if (c == '(') {
        if (++p->depth > REGEX_DEPTH) {
            return fail(p, "too many parentheses within each other", e);
        }
        if (emit(p, OP_SPLIT, 1, 1, e) < 0 || ways(p, e) < 0) {
            return -1;
        }
        p->depth--;
        return is(p, ')') ? (p->at++, 0) : fail(p, "( is never closed", e);
    }
    if (c < 128 && c && strchr("*+?{", (int)c)) {
        return fail(p, "there is nothing to repeat; put a backslash before the sign", e);
    }
    if (c == '[') {
        return set(p, e);
    }
    if (c == '.' || c == '^' || c == '$') {
        return emit(p, c == '.' ? OP_ANY : c == '^' ? OP_START : OP_END, 0, 0, e);
    }
    if (c == '\\' && escape(p, &class, &negated, &c, e) < 0) {
        return -1;
    }
    if (!class && add_range(p, c, c, e) < 0) {
        return -1;
    }
    return emit(p, negated ? OP_NOT_SET : OP_SET, from, p->r->n_ranges, e);
}

static int times(struct parser *p, int *out, struct err *e)
{
    *out = 0;
    if (!more(p) || p->s.p[p->at] < '0' || p->s.p[p->at] > '9') {
        return fail(p, "a number is expected: {2}, {2,} or {2,5}", e);
    }
    while (more(p) && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9') {
        *out = *out * 10 + (p->s.p[p->at++] - '0');
        if (*out > REGEX_TIMES) {
            return fail(p, "at most 255 times", e);
        }
    }
    return 0;
}

/* The instructions from `from` on as often as the sign says. */
static int repeat(struct parser *p, int from, char sign, struct err *e)
{
    int len = p->r->n - from;

    if (sign == '+') {
        return emit(p, OP_SPLIT, -len, 1, e);
    }
    if (insert(p, from, (struct regex_ins){OP_SPLIT, 1, len + (sign == '*' ? 2 : 1)}, e) < 0) {
        return -1;
    }
    return sign == '*' ? emit(p, OP_SPLIT, -len - 1, -len - 1, e) : 0;
}

/* {2,5}: the atom is read again for every time. */
static int repeat_times(struct parser *p, int from, size_t start, struct err *e)
{
    int least = 0, most = 0;
    size_t end;

    p->at++;
    if (times(p, &least, e) < 0) {
        return -1;
    }
    most = least;
    if (is(p, ',')) {
        p->at++;
        most = -1;
        if (!is(p, '}') && times(p, &most, e) < 0) {
            return -1;
        }
    }
    if (!is(p, '}') || (most >= 0 && most < least)) {
        return fail(p, "write {2}, {2,} or {2,5}", e);
    }
    end = p->at + 1;
    p->r->n = from;
    if (emit(p, OP_SPLIT, 1, 1, e) < 0) { /* for {0} */
        return -1;
    }
    for (int i = 0; i < least || i < most || (most < 0 && i == least); i++) {
        int again = p->r->n;

        p->at = start;
        if (atom(p, e) < 0 || (i >= least && repeat(p, again, most < 0 ? '*' : '?', e) < 0)) {
            return -1;
        }
    }
    p->at = end;
    return 0;
}

static int sequence(struct parser *p, struct err *e)
{
    while (more(p) && !is(p, '|') && !is(p, ')')) {
        int from = p->r->n;
        size_t start = p->at;

        if (atom(p, e) < 0) {
            return -1;
        }
        if (is(p, '{')) {
            if (repeat_times(p, from, start, e) < 0) {
                return -1;
            }
        } else if (is(p, '*') || is(p, '+') || is(p, '?')) {
            if (repeat(p, from, p->s.p[p->at++], e) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int ways(struct parser *p, struct err *e)
{
    int ends[REGEX_WAYS], n = 0, from = p->r->n;

    while (sequence(p, e) == 0) {
        if (!is(p, '|')) {
            for (int i = 0; i < n; i++) {
                p->r->ins[ends[i]].a = p->r->ins[ends[i]].b = p->r->n - ends[i];
            }
            return 0;
        }
        p->at++;
        if (n == REGEX_WAYS) {
            return fail(p, "at most 256 ways", e);
        }
        if (insert(p, from, (struct regex_ins){OP_SPLIT, 1, p->r->n - from + 2}, e) < 0) {
            return -1;
        }
        ends[n++] = p->r->n;
        if (emit(p, OP_SPLIT, 1, 1, e) < 0) {
            return -1;
        }
        from = p->r->n;
    }
    return -1;
}

struct regex *regex_new(struct str pattern, struct err *e)
{
    SCOPED(regex_freep) struct regex *r = xnew(struct regex);
    struct parser p = {.r = r, .s = pattern};

    r->ins = xnew_array(struct regex_ins, REGEX_OPS);
    r->ranges = xnew_array(struct regex_range, REGEX_RANGES);
    if (ways(&p, e) < 0) {
        return NULL;
    }
    if (more(&p)) {
        (void)fail(&p, "this ) closes nothing", e);
        return NULL;
    }
    if (emit(&p, OP_FOUND, 0, 0, e) < 0) {
        return NULL;
    }
    r->now = xnew_array(int, (size_t)r->n);
    r->next = xnew_array(int, (size_t)r->n);
    r->stack = xnew_array(int, (size_t)r->n * 2 + 2);
    r->seen = xnew_array(uint64_t, (size_t)r->n);
    return TAKE(r);
}
