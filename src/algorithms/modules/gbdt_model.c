/* The model of gbdt.h: scores are sums over trees, outputs what the objective makes of them. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/gbdt.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void gbdt_free(void *body)
{
    struct gbdt_model *g = body;

    trees_done(&g->trees);
    free(g->base);
    free(g);
}

/* Scores to probabilities in place. Two classes: the only score is the second one's log-odds. */
static void to_classes(const struct gbdt_model *g, size_t n_classes, double *row)
{
    double top = row[0], sum = 0;

    if (g->n_scores == 1) {
        double t = exp(-fabs(row[0])), likely = 1 / (1 + t), other = t / (1 + t);

        row[1] = row[0] >= 0 ? likely : other;
        row[0] = row[0] >= 0 ? other : likely;
        return;
    }
    for (size_t k = 1; k < n_classes; k++) {
        top = row[k] > top ? row[k] : top;
    }
    for (size_t k = 0; k < n_classes; k++) {
        row[k] = exp(row[k] - top);
        sum += row[k];
    }
    for (size_t k = 0; k < n_classes; k++) {
        row[k] /= sum;
    }
}

void gbdt_predict(const struct model *m, const double *const *columns, size_t first, size_t n,
                  void *scratch, double *out)
{
    const struct gbdt_model *g = m->body;
    size_t width = model_width(m);
    uint32_t leaves[TREES_SLICE];

    (void)scratch;
    assert(g->n_scores > 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < g->n_scores; k++) {
            out[i * width + k] = g->base[k];
        }
    }
    for (size_t t = 0; t < g->trees.n_trees; t++) {
        trees_walk(&g->trees, t, columns, /* rows */ NULL, first, n, leaves);
        for (size_t i = 0; i < n; i++) {
            out[i * width + t % g->n_scores] += g->trees.nodes[leaves[i]].value;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (g->objective == GBDT_CLASSES) {
            to_classes(g, m->classes.n, out + i * width);
        } else if (g->objective == GBDT_POISSON) {
            out[i] = exp(out[i]);
        }
    }
}

void gbdt_write(const struct model *m, struct binw *w)
{
    const struct gbdt_model *g = m->body;

    binw_u32(w, g->objective);
    binw_f64s(w, g->base, g->n_scores);
    trees_write(&g->trees, w);
}

int gbdt_read(struct model *m, struct binr *r, struct err *e)
{
    struct gbdt_model *g = m->body = xnew(struct gbdt_model);
    uint32_t objective = binr_u32(r);

    if (objective > GBDT_POISSON || (objective == GBDT_CLASSES) != (m->task == TASK_CLASSES) ||
        (m->task != TASK_CLASSES && m->task != TASK_NUMBER)) {
        return err_set(e, ERR_DATA, "damaged: boosted trees with objective %u", objective);
    }
    g->objective = (enum gbdt_objective)objective;
    g->n_scores = m->task == TASK_CLASSES && m->classes.n > 2 ? m->classes.n : 1;
    g->base = xnew_array(double, g->n_scores);
    binr_f64s(r, g->base, g->n_scores);
    for (size_t k = 0; k < g->n_scores; k++) {
        if (!isfinite(g->base[k])) {
            return err_set(e, ERR_DATA, "damaged: the trees start from no number");
        }
    }
    return trees_read(r, &g->trees, &m->features, /* width */ 1, e);
}

void gbdt_describe(const struct model *m, struct jw *w)
{
    const struct gbdt_model *g = m->body;

    trees_describe_importance(&g->trees, &m->features, w);
    jw_key(w, "figures");
    jw_object(w);
    jw_kv_i64(w, "trees", (int64_t)g->trees.n_trees);
    jw_kv_i64(w, "nodes", (int64_t)g->trees.n_nodes);
    jw_end(w);
}
