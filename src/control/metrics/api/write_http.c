/* Samples that others send: remote write. */
#include "metrics_priv.h"

#include "base/limits.h"
#include "scrape/remote_write.h"

static int reply_written(struct http_req *req, const struct remote_write_answer *a,
                         const struct err *why, struct err *e)
{
    if (a->is_v2) {
        http_set_header(req, "X-Prometheus-Remote-Write-Samples-Written", "%llu",
                        (unsigned long long)a->samples);
        http_set_header(req, "X-Prometheus-Remote-Write-Histograms-Written", "%llu",
                        (unsigned long long)a->histograms);
        http_set_header(req, "X-Prometheus-Remote-Write-Exemplars-Written", "%llu",
                        (unsigned long long)a->exemplars);
    }
    return why == NULL
               ? http_reply_empty(req, a->status, e)
               : http_reply(req, a->status, "text/plain; charset=utf-8", str_of(why->msg), e);
}

/* Reads the body into memory of its own, which does not stay with the worker. */
static int read_body(struct http_req *req, struct buf *out, struct err *e)
{
    for (;;) {
        char *room = buf_reserve(out, 64 * KIB);
        ssize_t n = room == NULL ? -1 : http_body_read(req, room, 64 * KIB, e);

        if (room == NULL) {
            return err_set(e, ERR_LIMIT, "a request of remote write takes at most %d MiB",
                           (int)(LIMIT_REMOTE_WRITE_BYTES / MIB));
        }
        if (n <= 0) {
            return n < 0 ? -1 : 0;
        }
        out->len += (size_t)n;
    }
}

/* --- of a project --- */

/* A deletion waits for those that looked before whether they may. */
static unsigned begin_write(struct metrics *m)
{
    WITH_LOCK(&m->write_lock);
    m->writing[m->write_turn]++;
    return m->write_turn;
}

static void end_write(struct metrics *m, unsigned turn)
{
    WITH_LOCK(&m->write_lock);
    m->writing[turn]--;
    lock_broadcast(&m->write_lock);
}

void metrics_settle(struct metrics *m)
{
    unsigned before;

    WITH_LOCK(&m->write_lock);
    while (m->writing[!m->write_turn] > 0) { /* of another deletion */
        lock_wait(&m->write_lock);
    }
    before = m->write_turn;
    m->write_turn = !before;
    while (m->writing[before] > 0) {
        lock_wait(&m->write_lock);
    }
}

static int take(struct http_req *req, struct str body, const struct remote_write_owner *owner,
                struct remote_write_answer *out, struct err *e)
{
    struct metrics *m = req->ctx;

    return remote_write_take(m->db, http_header(req, "Content-Type"),
                             http_header(req, "Content-Encoding"), body, owner, out, e);
}

int prom_write(struct http_req *req, struct err *e)
{
    SCOPED(buf_done) struct buf body = BUF_MAX(LIMIT_REMOTE_WRITE_BYTES + 64 * KIB);
    struct remote_write_owner anybody = {.max_series = 0};
    struct remote_write_answer answer = {0};
    struct err why;

    if (read_body(req, &body, e) < 0) {
        return -1;
    }
    return take(req, buf_str(&body), &anybody, &answer, &why) < 0
               ? reply_written(req, &answer, &why, e)
               : reply_written(req, &answer, NULL, e);
}

/* The body may have come slowly: the project may be another one of that name by now. Who reads the
 * answer slowly holds up no deletion. */
int prom_write_project(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;
    SCOPED(buf_done) struct buf body = BUF_MAX(LIMIT_REMOTE_WRITE_BYTES + 64 * KIB);
    struct remote_write_owner owner = {{STR("project"), http_path_param(req, "p")},
                                       m->project_series};
    struct remote_write_answer answer = {0};
    struct err why;
    unsigned turn;
    bool may;
    int result = 0;

    if (read_body(req, &body, e) < 0) {
        return -1;
    }
    turn = begin_write(m);
    may = m->hooks.may_write(m->hooks.ctx, &req->who, owner.label.value, e) == 0;
    if (may) {
        result = take(req, buf_str(&body), &owner, &answer, &why);
    }
    end_write(m, turn);
    return may ? reply_written(req, &answer, result < 0 ? &why : NULL, e) : -1;
}
