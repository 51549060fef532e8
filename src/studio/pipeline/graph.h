/* graph - a document whose words have been looked up: modules, ports, parameters with the run's
 * values put in, the order in which nodes can run. Everything in the caller's arena.
 *
 *   doc_parse -> graph_build -> check_json (the editor) | run_create -> runner
 *
 * Mistakes are collected, all at once; a graph that has any is not run. */
#pragma once
#include "algorithms/kernel/module.h"
#include "pipeline/catalog.h"
#include "pipeline/document.h"

/* One thing that is wrong, and where an editor shows it; parts that do not apply are NULL. */
struct graph_mistake {
    const char *node, *port, *param, *message;
    const char *json; /* all of it, as its module wrote it; or NULL */
};
struct mistakes {
    struct arena *a;
    struct graph_mistake *items;
    size_t n, cap;
};
PRINTF_LIKE(5, 6)
struct graph_mistake *mistakes_add(struct mistakes *l, const char *node, const char *port,
                                   const char *param, const char *fmt, ...);
void graph_mistakes_json(const struct mistakes *l, struct jw *w); /* an array */

enum { GRAPH_NONE = -1 };
enum { GRAPH_VALUES_BYTES = 4 * 1024 * 1024 }; /* of all nodes, with ${...} put in */

struct graph_node {
    const struct doc_node *doc;
    const struct catalog_module *module; /* NULL: unknown, a mistake */
    int from[MODULE_PORTS];              /* index of the node an input comes from, or GRAPH_NONE */
    int from_port[MODULE_PORTS];         /* its output */
    const char *params[MODULE_PARAMS];   /* with ${...} put in; NULL: the default */
    bool is_open[MODULE_PARAMS];         /* holds a ${...} whose value only a run knows */
};

struct graph {
    const struct doc *doc;
    struct graph_node *nodes; /* as in the document */
    size_t n;
    int *order; /* indexes, inputs first; shorter than n when there is a cycle */
    size_t n_order;
};

/* Values of the pipeline's parameters that a run was given. */
struct graph_value {
    const char *name, *text;
};
enum graph_use { GRAPH_FOR_CHECK, GRAPH_FOR_RUN }; /* a run needs a value for every parameter */

void graph_build(struct arena *a, const struct doc *d, const struct catalog *c,
                 const struct graph_value *values, size_t n_values, enum graph_use use,
                 struct graph *out, struct mistakes *mistakes);
/* Marks `node` and all it needs (GRAPH_UP), or all that needs it (GRAPH_DOWN). */
enum graph_way { GRAPH_UP, GRAPH_DOWN };
void graph_reach(const struct graph *g, int node, enum graph_way way, bool *marks);
int graph_find(const struct graph *g, struct str id); /* index or GRAPH_NONE */
