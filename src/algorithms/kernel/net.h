/* net - a feed-forward network with a softmax at its end, or one plain number: what mlp trains.
 * Single precision.
 *
 *   x [rows][sizes[0]] -> W0 b0 -> activation -> W1 b1 -> ... -> softmax -> p [rows][classes]
 *
 * A net is read by any thread; a net_work belongs to one. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/rng.h"

enum net_activation { NET_RELU, NET_TANH };

enum net_end { NET_SOFTMAX, NET_NUMBER };

struct net {
    enum net_activation activation;
    enum net_end end;
    double shift, scale; /* NET_NUMBER: shift + scale x output is what people asked for */
    size_t n_layers;     /* of weights */
    uint32_t *sizes;     /* n_layers + 1 */
    float *params;       /* big memory: per layer [in][out] weights, then out intercepts */
    size_t n_params;
};

void net_done(struct net *n);
/* Zero parameters. ERR_DATA past ML_LIMIT_PARAMETERS. Copies the sizes. */
int net_init(struct net *n, const uint32_t *sizes, size_t n_layers, enum net_activation activation,
             struct err *e) MUST_USE;
/* Uniform in +-sqrt(6 / (in + out)), the intercepts too (Glorot, Bengio 2010). */
void net_randomise(struct net *n, struct rng *rng);

/* Activations and their derivatives for up to `rows` rows. */
struct net_work {
    float *memory; /* big memory */
    float *a[33];  /* a[0] is the input, a[n_layers] the probabilities */
    float *d[33];
    size_t rows;
};
int net_work_init(struct net_work *w, const struct net *n, size_t rows, struct err *e) MUST_USE;
void net_work_done(struct net_work *w);

/* From w->a[0] to probabilities, or the output, in w->a[n->n_layers]. */
void net_forward(const struct net *n, struct net_work *w, size_t rows);
/* What should have come out, by row. */
struct net_truth {
    const uint32_t *classes; /* NET_SOFTMAX */
    const float *targets;    /* NET_NUMBER: less shift, by scale */
    const float *weights;    /* NULL: 1 */
};
/* After net_forward(): the sum over rows of weight[row] times -log p[row][class], or half the
 * square of what the output is off. */
double net_loss(const struct net *n, const struct net_work *w, size_t rows,
                const struct net_truth *t);
/* The same, and sets grad (n_params) to the gradient of that sum. */
double net_backward(const struct net *n, struct net_work *w, size_t rows, const struct net_truth *t,
                    float *grad);

void net_write(const struct net *n, struct binw *w);
/* n_classes 0: NET_NUMBER. */
int net_read(struct binr *r, struct net *n, size_t n_features, size_t n_classes,
             struct err *e) MUST_USE;
