/* pca - the directions in which rows differ most, from the eigenvectors of the covariance.
 *
 * Rows are cut into stripes whose borders depend on the table alone; a stripe is one task with a
 * matrix of its own, and these are added in the order of the stripes. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/eigen.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/shared.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the transform: components x (row - mean) ------------------------------------------------- */

enum { BLOCK = 256 };

struct pca {
    char **columns;
    double *mean;
    double *matrix; /* [k][n], with scale and whitening in it; big memory */
    size_t n, k;
    bool fill; /* a missing value counts as the mean; else it is an error */
    char *prefix;
};

static void pca_free(void *body)
{
    struct pca *x = body;

    for (size_t i = 0; x && i < x->n; i++) {
        free(x->columns[i]);
    }
    if (x) {
        free(x->columns);
        free(x->mean);
        big_free(x->matrix);
        free(x->prefix);
        free(x);
    }
}

static void pca_freep(struct pca **x)
{
    pca_free(*x);
}

static const struct column **find_columns(const struct pca *x, const struct table *t, struct err *e)
{
    SCOPED(freep) const struct column **found = xnew_array(const struct column *, x->n + 1);

    for (size_t j = 0; j < x->n; j++) {
        found[j] = table_need_numbers(t, str_of(x->columns[j]), e);
        if (found[j] == NULL) {
            e->kind = e->kind == ERR_INVALID ? ERR_DATA : e->kind;
            err_wrap(e, "the transform was fitted on column '%s'", x->columns[j]);
            return NULL;
        }
        for (size_t r = 0; r < t->n_rows; r++) {
            double v = found[j]->numbers[r];

            if (isinf(v) || (isnan(v) && !x->fill)) {
                err_set(e, ERR_DATA, "column '%s', row %zu: the value is %s%s", x->columns[j],
                        r + 1, isinf(v) ? "infinite" : "missing",
                        isinf(v) ? "" : " (missing=mean fills it)");
                return NULL;
            }
        }
        shared_rest(found[j]->data, found[j]->numbers, t->n_rows * sizeof(double));
    }
    return TAKE(found);
}

/* The other columns of the table, and behind them room for the components. */
static struct table *frame(const struct pca *x, const struct table *t, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    SCOPED(map_done) struct map used = {0};

    for (size_t j = 0; j < x->n; j++) {
        (void)map_put(&used, str_of(x->columns[j]), x->columns[j]);
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (map_get(&used, str_of(t->columns[i].name)) == NULL &&
            table_add_copy(out, &t->columns[i], e) < 0) {
            return NULL;
        }
    }
    for (size_t k = 0; k < x->k; k++) {
        SCOPED(freep) char *name = xasprintf("%s%zu", x->prefix, k + 1);

        if (table_add_numbers(out, str_of(name), e) == NULL) {
            err_wrap(e, "prefix");
            return NULL;
        }
    }
    return TAKE(out);
}

static struct table *pca_apply(const void *body, const struct table *t, struct err *e)
{
    const struct pca *x = body;
    SCOPED(freep) const struct column **from = find_columns(x, t, e);
    SCOPED(table_freep) struct table *out = from ? frame(x, t, e) : NULL;
    SCOPED(big_freep)
    double *in = out ? big_alloc(x->n + x->k, BLOCK * sizeof(double), "the components", e) : NULL;
    struct column *to = out ? out->columns + out->n_columns - x->k : NULL;
    double *z = in ? in + x->n * BLOCK : NULL;

    for (size_t first = 0; in && first < t->n_rows; first += BLOCK) {
        size_t n = t->n_rows - first < BLOCK ? t->n_rows - first : BLOCK;

        for (size_t j = 0; j < x->n; j++) {
            for (size_t i = 0; i < n; i++) {
                double v = from[j]->numbers[first + i];

                in[j * BLOCK + i] = isnan(v) ? 0 : v - x->mean[j];
            }
        }
        memset(z, 0, x->k * BLOCK * sizeof(double));
        simd_get()->gemm_f64(&(struct gemm_f64){.m = x->k,
                                                .n = BLOCK,
                                                .k = x->n,
                                                .a = x->matrix,
                                                .a_row = x->n,
                                                .a_col = 1,
                                                .b = in,
                                                .b_row = BLOCK,
                                                .b_col = 1,
                                                .c = z,
                                                .c_row = BLOCK});
        for (size_t k = 0; k < x->k; k++) {
            memcpy(to[k].numbers + first, z + k * BLOCK, n * sizeof(double));
        }
    }
    return in ? TAKE(out) : NULL;
}

static void pca_write(const void *body, struct binw *w)
{
    const struct pca *x = body;

    binw_u32(w, (uint32_t)x->n);
    binw_u32(w, (uint32_t)x->k);
    binw_u32(w, x->fill);
    binw_str(w, str_of(x->prefix));
    for (size_t i = 0; i < x->n; i++) {
        binw_str(w, str_of(x->columns[i]));
    }
    binw_f64s(w, x->mean, x->n);
    binw_f64s(w, x->matrix, x->n * x->k);
}

static struct pca *pca_new(size_t n, size_t k, struct err *e)
{
    SCOPED(pca_freep) struct pca *x = xnew(struct pca);

    x->columns = xnew_array(char *, n + 1);
    x->mean = xnew_array(double, n + 1);
    x->n = n;
    x->k = k;
    x->matrix = big_alloc(n * k, sizeof(double), "the components", e);
    return x->matrix ? TAKE(x) : NULL;
}

static void *pca_read(struct binr *r, struct err *e)
{
    uint32_t n = binr_u32(r), k = binr_u32(r), fill = binr_u32(r);
    SCOPED(freep) char *prefix = binr_name(r);
    SCOPED(pca_freep) struct pca *x = NULL;

    if (r->bad || n < 1 || n > ML_LIMIT_COLUMNS || k < 1 || k > n || fill > 1 ||
        (uint64_t)n * k > r->left / sizeof(double)) {
        err_set(e, ERR_DATA, "damaged: %u components of %u columns", k, n);
        return NULL;
    }
    x = pca_new(n, k, e);
    if (x == NULL) {
        return NULL;
    }
    x->fill = fill;
    x->prefix = TAKE(prefix);
    for (uint32_t i = 0; i < n; i++) {
        x->columns[i] = binr_name(r);
        if (x->columns[i] == NULL) {
            err_set(e, ERR_DATA, "damaged: column %u of a transform has no name", i);
            return NULL;
        }
    }
    binr_f64s(r, x->mean, n);
    binr_f64s(r, x->matrix, (size_t)n * k);
    if (r->bad) {
        err_set(e, ERR_DATA, "damaged: it ends inside a transform");
        return NULL;
    }
    return TAKE(x);
}

const struct transform_type transform_pca = {
    .kind = 30,
    .module = "pca",
    .apply = pca_apply,
    .write = pca_write,
    .read = pca_read,
    .free = pca_free,
};

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

enum { STRIPE_ROWS = 1024, STRIPES_MAX = 64, TILE_WIDTH = 16 };
static const size_t matrix_bytes_max = 256 * MIB;

struct fit {
    const struct table *t;
    const struct column **columns;
    struct threads *threads;
    double *mean; /* [d] */
    size_t d, width, stripes, stripe_rows;
    double *sums; /* [stripe][d][width] */
    double *rows; /* [worker][BLOCK][width] */
};

/* These rows were read and are not needed for a while. */
static void rest(const struct fit *f, size_t j, size_t first, size_t n)
{
    shared_rest(f->columns[j]->data, f->columns[j]->numbers + first, n * sizeof(double));
}

/* Products of the centred columns over one stripe. */
static void stripe(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    size_t from = task * f->stripe_rows, to = from + f->stripe_rows;
    double *x = f->rows + (size_t)worker * BLOCK * f->width;

    to = to < f->t->n_rows ? to : f->t->n_rows;
    for (size_t first = from; first < to; first += BLOCK) {
        size_t n = to - first < BLOCK ? to - first : BLOCK;

        for (size_t j = 0; j < f->d; j++) {
            const double *v = f->columns[j]->numbers + first;

            for (size_t i = 0; i < n; i++) {
                x[i * f->width + j] = isnan(v[i]) ? 0 : v[i] - f->mean[j];
            }
        }
        simd_get()->gemm_f64(&(struct gemm_f64){.m = f->d,
                                                .n = f->width,
                                                .k = n,
                                                .a = x,
                                                .a_row = 1,
                                                .a_col = f->width,
                                                .b = x,
                                                .b_row = f->width,
                                                .b_col = 1,
                                                .c = f->sums + task * f->d * f->width,
                                                .c_row = f->width});
    }
    for (size_t j = 0; j < f->d; j++) {
        rest(f, j, from, to - from);
    }
}

static int means(struct fit *f, struct err *e)
{
    for (size_t j = 0; j < f->d; j++) {
        double sum = 0;
        size_t n = 0;

        for (size_t r = 0; r < f->t->n_rows; r++) {
            double v = f->columns[j]->numbers[r];

            sum += isnan(v) ? 0 : v;
            n += !isnan(v);
        }
        f->mean[j] = n > 0 ? sum / (double)n : 0;
        rest(f, j, 0, f->t->n_rows);
        if (!isfinite(f->mean[j])) {
            return err_set(e, ERR_DATA, "column '%s': its values are too large to be averaged",
                           f->columns[j]->name);
        }
    }
    return 0;
}

/* [d][d], divisor n - 1; big memory. */
static double *covariance(struct fit *f, struct err *e)
{
    size_t most, n = f->t->n_rows;
    SCOPED(big_freep) double *out = big_alloc(f->d, f->d * sizeof(double), "the covariance", e);

    f->width = (f->d + TILE_WIDTH - 1) / TILE_WIDTH * TILE_WIDTH;
    most = matrix_bytes_max / ((f->d + 1) * f->width * sizeof(double) + 1);
    f->stripes = (n + STRIPE_ROWS - 1) / STRIPE_ROWS;
    f->stripes = f->stripes < STRIPES_MAX ? f->stripes : STRIPES_MAX;
    f->stripes = f->stripes < most ? f->stripes : most < 1 ? 1 : most;
    f->stripe_rows = (n + f->stripes - 1) / f->stripes;
    f->stripes = (n + f->stripe_rows - 1) / f->stripe_rows;
    f->sums =
        out ? big_alloc(f->stripes * f->d, f->width * sizeof(double), "the covariance", e) : NULL;
    f->rows = f->sums ? big_alloc((size_t)threads_count(f->threads) * BLOCK,
                                  f->width * sizeof(double), "the covariance", e)
                      : NULL;
    if (f->rows == NULL || means(f, e) < 0) {
        return NULL;
    }
    threads_each(f->threads, f->stripes, stripe, f);
    for (size_t task = 0; task < f->stripes; task++) {
        for (size_t i = 0; i < f->d; i++) {
            for (size_t j = 0; j < f->d; j++) {
                out[i * f->d + j] += f->sums[(task * f->d + i) * f->width + j] / (double)(n - 1);
            }
        }
    }
    for (size_t i = 0; i < f->d * f->d; i++) {
        if (!isfinite(out[i])) {
            err_set(e, ERR_DATA, "column '%s': its values are too large: scale it",
                    f->columns[i / f->d]->name);
            return NULL;
        }
    }
    return TAKE(out);
}

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

static struct pca *learn(struct step *s, struct fit *f, struct err *e)
{
    size_t d = f->d, k;
    SCOPED(big_freep) double *c = covariance(f, e);
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
    struct fit f = {.t = t, .threads = s->threads, .d = n};
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
    columns = list ? find_columns(&names, t, e) : NULL;
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
