/* Steps that share a container: a light one, and light ones that follow from it. */
#include "pipeline/runner.h"

#include "base/limits.h"

#include <string.h>

/* Past it a step's work is longer than the start of a container (bench/pipeline.py). */
#define FUSED_BYTES (16 * MIB)
enum { FUSED_WORDS = 600, FUSED_MOUNTS = 24, FUSED_GROWTH = 4 };
#define FUSED_TEXT_BYTES (96 * KIB)

struct sizes {
    size_t words, text, mounts;
};

static bool is_in(const struct step_group *g, const struct run_node *n)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->nodes[i] == n) {
            return true;
        }
    }
    return false;
}

static bool is_light(const struct run *r, const struct run_node *n)
{
    return !r->row.is_unfused && n->row.n_again == 0 && n->row.image == NULL &&
           r->graph.nodes[n->g].doc->memory_bytes == 0 && (run_module(r, n)->flags & MODULE_LIGHT);
}

/* What its command and its mounts add to the spec. */
static void add_size(const struct run *r, const struct step_group *g, const struct run_node *n,
                     struct sizes *all)
{
    const struct graph_node *node = &r->graph.nodes[n->g];
    const struct module *m = run_module(r, n);

    all->words += 4 + 4 * (size_t)MODULE_PORTS;
    for (size_t i = 0; m->params[i].name; i++) {
        if (node->params[i]) {
            all->words += 2;
            all->text += strlen(node->params[i]) + strlen(m->params[i].name);
            all->mounts += m->params[i].type == PARAM_PATH;
        }
    }
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        const struct run_node *from = run_node_at(r, node->from[i]);

        all->mounts += from && !is_in(g, from);
    }
}

static bool fits(const struct sizes *s)
{
    return s->words <= FUSED_WORDS && s->text <= FUSED_TEXT_BYTES && s->mounts <= FUSED_MOUNTS;
}

/* Files are marked before a step begins, and its container would begin earlier. */
static bool names_a_file(const struct run *r, const struct run_node *n)
{
    const struct module *m = run_module(r, n);

    for (size_t i = 0; m->params[i].name; i++) {
        const char *path = step_param(r, n, i);

        if (m->params[i].type == PARAM_PATH && path && *path) {
            return true;
        }
    }
    return false;
}

/* Whether one of its inputs comes from the group, and all others are there and small. */
static bool follows(const struct run *r, const struct step_group *g, const struct run_node *n)
{
    const struct graph_node *node = &r->graph.nodes[n->g];
    bool from_group = false;
    int64_t bytes = 0;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        const struct run_node *from = run_node_at(r, node->from[i]);

        if (node->from[i] < 0 || (from && is_in(g, from))) {
            from_group = from_group || from;
            continue;
        }
        if (from == NULL || !node_state_good(from->row.state)) {
            return false;
        }
        bytes = step_bytes(1, bytes, from->outputs[node->from_port[i]].bytes);
    }
    return from_group && bytes <= (int64_t)FUSED_BYTES;
}

void group_gather(const struct run *r, struct run_node *head, int64_t input_bytes,
                  struct step_group *g)
{
    struct sizes all = {0};
    bool is_behind = false;

    *g = (struct step_group){{head}, 1};
    if (!is_light(r, head) || input_bytes > (int64_t)FUSED_BYTES) {
        return;
    }
    add_size(r, g, head, &all);
    for (size_t i = 0; i < r->graph.n_order && g->n < STEP_GROUP; i++) {
        struct run_node *n = run_node_at(r, r->graph.order[i]);
        struct sizes with = all;

        is_behind = is_behind || n == head;
        if (n == NULL || n == head || !is_behind || n->row.state != NODE_WAITING ||
            !is_light(r, n) || names_a_file(r, n) || !follows(r, g, n)) {
            continue;
        }
        add_size(r, g, n, &with);
        if (fits(&with)) {
            all = with;
            g->nodes[g->n++] = n;
        }
    }
}

void group_of_job(const struct run *r, const struct run_node *n, struct step_group *g,
                  size_t *n_all)
{
    *g = (struct step_group){0};
    *n_all = 0;
    for (size_t i = 0; i < r->graph.n_order && g->n < STEP_GROUP; i++) {
        struct run_node *one = run_node_at(r, r->graph.order[i]);

        if (one && one->row.job && strcmp(one->row.job, n->row.job) == 0) {
            *n_all += 1;
            if (!node_state_ended(one->row.state)) {
                g->nodes[g->n++] = one;
            }
        }
    }
}

/* Of what is not there yet nobody knows the size: as large as a text that becomes numbers. What
 * needs more is tried by itself. */
int64_t group_memory(const struct run *r, const struct step_group *g, int64_t input_bytes)
{
    int64_t most = g->nodes[0]->memory_bytes;

    for (size_t i = 1; i < g->n; i++) {
        int64_t want =
            step_memory_about(r, g->nodes[i], step_bytes(FUSED_GROWTH, input_bytes, (int64_t)MIB));

        most = want > most ? want : most;
    }
    return most;
}
