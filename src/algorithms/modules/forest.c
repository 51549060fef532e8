#include "algorithms/modules/forest.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct training_wants forest_wants(const struct step *s, const struct model_type *type)
{
    return (struct training_wants){.type = type,
                                   .task = step_choice(s, "task") == 0 ? TASK_CLASSES : TASK_NUMBER,
                                   .kinds = FEATURES_WITH_TEXT,
                                   .missing_kept = true};
}

enum cart_criterion forest_criterion(const struct step *s)
{
    if (step_choice(s, "task") == 1) {
        return CART_SQUARES;
    }
    return step_choice(s, "criterion") == 1 ? CART_ENTROPY : CART_GINI;
}

static int check_targets(const struct training *t, struct err *e)
{
    for (size_t r = 0; t->targets && r < t->table->n_rows; r++) {
        if (fabs(t->targets[r]) > 1e100) {
            return err_set(e, ERR_DATA, "label column '%s', row %zu: %g is too large: scale it",
                           t->model->label, r + 1, t->targets[r]);
        }
    }
    return 0;
}

int forest_data(const struct step *s, const struct training *t, struct bins *bins,
                struct cart_data *data, double **weights, struct err *e)
{
    size_t n = t->table->n_rows;

    if (check_targets(t, e) < 0 ||
        bins_init(bins, &t->model->features, &t->bound, t->weights,
                  (unsigned)step_int(s, "max_bins"), s->threads, e) < 0) {
        return -1;
    }
    *data = (struct cart_data){.bins = bins,
                               .classes = t->classes,
                               .n_classes = t->model->classes.n,
                               .targets = t->targets};
    if (t->weights == NULL) {
        return 0;
    }
    *weights = big_alloc(n, sizeof(double), "the weights", e);
    for (size_t r = 0; *weights && r < n; r++) {
        (*weights)[r] = t->weights[r] / t->weight_sum * (double)n;
    }
    data->weights = *weights;
    return *weights ? 0 : -1;
}

void forest_free(void *body)
{
    struct forest *f = body;

    trees_done(&f->trees);
    free(f);
}

void forest_add(const struct trees *t, uint32_t leaf, size_t n_classes, double *row)
{
    const struct tree_node *n = &t->nodes[leaf];

    if (n_classes == 0) {
        row[0] += n->value;
    } else if (n_classes == 2) {
        row[0] += 1 - n->value;
        row[1] += n->value;
    } else {
        for (size_t k = 0; k < n_classes; k++) {
            row[k] += (double)t->outputs[n->slot * n_classes + k];
        }
    }
}

void forest_predict(const struct model *m, const double *const *columns, size_t first, size_t n,
                    void *scratch, double *out)
{
    const struct trees *t = &((const struct forest *)m->body)->trees;
    size_t width = model_width(m);
    uint32_t leaves[TREES_SLICE];

    (void)scratch;
    for (size_t i = 0; i < n * width; i++) {
        out[i] = 0;
    }
    for (size_t k = 0; k < t->n_trees; k++) {
        trees_walk(t, k, columns, /* rows */ NULL, first, n, leaves);
        for (size_t i = 0; i < n; i++) {
            forest_add(t, leaves[i], m->classes.n, out + i * width);
        }
    }
    for (size_t i = 0; i < n * width; i++) {
        out[i] /= (double)t->n_trees;
    }
}

void forest_write(const struct model *m, struct binw *w)
{
    const struct forest *f = m->body;

    binw_f64(w, f->oob_score);
    trees_write(&f->trees, w);
}

int forest_read(struct model *m, struct binr *r, struct err *e)
{
    struct forest *f = m->body = xnew(struct forest);

    if (m->task != TASK_CLASSES && m->task != TASK_NUMBER) {
        return err_set(e, ERR_DATA, "damaged: a forest predicts classes or a number");
    }
    f->oob_score = binr_f64(r);
    if (trees_read(r, &f->trees, &m->features, cart_width(m->classes.n), e) < 0) {
        return -1;
    }
    return f->trees.n_trees > 0 ? 0 : err_set(e, ERR_DATA, "damaged: a forest without trees");
}

void forest_describe(const struct model *m, struct jw *w)
{
    const struct forest *f = m->body;
    size_t leaves = 0;

    for (size_t i = 0; i < f->trees.n_nodes; i++) {
        leaves += f->trees.nodes[i].child == 0;
    }
    trees_describe_importance(&f->trees, &m->features, w);
    trees_describe_tree(&f->trees, &m->features, m->classes.n, w);
    jw_key(w, "figures");
    jw_object(w);
    jw_kv_i64(w, "trees", (int64_t)f->trees.n_trees);
    jw_kv_i64(w, "leaves", (int64_t)leaves);
    if (!isnan(f->oob_score)) {
        jw_key(w, "oob_score");
        jw_double(w, f->oob_score);
    }
    jw_end(w);
}
