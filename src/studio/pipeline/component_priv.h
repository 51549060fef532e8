/* component, inside: its tree is being read (component.c), its command checked and filled in
 * (component_words.c). */
#pragma once
#include "pipeline/component.h"

struct component_reader {
    struct arena *a;
    struct err_list *mistakes;
    struct component *out;
    struct port *inputs, *outputs;
    struct param *params;
    size_t n_inputs, n_outputs, n_params;
};

PRINTF_LIKE(4, 5)
void component_mistake(const struct component_reader *r, const struct yaml_node *at,
                       const char *key, const char *fmt, ...);
/* "Train data" is train_data: as Kubeflow makes names of it. */
const char *component_plain_name(struct arena *a, struct str name);
/* Texts and placeholders of names that there are. */
void component_check_words(struct component_reader *r, const struct yaml_node *list);
