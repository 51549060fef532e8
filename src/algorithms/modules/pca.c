/* pca - the directions in which rows differ most, from the eigenvectors of the covariance. */
#include "algorithms/modules/pca.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/eigen.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- fitting ---------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to learn from."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows with components in place of the columns."},
    {"transform", VALUE_TRANSFORM, 0, "What was learned, for predict."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "Variances and components as JSON."},
    {0},
};
static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "Columns to replace: names, @numeric, @all, -name to leave one out. Leave the label out."},
    {"k", PARAM_INT, "2", 0, ML_LIMIT_COLUMNS, NULL,
     "How many components; 0: as many as `variance` needs."},
    {"variance", PARAM_REAL, "0.95", 0, 1, NULL,
     "With k=0, the part of the whole variance to keep."},
    {"standardize", PARAM_BOOL, "false", 0, 0, NULL,
     "Give every column the standard deviation 1 first."},
    {"whiten", PARAM_BOOL, "false", 0, 0, NULL, "Give every component the standard deviation 1."},
    {"missing", PARAM_CHOICE, "error", 0, 0, "error|mean",
     "A missing value: an error, or the column's mean in its place."},
    {"prefix", PARAM_TEXT, "pc", 0, 0, NULL, "Components are named so, with their number behind."},
    {0},
};

/* The covariance becomes the correlation; returns what columns are multiplied by. For free(3). */
static double *standardise(double *c, size_t d, const double *mean, bool wanted)
{
    double *factor = xnew_array(double, d);

    for (size_t j = 0; j < d; j++) {
        double deviation = sqrt(c[j * d + j]);

        factor[j] =
            wanted && deviation > 1e-14 * fabs(mean[j]) && deviation > 0 ? 1 / deviation : 1;
    }
    for (size_t i = 0; i < d * d; i++) {
        c[i] *= factor[i / d] * factor[i % d];
    }
    return factor;
}

static int choose(const struct step *s, size_t n, size_t d, double *values, size_t *k,
                  struct err *e)
{
    size_t most = n < d ? n : d;
    double sum = 0, kept = 0;

    *k = (size_t)step_int(s, "k");
    for (size_t i = 0; i < d; i++) {
        values[i] = values[i] > 0 ? values[i] : 0;
        sum += values[i];
    }
    if (sum == 0) {
        return err_set(e, ERR_DATA, "all columns are constant: there is nothing to reduce");
    }
    if (*k > most) {
        return err_set(e, ERR_DATA, "k=%zu: %zu columns of %zu rows have at most %zu components",
                       *k, d, n, most);
    }
    for (size_t i = 0; step_int(s, "k") == 0 && i < most; i++) {
        kept += values[i];
        *k = i + 1;
        if (kept >= step_real(s, "variance") * sum * (1 - 1e-12)) {
            break;
        }
    }
    return 0;
}

static void report(const struct pca *x, const double *values, const double *vectors,
                   struct buf *out)
{
    struct jw w = JW(out);
    double sum = 0;

    for (size_t i = 0; i < x->n; i++) {
        sum += values[i];
    }
    jw_object(&w);
    jw_kv_c(&w, "report", "pca");
    jw_key(&w, "columns");
    jw_array(&w);
    for (size_t j = 0; j < x->n; j++) {
        jw_str(&w, str_of(x->columns[j]));
    }
    jw_end(&w);
    jw_key(&w, "components");
    jw_array(&w);
    for (size_t k = 0; k < x->k; k++) {
        SCOPED(freep) char *name = xasprintf("%s%zu", x->prefix, k + 1);

        jw_object(&w);
        jw_kv_c(&w, "name", name);
        number_json_kv(&w, "variance", values[k]);
        number_json_kv(&w, "ratio", values[k] / sum);
        jw_key(&w, "weights");
        jw_array(&w);
        for (size_t j = 0; j < x->n; j++) {
            number_json(&w, vectors[k * x->n + j]);
        }
        jw_end(&w);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
}

static void say(const struct step *s, const struct pca *x, const double *values)
{
    double sum = 0, kept = 0;

    for (size_t i = 0; i < x->n; i++) {
        sum += values[i];
        kept += i < x->k ? values[i] : 0;
    }
    progress_say(s->progress, "%zu of %zu components keep %.4g of the variance", x->k, x->n,
                 kept / sum);
    progress_result(s->progress, &(struct metric){"variance_kept", kept / sum}, 1);
}

static struct pca *learn(struct step *s, struct pca_products *f, struct err *e)
{
    size_t d = f->d, k;
    SCOPED(big_freep) double *c = pca_covariance(f, e);
    SCOPED(freep)
    double *factor = c ? standardise(c, d, f->mean, step_true(s, "standardize")) : NULL;
    SCOPED(freep) double *values = xnew_array(double, d);
    SCOPED(pca_freep) struct pca *x = NULL;
    struct buf text = BUF_MAX(ML_LIMIT_REPORT_BYTES);

    if (c == NULL || eigen_symmetric(d, c, values, e) < 0 ||
        choose(s, f->t->n_rows, d, values, &k, e) < 0) {
        return NULL;
    }
    x = pca_new(d, k, e);
    if (x == NULL) {
        return NULL;
    }
    x->prefix = str_dup(step_text(s, "prefix"));
    x->fill = step_choice(s, "missing") == 1;
    for (size_t j = 0; j < d; j++) {
        x->columns[j] = xstrdup(f->columns[j]->name);
        x->mean[j] = f->mean[j];
    }
    for (size_t i = 0; i < k * d; i++) {
        double deviation = sqrt(values[i / d]);

        x->matrix[i] =
            c[i] * factor[i % d] / (step_true(s, "whiten") && deviation > 0 ? deviation : 1);
    }
    report(x, values, c, &text);
    if (text.failed) {
        buf_done(&text);
        text = BUF_MAX(ML_LIMIT_REPORT_BYTES);
        (void)buf_add_c(&text, "{\"report\":\"pca\",\"too_large\":true}");
    }
    step_out_report(s, "report", text);
    say(s, x, values);
    return TAKE(x);
}

static struct pca *fit(struct step *s, const struct table *t, struct err *e)
{
    size_t n;
    SCOPED(freep) uint32_t *chosen = select_columns(t, step_text(s, "cols"), NULL, 0, &n, e);
    struct pca names = {.n = n, .fill = step_choice(s, "missing") == 1};
    struct pca_products f = {.t = t, .threads = s->threads, .d = n};
    SCOPED(freep) char **list = chosen ? xnew_array(char *, n) : NULL;
    SCOPED(freep) double *mean = chosen ? xnew_array(double, n) : NULL;
    SCOPED(freep) const struct column **columns = NULL;
    struct pca *x = NULL;

    for (size_t j = 0; list && j < n; j++) {
        list[j] = t->columns[chosen[j]].name;
        if (table_need_numbers(t, str_of(list[j]), e) == NULL) {
            return NULL;
        }
    }
    names.columns = list;
    columns = list ? pca_find_columns(&names, t, e) : NULL;
    if (list == NULL) {
        err_wrap(e, "cols");
        return NULL;
    }
    if (columns && t->n_rows < 2) {
        err_set(e, ERR_DATA, "the table has %zu rows: at least two are needed", t->n_rows);
        return NULL;
    }
    f.columns = columns;
    f.mean = mean;
    x = columns ? learn(s, &f, e) : NULL;
    big_free(f.sums);
    big_free(f.rows);
    return x;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct pca *body = step_text(s, "prefix").len > 0 ? fit(s, t, e) : NULL;
    SCOPED(transform_freep)
    struct transform *x = body ? transform_new(&transform_pca, body) : NULL;
    struct table *out;

    if (step_text(s, "prefix").len == 0) {
        return err_set(e, ERR_INVALID, "prefix: components need a name");
    }
    if (x == NULL) {
        return -1;
    }
    if (step_wants(s, "table")) {
        out = transform_apply(x, t, e);
        if (out == NULL) {
            return -1;
        }
        step_out_table(s, "table", out);
    }
    step_out_transform(s, "transform", TAKE(x));
    return 0;
}

/* The columns that stay, and the components when their number is told. */
static struct table *outline(struct check *c, const uint32_t *chosen, size_t n)
{
    const struct table *t = check_table(c, "table");
    SCOPED(freep) uint32_t *rest = xnew_array(uint32_t, t->n_columns + 1);
    size_t n_rest = 0, at = 0;
    struct table *out;

    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (at < n && chosen[at] == i) {
            at++;
        } else {
            rest[n_rest++] = i;
        }
    }
    out = check_some(c, "table", rest, n_rest);
    for (int64_t k = 0; out && k < step_int(&c->step, "k"); k++) {
        SCOPED(freep)
        char *name =
            xasprintf("%.*s%lld", STR_ARG(step_text(&c->step, "prefix")), (long long)k + 1);

        check_add_column(c, out, "prefix", str_of(name), COLUMN_NUMBER);
    }
    return out;
}

static void check(struct check *c)
{
    size_t n;
    int64_t k = step_int(&c->step, "k");
    bool open = check_open(c, "table");
    SCOPED(freep)
    uint32_t *chosen = check_columns(c, "table", "cols", CHECK_NUMBERS, NULL, 0, "one_hot", &n);

    if (step_text(&c->step, "prefix").len == 0) {
        check_mistake(c, NULL, "prefix", NULL, "components need a name");
    }
    if (chosen && !open && k > (int64_t)n) {
        check_mistake(c, "table", "k", NULL, "%zu columns have at most %zu components", n, n);
        k = 0;
    }
    check_out_table(c, "table", chosen && !open ? outline(c, chosen, n) : NULL, open || k == 0);
    check_out_transform(c, "transform");
    check_out_report(c, "report");
}

const struct module module_pca = {
    .name = "pca",
    .title = "Principal components",
    .description = "Replaces columns of numbers by the few directions in which rows differ most. A "
                   "model trained on the result applies the same to new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+12*cells+8*columns*columns*cpus+64Mi",
    .run = run,
    .check = check,
};
