/* permutation_importance - how much worse a model predicts when one of its columns is shuffled
 * (Breiman 2001; Fisher, Rudin, Dominici 2019). */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/report.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/scoring.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {
    {"model", VALUE_MODEL, 0, "What a learner made."},
    {"table", VALUE_TABLE, 0, "Rows with their labels, best such as the model has not seen."},
    {0},
};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, PORT_OPTIONAL, "Every feature: importance and its deviation."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "The same as a chart."},
    {0},
};
static const struct param params[] = {
    {"label_col", PARAM_TEXT, "", 0, 0, NULL,
     "The column with the truth; empty: that of the model's label."},
    {"metric", PARAM_CHOICE, "auto", 0, 0, SCORING_CHOICES, SCORING_HELP},
    {"repeats", PARAM_INT, "5", 1, 1000, NULL, "How often each column is shuffled."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL,
     "Which chance: the same seed gives the same importance."},
    {0},
};

struct importance {
    const struct model *m;
    const struct table *t;     /* as the model needs it */
    struct table *owned;       /* or NULL */
    struct predicted truth;    /* all but the predictions */
    uint32_t *classes, *order; /* big memory */
    enum score metric;
    double base, *mean, *deviation; /* of each feature */
    uint32_t *ranks;                /* features by falling importance */
};

static void importance_done(struct importance *h)
{
    table_free(h->owned);
    big_free(h->classes);
    big_free(h->order);
    free(h->mean);
    free(h->deviation);
    free(h->ranks);
}

static int take_classes(struct importance *h, const struct column *label, size_t n, struct err *e)
{
    h->classes = classes_encode(&h->m->classes, label, n, e);
    h->truth.truth = h->classes;
    h->truth.n_classes = h->m->classes.n;
    for (size_t r = 0; h->classes && r < n; r++) {
        if (h->classes[r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA,
                           "label column '%s', row %zu: the label is missing; remove such rows "
                           "with filter_rows",
                           label->name, r + 1);
        }
    }
    return h->classes ? 0 : -1;
}

static int take_numbers(struct importance *h, const struct column *label, size_t n, struct err *e)
{
    if (label->kind != COLUMN_NUMBER) {
        return err_set(e, ERR_DATA, "column '%s' holds text, and the model predicts numbers",
                       label->name);
    }
    for (size_t r = 0; r < n; r++) {
        if (!isfinite(label->numbers[r])) {
            return err_set(e, ERR_DATA, "label column '%s', row %zu: the label is %s", label->name,
                           r + 1,
                           isnan(label->numbers[r]) ? "missing; remove such rows with filter_rows"
                                                    : "infinite");
        }
    }
    h->truth.targets = label->numbers;
    return 0;
}

static int take_truth(struct importance *h, const struct step *s, const struct table *t,
                      struct err *e)
{
    struct str given = step_text(s, "label_col");
    const struct column *label;

    h->truth.task = h->m->task;
    h->truth.n = t->n_rows;
    if (score_choose(step_choice(s, "metric"), h->m->task, h->m->classes.n, h->m->type->module,
                     &h->metric, e) < 0) {
        return -1;
    }
    label = table_need(t, given.len > 0 ? given : str_of(h->m->label), e);
    if (label == NULL) {
        return err_wrap(e, "label_col");
    }
    return h->m->task == TASK_CLASSES ? take_classes(h, label, t->n_rows, e)
                                      : take_numbers(h, label, t->n_rows, e);
}

/* The features alone, one of them shuffled (SIZE_MAX: none). */
static struct table *shuffled(const struct importance *h, size_t which, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(h->t->n_rows);

    for (size_t j = 0; j < h->m->features.n; j++) {
        const struct column *from = table_need(h->t, str_of(h->m->features.names[j]), e);
        struct column *c;

        if (from == NULL) {
            return NULL;
        }
        if (j != which) {
            if (table_add_copy(out, from, e) < 0) {
                return NULL;
            }
        } else if (from->kind == COLUMN_NUMBER) {
            c = table_add_numbers(out, str_of(from->name), e);
            for (size_t r = 0; c && r < out->n_rows; r++) {
                c->numbers[r] = from->numbers[h->order[r]];
            }
            if (c == NULL) {
                return NULL;
            }
            c->as = from->as;
        } else {
            SCOPED(dict_freep) struct dict *d = dict_ref(from->dict);

            c = table_add_text(out, str_of(from->name), d, e);
            if (c == NULL) {
                return NULL;
            }
            (void)TAKE(d);
            for (size_t r = 0; r < out->n_rows; r++) {
                c->codes[r] = from->codes[h->order[r]];
            }
        }
    }
    return TAKE(out);
}

static int score_with(const struct importance *h, const struct step *s, size_t which, double *score,
                      struct err *e)
{
    SCOPED(table_freep) struct table *t = shuffled(h, which, e);
    SCOPED(big_freep) double *p = t ? model_predict(h->m, t, s->threads, e) : NULL;
    struct predicted all = h->truth;
    double scores[SCORES];

    all.p = p;
    if (p == NULL || scores_of(&all, scores, e) < 0) {
        return -1;
    }
    *score = scores[h->metric];
    return 0;
}

static int one_feature(struct importance *h, const struct step *s, size_t j, struct err *e)
{
    int64_t repeats = step_int(s, "repeats");
    SCOPED(freep) double *loss = xnew_array(double, (size_t)repeats);
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(s, "seed"), 1000 + j);
    for (size_t r = 0; r < h->t->n_rows; r++) {
        h->order[r] = (uint32_t)r;
    }
    for (int64_t i = 0; i < repeats; i++) {
        double score;

        rng_shuffle(&rng, h->order, h->t->n_rows);
        if (score_with(h, s, j, &score, e) < 0) {
            return -1;
        }
        loss[i] = score_falls(h->metric) ? score - h->base : h->base - score;
        h->mean[j] += loss[i] / (double)repeats;
    }
    for (int64_t i = 0; i < repeats; i++) {
        h->deviation[j] += (loss[i] - h->mean[j]) * (loss[i] - h->mean[j]) / (double)repeats;
    }
    h->deviation[j] = sqrt(h->deviation[j]);
    progress_update(s->progress, (double)(j + 1) / (double)h->m->features.n, NULL, 0,
                    "feature %zu of %zu", j + 1, h->m->features.n);
    return 0;
}

/* Insertion: features are few beside the work of each. */
static void rank(struct importance *h)
{
    for (uint32_t j = 0; j < h->m->features.n; j++) {
        uint32_t at = j;

        for (; at > 0 && h->mean[h->ranks[at - 1]] < h->mean[j]; at--) {
            h->ranks[at] = h->ranks[at - 1];
        }
        h->ranks[at] = j;
    }
}

static int measure(struct importance *h, const struct step *s, struct err *e)
{
    size_t d = h->m->features.n;

    h->order = big_alloc(h->t->n_rows, sizeof(*h->order), "the order of rows", e);
    h->mean = xnew_array(double, d + 1);
    h->deviation = xnew_array(double, d + 1);
    h->ranks = xnew_array(uint32_t, d + 1);
    if (h->order == NULL || score_with(h, s, SIZE_MAX, &h->base, e) < 0) {
        return -1;
    }
    if (isnan(h->base)) {
        return err_set(e, ERR_DATA, "%s is not defined on these rows: do they hold one class?",
                       score_name(h->metric));
    }
    for (size_t j = 0; j < d; j++) {
        if (one_feature(h, s, j, e) < 0) {
            return -1;
        }
    }
    rank(h);
    return 0;
}

static int put_table(const struct importance *h, struct step *s, struct err *e)
{
    size_t d = h->m->features.n;
    SCOPED(table_freep) struct table *out = table_new(d);
    SCOPED(dict_freep) struct dict *dict = dict_new();
    struct column *c;
    const double *const values[] = {h->mean, h->deviation};
    const struct str names[] = {STR("importance"), STR("deviation")};

    c = table_add_text(out, STR("feature"), dict, e);
    if (c == NULL) {
        return -1;
    }
    (void)TAKE(dict);
    for (size_t i = 0; i < d; i++) {
        if (dict_intern(c->dict, str_of(h->m->features.names[h->ranks[i]]), &c->codes[i], e) < 0) {
            return -1;
        }
    }
    dict_seal(c->dict);
    for (size_t k = 0; k < ARRAY_LEN(values); k++) {
        c = table_add_numbers(out, names[k], e);
        for (size_t i = 0; c && i < d; i++) {
            c->numbers[i] = values[k][h->ranks[i]];
        }
        if (c == NULL) {
            return -1;
        }
    }
    step_out_table(s, "table", TAKE(out));
    return 0;
}

static int put_report(const struct importance *h, struct step *s, struct err *e)
{
    size_t d = h->m->features.n, shown = d < REPORT_POINTS ? d : REPORT_POINTS;
    SCOPED(freep) const char **names = xnew_array(const char *, d + 1);
    SCOPED(freep) double *y = xnew_array(double, d + 1);
    const struct metric m[] = {{score_name(h->metric), h->base}};
    struct report r;

    for (size_t i = 0; i < d; i++) {
        names[i] = h->m->features.names[h->ranks[i]];
        y[i] = h->mean[h->ranks[i]];
    }
    report_begin(&r, "importance");
    jw_kv_c(&r.w, "metric", score_name(h->metric));
    jw_kv_i64(&r.w, "rows", (int64_t)h->t->n_rows);
    report_metrics(&r, m, 1);
    report_charts(&r);
    report_bars(&r, &(struct chart){.kind = "importance"}, names, y, shown);
    report_tables(&r);
    report_table(&r, "Features", "feature|importance|deviation");
    for (size_t i = 0; i < d; i++) {
        report_row(&r);
        report_text(&r, names[i]);
        report_number(&r, y[i]);
        report_number(&r, h->deviation[h->ranks[i]]);
        report_row_end(&r);
    }
    report_table_end(&r);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    progress_result(s->progress, m, 1);
    progress_say(s->progress, "%s %.4f; most important is '%s': without it %.4f worse",
                 score_name(h->metric), h->base, names[0], y[0]);
    step_out_report(s, "report", r.out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(importance_done) struct importance h = {.m = step_model(s, "model")};

    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (take_truth(&h, s, t, e) < 0) {
        return -1;
    }
    h.t = transform_catch_up(h.m->transforms, h.m->n_transforms, t, &h.owned, e);
    if (h.t == NULL || features_present(&h.m->features, h.t, e) < 0 || measure(&h, s, e) < 0 ||
        put_table(&h, s, e) < 0) {
        return -1;
    }
    return put_report(&h, s, e);
}

static void check(struct check *c)
{
    const struct schema *m = c->in[0];
    struct table *out = table_new(0);

    if (m && m->task != 0 && m->task != TASK_CLASSES && m->task != TASK_NUMBER) {
        check_mistake(c, "model", NULL, NULL,
                      "a model of %s predicts neither classes nor numbers: no truth to score",
                      model_task_name(m->task));
    }
    (void)check_column(c, "table", "label_col", CHECK_ANY);
    check_add_column(c, out, NULL, STR("feature"), COLUMN_TEXT);
    check_add_column(c, out, NULL, STR("importance"), COLUMN_NUMBER);
    check_add_column(c, out, NULL, STR("deviation"), COLUMN_NUMBER);
    check_out_table(c, "table", out, false);
    check_out_report(c, "report");
}

const struct module module_permutation_importance = {
    .name = "permutation_importance",
    .title = "Permutation importance",
    .description = "Shuffles each column that a model reads and measures how much worse it "
                   "predicts: what it relies on.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+32*rows+64Mi",
    .run = run,
    .check = check,
};
