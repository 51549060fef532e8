#include "algorithms/modules/gbdt_fit.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"

#include <math.h>
#include <stdlib.h>

int gbdt_by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Rows held back go behind the others, when nobody gave a table of them. */
int gbdt_divide_rows(struct gbdt_fit *f, struct err *e)
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
    qsort(f->rows, f->n_learned, sizeof(*f->rows), gbdt_by_number); /* ascending: memory in order */
    return f->n_learned > 0
               ? 0
               : err_set(e, ERR_DATA, "no row is left to learn from: lower validation_fraction");
}

static int valid_labels(struct gbdt_fit *f, const struct table *t, struct err *e)
{
    struct gbdt_watched *w = &f->watched;
    const struct column *label = table_need(t, str_of(f->t->model->label), e);

    if (label == NULL) {
        return -1;
    }
    if (f->loss.objective != GBDT_CLASSES) {
        label = table_need_numbers(t, str_of(label->name), e);
        for (size_t r = 0; label && r < t->n_rows; r++) {
            if (!isfinite(label->numbers[r])) {
                return err_set(e, ERR_DATA,
                               "label column '%s', row %zu: the label is missing; remove such rows "
                               "with filter_rows",
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
                w->classes[r] == CLASS_MISSING ? "missing; remove such rows with filter_rows"
                                               : "no class of the table train");
        }
    }
    return w->classes ? 0 : -1;
}

static int valid_weights(struct gbdt_fit *f, const struct table *t, struct err *e)
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
int gbdt_take_valid(struct gbdt_fit *f, struct err *e)
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

int gbdt_make_room(struct gbdt_fit *f, struct err *e)
{
    size_t k = f->m->n_scores;

    f->scores = big_alloc(f->n * k, sizeof(double), "the scores of rows", e);
    f->words = f->scores ? big_alloc(f->n, sizeof(*f->words), "the derivatives", e) : NULL;
    f->maxima =
        f->words ? big_alloc(gbdt_chunks(f->n), 2 * sizeof(double), "the derivatives", e) : NULL;
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
