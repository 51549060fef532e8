/* predict - the class of each row and how likely each class is. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/predicting.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {
    {"model", VALUE_MODEL, 0, "What a learner made."},
    {"table", VALUE_TABLE, 0, "Rows with the columns the model was trained with."},
    {"transform", VALUE_TRANSFORM, PORT_OPTIONAL,
     "Applied first; not needed when the model was trained behind it in the same pipeline."},
    {0},
};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows with prediction and probabilities behind them."}, {0}};
static const struct param params[] = {
    {"pred_col", PARAM_TEXT, "prediction", 0, 0, NULL,
     "Name of the column for the class, number or cluster."},
    {"prob_prefix", PARAM_TEXT, "prob_", 0, 0, NULL,
     "Columns for probabilities are named so, with the class behind; empty: none."},
    {"keep_cols", PARAM_COLUMNS, "@all", 0, 0, NULL,
     "Columns of the table to keep in the result; empty: none."},
    {0},
};

/* Whether the features of the model are columns of the table as it comes. */
static bool same_columns(const struct model *m, const struct transform *x)
{
    for (size_t i = 0; i < m->n_transforms; i++) {
        if (!m->transforms[i]->type->same_columns) {
            return false;
        }
    }
    return x == NULL || x->type->same_columns;
}

/* The table as the model needs it: `t`, or a copy in *owned. */
static const struct table *prepare(const struct step *s, const struct table *t,
                                   struct table **owned, struct err *e)
{
    const struct model *m = step_model(s, "model");
    struct transform *x = step_transform(s, "transform");

    if (same_columns(m, x) && features_present(&m->features, t, e) < 0) {
        return NULL;
    }
    if (x && m->n_transforms == 0) { /* the model does not know, the user does */
        return transform_catch_up(&x, 1, t, owned, e);
    }
    if (x && transform_id(x) != transform_id(m->transforms[m->n_transforms - 1])) {
        err_set(e, ERR_DATA,
                "the model carries transforms of its own, and the one given is not "
                "the last of them: leave out --in transform");
        return NULL;
    }
    return transform_catch_up(m->transforms, m->n_transforms, t, owned, e);
}

static int keep_columns(const struct step *s, const struct table *t, struct table *out,
                        struct err *e)
{
    struct str spec = step_text(s, "keep_cols");
    SCOPED(freep) uint32_t *kept = NULL;
    size_t n = 0;

    if (spec.len == 0) {
        return 0;
    }
    kept = select_columns(t, spec, /* never */ NULL, 0, &n, e);
    if (kept == NULL) {
        return err_wrap(e, "keep_cols");
    }
    for (size_t i = 0; i < n; i++) {
        if (table_add_copy(out, &t->columns[kept[i]], e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The most likely class; the first of equals. */
static uint32_t likeliest(const double *p, size_t n)
{
    uint32_t best = 0;

    for (uint32_t k = 1; k < n; k++) {
        best = p[k] > p[best] ? k : best;
    }
    return best;
}

struct column *predicting_column(const struct step *s, struct table *out, struct err *e)
{
    struct column *c = table_add_numbers(out, step_text(s, "pred_col"), e);

    if (c == NULL) {
        err_wrap(e, "pred_col");
    }
    return c;
}

static int add_numbers(const struct step *s, const struct classes *c, const double *p,
                       struct table *out, struct err *e)
{
    struct column *to = predicting_column(s, out, e);

    if (to) {
        to->as = c->as;
    }
    for (size_t r = 0; to && r < out->n_rows; r++) {
        to->numbers[r] = c->values[likeliest(p + r * c->n, c->n)];
    }
    return to ? 0 : -1;
}

static int add_texts(const struct step *s, const struct classes *c, const double *p,
                     struct table *out, struct err *e)
{
    SCOPED(dict_freep) struct dict *d = dict_new();
    struct column *to;

    for (size_t k = 0; k < c->n; k++) {
        uint32_t code; /* = k: class names differ */

        if (dict_intern(d, str_of(c->names[k]), &code, e) < 0) {
            return -1;
        }
    }
    dict_seal(d);
    to = table_add_text(out, step_text(s, "pred_col"), d, e);
    if (to == NULL) {
        return err_wrap(e, "pred_col");
    }
    (void)TAKE(d);
    for (size_t r = 0; r < out->n_rows; r++) {
        to->codes[r] = likeliest(p + r * c->n, c->n);
    }
    return 0;
}

static int add_probabilities(const struct step *s, const struct classes *c, const double *p,
                             struct table *out, struct err *e)
{
    struct str prefix = step_text(s, "prob_prefix");

    for (size_t k = 0; prefix.len > 0 && k < c->n; k++) {
        SCOPED(freep) char *name = xasprintf("%.*s%s", STR_ARG(prefix), c->names[k]);
        struct column *to = table_add_numbers(out, str_of(name), e);

        if (to == NULL) {
            return err_wrap(e, "prob_prefix");
        }
        for (size_t r = 0; r < out->n_rows; r++) {
            to->numbers[r] = p[r * c->n + k];
        }
    }
    return 0;
}

int predicting_classes(const struct step *s, const struct classes *c, const double *p,
                       struct table *out, struct err *e)
{
    int rc = c->kind == COLUMN_NUMBER ? add_numbers(s, c, p, out, e) : add_texts(s, c, p, out, e);

    return rc == 0 ? add_probabilities(s, c, p, out, e) : -1;
}

/* The columns of other tasks: the first of a row's numbers is the prediction (of anomalies the
 * second), the other stands behind it by its name. */
static int add_figures(const struct step *s, const struct model *m, const double *p,
                       struct table *out, struct err *e)
{
    size_t width = model_width(m), first = m->task == TASK_ANOMALY;
    struct column *to = predicting_column(s, out, e);
    const char *other = m->task == TASK_ANOMALY ? "anomaly_score" : "distance";

    for (size_t r = 0; to && r < out->n_rows; r++) {
        to->numbers[r] = p[r * width + first];
    }
    if (to == NULL || width == 1) {
        return to ? 0 : -1;
    }
    to = table_add_numbers(out, str_of(other), e);
    for (size_t r = 0; to && r < out->n_rows; r++) {
        to->numbers[r] = p[r * width + 1 - first];
    }
    return to ? 0 : -1;
}

static int run(struct step *s, struct err *e)
{
    const struct model *m = step_model(s, "model");
    const struct table *t = step_table(s, "table");
    SCOPED(table_freep) struct table *owned = NULL;
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    const struct table *ready;
    SCOPED(big_freep) double *p = NULL;

    if (m->task == TASK_OTHER) {
        return err_set(e, ERR_INVALID,
                       "a model of %s is not for predict: take the module made for it",
                       m->type->module);
    }
    ready = prepare(s, t, &owned, e);
    p = ready ? model_predict(m, ready, s->threads, e) : NULL;
    if (p == NULL || keep_columns(s, t, out, e) < 0) {
        return -1;
    }
    if ((m->task == TASK_CLASSES ? predicting_classes(s, &m->classes, p, out, e)
                                 : add_figures(s, m, p, out, e)) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu rows by %s", t->n_rows, m->type->module);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

/* A model may have been trained behind transforms that make its columns from others, so columns
 * that are not there are no mistake yet. */
static void check(struct check *c)
{
    const struct schema *m = c->in[0];
    struct str keep = step_text(&c->step, "keep_cols"), pred = step_text(&c->step, "pred_col");
    struct table *out = NULL;
    size_t n = 0;
    SCOPED(freep) uint32_t *kept = NULL;

    if (m && m->task == TASK_OTHER) {
        check_mistake(c, "model", NULL, NULL,
                      "this model is not for predict: take the module made for it");
        return;
    }
    if (!check_open(c, "model")) {
        check_kinds(c, "table", check_table(c, "model"));
    }
    if (keep.len > 0) {
        kept = check_columns(c, "table", "keep_cols", CHECK_ANY, /* never */ NULL, 0, NULL, &n);
    }
    if (m == NULL || m->task == 0 || (keep.len > 0 && kept == NULL)) {
        return;
    }
    out = check_some(c, "table", kept, n);
    check_add_column(c, out, "pred_col", pred,
                     m->task == TASK_CLASSES ? m->label_kind : COLUMN_NUMBER);
    if (m->task == TASK_ANOMALY || m->task == TASK_CLUSTERS) {
        check_add_column(c, out, NULL,
                         m->task == TASK_ANOMALY ? STR("anomaly_score") : STR("distance"),
                         COLUMN_NUMBER);
    }
    /* Probabilities are named by classes that only the run knows. */
    check_out_table(c, "table", out, check_open(c, "table") || m->task == TASK_CLASSES);
}

const struct module module_predict = {
    .name = "predict",
    .title = "Predict",
    .description =
        "Applies a model to rows: the class and the probability of every class, the number, the "
        "cluster and the distance to its centre, or whether it is an anomaly and its score. "
        "Transforms the model was trained behind are applied to the rows as needed.",
    .category = "scoring",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+24*cells+128Mi",
    .memory_spilled = "128Mi+48*rows",
    .run = run,
    .check = check,
};
