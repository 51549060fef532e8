/* component - any container as a module: a component file of Kubeflow Pipelines v1 (YAML) ->
 * a module table like those built in, and the words of its command
 * (docs/formats/pipeline.md, "Containers as modules").
 *
 * Hostile input: LIMIT_COMPONENT_BYTES, COMPONENT_NODES, 32 levels. Everything in the caller's
 * arena. */
#pragma once
#include "algorithms/kernel/module.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/yaml.h"

enum { COMPONENT_NODES = 2000 }; /* of its tree */

struct component {
    struct module table;
    const char *image;
    const struct yaml_node *command, *args; /* lists, or NULL */
    int64_t cpu_milli, memory_bytes, gpus;
};

/* -1 with all mistakes in the list and the first ones in *e. */
int component_parse(struct arena *a, struct str name, struct str text, struct component *out,
                    struct err_list *mistakes, struct err *e) MUST_USE;
/* What placeholders stand for: values of parameters, paths of ports; NULL: not given. */
struct component_values {
    const char *const *params; /* by the table's rows */
    const char *const *inputs, *const *outputs;
};
/* The command with its placeholders filled in, as texts into an open array. */
void component_words(const struct component *c, const struct component_values *v, struct arena *a,
                     struct jw *w);
