/* The routes of runs. */
#include "pipeline/pipeline_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES (16 * MIB)

struct show {
    int64_t project_id, id;
    struct arena *a;
    struct run_row run;
    struct node_row *nodes;
    size_t n;
};

static int show_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct show *x = ctx;

    return run_store_get(db, x->project_id, x->id, x->a, &x->run, e) < 0
               ? -1
               : run_store_nodes(db, x->id, x->a, &x->nodes, &x->n, e);
}

static int number_of(struct str text, int64_t *out, struct err *e)
{
    uint64_t n;

    if (text.p == NULL || str_to_u64(text, &n) < 0 || n == 0 || n > INT64_MAX) {
        return err_set(e, ERR_NOT_FOUND, "the project has no run '%.*s'",
                       STR_ARG(str_first(text.p ? text : STR_EMPTY, 32)));
    }
    *out = (int64_t)n;
    return 0;
}

static int find_run(struct http_req *r, struct show *x, struct err *e)
{
    struct pipelines *s = r->ctx;

    *x = (struct show){.a = &r->arena};
    return studio_project(r, &x->project_id, e) < 0 ||
                   number_of(http_path_param(r, "id"), &x->id, e) < 0
               ? -1
               : state_read(s->parts.state, show_fn, x, e);
}

/* How far its step is, which only memory knows. */
static void live_of(struct pipelines *s, int64_t run_id, const char *node, double *done,
                    char text[200])
{
    struct lock *l = &s->lock;

    *done = 0;
    text[0] = '\0';
    WITH_LOCK(l);
    list_each(it, &s->runs)
    {
        const struct run *r = list_entry(it, struct run, link);

        for (size_t i = 0; r->row.id == run_id && i < r->n; i++) {
            if (strcmp(r->nodes[i].row.node, node) == 0) {
                *done = r->nodes[i].done;
                memcpy(text, r->nodes[i].text, 200);
            }
        }
    }
}

static void write_nodes(struct pipelines *s, const struct show *x, struct jw *w)
{
    char text[200];
    double done;

    jw_key(w, "nodes");
    jw_object(w);
    for (size_t i = 0; i < x->n; i++) {
        live_of(s, x->id, x->nodes[i].node, &done, text);
        jw_key(w, x->nodes[i].node);
        node_view(&x->nodes[i], done, text, w);
    }
    jw_end(w);
}

static int reply_run(struct http_req *r, int status, const struct show *x, struct err *e)
{
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw w = JW(&out);

    run_view_begin(&x->run, &w);
    write_nodes(r->ctx, x, &w);
    jw_end(&w);
    return studio_reply(r, status, &out, 0, e);
}

int run_get(struct http_req *r, struct err *e)
{
    struct show x;

    return find_run(r, &x, e) < 0 ? -1 : reply_run(r, 200, &x, e);
}

/* --- starting one --- */

/* A value as its text: 7, 0.5, true, "a". */
static int value_text(struct arena *a, const char *name, const json_t *v, const char **out,
                      struct err *e)
{
    char number[NUMBER_TEXT_MAX];

    if (json_is_string(v)) {
        *out = arena_strdup(a, str_of(json_string_value(v)));
    } else if (json_is_integer(v)) {
        *out = arena_printf(a, "%lld", (long long)json_integer_value(v));
    } else if (json_is_real(v)) {
        (void)number_short(json_real_value(v), number);
        *out = arena_strdup(a, str_of(number));
    } else if (json_is_boolean(v)) {
        *out = json_is_true(v) ? "true" : "false";
    } else {
        return err_set(e, ERR_INVALID, "params.%.60s must be a text, a number or true or false",
                       name);
    }
    return strlen(*out) <= LIMIT_PIPELINE_VALUE_BYTES
               ? 0
               : err_set(e, ERR_LIMIT, "params.%.60s is longer than %d bytes", name,
                         LIMIT_PIPELINE_VALUE_BYTES);
}

int run_read_values(struct arena *a, const json_t *params, struct run_new *out, struct err *e)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(LIMIT_JSON_BODY_BYTES * 2);
    struct graph_value *values;
    struct jw w = JW(&json);
    size_t n = json_object_size(params), bytes = 0;

    if (params && !json_is_object(params)) {
        return err_set(e, ERR_INVALID, "'%s' must be %s", "params", "an object");
    }
    if (n > LIMIT_PIPELINE_VARS) {
        return err_set(e, ERR_INVALID, "params has %zu entries; at most %d are taken", n,
                       LIMIT_PIPELINE_VARS);
    }
    values = arena_new_array(a, struct graph_value, n + 1);
    jw_object(&w);
    for (void *it = json_object_iter((json_t *)params); it;
         it = json_object_iter_next((json_t *)params, it)) {
        struct graph_value *v = &values[out->n_values];

        v->name = arena_strdup(a, str_of(json_object_iter_key(it)));
        if (value_text(a, v->name, json_object_iter_value(it), &v->text, e) < 0) {
            return -1;
        }
        bytes += strlen(v->name) + strlen(v->text);
        if (bytes > LIMIT_PIPELINE_VALUE_BYTES) {
            return err_set(e, ERR_LIMIT, "params are longer than %d bytes in all",
                           LIMIT_PIPELINE_VALUE_BYTES);
        }
        jw_kv_c(&w, v->name, v->text);
        out->n_values++;
    }
    jw_end(&w);
    out->values = values;
    out->params = arena_strdup(a, buf_str(&json));
    return 0;
}

static int read_new(struct http_req *r, const json_t *body, struct run_new *out, struct err *e)
{
    static const char *const keys[] = {"version", "params", "to", "from", "cache"};
    struct str to = {0}, from = {0};
    bool cache = true;

    if (json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_i64(body, "version", &out->version, e) < 0 ||
        json_get_str(body, "to", &to, e) < 0 || json_get_str(body, "from", &from, e) < 0 ||
        json_get_bool(body, "cache", &cache, e) < 0) {
        return -1;
    }
    out->to = to.len > 0 ? arena_strdup(&r->arena, to) : NULL;
    out->from = from.len > 0 ? arena_strdup(&r->arena, from) : NULL;
    out->is_uncached = !cache;
    return run_read_values(&r->arena, json_object_get(body, "params"), out, e);
}

/* What is wrong with the graph, as `check` says it. */
static int reply_graph_mistakes(struct http_req *r, const struct mistakes *m, const struct err *why,
                                struct err *e)
{
    struct buf out = BUF_MAX(MIB);
    struct jw writer = JW(&out), *w = &writer;

    jw_object(w);
    jw_key(w, "error");
    jw_object(w);
    jw_kv_c(w, "kind", err_name(why->kind));
    jw_kv_c(w, "message", why->msg);
    jw_kv_c(w, "request_id", r->id);
    jw_key(w, "mistakes");
    graph_mistakes_json(m, w);
    jw_end(w);
    jw_end(w);
    return studio_reply(r, err_http_status(why->kind), &out, 0, e);
}

int runs_post(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct mistakes mistakes = {.a = &r->arena};
    struct run_new asked = {
        .who = &r->who, .project = r->project, .pipeline = http_path_param(r, "name")};
    struct show x = {.a = &r->arena};
    struct err why;

    if (http_body_length(r) == 0) {
        body = json_object();
    } else if (http_body_json(r, &body, e) < 0) {
        return -1;
    }
    if (studio_project(r, &asked.project_id, e) < 0 || read_new(r, body, &asked, e) < 0) {
        return -1;
    }
    if (run_create(s, &asked, &r->arena, &x.id, &mistakes, &why) < 0) {
        if (mistakes.n > 0) {
            return reply_graph_mistakes(r, &mistakes, &why, e);
        }
        *e = why;
        return -1;
    }
    x.project_id = asked.project_id;
    return state_read(s->parts.state, show_fn, &x, e) < 0 ? -1 : reply_run(r, 202, &x, e);
}

/* --- changing one --- */

static int cancel_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct show *x = ctx;

    if (show_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.finished_ms > 0) {
        return err_set(e, ERR_CONFLICT, "run %lld is %s already", (long long)x->id,
                       run_state_name(x->run.state));
    }
    x->run.is_stopping = true;
    return state_run(db, e, "UPDATE pipeline_runs SET stopping = 1 WHERE id = ?", "i", x->id);
}

/* What did not end well waits again, with no trace of its last try. */
static int retry_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct show *x = ctx;

    if (show_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.state != RUN_FAILED && x->run.state != RUN_CANCELLED) {
        return err_set(e, ERR_CONFLICT,
                       "run %lld is %s: only what failed or was cancelled is tried"
                       " again",
                       (long long)x->id, run_state_name(x->run.state));
    }
    if (run_store_check_room(db, x->project_id, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x->n; i++) {
        struct node_row *n = &x->nodes[i];

        if (!node_state_good(n->state)) {
            *n = (struct node_row){
                .node = n->node, .module = n->module, .image = n->image, .is_forced = n->is_forced};
            if (run_store_set_node(db, x->id, n, e) < 0) {
                return -1;
            }
        }
    }
    x->run.state = RUN_RUNNING;
    x->run.finished_ms = 0;
    x->run.is_stopping = false;
    return state_run(db, e,
                     "UPDATE pipeline_runs SET state = ?, finished_ms = 0, stopping = 0 WHERE id ="
                     " ?",
                     "ii", (int64_t)RUN_RUNNING, x->id);
}

static int change_run(struct http_req *r, state_fn *fn, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct show x = {.a = &r->arena};

    if (studio_project(r, &x.project_id, e) < 0 ||
        number_of(http_path_param(r, "id"), &x.id, e) < 0 ||
        state_write(s->parts.state, fn, &x, e) < 0) {
        return -1;
    }
    runner_note(s, NOTE_RUN, x.project_id, x.id);
    return reply_run(r, 202, &x, e);
}

int run_cancel(struct http_req *r, struct err *e)
{
    return change_run(r, cancel_fn, e);
}

int run_retry(struct http_req *r, struct err *e)
{
    return change_run(r, retry_fn, e);
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct show *x = ctx;

    if (show_fn(db, x, e) < 0) {
        return -1;
    }
    if (x->run.finished_ms == 0) {
        return err_set(e, ERR_CONFLICT, "run %lld is %s: cancel it first", (long long)x->id,
                       run_state_name(x->run.state));
    }
    return run_store_delete(db, x->id, e);
}

int run_delete(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct show x = {.a = &r->arena};
    struct err ignored;

    if (studio_project(r, &x.project_id, e) < 0 ||
        number_of(http_path_param(r, "id"), &x.id, e) < 0 ||
        state_write(s->parts.state, delete_fn, &x, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x.n; i++) {
        if (x.nodes[i].job) {
            (void)!jobs_delete(s->parts.jobs, x.project_id, str_of(x.nodes[i].job), &ignored);
        }
    }
    runner_note(s, NOTE_COLLECT, x.project_id, 0);
    return http_reply_empty(r, 204, e);
}

/* --- lists --- */

struct page {
    struct run_filter filter;
    int64_t limit;
    struct arena *a;
    struct run_row *rows;
    size_t n;
};

static int page_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct page *p = ctx;

    return run_store_list(db, &p->filter, p->limit + 1, p->a, &p->rows, &p->n, e);
}

static int states_of(struct http_req *r, unsigned *out, struct err *e)
{
    struct str rest = http_query(r, "state");

    *out = 0;
    while (rest.p && rest.len > 0) {
        enum run_state s;

        if (run_state_parse(str_trim(str_cut(&rest, ',')), &s, e) < 0) {
            return -1;
        }
        *out |= 1U << s;
    }
    return 0;
}

int runs_list(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw writer = JW(&out), *w = &writer;
    struct page p = {.a = &r->arena};
    size_t n;

    if (studio_project(r, &p.filter.project_id, e) < 0 || states_of(r, &p.filter.states, e) < 0 ||
        http_query_filter(r, &p.filter.words, e) < 0 ||
        http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &p.limit, e) < 0 ||
        http_query_i64(r, "after", 0, 0, INT64_MAX, &p.filter.before, e) < 0) {
        return -1;
    }
    p.filter.pipeline = http_query(r, "pipeline");
    if (state_read(s->parts.state, page_fn, &p, e) < 0) {
        return -1;
    }
    n = p.n > (size_t)p.limit ? (size_t)p.limit : p.n;
    jw_object(w);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        run_view_begin(&p.rows[i], w);
        jw_end(w);
    }
    jw_end(w);
    jw_kv_c(w, "next",
            n < p.n ? arena_printf(&r->arena, "%lld", (long long)p.rows[n - 1].id) : NULL);
    jw_end(w);
    return studio_reply(r, 200, &out, 0, e);
}

/* --- two side by side --- */

static const struct node_row *node_of(const struct show *x, const char *name)
{
    for (size_t i = 0; i < x->n; i++) {
        if (strcmp(x->nodes[i].node, name) == 0) {
            return &x->nodes[i];
        }
    }
    return NULL;
}

static void write_pair(const struct show *a, const struct show *b, const char *name, struct jw *w)
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

static void write_params(const struct show *a, const struct show *b, struct jw *w)
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
    struct show a = {.a = &r->arena}, b = {.a = &r->arena};

    if (studio_project(r, &a.project_id, e) < 0 || number_of(http_query(r, "a"), &a.id, e) < 0 ||
        number_of(http_query(r, "b"), &b.id, e) < 0) {
        return -1;
    }
    b.project_id = a.project_id;
    if (state_read(s->parts.state, show_fn, &a, e) < 0 ||
        state_read(s->parts.state, show_fn, &b, e) < 0) {
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
