#include "algorithms/modules/gbdt_fit.h"

#include "algorithms/kernel/sort.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Scores before the first tree: what is best for all rows alike. */
static void start_classes(struct gbdt_fit *f)
{
    size_t k = f->t->model->classes.n;
    SCOPED(freep) double *share = xnew_array(double, k);
    double sum = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        double w = f->of.weights ? f->of.weights[f->rows[i]] : 1;

        share[f->of.classes[f->rows[i]]] += w;
        sum += w;
    }
    for (size_t i = 0; i < k; i++) {
        share[i] = sum > 0 ? share[i] / sum : 1 / (double)k;
        share[i] = share[i] > 1e-9 ? share[i] : 1e-9;
    }
    for (size_t i = 0; i < f->m->n_scores; i++) {
        f->m->base[i] = f->m->n_scores == 1 ? log(share[1] / share[0]) : log(share[i]);
    }
}

static double mean_target(const struct gbdt_fit *f)
{
    double sum = 0, all = 0;

    for (size_t i = 0; i < f->n_learned; i++) {
        double w = f->of.weights ? f->of.weights[f->rows[i]] : 1;

        sum += w * f->of.targets[f->rows[i]];
        all += w;
    }
    return all > 0 ? sum / all : 0;
}

/* The median or quantile of the targets. */
static double middle_target(struct gbdt_fit *f)
{
    struct gbdt_loss l = f->loss;

    l.objective = l.objective == GBDT_HUBER ? GBDT_L1 : l.objective;
    if (f->of.weights) {
        memset(f->words, 1, f->n * sizeof(*f->words));
        return gbdt_weighted_output(&l, &f->of, f->rows, f->n_learned, f->scores, f->words,
                                    (struct gbdt_weighted *)(void *)f->sorting);
    }
    for (size_t i = 0; i < f->n_learned; i++) {
        f->residuals[i] = f->of.targets[f->rows[i]];
    }
    sort_f64(f->residuals, f->sorting, f->n_learned);
    return gbdt_output(&l, f->residuals, f->n_learned);
}

static void start_number(struct gbdt_fit *f)
{
    double mean;

    if (f->residuals) {
        f->m->base[0] = middle_target(f);
        return;
    }
    mean = mean_target(f);
    f->m->base[0] = f->loss.objective == GBDT_POISSON ? log(mean > 1e-9 ? mean : 1e-9) : mean;
}

void gbdt_start(struct gbdt_fit *f)
{
    if (f->loss.objective == GBDT_CLASSES) {
        start_classes(f);
    } else {
        start_number(f);
    }
    for (size_t k = 0; k < f->m->n_scores; k++) {
        for (size_t i = 0; i < f->n; i++) {
            f->scores[k * f->n + i] = f->m->base[k];
        }
        for (size_t i = 0; i < f->watched.n; i++) {
            f->watched.scores[k * f->watched.n + i] = f->m->base[k];
        }
    }
}
