#include "pipeline/importer.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/mem.h"
#include "secrets/secrets.h"
#include "volume/volume.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, FIRST_WAIT_MS = 1000, LAST_WAIT_MS = 60000 };

struct task {
    struct list link; /* importer.tasks */
    struct importer *im;
    char *id, *volume, *path, *module;
    struct import_value *values; /* texts are owned */
    size_t n_values;
    int64_t project_id;
    atomic_bool stop;
    /* guarded by importer.lock */
    struct importer_look look;
    bool is_nobodys; /* its project is gone: the thread frees it */
    /* of its thread, anew for each try */
    struct volume_new file;
    struct sha256 hash;
    int64_t written;
};

struct importer {
    struct importer_parts parts;
    struct lock lock;  /* its condition: a task waits, or all ends */
    struct list tasks; /* guarded by lock */
    atomic_bool stopping;
    pthread_t threads[THREADS];
    size_t n_threads;
};

static void task_free(struct task *t)
{
    for (size_t i = 0; i < t->n_values; i++) {
        free((char *)t->values[i].name);
        free((char *)t->values[i].text);
    }
    free(t->values);
    free(t->id);
    free(t->volume);
    free(t->path);
    free(t->module);
    free(t);
}

/* --- what a try does: on the task's thread --- */

static bool must_stop(void *ctx)
{
    struct task *t = ctx;

    return atomic_load(&t->stop) || atomic_load(&t->im->stopping);
}

static void note_bytes(struct task *t)
{
    struct lock *l = &t->im->lock;

    WITH_LOCK(l);
    t->look.bytes = t->written;
}

static void note_rows(void *ctx, int64_t rows)
{
    struct task *t = ctx;
    struct lock *l = &t->im->lock;

    WITH_LOCK(l);
    t->look.rows = rows;
}

static int check_room(const struct task *t, size_t n, struct err *e)
{
    struct fs_room room;

    if (fs_room(t->file.fd, LIMIT_DISK_RESERVE_BYTES, &room, e) < 0) {
        return -1;
    }
    return room.bytes >= n ? 0
                           : err_set(e, ERR_NO_SPACE,
                                     "the disk is full after %lld bytes; remove something and "
                                     "try again",
                                     (long long)t->written);
}

static int take_piece(void *ctx, struct str piece, struct err *e)
{
    struct task *t = ctx;

    if (must_stop(t)) {
        return err_set(e, ERR_CONFLICT, "stopped");
    }
    if (check_room(t, piece.len, e) < 0) {
        return -1;
    }
    sha256_add(&t->hash, piece.p, piece.len);
    while (piece.len > 0) {
        ssize_t n = pwrite(t->file.fd, piece.p, piece.len, t->written);

        if (n < 0 && errno != EINTR) {
            return err_sys(e, "write what comes");
        }
        t->written += n > 0 ? n : 0;
        piece = str_from(piece, n > 0 ? (size_t)n : 0);
    }
    note_bytes(t);
    return 0;
}

static const char *value_of(const struct task *t, const char *name)
{
    for (size_t i = 0; i < t->n_values; i++) {
        if (strcmp(t->values[i].name, name) == 0) {
            return t->values[i].text;
        }
    }
    return "";
}

static int bring(struct task *t, struct err *e)
{
    const struct importer_parts *parts = &t->im->parts;
    struct buf secret = BUF_MAX(LIMIT_SECRET_BYTES + 1);
    const char *name = value_of(t, "secret");
    struct import_order o = {.module = t->module,
                             .values = t->values,
                             .n_values = t->n_values,
                             .denied = parts->denied,
                             .n_denied = parts->n_denied,
                             .sink = take_piece,
                             .rows = note_rows,
                             .stop = must_stop,
                             .ctx = t};
    int rc = 0;

    if (*name) {
        rc = secrets_get(parts->secrets, t->project_id, str_of(name), &secret, e);
        rc = rc < 0 ? err_wrap(e, "secret %.64s", name) : 0;
    }
    o.secret = secret.p ? buf_str(&secret) : STR_EMPTY;
    rc = rc == 0 ? import_bring(&o, e) : -1;
    if (secret.p) {
        explicit_bzero(secret.p, secret.cap);
    }
    buf_done(&secret);
    return rc;
}

/* What was promised, if something was. */
static int check_sum(const struct task *t, const char *hex, struct err *e)
{
    const char *promised = value_of(t, "sha256");

    return *promised == '\0' || strcmp(promised, hex) == 0
               ? 0
               : err_set(
                     e, ERR_INVALID,
                     "the file has the SHA-256 %s, and the step promises %s: it has changed, or "
                     "another file lies there",
                     hex, promised);
}

static int keep(struct task *t, char hex[SHA256_HEX + 1], struct err *e)
{
    struct volume_ref ref = {t->project_id, str_of(t->volume)};
    unsigned char sum[SHA256_BYTES];

    sha256_final(&t->hash, sum);
    hex_encode(sum, sizeof(sum), hex);
    return check_sum(t, hex, e) < 0 ? -1
                                    : volume_file_keep(t->im->parts.volumes, &ref, &t->file,
                                                       str_of(t->path), (uint64_t)t->written, e);
}

static int try_once(struct task *t, char hex[SHA256_HEX + 1], struct err *e)
{
    struct volume_ref ref = {t->project_id, str_of(t->volume)};
    int rc;

    t->written = 0;
    note_bytes(t);
    if (volume_file_new(t->im->parts.volumes, &ref, &t->file, e) < 0) {
        return -1;
    }
    sha256_init(&t->hash);
    rc = bring(t, e) < 0 ? -1 : keep(t, hex, e);
    sha256_done(&t->hash);
    if (rc < 0) {
        volume_file_drop(t->im->parts.volumes, &ref, &t->file);
    }
    volume_file_done(&t->file);
    return rc;
}

/* --- again and again --- */

static bool passes(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_THROTTLED;
}

static void say_wait(struct task *t, int64_t wait_ms, const struct err *why)
{
    struct lock *l = &t->im->lock;

    {
        WITH_LOCK(l);
        (void)snprintf(t->look.text, sizeof(t->look.text), "trying again in %lld s: %.150s",
                       (long long)wait_ms / 1000, why->msg);
    }
    t->im->parts.woken(t->im->parts.ctx);
}

/* False: stopped. */
static bool wait_for_next(struct task *t, int64_t wait_ms, const struct err *why)
{
    int64_t until = clock_mono_ms() + wait_ms;
    struct lock *l = &t->im->lock;

    say_wait(t, wait_ms, why);
    WITH_LOCK(l);
    while (!must_stop(t) && lock_wait_until(l, until)) {
    }
    t->look.text[0] = '\0';
    return !must_stop(t);
}

static void run(struct task *t)
{
    struct importer *im = t->im; /* the task may be gone as soon as it is done */
    int64_t wait_ms = FIRST_WAIT_MS, left = atoll(value_of(t, "retries"));
    struct lock *l = &im->lock;
    char hex[SHA256_HEX + 1] = "";
    bool is_nobodys;
    struct err e = {0};

    while (try_once(t, hex, &e) < 0) {
        if (!passes(&e) || left-- <= 0) {
            break;
        }
        if (!wait_for_next(t, wait_ms, &e)) {
            err_set(&e, ERR_CONFLICT, "stopped");
            break;
        }
        wait_ms = wait_ms * 2 < LAST_WAIT_MS ? wait_ms * 2 : LAST_WAIT_MS;
        e = (struct err){0};
    }
    {
        WITH_LOCK(l);
        t->look.err = e;
        memcpy(t->look.sha256, hex, sizeof(hex));
        t->look.state = IMPORTER_DONE;
        is_nobodys = t->is_nobodys;
        if (is_nobodys) {
            list_remove(&t->link);
        }
    }
    if (is_nobodys) {
        task_free(t);
    }
    im->parts.woken(im->parts.ctx);
}

/* --- threads --- */

static struct task *next_task(struct importer *im)
{
    struct lock *l = &im->lock;

    WITH_LOCK(l);
    for (;;) {
        if (atomic_load(&im->stopping)) {
            return NULL;
        }
        list_each(it, &im->tasks)
        {
            struct task *t = list_entry(it, struct task, link);

            if (t->look.state == IMPORTER_WAITS) {
                t->look.state = IMPORTER_RUNS;
                return t;
            }
        }
        lock_wait(l);
    }
}

static void *thread_main(void *ctx)
{
    struct importer *im = ctx;

    for (struct task *t = next_task(im); t; t = next_task(im)) {
        run(t);
    }
    return NULL;
}

struct importer *importer_open(const struct importer_parts *parts, struct err *e)
{
    struct importer *im = xnew(struct importer);

    im->parts = *parts;
    lock_init(&im->lock, LOCK_imports);
    list_init(&im->tasks);
    while (im->n_threads < THREADS &&
           pthread_create(&im->threads[im->n_threads], NULL, thread_main, im) == 0) {
        im->n_threads++;
    }
    if (im->n_threads == 0) {
        importer_close(im);
        err_set(e, ERR_INTERNAL, "no thread for imports");
        return NULL;
    }
    return im;
}

void importer_close(struct importer *im)
{
    if (im == NULL) {
        return;
    }
    lock_take(&im->lock);
    atomic_store(&im->stopping, true);
    lock_broadcast(&im->lock);
    lock_drop(&im->lock);
    for (size_t i = 0; i < im->n_threads; i++) {
        (void)pthread_join(im->threads[i], NULL);
    }
    list_each(it, &im->tasks)
    {
        struct task *t = list_entry(it, struct task, link);

        list_remove(&t->link);
        task_free(t);
    }
    lock_done(&im->lock);
    free(im);
}

/* --- for the runner --- */

static struct task *find_locked(struct importer *im, const char *id)
{
    lock_assert(&im->lock);
    list_each(it, &im->tasks)
    {
        struct task *t = list_entry(it, struct task, link);

        if (strcmp(t->id, id) == 0) {
            return t;
        }
    }
    return NULL;
}

void importer_begin(struct importer *im, const struct importer_job *j)
{
    struct task *t = xnew(struct task);
    struct lock *l = &im->lock;

    t->im = im;
    t->id = xstrdup(j->id);
    t->volume = xstrdup(j->volume);
    t->path = xstrdup(j->path);
    t->module = xstrdup(j->module);
    t->project_id = j->project_id;
    t->look = (struct importer_look){.state = IMPORTER_WAITS, .rows = -1};
    t->values = xnew_array(struct import_value, j->n_values + 1);
    for (size_t i = 0; i < j->n_values; i++) {
        t->values[t->n_values++] =
            (struct import_value){xstrdup(j->values[i].name), xstrdup(j->values[i].text)};
    }
    WITH_LOCK(l);
    list_append(&im->tasks, &t->link);
    lock_broadcast(l);
}

void importer_look(struct importer *im, const char *id, struct importer_look *out)
{
    struct lock *l = &im->lock;
    struct task *t;

    WITH_LOCK(l);
    t = find_locked(im, id);
    *out = t ? t->look : (struct importer_look){.state = IMPORTER_UNKNOWN};
}

/* One that no thread has taken is done at once. */
static void stop_locked(struct task *t)
{
    lock_assert(&t->im->lock);
    atomic_store(&t->stop, true);
    if (t->look.state == IMPORTER_WAITS) {
        t->look.state = IMPORTER_DONE;
        err_set(&t->look.err, ERR_CONFLICT, "stopped");
    }
    lock_broadcast(&t->im->lock);
}

void importer_stop(struct importer *im, const char *id)
{
    struct lock *l = &im->lock;
    struct task *t;

    WITH_LOCK(l);
    t = find_locked(im, id);
    if (t) {
        stop_locked(t);
    }
}

void importer_project_gone(struct importer *im, int64_t project_id)
{
    struct lock *l = &im->lock;

    WITH_LOCK(l);
    list_each(it, &im->tasks)
    {
        struct task *t = list_entry(it, struct task, link);

        if (t->project_id != project_id) {
            continue;
        }
        stop_locked(t);
        t->is_nobodys = true;
        if (t->look.state == IMPORTER_DONE) {
            list_remove(&t->link);
            task_free(t);
        }
    }
}

void importer_forget(struct importer *im, const char *id)
{
    struct lock *l = &im->lock;
    struct task *t;

    {
        WITH_LOCK(l);
        t = find_locked(im, id);
        if (t == NULL || t->look.state != IMPORTER_DONE) {
            return;
        }
        list_remove(&t->link);
    }
    task_free(t);
}
