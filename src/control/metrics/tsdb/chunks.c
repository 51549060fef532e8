#include "tsdb/chunks.h"

#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/bytes.h"
#include "tsdb/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PENDING_MAX (3 * GIB) /* commits stop long before; a replay on a full disk does not */
#define FILE_MAGIC "strataH1" /* 8 bytes, so that no chunk has the offset 0 */

uint32_t chunk_file_of(uint64_t position)
{
    return (uint32_t)(position >> 32);
}

/* --- one chunk --- */

static void put_chunk(struct column_times *times, uint32_t series, uint64_t before,
                      const int64_t *ts, const double *v, size_t n, struct buf *out)
{
    size_t start = out->len;
    struct str body;

    (void)buf_add(out, str_n("\0\0\0\0\0\0\0\0", CHUNK_HEAD));
    column_put_varint(series, out);
    column_put_varint(before, out);
    column_put_varint(bytes_zigzag(ts[0]), out);
    column_put_varint((uint64_t)(ts[n - 1] - ts[0]), out);
    column_put_varint(n, out);
    column_put_times_again(times, ts, n, out);
    column_put_values(v, n, out);
    if (out->failed) {
        return;
    }
    body = str_from(buf_str(out), start + CHUNK_HEAD);
    bytes_put_u32((uint32_t)body.len, out->p + start);
    bytes_put_u32(crc32c(body), out->p + start + 4);
}

int chunk_parse_body(struct str body, struct chunk *c, struct err *e)
{
    uint64_t first, span, n;

    if (bytes_get_u32v(&body, &c->series) < 0 || column_get_varint(&body, &c->before) < 0 ||
        column_get_varint(&body, &first) < 0 || column_get_varint(&body, &span) < 0 ||
        column_get_varint(&body, &n) < 0 || n == 0 || n > CHUNK_SAMPLES) {
        return err_set(e, ERR_IO, "a run of samples has no valid head");
    }
    c->min_ts = bytes_unzigzag(first);
    c->max_ts = (int64_t)((uint64_t)c->min_ts + span);
    c->n = n;
    c->times_values = body;
    return 0;
}

int chunk_parse(struct str bytes, struct chunk *c, struct err *e)
{
    struct str body = str_from(bytes, CHUNK_HEAD);

    if (bytes.len < CHUNK_HEAD || bytes_get_u32(bytes.p) > body.len) {
        return err_set(e, ERR_IO, "a run of samples is cut short");
    }
    body.len = bytes_get_u32(bytes.p);
    if (crc32c(body) != bytes_get_u32(bytes.p + 4)) {
        return err_set(e, ERR_IO, "a run of samples is damaged: its checksum does not fit");
    }
    return chunk_parse_body(body, c, e);
}

int chunk_decode(const struct chunk *c, int64_t *ts, double *v, struct err *e)
{
    struct str in = c->times_values;

    return column_get_times(&in, ts, c->n, e) < 0 ? -1 : column_get_values(&in, v, c->n, e);
}

/* --- files --- */

void chunk_file_unref(struct chunk_file *f)
{
    if (--f->refs == 0) {
        closep(&f->fd);
        free(f);
    }
}

static struct chunk_file *open_file(int dir, uint32_t number, int flags, struct err *e)
{
    char name[16];
    struct chunk_file *f;
    int fd;

    (void)snprintf(name, sizeof(name), "%08x", number);
    fd = openat(dir, name, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0) {
        err_sys(e, "open head/%s", name);
        return NULL;
    }
    f = xnew(struct chunk_file);
    f->fd = fd;
    f->refs = 1;
    f->number = number;
    f->size = (uint64_t)lseek(fd, 0, SEEK_END);
    f->min_ts = INT64_MAX;
    f->max_ts = INT64_MIN;
    return f;
}

struct chunk_file *chunk_file_open(int dir, uint32_t number, struct err *e)
{
    return open_file(dir, number, 0, e);
}

struct chunk_file *chunk_files_next(const struct chunk_files *c, uint32_t after, struct err *e)
{
    uint32_t number = after + 1;
    struct chunk_file *f = open_file(c->dir, number, O_CREAT | O_TRUNC, e);

    if (f == NULL) {
        return NULL;
    }
    if (fs_write_all(f->fd, STR(FILE_MAGIC), e) < 0 || fs_sync_dir(c->dir, ".", e) < 0) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%08x", number);
        (void)unlinkat(c->dir, name, 0);
        chunk_file_unref(f);
        err_wrap(e, "head/%08x", number);
        return NULL;
    }
    f->size = sizeof(FILE_MAGIC) - 1;
    return f;
}

void chunk_files_push(struct chunk_files *c, struct chunk_file *f)
{
    *vec_push(&c->files) = f;
    c->filling_at = f->size;
}

void chunk_files_init(struct chunk_files *c, int dir)
{
    *c = (struct chunk_files){
        .dir = dir, .filling = BUF_MAX(PENDING_MAX), .writing = BUF_MAX(PENDING_MAX)};
}

void chunk_files_done(struct chunk_files *c)
{
    for (size_t i = 0; i < c->files.len; i++) {
        chunk_file_unref(c->files.p[i]);
    }
    vec_done(&c->files);
    buf_done(&c->filling);
    buf_done(&c->writing);
    closep(&c->dir);
}

uint64_t chunk_files_add(struct chunk_files *c, uint32_t series, uint64_t before, const int64_t *ts,
                         const double *v, size_t n)
{
    struct chunk_file *f = c->files.p[c->files.len - 1];
    uint64_t at = c->filling_at + c->filling.len;

    c->n++;
    put_chunk(&c->times, series, before, ts, v, n, &c->filling);
    f->min_ts = ts[0] < f->min_ts ? ts[0] : f->min_ts;
    f->max_ts = ts[n - 1] > f->max_ts ? ts[n - 1] : f->max_ts;
    return (uint64_t)f->number << 32 | at;
}

size_t chunk_files_pending(const struct chunk_files *c)
{
    return c->filling.len + c->writing.len;
}

bool chunk_files_write_begin(struct chunk_files *c, size_t at_least)
{
    if (c->writing.len == 0 && c->filling.len > 0 && c->filling.len >= at_least) {
        struct buf empty = c->writing;

        c->writing = c->filling;
        c->writing_at = c->filling_at;
        c->filling_at += c->filling.len;
        c->filling = empty;
    }
    return c->writing.len > 0;
}

static int write_at(const struct chunk_file *f, uint64_t offset, struct str left, struct err *e)
{
    off_t at = (off_t)offset;

    while (left.len > 0) {
        ssize_t n = pwrite(f->fd, left.p, left.len, at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "write head/%08x", f->number);
        }
        at += n;
        left = str_from(left, (size_t)n);
    }
    return 0;
}

int chunk_files_write(struct chunk_files *c, struct err *e)
{
    return write_at(c->files.p[c->files.len - 1], c->writing_at, buf_str(&c->writing), e);
}

void chunk_files_write_end(struct chunk_files *c)
{
    c->files.p[c->files.len - 1]->size = c->writing_at + c->writing.len;
    buf_clear(&c->writing);
    if (c->writing.cap > 4 * MIB) {
        buf_done(&c->writing);
    }
}

struct str chunk_files_in_memory(const struct chunk_files *c, uint64_t position)
{
    uint64_t at = position & UINT32_MAX;

    if (chunk_file_of(position) != c->files.p[c->files.len - 1]->number) {
        return STR_EMPTY;
    }
    if (at >= c->filling_at) {
        return str_from(buf_str(&c->filling), at - c->filling_at);
    }
    if (c->writing.len > 0 && at >= c->writing_at) {
        return str_from(buf_str(&c->writing), at - c->writing_at);
    }
    return STR_EMPTY;
}

int chunk_file_read(const struct chunk_file *f, uint64_t position, char *room, struct str *bytes,
                    struct err *e)
{
    off_t at = (off_t)(position & UINT32_MAX);
    size_t want = 512, have = 0;

    for (;;) {
        ssize_t n = pread(f->fd, room + have, want - have, at + (off_t)have);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "read head/%08x", f->number);
        }
        have += (size_t)n;
        if (have >= CHUNK_HEAD && bytes_get_u32(room) + CHUNK_HEAD <= have) {
            *bytes = str_n(room, have);
            return 0;
        }
        if (n == 0 || have < CHUNK_HEAD || bytes_get_u32(room) + CHUNK_HEAD > CHUNK_MAX_BYTES) {
            return err_set(e, ERR_IO, "head/%08x has no run of samples at %jd", f->number,
                           (intmax_t)at);
        }
        want = bytes_get_u32(room) + CHUNK_HEAD;
    }
}

int chunk_file_write_again(const struct chunk_file *f, uint64_t size, struct err *e)
{
    char room[CHUNK_MAX_BYTES];
    struct chunk c;
    struct str bytes;

    if (write_at(f, 0, STR(FILE_MAGIC), e) < 0) {
        return -1;
    }
    for (uint64_t at = sizeof(FILE_MAGIC) - 1; at < size; at += bytes.len) {
        if (chunk_file_read(f, at, room, &bytes, e) < 0 || chunk_parse(bytes, &c, e) < 0) {
            return err_wrap(e,
                            "head/%08x could not be written to the disk; restart the server, the "
                            "log has all of it",
                            f->number);
        }
        bytes.len = CHUNK_HEAD + bytes_get_u32(room);
        if (write_at(f, at, bytes, e) < 0) {
            return -1;
        }
    }
    return 0;
}

void chunk_file_note_times(struct chunk_file *f)
{
    char room[CHUNK_MAX_BYTES];
    struct chunk c;
    struct str bytes;
    struct err e;

    for (uint64_t at = sizeof(FILE_MAGIC) - 1; chunk_file_read(f, at, room, &bytes, &e) == 0;
         at += CHUNK_HEAD + bytes_get_u32(room)) {
        if (chunk_parse(bytes, &c, &e) == 0) {
            f->min_ts = c.min_ts < f->min_ts ? c.min_ts : f->min_ts;
            f->max_ts = c.max_ts > f->max_ts ? c.max_ts : f->max_ts;
        }
    }
}

uint64_t chunk_file_find(const struct chunk_file *f, uint32_t series, uint64_t before_offset)
{
    uint64_t at = sizeof(FILE_MAGIC) - 1, found = 0;
    char room[CHUNK_MAX_BYTES];
    struct chunk c;
    struct str bytes;
    struct err e;

    while (at < before_offset && chunk_file_read(f, at, room, &bytes, &e) == 0) {
        if (chunk_parse(bytes, &c, &e) == 0 && c.series == series) {
            found = (uint64_t)f->number << 32 | at;
        }
        at += CHUNK_HEAD + bytes_get_u32(room);
    }
    return found;
}
