/* proxy_priv - what the files of the caches share: whose turn it is (proxy_flight.c), manifests
 * (proxy.c), blobs (proxy_blob.c). */
#pragma once
#include "store_priv.h"

#include "access/access.h"
#include "remote.h"

enum {
    PROXY_PATIENCE_SEC = 60,       /* for an answer when nothing is here */
    PROXY_PATIENCE_CACHED_SEC = 5, /* when something is */
    PROXY_FETCHERS_MAX = 128,      /* workers that fetch or wait: the rest serve what is here */
    PROXY_THREADS_MAX = 64,        /* that fetch blobs */
    PROXY_SLOT_WAIT_MS = 60000,    /* for one of them, or for a turn */

    /* Of one registry: one that hangs leaves the others theirs. */
    PROXY_FETCHERS_EACH = PROXY_FETCHERS_MAX / 4 * 3,
    PROXY_THREADS_EACH = PROXY_THREADS_MAX / 4,
    PROXY_IDLE_MAX = 4 /* connections and tokens kept */
};

/* Another registry, as long as we run. All guarded by registry.lock. */
struct upstream {
    unsigned busy, generation;
    unsigned workers, threads;                 /* that fetch from it or wait for it */
    int64_t down_until_ms, throttled_until_ms; /* monotonic */
    struct remote *idle[PROXY_IDLE_MAX];
    size_t n_idle;
};

/* One thing that is being fetched. */
struct flight {
    char *key, *shared; /* in registry.flights; `shared` may be NULL, or name another one there */
    struct upstream *upstream;
    unsigned users;   /* guarded by registry.lock */
    struct lock lock; /* guards the rest */
    bool is_done;
    int result;
    const char *code;
    struct err err;
    struct remote_head head; /* when it was only looked at */
    int fd;                  /* of a blob: its file as it grows, -1 before */
    int64_t size_bytes;      /* of that blob, as who began it knows it */
    int64_t arrived;         /* so much of it */
    bool is_cut;             /* it was begun again: what was given out may be wrong */
};

/* One fetch. */
struct fetching {
    struct registry *r;
    struct project_proxy proxy;
    struct repo_key to;
    struct reference ref;
    struct stored_cache have;
    struct remote_head head;
    int64_t size_bytes; /* of a blob */
    const char *subject;
    const char *code;
    struct upstream *upstream;
    unsigned generation;
    struct remote *remote;
    struct str from; /* the repository there */
    char name[512];  /* where `from` lies when it is another one than here */
};
typedef int fetch_fn(struct fetching *f, struct err *e);

/* 1: the repository's project is a cache. */
int proxy_begin(struct registry *r, struct str by, struct str repository, struct fetching *f,
                struct err *e) MUST_USE;

/* f->remote and f->from, when it is this one's turn; proxy_end_turn gives them back. */
int proxy_take_turn(struct fetching *f, unsigned patience_sec, struct err *e) MUST_USE;
void proxy_end_turn(struct fetching *f);
/* It failed a moment ago, or asked to be left alone: what is here is served. */
bool proxy_is_down(const struct fetching *f);
/* After a fetch that failed: notes an outage, and says it as our client is to hear it. */
void proxy_explain(struct fetching *f, struct err *e);
bool proxy_is_outage(const struct err *e);

char *proxy_key(const struct fetching *f, const char *what, struct str name) MUST_USE;
/* The flight of that key, else (not NULL) one that others share, else a new one, for one more;
 * NULL: too many wait. proxy_leave. */
struct flight *proxy_board(const struct fetching *f, const char *key, const char *shared,
                           bool *is_first, struct err *e) MUST_USE;
/* Whoever was first ends it. `why` says why when result < 0. */
void proxy_land(struct fetching *f, struct flight *flight, int result, const struct err *why);
/* Waits for its end; what came of it. */
int proxy_leave(struct registry *r, struct flight *f, const char **code, struct err *e) MUST_USE;
/* Without waiting. */
void proxy_unboard(struct registry *r, struct flight *f);
/* As one who keeps it but is none of the workers that wait. */
void proxy_hold(struct registry *r, struct flight *f);
void proxy_let_go(struct registry *r, struct flight *f);
/* The worker of the first who asks fetches, all others wait for it. */
int proxy_fetch_once(struct fetching *f, const char *key, fetch_fn *fetch, const char **code,
                     struct err *e) MUST_USE;
