#include "scrape/scrape.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/vec.h"
#include "scrape/discovery.h"
#include "scrape/engine.h"
#include "scrape/notify.h"
#include "scrape/remote_out.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SYNC_EVERY_MS = 1000, /* discovery that tells much is heard once in a while */
    SETTLE_MS = 10000,
    LOOKBACK_MS = 5 * 60 * 1000, /* of queries */
};

/* One job: manager's thread, but what the lock guards. */
struct pool {
    struct pool_rules *rules;
    struct discovery **sd;
    size_t n_sd;
    /* guarded by the lock */
    VEC(struct loop *) loops; /* by the hash of their target */
    struct arena dropped_arena;
    struct labels *dropped;
    size_t n_dropped, n_dropped_kept;
    char error[512];
};

struct scrape {
    struct tsdb *db;
    struct engine *engine;
    struct notify *notify;
    char *file, *own;
    struct fetch_deny deny;
    pthread_t manager;
    bool has_manager;
    struct lock lock; /* of what follows, and of the engine */
    VEC(struct pool *) pools;
    struct config *config, *next; /* next: to be applied by the manager */
    VEC(struct remote_out *) writers;
    bool stop, is_dirty;
};

/* --- pools: the manager's thread --- */

static void on_discovery(void *ctx)
{
    struct scrape *s = ctx;

    WITH_LOCK(&s->lock);
    s->is_dirty = true;
    lock_broadcast(&s->lock);
}

static struct pool *pool_new(struct scrape *s, struct config *c, const struct scrape_config *job)
{
    struct pool *p = xnew(struct pool);

    p->rules = pool_rules_new(c, job, engine_readers(s->engine));
    p->sd = xnew_array(struct discovery *, job->sd.len + 1);
    for (size_t i = 0; i < job->sd.len; i++) {
        p->sd[p->n_sd++] = discovery_start(&job->sd.p[i], on_discovery, s);
    }
    return p;
}

/* Its loops are gone, or the engine is. */
static void pool_free(struct pool *p)
{
    for (size_t i = 0; i < p->n_sd; i++) {
        discovery_stop(p->sd[i]);
    }
    free(p->sd);
    vec_done(&p->loops);
    arena_done(&p->dropped_arena);
    pool_rules_unref(p->rules);
    free(p);
}

/* What discovery and relabeling say now. */
struct wanted {
    struct arena arena, dropped_arena;
    VEC(struct target) targets;
    struct labels *dropped;
    size_t n_dropped, n_kept, keeps;
    char error[512];
};

static void want_one(struct wanted *w, const struct scrape_config *job, struct labels group,
                     struct labels one)
{
    struct target t;
    struct err e;
    int r = target_make(&w->arena, job, group, one, &t, &e);

    if (r == 1) {
        *vec_push(&w->targets) = t;
        return;
    }
    if (r < 0) {
        memcpy(w->error, e.msg, sizeof(w->error));
        return;
    }
    w->n_dropped++;
    if (w->n_kept < w->keeps) {
        w->dropped[w->n_kept++] = labels_copy(&w->dropped_arena, t.discovered);
    }
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct target *)a)->hash, y = ((const struct target *)b)->hash;

    return x < y ? -1 : x > y;
}

static void want_all(struct wanted *w, struct pool *p)
{
    const struct scrape_config *job = p->rules->scrape;
    size_t seen = 0, kept = 0;

    w->keeps = job->limits.keep_dropped > 0 && job->limits.keep_dropped < LIMIT_SCRAPE_DROPPED
                   ? job->limits.keep_dropped
                   : LIMIT_SCRAPE_DROPPED;
    w->dropped = arena_new_array(&w->dropped_arena, struct labels, w->keeps + 1);
    for (size_t i = 0; i < p->n_sd; i++) {
        struct target_group *g;
        struct str error;
        size_t n;

        (void)discovery_groups(p->sd[i], &w->arena, &g, &n, &error);
        if (error.len > 0) {
            (void)snprintf(w->error, sizeof(w->error), "%.*s", STR_ARG(error));
        }
        for (size_t k = 0; k < n; k++) {
            for (size_t t = 0; t < g[k].n_targets && seen < LIMIT_SCRAPE_TARGETS; t++, seen++) {
                want_one(w, job, g[k].labels, g[k].targets[t]);
            }
        }
    }
    if (w->targets.len > 1) {
        qsort(w->targets.p, w->targets.len, sizeof(struct target), by_hash);
    }
    for (size_t i = 0; i < w->targets.len; i++) { /* the same one told twice is one */
        if (i == 0 || w->targets.p[i].hash != w->targets.p[i - 1].hash) {
            w->targets.p[kept++] = w->targets.p[i];
        }
    }
    w->targets.len = kept;
}

static void sync_pool(struct scrape *s, struct pool *p)
{
    struct wanted w = {.n_dropped = 0};
    const struct scrape_limits *limits = &p->rules->scrape->limits;
    VEC(struct loop *) now = {0};
    size_t i = 0, k = 0;

    want_all(&w, p);
    {
        WITH_LOCK(&s->lock);
        while (i < w.targets.len || k < p->loops.len) {
            uint64_t want = i < w.targets.len ? w.targets.p[i].hash : UINT64_MAX,
                     have = k < p->loops.len ? loop_target(p->loops.p[k])->hash : UINT64_MAX;

            if (k == p->loops.len || (i < w.targets.len && want < have)) {
                *vec_push(&now) = engine_add(s->engine, p->rules, &w.targets.p[i++]);
            } else if (i == w.targets.len || have < want) {
                engine_remove(s->engine, p->loops.p[k++]);
            } else {
                *vec_push(&now) = p->loops.p[k++];
                i++;
            }
        }
        vec_done(&p->loops);
        p->loops.p = now.p;
        p->loops.len = now.len;
        p->loops.cap = now.cap;
        arena_done(&p->dropped_arena);
        p->dropped_arena = w.dropped_arena;
        p->dropped = w.dropped;
        p->n_dropped = w.n_dropped;
        p->n_dropped_kept = w.n_kept;
        memcpy(p->error, w.error, sizeof(p->error));
        p->rules->is_full = limits->targets > 0 && now.len > limits->targets;
        p->rules->n_targets = now.len;
    }
    engine_wake(s->engine);
    vec_done(&w.targets);
    arena_done(&w.arena);
}

/* --- configuration --- */

static struct pool *pool_of(struct pool **pools, size_t n, const struct scrape_config *job)
{
    for (size_t i = 0; i < n; i++) {
        if (pools[i] != NULL && str_eq(pools[i]->rules->scrape->job_name, job->job_name) &&
            pools[i]->rules->scrape->print == job->print) {
            return pools[i];
        }
    }
    return NULL;
}

static void retire(struct scrape *s, struct pool *p)
{
    {
        WITH_LOCK(&s->lock);
        for (size_t i = 0; i < p->loops.len; i++) {
            engine_remove(s->engine, p->loops.p[i]);
        }
        p->loops.len = 0;
    }
    engine_wake(s->engine);
    pool_free(p);
}

/* Jobs that did not change go on as they are. */
static void apply(struct scrape *s, struct config *c)
{
    VEC(struct pool *) next = {0};
    VEC(struct pool *) old = {0};
    struct config *before;

    for (size_t i = 0; i < s->pools.len; i++) {
        *vec_push(&old) = s->pools.p[i];
    }
    for (size_t i = 0; i < c->n_scrape; i++) {
        struct pool *p = pool_of(old.p, old.len, &c->scrape[i]);

        for (size_t k = 0; p != NULL && k < old.len; k++) {
            old.p[k] = old.p[k] == p ? NULL : old.p[k];
        }
        *vec_push(&next) = p != NULL ? p : pool_new(s, c, &c->scrape[i]);
    }
    {
        WITH_LOCK(&s->lock);
        vec_done(&s->pools);
        s->pools.p = next.p;
        s->pools.len = next.len;
        s->pools.cap = next.cap;
        before = s->config;
        s->config = c;
    }
    for (size_t i = 0; i < old.len; i++) {
        if (old.p[i] != NULL) {
            retire(s, old.p[i]);
        }
    }
    vec_done(&old);
    config_unref(before);
}

/* Peers that did not change go on as they are. */
static void apply_writers(struct scrape *s, struct config *c)
{
    VEC(struct remote_out *) next = {0};
    VEC(struct remote_out *) old = {0};
    struct str *names = xnew_array(struct str, c->n_writes + 1);
    size_t kept = 0;

    {
        WITH_LOCK(&s->lock);
        old.p = s->writers.p; /* nobody sees them while they change */
        old.len = s->writers.len;
        s->writers.p = NULL;
        s->writers.len = s->writers.cap = 0;
    }
    for (size_t i = 0; i < c->n_writes; i++) {
        struct remote_out *r = NULL;

        for (size_t k = 0; k < old.len && r == NULL; k++) {
            if (old.p[k] != NULL && remote_out_is(old.p[k], c, &c->writes[i])) {
                r = TAKE(old.p[k]);
            }
        }
        *vec_push(&next) = r;
        names[i] = c->writes[i].name;
    }
    for (size_t k = 0; k < old.len; k++) { /* before others follow under their names */
        remote_out_stop(old.p[k]);
    }
    tsdb_follow_only(s->db, names, c->n_writes);
    for (size_t i = 0; i < next.len; i++) {
        struct remote_out_options o = {.db = s->db, .config = c, .write = &c->writes[i]};
        struct remote_out *r = next.p[i];
        struct err e;

        r = r != NULL ? r : remote_out_start(&o, &e);
        if (r != NULL) {
            next.p[kept++] = r;
        } else {
            log_error("remote_write.start", "error=%s", Q(str_of(e.msg)));
        }
    }
    next.len = kept;
    free(names);
    free(old.p);
    WITH_LOCK(&s->lock);
    s->writers.p = next.p;
    s->writers.len = next.len;
    s->writers.cap = next.cap;
}

static void *manage(void *ctx)
{
    struct scrape *s = ctx;
    int64_t synced_ms = 0;

    for (;;) {
        struct config *next;

        {
            WITH_LOCK(&s->lock);
            while (!s->stop && s->next == NULL && !s->is_dirty) {
                lock_wait(&s->lock);
            }
            while (!s->stop && s->next == NULL && clock_mono_ms() < synced_ms + SYNC_EVERY_MS) {
                (void)lock_wait_until(&s->lock, synced_ms + SYNC_EVERY_MS);
            }
            if (s->stop) {
                return NULL;
            }
            next = s->next;
            s->is_dirty = false;
        }
        if (next != NULL) {
            apply(s, next);
            apply_writers(s, next);
            notify_apply(s->notify, next);
        }
        for (size_t i = 0; i < s->pools.len; i++) {
            sync_pool(s, s->pools.p[i]);
        }
        notify_sync(s->notify);
        synced_ms = clock_mono_ms();
        WITH_LOCK(&s->lock);
        s->next = s->next == next ? NULL : s->next;
        lock_broadcast(&s->lock);
    }
}

/* Gives it to the manager and waits until it is in force. */
static void hand_config(struct scrape *s, struct config *c)
{
    WITH_LOCK(&s->lock);
    while (s->next != NULL && !s->stop) {
        lock_wait(&s->lock);
    }
    s->next = c;
    lock_broadcast(&s->lock);
    while (s->next == c && !s->stop) {
        lock_wait(&s->lock);
    }
}

/* --- public --- */

struct scrape *scrape_start(const struct scrape_options *o, struct err *e)
{
    SCOPED(scrape_stopp) struct scrape *s = xnew(struct scrape);
    struct config *c;

    s->db = o->db;
    s->deny = o->deny;
    lock_init(&s->lock, LOCK_scrape);
    s->file = o->config_file ? xstrdup(o->config_file) : NULL;
    s->own = o->own_config ? xstrdup(o->own_config) : NULL;
    c = config_read(s->file, s->own, &s->deny, e);
    if (c == NULL) {
        return NULL;
    }
    s->engine = engine_start(o->db, &s->lock, o->threads, e);
    if (s->engine == NULL) {
        config_unref(c);
        return NULL;
    }
    s->notify = notify_new(on_discovery, s);
    s->next = c;
    s->has_manager = pthread_create(&s->manager, NULL, manage, s) == 0;
    if (!s->has_manager) {
        err_set(e, ERR_UNAVAILABLE, "scraping: no thread");
        return NULL;
    }
    {
        WITH_LOCK(&s->lock);
        while (s->next != NULL) {
            lock_wait(&s->lock);
        }
    }
    return TAKE(s);
}

void scrape_stop(struct scrape *s)
{
    if (s == NULL) {
        return;
    }
    {
        WITH_LOCK(&s->lock);
        s->stop = true;
        lock_broadcast(&s->lock);
    }
    if (s->has_manager) {
        (void)pthread_join(s->manager, NULL);
    }
    for (size_t i = 0; i < s->writers.len; i++) {
        remote_out_stop(s->writers.p[i]);
    }
    vec_done(&s->writers);
    notify_free(s->notify);
    engine_stop(s->engine);
    for (size_t i = 0; i < s->pools.len; i++) {
        pool_free(s->pools.p[i]);
    }
    vec_done(&s->pools);
    config_unref(s->next);
    config_unref(s->config);
    lock_done(&s->lock);
    free(s->file);
    free(s->own);
    free(s);
}

int scrape_reload(struct scrape *s, struct err *e)
{
    SCOPED(freep) char *own = NULL;
    struct config *c;

    {
        WITH_LOCK(&s->lock);
        own = s->own ? xstrdup(s->own) : NULL;
    }
    c = config_read(s->file, own, &s->deny, e);
    if (c == NULL) {
        return -1;
    }
    hand_config(s, c);
    return 0;
}

int scrape_set_own(struct scrape *s, const char *own_config, struct err *e)
{
    struct config *c = config_read(s->file, own_config, &s->deny, e);
    char *old;

    if (c == NULL) {
        return -1;
    }
    {
        WITH_LOCK(&s->lock);
        old = s->own;
        s->own = own_config ? xstrdup(own_config) : NULL;
    }
    free(old);
    hand_config(s, c);
    return 0;
}

void scrape_settle(struct scrape *s)
{
    WITH_LOCK(&s->lock);
    engine_settle(s->engine, clock_wall_ms(), clock_mono_ms() + SETTLE_MS);
}

/* --- what there is --- */

static void show_loop(struct arena *a, const struct pool *p, const struct loop *l,
                      struct scrape_target *out)
{
    const struct target *t = loop_target(l);
    struct loop_state st = loop_state(l);

    *out = (struct scrape_target){
        .pool = arena_str(a, p->rules->scrape->job_name),
        .discovered = labels_copy(a, t->discovered),
        .labels = labels_copy(a, t->labels),
        .url = arena_str(a, t->url),
        .health = !st.was_scraped ? SCRAPE_UNKNOWN
                  : st.is_up      ? SCRAPE_UP
                                  : SCRAPE_DOWN,
        .error = arena_str(a, st.error),
        .last_scrape_ms = st.last_ms,
        .last_duration_sec = st.duration_sec,
        .interval_ms = t->interval_ms,
        .timeout_ms = t->timeout_ms,
        .series = st.series,
    };
}

void scrape_targets(struct scrape *s, struct arena *a, struct scrape_target **out, size_t *n)
{
    size_t room = 0, len = 0;

    WITH_LOCK(&s->lock);
    for (size_t i = 0; i < s->pools.len; i++) {
        room += s->pools.p[i]->loops.len + s->pools.p[i]->n_dropped_kept;
    }
    *out = arena_new_array(a, struct scrape_target, room + 1);
    for (size_t i = 0; i < s->pools.len; i++) {
        const struct pool *p = s->pools.p[i];

        for (size_t k = 0; k < p->loops.len; k++) {
            show_loop(a, p, p->loops.p[k], &(*out)[len++]);
        }
        for (size_t k = 0; k < p->n_dropped_kept; k++) {
            (*out)[len++] = (struct scrape_target){.pool = arena_str(a, p->rules->scrape->job_name),
                                                   .discovered = labels_copy(a, p->dropped[k]),
                                                   .is_dropped = true};
        }
    }
    *n = len;
}

void scrape_pools(struct scrape *s, struct arena *a, struct scrape_pool **out, size_t *n)
{
    WITH_LOCK(&s->lock);
    *out = arena_new_array(a, struct scrape_pool, s->pools.len + 1);
    *n = s->pools.len;
    for (size_t i = 0; i < s->pools.len; i++) {
        const struct pool *p = s->pools.p[i];

        (*out)[i] = (struct scrape_pool){arena_str(a, p->rules->scrape->job_name), p->loops.len,
                                         p->n_dropped, arena_str(a, str_of(p->error))};
    }
}

void scrape_metadata(struct scrape *s, struct str metric, size_t limit, struct arena *a,
                     struct scrape_metadata **out, size_t *n)
{
    VEC(struct scrape_metadata) list = {0};
    size_t most = limit == 0 || limit > LIMIT_SCRAPE_METADATA ? LIMIT_SCRAPE_METADATA : limit;

    {
        WITH_LOCK(&s->lock);
        for (size_t i = 0; i < s->pools.len; i++) {
            const struct pool *p = s->pools.p[i];

            for (size_t k = 0; k < p->loops.len; k++) {
                size_t len;
                const struct loop_meta *m = loop_metadata(p->loops.p[k], &len);
                struct labels target = {.len = 0};

                for (size_t j = 0; j < len && list.len < most; j++) {
                    if (metric.len > 0 && !str_eq(metric, m[j].metric)) {
                        continue;
                    }
                    if (target.len == 0) {
                        target = labels_copy(a, loop_target(p->loops.p[k])->labels);
                    }
                    *vec_push(&list) = (struct scrape_metadata){
                        arena_str(a, m[j].metric), arena_str(a, m[j].type), arena_str(a, m[j].help),
                        arena_str(a, m[j].unit), target};
                }
            }
        }
    }
    *out = arena_new_array(a, struct scrape_metadata, list.len + 1);
    *n = list.len;
    if (list.len > 0) {
        memcpy(*out, list.p, list.len * sizeof(**out));
    }
    vec_done(&list);
}

void scrape_config_text(struct scrape *s, struct buf *out)
{
    WITH_LOCK(&s->lock);
    (void)buf_add(out, s->config->text);
}

void scrape_rule_files(struct scrape *s, struct arena *a, struct str **out, size_t *n)
{
    WITH_LOCK(&s->lock);
    *n = s->config->rule_files.len;
    *out = arena_new_array(a, struct str, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        (*out)[i] = str_of(arena_strdup(a, s->config->rule_files.p[i]));
    }
}

struct labels scrape_external_labels(struct scrape *s, struct arena *a)
{
    WITH_LOCK(&s->lock);
    return labels_copy(a, s->config->external);
}

void scrape_alert(struct scrape *s, const struct scrape_alert *alert)
{
    notify_alert(s->notify, alert);
}

void scrape_alertmanagers(struct scrape *s, struct arena *a, struct scrape_alertmanager **out,
                          size_t *n)
{
    notify_managers(s->notify, a, out, n);
}

int64_t scrape_evaluation_interval_ms(struct scrape *s)
{
    WITH_LOCK(&s->lock);
    return s->config->evaluation_ms;
}

static void writer_row(struct buf *out, const char *name, struct str peer, uint64_t v)
{
    (void)buf_printf(out, "%s{peer=\"", name);
    for (size_t i = 0; i < peer.len; i++) {
        (void)buf_printf(out, peer.p[i] == '"' || peer.p[i] == '\\' ? "\\%c" : "%c", peer.p[i]);
    }
    (void)buf_printf(out, "\"} %llu\n", (unsigned long long)v);
}

static void writer_metrics(struct scrape *s, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        {"strata_remote_write_samples_total", "counter", "Samples that the peer took."},
        {"strata_remote_write_samples_dropped_total", "counter",
         "Samples that the peer refused, or that were too old to be sent."},
        {"strata_remote_write_retries_total", "counter", "Requests that were sent again."},
        {"strata_remote_write_shards", "gauge", "Requests that may be under way at once."},
        {"strata_remote_write_newest_ms", "gauge", "Time (Unix, ms) of the newest sample sent."},
        {"strata_remote_write_waiting_bytes", "gauge", "Of the log, not yet sent."},
        {"strata_remote_write_lost_bytes_total", "counter",
         "Of the log, dropped before the peer had it: more than metrics.remote_write_backlog."},
    };
    SCOPED(arena_done) struct arena a = {0};
    struct remote_out_counts *c;
    struct tsdb_behind *behind;
    size_t n = 0;

    {
        WITH_LOCK(&s->lock);
        c = arena_new_array(&a, struct remote_out_counts, s->writers.len + 1);
        for (; n < s->writers.len; n++) {
            c[n] = remote_out_counts(s->writers.p[n], &a);
        }
    }
    behind = arena_new_array(&a, struct tsdb_behind, n + 1);
    for (size_t i = 0; i < n; i++) {
        behind[i] = tsdb_follow_behind(s->db, c[i].name);
    }
    for (size_t i = 0; n > 0 && i < ARRAY_LEN(rows); i++) {
        metric_head(out, rows[i].name, rows[i].type, rows[i].help);
        for (size_t k = 0; k < n; k++) {
            const uint64_t values[] = {c[k].sent,
                                       c[k].dropped,
                                       c[k].retries,
                                       c[k].shards,
                                       (uint64_t)c[k].newest_ms,
                                       behind[k].waiting_bytes,
                                       behind[k].lost_bytes};

            writer_row(out, rows[i].name, c[k].name, values[i]);
        }
    }
}

void scrape_metrics(struct scrape *s, struct buf *out)
{
    struct engine_counts c;
    int64_t targets = 0, pools;

    {
        WITH_LOCK(&s->lock);
        c = engine_counts(s->engine);
        pools = (int64_t)s->pools.len;
        for (size_t i = 0; i < s->pools.len; i++) {
            targets += (int64_t)s->pools.p[i]->loops.len;
        }
    }
    metric_one(out, "strata_scrape_pools", "gauge", "Jobs of the scrape configuration.", pools);
    metric_one(out, "strata_scrape_targets", "gauge", "Targets that are asked.", targets);
    metric_one(out, "strata_scrapes_total", "counter", "Scrapes that ended, well or badly.",
               (int64_t)c.scrapes);
    metric_one(out, "strata_scrapes_failed_total", "counter",
               "Scrapes that brought nothing: the target was down, or its page wrong.",
               (int64_t)c.failed);
    metric_one(out, "strata_scrapes_late_total", "counter",
               "Scrapes left out because the one before was not done.", (int64_t)c.late);
    metric_one(out, "strata_scrape_samples_total", "counter", "Samples of good pages.",
               (int64_t)c.samples);
    metric_one(out, "strata_scrape_samples_too_old_total", "counter",
               "Samples not taken: older than the out-of-order window.", (int64_t)c.too_old);
    metric_one(out, "strata_scrape_samples_out_of_order_total", "counter",
               "Samples not taken: older than the newest of their series.",
               (int64_t)c.out_of_order);
    metric_one(out, "strata_scrape_samples_duplicate_total", "counter",
               "Samples not taken: another value of the same time is there.", (int64_t)c.duplicate);
    metric_one(out, "strata_scrape_samples_over_series_limit_total", "counter",
               "Samples not taken: the store has as many series as it may.",
               (int64_t)c.too_many_series);
    writer_metrics(s, out);
    notify_metrics(s->notify, out);
}

/* Where the next sample comes later than a query looks back. */
static void check_intervals(const struct config *c, struct err_list *slow)
{
    for (size_t i = 0; i < c->n_scrape; i++) {
        const struct scrape_config *s = &c->scrape[i];
        char every[32];

        if (s->interval_ms > LOOKBACK_MS) {
            err_list_add(slow, s->line, 0, "scrape_interval",
                         "job %s is asked every %s, and a query looks back 5 minutes: its series "
                         "have gaps",
                         Q(s->job_name), clock_format_duration(s->interval_ms, every));
        }
    }
}

int scrape_check(const char *file, struct buf *out, struct arena *a, struct scrape_checked *checked,
                 struct err *e)
{
    SCOPED(err_list_done) struct err_list all = {0};
    struct config *c;

    (void)buf_printf(out, "Checking %s\n", file);
    c = config_read(file, NULL, NULL, e);
    if (c == NULL) {
        config_mistakes(file, &all);
        (void)buf_printf(out, "  FAILED: %s\n", e->msg);
        for (size_t i = 0; i < all.len; i++) {
            if (strcmp(all.items[i].msg, e->msg) != 0) {
                (void)buf_printf(out, "  FAILED: %s\n", all.items[i].msg);
            }
        }
        (void)buf_add(out, all.dropped > 0 ? STR("  and more\n\n") : STR("\n"));
        return -1;
    }
    checked->n_rules = c->rule_files.len;
    checked->rules = arena_new_array(a, struct str, c->rule_files.len + 1);
    for (size_t i = 0; i < c->rule_files.len; i++) {
        checked->rules[i] = str_of(arena_strdup(a, c->rule_files.p[i]));
    }
    if (c->rule_files.len > 0) {
        (void)buf_printf(out, "  SUCCESS: %zu rule files found\n", c->rule_files.len);
    }
    check_intervals(c, &checked->slow);
    (void)buf_printf(out, " SUCCESS: %s is valid prometheus config file syntax\n\n", file);
    config_unref(c);
    return 0;
}
