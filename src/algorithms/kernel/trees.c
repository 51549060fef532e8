#include "algorithms/kernel/trees.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "the trees";

int trees_init(struct trees *t, size_t n_features, size_t width, const struct bins *b,
               const struct features *f, struct err *e)
{
    *t = (struct trees){.n_features = n_features,
                        .width = width,
                        .of_category = xnew_array(uint8_t *, n_features + 1),
                        .n_categories = xnew_array(uint32_t, n_features + 1)};
    for (size_t j = 0; b && j < n_features; j++) {
        size_t n = f->categories[j].n;

        if (b->of_category[j]) {
            t->of_category[j] = xcalloc(n + 1, 1);
            t->n_categories[j] = (uint32_t)n;
            memcpy(t->of_category[j], b->of_category[j], n);
        }
    }
    t->gains = big_alloc(n_features, sizeof(double), what, e);
    return t->gains ? 0 : -1;
}

void trees_done(struct trees *t)
{
    for (size_t j = 0; t->of_category && j < t->n_features; j++) {
        free(t->of_category[j]);
    }
    free(t->of_category);
    free(t->n_categories);
    big_free(t->roots);
    big_free(t->nodes);
    big_free(t->sets);
    big_free(t->outputs);
    big_free(t->gains);
    big_free(t->node_rows);
    big_free(t->node_outputs);
    *t = (struct trees){0};
}

/* Room for `more` behind n; an array doubles. */
static int room(void *pp, size_t *cap, size_t n, size_t more, size_t size, struct err *e)
{
    size_t want = *cap * 2 > n + more ? *cap * 2 : n + more;

    if (n + more <= *cap) {
        return 0;
    }
    if (want > UINT32_MAX) {
        return err_set(e, ERR_MEMORY, "the trees have more than %u nodes", UINT32_MAX);
    }
    if (big_resize(pp, want, size, what, e) < 0) {
        return -1;
    }
    *cap = want;
    return 0;
}

static int add_leaves(struct trees *t, size_t n, struct err *e)
{
    if (room(&t->nodes, &t->nodes_cap, t->n_nodes, n, sizeof(*t->nodes), e) < 0) {
        return -1;
    }
    memset(t->nodes + t->n_nodes, 0, n * sizeof(*t->nodes));
    t->n_nodes += n;
    return 0;
}

int trees_add_root(struct trees *t, uint32_t *node, struct err *e)
{
    if (room(&t->roots, &t->trees_cap, t->n_trees, 1, sizeof(*t->roots), e) < 0 ||
        add_leaves(t, 1, e) < 0) {
        return -1;
    }
    *node = t->roots[t->n_trees++] = (uint32_t)t->n_nodes - 1;
    return 0;
}

int trees_split(struct trees *t, uint32_t node, uint32_t feature, double value,
                const struct tree_set *set, struct err *e)
{
    if (add_leaves(t, 2, e) < 0 ||
        (set && room(&t->sets, &t->sets_cap, t->n_sets, 1, sizeof(*t->sets), e) < 0)) {
        return -1;
    }
    t->nodes[node].feature = feature;
    t->nodes[node].child = (uint32_t)t->n_nodes - 2;
    t->nodes[node].value = value;
    if (set) {
        t->nodes[node].slot = t->n_sets;
        t->sets[t->n_sets++] = *set;
    }
    return 0;
}

int trees_set_outputs(struct trees *t, uint32_t node, const double *outputs, struct err *e)
{
    if (room(&t->outputs, &t->outputs_cap, t->n_outputs, t->width, sizeof(float), e) < 0) {
        return -1;
    }
    t->nodes[node].slot = t->n_outputs / t->width;
    for (size_t k = 0; k < t->width; k++) {
        t->outputs[t->n_outputs++] = (float)outputs[k];
    }
    return 0;
}

void trees_cut(struct trees *t, size_t n)
{
    if (n < t->n_trees) {
        t->n_nodes = t->roots[n];
        t->n_trees = n;
    }
    t->n_sets = 0;
    for (size_t i = 0; i < t->n_nodes; i++) {
        const struct tree_node *node = &t->nodes[i];

        if (node->child && node->feature & TREE_SET && node->slot >= t->n_sets) {
            t->n_sets = node->slot + 1;
        }
    }
}

/* --- walking ---------------------------------------------------------------------------------- */

/* 1 for the second child. A comparison with NaN is false, so what is missing goes there unless the
 * node says otherwise. */
static inline uint32_t second(const struct trees *t, const struct tree_node *n, double v)
{
    uint32_t missing = v != v, to_first = n->feature >> 31;

    if (n->feature & TREE_SET && n->child && !missing) {
        uint8_t bin = t->of_category[n->feature & TREE_FEATURE][(size_t)v];

        return !(t->sets[n->slot].bits[bin / 64] >> bin % 64 & 1);
    }
    return !(v <= n->value) & !(missing & to_first);
}

enum { SIDE_BY_SIDE = 8 };

/* Several rows at once: the processor waits for the nodes of all of them together. */
static void walk_some(const struct trees *t, uint32_t root, const double *const *columns,
                      const uint32_t *rows, size_t n, uint32_t *leaves)
{
    uint32_t at[SIDE_BY_SIDE], moved;

    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        at[i] = root;
    }
    do {
        moved = 0;
        for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
            const struct tree_node *node = &t->nodes[at[i]];
            double v = columns[node->feature & TREE_FEATURE][rows[i]];
            uint32_t next = node->child + second(t, node, v);

            at[i] = node->child ? next : at[i];
            moved |= node->child;
        }
    } while (moved);
    memcpy(leaves, at, n * sizeof(*leaves));
}

void trees_walk(const struct trees *t, size_t tree, const double *const *columns,
                const uint32_t *rows, size_t first, size_t n, uint32_t *leaves)
{
    for (size_t i = 0; i < n; i += SIDE_BY_SIDE) {
        uint32_t some[SIDE_BY_SIDE];
        size_t left = n - i < SIDE_BY_SIDE ? n - i : SIDE_BY_SIDE;

        for (size_t k = 0; k < SIDE_BY_SIDE; k++) {
            size_t at = first + i + (k < left ? k : 0);

            some[k] = rows ? rows[at] : (uint32_t)at;
        }
        walk_some(t, t->roots[tree], columns, some, left, leaves + i);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

void trees_write(const struct trees *t, struct binw *w)
{
    binw_u32(w, (uint32_t)t->width);
    binw_u32(w, (uint32_t)t->n_trees);
    binw_u32(w, (uint32_t)t->n_nodes);
    binw_u32(w, (uint32_t)t->n_sets);
    binw_u32(w, (uint32_t)(t->n_outputs / t->width));
    binw_u32(w, t->node_rows != NULL);
    binw_u32s(w, t->roots, t->n_trees);
    for (size_t i = 0; i < t->n_nodes; i++) {
        binw_u64(w, t->nodes[i].slot); /* the bits of the number, where it is one */
        binw_u32(w, t->nodes[i].feature);
        binw_u32(w, t->nodes[i].child);
    }
    for (size_t i = 0; i < t->n_sets; i++) {
        for (size_t k = 0; k < ARRAY_LEN(t->sets->bits); k++) {
            binw_u64(w, t->sets[i].bits[k]);
        }
    }
    binw_f32s(w, t->outputs, t->n_outputs);
    binw_f64s(w, t->gains, t->n_features);
    for (size_t j = 0; j < t->n_features; j++) {
        if (t->of_category[j]) {
            binw_bytes(w, t->of_category[j], t->n_categories[j]);
        }
    }
    if (t->node_rows) {
        binw_f64s(w, t->node_rows, t->n_nodes);
        binw_f64s(w, t->node_outputs, t->n_nodes * t->width);
    }
}

static int damaged_node(size_t i, const char *why, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: node %zu of the trees %s", i, why);
}

/* `end`: of the node's tree. */
static int check_node(const struct trees *t, size_t i, size_t end, struct err *e)
{
    const struct tree_node *n = &t->nodes[i];
    uint32_t feature = n->feature & TREE_FEATURE;

    if (n->child == 0) {
        if (n->feature != 0) {
            return damaged_node(i, "is a leaf with a feature", e);
        }
        return (t->width > 1 ? n->slot < t->n_outputs / t->width : isfinite(n->value))
                   ? 0
                   : damaged_node(i, "has no output", e);
    }
    if (n->child <= i || n->child >= end || end - n->child < 2) {
        return damaged_node(i, "has no children", e);
    }
    if (feature >= t->n_features || !(n->feature & TREE_SET) != !t->of_category[feature]) {
        return damaged_node(i, "asks for no feature", e);
    }
    return (n->feature & TREE_SET ? n->slot < t->n_sets : isfinite(n->value))
               ? 0
               : damaged_node(i, "has nothing to compare with", e);
}

static int check_nodes(const struct trees *t, struct err *e)
{
    SCOPED(big_freep) unsigned char *has_parent = big_alloc(t->n_nodes, 1, what, e);

    if (has_parent == NULL) {
        return -1;
    }
    for (size_t i = 0; i < t->n_trees; i++) {
        size_t from = t->roots[i], end = i + 1 < t->n_trees ? t->roots[i + 1] : t->n_nodes;

        if (from >= end || end > t->n_nodes || (i == 0 && from != 0)) {
            return err_set(e, ERR_DATA, "damaged: tree %zu has no nodes", i);
        }
        for (size_t k = from; k < end; k++) {
            uint32_t child = t->nodes[k].child;

            if (check_node(t, k, end, e) < 0) {
                return -1;
            }
            if (child && (has_parent[child] || has_parent[child + 1])) {
                return damaged_node(child, "has two parents", e);
            }
            if (child) {
                has_parent[child] = has_parent[child + 1] = 1;
            }
        }
    }
    for (size_t i = 0; i < t->n_outputs; i++) {
        if (!isfinite(t->outputs[i])) {
            return err_set(e, ERR_DATA, "damaged: output %zu of the trees is no number", i);
        }
    }
    return t->n_trees > 0 || t->n_nodes == 0
               ? 0
               : err_set(e, ERR_DATA, "damaged: nodes of no tree");
}

static int read_categories(struct binr *r, struct trees *t, const struct features *f)
{
    for (size_t j = 0; j < t->n_features && !r->bad; j++) {
        if (f->categories[j].names) {
            t->n_categories[j] = (uint32_t)f->categories[j].n;
            t->of_category[j] = xcalloc(t->n_categories[j] + 1, 1);
            binr_bytes(r, t->of_category[j], t->n_categories[j]);
        }
    }
    return r->bad ? -1 : 0;
}

/* Sizes that the bytes left bear out. */
static int read_sizes(struct binr *r, struct trees *t, size_t width, bool *looked_at, struct err *e)
{
    size_t per_node = 16;

    if (binr_u32(r) != width) {
        return err_set(e, ERR_DATA, "damaged: the trees have other outputs than the model");
    }
    t->n_trees = binr_u32(r);
    t->n_nodes = binr_u32(r);
    t->n_sets = binr_u32(r);
    t->n_outputs = binr_u32(r) * width;
    *looked_at = binr_u32(r) == 1;
    per_node += *looked_at ? 8 + 8 * width : 0;
    if (r->bad || t->n_nodes > r->left / per_node || t->n_trees > r->left / 4 ||
        t->n_sets > r->left / sizeof(*t->sets) || t->n_outputs > r->left / 4) {
        *t = (struct trees){.n_features = t->n_features,
                            .of_category = t->of_category,
                            .n_categories = t->n_categories,
                            .gains = t->gains};
        return err_set(e, ERR_DATA, "damaged: it ends inside the trees");
    }
    return 0;
}

static int read_nodes(struct binr *r, struct trees *t, struct err *e)
{
    t->roots = big_alloc(t->n_trees, sizeof(*t->roots), what, e);
    t->nodes = t->roots ? big_alloc(t->n_nodes, sizeof(*t->nodes), what, e) : NULL;
    t->sets = t->nodes ? big_alloc(t->n_sets, sizeof(*t->sets), what, e) : NULL;
    t->outputs = t->sets ? big_alloc(t->n_outputs, sizeof(float), what, e) : NULL;
    if (t->outputs == NULL) {
        return -1;
    }
    binr_u32s(r, t->roots, t->n_trees);
    for (size_t i = 0; i < t->n_nodes; i++) {
        t->nodes[i].slot = binr_u64(r);
        t->nodes[i].feature = binr_u32(r);
        t->nodes[i].child = binr_u32(r);
    }
    for (size_t i = 0; i < t->n_sets; i++) {
        for (size_t k = 0; k < ARRAY_LEN(t->sets->bits); k++) {
            t->sets[i].bits[k] = binr_u64(r);
        }
    }
    binr_f32s(r, t->outputs, t->n_outputs);
    binr_f64s(r, t->gains, t->n_features);
    return 0;
}

static int read_looked_at(struct binr *r, struct trees *t, struct err *e)
{
    t->node_rows = big_alloc(t->n_nodes, sizeof(double), what, e);
    t->node_outputs =
        t->node_rows ? big_alloc(t->n_nodes * t->width, sizeof(double), what, e) : NULL;
    if (t->node_outputs == NULL) {
        return -1;
    }
    binr_f64s(r, t->node_rows, t->n_nodes);
    binr_f64s(r, t->node_outputs, t->n_nodes * t->width);
    return 0;
}

int trees_read(struct binr *r, struct trees *t, const struct features *f, size_t width,
               struct err *e)
{
    bool looked_at;

    if (trees_init(t, f->n, width, /* bins */ NULL, f, e) < 0 ||
        read_sizes(r, t, width, &looked_at, e) < 0 || read_nodes(r, t, e) < 0) {
        return -1;
    }
    if (read_categories(r, t, f) < 0 || (looked_at && read_looked_at(r, t, e) < 0) || r->bad) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the trees");
    }
    return check_nodes(t, e);
}

/* --- for people ------------------------------------------------------------------------------- */

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
