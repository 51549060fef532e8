/* Hashes of files: small ones at once, others by a thread of their own, a slice of each in turn, so
 * that nobody waits for somebody else's terabyte, nor for a disk that is to sync. Kept as long as
 * the file is the same, all that a folder holds at the same time (ML_LIMIT_FOLDER_ENTRIES): else
 * its first is gone with its last. */
#include "pipeline/pipeline_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK = 256 * 1024,
    KEPT = 16 * 1024,
    KEPT_MOST = 256 * 1024,
    LOOKED_AT = 4,
    OPEN = 64,
    FRESH_MS = 2000
};
#define AT_ONCE_BYTES (4 * MIB)
#define SLICE_BYTES (64 * MIB)

enum reading { READING, KNOWN, FAILED };

/* Guarded by pipelines.lock; while it is_held, `hash`, `left` and `fd` are the thread's. */
struct file_hash {
    struct list link;
    struct file_name name;
    int64_t run_id; /* who asked first; what is_fresh is told to nobody else */
    enum reading state;
    bool is_held, is_unwanted, is_fresh;
    uint64_t asked; /* pipelines.round in which somebody wanted it */
    int fd;
    int64_t left;
    struct sha256 hash;
    char hex[65];
    struct err err;
};

enum { NAME_BYTES = 232 };

static struct str name_text(const struct file_name *f, int64_t run_id, bool is_fresh,
                            char out[NAME_BYTES])
{
    int n = snprintf(out, NAME_BYTES, "%lld %s %llu %lld %lld %lld %lld%s",
                     (long long)f->project_id, f->volume, (unsigned long long)f->inode,
                     (long long)f->size_bytes, (long long)f->modified_ns, (long long)f->changed_ns,
                     is_fresh ? (long long)run_id : 0LL, f->is_synced ? " synced" : "");

    return str_n(out, (size_t)n);
}

static void forget_locked(struct pipelines *s, const struct file_hash *h)
{
    char text[NAME_BYTES];

    if (!h->is_unwanted) {
        (void)map_del(&s->hashes_by, name_text(&h->name, h->run_id, h->is_fresh, text));
    }
}

static void hash_free_locked(struct pipelines *s, struct file_hash *h)
{
    forget_locked(s, h);
    list_remove(&h->link);
    s->n_hashes--;
    if (h->state == READING) {
        s->n_reading--;
        sha256_done(&h->hash);
        (void)close(h->fd);
    }
    free(h);
}

static struct file_hash *find_locked(struct pipelines *s, const struct file_name *name,
                                     int64_t run_id)
{
    char text[NAME_BYTES];
    struct file_hash *h = map_get(&s->hashes_by, name_text(name, run_id, false, text));

    return h ? h : map_get(&s->hashes_by, name_text(name, run_id, true, text));
}

/* 1: the end. */
static int read_some(struct file_hash *h, char *chunk, struct err *e)
{
    size_t want = h->left < CHUNK ? (size_t)h->left : CHUNK;
    ssize_t n = want > 0 ? read(h->fd, chunk, want) : 0;

    if (n < 0) {
        return errno == EINTR ? 0 : err_sys(e, "read");
    }
    sha256_add(&h->hash, chunk, (size_t)n);
    h->left -= n;
    return n == 0 || h->left == 0;
}

/* The caller sets the state. */
static void finish(struct file_hash *h, int rc, const struct err *e)
{
    unsigned char sum[SHA256_BYTES];

    if (rc > 0) {
        sha256_final(&h->hash, sum);
        hex_encode(sum, sizeof(sum), h->hex);
    } else {
        h->err = *e;
    }
    sha256_done(&h->hash);
    (void)close(h->fd);
}

/* As long as a tick of the file system's clock may hold two changes, one look proves nothing. */
static bool is_fresh(const struct file_name *name)
{
    return clock_wall_ms() - name->changed_ns / 1000000 < FRESH_MS;
}

/* What nobody asks for any more gives way. */
static void keep_few_locked(struct pipelines *s)
{
    for (int i = 0; i < LOOKED_AT && s->n_hashes > KEPT; i++) {
        struct file_hash *h = list_entry(s->hashes.next, struct file_hash, link);

        if (h->state != READING && (h->asked + 1 < s->round || s->n_hashes > KEPT_MOST)) {
            hash_free_locked(s, h);
            continue;
        }
        list_remove(&h->link);
        list_append(&s->hashes, &h->link);
    }
}

static void add_locked(struct pipelines *s, struct file_hash *h)
{
    char text[NAME_BYTES];

    keep_few_locked(s);
    list_append(&s->hashes, &h->link);
    (void)map_put(&s->hashes_by, name_text(&h->name, h->run_id, h->is_fresh, text), h);
    s->n_hashes++;
    s->n_reading += h->state == READING;
}

static struct file_hash *hash_new(const struct file_name *name, int64_t run_id, int fd,
                                  uint64_t round)
{
    struct file_hash *h = xnew(struct file_hash);

    *h = (struct file_hash){.name = *name,
                            .run_id = run_id,
                            .is_fresh = is_fresh(name),
                            .asked = round,
                            .fd = fd,
                            .left = name->size_bytes};
    sha256_init(&h->hash);
    return h;
}

static int answer_locked(struct pipelines *s, struct file_hash *h, char hex[65], struct err *e)
{
    h->asked = s->round;
    if (h->state == READING) {
        return HASH_PENDING;
    }
    if (h->state == KNOWN) {
        memcpy(hex, h->hex, sizeof(h->hex));
        return 1;
    }
    *e = h->err;
    hash_free_locked(s, h);
    return -1;
}

static void read_at_once(struct file_hash *h)
{
    SCOPED(freep) char *chunk = xcalloc(1, CHUNK);
    struct err e;
    int rc = 0;

    while (rc == 0) {
        rc = read_some(h, chunk, &e);
    }
    finish(h, rc, &e);
    h->state = rc > 0 ? KNOWN : FAILED;
}

int hashes_ask(struct pipelines *s, const struct file_name *name, int64_t run_id, int fd,
               char hex[65], struct err *e)
{
    struct lock *l = &s->lock;
    struct file_hash *h;
    size_t n_open;
    bool is_small;
    int own;

    {
        WITH_LOCK(l);
        h = find_locked(s, name, run_id);
        n_open = s->n_reading;
        if (h) {
            return answer_locked(s, h, hex, e);
        }
    }
    is_small = !name->is_synced && name->size_bytes <= (int64_t)AT_ONCE_BYTES &&
               s->round_bytes + name->size_bytes <= (int64_t)SLICE_BYTES;
    if (!is_small && n_open >= OPEN) {
        return HASH_PENDING; /* asked again */
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) {
        return err_sys(e, "read");
    }
    h = hash_new(name, run_id, own, s->round);
    if (is_small) {
        s->round_bytes += name->size_bytes;
        read_at_once(h);
    }
    WITH_LOCK(l);
    add_locked(s, h);
    lock_broadcast(l);
    return answer_locked(s, h, hex, e);
}

void hashes_sweep(struct pipelines *s)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    list_each(it, &s->hashes)
    {
        struct file_hash *h = list_entry(it, struct file_hash, link);

        if (h->asked == s->round || (h->state == KNOWN && !h->is_fresh)) {
            continue;
        }
        if (h->is_held) {
            forget_locked(s, h);
            h->is_unwanted = true;
        } else {
            hash_free_locked(s, h);
        }
    }
    s->round++;
    s->round_bytes = 0;
}

/* --- the thread --- */

static struct file_hash *next_locked(struct pipelines *s)
{
    list_each(it, &s->hashes)
    {
        struct file_hash *h = list_entry(it, struct file_hash, link);

        if (h->state == READING) {
            h->is_held = true;
            list_remove(&h->link); /* to the end: the next slice is another's */
            list_append(&s->hashes, &h->link);
            return h;
        }
    }
    return NULL;
}

static bool is_stopped(struct pipelines *s, const struct file_hash *h)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    return s->stopping || h->is_unwanted;
}

/* The kernel tells it once and forgets what it could not write: asked again, all would seem well.
 */
static int sync_whole(const struct file_hash *h, struct err *e)
{
    if (fdatasync(h->fd) == 0) {
        return 1;
    }
    (void)err_sys(e, "what the step wrote did not reach the disk");
    e->kind = ERR_INTERNAL;
    return -1;
}

static void read_slice(struct pipelines *s, struct file_hash *h, char *chunk)
{
    int64_t until = h->left - (int64_t)SLICE_BYTES;
    struct lock *l = &s->lock;
    struct err e;
    int rc = 0;

    while (rc == 0 && h->left > until && !is_stopped(s, h)) {
        rc = read_some(h, chunk, &e);
    }
    if (rc > 0 && h->name.is_synced) {
        rc = sync_whole(h, &e);
    }
    if (rc != 0) {
        finish(h, rc, &e);
    }
    WITH_LOCK(l);
    h->is_held = false;
    h->state = rc == 0 ? READING : rc > 0 ? KNOWN : FAILED;
    s->n_reading -= rc != 0;
    if (h->is_unwanted) {
        hash_free_locked(s, h);
    } else if (rc != 0) {
        s->woken = true;
        lock_broadcast(l);
    }
}

void *hashes_main(void *arg)
{
    struct pipelines *s = arg;
    SCOPED(freep) char *chunk = xcalloc(1, CHUNK);

    lock_take(&s->lock);
    while (!s->stopping) {
        struct file_hash *h = next_locked(s);

        if (h == NULL) {
            lock_wait(&s->lock);
            continue;
        }
        lock_drop(&s->lock);
        read_slice(s, h, chunk);
        lock_take(&s->lock);
    }
    lock_drop(&s->lock);
    return NULL;
}

void hashes_done(struct pipelines *s)
{
    list_each(it, &s->hashes)
    {
        hash_free_locked(s, list_entry(it, struct file_hash, link));
    }
    map_done(&s->hashes_by);
}
