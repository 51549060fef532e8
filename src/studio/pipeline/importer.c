#include "pipeline/importer_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_WAIT_MS = 1000, LAST_WAIT_MS = 60000 };

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

/* Nobody finds it any more; whoever called frees it. */
static void remove_locked(struct task *t)
{
    lock_assert(&t->im->lock);
    list_remove(&t->link);
    (void)map_del(&t->im->by_id, str_of(t->id));
}

/* --- a project's share --- */

/* One whose servers hang, or wait to be asked again, leaves the others their threads. */
static bool has_its_share(const struct importer *im, int64_t project_id)
{
    size_t n = 0;

    lock_assert(&im->lock);
    for (size_t i = 0; i < IMPORTER_THREADS; i++) {
        n += im->busy[i] == project_id;
    }
    return n >= IMPORTER_PROJECT_THREADS;
}

static void swap_busy(struct importer *im, int64_t was, int64_t is)
{
    lock_assert(&im->lock);
    for (size_t i = 0; i < IMPORTER_THREADS; i++) {
        if (im->busy[i] == was) {
            im->busy[i] = is;
            return;
        }
    }
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
    while (!task_must_stop(t) && lock_wait_until(l, until)) {
    }
    t->look.text[0] = '\0';
    return !task_must_stop(t);
}

static int64_t retries_of(const struct task *t)
{
    uint64_t n = 0;

    return str_to_u64(str_of(task_value(t, "retries")), &n) == 0 ? (int64_t)n : 0;
}

static void run(struct task *t)
{
    struct importer *im = t->im; /* the task may be gone as soon as it is done */
    int64_t wait_ms = FIRST_WAIT_MS, left = retries_of(t);
    struct lock *l = &im->lock;
    char hex[SHA256_HEX + 1] = "";
    bool is_nobodys;
    struct err e = {0};

    while (task_try(t, hex, &e) < 0) {
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
    /* A conflict that nobody asked for, such as a folder in the file's place: it would wait for
     * ever for a server that starts again. */
    if (e.kind == ERR_CONFLICT && !task_must_stop(t)) {
        e.kind = ERR_INVALID;
    }
    {
        WITH_LOCK(l);
        t->look.err = e;
        memcpy(t->look.sha256, hex, sizeof(hex));
        t->look.state = IMPORTER_DONE;
        is_nobodys = t->is_nobodys;
        if (is_nobodys) {
            remove_locked(t);
        }
        swap_busy(im, t->project_id, /* free */ 0);
        lock_broadcast(l); /* another one of its project may begin */
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

            if (t->look.state == IMPORTER_WAITS && !has_its_share(im, t->project_id)) {
                swap_busy(im, /* free */ 0, t->project_id);
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
    while (im->n_threads < IMPORTER_THREADS &&
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
    map_done(&im->by_id);
    lock_done(&im->lock);
    free(im);
}

/* --- for the runner --- */

static struct task *find_locked(struct importer *im, const char *id)
{
    lock_assert(&im->lock);
    return map_get(&im->by_id, str_of(id));
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
    (void)map_put(&im->by_id, str_of(t->id), t);
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
            remove_locked(t);
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
        remove_locked(t);
    }
    task_free(t);
}
