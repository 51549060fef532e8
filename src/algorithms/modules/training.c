#include "algorithms/modules/training.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <math.h>
#include <stdlib.h>

void training_done(struct training *t)
{
    model_free(t->model);
    big_free(t->classes);
    big_free(t->weights);
    free(t->columns);
    *t = (struct training){0};
}

static int take_label(struct training *t, const struct column *label, struct err *e)
{
    if (classes_of(label, t->table->n_rows, &t->model->classes, &t->classes, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        if (t->classes[r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA, "label column '%s', row %zu: the label is missing",
                           label->name, r + 1);
        }
    }
    if (t->model->classes.n < 2) {
        return err_set(e, ERR_DATA, "label column '%s' holds %zu class%s: at least two are needed",
                       label->name, t->model->classes.n, t->model->classes.n == 1 ? "" : "es");
    }
    return 0;
}

static int all_ones(struct training *t, struct err *e)
{
    if (t->weights) {
        return 0;
    }
    t->weights = big_alloc(t->table->n_rows, sizeof(*t->weights), "the weights", e);
    for (size_t r = 0; t->weights && r < t->table->n_rows; r++) {
        t->weights[r] = 1;
    }
    return t->weights ? 0 : -1;
}

static int take_weights(struct training *t, struct str name, struct err *e)
{
    const struct column *c = table_need_numbers(t->table, name, e);

    if (c == NULL || all_ones(t, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        if (!(c->numbers[r] >= 0) || isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA,
                           "weight column '%s', row %zu: a weight is a number from 0 up", c->name,
                           r + 1);
        }
        t->weights[r] = c->numbers[r];
    }
    return 0;
}

/* Each class's weights times rows / (classes x rows of the class). */
static int balance(struct training *t, struct err *e)
{
    size_t k = t->model->classes.n;
    SCOPED(big_freep) double *sums = big_alloc(k, sizeof(*sums), "the classes", e);
    double sum = 0;

    if (sums == NULL || all_ones(t, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        sums[t->classes[r]] += t->weights[r];
        sum += t->weights[r];
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        double of_class = sums[t->classes[r]];

        t->weights[r] *= of_class > 0 ? sum / ((double)k * of_class) : 0;
    }
    return 0;
}

static int sum_weights(struct training *t, struct err *e)
{
    t->weight_sum = (double)t->table->n_rows;
    if (t->weights) {
        t->weight_sum = 0;
        for (size_t r = 0; r < t->table->n_rows; r++) {
            t->weight_sum += t->weights[r];
        }
    }
    if (!(t->weight_sum > 0) || isinf(t->weight_sum)) {
        return err_set(e, ERR_DATA, "the weights of all rows sum to %g", t->weight_sum);
    }
    return 0;
}

static int take_features(struct training *t, const struct step *s, const struct column *label,
                         struct err *e)
{
    const char *never[] = {label->name, step_text(s, "weight_col").p};

    if (features_learn(&t->model->features, t->table, step_text(s, "feature_cols"), never,
                       ARRAY_LEN(never), (enum features_missing)step_choice(s, "missing"), e) < 0) {
        return -1;
    }
    t->columns = features_bind(&t->model->features, t->table,
                               t->model->kind == MODEL_NET ? FEATURES_F32 : FEATURES_F64, e);
    return t->columns ? 0 : -1;
}

int training_init(struct training *t, struct step *s, enum model_kind kind, struct err *e)
{
    struct str label_name = step_text(s, "label_col"), weight_name = step_text(s, "weight_col");
    const struct column *label;

    *t = (struct training){.table = step_table(s, "train")};
    label = table_need(t->table, label_name, e);
    if (label == NULL) {
        return err_wrap(e, "label_col");
    }
    if (t->table->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    t->model = model_new(kind, label->name);
    if (take_label(t, label, e) < 0 ||
        (weight_name.len > 0 && take_weights(t, weight_name, e) < 0) ||
        (step_choice(s, "class_weight") == 1 && balance(t, e) < 0) || sum_weights(t, e) < 0 ||
        take_features(t, s, label, e) < 0 || model_note_transforms(t->model, t->table, e) < 0) {
        training_done(t);
        return -1;
    }
    return 0;
}
