#include "algorithms/kernel/trees.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct share {
    double gain;
    size_t feature;
};

static int by_gain(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    if (x->gain != y->gain) {
        return x->gain > y->gain ? -1 : 1;
    }
    return x->feature < y->feature ? -1 : 1;
}

/* No deeper than JSON may nest. */
enum { SHOWN_FEATURES = 200, SHOWN_NODES = 200, SHOWN_DEPTH = 24, SHOWN_CATEGORIES = 50 };

void trees_describe_importance(const struct trees *t, const struct features *f, struct jw *w)
{
    SCOPED(freep) struct share *all = xnew_array(struct share, t->n_features + 1);
    double sum = 0;

    for (size_t j = 0; j < t->n_features; j++) {
        all[j] = (struct share){isfinite(t->gains[j]) ? t->gains[j] : 0, j};
        sum += all[j].gain;
    }
    qsort(all, t->n_features, sizeof(*all), by_gain);
    jw_key(w, "importance");
    jw_array(w);
    for (size_t i = 0; i < t->n_features && i < SHOWN_FEATURES; i++) {
        jw_array(w);
        jw_str(w, str_of(f->names[all[i].feature]));
        jw_double(w, sum > 0 ? all[i].gain / sum : 0);
        jw_end(w);
    }
    jw_end(w);
}

struct show {
    const struct trees *t;
    const struct features *f;
    struct jw *w;
    size_t n_classes;
};

/* Texts of the categories that go to the first child, as many as people read. */
static void show_categories(const struct show *s, const struct tree_node *n)
{
    size_t feature = n->feature & TREE_FEATURE, shown = 0;

    jw_key(s->w, "categories");
    jw_array(s->w);
    for (uint32_t k = 0; k < s->t->n_categories[feature] && shown < SHOWN_CATEGORIES; k++) {
        uint8_t bin = s->t->of_category[feature][k];

        if (s->t->sets[n->slot].bits[bin / 64] >> bin % 64 & 1) {
            jw_str(s->w, str_of(s->f->categories[feature].names[k]));
            shown++;
        }
    }
    jw_end(s->w);
}

/* One number, or shares of all classes. */
static void show_value(const struct show *s, size_t node)
{
    const double *out = s->t->node_outputs + node * s->t->width;

    jw_key(s->w, "value");
    if (s->n_classes == 0) {
        jw_double(s->w, out[0]);
        return;
    }
    jw_array(s->w);
    for (size_t k = 0; k < s->n_classes; k++) {
        jw_double(s->w, s->n_classes > 2 ? out[k] : k == 1 ? out[0] : 1 - out[0]);
    }
    jw_end(s->w);
}

static void show_node(const struct show *s, uint32_t node, unsigned depth)
{
    const struct tree_node *n = &s->t->nodes[node];
    bool inner = n->child && n->child + 1 < SHOWN_NODES && depth < SHOWN_DEPTH;

    jw_object(s->w);
    if (n->child) {
        jw_kv_c(s->w, "feature", s->f->names[n->feature & TREE_FEATURE]);
    }
    if (n->child && n->feature & TREE_SET) {
        show_categories(s, n);
    } else if (n->child) {
        jw_key(s->w, "threshold");
        jw_double(s->w, n->value);
    }
    if (n->child) {
        jw_kv_c(s->w, "missing", n->feature & TREE_MISSING_LEFT ? "left" : "right");
    }
    jw_key(s->w, "n");
    jw_double(s->w, s->t->node_rows[node]);
    show_value(s, node);
    for (unsigned side = 0; inner && side < 2; side++) {
        jw_key(s->w, side == 0 ? "left" : "right");
        show_node(s, n->child + side, depth + 1);
    }
    jw_end(s->w);
}

void trees_describe_tree(const struct trees *t, const struct features *f, size_t n_classes,
                         struct jw *w)
{
    struct show s = {t, f, w, n_classes};

    if (t->node_rows && t->n_trees == 1) {
        jw_key(w, "tree");
        show_node(&s, 0, 0);
    }
}
