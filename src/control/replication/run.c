/* A runner works on one run: one task after the other, on the runner's thread. */
#include "replication_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "registry/names.h"
#include "registry/registry.h"
#include "registry/store.h"

#include <stdio.h>
#include <string.h>

enum {
    UNREACHED_MAX = 3,  /* tasks in a row: then the peer itself is away, and all wait */
    TELL_MS = 1000,     /* progress for those who watch */
    KEEP_MS = 5000,     /* progress on disk */
    WAIT_SEC_MAX = 3600 /* Retry-After of a peer */
};

struct work {
    struct replication *r;
    struct slot *slot;
    struct arena arena; /* of the run */
    struct rule rule;
    struct remote_row registry;
    struct remote *remote;
    struct run_row run;
    struct arena task_arena;
    struct task_row task;
    int unreached; /* tasks in a row that found nobody */
    int64_t told_ms, kept_ms;
};

static bool must_stop(void *ctx)
{
    const struct slot *s = ctx;

    return atomic_load(&s->stop) || atomic_load(&s->r->stopping);
}

/* --- the run's row --- */

static int load_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct work *w = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT rule_id, planned, tries, stop FROM replication_runs"
                   " WHERE id = ? AND ended_ms IS NULL",
                   "i", w->run.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the run is gone");
    }
    w->run.rule_id = query_i64(&q, 0);
    w->run.is_planned = query_i64(&q, 1) != 0;
    w->run.tries = query_i64(&q, 2);
    if (query_i64(&q, 3)) {
        atomic_store(&w->slot->stop, true);
    }
    return rule_of_id(db, &w->arena, w->run.rule_id, &w->rule, e) < 0 ||
                   remote_row_of_id(db, &w->arena, w->rule.registry_id, &w->registry, e) < 0
               ? -1
               : 0;
}

static int begin_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct work *w = ctx;

    return state_run(db, e,
                     "UPDATE replication_runs SET started_ms = coalesce(started_ms, ?)"
                     " WHERE id = ?",
                     "ii", clock_wall_ms(), w->run.id);
}

struct ending {
    int64_t run_id;
    const char *state; /* NULL: by its tasks */
    const char *error; /* NULL: by its tasks */
    int64_t n_tasks, failed;
};

static int end_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct ending *x = ctx;
    int64_t now = clock_wall_ms();

    return state_run(db, e,
                     "UPDATE replication_tasks SET state = 'stopped', ended_ms = ?"
                     " WHERE run_id = ? AND state = 'waiting'",
                     "ii", now, x->run_id) < 0 ||
                   state_run(db, e,
                             "UPDATE replication_runs SET ended_ms = ?1, state = coalesce(?2,"
                             " iif(failed > 0, 'failed', 'succeeded')), error = coalesce(?3,"
                             " iif(failed > 0, failed || ' of ' || tasks || ' failed: ' ||"
                             "  (SELECT source || ':' || reference || ': ' || error FROM"
                             "   replication_tasks WHERE run_id = ?4 AND state = 'failed' LIMIT "
                             "1), NULL))"
                             " WHERE id = ?4 AND ended_ms IS NULL",
                             "izzi", now, x->state, x->error, x->run_id) < 0
               ? -1
               : 0;
}

static void end_run(struct work *w, const char *state, const char *error)
{
    struct ending x = {.run_id = w->run.id, .state = state, .error = error};
    struct err e;

    if (state_write(w->r->state, end_fn, &x, &e) < 0) {
        log_error("replication.not_ended", "run=%lld: %s; trying again at the next start",
                  (long long)w->run.id, e.msg);
    }
    log_info("replication.ended", "run=%lld rule=%s state=%s error=%s", (long long)w->run.id,
             Q(w->rule.name), state ? state : "", error ? Q(str_of(error)) : "");
}

int run_end_stopped(struct replication *r, int64_t run_id, struct err *e)
{
    struct ending x = {
        .run_id = run_id, .state = "stopped", .error = "stopped by an administrator"};

    return state_write(r->state, end_fn, &x, e);
}

/* --- waiting for the next try --- */

/* 5 s, 30 s, 3 min, 10 min, 30 min, then each hour (times replication.retry / 5 s). */
static int64_t wait_ms(const struct work *w, int64_t tries)
{
    static const int factors[] = {1, 6, 36, 120, 360, 720};
    int64_t asked = w->remote ? remote_retry_sec(w->remote) * 1000 : 0;
    int64_t own =
        w->r->retry_ms * factors[tries < 1                             ? 0
                                 : tries > (int64_t)ARRAY_LEN(factors) ? ARRAY_LEN(factors) - 1
                                                                       : (size_t)tries - 1];

    asked = asked > WAIT_SEC_MAX * 1000LL ? WAIT_SEC_MAX * 1000LL : asked;
    return asked > own ? asked : own;
}

static bool may_try_again(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_THROTTLED ||
           e->kind == ERR_IO || e->kind == ERR_NO_SPACE;
}

struct pause {
    int64_t run_id, next_ms;
    const char *error;
    int64_t tries;
};

static int pause_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct pause *p = ctx;

    return state_run(db, e,
                     "UPDATE replication_runs SET next_ms = iif(stop, 0, ?), error = ?, tries = ?"
                     " WHERE id = ?",
                     "izii", p->next_ms, p->error, p->tries, p->run_id);
}

static void pause_run(struct work *w, int64_t next_ms, const char *error)
{
    struct pause p = {w->run.id, next_ms, error, w->run.tries};
    struct err e;

    if (state_write(w->r->state, pause_fn, &p, &e) < 0) {
        log_warn("replication.not_written", "run=%lld: %s; trying again at once",
                 (long long)w->run.id, e.msg);
    }
}

/* --- sessions of uploads --- */

struct session {
    const struct work *w;
    struct str repository;
    const char *digest, *url;
    char *out;
};

static int find_session_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct session *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT url FROM replication_uploads WHERE registry_id = ? AND repository = ?"
                   " AND digest = ?",
                   "isz", s->w->registry.id, s->repository, s->digest) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? 0 : str_copy(query_str(&q, 0), s->out, 2048);
}

static void session_find(void *ctx, struct str repository, const char *digest, char out[2048])
{
    const struct work *w = ctx;
    struct session s = {.w = w, .repository = repository, .digest = digest, .out = out};
    struct err ignored; /* then it is sent from its beginning */

    out[0] = '\0';
    (void)!state_read(w->r->state, find_session_fn, &s, &ignored);
}

static int keep_session_fn(struct state_db *db, void *ctx, struct err *e)
{
    enum { UPLOAD_KEEP_DAYS = 7 };
    const struct session *s = ctx;
    int64_t now = clock_wall_ms();

    if (s->url[0] == '\0') {
        return state_run(db, e,
                         "DELETE FROM replication_uploads WHERE (registry_id = ? AND repository = ?"
                         " AND digest = ?) OR changed_ms < ?",
                         "iszi", s->w->registry.id, s->repository, s->digest,
                         now - UPLOAD_KEEP_DAYS * 24 * 3600 * 1000LL);
    }
    return state_run(db, e,
                     "INSERT INTO replication_uploads(registry_id, repository, digest, url,"
                     " changed_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                     " SET url = excluded.url, changed_ms = excluded.changed_ms",
                     "iszzi", s->w->registry.id, s->repository, s->digest, s->url, now);
}

static void session_keep(void *ctx, struct str repository, const char *digest, const char *url)
{
    const struct work *w = ctx;
    struct session s = {.w = w, .repository = repository, .digest = digest, .url = url};
    struct err ignored;

    (void)!state_write(w->r->state, keep_session_fn, &s, &ignored);
}

/* --- progress --- */

struct ended {
    const struct work *w;
    enum task_end how;
    const char *error, *digest;
    int64_t next_ms, tries;
    struct copy_bytes live;
};

static int progress_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct ended *x = ctx;

    return state_run(db, e,
                     "UPDATE replication_tasks SET total_bytes = ?, done_bytes = ?,"
                     " moved_bytes = moved_bytes + ? WHERE run_id = ? AND number = ?",
                     "iiiii", x->live.total, x->live.done, x->live.moved, x->w->run.id,
                     x->w->task.number) < 0 ||
                   state_run(db, e,
                             "UPDATE replication_runs SET moved_bytes = moved_bytes + ?"
                             " WHERE id = ?",
                             "ii", x->live.moved, x->w->run.id) < 0
               ? -1
               : 0;
}

/* What was moved is added to the rows, and counted anew from here. */
static struct copy_bytes take_live(struct work *w, int64_t next_task)
{
    struct lock *l = &w->r->lock;
    struct copy_bytes live;

    WITH_LOCK(l);
    live = w->slot->live;
    w->slot->live.moved = 0;
    if (next_task != w->slot->task) {
        w->slot->task = next_task;
        w->slot->live = (struct copy_bytes){0};
    }
    return live;
}

static void on_bytes(void *ctx, const struct copy_bytes *more)
{
    struct work *w = ctx;
    struct lock *l = &w->r->lock;
    int64_t now = clock_mono_ms();
    struct err ignored;

    lock_take(l);
    w->slot->live.total += more->total;
    w->slot->live.done += more->done;
    w->slot->live.moved += more->moved;
    lock_drop(l);
    if (more->moved > 0 && now - w->kept_ms >= KEEP_MS) {
        struct ended x = {.w = w, .live = take_live(w, w->task.number)};

        w->kept_ms = now;
        (void)!state_write(w->r->state, progress_fn, &x, &ignored);
    }
    if (now - w->told_ms >= TELL_MS) {
        w->told_ms = now;
        replication_tell(w->r, w->run.id);
    }
}

/* --- one task --- */

static const char *const task_states[] = {"waiting", "succeeded", "skipped", "failed", "stopped"};

static void write_side(const struct work *w, struct jw *j, const char *key, bool is_here,
                       struct str repository)
{
    jw_key(j, key);
    jw_object(j);
    if (!is_here) {
        jw_kv_str(j, "registry_name", w->registry.name);
        jw_kv_str(j, "endpoint", w->registry.url);
    }
    jw_kv_c(j, "registry_type", is_here ? "harbor" : "docker-registry");
    jw_kv_str(j, "namespace", name_project(repository));
    jw_end(j);
}

/* As Harbor tells its webhooks; its hostname comes from whoever sends it. */
static void write_end(const struct work *w, const struct ended *x, struct jw *j)
{
    static const char *const triggers[TRIGGERS] = {"manual", "scheduled", "event_based"};
    bool failed = x->how == TASK_FAILED;
    struct buf name = BUF_MAX(2048);

    buf_printf(&name, "%.*s:%.*s", STR_ARG(w->task.source), STR_ARG(w->task.reference));
    jw_object(j);
    jw_kv_c(j, "job_status", failed ? "Failed" : "Success");
    jw_kv_c(j, "artifact_type", "image");
    jw_kv_bool(j, "override_mode", true);
    jw_kv_c(j, "trigger_type", triggers[w->rule.trigger]);
    jw_kv_str(j, "policy_creator", w->rule.created_by);
    jw_kv_i64(j, "execution_timestamp", clock_wall_ms() / 1000);
    write_side(w, j, "src_resource", w->rule.direction == PUSHES, w->task.source);
    write_side(w, j, "dest_resource", w->rule.direction == PULLS, w->task.destination);
    jw_key(j, failed ? "failed_artifact" : "successful_artifact");
    jw_array(j);
    jw_object(j);
    jw_kv_c(j, "type", "image");
    jw_kv_c(j, "status", failed ? "Failed" : w->task.deletes ? "Deleted" : "Success");
    jw_kv_str(j, "name_tag", buf_str(&name));
    if (failed) {
        jw_kv_c(j, "fail_reason", x->error);
    }
    jw_end(j);
    jw_end(j);
    jw_end(j);
    buf_done(&name);
}

static int tell_end(struct state_db *db, const struct ended *x, struct err *e)
{
    const struct work *w = x->w;
    struct str here = w->rule.direction == PULLS ? w->task.destination : w->task.source;
    struct replication_end told = {.by = w->rule.created_by};
    struct buf about = BUF_MAX(16 * KIB);
    struct jw j = JW(&about);
    struct err missing;
    int result = 0;

    if (w->r->ended == NULL || (x->how != TASK_SUCCEEDED && x->how != TASK_FAILED)) {
        return 0;
    }
    if (access_project_find(db, name_project(here), &told.project_id, &missing) < 0) {
        *e = missing;
        return missing.kind == ERR_NOT_FOUND ? 0 : -1; /* then there is nobody to tell */
    }
    write_end(w, x, &j);
    told.about = buf_str(&about);
    if (!about.failed) {
        result = w->r->ended(w->r->event_ctx, db, &told, e);
    }
    buf_done(&about);
    return result;
}

static int task_end_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct ended *x = ctx;

    if (progress_fn(db, ctx, e) < 0 || tell_end(db, x, e) < 0 ||
        state_run(db, e,
                  "UPDATE replication_tasks SET state = ?1, tries = ?2, next_ms = ?3, error = ?4,"
                  " digest = coalesce(?5, digest), ended_ms = iif(?1 = 'waiting', NULL, ?6),"
                  " started_ms = coalesce(started_ms, ?6) WHERE run_id = ?7 AND number = ?8",
                  "ziizziii", task_states[x->how], x->tries, x->next_ms, x->error, x->digest,
                  clock_wall_ms(), x->w->run.id, x->w->task.number) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE replication_runs SET succeeded = succeeded + ?,"
                     " skipped = skipped + ?, failed = failed + ? WHERE id = ?",
                     "iiii", (int64_t)(x->how == TASK_SUCCEEDED), (int64_t)(x->how == TASK_SKIPPED),
                     (int64_t)(x->how == TASK_FAILED), x->w->run.id);
}

static const struct copy_hooks hooks = {on_bytes, session_find, session_keep};

static struct copy copy_of(struct work *w)
{
    return (struct copy){.registry = w->r->registry,
                         .remote = w->remote,
                         .with_referrers = w->rule.with_referrers,
                         .kind = w->rule.kind,
                         .hooks = &hooks,
                         .ctx = w};
}

static int destination_here(struct work *w, struct repo_key *to, struct err *e)
{
    struct str project;
    uint32_t id_base;

    *to = (struct repo_key){.name = w->task.destination, .by = STR("replication")};
    if (name_check(to->name, e) < 0) {
        return err_wrap(e, "%.*s cannot be a repository here (set the rule's destination)",
                        STR_ARG(to->name));
    }
    project = name_project(to->name);
    if (access_project(w->r->access, project, &to->project_id, &id_base, e) < 0) {
        return e->kind == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND,
                             "there is no project %.*s here: create it first, or set the rule's "
                             "destination",
                             STR_ARG(project))
                   : -1;
    }
    return 0;
}

static int pull(struct work *w, struct copy_result *out, struct err *e)
{
    struct copy c = copy_of(w);
    struct repo_key to;

    return destination_here(w, &to, e) < 0
               ? -1
               : copy_pull(&c, w->task.source, w->task.reference, &to, w->task.reference, out, e);
}

static int push(struct work *w, struct copy_result *out, struct err *e)
{
    struct copy c = copy_of(w);

    return copy_push(&c, w->task.source, w->task.reference, w->task.destination, w->task.reference,
                     out, e);
}

/* 1: the source has it (again). */
static int source_has(struct work *w, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct reference ref = {.repository = w->task.source, .tag = w->task.reference};
    struct stored_manifest have;
    char digest[CONTENT_DIGEST_MAX];
    const char *code;
    int result = w->rule.direction == PULLS
                     ? remote_manifest_head(w->remote, ref.repository, ref.tag, digest, e)
                     : store_manifest_get(w->r->registry, &a, &ref, &have, &code, e);

    return result == 0 ? 1 : e->kind == ERR_NOT_FOUND ? 0 : -1;
}

/* 1: it was gone already. */
static int delete_tag(struct work *w, struct err *e)
{
    int has = source_has(w, e), result;

    if (has != 0) {
        return has;
    }
    result = w->rule.direction == PULLS
                 ? copy_delete_here(w->r->registry, w->task.destination, w->task.reference,
                                    STR("replication"), e)
                 : remote_manifest_delete(w->remote, w->task.destination, w->task.reference, e);
    return result == 0 ? 0 : e->kind == ERR_NOT_FOUND ? 1 : -1;
}

static enum task_end do_task(struct work *w, struct copy_result *out, struct err *e)
{
    struct err gone;
    int result;

    if (w->task.deletes) {
        result = delete_tag(w, e);
        return result < 0 ? TASK_FAILED : result > 0 ? TASK_SKIPPED : TASK_SUCCEEDED;
    }
    result = w->rule.direction == PULLS ? pull(w, out, e) : push(w, out, e);
    if (result < 0 && e->kind == ERR_NOT_FOUND && w->rule.direction == PUSHES &&
        source_has(w, &gone) == 0) {
        return TASK_SKIPPED; /* deleted meanwhile */
    }
    return result < 0 ? TASK_FAILED : out->changed ? TASK_SUCCEEDED : TASK_SKIPPED;
}

/* The task's row, after a try. */
static void end_task(struct work *w, enum task_end how, const struct copy_result *out,
                     const struct err *why)
{
    struct ended x = {.w = w,
                      .how = how,
                      .error = how == TASK_FAILED   ? why->msg
                               : out->is_other_kind ? "it is not of the kind that the rule copies"
                                                    : NULL,
                      .digest = out->digest[0] ? out->digest : NULL,
                      .tries = w->task.tries + 1,
                      .live = take_live(w, 0)};
    struct err e;

    w->unreached = how == TASK_FAILED && may_try_again(why) ? w->unreached + 1 : 0;
    if (how == TASK_FAILED && may_try_again(why) && x.tries < TRIES_MAX) {
        x.how = TASK_WAITING;
        x.next_ms = clock_wall_ms() + wait_ms(w, x.tries);
    }
    if (state_write(w->r->state, task_end_fn, &x, &e) < 0) {
        log_warn("replication.not_written", "run=%lld task=%lld: %s; doing it again",
                 (long long)w->run.id, (long long)w->task.number, e.msg);
        w->unreached = UNREACHED_MAX;
    }
}

static int next_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct work *w = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    w->task = (struct task_row){.number = 0};
    if (query_open(&q, db, e,
                   "SELECT number, deletes, source, reference, destination, tries, next_ms"
                   " FROM replication_tasks WHERE run_id = ? AND state = 'waiting'"
                   " ORDER BY next_ms LIMIT 1",
                   "i", w->run.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        w->task = (struct task_row){.number = query_i64(&q, 0),
                                    .deletes = query_i64(&q, 1) != 0,
                                    .source = arena_str(&w->task_arena, query_str(&q, 2)),
                                    .reference = arena_str(&w->task_arena, query_str(&q, 3)),
                                    .destination = arena_str(&w->task_arena, query_str(&q, 4)),
                                    .tries = query_i64(&q, 5),
                                    .next_ms = query_i64(&q, 6)};
    }
    return 0;
}

/* 1: go on; 0: enough for now (the run has ended or waits). */
static int next_task(struct work *w, struct err *e)
{
    struct copy_result out = {.changed = false};
    struct err why = {0};
    enum task_end how;

    arena_reset(&w->task_arena);
    if (state_read(w->r->state, next_fn, w, e) < 0) {
        return -1;
    }
    if (w->task.number == 0) {
        end_run(w, NULL, NULL);
        return 0;
    }
    if (w->task.next_ms > clock_wall_ms()) {
        pause_run(w, w->task.next_ms, NULL);
        return 0;
    }
    (void)take_live(w, w->task.number);
    how = do_task(w, &out, &why);
    if (must_stop(w->slot)) {
        struct ended x = {.w = w, .live = take_live(w, 0)};

        (void)!state_write(w->r->state, progress_fn, &x, e);
        return 1;
    }
    end_task(w, how, &out, &why);
    if (w->unreached >= UNREACHED_MAX || (how == TASK_FAILED && why.kind == ERR_THROTTLED)) {
        pause_run(w, clock_wall_ms() + wait_ms(w, 1), why.msg);
        return 0;
    }
    return 1;
}

/* --- the whole run --- */

/* 1: planned; 0: it failed, for now or for good. */
static int plan(struct work *w)
{
    struct err e;

    if (w->run.is_planned || plan_run(w->r, &w->rule, w->remote, w->run.id, &e) == 0) {
        return 1;
    }
    if (must_stop(w->slot)) {
        return 1;
    }
    if (may_try_again(&e) && ++w->run.tries < TRIES_MAX) {
        pause_run(w, clock_wall_ms() + wait_ms(w, w->run.tries), e.msg);
    } else {
        end_run(w, "failed", e.msg);
    }
    return 0;
}

static void work_on_tasks(struct work *w)
{
    int64_t told_ms = 0;
    struct err e;
    int more = 1;

    while (more > 0 && !must_stop(w->slot)) {
        more = next_task(w, &e);
        if (clock_mono_ms() - told_ms >= TELL_MS) {
            told_ms = clock_mono_ms();
            replication_tell(w->r, w->run.id);
        }
    }
    if (more < 0) {
        log_warn("replication.not_read", "run=%lld: %s; trying again later", (long long)w->run.id,
                 e.msg);
        pause_run(w, clock_wall_ms() + w->r->retry_ms, e.msg);
    }
}

static void work(struct work *w)
{
    struct err e;

    w->remote = replication_remote(w->r, &w->registry, w->rule.rate_bytes, must_stop, w->slot, &e);
    if (w->remote == NULL || state_write(w->r->state, begin_fn, w, &e) < 0) {
        end_run(w, "failed", e.msg);
        return;
    }
    log_info("replication.runs", "run=%lld rule=%s", (long long)w->run.id, Q(w->rule.name));
    replication_tell(w->r, w->run.id);
    if (plan(w)) {
        work_on_tasks(w);
    }
    if (atomic_load(&w->slot->stop) && run_end_stopped(w->r, w->run.id, &e) < 0) {
        log_warn("replication.not_stopped", "run=%lld: %s; trying again", (long long)w->run.id,
                 e.msg);
    }
}

void run_work(struct slot *s)
{
    struct work w = {.r = s->r, .slot = s, .run = {.id = s->run_id}};
    struct err e;

    if (state_read(s->r->state, load_fn, &w, &e) == 0) {
        if (must_stop(s)) {
            if (atomic_load(&s->stop)) {
                (void)!run_end_stopped(s->r, w.run.id, &e);
            }
        } else {
            work(&w);
        }
        (void)take_live(&w, 0);
        replication_tell(s->r, w.run.id);
    } else if (e.kind != ERR_NOT_FOUND) {
        log_warn("replication.not_read", "run=%lld: %s; trying again later", (long long)s->run_id,
                 e.msg);
        pause_run(&w, clock_wall_ms() + s->r->retry_ms, e.msg);
    }
    remote_close(w.remote);
    arena_done(&w.task_arena);
    arena_done(&w.arena);
}
