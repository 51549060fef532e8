#include "scrape/page.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD_MS = 600000 }; /* of our clock: as much as Prometheus takes */

/* A line's series as it was printed. */
struct entry {
    tsdb_ref ref;  /* 0: dropped by relabeling, or the store has too many */
    uint32_t seen; /* the last page that had it */
    uint32_t born;
    bool is_dropped;
    bool is_tracked; /* gets a marker when it goes */
    bool has_ended;  /* got one */
    uint32_t len;
    char text[];
};

struct page_memory {
    VEC(struct entry *) last, now; /* in the order of the page */
    struct map by_text;            /* made when a page differs from the last one */
    bool has_map;
    uint32_t turn;
    size_t n_again; /* of `last`, those that are in this page */
    uint64_t meta;  /* of all TYPE, HELP and UNIT lines */
    struct arena arena;
};

struct page_memory *page_memory_new(void)
{
    return xnew(struct page_memory);
}

void page_memory_free(struct page_memory *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->last.len; i++) {
        free(m->last.p[i]);
    }
    vec_done(&m->last);
    vec_done(&m->now);
    map_done(&m->by_text);
    arena_done(&m->arena);
    free(m);
}

size_t page_memory_series(const struct page_memory *m)
{
    return m->last.len;
}

/* --- a series that is new --- */

static int check_limits(const struct page_rules *r, struct labels s, struct err *e)
{
    const struct scrape_limits *l = &r->config->limits;
    struct str name = str_first(labels_get(s, STR(LABEL_NAME)), 50);

    if (l->labels > 0 && s.len > l->labels) {
        return err_set(e, ERR_LIMIT,
                       "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                       STR_ARG(name), s.len, (unsigned long long)l->labels);
    }
    for (size_t i = 0; i < s.len; i++) {
        if (l->label_name > 0 && s.p[i].name.len > l->label_name) {
            return err_set(e, ERR_LIMIT,
                           "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "length: %zu, limit: %llu)",
                           STR_ARG(name), STR_ARG(str_first(s.p[i].name, 50)), s.p[i].name.len,
                           (unsigned long long)l->label_name);
        }
        if (l->label_value > 0 && s.p[i].value.len > l->label_value) {
            return err_set(e, ERR_LIMIT,
                           "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "length: %zu, limit: %llu)",
                           STR_ARG(name), STR_ARG(str_first(s.p[i].name, 50)), s.p[i].value.len,
                           (unsigned long long)l->label_value);
        }
    }
    return 0;
}

static int check_names(const struct page_rules *r, struct labels s, struct err *e)
{
    struct str name = labels_get(s, STR(LABEL_NAME));

    if (name.len == 0) {
        return err_set(e, ERR_INVALID, "missing metric name (__name__ label)");
    }
    if (s.len > LIMIT_SERIES_LABELS) {
        return err_set(e, ERR_LIMIT, "a series has more than %d labels (metric: %.*s)",
                       LIMIT_SERIES_LABELS, STR_ARG(str_first(name, 50)));
    }
    if (!r->config->is_legacy_names) {
        return 0;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!label_name_is_plain(s.p[i].name)) {
            return err_set(e, ERR_INVALID, "invalid metric name or label names (metric: %.*s)",
                           STR_ARG(str_first(name, 50)));
        }
    }
    return metric_name_is_plain(name)
               ? 0
               : err_set(e, ERR_INVALID, "invalid metric name: %.*s", STR_ARG(str_first(name, 50)));
}

/* Its labels in the arena; 1, 0: dropped, -1. */
static int resolve(struct page_memory *m, const struct page_rules *r, struct str text,
                   struct labels *out, struct err *e)
{
    int keep;

    arena_reset(&m->arena);
    if (exposition_labels(text, &m->arena, out, e) < 0) {
        return -1;
    }
    *out = target_merge(&m->arena, *out, r->target, r->config->honor_labels);
    keep = relabel_apply(r->relabel, &m->arena, out, e); /* sorts, even without rules */
    if (keep <= 0) {
        return keep;
    }
    return check_names(r, *out, e) < 0 || check_limits(r, *out, e) < 0 ? -1 : 1;
}

static struct entry *entry_new(struct page_memory *m, struct str text)
{
    struct entry *n = xcalloc(1, sizeof(*n) + text.len);

    n->len = (uint32_t)text.len;
    n->born = m->turn;
    memcpy(n->text, text.p, text.len);
    if (m->has_map) {
        (void)map_put(&m->by_text, text, n);
    }
    return n;
}

/* --- the place of a line --- */

static void make_map(struct page_memory *m)
{
    for (size_t i = 0; i < m->last.len; i++) {
        struct entry *n = m->last.p[i];

        (void)map_put(&m->by_text, str_n(n->text, n->len), n);
    }
    for (size_t i = 0; i < m->now.len; i++) {
        struct entry *n = m->now.p[i];

        (void)map_put(&m->by_text, str_n(n->text, n->len), n);
    }
    m->has_map = true;
}

static bool is_at(const struct page_memory *m, size_t at, struct str text)
{
    const struct entry *n = at < m->last.len ? m->last.p[at] : NULL;

    return n != NULL && n->len == text.len && memcmp(n->text, text.p, text.len) == 0;
}

/* The memory of a line; *at is where the next one is expected. NULL: it is new. */
static struct entry *find(struct page_memory *m, size_t *at, const struct exposition *x)
{
    struct str text = x->series;
    struct entry *n;

    if (x->is_expected || is_at(m, *at, text)) {
        return m->last.p[(*at)++];
    }
    if (m->last.len == 0) {
        return NULL;
    }
    if (is_at(m, *at + 1, text)) { /* one line went */
        *at += 2;
        return m->last.p[*at - 1];
    }
    if (!m->has_map) {
        make_map(m);
    }
    n = map_get(&m->by_text, text);
    if (n != NULL && n->born != m->turn) { /* go on behind it: others were put before */
        size_t i = *at;

        while (i < m->last.len && i < *at + 64 && m->last.p[i] != n) {
            i++;
        }
        *at = i < m->last.len && m->last.p[i] == n ? i + 1 : *at;
    }
    return n;
}

static void count(struct page_counts *c, enum tsdb_taken t)
{
    c->too_old += t == TSDB_TOO_OLD;
    c->out_of_order += t == TSDB_OUT_OF_ORDER;
    c->duplicate += t == TSDB_DUPLICATE;
    c->too_many_series += t == TSDB_TOO_MANY_SERIES;
}

/* Gives a series to the store. `n` NULL: it is new here. */
static struct entry *introduce(struct page_memory *m, struct tsdb_appender *a,
                               const struct page_rules *r, const struct exposition *x,
                               struct entry *n, struct page_counts *c, struct err *e)
{
    uint64_t limit = r->config->limits.samples;
    struct labels s;
    int keep = resolve(m, r, x->series, &s, e);

    if (keep < 0) {
        (void)err_wrap(e, "line %u", x->line);
        return NULL;
    }
    n = n == NULL ? entry_new(m, x->series) : n;
    n->is_dropped = keep == 0;
    if (keep == 1 && (limit == 0 || c->kept < limit)) {
        n->ref = tsdb_series(a, s);
        c->added += n->ref != 0 && n->born == m->turn;
    }
    return n;
}

static int sample(struct page_memory *m, struct tsdb_appender *a, const struct page_rules *r,
                  const struct exposition *x, int64_t ts_ms, size_t *at, struct page_counts *c,
                  struct err *e)
{
    struct entry *n = find(m, at, x);
    bool own_time = x->has_time && r->config->honor_timestamps;
    int64_t ts = own_time ? x->time_ms : ts_ms;
    uint64_t limit = r->config->limits.samples;
    enum tsdb_taken taken;

    c->scraped++;
    if (limit > 0 && c->kept > limit) {
        c->kept++; /* the page fails: its rest is only counted */
        return 0;
    }
    if (n == NULL || (n->ref == 0 && !n->is_dropped)) {
        n = introduce(m, a, r, x, n, c, e);
        if (n == NULL) {
            return -1;
        }
    }
    if (n->seen != m->turn) {
        n->seen = m->turn;
        m->n_again += n->born != m->turn;
        *vec_push(&m->now) = n;
    }
    if (n->is_dropped) {
        return 0;
    }
    c->kept++;
    if (limit > 0 && c->kept > limit) {
        return 0;
    }
    if (ts > ts_ms + AHEAD_MS || ts < TSDB_TIME_MIN) { /* it would hold back all that follow */
        c->too_old += ts < ts_ms;
        c->out_of_order += ts > ts_ms;
        return 0;
    }
    if (n->ref == 0) {
        c->too_many_series++;
        return 0;
    }
    n->is_tracked = !own_time || r->config->track_timestamps_staleness;
    c->added += n->has_ended;
    n->has_ended = false;
    taken = tsdb_append(a, n->ref, ts, x->value);
    if (taken == TSDB_GONE) { /* the store forgot it meanwhile */
        n->ref = 0;
        if (introduce(m, a, r, x, n, c, e) == NULL) {
            return -1;
        }
        taken = n->ref == 0 ? TSDB_TOO_MANY_SERIES : tsdb_append(a, n->ref, ts, x->value);
    }
    count(c, taken);
    return 0;
}

static void mark(struct entry *n, struct tsdb_appender *a, int64_t ts_ms)
{
    if (n->ref != 0 && n->is_tracked && !n->has_ended) {
        (void)tsdb_append(a, n->ref, ts_ms, tsdb_stale());
    }
    n->has_ended = true;
}

int page_read(struct page_memory *m, struct tsdb_appender *a, const struct page_rules *r,
              struct str page, enum exposition_format format, int64_t ts_ms,
              struct page_counts *counts, bool *has_new_metadata, struct err *e)
{
    struct exposition x;
    size_t at = 0;
    uint64_t meta = 1;
    int kind;

    *counts = (struct page_counts){0};
    m->turn++;
    m->now.len = m->n_again = 0;
    exposition_init(&x, page, format);
    for (;;) {
        x.expected = at < m->last.len ? str_n(m->last.p[at]->text, m->last.p[at]->len) : STR_EMPTY;
        kind = exposition_next(&x, e);
        if (kind <= 0) {
            break;
        }
        if (kind != EXPOSITION_SAMPLE) {
            meta = labels_mix(labels_mix(meta ^ (uint64_t)kind, x.name), x.text);
        } else if (sample(m, a, r, &x, ts_ms, &at, counts, e) < 0) {
            return -1;
        }
    }
    if (kind < 0) {
        return -1;
    }
    if (r->config->limits.samples > 0 && counts->kept > r->config->limits.samples) {
        return err_set(e, ERR_LIMIT, "sample limit exceeded: %llu samples, sample_limit is %llu",
                       (unsigned long long)counts->kept,
                       (unsigned long long)r->config->limits.samples);
    }
    for (size_t i = 0; m->n_again < m->last.len && i < m->last.len; i++) {
        if (m->last.p[i]->seen != m->turn) {
            mark(m->last.p[i], a, ts_ms);
        }
    }
    *has_new_metadata = meta != m->meta;
    m->meta = meta;
    return 0;
}

static void forget(struct page_memory *m, struct entry *n)
{
    struct str text = str_n(n->text, n->len);

    /* a text that stands twice has one entry */
    if (m->has_map && map_get(&m->by_text, text) == n) {
        (void)map_del(&m->by_text, text);
    }
    free(n);
}

void page_settle(struct page_memory *m, bool is_good)
{
    if (is_good) {
        for (size_t i = 0; m->n_again < m->last.len && i < m->last.len; i++) {
            if (m->last.p[i]->seen != m->turn) {
                forget(m, m->last.p[i]);
            }
        }
        __auto_type was = m->last;

        m->last = m->now;
        m->now = was;
    } else {
        for (size_t i = 0; i < m->now.len; i++) {
            if (m->now.p[i]->born == m->turn) {
                forget(m, m->now.p[i]);
            }
        }
        m->meta = 0;
    }
    m->now.len = 0;
}

void page_end(struct page_memory *m, struct tsdb_appender *a, int64_t ts_ms)
{
    for (size_t i = 0; i < m->last.len; i++) {
        mark(m->last.p[i], a, ts_ms);
    }
}
