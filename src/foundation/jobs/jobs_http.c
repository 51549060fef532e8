/* The routes of jobs, nodes and the queue. Permissions are the column; handlers only do the work.
 */
#include "jobs/exec_http.h"
#include "jobs/files_http.h"
#include "jobs/log_http.h"
#include "jobs/usage_http.h"
#include "jobs/view.h"

#include "base/limits.h"
#include "base/mem.h"

#include <string.h>
#include <sys/stat.h>

/* A page of 1,000 rows with reasons, or one job with its spec, history of 100 retries. */
#define ANSWER_BYTES (8 * MIB)

struct show {
    int64_t project_id;
    struct str id;
    struct arena *arena;
    struct job_row row;
    struct job_history *history;
    size_t n_history;
};

static int project_of(struct jobs *j, struct http_req *r, int64_t *id, struct err *e)
{
    const struct jobs_hooks *h = &j->parts.hooks;
    uint32_t id_base;

    return h->project(h->ctx, r->project, id, &id_base, e);
}

static int read_job(struct state_db *db, void *ctx, struct err *e)
{
    struct show *s = ctx;

    if (job_store_get(db, s->project_id, s->id, s->arena, &s->row, e) < 0) {
        return -1;
    }
    return job_store_history(db, s->row.seq, s->arena, &s->history, &s->n_history, e);
}

/* Of the attempt that runs: its log grows, its figures change. */
static void look_at_running(struct jobs *j, const struct job_row *row, struct job_live *live)
{
    SCOPED(closep) int fd = -1;
    struct runtime_status status;
    struct stat st;
    struct err e;
    char container[65];

    if (row->state != JOB_RUNNING) {
        return;
    }
    job_container_id(row->id, row->attempt, row->tries, container);
    if (j->engine->log_open(j->engine_ctx, container, &fd, &e) == 0 && fstat(fd, &st) == 0) {
        live->log_bytes = st.st_size;
    }
    if (j->engine->stats(j->engine_ctx, container, &status, &e) == 0) {
        live->memory_peak_bytes = status.memory_peak_bytes;
        live->cpu_usec = status.cpu_usec;
    }
}

static int reply_job(struct jobs *j, struct http_req *r, int status, const struct show *s,
                     struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw w = JW(&out);
    struct job_live live;

    job_live_of(j, &s->row, &r->arena, &live);
    look_at_running(j, &s->row, &live);
    job_view_begin(&s->row, &live, &w);
    job_view_history(s->history, s->n_history, &w);
    jw_key(&w, "spec");
    jw_raw(&w, str_of(s->row.spec));
    jw_end(&w);
    return http_reply_json(r, status, &out, e);
}

static int find_job(struct jobs *j, struct http_req *r, struct show *s, struct err *e)
{
    *s = (struct show){.id = http_path_param(r, "id"), .arena = &r->arena};
    if (project_of(j, r, &s->project_id, e) < 0) {
        return -1;
    }
    return state_read(j->parts.state, read_job, s, e);
}

/* Every mistake with its place, for editors and the CLI; the sentence holds what fits. */
static int reply_mistakes(struct http_req *r, const struct err_list *l, const struct err *why,
                          struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(MIB);
    struct jw w = JW(&out);

    jw_object(&w);
    jw_key(&w, "error");
    jw_object(&w);
    jw_kv_c(&w, "kind", err_name(why->kind));
    jw_kv_c(&w, "message", why->msg);
    jw_kv_c(&w, "request_id", r->id);
    jw_key(&w, "mistakes");
    jw_array(&w);
    for (size_t i = 0; i < l->len; i++) {
        jw_object(&w);
        jw_kv_i64(&w, "line", l->items[i].line);
        jw_kv_i64(&w, "column", l->items[i].column);
        jw_kv_c(&w, "key", l->items[i].key);
        jw_kv_c(&w, "message", l->items[i].msg);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
    return http_reply_json(r, err_http_status(why->kind), &out, e);
}

static int post_job(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    SCOPED(err_list_done) struct err_list mistakes = {0};
    struct job_row row;
    struct show s = {.arena = &r->arena};
    struct str text;

    if (http_body_all(r, LIMIT_SPEC_BYTES, &text, e) < 0) {
        return -1;
    }
    if (jobs_submit(j, &r->who, r->project, text, &mistakes, &r->arena, &row, e) < 0) {
        return mistakes.len > 0 ? reply_mistakes(r, &mistakes, e, e) : -1;
    }
    s.row = row;
    s.history = &(struct job_history){JOB_QUEUED, row.created_ms, 1, row.reason};
    s.n_history = 1;
    return reply_job(j, r, 202, &s, e);
}

static int get_job(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    struct show s;

    if (find_job(j, r, &s, e) < 0) {
        return -1;
    }
    return reply_job(j, r, 200, &s, e);
}

static int delete_job(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    int64_t project_id;

    if (project_of(j, r, &project_id, e) < 0 ||
        jobs_delete(j, project_id, http_path_param(r, "id"), e) < 0) {
        return -1;
    }
    jobs_publish_deleted(j, r->project, http_path_param(r, "id"));
    return http_reply_empty(r, 204, e);
}

static int cancel_job(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    struct show s;
    int64_t project_id;

    if (project_of(j, r, &project_id, e) < 0 ||
        jobs_cancel(j, project_id, http_path_param(r, "id"), r->who.name, e) < 0 ||
        find_job(j, r, &s, e) < 0) {
        return -1;
    }
    return reply_job(j, r, 202, &s, e);
}

/* --- lists --- */

struct page {
    struct job_filter filter;
    int64_t limit;
    struct arena *arena;
    struct job_row *rows;
    size_t n;
};

static int read_page(struct state_db *db, void *ctx, struct err *e)
{
    struct page *p = ctx;

    return job_store_list(db, &p->filter, p->limit + 1, p->arena, &p->rows, &p->n, e);
}

/* ?state=running,queued */
static int states_of(struct http_req *r, unsigned *out, struct err *e)
{
    struct str rest = http_query(r, "state");

    *out = 0;
    while (rest.p && rest.len > 0) {
        enum job_state s;

        if (job_state_parse(str_trim(str_cut(&rest, ',')), &s, e) < 0) {
            return -1;
        }
        *out |= 1U << s;
    }
    return 0;
}

static int reply_page(struct jobs *j, struct http_req *r, const struct page *p, struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw w = JW(&out);
    size_t n = p->n > (size_t)p->limit ? (size_t)p->limit : p->n;

    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        struct job_live live;

        job_live_of(j, &p->rows[i], &r->arena, &live);
        job_view_begin(&p->rows[i], &live, &w);
        jw_end(&w);
    }
    jw_end(&w);
    jw_kv_c(&w, "next",
            n < p->n ? arena_printf(&r->arena, "%lld", (long long)p->rows[n - 1].seq) : NULL);
    jw_end(&w);
    return http_reply_json(r, 200, &out, e);
}

static int list_jobs(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    struct page p = {.arena = &r->arena};

    if (project_of(j, r, &p.filter.project_id, e) < 0 || states_of(r, &p.filter.states, e) < 0 ||
        http_query_filter(r, &p.filter.words, e) < 0 ||
        http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &p.limit, e) < 0 ||
        http_query_i64(r, "after", 0, 0, INT64_MAX, &p.filter.before, e) < 0 ||
        state_read(j->parts.state, read_page, &p, e) < 0) {
        return -1;
    }
    return reply_page(j, r, &p, e);
}

struct search {
    const char *projects;
    struct str words;
    int64_t limit;
    struct jw *w;
};

static int read_search(struct state_db *db, void *ctx, struct err *e)
{
    const struct search *s = ctx;

    return job_store_search(db, s->projects, s->words, s->limit, s->w, e);
}

int jobs_search(struct jobs *j, const char *projects, struct str words, int64_t limit, struct jw *w,
                struct err *e)
{
    return state_read(j->parts.state, read_search, &(struct search){projects, words, limit, w}, e);
}

static int list_nodes(struct http_req *r, struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(64 * KIB);
    struct jw w = JW(&out);

    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    job_view_nodes(r->ctx, &w);
    jw_end(&w);
    jw_key(&w, "next");
    jw_null(&w);
    jw_end(&w);
    return http_reply_json(r, 200, &out, e);
}

static int get_queue(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    SCOPED(buf_done) struct buf out = BUF_MAX(KIB);
    struct jw w = JW(&out);
    size_t queued, running;

    {
        struct lock *l = &j->lock;

        WITH_LOCK(l);
        queued = j->queue.len;
        running = j->by_id.len - queued;
    }
    jw_object(&w);
    jw_kv_i64(&w, "queued", (int64_t)queued);
    jw_kv_i64(&w, "running", (int64_t)running);
    jw_end(&w);
    return http_reply_json(r, 200, &out, e);
}

const struct route jobs_routes[] = {
    {HTTP_POST, "/api/v1/projects/{p}/jobs", PERM_JOB_SUBMIT, post_job,
     "Submits a job: a spec as YAML or JSON.", .takes = "JobNew application/yaml",
     .gives = "202 Job"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs", PERM_JOB_READ, list_jobs,
     "Lists jobs, newest first; ?state=running,queued.", .query = "q state limit after",
     .gives = "200 [JobRow]"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs/{id}", PERM_JOB_READ, get_job,
     "Shows a job with its spec and history.", .gives = "200 Job"},
    {HTTP_DELETE, "/api/v1/projects/{p}/jobs/{id}", PERM_JOB_CANCEL, delete_job,
     "Deletes a finished job with its logs and samples.", .gives = "204"},
    {HTTP_POST, "/api/v1/projects/{p}/jobs/{id}/cancel", PERM_JOB_CANCEL, cancel_job,
     "Cancels a job: SIGTERM, its grace, SIGKILL.", .gives = "202 Job"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs/{id}/exec", PERM_JOB_EXEC, job_exec_get,
     "A shell or command in a running job, over WebSocket with v5.channel.k8s.io or v4;"
     " ?command= each word, ?tty=.",
     .flags = ROUTE_AUDIT, .query = "command tty stdin stdout stderr", .gives = "101"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs/{id}/log", PERM_JOB_READ, job_log_get,
     "The output of a job; ?follow=1 until it ends, ?offset= bytes, ?attempt=.",
     .query = "follow offset attempt", .gives = "200 text/plain"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs/{id}/usage", PERM_JOB_READ, job_usage_get,
     "CPU, memory, I/O and processes of a job over time; ?attempt=.", .query = "attempt",
     .gives = "200 JobSamples"},
    {HTTP_GET, "/api/v1/projects/{p}/jobs/{id}/files", PERM_JOB_READ, job_files_get,
     "Files that changed in a job's writable volumes while an attempt ran, newest first.",
     .query = "attempt limit", .gives = "200 JobFiles", .also = PERM_VOLUME_READ},
    {HTTP_GET, "/api/v1/nodes", PERM_SIGNED_IN, list_nodes,
     "The machines that run jobs, with what is free.", .gives = "200 [Node]"},
    {HTTP_GET, "/api/v1/queue", PERM_SIGNED_IN, get_queue, "How many jobs wait and run.",
     .gives = "200 Queue"},
    {0},
};

#define JOB_ROW                                                                                    \
    "id: string, project: string, name: string, user: string, image: string, digest: string,"      \
    " state: JobState, reason: string, exit: JobExit | null, attempt: integer, retries: integer,"  \
    " queue_position: integer | null, cpu_milli: integer, memory_bytes: integer, gpus: integer,"   \
    " created_at: time, started_at: time | null, finished_at: time | null, log_bytes: integer,"    \
    " usage: JobUsage"

const struct http_schema jobs_schemas[] = {
    {"JobState", "'queued' | 'starting' | 'running' | 'succeeded' | 'failed' | 'cancelled'"
                 " | 'lost'"},
    {"JobRow", "{" JOB_ROW "}"},
    {"Job", "{" JOB_ROW ", history: [JobMove], spec: JobSpec}"},
    {"JobExit", "{kind: 'exit' | 'signal' | 'oom' | 'timeout', code: integer, text: string}"},
    {"JobUsage", "{memory_peak_bytes: integer, cpu_usec: integer}"},
    {"JobSamples", "{attempt: integer, started_at: time | null, interval_ms: integer,"
                   " cpu_milli_limit: integer, memory_limit_bytes: integer, samples: [JobSample]}"},
    {"JobSample", "{at: time, cpu_usec: integer | null, memory_bytes: integer | null,"
                  " memory_peak_bytes: integer | null, io_read_bytes: integer | null,"
                  " io_write_bytes: integer | null, processes: integer | null}"},
    {"JobFiles", "{attempt: integer, since: time | null, until: time | null,"
                 " volumes: [{name: string, path: string, gone: boolean}], items: [JobFile],"
                 " found: integer, complete: boolean}"},
    {"JobFile", "{volume: string, path: string, path_raw?: string, type: 'file' | 'link',"
                " size_bytes: integer, changed_at: time}"},
    {"JobMove", "{state: JobState, at: time, attempt: integer, reason: string}"},
    {"JobNetwork", "'none' | 'bridge' | 'host'"},
    /* With its defaults, as job_spec_json writes it. */
    {"JobSpec", "{name: string, project?: string, image: string, command?: [string],"
                " args?: [string], env?: {*: string}, secrets?: {*: string}, workdir?: string,"
                " resources: {cpu: integer | string, memory: integer, gpu: integer, pids: integer},"
                " volumes?: [{name: string, path: string, mode: 'ro' | 'rw', subpath?: string}],"
                " network: JobNetwork, timeout?: string, grace: string, retries: integer}"},
    {"JobText", "string | number | boolean"},
    {"JobNew", "{name?: string, project?: string, image: string, command?: [JobText],"
               " args?: [JobText], env?: {*: JobText}, secrets?: {*: string}, workdir?: string,"
               " resources?: {cpu?: number | string, memory?: number | string, gpu?: integer,"
               " pids?: integer},"
               " volumes?: [{name: string, path: string, mode?: 'ro' | 'rw', subpath?: string}],"
               " network?: JobNetwork, timeout?: number | string, grace?: number | string,"
               " retries?: integer}"},
    {"JobEvent", "{project: string, id: string, name?: string,"
                 " state: JobState | 'deleted'}"},
    {"MachineEvent", "{}"},
    {"Node", "{name: string, state: 'ready' | 'starting', cpu_milli: integer,"
             " cpu_milli_free: integer, memory_bytes: integer, memory_bytes_free: integer,"
             " gpus: integer, gpus_free: integer, arch: string}"},
    {"Queue", "{queued: integer, running: integer}"},
    {0},
};
