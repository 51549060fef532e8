#include "pipeline/script.h"

#include "rootfs/rootfs.h"

#include <string.h>

bool script_is(const struct module *m)
{
    return (m->flags & MODULE_SCRIPT) != 0;
}

void script_add_layer(const struct step_image *ours, struct arena *a, struct job_image *image)
{
    struct rootfs_layer *all = arena_new_array(a, struct rootfs_layer, image->n_layers + 1);

    if (image->n_layers > 0) {
        memcpy(all, image->layers, image->n_layers * sizeof(*all));
    }
    all[image->n_layers++] = ours->layer;
    image->layers = all;
}

/* "in1=/in/clean/in1/train.arrow" */
static void write_inputs(const struct run *r, const struct step_group *g, struct arena *a,
                         struct jw *w)
{
    const struct run_node *n = g->nodes[0];
    const struct module *m = run_module(r, n);

    for (size_t i = 0; m->inputs[i].name; i++) {
        const char *path = step_input_file(r, g, n, i, a);

        if (path) {
            jw_str(w, str_of(arena_printf(a, "%s=%s", m->inputs[i].name, path)));
        }
    }
}

static int64_t gpus_of(const struct run *r, const struct run_node *n)
{
    uint64_t gpus = 0;

    return str_to_u64(str_of(step_param_named(r, n, "gpu")), &gpus) == 0 ? (int64_t)gpus : 0;
}

int64_t script_memory(const struct run *r, const struct run_node *n)
{
    int64_t bytes = 0;
    struct err e;

    return str_parse_bytes(str_of(step_param_named(r, n, "memory")), &bytes, &e) < 0 ? 0 : bytes;
}

void script_spec(const struct run *r, const struct step_group *g, int64_t memory_bytes,
                 struct arena *a, struct jw *w)
{
    const struct run_node *n = g->nodes[0];

    jw_key(w, "command");
    jw_array(w);
    jw_str(w, STR("python3"));
    jw_str(w, STR("-u"));
    jw_str(w, STR("-c"));
    jw_str(w, str_of(script_program));
    jw_str(w, str_of(step_param_named(r, n, "code")));
    write_inputs(r, g, a, w);
    jw_end(w);
    jw_key(w, "resources");
    jw_object(w);
    jw_kv_c(w, "cpu", step_param_named(r, n, "cpu"));
    jw_kv_i64(w, "memory", memory_bytes);
    jw_kv_i64(w, "gpu", gpus_of(r, n));
    jw_end(w);
}
