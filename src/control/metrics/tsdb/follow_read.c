#include "tsdb/follow.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES (1 * MIB)
#define SEGMENT_MAX (4 * GIB)

enum { PIECE_SAMPLES = 100000 };

void tsdb_piece_done(struct tsdb_piece *p)
{
    free(p->p);
    *p = (struct tsdb_piece){0};
}

static void take_samples(struct str body, struct tsdb_piece *out)
{
    struct wal_samples r;

    if ((body.p[0] != WAL_SAMPLES && body.p[0] != WAL_LATE) ||
        wal_samples_begin(str_from(body, 1), &r) < 0) {
        return;
    }
    while (wal_samples_next(&r) > 0) {
        if (out->len == out->cap) {
            out->cap = out->cap == 0 ? 1024 : out->cap * 2;
            out->p = xrealloc(out->p, out->cap * sizeof(*out->p));
        }
        out->p[out->len++] = (struct tsdb_followed){r.id, body.p[0] == WAL_LATE, r.ts, r.v};
    }
}

/* Reads what a file has there, up to `most`. */
static int read_window(int fd, uint64_t at, size_t most, struct buf *out, struct err *e)
{
    buf_clear(out);
    if (buf_reserve(out, most) == NULL) {
        return err_set(e, ERR_LIMIT, "a record of the log is too large");
    }
    while (out->len < most) {
        ssize_t n = pread(fd, out->p + out->len, most - out->len, (off_t)(at + out->len));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "read the log");
        }
        if (n == 0) {
            break;
        }
        out->len += (size_t)n;
    }
    return 0;
}

/* Whole records of a segment from *at on, until there are enough samples (`whole`: all of them) or
 * the end is reached. */
static int read_segment(int fd, uint64_t end, bool whole, uint64_t *at, struct tsdb_piece *out,
                        struct err *e)
{
    struct buf window = BUF_MAX(SEGMENT_MAX);
    size_t want = WINDOW_BYTES;
    int rc = 0;

    while (*at < end && (whole || out->len < PIECE_SAMPLES)) {
        size_t most = end - *at < want ? (size_t)(end - *at) : want;
        uint64_t began = *at;
        struct str in, body;
        enum wal_rest rest;
        bool passed_over, any = true;

        rc = read_window(fd, began, most, &window, e);
        if (rc < 0) {
            break;
        }
        in = buf_str(&window);
        rest = window.len == most && began + most < end ? WAL_MORE : WAL_ALL;
        while (any && (whole || out->len < PIECE_SAMPLES)) {
            any = wal_next(&in, rest, &body, &passed_over);
            if (any) {
                take_samples(body, out);
                *at = began + (window.len - in.len);
            }
        }
        if (!any && rest == WAL_ALL) {
            *at = end; /* what is left is no record */
        }
        want = *at == began ? want * 4 : WINDOW_BYTES;
    }
    buf_done(&window);
    return rc;
}

static int open_segment(const struct tsdb *db, uint32_t number, uint64_t *size, struct err *e)
{
    char name[16];
    struct stat st;
    int fd;

    (void)snprintf(name, sizeof(name), "%08x", number);
    fd = openat(db->wal.dir, name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        *size = (uint64_t)st.st_size;
    } else if (fd < 0 && errno != ENOENT) {
        return err_sys(e, "open wal/%s", name);
    }
    return fd >= 0 ? fd : -2;
}

/* From `at` to `end`, or until it is enough. */
static int read_log(struct tsdb_follower *f, struct wal_place *at, struct wal_place end, bool whole,
                    struct tsdb_piece *out, struct err *e)
{
    while (wal_is_before(*at, end) && (whole || out->len < PIECE_SAMPLES)) {
        uint64_t size = 0;
        SCOPED(closep) int fd = open_segment(f->db, at->segment, &size, e);

        if (fd == -1) {
            return -1;
        }
        if (at->segment == end.segment && end.offset < size) {
            size = end.offset;
        }
        if (fd >= 0 && read_segment(fd, size, whole, &at->offset, out, e) < 0) {
            return -1;
        }
        if (at->offset < size) {
            continue;
        }
        if (at->segment == end.segment) {
            at->offset = end.offset; /* after a loss of power it may be shorter */
        } else {
            *at = (struct wal_place){at->segment + 1, 0};
        }
    }
    return 0;
}

int tsdb_follow_read(struct tsdb_follower *f, struct tsdb_piece *out, struct err *e)
{
    struct wal_place at, end, begun;
    int rc;

    lock_take(&f->db->log);
    at = f->at;
    begun = f->begun;
    end = f->db->log_end;
    out->note = f->note;
    lock_drop(&f->db->log);
    out->len = 0;
    out->again = begun.segment != 0;
    rc = read_log(f, &at, out->again ? begun : end, out->again, out, e);
    f->read_to = out->again ? begun : at;
    out->more = wal_is_before(f->read_to, end);
    if (out->len == 0) { /* names of the past are not asked for any more */
        gone_forget(f);
    }
    return rc;
}
