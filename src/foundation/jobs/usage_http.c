#include "jobs/usage_http.h"

#include "base/limits.h"
#include "jobs/jobs_priv.h"
#include "jobs/view.h"

/* LIMIT_USAGE_SAMPLES of at most 310 bytes. */
#define USAGE_ANSWER_BYTES (256 * KIB)

struct usage_lookup {
    struct http_req *req;
    int64_t project_id;
    struct job_row row;
    int64_t attempt, tries;
};

static int look_up(struct state_db *db, void *ctx, struct err *e)
{
    struct usage_lookup *k = ctx;
    struct str id = http_path_param(k->req, "id");

    if (job_store_get(db, k->project_id, id, &k->req->arena, &k->row, e) < 0 ||
        job_attempt_of(k->req, &k->row, &k->attempt, e) < 0) {
        return -1;
    }
    return job_store_tries(db, id, k->attempt, &k->tries, e);
}

static void write_figure(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    if (v == RUNTIME_UNKNOWN) {
        jw_null(w);
    } else {
        jw_i64(w, v);
    }
}

static void write_sample(struct jw *w, const struct runtime_sample *s)
{
    jw_object(w);
    jw_kv_time(w, "at", s->at_ms);
    write_figure(w, "cpu_usec", s->cpu_usec);
    write_figure(w, "memory_bytes", s->memory_bytes);
    write_figure(w, "memory_peak_bytes", s->memory_peak_bytes);
    write_figure(w, "io_read_bytes", s->io_read_bytes);
    write_figure(w, "io_write_bytes", s->io_write_bytes);
    write_figure(w, "processes", s->processes);
    jw_end(w);
}

static int reply_usage(struct http_req *r, const struct usage_lookup *k,
                       const struct runtime_usage *u, struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(USAGE_ANSWER_BYTES);
    struct jw w = JW(&out);

    jw_object(&w);
    jw_kv_i64(&w, "attempt", k->attempt);
    jw_kv_time(&w, "started_at", u->started_ms);
    jw_kv_i64(&w, "interval_ms", u->interval_ms);
    jw_kv_i64(&w, "cpu_milli_limit", k->row.cpu_milli);
    jw_kv_i64(&w, "memory_limit_bytes", k->row.memory_bytes);
    jw_key(&w, "samples");
    jw_array(&w);
    for (size_t i = 0; i < u->n; i++) {
        write_sample(&w, &u->samples[i]);
    }
    jw_end(&w);
    jw_end(&w);
    return http_reply_json(r, 200, &out, e);
}

int job_usage_get(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    const struct jobs_hooks *h = &j->parts.hooks;
    struct usage_lookup k = {.req = r};
    struct runtime_usage u = {.interval_ms = RUNTIME_USAGE_INTERVAL_MS};
    char container[65];
    uint32_t id_base;

    if (h->project(h->ctx, r->project, &k.project_id, &id_base, e) < 0 ||
        state_read(j->parts.state, look_up, &k, e) < 0) {
        return -1;
    }
    job_container_id(k.row.id, k.attempt, k.tries, container);
    if (j->engine->usage(j->engine_ctx, container, &r->arena, &u, e) < 0 &&
        e->kind != ERR_NOT_FOUND) { /* not found: no sample yet, an empty list */
        return -1;
    }
    return reply_usage(r, &k, &u, e);
}
