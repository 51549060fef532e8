/* catalog - the modules that nodes may name: built in (the const tables of src/algorithms), and
 * those of a project that run a container (component.h). */
#pragma once
#include "algorithms/kernel/module.h"
#include "base/arena.h"
#include "base/json.h"

struct state_db;
struct component;

struct catalog_module {
    const struct module *table;        /* ports and parameters, also of a container's module */
    const struct component *component; /* NULL: built in */
    const char *text;                  /* of the component, as it came; NULL: built in */
};

/* In the arena. */
struct catalog {
    struct catalog_module *own; /* those that were asked for */
    size_t n_own;
    const char **own_names; /* of all of the project */
    size_t n_own_names;
    struct catalog_module *built_in;
    size_t n_built_in;
};

void catalog_built_in(struct arena *a, struct catalog *out);
const struct catalog_module *catalog_find(const struct catalog *c, struct str name); /* or NULL */
const char *catalog_nearest(const struct catalog *c, struct str name);               /* or NULL */
