#include "fsck.h"

#include "base/json.h"
#include "base/log.h"
#include "state/state.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fsck_kind kinds[] = {
    {"missing_file", "the file of a blob is not there: push the image again", FSCK_PROBLEM},
    {"damaged_file", "the bytes of a blob are not those of its digest: push the image again",
     FSCK_PROBLEM},
    {"blob_size", "a blob has another size than its row says", FSCK_PROBLEM},
    {"file_without_row", "a file among the blobs belongs to nothing", FSCK_PROBLEM},
    {"damaged_manifest", "a manifest is not what its digest says: push the image again",
     FSCK_PROBLEM},
    {"manifest_blobs", "a manifest names a blob that is not noted as its own: push the image again",
     FSCK_PROBLEM},
    {"lost_manifest", "a manifest belongs to no repository", FSCK_PROBLEM},
    {"lost_tag", "a tag names no manifest of its repository", FSCK_PROBLEM},
    {"lost_reference", "a reference belongs to no manifest", FSCK_PROBLEM},
    {"lost_blob", "a repository has a blob that is not stored, or is none itself", FSCK_PROBLEM},
    {"unlinked_blob", "an image uses a blob that its repository does not have", FSCK_PROBLEM},
    {"trash_in_use", "a blob waits for its deletion and is in use", FSCK_PROBLEM},
    {"blob_repositories", "the number of repositories that have a blob is wrong", FSCK_PROBLEM},
    {"blob_manifests", "the number of manifests that use a blob is wrong", FSCK_PROBLEM},
    {"other_project", "an image is noted for another project than its repository", FSCK_PROBLEM},
    {"not_charged", "a blob in use is not charged to its project", FSCK_PROBLEM},
    {"project_blob", "a project is charged for a blob too often or not often enough", FSCK_PROBLEM},
    {"project_bytes", "the bytes of images that a project holds are wrong", FSCK_PROBLEM},
    {"trash_entry", "what a deletion put into the trash is counted wrong", FSCK_PROBLEM},
    {"trash_totals", "what is in the trash of a project, or of all, is counted wrong",
     FSCK_PROBLEM},
    {"missing_child", "an index lists an image that was deleted", FSCK_NOTE},
    {"left_by_kill", "a file that a kill left; it goes by itself within hours", FSCK_NOTE},
};

const struct fsck_kind *fsck_kind(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_c(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

void fsck_found(struct fsck_report *rep, const char *kind, struct str name, struct str details,
                enum fsck_mended mended)
{
    const struct fsck_kind *k = fsck_kind(str_of(kind));

    if (k == NULL) {
        log_error("registry.fsck", "kind=%s is not in the table above", kind);
        return;
    }
    rep->problems += k->level == FSCK_PROBLEM;
    rep->notes += k->level == FSCK_NOTE;
    rep->repaired += mended == FSCK_MENDED;
    if (rep->findings.len < FSCK_FINDINGS_MAX) {
        *vec_push(&rep->findings) =
            (struct fsck_finding){.kind = k,
                                  .name = arena_str(&rep->arena, name),
                                  .details = arena_str(&rep->arena, details),
                                  .repaired = mended == FSCK_MENDED};
    }
}

void fsck_report_done(struct fsck_report *rep)
{
    vec_done(&rep->findings);
    arena_done(&rep->arena);
}

/* --- keeping what was found --- */

struct saving {
    const struct fsck_report *rep;
    struct str by, error;
};

/* Only the last check is kept. */
static int save_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct saving *s = ctx;
    const struct fsck_report *rep = s->rep;
    int64_t id;

    if (state_run(db, e, "DELETE FROM registry_checks", "") < 0 ||
        state_run(db, e,
                  "INSERT INTO registry_checks(at_ms, ended_ms, flags, started_by, blobs, bytes,"
                  " manifests, problems, repaired, notes, error)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "iiisiiiiiis", rep->at_ms, clock_wall_ms(), (int64_t)rep->flags, s->by,
                  rep->blobs, rep->bytes, rep->manifests, rep->problems, rep->repaired, rep->notes,
                  s->error) < 0) {
        return -1;
    }
    id = state_last_id(db);
    for (size_t i = 0; i < rep->findings.len; i++) {
        const struct fsck_finding *f = &rep->findings.p[i];

        if (state_run(db, e, "INSERT INTO registry_findings VALUES (?, ?, ?, ?, ?, ?)", "iizssi",
                      id, (int64_t)i + 1, f->kind->name, f->name, f->details,
                      (int64_t)f->repaired) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check(struct registry *r, struct err *e)
{
    struct fsck_report rep = {.r = r, .flags = r->fsck.flags, .at_ms = r->fsck.began_ms};
    struct err failed = {0};
    struct saving s = {.rep = &rep, .by = str_of(r->fsck.by)};
    int result;

    if (fsck_files(&rep, &failed) < 0 || fsck_rows(&rep, &failed) < 0) {
        s.error = str_of(failed.msg);
    }
    result = state_write(r->state, save_fn, &s, e);
    log_info("registry.checked", "blobs=%lld bytes=%lld problems=%lld repaired=%lld error=%s",
             (long long)rep.blobs, (long long)rep.bytes, (long long)rep.problems,
             (long long)rep.repaired, failed.msg);
    fsck_report_done(&rep);
    return result;
}

static void *check_thread(void *ctx)
{
    struct registry *r = ctx;
    struct err e;

    if (check(r, &e) < 0) {
        log_warn("registry.check_failed", "%s; its findings are lost", e.msg);
    }
    atomic_store(&r->fsck.runs, false);
    return NULL;
}

int fsck_start(struct registry *r, unsigned flags, struct str by, struct err *e)
{
    struct fsck *f = &r->fsck;
    bool idle = false;

    if (!atomic_compare_exchange_strong(&f->starts, &idle, true)) {
        return err_set(e, ERR_CONFLICT, "a check of the registry runs already");
    }
    if (atomic_load(&f->runs)) {
        atomic_store(&f->starts, false);
        return err_set(e, ERR_CONFLICT, "a check of the registry runs already");
    }
    if (f->has_thread) {
        (void)pthread_join(f->thread, NULL);
    }
    f->flags = flags;
    f->began_ms = clock_wall_ms();
    (void)snprintf(f->by, sizeof(f->by), "%.*s", STR_ARG(by));
    atomic_store(&f->done, 0);
    atomic_store(&f->total, 0);
    atomic_store(&f->runs, true);
    f->has_thread = pthread_create(&f->thread, NULL, check_thread, r) == 0;
    if (!f->has_thread) {
        atomic_store(&f->runs, false);
    }
    atomic_store(&f->starts, false);
    return f->has_thread ? 0
                         : err_set(e, ERR_UNAVAILABLE, "a thread for the check could not be made");
}

void fsck_stop(struct registry *r)
{
    atomic_store(&r->is_closing, true);
    if (r->fsck.has_thread) {
        (void)pthread_join(r->fsck.thread, NULL);
        r->fsck.has_thread = false;
    }
}

/* --- telling it --- */

static void write_running(const struct fsck *f, struct jw *w)
{
    static const char *const counts[] = {"blobs",    "bytes",    "manifests",
                                         "problems", "repaired", "notes"};

    jw_object(w);
    jw_kv_time(w, "at", f->began_ms);
    jw_kv_time(w, "ended_at", 0);
    jw_kv_c(w, "started_by", f->by);
    jw_kv_bool(w, "deep", f->flags & REGISTRY_CHECK_DEEP);
    jw_kv_bool(w, "repair", f->flags & REGISTRY_CHECK_REPAIR);
    jw_kv_i64(w, "done", atomic_load(&f->done));
    jw_kv_i64(w, "total", atomic_load(&f->total));
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        jw_kv_i64(w, counts[i], 0);
    }
    jw_kv_c(w, "error", NULL);
    jw_end(w);
}

static int last_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct jw *w = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT at_ms, ended_ms, started_by, flags, blobs, bytes, manifests, problems,"
                   " repaired, notes, error FROM registry_checks ORDER BY id DESC LIMIT 1",
                   "") < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the registry was not checked yet");
    }
    jw_object(w);
    jw_kv_time(w, "at", query_i64(&q, 0));
    jw_kv_time(w, "ended_at", query_i64(&q, 1));
    jw_kv_str(w, "started_by", query_str(&q, 2));
    jw_kv_bool(w, "deep", query_i64(&q, 3) & REGISTRY_CHECK_DEEP);
    jw_kv_bool(w, "repair", query_i64(&q, 3) & REGISTRY_CHECK_REPAIR);
    jw_kv_i64(w, "done", query_i64(&q, 4));
    jw_kv_i64(w, "total", query_i64(&q, 4));
    jw_kv_i64(w, "blobs", query_i64(&q, 4));
    jw_kv_i64(w, "bytes", query_i64(&q, 5));
    jw_kv_i64(w, "manifests", query_i64(&q, 6));
    jw_kv_i64(w, "problems", query_i64(&q, 7));
    jw_kv_i64(w, "repaired", query_i64(&q, 8));
    jw_kv_i64(w, "notes", query_i64(&q, 9));
    jw_kv_str_or_null(w, "error", query_str_or_null(&q, 10));
    jw_end(w);
    return 0;
}

int fsck_write(struct registry *r, struct jw *w, struct err *e)
{
    if (atomic_load(&r->fsck.runs)) {
        write_running(&r->fsck, w);
        return 0;
    }
    return state_read(r->state, last_fn, w, e);
}

struct listing {
    struct page *page;
    struct jw *w;
};

static void write_finding(const struct query *q, struct jw *w)
{
    const struct fsck_kind *kind = fsck_kind(query_str(q, 1));

    jw_object(w);
    jw_kv_str(w, "kind", query_str(q, 1));
    jw_kv_c(w, "level", kind && kind->level == FSCK_NOTE ? "note" : "problem");
    jw_kv_str(w, "name", query_str(q, 2));
    jw_kv_c(w, "text", kind ? kind->text : "");
    jw_kv_str(w, "details", query_str(q, 3));
    jw_kv_bool(w, "repaired", query_i64(q, 4) != 0);
    jw_end(w);
}

static int findings_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    struct page *p = l->page;
    SCOPED(query_done) struct query q = {0};
    uint64_t after = 0;
    int64_t last = 0;
    int r;

    if (p->after.p != NULL && (str_to_u64(p->after, &after) < 0 || after > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "after: expected a number that an earlier answer named");
    }
    if (query_open(&q, db, e,
                   "SELECT number, kind, name, details, repaired FROM registry_findings"
                   " WHERE number > ? AND has_words(?, kind, name, details)"
                   " ORDER BY number LIMIT ?",
                   "isi", (int64_t)after, p->q, p->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (p->n == p->limit) {
            p->last = str_of(arena_printf(p->arena, "%lld", (long long)last));
            return 0;
        }
        last = query_i64(&q, 0);
        p->n++;
        write_finding(&q, l->w);
    }
    return r;
}

int fsck_findings_write(struct registry *r, struct page *p, struct jw *w, struct err *e)
{
    struct listing l = {p, w};

    return state_read(r->state, findings_fn, &l, e);
}

int registry_check(struct registry *r, unsigned flags, struct jw *w, struct err *e)
{
    struct arena a = {0};
    struct page p = {.limit = FSCK_FINDINGS_MAX, .arena = &a};
    int result;

    r->fsck.flags = flags;
    r->fsck.began_ms = clock_wall_ms();
    (void)snprintf(r->fsck.by, sizeof(r->fsck.by), "offline");
    jw_object(w);
    jw_key(w, "check");
    result = check(r, e) < 0 ? -1 : fsck_write(r, w, e);
    jw_key(w, "findings");
    jw_array(w);
    result = result < 0 ? -1 : fsck_findings_write(r, &p, w, e);
    jw_end(w);
    jw_end(w);
    arena_done(&a);
    return result;
}
