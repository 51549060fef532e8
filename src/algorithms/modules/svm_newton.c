#include "algorithms/modules/svm_newton.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dense.h"

#include <math.h>
#include <string.h>

enum { LOOKS_MAX = 300, HALVES_MAX = 10 };

/* At one w. */
struct look {
    double value;
    double length; /* of the gradient */
};

struct room {
    double *w, *g, *step; /* [d + 1] */
    double *hessian;      /* [d + 1][d + 1] */
};

/* hessian += by x x^T, the lower triangle. */
static void add_square(const struct svm_newton *p, const double *x, double by, double *hessian)
{
    size_t size = p->d + 1;

    for (size_t j = 0; j < p->d; j++) {
        double v = by * x[j];

        p->simd->rows_add(1, j + 1, x, &v, hessian + j * size);
    }
    if (p->intercept) {
        p->simd->rows_add(1, p->d, x, &by, hessian + p->d * size);
        hessian[p->d * size + p->d] += by;
    }
}

/* How far a row is from where it costs nothing; and twice its cost, 0: none. */
static double off_by(const struct svm_newton *p, const double *w, size_t row, double *twice)
{
    double y = p->classes[row] == p->positive ? 1 : -1;
    double off = 1 - y * (p->simd->dot_f64(p->d, p->x + row * p->d, w) + w[p->d]);

    *twice = off > 0 ? 2 * p->c * (p->weights ? p->weights[row] : 1) : 0;
    return off;
}

/* The value and the gradient. */
static struct look look(const struct svm_newton *p, struct room *m)
{
    size_t size = p->d + 1;
    struct look l = {.value = p->simd->dot_f64(size, m->w, m->w) / 2};

    memcpy(m->g, m->w, size * sizeof(*m->g));
    for (size_t i = 0; i < p->n; i++) {
        double twice, off = off_by(p, m->w, i, &twice);
        double by = p->classes[i] == p->positive ? -twice * off : twice * off;

        if (twice > 0) {
            l.value += twice / 2 * off * off;
            p->simd->rows_add(1, p->d, p->x + i * p->d, &by, m->g);
            m->g[p->d] += p->intercept ? by : 0;
        }
    }
    l.length = sqrt(p->simd->dot_f64(size, m->g, m->g));
    return l;
}

/* The second derivative. */
static void curve(const struct svm_newton *p, struct room *m)
{
    size_t size = p->d + 1;

    memset(m->hessian, 0, size * size * sizeof(*m->hessian));
    for (size_t j = 0; j < size; j++) {
        m->hessian[j * size + j] = 1;
    }
    for (size_t i = 0; i < p->n; i++) {
        double twice;

        (void)off_by(p, m->w, i, &twice);
        if (twice > 0) {
            add_square(p, p->x + i * p->d, twice, m->hessian);
        }
    }
}

/* The dual that belongs to w has a gradient in each row of no more than |g| |x|. */
static double longest(const struct svm_newton *p)
{
    double most = 0;

    for (size_t i = 0; i < p->n; i++) {
        most = p->squares[i] > most ? p->squares[i] : most;
    }
    return sqrt(most + (p->intercept ? 1 : 0));
}

/* w moves by `part` of the step. */
static void move(const struct svm_newton *p, struct room *m, double part)
{
    p->simd->rows_add(1, p->d + 1, m->step, &part, m->w);
}

/* A whole step, or half of it, or ...: as far as it is better there. Close to the end the value
 * cannot tell any more, but the gradient can. False: nowhere. */
static bool step(const struct svm_newton *p, struct room *m, unsigned *looks, struct look *at)
{
    double part = -1;

    curve(p, m);
    if (dense_cholesky(m->hessian, p->d + 1, 0) < 0) {
        return false;
    }
    memcpy(m->step, m->g, (p->d + 1) * sizeof(*m->step));
    dense_cholesky_solve(m->hessian, p->d + 1, m->step);
    move(p, m, part);
    for (unsigned i = 0; i < HALVES_MAX && *looks < LOOKS_MAX; i++) {
        struct look l = look(p, m);

        ++*looks;
        if (l.value < at->value || l.length < at->length / 2) {
            *at = l;
            return true;
        }
        part /= 2;
        move(p, m, -part);
    }
    return false;
}

bool svm_newton(const struct svm_newton *p, double *w)
{
    size_t size = p->d + 1;
    struct err e = {0}; /* without the memory the rounds go on */
    SCOPED(big_freep) double *all = big_alloc((size + 3) * size, sizeof(*all), "a model", &e);
    struct room m = {all, all + size, all + 2 * size, all + 3 * size};
    double reach = longest(p);
    unsigned looks = 1;
    struct look at;

    if (all == NULL) {
        return false;
    }
    memcpy(m.w, w, size * sizeof(*w));
    at = look(p, &m);
    while (!(2 * reach * at.length <= p->epsilon)) {
        if (!step(p, &m, &looks, &at)) {
            return false;
        }
    }
    memcpy(w, m.w, size * sizeof(*w));
    return true;
}
