/* Runs of retention: read a repository, decide, remove in steps, write down what and why. */
#include "retention.h"

#include "labels.h"
#include "manifest.h"
#include "store_priv.h"

#include "access/access.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAGS_MAX = 500000,    /* of a repository, 150 bytes each while it is looked at */
    REMOVE_AT_ONCE = 250, /* tags in one transaction: pushes wait no longer than that */
    RUNS_KEPT = 20        /* of a project, with all that was said of its tags */
};

struct run {
    struct registry *r;
    int64_t project_id, id, number, started_ms;
    unsigned flags;
    const _Atomic bool *is_stopped; /* by somebody */
    struct str project, started_by;
    struct arena arena; /* of the whole run: policy and names of repositories */
    struct policy policy;
    VEC(struct str) repositories; /* full names */
};

/* --- what there is --- */

/* Runs whose end could not be written: of a project, or of all (0). */
static int close_open_runs(struct state_db *db, int64_t project_id, struct err *e)
{
    return state_run(db, e,
                     "UPDATE retention_runs SET ended_ms = ?1, error ="
                     " 'cut short by a restart; what it says of tags is what it had done'"
                     " WHERE ended_ms IS NULL AND ?2 IN (0, project_id)",
                     "ii", clock_wall_ms(), project_id);
}

static int begin_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run *run = ctx;

    if (access_project_check(db, run->project_id, e) < 0 ||
        db_policy(db, &run->arena, run->project_id, &run->policy, e) < 0 ||
        close_open_runs(db, run->project_id, e) < 0) {
        return -1;
    }
    if (run->policy.n_rules == 0) {
        return err_set(e, ERR_INVALID, "project %.*s has no retention rules: add one first",
                       STR_ARG(run->project));
    }
    if (state_run(db, e,
                  "DELETE FROM retention_runs WHERE project_id = ?1 AND id NOT IN (SELECT id FROM"
                  " retention_runs WHERE project_id = ?1 ORDER BY id DESC LIMIT ?2)",
                  "ii", run->project_id, (int64_t)RUNS_KEPT - 1) < 0 ||
        state_run(db, e,
                  "INSERT INTO retention_runs(project_id, started_ms, dry_run, started_by)"
                  " VALUES (?, ?, ?, ?)",
                  "iiis", run->project_id, run->started_ms,
                  (int64_t)(run->flags & RETENTION_DRY_RUN), run->started_by) < 0) {
        return -1;
    }
    run->id = state_last_id(db);
    return 0;
}

static int repositories_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct run *run = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name FROM repositories WHERE project_id = ?2 AND name > ?1 || '/'"
                   " AND name < ?1 || '0' ORDER BY name",
                   "si", run->project, run->project_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str name = query_str(&q, 0);

        if (retention_is_about(&run->policy, str_from(name, run->project.len + 1))) {
            *vec_push(&run->repositories) = arena_str(&run->arena, name);
        }
    }
    return r;
}

/* One repository, while it is worked on. */
struct look {
    struct run *run;
    struct str repository;
    int64_t repository_id;
    struct arena *arena;
    VEC(struct retained) items;
    size_t from, to; /* the part of this transaction */
    int64_t removed;
    struct artifacts *gone; /* of this transaction */
    struct policy *now;     /* as this transaction sees it */
};

static int read_items(struct state_db *db, struct look *l, const char *sql, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, sql, "i", l->repository_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (l->items.len == TAGS_MAX) {
            return err_set(e, ERR_LIMIT, "repository %.*s has more than %d tags",
                           STR_ARG(l->repository), TAGS_MAX);
        }
        *vec_push(&l->items) = (struct retained){
            .tag = query_is_null(&q, 0) ? (struct str){0} : arena_str(l->arena, query_str(&q, 0)),
            .manifest_id = query_i64(&q, 1),
            .digest = arena_str(l->arena, query_str(&q, 2)),
            .pushed_ms = query_i64(&q, 3),
            .pulled_ms = query_i64(&q, 4),
            .labels =
                query_is_null(&q, 5) ? (struct str){0} : arena_str(l->arena, query_str(&q, 5)),
            .subject_id = query_i64(&q, 6)};
    }
    return r;
}

/* Of a tag sha256-<hex>.sig, .att or .sbom, or without more of an index (what had no referrers'
 * API): the image that it belongs to. One that stands in an index goes with that, and one in the
 * trash may come back. A tag without more whose image is nowhere may be called so by whoever likes.
 */
#define SUBJECT_DIGEST "'sha256:' || substr(t.name, 8, 64)"
#define SQL_SUBJECT_ID                                                                             \
    "CASE WHEN t.name GLOB 'sha256-*' AND length(t.name) >= 71"                                    \
    " AND substr(t.name, 8, 64) NOT GLOB '*[^0-9a-f]*'"                                            \
    " AND (substr(t.name, 72) IN ('.sig', '.att', '.sbom')"                                        \
    "  OR length(t.name) = 71 AND m.media_type = '" MEDIA_OCI_INDEX "')"                           \
    " AND " SUBJECT_DIGEST " <> m.digest THEN coalesce("                                           \
    "(SELECT iif(EXISTS (SELECT 1 FROM manifest_children c WHERE c.repository_id ="                \
    "  s.repository_id AND c.digest = s.digest), -2, s.id) FROM manifests s"                       \
    "  WHERE s.repository_id = t.repository_id AND s.digest = " SUBJECT_DIGEST "),"                \
    "(SELECT -2 FROM trash_manifests y JOIN trash z ON z.id = y.trash_id"                          \
    "  WHERE y.digest = " SUBJECT_DIGEST " AND z.project_id = m.project_id),"                      \
    " iif(length(t.name) = 71, 0, -1)) ELSE 0 END"

static int look_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *l = ctx;
    const char *code;

    if (db_repository(db, l->repository, &l->repository_id, &code, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1; /* deleted meanwhile */
    }
    return read_items(db, l,
                      "SELECT t.name, m.id, m.digest, t.pushed_ms, p.pulled_ms, " SQL_LABEL_NAMES
                      ", " SQL_SUBJECT_ID " AS belongs_to FROM tags t"
                      " JOIN manifests m ON m.id = t.manifest_id"
                      " LEFT JOIN manifest_pulls p ON p.manifest_id = m.id"
                      " WHERE t.repository_id = ?"
                      " ORDER BY belongs_to <> 0, t.name", /* signatures go behind their images */
                      e) < 0
               ? -1
               : read_items(
                     db, l,
                     "SELECT NULL, m.id, m.digest, m.pushed_ms, p.pulled_ms, " SQL_LABEL_NAMES
                     ", 0 FROM manifests m LEFT JOIN manifest_pulls p ON p.manifest_id = m.id"
                     " WHERE m.repository_id = ? AND m.subject IS NULL"
                     " AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)"
                     " AND NOT EXISTS (SELECT 1 FROM manifest_children c"
                     "  WHERE c.repository_id = m.repository_id AND c.digest = m.digest)",
                     e);
}

/* --- what goes --- */

static int leave(struct retained *item, const char *why)
{
    item->is_kept = true;
    item->why = why;
    return 0;
}

static int gone(struct state_db *db, struct look *l, const struct retained *item, struct err *e)
{
    artifacts_add(l->gone, item->tag, item->digest);
    return db_prune(db, item->manifest_id, e);
}

static int has_same_labels(struct state_db *db, const struct retained *item, int64_t *same,
                           struct err *e)
{
    return state_one_i64(db, same, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM manifests m WHERE m.id = ?1"
                         " AND " SQL_LABEL_NAMES " IS ?2)",
                         "is", item->manifest_id, item->labels);
}

/* Of a signature that goes: whether its image is here with a tag or in an index, or came back. */
static int its_image_stays(struct state_db *db, const struct look *l, const struct retained *item,
                           int64_t *stays, struct err *e)
{
    return state_one_i64(db, stays, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = ?1"
                         " AND m.digest = 'sha256:' || substr(?2, 8, 64) AND (?3 < 0"
                         " OR EXISTS (SELECT 1 FROM tags WHERE manifest_id = m.id)"
                         " OR EXISTS (SELECT 1 FROM manifest_children c"
                         "  WHERE c.repository_id = ?1 AND c.digest = m.digest)))",
                         "isi", l->repository_id, item->tag, item->subject_id);
}

/* Whatever changed since we looked (pushed again, retagged, labeled, made immutable) is left alone.
 */
static int remove_one(struct state_db *db, struct look *l, struct retained *item, struct err *e)
{
    int64_t is_same;

    if (has_same_labels(db, item, &is_same, e) < 0) {
        return -1;
    }
    if (!is_same) {
        return leave(item, "changed meanwhile");
    }
    if (item->subject_id != SUBJECT_NONE) {
        int64_t stays;

        if (its_image_stays(db, l, item, &stays, e) < 0) {
            return -1;
        }
        if (stays) {
            return leave(item, "its image changed meanwhile");
        }
    }
    if (item->tag.p != NULL) {
        if (policy_immutable(l->now, str_from(l->repository, l->run->project.len + 1), item->tag) !=
            NULL) {
            return leave(item, "became immutable meanwhile");
        }
        if (state_run(db, e,
                      "DELETE FROM tags WHERE repository_id = ? AND name = ? AND manifest_id = ?"
                      " AND pushed_ms = ?",
                      "isii", l->repository_id, item->tag, item->manifest_id,
                      item->pushed_ms) < 0) {
            return -1;
        }
        return state_changes(db) == 0 ? leave(item, "changed meanwhile") : gone(db, l, item, e);
    }
    if (state_one_i64(db, &is_same, e, "rows",
                      "SELECT EXISTS (SELECT 1 FROM manifests m WHERE id = ?1"
                      " AND repository_id = ?2 AND digest = ?3 AND pushed_ms = ?4"
                      " AND NOT EXISTS (SELECT 1 FROM tags WHERE manifest_id = ?1)"
                      " AND NOT EXISTS (SELECT 1 FROM manifest_children c"
                      "  WHERE c.repository_id = ?2 AND c.digest = ?3))",
                      "iisi", item->manifest_id, l->repository_id, item->digest,
                      item->pushed_ms) < 0) {
        return -1;
    }
    return is_same ? gone(db, l, item, e) : leave(item, "changed meanwhile");
}

static int write_row(struct state_db *db, struct look *l, const struct retained *item,
                     struct err *e)
{
    return state_run(
        db, e,
        "INSERT INTO retention_rows(run_id, number, repository, tag, digest, kept, why)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        "iisssiz", l->run->id, ++l->run->number, str_from(l->repository, l->run->project.len + 1),
        item->tag.p ? item->tag : STR_EMPTY, item->digest, (int64_t)item->is_kept, item->why);
}

static int part_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *l = ctx;
    SCOPED(arena_done) struct arena arena = {0};
    struct artifacts gone = {.n = 0};
    struct policy now;
    int64_t removed = 0, kept = 0;
    int result = 0;

    if (db_policy(db, &arena, l->run->project_id, &now, e) < 0) {
        return -1;
    }
    l->now = &now;
    l->gone = &gone;
    for (size_t i = l->from; result == 0 && i < l->to; i++) {
        struct retained *item = &l->items.p[i];

        if ((!item->is_kept && !(l->run->flags & RETENTION_DRY_RUN) &&
             remove_one(db, l, item, e) < 0) ||
            write_row(db, l, item, e) < 0) {
            result = -1;
        }
        removed += !item->is_kept;
        kept += item->is_kept;
    }
    l->removed += removed;
    if (result == 0 && gone.n > 0) {
        result = db_tell(db, l->run->r, l->repository_id, REGISTRY_DELETED, l->run->started_by,
                         &gone, e);
    }
    arena_done(&gone.arena);
    return result < 0 ? -1
                      : state_run(db, e,
                                  "UPDATE retention_runs SET kept = kept + ?,"
                                  " removed = removed + ? WHERE id = ?",
                                  "iii", kept, removed, l->run->id);
}

static void tell(const struct look *l)
{
    for (size_t i = l->from; i < l->to && !(l->run->flags & RETENTION_DRY_RUN); i++) {
        const struct retained *item = &l->items.p[i];

        if (!item->is_kept) {
            registry_emit(l->run->r, l->repository, item->tag.p ? item->tag : STR_EMPTY,
                          arena_strdup(l->arena, item->digest), "deleted");
        }
    }
}

static int go_on(const struct run *run, struct err *e)
{
    if (atomic_load(&run->r->is_closing)) {
        return err_set(e, ERR_UNAVAILABLE, "cut short: the server was stopped");
    }
    return !atomic_load(run->is_stopped)
               ? 0
               : err_set(e, ERR_UNAVAILABLE, "stopped; what it says of tags is what it had done");
}

static int run_repository(struct run *run, struct str repository, struct err *e)
{
    SCOPED(arena_done) struct arena arena = {0};
    struct look l = {.run = run, .repository = repository, .arena = &arena};
    int result = state_read(run->r->state, look_fn, &l, e);

    if (result == 0) {
        retention_decide(&run->policy, &arena, str_from(repository, run->project.len + 1),
                         l.items.p, l.items.len, run->started_ms);
    }
    for (; result == 0 && l.from < l.items.len; l.from = l.to) {
        l.to = l.items.len - l.from > REMOVE_AT_ONCE ? l.from + REMOVE_AT_ONCE : l.items.len;
        result = go_on(run, e) < 0 ? -1 : state_write(run->r->state, part_fn, &l, e);
        if (result == 0) {
            tell(&l);
        }
    }
    vec_done(&l.items);
    return result;
}

/* --- the whole run --- */

struct end {
    const struct run *run;
    const char *error; /* NULL: none */
};

/* Names the first that went; the run's rows have all. */
static int write_removed(struct state_db *db, const struct run *run, const char *result,
                         struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT repository, tag, digest FROM retention_rows"
                   " WHERE run_id = ? AND kept = 0 ORDER BY number LIMIT ?",
                   "ii", run->id, (int64_t)REGISTRY_ARTIFACTS_MAX) < 0) {
        return -1;
    }
    jw_key(w, "deleted_artifact");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        struct str tag = query_str(&q, 1);
        struct buf name = BUF_MAX(1024);

        buf_printf(&name, "%.*s%s%.*s", STR_ARG(query_str(&q, 0)), tag.len ? ":" : "@",
                   STR_ARG(tag.len ? tag : query_str(&q, 2)));
        jw_object(w);
        jw_kv_c(w, "type", "image");
        jw_kv_c(w, "status", result);
        jw_kv_str(w, "name_tag", buf_str(&name));
        jw_end(w);
        buf_done(&name);
    }
    jw_end(w);
    return r;
}

/* In the form of Harbor's event TAG_RETENTION. */
static int tell_retained(struct state_db *db, const struct end *end, struct err *e)
{
    const struct run *run = end->run;
    const char *result = end->error ? "ERROR" : "SUCCESS";
    struct buf text = BUF_MAX(128 * KIB);
    struct jw w = JW(&text);
    int64_t kept, removed;
    int r = 0;

    if (run->r->hooks.changed == NULL || (run->flags & RETENTION_DRY_RUN)) {
        return 0;
    }
    if (state_one_i64(db, &kept, e, "run", "SELECT kept FROM retention_runs WHERE id = ?", "i",
                      run->id) < 0 ||
        state_one_i64(db, &removed, e, "run", "SELECT removed FROM retention_runs WHERE id = ?",
                      "i", run->id) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1; /* the project was deleted meanwhile */
    }
    jw_object(&w);
    jw_kv_i64(&w, "total", kept + removed);
    jw_kv_i64(&w, "retained", kept);
    jw_kv_str(&w, "project_name", run->project);
    jw_kv_c(&w, "result", result);
    r = write_removed(db, run, result, &w, e);
    jw_end(&w);
    if (r == 0) {
        r = run->r->hooks.changed(run->r->hooks.ctx, db,
                                  &(struct registry_change){.what = REGISTRY_RETAINED,
                                                            .project_id = run->project_id,
                                                            .by = run->started_by,
                                                            .retention = buf_str(&text)},
                                  e);
    }
    buf_done(&text);
    return r;
}

static int end_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct end *end = ctx;

    return state_run(db, e, "UPDATE retention_runs SET ended_ms = ?, error = ? WHERE id = ?", "izi",
                     clock_wall_ms(), end->error, end->run->id) < 0
               ? -1
               : tell_retained(db, end, e);
}

static int run_all(struct run *run, struct err *e)
{
    if (state_read(run->r->state, repositories_fn, run, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < run->repositories.len; i++) {
        if (go_on(run, e) < 0 || run_repository(run, run->repositories.p[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int run_alone(struct registry *r, struct str project, int64_t project_id, unsigned flags,
                     struct str started_by, const _Atomic bool *is_stopped, int64_t *id,
                     struct err *e)
{
    struct run run = {.r = r,
                      .is_stopped = is_stopped,
                      .project = project,
                      .project_id = project_id,
                      .flags = flags,
                      .started_by = started_by,
                      .started_ms = clock_wall_ms()};
    struct end end = {.run = &run};
    struct err failed;
    int result = registry_flush_pulls(r, e) < 0 ? -1 : state_write(r->state, begin_fn, &run, e);

    if (result == 0) {
        end.error = run_all(&run, &failed) < 0 ? failed.msg : NULL;
        result = state_write(r->state, end_fn, &end, e);
        *id = run.id;
        log_info("registry.retention", "project=%s run=%lld dry_run=%u error=%s", Q(project),
                 (long long)run.id, flags & RETENTION_DRY_RUN,
                 end.error ? Q(str_of(end.error)) : "");
    }
    vec_done(&run.repositories);
    arena_done(&run.arena);
    return result;
}

enum { KEY_SIZE = 24 };

static void key_of(int64_t project_id, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "%lld", (long long)project_id);
}

/* One run of a project at a time. */
static int claim(struct registry *r, const char *key, _Atomic bool *is_stopped, struct err *e)
{
    struct lock *l = &r->lock;
    WITH_LOCK(l);

    if (map_get(&r->retaining, str_of(key)) != NULL) {
        return err_set(e, ERR_CONFLICT,
                       "a run of this project's retention is going on: wait for it");
    }
    (void)map_put(&r->retaining, str_of(key), is_stopped);
    return 0;
}

static void give_up(struct registry *r, const char *key)
{
    struct lock *l = &r->lock;
    WITH_LOCK(l);

    (void)map_del(&r->retaining, str_of(key));
}

int retention_run(struct registry *r, struct str project, int64_t project_id, unsigned flags,
                  struct str started_by, int64_t *id, struct err *e)
{
    _Atomic bool is_stopped = false;
    char key[KEY_SIZE];
    int result;

    key_of(project_id, key);
    if (claim(r, key, &is_stopped, e) < 0) {
        return -1;
    }
    result = run_alone(r, project, project_id, flags, started_by, &is_stopped, id, e);
    give_up(r, key);
    return result;
}

void retention_cancel(struct registry *r, int64_t project_id)
{
    struct lock *l = &r->lock;
    _Atomic bool *is_stopped;
    char key[KEY_SIZE];

    key_of(project_id, key);
    WITH_LOCK(l);
    is_stopped = map_get(&r->retaining, str_of(key));
    if (is_stopped != NULL) {
        atomic_store(is_stopped, true);
    }
}

static int recover_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return close_open_runs(db, 0, e);
}

int retention_recover(struct registry *r, struct err *e)
{
    return state_write(r->state, recover_fn, NULL, e);
}

/* --- on schedule --- */

struct due {
    int64_t project_id, now_ms;
    struct arena *arena;
    bool is_unreadable;
};

/* The one that has waited longest; its next time is noted before it runs, so that one which fails
 * (or kills us) does not come again and again. */
static int take_due_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct due *d = ctx;
    SCOPED(query_done) struct query q = {0};
    struct policy p;
    int r;

    if (query_open(&q, db, e,
                   "SELECT project_id FROM registry_projects WHERE next_run_ms <= ?"
                   " ORDER BY next_run_ms LIMIT 1",
                   "i", d->now_ms) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return 0;
    }
    d->project_id = query_i64(&q, 0);
    query_done(&q);
    if (db_policy(db, d->arena, d->project_id, &p, e) < 0) {
        if (e->kind != ERR_INVALID) {
            return -1;
        }
        d->is_unreadable = true; /* by this version: no schedule, and the others go on */
        p = (struct policy){0};
    }
    return state_run(
        db, e, "UPDATE registry_projects SET next_run_ms = nullif(?, -1) WHERE project_id = ?",
        "ii", p.schedule.p ? cron_next(&p.cron, d->now_ms) : -1, d->project_id);
}

/* 1: one that was due is done with; 0: none is. */
static int run_due(struct registry *r, struct err *e)
{
    SCOPED(arena_done) struct arena arena = {0};
    struct due d = {.arena = &arena, .now_ms = clock_wall_ms()};
    char project[65];
    struct err failed;
    int64_t id;

    if (state_write(r->state, take_due_fn, &d, e) < 0) {
        return -1;
    }
    if (d.project_id == 0) {
        return 0;
    }
    if (d.is_unreadable) {
        log_error("registry.policy_unreadable", "project_id=%lld: its schedule is dropped",
                  (long long)d.project_id);
    } else if (access_project_name(r->access, d.project_id, project, &failed) == 0 &&
               retention_run(r, str_of(project), d.project_id, 0, STR("schedule"), &id, &failed) <
                   0) {
        log_warn("registry.retention_failed", "project=%s: %s; the others go on", project,
                 failed.msg);
    }
    return 1;
}

static void *retain(void *ctx)
{
    struct registry *r = ctx;
    struct err e;
    int more = 1;

    while (more > 0 && !atomic_load(&r->is_closing)) {
        more = run_due(r, &e);
    }
    if (more < 0) {
        log_warn("registry.retention_failed", "%s; trying again in a minute", e.msg);
    }
    atomic_store(&r->retainer_runs, false);
    return NULL;
}

int retention_due(struct registry *r, struct err *e)
{
    if (atomic_load(&r->retainer_runs)) {
        return 0;
    }
    if (r->has_retainer) {
        (void)pthread_join(r->retainer, NULL);
    }
    atomic_store(&r->retainer_runs, true);
    r->has_retainer = pthread_create(&r->retainer, NULL, retain, r) == 0;
    if (!r->has_retainer) {
        atomic_store(&r->retainer_runs, false);
        return err_set(e, ERR_UNAVAILABLE, "a thread for the retention could not be made");
    }
    return 0;
}

void retention_stop(struct registry *r)
{
    atomic_store(&r->is_closing, true);
    if (r->has_retainer) {
        (void)pthread_join(r->retainer, NULL);
        r->has_retainer = false;
    }
}

/* --- what it said --- */

struct listing {
    int64_t project_id, id;
    struct page *page;
    struct jw *w;
};

static void write_run(const struct query *q, struct jw *w)
{
    bool has_ended = !query_is_null(q, 2);

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_time(w, "started_at", query_i64(q, 1));
    jw_kv_time(w, "ended_at", has_ended ? query_i64(q, 2) : 0);
    jw_kv_bool(w, "dry_run", query_i64(q, 3) != 0);
    jw_kv_str(w, "started_by", query_str(q, 4));
    jw_kv_i64(w, "kept", query_i64(q, 5));
    jw_kv_i64(w, "removed", query_i64(q, 6));
    jw_kv_str_or_null(w, "error", query_str_or_null(q, 7));
    jw_end(w);
}

#define RUN_COLUMNS "id, started_ms, ended_ms, dry_run, started_by, kept, removed, error"

static int run_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " RUN_COLUMNS " FROM retention_runs WHERE project_id = ? AND id = ?",
                   "ii", l->project_id, l->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no such run of this project's retention");
    }
    write_run(&q, l->w);
    return 0;
}

int retention_run_write(struct registry *r, int64_t project_id, int64_t id, struct jw *w,
                        struct err *e)
{
    struct listing l = {.project_id = project_id, .id = id, .w = w};

    return state_read(r->state, run_fn, &l, e);
}

/* `after` of a page as a number; `def` when it is missing. */
static int after_of(const struct page *p, int64_t def, int64_t *out, struct err *e)
{
    uint64_t n;

    *out = def;
    if (p->after.p == NULL) {
        return 0;
    }
    if (str_to_u64(p->after, &n) < 0 || n > INT64_MAX) {
        return err_set(e, ERR_INVALID, "after: expected a number that an earlier answer named");
    }
    *out = (int64_t)n;
    return 0;
}

static int runs_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t before, last = 0;
    int r;

    if (after_of(l->page, INT64_MAX, &before, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " RUN_COLUMNS " FROM retention_runs WHERE project_id = ? AND id < ?"
                   " ORDER BY id DESC LIMIT ?",
                   "iii", l->project_id, before, l->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (l->page->n == l->page->limit) {
            l->page->last = str_of(arena_printf(l->page->arena, "%lld", (long long)last));
            return 0;
        }
        write_run(&q, l->w);
        last = query_i64(&q, 0);
        l->page->n++;
    }
    return r;
}

int retention_runs_write(struct registry *r, int64_t project_id, struct page *p, struct jw *w,
                         struct err *e)
{
    struct listing l = {.project_id = project_id, .page = p, .w = w};

    return state_read(r->state, runs_fn, &l, e);
}

static int rows_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t after, last = 0;
    int r;

    if (after_of(l->page, 0, &after, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT number, repository, tag, digest, kept, why FROM retention_rows"
                   " WHERE run_id = (SELECT id FROM retention_runs WHERE id = ? AND project_id = ?)"
                   " AND number > ? ORDER BY number LIMIT ?",
                   "iiii", l->id, l->project_id, after, l->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (l->page->n == l->page->limit) {
            l->page->last = str_of(arena_printf(l->page->arena, "%lld", (long long)last));
            return 0;
        }
        last = query_i64(&q, 0);
        l->page->n++;
        jw_object(l->w);
        jw_kv_str(l->w, "repository", query_str(&q, 1));
        jw_kv_str(l->w, "tag", query_str(&q, 2));
        jw_kv_str(l->w, "digest", query_str(&q, 3));
        jw_kv_bool(l->w, "kept", query_i64(&q, 4) != 0);
        jw_kv_str(l->w, "why", query_str(&q, 5));
        jw_end(l->w);
    }
    return r;
}

int retention_rows_write(struct registry *r, int64_t project_id, int64_t id, struct page *p,
                         struct jw *w, struct err *e)
{
    struct listing l = {.project_id = project_id, .id = id, .page = p, .w = w};

    return state_read(r->state, rows_fn, &l, e);
}
