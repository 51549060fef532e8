#include "algorithms/kernel/smo.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <string.h>

static const double flat = 1e-12; /* curvature of a pair of equal rows */
#define NO_SLOT UINT32_MAX

int smo_init(struct smo *s, size_t most, size_t cache_bytes, struct err *e)
{
    size_t slots = cache_bytes / sizeof(float) / (most + 1);

    *s = (struct smo){.most = most};
    s->slots = slots < 2 ? 2 : slots < most + 2 ? slots : most + 2;
    s->alpha = big_alloc(most, sizeof(double), "the support vectors", e);
    s->f = s->alpha ? big_alloc(most, sizeof(double), "the support vectors", e) : NULL;
    s->cache = s->f ? big_alloc(s->slots * most, sizeof(float), "the rows of the kernel", e) : NULL;
    s->slot_of = s->cache ? big_alloc(most, sizeof(uint32_t), "the rows of the kernel", e) : NULL;
    s->row_of =
        s->slot_of ? big_alloc(s->slots, sizeof(uint32_t), "the rows of the kernel", e) : NULL;
    s->used = s->row_of ? big_alloc(s->slots, sizeof(uint64_t), "the rows of the kernel", e) : NULL;
    return s->used ? 0 : -1;
}

void smo_done(struct smo *s)
{
    big_free(s->alpha);
    big_free(s->f);
    big_free(s->cache);
    big_free(s->slot_of);
    big_free(s->row_of);
    big_free(s->used);
    *s = (struct smo){0};
}

/* The row of the kernel, from the cache or into it; the one before stays valid. */
static const float *kernel_row(struct smo *s, size_t i)
{
    uint32_t slot = s->slot_of[i];

    if (slot == NO_SLOT) {
        slot = 0;
        for (uint32_t k = 1; k < s->slots; k++) {
            slot = s->used[k] < s->used[slot] ? k : slot;
        }
        if (s->row_of[slot] != NO_SLOT) {
            s->slot_of[s->row_of[slot]] = NO_SLOT;
        }
        s->slot_of[i] = slot;
        s->row_of[slot] = (uint32_t)i;
        s->row(s->ctx, i, s->cache + slot * s->n);
    }
    s->used[slot] = ++s->clock;
    return s->cache + slot * s->n;
}

/* Whether y a may rise, or fall. */
static bool may_rise(const struct smo *s, size_t i)
{
    return s->y[i] > 0 ? s->alpha[i] < s->c[i] : s->alpha[i] > 0;
}

static bool may_fall(const struct smo *s, size_t i)
{
    return s->y[i] > 0 ? s->alpha[i] > 0 : s->alpha[i] < s->c[i];
}

/* The one that wants to rise most; its partner gains most together with it. False: done. */
static bool choose(struct smo *s, size_t *rise, size_t *fall)
{
    double least = INFINITY, most = -INFINITY, best = 0;
    const float *row;
    bool found = false;

    for (size_t i = 0; i < s->n; i++) {
        if (may_rise(s, i) && s->f[i] < least) {
            least = s->f[i];
            *rise = i;
        }
    }
    if (isinf(least)) {
        return false;
    }
    row = kernel_row(s, *rise);
    for (size_t i = 0; i < s->n; i++) {
        double by = s->f[i] - least, curve = 2 - 2 * (double)row[i];

        if (!may_fall(s, i)) {
            continue;
        }
        most = s->f[i] > most ? s->f[i] : most;
        if (by > 0) {
            double gain = by * by / (curve > flat ? curve : flat);

            if (gain > best) {
                best = gain;
                *fall = i;
                found = true;
            }
        }
    }
    return found && most - least >= s->epsilon;
}

/* How far the pair may go: y a of `rise` up, of `fall` down. */
static double room(const struct smo *s, size_t rise, size_t fall)
{
    double up = s->y[rise] > 0 ? s->c[rise] - s->alpha[rise] : s->alpha[rise];
    double down = s->y[fall] > 0 ? s->alpha[fall] : s->c[fall] - s->alpha[fall];

    return up < down ? up : down;
}

/* Exactly onto a bound that is that near. */
static void move(struct smo *s, size_t i, double by)
{
    double a = s->alpha[i] + s->y[i] * by;

    s->alpha[i] = a < 1e-15 * s->c[i] ? 0 : a > s->c[i] * (1 - 1e-15) ? s->c[i] : a;
}

static void step(struct smo *s, size_t rise, size_t fall)
{
    const float *up = kernel_row(s, rise), *down = kernel_row(s, fall);
    double curve = 2 - 2 * (double)up[fall], by = s->f[fall] - s->f[rise],
           most = room(s, rise, fall);

    by /= curve > flat ? curve : flat;
    by = by < most ? by : most;
    move(s, rise, by);
    move(s, fall, -by);
    for (size_t i = 0; i < s->n; i++) {
        s->f[i] += by * ((double)up[i] - (double)down[i]);
    }
}

/* The mean slope of rows between their bounds; else the middle of what is possible. */
static double find_rho(const struct smo *s)
{
    double sum = 0, low = INFINITY, high = -INFINITY;
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        bool rise = may_rise(s, i), fall = may_fall(s, i);

        if (rise && fall) {
            sum += s->f[i];
            n++;
        }
        low = rise && s->f[i] < low ? s->f[i] : low;
        high = fall && s->f[i] > high ? s->f[i] : high;
    }
    if (n > 0) {
        return sum / (double)n;
    }
    return isfinite(low) && isfinite(high) ? (low + high) / 2 : isfinite(low) ? low : high;
}

void smo_solve(struct smo *s)
{
    size_t rise = 0, fall = 0;

    memset(s->alpha, 0, s->n * sizeof(*s->alpha));
    for (size_t i = 0; i < s->n; i++) {
        s->f[i] = -s->y[i];
        s->slot_of[i] = NO_SLOT;
    }
    for (size_t k = 0; k < s->slots; k++) {
        s->row_of[k] = NO_SLOT;
        s->used[k] = 0;
    }
    s->iterations = 0;
    s->converged = false;
    while (s->iterations < s->max_iter && !s->converged) {
        if (choose(s, &rise, &fall)) {
            step(s, rise, fall);
            s->iterations++;
        } else {
            s->converged = true;
        }
    }
    s->rho = find_rho(s);
}
