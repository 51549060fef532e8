/* decision_tree - one tree that people can read (kernel/cart.h). */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/modules/forest.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>

const struct model_type model_decision_tree = {
    .kind = 13,
    .module = "decision_tree",
    .range = FEATURES_F64,
    .predict = forest_predict,
    .write = forest_write,
    .read = forest_read,
    .free = forest_free,
    .describe = forest_describe,
};

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows with their labels."}, {0}};
static const struct port outputs[] = {
    {"model", VALUE_MODEL, 0, "For predict; its preview shows the tree."}, {0}};
static const struct param params[] = {
    TRAINING_LABEL,
    FOREST_TASK,
    TRAINING_FEATURES("@all"),
    TRAINING_CATEGORICAL,
    TRAINING_WEIGHT,
    TRAINING_CLASS_WEIGHT,
    {"criterion", PARAM_CHOICE, "gini", 0, 0, "gini|entropy",
     "How mixed classes are measured; for regression it is always the squared error."},
    {"max_depth", PARAM_INT, "0", 0, 1000, NULL,
     "Most questions on the way to a leaf; 0: no limit."},
    {"min_samples_leaf", PARAM_INT, "1", 1, 1e9, NULL, "Fewest rows of a leaf."},
    {"ccp_alpha", PARAM_REAL, "0", 0, 1e12, NULL,
     "Branches go that lower impurity by no more than this for each of their leaves."},
    {"max_bins", PARAM_INT, "255", 2, 255, NULL, "Most different values told apart."},
    {0},
};

static int grow(struct step *s, struct training *t, struct bins *bins, struct err *e)
{
    SCOPED(big_freep) double *weights = NULL;
    struct forest *f = t->model->body;
    struct cart_data data;
    struct cart_options o = {.criterion = forest_criterion(s),
                             .max_depth = (unsigned)step_int(s, "max_depth"),
                             .max_features = t->model->features.n,
                             .min_leaf = (size_t)step_int(s, "min_samples_leaf")};
    SCOPED(cart_freep) struct cart *c = NULL;

    if (forest_data(s, t, bins, &data, &weights, e) < 0 ||
        trees_init(&f->trees, bins->n_features, cart_width(data.n_classes), bins,
                   &t->model->features, e) < 0) {
        return -1;
    }
    c = cart_new(&data, &o, e);
    if (c == NULL || cart_grow(c, /* draws */ NULL, /* rng */ NULL, e) < 0) {
        return -1;
    }
    return cart_emit(c, step_real(s, "ccp_alpha"), /* looked at */ true, &f->trees, e);
}

static int run(struct step *s, struct err *e)
{
    struct training_wants wants = forest_wants(s, &model_decision_tree);
    struct training t;
    struct bins bins = {0};
    struct forest *f;
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f = t.model->body = xnew(struct forest);
    f->oob_score = NAN;
    rc = grow(s, &t, &bins, e);
    if (rc == 0) {
        progress_say(s->progress, "%zu rows, %zu leaves", t.table->n_rows,
                     f->trees.n_nodes / 2 + 1);
        step_out_model(s, "model", TAKE(t.model));
    }
    bins_done(&bins);
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    struct training_wants wants = forest_wants(&c->step, &model_decision_tree);

    training_check(c, &wants);
}

const struct module module_decision_tree = {
    .name = "decision_tree",
    .title = "Decision tree",
    .description = "Learns classes or a number by one tree of questions that people can read. Text "
                   "columns are categories, and missing values need no filling.",
    .category = "classification",
    .version = "1.2.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+10*cells+32*rows+64Mi",
    .run = run,
    .check = check,
};
