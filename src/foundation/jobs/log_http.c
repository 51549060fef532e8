#include "jobs/log_http.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "jobs/jobs_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLLOW_TICK_MS = 100, CHECK_MS = 1000, CHUNK = 64 * 1024 };

/* A parked connection. Two hold it: the stream until its close, and the handler until it has
 * passed on the waker that http_park gave it (the stream may be over by then). */
struct follower {
    struct list link; /* jobs.followers; guarded by jobs.lock, like the four below */
    struct http_waker *waker;
    unsigned holders;
    bool closed;
    int64_t last_attempt; /* 0: the job is not finished */
    /* relay thread only */
    struct jobs *jobs;
    char id[JOB_ID_SIZE];
    int64_t attempt, tries, offset, checked_ms;
    int fd;
    struct principal who; /* whose rights may be others before the job ends */
    char project[LIMIT_NAME_BYTES + 1];
};

/* The waker lives until close() is called, and close() takes this lock first. */
void jobs_followers_tell_locked(struct jobs *j, const char *id, int64_t last_attempt)
{
    lock_assert(&j->lock);
    list_each(it, &j->followers)
    {
        struct follower *f = list_entry(it, struct follower, link);

        if (strcmp(f->id, id) == 0) {
            f->last_attempt = last_attempt;
            if (f->waker) {
                http_wake(f->waker);
            }
        }
    }
}

static void follower_drop(struct follower *f)
{
    struct lock *l = &f->jobs->lock;
    bool last;

    {
        WITH_LOCK(l);
        last = --f->holders == 0;
    }
    if (last) {
        if (f->fd >= 0) {
            (void)close(f->fd);
        }
        free(f);
    }
}

static void follow_close(void *ctx)
{
    struct follower *f = ctx;

    {
        struct lock *l = &f->jobs->lock;

        WITH_LOCK(l);
        f->closed = true;
        list_remove(&f->link);
    }
    follower_drop(f);
}

enum follow_state { FOLLOW_GROWS, FOLLOW_ATTEMPT_OVER, FOLLOW_JOB_OVER };

/* Asked before the file is read: what was over then is complete in the file. *tries is only set
 * while the attempt goes on. */
static enum follow_state follow_state(struct follower *f, int64_t *tries)
{
    struct lock *l = &f->jobs->lock;
    const struct job *job;

    WITH_LOCK(l);
    if (f->last_attempt > 0) {
        return f->attempt < f->last_attempt ? FOLLOW_ATTEMPT_OVER : FOLLOW_JOB_OVER;
    }
    job = map_get(&f->jobs->by_id, str_of(f->id));
    if (job && job->attempt > f->attempt) {
        return FOLLOW_ATTEMPT_OVER;
    }
    *tries = job ? job->tries : f->tries;
    return FOLLOW_GROWS;
}

struct tries_lookup {
    struct str id;
    int64_t attempt, tries;
};

static int read_tries(struct state_db *db, void *ctx, struct err *e)
{
    struct tries_lookup *k = ctx;

    return job_store_tries(db, k->id, k->attempt, &k->tries, e);
}

static int64_t tries_of(struct jobs *j, const char *id, int64_t attempt)
{
    struct tries_lookup k = {.id = str_of(id), .attempt = attempt};
    struct err e;

    return state_read(j->parts.state, read_tries, &k, &e) == 0 ? k.tries : 0;
}

static void follow_go_to(struct follower *f, int64_t attempt, int64_t tries, int64_t offset)
{
    closep(&f->fd);
    f->fd = -1;
    f->offset = offset;
    f->attempt = attempt;
    f->tries = tries;
}

/* An offset counts on over the retries that follow: who lost his connection goes on where he was,
 * whichever attempt that was in. */
static int64_t offset_in_next(const struct follower *f)
{
    struct stat st;

    if (f->fd < 0 || fstat(f->fd, &st) < 0) {
        return f->offset; /* this attempt wrote nothing */
    }
    return f->offset > st.st_size ? f->offset - st.st_size : 0;
}

static bool follow_open(struct follower *f)
{
    char container[65];
    struct err e;

    if (f->fd < 0) {
        job_container_id(f->id, f->attempt, f->tries, container);
        (void)!f->jobs->engine->log_open(f->jobs->engine_ctx, container, &f->fd, &e);
    }
    return f->fd >= 0;
}

/* 1: some bytes. 0: none now. */
static int follow_read(struct follower *f, struct buf *out)
{
    size_t room = out->max > out->len ? out->max - out->len : 0;
    char *to;
    ssize_t n;

    if (!follow_open(f)) {
        return 0;
    }
    room = room < CHUNK ? room : CHUNK;
    if (room == 0) {
        return 1; /* later, when the socket took some */
    }
    to = buf_reserve(out, room);
    n = to ? pread(f->fd, to, room, f->offset) : -1;
    if (n <= 0) {
        return n < 0 ? -1 : 0;
    }
    out->len += (size_t)n;
    f->offset += n;
    return 1;
}

static bool may_still(struct follower *f)
{
    const struct jobs_hooks *h = &f->jobs->parts.hooks;
    int64_t now_ms = clock_mono_ms();

    if (h->still_may == NULL || now_ms - f->checked_ms < CHECK_MS) {
        return true;
    }
    f->checked_ms = now_ms;
    return h->still_may(h->ctx, &f->who, PERM_JOB_READ, str_of(f->project));
}

static int follow_pump(void *ctx, struct buf *out)
{
    struct follower *f = ctx;

    if (!may_still(f)) {
        return -1; /* why, he learns when he asks again */
    }
    for (;;) {
        int64_t tries = f->tries;
        enum follow_state state = follow_state(f, &tries);
        int got;

        if (tries != f->tries) {
            follow_go_to(f, f->attempt, tries, f->fd >= 0 ? 0 : f->offset);
        }
        got = follow_read(f, out);
        if (got != 0) {
            return got;
        }
        if (state != FOLLOW_ATTEMPT_OVER) {
            return state == FOLLOW_GROWS;
        }
        follow_go_to(f, f->attempt + 1, tries_of(f->jobs, f->id, f->attempt + 1),
                     offset_in_next(f));
    }
}

static const struct http_stream_ops follow_ops = {follow_pump, follow_close};

static void follow_begin(struct follower *f, const struct job_row *row)
{
    struct lock *l = &f->jobs->lock;

    WITH_LOCK(l);
    list_append(&f->jobs->followers, &f->link);
    if (map_get(&f->jobs->by_id, str_of(f->id)) == NULL) {
        f->last_attempt = row->attempt;
    }
}

static int follow(struct http_req *r, struct jobs *j, const struct job_row *row, int64_t attempt,
                  int64_t offset, struct err *e)
{
    struct follower *f = xnew(struct follower);
    struct http_waker *waker = NULL;
    int rc;

    f->jobs = j;
    f->holders = 2;
    f->attempt = attempt;
    f->tries = tries_of(j, row->id, attempt);
    f->offset = offset;
    f->fd = -1;
    f->checked_ms = clock_mono_ms();
    f->who = r->who;
    (void)!str_copy(r->project, f->project, sizeof(f->project));
    memcpy(f->id, row->id, strnlen(row->id, sizeof(f->id) - 1));
    follow_begin(f, row);
    rc = http_park(r, "text/plain; charset=utf-8", &follow_ops, f, FOLLOW_TICK_MS, &waker, e);
    if (rc < 0) {
        f->holders = 1; /* net took none */
        follow_close(f);
        return -1;
    }
    {
        struct lock *l = &j->lock;

        WITH_LOCK(l);
        if (!f->closed) {
            f->waker = waker;
            if (f->last_attempt > 0) {
                http_wake(waker); /* it ended between the two */
            }
        }
    }
    follower_drop(f);
    return rc;
}

static int send_from(struct http_req *r, int fd, int64_t offset, int64_t size, struct err *e)
{
    SCOPED(freep) char *chunk = xcalloc(1, CHUNK);

    if (http_stream_begin(r, 200, "text/plain; charset=utf-8", e) < 0) {
        return -1;
    }
    while (offset < size) {
        size_t want = size - offset < CHUNK ? (size_t)(size - offset) : CHUNK;
        ssize_t n = pread(fd, chunk, want, offset);

        if (n < 0) {
            return err_sys(e, "read of the log");
        }
        if (n == 0) {
            break; /* cut meanwhile */
        }
        if (http_stream_write(r, str_n(chunk, (size_t)n), e) < 0) {
            return -1;
        }
        offset += n;
    }
    return 0;
}

static int send_log(struct http_req *r, struct jobs *j, const struct job_row *row, int64_t attempt,
                    int64_t offset, struct err *e)
{
    SCOPED(closep) int fd = -1;
    char container[65];
    struct stat st;

    job_container_id(row->id, attempt, tries_of(j, row->id, attempt), container);
    if (j->engine->log_open(j->engine_ctx, container, &fd, e) < 0) {
        /* Nothing was written yet: an empty log, not a mistake. */
        return e->kind == ERR_NOT_FOUND
                   ? http_reply(r, 200, "text/plain; charset=utf-8", STR_EMPTY, e)
                   : -1;
    }
    if (fstat(fd, &st) < 0) {
        return err_sys(e, "fstat of the log");
    }
    if (offset > 0) {
        return send_from(r, fd, offset, st.st_size, e);
    }
    return http_reply_file(r,
                           &(struct http_file){.fd = fd,
                                               .size_bytes = st.st_size,
                                               .type = "text/plain; charset=utf-8"},
                           e);
}

struct log_lookup {
    int64_t project_id;
    struct str id;
    struct arena *arena;
    struct job_row row;
};

static int look_up(struct state_db *db, void *ctx, struct err *e)
{
    struct log_lookup *k = ctx;

    return job_store_get(db, k->project_id, k->id, k->arena, &k->row, e);
}

int job_log_get(struct http_req *r, struct err *e)
{
    struct jobs *j = r->ctx;
    const struct jobs_hooks *h = &j->parts.hooks;
    struct log_lookup k = {.id = http_path_param(r, "id"), .arena = &r->arena};
    int64_t offset, attempt, follows;
    uint32_t id_base;

    if (h->project(h->ctx, r->project, &k.project_id, &id_base, e) < 0 ||
        http_query_i64(r, "offset", 0, 0, INT64_MAX, &offset, e) < 0 ||
        http_query_i64(r, "follow", 0, 0, 1, &follows, e) < 0 ||
        state_read(j->parts.state, look_up, &k, e) < 0 ||
        http_query_i64(r, "attempt", k.row.attempt, 1, k.row.attempt, &attempt, e) < 0) {
        return -1;
    }
    http_set_header(r, "X-Content-Type-Options", "nosniff");
    http_set_header(r, "X-Strata-Attempt", "%lld", (long long)attempt);
    if (follows && r->method != HTTP_HEAD) {
        return follow(r, j, &k.row, attempt, offset, e);
    }
    return send_log(r, j, &k.row, attempt, offset, e);
}
