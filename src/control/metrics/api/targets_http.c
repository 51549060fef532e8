/* What is scraped, how it went, and what targets say of their metrics. */
#include "metrics_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "promql/promql.h"
#include "scrape/scrape.h"

#include <stdlib.h>

/* --- targets --- */

/* Without the values of its parameters, which may be tokens. An address has no user and password:
 * the scraper refuses them. */
static struct str url_for_members(struct arena *a, struct str url)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(64 * KIB);
    struct str query = url;
    bool first = true;

    (void)buf_add(&b, str_cut(&query, '?'));
    while (query.p != NULL && query.len > 0) {
        struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');

        (void)buf_printf(&b, value.p != NULL ? "%s%.*s=xxxxx" : "%sxxxxx", first ? "?" : "&",
                         STR_ARG(name));
        first = false;
    }
    return arena_str(a, buf_str(&b));
}

/* Members see of a target what its series tell, and how it went: what discovery knew of it and the
 * values in its address may be secrets of whoever wrote the configuration. */
static void write_target(struct jw *w, const struct scrape_target *t, bool whole, struct arena *a)
{
    struct str url = whole ? t->url : url_for_members(a, t->url);

    static const char *const healths[] = {
        [SCRAPE_UNKNOWN] = "unknown", [SCRAPE_UP] = "up", [SCRAPE_DOWN] = "down"};

    jw_object(w);
    kv_labels(w, "discoveredLabels", whole ? t->discovered : (struct labels){0});
    kv_labels(w, "labels", t->labels);
    jw_kv_str(w, "scrapePool", t->pool);
    jw_kv_str(w, "scrapeUrl", url);
    jw_kv_str(w, "globalUrl", url);
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
           (t->is_dropped ? w->sight.all : sight_takes(&w->sight, t->labels));
}

static int write_targets(struct arena *a, const struct wanted *w, struct answer *out,
                         const char *key, bool dropped, struct err *e)
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
            write_target(&one, &w->all[i], w->sight.all, a);
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
    } else if (write_targets(&a->arena, &w, out, "activeTargets", false, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR(","));
    if (!dropped) {
        (void)buf_add(&out->buf, STR("\"droppedTargets\":[]"));
    } else if (write_targets(&a->arena, &w, out, "droppedTargets", true, e) < 0) {
        return -1;
    }
    (void)buf_add(&out->buf, STR(","));
    write_dropped(a, &w, out);
    (void)buf_add(&out->buf, STR("}"));
    return 0;
}

int prom_targets(struct http_req *req, struct err *e)
{
    return answer_ask(req, targets, e);
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
    return answer_ask(req, pools, e);
}

static void write_alertmanagers(struct jw *w, const char *key, bool dropped,
                                const struct scrape_alertmanager *all, size_t n)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        if (all[i].is_dropped == dropped) {
            jw_object(w);
            jw_kv_str(w, "url", all[i].url);
            jw_end(w);
        }
    }
    jw_end(w);
}

static int alertmanagers(struct ask *a, struct answer *out, struct err *e UNUSED)
{
    struct jw w = JW(&out->buf);
    struct scrape_alertmanager *all;
    size_t n;

    scrape_alertmanagers(a->m->scrape, &a->arena, &all, &n);
    jw_object(&w);
    write_alertmanagers(&w, "activeAlertmanagers", false, all, n);
    write_alertmanagers(&w, "droppedAlertmanagers", true, all, n);
    jw_end(&w);
    return 0;
}

int prom_alertmanagers(struct http_req *req, struct err *e)
{
    return answer_ask(req, alertmanagers, e);
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
    return answer_ask(req, metadata, e);
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
    return answer_ask(req, targets_metadata, e);
}
