#include "scrape/remote_out.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "scrape/client.h"
#include "scrape/proto.h"
#include "scrape/snappy.h"
#include "tsdb/tsdb.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    SHARDS_MAX = 16,
    WINDOW_MS = 60000, /* read at once, when much is left to send */
    BEHIND_MS = 500,   /* commits of the moment */
    BATCH_BYTES_MAX = 16 * 1024 * 1024
};

/* A request that is being filled. */
struct batch {
    struct buf series, symbols; /* symbols: version 2 */
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
    struct tsdb *db;
    struct config *config;
    const struct remote_write_config *write;
    int64_t (*safe_ms)(void *ctx);
    void *ctx;
    char *path, *url;
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

static void put_series(struct batch *b, bool is_v2, struct labels s, const struct tsdb_samples *v,
                       size_t from, size_t n)
{
    struct buf series = BUF_MAX(BATCH_BYTES_MAX), one = BUF_MAX(64);

    put_labels(b, is_v2, s, &series);
    for (size_t i = from; i < from + n; i++) {
        buf_clear(&one);
        proto_put_double(&one, 1, v->v[i]);
        proto_put_int(&one, 2, (uint64_t)v->ts_ms[i]);
        proto_put_bytes(&series, 2, buf_str(&one));
    }
    proto_put_bytes(&b->series, is_v2 ? 5 : 1, buf_str(&series));
    b->samples += n;
    buf_done(&series);
    buf_done(&one);
}

static void batch_done(struct batch *b)
{
    buf_done(&b->series);
    buf_done(&b->symbols);
    map_done(&b->refs);
    *b = (struct batch){.series = BUF_MAX(2 * BATCH_BYTES_MAX),
                        .symbols = BUF_MAX(2 * BATCH_BYTES_MAX)};
}

/* One try. 0; -1 with `again`: whether another may help. */
static int post(struct remote_out *r, struct str body, bool *again, int64_t *after_ms,
                struct err *e)
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
            rc = err_set(e, err_kind_of_http((int)status), "the peer answers %ld: %.*s", status,
                         STR_ARG(str_first(buf_str(&c.body), 200)));
        }
    }
    *after_ms = after > 0 && after < 3600 ? (int64_t)after * 1000 : 0;
    client_done(&c);
    curl_easy_cleanup(c.curl);
    return rc;
}

/* Until the peer has it, does not want it, or we end. */
static void deliver(struct remote_out *r, struct batch *b)
{
    struct buf packed = BUF_MAX(4 * BATCH_BYTES_MAX);
    int64_t backoff = r->write->min_backoff_ms, after;
    bool again = true, warned = false;
    struct err e;

    (void)buf_add(&b->symbols, buf_str(&b->series));
    snappy_pack(buf_str(&b->symbols), &packed);
    while (again && !is_stopped(r)) {
        int rc = post(r, buf_str(&packed), &again, &after, &e);

        if (rc == 0 || !again) {
            if (rc < 0) {
                log_warn("remote_write.dropped", "peer=%s samples=%zu error=%s going on",
                         Q(r->write->name), b->samples, Q(str_of(e.msg)));
            }
            WITH_LOCK(&r->lock);
            r->counts.sent += rc == 0 ? b->samples : 0;
            r->counts.dropped += rc < 0 ? b->samples : 0;
            break;
        }
        if (!warned && !is_stopped(r)) {
            warned = true;
            log_warn("remote_write.retry", "peer=%s error=%s trying until it takes it",
                     Q(r->write->name), Q(str_of(e.msg)));
        }
        {
            WITH_LOCK(&r->lock);
            r->counts.retries++;
        }
        wait_ms(r, after > 0 ? after : backoff);
        backoff = backoff * 2 > r->write->max_backoff_ms ? r->write->max_backoff_ms : backoff * 2;
    }
    buf_done(&packed);
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

static void flush(struct remote_out *r)
{
    for (size_t i = 0; i < r->n_shards; i++) {
        submit(r, &r->shards[i]);
    }
    WITH_LOCK(&r->lock);
    while (is_any_busy(r) && !is_stopped(r)) {
        lock_wait(&r->lock);
    }
}

static void want_shards(struct remote_out *r, uint64_t n)
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

static void send_series(struct remote_out *r, struct labels s, const struct tsdb_samples *v)
{
    struct shard *shard = &r->shards[labels_hash(s) % r->n_shards];
    int64_t oldest = r->write->age_limit_ms > 0 ? clock_wall_ms() - r->write->age_limit_ms : 0;
    size_t at = 0;

    while (at < v->len && v->ts_ms[at] < oldest) {
        at++;
    }
    {
        WITH_LOCK(&r->lock);
        r->counts.dropped += at;
    }
    while (at < v->len && !is_stopped(r)) {
        size_t room = r->write->max_samples - shard->filling.samples,
               n = v->len - at < room ? v->len - at : room;

        put_series(&shard->filling, r->write->is_v2, s, v, at, n);
        at += n;
        if (shard->filling.samples == r->write->max_samples ||
            shard->filling.series.len > BATCH_BYTES_MAX) {
            submit(r, shard);
        }
    }
}

static int send_window(struct remote_out *r, int64_t from, int64_t to, struct err *e)
{
    struct arena a = {0}, one = {0};
    SCOPED(tsdb_view_closep) struct tsdb_view *view = tsdb_view_open(r->db, from, to);
    struct label_matcher m;
    struct tsdb_found *found;
    struct tsdb_samples v = {0};
    size_t n = 0;
    int rc = label_matcher_init(&m, &a, STR(LABEL_NAME), LABEL_IS_NOT, STR(""), e) < 0 ||
                     tsdb_select(view, &m, 1, &a, &found, &n, e) < 0
                 ? -1
                 : 0;

    tsdb_view_selected(view); /* the peer may be away for days */
    for (size_t i = 0; rc == 0 && i < n && !is_stopped(r); i++) {
        struct labels s = found[i].labels;

        rc = tsdb_read(view, &found[i], from, to, &v, e);
        if (rc == 0 && v.len > 0) {
            arena_reset(&one);
            rc = labels_to_send(r, &one, &s, e);
            if (rc == 1) {
                send_series(r, s, &v);
            }
            rc = rc < 0 ? -1 : 0;
        }
    }
    tsdb_samples_done(&v);
    arena_done(&one);
    arena_done(&a);
    if (rc == 0) {
        flush(r);
    }
    return rc;
}

/* --- how far the peer has it --- */

static int64_t read_position(const struct remote_out *r)
{
    struct buf b = BUF_MAX(64);
    struct err e;
    uint64_t ms = 0;
    bool is_there = fs_read(AT_FDCWD, r->path, &b, &e) == 0;

    while (b.len > 0 && b.p[b.len - 1] == '\n') {
        b.len--;
    }
    if (!is_there || str_to_u64(buf_str(&b), &ms) < 0 || ms > (uint64_t)clock_wall_ms()) {
        ms = (uint64_t)clock_wall_ms(); /* a new peer gets what is new */
    }
    buf_done(&b);
    return (int64_t)ms;
}

static void write_position(struct remote_out *r, int64_t ms)
{
    char text[32];
    struct err e;

    (void)snprintf(text, sizeof(text), "%lld\n", (long long)ms);
    if (fs_write_atomic(AT_FDCWD, r->path, str_of(text), 0600, &e) < 0) {
        log_warn("remote_write.position", "error=%s sending some again after a restart",
                 Q(str_of(e.msg)));
    }
    WITH_LOCK(&r->lock);
    r->counts.position_ms = ms;
}

static int64_t sendable_until(struct remote_out *r)
{
    int64_t safe = r->safe_ms(r->ctx), now = clock_wall_ms() - BEHIND_MS;

    return safe < now ? safe : now;
}

static void *run(void *ctx)
{
    struct remote_out *r = ctx;
    int64_t position = read_position(r);

    write_position(r, position);
    want_shards(r, r->write->min_shards);
    while (!is_stopped(r)) {
        int64_t to = sendable_until(r), began;
        struct err e;

        if (to - position < r->write->deadline_ms) {
            wait_ms(r, r->write->deadline_ms - (to - position));
            to = sendable_until(r);
        }
        to = to > position + WINDOW_MS ? position + WINDOW_MS : to;
        if (to <= position || is_stopped(r)) {
            wait_ms(r, BEHIND_MS);
            continue;
        }
        began = clock_mono_ms();
        if (send_window(r, position, to, &e) < 0) {
            log_warn("remote_write.read", "error=%s trying again in 5 s", Q(str_of(e.msg)));
            wait_ms(r, 5000);
            continue;
        }
        if (is_stopped(r)) { /* part of it may be sent: it is sent again */
            break;
        }
        if (clock_mono_ms() - began > (to - position) / 2) {
            want_shards(r, (uint64_t)r->n_shards * 2);
        }
        position = to;
        write_position(r, position);
    }
    return NULL;
}

struct remote_out *remote_out_start(const struct remote_out_options *o, struct err *e)
{
    struct remote_out *r = xnew(struct remote_out);

    client_init();
    r->db = o->db;
    r->config = config_ref(o->config);
    r->write = o->write;
    r->safe_ms = o->safe_ms;
    r->ctx = o->ctx;
    lock_init(&r->lock, LOCK_discovery);
    r->url = str_dup(o->write->url);
    r->path = xasprintf("%s/%.*s.position", o->dir, STR_ARG(str_first(o->write->name, 100)));
    for (char *p = r->path + strlen(o->dir) + 1; *p != '\0'; p++) {
        *p = *p == '/' ? '_' : *p;
    }
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->counts.name = o->write->name;
    r->has_thread = pthread_create(&r->thread, NULL, run, r) == 0;
    if (!r->has_thread) {
        err_sys(e, "remote write: no thread");
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
    free(r->path);
    free(r->url);
    free(r);
}

bool remote_out_is(const struct remote_out *r, const struct config *c,
                   const struct remote_write_config *w)
{
    return r->write->print == w->print && str_eq(r->write->name, w->name) &&
           labels_eq(r->config->external, c->external);
}

struct remote_out_counts remote_out_counts(struct remote_out *r)
{
    WITH_LOCK(&r->lock);
    return r->counts;
}
