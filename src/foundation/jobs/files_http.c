#include "jobs/files_http.h"

#include "base/clock.h"
#include "base/limits.h"
#include "jobs/spec.h"
#include "jobs/view.h"
#include "volume/volume.h"

#include <string.h>

/* LIMIT_LIST_ROWS paths of 4 KiB, each byte escaped, twice. */
#define FILES_ANSWER_BYTES (64 * MIB)
/* A container runs a moment before its shim has told the time. */
#define START_SLACK_MS 2000
#define NS_OF_MS 1000000

struct files_lookup {
    struct http_req *req;
    int64_t project_id, attempt;
    struct job_row row;
    int64_t since_ms, until_ms; /* since 0: it never ran; until 0: it still does */
};

/* The time of the attempt, from the history: it began to run, and a state that is final for it. */
static void find_times(struct files_lookup *k, const struct job_history *h, size_t n)
{
    int64_t starting_ms = 0;

    for (size_t i = 0; i < n; i++) {
        if (h[i].attempt != k->attempt) {
            continue;
        }
        if (h[i].state == JOB_STARTING) {
            starting_ms = h[i].at_ms;
        } else if (h[i].state == JOB_RUNNING) {
            k->since_ms = h[i].at_ms - START_SLACK_MS;
        } else if (job_state_finished(h[i].state)) {
            k->until_ms = h[i].at_ms;
        }
    }
    if (k->since_ms != 0 && k->since_ms < starting_ms) {
        k->since_ms = starting_ms;
    }
}

static int look_up(struct state_db *db, void *ctx, struct err *e)
{
    struct files_lookup *k = ctx;
    struct str id = http_path_param(k->req, "id");
    struct job_history *history;
    size_t n;

    if (job_store_get(db, k->project_id, id, &k->req->arena, &k->row, e) < 0 ||
        job_attempt_of(k->req, &k->row, &k->attempt, e) < 0 ||
        job_store_history(db, k->row.seq, &k->req->arena, &history, &n, e) < 0) {
        return -1;
    }
    find_times(k, history, n);
    return 0;
}

struct files {
    const struct files_lookup *lookup;
    struct job_spec spec;
    bool gone[LIMIT_JOB_VOLUMES];
    struct volume_recent_found found;
};

static bool is_writable(const struct job_volume *v)
{
    return !v->read_only;
}

/* Each volume once, also when it is mounted in two places. */
static bool is_first(const struct files *f, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (is_writable(&f->spec.volumes[i]) &&
            strcmp(f->spec.volumes[i].name, f->spec.volumes[at].name) == 0) {
            return false;
        }
    }
    return true;
}

static int search_one(struct jobs *j, struct files *f, size_t at, const char *id,
                      struct volume_recent *q, struct err *e)
{
    q->volume = at;
    q->name = f->spec.volumes[at].name;
    if (volume_recent(j->parts.volumes, q, id, &f->found, e) == 0) {
        return 0;
    }
    f->gone[at] = e->kind == ERR_NOT_FOUND;
    return f->gone[at] ? 0 : -1;
}

/* The ids are those of the volumes at submit: one that was made anew under that name is another. */
static int search(struct jobs *j, struct files *f, int64_t limit, struct err *e)
{
    const struct files_lookup *k = f->lookup;
    struct str rest = str_of(k->row.volume_ids);
    struct volume_recent q = {.project_id = k->row.project_id,
                              .since_ns = k->since_ms * NS_OF_MS,
                              .until_ns = k->until_ms ? (k->until_ms + 1) * NS_OF_MS : INT64_MAX,
                              .deadline_ms = clock_mono_ms() + LIMIT_RECENT_MS,
                              .max = (size_t)limit};

    for (size_t i = 0; i < f->spec.n_volumes && k->since_ms != 0; i++) {
        char id[65];

        if (str_copy(str_cut(&rest, ' '), id, sizeof(id)) < 0) {
            return err_set(e, ERR_INTERNAL, "job %s has lost the ids of its volumes", k->row.id);
        }
        if (is_writable(&f->spec.volumes[i]) && is_first(f, i) &&
            search_one(j, f, i, id, &q, e) < 0) {
            return -1;
        }
    }
    volume_recent_sort(&f->found);
    return 0;
}

/* --- the answer --- */

static void write_volumes(struct jw *w, const struct files *f)
{
    jw_key(w, "volumes");
    jw_array(w);
    for (size_t i = 0; i < f->spec.n_volumes; i++) {
        const struct job_volume *v = &f->spec.volumes[i];

        if (is_writable(v)) {
            jw_object(w);
            jw_kv_c(w, "name", v->name);
            jw_kv_c(w, "path", v->path);
            jw_kv_bool(w, "gone", f->gone[i]);
            jw_end(w);
        }
    }
    jw_end(w);
}

static int reply(struct http_req *r, const struct files *f, struct err *e)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(FILES_ANSWER_BYTES);
    const struct files_lookup *k = f->lookup;
    struct jw w = JW(&out);

    jw_object(&w);
    jw_kv_i64(&w, "attempt", k->attempt);
    jw_kv_time(&w, "since", k->since_ms);
    jw_kv_time(&w, "until", k->until_ms);
    write_volumes(&w, f);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < f->found.n; i++) {
        const struct volume_recent_file *one = &f->found.files[i];

        jw_object(&w);
        jw_kv_c(&w, "volume", f->spec.volumes[one->volume].name);
        volume_json_name(&w, "path", str_of(one->path));
        jw_kv_c(&w, "type", one->is_link ? "link" : "file");
        jw_kv_i64(&w, "size_bytes", (int64_t)one->size_bytes);
        jw_kv_time(&w, "changed_at", one->changed_ns / NS_OF_MS);
        jw_end(&w);
    }
    jw_end(&w);
    jw_kv_i64(&w, "found", (int64_t)f->found.matched);
    jw_kv_bool(&w, "complete", !f->found.is_partial);
    jw_end(&w);
    return http_reply_json(r, 200, &out, e);
}

static int search_and_reply(struct jobs *j, struct http_req *r, const struct files_lookup *k,
                            struct err *e)
{
    SCOPED(err_list_done) struct err_list mistakes = {0};
    struct files f = {.lookup = k};
    int64_t limit;
    int rc;

    if (http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &limit, e) < 0 ||
        job_spec_parse(&r->arena, str_of(k->row.spec), &f.spec, &mistakes, e) < 0 ||
        volume_walk_enter(j->parts.volumes, r->who.user_id, e) < 0) {
        return -1;
    }
    rc = search(j, &f, limit, e);
    volume_walk_leave(j->parts.volumes, r->who.user_id);
    rc = rc < 0 ? -1 : reply(r, &f, e);
    volume_recent_done(&f.found);
    return rc;
}

int job_files_get(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    const struct jobs_hooks *h = &j->parts.hooks;
    struct files_lookup k = {.req = r};
    uint32_t id_base;

    if (h->project(h->ctx, r->project, &k.project_id, &id_base, e) < 0 ||
        state_read(j->parts.state, look_up, &k, e) < 0) {
        return -1;
    }
    return search_and_reply(j, r, &k, e);
}
