#include "volume/agents.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define AGENTS_MAX 32    /* processes at once; each about 2 MiB */
#define ANSWER_MS 120000 /* a dying disk, an fsync of very much */
#define WAIT_MS 60000    /* for our turn */

struct agent {
    struct list link;
    char id[65];
    int fd; /* -1: to be started by whoever holds it */
    bool busy;
    bool dropped; /* close it when it is idle */
    unsigned waiting;
    int64_t used_ms; /* clock_mono_ms */
};

struct volume_agents {
    struct helper_client *helper;
    struct lock lock;
    struct list agents; /* guarded by lock */
    size_t n_agents;
    int64_t answer_ms;
};

struct volume_agents *volume_agents_new(struct helper_client *h)
{
    struct volume_agents *a = xnew(struct volume_agents);

    a->helper = h;
    lock_init(&a->lock, LOCK_volumes);
    list_init(&a->agents);
    a->answer_ms = ANSWER_MS;
    return a;
}

void volume_agents_set_patience(struct volume_agents *a, int64_t answer_ms)
{
    struct lock *l = &a->lock;

    WITH_LOCK(l);
    a->answer_ms = answer_ms;
}

static int64_t patience_ms(struct volume_agents *a)
{
    struct lock *l = &a->lock;

    WITH_LOCK(l);
    return a->answer_ms;
}

static void agent_remove(struct volume_agents *a, struct agent *g)
{
    list_remove(&g->link);
    closep(&g->fd); /* it sees the end and leaves */
    free(g);
    a->n_agents--;
}

void volume_agents_free(struct volume_agents *a)
{
    if (a == NULL) {
        return;
    }
    list_each(it, &a->agents)
    {
        agent_remove(a, list_entry(it, struct agent, link));
    }
    lock_done(&a->lock);
    free(a);
}

static struct agent *find(struct volume_agents *a, const char *id)
{
    list_each(it, &a->agents)
    {
        struct agent *g = list_entry(it, struct agent, link);

        if (strcmp(g->id, id) == 0 && !g->dropped) {
            return g;
        }
    }
    return NULL;
}

/* Frees a place: the one unused for longest goes. False when all are at work. */
static bool make_room(struct volume_agents *a)
{
    struct agent *oldest = NULL;

    if (a->n_agents < AGENTS_MAX) {
        return true;
    }
    list_each(it, &a->agents)
    {
        struct agent *g = list_entry(it, struct agent, link);

        if (!g->busy && g->waiting == 0 && (!oldest || g->used_ms < oldest->used_ms)) {
            oldest = g;
        }
    }
    if (oldest != NULL) {
        agent_remove(a, oldest);
    }
    return oldest != NULL;
}

static struct agent *add(struct volume_agents *a, const char *id)
{
    struct agent *g = xnew(struct agent);

    (void)!str_copy(str_of(id), g->id, sizeof(g->id));
    g->fd = -1;
    list_append(&a->agents, &g->link);
    a->n_agents++;
    return g;
}

/* Waits until no other request is at the volume's agent. NULL: not in time. */
static struct agent *acquire(struct volume_agents *a, const char *id)
{
    struct lock *l = &a->lock;
    int64_t deadline = clock_mono_ms() + WAIT_MS;

    WITH_LOCK(l);
    for (;;) {
        struct agent *g = find(a, id);

        if (g == NULL && make_room(a)) {
            g = add(a, id);
        }
        if (g != NULL && !g->busy) {
            g->busy = true;
            return g;
        }
        if (g != NULL) {
            g->waiting++;
        }
        if (!lock_wait_until(l, deadline) && clock_mono_ms() >= deadline) {
            deadline = 0;
        }
        if (g != NULL) {
            g->waiting--;
        }
        if (deadline == 0) {
            return NULL;
        }
    }
}

static void release(struct volume_agents *a, struct agent *g)
{
    struct lock *l = &a->lock;

    WITH_LOCK(l);
    g->busy = false;
    g->used_ms = clock_mono_ms();
    if ((g->fd < 0 || g->dropped) && g->waiting == 0) {
        agent_remove(a, g);
    }
    lock_broadcast(l);
}

/* The first packet says whether it is ready. */
static int hear_ready(int fd, struct buf *packet, struct err *e)
{
    struct volume_reply ready;
    SCOPED(closep) int stray = -1;
    int rc = volume_packet_receive(fd, packet, &stray, e);

    if (rc == 0) {
        return err_set(e, ERR_UNAVAILABLE, "the files agent ended at its start");
    }
    if (rc < 0 || volume_reply_get(buf_str(packet), &ready, e) < 0) {
        return -1;
    }
    if (ready.err.kind != ERR_NONE) {
        *e = ready.err;
        return err_wrap(e, "start of the files agent");
    }
    return 0;
}

static int start(struct volume_agents *a, struct agent *g, uint32_t id_base, struct buf *packet,
                 struct err *e)
{
    int64_t ms = patience_ms(a);
    struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct buf payload = BUF_MAX(256);
    SCOPED(closep) int fd = -1;
    int rc;

    wire_put_str(&payload, str_of(g->id));
    wire_put_u64(&payload, id_base);
    rc = helper_call(a->helper, HELPER_VOLUME_AGENT, buf_str(&payload), -1, NULL, &fd, e);
    buf_done(&payload);
    if (rc < 0) {
        return -1;
    }
    if (fd < 0) {
        return err_set(e, ERR_INTERNAL, "the helper sent no socket of a files agent");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (hear_ready(fd, packet, e) < 0) {
        return -1;
    }
    g->fd = TAKE_FD(fd);
    return 0;
}

/* A cached agent may have died: then nothing was done yet, and a fresh one gets the request. */
static int send_request(struct volume_agents *a, struct agent *g, uint32_t id_base,
                        struct str request, struct buf *packet, struct err *e)
{
    struct err gone; /* nobody hears of it when the next one answers */

    if (g->fd >= 0) {
        if (volume_packet_send(g->fd, request, -1, &gone) == 0) {
            return 0;
        }
        log_warn("volume.agent_gone", "volume=%s, starting another", g->id);
        closep(&g->fd);
    }
    return start(a, g, id_base, packet, e) < 0 ? -1 : volume_packet_send(g->fd, request, -1, e);
}

static int hear_reply(struct agent *g, struct buf *packet, struct volume_reply *reply, int *fd,
                      struct err *e)
{
    int rc = volume_packet_receive(g->fd, packet, fd, e);

    if (rc == 0) {
        return err_set(e, ERR_UNAVAILABLE, "the files agent of the volume has ended; try again");
    }
    if (rc < 0 && e->kind == ERR_TIMEOUT) {
        return err_set(e, ERR_UNAVAILABLE,
                       "the files agent of the volume does not answer (is the disk very slow?); "
                       "try again");
    }
    return rc < 0 ? -1 : volume_reply_get(buf_str(packet), reply, e);
}

static int exchange(struct volume_agents *a, struct agent *g, uint32_t id_base, struct str request,
                    struct buf *packet, struct volume_reply *reply, int *fd, struct err *e)
{
    int rc = send_request(a, g, id_base, request, packet, e);

    if (rc == 0) {
        rc = hear_reply(g, packet, reply, fd, e);
    }
    if (rc < 0) {
        closep(&g->fd); /* whatever it still sends is not for the next request */
    }
    return rc;
}

int volume_agents_call(struct volume_agents *a, const char *id, uint32_t id_base,
                       const struct volume_request *q, struct buf *packet,
                       struct volume_reply *reply, int *fd, struct err *e)
{
    struct buf request = BUF_MAX(VOLUME_PACKET_MAX);
    struct agent *g = acquire(a, id);
    SCOPED(closep) int got = -1;
    int rc;

    if (fd != NULL) {
        *fd = -1;
    }
    *reply = (struct volume_reply){0};
    if (g == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "too many requests work on volumes; try again");
    }
    volume_request_put(&request, q);
    rc = exchange(a, g, id_base, buf_str(&request), packet, reply, &got, e);
    release(a, g);
    buf_done(&request);
    if (rc < 0) {
        return -1;
    }
    if (reply->err.kind != ERR_NONE) {
        *e = reply->err;
        return -1;
    }
    if (fd != NULL) {
        *fd = TAKE_FD(got);
    }
    return 0;
}

void volume_agents_drop(struct volume_agents *a, const char *id)
{
    struct lock *l = &a->lock;
    struct agent *g;

    WITH_LOCK(l);
    g = find(a, id);
    if (g == NULL) {
        return;
    }
    if (g->busy || g->waiting > 0) {
        g->dropped = true;
    } else {
        agent_remove(a, g);
    }
}

int64_t volume_agents_close_idle(struct volume_agents *a, int64_t idle_ms)
{
    struct lock *l = &a->lock;
    int64_t now = clock_mono_ms(), next = 0;

    WITH_LOCK(l);
    list_each(it, &a->agents)
    {
        struct agent *g = list_entry(it, struct agent, link);
        int64_t due = g->used_ms + idle_ms;

        if (g->busy || g->waiting > 0) {
            due = now + idle_ms;
        } else if (due <= now) {
            agent_remove(a, g);
            continue;
        }
        next = next == 0 || due < next ? due : next;
    }
    return next;
}
