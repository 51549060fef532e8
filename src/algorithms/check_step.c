#include "algorithms/check_step.h"

#include "algorithms/kernel/check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_file(void *ctx, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    (void)ctx;
    return fd < 0 ? err_sys(e, "cannot read %s", path) : fd;
}

/* The schema of what a file holds. */
static int schema_of_file(const struct module *m, struct str port, const char *path,
                          struct schema *s, struct err *e)
{
    struct value v = {0};
    int i = step_need_input(m, port, e), rc;

    if (i >= 0 && m->inputs[i].type == VALUE_FILE) {
        *s = (struct schema){.type = VALUE_FILE};
        return 0;
    }
    if (i < 0 || value_load(&v, m->inputs[i].type, path, e) < 0) {
        return -1;
    }
    rc = schema_of(s, &v, e);
    value_done(&v);
    return rc;
}

static int take_words(struct check *c, struct schema *inputs, char *const *words, size_t n,
                      struct err *e)
{
    size_t n_inputs = 0;

    for (size_t i = 1; i < n; i += 2) {
        struct str value = str_of(i + 1 < n ? words[i + 1] : "");
        struct str name = str_trim(str_cut(&value, '='));

        if (value.p == NULL) {
            return err_set(e, ERR_INVALID, "write %s NAME=VALUE", words[i]);
        }
        if (strcmp(words[i], "--param") == 0) {
            check_set_param(c, name, value);
        } else if (strcmp(words[i], "--in") == 0 && n_inputs < MODULE_PORTS) {
            if (schema_of_file(c->step.module, name, value.p, &inputs[n_inputs], e) < 0) {
                return -1;
            }
            check_set_input(c, name, &inputs[n_inputs++], value);
        } else if (strcmp(words[i], "--out") != 0) {
            return err_set(e, ERR_INVALID, "'%s' is no option; write --in, --out or --param",
                           words[i]);
        }
    }
    return 0;
}

static void write_json(const struct check *c, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_kv_bool(&w, "ok", c->n_mistakes == 0);
    jw_key(&w, "mistakes");
    jw_array(&w);
    check_mistakes_json(c, str_of(c->step.module->name), &w);
    jw_end(&w);
    jw_key(&w, "outputs");
    jw_object(&w);
    for (int i = 0; c->step.module->outputs[i].name; i++) {
        jw_key(&w, c->step.module->outputs[i].name);
        schema_json(&c->out[i], &w);
    }
    jw_end(&w);
    jw_end(&w);
    (void)buf_add(out, STR("\n"));
}

int check_step_json(const struct module *const *modules, char *const *words, size_t n,
                    struct buf *out, bool *ok, struct err *e)
{
    const struct module *m = n > 0 ? step_find_module(modules, str_of(words[0]), e) : NULL;
    struct schema inputs[MODULE_PORTS] = {0};
    struct check c;
    int rc;

    if (m == NULL) {
        return n > 0 ? -1 : err_set(e, ERR_INVALID, "--schema-only needs a module and its words");
    }
    check_init(&c, m);
    c.open_file = open_file;
    rc = take_words(&c, inputs, words, n, e);
    if (rc == 0) {
        check_run(&c);
        write_json(&c, out);
        *ok = c.n_mistakes == 0;
    }
    check_done(&c);
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        schema_done(&inputs[i]);
    }
    return rc;
}
