#include "pipeline/catalog.h"

#include "algorithms/modules/modules.h"

void catalog_built_in(struct arena *a, struct catalog *out)
{
    size_t n = 0;

    while (modules_all[n]) {
        n++;
    }
    *out = (struct catalog){.built_in = arena_new_array(a, struct catalog_module, n + 1),
                            .n_built_in = n};
    for (size_t i = 0; i < n; i++) {
        out->built_in[i].table = modules_all[i];
    }
}

const struct catalog_module *catalog_find(const struct catalog *c, struct str name)
{
    for (size_t i = 0; i < c->n_built_in; i++) {
        if (str_eq_c(name, c->built_in[i].table->name)) {
            return &c->built_in[i];
        }
    }
    for (size_t i = 0; i < c->n_own; i++) {
        if (str_eq_c(name, c->own[i].table->name)) {
            return &c->own[i];
        }
    }
    return NULL;
}

const char *catalog_nearest(const struct catalog *c, struct str name)
{
    const char *names[512];
    size_t n = 0;

    for (size_t i = 0; i < c->n_built_in && n < ARRAY_LEN(names); i++) {
        names[n++] = c->built_in[i].table->name;
    }
    for (size_t i = 0; i < c->n_own_names && n < ARRAY_LEN(names); i++) {
        names[n++] = c->own_names[i];
    }
    return str_nearest(name, names, n);
}
