/* The transform of pca: components x (row - mean). */
#include "algorithms/modules/pca.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/shared.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void pca_free(void *body)
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

void pca_freep(struct pca **x)
{
    pca_free(*x);
}

const struct column **pca_find_columns(const struct pca *x, const struct table *t, struct err *e)
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
    SCOPED(freep) const struct column **from = pca_find_columns(x, t, e);
    SCOPED(table_freep) struct table *out = from ? frame(x, t, e) : NULL;
    SCOPED(big_freep)
    double *in =
        out ? big_alloc(x->n + x->k, PCA_BLOCK * sizeof(double), "the components", e) : NULL;
    struct column *to = out ? out->columns + out->n_columns - x->k : NULL;
    double *z = in ? in + x->n * PCA_BLOCK : NULL;

    for (size_t first = 0; in && first < t->n_rows; first += PCA_BLOCK) {
        size_t n = t->n_rows - first < PCA_BLOCK ? t->n_rows - first : PCA_BLOCK;

        for (size_t j = 0; j < x->n; j++) {
            for (size_t i = 0; i < n; i++) {
                double v = from[j]->numbers[first + i];

                in[j * PCA_BLOCK + i] = isnan(v) ? 0 : v - x->mean[j];
            }
        }
        memset(z, 0, x->k * PCA_BLOCK * sizeof(double));
        simd_get()->gemm_f64(&(struct gemm_f64){.m = x->k,
                                                .n = PCA_BLOCK,
                                                .k = x->n,
                                                .a = x->matrix,
                                                .a_row = x->n,
                                                .a_col = 1,
                                                .b = in,
                                                .b_row = PCA_BLOCK,
                                                .b_col = 1,
                                                .c = z,
                                                .c_row = PCA_BLOCK});
        for (size_t k = 0; k < x->k; k++) {
            memcpy(to[k].numbers + first, z + k * PCA_BLOCK, n * sizeof(double));
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

struct pca *pca_new(size_t n, size_t k, struct err *e)
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
