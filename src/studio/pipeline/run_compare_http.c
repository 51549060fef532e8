/* Two runs side by side. */
#include "pipeline/runs_http.h"

#include "base/limits.h"

#include <string.h>

#define ANSWER_BYTES (16 * MIB)

static const struct node_row *node_of(const struct run_shown *x, const char *name)
{
    for (size_t i = 0; i < x->n; i++) {
        if (strcmp(x->nodes[i].node, name) == 0) {
            return &x->nodes[i];
        }
    }
    return NULL;
}

static void write_pair(const struct run_shown *a, const struct run_shown *b, const char *name,
                       struct jw *w)
{
    const struct node_row *sides[] = {node_of(a, name), node_of(b, name)};
    static const char *const keys[] = {"a", "b"};

    jw_key(w, name);
    jw_object(w);
    for (int i = 0; i < 2; i++) {
        jw_key(w, keys[i]);
        if (sides[i]) {
            node_view(sides[i], 0, "", w);
        } else {
            jw_null(w);
        }
    }
    jw_end(w);
}

static void write_params(const struct run_shown *a, const struct run_shown *b, struct jw *w)
{
    struct err e;
    SCOPED(json_decrefp) json_t *x = json_parse(str_of(a->run.params), &e);
    SCOPED(json_decrefp) json_t *y = json_parse(str_of(b->run.params), &e);
    const json_t *sides[] = {x, y};

    jw_key(w, "params");
    jw_object(w);
    for (int i = 0; i < 2; i++) {
        for (void *it = json_object_iter((json_t *)sides[i]); it;
             it = json_object_iter_next((json_t *)sides[i], it)) {
            const char *key = json_object_iter_key(it);

            if (i == 0 || json_object_get(x, key) == NULL) {
                jw_key(w, key);
                jw_object(w);
                jw_kv_c(w, "a", json_string_value(json_object_get(x, key)));
                jw_kv_c(w, "b", json_string_value(json_object_get(y, key)));
                jw_end(w);
            }
        }
    }
    jw_end(w);
}

int run_compare(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw writer = JW(&out), *w = &writer;
    struct run_shown a = {.a = &r->arena}, b = {.a = &r->arena};

    if (studio_project(r, &a.project_id, e) < 0 || run_number(http_query(r, "a"), &a.id, e) < 0 ||
        run_number(http_query(r, "b"), &b.id, e) < 0) {
        return -1;
    }
    b.project_id = a.project_id;
    if (state_read(s->parts.state, run_shown_fn, &a, e) < 0 ||
        state_read(s->parts.state, run_shown_fn, &b, e) < 0) {
        return -1;
    }
    jw_object(w);
    jw_key(w, "a");
    run_view_begin(&a.run, w);
    jw_end(w);
    jw_key(w, "b");
    run_view_begin(&b.run, w);
    jw_end(w);
    write_params(&a, &b, w);
    jw_key(w, "nodes");
    jw_object(w);
    for (size_t i = 0; i < a.n; i++) {
        write_pair(&a, &b, a.nodes[i].node, w);
    }
    for (size_t i = 0; i < b.n; i++) {
        if (node_of(&a, b.nodes[i].node) == NULL) {
            write_pair(&a, &b, b.nodes[i].node, w);
        }
    }
    jw_end(w);
    jw_end(w);
    return studio_reply(r, 200, &out, 0, e);
}
