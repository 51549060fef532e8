#include "tsdb/follow.h"

#include "base/fs.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names of series that left the head, in wal/NNNN.gone: as long as somebody may read of them in the
 * segments up to NNNN. */

#define GONE_MAX (4 * GIB)

/* 0: it is none of wal/NNNN.gone. */
static uint32_t gone_number(const char *name)
{
    char *end;
    unsigned long n = strtoul(name, &end, 16);

    return strlen(name) == 13 && end == name + 8 && strcmp(end, ".gone") == 0 ? (uint32_t)n : 0;
}

/* Reads all files of names, or (out NULL) removes those of segments before `first`. */
static int each_gone(struct tsdb *db, uint32_t first, struct buf *out, struct err *e)
{
    int fd = openat(db->wal.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    int rc = 0;

    if (d == NULL) {
        err_sys(e, "open wal");
        closep(&fd);
        return -1;
    }
    while (rc == 0 && (errno = 0, ent = readdir(d)) != NULL) {
        uint32_t number = gone_number(ent->d_name);

        if (number > 0 && out != NULL) {
            rc = fs_read(db->wal.dir, ent->d_name, out, e);
            rc = rc < 0 && e->sys == ENOENT ? 0 : rc; /* nobody needs it any more */
        } else if (number > 0 && number < first) {
            (void)unlinkat(db->wal.dir, ent->d_name, 0);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = err_sys(e, "read wal");
    }
    (void)closedir(d);
    return rc;
}

int gone_load(struct tsdb *db, struct err *e)
{
    struct buf b = BUF_MAX(GONE_MAX);
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    int rc = each_gone(db, 0, &b, e);
    struct str in = buf_str(&b), body;
    bool passed_over;
    uint32_t id;

    while (rc == 0 && wal_next(&in, WAL_ALL, &body, &passed_over)) {
        if (body.p[0] == WAL_SERIES && wal_get_series(str_from(body, 1), &id, &l) == 0 &&
            id > db->head.last_id) {
            db->head.last_id = id;
        }
    }
    buf_done(&b);
    return rc;
}

void gone_trim(struct tsdb *db, uint32_t first)
{
    struct err e;

    (void)!each_gone(db, first, NULL, &e); /* they cost room only */
}

int gone_save(struct tsdb *db, struct err *e)
{
    SCOPED(closep) int fd = -1;
    struct buf b;
    char name[16];
    off_t size;

    lock_take(&db->log);
    (void)snprintf(name, sizeof(name), "%08x.gone", db->log_end.segment);
    lock_drop(&db->log);
    lock_take(&db->head_lock);
    b = db->gone;
    lock_drop(&db->head_lock);
    if (b.len == 0) {
        return 0;
    }
    fd = openat(db->wal.dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "create wal/%s", name);
    }
    size = lseek(fd, 0, SEEK_END);
    if (fs_write_all(fd, buf_str(&b), e) < 0) {
        (void)!ftruncate(fd, size); /* half a record is passed over, too */
        return err_wrap(e, "wal/%s", name);
    }
    if (fsync(fd) < 0) {
        return err_sys(e, "fsync wal/%s", name);
    }
    if (fs_sync_dir(db->wal.dir, ".", e) < 0) {
        return -1;
    }
    lock_take(&db->head_lock); /* only whoever is `working` adds to it */
    buf_done(&db->gone);
    db->gone = BUF_MAX(b.max);
    lock_drop(&db->head_lock);
    return 0;
}

void gone_forget(struct tsdb_follower *f)
{
    vec_done(&f->gone);
    arena_done(&f->texts);
    f->has_gone = false;
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct named *)a)->id, y = ((const struct named *)b)->id;

    return x < y ? -1 : x > y;
}

static void take_names(struct tsdb_follower *f, struct str in)
{
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    struct str body;
    bool passed_over;
    uint32_t id;

    while (wal_next(&in, WAL_ALL, &body, &passed_over)) {
        if (body.p[0] == WAL_SERIES && wal_get_series(str_from(body, 1), &id, &l) == 0) {
            *vec_push(&f->gone) = (struct named){id, labels_copy(&f->texts, l)};
        }
    }
}

/* What the file has, and what is not yet in it. */
static int read_gone(struct tsdb_follower *f, struct err *e)
{
    struct buf b = BUF_MAX(GONE_MAX);
    uint32_t forgotten;
    int rc;

    f->gone.len = 0;
    f->has_gone = false;
    arena_reset(&f->texts);
    lock_take(&f->db->head_lock);
    forgotten = f->db->forgotten;
    (void)buf_add(&b, buf_str(&f->db->gone));
    lock_drop(&f->db->head_lock);
    take_names(f, buf_str(&b));
    buf_clear(&b);
    rc = each_gone(f->db, 0, &b, e);
    take_names(f, buf_str(&b));
    buf_done(&b);
    if (f->gone.len > 0) {
        qsort(f->gone.p, f->gone.len, sizeof(*f->gone.p), by_id);
    }
    if (rc == 0) {
        f->forgotten = forgotten;
        f->has_gone = true;
    }
    return rc;
}

int tsdb_follow_labels(struct tsdb_follower *f, uint32_t series, struct arena *a,
                       struct labels *out, struct err *e)
{
    struct tsdb *db = f->db;
    struct named key = {.id = series};
    const struct named *found;

    {
        WITH_LOCK(&db->head_lock);
        const struct series *s = head_series_named(db, series);

        if (s != NULL) {
            *out = labels_copy(a, head_labels(db->head.index, s, a));
            return 1;
        }
    }
    if ((!f->has_gone || f->forgotten != db->forgotten) && read_gone(f, e) < 0) {
        return -1;
    }
    found =
        f->gone.len == 0 ? NULL : bsearch(&key, f->gone.p, f->gone.len, sizeof(*f->gone.p), by_id);
    if (found == NULL) {
        return 0;
    }
    *out = labels_copy(a, found->labels);
    return 1;
}
