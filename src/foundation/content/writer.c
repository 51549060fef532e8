/* Uploads. A writer is busy (somebody holds it) or idle (closed between two requests: its hash
 * state is kept so that the next chunk does not read all earlier ones again), or only a file (after
 * a restart, or when too many were idle): then the bytes on disk are hashed when they are needed.
 */
#include "content_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writing to disk starts while the rest still comes in, so that the sync at the end has little
 * left to wait for. */
#define FLUSH_BYTES (8 << 20)

static int id_check(const char *id, struct err *e)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");

    if (n == 0 || n >= UPLOAD_ID_MAX || id[n] != '\0') {
        return err_set(e, ERR_INVALID, "upload id: takes 1 to 64 of a-z and 0-9");
    }
    return 0;
}

void content_writer_free(struct content_writer *w)
{
    sha256_done(&w->hash);
    closep(&w->fd);
    free(w);
}

static struct content_writer *writer_make(struct content *c, const char *id)
{
    struct content_writer *w = xnew(struct content_writer);

    w->c = c;
    w->fd = -1;
    list_init(&w->link);
    (void)snprintf(w->id, sizeof(w->id), "%s", id);
    sha256_init(&w->hash);
    return w;
}

/* Makes the id busy: an idle writer, or a new one. NULL: somebody has it. */
static struct content_writer *claim(struct content *c, const char *id)
{
    struct content_writer *w;
    struct lock *l = &c->lock;

    WITH_LOCK(l);
    w = map_get(&c->writers, str_of(id));
    if (w == NULL) {
        w = writer_make(c, id);
        (void)map_put(&c->writers, str_of(id), w);
        return w;
    }
    if (list_empty(&w->link)) {
        return NULL;
    }
    list_remove(&w->link);
    c->n_idle--;
    return w;
}

/* Forgets a busy writer. */
static void drop(struct content_writer *w)
{
    struct content *c = w->c;

    lock_take(&c->lock);
    (void)map_del(&c->writers, str_of(w->id));
    lock_drop(&c->lock);
    content_writer_free(w);
}

/* Everything is hashed again when it is next needed. */
static void forget_hash(struct content_writer *w)
{
    sha256_done(&w->hash);
    sha256_init(&w->hash);
    w->hashed = 0;
}

static struct content_writer *open_writer(struct content *c, const char *id, int flags,
                                          struct err *e)
{
    struct content_writer *w;
    struct stat st;

    if (id_check(id, e) < 0) {
        return NULL;
    }
    w = claim(c, id);
    if (w == NULL) {
        err_set(e, ERR_CONFLICT, "upload %s is being written by another request", id);
        return NULL;
    }
    w->fd = openat(c->uploads, id, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (w->fd < 0 || fstat(w->fd, &st) < 0) {
        if (errno == ENOENT) {
            err_set(e, ERR_NOT_FOUND, "upload %s does not exist (finished, cancelled or too old)",
                    id);
        } else {
            err_sys(e, "upload %s", id);
        }
        drop(w);
        return NULL;
    }
    if (st.st_size < w->hashed) { /* not the file we knew */
        forget_hash(w);
    }
    w->size_bytes = w->flushed = st.st_size;
    return w;
}

struct content_writer *content_writer_new(struct content *c, const char *id, struct err *e)
{
    return open_writer(c, id, O_CREAT | O_EXCL, e);
}

struct content_writer *content_writer_resume(struct content *c, const char *id, struct err *e)
{
    return open_writer(c, id, 0, e);
}

int64_t content_writer_offset(const struct content_writer *w)
{
    return w->size_bytes;
}

/* Hashes what is on disk and was not seen yet: nothing, unless we were restarted. */
static int catch_up(struct content_writer *w, struct err *e)
{
    SCOPED(freep) char *chunk = NULL;

    while (w->hashed < w->size_bytes) {
        ssize_t n;

        if (chunk == NULL) {
            chunk = xcalloc(1, COPY_BYTES);
        }
        n = pread(w->fd, chunk, COPY_BYTES, w->hashed);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? err_sys(e, "read of upload %s", w->id)
                         : err_set(e, ERR_IO, "upload %s became shorter", w->id);
        }
        sha256_add(&w->hash, chunk, (size_t)n);
        w->hashed += n;
    }
    return 0;
}

int content_writer_add(struct content_writer *w, struct str bytes, struct err *e)
{
    size_t done = 0;

    if (catch_up(w, e) < 0) {
        return -1;
    }
    while (done < bytes.len) {
        ssize_t n = pwrite(w->fd, bytes.p + done, bytes.len - done, w->size_bytes + (off_t)done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            err_sys(e, "upload %s at byte %lld", w->id, (long long)w->size_bytes);
            (void)!ftruncate(w->fd, w->size_bytes); /* the file ends where the hash ends */
            return -1;
        }
        done += (size_t)n;
    }
    sha256_add(&w->hash, bytes.p, bytes.len);
    w->size_bytes += (int64_t)bytes.len;
    w->hashed = w->size_bytes;
    if (w->size_bytes - w->flushed >= FLUSH_BYTES) {
        (void)sync_file_range(w->fd, w->flushed, w->size_bytes - w->flushed, SYNC_FILE_RANGE_WRITE);
        w->flushed = w->size_bytes;
    }
    return 0;
}

int content_writer_cut(struct content_writer *w, int64_t offset, struct err *e)
{
    assert(offset <= w->size_bytes);
    if (ftruncate(w->fd, offset) < 0) {
        return err_sys(e, "cut upload %s to %lld bytes", w->id, (long long)offset);
    }
    if (w->hashed > offset) {
        forget_hash(w);
    }
    w->size_bytes = offset;
    w->flushed = w->flushed < offset ? w->flushed : offset;
    return 0;
}

/* The digest the bytes have, by the algorithm of `want`. Our running hash is SHA-256; SHA-512 is
 * rare enough to read the file once more. */
static int digest_of(struct content_writer *w, const char *want, char out[CONTENT_DIGEST_MAX],
                     struct err *e)
{
    unsigned char sum[SHA256_BYTES];

    if (!str_starts(str_of(want), STR("sha256:"))) {
        return content_file_digest(w->fd, want, /* stop */ NULL, out, e);
    }
    if (catch_up(w, e) < 0) {
        return -1;
    }
    sha256_final(&w->hash, sum);
    (void)snprintf(out, CONTENT_DIGEST_MAX, "sha256:");
    hex_encode(sum, sizeof(sum), out + strlen(out));
    forget_hash(w); /* it cannot go on after its end */
    return 0;
}

int content_writer_commit(struct content_writer *w, const char *want, int64_t *size_bytes,
                          struct err *e)
{
    char checked[CONTENT_DIGEST_MAX], have[CONTENT_DIGEST_MAX];
    int64_t size = w->size_bytes;

    if (content_digest_parse(str_of(want), checked, e) < 0 || digest_of(w, checked, have, e) < 0) {
        return -1;
    }
    if (strcmp(have, checked) != 0) {
        return err_set(e, ERR_INVALID, "the %lld bytes received have the digest %s, not %s",
                       (long long)size, have, checked);
    }
    if (content_publish(w->c, w->id, w->fd, size, checked, e) < 0) {
        return -1;
    }
    drop(w);
    *size_bytes = size;
    return 0;
}

void content_writer_close(struct content_writer *w)
{
    struct content_writer *oldest = NULL;
    struct content *c;

    if (w == NULL) {
        return;
    }
    c = w->c;
    closep(&w->fd);
    lock_take(&c->lock);
    list_append(&c->idle, &w->link);
    if (++c->n_idle > UPLOADS_IDLE_MAX) {
        oldest = list_entry(c->idle.next, struct content_writer, link);
        list_remove(&oldest->link);
        (void)map_del(&c->writers, str_of(oldest->id));
        c->n_idle--;
    }
    lock_drop(&c->lock);
    if (oldest != NULL) {
        content_writer_free(oldest);
    }
}

static int no_upload(const char *id, struct err *e)
{
    return errno == ENOENT ? err_set(e, ERR_NOT_FOUND,
                                     "upload %s does not exist (finished, "
                                     "cancelled or too old)",
                                     id)
                           : err_sys(e, "upload %s", id);
}

int content_upload_size(struct content *c, const char *id, int64_t *size_bytes, struct err *e)
{
    struct stat st;

    if (id_check(id, e) < 0) {
        return -1;
    }
    if (fstatat(c->uploads, id, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return no_upload(id, e);
    }
    *size_bytes = st.st_size;
    return 0;
}

int content_upload_open(struct content *c, const char *id, int *fd, struct err *e)
{
    int f;

    if (id_check(id, e) < 0) {
        return -1;
    }
    f = openat(c->uploads, id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (f < 0) {
        return no_upload(id, e);
    }
    *fd = f;
    return 0;
}

int content_upload_delete(struct content *c, const char *id, struct err *e)
{
    struct content_writer *w;
    int r = 0;

    if (id_check(id, e) < 0) {
        return -1;
    }
    w = claim(c, id);
    if (w == NULL) {
        return err_set(e, ERR_CONFLICT, "upload %s is being written by another request", id);
    }
    if (unlinkat(c->uploads, id, 0) < 0) {
        r = errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "upload %s does not exist", id)
                            : err_sys(e, "delete upload %s", id);
    }
    drop(w);
    return r;
}

void content_uploads_count(struct content *c, int64_t *n, int64_t *size_bytes)
{
    int fd = openat(c->uploads, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    struct stat st;

    *n = *size_bytes = 0;
    if (d == NULL) {
        closep(&fd);
        return;
    }
    while ((ent = readdir(d))) {
        if (ent->d_name[0] != '.' && fstatat(fd, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            (*n)++;
            *size_bytes += st.st_size;
        }
    }
    (void)closedir(d);
}

int content_uploads_sweep(struct content *c, int64_t older_than_ms)
{
    int64_t before = clock_wall_ms() - older_than_ms;
    int fd = openat(c->uploads, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        closep(&fd);
        return 0;
    }
    while ((ent = readdir(d))) {
        struct stat st;
        struct err e;

        if (ent->d_name[0] == '.' || fstatat(fd, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            (int64_t)st.st_mtim.tv_sec * 1000 >= before) {
            continue;
        }
        n += content_upload_delete(c, ent->d_name, &e) == 0; /* busy ones stay */
    }
    (void)closedir(d);
    return n;
}
