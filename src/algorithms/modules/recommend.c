/* recommend - the items that users would rate highest. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/recommending.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const struct port inputs[] = {
    {"model", VALUE_MODEL, 0, "Of als."},
    {"table", VALUE_TABLE, PORT_OPTIONAL, "The users, a row each; without it: all of the model."},
    {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "User, rank, item and score, the best first."}, {0}};
static const struct param params[] = {
    {"n", PARAM_INT, "10", 1, 10000, NULL, "How many items each user gets."},
    {"user_col", PARAM_TEXT, "", 0, 0, NULL, "The column of users; empty: as in training."},
    {"exclude_known", PARAM_BOOL, "true", 0, 0, NULL, "Leave out what the user has rated."},
    {0},
};

struct offer {
    double score;
    uint32_t item;
};

struct job {
    const struct factors *b;
    const uint32_t *users; /* numbers in the model */
    size_t n_users, n;
    bool exclude;
    struct offer *offers; /* [user][n] */
    uint32_t *found;      /* [user] */
};

/* Highest first, the first of equals. */
static void keep(struct offer *best, uint32_t *found, size_t n, struct offer o)
{
    size_t at = *found;

    if (at == n && !(o.score > best[n - 1].score)) {
        return;
    }
    at = at < n ? (*found)++ : n - 1;
    for (; at > 0 && o.score > best[at - 1].score; at--) {
        best[at] = best[at - 1];
    }
    best[at] = o;
}

static void offer(void *ctx, size_t task, unsigned worker)
{
    struct job *j = ctx;
    const struct factors *b = j->b;
    uint32_t user = j->users[task];
    const double *x = b->users + user * b->rank;
    size_t known = b->known.start[user], end = b->known.start[user + 1];

    (void)worker;
    for (uint32_t i = 0; i < b->known.items.n; i++) {
        double score = 0;

        while (known < end && b->known.entry[known].other < i) {
            known++;
        }
        if (j->exclude && known < end && b->known.entry[known].other == i) {
            continue;
        }
        for (size_t p = 0; p < b->rank; p++) {
            score += x[p] * b->items[i * b->rank + p];
        }
        keep(j->offers + task * j->n, &j->found[task], j->n, (struct offer){score, i});
    }
}

/* The users of the rows that the model knows; big memory. */
static uint32_t *users_of(const struct step *s, const struct factors *b, size_t *n, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str name = step_text(s, "user_col");
    const struct column *c = NULL;
    SCOPED(map_done) struct map index = {0};
    SCOPED(big_freep) uint32_t *out = NULL;

    *n = 0;
    if (t) {
        c = table_need(t, name.len > 0 ? name : str_of(b->known.users.column), e);
        if (c == NULL) {
            err_wrap(e, "user_col");
            return NULL;
        }
    }
    out = big_alloc(t ? t->n_rows : b->known.users.n, sizeof(*out), "the users", e);
    for (size_t i = 0; out && i < b->known.users.n; i++) {
        (void)map_put(&index, str_of(b->known.users.names[i]), (void *)(i + 1));
    }
    for (size_t r = 0; out && r < (t ? t->n_rows : b->known.users.n); r++) {
        char text[AS_TEXT_BYTES];
        size_t at = c == NULL ? r + 1
                    : c->kind == COLUMN_NUMBER
                        ? (size_t)map_get(&index, str_of(as_format(c->as, c->numbers[r], text)))
                    : c->codes[r] == DICT_MISSING
                        ? 0
                        : (size_t)map_get(&index, dict_text(c->dict, c->codes[r]));

        if (at > 0) {
            out[(*n)++] = (uint32_t)(at - 1);
        }
    }
    return TAKE(out);
}

static int put_id(const struct ids *ids, struct column *c, size_t row, uint32_t id, struct err *e)
{
    if (ids->kind == COLUMN_TEXT) {
        return dict_intern(c->dict, str_of(ids->names[id]), &c->codes[row], e);
    }
    return as_parse(ids->as, str_of(ids->names[id]), &c->numbers[row]);
}

static int add_id_column(struct table *t, const struct ids *ids, struct err *e)
{
    struct dict *d = ids->kind == COLUMN_TEXT ? dict_new() : NULL;
    struct column *c = d ? table_add_text(t, str_of(ids->column), d, e)
                         : table_add_numbers(t, str_of(ids->column), e);

    if (c == NULL) {
        dict_free(d);
        return -1;
    }
    c->as = d ? c->as : ids->as;
    return 0;
}

static struct table *rows_of(const struct job *j, struct err *e)
{
    size_t n = 0, row = 0;
    SCOPED(table_freep) struct table *t = NULL;
    const struct ratings *known = &j->b->known;

    for (size_t u = 0; u < j->n_users; u++) {
        n += j->found[u];
    }
    t = table_new(n);
    if (add_id_column(t, &known->users, e) < 0 || table_add_numbers(t, STR("rank"), e) == NULL ||
        add_id_column(t, &known->items, e) < 0 || table_add_numbers(t, STR("score"), e) == NULL) {
        return NULL;
    }
    t->columns[1].as = AS_INT;
    for (size_t u = 0; u < j->n_users; u++) {
        for (uint32_t i = 0; i < j->found[u]; i++, row++) {
            const struct offer *o = &j->offers[u * j->n + i];

            t->columns[1].numbers[row] = i + 1;
            t->columns[3].numbers[row] = o->score;
            if (put_id(&known->users, &t->columns[0], row, j->users[u], e) < 0 ||
                put_id(&known->items, &t->columns[2], row, o->item, e) < 0) {
                return NULL;
            }
        }
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].kind == COLUMN_TEXT) {
            dict_seal(t->columns[i].dict);
        }
    }
    return TAKE(t);
}

static int run(struct step *s, struct err *e)
{
    const struct model *m = step_model(s, "model");
    SCOPED(big_freep) uint32_t *users = NULL;
    SCOPED(big_freep) struct offer *offers = NULL;
    SCOPED(big_freep) uint32_t *found = NULL;
    struct job j = {.b = m->body, .exclude = step_true(s, "exclude_known")};
    struct table *out;

    if (m->type != &model_als) {
        return err_set(e, ERR_INVALID, "a model of %s does not recommend: take one of als",
                       m->type->module);
    }
    users = users_of(s, j.b, &j.n_users, e);
    j.n = (size_t)step_int(s, "n");
    j.n = j.n < j.b->known.items.n ? j.n : j.b->known.items.n;
    offers = users ? big_alloc(j.n_users * j.n, sizeof(*offers), "the recommendations", e) : NULL;
    found = offers ? big_alloc(j.n_users, sizeof(*found), "the recommendations", e) : NULL;
    if (found == NULL) {
        return -1;
    }
    j.users = users;
    j.offers = offers;
    j.found = found;
    threads_each(s->threads, j.n_users, offer, &j);
    out = rows_of(&j, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu users known to the model get %zu recommendations", j.n_users,
                 out->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

/* The columns have the names of the training table's, which only the model knows. */
static void check(struct check *c)
{
    check_out_table(c, "table", NULL, true);
}

const struct module module_recommend = {
    .name = "recommend",
    .title = "Recommend",
    .description = "Lists the items that each user would rate highest, by a recommender's model. "
                   "Users that the model does not know get none.",
    .category = "recommendation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "4*input+8*cells+256Mi",
    .run = run,
    .check = check,
};
