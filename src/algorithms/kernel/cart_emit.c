#include "algorithms/kernel/cart_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "base/mem.h"

#include <math.h>

static const char what[] = "a tree";

/* Marks nodes whose branches are not worth it, from the leaves up: what is left is the smallest
 * tree of least risk + alpha x leaves. */
static unsigned char *prune(const struct cart *c, double alpha, struct err *e)
{
    size_t n = c->grown.n_nodes;
    SCOPED(big_freep) unsigned char *cut = big_alloc(n, 1, what, e);
    SCOPED(big_freep) double *cost = cut ? big_alloc(n, sizeof(*cost), what, e) : NULL;

    if (cost == NULL) {
        return NULL;
    }
    for (size_t i = n; i-- > 0;) {
        uint32_t child = c->grown.nodes[i].child;

        cost[i] = c->risk[i] + alpha;
        if (child && cost[child] + cost[child + 1] < cost[i] - 1e-15) {
            cost[i] = cost[child] + cost[child + 1];
        } else if (child && alpha > 0) {
            cut[i] = 1;
        }
    }
    for (size_t i = 0; i < n; i++) { /* and all below */
        uint32_t child = c->grown.nodes[i].child;

        if (child && cut[i]) {
            cut[child] = cut[child + 1] = 1;
        }
    }
    return TAKE(cut);
}

/* `room`: for all outputs. */
static int emit_leaf(const struct cart *c, uint32_t from, uint32_t to, struct trees *t,
                     double *room, struct err *e)
{
    if (c->of_node && c->of_node[from].n == 1) {
        return trees_set_pure(t, to, c->shares[c->of_node[from].first].class, e);
    }
    cart_outputs(c, from, room);
    if (t->width > 1) {
        return trees_set_outputs(t, to, room, e);
    }
    t->nodes[to].value = room[0];
    return 0;
}

static int emit_nodes(const struct cart *c, const unsigned char *cut, struct trees *t,
                      uint32_t *from, struct err *e)
{
    const struct tree_node *nodes = c->grown.nodes;
    SCOPED(big_freep) double *room = big_alloc(t->width, sizeof(*room), what, e);
    uint32_t root;

    if (room == NULL || trees_add_root(t, &root, e) < 0) {
        return -1;
    }
    from[0] = 0;
    for (size_t i = root; i < t->n_nodes; i++) {
        const struct tree_node *node = &nodes[from[i - root]];
        size_t child = t->n_nodes - root;

        if (node->child == 0 || cut[from[i - root]]) {
            if (emit_leaf(c, from[i - root], (uint32_t)i, t, room, e) < 0) {
                return -1;
            }
            continue;
        }
        if (trees_split(t, (uint32_t)i, node->feature, node->value,
                        node->feature & TREE_SET ? &c->grown.sets[node->slot] : NULL, e) < 0) {
            return -1;
        }
        from[child] = node->child;
        from[child + 1] = node->child + 1;
    }
    return 0;
}

static int emit_details(const struct cart *c, const uint32_t *from, struct trees *t, struct err *e)
{
    t->node_rows = big_alloc(t->n_nodes, sizeof(double), what, e);
    t->node_outputs =
        t->node_rows ? big_alloc(t->n_nodes * t->width, sizeof(double), what, e) : NULL;
    for (size_t i = 0; t->node_outputs && i < t->n_nodes; i++) {
        t->node_rows[i] = c->heavy[from[i]];
        cart_outputs(c, from[i], t->node_outputs + i * t->width);
    }
    return t->node_outputs ? 0 : -1;
}

/* What each split that is left lowers the risk by. */
static void add_gains(const struct cart *c, const unsigned char *below, struct trees *t)
{
    for (size_t i = 0; i < c->grown.n_nodes; i++) {
        const struct tree_node *n = &c->grown.nodes[i];

        if (n->child && !below[i]) {
            t->gains[n->feature & TREE_FEATURE] +=
                fmax(c->risk[i] - c->risk[n->child] - c->risk[n->child + 1], 0);
        }
    }
}

int cart_emit(const struct cart *c, double alpha, bool looked_at, struct trees *t, struct err *e)
{
    SCOPED(big_freep) unsigned char *cut = prune(c, alpha, e);
    SCOPED(big_freep)
    uint32_t *from = cut ? big_alloc(c->grown.n_nodes, sizeof(*from), what, e) : NULL;

    if (from == NULL || emit_nodes(c, cut, t, from, e) < 0) {
        return -1;
    }
    add_gains(c, cut, t);
    return looked_at ? emit_details(c, from, t, e) : 0;
}
