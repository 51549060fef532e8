#include "algorithms/check_step.h"

#include "algorithms/kernel/check.h"
#include "algorithms/kernel/files.h"
#include "algorithms/kernel/need.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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

/* --- how much memory ------------------------------------------------------------------------- */

static int64_t bytes_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : 0;
}

static int64_t columns_of(const struct schema *s)
{
    return s->table ? (int64_t)s->table->n_columns : 0;
}

/* A file, or all of a folder or pattern, where rows are known of the first. */
static void need_source(const struct check *c, const char *path, struct need *need)
{
    SCOPED(files_done) struct files f = {0};
    struct stat st;
    struct err ignored;
    int64_t all = 0, rows = c->out[0].rows > 0 ? c->out[0].rows : -1;
    bool is_there = path && stat(path, &st) == 0;

    if (path == NULL || (is_there && !S_ISDIR(st.st_mode)) ||
        files_find(&f, &files_here, path, /* suffixes */ "", &ignored) < 0) {
        need_table(need, path ? bytes_of(path) : 0, rows, columns_of(&c->out[0]));
        return;
    }
    for (size_t i = 0; i < f.n; i++) {
        all += bytes_of(f.paths[i]);
    }
    need_table(need, all, f.n == 1 ? rows : -1, columns_of(&c->out[0]));
}

/* Of the inputs, in the order of the ports; of a source, of what its parameter names. */
static void sizes_of(const struct check *c, char *const *words, size_t n, struct need *need)
{
    const struct module *m = c->step.module;

    for (int i = 0; m->inputs[i].name; i++) {
        for (size_t k = 1; c->in[i] && k + 1 < n; k += 2) {
            struct str path = str_of(words[k + 1]), port = str_trim(str_cut(&path, '='));
            int64_t rows = c->in[i]->rows;

            if (strcmp(words[k], "--in") != 0 || !str_eq_c(port, m->inputs[i].name)) {
                continue;
            }
            if (c->in[i]->type == VALUE_TABLE) {
                need_table(need, bytes_of(path.p), rows, columns_of(c->in[i]));
            } else {
                need->input += bytes_of(path.p);
            }
        }
    }
    /* The input of a source is for pipelines only. */
    for (int i = 0; c->in[0] == NULL && m->params[i].name; i++) {
        if (m->params[i].type == PARAM_PATH) {
            need_source(c, step_text(&c->step, m->params[i].name).p, need);
        }
    }
}

static void write_memory(const struct check *c, const struct need *need, struct jw *w)
{
    const struct module *m = c->step.module;
    int64_t bytes = 0;
    struct err e;

    if (need_bytes(&c->step, m->memory, need, &bytes, &e) == 0) {
        jw_kv_i64(w, "memory", bytes);
    }
    if (need_bytes(&c->step, m->memory_spilled ? m->memory_spilled : m->memory, need, &bytes, &e) ==
        0) {
        jw_kv_i64(w, "memory_spilled", bytes);
    }
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

static void write_json(const struct check *c, const struct need *need, struct buf *out)
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
    if (c->n_mistakes == 0) {
        write_memory(c, need, &w);
    }
    jw_end(&w);
    (void)buf_add(out, STR("\n"));
}

int check_step_json(const struct module *const *modules, char *const *words, size_t n,
                    struct buf *out, bool *ok, struct err *e)
{
    const struct module *m = n > 0 ? step_find_module(modules, str_of(words[0]), e) : NULL;
    struct schema inputs[MODULE_PORTS] = {0};
    struct need need = {.cpus = threads_default()};
    struct check c;
    int rc;

    if (m == NULL) {
        return n > 0 ? -1 : err_set(e, ERR_INVALID, "--schema-only needs a module and its words");
    }
    check_init(&c, m);
    c.open_file = open_file;
    c.lister = &files_here;
    rc = take_words(&c, inputs, words, n, e);
    if (rc == 0) {
        check_run(&c);
        if (c.n_mistakes == 0) {
            sizes_of(&c, words, n, &need);
        }
        write_json(&c, &need, out);
        *ok = c.n_mistakes == 0;
    }
    check_done(&c);
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        schema_done(&inputs[i]);
    }
    return rc;
}
