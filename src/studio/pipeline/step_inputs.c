/* What a step reads of other steps. Its key says by which bytes it was made; they lie in a volume
 * where members and containers write too, so they are looked at before it begins and when it has
 * ended: what somebody put in their place fails the step, and is found by no other. */
#include "pipeline/pipeline_priv.h"

/* Others of the same container are looked at as what they made is. */
static bool is_outside(const struct run_node *from, const struct run_node *n)
{
    return from && node_state_good(from->row.state) &&
           (from->row.job == NULL || n->row.job == NULL ||
            !str_eq_c(str_of(from->row.job), n->row.job));
}

static int changed_before(const struct run *r, const struct run_node *from, int port, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "the output %s of %s was changed in the volume %s since it was made: run the "
                   "pipeline again from %s, and let nobody write below .studio",
                   run_module(r, from)->outputs[port].name, from->row.node, r->doc.volume,
                   from->row.node);
}

static int changed_meanwhile(const struct run *r, const struct run_node *from, int port,
                             struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "the output %s of %s was changed in the volume %s while the step read it: run "
                   "the pipeline again from %s, and let nobody write below .studio",
                   run_module(r, from)->outputs[port].name, from->row.node, r->doc.volume,
                   from->row.node);
}

/* Content that is the same again may have been another one in between; and others who read it may
 * have found it so before. */
static bool was_touched(const struct step_seen *seen, const struct step_output *o)
{
    return seen->changed_ns != 0 && (seen->inode != o->inode || seen->changed_ns != o->changed_ns);
}

/* 1, 0 or HASH_PENDING for one port. */
static int look_at_input(struct pipelines *s, const struct run *r, struct run_node *n, size_t i,
                         bool has_ended, struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    struct run_node *from = run_node_at(r, g->from[i]);
    const struct step_output *o;
    int rc;

    if (!is_outside(from, n)) {
        return 1;
    }
    o = &from->outputs[g->from_port[i]];
    rc = output_is_there(s, r, from, g->from_port[i], e);
    if (rc == 1 && has_ended) {
        return !was_touched(&n->seen[i], o);
    }
    if (rc == 1) {
        n->seen[i] = (struct step_seen){o->inode, o->changed_ns};
    }
    return rc;
}

/* All are asked for, so that they are read side by side. */
static int each_input(struct pipelines *s, const struct run *r, struct run_node *n, bool has_ended,
                      struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    int all = 1;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        int rc = look_at_input(s, r, n, i, has_ended, e);

        if (rc < 0) {
            return -1;
        }
        if (rc == 0) {
            const struct run_node *from = run_node_at(r, g->from[i]);

            return has_ended ? changed_meanwhile(r, from, g->from_port[i], e)
                             : changed_before(r, from, g->from_port[i], e);
        }
        all = rc == 1 ? all : rc;
    }
    return all;
}

int step_inputs_there(struct pipelines *s, const struct run *r, struct run_node *n, struct err *e)
{
    return each_input(s, r, n, /* has_ended */ false, e);
}

int step_inputs_same(struct pipelines *s, const struct run *r, struct run_node *n, struct err *e)
{
    return each_input(s, r, n, /* has_ended */ true, e);
}
