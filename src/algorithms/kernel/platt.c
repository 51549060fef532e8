#include "algorithms/kernel/platt.h"

#include <math.h>
#include <stdbool.h>

enum { MAX_ITER = 100 };

struct curve {
    const double *scores, *weights;
    const int8_t *side;
    size_t n;
    double high, low; /* what the two sides are to become: never quite 1 and 0 */
};

static double weight_at(const struct curve *c, size_t i)
{
    return c->weights ? c->weights[i] : 1;
}

static double loss(const struct curve *c, struct platt p)
{
    double sum = 0;

    for (size_t i = 0; i < c->n; i++) {
        double t = c->side[i] > 0 ? c->high : c->low, z = c->scores[i] * p.a + p.b;

        sum += weight_at(c, i) * (z >= 0 ? t * z + log1p(exp(-z)) : (t - 1) * z + log1p(exp(z)));
    }
    return sum;
}

struct slopes {
    double a, b, aa, ab, bb;
};

static struct slopes slopes_at(const struct curve *c, struct platt p)
{
    struct slopes s = {.aa = 1e-12, .bb = 1e-12}; /* never singular */

    for (size_t i = 0; i < c->n; i++) {
        double f = c->scores[i], w = weight_at(c, i), q = platt_probability(&p, f);
        double d = w * ((c->side[i] > 0 ? c->high : c->low) - q), h = w * q * (1 - q);

        s.aa += f * f * h;
        s.ab += f * h;
        s.bb += h;
        s.a += f * d;
        s.b += d;
    }
    return s;
}

/* A step of Newton, halved until it helps; false: it does not, or the top is reached. */
static bool climb(const struct curve *c, struct platt *p, double *value)
{
    struct slopes s = slopes_at(c, *p);
    double det = s.aa * s.bb - s.ab * s.ab, slope, total = 0;
    struct platt d;

    for (size_t i = 0; i < c->n; i++) {
        total += weight_at(c, i);
    }
    if (fmax(fabs(s.a), fabs(s.b)) < 1e-10 * total) {
        return false;
    }
    d.a = -(s.bb * s.a - s.ab * s.b) / det;
    d.b = -(s.aa * s.b - s.ab * s.a) / det;
    slope = s.a * d.a + s.b * d.b;
    for (double step = 1; step >= 1e-10; step /= 2) {
        struct platt next = {p->a + step * d.a, p->b + step * d.b};
        double v = loss(c, next);

        if (v < *value + 1e-4 * step * slope) {
            *p = next;
            *value = v;
            return true;
        }
    }
    return false;
}

struct platt platt_fit(const double *scores, const int8_t *side, const double *weights, size_t n)
{
    struct curve c = {.scores = scores, .side = side, .weights = weights, .n = n};
    double yes = 0, no = 0, value;
    struct platt p = {0};

    for (size_t i = 0; i < n; i++) {
        yes += side[i] > 0 ? weight_at(&c, i) : 0;
        no += side[i] > 0 ? 0 : weight_at(&c, i);
    }
    c.high = (yes + 1) / (yes + 2);
    c.low = 1 / (no + 2);
    p.b = log((no + 1) / (yes + 1));
    value = loss(&c, p);
    for (int i = 0; i < MAX_ITER && climb(&c, &p, &value); i++) {
    }
    return p;
}

double platt_probability(const struct platt *p, double score)
{
    double z = score * p->a + p->b, t = exp(-fabs(z));

    return z >= 0 ? t / (1 + t) : 1 / (1 + t);
}

/* Q of the paper: minimise p' Q p where the p sum to 1. */
static void make_system(const double *r, size_t k, double *q)
{
    for (size_t i = 0; i < k; i++) {
        q[i * k + i] = 0;
        for (size_t j = 0; j < k; j++) {
            if (j != i) {
                q[i * k + i] += r[j * k + i] * r[j * k + i];
                q[i * k + j] = -r[j * k + i] * r[i * k + j];
            }
        }
    }
}

void platt_couple(const double *r, size_t k, double *work, double *out)
{
    double *q = work, *qp = work + k * k;
    const double enough = 0.005 / (double)k / 1000;

    make_system(r, k, q);
    for (size_t i = 0; i < k; i++) {
        out[i] = 1 / (double)k;
    }
    for (size_t round = 0; round < 1000; round++) {
        double pqp = 0, worst = 0;

        for (size_t i = 0; i < k; i++) {
            qp[i] = 0;
            for (size_t j = 0; j < k; j++) {
                qp[i] += q[i * k + j] * out[j];
            }
            pqp += out[i] * qp[i];
        }
        for (size_t i = 0; i < k; i++) {
            worst = fmax(worst, fabs(qp[i] - pqp));
        }
        if (worst < enough) {
            return;
        }
        for (size_t i = 0; i < k; i++) {
            double by = (pqp - qp[i]) / q[i * k + i], all = 1 + by;

            out[i] += by;
            pqp = (pqp + by * (by * q[i * k + i] + 2 * qp[i])) / (all * all);
            for (size_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + by * q[i * k + j]) / all;
                out[j] /= all;
            }
        }
    }
}
