#include "scrape/engine.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/vec.h"
#include "scrape/client.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN_MS = 2, REPORTS = 8, SLOW_POLL_MS = 1000 };

enum loop_phase { LOOP_IDLE, LOOP_FETCHING, LOOP_READING };

struct loop {
    struct engine *g;
    struct pool_rules *pool;
    struct arena arena;
    struct target target;
    struct list all, news, gone, queue; /* guarded by the lock */
    bool is_leaving;                    /* guarded: whoever has it next ends it */
    enum loop_phase phase;              /* guarded */

    /* I/O thread */
    size_t heap_at;
    bool in_heap;
    int64_t due_ms;
    struct client_call *call;

    /* whoever has it */
    int64_t ts_ms, start_us;
    struct buf body;
    size_t body_hint;
    char type[128];
    bool has_answer;
    struct err error; /* why there is none */
    struct page_memory *memory;
    tsdb_ref reports[REPORTS];

    struct loop_state state; /* guarded; `error` points at: */
    char last_error[512];
    struct arena meta_arena; /* guarded */
    struct loop_meta *meta;
    size_t n_meta;
};

struct engine {
    struct tsdb *db;
    struct lock *lock;
    unsigned n_readers;
    pthread_t io, readers[ENGINE_READERS_MAX];
    unsigned started;  /* readers */
    unsigned settling; /* guarded: how many wait for scrapes to end */
    bool has_io, stop;
    CURLM *multi;
    struct list all, news, gone, queue; /* guarded */
    size_t n_loops;
    struct engine_counts counts; /* guarded */
    VEC(struct loop *) heap;     /* I/O thread, by due_ms */
    VEC(struct client_call *) spare;
};

struct reader {
    struct engine *g;
    unsigned index;
};

/* --- rules of a pool --- */

struct pool_rules *pool_rules_new(struct config *c, const struct scrape_config *s, unsigned readers)
{
    struct pool_rules *p = xnew(struct pool_rules);

    p->refs = 1;
    p->config = config_ref(c);
    p->scrape = s;
    for (unsigned i = 0; i < readers; i++) {
        p->relabel[i] = relabel_copy(&p->arena, s->metric_relabel);
    }
    return p;
}

void pool_rules_unref(struct pool_rules *p)
{
    if (p != NULL && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_done(&p->arena);
        config_unref(p->config);
        free(p);
    }
}

/* --- the heap of due loops --- */

static void heap_set(struct engine *g, size_t i, struct loop *l)
{
    g->heap.p[i] = l;
    l->heap_at = i;
}

static void heap_up(struct engine *g, size_t i)
{
    struct loop *l = g->heap.p[i];

    while (i > 0 && g->heap.p[(i - 1) / 2]->due_ms > l->due_ms) {
        heap_set(g, i, g->heap.p[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(g, i, l);
}

static void heap_down(struct engine *g, size_t i)
{
    struct loop *l = g->heap.p[i];

    for (;;) {
        size_t k = 2 * i + 1;

        if (k + 1 < g->heap.len && g->heap.p[k + 1]->due_ms < g->heap.p[k]->due_ms) {
            k++;
        }
        if (k >= g->heap.len || g->heap.p[k]->due_ms >= l->due_ms) {
            break;
        }
        heap_set(g, i, g->heap.p[k]);
        i = k;
    }
    heap_set(g, i, l);
}

static void heap_add(struct engine *g, struct loop *l)
{
    *vec_push(&g->heap) = l;
    l->in_heap = true;
    heap_up(g, g->heap.len - 1);
}

static void heap_remove(struct engine *g, struct loop *l)
{
    struct loop *last = g->heap.p[--g->heap.len];
    size_t at = l->heap_at;

    l->in_heap = false;
    if (last != l) {
        heap_set(g, at, last);
        heap_up(g, at);
        heap_down(g, last->heap_at);
    }
}

/* The first tick after `now`: targets of one interval are spread over it by their hash. */
static int64_t next_tick(const struct loop *l, int64_t now)
{
    int64_t every = l->target.interval_ms;
    int64_t offset = (int64_t)(l->target.hash % (uint64_t)every);
    int64_t tick = now - now % every + offset;

    return tick > now ? tick : tick + every;
}

/* --- fetching --- */

static void accept_header(struct client_call *c, const struct scrape_config *s)
{
    static const struct {
        const char *name, *type;
        bool escapes;
    } known[] = {{"OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0", true},
                 {"OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1", false},
                 {"PrometheusText1.0.0", "text/plain;version=1.0.0", true},
                 {"PrometheusText0.0.4", "text/plain;version=0.0.4", false}};
    struct buf b = BUF_MAX(1024);
    size_t n = s->protocols.len > 0 ? s->protocols.len : ARRAY_LEN(known);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            bool is_it = s->protocols.len > 0 ? str_eq_c(s->protocols.p[i], known[k].name) : i == k;

            if (is_it) {
                (void)buf_printf(
                    &b, "%s%s%.*s;q=0.%zu,", known[k].type, known[k].escapes ? ";escaping=" : "",
                    known[k].escapes ? (int)s->escaping.len : 0, s->escaping.p, n + 1 - i);
            }
        }
    }
    (void)client_header(c, "Accept: %s*/*;q=0.1", b.p != NULL ? b.p : "");
    buf_done(&b);
}

static int begin(struct loop *l, struct err *e)
{
    const struct scrape_config *s = l->pool->scrape;
    struct client_call *c = l->call;
    size_t max =
        s->limits.body_bytes > 0 && (uint64_t)s->limits.body_bytes < LIMIT_SCRAPE_BODY_BYTES
            ? (size_t)s->limits.body_bytes
            : LIMIT_SCRAPE_BODY_BYTES;

    if (c->curl == NULL) {
        return err_set(e, ERR_INTERNAL, "libcurl does not start");
    }
    if (client_prepare(c, &s->http, max, e) < 0) {
        return -1;
    }
    accept_header(c, s);
    (void)client_header(c, "X-Prometheus-Scrape-Timeout-Seconds: %g",
                        (double)l->target.timeout_ms / 1000);
    if (l->body_hint > 0 && l->body_hint + l->body_hint / 16 < max) {
        (void)buf_reserve(&c->body, l->body_hint + l->body_hint / 16);
    }
    if (client_go_to(c, l->target.url.p, e) < 0) {
        return -1;
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)l->target.timeout_ms);
    (void)curl_easy_setopt(c->curl, CURLOPT_PRIVATE, l);
    if (s->enable_compression) {
        (void)curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    return curl_multi_add_handle(l->g->multi, c->curl) == CURLM_OK
               ? 0
               : err_set(e, ERR_INTERNAL, "libcurl takes no more transfers");
}

/* The answer is there, or the reason why not: a reader goes on. */
static void hand_over(struct loop *l)
{
    struct engine *g = l->g;

    if (l->call != NULL) {
        l->body = l->call->body;
        l->call->body = BUF_MAX(0);
        memcpy(l->type, l->call->type, sizeof(l->type));
        client_done(l->call);
        *vec_push(&g->spare) = TAKE(l->call);
    }
    WITH_LOCK(g->lock);
    l->phase = LOOP_READING;
    list_append(&g->queue, &l->queue);
    lock_broadcast(g->lock);
}

static void start(struct loop *l, int64_t now)
{
    struct engine *g = l->g;
    int64_t off = now - l->due_ms,
            near = l->target.interval_ms / 100 < ALIGN_MS ? l->target.interval_ms / 100 : ALIGN_MS;

    l->start_us = clock_mono_us();
    l->has_answer = false;
    if (g->spare.len > 0) {
        l->call = g->spare.p[--g->spare.len];
    } else {
        l->call = xnew(struct client_call);
        l->call->curl = curl_easy_init();
    }
    bool is_full;
    size_t n_targets;

    {
        WITH_LOCK(g->lock);
        l->phase = LOOP_FETCHING;
        l->ts_ms = off <= near ? l->due_ms : now;
        is_full = l->pool->is_full;
        n_targets = l->pool->n_targets;
    }
    if (is_full) {
        err_set(&l->error, ERR_LIMIT, "target_limit exceeded (number of targets: %zu, limit: %llu)",
                n_targets, (unsigned long long)l->pool->scrape->limits.targets);
    }
    if (is_full || begin(l, &l->error) < 0) {
        hand_over(l);
    }
}

static void take_due(struct engine *g, int64_t now)
{
    while (g->heap.len > 0 && g->heap.p[0]->due_ms <= now) {
        struct loop *l = g->heap.p[0];
        bool is_idle;

        {
            WITH_LOCK(g->lock);
            is_idle = l->phase == LOOP_IDLE;
            g->counts.late += !is_idle;
        }
        if (is_idle) {
            start(l, now);
        }
        l->due_ms = next_tick(l, now > l->due_ms ? now : l->due_ms);
        heap_down(g, 0);
    }
}

/* The clock went back: nobody waits longer than an interval. */
static void mind_the_clock(struct engine *g, int64_t now)
{
    if (g->heap.len == 0 || g->heap.p[0]->due_ms - now <= g->heap.p[0]->target.interval_ms) {
        return;
    }
    for (size_t i = 0; i < g->heap.len; i++) {
        g->heap.p[i]->due_ms = next_tick(g->heap.p[i], now);
    }
    for (size_t i = g->heap.len; i-- > 0;) {
        heap_down(g, i);
    }
}

static void take_answers(struct engine *g)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(g->multi, &left)) != NULL) {
        char *private = NULL;
        CURLcode code = msg->data.result;
        struct loop *l;

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        l = (struct loop *)(void *)private;
        l->has_answer = client_result(l->call, code, &l->error) == 0;
        (void)curl_multi_remove_handle(g->multi, l->call->curl);
        hand_over(l);
    }
}

/* Loops that came and those that shall go. */
static void take_changes(struct engine *g, int64_t now)
{
    struct list news, gone;

    list_init(&news);
    list_init(&gone);
    {
        WITH_LOCK(g->lock);
        list_each(i, &g->news)
        {
            list_remove(i);
            list_append(&news, i);
        }
        list_each(i, &g->gone)
        {
            list_remove(i);
            list_append(&gone, i);
        }
    }
    list_each(i, &news)
    {
        struct loop *l = list_entry(i, struct loop, news);

        list_remove(i);
        l->due_ms = next_tick(l, now);
        heap_add(g, l);
        (void)curl_multi_setopt(g->multi, CURLMOPT_MAXCONNECTS, (long)g->heap.len + 8);
    }
    list_each(i, &gone)
    {
        struct loop *l = list_entry(i, struct loop, gone);
        bool is_read;

        list_remove(i);
        heap_remove(g, l);
        {
            WITH_LOCK(g->lock);
            l->is_leaving = true;
            is_read = l->phase == LOOP_READING; /* its reader ends it */
        }
        if (is_read) {
            continue;
        }
        if (l->call != NULL) {
            (void)curl_multi_remove_handle(g->multi, l->call->curl);
        }
        l->start_us = 0; /* no scrape: only the end */
        hand_over(l);
    }
}

static void *run_io(void *ctx)
{
    struct engine *g = ctx;

    while (!__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
        int64_t now = clock_wall_ms(), wait;
        int running;

        take_changes(g, now);
        mind_the_clock(g, now);
        take_due(g, now);
        (void)curl_multi_perform(g->multi, &running);
        take_answers(g);
        wait = g->heap.len > 0 ? g->heap.p[0]->due_ms - clock_wall_ms() : SLOW_POLL_MS;
        wait = wait < 0 ? 0 : wait > SLOW_POLL_MS ? SLOW_POLL_MS : wait;
        (void)curl_multi_poll(g->multi, NULL, 0, (int)wait, NULL);
    }
    return NULL;
}

/* --- reading --- */

static const char *const report_names[REPORTS] = {"up",
                                                  "scrape_duration_seconds",
                                                  "scrape_samples_scraped",
                                                  "scrape_samples_post_metric_relabeling",
                                                  "scrape_series_added",
                                                  "scrape_timeout_seconds",
                                                  "scrape_sample_limit",
                                                  "scrape_body_size_bytes"};

static void report_one(struct loop *l, struct tsdb_appender *a, size_t i, double v)
{
    if (l->reports[i] != 0 && tsdb_append(a, l->reports[i], l->ts_ms, v) != TSDB_GONE) {
        return;
    }
    {
        struct label list[LIMIT_SERIES_LABELS + 1];
        struct labels s = {list, 0};
        struct err ignored;

        list[s.len++] = (struct label){STR(LABEL_NAME), str_of(report_names[i])};
        for (size_t k = 0; k < l->target.labels.len && s.len < LIMIT_SERIES_LABELS; k++) {
            list[s.len++] = l->target.labels.p[k];
        }
        if (labels_normalize(&s, &ignored) < 0) {
            return;
        }
        l->reports[i] = tsdb_series(a, s);
    }
    if (l->reports[i] != 0) {
        (void)tsdb_append(a, l->reports[i], l->ts_ms, v);
    }
}

static void report(struct loop *l, struct tsdb_appender *a, const struct page_counts *c, bool is_up,
                   double seconds, size_t body_bytes)
{
    const struct scrape_config *s = l->pool->scrape;

    report_one(l, a, 0, is_up);
    report_one(l, a, 1, seconds);
    report_one(l, a, 2, (double)c->scraped);
    report_one(l, a, 3, (double)c->kept);
    report_one(l, a, 4, (double)c->added);
    if (s->extra_metrics) {
        report_one(l, a, 5, (double)l->target.timeout_ms / 1000);
        report_one(l, a, 6, (double)s->limits.samples);
        report_one(l, a, 7, is_up ? (double)body_bytes : -1);
    }
}

static int format_of(const struct loop *l, enum exposition_format *out, struct err *e)
{
    struct str fallback = l->pool->scrape->fallback;

    if (exposition_format_of(str_of(l->type), out, e) == 0) {
        return 0;
    }
    if (fallback.len == 0) {
        return -1;
    }
    *out = str_starts(fallback, STR("OpenMetrics")) ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
    return 0;
}

/* TYPE, HELP and UNIT of a page, for people: by name, what is said first counts. */
static void keep_metadata(struct loop *l, enum exposition_format format)
{
    struct arena a = {0};
    struct exposition x;
    VEC(struct loop_meta) list = {0};
    struct err ignored;
    int kind;

    exposition_init(&x, buf_str(&l->body), format);
    while ((kind = exposition_next(&x, &ignored)) > 0) {
        struct loop_meta *m = list.len > 0 ? &list.p[list.len - 1] : NULL;

        if (kind == EXPOSITION_SAMPLE) {
            continue;
        }
        if (m == NULL || !str_eq(m->metric, x.name)) {
            if (list.len == LIMIT_SCRAPE_TARGET_METADATA) {
                break;
            }
            m = vec_push(&list);
            *m = (struct loop_meta){arena_str(&a, x.name), STR("unknown"), STR_EMPTY, STR_EMPTY};
        }
        if (kind == EXPOSITION_TYPE) {
            m->type = str_eq_c(x.text, "untyped") ? STR("unknown") : arena_str(&a, x.text);
        } else if (kind == EXPOSITION_HELP) {
            m->help = arena_str(&a, x.text);
        } else {
            m->unit = arena_str(&a, x.text);
        }
    }
    WITH_LOCK(l->g->lock);
    arena_done(&l->meta_arena);
    free(l->meta);
    l->meta_arena = a;
    l->meta = list.p;
    l->n_meta = list.len;
}

static void loop_free(struct loop *l)
{
    page_memory_free(l->memory);
    buf_done(&l->body);
    arena_done(&l->arena);
    arena_done(&l->meta_arena);
    free(l->meta);
    pool_rules_unref(l->pool);
    free(l);
}

/* Markers for everything it had, and it is no more. */
static void end_loop(struct loop *l)
{
    struct engine *g = l->g;
    struct tsdb_appender *a = tsdb_appender_new(g->db);
    int64_t now = clock_wall_ms();
    struct err e;

    l->ts_ms = now > l->ts_ms ? now : l->ts_ms + 1;
    page_end(l->memory, a, l->ts_ms);
    for (size_t i = 0; i < REPORTS; i++) {
        if (l->reports[i] != 0) {
            (void)tsdb_append(a, l->reports[i], l->ts_ms, tsdb_stale());
        }
    }
    if (tsdb_commit(a, TSDB_SOON, &e) < 0) {
        log_warn("scrape.end", "error=%s the series of a target that went end later",
                 Q(str_of(e.msg)));
    }
    tsdb_appender_free(a);
    {
        WITH_LOCK(g->lock);
        list_remove(&l->all);
        g->n_loops--;
        if (g->settling > 0) {
            lock_broadcast(g->lock);
        }
    }
    loop_free(l);
}

static void publish(struct loop *l, const struct page_counts *c, bool is_up, double seconds)
{
    struct engine_counts *n = &l->g->counts;

    l->state.was_scraped = true;
    l->state.is_up = is_up;
    l->state.last_ms = l->ts_ms;
    l->state.duration_sec = seconds;
    l->state.series = page_memory_series(l->memory);
    memcpy(l->last_error, is_up ? "" : l->error.msg, is_up ? 1 : sizeof(l->last_error));
    n->scrapes++;
    n->failed += !is_up;
    n->samples += is_up ? c->kept : 0;
    n->too_old += c->too_old;
    n->out_of_order += c->out_of_order;
    n->duplicate += c->duplicate;
    n->too_many_series += c->too_many_series;
}

static void read_answer(struct loop *l, unsigned reader)
{
    struct engine *g = l->g;
    struct page_rules rules = {l->target.labels, l->pool->scrape, l->pool->relabel[reader]};
    struct tsdb_appender *a = tsdb_appender_new(g->db);
    struct page_counts c = {0};
    enum exposition_format format = EXPOSITION_TEXT;
    bool is_up = l->has_answer && format_of(l, &format, &l->error) == 0, has_meta = false;
    double seconds;

    if (is_up && page_read(l->memory, a, &rules, buf_str(&l->body), format, l->ts_ms, &c, &has_meta,
                           &l->error) < 0) {
        is_up = false;
        page_settle(l->memory, false);
    } else if (is_up) {
        page_settle(l->memory, true);
    }
    if (!is_up) {
        tsdb_appender_free(a);
        a = tsdb_appender_new(g->db);
        page_end(l->memory, a, l->ts_ms);
    }
    seconds = (double)(clock_mono_us() - l->start_us) / 1e6;
    report(l, a, &c, is_up, seconds, l->body.len);
    if (tsdb_commit(a, TSDB_SOON, &l->error) < 0) {
        (void)err_wrap(&l->error, "the store does not take it");
        is_up = false;
    }
    tsdb_appender_free(a);
    if (is_up && has_meta) {
        keep_metadata(l, format);
    }
    l->body_hint = l->body.len;
    buf_done(&l->body);
    WITH_LOCK(g->lock);
    publish(l, &c, is_up, seconds);
}

static void *run_reader(void *ctx)
{
    struct reader r = *(struct reader *)ctx;
    struct engine *g = r.g;

    free(ctx);
    for (;;) {
        struct loop *l = NULL;
        bool is_leaving;

        {
            WITH_LOCK(g->lock);
            while (list_empty(&g->queue) && !g->stop) {
                lock_wait(g->lock);
            }
            if (g->stop) {
                return NULL;
            }
            l = list_entry(g->queue.next, struct loop, queue);
            list_remove(&l->queue);
        }
        if (l->start_us != 0) {
            read_answer(l, r.index);
        }
        {
            WITH_LOCK(g->lock);
            is_leaving = l->is_leaving;
            l->phase = is_leaving ? LOOP_READING : LOOP_IDLE;
            if (g->settling > 0) {
                lock_broadcast(g->lock);
            }
        }
        if (is_leaving) {
            end_loop(l);
        }
    }
}

/* --- start and end --- */

struct engine *engine_start(struct tsdb *db, struct lock *lock, unsigned readers, struct err *e)
{
    struct engine *g = xnew(struct engine);

    client_init();
    g->db = db;
    g->lock = lock;
    g->n_readers = readers == 0 ? 2 : readers > ENGINE_READERS_MAX ? ENGINE_READERS_MAX : readers;
    list_init(&g->all);
    list_init(&g->news);
    list_init(&g->gone);
    list_init(&g->queue);
    g->multi = curl_multi_init();
    if (g->multi == NULL) {
        err_set(e, ERR_INTERNAL, "libcurl does not start");
        engine_stop(g);
        return NULL;
    }
    for (; g->started < g->n_readers; g->started++) {
        struct reader *r = xnew(struct reader);

        *r = (struct reader){g, g->started};
        if (pthread_create(&g->readers[g->started], NULL, run_reader, r) != 0) {
            free(r);
            err_set(e, ERR_UNAVAILABLE, "scraping: no thread");
            engine_stop(g);
            return NULL;
        }
    }
    g->has_io = pthread_create(&g->io, NULL, run_io, g) == 0;
    if (!g->has_io) {
        err_set(e, ERR_UNAVAILABLE, "scraping: no thread");
        engine_stop(g);
        return NULL;
    }
    return g;
}

static void stop_threads(struct engine *g)
{
    {
        WITH_LOCK(g->lock);
        __atomic_store_n(&g->stop, true, __ATOMIC_RELAXED);
        lock_broadcast(g->lock);
    }
    if (g->has_io) {
        (void)curl_multi_wakeup(g->multi);
        (void)pthread_join(g->io, NULL);
    }
    for (unsigned i = 0; i < g->started; i++) {
        (void)pthread_join(g->readers[i], NULL);
    }
}

static void call_free(struct client_call *c)
{
    client_done(c);
    curl_easy_cleanup(c->curl);
    free(c);
}

void engine_stop(struct engine *g)
{
    if (g == NULL) {
        return;
    }
    stop_threads(g);
    list_each(i, &g->all)
    {
        struct loop *l = list_entry(i, struct loop, all);

        if (l->call != NULL) {
            (void)curl_multi_remove_handle(g->multi, l->call->curl);
            call_free(l->call);
        }
        loop_free(l);
    }
    for (size_t i = 0; i < g->spare.len; i++) {
        call_free(g->spare.p[i]);
    }
    vec_done(&g->spare);
    vec_done(&g->heap);
    if (g->multi != NULL) {
        (void)curl_multi_cleanup(g->multi);
    }
    free(g);
}

unsigned engine_readers(const struct engine *g)
{
    return g->n_readers;
}

void engine_wake(struct engine *g)
{
    (void)curl_multi_wakeup(g->multi);
}

struct loop *engine_add(struct engine *g, struct pool_rules *p, const struct target *t)
{
    struct loop *l = xnew(struct loop);

    lock_assert(g->lock);
    l->g = g;
    l->pool = p;
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    l->target = target_copy(&l->arena, t);
    l->memory = page_memory_new();
    list_append(&g->all, &l->all);
    list_append(&g->news, &l->news);
    list_init(&l->gone);
    list_init(&l->queue);
    g->n_loops++;
    return l;
}

void engine_remove(struct engine *g, struct loop *l)
{
    lock_assert(g->lock);
    list_append(&g->gone, &l->gone);
}

const struct target *loop_target(const struct loop *l)
{
    return &l->target;
}

struct loop_state loop_state(const struct loop *l)
{
    struct loop_state s = l->state;

    s.error = str_of(l->last_error);
    return s;
}

const struct loop_meta *loop_metadata(const struct loop *l, size_t *n)
{
    *n = l->n_meta;
    return l->meta;
}

struct engine_counts engine_counts(const struct engine *g)
{
    return g->counts;
}

/* With the lock: samples of scrapes that began before this are in the store. */
static int64_t safe_ms(const struct engine *g)
{
    int64_t safe = INT64_MAX;

    list_each(i, &g->all)
    {
        const struct loop *l = list_entry(i, struct loop, all);

        if (l->phase != LOOP_IDLE && l->ts_ms - 1 < safe) {
            safe = l->ts_ms - 1;
        }
    }
    return safe;
}

void engine_settle(struct engine *g, int64_t now_ms, int64_t until_mono_ms)
{
    bool in_time = true;

    lock_assert(g->lock);
    g->settling++;
    while (in_time && !g->stop && safe_ms(g) < now_ms) {
        in_time = lock_wait_until(g->lock, until_mono_ms);
    }
    g->settling--;
}
