/* What the server and its store are like, and their care. */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

/* Of this process; 0: not known. */
static int64_t count_threads(void)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(64 * KIB);
    struct err ignored;
    ptrdiff_t at = fs_read(AT_FDCWD, "/proc/self/status", &b, &ignored) < 0
                       ? -1
                       : str_find(buf_str(&b), STR("\nThreads:"));

    return at < 0 ? 0 : strtoll(b.p + at + 9, NULL, 10);
}

/* "15d or 1073741824B" */
static void put_retention(const struct metrics *m, struct buf *out)
{
    long long sec = cfg_i64(m->cfg, "metrics.retention"),
              bytes = cfg_i64(m->cfg, "metrics.retention_bytes");

    (void)buf_printf(out, sec % 86400 == 0 ? "%lldd" : "%llds",
                     sec % 86400 == 0 ? sec / 86400 : sec);
    if (bytes > 0) {
        (void)buf_printf(out, " or %lldB", bytes);
    }
}

static int runtimeinfo(struct ask *a, struct answer *out, struct err *e)
{
    struct metrics *m = a->m;
    SCOPED(buf_done) struct buf text = BUF_MAX(KIB);
    char dir[PATH_MAX], host[256];
    struct tsdb_status store;
    struct sight sight;
    struct jw w = JW(&out->buf);

    if (ask_sight(a, &sight, e) < 0) {
        return -1;
    }
    tsdb_status(m->db, &store);
    jw_object(&w);
    kv_time(&w, "startTime", m->started_ms);
    kv_time(&w, "serverTime", clock_wall_ms());
    jw_kv_c(&w, "CWD", sight.all && getcwd(dir, sizeof(dir)) != NULL ? dir : "");
    jw_kv_c(&w, "hostname", sight.all && gethostname(host, sizeof(host)) == 0 ? host : "");
    {
        WITH_LOCK(&m->write_lock);
        jw_kv_bool(&w, "reloadConfigSuccess", !m->config_failed);
        kv_time(&w, "lastConfigTime", m->config_ms);
    }
    jw_kv_i64(&w, "corruptionCount", (int64_t)store.damaged);
    jw_kv_i64(&w, "goroutineCount", count_threads());
    jw_kv_i64(&w, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    jw_kv_c(&w, "GOGC", "");
    jw_kv_c(&w, "GODEBUG", "");
    put_retention(m, &text);
    jw_kv_str(&w, "storageRetention", buf_str(&text));
    jw_end(&w);
    return 0;
}

int prom_buildinfo(struct http_req *req, struct err *e)
{
    return answer_ask(req, buildinfo, e);
}

int prom_config(struct http_req *req, struct err *e)
{
    return answer_ask(req, config, e);
}

int prom_flags(struct http_req *req, struct err *e)
{
    return answer_ask(req, flags, e);
}

int prom_runtimeinfo(struct http_req *req, struct err *e)
{
    return answer_ask(req, runtimeinfo, e);
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
    return answer_ask(req, store, e);
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
    int result = m->hooks.reload(m->hooks.ctx, e);

    {
        WITH_LOCK(&m->write_lock);
        m->config_failed = result < 0;
        m->config_ms = result < 0 ? m->config_ms : clock_wall_ms();
    }
    return result < 0 ? -1 : http_reply_empty(req, 200, e);
}
