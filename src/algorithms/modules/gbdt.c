#include "algorithms/modules/gbdt.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/boost.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/sort.h"
#include "algorithms/modules/gbdt_loss.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_HOLD_BACK, STREAM_FEATURES, STREAM_ROWS };
enum { CHUNK_ROWS = 4096 };

/* Rows whose loss is watched: those held back, or the table at the port "valid". */
struct watched {
    const double *const *columns;
    const uint32_t *rows; /* NULL: all of the table */
    size_t n;
    struct gbdt_rows of; /* of the table */
    struct table *owned; /* that table behind the transforms of the other; or NULL */
    struct bound bound;
    uint32_t *classes; /* owned, of the table at "valid" */
    double *scores;    /* [score][n] */
};

struct fit {
    struct step *s;
    struct training *t;
    struct gbdt_model *m;
    struct gbdt_loss loss;
    struct gbdt_rows of;
    struct bins bins;
    struct boost *boost;
    size_t n, n_learned; /* rows; of those, seen by trees */
    uint32_t *rows;      /* the learned ones in front */
    uint32_t *order;     /* of the tree being grown */
    double *scores;      /* [score][n] */
    double *log_sums;    /* [n]: of exp(score), more than two classes */
    uint64_t *words;     /* [n]: derivatives */
    double *maxima;      /* [chunk][2] */
    double *residuals;   /* [n], and 2 n words for sorting; only with medians */
    uint64_t *sorting;
    uint32_t *features, *chosen;
    size_t n_chosen;
    struct watched watched;
    double subsample;
    size_t round, score; /* of the tree being grown */
    struct boost_sums sums;
};

static void fit_done(struct fit *f)
{
    bins_done(&f->bins);
    boost_free(f->boost);
    big_free(f->rows);
    big_free(f->order);
    big_free(f->scores);
    big_free(f->log_sums);
    big_free(f->words);
    big_free(f->maxima);
    big_free(f->residuals);
    big_free(f->sorting);
    free(f->features);
    free(f->chosen);
    big_free(f->watched.classes);
    big_free(f->watched.scores);
    bound_done(&f->watched.bound);
    table_free(f->watched.owned);
}

/* --- derivatives ------------------------------------------------------------------------------ */

static size_t chunks_of(size_t n)
{
    return (n + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

static size_t chunk_rows(size_t c, size_t n)
{
    return n - c * CHUNK_ROWS < CHUNK_ROWS ? n - c * CHUNK_ROWS : CHUNK_ROWS;
}

/* A use of the seed in this round. */
static uint64_t stream(const struct fit *f, uint64_t use, size_t part)
{
    return (uint64_t)f->round << 34 | (uint64_t)part << 2 | use;
}

/* Rows that this tree does not see have no derivatives. */
static void leave_out(const struct fit *f, size_t c, float *pairs, size_t n)
{
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), stream(f, STREAM_ROWS, c));
    for (size_t i = 0; i < n; i++) {
        if (rng_unit(&rng) >= f->subsample) {
            pairs[2 * i] = pairs[2 * i + 1] = 0;
        }
    }
}

/* Both derivatives as floats, in the place where the word will be. */
static void derive(void *ctx, size_t c, unsigned worker)
{
    struct fit *f = ctx;
    size_t first = c * CHUNK_ROWS, n = chunk_rows(c, f->n);
    float *pairs = (float *)(void *)(f->words + first), g = 0, h = 0;

    (void)worker;
    gbdt_derive(&f->loss, &f->of, f->score, first, n, f->scores + f->score * f->n + first,
                f->log_sums, pairs);
    if (f->subsample < 1) {
        leave_out(f, c, pairs, n);
    }
    for (size_t i = 0; i < n; i++) {
        g = fabsf(pairs[2 * i]) > g ? fabsf(pairs[2 * i]) : g;
        h = pairs[2 * i + 1] > h ? pairs[2 * i + 1] : h;
    }
    f->maxima[2 * c] = g;
    f->maxima[2 * c + 1] = h;
}

static void pack(void *ctx, size_t c, unsigned worker)
{
    struct fit *f = ctx;
    double by_g = 1 / f->sums.g_unit, by_h = 1 / f->sums.h_unit;
    uint64_t *words = f->words + c * CHUNK_ROWS;

    (void)worker;
    for (size_t i = 0; i < chunk_rows(c, f->n); i++) {
        float pair[2];
        int64_t g, h;

        memcpy(pair, &words[i], sizeof(pair));
        g = llrint((double)pair[0] * by_g);
        h = llrint((double)pair[1] * by_h);
        h = pair[1] > 0 && h == 0 ? 1 : h;
        words[i] = ((uint64_t)g << BOOST_H_SUM_BITS) + (uint64_t)h;
    }
}

static void make_words(struct fit *f)
{
    double g = 0, h = 0;

    threads_each(f->s->threads, chunks_of(f->n), derive, f);
    for (size_t c = 0; c < chunks_of(f->n); c++) {
        g = f->maxima[2 * c] > g ? f->maxima[2 * c] : g;
        h = f->maxima[2 * c + 1] > h ? f->maxima[2 * c + 1] : h;
    }
    f->sums =
        (struct boost_sums){f->words, g > 0 ? g / BOOST_G_MAX : 1, h > 0 ? h / BOOST_H_MAX : 1};
    threads_each(f->s->threads, chunks_of(f->n), pack, f);
}

static void sum_logs(void *ctx, size_t c, unsigned worker)
{
    struct fit *f = ctx;

    (void)worker;
    gbdt_log_sums(&f->loss, f->scores, f->n, c * CHUNK_ROWS, chunk_rows(c, f->n), f->log_sums);
}

/* --- leaves ----------------------------------------------------------------------------------- */

/* The output that the objective asks for, from the rows of a leaf. */
static void renew(struct fit *f, const struct boost_leaf *l)
{
    double *residuals = f->residuals + l->first, value;
    const double *scores = f->scores + f->score * f->n;
    size_t n = 0;

    if (f->of.weights) {
        value = gbdt_weighted_output(&f->loss, &f->of, f->order + l->first, l->n, scores, f->words,
                                     (struct gbdt_weighted *)(void *)(f->sorting + 2 * l->first));
    } else {
        for (size_t i = 0; i < l->n; i++) {
            uint32_t r = f->order[l->first + i];

            residuals[n] = f->of.targets[r] - scores[r];
            n += f->words[r] != 0;
        }
        sort_f64(residuals, f->sorting + 2 * l->first, n);
        value = gbdt_output(&f->loss, residuals, n);
    }
    f->m->trees.nodes[l->node].value = value * step_real(f->s, "learning_rate");
}

static void update_leaf(void *ctx, size_t i, unsigned worker)
{
    struct fit *f = ctx;
    size_t n;
    const struct boost_leaf *l = boost_leaves(f->boost, &n) + i;
    double *scores = f->scores + f->score * f->n, value;

    (void)worker;
    if (f->residuals) {
        renew(f, l);
    }
    value = f->m->trees.nodes[l->node].value;
    for (size_t k = 0; k < l->n; k++) {
        scores[f->order[l->first + k]] += value;
    }
}

static void watch_slice(void *ctx, size_t c, unsigned worker)
{
    struct fit *f = ctx;
    struct watched *w = &f->watched;
    size_t first = c * TREES_SLICE, n = w->n - first < TREES_SLICE ? w->n - first : TREES_SLICE;
    double *scores = w->scores + f->score * w->n + first;
    uint32_t leaves[TREES_SLICE];

    (void)worker;
    trees_walk(&f->m->trees, f->m->trees.n_trees - 1, w->columns, w->rows, first, n, leaves);
    for (size_t i = 0; i < n; i++) {
        scores[i] += f->m->trees.nodes[leaves[i]].value;
    }
}

static int grow_tree(struct fit *f, struct err *e)
{
    size_t n_leaves;

    make_words(f);
    memcpy(f->order, f->rows, f->n_learned * sizeof(*f->order));
    if (boost_tree(f->boost, &f->m->trees, &f->sums, f->chosen, f->n_chosen, f->order, f->n_learned,
                   step_real(f->s, "learning_rate"), e) < 0) {
        return -1;
    }
    (void)boost_leaves(f->boost, &n_leaves);
    threads_each(f->s->threads, n_leaves, update_leaf, f);
    threads_each(f->s->threads, (f->watched.n + TREES_SLICE - 1) / TREES_SLICE, watch_slice, f);
    return 0;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void choose_features(struct fit *f)
{
    size_t d = f->bins.n_features;
    struct rng rng;

    memcpy(f->chosen, f->features, d * sizeof(*f->chosen));
    if (f->n_chosen == d) {
        return;
    }
    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), stream(f, STREAM_FEATURES, 0));
    rng_shuffle(&rng, f->chosen, d);
    qsort(f->chosen, f->n_chosen, sizeof(*f->chosen), by_number);
}

static double watched_loss(const struct fit *f)
{
    const struct watched *w = &f->watched;

    return w->n > 0 ? gbdt_mean_loss(&f->loss, &w->of, w->rows, w->n, w->scores) : NAN;
}

static void report(const struct fit *f, size_t rounds, double held)
{
    const struct metric m[] = {{"trees", (double)f->round + 1}, {"validation_loss", held}};

    if (f->watched.n > 0) {
        progress_update(f->s->progress, (double)(f->round + 1) / (double)rounds, m, 2,
                        "tree %zu of %zu, validation loss %.6g", f->round + 1, rounds, held);
    } else {
        progress_update(f->s->progress, (double)(f->round + 1) / (double)rounds, m, 1,
                        "tree %zu of %zu", f->round + 1, rounds);
    }
}

/* Where squared ends, for this round: that share of residuals lies inside (Friedman 2001). */
static void huber_delta(struct fit *f)
{
    struct gbdt_loss l = {.objective = GBDT_QUANTILE, .alpha = f->loss.alpha};
    size_t n = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        uint32_t r = f->rows[i];

        f->residuals[n] = fabs(f->of.targets[r] - f->scores[r]);
        n += f->of.weights == NULL || f->of.weights[r] > 0;
    }
    sort_f64(f->residuals, f->sorting, n);
    f->loss.delta = gbdt_output(&l, f->residuals, n);
}

static int grow_round(struct fit *f, struct err *e)
{
    choose_features(f);
    if (f->loss.objective == GBDT_HUBER) {
        huber_delta(f);
    }
    if (f->log_sums) {
        threads_each(f->s->threads, chunks_of(f->n), sum_logs, f);
    }
    for (f->score = 0; f->score < f->m->n_scores; f->score++) {
        if (grow_tree(f, e) < 0) {
            return -1;
        }
    }
    f->score = 0;
    return 0;
}

static int train(struct fit *f, struct err *e)
{
    size_t rounds = (size_t)step_int(f->s, "num_trees"), best = 0;
    size_t patience = (size_t)step_int(f->s, "early_stop");
    double held = 0, least = INFINITY;

    for (f->round = 0; f->round < rounds; f->round++) {
        if (grow_round(f, e) < 0) {
            return -1;
        }
        held = watched_loss(f);
        if (held < least || f->round == 0) {
            least = held;
            best = f->round;
        }
        report(f, rounds, held);
        if (patience > 0 && f->round - best >= patience) {
            break;
        }
    }
    if (patience > 0) {
        trees_cut(&f->m->trees, (best + 1) * f->m->n_scores);
        progress_say(f->s->progress, "%zu rows, %zu rounds of %zu kept: validation loss %.6g",
                     f->n_learned, best + 1, rounds, least);
    } else {
        progress_say(f->s->progress, "%zu rows, %zu trees, %zu nodes", f->n_learned,
                     f->m->trees.n_trees, f->m->trees.n_nodes);
    }
    return 0;
}

/* --- preparation ------------------------------------------------------------------------------ */

/* Rows held back go behind the others, when nobody gave a table of them. */
static int divide_rows(struct fit *f, struct err *e)
{
    struct rng rng;

    f->rows = big_alloc(f->n, sizeof(*f->rows), "the order of rows", e);
    f->order = f->rows ? big_alloc(f->n, sizeof(*f->order), "the order of rows", e) : NULL;
    if (f->order == NULL) {
        return -1;
    }
    for (size_t i = 0; i < f->n; i++) {
        f->rows[i] = (uint32_t)i;
    }
    f->n_learned = f->n;
    if (step_int(f->s, "early_stop") == 0 || step_table(f->s, "valid")) {
        return 0;
    }
    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), STREAM_HOLD_BACK);
    rng_shuffle(&rng, f->rows, f->n);
    f->watched.n = (size_t)ceil(step_real(f->s, "validation_fraction") * (double)f->n);
    f->n_learned = f->n - f->watched.n;
    f->watched.rows = f->rows + f->n_learned;
    f->watched.columns = f->t->columns;
    f->watched.of = f->of;
    qsort(f->rows, f->n_learned, sizeof(*f->rows), by_number); /* ascending: memory in order */
    return f->n_learned > 0
               ? 0
               : err_set(e, ERR_DATA, "no row is left to learn from: lower validation_fraction");
}

static int valid_labels(struct fit *f, const struct table *t, struct err *e)
{
    struct watched *w = &f->watched;
    const struct column *label = table_need(t, str_of(f->t->model->label), e);

    if (label == NULL) {
        return -1;
    }
    if (f->loss.objective != GBDT_CLASSES) {
        label = table_need_numbers(t, str_of(label->name), e);
        for (size_t r = 0; label && r < t->n_rows; r++) {
            if (!isfinite(label->numbers[r])) {
                return err_set(e, ERR_DATA, "label column '%s', row %zu: the label is missing",
                               label->name, r + 1);
            }
        }
        w->of.targets = label ? label->numbers : NULL;
        return label ? gbdt_check_targets(f->loss.objective, label->numbers, t->n_rows, label->name,
                                          e)
                     : -1;
    }
    w->of.classes = w->classes = classes_encode(&f->t->model->classes, label, t->n_rows, e);
    for (size_t r = 0; w->classes && r < t->n_rows; r++) {
        if (w->classes[r] >= f->t->model->classes.n) {
            return err_set(
                e, ERR_DATA, "label column '%s', row %zu: the label is %s", label->name, r + 1,
                w->classes[r] == CLASS_MISSING ? "missing" : "no class of the table train");
        }
    }
    return w->classes ? 0 : -1;
}

static int valid_weights(struct fit *f, const struct table *t, struct err *e)
{
    struct str name = step_text(f->s, "weight_col");
    const struct column *weights = name.len > 0 ? table_need_numbers(t, name, e) : NULL;
    double sum = 0;

    if (weights == NULL) {
        return name.len > 0 ? -1 : 0;
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        sum += weights->numbers[r];
    }
    if (training_check_weights(weights, t->n_rows, e) < 0) {
        return -1;
    }
    if (!(sum > 0) || isinf(sum)) {
        return err_set(e, ERR_DATA, "the weights of all rows sum to %g", sum);
    }
    f->watched.of.weights = weights->numbers;
    return 0;
}

/* The table at the port "valid", behind the transforms that the model was trained behind. */
static int take_valid(struct fit *f, struct err *e)
{
    const struct table *t = step_table(f->s, "valid");
    const struct model *m = f->t->model;

    if (t == NULL) {
        return 0;
    }
    if (t->n_rows > 0) {
        t = transform_catch_up(m->transforms, m->n_transforms, t, &f->watched.owned, e);
    }
    if (t == NULL) {
        return err_wrap(e, "valid");
    }
    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table at valid has no rows");
    }
    if (valid_labels(f, t, e) < 0 || valid_weights(f, t, e) < 0 ||
        features_bind(&m->features, t, FEATURES_F64, &f->watched.bound, e) < 0) {
        return err_wrap(e, "valid");
    }
    f->watched.n = t->n_rows;
    f->watched.columns = f->watched.bound.columns;
    return 0;
}

/* Scores before the first tree: what is best for all rows alike. */
static void start_classes(struct fit *f)
{
    size_t k = f->t->model->classes.n;
    SCOPED(freep) double *share = xnew_array(double, k);
    double sum = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        double w = f->of.weights ? f->of.weights[f->rows[i]] : 1;

        share[f->of.classes[f->rows[i]]] += w;
        sum += w;
    }
    for (size_t i = 0; i < k; i++) {
        share[i] = sum > 0 ? share[i] / sum : 1 / (double)k;
        share[i] = share[i] > 1e-9 ? share[i] : 1e-9;
    }
    for (size_t i = 0; i < f->m->n_scores; i++) {
        f->m->base[i] = f->m->n_scores == 1 ? log(share[1] / share[0]) : log(share[i]);
    }
}

static double mean_target(const struct fit *f)
{
    double sum = 0, all = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        double w = f->of.weights ? f->of.weights[f->rows[i]] : 1;

        sum += w * f->of.targets[f->rows[i]];
        all += w;
    }
    return all > 0 ? sum / all : 0;
}

/* The median or quantile of the targets. */
static double middle_target(struct fit *f)
{
    struct gbdt_loss l = f->loss;

    l.objective = l.objective == GBDT_HUBER ? GBDT_L1 : l.objective;
    if (f->of.weights) {
        memset(f->words, 1, f->n * sizeof(*f->words));
        return gbdt_weighted_output(&l, &f->of, f->rows, f->n_learned, f->scores, f->words,
                                    (struct gbdt_weighted *)(void *)f->sorting);
    }
    for (size_t i = 0; i < f->n_learned; i++) {
        f->residuals[i] = f->of.targets[f->rows[i]];
    }
    sort_f64(f->residuals, f->sorting, f->n_learned);
    return gbdt_output(&l, f->residuals, f->n_learned);
}

static void start_number(struct fit *f)
{
    double mean;

    if (f->residuals) {
        f->m->base[0] = middle_target(f);
        return;
    }
    mean = mean_target(f);
    f->m->base[0] = f->loss.objective == GBDT_POISSON ? log(mean > 1e-9 ? mean : 1e-9) : mean;
}

static int make_room(struct fit *f, struct err *e)
{
    size_t k = f->m->n_scores;

    f->scores = big_alloc(f->n * k, sizeof(double), "the scores of rows", e);
    f->words = f->scores ? big_alloc(f->n, sizeof(*f->words), "the derivatives", e) : NULL;
    f->maxima =
        f->words ? big_alloc(chunks_of(f->n), 2 * sizeof(double), "the derivatives", e) : NULL;
    f->watched.scores =
        f->maxima ? big_alloc(f->watched.n * k, sizeof(double), "the scores of rows", e) : NULL;
    if (f->watched.scores == NULL) {
        return -1;
    }
    if (k > 1) {
        f->log_sums = big_alloc(f->n, sizeof(double), "the scores of rows", e);
        return f->log_sums ? 0 : -1;
    }
    if (gbdt_by_residuals(f->loss.objective)) {
        f->residuals = big_alloc(f->n, sizeof(double), "the residuals", e);
        f->sorting =
            f->residuals ? big_alloc(f->n, 2 * sizeof(uint64_t), "the residuals", e) : NULL;
        return f->sorting ? 0 : -1;
    }
    return 0;
}

static void start(struct fit *f)
{
    if (f->loss.objective == GBDT_CLASSES) {
        start_classes(f);
    } else {
        start_number(f);
    }
    for (size_t k = 0; k < f->m->n_scores; k++) {
        for (size_t i = 0; i < f->n; i++) {
            f->scores[k * f->n + i] = f->m->base[k];
        }
        for (size_t i = 0; i < f->watched.n; i++) {
            f->watched.scores[k * f->watched.n + i] = f->m->base[k];
        }
    }
}

static int make_boost(struct fit *f, struct err *e)
{
    const struct step *s = f->s;
    const struct features *features = &f->t->model->features;
    struct boost_options o = {.lambda = step_real(s, "lambda"),
                              .gamma = step_real(s, "gamma"),
                              .min_child_weight = step_real(s, "min_child_weight"),
                              .max_depth = (unsigned)step_int(s, "max_depth"),
                              .max_leaves = (unsigned)step_int(s, "max_leaves")};
    size_t d = features->n;

    if (bins_init(&f->bins, features, &f->t->bound, f->of.weights,
                  (unsigned)step_int(s, "max_bins"), s->threads, e) < 0 ||
        trees_init(&f->m->trees, d, 1, &f->bins, features, e) < 0) {
        return -1;
    }
    f->features = xnew_array(uint32_t, d);
    f->chosen = xnew_array(uint32_t, d);
    for (size_t j = 0; j < d; j++) {
        f->features[j] = (uint32_t)j;
    }
    f->n_chosen = (size_t)lrint(step_real(s, "feature_fraction") * (double)d);
    f->n_chosen = f->n_chosen < 1 ? 1 : f->n_chosen;
    f->boost = boost_new(&f->bins, &o, s->threads, e);
    return f->boost ? 0 : -1;
}

static int fit(struct fit *f, struct err *e)
{
    const struct training *t = f->t;

    if (f->loss.objective != GBDT_CLASSES &&
        gbdt_check_targets(f->loss.objective, t->targets, f->n, t->model->label, e) < 0) {
        return -1;
    }
    if (step_int(f->s, "early_stop") > 0 && step_table(f->s, "valid") == NULL && f->n < 2) {
        return err_set(e, ERR_DATA, "one row cannot be divided for early_stop");
    }
    if (divide_rows(f, e) < 0 || take_valid(f, e) < 0 || make_room(f, e) < 0 ||
        make_boost(f, e) < 0) {
        return -1;
    }
    start(f);
    return train(f, e);
}

int gbdt_run(struct step *s, const struct training_wants *wants, enum gbdt_objective objective,
             struct err *e)
{
    struct training t;
    struct fit f = {.s = s, .t = &t, .subsample = step_real(s, "subsample")};
    int rc;

    if (training_init(&t, s, wants, e) < 0) {
        return -1;
    }
    f.n = t.table->n_rows;
    f.of = (struct gbdt_rows){t.classes, t.targets, t.weights};
    f.m = t.model->body = xnew(struct gbdt_model);
    f.m->objective = objective;
    f.m->n_scores = objective == GBDT_CLASSES && t.model->classes.n > 2 ? t.model->classes.n : 1;
    f.m->base = xnew_array(double, f.m->n_scores);
    f.loss = (struct gbdt_loss){.objective = objective,
                                .n_scores = f.m->n_scores,
                                .alpha = step_has(s, "alpha") ? step_real(s, "alpha") : 0,
                                .simd = simd_get()};
    rc = fit(&f, e);
    if (rc == 0) {
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

void gbdt_check(struct check *c, const struct training_wants *wants)
{
    training_check(c, wants);
    (void)check_column(c, "valid", "label_col",
                       wants->task == TASK_NUMBER ? CHECK_NUMBERS : CHECK_ANY);
    if (step_text(&c->step, "weight_col").len > 0) {
        (void)check_column(c, "valid", "weight_col", CHECK_NUMBERS);
    }
    check_kinds(c, "valid", c->out[0].table); /* of the model */
}
