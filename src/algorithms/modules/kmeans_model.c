/* The model of kmeans: docs/formats/model.md. */
#include "algorithms/modules/kmeans.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = CENTRES_BLOCK };

static void kmeans_free(void *body)
{
    struct kmeans *b = body;

    if (b) {
        centres_done(&b->centres);
        big_free(b->sizes);
        free(b);
    }
}

int kmeans_init(struct kmeans *b, size_t k, size_t d, struct err *e)
{
    if (centres_init(&b->centres, k, d, e) < 0) {
        return -1;
    }
    b->sizes = big_alloc(k, sizeof(double), "the clusters", e);
    return b->sizes ? 0 : -1;
}

/* Rows to length 1; one of zeroes stays. */
static void to_unit(double *x, size_t d)
{
    double sum[BLOCK] = {0};

    for (size_t j = 0; j < d; j++) {
        for (size_t i = 0; i < BLOCK; i++) {
            sum[i] += x[j * BLOCK + i] * x[j * BLOCK + i];
        }
    }
    for (size_t i = 0; i < BLOCK; i++) {
        sum[i] = sum[i] > 0 ? 1 / sqrt(sum[i]) : 0;
    }
    for (size_t j = 0; j < d; j++) {
        for (size_t i = 0; i < BLOCK; i++) {
            x[j * BLOCK + i] *= sum[i];
        }
    }
}

void kmeans_gather(const struct model *m, const double *const *columns, size_t first, size_t n,
                   double *x)
{
    const struct kmeans *b = m->body;

    for (size_t j = 0; j < b->centres.d; j++) {
        const double *from = columns[j] + first;
        double fill = m->features.fill[j], origin = b->centres.origin[j];

        for (size_t i = 0; i < n; i++) {
            x[j * BLOCK + i] = (isnan(from[i]) ? fill : from[i]) - origin;
        }
        memset(x + j * BLOCK + n, 0, (BLOCK - n) * sizeof(double));
    }
    if (b->cosine) {
        to_unit(x, b->centres.d);
    }
}

/* Without the cancellation of the product. */
static double distance(const struct kmeans *b, const double *x, size_t i, size_t k)
{
    const double *at = b->centres.at + k * b->centres.d;
    double sum = 0;

    for (size_t j = 0; j < b->centres.d; j++) {
        double v = x[j * BLOCK + i] - at[j];

        sum += v * v;
    }
    return b->cosine ? sum / 2 : sum; /* of length 1: 1 - cos */
}

struct scratch {
    double *x, *z;
};

static void scratch_free(void *p)
{
    struct scratch *w = p;

    big_free(w->x);
    big_free(w->z);
    free(w);
}

static void *scratch(const struct model *m, struct err *e)
{
    const struct centres *c = &((const struct kmeans *)m->body)->centres;
    struct scratch *w = xnew(struct scratch);

    w->x = big_alloc(c->d, BLOCK * sizeof(double), "prediction", e);
    w->z = w->x ? big_alloc(c->rows, BLOCK * sizeof(double), "prediction", e) : NULL;
    if (w->z == NULL) {
        scratch_free(w);
        return NULL;
    }
    return w;
}

static void predict(const struct model *m, const double *const *columns, size_t first, size_t n,
                    void *p, double *out)
{
    const struct kmeans *b = m->body;
    struct scratch *w = p;
    double nearest[BLOCK], score[BLOCK];

    for (size_t from = 0; from < n; from += BLOCK) {
        size_t rows = n - from < BLOCK ? n - from : BLOCK;

        kmeans_gather(m, columns, first + from, rows, w->x);
        centres_nearest(&b->centres, w->x, w->z, nearest, score);
        for (size_t i = 0; i < rows; i++, out += 2) {
            double far = distance(b, w->x, i, (size_t)nearest[i]);

            out[0] = nearest[i];
            out[1] = b->cosine ? far : sqrt(far);
        }
    }
}

static void write_body(const struct model *m, struct binw *w)
{
    const struct kmeans *b = m->body;

    binw_u32(w, (uint32_t)b->centres.k);
    binw_u32(w, b->cosine);
    binw_u32(w, b->iterations);
    binw_f64(w, b->inertia);
    binw_f64s(w, b->sizes, b->centres.k);
    binw_f64s(w, b->centres.origin, b->centres.d);
    binw_f64s(w, b->centres.at, b->centres.k * b->centres.d);
}

static int read_body(struct model *m, struct binr *r, struct err *e)
{
    uint32_t k = binr_u32(r), cosine = binr_u32(r);
    struct kmeans *b;

    if (r->bad || m->task != TASK_CLUSTERS || k < 1 || cosine > 1 ||
        (uint64_t)k * m->features.n > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: %u clusters", k);
    }
    b = m->body = xnew(struct kmeans);
    b->cosine = cosine;
    if (kmeans_init(b, k, m->features.n, e) < 0) {
        return -1;
    }
    b->iterations = binr_u32(r);
    b->inertia = binr_f64(r);
    binr_f64s(r, b->sizes, k);
    binr_f64s(r, b->centres.origin, b->centres.d);
    binr_f64s(r, b->centres.at, k * b->centres.d);
    for (size_t i = 0; i < k * b->centres.d; i++) {
        if (!isfinite(b->centres.at[i]) || !isfinite(b->centres.origin[i % b->centres.d])) {
            return err_set(e, ERR_DATA, "damaged: a centre is not finite");
        }
    }
    centres_prepare(&b->centres);
    return r->bad ? err_set(e, ERR_DATA, "damaged: it ends inside the clusters") : 0;
}

static void describe(const struct model *m, struct jw *w)
{
    const struct kmeans *b = m->body;

    jw_key(w, "figures");
    jw_object(w);
    jw_kv_i64(w, "clusters", (int64_t)b->centres.k);
    jw_kv_i64(w, "iterations", b->iterations);
    number_json_kv(w, "inertia", b->inertia);
    jw_end(w);
}

const struct model_type model_kmeans = {
    .kind = 30,
    .module = "kmeans",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = scratch_free,
    .predict = predict,
    .write = write_body,
    .read = read_body,
    .free = kmeans_free,
    .describe = describe,
};
