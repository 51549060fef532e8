#include "algorithms/kernel/net.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/simd.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ML_LIMIT_LAYERS + 1 <= ARRAY_LEN(((struct net_work *)0)->a), "room for every layer");

void net_done(struct net *n)
{
    free(n->sizes);
    big_free(n->params);
    *n = (struct net){0};
}

int net_init(struct net *n, const uint32_t *sizes, size_t n_layers, enum net_activation activation,
             struct err *e)
{
    *n = (struct net){.activation = activation, .n_layers = n_layers};
    n->sizes = xnew_array(uint32_t, n_layers + 1);
    memcpy(n->sizes, sizes, (n_layers + 1) * sizeof(*sizes));
    for (size_t l = 0; l < n_layers; l++) { /* sizes are below 2^17: no overflow */
        n->n_params += (sizes[l] + 1ULL) * sizes[l + 1];
    }
    if (n->n_params > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA, "the layers need %zu parameters, and %llu are the limit",
                       n->n_params, ML_LIMIT_PARAMETERS);
    }
    n->params = big_alloc(n->n_params, sizeof(float), "the model", e);
    return n->params ? 0 : -1;
}

void net_randomise(struct net *n, struct rng *rng)
{
    float *p = n->params;

    for (size_t l = 0; l < n->n_layers; l++) {
        size_t count = (n->sizes[l] + 1ULL) * n->sizes[l + 1];
        double bound = sqrt(6.0 / ((double)n->sizes[l] + n->sizes[l + 1]));

        for (size_t i = 0; i < count; i++) {
            *p++ = (float)((2 * rng_unit(rng) - 1) * bound);
        }
    }
}

int net_work_init(struct net_work *w, const struct net *n, size_t rows, struct err *e)
{
    size_t total = 0;
    float *at;

    for (size_t l = 0; l <= n->n_layers; l++) {
        total += n->sizes[l];
    }
    *w = (struct net_work){.rows = rows};
    w->memory = big_alloc(total * 2, rows * sizeof(float), "the activations", e);
    at = w->memory;
    for (size_t l = 0; at && l <= n->n_layers; l++) {
        w->a[l] = at, at += rows * n->sizes[l];
        w->d[l] = at, at += rows * n->sizes[l];
    }
    return w->memory ? 0 : -1;
}

void net_work_done(struct net_work *w)
{
    big_free(w->memory);
    *w = (struct net_work){0};
}

static void relu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN, to be seen in the loss */
    }
}

/* tanh x = 1 - 2 / (exp 2x + 1) */
static void tanh_all(const struct simd *simd, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] *= 2;
    }
    simd->exp_f32(x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] = 1 - 2 / (x[i] + 1);
    }
}

static void softmax(const struct simd *simd, float *p, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = p + r * n, top = row[0];

        for (size_t k = 1; k < n; k++) {
            top = row[k] > top ? row[k] : top;
        }
        for (size_t k = 0; k < n; k++) {
            row[k] -= top;
        }
    }
    simd->exp_f32(p, rows * n);
    for (size_t r = 0; r < rows; r++) {
        float *row = p + r * n, sum = 0;

        for (size_t k = 0; k < n; k++) {
            sum += row[k];
        }
        for (size_t k = 0; k < n; k++) {
            row[k] /= sum;
        }
    }
}

/* z = a W + b */
static void layer_scores(const struct simd *simd, const float *w, size_t in, size_t out,
                         const float *a, size_t rows, float *z)
{
    for (size_t r = 0; r < rows; r++) {
        memcpy(z + r * out, w + in * out, out * sizeof(float));
    }
    simd->gemm_f32(&(struct gemm_f32){.m = rows,
                                      .n = out,
                                      .k = in,
                                      .a = a,
                                      .a_row = in,
                                      .a_col = 1,
                                      .b = w,
                                      .b_row = out,
                                      .b_col = 1,
                                      .c = z,
                                      .c_row = out});
}

void net_forward(const struct net *n, struct net_work *w, size_t rows)
{
    const struct simd *simd = simd_get();
    const float *p = n->params;

    for (size_t l = 0; l < n->n_layers; l++) {
        size_t in = n->sizes[l], out = n->sizes[l + 1];

        layer_scores(simd, p, in, out, w->a[l], rows, w->a[l + 1]);
        p += (in + 1) * out;
        if (l + 1 == n->n_layers) {
            if (n->end == NET_SOFTMAX) {
                softmax(simd, w->a[l + 1], rows, out);
            }
        } else if (n->activation == NET_RELU) {
            relu(w->a[l + 1], rows * out);
        } else {
            tanh_all(simd, w->a[l + 1], rows * out);
        }
    }
}

double net_loss(const struct net *n, const struct net_work *w, size_t rows,
                const struct net_truth *t)
{
    size_t out = n->sizes[n->n_layers];
    const float *p = w->a[n->n_layers];
    double loss = 0;

    for (size_t r = 0; r < rows; r++) {
        float weight = t->weights ? t->weights[r] : 1;

        if (n->end == NET_NUMBER) {
            double off = (double)p[r] - (double)t->targets[r];

            loss += (double)weight * off * off / 2;
        } else {
            float sure = p[r * out + t->classes[r]];

            loss -= weight * log((double)(sure < 1e-30F ? 1e-30F : sure));
        }
    }
    return loss;
}

/* d of the softmax and the cross entropy together, and of half a square: p - y. */
static void output_delta(const struct net *n, struct net_work *w, size_t rows,
                         const struct net_truth *t)
{
    size_t out = n->sizes[n->n_layers];
    const float *p = w->a[n->n_layers];
    float *d = w->d[n->n_layers];

    for (size_t r = 0; r < rows; r++) {
        float weight = t->weights ? t->weights[r] : 1;

        for (size_t k = 0; k < out; k++) {
            float y = n->end == NET_NUMBER ? t->targets[r] : k == t->classes[r] ? 1 : 0;

            d[r * out + k] = weight * (p[r * out + k] - y);
        }
    }
}

/* grad W = a^T d, grad b = column sums of d. */
static void layer_gradient(const struct simd *simd, size_t in, size_t out, const float *a,
                           const float *d, size_t rows, float *grad)
{
    float *bias = grad + in * out;

    memset(grad, 0, (in + 1) * out * sizeof(float));
    simd->gemm_f32(&(struct gemm_f32){.m = in,
                                      .n = out,
                                      .k = rows,
                                      .a = a,
                                      .a_row = 1,
                                      .a_col = in,
                                      .b = d,
                                      .b_row = out,
                                      .b_col = 1,
                                      .c = grad,
                                      .c_row = out});
    for (size_t r = 0; r < rows; r++) {
        simd->add_f32(bias, d + r * out, out);
    }
}

/* d of the layer before: (d W^T) times the slope of the activation, which its value tells. */
static void layer_delta(const struct simd *simd, const struct net *n, size_t in, size_t out,
                        const float *weights, const float *d, const float *a, size_t rows,
                        float *before)
{
    memset(before, 0, rows * in * sizeof(float));
    simd->gemm_f32(&(struct gemm_f32){.m = rows,
                                      .n = in,
                                      .k = out,
                                      .a = d,
                                      .a_row = out,
                                      .a_col = 1,
                                      .b = weights,
                                      .b_row = 1,
                                      .b_col = out,
                                      .c = before,
                                      .c_row = in});
    if (n->activation == NET_RELU) {
        for (size_t i = 0; i < rows * in; i++) {
            before[i] = a[i] > 0 ? before[i] : 0;
        }
        return;
    }
    for (size_t i = 0; i < rows * in; i++) {
        before[i] *= 1 - a[i] * a[i];
    }
}

double net_backward(const struct net *n, struct net_work *w, size_t rows, const struct net_truth *t,
                    float *grad)
{
    const struct simd *simd = simd_get();
    size_t at = n->n_params;

    output_delta(n, w, rows, t);
    for (size_t l = n->n_layers; l-- > 0;) {
        size_t in = n->sizes[l], out = n->sizes[l + 1];

        at -= (in + 1) * out;
        layer_gradient(simd, in, out, w->a[l], w->d[l + 1], rows, grad + at);
        if (l > 0) {
            layer_delta(simd, n, in, out, n->params + at, w->d[l + 1], w->a[l], rows, w->d[l]);
        }
    }
    return net_loss(n, w, rows, t);
}

void net_write(const struct net *n, struct binw *w)
{
    binw_u32(w, n->activation);
    binw_u32(w, (uint32_t)n->n_layers);
    binw_u32s(w, n->sizes, n->n_layers + 1);
    binw_f32s(w, n->params, n->n_params);
    if (n->end == NET_NUMBER) {
        binw_f64(w, n->shift);
        binw_f64(w, n->scale);
    }
}

static int check_sizes(const uint32_t *sizes, size_t n_layers, size_t n_features, size_t n_classes,
                       struct err *e)
{
    if (sizes[0] != n_features || sizes[n_layers] != n_classes) {
        return err_set(e, ERR_DATA, "damaged: the layers do not fit the features or the classes");
    }
    for (size_t l = 0; l <= n_layers; l++) {
        if (sizes[l] == 0 || sizes[l] > ML_LIMIT_LAYER_WIDTH) {
            return err_set(e, ERR_DATA, "damaged: layer %zu has %u units", l, sizes[l]);
        }
    }
    return 0;
}

int net_read(struct binr *r, struct net *n, size_t n_features, size_t n_classes, struct err *e)
{
    uint32_t sizes[ML_LIMIT_LAYERS + 1];
    uint32_t activation = binr_u32(r), n_layers = binr_u32(r);
    uint64_t n_params = 0;

    if (r->bad || activation > NET_TANH || n_layers == 0 || n_layers > ML_LIMIT_LAYERS) {
        return err_set(e, ERR_DATA, "damaged: %u layers with activation %u", n_layers, activation);
    }
    binr_u32s(r, sizes, n_layers + 1);
    if (check_sizes(sizes, n_layers, n_features, n_classes > 0 ? n_classes : 1, e) < 0) {
        return -1;
    }
    for (size_t l = 0; l < n_layers; l++) {
        n_params += (sizes[l] + 1ULL) * sizes[l + 1];
    }
    if (n_params > r->left / sizeof(float)) { /* before memory is taken for it */
        return err_set(e, ERR_DATA, "damaged: it ends inside the weights");
    }
    if (net_init(n, sizes, n_layers, (enum net_activation)activation, e) < 0) {
        return -1;
    }
    binr_f32s(r, n->params, n->n_params);
    for (size_t i = 0; i < n->n_params; i++) {
        if (!isfinite(n->params[i])) {
            return err_set(e, ERR_DATA, "damaged: weight %zu is not a finite number", i);
        }
    }
    if (n_classes == 0) {
        n->end = NET_NUMBER;
        n->shift = binr_f64(r);
        n->scale = binr_f64(r);
    }
    if (!isfinite(n->shift) || !isfinite(n->scale)) {
        return err_set(e, ERR_DATA, "damaged: the scale of the output is not finite");
    }
    return 0;
}
