/* The figures that group_by is asked for: "total = sum(price), count()". */
#include "algorithms/kernel/expr_priv.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/grouping.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const agg_names[] = {"count", "sum",    "mean",  "min",  "max",
                                        "std",   "median", "first", "last", "distinct"};

struct reader {
    struct str source;
    size_t at;
    struct token token;
};

static int next(struct reader *r, struct err *e)
{
    return expr_lex(r->source, &r->at, &r->token, e);
}

static bool is_sign(const struct reader *r, const char *sign)
{
    return r->token.type == TOKEN_SIGN && str_eq_c(r->token.raw, sign);
}

static int need(struct reader *r, const char *sign, struct err *e)
{
    if (!is_sign(r, sign)) {
        return err_set(e, ERR_INVALID,
                       "'%s' is expected%s%.*s%s; write total = sum(price), count()", sign,
                       r->token.raw.len ? ", and not '" : " at the end",
                       STR_ARG(str_first(r->token.raw, 60)), r->token.raw.len ? "'" : "");
    }
    return next(r, e);
}

static char *take_name(struct reader *r, struct err *e)
{
    char *name = NULL;

    if (r->token.type == TOKEN_QUOTED) {
        name = expr_unquote(r->token.raw);
    } else if (r->token.type == TOKEN_NAME) {
        name = str_dup(r->token.raw);
    } else {
        err_set(e, ERR_INVALID, "character %zu: a name is expected; write total = sum(price)",
                r->token.at);
        return NULL;
    }
    if (next(r, e) < 0) {
        free(name);
        return NULL;
    }
    return name;
}

static int find_kind(const char *name, enum group_agg_kind *kind, struct err *e)
{
    const char *near = str_nearest(str_of(name), agg_names, ARRAY_LEN(agg_names));

    for (size_t i = 0; i < ARRAY_LEN(agg_names); i++) {
        if (strcmp(name, agg_names[i]) == 0) {
            *kind = (enum group_agg_kind)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "there is no figure '%.60s'%s%s%s", name,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The name of the result, when none is given. */
static char *default_name(const struct group_agg *a)
{
    return a->column ? xasprintf("%s_%s", agg_names[a->kind], a->column->name) : xstrdup("count");
}

static int check_agg(const struct group_agg *a, struct err *e)
{
    bool numbers = a->kind == GROUP_SUM || a->kind == GROUP_MEAN || a->kind == GROUP_STD ||
                   a->kind == GROUP_MEDIAN;

    if (a->column == NULL && a->kind != GROUP_COUNT) {
        return err_set(e, ERR_INVALID, "%s needs a column: %s(price)", agg_names[a->kind],
                       agg_names[a->kind]);
    }
    if (a->column && numbers && (a->column->kind == COLUMN_TEXT || a->column->as >= AS_DATE)) {
        return err_set(e, ERR_INVALID, "%s needs numbers, and column '%s' holds %s",
                       agg_names[a->kind], a->column->name, column_type_name(a->column));
    }
    return 0;
}

static int read_agg(struct grouping *g, struct reader *r, struct err *e)
{
    struct group_agg *a = &g->aggs[g->n_aggs];
    SCOPED(freep) char *word = take_name(r, e);
    SCOPED(freep) char *given = NULL;

    if (word && is_sign(r, "=")) {
        given = TAKE(word);
        word = next(r, e) < 0 ? NULL : take_name(r, e);
    }
    if (word == NULL || find_kind(word, &a->kind, e) < 0 || need(r, "(", e) < 0) {
        return -1;
    }
    if (!is_sign(r, ")")) {
        SCOPED(freep) char *column = take_name(r, e);

        a->column = column ? table_need(g->t, str_of(column), e) : NULL;
        if (a->column == NULL) {
            return -1;
        }
    }
    if (need(r, ")", e) < 0 || check_agg(a, e) < 0) {
        return -1;
    }
    a->name = given ? TAKE(given) : default_name(a);
    g->n_aggs++;
    return 0;
}

int group_read_aggs(struct grouping *g, struct str spec, struct err *e)
{
    struct reader r = {.source = spec};

    if (next(&r, e) < 0) {
        return -1;
    }
    while (r.token.type != TOKEN_END) {
        if (g->n_aggs == GROUP_AGGS) {
            return err_set(e, ERR_INVALID, "at most %d figures", GROUP_AGGS);
        }
        if ((g->n_aggs > 0 && need(&r, ",", e) < 0) || read_agg(g, &r, e) < 0) {
            return -1;
        }
    }
    return g->n_aggs > 0 ? 0 : err_set(e, ERR_INVALID, "name at least one figure, such as count()");
}
