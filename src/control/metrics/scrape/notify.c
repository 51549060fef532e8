#include "scrape/notify.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/vec.h"
#include "scrape/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 64,
    QUEUE_MAX = 10000,
    QUEUE_BYTES_MAX = 16 * 1024 * 1024,
    ALERT_BYTES_MAX = 1024 * 1024,
    ANSWER_BYTES_MAX = 64 * 1024,
    PEERS_MAX = 64,
    RESOLVED_MS = 15 * 60 * 1000, /* for so long an end is worth telling */
    BACKOFF_MIN_MS = 500,
    BACKOFF_MAX_MS = 15000
};

/* An alert as JSON; past `until_ms` it says nothing any more. */
struct note {
    char *text;
    size_t len;
    int64_t until_ms;
};

struct peer_counts {
    uint64_t sent, errors, dropped;
};

/* One Alertmanager. */
struct peer {
    struct notify *n;
    struct config *config; /* is held */
    const struct alertmanager_config *c;
    char *url;
    pthread_t thread;
    bool has_thread, is_wanted;
    bool stop;              /* atomic */
    struct note *batch;     /* its thread's: BATCH of them */
    size_t n_batch;         /* guarded, changed by its thread */
    VEC(struct note) queue; /* guarded; `first` are taken already */
    size_t first, bytes;
    struct peer_counts counts; /* guarded */
};

/* An item of `alertmanagers`. */
struct set {
    struct config *config; /* is held */
    const struct alertmanager_config *c;
    struct discovery **sd;
    size_t n_sd;
    bool warned, warned_many; /* manager's */
    VEC(struct peer *) peers; /* guarded, changed by the manager */
    VEC(char *) dropped;      /* guarded: their addresses */
    size_t n_many;            /* guarded: past PEERS_MAX */
};

struct notify {
    discovery_changed *changed;
    void *ctx;
    struct lock lock;
    VEC(struct set *) sets; /* guarded, changed by the manager */
    struct config *config;  /* guarded */
    bool warned;            /* guarded: of an alert that cannot be told, since the last change */
};

/* --- sending: the thread of a peer --- */

static bool is_stopped(const struct peer *p)
{
    return __atomic_load_n(&p->stop, __ATOMIC_RELAXED);
}

/* Holding the lock: what is late leaves the batch. */
static void drop_late(struct peer *p)
{
    int64_t now_ms = clock_wall_ms();
    size_t kept = 0;

    for (size_t i = 0; i < p->n_batch; i++) {
        if (p->batch[i].until_ms <= now_ms) {
            free(p->batch[i].text);
            p->counts.dropped++;
        } else {
            p->batch[kept++] = p->batch[i];
        }
    }
    p->n_batch = kept;
}

static void forget_batch(struct peer *p)
{
    for (size_t i = 0; i < p->n_batch; i++) {
        free(p->batch[i].text);
    }
    p->n_batch = 0;
}

/* Waits for something to send. false: it is to stop. */
static bool take_batch(struct peer *p)
{
    WITH_LOCK(&p->n->lock);
    for (;;) {
        while (p->n_batch < BATCH && p->first < p->queue.len) {
            p->batch[p->n_batch++] = p->queue.p[p->first];
            p->bytes -= p->queue.p[p->first++].len;
        }
        if (p->first == p->queue.len) {
            p->first = p->queue.len = 0;
        }
        drop_late(p);
        if (is_stopped(p) || p->n_batch > 0) {
            return !is_stopped(p);
        }
        lock_wait(&p->n->lock);
    }
}

/* 0; -1 with `again`: whether another try may help. */
static int post(struct peer *p, struct str body, bool *again, struct err *e)
{
    struct client_call c = {.stop = &p->stop, .curl = curl_easy_init()};
    long status = 0;
    int rc = c.curl == NULL ? err_set(e, ERR_INTERNAL, "libcurl does not start")
                            : client_prepare(&c, &p->c->s.http, ANSWER_BYTES_MAX, e);

    *again = true;
    if (rc == 0) {
        (void)client_header(&c, "Content-Type: application/json");
        rc = client_go_to(&c, p->url, e);
    }
    if (rc == 0) {
        CURLcode code;

        (void)curl_easy_setopt(c.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        (void)curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, body.p);
        (void)curl_easy_setopt(c.curl, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
        (void)curl_easy_setopt(c.curl, CURLOPT_TIMEOUT_MS, (long)p->c->s.timeout_ms);
        code = curl_easy_perform(c.curl);
        rc = client_result(&c, code, e);
        (void)curl_easy_getinfo(c.curl, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_OK && status / 100 == 2) {
            rc = 0;
        } else if (code == CURLE_OK) {
            *again = status >= 500 || status == 429;
            rc = err_set(e, err_kind_of_http((int)status), "the Alertmanager answers %ld: %.*s",
                         status, STR_ARG(str_first(buf_str(&c.body), 200)));
        }
    }
    client_done(&c);
    curl_easy_cleanup(c.curl);
    return rc;
}

static int send_batch(struct peer *p, bool *again, struct err *e)
{
    struct buf body = BUF_MAX((size_t)BATCH * (ALERT_BYTES_MAX + 1) + 16);
    int rc;

    (void)buf_add_c(&body, "[");
    for (size_t i = 0; i < p->n_batch; i++) {
        (void)buf_add_c(&body, i > 0 ? "," : "");
        (void)buf_add(&body, str_n(p->batch[i].text, p->batch[i].len));
    }
    (void)buf_add_c(&body, "]");
    rc = post(p, buf_str(&body), again, e);
    buf_done(&body);
    return rc;
}

static void wait_ms(struct peer *p, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;

    WITH_LOCK(&p->n->lock);
    while (!is_stopped(p) && clock_mono_ms() < until) {
        (void)lock_wait_until(&p->n->lock, until);
    }
}

static void *run(void *ctx)
{
    struct peer *p = ctx;
    int64_t backoff = BACKOFF_MIN_MS;
    bool warned = false;

    while (take_batch(p)) {
        struct err e;
        bool again;
        int rc = send_batch(p, &again, &e);

        if (rc < 0 && is_stopped(p)) {
            break;
        }
        if (rc < 0 && !warned) { /* once until it is well again */
            log_warn("alertmanager.failed", "url=%s error=%s", Q(str_of(p->url)), Q(str_of(e.msg)));
        }
        warned = rc < 0;
        {
            WITH_LOCK(&p->n->lock);
            p->counts.errors += rc < 0 ? p->n_batch : 0;
            p->counts.sent += rc < 0 ? 0 : p->n_batch;
            p->counts.dropped += rc < 0 && !again ? p->n_batch : 0;
            if (rc == 0 || !again) {
                forget_batch(p);
            }
        }
        if (rc == 0 || !again) {
            backoff = BACKOFF_MIN_MS;
        } else {
            wait_ms(p, backoff);
            backoff = backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff * 2;
        }
    }
    return NULL;
}

/* --- peers and sets: the manager's thread --- */

static void peer_stop(struct peer *p)
{
    {
        WITH_LOCK(&p->n->lock);
        __atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
        lock_broadcast(&p->n->lock);
    }
    if (p->has_thread) {
        (void)pthread_join(p->thread, NULL);
    }
    forget_batch(p);
    for (size_t i = p->first; i < p->queue.len; i++) {
        free(p->queue.p[i].text);
    }
    vec_done(&p->queue);
    free(p->batch);
    free(p->url);
    config_unref(p->config);
    free(p);
}

static struct peer *peer_start(struct notify *n, const struct set *s, const char *url)
{
    struct peer *p = xnew(struct peer);

    client_init();
    p->n = n;
    p->config = config_ref(s->config);
    p->c = s->c;
    p->url = xstrdup(url);
    p->batch = xnew_array(struct note, BATCH);
    p->has_thread = pthread_create(&p->thread, NULL, run, p) == 0;
    if (!p->has_thread) {
        log_error("alertmanager.failed", "url=%s no thread", Q(str_of(url)));
        peer_stop(p);
        return NULL;
    }
    return p;
}

static struct set *set_new(struct notify *n, struct config *c, const struct alertmanager_config *m)
{
    struct set *s = xnew(struct set);

    s->config = config_ref(c);
    s->c = m;
    s->sd = xnew_array(struct discovery *, m->s.sd.len + 1);
    for (size_t i = 0; i < m->s.sd.len; i++) {
        s->sd[s->n_sd++] = discovery_start(&m->s.sd.p[i], n->changed, n->ctx);
    }
    return s;
}

/* Nobody sees it any more. */
static void set_free(struct set *s)
{
    for (size_t i = 0; i < s->n_sd; i++) {
        discovery_stop(s->sd[i]);
    }
    free(s->sd);
    for (size_t i = 0; i < s->peers.len; i++) {
        peer_stop(s->peers.p[i]);
    }
    vec_done(&s->peers);
    for (size_t i = 0; i < s->dropped.len; i++) {
        free(s->dropped.p[i]);
    }
    vec_done(&s->dropped);
    config_unref(s->config);
    free(s);
}

static const char *url_of(struct arena *a, struct labels s)
{
    struct str path = labels_get(s, STR("__alerts_path__"));

    return arena_printf(a, "%.*s://%.*s%s%.*s", STR_ARG(labels_get(s, STR("__scheme__"))),
                        STR_ARG(labels_get(s, STR("__address__"))),
                        path.len > 0 && path.p[0] == '/' ? "" : "/", STR_ARG(path));
}

static bool is_plain(const char *url)
{
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
            return false;
        }
    }
    return true;
}

static void put_default(struct labels *s, const char *name, struct str value)
{
    if (labels_get(*s, str_of(name)).len == 0) {
        s->p[s->len++] = (struct label){str_of(name), value};
    }
}

/* Where alerts go; 0: relabeling drops it (`*url` would have been its), -1: it is no Alertmanager.
 */
static int find_url(struct arena *a, const struct scrape_config *c, struct labels group,
                    struct labels one, const char **url, struct err *e)
{
    struct labels s = {.p = arena_new_array(a, struct label, group.len + one.len + 3)};
    struct str address, scheme;
    int rc;

    for (size_t i = 0; i < one.len; i++) {
        s.p[s.len++] = one.p[i];
    }
    for (size_t i = 0; i < group.len; i++) {
        if (labels_get(one, group.p[i].name).len == 0) {
            s.p[s.len++] = group.p[i];
        }
    }
    put_default(&s, "__scheme__", c->scheme);
    put_default(&s, "__alerts_path__", c->metrics_path);
    *url = url_of(a, s);
    if (labels_normalize(&s, e) < 0) {
        return -1;
    }
    rc = relabel_apply(c->relabel, a, &s, e);
    if (rc <= 0) {
        return rc;
    }
    address = labels_get(s, STR("__address__"));
    scheme = labels_get(s, STR("__scheme__"));
    *url = url_of(a, s);
    if (!is_plain(*url) || address.len == 0 || str_find_char(address, '/') >= 0 ||
        str_find_char(address, '@') >= 0 ||
        (!str_eq_c(scheme, "http") && !str_eq_c(scheme, "https"))) {
        return err_set(e, ERR_INVALID, "\"%.*s://%.*s\" is no address of an Alertmanager",
                       STR_ARG(str_first(scheme, 20)), STR_ARG(str_first(address, 100)));
    }
    return 1;
}

static struct peer *peer_of(const struct set *s, const char *url)
{
    for (size_t i = 0; i < s->peers.len; i++) {
        if (strcmp(s->peers.p[i]->url, url) == 0) {
            return s->peers.p[i];
        }
    }
    return NULL;
}

struct found {
    VEC(struct peer *) peers;
    VEC(char *) dropped;
    size_t n_many;
};

static void find_dropped(struct found *f, const char *url)
{
    if (f->dropped.len < LIMIT_SCRAPE_DROPPED) {
        *vec_push(&f->dropped) = xstrdup(url);
    }
}

static void find_one(struct notify *n, struct set *s, const char *url, struct found *f)
{
    struct peer *p = peer_of(s, url);

    for (size_t i = 0; i < f->peers.len; i++) {
        if (strcmp(f->peers.p[i]->url, url) == 0) {
            return; /* told twice */
        }
    }
    if (f->peers.len >= PEERS_MAX) {
        f->n_many++;
        find_dropped(f, url);
    } else if (p != NULL || (p = peer_start(n, s, url)) != NULL) {
        p->is_wanted = true;
        *vec_push(&f->peers) = p;
    }
}

static void find_all(struct notify *n, struct set *s, struct arena *a, struct found *f)
{
    for (size_t i = 0; i < s->n_sd; i++) {
        struct target_group *g;
        struct str ignored;
        size_t len;

        (void)discovery_groups(s->sd[i], a, &g, &len, &ignored);
        for (size_t k = 0; k < len; k++) {
            for (size_t t = 0; t < g[k].n_targets; t++) {
                const char *url;
                struct err e;
                int rc = find_url(a, &s->c->s, g[k].labels, g[k].targets[t], &url, &e);

                if (rc > 0) {
                    find_one(n, s, url, f);
                } else if (rc == 0) {
                    find_dropped(f, url);
                } else if (rc < 0 && !s->warned) {
                    s->warned = true; /* once, not each time that discovery tells something */
                    log_warn("alertmanager.failed", "error=%s", Q(str_of(e.msg)));
                }
            }
        }
    }
}

static void sync_set(struct notify *n, struct set *s)
{
    struct arena a = {0};
    struct found f = {.peers = {0}}, old = {.peers = {0}};

    for (size_t i = 0; i < s->peers.len; i++) {
        s->peers.p[i]->is_wanted = false;
    }
    find_all(n, s, &a, &f);
    if (f.n_many > 0 && !s->warned_many) {
        log_warn("alertmanager.too_many", "told=%d not_told=%zu name fewer in each alertmanagers",
                 PEERS_MAX, f.n_many);
    }
    s->warned_many = f.n_many > 0;
    {
        WITH_LOCK(&n->lock);
        memcpy(&old.peers, &s->peers, sizeof(old.peers));
        memcpy(&old.dropped, &s->dropped, sizeof(old.dropped));
        memcpy(&s->peers, &f.peers, sizeof(s->peers));
        memcpy(&s->dropped, &f.dropped, sizeof(s->dropped));
        s->n_many = f.n_many;
    }
    for (size_t i = 0; i < old.peers.len; i++) {
        if (!old.peers.p[i]->is_wanted) {
            peer_stop(old.peers.p[i]);
        }
    }
    for (size_t i = 0; i < old.dropped.len; i++) {
        free(old.dropped.p[i]);
    }
    vec_done(&old.peers);
    vec_done(&old.dropped);
    arena_done(&a);
}

void notify_sync(struct notify *n)
{
    for (size_t i = 0; i < n->sets.len; i++) {
        sync_set(n, n->sets.p[i]);
    }
}

void notify_apply(struct notify *n, struct config *c)
{
    VEC(struct set *) next = {0}, old;
    struct config *before;

    memcpy(&old, &n->sets, sizeof(old)); /* nobody else changes it */
    for (size_t i = 0; i < c->alerting.n_managers; i++) {
        const struct alertmanager_config *m = &c->alerting.managers[i];
        struct set *s = NULL;

        for (size_t k = 0; k < old.len && s == NULL; k++) {
            bool taken = false;

            for (size_t j = 0; j < next.len; j++) {
                taken = taken || next.p[j] == old.p[k];
            }
            s = !taken && old.p[k]->c->s.print == m->s.print ? old.p[k] : NULL;
        }
        *vec_push(&next) = s != NULL ? s : set_new(n, c, m);
    }
    {
        WITH_LOCK(&n->lock);
        before = n->config;
        n->config = config_ref(c);
        n->warned = false;
        memcpy(&n->sets, &next, sizeof(n->sets));
    }
    for (size_t k = 0; k < old.len; k++) {
        bool kept = false;

        for (size_t j = 0; j < next.len; j++) {
            kept = kept || next.p[j] == old.p[k];
        }
        if (!kept) {
            set_free(old.p[k]);
        }
    }
    vec_done(&old);
    config_unref(before);
}

struct notify *notify_new(discovery_changed *changed, void *ctx)
{
    struct notify *n = xnew(struct notify);

    n->changed = changed;
    n->ctx = ctx;
    lock_init(&n->lock, LOCK_discovery);
    return n;
}

void notify_free(struct notify *n)
{
    if (n == NULL) {
        return;
    }
    for (size_t i = 0; i < n->sets.len; i++) {
        set_free(n->sets.p[i]);
    }
    vec_done(&n->sets);
    config_unref(n->config);
    lock_done(&n->lock);
    free(n);
}

/* --- what there is to send --- */

static void put_labels(struct jw *w, const char *key, struct labels s)
{
    jw_key(w, key);
    jw_object(w);
    for (size_t i = 0; i < s.len; i++) {
        SCOPED(freep) char *name = str_dup(s.p[i].name);

        jw_kv_str(w, name, s.p[i].value);
    }
    jw_end(w);
}

static void put_query(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';

        (void)buf_printf(b, plain ? "%c" : c == ' ' ? "+" : "%%%02X", c);
    }
}

/* Where the console shows the expression; as in templates. */
static struct str generator(struct arena *a, const struct scrape_alert *alert)
{
    struct buf b = BUF_MAX(ALERT_BYTES_MAX);
    struct str out;

    (void)buf_add(&b, alert->external_url);
    (void)buf_add_c(&b, "/graph?g0.expr=");
    put_query(&b, alert->expression);
    (void)buf_add_c(&b, "&g0.tab=1");
    out = arena_str(a, buf_str(&b));
    buf_done(&b);
    return out;
}

static void write_alert(struct buf *out, struct arena *a, struct labels s,
                        const struct scrape_alert *alert)
{
    struct jw w = JW(out);
    char text[32];

    jw_object(&w);
    put_labels(&w, "labels", s);
    put_labels(&w, "annotations", alert->annotations);
    jw_kv_c(&w, "startsAt", clock_format(alert->starts_ms, text));
    jw_kv_c(&w, "endsAt", clock_format(alert->ends_ms, text));
    jw_kv_str(&w, "generatorURL", generator(a, alert));
    jw_end(&w);
}

/* Holding the lock. */
static void enqueue(struct peer *p, struct str text, int64_t until_ms)
{
    while (p->queue.len > p->first &&
           (p->queue.len - p->first >= QUEUE_MAX || p->bytes + text.len > QUEUE_BYTES_MAX)) {
        p->bytes -= p->queue.p[p->first].len;
        free(p->queue.p[p->first++].text);
        p->counts.dropped++;
    }
    if (p->first > QUEUE_MAX) { /* so that it does not grow */
        memmove(p->queue.p, p->queue.p + p->first, (p->queue.len - p->first) * sizeof(*p->queue.p));
        p->queue.len -= p->first;
        p->first = 0;
    }
    *vec_push(&p->queue) = (struct note){str_dup(text), text.len, until_ms};
    p->bytes += text.len;
}

/* Holding the lock. -1: no Alertmanager of the set can be told. */
static int alert_set(struct set *s, struct arena *a, struct labels labels,
                     const struct scrape_alert *alert, struct err *e)
{
    struct buf text = BUF_MAX(ALERT_BYTES_MAX);
    int rc;

    labels = labels_copy(a, labels);
    rc = relabel_apply(s->c->alert_relabel, a, &labels, e);
    if (rc > 0) {
        write_alert(&text, a, labels, alert);
        rc = text.failed ? err_set(e, ERR_LIMIT, "it has more than %d bytes", ALERT_BYTES_MAX) : 1;
    }
    for (size_t i = 0; i < s->peers.len && rc != 0; i++) {
        if (rc < 0) {
            s->peers.p[i]->counts.dropped++;
        } else {
            enqueue(s->peers.p[i], buf_str(&text),
                    alert->is_resolved ? clock_wall_ms() + RESOLVED_MS : alert->ends_ms);
        }
    }
    buf_done(&text);
    return rc < 0 ? -1 : 0;
}

/* The alert with external_labels, after alert_relabel_configs: 1; 0: dropped; -1. */
static int labels_to_tell(const struct notify *n, struct arena *a, struct labels alert,
                          struct labels *out, struct err *e)
{
    struct labels ext = n->config->external;

    *out = (struct labels){arena_new_array(a, struct label, alert.len + ext.len + 1), 0};
    for (size_t i = 0; i < alert.len; i++) {
        out->p[out->len++] = alert.p[i];
    }
    for (size_t i = 0; i < ext.len; i++) {
        if (labels_get(alert, ext.p[i].name).len == 0) {
            out->p[out->len++] = ext.p[i];
        }
    }
    return labels_normalize(out, e) < 0 ? -1
                                        : relabel_apply(n->config->alerting.relabel, a, out, e);
}

/* Holding the lock. -1: somebody who should be told cannot be. */
static int tell_all(struct notify *n, struct arena *a, const struct scrape_alert *alert,
                    struct err *e)
{
    struct labels s;
    int rc = labels_to_tell(n, a, alert->labels, &s, e), result = rc < 0 ? -1 : 0;

    for (size_t i = 0; i < n->sets.len && rc != 0; i++) {
        struct set *set = n->sets.p[i];

        for (size_t k = 0; k < set->peers.len && rc < 0; k++) {
            set->peers.p[k]->counts.dropped++;
        }
        if (rc > 0 && alert_set(set, a, s, alert, e) < 0) {
            result = -1;
        }
    }
    lock_broadcast(&n->lock);
    return result;
}

void notify_alert(struct notify *n, const struct scrape_alert *alert)
{
    struct arena a = {0};
    bool warns = false;
    struct err e;

    lock_take(&n->lock);
    if (n->sets.len > 0 && tell_all(n, &a, alert, &e) < 0) {
        warns = !n->warned; /* once, not for each alert and each minute */
        n->warned = true;
    }
    lock_drop(&n->lock);
    if (warns) {
        log_warn("alertmanager.alert_dropped", "alert=%s error=%s counting such as dropped",
                 Q(labels_get(alert->labels, STR("alertname"))), Q(str_of(e.msg)));
    }
    arena_done(&a);
}

/* --- what there is --- */

void notify_managers(struct notify *n, struct arena *a, struct scrape_alertmanager **out,
                     size_t *len)
{
    size_t room = 1;

    WITH_LOCK(&n->lock);
    for (size_t i = 0; i < n->sets.len; i++) {
        room += n->sets.p[i]->peers.len + n->sets.p[i]->dropped.len;
    }
    *out = arena_new_array(a, struct scrape_alertmanager, room);
    *len = 0;
    for (size_t i = 0; i < n->sets.len; i++) {
        const struct set *s = n->sets.p[i];

        for (size_t k = 0; k < s->peers.len; k++) {
            (*out)[(*len)++] = (struct scrape_alertmanager){
                .url = str_of(arena_strdup(a, str_of(s->peers.p[k]->url)))};
        }
        for (size_t k = 0; k < s->dropped.len; k++) {
            (*out)[(*len)++] = (struct scrape_alertmanager){
                .url = str_of(arena_strdup(a, str_of(s->dropped.p[k]))), .is_dropped = true};
        }
    }
}

/* Of one address, which may stand in several items. */
enum { SENT, ERRORS, DROPPED, WAITING, COLUMNS };

struct row {
    const char *url;
    uint64_t values[COLUMNS];
};

/* Holding the lock. */
static struct row *copy_rows(const struct notify *n, struct arena *a, size_t peers)
{
    struct row *rows = arena_new_array(a, struct row, peers + 1);
    size_t len = 0;

    for (size_t i = 0; i < n->sets.len; i++) {
        for (size_t k = 0; k < n->sets.p[i]->peers.len; k++) {
            const struct peer *p = n->sets.p[i]->peers.p[k];

            rows[len++] = (struct row){arena_strdup(a, str_of(p->url)),
                                       {p->counts.sent, p->counts.errors, p->counts.dropped,
                                        p->queue.len - p->first + p->n_batch}};
        }
    }
    return rows;
}

/* Each address once, in their order: how many. There are few. */
static size_t merge_rows(struct row *rows, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        size_t at = 0;

        while (at < kept && strcmp(rows[at].url, rows[i].url) != 0) {
            at++;
        }
        if (at == kept) {
            rows[kept++] = rows[i];
            continue;
        }
        for (size_t k = 0; k < COLUMNS; k++) {
            rows[at].values[k] += rows[i].values[k];
        }
    }
    return kept;
}

static void write_rows(struct buf *out, const struct row *rows, size_t len, size_t column)
{
    static const struct {
        const char *name, *type, *help;
    } columns[COLUMNS] = {
        [SENT] = {"strata_notifications_sent_total", "counter",
                  "Alerts that the Alertmanager took."},
        [ERRORS] = {"strata_notifications_errors_total", "counter",
                    "Alerts in requests that failed."},
        [DROPPED] = {"strata_notifications_dropped_total", "counter",
                     "Alerts never told: refused, too late, too long, not to be relabeled, or the "
                     "queue was full."},
        [WAITING] = {"strata_notifications_queue_length", "gauge", "Alerts that wait."},
    };

    metric_head(out, columns[column].name, columns[column].type, columns[column].help);
    for (size_t i = 0; i < len; i++) {
        (void)buf_printf(out, "%s{alertmanager=\"", columns[column].name);
        for (const char *c = rows[i].url; *c != '\0'; c++) {
            (void)buf_printf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
        (void)buf_printf(out, "\"} %llu\n", (unsigned long long)rows[i].values[column]);
    }
}

void notify_metrics(struct notify *n, struct buf *out)
{
    SCOPED(arena_done) struct arena a = {0};
    size_t peers = 0, many = 0, len;
    struct row *rows;

    {
        WITH_LOCK(&n->lock);
        for (size_t i = 0; i < n->sets.len; i++) {
            peers += n->sets.p[i]->peers.len;
            many += n->sets.p[i]->n_many;
        }
        rows = copy_rows(n, &a, peers);
    }
    metric_one(out, "strata_notifications_alertmanagers_discovered", "gauge",
               "Alertmanagers that are told of alerts.", (int64_t)peers);
    metric_one(out, "strata_notifications_alertmanagers_dropped", "gauge",
               "Alertmanagers that are not told: more than 64 in one item.", (int64_t)many);
    if (peers == 0) {
        return;
    }
    len = merge_rows(rows, peers);
    for (size_t i = 0; i < COLUMNS; i++) {
        write_rows(out, rows, len, i);
    }
    metric_one(out, "strata_notifications_queue_capacity", "gauge",
               "Alerts that may wait for each Alertmanager.", QUEUE_MAX);
}
