#include "algorithms/kernel/optimise.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/simd.h"

#include <math.h>
#include <string.h>

enum { MEMORY = 10, LINE_CALLS = 25 };
static const double sufficient = 1e-4, curvature = 0.9;

/* The state of one run; all vectors lie in one piece of memory. */
struct run {
    struct optimise *o;
    size_t n;
    const struct simd *simd;
    double *x, *g;        /* where we are */
    double *next, *nextg; /* the trial point of the line search */
    double *d;            /* direction */
    double *pseudo;       /* gradient with the penalty */
    double *s[MEMORY], *y[MEMORY];
    double rho[MEMORY], alpha[MEMORY];
    unsigned kept, head; /* of s and y */
    double f;
};

static double largest(const double *g, size_t n)
{
    double m = 0;

    for (size_t i = 0; i < n; i++) {
        double v = fabs(g[i]);

        m = v > m ? v : m;
    }
    return m;
}

static double dot(const struct run *r, const double *a, const double *b)
{
    return r->simd->dot_f64(r->n, a, b);
}

static void add_scaled(size_t n, double a, const double *x, double *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += a * x[i];
    }
}

/* d = -H of g by the two loops over the remembered steps, newest first, then oldest first. */
static void direction(struct run *r, const double *g)
{
    for (size_t i = 0; i < r->n; i++) {
        r->d[i] = -g[i];
    }
    for (unsigned k = 0; k < r->kept; k++) {
        unsigned i = (r->head + MEMORY - 1 - k) % MEMORY;

        r->alpha[i] = r->rho[i] * dot(r, r->s[i], r->d);
        add_scaled(r->n, -r->alpha[i], r->y[i], r->d);
    }
    if (r->kept > 0) {
        unsigned i = (r->head + MEMORY - 1) % MEMORY;
        double scale = 1 / (r->rho[i] * dot(r, r->y[i], r->y[i]));

        for (size_t j = 0; j < r->n; j++) {
            r->d[j] *= scale;
        }
    }
    for (unsigned k = r->kept; k > 0; k--) {
        unsigned i = (r->head + MEMORY - k) % MEMORY;
        double beta = r->rho[i] * dot(r, r->y[i], r->d);

        add_scaled(r->n, r->alpha[i] - beta, r->s[i], r->d);
    }
}

struct point {
    double t, f, slope;
};

/* The function along the direction; leaves x and gradient in next and nextg. */
static struct point probe(struct run *r, double t)
{
    struct point p = {.t = t};

    for (size_t i = 0; i < r->n; i++) {
        r->next[i] = r->x[i] + t * r->d[i];
    }
    p.f = r->o->fn(r->o->ctx, r->next, r->nextg);
    r->o->calls++;
    p.slope = dot(r, r->nextg, r->d);
    return p;
}

/* The minimum of the cubic through two points with slopes, kept away from the ends. */
static double between(struct point a, struct point b)
{
    double d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t);
    double square = d1 * d1 - a.slope * b.slope;
    double low = a.t < b.t ? a.t : b.t, width = fabs(b.t - a.t);
    double t = low + width / 2;

    if (square >= 0) {
        double d2 = copysign(sqrt(square), b.t - a.t);

        t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    }
    if (!(t > low + 0.1 * width && t < low + 0.9 * width)) {
        t = low + width / 2;
    }
    return t;
}

static bool too_high(const struct point *start, const struct point *p)
{
    return !(p->f <= start->f + sufficient * p->t * start->slope);
}

static bool flat_enough(const struct point *start, const struct point *p)
{
    return fabs(p->slope) <= -curvature * start->slope;
}

/* Algorithm 3.6: a good point lies between low and high. */
static bool zoom(struct run *r, const struct point *start, struct point low, struct point high,
                 struct point *out, unsigned calls)
{
    for (; calls < LINE_CALLS; calls++) {
        struct point p = probe(r, between(low, high));

        if (too_high(start, &p) || p.f >= low.f) {
            high = p;
        } else {
            if (flat_enough(start, &p)) {
                *out = p;
                return true;
            }
            if (p.slope * (high.t - low.t) >= 0) {
                high = low;
            }
            low = p;
        }
    }
    if (low.t > 0) { /* not flat, but lower than the start */
        *out = probe(r, low.t);
        return true;
    }
    return false;
}

/* Algorithm 3.5: makes the step longer until the good points are bracketed. */
static bool line_search(struct run *r, double first, struct point *out)
{
    struct point start = {0, r->f, dot(r, r->g, r->d)}, before = start;
    double t = first;

    if (!(start.slope < 0)) {
        return false;
    }
    for (unsigned calls = 1; calls < LINE_CALLS; calls++) {
        struct point p = probe(r, t);

        if (too_high(&start, &p) || (calls > 1 && p.f >= before.f)) {
            return zoom(r, &start, before, p, out, calls);
        }
        if (flat_enough(&start, &p)) {
            *out = p;
            return true;
        }
        if (p.slope >= 0) {
            return zoom(r, &start, p, before, out, calls);
        }
        before = p;
        t *= 2;
    }
    return false;
}

/* Remembers the step from x to next and goes there. */
static void advance(struct run *r, double f)
{
    double *s = r->s[r->head], *y = r->y[r->head], *swap, sy;

    for (size_t i = 0; i < r->n; i++) {
        s[i] = r->next[i] - r->x[i];
        y[i] = r->nextg[i] - r->g[i];
    }
    sy = dot(r, s, y);
    if (sy > 0) {
        r->rho[r->head] = 1 / sy;
        r->head = (r->head + 1) % MEMORY;
        r->kept += r->kept < MEMORY;
    }
    memcpy(r->x, r->next, r->n * sizeof(double));
    swap = r->g;
    r->g = r->nextg;
    r->nextg = swap;
    r->f = f;
}

static void iterate(struct run *r)
{
    struct optimise *o = r->o;

    while (!o->converged && o->iterations < o->max_iter) {
        struct point p = {0};
        double before = r->f, step = r->kept ? 1 : 1 / sqrt(dot(r, r->g, r->g));

        direction(r, r->g);
        if (!line_search(r, step > 1 ? 1 : step, &p)) {
            if (r->kept == 0) {
                return; /* not even downhill: rounding is all that is left */
            }
            r->kept = 0; /* forget, and try straight down */
            continue;
        }
        advance(r, p.f);
        o->iterations++;
        o->gradient = largest(r->g, r->n);
        o->converged = o->gradient <= o->epsilon ||
                       before - r->f <= o->f_epsilon * fmax(fabs(before), fabs(r->f));
        if (o->each) {
            o->each(o->ctx, o->iterations, r->f, o->gradient);
        }
    }
}

/* --- with a penalty on absolute values ---------------------------------------------------------
 */

static double penalty(const struct run *r, const double *x)
{
    double sum = 0;

    for (size_t i = 0; i < r->n; i++) {
        sum += r->o->l1[i] * fabs(x[i]);
    }
    return sum;
}

/* The steepest way down of value and penalty, turned round: 0 where zero is best. */
static void pseudo_gradient(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        double l = r->o->l1[i], up = r->g[i] + l, down = r->g[i] - l;

        if (r->x[i] != 0) {
            r->pseudo[i] = r->x[i] > 0 ? up : down;
        } else {
            r->pseudo[i] = up < 0 ? up : down > 0 ? down : 0;
        }
    }
}

/* A step that stays in its orthant: what would change its sign becomes 0. */
static double probe_orthant(struct run *r, double t)
{
    for (size_t i = 0; i < r->n; i++) {
        double sign = r->x[i] != 0 ? r->x[i] : -r->pseudo[i];

        r->next[i] = r->x[i] + t * r->d[i];
        if (r->o->l1[i] > 0 && r->next[i] * sign <= 0) {
            r->next[i] = 0;
        }
    }
    r->o->calls++;
    return r->o->fn(r->o->ctx, r->next, r->nextg) + penalty(r, r->next);
}

/* Halves the step until it lowers the value; false: none does. */
static bool search_orthant(struct run *r, double t, double *f)
{
    for (unsigned calls = 0; calls < 2 * LINE_CALLS; calls++) {
        double promised = 0;

        *f = probe_orthant(r, t);
        for (size_t i = 0; i < r->n; i++) {
            promised += r->pseudo[i] * (r->next[i] - r->x[i]);
        }
        if (promised < 0 && *f <= r->f + sufficient * promised) {
            return true;
        }
        t /= 2;
    }
    return false;
}

static void iterate_l1(struct run *r)
{
    struct optimise *o = r->o;

    pseudo_gradient(r);
    o->gradient = largest(r->pseudo, r->n);
    o->converged = o->gradient <= o->epsilon;
    while (!o->converged && o->iterations < o->max_iter) {
        double before = r->f, f, step = r->kept ? 1 : 1 / sqrt(dot(r, r->pseudo, r->pseudo));

        direction(r, r->pseudo);
        for (size_t i = 0; i < r->n; i++) {
            r->d[i] = r->d[i] * r->pseudo[i] < 0 ? r->d[i] : 0;
        }
        if (!search_orthant(r, step > 1 ? 1 : step, &f)) {
            if (r->kept == 0) {
                return; /* not even downhill: rounding is all that is left */
            }
            r->kept = 0; /* forget, and try straight down */
            continue;
        }
        advance(r, f);
        o->iterations++;
        pseudo_gradient(r);
        o->gradient = largest(r->pseudo, r->n);
        o->converged = o->gradient <= o->epsilon ||
                       before - r->f <= o->f_epsilon * fmax(fabs(before), fabs(r->f));
        if (o->each) {
            o->each(o->ctx, o->iterations, r->f, o->gradient);
        }
    }
}

int optimise_lbfgs(struct optimise *o, size_t n, double *x, struct err *e)
{
    struct run r = {.o = o, .n = n, .simd = simd_get(), .x = x};
    SCOPED(big_freep)
    double *all = big_alloc(n, (5 + 2 * MEMORY) * sizeof(double), "the memory of the optimiser", e);
    double *at = all;

    if (all == NULL) {
        return -1;
    }
    r.g = at, at += n;
    r.next = at, at += n;
    r.nextg = at, at += n;
    r.d = at, at += n;
    r.pseudo = at, at += n;
    for (int i = 0; i < MEMORY; i++) {
        r.s[i] = at, at += n;
        r.y[i] = at, at += n;
    }
    r.f = o->fn(o->ctx, r.x, r.g);
    o->iterations = 0;
    o->calls = 1;
    o->gradient = largest(r.g, n);
    if (!isfinite(r.f)) {
        return err_set(e, ERR_DATA, "the loss is not finite before the first step");
    }
    o->converged = o->gradient <= o->epsilon;
    if (o->l1) {
        r.f += penalty(&r, r.x);
        iterate_l1(&r);
    } else {
        iterate(&r);
    }
    o->value = r.f;
    return 0;
}
