#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/checkpoint.h"
#include "tsdb/tsdb_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_MAX (4 * GIB)

/* A snapshot is a directory like the store's own: what does not change any more is linked, the log
 * since its checkpoint is copied. */

static int make_dir(int at, const char *name, struct err *e)
{
    int fd;

    if (mkdirat(at, name, 0700) < 0) {
        return err_sys(e, "mkdir %s", name);
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_sys(e, "open %s", name);
    }
    return fd;
}

static int link_file(int from, int to, const char *name, struct err *e)
{
    if (linkat(from, name, to, name, 0) < 0 && errno != EEXIST) {
        return err_sys(e, "link %s", name);
    }
    return 0;
}

static int link_blocks(struct tsdb *db, int to, struct err *e)
{
    SCOPED(closep) int dir = make_dir(to, "blocks", e);
    struct ids numbers = {0};
    int rc = 0;

    if (dir < 0) {
        return -1;
    }
    lock_take(&db->head_lock);
    for (size_t i = 0; i < db->blocks.len; i++) {
        ids_add(&numbers, &db->blocks.p[i]->number, 1);
    }
    lock_drop(&db->head_lock);
    for (size_t i = 0; rc == 0 && i < numbers.len; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%08x", numbers.p[i]);
        rc = link_file(db->blocks_dir, dir, name, e);
        (void)snprintf(name, sizeof(name), "%08x.del", numbers.p[i]);
        if (rc == 0 && linkat(db->blocks_dir, name, dir, name, 0) < 0 && errno != ENOENT) {
            rc = err_sys(e, "link blocks/%s", name);
        }
    }
    ids_done(&numbers);
    return rc < 0 ? -1 : fs_sync_dir(dir, ".", e);
}

static int link_head(struct tsdb *db, int to, struct err *e)
{
    SCOPED(closep) int dir = make_dir(to, "head", e);
    struct ids numbers = {0};
    int rc = 0;

    if (dir < 0) {
        return -1;
    }
    lock_take(&db->head_lock);
    for (size_t i = 0; i < db->chunks.files.len; i++) {
        ids_add(&numbers, &db->chunks.files.p[i]->number, 1);
    }
    lock_drop(&db->head_lock);
    for (size_t i = 0; rc == 0 && i < numbers.len; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%08x", numbers.p[i]);
        rc = link_file(db->chunks.dir, dir, name, e);
    }
    ids_done(&numbers);
    return rc < 0 ? -1 : fs_sync_dir(dir, ".", e);
}

static int copy_segment(struct tsdb *db, int dir, uint32_t number, uint64_t most, struct err *e)
{
    struct buf bytes = BUF_MAX(SEGMENT_MAX);
    char name[32];
    int rc;

    (void)snprintf(name, sizeof(name), "%08x", number);
    rc = fs_read(db->wal.dir, name, &bytes, e) < 0
             ? -1
             : fs_write_atomic(dir, name, str_first(buf_str(&bytes), most), 0600, e);
    buf_done(&bytes);
    return rc;
}

static int copy_log(struct tsdb *db, int to, struct err *e)
{
    SCOPED(closep) int dir = make_dir(to, "wal", e);
    SCOPED(ids_done) struct ids segments = {0};
    uint32_t last;
    uint64_t offset;

    if (dir < 0 || numbered_files(db->wal.dir, &segments, e) < 0) {
        return -1;
    }
    lead_begin(db);
    last = db->wal.segment;
    offset = db->wal.offset;
    lead_end(db);
    for (size_t i = 0; i < segments.len && segments.p[i] <= last; i++) {
        if (segments.p[i] >= db->first_segment &&
            copy_segment(db, dir, segments.p[i], segments.p[i] == last ? offset : UINT64_MAX, e) <
                0) {
            return -1;
        }
    }
    return 0;
}

/* The last file of runs goes on growing here and there; the checkpoint says how much of it counts.
 */
static int fill(struct tsdb *db, int to, struct err *e)
{
    if (checkpoint_write(db, e) < 0) {
        return -1;
    }
    return link_file(db->dir, to, "checkpoint", e) < 0 || link_blocks(db, to, e) < 0 ||
                   link_head(db, to, e) < 0 || copy_log(db, to, e) < 0
               ? -1
               : fs_sync_dir(to, ".", e);
}

int tsdb_snapshot(struct tsdb *db, const char *dir, struct err *e)
{
    SCOPED(closep) int to = make_dir(AT_FDCWD, dir, e);
    struct err removing;
    int rc;

    if (to < 0) {
        return -1;
    }
    work_begin(db);
    rc = fill(db, to, e);
    work_end(db);
    if (rc < 0) {
        (void)!fs_remove_tree(AT_FDCWD, dir, &removing);
        return err_wrap(e, "snapshot %s", dir);
    }
    return 0;
}
