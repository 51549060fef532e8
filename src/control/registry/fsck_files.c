/* Blobs: rows without file, files without row, sizes, and (deep) their bytes. */
#include "fsck.h"

#include "state/state.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 500 };

struct blob_row {
    char digest[CONTENT_DIGEST_MAX];
    int64_t size_bytes;
};

struct files {
    struct fsck_report *rep;
    struct blob_row rows[BATCH];
    size_t n;
    char after[CONTENT_DIGEST_MAX];
    const char *digest; /* of the questions below */
    int64_t answer;
    char named[256]; /* an image that needs it, or "" */
    bool failed;
    struct map held; /* registry_held() */
    struct err *e;
};

static bool is_stopped(const struct files *f)
{
    return atomic_load(&f->rep->r->is_closing);
}

/* --- questions to the tables --- */

static int batch_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct files *f = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    f->n = 0;
    if (query_open(&q, db, e,
                   "SELECT digest, size_bytes FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
                   "zi", f->after, (int64_t)BATCH) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct blob_row *row = &f->rows[f->n];

        row->size_bytes = query_i64(&q, 1);
        f->n += str_copy(query_str(&q, 0), row->digest, sizeof(row->digest)) == 0;
    }
    return r;
}

/* Its size by the tables; -1 without a row. */
static int size_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct files *f = ctx;

    return state_one_i64(db, &f->answer, e, "rows",
                         "SELECT coalesce((SELECT size_bytes FROM blobs WHERE digest = ?), -1)",
                         "z", f->digest);
}

static int trash_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct files *f = ctx;

    return state_one_i64(db, &f->answer, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)"
                         " OR EXISTS (SELECT 1 FROM blob_trash WHERE digest = ?1)",
                         "z", f->digest);
}

/* An image that is broken without it: what to push again. */
static int needed_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct files *f = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    f->named[0] = '\0';
    if (query_open(&q, db, e,
                   "SELECT r.name || coalesce(':' || (SELECT min(t.name) FROM tags t"
                   " WHERE t.manifest_id = m.id), '@' || m.digest)"
                   " FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id"
                   " JOIN manifests m ON m.repository_id = r.id"
                   " JOIN manifest_blobs mb ON mb.manifest_id = m.id AND mb.digest = rb.digest"
                   " WHERE rb.digest = ?1 UNION ALL"
                   " SELECT t.repository || ' (number ' || t.id || ' of the trash)'"
                   " FROM trash_blobs tb JOIN trash t ON t.id = tb.trash_id"
                   " WHERE tb.digest = ?1 LIMIT 1",
                   "z", f->digest) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        struct str name = query_str(&q, 0);

        (void)snprintf(f->named, sizeof(f->named), "%.*s", STR_ARG(str_first(name, 255)));
    }
    return 0;
}

static int forget_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct files *f = ctx;

    return state_run(
               db, e,
               "DELETE FROM repository_blobs WHERE digest = ?1 AND manifests = 0"
               " AND NOT EXISTS (SELECT 1 FROM manifest_blobs mb"
               "  WHERE mb.digest = ?1 AND mb.repository_id = repository_blobs.repository_id)",
               "z", f->digest) < 0
               ? -1
               : state_run(db, e,
                           "DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS"
                           " (SELECT 1 FROM repository_blobs WHERE digest = ?1) AND NOT EXISTS"
                           " (SELECT 1 FROM trash_blobs WHERE digest = ?1)",
                           "z", f->digest);
}

static int resize_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct files *f = ctx;

    return state_run(db, e, "UPDATE blobs SET size_bytes = ? WHERE digest = ?", "iz", f->answer,
                     f->digest);
}

/* --- one blob, pinned --- */

/* Nothing needs it: its rows go. Else only a new push mends it, for which HEAD says 404. */
static int missing(struct files *f)
{
    struct state *s = f->rep->r->state;
    bool repairs = f->rep->flags & REGISTRY_CHECK_REPAIR;
    char details[300] = "";

    if (state_read(s, needed_fn, f, f->e) < 0 ||
        (repairs && f->named[0] == '\0' && state_write(s, forget_fn, f, f->e) < 0)) {
        return -1;
    }
    if (f->named[0] != '\0') {
        (void)snprintf(details, sizeof(details), "%s", f->named);
    }
    fsck_found(f->rep, "missing_file", str_of(f->digest), str_of(details),
               repairs && f->named[0] == '\0' ? FSCK_MENDED : FSCK_LEFT);
    return 0;
}

static int damaged(struct files *f)
{
    struct registry *r = f->rep->r;

    if (state_read(r->state, needed_fn, f, f->e) < 0 ||
        ((f->rep->flags & REGISTRY_CHECK_REPAIR) &&
         content_blob_set_aside(r->content, f->digest, f->e) < 0)) {
        return -1;
    }
    fsck_found(f->rep, "damaged_file", str_of(f->digest), str_of(f->named), FSCK_LEFT);
    return 0;
}

static int other_size(struct files *f, int64_t row_bytes, int64_t file_bytes)
{
    struct registry *r = f->rep->r;
    int intact = content_blob_intact(r->content, f->digest, &r->is_closing, f->e);
    char details[64];

    if (intact <= 0) {
        return intact < 0 ? -1 : damaged(f);
    }
    (void)snprintf(details, sizeof(details), "%lld, counted %lld", (long long)row_bytes,
                   (long long)file_bytes);
    f->answer = file_bytes;
    if ((f->rep->flags & REGISTRY_CHECK_REPAIR) && state_write(r->state, resize_fn, f, f->e) < 0) {
        return -1;
    }
    fsck_found(f->rep, "blob_size", str_of(f->digest), str_of(details),
               f->rep->flags & REGISTRY_CHECK_REPAIR ? FSCK_MENDED : FSCK_LEFT);
    return 0;
}

/* Something looked wrong: is it still so, now that nobody can change it? */
static int look_again(struct files *f)
{
    struct registry *r = f->rep->r;
    int64_t file_bytes, row_bytes;
    int intact;

    if (state_read(r->state, size_fn, f, f->e) < 0) {
        return -1;
    }
    row_bytes = f->answer;
    if (row_bytes < 0) {
        return 0; /* collected meanwhile */
    }
    if (content_blob_size(r->content, f->digest, &file_bytes, f->e) < 0) {
        return f->e->kind == ERR_NOT_FOUND ? missing(f) : -1;
    }
    if (file_bytes != row_bytes) {
        return other_size(f, row_bytes, file_bytes);
    }
    if (!(f->rep->flags & REGISTRY_CHECK_DEEP)) {
        return 0;
    }
    intact = content_blob_intact(r->content, f->digest, &r->is_closing, f->e);
    return intact < 0 ? -1 : intact ? 0 : damaged(f);
}

/* Without the pin: a push of the same bytes need not wait while they are hashed. */
static bool looks_whole(struct files *f, const struct blob_row *row)
{
    struct registry *r = f->rep->r;
    struct err ignored; /* it is looked at again */
    int64_t size;

    return content_blob_size(r->content, row->digest, &size, &ignored) == 0 &&
           size == row->size_bytes &&
           (!(f->rep->flags & REGISTRY_CHECK_DEEP) ||
            content_blob_intact(r->content, row->digest, &r->is_closing, &ignored) == 1);
}

static int check_row(struct files *f, const struct blob_row *row)
{
    struct registry *r = f->rep->r;
    int result = 0;

    if (!looks_whole(f, row)) {
        f->digest = row->digest;
        registry_pin(r, row->digest);
        result = look_again(f);
        registry_unpin(r, row->digest);
    }
    f->rep->blobs++;
    f->rep->bytes += row->size_bytes;
    atomic_fetch_add(&r->fsck.done, 1);
    return result;
}

static int check_rows(struct files *f)
{
    do {
        if (state_read(f->rep->r->state, batch_fn, f, f->e) < 0) {
            return -1;
        }
        for (size_t i = 0; i < f->n; i++) {
            if (is_stopped(f)) {
                return err_set(f->e, ERR_UNAVAILABLE, "the server stopped before the end");
            }
            if (check_row(f, &f->rows[i]) < 0) {
                return -1;
            }
        }
        if (f->n > 0) {
            memcpy(f->after, f->rows[f->n - 1].digest, sizeof(f->after));
        }
    } while (f->n > 0);
    return 0;
}

/* --- files without a row --- */

/* A kill between a file and its row leaves one that is whole and older than this server: expected,
 * and the sweep takes it in time. Any other was put there by somebody else. */
static int is_left_by_kill(struct files *f)
{
    struct registry *r = f->rep->r;
    SCOPED(closep) int fd = -1;
    struct stat st;
    int64_t size;

    if (content_blob_open(r->content, f->digest, &fd, &size, f->e) < 0 || fstat(fd, &st) < 0) {
        return -1;
    }
    return (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000 > r->opened_ms
               ? 0
               : content_blob_intact(r->content, f->digest, &r->is_closing, f->e);
}

static int orphan(struct files *f)
{
    struct registry *r = f->rep->r;
    bool repairs = f->rep->flags & REGISTRY_CHECK_REPAIR;
    int is_left;

    if (state_read(r->state, trash_fn, f, f->e) < 0) {
        return -1;
    }
    if (f->answer) {
        return 0;
    }
    is_left = is_left_by_kill(f);
    if (is_left < 0) { /* the sweep was faster */
        return f->e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    if (repairs && content_blob_delete(r->content, f->digest, f->e) < 0) {
        return -1;
    }
    fsck_found(f->rep, is_left ? "left_by_kill" : "file_without_row", str_of(f->digest), STR_EMPTY,
               repairs ? FSCK_MENDED : FSCK_LEFT);
    return 0;
}

static void check_file(void *ctx, const char *digest)
{
    struct files *f = ctx;

    f->digest = digest;
    if (map_get(&f->held, str_of(digest))) {
        return; /* others have it, without a row of ours */
    }
    if (f->failed || state_read(f->rep->r->state, trash_fn, f, f->e) < 0) {
        f->failed = true;
        return;
    }
    if (!f->answer) {
        registry_pin(f->rep->r, digest);
        f->failed = orphan(f) < 0;
        registry_unpin(f->rep->r, digest);
    }
}

static int check_shards(struct files *f)
{
    for (unsigned shard = 0; shard < CONTENT_SHARDS; shard++) {
        if (is_stopped(f)) {
            return err_set(f->e, ERR_UNAVAILABLE, "the server stopped before the end");
        }
        if (content_shard_each(f->rep->r->content, shard, 0, check_file, f, f->e) < 0 ||
            f->failed) {
            return -1;
        }
        atomic_fetch_add(&f->rep->r->fsck.done, 1);
    }
    return 0;
}

static int count_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct files *f = ctx;

    return state_one_i64(db, &f->answer, e, "rows", "SELECT count(*) FROM blobs", "");
}

int fsck_files(struct fsck_report *rep, struct err *e)
{
    SCOPED(freep) struct files *f = xnew(struct files);
    int rc;

    f->rep = rep;
    f->e = e;
    if (registry_held(rep->r, &f->held, e) < 0 || state_read(rep->r->state, count_fn, f, e) < 0) {
        map_done(&f->held);
        return -1;
    }
    atomic_store(&rep->r->fsck.total, f->answer + CONTENT_SHARDS);
    rc = check_rows(f) < 0 ? -1 : check_shards(f);
    map_done(&f->held);
    return rc;
}
