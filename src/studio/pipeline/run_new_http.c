/* A run is asked for. */
#include "pipeline/runs_http.h"

#include "base/limits.h"
#include "base/number.h"

#include <string.h>

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
    static const char *const keys[] = {"version", "params", "to", "from", "cache", "fuse"};
    struct str to = {0}, from = {0};
    bool cache = true, fuse = true;

    if (json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_i64(body, "version", &out->version, e) < 0 ||
        json_get_str(body, "to", &to, e) < 0 || json_get_str(body, "from", &from, e) < 0 ||
        json_get_bool(body, "cache", &cache, e) < 0 || json_get_bool(body, "fuse", &fuse, e) < 0) {
        return -1;
    }
    out->to = to.len > 0 ? arena_strdup(&r->arena, to) : NULL;
    out->from = from.len > 0 ? arena_strdup(&r->arena, from) : NULL;
    out->is_uncached = !cache;
    out->is_unfused = !fuse;
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
    struct run_shown x = {.a = &r->arena};
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
    return state_read(s->parts.state, run_shown_fn, &x, e) < 0 ? -1 : run_reply(r, 202, &x, e);
}
