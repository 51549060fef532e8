/* gbdt - what gbdt_classifier and gbdt_regressor share: objectives, the loop over trees, the model.
 * Private to modules. */
#pragma once
#include "algorithms/kernel/trees.h"
#include "algorithms/modules/training.h"

enum gbdt_objective {
    GBDT_CLASSES, /* log loss: one score for two classes, else one for each */
    GBDT_L2,
    GBDT_L1,
    GBDT_HUBER,
    GBDT_QUANTILE,
    GBDT_POISSON,
};

struct gbdt_model {
    struct trees trees; /* tree i belongs to score i % n_scores */
    enum gbdt_objective objective;
    size_t n_scores;
    double *base; /* [score]: before the first tree */
};

/* Rows of both modules' tables of parameters. */
#define GBDT_PARAMS                                                                                \
    {"num_trees", PARAM_INT,          "100", 1, 100000, NULL,                                      \
     "Rounds; with more than two classes each round grows a tree for every class."},               \
        {"learning_rate", PARAM_REAL, "0.1", 1e-6, 10, NULL,                                       \
         "Share of each tree's outputs that counts."},                                             \
        {"max_depth", PARAM_INT, "6", 1, 64, NULL, "Most questions on the way to a leaf."},        \
        {"max_leaves",                                                                             \
         PARAM_INT,                                                                                \
         "0",                                                                                      \
         0,                                                                                        \
         65536,                                                                                    \
         NULL,                                                                                     \
         "Most leaves of a tree, the most useful split first; 0: all that max_depth allows."},     \
        {"lambda", PARAM_REAL, "1", 0, 1e9, NULL, "Penalty on the square of the outputs."},        \
        {"gamma", PARAM_REAL, "0", 0, 1e12, NULL, "Least gain of a split."},                       \
        {"min_child_weight",                                                                       \
         PARAM_REAL,                                                                               \
         "1",                                                                                      \
         0,                                                                                        \
         1e12,                                                                                     \
         NULL,                                                                                     \
         "Least sum of second derivatives in a leaf; with squared error that is its rows."},       \
        {"subsample", PARAM_REAL, "1", 0.01, 1, NULL, "Share of rows that each tree sees."},       \
        {"feature_fraction",                                                                       \
         PARAM_REAL,                                                                               \
         "1",                                                                                      \
         0.001,                                                                                    \
         1,                                                                                        \
         NULL,                                                                                     \
         "Share of features that each round may use."},                                            \
        {"max_bins", PARAM_INT, "255", 2, 255, NULL, "Most different values told apart."},         \
        {"early_stop",                                                                             \
         PARAM_INT,                                                                                \
         "0",                                                                                      \
         0,                                                                                        \
         100000,                                                                                   \
         NULL,                                                                                     \
         "Stop after so many rounds without a better loss on rows held back, and keep the best; "  \
         "0: never."},                                                                             \
        {"validation_fraction",                                                                    \
         PARAM_REAL,                                                                               \
         "0.1",                                                                                    \
         0.01,                                                                                     \
         0.9,                                                                                      \
         NULL,                                                                                     \
         "Rows held back for early_stop when the input valid is not connected."},                  \
    {                                                                                              \
        "seed", PARAM_INT, "0", 0, 9007199254740992.0, NULL, "Start of everything random."         \
    }

/* Trains; takes the output "model". */
int gbdt_run(struct step *s, const struct training_wants *wants, enum gbdt_objective objective,
             struct err *e) MUST_USE;
/* Columns of "train" and "valid", and the model. */
void gbdt_check(struct check *c, const struct training_wants *wants);

/* --- of the model types ----------------------------------------------------------------------- */

void gbdt_predict(const struct model *m, const double *const *columns, size_t first, size_t n,
                  void *scratch, double *out);
void gbdt_write(const struct model *m, struct binw *w);
int gbdt_read(struct model *m, struct binr *r, struct err *e) MUST_USE;
void gbdt_free(void *body);
void gbdt_describe(const struct model *m, struct jw *w);
