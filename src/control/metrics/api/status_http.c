/* What the server, its targets and its store are like. */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/promql.h"
#include "rules/rules.h"
#include "scrape/remote_write.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How Prometheus writes times of its own: with all digits of Go. */
static void kv_time(struct jw *w, const char *key, int64_t ms)
{
    char when[32];

    jw_kv_c(w, key, ms == 0 ? "0001-01-01T00:00:00Z" : clock_format(ms, when));
}

static void kv_duration(struct jw *w, const char *key, int64_t ms)
{
    char text[32];

    (void)snprintf(text, sizeof(text), ms % 1000 ? "%lldms" : "%llds",
                   (long long)(ms % 1000 ? ms : ms / 1000));
    jw_kv_c(w, key, text);
}

static int serve(struct http_req *req, int (*how)(struct ask *a, struct answer *out, struct err *e),
                 struct err *e)
{
    struct ask a = {0};
    struct answer out = {0};
    int result = ask_init(&a, req, e);

    if (result == 0) {
        answer_json(&out, req);
        result = how(&a, &out, e);
    }
    if (result == 0) {
        result = answer_json_end(&out, NULL, e);
    }
    answer_done(&out);
    ask_done(&a);
    return result;
}

/* --- the server --- */

/* Clients choose what they send by this version: that of the semantics we have. */
#define API_LEVEL "3.5.0"

static int buildinfo(struct ask *a UNUSED, struct answer *out, struct err *e UNUSED)
{
    struct jw w = JW(&out->buf);

    jw_object(&w);
    jw_kv_c(&w, "version", API_LEVEL);
    jw_kv_c(&w, "revision", "strata");
    jw_kv_c(&w, "branch", "");
    jw_kv_c(&w, "buildUser", "");
    jw_kv_c(&w, "buildDate", "");
    jw_kv_c(&w, "goVersion", "");
    jw_end(&w);
    return 0;
}

static int config(struct ask *a, struct answer *out, struct err *e UNUSED)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES / 4);
    struct jw w = JW(&out->buf);

    scrape_config_text(a->m->scrape, &text);
    jw_object(&w);
    jw_kv_str(&w, "yaml", buf_str(&text));
    jw_end(&w);
    return 0;
}

static int flags(struct ask *a, struct answer *out, struct err *e UNUSED)
{
    const struct metrics *m = a->m;
    struct jw w = JW(&out->buf);
    char number[32];

    jw_object(&w);
    jw_kv_str(&w, "config.file", cfg_str(m->cfg, "metrics.scrape_config"));
    jw_kv_c(&w, "enable-feature", "");
    jw_kv_c(&w, "web.enable-remote-write-receiver", "true");
    (void)snprintf(number, sizeof(number), "%u", m->gate.max);
    jw_kv_c(&w, "query.max-concurrency", number);
    (void)snprintf(number, sizeof(number), "%zu", m->max_samples);
    jw_kv_c(&w, "query.max-samples", number);
    kv_duration(&w, "query.timeout", m->timeout_ms);
    kv_duration(&w, "query.lookback-delta", m->lookback_ms);
    kv_duration(&w, "storage.tsdb.retention.time", cfg_i64(m->cfg, "metrics.retention") * 1000);
    (void)snprintf(number, sizeof(number), "%lld",
                   (long long)cfg_i64(m->cfg, "metrics.retention_bytes"));
    jw_kv_c(&w, "storage.tsdb.retention.size", number);
    jw_end(&w);
    return 0;
}

static int runtimeinfo(struct ask *a, struct answer *out, struct err *e UNUSED)
{
    const struct metrics *m = a->m;
    struct jw w = JW(&out->buf);
    char text[48];

    jw_object(&w);
    kv_time(&w, "startTime", m->started_ms);
    jw_kv_c(&w, "CWD", "metrics");
    jw_kv_bool(&w, "reloadConfigSuccess", true);
    kv_time(&w, "lastConfigTime", m->started_ms);
    jw_kv_i64(&w, "corruptionCount", 0);
    jw_kv_i64(&w, "goroutineCount", 0);
    jw_kv_i64(&w, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    jw_kv_c(&w, "GOGC", "");
    jw_kv_c(&w, "GODEBUG", "");
    (void)snprintf(text, sizeof(text), "%llds", (long long)cfg_i64(m->cfg, "metrics.retention"));
    jw_kv_c(&w, "storageRetention", text);
    jw_end(&w);
    return 0;
}

int prom_buildinfo(struct http_req *req, struct err *e)
{
    return serve(req, buildinfo, e);
}

int prom_config(struct http_req *req, struct err *e)
{
    return serve(req, config, e);
}

int prom_flags(struct http_req *req, struct err *e)
{
    return serve(req, flags, e);
}

int prom_runtimeinfo(struct http_req *req, struct err *e)
{
    return serve(req, runtimeinfo, e);
}

/* --- the store --- */

enum { TOP = 10 };

static void write_top(struct jw *w, const char *key, const struct tsdb_count *top, size_t n)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        SCOPED(buf_done) struct buf pair = BUF_MAX(2 * LIMIT_LABEL_VALUE_BYTES);

        (void)buf_add(&pair, top[i].name);
        (void)buf_add(&pair, top[i].value.len > 0 ? STR("=") : STR_EMPTY);
        (void)buf_add(&pair, top[i].value);
        jw_object(w);
        jw_kv_str(w, "name", buf_str(&pair));
        jw_kv_i64(w, "value", (int64_t)top[i].n);
        jw_end(w);
    }
    jw_end(w);
}

static int store(struct ask *a, struct answer *out, struct err *e)
{
    struct tsdb_status head;
    struct tsdb_tops tops;
    struct jw w = JW(&out->buf);
    size_t limit = 0;

    if (ask_limit(a, "limit", &limit, e) < 0) {
        return -1;
    }
    limit = limit == 0 ? TOP : limit < LIMIT_LIST_ROWS ? limit : LIMIT_LIST_ROWS;
    tsdb_status(a->m->db, &head);
    tsdb_tops(a->m->db, limit, &a->arena, &tops);
    jw_object(&w);
    jw_key(&w, "headStats");
    jw_object(&w);
    jw_kv_i64(&w, "numSeries", (int64_t)head.series);
    jw_kv_i64(&w, "numLabelPairs", (int64_t)tops.label_pairs);
    jw_kv_i64(&w, "chunkCount", (int64_t)head.chunks);
    jw_kv_i64(&w, "minTime", head.min_ms);
    jw_kv_i64(&w, "maxTime", head.max_ms);
    jw_end(&w);
    write_top(&w, "seriesCountByMetricName", tops.series_by_name, tops.n_names);
    write_top(&w, "labelValueCountByLabelName", tops.values_by_label, tops.n_labels);
    write_top(&w, "memoryInBytesByLabelName", tops.bytes_by_label, tops.n_bytes);
    write_top(&w, "seriesCountByLabelValuePair", tops.series_by_pair, tops.n_pairs);
    jw_end(&w);
    return 0;
}

int prom_tsdb(struct http_req *req, struct err *e)
{
    return serve(req, store, e);
}

/* --- targets --- */

static void kv_labels(struct jw *w, const char *key, struct labels s)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES);

    put_labels(&text, s);
    jw_key(w, key);
    jw_raw(w, buf_str(&text));
}

static void write_target(struct jw *w, const struct scrape_target *t)
{
    static const char *const healths[] = {
        [SCRAPE_UNKNOWN] = "unknown", [SCRAPE_UP] = "up", [SCRAPE_DOWN] = "down"};

    jw_object(w);
    kv_labels(w, "discoveredLabels", t->discovered);
    kv_labels(w, "labels", t->labels);
    jw_kv_str(w, "scrapePool", t->pool);
    jw_kv_str(w, "scrapeUrl", t->url);
    jw_kv_str(w, "globalUrl", t->url);
    jw_kv_str(w, "lastError", t->error);
    kv_time(w, "lastScrape", t->last_scrape_ms);
    jw_key(w, "lastScrapeDuration");
    jw_double(w, t->last_duration_sec);
    jw_kv_c(w, "health", healths[t->health]);
    kv_duration(w, "scrapeInterval", t->interval_ms);
    kv_duration(w, "scrapeTimeout", t->timeout_ms);
    jw_end(w);
}

struct wanted { /* targets of this request */
    struct sight sight;
    struct str pool;
    struct scrape_target *all;
    size_t n;
};

static bool is_wanted(const struct wanted *w, const struct scrape_target *t)
{
    return (w->pool.len == 0 || str_eq(w->pool, t->pool)) &&
           sight_takes(&w->sight, t->is_dropped ? t->discovered : t->labels);
}

static int write_targets(const struct wanted *w, struct answer *out, const char *key, bool dropped,
                         struct err *e)
{
    bool first = true;

    (void)buf_printf(&out->buf, "\"%s\":[", key);
    for (size_t i = 0; i < w->n; i++) {
        struct jw one = JW(&out->buf);

        if (w->all[i].is_dropped != dropped || !is_wanted(w, &w->all[i])) {
            continue;
        }
        (void)buf_add(&out->buf, first ? STR_EMPTY : STR(","));
        first = false;
        if (dropped) {
            jw_object(&one);
            kv_labels(&one, "discoveredLabels", w->all[i].discovered);
            jw_kv_str(&one, "scrapePool", w->all[i].pool);
            jw_end(&one);
        } else {
            write_target(&one, &w->all[i]);
        }
        if (answer_more(out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(&out->buf, STR("]"));
    return 0;
}

/* How many a pool dropped is known where not all of them are kept. */
static void write_dropped(struct ask *a, const struct wanted *w, struct answer *out)
{
    struct scrape_pool *pools;
    struct jw j = JW(&out->buf);
    size_t n;
    bool first = true;

    scrape_pools(a->m->scrape, &a->arena, &pools, &n);
    (void)buf_add(&out->buf, STR("\"droppedTargetCounts\":{"));
    for (size_t i = 0; w->sight.all && i < n; i++) {
        (void)buf_add(&out->buf, first ? STR_EMPTY : STR(","));
        first = false;
        put_text(&out->buf, pools[i].name);
        (void)buf_add(&out->buf, STR(":"));
        j = JW(&out->buf);
        jw_i64(&j, (int64_t)pools[i].dropped);
    }
    (void)buf_add(&out->buf, STR("}"));
}

static int targets(struct ask *a, struct answer *out, struct err *e)
{
    struct wanted w = {.pool = ask_str(a, "scrapePool")};
    struct str state = ask_str(a, "state");
    bool active = state.len == 0 || str_eq_c(state, "active") || str_eq_c(state, "any");
    bool dropped = state.len == 0 || str_eq_c(state, "dropped") || str_eq_c(state, "any");

    if (ask_sight(a, &w.sight, e) < 0) {
        return -1;
    }
    scrape_targets(a->m->scrape, &a->arena, &w.all, &w.n);
    (void)buf_add(&out->buf, STR("{"));
    if (!active) {
        (void)buf_add(&out->buf, STR("\"activeTargets\":[]"));
    } else if (write_targets(&w, out, "activeTargets", false, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR(","));
    if (!dropped) {
        (void)buf_add(&out->buf, STR("\"droppedTargets\":[]"));
    } else if (write_targets(&w, out, "droppedTargets", true, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR(","));
    write_dropped(a, &w, out);
    (void)buf_add(&out->buf, STR("}"));
    return 0;
}

int prom_targets(struct http_req *req, struct err *e)
{
    return serve(req, targets, e);
}

static int pools(struct ask *a, struct answer *out, struct err *e)
{
    struct jw w = JW(&out->buf);
    struct sight sight;
    struct scrape_pool *all;
    size_t n;

    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    scrape_pools(a->m->scrape, &a->arena, &all, &n);
    jw_object(&w);
    jw_key(&w, "scrapePools");
    jw_array(&w);
    for (size_t i = 0; sight.all && i < n; i++) {
        jw_str(&w, all[i].name);
    }
    jw_end(&w);
    jw_end(&w);
    return 0;
}

int prom_scrape_pools(struct http_req *req, struct err *e)
{
    return serve(req, pools, e);
}

/* --- metadata --- */

static int compare_metadata(const void *a, const void *b)
{
    const struct scrape_metadata *x = a, *y = b;
    int by = str_cmp(x->metric, y->metric);

    by = by != 0 ? by : str_cmp(x->type, y->type);
    by = by != 0 ? by : str_cmp(x->help, y->help);
    return by != 0 ? by : str_cmp(x->unit, y->unit);
}

/* Sorted, of targets that he may see. */
static int find_metadata(struct ask *a, struct scrape_metadata **out, size_t *n, struct err *e)
{
    struct sight sight;
    size_t all, kept = 0;

    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    scrape_metadata(a->m->scrape, ask_str(a, "metric"), 0, &a->arena, out, &all);
    for (size_t i = 0; i < all; i++) {
        if (sight_takes(&sight, (*out)[i].target)) {
            (*out)[kept++] = (*out)[i];
        }
    }
    *n = kept;
    return 0;
}

static void write_metadata(struct jw *w, const struct scrape_metadata *m)
{
    jw_kv_str(w, "type", m->type);
    jw_kv_str(w, "help", m->help);
    jw_kv_str(w, "unit", m->unit);
}

/* {"up":[{"type":...}, ...], ...}: each thing that targets say of a metric once. */
static int metadata(struct ask *a, struct answer *out, struct err *e)
{
    struct scrape_metadata *all;
    size_t n, metrics = 0, limit = 0, per_metric = 0, of_it = 0;

    if (ask_limit(a, "limit", &limit, e) < 0 ||
        ask_limit(a, "limit_per_metric", &per_metric, e) < 0 || find_metadata(a, &all, &n, e) < 0) {
        return -1;
    }
    if (n > 0) {
        qsort(all, n, sizeof(*all), compare_metadata);
    }
    (void)buf_add(&out->buf, STR("{"));
    for (size_t i = 0; i < n; i++) {
        bool is_new = i == 0 || !str_eq(all[i].metric, all[i - 1].metric);
        struct jw w = JW(&out->buf);

        if (is_new && limit > 0 && metrics == limit) {
            break;
        }
        if ((!is_new && compare_metadata(&all[i], &all[i - 1]) == 0) ||
            (!is_new && per_metric > 0 && of_it == per_metric)) {
            continue;
        }
        of_it = is_new ? 1 : of_it + 1;
        if (is_new) {
            (void)buf_add(&out->buf, metrics++ > 0 ? STR("],") : STR_EMPTY);
            put_text(&out->buf, all[i].metric);
            (void)buf_add(&out->buf, STR(":["));
        } else {
            (void)buf_add(&out->buf, STR(","));
        }
        jw_object(&w);
        write_metadata(&w, &all[i]);
        jw_end(&w);
        if (answer_more(out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(&out->buf, metrics > 0 ? STR("]}") : STR("}"));
    return 0;
}

int prom_metadata(struct http_req *req, struct err *e)
{
    return serve(req, metadata, e);
}

/* Whether a target is one that match_target chooses. */
static int fits_target(const struct promql_node *chosen, struct labels target, struct err *e)
{
    return chosen == NULL ? 1
                          : label_matchers_match(chosen->matchers, chosen->n_matchers, target, e);
}

static int targets_metadata(struct ask *a, struct answer *out, struct err *e)
{
    struct str match = ask_str(a, "match_target");
    struct promql_node *chosen = NULL;
    struct scrape_metadata *all;
    size_t n, limit = 0, written = 0;

    if (match.len > 0 && (chosen = promql_parse_selector(&a->arena, match, e)) == NULL) {
        return err_wrap(e, "invalid parameter \"match_target\"");
    }
    if (ask_limit(a, "limit", &limit, e) < 0 || find_metadata(a, &all, &n, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("["));
    for (size_t i = 0; i < n && (limit == 0 || written < limit); i++) {
        int fits = fits_target(chosen, all[i].target, e);
        struct jw w = JW(&out->buf);

        if (fits < 0) {
            return -1;
        }
        if (fits == 0) {
            continue;
        }
        (void)buf_add(&out->buf, written++ > 0 ? STR(",") : STR_EMPTY);
        jw_object(&w);
        kv_labels(&w, "target", all[i].target);
        jw_kv_str(&w, "metric", all[i].metric);
        write_metadata(&w, &all[i]);
        jw_end(&w);
        if (answer_more(out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(&out->buf, STR("]"));
    return 0;
}

int prom_targets_metadata(struct http_req *req, struct err *e)
{
    return serve(req, targets_metadata, e);
}

/* --- care of the store --- */

int prom_delete_series(struct http_req *req, struct err *e)
{
    struct ask a = {0};
    struct sight all = {.all = true};
    struct selectors chosen;
    int64_t from = TIME_MIN, to = TIME_MAX;
    int result = ask_init(&a, req, e);

    if (result == 0 && (ask_time(&a, "start", &from, e) < 0 || ask_time(&a, "end", &to, e) < 0 ||
                        ask_selectors(&a, &all, &chosen, e) < 0)) {
        result = -1;
    } else if (result == 0 && chosen.len == 0) {
        result = err_set(e, ERR_INVALID, "no match[] parameter provided");
    }
    for (size_t i = 0; result == 0 && i < chosen.len; i++) {
        result = tsdb_delete(a.m->db, chosen.p[i].m, chosen.p[i].n, from, to, e);
    }
    ask_done(&a);
    return result < 0 ? -1 : http_reply_empty(req, 204, e);
}

/* Named as Prometheus names them: when, and something that no other has. */
int prom_snapshot(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(KIB);
    char name[40], letters[17], dir[80];
    int64_t now = clock_wall_ms() / 1000;
    time_t seconds = (time_t)now;
    struct tm tm;

    random_name(letters, 16);
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(name, sizeof(name), "%Y%m%dT%H%M%SZ", &tm);
    (void)snprintf(dir, sizeof(dir), "metrics/snapshots/%s-%s", name, letters);
    if (mkdir("metrics/snapshots", 0750) < 0 && errno != EEXIST) {
        return err_sys(e, "mkdir metrics/snapshots");
    }
    if (tsdb_snapshot(m->db, dir, e) < 0) {
        return -1;
    }
    (void)buf_printf(&b, "{\"status\":\"success\",\"data\":{\"name\":\"%s-%s\"}}", name, letters);
    return http_reply_json(req, 200, &b, e);
}

/* Below the state directory alone: who manages the system over the network reads no other files. */
int prom_import(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(KIB);
    struct tsdb_imported done = {0};
    char dir[sizeof("metrics/import/") + NAME_MAX];
    struct ask a = {0};
    struct str name;
    int result = ask_init(&a, req, e);

    name = ask_str(&a, "name");
    if (result == 0 &&
        (name.len == 0 || name.len > NAME_MAX || name.p[0] == '.' ||
         memchr(name.p, '/', name.len) != NULL || memchr(name.p, '\0', name.len) != NULL)) {
        result = err_set(e, ERR_INVALID,
                         "name: the name of a directory in metrics/import of the state directory");
    }
    if (result == 0) {
        (void)snprintf(dir, sizeof(dir), "metrics/import/%.*s", (int)name.len, name.p);
        result = tsdb_import(m->db, dir, &done, e);
    }
    ask_done(&a);
    if (result < 0) {
        return -1;
    }
    (void)buf_printf(&b,
                     "{\"status\":\"success\",\"data\":{\"blocks\":%llu,\"series\":%llu,"
                     "\"samples\":%llu,\"histograms\":%llu}}",
                     (unsigned long long)done.blocks, (unsigned long long)done.series,
                     (unsigned long long)done.samples, (unsigned long long)done.histograms);
    return http_reply_json(req, 200, &b, e);
}

/* It would happen by itself within seconds: who asks is answered when it is done. */
int prom_clean_tombstones(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;

    return tsdb_clean(m->db, e) < 0 ? -1 : http_reply_empty(req, 204, e);
}

/* --- rules and their alerts --- */

/* What is shown is copied while the rules are held. */
struct showing {
    const struct sight *sight;
    struct buf *out;
    bool alerts_only; /* for /alerts */
    bool with_alerts, with_records;
    bool any;
};

static void comma(struct buf *out, bool *any)
{
    (void)buf_add(out, *any ? STR(",") : STR_EMPTY);
    *any = true;
}

static void write_alert(struct buf *out, const struct rule_alert *a)
{
    struct jw w = JW(out);
    char text[NUMBER_TEXT_MAX];

    jw_object(&w);
    kv_labels(&w, "labels", a->labels);
    kv_labels(&w, "annotations", a->annotations);
    jw_kv_c(&w, "state", rule_alert_state_name(a->state));
    kv_time(&w, "activeAt", a->active_at_ms);
    jw_kv_str(&w, "value", str_n(text, number_short(a->value, text)));
    jw_end(&w);
}

static bool is_shown(const struct showing *s, const struct rule_alert *a)
{
    return a->state != RULE_INACTIVE && sight_takes(s->sight, a->labels);
}

static void write_alerts(struct showing *s, const struct rules_shown_rule *r, bool *any)
{
    for (size_t i = 0; i < r->n_alerts; i++) {
        if (is_shown(s, &r->alerts[i])) {
            comma(s->out, any);
            write_alert(s->out, &r->alerts[i]);
        }
    }
}

static const char *state_of(const struct rules_shown_rule *r)
{
    enum rule_alert_state most = RULE_INACTIVE;

    for (size_t i = 0; i < r->n_alerts; i++) {
        most = r->alerts[i].state > most ? r->alerts[i].state : most;
    }
    return rule_alert_state_name(most);
}

static void write_alerting(struct showing *s, const struct rules_shown_rule *r)
{
    bool any = false;

    (void)buf_printf(s->out,
                     ",\"state\":\"%s\",\"duration\":%g,\"keepFiringFor\":%g,\"annotations\":",
                     s->sight->all ? state_of(r) : "unknown", (double)r->rule->for_ms / 1000,
                     (double)r->rule->keep_firing_ms / 1000);
    put_labels(s->out, r->rule->annotations);
    (void)buf_add(s->out, STR(",\"alerts\":["));
    write_alerts(s, r, &any);
    (void)buf_add(s->out, STR("]"));
}

static void write_rule(struct showing *s, const struct rules_shown_rule *r, int64_t took_ms)
{
    const struct rule *rule = r->rule;
    char when[32];

    (void)buf_add(s->out, STR("{\"name\":"));
    put_text(s->out, rule->name);
    (void)buf_add(s->out, STR(",\"query\":"));
    put_text(s->out, rule->text);
    (void)buf_add(s->out, STR(",\"labels\":"));
    put_labels(s->out, rule->labels);
    (void)buf_printf(s->out, ",\"health\":\"%s\",\"lastError\":",
                     r->health.at_ms == 0      ? "unknown"
                     : r->health.error[0] != 0 ? "err"
                                               : "ok");
    put_text(s->out, str_of(r->health.error));
    (void)buf_printf(s->out, ",\"evaluationTime\":%g,\"lastEvaluation\":\"%s\",\"type\":\"%s\"",
                     (double)took_ms / 1000,
                     r->health.at_ms == 0 ? "0001-01-01T00:00:00Z"
                                          : clock_format(r->health.at_ms, when),
                     rule->is_alert ? "alerting" : "recording");
    if (rule->is_alert) {
        write_alerting(s, r);
    }
    (void)buf_add(s->out, STR("}"));
}

static bool rule_is_wanted(const struct showing *s, const struct rule *r)
{
    return (r->is_alert ? s->with_alerts : s->with_records) && sight_takes(s->sight, r->labels);
}

static bool group_is_wanted(const struct showing *s, const struct rules_shown *g)
{
    for (size_t i = 0; i < g->group->n_rules; i++) {
        if (rule_is_wanted(s, g->rules[i].rule)) {
            return true;
        }
    }
    return false;
}

static void show_group(void *ctx, const struct rules_shown *g)
{
    struct showing *s = ctx;
    bool any = false;
    char when[32];

    for (size_t i = 0; s->alerts_only && i < g->group->n_rules; i++) {
        write_alerts(s, &g->rules[i], &s->any);
    }
    if (s->alerts_only || !group_is_wanted(s, g)) {
        return;
    }
    comma(s->out, &s->any);
    (void)buf_add(s->out, STR("{\"name\":"));
    put_text(s->out, g->group->name);
    (void)buf_add(s->out, STR(",\"file\":"));
    put_text(s->out, str_of(s->sight->all ? g->file : ""));
    (void)buf_printf(s->out,
                     ",\"interval\":%g,\"limit\":%llu,\"evaluationTime\":%g,"
                     "\"lastEvaluation\":\"%s\",\"rules\":[",
                     (double)g->interval_ms / 1000, (unsigned long long)g->group->limit,
                     (double)g->took_ms / 1000,
                     g->at_ms == 0 ? "0001-01-01T00:00:00Z" : clock_format(g->at_ms, when));
    for (size_t i = 0; i < g->group->n_rules; i++) {
        if (rule_is_wanted(s, g->rules[i].rule)) {
            comma(s->out, &any);
            write_rule(s, &g->rules[i], g->took_ms);
        }
    }
    (void)buf_add(s->out, STR("]}"));
}

static void show(struct ask *a, struct showing *s)
{
    rules_visit(a->m->rules, show_group, s);
}

static int rules(struct ask *a, struct answer *out, struct err *e)
{
    struct str type = ask_str(a, "type");
    struct sight sight;
    struct showing s = {.sight = &sight,
                        .out = &out->buf,
                        .with_alerts = !str_eq_c(type, "record"),
                        .with_records = !str_eq_c(type, "alert")};

    if (type.len > 0 && !str_eq_c(type, "alert") && !str_eq_c(type, "record")) {
        return err_set(e, ERR_INVALID, "not supported value \"%.*s\"",
                       STR_ARG(str_first(type, 40)));
    }
    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("{\"groups\":["));
    show(a, &s);
    (void)buf_add(&out->buf, STR("]}"));
    return 0;
}

static void show_own(struct showing *s, const char *name, int64_t since_ms, struct str summary)
{
    char when[32];

    comma(s->out, &s->any);
    (void)buf_printf(s->out,
                     "{\"labels\":{\"alertname\":\"%s\",\"severity\":\"critical\"},"
                     "\"annotations\":{\"summary\":",
                     name);
    put_text(s->out, summary);
    (void)buf_printf(s->out, "},\"state\":\"firing\",\"activeAt\":\"%s\",\"value\":\"1e+00\"}",
                     clock_format(since_ms, when));
}

enum { LOST_SHOWN_MS = 3600 * 1000 };

/* No rule can tell these: what rules read is not written then, or nobody wrote one. */
static void show_store(struct ask *a, struct showing *s)
{
    struct tsdb_status store;

    tsdb_status(a->m->db, &store);
    if (!s->sight->all) {
        return;
    }
    if (store.paused_since_ms != 0) {
        show_own(s, "StrataMetricsPaused", store.paused_since_ms, str_of(store.paused_why));
    }
    if (store.lost_ms != 0 && clock_wall_ms() - store.lost_ms < LOST_SHOWN_MS) {
        show_own(s, "StrataRemoteWriteLost", store.lost_ms,
                 STR("a peer of remote_write was away for so long that samples for it were "
                     "dropped; metrics.remote_write_backlog says how much is kept"));
    }
}

static int alerts(struct ask *a, struct answer *out, struct err *e)
{
    struct sight sight;
    struct showing s = {.sight = &sight, .out = &out->buf, .alerts_only = true};

    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR("{\"alerts\":["));
    show_store(a, &s);
    show(a, &s);
    (void)buf_add(&out->buf, STR("]}"));
    return 0;
}

int prom_rules(struct http_req *req, struct err *e)
{
    return serve(req, rules, e);
}

int prom_alerts(struct http_req *req, struct err *e)
{
    return serve(req, alerts, e);
}

/* --- for those who run it --- */

int prom_healthy(struct http_req *req, struct err *e)
{
    return http_reply(req, 200, "text/plain; charset=utf-8", STR("Prometheus Server is Healthy.\n"),
                      e);
}

int prom_ready(struct http_req *req, struct err *e)
{
    return http_reply(req, 200, "text/plain; charset=utf-8", STR("Prometheus Server is Ready.\n"),
                      e);
}

int prom_reload(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;

    return m->hooks.reload(m->hooks.ctx, e) < 0 ? -1 : http_reply_empty(req, 200, e);
}

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

int prom_write(struct http_req *req, struct err *e)
{
    struct metrics *m = req->ctx;
    SCOPED(buf_done) struct buf body = BUF_MAX(LIMIT_REMOTE_WRITE_BYTES + 64 * KIB);
    struct label project = {STR("project"), http_path_param(req, "p")};
    struct labels require = {&project, project.value.len > 0};
    struct remote_write_answer answer = {0};
    struct err why;
    int result;

    if (read_body(req, &body, e) < 0) {
        return -1;
    }
    result = remote_write_take(m->db, http_header(req, "Content-Type"),
                               http_header(req, "Content-Encoding"), buf_str(&body), require,
                               &answer, &why);
    return reply_written(req, &answer, result < 0 ? &why : NULL, e);
}
