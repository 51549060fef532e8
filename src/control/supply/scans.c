/* The queue of scans and the thread that works it off: one request at a time, each step written
 * down, so that a scan goes on where it was after a kill. */
#include "scan.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "registry/manifest.h"
#include "registry/registry.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    TRIES = 6,
    RETRY_MS = 2000, /* doubles: a minute and more in all */
    REFRESH_SEC = 2, /* when it does not say */
    REFRESH_MAX_SEC = 60,
    LOOKS_MAX = 1800, /* an hour of looks every two seconds */
    STACK_BYTES = 512 * 1024
};

#define REQUEST_TYPE "application/vnd.scanner.adapter.scan.request+json; version=1.0"
#define ANSWER_TYPE "application/vnd.scanner.adapter.scan.response+json; version=1.0"
#define REPORT_TYPE "application/vnd.security.vulnerability.report; version=1.1"
#define REPORT_TYPE_OLD "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"

struct scan {
    int64_t manifest_id, project_id, user_id, tries, looks, started_ms, next_ms;
    struct str repository, digest, media_type, ticket, by;
};

struct scan_op {
    struct supply *s;
    struct arena *arena;
    struct scan scan;
    const struct artifact *of;
    struct str by;
    int64_t user_id, manifest_id;
    int found;
    struct jw *w;
    const char *error;
    enum scan_end end;
    bool has_ended;
};

static const char *const end_names[] = {
    [SCAN_SUCCEEDED] = "succeeded", [SCAN_FAILED] = "failed", [SCAN_STOPPED] = "stopped"};

static int start_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct scan_op *op = ctx;
    int64_t now = clock_wall_ms(), scanner;

    if (state_one_i64(db, &scanner, e,
                      "there is no scanner: an administrator adds one (strata scanner add), or "
                      "give the image a report (strata image scan --report)",
                      "SELECT id FROM supply_scanners LIMIT 1", "") < 0 ||
        access_project_check(db, op->of->project_id, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "INSERT OR REPLACE INTO supply_scans(manifest_id, project_id, repository,"
                  " digest, media_type, user_id, started_by, state, started_ms, next_ms)"
                  " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', ?8, ?8 FROM manifests"
                  " WHERE id = ?1",
                  "iiszsisi", op->of->id, op->of->project_id, op->of->repository, op->of->digest,
                  op->of->media_type, op->user_id, op->by, now) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "the image was deleted meanwhile");
}

static void wake(struct supply *s)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    s->looks++;
    lock_broadcast(l);
}

/* The images of an index that are here; what describes them (attestations) is none. */
static int start_below(struct supply *s, const struct artifact *of, int64_t user_id, struct str by,
                       struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct artifact_list below;
    size_t started = 0;

    if (artifacts_below(s->registry, &a, of, &below, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < below.n; i++) {
        struct accessory one;

        accessory_parse(&a, below.items[i].artifact_type, below.items[i].body, &one);
        if (one.kind == ACCESSORY_OTHER && !is_index(&below.items[i])) {
            if (scan_start(s, &below.items[i], user_id, by, e) < 0) {
                return -1;
            }
            started++;
        }
    }
    return started > 0 ? 0
                       : err_set(e, ERR_INVALID,
                                 "this index lists no image that is here: scan what it lists");
}

int scan_start(struct supply *s, const struct artifact *of, int64_t user_id, struct str by,
               struct err *e)
{
    struct scan_op op = {.of = of, .by = by, .user_id = user_id};

    if (is_index(of)) {
        return start_below(s, of, user_id, by, e);
    }
    if (state_write(s->state, start_fn, &op, e) < 0) {
        return -1;
    }
    wake(s);
    return 0;
}

/* As Harbor calls it. */
static const char *const end_words[] = {
    [SCAN_SUCCEEDED] = "Success", [SCAN_FAILED] = "Error", [SCAN_STOPPED] = "Stopped"};

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scan_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT state, started_ms, ended_ms, started_by, error FROM supply_scans"
                   " WHERE manifest_id = ?1 OR manifest_id IN (SELECT m.id FROM manifests i"
                   "  JOIN manifest_children c ON c.manifest_id = i.id JOIN manifests m"
                   "  ON m.repository_id = i.repository_id AND m.digest = c.digest WHERE i.id = ?1)"
                   " ORDER BY ended_ms IS NULL DESC, state = 'failed' DESC, ended_ms DESC LIMIT 1",
                   "i", op->manifest_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        jw_null(op->w);
        return 0;
    }
    jw_object(op->w);
    jw_kv_str(op->w, "state", query_str(&q, 0));
    jw_kv_time(op->w, "started_at", query_i64(&q, 1));
    jw_kv_time(op->w, "ended_at", query_is_null(&q, 2) ? 0 : query_i64(&q, 2));
    jw_kv_str(op->w, "started_by", query_str(&q, 3));
    jw_kv_str_or_null(op->w, "error", query_str_or_null(&q, 4));
    jw_end(op->w);
    return 0;
}

int scan_write(struct supply *s, int64_t manifest_id, struct jw *w, struct err *e)
{
    struct scan_op op = {.manifest_id = manifest_id, .w = w};

    return state_read(s->state, write_fn, &op, e);
}

/* --- the queue --- */

static int next_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scan_op *op = ctx;
    struct scan *n = &op->scan;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT manifest_id, project_id, user_id, tries, looks, started_ms, next_ms,"
                   " repository, digest, media_type, ticket, started_by FROM supply_scans"
                   " WHERE next_ms IS NOT NULL ORDER BY next_ms LIMIT 1",
                   "") < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    op->found = r;
    if (r > 0) {
        *n = (struct scan){query_i64(&q, 0),
                           query_i64(&q, 1),
                           query_i64(&q, 2),
                           query_i64(&q, 3),
                           query_i64(&q, 4),
                           query_i64(&q, 5),
                           query_i64(&q, 6),
                           arena_str(op->arena, query_str(&q, 7)),
                           arena_str(op->arena, query_str(&q, 8)),
                           arena_str(op->arena, query_str(&q, 9)),
                           arena_str(op->arena, query_str(&q, 10)),
                           arena_str(op->arena, query_str(&q, 11))};
    }
    return 0;
}

/* As Harbor's scan_overview: by the type of the report. */
static void write_overview(const struct scan_op *op, const struct query *q, struct jw *w)
{
    static const char *const words[] = {"Unknown", "Low", "Medium", "High", "Critical"};
    int64_t total = 0;
    int worst = -1;

    for (int i = 0; i < SEVERITIES; i++) {
        total += query_i64(q, 1 + i);
        worst = query_i64(q, 1 + i) > 0 ? i : worst;
    }
    jw_object(w);
    jw_key(w, REPORT_TYPE);
    jw_object(w);
    jw_kv_c(w, "scan_status", end_words[op->end]);
    jw_kv_c(w, "severity", worst < 0 ? "None" : words[worst]);
    jw_kv_time(w, "start_time", op->scan.started_ms);
    jw_kv_time(w, "end_time", clock_wall_ms());
    jw_key(w, "summary");
    jw_object(w);
    jw_kv_i64(w, "total", total);
    jw_key(w, "summary");
    jw_object(w);
    for (int i = 0; i < SEVERITIES; i++) {
        if (query_i64(q, 1 + i) > 0) {
            jw_kv_i64(w, words[i], query_i64(q, 1 + i));
        }
    }
    jw_end(w);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

static int tell_scanned(struct state_db *db, const struct scan_op *op, struct err *e)
{
    const struct scan *n = &op->scan;
    SCOPED(query_done) struct query q = {0};
    SCOPED(buf_done) struct buf overview = BUF_MAX(4 * KIB);
    struct jw w = JW(&overview);

    if (op->s->scanned == NULL) {
        return 0;
    }
    if (query_open(&q, db, e,
                   "SELECT (SELECT name FROM tags WHERE manifest_id = ?1 LIMIT 1), unknown, low,"
                   " medium, high, critical FROM (SELECT 1) LEFT JOIN supply_reports"
                   " ON project_id = ?2 AND digest = ?3",
                   "iis", n->manifest_id, n->project_id, n->digest) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    write_overview(op, &q, &w);
    return op->s->scanned(op->s->ctx, db,
                          &(struct supply_scanned){.end = op->end,
                                                   .project_id = n->project_id,
                                                   .repository = n->repository,
                                                   .tag = query_str_or_null(&q, 0),
                                                   .digest = n->digest,
                                                   .by = n->by,
                                                   .overview = buf_str(&overview)},
                          e);
}

/* Only of this scan: whoever started another one meanwhile goes on with his. */
static int note_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct scan_op *op = ctx;
    const struct scan *n = &op->scan;

    if (!op->has_ended) {
        return state_run(db, e,
                         "UPDATE supply_scans SET state = ?, ticket = ?, tries = ?, looks = ?,"
                         " next_ms = ?, error = ? WHERE manifest_id = ? AND started_ms = ?"
                         " AND next_ms IS NOT NULL", /* nobody stopped it meanwhile */
                         "zsiiizii", n->ticket.len ? "running" : "waiting", n->ticket, n->tries,
                         n->looks, n->next_ms, op->error, n->manifest_id, n->started_ms);
    }
    if (state_run(db, e,
                  "UPDATE supply_scans SET state = ?, next_ms = NULL, ended_ms = ?, error = ?"
                  " WHERE manifest_id = ? AND started_ms = ? AND next_ms IS NOT NULL",
                  "zizii", end_names[op->end], clock_wall_ms(), op->error, n->manifest_id,
                  n->started_ms) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? tell_scanned(db, op, e) : 0;
}

static void write_down(struct supply *s, struct scan_op *op)
{
    struct err e;

    op->s = s;
    if (state_write(s->state, note_fn, op, &e) < 0) {
        log_warn("scan.note_failed", "error=%s next=the step is taken again", Q(str_of(e.msg)));
    }
}

static void note_step(struct supply *s, const struct scan *n, const char *error)
{
    write_down(s, &(struct scan_op){.scan = *n, .error = error});
}

static void note_end(struct supply *s, const struct scan *n, enum scan_end end, const char *error)
{
    write_down(s, &(struct scan_op){.scan = *n, .has_ended = true, .end = end, .error = error});
}

/* --- stopping --- */

static int stop_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scan_op *op = ctx;
    SCOPED(arena_done) struct arena a = {0};
    struct scan_op found = {.s = op->s, .has_ended = true, .end = SCAN_STOPPED};
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e,
                   "SELECT project_id, started_ms, repository, digest FROM supply_scans"
                   " WHERE manifest_id = ? AND next_ms IS NOT NULL",
                   "i", op->of->id) < 0 ||
        (op->found = query_step(&q, e)) < 0) {
        return -1;
    }
    if (op->found == 0) {
        return 0;
    }
    found.scan = (struct scan){.manifest_id = op->of->id,
                               .project_id = query_i64(&q, 0),
                               .started_ms = query_i64(&q, 1),
                               .repository = arena_str(&a, query_str(&q, 2)),
                               .digest = arena_str(&a, query_str(&q, 3)),
                               .by = op->by};
    query_done(&q);
    return note_fn(db, &found, e);
}

/* Whoever waits for the scanner's answer to this one need not go on. */
static void cut_step(struct supply *s, int64_t manifest_id)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    if (s->step_id == manifest_id) {
        atomic_store(&s->step_stops, true);
    }
}

static void begin_step(struct supply *s, int64_t manifest_id)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    s->step_id = manifest_id;
    atomic_store(&s->step_stops, false);
}

static int stop_below(struct supply *s, const struct artifact *of, struct str by, size_t *n,
                      struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct artifact_list below;

    if (artifacts_below(s->registry, &a, of, &below, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < below.n; i++) {
        if (!is_index(&below.items[i]) && scan_stop(s, &below.items[i], by, n, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int scan_stop(struct supply *s, const struct artifact *of, struct str by, size_t *n, struct err *e)
{
    struct scan_op op = {.s = s, .of = of, .by = by};

    if (is_index(of)) {
        return stop_below(s, of, by, n, e);
    }
    if (state_write(s->state, stop_fn, &op, e) < 0) {
        return -1;
    }
    if (op.found > 0) {
        cut_step(s, of->id);
        ++*n;
    }
    return 0;
}

/* --- one step --- */

static struct str request_of(struct supply *s, struct arena *a, const struct scan *n, struct err *e)
{
    SCOPED(buf_done) struct buf token = BUF_MAX(8 * KIB), body = BUF_MAX(16 * KIB);
    struct jw w = JW(&body);

    if (registry_scan_token(s->registry, n->user_id, n->repository, &token, e) < 0) {
        return (struct str){0};
    }
    jw_object(&w);
    jw_key(&w, "registry");
    jw_object(&w);
    jw_kv_c(&w, "url", s->own_url);
    jw_kv_c(&w, "authorization", arena_printf(a, "Bearer %s", token.p));
    jw_end(&w);
    jw_key(&w, "artifact");
    jw_object(&w);
    jw_kv_str(&w, "repository", n->repository);
    jw_kv_str(&w, "digest", n->digest);
    jw_kv_str(&w, "mime_type", n->media_type);
    jw_end(&w);
    jw_end(&w);
    return arena_str(a, buf_str(&body));
}

static int bad_status(const struct fetch_answer *got, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "the scanner answered %d", got->status);
}

/* POST /api/v1/scan -> 202 {"id": "..."} */
static int submit(struct supply *s, struct arena *a, const struct scanner *to, struct scan *n,
                  struct err *e)
{
    struct fetch_answer got = {.status = 0};
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct scanner_request ask = {.path = "api/v1/scan",
                                  .type = REQUEST_TYPE,
                                  .accept = ANSWER_TYPE,
                                  .stop = &s->step_stops,
                                  .body = request_of(s, a, n, e)};
    struct str id = STR_EMPTY;
    int r = ask.body.p == NULL ? -1 : scanner_ask(s, a, to, &ask, &got, e);

    if (r == 0 && got.status != 202) {
        r = bad_status(&got, e);
    } else if (r == 0) {
        doc = json_parse(buf_str(&got.body), e);
        r = doc == NULL ? -1 : json_need_str(doc, "id", &id, e);
        if (r == 0 && (id.len == 0 || id.len > 200)) {
            r = err_set(e, ERR_INVALID, "the scanner gave no id");
        }
        n->ticket = arena_str(a, id);
        n->next_ms = clock_wall_ms() + REFRESH_SEC * 500;
    }
    fetch_answer_done(&got);
    return r;
}

static char *report_path(struct arena *a, struct str ticket)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(1024);

    for (size_t i = 0; i < ticket.len; i++) {
        unsigned char c = (unsigned char)ticket.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';

        (void)buf_printf(&b, plain ? "%c" : "%%%02X", c);
    }
    return arena_printf(a, "api/v1/scan/%s/report", b.p ? b.p : "");
}

static int take_report(struct supply *s, struct arena *a, const struct scan *n, struct str text,
                       struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct report report;
    struct artifact of = {.id = n->manifest_id, .project_id = n->project_id};

    (void)!str_copy(n->digest, of.digest, sizeof(of.digest));
    if (atomic_load(&s->step_stops)) {
        return err_set(e, ERR_CONFLICT, "the scan was stopped");
    }
    if (json_count_check(text, e) < 0 || (doc = json_parse(text, e)) == NULL ||
        report_of_json(a, doc, &report, e) < 0) {
        e->kind = ERR_INVALID; /* it will say the same again */
        return -1;
    }
    return report_store(s, &of, &report, n->by, e);
}

/* GET /api/v1/scan/{id}/report -> 302 with Refresh-After, or 200. 1: it is there. */
static int fetch_report(struct supply *s, struct arena *a, const struct scanner *to, struct scan *n,
                        struct err *e)
{
    struct fetch_answer got = {.status = 0};
    struct scanner_request ask = {
        .path = report_path(a, n->ticket), .accept = REPORT_TYPE, .stop = &s->step_stops};
    struct str after;
    uint64_t sec;
    int r = scanner_ask(s, a, to, &ask, &got, e);

    if (r == 0 && (got.status == 406 || got.status == 415 || got.status == 422)) {
        fetch_answer_done(&got);
        ask.accept = REPORT_TYPE_OLD;
        r = scanner_ask(s, a, to, &ask, &got, e);
    }
    after = r == 0 ? fetch_answer_header(&got, "Refresh-After") : STR_EMPTY;
    if (r == 0 && got.status == 302 && ++n->looks < LOOKS_MAX) {
        sec = REFRESH_SEC;
        if (after.p != NULL && str_to_u64(str_trim(after), &sec) < 0) {
            sec = REFRESH_SEC;
        }
        n->next_ms =
            clock_wall_ms() + (int64_t)(sec < REFRESH_MAX_SEC ? sec : REFRESH_MAX_SEC) * 1000;
    } else if (r == 0) {
        if (got.status == 404) {
            n->ticket = STR_EMPTY; /* it has forgotten: asked again */
        }
        r = got.status == 200 ? take_report(s, a, n, buf_str(&got.body), e) : bad_status(&got, e);
        r = r == 0 ? 1 : -1;
    }
    fetch_answer_done(&got);
    return r;
}

static int look_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scan_op *op = ctx;
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e,
                      "SELECT 1 FROM supply_scans WHERE manifest_id = ? AND started_ms = ?"
                      " AND next_ms IS NOT NULL",
                      "ii", op->scan.manifest_id, op->scan.started_ms) < 0 ||
                   (op->found = query_step(&q, e)) < 0
               ? -1
               : 0;
}

/* Asked after begin_step: whoever stops it now cuts the step, whoever did before is seen here. */
static bool goes_on(struct supply *s, const struct scan *n)
{
    struct scan_op op = {.scan = *n};
    struct err ignored;

    return state_read(s->state, look_fn, &op, &ignored) == 0 && op.found > 0;
}

static void take_step(struct supply *s, struct arena *a, struct scan *n)
{
    struct scanner to;
    struct err e;
    int r = scanner_get(s, a, (struct str){0}, &to, &e);

    if (r == 0) {
        r = n->ticket.len == 0 ? submit(s, a, &to, n, &e) : fetch_report(s, a, &to, n, &e);
    }
    if (atomic_load(&s->is_closing)) {
        return;
    }
    if (r > 0) {
        note_end(s, n, SCAN_SUCCEEDED, NULL);
    } else if (r == 0) {
        note_step(s, n, NULL);
    } else if (++n->tries >= TRIES || e.kind == ERR_NOT_FOUND || e.kind == ERR_FORBIDDEN ||
               e.kind == ERR_INVALID || e.kind == ERR_LIMIT) {
        note_end(s, n, SCAN_FAILED, e.msg);
    } else {
        n->next_ms = clock_wall_ms() + ((int64_t)RETRY_MS << (n->tries - 1));
        note_step(s, n, e.msg);
    }
}

static void wait_for(struct supply *s, uint64_t seen, int64_t wait_ms)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    if (s->looks != seen || atomic_load(&s->is_closing)) {
        return;
    }
    if (wait_ms < 0) {
        lock_wait(l);
    } else {
        (void)lock_wait_until(l, clock_mono_ms() + wait_ms);
    }
}

static uint64_t looks_of(struct supply *s)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    return s->looks;
}

static void *work(void *arg)
{
    enum { PAUSE_MS = 5000, STEP_MIN_MS = 50 };
    struct supply *s = arg;

    (void)pthread_setname_np(pthread_self(), "scans");
    while (!atomic_load(&s->is_closing)) {
        SCOPED(arena_done) struct arena arena = {0};
        struct scan_op op = {.arena = &arena};
        uint64_t seen = looks_of(s);
        struct err e;
        int64_t wait_ms;

        if (state_read(s->state, next_fn, &op, &e) < 0) {
            log_warn("scan.look_failed", "error=%s next=again in 5 s", Q(str_of(e.msg)));
            wait_for(s, seen, PAUSE_MS);
            continue;
        }
        wait_ms = op.found ? op.scan.next_ms - clock_wall_ms() : -1;
        if (op.found && wait_ms <= 0) {
            begin_step(s, op.scan.manifest_id);
            if (goes_on(s, &op.scan)) {
                take_step(s, &arena, &op.scan);
            }
            begin_step(s, 0);
            wait_for(s, seen, STEP_MIN_MS); /* a step that cannot be written down */
        } else {
            wait_for(s, seen, op.found ? wait_ms : -1);
        }
    }
    return NULL;
}

int scan_worker_start(struct supply *s, struct err *e)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the main thread */
    r = pthread_create(&s->worker, &attr, work, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    s->has_worker = r == 0;
    return r == 0 ? 0
                  : err_set(e, ERR_UNAVAILABLE, "cannot start a thread for scans: %s", strerror(r));
}

void scan_worker_stop(struct supply *s)
{
    atomic_store(&s->is_closing, true);
    wake(s);
    if (s->has_worker) {
        (void)pthread_join(s->worker, NULL);
    }
}
