#include "algorithms/modules/training.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/numbering.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void training_done(struct training *t)
{
    model_free(t->model);
    big_free(t->classes);
    big_free(t->weights);
    bound_done(&t->bound);
    *t = (struct training){0};
}

static int take_label(struct training *t, const struct column *label, struct err *e)
{
    if (classes_of(label, t->table->n_rows, &t->model->classes, &t->classes, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        if (t->classes[r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA,
                           "label column '%s', row %zu: the label is missing; remove such rows "
                           "with filter_rows",
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

int training_check_weights(const struct column *c, size_t n_rows, struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        if (!(c->numbers[r] >= 0) || isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA,
                           "weight column '%s', row %zu: a weight is a number from 0 up", c->name,
                           r + 1);
        }
    }
    return 0;
}

static int take_weights(struct training *t, struct str name, struct err *e)
{
    const struct column *c = table_need_numbers(t->table, name, e);

    if (c == NULL || all_ones(t, e) < 0) {
        return -1;
    }
    if (training_check_weights(c, t->table->n_rows, e) < 0) {
        return -1;
    }
    memcpy(t->weights, c->numbers, t->table->n_rows * sizeof(*t->weights));
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

static int take_targets(struct training *t, const struct column *label, struct err *e)
{
    if (label->kind != COLUMN_NUMBER) {
        return err_set(e, ERR_DATA,
                       "label column '%s' holds text, and a number is predicted here: take a "
                       "classifier",
                       label->name);
    }
    for (size_t r = 0; r < t->table->n_rows; r++) {
        if (!isfinite(label->numbers[r])) {
            return err_set(e, ERR_DATA, "label column '%s', row %zu: the label is %s", label->name,
                           r + 1,
                           isnan(label->numbers[r]) ? "missing; remove such rows with filter_rows"
                                                    : "infinite");
        }
    }
    t->targets = label->numbers;
    return 0;
}

static int take_features(struct training *t, const struct step *s,
                         const struct training_wants *wants, struct err *e)
{
    const char *never[] = {t->model->label,
                           step_has(s, "weight_col") ? step_text(s, "weight_col").p : NULL};
    struct str categorical =
        step_has(s, "categorical_cols") ? step_text(s, "categorical_cols") : STR_EMPTY;
    enum features_missing missing = wants->missing_kept ? FEATURES_KEPT : FEATURES_ERROR;
    struct str asked = step_text(s, "feature_cols");
    SCOPED(freep)
    char *left =
        numbering_leave_out(t->table, asked, categorical, never, ARRAY_LEN(never), s->progress);

    if (step_has(s, "missing") && step_choice(s, "missing") == 1) {
        missing = FEATURES_MEAN;
    }
    if (features_learn(&t->model->features, t->table, left ? str_of(left) : asked, never,
                       ARRAY_LEN(never), wants->kinds, missing, e) < 0 ||
        (categorical.len > 0 && features_categorize(&t->model->features, t->table, categorical,
                                                    never, ARRAY_LEN(never), e) < 0) ||
        features_bind(&t->model->features, t->table, wants->type->range, &t->bound, e) < 0) {
        return -1;
    }
    t->columns = t->bound.columns;
    return 0;
}

static int take_all(struct training *t, const struct step *s, const struct training_wants *wants,
                    const struct column *label, struct err *e)
{
    struct str weight = step_has(s, "weight_col") ? step_text(s, "weight_col") : STR_EMPTY;

    if (label &&
        (wants->task == TASK_CLASSES ? take_label(t, label, e) : take_targets(t, label, e)) < 0) {
        return -1;
    }
    if ((weight.len > 0 && take_weights(t, weight, e) < 0)) {
        return -1;
    }
    if (wants->task == TASK_CLASSES && step_has(s, "class_weight") &&
        step_choice(s, "class_weight") == 1 && balance(t, e) < 0) {
        return -1;
    }
    return sum_weights(t, e) < 0 ? -1 : take_features(t, s, wants, e);
}

int training_init(struct training *t, struct step *s, const struct training_wants *wants,
                  struct err *e)
{
    const struct column *label = NULL;
    bool told = wants->task == TASK_CLASSES || wants->task == TASK_NUMBER;

    *t = (struct training){.table = step_table(s, "train")};
    if (told) {
        label = table_need(t->table, step_text(s, "label_col"), e);
        if (label == NULL) {
            return err_wrap(e, "label_col");
        }
    }
    if (t->table->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    t->model = model_new(wants->type, wants->task, label ? label->name : "");
    model_note_transforms(t->model, t->table);
    if (take_all(t, s, wants, label, e) < 0) {
        training_done(t);
        return -1;
    }
    return 0;
}

/* Categories are features. */
static void check_categorical(struct check *c, const uint32_t *features, size_t n,
                              const char *const *never, size_t n_never)
{
    SCOPED(freep) uint32_t *found = NULL;
    size_t n_found = 0;

    if (!step_has(&c->step, "categorical_cols") ||
        step_text(&c->step, "categorical_cols").len == 0) {
        return;
    }
    found = check_columns(c, "train", "categorical_cols", CHECK_ANY, never, n_never,
                          /* fix_module */ NULL, &n_found);
    for (size_t i = 0; found && features && i < n_found; i++) {
        bool in = false;

        for (size_t k = 0; k < n; k++) {
            in = in || features[k] == found[i];
        }
        if (!in) {
            const char *name = check_table(c, "train")->columns[found[i]].name;

            check_mistake(c, NULL, "categorical_cols", name,
                          "column '%s' is not among the features: name it in feature_cols", name);
        }
    }
}

void training_check(struct check *c, const struct training_wants *wants)
{
    bool told = wants->task == TASK_CLASSES || wants->task == TASK_NUMBER;
    const struct column *label =
        told ? check_column(c, "train", "label_col",
                            wants->task == TASK_NUMBER ? CHECK_NUMBERS : CHECK_ANY)
             : NULL;
    const char *weight =
        step_has(&c->step, "weight_col") ? step_text(&c->step, "weight_col").p : "";
    const char *never[] = {told ? step_text(&c->step, "label_col").p : NULL, weight};
    struct table *features = NULL;
    size_t n = 0;
    SCOPED(freep) uint32_t *found = NULL;

    if (*weight) {
        (void)check_column(c, "train", "weight_col", CHECK_NUMBERS);
    }
    found = check_columns(c, "train", "feature_cols",
                          wants->kinds == FEATURES_WITH_TEXT ? CHECK_ANY : CHECK_NUMBERS, never,
                          ARRAY_LEN(never), "one_hot", &n);
    check_categorical(c, found, n, never, ARRAY_LEN(never));
    if (found && !check_open(c, "train")) {
        features = check_some(c, "train", found, n);
    }
    check_out_model(c, "model", wants->task, label, features);
}
