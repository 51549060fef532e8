/* Runs and nodes as JSON for the API (docs/formats/api.md). */
#include "pipeline/pipeline_priv.h"

static void kv_raw(struct jw *w, const char *key, const char *json)
{
    jw_key(w, key);
    if (json) {
        jw_raw(w, str_of(json));
    } else {
        jw_null(w);
    }
}

void run_view_begin(const struct run_row *r, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id", r->id);
    jw_kv_c(w, "pipeline", r->pipeline);
    jw_kv_i64(w, "version", r->version);
    jw_kv_c(w, "state", run_state_name(r->state));
    kv_raw(w, "params", r->params);
    jw_kv_c(w, "by", r->by);
    jw_kv_c(w, "to", r->to);
    jw_kv_c(w, "from", r->from);
    jw_kv_time(w, "created_at", r->created_ms);
    jw_kv_time(w, "started_at", r->started_ms);
    jw_kv_time(w, "finished_at", r->finished_ms);
}

static void write_double(struct jw *w, const char *key, double v)
{
    jw_key(w, key);
    jw_double(w, v);
}

void node_view(const struct node_row *n, double done, const char *text, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "state", node_state_name(n->state));
    jw_kv_c(w, "module", n->module);
    write_double(w, "done", node_state_good(n->state) ? 1 : done);
    jw_kv_c(w, "text", text ? text : "");
    jw_kv_c(w, "job", n->job);
    jw_kv_time(w, "started_at", n->started_ms);
    jw_kv_time(w, "finished_at", n->finished_ms);
    jw_key(w, "cache");
    if (n->why) {
        jw_object(w);
        jw_kv_bool(w, "hit", n->state == NODE_CACHED);
        jw_kv_c(w, "why", n->why);
        jw_end(w);
    } else {
        jw_null(w);
    }
    kv_raw(w, "metrics", n->metrics ? n->metrics : "{}");
    kv_raw(w, "warnings", n->warnings ? n->warnings : "[]");
    kv_raw(w, "outputs", n->outputs ? n->outputs : "{}");
    jw_key(w, "error");
    if (n->error) {
        jw_object(w);
        jw_kv_c(w, "message", n->error);
        jw_kv_c(w, "kind", n->error_kind);
        jw_end(w);
    } else {
        jw_null(w);
    }
    jw_end(w);
}
