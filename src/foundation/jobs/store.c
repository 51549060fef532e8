#include "jobs/store.h"

#include "base/limits.h"
#include "jobs/pin.h"
#include "rootfs/rootfs.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* `seq` is the order of the queue and of the lists. AUTOINCREMENT: a deleted one never comes back,
 * so cursors and the order of submission stay true. */
static const char *const steps[] = {
    "CREATE TABLE jobs("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " project_id INTEGER NOT NULL, project TEXT NOT NULL,"
    " name TEXT NOT NULL, user TEXT NOT NULL,"
    " image TEXT NOT NULL, digest TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('queued', 'starting', 'running', 'succeeded', 'failed',"
    "  'cancelled', 'lost')),"
    " reason TEXT NOT NULL,"
    " attempt INTEGER NOT NULL, retries INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
    " cpu_milli INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL,"
    " timeout_ms INTEGER NOT NULL, grace_ms INTEGER NOT NULL,"
    " gpu_mask INTEGER NOT NULL DEFAULT 0,"
    " volume_ids TEXT NOT NULL,"
    " stop INTEGER NOT NULL DEFAULT 0, stop_by TEXT,"
    " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL DEFAULT 0, finished_ms INTEGER,"
    " exit_kind INTEGER NOT NULL DEFAULT 0, exit_code INTEGER NOT NULL DEFAULT 0, exit_text TEXT,"
    " memory_peak_bytes INTEGER NOT NULL DEFAULT 0, cpu_usec INTEGER NOT NULL DEFAULT 0,"
    " log_bytes INTEGER NOT NULL DEFAULT 0,"
    " spec TEXT NOT NULL, pin TEXT NOT NULL) STRICT;"
    "CREATE INDEX jobs_of_project ON jobs(project_id, seq);"
    "CREATE INDEX jobs_of_state ON jobs(project_id, state, seq);"
    "CREATE INDEX jobs_unfinished ON jobs(seq) WHERE finished_ms IS NULL;"
    "CREATE TABLE job_history("
    " job INTEGER NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL,"
    " attempt INTEGER NOT NULL, reason TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(job, n)) STRICT, WITHOUT ROWID;",
    /* A row is kilobytes of spec: what is looked through lies beside it, and never changes. */
    "/* jobs are filtered by words */"
    "CREATE INDEX jobs_words ON jobs(project_id, seq, name, id, user, image);"
    "DROP INDEX jobs_of_project;",
    NULL,
};
const struct state_schema jobs_schema = {"jobs", steps};

static const char *const state_names[JOB_STATES] = {
    [JOB_QUEUED] = "queued",       [JOB_STARTING] = "starting", [JOB_RUNNING] = "running",
    [JOB_SUCCEEDED] = "succeeded", [JOB_FAILED] = "failed",     [JOB_CANCELLED] = "cancelled",
    [JOB_LOST] = "lost",
};

#define TO(state) (1U << JOB_##state)
/* Bits: where one may go from here. What is finished goes nowhere. */
static const unsigned legal[JOB_STATES] = {
    /* To failed: the machine has become smaller than the job. */
    [JOB_QUEUED] = TO(STARTING) | TO(FAILED) | TO(CANCELLED),
    [JOB_STARTING] = TO(RUNNING) | TO(FAILED) | TO(CANCELLED) | TO(LOST) | TO(QUEUED),
    [JOB_RUNNING] = TO(SUCCEEDED) | TO(FAILED) | TO(CANCELLED) | TO(LOST),
    /* Only inside a change, on the way to another attempt. */
    [JOB_FAILED] = TO(QUEUED),
    [JOB_LOST] = TO(QUEUED),
};

const char *job_state_name(enum job_state s)
{
    return state_names[s];
}

int job_state_parse(struct str text, enum job_state *out, struct err *e)
{
    const char *near;

    for (int i = 0; i < JOB_STATES; i++) {
        if (str_eq_c(text, state_names[i])) {
            *out = (enum job_state)i;
            return 0;
        }
    }
    near = str_nearest(text, state_names, JOB_STATES);
    return err_set(e, ERR_INVALID, "'%.*s' is no state of a job%s%s%s",
                   (int)(text.len < 40 ? text.len : 40), text.p, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

bool job_state_may(enum job_state from, enum job_state to)
{
    return legal[from] >> to & 1;
}

bool job_state_finished(enum job_state s)
{
    return s >= JOB_SUCCEEDED;
}

/* --- writing --- */

static int add_history(struct state_db *db, int64_t seq, int64_t attempt, int64_t at_ms,
                       enum job_state to, const char *reason, struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO job_history(job, n, at_ms, state, attempt, reason) VALUES(?1,"
                     " 1 + ifnull((SELECT max(n) FROM job_history WHERE job = ?1), 0),"
                     " ?2, ?3, ?4, ?5)",
                     "iiziz", seq, at_ms, state_names[to], attempt, reason);
}

int job_store_insert(struct state_db *db, struct job_row *row, struct err *e)
{
    if (state_run(db, e,
                  "INSERT INTO jobs(id, project_id, project, name, user, image, digest, state,"
                  " reason, attempt, retries, cpu_milli, memory_bytes, gpus, timeout_ms, grace_ms,"
                  " volume_ids, created_ms, spec, pin)"
                  " VALUES(?, ?, ?, ?, ?, ?, ?, 'queued', ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "zizzzzzziiiiiizizz", row->id, row->project_id, row->project, row->name,
                  row->user, row->image, row->digest, row->reason, row->retries, row->cpu_milli,
                  row->memory_bytes, row->gpus, row->timeout_ms, row->grace_ms, row->volume_ids,
                  row->created_ms, row->spec, row->pin) < 0) {
        return -1;
    }
    row->seq = state_last_id(db);
    return add_history(db, row->seq, 1, row->created_ms, JOB_QUEUED, row->reason, e);
}

/* Where a change stands while its steps are taken. */
struct walk {
    enum job_state state;
    int64_t attempt;
    char id[65];
};

static int walk_begin(struct state_db *db, const struct job_change *c, struct walk *w,
                      struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT state, attempt, id FROM jobs WHERE seq = ?", "i", c->seq) <
        0) {
        return -1;
    }
    r = query_step(&q, e);
    if (r <= 0) {
        return r < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "the job is gone");
    }
    w->attempt = query_i64(&q, 1);
    if (job_state_parse(query_str(&q, 0), &w->state, e) < 0 ||
        str_copy(query_str(&q, 2), w->id, sizeof(w->id)) < 0) {
        return -1;
    }
    if (job_state_finished(w->state)) {
        return err_set(e, ERR_CONFLICT, "job %s is finished (%s)", w->id, state_names[w->state]);
    }
    if (w->attempt != c->attempt) {
        return err_set(e, ERR_CONFLICT, "job %s is at attempt %lld, not %lld", w->id,
                       (long long)w->attempt, (long long)c->attempt);
    }
    return 0;
}

static int walk_to(struct state_db *db, const struct job_change *c, struct walk *w,
                   enum job_state to, int64_t at_ms, const char *reason, struct err *e)
{
    if (!job_state_may(w->state, to)) {
        return err_set(e, ERR_CONFLICT, "job %s is %s and cannot become %s", w->id,
                       state_names[w->state], state_names[to]);
    }
    if (to == JOB_QUEUED && job_state_finished(w->state)) {
        w->attempt++;
    }
    w->state = to;
    return add_history(db, c->seq, w->attempt, at_ms, to, reason, e);
}

/* The container ran, but "running" never reached the disk. */
static bool missed_running(const struct job_change *c, const struct walk *w)
{
    return w->state == JOB_STARTING && c->started_ms > 0 && c->steps[0].to != JOB_RUNNING &&
           c->steps[0].to != JOB_QUEUED;
}

static int walk_steps(struct state_db *db, const struct job_change *c, struct walk *w,
                      struct err *e)
{
    if (missed_running(c, w) && walk_to(db, c, w, JOB_RUNNING, c->started_ms, "started", e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < c->n_steps; i++) {
        if (walk_to(db, c, w, c->steps[i].to, c->at_ms, c->steps[i].reason, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int save_end(struct state_db *db, const struct job_change *c, const struct walk *w,
                    const char *reason, struct err *e)
{
    const struct job_outcome *o = &c->outcome;

    return state_run(db, e,
                     "UPDATE jobs SET state = ?, reason = ?, finished_ms = ?,"
                     " started_ms = iif(?4 > 0, ?4, started_ms), exit_kind = ?5, exit_code = ?6,"
                     " exit_text = ?7, memory_peak_bytes = ?8, cpu_usec = ?9, log_bytes = ?10,"
                     " gpu_mask = 0 WHERE seq = ?11",
                     "zziiiiziiii", state_names[w->state], reason, c->at_ms, c->started_ms,
                     (int64_t)o->kind, (int64_t)o->code, o->kind ? o->text : NULL,
                     c->memory_peak_bytes, c->cpu_usec, c->log_bytes, c->seq);
}

static int save_row(struct state_db *db, const struct job_change *c, const struct walk *w,
                    struct err *e)
{
    const char *reason = c->steps[c->n_steps - 1].reason;

    switch (w->state) {
    case JOB_QUEUED:
        return state_run(db, e,
                         "UPDATE jobs SET state = 'queued', reason = ?1,"
                         " tries = iif(attempt = ?2, tries, 0), attempt = ?2, gpu_mask = 0,"
                         " stop = 0, stop_by = NULL, started_ms = 0 WHERE seq = ?3",
                         "zii", reason, w->attempt, c->seq);
    case JOB_STARTING:
        if (state_run(db, e,
                      "UPDATE jobs SET state = 'starting', reason = ?, gpu_mask = ? "
                      "WHERE seq = ?",
                      "zii", reason, (int64_t)c->gpu_mask, c->seq) < 0) {
            return -1;
        }
        return c->tries > 0 ? job_store_set_tries(db, c->seq, c->tries, c->gpu_mask, e) : 0;
    case JOB_RUNNING:
        return state_run(db, e,
                         "UPDATE jobs SET state = 'running', reason = ?, started_ms = ? "
                         "WHERE seq = ?",
                         "zii", reason, c->started_ms, c->seq);
    default:
        return save_end(db, c, w, reason, e);
    }
}

int job_store_apply(struct state_db *db, const struct job_change *c, struct err *e)
{
    struct walk w = {0};

    assert(c->n_steps > 0 && c->n_steps <= JOB_CHANGE_STEPS);
    if (walk_begin(db, c, &w, e) < 0 || walk_steps(db, c, &w, e) < 0) {
        return -1;
    }
    return save_row(db, c, &w, e);
}

int job_store_set_tries(struct state_db *db, int64_t seq, int64_t tries, uint64_t gpu_mask,
                        struct err *e)
{
    if (state_run(db, e, "UPDATE jobs SET tries = ?, gpu_mask = ? WHERE seq = ?", "iii", tries,
                  (int64_t)gpu_mask, seq) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE job_history SET tries = ?1 WHERE job = ?2 AND n ="
                     " (SELECT max(n) FROM job_history WHERE job = ?2 AND state = 'starting')",
                     "ii", tries, seq);
}

int job_store_tries(struct state_db *db, struct str id, int64_t attempt, int64_t *tries,
                    struct err *e)
{
    return state_one_i64(db, tries, e, "job",
                         "SELECT ifnull(max(tries), 0) FROM job_history WHERE attempt = ?2 AND"
                         " job = (SELECT seq FROM jobs WHERE id = ?1)",
                         "si", id, attempt);
}

int job_store_set_stop(struct state_db *db, int64_t seq, enum job_stop stop, const char *by,
                       struct err *e)
{
    if (state_run(db, e,
                  "UPDATE jobs SET stop = ?, stop_by = ? WHERE seq = ? AND finished_ms IS NULL",
                  "izi", (int64_t)stop, by, seq) < 0) {
        return -1;
    }
    return state_changes(db) == 1 ? 0 : err_set(e, ERR_CONFLICT, "the job is finished already");
}

/* --- reading --- */

#define LIGHT_COLUMNS                                                                              \
    "seq, id, project_id, project, name, user, image, digest, reason, state, attempt, retries,"    \
    " cpu_milli, memory_bytes, gpus, timeout_ms, grace_ms, gpu_mask, volume_ids, stop, stop_by,"   \
    " created_ms, started_ms, finished_ms, exit_kind, exit_code, exit_text, memory_peak_bytes,"    \
    " cpu_usec, log_bytes, tries"
enum { LIGHT_COUNT = 31 };

static const char *text(struct arena *a, const struct query *q, int column)
{
    return query_is_null(q, column) ? NULL : arena_strdup(a, query_str(q, column));
}

static int read_row(const struct query *q, struct arena *a, struct job_row *r, struct err *e)
{
    *r = (struct job_row){
        .seq = query_i64(q, 0),
        .id = text(a, q, 1),
        .project_id = query_i64(q, 2),
        .project = text(a, q, 3),
        .name = text(a, q, 4),
        .user = text(a, q, 5),
        .image = text(a, q, 6),
        .digest = text(a, q, 7),
        .reason = text(a, q, 8),
        .attempt = query_i64(q, 10),
        .retries = query_i64(q, 11),
        .cpu_milli = query_i64(q, 12),
        .memory_bytes = query_i64(q, 13),
        .gpus = query_i64(q, 14),
        .timeout_ms = query_i64(q, 15),
        .grace_ms = query_i64(q, 16),
        .gpu_mask = (uint64_t)query_i64(q, 17),
        .volume_ids = text(a, q, 18),
        .stop = (enum job_stop)(query_i64(q, 19) % JOB_STOPS),
        .stop_by = text(a, q, 20),
        .created_ms = query_i64(q, 21),
        .started_ms = query_i64(q, 22),
        .finished_ms = query_i64(q, 23),
        .exit_kind = (enum job_exit_kind)(query_i64(q, 24) % JOB_EXIT_KINDS),
        .exit_code = query_i64(q, 25),
        .exit_text = text(a, q, 26),
        .memory_peak_bytes = query_i64(q, 27),
        .cpu_usec = query_i64(q, 28),
        .log_bytes = query_i64(q, 29),
        .tries = query_i64(q, 30),
    };
    return job_state_parse(query_str(q, 9), &r->state, e);
}

int job_store_get(struct state_db *db, int64_t project_id, struct str id, struct arena *a,
                  struct job_row *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " LIGHT_COLUMNS ", spec, pin FROM jobs WHERE id = ?1 AND "
                   "(?2 = 0 OR project_id = ?2)",
                   "si", id, project_id) < 0) {
        return -1;
    }
    r = query_step(&q, e);
    if (r <= 0) {
        return r < 0 ? -1
                     : err_set(e, ERR_NOT_FOUND, "there is no job '%.*s' in this project",
                               (int)(id.len < 64 ? id.len : 64), id.p);
    }
    if (read_row(&q, a, out, e) < 0) {
        return -1;
    }
    out->spec = text(a, &q, LIGHT_COUNT);
    out->pin = text(a, &q, LIGHT_COUNT + 1);
    return 0;
}

int job_store_history(struct state_db *db, int64_t seq, struct arena *a, struct job_history **out,
                      size_t *n, struct err *e)
{
    /* Each attempt writes at most four lines; one more makes a new attempt of it. */
    const size_t max = 8 * (LIMIT_JOB_RETRIES + 2);
    struct job_history *list = arena_new_array(a, struct job_history, max);
    SCOPED(query_done) struct query q = {0};
    int r;

    *n = 0;
    *out = list;
    if (query_open(&q, db, e,
                   "SELECT state, at_ms, attempt, reason FROM job_history WHERE job = ? "
                   "ORDER BY n LIMIT ?",
                   "ii", seq, (int64_t)max) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct job_history *h = &list[*n];

        if (job_state_parse(query_str(&q, 0), &h->state, e) < 0) {
            return -1;
        }
        h->at_ms = query_i64(&q, 1);
        h->attempt = query_i64(&q, 2);
        h->reason = text(a, &q, 3);
        (*n)++;
    }
    return r;
}

static int read_rows(struct query *q, struct arena *a, int64_t limit, struct job_row **out,
                     size_t *n, struct err *e)
{
    struct job_row *rows = arena_new_array(a, struct job_row, (size_t)limit + 1);
    int r;

    *n = 0;
    *out = rows;
    while ((r = query_step(q, e)) > 0) {
        if (read_row(q, a, &rows[*n], e) < 0) {
            return -1;
        }
        (*n)++;
    }
    return r;
}

#define ROWS_BEFORE "SELECT " LIGHT_COLUMNS " FROM jobs WHERE project_id = ?1 AND seq < ?2"
#define NEWEST " ORDER BY seq DESC LIMIT ?3"
#define HAS_WORDS(q) "has_words(" q ", name, id, user, image)"
#define FOUND(where)                                                                               \
    "SELECT project, id, name, state FROM jobs WHERE seq IN (SELECT seq FROM jobs"                 \
    " INDEXED BY jobs_words WHERE " where HAS_WORDS("?1") " ORDER BY seq DESC LIMIT ?2)"           \
                                                          " ORDER BY seq DESC"

/* One index range per state, each cut at the limit, so that a page costs a page however long the
 * table is ("state IN (...)" would sort all of them). */
static int add_state_ranges(struct buf *sql, unsigned states)
{
    const char *between = "SELECT * FROM (";

    for (int s = 0; s < JOB_STATES; s++) {
        if (states >> s & 1) {
            buf_printf(sql, "%s" ROWS_BEFORE " AND state = '%s'" NEWEST ")", between,
                       state_names[s]);
            between = " UNION ALL SELECT * FROM (";
        }
    }
    return buf_add_c(sql, NEWEST);
}

/* Words are looked for in the index alone; only rows that fit are read. */
static int add_filtered(struct buf *sql, unsigned states)
{
    const char *between = " AND state IN ('";

    buf_add_c(sql, "SELECT " LIGHT_COLUMNS " FROM jobs INDEXED BY jobs_words WHERE project_id = ?1"
                   " AND seq < ?2 AND " HAS_WORDS("?4"));
    for (int s = 0; s < JOB_STATES; s++) {
        if (states >> s & 1) {
            buf_printf(sql, "%s%s'", between, state_names[s]);
            between = ", '";
        }
    }
    return buf_add_c(sql, states ? ")" NEWEST : NEWEST);
}

int job_store_list(struct state_db *db, const struct job_filter *f, int64_t limit, struct arena *a,
                   struct job_row **out, size_t *n, struct err *e)
{
    SCOPED(buf_done) struct buf sql = BUF_MAX(8 * KIB);
    SCOPED(query_done) struct query q = {0};
    int64_t before = f->before > 0 ? f->before : INT64_MAX;
    int rc;

    if (f->words.len > 0) {
        add_filtered(&sql, f->states);
        rc = query_open(&q, db, e, sql.p, "iiis", f->project_id, before, limit, f->words);
    } else {
        if (f->states == 0) {
            buf_add_c(&sql, ROWS_BEFORE NEWEST);
        } else {
            add_state_ranges(&sql, f->states);
        }
        rc = query_open(&q, db, e, sql.p, "iii", f->project_id, before, limit);
    }
    return rc < 0 ? -1 : read_rows(&q, a, limit, out, n, e);
}

/* `projects` NULL: of all. */
int job_store_search(struct state_db *db, const char *projects, struct str words, int64_t limit,
                     struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r = projects ? query_open(&q, db, e,
                                  FOUND("project_id IN (SELECT value FROM json_each(?3)) AND "),
                                  "siz", words, limit, projects)
                     : query_open(&q, db, e, FOUND(""), "si", words, limit);

    if (r < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(w);
        jw_kv_str(w, "project", query_str(&q, 0));
        jw_kv_str(w, "id", query_str(&q, 1));
        jw_kv_str(w, "name", query_str(&q, 2));
        jw_kv_str(w, "state", query_str(&q, 3));
        jw_end(w);
    }
    return r;
}

int job_store_unfinished(struct state_db *db, void (*each)(void *ctx, const struct job_row *row),
                         void *ctx, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " LIGHT_COLUMNS " FROM jobs WHERE finished_ms IS NULL ORDER BY seq",
                   "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct job_row row;

        if (read_row(&q, &a, &row, e) < 0) {
            return -1;
        }
        each(ctx, &row);
        arena_reset(&a);
    }
    return r;
}

int job_store_held_blobs(struct state_db *db, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(query_done) struct query q = {0};
    int r;

    /* What runs has its layers unpacked, but may be tried again on a machine that has not. */
    if (query_open(&q, db, e, "SELECT pin FROM jobs WHERE finished_ms IS NULL GROUP BY digest",
                   "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct job_pin pin;

        if (job_pin_parse(&a, query_str(&q, 0), &pin, e) < 0) {
            return -1;
        }
        for (size_t i = 0; i < pin.image.n_layers; i++) {
            each(ctx, pin.image.layers[i].digest);
        }
        arena_reset(&a);
    }
    return r;
}

/* --- deleting --- */

/* Those of jobs that the condition on `jobs` names. */
static int each_container(struct state_db *db, const char *sql, int64_t key, job_container *each,
                          void *ctx, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, sql, "i", key) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t tries = query_i64(&q, 2);

        for (int64_t n = 0; n <= tries; n++) {
            each(ctx, query_str(&q, 0), query_i64(&q, 1), n);
        }
    }
    return r;
}

#define CONTAINERS                                                                                 \
    "SELECT jobs.id, h.attempt, max(h.tries) FROM jobs JOIN job_history h ON h.job = jobs.seq"     \
    " WHERE h.state = 'starting' AND "

int job_store_delete(struct state_db *db, int64_t project_id, struct str id, job_container *each,
                     void *ctx, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct job_row row;

    if (job_store_get(db, project_id, id, &a, &row, e) < 0) {
        return -1;
    }
    if (!job_state_finished(row.state)) {
        return err_set(e, ERR_CONFLICT, "job %s is %s: cancel it first", row.id,
                       state_names[row.state]);
    }
    if (each_container(db, CONTAINERS "jobs.seq = ? GROUP BY h.attempt", row.seq, each, ctx, e) <
            0 ||
        state_run(db, e, "DELETE FROM job_history WHERE job = ?", "i", row.seq) < 0) {
        return -1;
    }
    return state_run(db, e, "DELETE FROM jobs WHERE seq = ?", "i", row.seq);
}

int job_store_forget_project(struct state_db *db, int64_t project_id, job_container *each,
                             void *ctx, struct err *e)
{
    if (each_container(db, CONTAINERS "jobs.project_id = ? GROUP BY jobs.seq, h.attempt",
                       project_id, each, ctx, e) < 0 ||
        state_run(db, e,
                  "DELETE FROM job_history WHERE job IN (SELECT seq FROM jobs WHERE "
                  "project_id = ?)",
                  "i", project_id) < 0) {
        return -1;
    }
    return state_run(db, e, "DELETE FROM jobs WHERE project_id = ?", "i", project_id);
}
