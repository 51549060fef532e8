/* The routes that show runs. */
#include "pipeline/runs_http.h"

#include "base/limits.h"

#include <string.h>

#define ANSWER_BYTES (16 * MIB)

int run_shown_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run_shown *x = ctx;

    return run_store_get(db, x->project_id, x->id, x->a, &x->run, e) < 0
               ? -1
               : run_store_nodes(db, x->id, x->a, &x->nodes, &x->n, e);
}

int run_number(struct str text, int64_t *out, struct err *e)
{
    uint64_t n;

    if (text.p == NULL || str_to_u64(text, &n) < 0 || n == 0 || n > INT64_MAX) {
        return err_set(e, ERR_NOT_FOUND, "the project has no run '%.*s'",
                       STR_ARG(str_first(text.p ? text : STR_EMPTY, 32)));
    }
    *out = (int64_t)n;
    return 0;
}

static int run_find(struct http_req *r, struct run_shown *x, struct err *e)
{
    struct pipelines *s = r->ctx;

    *x = (struct run_shown){.a = &r->arena};
    return studio_project(r, &x->project_id, e) < 0 ||
                   run_number(http_path_param(r, "id"), &x->id, e) < 0
               ? -1
               : state_read(s->parts.state, run_shown_fn, x, e);
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

static void write_nodes(struct pipelines *s, const struct run_shown *x, struct jw *w)
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

int run_reply(struct http_req *r, int status, const struct run_shown *x, struct err *e)
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
    struct run_shown x;

    return run_find(r, &x, e) < 0 ? -1 : run_reply(r, 200, &x, e);
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
