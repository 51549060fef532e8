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

typedef int input_look(struct pipelines *s, const struct run *r, struct run_node *from, int port,
                       struct err *e);

/* All are asked for, so that they are read side by side. */
static int each_input(struct pipelines *s, const struct run *r, const struct run_node *n,
                      input_look *look, struct err *e)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    int all = 1;

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        struct run_node *from = run_node_at(r, g->from[i]);
        int rc = is_outside(from, n) ? look(s, r, from, g->from_port[i], e) : 1;

        if (rc < 0) {
            return -1;
        }
        if (rc == 0) {
            return look == output_is_same ? changed_meanwhile(r, from, g->from_port[i], e)
                                          : changed_before(r, from, g->from_port[i], e);
        }
        all = rc == 1 ? all : rc;
    }
    return all;
}

int step_inputs_there(struct pipelines *s, const struct run *r, const struct run_node *n,
                      struct err *e)
{
    return each_input(s, r, n, output_is_there, e);
}

int step_inputs_same(struct pipelines *s, const struct run *r, const struct run_node *n,
                     struct err *e)
{
    return each_input(s, r, n, output_is_same, e);
}
