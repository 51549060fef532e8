/* What a document comes to before anything runs: mistakes, and what flows out of every port. */
#include "pipeline/pipeline_priv.h"

static void write_outputs(const struct graph_node *n, struct jw *w)
{
    jw_key(w, n->doc->id);
    jw_object(w);
    jw_key(w, "outputs");
    jw_object(w);
    for (const struct port *p = n->module->table->outputs; p->name; p++) {
        jw_key(w, p->name);
        jw_object(w);
        jw_kv_c(w, "type", value_type_name(p->type));
        if (p->type == VALUE_TABLE) {
            jw_kv_bool(w, "open", true);
            jw_key(w, "columns");
            jw_array(w);
            jw_end(w);
        }
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

void check_json(struct arena *a UNUSED, const struct graph *g,
                const struct check_files *files UNUSED, struct mistakes *mistakes, struct jw *w)
{
    jw_object(w);
    jw_key(w, "nodes");
    jw_object(w);
    for (size_t i = 0; i < g->n; i++) {
        if (g->nodes[i].module) {
            write_outputs(&g->nodes[i], w);
        }
    }
    jw_end(w);
    jw_kv_bool(w, "ok", mistakes->n == 0);
    jw_key(w, "mistakes");
    mistakes_json(mistakes, w);
    jw_end(w);
}
