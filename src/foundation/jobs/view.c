#include "jobs/view.h"

#include <string.h>

/* A number that is none is the query's mistake; an attempt that was not made is not there. */
int job_attempt_of(const struct http_req *r, const struct job_row *row, int64_t *out, struct err *e)
{
    int64_t attempt;

    if (http_query_i64(r, "attempt", row->attempt, INT64_MIN, INT64_MAX, &attempt, e) < 0) {
        return -1;
    }
    if (attempt < 1 || attempt > row->attempt) {
        return err_set(e, ERR_NOT_FOUND, "job %s has no attempt %lld: its attempts are 1 to %lld",
                       row->id, (long long)attempt, (long long)row->attempt);
    }
    *out = attempt;
    return 0;
}

static const char *why_queued_locked(struct jobs *j, const struct job *job, size_t position,
                                     struct arena *a)
{
    const struct job *head = jobs_queue_first(&j->queue);
    char why[160];

    if (!j->adopted) {
        return "waits until the containers of this machine are known again";
    }
    jobs_machine_why_waiting(&j->machine, &head->need, why, sizeof(why));
    if (job == head) {
        return arena_strdup(a, str_of(why));
    }
    return arena_printf(a, "waits behind %zu job%s; the first one %s", position - 1,
                        position == 2 ? "" : "s", why);
}

void job_live_of(struct jobs *j, const struct job_row *row, struct arena *a, struct job_live *out)
{
    struct lock *l = &j->lock;
    struct job *job;

    *out = (struct job_live){.log_bytes = row->log_bytes,
                             .memory_peak_bytes = row->memory_peak_bytes,
                             .cpu_usec = row->cpu_usec};
    if (job_state_finished(row->state)) {
        return;
    }
    WITH_LOCK(l);
    job = map_get(&j->by_id, str_of(row->id));
    if (job == NULL) {
        return;
    }
    out->queue_position = jobs_queue_position(&j->queue, job);
    if (out->queue_position > 0) {
        out->reason = why_queued_locked(j, job, out->queue_position, a);
    } else if (job->waits) {
        out->reason = arena_strdup(a, str_of(job->waits));
    } else if (job->stop == JOB_STOP_CANCEL) {
        out->reason = arena_printf(a, "is being cancelled by %s", job->stop_by);
    }
}

static void write_exit(const struct job_row *r, struct jw *w)
{
    jw_key(w, "exit");
    if (r->exit_kind == JOB_EXIT_NONE) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_kv_c(w, "kind", job_exit_kind_name(r->exit_kind));
    jw_kv_i64(w, "code", r->exit_code);
    jw_kv_c(w, "text", r->exit_text);
    jw_end(w);
}

static void write_usage(const struct job_live *live, struct jw *w)
{
    jw_key(w, "usage");
    jw_object(w);
    jw_kv_i64(w, "memory_peak_bytes", live->memory_peak_bytes);
    jw_kv_i64(w, "cpu_usec", live->cpu_usec);
    jw_end(w);
}

void job_view_begin(const struct job_row *r, const struct job_live *live, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "id", r->id);
    jw_kv_c(w, "project", r->project);
    jw_kv_c(w, "name", r->name);
    jw_kv_c(w, "user", r->user);
    jw_kv_c(w, "image", r->image);
    jw_kv_c(w, "digest", r->digest);
    jw_kv_c(w, "state", job_state_name(r->state));
    jw_kv_c(w, "reason", live->reason ? live->reason : r->reason);
    write_exit(r, w);
    jw_kv_i64(w, "attempt", r->attempt);
    jw_kv_i64(w, "retries", r->retries);
    jw_key(w, "queue_position");
    if (live->queue_position > 0) {
        jw_i64(w, (int64_t)live->queue_position);
    } else {
        jw_null(w);
    }
    jw_kv_i64(w, "cpu_milli", r->cpu_milli);
    jw_kv_i64(w, "memory_bytes", r->memory_bytes);
    jw_kv_i64(w, "gpus", r->gpus);
    jw_kv_time(w, "created_at", r->created_ms);
    jw_kv_time(w, "started_at", r->started_ms);
    jw_kv_time(w, "finished_at", r->finished_ms);
    jw_kv_i64(w, "log_bytes", live->log_bytes);
    write_usage(live, w);
}

void job_view_history(const struct job_history *h, size_t n, struct jw *w)
{
    jw_key(w, "history");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_kv_c(w, "state", job_state_name(h[i].state));
        jw_kv_time(w, "at", h[i].at_ms);
        jw_kv_i64(w, "attempt", h[i].attempt);
        jw_kv_c(w, "reason", h[i].reason);
        jw_end(w);
    }
    jw_end(w);
}

void job_view_nodes(struct jobs *j, struct jw *w)
{
    struct lock *l = &j->lock;
    struct machine m;
    bool adopted;

    {
        WITH_LOCK(l);
        m = j->machine;
        adopted = j->adopted;
    }
    jw_object(w);
    jw_kv_c(w, "name", j->host);
    jw_kv_c(w, "state", adopted ? "ready" : "starting");
    jw_kv_i64(w, "cpu_milli", m.cpu_milli);
    jw_kv_i64(w, "cpu_milli_free", jobs_machine_cpu_free(&m));
    jw_kv_i64(w, "memory_bytes", m.memory_bytes);
    jw_kv_i64(w, "memory_bytes_free", jobs_machine_memory_free(&m));
    jw_kv_i64(w, "gpus", (int64_t)m.gpus);
    jw_kv_i64(w, "gpus_free", jobs_machine_gpus_free(&m));
    jw_kv_c(w, "arch", j->arch);
    jw_end(w);
}
