#include "scrape/remote_out.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "scrape/client.h"
#include "scrape/proto.h"
#include "scrape/snappy.h"
#include "tsdb/tsdb.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    SHARDS_MAX = 16,
    BATCH_BYTES_MAX = 16 * 1024 * 1024,
    WAIT_MIN_MS = 10,
    SPLITS_MAX = 40 /* of a request that is refused */
};

/* A series in a request: where it ends, and how many samples there are up to there. */
struct part {
    size_t end, samples;
};

/* A request that is being filled. */
struct batch {
    struct buf series, symbols; /* symbols: version 2 */
    VEC(struct part) parts;
    struct map refs;
    size_t n_refs, samples;
};

struct shard {
    struct remote_out *r;
    pthread_t thread;
    struct batch filling; /* the reader's */
    struct batch sending;
    bool has_thread, is_busy; /* guarded */
};

struct remote_out {
    struct tsdb_follower *follower;
    struct config *config;
    const struct remote_write_config *write;
    char *url;
    pthread_t thread;
    bool has_thread, stop;
    int wake_fd;
    struct shard shards[SHARDS_MAX];
    struct lock lock; /* of the counts, and is_busy */
    unsigned n_shards;
    struct remote_out_counts counts;
};

static bool is_stopped(const struct remote_out *r)
{
    return __atomic_load_n(&r->stop, __ATOMIC_RELAXED);
}

static void wait_ms(struct remote_out *r, int64_t ms)
{
    struct pollfd p = {r->wake_fd, POLLIN, 0};

    if (!is_stopped(r) && ms > 0) {
        (void)poll(&p, 1, (int)(ms > 60000 ? 60000 : ms));
    }
}

/* --- requests --- */

static void put_symbol(struct batch *b, struct buf *refs, struct str s)
{
    uintptr_t ref = (uintptr_t)map_get(&b->refs, s);

    if (ref == 0) {
        if (b->n_refs == 0) {
            proto_put_bytes(&b->symbols, 4, STR_EMPTY);
        }
        ref = ++b->n_refs;
        (void)map_put(&b->refs, s, (void *)ref);
        proto_put_bytes(&b->symbols, 4, s);
    }
    proto_put_varint(refs, ref);
}

static void put_labels(struct batch *b, bool is_v2, struct labels s, struct buf *series)
{
    struct buf inner = BUF_MAX(BATCH_BYTES_MAX);

    for (size_t i = 0; i < s.len; i++) {
        if (is_v2) {
            put_symbol(b, &inner, s.p[i].name);
            put_symbol(b, &inner, s.p[i].value);
        } else {
            buf_clear(&inner);
            proto_put_bytes(&inner, 1, s.p[i].name);
            proto_put_bytes(&inner, 2, s.p[i].value);
            proto_put_bytes(series, 1, buf_str(&inner));
        }
    }
    if (is_v2) {
        proto_put_bytes(series, 1, buf_str(&inner));
    }
    buf_done(&inner);
}

static void put_series(struct batch *b, bool is_v2, struct labels s, const struct tsdb_followed *v,
                       size_t n)
{
    struct buf series = BUF_MAX(BATCH_BYTES_MAX), one = BUF_MAX(64);

    put_labels(b, is_v2, s, &series);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&one);
        proto_put_double(&one, 1, v[i].v);
        proto_put_int(&one, 2, (uint64_t)v[i].ts_ms);
        proto_put_bytes(&series, 2, buf_str(&one));
    }
    proto_put_bytes(&b->series, is_v2 ? 5 : 1, buf_str(&series));
    b->samples += n;
    *vec_push(&b->parts) = (struct part){b->series.len, b->samples};
    buf_done(&series);
    buf_done(&one);
}

static void batch_done(struct batch *b)
{
    buf_done(&b->series);
    buf_done(&b->symbols);
    vec_done(&b->parts);
    map_done(&b->refs);
    *b = (struct batch){.series = BUF_MAX(2 * BATCH_BYTES_MAX),
                        .symbols = BUF_MAX(2 * BATCH_BYTES_MAX)};
}

/* One try. 0; -1 with `again`: whether another may help. */
static int post(struct remote_out *r, struct str body, bool *again, int64_t *after_ms,
                long *refused, struct err *e)
{
    const struct remote_write_config *w = r->write;
    struct client_call c = {.stop = &r->stop, .curl = curl_easy_init()};
    curl_off_t after = 0;
    long status = 0;
    int rc = c.curl == NULL ? err_set(e, ERR_INTERNAL, "libcurl does not start")
                            : client_prepare(&c, &w->http, 65536, e);

    *again = true;
    if (rc == 0) {
        (void)client_header(&c, "Content-Encoding: snappy");
        (void)client_header(&c, "Content-Type: application/x-protobuf%s",
                            w->is_v2 ? ";proto=io.prometheus.write.v2.Request" : "");
        (void)client_header(&c, "X-Prometheus-Remote-Write-Version: %s",
                            w->is_v2 ? "2.0.0" : "0.1.0");
        client_own_headers(&c, w->headers);
        rc = client_go_to(&c, r->url, e);
    }
    if (rc == 0) {
        CURLcode code;

        (void)curl_easy_setopt(c.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        (void)curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, body.p);
        (void)curl_easy_setopt(c.curl, CURLOPT_TIMEOUT_MS, (long)w->timeout_ms);
        code = curl_easy_perform(c.curl);
        rc = client_result(&c, code, e);
        (void)curl_easy_getinfo(c.curl, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(c.curl, CURLINFO_RETRY_AFTER, &after);
        if (code == CURLE_OK && status / 100 == 2) {
            rc = 0;
        } else if (code == CURLE_OK) {
            *again = status >= 500 || (status == 429 && w->retry_on_429);
            if (status == 500 && c.body.len > 0 &&
                memmem(c.body.p, c.body.len, "too old sample", 14) != NULL) {
                *again = false; /* Prometheus 2.39 and later: it will never take it */
                status = 400;
            }
            *refused = status;
            rc = err_set(e, err_kind_of_http((int)status), "the peer answers %ld: %.*s", status,
                         STR_ARG(str_first(buf_str(&c.body), 200)));
        }
    }
    *after_ms = after > 0 && after < 3600 ? (int64_t)after * 1000 : 0;
    client_done(&c);
    curl_easy_cleanup(c.curl);
    return rc;
}

/* Until the peer has it (0), does not want it (-1: *refused is its status), or we end. */
static int insist(struct remote_out *r, struct str packed, long *refused, struct err *e)
{
    int64_t backoff = r->write->min_backoff_ms, after;
    bool again = true, warned = false;

    *refused = 0;
    while (!is_stopped(r)) {
        if (post(r, packed, &again, &after, refused, e) == 0) {
            return 0;
        }
        if (!again) {
            return -1;
        }
        if (!warned && !is_stopped(r)) {
            warned = true;
            log_warn("remote_write.retry", "peer=%s error=%s trying until it takes it",
                     Q(r->write->name), Q(str_of(e->msg)));
        }
        {
            WITH_LOCK(&r->lock);
            r->counts.retries++;
        }
        wait_ms(r, after > 0 ? after : backoff);
        backoff = backoff * 2 > r->write->max_backoff_ms ? r->write->max_backoff_ms : backoff * 2;
    }
    *refused = 0;
    return -1;
}

static void count(struct remote_out *r, uint64_t sent, uint64_t dropped)
{
    WITH_LOCK(&r->lock);
    r->counts.sent += sent;
    r->counts.dropped += dropped;
}

/* Prometheus refuses a request whole for one sample that it does not take: its halves are sent
 * then, and theirs, so that the others arrive. */
static void deliver_parts(struct remote_out *r, struct batch *b, size_t from, size_t to,
                          unsigned *splits)
{
    struct buf all = BUF_MAX(4 * BATCH_BYTES_MAX), packed = BUF_MAX(4 * BATCH_BYTES_MAX);
    const struct part *parts = b->parts.p;
    struct part before = {0};
    size_t samples;
    long refused;
    struct err e;
    int rc;

    if (parts == NULL || from == to) {
        return;
    }
    if (from > 0) {
        before = parts[from - 1];
    }
    samples = parts[to - 1].samples - before.samples;
    (void)buf_add(&all, buf_str(&b->symbols));
    (void)buf_add(&all, str_n(b->series.p + before.end, parts[to - 1].end - before.end));
    snappy_pack(buf_str(&all), &packed);
    buf_done(&all);
    rc = insist(r, buf_str(&packed), &refused, &e);
    buf_done(&packed);
    if (rc == 0) {
        count(r, samples, 0);
    } else if (refused == 400 && to - from > 1 && *splits < SPLITS_MAX) {
        (*splits)++;
        deliver_parts(r, b, from, from + (to - from) / 2, splits);
        deliver_parts(r, b, from + (to - from) / 2, to, splits);
    } else if (refused != 0) {
        log_warn("remote_write.dropped", "peer=%s samples=%zu error=%s going on", Q(r->write->name),
                 samples, Q(str_of(e.msg)));
        count(r, 0, samples);
    }
}

static void deliver(struct remote_out *r, struct batch *b)
{
    unsigned splits = 0;

    deliver_parts(r, b, 0, b->parts.len, &splits);
}

/* --- shards --- */

static void *run_shard(void *ctx)
{
    struct shard *s = ctx;
    struct remote_out *r = s->r;

    for (;;) {
        {
            WITH_LOCK(&r->lock);
            while (!s->is_busy && !is_stopped(r)) {
                lock_wait(&r->lock);
            }
            if (is_stopped(r)) {
                return NULL;
            }
        }
        deliver(r, &s->sending);
        batch_done(&s->sending);
        WITH_LOCK(&r->lock);
        s->is_busy = false;
        lock_broadcast(&r->lock);
    }
}

/* Gives what was filled to the shard's thread, once that is free. */
static void submit(struct remote_out *r, struct shard *s)
{
    if (s->filling.samples == 0) {
        return;
    }
    WITH_LOCK(&r->lock);
    while (s->is_busy && !is_stopped(r)) {
        lock_wait(&r->lock);
    }
    if (is_stopped(r)) {
        return;
    }
    s->sending = s->filling;
    s->filling = (struct batch){.series = BUF_MAX(2 * BATCH_BYTES_MAX),
                                .symbols = BUF_MAX(2 * BATCH_BYTES_MAX)};
    s->is_busy = true;
    lock_broadcast(&r->lock);
}

static bool is_any_busy(const struct remote_out *r)
{
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        if (r->shards[i].is_busy) {
            return true;
        }
    }
    return false;
}

static void submit_all(struct remote_out *r)
{
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        submit(r, &r->shards[i]);
    }
}

static void flush(struct remote_out *r)
{
    submit_all(r);
    WITH_LOCK(&r->lock);
    while (is_any_busy(r) && !is_stopped(r)) {
        lock_wait(&r->lock);
    }
}

/* false: there is not even one. */
static bool want_shards(struct remote_out *r, uint64_t n)
{
    n = n > r->write->max_shards ? r->write->max_shards : n;
    n = n > SHARDS_MAX ? SHARDS_MAX : n < 1 ? 1 : n;
    for (size_t i = 0; i < n; i++) {
        struct shard *s = &r->shards[i];

        if (!s->has_thread) {
            s->r = r;
            batch_done(&s->filling);
            s->has_thread = pthread_create(&s->thread, NULL, run_shard, s) == 0;
            if (!s->has_thread) {
                n = i;
            }
        }
    }
    WITH_LOCK(&r->lock);
    r->n_shards = (unsigned)(n > 0 ? n : 1);
    r->counts.shards = n;
    return n > 0;
}

/* Samples wait in the log until there is somebody who sends them. */
static void begin(struct remote_out *r)
{
    int64_t backoff = r->write->min_backoff_ms;
    bool warned = false;

    while (!is_stopped(r) && !want_shards(r, r->write->min_shards)) {
        if (!warned) {
            log_error("remote_write.failed", "peer=%s no thread, trying until there is one",
                      Q(r->write->name));
        }
        warned = true;
        wait_ms(r, backoff);
        backoff = backoff * 2 > r->write->max_backoff_ms ? r->write->max_backoff_ms : backoff * 2;
    }
}

/* --- what there is to send --- */

/* With external_labels, after write_relabel_configs; 1, 0: not sent, -1. */
static int labels_to_send(struct remote_out *r, struct arena *a, struct labels *s, struct err *e)
{
    struct labels ext = r->config->external;
    struct labels all = {.p = arena_new_array(a, struct label, s->len + ext.len + 1),
                         .len = s->len};

    memcpy(all.p, s->p, s->len * sizeof(*all.p));
    for (size_t i = 0; i < ext.len; i++) {
        if (labels_get(*s, ext.p[i].name).len == 0) {
            all.p[all.len++] = ext.p[i];
        }
    }
    *s = all;
    return relabel_apply(r->write->relabel, a, s, e);
}

static void send_series(struct remote_out *r, struct labels s, const struct tsdb_followed *v,
                        size_t n)
{
    struct shard *shard = &r->shards[labels_hash(s) % r->n_shards];
    int64_t oldest = r->write->age_limit_ms > 0 ? clock_wall_ms() - r->write->age_limit_ms : 0;
    size_t at = 0;

    while (r->write->age_limit_ms > 0 && at < n && v[at].ts_ms < oldest) {
        at++;
    }
    count(r, 0, at);
    while (at < n && !is_stopped(r)) {
        size_t room = r->write->max_samples - shard->filling.samples,
               some = n - at < room ? n - at : room;

        put_series(&shard->filling, r->write->is_v2, s, v + at, some);
        at += some;
        if (shard->filling.samples == r->write->max_samples ||
            shard->filling.series.len + shard->filling.symbols.len > BATCH_BYTES_MAX) {
            submit(r, shard);
        }
    }
}

/* Late ones last, in requests of their own: a peer that takes none refuses only these. */
static int by_series(const void *a, const void *b)
{
    const struct tsdb_followed *x = a, *y = b;

    return x->late != y->late       ? (x->late ? 1 : -1)
           : x->series != y->series ? (x->series < y->series ? -1 : 1)
           : x->ts_ms < y->ts_ms    ? -1
                                    : x->ts_ms > y->ts_ms;
}

/* What is not yet with a shard's thread comes again with the piece. */
static void drop_filled(struct remote_out *r)
{
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        batch_done(&r->shards[i].filling);
    }
}

static int send_samples(struct remote_out *r, struct tsdb_followed *v, size_t n, struct err *why)
{
    struct arena a = {0};
    bool warned = false;
    int known = 1;

    if (n > 0) {
        qsort(v, n, sizeof(*v), by_series);
    }
    for (size_t at = 0, end; at < n && !is_stopped(r); at = end) {
        struct labels s;
        struct err e;
        int rc;

        for (end = at + 1; end < n && v[end].series == v[at].series && v[end].late == v[at].late;
             end++) {
        }
        if (at > 0 && v[at].late && !v[at - 1].late) {
            submit_all(r);
        }
        arena_reset(&a);
        known = tsdb_follow_labels(r->follower, v[at].series, &a, &s, why);
        if (known < 0) {
            drop_filled(r);
            break;
        }
        rc = known == 0 ? err_set(&e, ERR_IO, "damage took the labels of a series")
                        : labels_to_send(r, &a, &s, &e);
        if (rc == 1) {
            send_series(r, s, v + at, end - at);
        } else if (rc < 0) { /* others must not wait for it */
            count(r, 0, end - at);
            if (!warned) {
                log_warn("remote_write.dropped", "peer=%s error=%s going on", Q(r->write->name),
                         Q(str_of(e.msg)));
            }
            warned = true;
        }
    }
    arena_done(&a);
    return known < 0 ? -1 : 0;
}

static void written_down(int rc, const struct err *e)
{
    if (rc < 0) {
        log_warn("remote_write.position", "error=%s sending some again after a restart",
                 Q(str_of(e->msg)));
    }
}

/* What was being sent when we were killed is sent in the same requests: those that the peer has
 * already, it refuses, and loses nothing by it. */
static int send_piece(struct remote_out *r, struct tsdb_piece *piece, struct err *e)
{
    int64_t newest = 0;
    struct err why;
    int rc;

    if (tsdb_follow_read(r->follower, piece, e) < 0) {
        return -1;
    }
    if (piece->len > 0) {
        if (piece->again && piece->note > 0) {
            (void)want_shards(r, piece->note); /* the first is there */
        }
        written_down(tsdb_follow_begin(r->follower, r->n_shards, &why), &why);
    }
    for (size_t i = 0; i < piece->len; i++) {
        newest = piece->p[i].ts_ms > newest ? piece->p[i].ts_ms : newest;
    }
    rc = send_samples(r, piece->p, piece->len, e);
    flush(r);
    if (rc < 0) {
        return -1;
    }
    if (is_stopped(r)) {
        return 0; /* part of it may be sent: it is sent again */
    }
    written_down(tsdb_follow_end(r->follower, &why), &why);
    WITH_LOCK(&r->lock);
    r->counts.newest_ms = newest > r->counts.newest_ms ? newest : r->counts.newest_ms;
    return 0;
}

static void *run(void *ctx)
{
    struct remote_out *r = ctx;
    struct tsdb_piece piece = {0};

    begin(r);
    while (!is_stopped(r)) {
        struct err e;

        if (send_piece(r, &piece, &e) < 0) {
            log_warn("remote_write.read", "error=%s trying again in 5 s", Q(str_of(e.msg)));
            wait_ms(r, 5000);
        } else if (piece.more) {
            (void)want_shards(r, (uint64_t)r->n_shards * 2);
        } else {
            wait_ms(r, r->write->deadline_ms > WAIT_MIN_MS ? r->write->deadline_ms : WAIT_MIN_MS);
        }
    }
    tsdb_piece_done(&piece);
    return NULL;
}

struct remote_out *remote_out_start(const struct remote_out_options *o, struct err *e)
{
    struct remote_out *r = xnew(struct remote_out);

    client_init();
    r->follower = tsdb_follow(o->db, o->write->name);
    r->config = config_ref(o->config);
    r->write = o->write;
    lock_init(&r->lock, LOCK_discovery);
    r->url = str_dup(o->write->url);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->has_thread = pthread_create(&r->thread, NULL, run, r) == 0;
    if (!r->has_thread) {
        err_set(e, ERR_UNAVAILABLE, "remote write: no thread");
        remote_out_stop(r);
        return NULL;
    }
    return r;
}

void remote_out_stop(struct remote_out *r)
{
    uint64_t one = 1;

    if (r == NULL) {
        return;
    }
    {
        WITH_LOCK(&r->lock);
        __atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
        lock_broadcast(&r->lock);
    }
    (void)!write(r->wake_fd, &one, sizeof(one)); /* stays readable for all who wait */
    if (r->has_thread) {
        (void)pthread_join(r->thread, NULL);
    }
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        struct shard *s = &r->shards[i];

        if (s->has_thread) {
            (void)pthread_join(s->thread, NULL);
        }
        batch_done(&s->filling);
        batch_done(&s->sending);
    }
    closep(&r->wake_fd);
    lock_done(&r->lock);
    config_unref(r->config);
    free(r->url);
    free(r);
}

bool remote_out_is(const struct remote_out *r, const struct config *c,
                   const struct remote_write_config *w)
{
    return r->write->print == w->print && str_eq(r->write->name, w->name) &&
           labels_eq(r->config->external, c->external);
}

struct remote_out_counts remote_out_counts(struct remote_out *r, struct arena *a)
{
    struct remote_out_counts c;

    lock_take(&r->lock);
    c = r->counts;
    lock_drop(&r->lock);
    c.name = arena_str(a, r->write->name);
    return c;
}
