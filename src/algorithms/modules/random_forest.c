/* random_forest - the mean of many trees, each grown on rows drawn with replacement (Breiman 2001).
 *
 * A tree is one task, with a stream of random numbers of its own; trees are kept in their order. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/number.h"
#include "algorithms/modules/forest.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct model_type model_random_forest = {
    .kind = 12,
    .module = "random_forest",
    .range = FEATURES_F64,
    .predict = forest_predict,
    .write = forest_write,
    .read = forest_read,
    .free = forest_free,
    .describe = forest_describe,
};

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    FOREST_TASK,
    TRAINING_FEATURES("@all"),
    TRAINING_CATEGORICAL,
    TRAINING_WEIGHT,
    TRAINING_CLASS_WEIGHT,
    {"num_trees", PARAM_INT, "100", 1, 100000, NULL, "How many trees."},
    {"criterion", PARAM_CHOICE, "gini", 0, 0, "gini|entropy",
     "How mixed classes are measured; for regression it is always the squared error."},
    {"max_depth", PARAM_INT, "0", 0, 1000, NULL,
     "Most questions on the way to a leaf; 0: no limit."},
    {"min_samples_leaf", PARAM_INT, "1", 1, 1e9, NULL, "Fewest different rows of a leaf."},
    {"feature_fraction", PARAM_TEXT, "sqrt", 0, 0, NULL,
     "Features looked at for each split: sqrt, log2, all, or a share such as 0.3."},
    {"bootstrap", PARAM_BOOL, "true", 0, 0, NULL,
     "Draw rows with replacement; false: every tree sees all of them."},
    {"subsample", PARAM_REAL, "1", 0.001, 1, NULL, "Rows drawn for each tree, as a share of all."},
    {"oob_score", PARAM_BOOL, "false", 0, 0, NULL,
     "Judge each row by the trees that did not see it: accuracy, or R squared."},
    {"max_bins", PARAM_INT, "255", 2, 255, NULL, "Most different values told apart."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992.0, NULL, "Start of everything random."},
    {0},
};

/* One of the trees that grow side by side. */
struct grower {
    struct cart *cart;
    uint8_t *draws; /* [row]; NULL: each once */
    struct err err;
    int rc;
};

struct fit {
    struct step *s;
    struct training *t;
    struct forest *f;
    struct bins bins;
    struct cart_data data;
    double *weights;
    struct grower *growers;
    size_t n, n_growers, width;
    size_t tree;      /* number of the first that grows now */
    double *votes;    /* [row][width], of the trees that did not see the row */
    uint32_t *unseen; /* [row]: how many those were */
};

static void fit_done(struct fit *f)
{
    for (size_t i = 0; i < f->n_growers; i++) {
        cart_free(f->growers[i].cart);
        big_free(f->growers[i].draws);
    }
    free(f->growers);
    bins_done(&f->bins);
    big_free(f->weights);
    big_free(f->votes);
    big_free(f->unseen);
}

/* How many of d features; 0: the words make no sense. */
static size_t features_per_split(struct str text, size_t d)
{
    double share = 0, n = 0;

    if (str_eq(text, STR("sqrt"))) {
        n = floor(sqrt((double)d));
    } else if (str_eq(text, STR("log2"))) {
        n = floor(log2((double)d));
    } else if (str_eq(text, STR("all"))) {
        n = (double)d;
    } else if (number_parse(text, &share) < 0 || !(share > 0 && share <= 1)) {
        return 0;
    } else {
        n = floor(share * (double)d);
    }
    return n < 1 ? 1 : (size_t)n;
}

static const char wrong_fraction[] =
    "parameter feature_fraction: write sqrt, log2, all, or a number above 0 up to 1";

static void draw(struct grower *g, size_t n, size_t draws, struct rng *rng)
{
    memset(g->draws, 0, n);
    for (size_t i = 0; i < draws; i++) {
        size_t r = rng_below(rng, n);

        g->draws[r] += g->draws[r] < UINT8_MAX;
    }
}

static void grow(void *ctx, size_t i, unsigned worker)
{
    struct fit *f = ctx;
    struct grower *g = &f->growers[i];
    size_t draws = (size_t)ceil(step_real(f->s, "subsample") * (double)f->n);
    struct rng rng;

    (void)worker;
    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), f->tree + i + 1);
    if (g->draws) {
        draw(g, f->n, draws, &rng);
    }
    g->rc = cart_grow(g->cart, g->draws, &rng, &g->err);
}

static int add_growers(struct fit *f, const struct cart_options *o, struct err *e)
{
    size_t workers = threads_count(f->s->threads), trees = (size_t)step_int(f->s, "num_trees");
    bool all = !step_true(f->s, "bootstrap");

    f->growers = xnew_array(struct grower, workers);
    for (; f->n_growers < workers && f->n_growers < trees; f->n_growers++) {
        struct grower *g = &f->growers[f->n_growers];

        g->draws = all ? NULL : big_alloc(f->n, 1, "the rows drawn for a tree", e);
        g->cart = all || g->draws ? cart_new(&f->data, o, e) : NULL;
        if (g->cart == NULL) {
            f->n_growers++; /* freed with the others */
            return -1;
        }
    }
    return 0;
}

/* --- rows that a tree has not seen ------------------------------------------------------------ */

struct vote {
    struct fit *f;
    const uint8_t *draws;
    size_t tree;
};

static void vote_slice(void *ctx, size_t task, unsigned worker)
{
    const struct vote *v = ctx;
    struct fit *f = v->f;
    size_t first = task * TREES_SLICE, n = 0;
    uint32_t rows[TREES_SLICE] = {0}, leaves[TREES_SLICE];

    (void)worker;
    for (size_t r = first; r < f->n && r < first + TREES_SLICE; r++) {
        rows[n] = (uint32_t)r;
        n += v->draws[r] == 0;
    }
    trees_walk(&f->f->trees, v->tree, f->t->columns, rows, 0, n, leaves);
    for (size_t i = 0; i < n; i++) {
        forest_add(&f->f->trees, leaves[i], f->data.n_classes, f->votes + rows[i] * f->width);
        f->unseen[rows[i]]++;
    }
}

static void vote(struct fit *f, size_t grower)
{
    struct vote v = {f, f->growers[grower].draws, f->tree + grower};

    if (f->votes && v.draws) {
        threads_each(f->s->threads, (f->n + TREES_SLICE - 1) / TREES_SLICE, vote_slice, &v);
    }
}

static bool is_right(const struct fit *f, size_t r)
{
    const double *row = f->votes + r * f->width;
    size_t best = 0;

    for (size_t k = 1; k < f->width; k++) {
        best = row[k] > row[best] ? k : best;
    }
    return best == f->data.classes[r];
}

/* Accuracy, or R squared; NaN when every tree has seen every row. */
static double oob_score(const struct fit *f)
{
    double right = 0, all = 0, mean = 0, left = 0, spread = 0;

    for (size_t r = 0; r < f->n; r++) {
        double w = f->unseen[r] == 0 ? 0 : f->data.weights ? f->data.weights[r] : 1;

        all += w;
        right += f->data.classes && w > 0 && is_right(f, r) ? w : 0;
        mean += f->data.targets ? w * f->data.targets[r] : 0;
    }
    if (f->data.targets == NULL || all == 0) {
        return right / all;
    }
    mean /= all;
    for (size_t r = 0; r < f->n; r++) {
        double w = f->unseen[r] == 0 ? 0 : f->data.weights ? f->data.weights[r] : 1;
        double y = f->data.targets[r], d = w > 0 ? y - f->votes[r] / f->unseen[r] : 0;

        left += w * d * d;
        spread += w * (y - mean) * (y - mean);
    }
    return 1 - left / spread;
}

/* --- the forest ------------------------------------------------------------------------------- */

/* As many trees at once as there are threads; kept in the order of their numbers. */
static int grow_some(struct fit *f, size_t n, struct err *e)
{
    threads_each(f->s->threads, n, grow, f);
    for (size_t i = 0; i < n; i++) {
        struct grower *g = &f->growers[i];

        if (g->rc < 0) {
            *e = g->err;
            return -1;
        }
        if (cart_emit(g->cart, 0, /* looked at */ false, &f->f->trees, e) < 0) {
            return -1;
        }
        vote(f, i);
    }
    return 0;
}

static int grow_all(struct fit *f, struct err *e)
{
    size_t trees = (size_t)step_int(f->s, "num_trees");

    while (f->tree < trees) {
        size_t n = trees - f->tree < f->n_growers ? trees - f->tree : f->n_growers;
        struct metric m = {"trees", (double)(f->tree + n)};

        if (grow_some(f, n, e) < 0) {
            return -1;
        }
        f->tree += n;
        progress_update(f->s->progress, (double)f->tree / (double)trees, &m, 1, "tree %zu of %zu",
                        f->tree, trees);
    }
    return 0;
}

static int prepare(struct fit *f, struct err *e)
{
    const struct features *features = &f->t->model->features;
    struct cart_options o = {
        .criterion = forest_criterion(f->s),
        .max_depth = (unsigned)step_int(f->s, "max_depth"),
        .max_features = features_per_split(step_text(f->s, "feature_fraction"), features->n),
        .min_leaf = (size_t)step_int(f->s, "min_samples_leaf")};

    if (o.max_features == 0) {
        return err_set(e, ERR_INVALID, "%s", wrong_fraction);
    }
    if (forest_data(f->s, f->t, &f->bins, &f->data, &f->weights, e) < 0 ||
        trees_init(&f->f->trees, features->n, cart_width(f->data.n_classes), &f->bins, features,
                   e) < 0) {
        return -1;
    }
    if (step_true(f->s, "oob_score")) {
        f->votes = big_alloc(f->n * f->width, sizeof(double), "the score of rows not drawn", e);
        f->unseen =
            f->votes ? big_alloc(f->n, sizeof(*f->unseen), "the score of rows not drawn", e) : NULL;
        if (f->unseen == NULL) {
            return -1;
        }
    }
    return add_growers(f, &o, e);
}

static void report(struct fit *f)
{
    struct metric m = {"oob_score", 0};

    if (f->votes) {
        m.value = f->f->oob_score = oob_score(f);
    }
    if (isfinite(f->f->oob_score)) {
        progress_result(f->s->progress, &m, 1);
        progress_say(f->s->progress, "%zu rows, %zu trees, %zu nodes: %s %.4f on rows not drawn",
                     f->n, f->tree, f->f->trees.n_nodes, f->data.classes ? "accuracy" : "R squared",
                     m.value);
    } else {
        progress_say(f->s->progress, "%zu rows, %zu trees, %zu nodes", f->n, f->tree,
                     f->f->trees.n_nodes);
    }
}

static int run(struct step *s, struct err *e)
{
    struct training_wants wants = forest_wants(s, &model_random_forest);
    struct training t;
    struct fit f = {.s = s, .t = &t};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.f = t.model->body = xnew(struct forest);
    f.f->oob_score = NAN;
    f.n = t.table->n_rows;
    f.width = model_width(t.model);
    rc = prepare(&f, e) < 0 ? -1 : grow_all(&f, e);
    if (rc == 0) {
        report(&f);
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    struct training_wants wants = forest_wants(&c->step, &model_random_forest);

    if (features_per_split(step_text(&c->step, "feature_fraction"), 1) == 0) {
        check_mistake(c, NULL, "feature_fraction", NULL, "%s", wrong_fraction);
        return;
    }
    training_check(c, &wants);
}

const struct module module_random_forest = {
    .name = "random_forest",
    .title = "Random forest",
    .description = "Learns classes or a number by the mean of many deep trees, each grown on rows "
                   "drawn at random. Text columns are categories, and missing values need no "
                   "filling.",
    .category = "classification",
    .version = "1.2.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+10*cells+10*rows*num_trees+16*rows*cpus+128Mi",
    .run = run,
    .check = check,
};
