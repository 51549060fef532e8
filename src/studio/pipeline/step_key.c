/* What a node's output depends on, as words; and, when they are others than last time, which. */
#include "pipeline/pipeline_priv.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Quotes within values are escaped, and no value of the words but this one is an object of texts
 * with that name: it stands there once. */
#define MARKS ",\"marks\":"

const struct module *run_module(const struct run *r, const struct run_node *n)
{
    return r->graph.nodes[n->g].module->table;
}

struct volume_ref run_volume(const struct run *r)
{
    return (struct volume_ref){r->row.project_id, str_of(r->doc.volume)};
}

bool step_error_passes(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_NO_SPACE ||
           e->kind == ERR_IO || e->kind == ERR_THROTTLED;
}

/* --- the key --- */

const char *step_param(const struct run *r, const struct run_node *n, size_t i)
{
    const char *given = r->graph.nodes[n->g].params[i];

    return given ? given : run_module(r, n)->params[i].def;
}

const char *step_param_named(const struct run *r, const struct run_node *n, const char *name)
{
    const struct module *m = run_module(r, n);

    for (size_t i = 0; m->params[i].name; i++) {
        if (strcmp(m->params[i].name, name) == 0) {
            const char *text = step_param(r, n, i);

            return text ? text : "";
        }
    }
    return "";
}

struct run_node *run_node_at(const struct run *r, int g)
{
    return g >= 0 ? r->of[g] : NULL;
}

/* Sparse files may be larger than any number here stands. */
int64_t step_bytes(int64_t times, int64_t bytes, int64_t base)
{
    int64_t out;

    return __builtin_mul_overflow(times, bytes, &out) || __builtin_add_overflow(out, base, &out)
               ? INT64_MAX
               : out;
}

/* All are asked for, so that they are read side by side. */
static int write_files(struct pipelines *s, struct run *r, struct run_node *n, struct jw *w,
                       struct jw *marks, int64_t *bytes, struct err *e)
{
    const struct module *m = run_module(r, n);
    const char *mark;
    char hex[65];
    int all = 0;

    jw_key(w, "files");
    jw_object(w);
    jw_object(marks);
    for (size_t i = 0; m->params[i].name; i++) {
        const char *path = step_param(r, n, i);

        if (m->params[i].type == PARAM_PATH && path && *path && !(m->flags & MODULE_WRITES)) {
            int rc = path_hash(s, r, n, path, hex, &mark, bytes, e);

            if (rc < 0) {
                return -1;
            }
            all = rc == 1 ? all : rc;
            jw_kv_c(w, path, rc == 1 ? hex : "");
            jw_kv_c(marks, path, mark);
        }
    }
    jw_end(w);
    jw_end(marks);
    return all;
}

static void write_inputs(const struct run *r, const struct run_node *n, struct jw *w,
                         int64_t *bytes)
{
    const struct graph_node *g = &r->graph.nodes[n->g];
    const struct module *m = g->module->table;

    jw_key(w, "inputs");
    jw_object(w);
    for (size_t i = 0; m->inputs[i].name; i++) {
        const struct run_node *from = run_node_at(r, g->from[i]);

        if (from) {
            jw_kv_c(w, m->inputs[i].name, from->outputs[g->from_port[i]].sha256);
            *bytes = step_bytes(1, *bytes, from->outputs[g->from_port[i]].bytes);
        }
    }
    jw_end(w);
}

/* The marks of files are no part of the key: they tell later whether the step read what it says. */
int step_words(struct pipelines *s, struct run *r, struct run_node *n, int64_t *input_bytes,
               struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(2 * MIB);
    SCOPED(buf_done) struct buf marks = BUF_MAX(2 * MIB);
    struct jw marker = JW(&marks);
    const struct module *m = run_module(r, n);
    struct jw writer = JW(&out), *w = &writer;
    int rc;

    *input_bytes = 0;
    jw_object(w);
    jw_kv_c(w, "module", m->name);
    jw_kv_c(w, "version", m->version);
    jw_kv_c(w, "image", n->row.image ? n->row.image : s->image.image.digest);
    jw_kv_c(w, "device", "cpu");
    jw_key(w, "params");
    jw_object(w);
    for (size_t i = 0; m->params[i].name; i++) {
        jw_kv_c(w, m->params[i].name, step_param(r, n, i));
    }
    jw_end(w);
    write_inputs(r, n, w, input_bytes);
    rc = write_files(s, r, n, w, &marker, input_bytes, e);
    if (rc != 0) {
        return rc;
    }
    jw_end(w);
    if (out.failed || marks.failed) {
        return err_set(e, ERR_LIMIT, "the parameters of %s are too long", n->row.node);
    }
    n->row.words = arena_printf(&n->arena, "%.*s" MARKS "%.*s}", (int)out.len - 1, out.p,
                                STR_ARG(buf_str(&marks)));
    return 0;
}

int step_files_look(struct pipelines *s, const struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(json_decrefp) json_t *words = json_parse(str_of(n->row.words), e);
    bool is_same = words != NULL;
    const char *path, *now;
    const json_t *mark;

    if (n->files_seen != FILES_UNSEEN) {
        return 1;
    }
    json_object_foreach(json_object_get(words, "marks"), path, mark)
    {
        int rc = path_mark(s, r, n, path, &now, e);

        if (rc == HASH_PENDING || (rc < 0 && step_error_passes(e))) {
            return rc;
        }
        is_same = is_same && rc == 1 && strcmp(now, json_string_value(mark)) == 0;
    }
    path_looks_done(s, n);
    n->files_seen = is_same ? FILES_SAME : FILES_OTHERS;
    return 1;
}

void step_words_key(const char *words, char key[STEP_KEY])
{
    SCOPED(buf_done) struct buf text = BUF_MAX(4 * MIB);
    const char *marks = strstr(words, MARKS "{");

    (void)buf_add(&text, str_n(words, marks ? (size_t)(marks - words) : strlen(words)));
    (void)buf_add(&text, marks ? STR("}") : STR_EMPTY);
    sha256_hex_of(buf_str(&text), key);
}

/* --- why it is not the same as last time --- */

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static const char *first_other(const json_t *keys_of, const json_t *other)
{
    for (void *it = json_object_iter((json_t *)keys_of); it;
         it = json_object_iter_next((json_t *)keys_of, it)) {
        const char *key = json_object_iter_key(it);

        if (strcmp(text_at(keys_of, key), text_at(other, key)) != 0) {
            return key;
        }
    }
    return NULL;
}

/* The first key whose value is another one, or that one of them lacks. */
static const char *first_change(const json_t *now, const json_t *then)
{
    const char *key = first_other(now, then);

    return key ? key : first_other(then, now);
}

/* A program or another long text is not told: nobody would see in it what changed. */
static const char *why_param(struct arena *a, const char *key, const char *then, const char *now)
{
    enum { LONGEST = 60 };

    if (strlen(then) > LONGEST || strlen(now) > LONGEST || strchr(then, '\n') ||
        strchr(now, '\n')) {
        return arena_printf(a, "parameter %.60s changed", key);
    }
    return arena_printf(a, "parameter %.60s changed from %.60s to %.60s", key, then, now);
}

const char *step_why(struct run_node *n, const char *old_words)
{
    struct err e;
    SCOPED(json_decrefp) json_t *now = json_parse(str_of(n->row.words), &e);
    SCOPED(json_decrefp)
    json_t *then = old_words ? json_parse(str_of(old_words), &e) : NULL;
    const char *key, *module = text_at(now, "module");
    struct arena *a = &n->arena;

    if (then == NULL || strcmp(module, text_at(then, "module")) != 0) {
        return "never run before";
    }
    if (strcmp(text_at(now, "version"), text_at(then, "version")) != 0) {
        return arena_printf(a, "module %s is %s, was %s", module, text_at(now, "version"),
                            text_at(then, "version"));
    }
    if ((key = first_change(json_object_get(now, "params"), json_object_get(then, "params")))) {
        return why_param(a, key, text_at(json_object_get(then, "params"), key),
                         text_at(json_object_get(now, "params"), key));
    }
    if ((key = first_change(json_object_get(now, "inputs"), json_object_get(then, "inputs")))) {
        return arena_printf(a, "input %.60s has changed", key);
    }
    if ((key = first_change(json_object_get(now, "files"), json_object_get(then, "files")))) {
        return arena_printf(a, "file %.200s has changed", key);
    }
    if (strcmp(text_at(now, "image"), text_at(then, "image")) != 0) {
        return n->row.image ? "its image has changed" : "strata-ml has changed";
    }
    return "its last run gave no output";
}
