#include "tsdb/choose.h"

#include <string.h>

struct chooser {
    const struct index_ops *ops;
    void *ctx;
    struct choose_patience patience;
    struct err *e;
};

enum { ASK_EVERY = 32 };

/* Sorts, and leaves each once: numbers are dense, so a bit for each is quickest. */
static void make_set(struct ids *s)
{
    uint32_t most = 0;
    uint64_t *bits;
    size_t kept = 0;

    if (s->len == 0) {
        return;
    }
    for (size_t i = 0; i < s->len; i++) {
        most = s->p[i] > most ? s->p[i] : most;
    }
    bits = xnew_array(uint64_t, most / 64 + 1);
    for (size_t i = 0; i < s->len; i++) {
        bits[s->p[i] / 64] |= 1ULL << s->p[i] % 64;
    }
    for (size_t w = 0; w <= most / 64; w++) {
        for (uint64_t left = bits[w]; left != 0; left &= left - 1) {
            s->p[kept++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(left));
        }
    }
    s->len = kept;
    free(bits);
}

/* Keeps of `s` what is in `other` (or what is not). */
static void keep(struct ids *s, const struct ids *other, bool in_it)
{
    size_t kept = 0, k = 0;

    for (size_t i = 0; i < s->len; i++) {
        while (k < other->len && other->p[k] < s->p[i]) {
            k++;
        }
        if ((k < other->len && other->p[k] == s->p[i]) == in_it) {
            s->p[kept++] = s->p[i];
        }
    }
    s->len = kept;
}

static int add_exact(struct chooser *c, struct str name, struct str value, struct ids *out)
{
    uint32_t pair = c->ops->find(c->ctx, name, value);

    return pair == 0 ? 0 : c->ops->series_of(c->ctx, pair, out, c->e);
}

/* Whether a series among those has the pair; NULL: any may. */
static int has_pair(struct chooser *c, uint32_t pair, const struct ids *among)
{
    struct ids both = {0};
    int rc = among == NULL ? 1 : c->ops->series_of(c->ctx, pair, &both, c->e);

    if (rc == 0) {
        make_set(&both);
        keep(&both, among, true);
        rc = both.len > 0;
    }
    ids_done(&both);
    return rc;
}

/* Series with a value of the name that the matcher takes, or (when `wanted` is 0) does not. A value
 * that it cannot tell of is an error only where a series `among` those has it: nobody learns
 * of values by it that he must not see. */
static int add_matching(struct chooser *c, const struct label_matcher *m, int wanted,
                        const struct ids *among, struct ids *out)
{
    struct index_values values = {0};
    int rc = 0;

    c->ops->values(c->ctx, m->name, &values);
    for (size_t i = 0; rc == 0 && i < values.len; i++) {
        struct err why;
        int r;

        if (i % ASK_EVERY == 0 && c->patience.is_over != NULL &&
            c->patience.is_over(c->patience.ctx)) {
            rc = err_set(c->e, ERR_TIMEOUT,
                         "query timed out or was cancelled in expression evaluation");
            break;
        }
        r = label_matcher_match(m, values.p[i].value, &why);
        if (r < 0) {
            rc = has_pair(c, values.p[i].pair, among);
            if (rc > 0) {
                *c->e = why;
                rc = -1;
            }
        } else if (r == wanted) {
            rc = c->ops->series_of(c->ctx, values.p[i].pair, out, c->e);
        }
    }
    free(values.p);
    return rc;
}

static int add_taken(struct chooser *c, const struct label_matcher *m, const struct ids *among,
                     struct ids *out)
{
    size_t n = 0;
    const struct str *few = m->op == LABEL_LIKE ? label_regex_literals(m->regex, &n) : NULL;

    if (m->op == LABEL_IS) {
        return add_exact(c, m->name, m->value, out);
    }
    for (size_t i = 0; few != NULL && i < n; i++) {
        if (add_exact(c, m->name, few[i], out) < 0) {
            return -1;
        }
    }
    return few != NULL ? 0 : add_matching(c, m, 1, among, out);
}

static bool takes_all(const struct label_matcher *m)
{
    return m->op == LABEL_LIKE && str_eq_c(m->value, ".*");
}

/* A matcher that takes the empty value takes what has no such label, too: so it only takes away. */
static int apply(struct chooser *c, const struct label_matcher *m, int takes_empty,
                 struct ids *chosen, bool first)
{
    const struct ids *among = first ? NULL : chosen;
    struct ids set = {0};
    int rc;

    if (takes_empty && takes_all(m)) {
        return 0;
    }
    if (takes_empty && m->op == LABEL_IS_NOT) {
        rc = add_exact(c, m->name, m->value, &set);
    } else {
        rc = takes_empty ? add_matching(c, m, 0, among, &set) : add_taken(c, m, among, &set);
    }
    if (rc == 0) {
        make_set(&set);
        if (first) {
            *chosen = set;
            return 0;
        }
        keep(chosen, &set, !takes_empty);
    }
    ids_done(&set);
    return rc;
}

/* The order in which they are cheap: exact ones, then other positive ones, then what takes away. */
static int rank_of(const struct label_matcher *m, int takes_empty)
{
    return takes_empty ? 2 : m->op == LABEL_IS ? 0 : 1;
}

int choose_series(const struct index_ops *ops, void *ctx, struct choose_patience patience,
                  const struct label_matcher *m, size_t n, struct ids *out, struct err *e)
{
    struct chooser c = {ops, ctx, patience, e};
    bool first = true;

    for (int rank = 0; rank < 3; rank++) {
        if (rank == 2 && first) {
            ops->all(ctx, out);
            first = false;
        }
        for (size_t i = 0; i < n; i++) {
            int takes_empty = label_matcher_match(&m[i], STR_EMPTY, e);

            if (takes_empty < 0) {
                return -1;
            }
            if (rank_of(&m[i], takes_empty) != rank) {
                continue;
            }
            if (!first && out->len == 0) {
                return 0;
            }
            if (apply(&c, &m[i], takes_empty, out, first) < 0) {
                return -1;
            }
            first = false;
        }
    }
    return 0;
}
