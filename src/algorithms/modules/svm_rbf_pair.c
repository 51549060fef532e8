#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/svm_rbf.h"

#include <string.h>

enum { CACHE_BYTES = 128 * MIB }; /* of all workers together */

void rbf_pair_done(struct rbf_pair *p)
{
    big_free(p->x);
    big_free(p->squares);
    big_free(p->c);
    big_free(p->row);
    big_free(p->y);
    big_free(p->of);
    big_free(p->scores);
    big_free(p->side);
    smo_done(&p->smo);
}

int rbf_pair_memory(struct rbf_pair *p, const struct rbf_fit *f, size_t most, struct err *e)
{
    const char *const what = "the rows of two classes";

    p->b = f->b;
    p->x = big_alloc(most * f->b->d, sizeof(double), what, e);
    p->squares = p->x ? big_alloc(most, sizeof(double), what, e) : NULL;
    p->c = p->squares ? big_alloc(most, sizeof(double), what, e) : NULL;
    p->row = p->c ? big_alloc(most, sizeof(double), what, e) : NULL;
    p->y = p->row ? big_alloc(most, 1, what, e) : NULL;
    p->of = p->y ? big_alloc(most, sizeof(uint32_t), what, e) : NULL;
    if (p->of == NULL || smo_init(&p->smo, most, CACHE_BYTES / f->n_pairs, e) < 0) {
        return -1;
    }
    if (f->b->curves) {
        p->scores = big_alloc(2 * most, sizeof(double), what, e);
        p->weights = p->scores + most;
        p->side = p->scores ? big_alloc(most, 1, what, e) : NULL;
    }
    return f->b->curves == NULL || p->side ? 0 : -1;
}

static void kernel_row(void *ctx, size_t i, float *to)
{
    struct rbf_pair *p = ctx;
    size_t d = p->b->d, n = p->smo.n;

    simd_get()->rows_dot(n, d, p->x, p->x + i * d, p->row);
    for (size_t j = 0; j < n; j++) {
        double far = p->squares[i] + p->squares[j] - 2 * p->row[j];

        p->row[j] = far > 0 ? -p->b->gamma * far : 0;
    }
    simd_get()->exp_f64(p->row, n);
    for (size_t j = 0; j < n; j++) {
        to[j] = (float)p->row[j];
    }
    to[i] = 1;
}

enum { NO_FOLD = PLATT_FOLDS };

/* The rows of a class to the end of the pair, but for those of a fold. */
static void gather_class(struct rbf_fit *f, struct rbf_pair *p, size_t class, int8_t y,
                         uint32_t but)
{
    double c = step_real(f->s, "C");
    size_t d = f->b->d;

    for (size_t i = f->first[class]; i < f->first[class + 1]; i++) {
        uint32_t row = f->sorted[i];
        size_t at = p->smo.n;

        if (but != NO_FOLD && f->folds.fold[row] == but) {
            continue;
        }
        p->smo.n++;
        memcpy(p->x + at * d, f->x + row * d, d * sizeof(double));
        p->squares[at] = simd_get()->dot_f64(d, f->x + row * d, f->x + row * d);
        p->c[at] = c * (f->t->weights ? f->t->weights[row] : 1);
        p->y[at] = y;
        p->of[at] = row;
    }
}

static struct rbf_pair *scratch_of(struct rbf_fit *f, unsigned worker)
{
    if (f->pair_of[worker] == 0) {
        f->pair_of[worker] = atomic_fetch_add(&f->came, 1) + 1;
    }
    return &f->pairs[f->pair_of[worker] - 1];
}

/* Solves classes a (1) and b (-1) without the rows of a fold. */
static void solve(struct rbf_fit *f, struct rbf_pair *p, size_t a, size_t b, uint32_t but)
{
    p->smo.n = 0;
    gather_class(f, p, a, 1, but);
    gather_class(f, p, b, -1, but);
    p->smo.y = p->y;
    p->smo.c = p->c;
    p->smo.row = kernel_row;
    p->smo.ctx = p;
    p->smo.epsilon = step_real(f->s, "epsilon");
    p->smo.max_iter = (uint64_t)step_int(f->s, "max_iter");
    smo_solve(&p->smo);
}

/* f of a row by what was solved; of one side alone that side. */
static double score_row(struct rbf_pair *p, const double *x)
{
    size_t n = p->smo.n, d = p->b->d;
    double own = simd_get()->dot_f64(d, x, x), sum = -p->smo.rho;

    if (n == 0 || p->y[0] == p->y[n - 1]) {
        return n == 0 ? 0 : p->y[0];
    }
    simd_get()->rows_dot(n, d, p->x, x, p->row);
    for (size_t j = 0; j < n; j++) {
        double far = p->squares[j] + own - 2 * p->row[j];

        p->row[j] = far > 0 ? -p->b->gamma * far : 0;
    }
    simd_get()->exp_f64(p->row, n);
    for (size_t j = 0; j < n; j++) {
        sum += p->smo.alpha[j] * p->y[j] * p->row[j];
    }
    return sum;
}

/* The curve of a pair from the scores of rows that were not learned from. */
static struct platt find_curve(struct rbf_fit *f, struct rbf_pair *p, size_t a, size_t b)
{
    const size_t classes[] = {a, b};
    size_t n = 0;

    for (uint32_t fold = 0; fold < PLATT_FOLDS; fold++) {
        solve(f, p, a, b, fold);
        for (size_t c = 0; c < 2; c++) {
            for (size_t i = f->first[classes[c]]; i < f->first[classes[c] + 1]; i++) {
                uint32_t row = f->sorted[i];

                if (f->folds.fold[row] == fold) {
                    p->scores[n] = score_row(p, f->x + row * p->b->d);
                    p->weights[n] = f->t->weights ? f->t->weights[row] : 1;
                    p->side[n++] = c == 0 ? 1 : -1;
                }
            }
        }
    }
    return platt_fit(p->scores, p->side, p->weights, n);
}

void rbf_solve_pair(void *ctx, size_t task, unsigned worker)
{
    struct rbf_fit *f = ctx;
    struct rbf_pair *p = scratch_of(f, worker);
    size_t k = f->b->k, a = 0, b = task;

    while (b >= k - 1 - a) { /* the pairs of class a come before those of a + 1 */
        b -= k - 1 - a;
        a++;
    }
    b += a + 1;
    if (f->b->curves) {
        f->b->curves[task] = find_curve(f, p, a, b);
    }
    solve(f, p, a, b, NO_FOLD);
    f->converged[task] = p->smo.converged;
    f->b->rho[task] = p->smo.n > 0 ? p->smo.rho : 0;
    for (size_t i = 0; i < p->smo.n; i++) {
        f->alpha[p->of[i] * (k - 1) + (p->y[i] > 0 ? b - 1 : a)] = p->smo.alpha[i] * p->y[i];
    }
    if (worker == 0) {
        progress_update(f->s->progress, (double)task / (double)f->b->pairs, NULL, 0,
                        "pair %zu of %zu", task + 1, f->b->pairs);
    }
}
