/* item_cf - recommends what is like the things a user liked: items are alike when the same users
 * rated them alike (Sarwar, Karypis, Konstan, Riedl 2001; of counts: Deshpande, Karypis 2004).
 *
 * The likenesses of one item to all others are one task, from its users and what they rated. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/recommending.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS_MAX = 10000 };
enum likeness { COSINE, ADJUSTED_COSINE, JACCARD };

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

struct likes {
    struct ratings known;
    enum likeness how;
    bool sums;     /* scores are sums over neighbours, not means of ratings */
    double *means; /* [user] that ratings are measured from: 0, or the user's mean */
    size_t *start; /* [items + 1] of near */
    struct offer *near;
};

static void body_free(void *body)
{
    struct likes *b = body;

    if (b) {
        ratings_done(&b->known);
        big_free(b->means);
        big_free(b->start);
        big_free(b->near);
        free(b);
    }
}

static int take_means(struct likes *b, struct err *e)
{
    b->means = big_alloc(b->known.users.n, sizeof(double), "the users", e);
    for (size_t u = 0; b->means && b->how == ADJUSTED_COSINE && u < b->known.users.n; u++) {
        size_t from = b->known.start[u], to = b->known.start[u + 1];

        for (size_t i = from; i < to; i++) {
            b->means[u] += b->known.entry[i].value;
        }
        b->means[u] /= to > from ? (double)(to - from) : 1;
    }
    return b->means ? 0 : -1;
}

static void body_write(const struct model *m, struct binw *w)
{
    const struct likes *b = m->body;

    binw_u32(w, b->how);
    binw_u32(w, b->sums);
    ratings_write(&b->known, w);
    for (size_t i = 0; i < b->known.n; i++) {
        binw_f64(w, b->known.entry[i].value);
    }
    for (size_t i = 0; i < b->known.items.n; i++) {
        binw_u32(w, (uint32_t)(b->start[i + 1] - b->start[i]));
        for (size_t k = b->start[i]; k < b->start[i + 1]; k++) {
            binw_u32(w, b->near[k].item);
            binw_f64(w, b->near[k].score);
        }
    }
}

static int read_values(struct likes *b, struct binr *r, struct err *e)
{
    for (size_t i = 0; i < b->known.n; i++) {
        b->known.entry[i].value = binr_f64(r);
        if (r->bad || !(fabs(b->known.entry[i].value) < 1e120)) {
            return err_set(e, ERR_DATA, "damaged: rating %zu is no number", i);
        }
    }
    return 0;
}

static int read_neighbours(struct likes *b, struct binr *r, struct err *e)
{
    size_t n = b->known.items.n, most = r->left / (sizeof(uint32_t) + sizeof(double));

    b->start = big_alloc(n + 1, sizeof(size_t), "the neighbours", e);
    b->near = b->start ? big_alloc(most + 1, sizeof(*b->near), "the neighbours", e) : NULL;
    if (b->near == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t count = binr_u32(r);

        b->start[i + 1] = b->start[i];
        if (r->bad || count > most - b->start[i]) {
            return err_set(e, ERR_DATA, "damaged: it ends inside the neighbours");
        }
        for (uint32_t k = 0; k < count; k++) {
            struct offer *o = &b->near[b->start[i + 1]++];

            o->item = binr_u32(r);
            o->score = binr_f64(r);
            if (r->bad || o->item >= n || !(o->score > 0 && o->score < 2)) {
                return err_set(e, ERR_DATA, "damaged: a neighbour of item %zu", i);
            }
        }
    }
    return 0;
}

static int body_read(struct model *m, struct binr *r, struct err *e)
{
    struct likes *b = m->body = xnew(struct likes);
    uint32_t how = binr_u32(r), sums = binr_u32(r);

    if (r->bad || how > JACCARD || sums > 1) {
        return err_set(e, ERR_DATA, "damaged: a likeness of kind %u", how);
    }
    b->how = (enum likeness)how;
    b->sums = sums;
    return ratings_read(&b->known, r, e) < 0 || read_values(b, r, e) < 0 ||
                   read_neighbours(b, r, e) < 0
               ? -1
               : take_means(b, e);
}

const struct model_type model_item_cf = {
    .kind = 33,
    .module = "item_cf",
    .range = FEATURES_F64,
    .write = body_write,
    .read = body_read,
    .free = body_free,
};

static const struct ratings *known(const struct model *m)
{
    return &((const struct likes *)m->body)->known;
}

/* Of the neighbours of each item, those that the user has rated. */
static void score(const struct model *m, uint32_t user, double *scratch, double *scores)
{
    const struct likes *b = m->body;
    const struct ratings *r = &b->known;

    for (size_t i = 0; i < r->items.n; i++) {
        scratch[i] = NAN;
    }
    for (size_t i = r->start[user]; i < r->start[user + 1]; i++) {
        scratch[r->entry[i].other] = r->entry[i].value - b->means[user];
    }
    for (size_t i = 0; i < r->items.n; i++) {
        double sum = 0, weight = 0;

        for (size_t k = b->start[i]; k < b->start[i + 1]; k++) {
            double value = scratch[b->near[k].item];

            sum += isnan(value) ? 0 : b->near[k].score * value;
            weight += isnan(value) ? 0 : b->near[k].score;
        }
        scores[i] = !(weight > 0) ? NAN : b->sums ? sum : b->means[user] + sum / weight;
    }
}

const struct recommender recommender_item_cf = {&model_item_cf, known, score};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "A rating a row."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For recommend."}, {0}};
static const struct param params[] = {
    {"user_col", PARAM_COLUMN, NULL, 0, 0, NULL, "Who rated."},
    {"item_col", PARAM_COLUMN, NULL, 0, 0, NULL, "What was rated."},
    {"rate_col", PARAM_TEXT, "", 0, 0, NULL,
     "The rating or count; empty: each row counts 1, and implicit is true."},
    {"implicit", PARAM_BOOL, "false", 0, 0, NULL,
     "Ratings are counts of what was done: scores are sums, not means."},
    {"similarity", PARAM_CHOICE, "cosine", 0, 0, "cosine|adjusted_cosine|jaccard",
     "When items are alike: by their ratings, by how far those are from the users' means, or by "
     "the part of their users that they share."},
    {"neighbours", PARAM_INT, "20", 1, NEIGHBOURS_MAX, NULL,
     "How many of the most alike items are kept of each."},
    {"shrink", PARAM_REAL, "10", 0, 1e9, NULL,
     "Few users in common count less: likeness times n / (n + shrink)."},
    {0},
};

struct fit {
    struct likes *b;
    const size_t *start; /* by item */
    const struct rating *entry;
    double *norms;      /* [item] */
    double *products;   /* [worker][item] */
    uint32_t *common;   /* [worker][item] users of both; 0 between two items, as products are */
    uint32_t *touched;  /* [worker][item] items that share a user with this one */
    struct offer *best; /* those of item i from place[i] on: as many as it can have, k at most */
    size_t *place;      /* [item + 1] */
    uint32_t *found;    /* [item] */
    size_t k;
    double shrink;
};

static double value_of(const struct likes *b, const struct rating *r, uint32_t user)
{
    return r->value - b->means[user];
}

static void find_norms(struct fit *f)
{
    for (size_t i = 0; i < f->b->known.items.n; i++) {
        for (size_t k = f->start[i]; k < f->start[i + 1]; k++) {
            double v = value_of(f->b, &f->entry[k], f->entry[k].other);

            f->norms[i] += v * v;
        }
        f->norms[i] = sqrt(f->norms[i]);
    }
}

static double likeness(const struct fit *f, size_t i, size_t j, double product, uint32_t common)
{
    size_t either = f->start[i + 1] - f->start[i] + f->start[j + 1] - f->start[j] - common;
    double below = f->norms[i] * f->norms[j];
    double like = f->b->how == JACCARD ? (double)common / (double)either
                  : below > 0          ? product / below
                                       : 0;

    return like * common / (common + f->shrink);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* An item against all that its users rated, and only those: of many items most have few. In the
 * order of their numbers, so that of equals the first are kept. */
static void find_neighbours(void *ctx, size_t item, unsigned worker)
{
    struct fit *f = ctx;
    const struct ratings *r = &f->b->known;
    double *products = f->products + worker * r->items.n;
    uint32_t *common = f->common + worker * r->items.n;
    uint32_t *touched = f->touched + worker * r->items.n;
    size_t n = 0;

    for (size_t k = f->start[item]; k < f->start[item + 1]; k++) {
        uint32_t user = f->entry[k].other;
        double own = value_of(f->b, &f->entry[k], user);

        for (size_t i = r->start[user]; i < r->start[user + 1]; i++) {
            uint32_t other = r->entry[i].other;

            products[other] += own * value_of(f->b, &r->entry[i], user);
            if (common[other]++ == 0) {
                touched[n++] = other;
            }
        }
    }
    qsort(touched, n, sizeof(*touched), by_number);
    for (size_t k = 0; k < n; k++) {
        uint32_t j = touched[k];
        double like = j == item ? 0 : likeness(f, item, j, products[j], common[j]);

        if (like > 0) {
            offers_keep(f->best + f->place[item], &f->found[item],
                        f->place[item + 1] - f->place[item], (struct offer){like, j});
        }
        products[j] = 0;
        common[j] = 0;
    }
}

/* An item is like no more items than its users rated beside it. */
static int find_places(struct fit *f, struct err *e)
{
    const struct ratings *r = &f->b->known;

    f->place = big_alloc(r->items.n + 1, sizeof(size_t), "the neighbours", e);
    for (size_t i = 0; f->place && i < r->items.n; i++) {
        size_t most = 0;

        for (size_t k = f->start[i]; most < f->k && k < f->start[i + 1]; k++) {
            uint32_t user = f->entry[k].other;

            most += r->start[user + 1] - r->start[user] - 1;
        }
        f->place[i + 1] = f->place[i] + (most < f->k ? most : f->k);
    }
    return f->place ? 0 : -1;
}

static int take_memory(struct fit *f, size_t workers, struct err *e)
{
    size_t n = f->b->known.items.n;

    if (find_places(f, e) < 0) {
        return -1;
    }
    f->norms = big_alloc(n, sizeof(double), "the items", e);
    f->products = f->norms ? big_alloc(workers * n, sizeof(double), "the items", e) : NULL;
    f->common = f->products ? big_alloc(workers * n, sizeof(uint32_t), "the items", e) : NULL;
    f->touched = f->common ? big_alloc(workers * n, sizeof(uint32_t), "the items", e) : NULL;
    f->best = f->touched ? big_alloc(f->place[n], sizeof(*f->best), "the neighbours", e) : NULL;
    f->found = f->best ? big_alloc(n, sizeof(uint32_t), "the neighbours", e) : NULL;
    return f->found ? 0 : -1;
}

static void fit_done(struct fit *f)
{
    big_free(f->norms);
    big_free(f->products);
    big_free(f->common);
    big_free(f->touched);
    big_free(f->best);
    big_free(f->place);
    big_free(f->found);
}

static int keep(const struct fit *f, struct err *e)
{
    struct likes *b = f->b;
    size_t n = b->known.items.n, all = 0;

    for (size_t i = 0; i < n; i++) {
        all += f->found[i];
    }
    b->start = big_alloc(n + 1, sizeof(size_t), "the neighbours", e);
    b->near = b->start ? big_alloc(all + 1, sizeof(*b->near), "the neighbours", e) : NULL;
    for (size_t i = 0; b->near && i < n; i++) {
        memcpy(b->near + b->start[i], f->best + f->place[i], f->found[i] * sizeof(*b->near));
        b->start[i + 1] = b->start[i] + f->found[i];
    }
    return b->near ? 0 : -1;
}

static int fit(struct step *s, struct likes *b, struct err *e)
{
    SCOPED(big_freep) size_t *start = NULL;
    SCOPED(big_freep) struct rating *entry = NULL;
    size_t n = b->known.items.n, k = (size_t)step_int(s, "neighbours");
    struct fit f = {.b = b, .k = k < n ? k : n, .shrink = step_real(s, "shrink")};
    int rc;

    if (take_means(b, e) < 0 || ratings_by_item(&b->known, &start, &entry, e) < 0) {
        return -1;
    }
    f.start = start;
    f.entry = entry;
    rc = take_memory(&f, threads_count(s->threads), e);
    if (rc == 0) {
        find_norms(&f);
        threads_each(s->threads, n, find_neighbours, &f);
        rc = keep(&f, e);
    }
    fit_done(&f);
    return rc;
}

static int check_similarity(const struct step *s, struct err *e)
{
    bool counts = step_true(s, "implicit") || step_text(s, "rate_col").len == 0;

    return step_choice(s, "similarity") == ADJUSTED_COSINE && counts
               ? err_set(e, ERR_INVALID,
                         "parameter similarity: adjusted_cosine compares opinions: give rate_col, "
                         "and implicit=false; of counts take cosine or jaccard")
               : 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "train");
    const struct column *user = table_need(t, step_text(s, "user_col"), e);
    const struct column *item = user ? table_need(t, step_text(s, "item_col"), e) : NULL;
    struct str rate = step_text(s, "rate_col");
    const struct column *value = item && rate.len > 0 ? table_need_numbers(t, rate, e) : NULL;
    SCOPED(model_freep) struct model *m = NULL;
    struct likes *b;
    double mean;

    if (item == NULL || (rate.len > 0 && value == NULL)) {
        return err_wrap(e, user == NULL ? "user_col" : item == NULL ? "item_col" : "rate_col");
    }
    if (check_similarity(s, e) < 0) {
        return -1;
    }
    m = model_new(&model_item_cf, TASK_OTHER, "");
    m->body = b = xnew(struct likes);
    b->how = (enum likeness)step_choice(s, "similarity");
    b->sums = step_true(s, "implicit") || value == NULL;
    if (ratings_of(&b->known, t, user, item, value, b->sums, e) < 0 || fit(s, b, e) < 0) {
        return -1;
    }
    mean = (double)b->start[b->known.items.n] / (double)b->known.items.n;
    progress_say(s->progress, "%zu users, %zu items, %zu ratings: %.4g neighbours an item",
                 b->known.users.n, b->known.items.n, b->known.n, mean);
    progress_result(s->progress, &(struct metric){"neighbours", mean}, 1);
    step_out_model(s, "model", TAKE(m));
    return 0;
}

static void check(struct check *c)
{
    struct err e = {0};

    (void)check_column(c, "train", "user_col", CHECK_ANY);
    (void)check_column(c, "train", "item_col", CHECK_ANY);
    if (step_text(&c->step, "rate_col").len > 0) {
        (void)check_column(c, "train", "rate_col", CHECK_NUMBERS);
    }
    if (check_similarity(&c->step, &e) < 0) {
        check_mistake(c, NULL, "similarity", NULL, "%s", e.msg);
    }
    check_out_model(c, "model", TASK_OTHER, NULL, NULL);
}

const struct module module_item_cf = {
    .name = "item_cf",
    .title = "Item-based recommender",
    .description = "Learns from ratings or counts which items are alike; the module recommend "
                   "lists what is like the things a user liked.",
    .category = "recommendation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "10*input+16*rows*neighbours+64Mi",
    .run = run,
    .check = check,
};
