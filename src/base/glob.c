#include "base/glob.h"

#include <string.h>

/* States are numbered as they are made; what a state leads to is filled in when that is known.
 *
 *   a*{b,c}    0 BYTE a -> 1    1 FORK 2|3    2 NOT_SLASH -> 1    3 FORK 4|5    4 BYTE b -> 6    5
 * BYTE c -> 6    6 END
 */
enum what { BYTE, NOT_SLASH, ANY, CLASS, NOT_CLASS, FORK, JUMP, END };

enum { NOWHERE = 0xFFFF };

struct group {
    unsigned short fork; /* of the alternative that is being read */
    unsigned short ends; /* last JUMP of those read, chained through `to` */
};

struct compiler {
    struct glob *g;
    struct str pattern;
    size_t at;
    struct group groups[GLOB_DEPTH_MAX];
    unsigned depth;
    struct err *e;
};

static unsigned short add(struct glob *g, enum what what, unsigned to)
{
    g->states[g->n] = (struct glob_state){.what = (unsigned char)what, .to = (unsigned short)to};
    return (unsigned short)g->n++;
}

/* One that is followed by the next that will be made. */
static struct glob_state *step(struct glob *g, enum what what)
{
    unsigned short i = add(g, what, g->n + 1);

    return &g->states[i];
}

static int wrong(const struct compiler *c, size_t at, const char *what)
{
    return err_set(c->e, ERR_INVALID, "pattern \"%.*s\": %s at character %zu",
                   STR_ARG(str_first(c->pattern, 64)), what, at + 1);
}

/* --- one construct each; c->at is behind its first byte --- */

/* loop: FORK body|out    body: -> loop */
static void add_run(struct glob *g, enum what what)
{
    unsigned short loop = add(g, FORK, g->n + 1);

    add(g, what, loop);
    g->states[loop].or = (unsigned short)g->n;
}

/* A run and its slash, or neither: the slash of a `**` + `/`. */
static void add_folders(struct glob *g)
{
    unsigned short skip = add(g, FORK, g->n + 1);

    add_run(g, ANY);
    step(g, BYTE)->byte = '/';
    g->states[skip].or = (unsigned short)g->n;
}

static void read_star(struct compiler *c)
{
    struct str rest = str_from(c->pattern, c->at);
    bool begins = c->at == 1 || c->pattern.p[c->at - 2] == '/' || c->pattern.p[c->at - 2] == '{' ||
                  c->pattern.p[c->at - 2] == ',';

    if (rest.len == 0 || rest.p[0] != '*') {
        add_run(c->g, NOT_SLASH);
        return;
    }
    c->at++;
    if (begins && rest.len > 1 && rest.p[1] == '/') {
        c->at++;
        add_folders(c->g);
        return;
    }
    add_run(c->g, ANY);
}

/* [abc], [a-z], [!a-z]; a "]" that comes first is one of them. */
static int read_class(struct compiler *c)
{
    size_t start, i = c->at;
    bool is_not = i < c->pattern.len && (c->pattern.p[i] == '!' || c->pattern.p[i] == '^');
    struct glob_state *s;

    i += is_not;
    start = i;
    for (i++; i < c->pattern.len && c->pattern.p[i] != ']'; i++) {
    }
    if (i >= c->pattern.len) {
        return wrong(c, c->at - 1, "\"[\" without \"]\"");
    }
    s = step(c->g, is_not ? NOT_CLASS : CLASS);
    s->set = (unsigned short)start;
    s->or = (unsigned short)i;
    c->at = i + 1;
    return 0;
}

static int open_group(struct compiler *c)
{
    if (c->depth == GLOB_DEPTH_MAX) {
        return wrong(c, c->at - 1, "too many \"{\" inside each other");
    }
    c->groups[c->depth++] = (struct group){add(c->g, FORK, c->g->n + 1), NOWHERE};
    c->g->states[c->groups[c->depth - 1].fork].or = NOWHERE;
    return 0;
}

static void end_alternative(struct compiler *c)
{
    struct group *top = &c->groups[c->depth - 1];

    top->ends = add(c->g, JUMP, top->ends);
}

static void next_alternative(struct compiler *c)
{
    struct group *top = &c->groups[c->depth - 1];

    end_alternative(c);
    c->g->states[top->fork].or = (unsigned short)c->g->n;
    top->fork = add(c->g, FORK, c->g->n + 1);
    c->g->states[top->fork].or = NOWHERE;
}

static void close_group(struct compiler *c)
{
    unsigned short i;

    end_alternative(c);
    i = c->groups[c->depth - 1].ends;
    while (i != NOWHERE) {
        unsigned short before = c->g->states[i].to;

        c->g->states[i].to = (unsigned short)c->g->n;
        i = before;
    }
    c->depth--;
}

static int read_one(struct compiler *c)
{
    char byte = c->pattern.p[c->at++];

    switch (byte) {
    case '*':
        read_star(c);
        return 0;
    case '?':
        step(c->g, NOT_SLASH);
        return 0;
    case '[':
        return read_class(c);
    case '{':
        return open_group(c);
    case '\\':
        if (c->at == c->pattern.len) {
            return wrong(c, c->at - 1, "nothing behind \"\\\"");
        }
        byte = c->pattern.p[c->at++];
        break;
    case ',':
        if (c->depth > 0) {
            next_alternative(c);
            return 0;
        }
        break;
    case '}':
        if (c->depth > 0) {
            close_group(c);
            return 0;
        }
        return wrong(c, c->at - 1, "\"}\" without \"{\"");
    default:
        break;
    }
    step(c->g, BYTE)->byte = (unsigned char)byte;
    return 0;
}

int glob_compile(struct glob *out, struct str pattern, struct err *e)
{
    struct compiler c = {.g = out, .pattern = pattern, .e = e};

    if (pattern.len == 0 || pattern.len > GLOB_BYTES_MAX) {
        return err_set(e, ERR_INVALID, "a pattern has 1 to %d characters; \"**\" matches all",
                       GLOB_BYTES_MAX);
    }
    out->n = 0;
    memcpy(out->text, pattern.p, pattern.len);
    while (c.at < pattern.len) {
        if (read_one(&c) < 0) {
            return -1;
        }
    }
    if (c.depth > 0) {
        return wrong(&c, pattern.len - 1, "\"{\" without \"}\"");
    }
    add(out, END, NOWHERE);
    return 0;
}

/* --- matching: the set of states that the name read so far can be in --- */

struct set {
    unsigned char in[sizeof(((struct glob *)0)->states) / sizeof(struct glob_state)];
    unsigned short list[sizeof(((struct glob *)0)->states) / sizeof(struct glob_state)];
    unsigned n;
};

static void enter(struct set *s, unsigned short i)
{
    if (i != NOWHERE && !s->in[i]) {
        s->in[i] = 1;
        s->list[s->n++] = i;
    }
}

/* What is reached without reading anything is appended while the list is walked. */
static void follow(const struct glob *g, struct set *s)
{
    for (unsigned k = 0; k < s->n; k++) {
        const struct glob_state *st = &g->states[s->list[k]];

        if (st->what == FORK || st->what == JUMP) {
            enter(s, st->to);
        }
        if (st->what == FORK) {
            enter(s, st->or);
        }
    }
}

static bool class_has(const struct glob *g, const struct glob_state *st, unsigned char byte)
{
    for (unsigned i = st->set; i < st->or ; i++) {
        unsigned char low = (unsigned char)g->text[i];
        bool is_range = i + 2u < st->or &&g->text[i + 1] == '-';
        unsigned char high = is_range ? (unsigned char)g->text[i + 2] : low;

        if (low <= byte && byte <= high) {
            return true;
        }
        i += is_range ? 2 : 0;
    }
    return false;
}

static bool takes(const struct glob *g, const struct glob_state *st, unsigned char byte)
{
    switch ((enum what)st->what) {
    case BYTE:
        return st->byte == byte;
    case NOT_SLASH:
        return byte != '/';
    case ANY:
        return true;
    case CLASS:
        return byte != '/' && class_has(g, st, byte);
    case NOT_CLASS:
        return byte != '/' && !class_has(g, st, byte);
    case FORK:
    case JUMP:
    case END:
        break;
    }
    return false;
}

bool glob_match(const struct glob *g, struct str name)
{
    struct set sets[2];
    struct set *now = &sets[0], *next = &sets[1];

    memset(now, 0, sizeof(*now));
    enter(now, 0);
    follow(g, now);
    for (size_t i = 0; i < name.len && now->n > 0; i++) {
        struct set *spent = now;

        memset(next, 0, sizeof(*next));
        for (unsigned k = 0; k < now->n; k++) {
            const struct glob_state *st = &g->states[now->list[k]];

            if (takes(g, st, (unsigned char)name.p[i])) {
                enter(next, st->to);
            }
        }
        follow(g, next);
        now = next;
        next = spent;
    }
    return now->n > 0 && now->in[g->n - 1];
}
