/* forest - what random_forest and decision_tree share: the model, and what is told of rows. Private
 * to modules. */
#pragma once
#include "algorithms/kernel/cart.h"
#include "algorithms/modules/training.h"

struct forest {
    struct trees trees; /* a row's output is the mean over them */
    double oob_score;   /* NaN: not asked for */
};

/* The parameter "task": what both can learn. */
#define FOREST_TASK                                                                                \
    {                                                                                              \
        "task", PARAM_CHOICE, "classification", 0, 0, "classification|regression",                 \
            "classification: label_col holds classes; regression: a number to predict."            \
    }

struct training_wants forest_wants(const struct step *s, const struct model_type *type);
/* Weights of mean 1 (or NULL) in big memory, and bins. */
int forest_data(const struct step *s, const struct training *t, struct bins *bins,
                struct cart_data *data, double **weights, struct err *e) MUST_USE;
enum cart_criterion forest_criterion(const struct step *s);
/* The output of a leaf is added to a row: n_classes numbers, or one. */
void forest_add(const struct trees *t, uint32_t leaf, size_t n_classes, double *row);

/* --- of the model types ----------------------------------------------------------------------- */

void forest_predict(const struct model *m, const double *const *columns, size_t first, size_t n,
                    void *scratch, double *out);
void forest_write(const struct model *m, struct binw *w);
int forest_read(struct model *m, struct binr *r, struct err *e) MUST_USE;
void forest_free(void *body);
void forest_describe(const struct model *m, struct jw *w);
