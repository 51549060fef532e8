/* webhooks_priv - what the files of webhooks share. */
#pragma once
#include "base/arena.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/vec.h"
#include "webhooks/hooks.h"

#include <stdatomic.h>

/* --- payload.c: what is sent --- */

struct payload {
    const struct webhook_news *news;
    const char *project; /* its name */
    bool is_public;
    const char *host;
    int64_t hook_id, at_ms;
    const char *request_id;
    enum hook_format format;
    const unsigned char *chosen; /* of news->images: those that pass the hook's filter */
};
void payload_write(const struct payload *p, struct buf *out);
/* Does it pass? `chosen` receives a 1 for each image that does, room for n_images. */
bool payload_filter(const struct webhook_news *n, struct str repositories, struct str tags,
                    unsigned char *chosen);
const char *payload_type(enum hook_format format); /* Content-Type */

/* --- queue.c: inside transactions --- */

#define DELIVERY_WAITING "waiting"
#define DELIVERY_SENT "sent"
#define DELIVERY_FAILED "failed"
#define DELIVERY_CANCELLED "cancelled"

/* A row that waits; the oldest give way past LIMIT_WEBHOOK_QUEUE. */
int queue_add(struct state_db *db, int64_t hook_id, enum webhook_event event,
              const char *request_id, enum hook_format format, struct str payload, int64_t *id,
              struct err *e) MUST_USE;
int queue_ping(struct webhooks *h, struct state_db *db, int64_t project_id, int64_t hook_id,
               struct str by, int64_t *id, struct err *e) MUST_USE;

/* The first that waits of a hook, with all that is needed to send it; in the arena. */
struct parcel {
    int64_t hook_id, delivery_id, attempts, streak;
    const char *url, *event, *request_id, *ca;
    bool insecure, is_ping;
    enum hook_format format;
    struct str payload, auth, secret; /* the last two sealed */
};
/* 1, or 0: nothing waits (and the hook knows it now). */
int queue_first(struct webhooks *h, int64_t hook_id, struct arena *a, struct parcel *out,
                struct err *e) MUST_USE;
struct outcome {
    int status;        /* of HTTP; 0: no answer came */
    const char *error; /* NULL: it was sent */
    int64_t duration_ms;
    int64_t wait_ms; /* until the next try, of this or the next delivery */
    bool is_final;   /* this one is not tried again */
};
int queue_note(struct webhooks *h, const struct parcel *p, const struct outcome *o,
               struct err *e) MUST_USE;
/* How long after `streak` failures in a row the next try is. */
int64_t queue_delay_ms(int64_t first_ms, int64_t streak);

/* --- store.c, show.c: rows for people. A hook of another project is not found. --- */

/* Inside a transaction: ERR_NOT_FOUND when it is not one of the project, or that is gone. */
int hook_check(struct state_db *db, const struct hook_key *k, struct err *e) MUST_USE;
int hook_write(struct webhooks *h, const struct hook_key *k, struct jw *w, struct err *e) MUST_USE;
int hooks_write(struct webhooks *h, int64_t project_id, struct jw *w, struct err *e) MUST_USE;
int hook_ping(struct webhooks *h, const struct hook_key *k, struct str by, int64_t *delivery_id,
              struct err *e) MUST_USE;
int delivery_again(struct webhooks *h, const struct hook_key *k, int64_t delivery_id,
                   int64_t *new_id, struct err *e) MUST_USE;
int delivery_write(struct webhooks *h, const struct hook_key *k, int64_t delivery_id, struct jw *w,
                   struct err *e) MUST_USE;
/* Newest first, those with an id below `before`. *next: where to go on, 0: that was all. */
int deliveries_write(struct webhooks *h, const struct hook_key *k, int64_t before, int64_t limit,
                     struct jw *w, int64_t *next, struct err *e) MUST_USE;

/* --- the whole --- */

/* One request under way. */
struct turn {
    int64_t hook_id, project_id; /* hook_id 0: free */
    bool is_failing;             /* its last one failed */
    atomic_bool is_stopped;
};

/* Which events a project has hooks for: so that a pull nobody asked about costs nothing. */
struct interest {
    int64_t project_id;
    unsigned events;
};

struct webhooks {
    struct state *state;
    struct access *access;
    const struct secrets *secrets;
    const struct cidr *denied;
    size_t n_denied;
    char *host;
    int64_t tries, first_delay_ms;
    atomic_bool is_closing;
    struct lock lock; /* guards all below */
    uint64_t looks;   /* raised when there may be something to send */
    uint64_t returns; /* turns that ended */
    bool is_looking;  /* one worker looks what is due; the others wait for it */
    bool is_starting; /* a thread is being made */
    unsigned n_threads, n_idle;
    pthread_t threads[WEBHOOK_WORKERS];
    struct turn turns[WEBHOOK_WORKERS];
    struct list notes;
    size_t n_notes;
    int64_t notes_due_ms; /* clock_mono_ms */
    size_t notes_dropped;
    VEC(struct interest) interests; /* by project */
    bool interests_stale;
};

/* There may be something to send. */
void webhooks_look(struct webhooks *h);
/* Hooks were changed: cuts requests of this hook (id 0: of the project) that are under way. */
void webhooks_changed(struct webhooks *h, int64_t project_id, int64_t id);

/* --- worker.c --- */
int worker_start(struct webhooks *h, struct err *e) MUST_USE;

/* --- notes.c --- */
int notes_write(struct webhooks *h, struct err *e) MUST_USE;
int interests_read(struct webhooks *h, struct err *e) MUST_USE;

/* --- send.c --- */
/* -1 only when there is nothing to note: it was stopped. */
int parcel_send(struct webhooks *h, struct turn *t, const struct parcel *p, char error[512],
                struct outcome *out) MUST_USE;
