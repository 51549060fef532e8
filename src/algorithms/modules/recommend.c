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
    {"model", VALUE_MODEL, 0, "Of als or item_cf."},
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

struct job {
    const struct model *m;
    const struct recommender *by;
    const struct ratings *known;
    const uint32_t *users; /* numbers in the model */
    size_t n_users, n;
    bool exclude;
    double *work;         /* [worker][2][item] */
    struct offer *offers; /* [user][n] */
    uint32_t *found;      /* [user] */
};

static void offer(void *ctx, size_t task, unsigned worker)
{
    struct job *j = ctx;
    const struct ratings *r = j->known;
    uint32_t user = j->users[task];
    double *scores = j->work + 2 * worker * r->items.n;
    size_t known = r->start[user], end = r->start[user + 1];

    j->by->score(j->m, user, scores + r->items.n, scores);
    for (uint32_t i = 0; i < r->items.n; i++) {
        while (known < end && r->entry[known].other < i) {
            known++;
        }
        if (isnan(scores[i]) || (j->exclude && known < end && r->entry[known].other == i)) {
            continue;
        }
        offers_keep(j->offers + task * j->n, &j->found[task], j->n, (struct offer){scores[i], i});
    }
}

/* The users of the rows that the model knows; big memory. */
static uint32_t *users_of(const struct step *s, const struct ids *ids, size_t *n, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str name = step_text(s, "user_col");
    const struct column *c = NULL;
    SCOPED(map_done) struct map index = {0};
    SCOPED(big_freep) uint32_t *out = NULL;

    *n = 0;
    if (t) {
        c = table_need(t, name.len > 0 ? name : str_of(ids->column), e);
        if (c == NULL) {
            err_wrap(e, "user_col");
            return NULL;
        }
    }
    out = big_alloc(t ? t->n_rows : ids->n, sizeof(*out), "the users", e);
    for (size_t i = 0; out && i < ids->n; i++) {
        (void)map_put(&index, str_of(ids->names[i]), (void *)(i + 1));
    }
    for (size_t r = 0; out && r < (t ? t->n_rows : ids->n); r++) {
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
    const struct ratings *known = j->known;

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

static int take_memory(struct job *j, const struct step *s, struct err *e)
{
    j->work = big_alloc(threads_count(s->threads) * 2 * j->known->items.n, sizeof(double),
                        "the recommendations", e);
    j->offers =
        j->work ? big_alloc(j->n_users * j->n, sizeof(*j->offers), "the recommendations", e) : NULL;
    j->found =
        j->offers ? big_alloc(j->n_users, sizeof(*j->found), "the recommendations", e) : NULL;
    return j->found ? 0 : -1;
}

static void job_done(struct job *j)
{
    big_free(j->work);
    big_free(j->offers);
    big_free(j->found);
}

static int recommend(struct step *s, struct job *j, struct err *e)
{
    struct table *out;

    if (take_memory(j, s, e) < 0) {
        return -1;
    }
    threads_each(s->threads, j->n_users, offer, j);
    out = rows_of(j, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu users known to the model get %zu recommendations", j->n_users,
                 out->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct model *m = step_model(s, "model");
    const struct recommender *by = recommender_of(m->type);
    SCOPED(big_freep) uint32_t *users = NULL;
    struct job j = {.m = m, .by = by, .exclude = step_true(s, "exclude_known")};
    int rc;

    if (by == NULL) {
        return err_set(e, ERR_INVALID,
                       "a model of %s does not recommend: take one of als or item_cf",
                       m->type->module);
    }
    j.known = by->known(m);
    users = users_of(s, &j.known->users, &j.n_users, e);
    if (users == NULL) {
        return -1;
    }
    j.users = users;
    j.n = (size_t)step_int(s, "n");
    j.n = j.n < j.known->items.n ? j.n : j.known->items.n;
    rc = recommend(s, &j, e);
    job_done(&j);
    return rc;
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
