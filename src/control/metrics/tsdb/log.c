#include "tsdb/log.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "tsdb/bytes.h"
#include "tsdb/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char mark[4] = {'S', 'w', 'a', '\xf1'};

size_t wal_begin(struct buf *b, uint8_t type)
{
    size_t begun = b->len;
    char head[WAL_HEAD] = {mark[0], mark[1], mark[2], mark[3]};

    head[WAL_HEAD - 1] = (char)type;
    (void)buf_add(b, str_n(head, WAL_HEAD));
    return begun;
}

void wal_end(struct buf *b, size_t begun)
{
    struct str body;

    if (b->failed) {
        return;
    }
    body = str_from(buf_str(b), begun + WAL_HEAD - 1);
    bytes_put_u32((uint32_t)body.len, b->p + begun + 4);
    bytes_put_u32(crc32c(body), b->p + begun + 8);
}

void wal_init(struct wal *w, int dir, uint32_t last)
{
    *w = (struct wal){.dir = dir, .fd = -1, .segment = last};
}

void wal_done(struct wal *w)
{
    closep(&w->fd);
    closep(&w->dir);
}

static int start_segment(struct wal *w, struct err *e)
{
    char name[16];
    int fd;

    (void)snprintf(name, sizeof(name), "%08x", w->segment + 1);
    fd = openat(w->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "create wal/%s", name);
    }
    if (fs_sync_dir(w->dir, ".", e) < 0) {
        closep(&fd);
        return -1;
    }
    closep(&w->fd);
    w->fd = fd;
    w->segment++;
    w->offset = 0;
    w->broken = false;
    return 0;
}

bool wal_is_over(const struct wal *w)
{
    return w->fd < 0 || w->broken;
}

int wal_rotate(struct wal *w, bool *lost, struct err *e)
{
    *lost = w->fd >= 0 && fdatasync(w->fd) < 0;
    w->broken = w->broken || *lost;
    return start_segment(w, e);
}

int wal_write(struct wal *w, struct str bytes, struct err *e)
{
    if (fs_write_all(w->fd, bytes, e) < 0) {
        int failed = e->sys;

        if (ftruncate(w->fd, (off_t)w->offset) < 0 ||
            lseek(w->fd, (off_t)w->offset, SEEK_SET) < 0) {
            w->broken = true; /* the half of it is passed over when it is read */
        }
        e->sys = failed;
        return err_wrap(e, "wal/%08x", w->segment);
    }
    w->offset += bytes.len;
    w->written += bytes.len;
    return 0;
}

struct wal_place wal_end_place(const struct wal *w)
{
    return w->fd < 0 ? (struct wal_place){w->segment + 1, 0}
                     : (struct wal_place){w->segment, w->offset};
}

bool wal_is_before(struct wal_place a, struct wal_place b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

/* --- reading --- */

bool wal_next(struct str *in, enum wal_rest rest, struct str *body, bool *passed_over)
{
    *passed_over = false;
    while (in->len >= WAL_HEAD) {
        const char *at;
        size_t len;

        if (memcmp(in->p, mark, sizeof(mark)) == 0) {
            len = bytes_get_u32(in->p + 4);
            if (rest == WAL_MORE && len > in->len - (WAL_HEAD - 1)) {
                return false;
            }
            if (len > 0 && len <= in->len - (WAL_HEAD - 1)) {
                *body = str_n(in->p + WAL_HEAD - 1, len);
                if (crc32c(*body) == bytes_get_u32(in->p + 8)) {
                    *in = str_from(*in, WAL_HEAD - 1 + len);
                    return true;
                }
            }
        }
        *passed_over = true;
        at = memmem(in->p + 1, in->len - 1, mark, sizeof(mark));
        *in = at != NULL         ? str_from(*in, (size_t)(at - in->p))
              : rest == WAL_MORE ? str_from(*in, in->len - (sizeof(mark) - 1))
                                 : STR_EMPTY;
    }
    if (rest == WAL_MORE) {
        return false;
    }
    *passed_over = *passed_over || in->len > 0;
    return false;
}

int wal_replay(struct str bytes, wal_record *take, void *ctx, struct wal_found *found)
{
    struct str body;
    bool passed_over;

    while (wal_next(&bytes, WAL_ALL, &body, &passed_over)) {
        found->damaged += passed_over;
        if (take(ctx, (uint8_t)body.p[0], str_from(body, 1)) < 0) {
            found->damaged++; /* the checksum fits, the content does not */
            continue;
        }
        found->records++;
    }
    found->torn = passed_over;
    return 0;
}
