/* als - users and items as short vectors whose products are the ratings, by alternating least
 * squares (Zhou, Wilkinson, Schreiber, Pan 2008; of counts: Hu, Koren, Volinsky 2008).
 *
 * With the items held, each user is a small system of equations of its own; then the reverse. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/recommending.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MAX = 256, SLICE = 64 };

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

static void body_free(void *body)
{
    struct factors *b = body;

    if (b) {
        ratings_done(&b->known);
        big_free(b->users);
        big_free(b->items);
        free(b);
    }
}

static int take_memory(struct factors *b, struct err *e)
{
    b->users = big_alloc(b->known.users.n, b->rank * sizeof(double), "the factors", e);
    b->items =
        b->users ? big_alloc(b->known.items.n, b->rank * sizeof(double), "the factors", e) : NULL;
    return b->items ? 0 : -1;
}

static void body_write(const struct model *m, struct binw *w)
{
    const struct factors *b = m->body;

    binw_u32(w, (uint32_t)b->rank);
    ratings_write(&b->known, w);
    binw_f64s(w, b->users, b->known.users.n * b->rank);
    binw_f64s(w, b->items, b->known.items.n * b->rank);
}

static int body_read(struct model *m, struct binr *r, struct err *e)
{
    struct factors *b = m->body = xnew(struct factors);
    size_t n;

    b->rank = binr_u32(r);
    if (r->bad || b->rank < 1 || b->rank > RANK_MAX) {
        return err_set(e, ERR_DATA, "damaged: factors of rank %zu", b->rank);
    }
    if (ratings_read(&b->known, r, e) < 0) {
        return -1;
    }
    n = b->known.users.n + b->known.items.n;
    if (n * b->rank > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the factors");
    }
    if (take_memory(b, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->users, b->known.users.n * b->rank);
    binr_f64s(r, b->items, b->known.items.n * b->rank);
    for (size_t i = 0; i < n * b->rank; i++) {
        size_t at = b->known.users.n * b->rank;

        if (!isfinite(i < at ? b->users[i] : b->items[i - at])) {
            return err_set(e, ERR_DATA, "damaged: a factor is not finite");
        }
    }
    return 0;
}

const struct model_type model_als = {
    .kind = 32,
    .module = "als",
    .range = FEATURES_F64,
    .write = body_write,
    .read = body_read,
    .free = body_free,
};

static const struct ratings *known(const struct model *m)
{
    return &((const struct factors *)m->body)->known;
}

static void score(const struct model *m, uint32_t user, double *scratch, double *scores)
{
    const struct factors *b = m->body;
    const double *x = b->users + user * b->rank;

    (void)scratch;
    for (size_t i = 0; i < b->known.items.n; i++) {
        scores[i] = 0;
        for (size_t p = 0; p < b->rank; p++) {
            scores[i] += x[p] * b->items[i * b->rank + p];
        }
    }
}

const struct recommender recommender_als = {&model_als, known, score};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "A rating a row."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For recommend."}, {0}};
static const struct param params[] = {
    {"user_col", PARAM_COLUMN, NULL, 0, 0, NULL, "Who rated."},
    {"item_col", PARAM_COLUMN, NULL, 0, 0, NULL, "What was rated."},
    {"rate_col", PARAM_TEXT, "", 0, 0, NULL, "The rating or count; empty: each row counts 1."},
    {"implicit", PARAM_BOOL, "false", 0, 0, NULL,
     "Ratings are counts of what was done, not opinions."},
    {"rank", PARAM_INT, "10", 1, RANK_MAX, NULL, "Numbers that describe a user or an item."},
    {"num_iter", PARAM_INT, "10", 1, 10000, NULL, "How often users and items are solved."},
    {"lambda", PARAM_REAL, "0.1", 0, 1e9, NULL,
     "Squared penalty on factors, times the ratings of the user or item."},
    {"alpha", PARAM_REAL, "40", 0, 1e9, NULL, "implicit: how much surer each count makes of it."},
    {"seed", PARAM_INT, "1", 0, 4294967295, NULL, "The same seed gives the same model."},
    {0},
};

struct half {
    const size_t *start;
    const struct rating *entry;
    const double *fixed; /* factors of the other side */
    double *solved;
    size_t n, rank;
    double lambda, alpha;
    bool implicit;
    const double *gram; /* fixed^T fixed */
    double *work;       /* [worker][rank][rank] */
};

/* a x = b for a symmetric, positive a: Cholesky in place; b becomes x. Zeroes where it fails. */
static void solve(double *a, double *b, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double top = a[j * n + j];

        for (size_t k = 0; k < j; k++) {
            top -= a[j * n + k] * a[j * n + k];
        }
        if (!(top > 0)) {
            memset(b, 0, n * sizeof(double));
            return;
        }
        a[j * n + j] = sqrt(top);
        for (size_t i = j + 1; i < n; i++) {
            double v = a[i * n + j];

            for (size_t k = 0; k < j; k++) {
                v -= a[i * n + k] * a[j * n + k];
            }
            a[i * n + j] = v / a[j * n + j];
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            b[i] -= a[i * n + k] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) {
            b[i] -= a[k * n + i] * b[k];
        }
        b[i] /= a[i * n + i];
    }
}

static void solve_one(const struct half *h, size_t u, double *a)
{
    size_t r = h->rank, from = h->start[u], to = h->start[u + 1];
    double *x = h->solved + u * r;

    memset(x, 0, r * sizeof(double));
    if (h->implicit) {
        memcpy(a, h->gram, r * r * sizeof(double));
    } else {
        memset(a, 0, r * r * sizeof(double));
    }
    for (size_t i = from; i < to; i++) {
        const double *v = h->fixed + h->entry[i].other * r;
        double value = h->entry[i].value, sure = h->alpha * fabs(value);
        double weight = h->implicit ? sure : 1;
        double want = h->implicit ? (value > 0 ? 1 + sure : 0) : value;

        for (size_t p = 0; p < r; p++) {
            x[p] += want * v[p];
            for (size_t q = 0; q <= p; q++) {
                a[p * r + q] += weight * v[p] * v[q];
            }
        }
    }
    for (size_t p = 0; p < r; p++) {
        a[p * r + p] += h->lambda * (double)(to - from);
    }
    solve(a, x, r);
}

static void solve_slice(void *ctx, size_t task, unsigned worker)
{
    struct half *h = ctx;
    size_t to = (task + 1) * SLICE < h->n ? (task + 1) * SLICE : h->n;

    for (size_t u = task * SLICE; u < to; u++) {
        solve_one(h, u, h->work + (size_t)worker * h->rank * h->rank);
    }
}

static void gram_of(const double *v, size_t n, size_t rank, double *gram)
{
    memset(gram, 0, rank * rank * sizeof(double));
    for (size_t i = 0; i < n; i++, v += rank) {
        for (size_t p = 0; p < rank; p++) {
            for (size_t q = 0; q < rank; q++) {
                gram[p * rank + q] += v[p] * v[q];
            }
        }
    }
}

static double error_of(const struct factors *b)
{
    double sum = 0;

    for (size_t u = 0; u < b->known.users.n; u++) {
        for (size_t i = b->known.start[u]; i < b->known.start[u + 1]; i++) {
            double miss = b->known.entry[i].value;

            for (size_t p = 0; p < b->rank; p++) {
                miss -= b->users[u * b->rank + p] * b->items[b->known.entry[i].other * b->rank + p];
            }
            sum += miss * miss;
        }
    }
    return sqrt(sum / (double)b->known.n);
}

static int fit(struct step *s, struct factors *b, struct err *e)
{
    SCOPED(big_freep) size_t *start = NULL;
    SCOPED(big_freep) struct rating *entry = NULL;
    SCOPED(big_freep) double *work = NULL;
    size_t rank = b->rank, size = rank * rank, n_iter = (size_t)step_int(s, "num_iter");
    struct rng rng;
    struct half users, items;

    if (take_memory(b, e) < 0 || ratings_by_item(&b->known, &start, &entry, e) < 0) {
        return -1;
    }
    work = big_alloc((threads_count(s->threads) + 1) * size, sizeof(double), "the equations", e);
    if (work == NULL) {
        return -1;
    }
    rng_init(&rng, (uint64_t)step_int(s, "seed"), 1);
    for (size_t i = 0; i < b->known.items.n * rank; i++) {
        b->items[i] = rng_unit(&rng) / sqrt((double)rank);
    }
    users = (struct half){b->known.start,
                          b->known.entry,
                          b->items,
                          b->users,
                          b->known.users.n,
                          rank,
                          step_real(s, "lambda"),
                          step_real(s, "alpha"),
                          step_true(s, "implicit"),
                          work,
                          work + size};
    items = users;
    items.start = start;
    items.entry = entry;
    items.fixed = b->users;
    items.solved = b->items;
    items.n = b->known.items.n;
    for (size_t i = 0; i < n_iter; i++) {
        gram_of(b->items, b->known.items.n, rank, work);
        threads_each(s->threads, (users.n + SLICE - 1) / SLICE, solve_slice, &users);
        gram_of(b->users, b->known.users.n, rank, work);
        threads_each(s->threads, (items.n + SLICE - 1) / SLICE, solve_slice, &items);
        progress_update(s->progress, (double)(i + 1) / (double)n_iter, NULL, 0,
                        "iteration %zu of %zu", i + 1, n_iter);
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "train");
    const struct column *user = table_need(t, step_text(s, "user_col"), e);
    const struct column *item = user ? table_need(t, step_text(s, "item_col"), e) : NULL;
    struct str rate = step_text(s, "rate_col");
    const struct column *value = item && rate.len > 0 ? table_need_numbers(t, rate, e) : NULL;
    SCOPED(model_freep) struct model *m = NULL;
    struct factors *b;
    double error;

    if (item == NULL || (rate.len > 0 && value == NULL)) {
        return err_wrap(e, user == NULL ? "user_col" : item == NULL ? "item_col" : "rate_col");
    }
    m = model_new(&model_als, TASK_OTHER, "");
    m->body = b = xnew(struct factors);
    b->rank = (size_t)step_int(s, "rank");
    if (ratings_of(&b->known, t, user, item, value, step_true(s, "implicit"), e) < 0 ||
        fit(s, b, e) < 0) {
        return -1;
    }
    error = error_of(b);
    if (!isfinite(error)) {
        return err_set(e, ERR_DATA, "the factors grow without bound: scale the ratings");
    }
    progress_say(s->progress, "%zu users, %zu items, %zu ratings: error %.4g", b->known.users.n,
                 b->known.items.n, b->known.n, error);
    progress_result(s->progress, &(struct metric){"rmse", error}, 1);
    step_out_model(s, "model", TAKE(m));
    return 0;
}

static void check(struct check *c)
{
    (void)check_column(c, "train", "user_col", CHECK_ANY);
    (void)check_column(c, "train", "item_col", CHECK_ANY);
    if (step_text(&c->step, "rate_col").len > 0) {
        (void)check_column(c, "train", "rate_col", CHECK_NUMBERS);
    }
    check_out_model(c, "model", TASK_OTHER, NULL, NULL);
}

const struct module module_als = {
    .name = "als",
    .title = "ALS recommender",
    .description = "Learns from ratings or counts what users will like, by alternating least "
                   "squares; the module recommend lists it.",
    .category = "recommendation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+64*rows+8*rank*rows+64Mi",
    .run = run,
    .check = check,
};
