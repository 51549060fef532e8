/* Which series, names and values there are: series, labels, label values, federate. */
#include "metrics_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/promql.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>
#include <string.h>

struct look { /* one request */
    struct ask ask;
    struct sight sight;
    struct selectors selectors;
    struct patience patience;
    int64_t from, to;
    size_t limit;
    struct tsdb_view *view;
    bool entered;
};

static int look_read(struct look *l, struct err *e)
{
    struct ask *a = &l->ask;

    l->from = TIME_MIN;
    l->to = TIME_MAX;
    if (ask_time(a, "start", &l->from, e) < 0 || ask_time(a, "end", &l->to, e) < 0 ||
        ask_limit(a, "limit", &l->limit, e) < 0 || ask_patience(a, &l->patience, e) < 0 ||
        ask_sight(a, &l->sight, e) < 0) {
        return -1;
    }
    return ask_selectors(a, &l->sight, &l->selectors, e);
}

/* Names and values without match[]: of all that he may see. */
static void look_at_all(struct look *l)
{
    if (l->selectors.len == 0) {
        l->selectors.p[l->selectors.len++] = (struct selector){l->sight.m, l->sight.n};
    }
}

static int look_open(struct look *l, struct err *e)
{
    if (gate_enter(&l->ask.m->gate, &l->patience, e) < 0) {
        return answer_refuse(l->ask.req, &l->patience, e) < 0 ? -1 : 1;
    }
    l->entered = true;
    l->view = tsdb_view_open(l->ask.m->db, l->from, l->to);
    tsdb_view_heed(l->view, patience_is_over, &l->patience);
    return 0;
}

static int serve(struct http_req *req, int (*how)(struct look *l, struct err *e), struct err *e)
{
    struct look l = {0};
    int result = ask_init(&l.ask, req, e) < 0 ? -1 : how(&l, e);

    tsdb_view_close(l.view);
    if (l.entered) {
        gate_leave(&l.ask.m->gate, 0);
    }
    ask_done(&l.ask);
    return result;
}

/* Found all that is asked for: the place in the gate is for others now, who may be slow at taking
 * it counts by its bytes. */
static size_t look_found(struct look *l)
{
    size_t bytes = l->ask.arena.used_bytes;

    tsdb_view_selected(l->view);
    gate_leave(&l->ask.m->gate, bytes);
    l->entered = false;
    return bytes;
}

/* --- series --- */

static int compare_found(const void *a, const void *b)
{
    return labels_cmp(((const struct tsdb_found *)a)->labels,
                      ((const struct tsdb_found *)b)->labels);
}

/* Of all selectors, each series once, in the order of labels. */
static int find_series(struct look *l, struct tsdb_found **out, size_t *n, struct err *e)
{
    struct arena *arena = &l->ask.arena;
    struct tsdb_found **parts = arena_new_array(arena, struct tsdb_found *, l->selectors.len);
    size_t *lens = arena_new_array(arena, size_t, l->selectors.len);
    size_t all = 0, kept = 0;

    for (size_t i = 0; i < l->selectors.len; i++) {
        if (tsdb_select(l->view, l->selectors.p[i].m, l->selectors.p[i].n, arena, &parts[i],
                        &lens[i], e) < 0) {
            return -1;
        }
        all += lens[i];
    }
    if (l->selectors.len == 1) {
        *out = parts[0];
        *n = lens[0];
        return 0;
    }
    *out = arena_new_array(arena, struct tsdb_found, all);
    for (size_t i = 0, at = 0; i < l->selectors.len; at += lens[i++]) {
        if (lens[i] > 0) {
            memcpy(*out + at, parts[i], lens[i] * sizeof(**out));
        }
    }
    qsort(*out, all, sizeof(**out), compare_found);
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || !labels_eq((*out)[kept - 1].labels, (*out)[i].labels)) {
            (*out)[kept++] = (*out)[i];
        }
    }
    *n = kept;
    return 0;
}

static int need_match(const struct look *l, struct err *e)
{
    return l->selectors.len > 0 ? 0 : err_set(e, ERR_INVALID, "no match[] parameter provided");
}

static const struct promql_notes *cut(const struct look *l, size_t *n)
{
    if (l->limit == 0 || *n <= l->limit) {
        return NULL;
    }
    *n = l->limit;
    return &notes_truncated;
}

static int write_series(struct look *l, const struct tsdb_found *found, size_t n, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    const struct promql_notes *notes = cut(l, &n);

    answer_json(&out, l->ask.req);
    (void)buf_add(&out.buf, STR("["));
    for (size_t i = 0; i < n; i++) {
        (void)buf_add(&out.buf, i > 0 ? STR(",") : STR_EMPTY);
        put_labels(&out.buf, found[i].labels);
        if (answer_more(&out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(&out.buf, STR("]"));
    return answer_json_end(&out, notes, e);
}

static int series(struct look *l, struct err *e)
{
    struct tsdb_found *found;
    size_t n, bytes;
    int result;

    if (look_read(l, e) < 0 || need_match(l, e) < 0) {
        return -1;
    }
    if ((result = look_open(l, e)) != 0) {
        return result < 0 ? -1 : 0;
    }
    if (find_series(l, &found, &n, e) < 0) {
        return answer_refuse(l->ask.req, NULL, e);
    }
    bytes = look_found(l);
    result = write_series(l, found, n, e);
    gate_sent(&l->ask.m->gate, bytes);
    return result;
}

int prom_series(struct http_req *req, struct err *e)
{
    return serve(req, series, e);
}

/* --- names and values --- */

static int compare_strs(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The names (p == NULL), or the values of one, that all selectors find. One more than the limit is
 * looked for, so that a cut is seen. */
static int find_words(struct look *l, struct str name, struct str **out, size_t *n, struct err *e)
{
    struct arena *arena = &l->ask.arena;
    size_t limit = l->limit > 0 && l->limit < SIZE_MAX ? l->limit + 1 : 0, len = 0, kept = 0;
    struct str *all = NULL;

    for (size_t i = 0; i < l->selectors.len; i++) {
        const struct selector *s = &l->selectors.p[i];
        struct str *part, *both;
        size_t more;

        if ((name.p == NULL ? tsdb_label_names(l->view, s->m, s->n, limit, arena, &part, &more, e)
                            : tsdb_label_values(l->view, name, s->m, s->n, limit, arena, &part,
                                                &more, e)) < 0) {
            return -1;
        }
        both = len == 0 ? part : arena_new_array(arena, struct str, len + more);
        if (len > 0) {
            memcpy(both, all, len * sizeof(*all));
            memcpy(both + len, part, more * sizeof(*part));
        }
        all = both;
        len += more;
    }
    if (l->selectors.len > 1 && len > 0) {
        qsort(all, len, sizeof(*all), compare_strs);
        for (size_t i = 0; i < len; i++) {
            if (kept == 0 || !str_eq(all[kept - 1], all[i])) {
                all[kept++] = all[i];
            }
        }
        len = kept;
    }
    *out = all;
    *n = len;
    return 0;
}

static int write_words(struct look *l, const struct str *words, size_t n, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    const struct promql_notes *notes = cut(l, &n);

    answer_json(&out, l->ask.req);
    (void)buf_add(&out.buf, STR("["));
    for (size_t i = 0; i < n; i++) {
        (void)buf_add(&out.buf, i > 0 ? STR(",") : STR_EMPTY);
        put_text(&out.buf, words[i]);
        if (answer_more(&out, e) < 0) {
            return -1;
        }
    }
    (void)buf_add(&out.buf, STR("]"));
    return answer_json_end(&out, notes, e);
}

static int answer_words(struct look *l, struct str name, struct err *e)
{
    struct str *words;
    size_t n, bytes;
    int result;

    if (look_read(l, e) < 0) {
        return -1;
    }
    look_at_all(l);
    if ((result = look_open(l, e)) != 0) {
        return result < 0 ? -1 : 0;
    }
    if (find_words(l, name, &words, &n, e) < 0) {
        return answer_refuse(l->ask.req, NULL, e);
    }
    bytes = look_found(l);
    result = write_words(l, words, n, e);
    gate_sent(&l->ask.m->gate, bytes);
    return result;
}

static int names(struct look *l, struct err *e)
{
    return answer_words(l, (struct str){0}, e);
}

static int values(struct look *l, struct err *e)
{
    struct str raw = http_path_param(l->ask.req, "name");
    struct str name = unescape_name(&l->ask.arena, raw);

    return label_name_is_valid(name) ? answer_words(l, name, e)
                                     : err_set(e, ERR_INVALID, "invalid label name: \"%.*s\"",
                                               STR_ARG(str_first(raw, 100)));
}

int prom_labels(struct http_req *req, struct err *e)
{
    return serve(req, names, e);
}

int prom_label_values(struct http_req *req, struct err *e)
{
    return serve(req, values, e);
}

/* --- federate: the newest sample of each, as text --- */

static int compare_metrics(const void *a, const void *b)
{
    const struct tsdb_found *x = a, *y = b;
    int by_name =
        str_cmp(labels_get(x->labels, STR(LABEL_NAME)), labels_get(y->labels, STR(LABEL_NAME)));

    return by_name != 0 ? by_name : labels_cmp(x->labels, y->labels);
}

static void text_escaped(struct buf *out, struct str s)
{
    (void)buf_add(out, STR("\""));
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_add(out, s.p[i] == '\n'   ? STR("\\n")
                           : s.p[i] == '"'  ? STR("\\\"")
                           : s.p[i] == '\\' ? STR("\\\\")
                                            : str_n(s.p + i, 1));
    }
    (void)buf_add(out, STR("\""));
}

struct page {
    struct buf *out;
    bool utf8;              /* else names are written with _ for what is not of [a-zA-Z0-9_:] */
    struct labels external; /* stand on each series that has not its own */
    struct str last_name;
};

static void text_name(const struct page *p, struct str s, bool (*is_plain)(struct str))
{
    if (is_plain(s)) {
        (void)buf_add(p->out, s);
        return;
    }
    if (p->utf8) {
        text_escaped(p->out, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        struct str c = str_n(s.p + i, 1);
        bool digit = c.p[0] >= '0' && c.p[0] <= '9';

        if (((unsigned char)c.p[0] & 0xc0) != 0x80) { /* one _ for a character of several bytes */
            (void)buf_add(p->out, is_plain(c) || (digit && i > 0) ? c : STR("_"));
        }
    }
}

static void text_label(const struct page *p, bool *first, struct str name, struct str value)
{
    (void)buf_add(p->out, *first ? STR_EMPTY : STR(","));
    *first = false;
    text_name(p, name, label_name_is_plain);
    (void)buf_add(p->out, STR("="));
    text_escaped(p->out, value);
}

/* name{a="b"}, or {"other name","a"="b"}. Like Prometheus: an empty instance where there is none,
 * so that who scrapes this with honor_labels does not put his own there. */
static void text_series(const struct page *p, struct labels s)
{
    struct str name = labels_get(s, STR(LABEL_NAME));
    bool outside = metric_name_is_plain(name) || !p->utf8, first = true;

    if (outside) {
        text_name(p, name, metric_name_is_plain);
    }
    (void)buf_add(p->out, STR("{"));
    if (!outside) {
        text_escaped(p->out, name);
        first = false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!str_eq_c(s.p[i].name, LABEL_NAME)) {
            text_label(p, &first, s.p[i].name, s.p[i].value);
        }
    }
    for (size_t i = 0; i < p->external.len; i++) {
        if (labels_get(s, p->external.p[i].name).len == 0) {
            text_label(p, &first, p->external.p[i].name, p->external.p[i].value);
        }
    }
    if (labels_get(s, STR("instance")).len == 0 &&
        labels_get(p->external, STR("instance")).len == 0) {
        text_label(p, &first, STR("instance"), STR_EMPTY);
    }
    (void)buf_add(p->out, STR("}"));
}

static void write_newest(struct page *p, const struct tsdb_found *f, int64_t ts_ms, double v)
{
    struct str name = labels_get(f->labels, STR(LABEL_NAME));
    char text[NUMBER_TEXT_MAX];

    if (p->last_name.p == NULL || !str_eq(name, p->last_name)) {
        (void)buf_add(p->out, STR("# TYPE "));
        text_name(p, name, metric_name_is_plain);
        (void)buf_add(p->out, STR(" untyped\n"));
        p->last_name = name;
    }
    text_series(p, f->labels);
    (void)buf_add(p->out, STR(" "));
    (void)buf_add(p->out, str_n(text, number_short(v, text)));
    (void)buf_printf(p->out, " %lld\n", (long long)ts_ms);
}

struct newest {
    struct tsdb_found series;
    int64_t ts_ms;
    double v;
};

/* Of each series that has not ended. */
static int read_newest(struct look *l, const struct tsdb_found *found, size_t n,
                       struct newest **out, size_t *len, struct err *e)
{
    SCOPED(tsdb_samples_done) struct tsdb_samples s = {0};

    *out = arena_new_array(&l->ask.arena, struct newest, n + 1);
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        if (patience_is_over(&l->patience)) {
            return err_set(e, ERR_TIMEOUT,
                           "query timed out or was cancelled in expression evaluation");
        }
        s.len = 0;
        if (tsdb_read(l->view, &found[i], l->from, l->to, &s, e) < 0) {
            return -1;
        }
        if (s.len > 0 && !tsdb_is_stale(s.v[s.len - 1])) {
            (*out)[(*len)++] = (struct newest){found[i], s.ts_ms[s.len - 1], s.v[s.len - 1]};
        }
    }
    return 0;
}

/* Prometheus 2 and who asks for nothing do not read quoted names: one would cost them the page. */
static bool reads_utf8(const struct http_req *req)
{
    struct str rest = http_header(req, "Accept");

    while (rest.p) {
        struct str params = str_cut(&rest, ','), type = str_trim(str_cut(&params, ';'));

        while (params.p && str_eq_nocase(type, STR("text/plain"))) {
            if (str_eq_nocase(str_trim(str_cut(&params, ';')), STR("escaping=allow-utf-8"))) {
                return true;
            }
        }
    }
    return false;
}

static int write_federate(struct look *l, const struct newest *all, size_t n, struct err *e)
{
    SCOPED(answer_done) struct answer out = {0};
    struct page p = {.out = &out.buf,
                     .utf8 = reads_utf8(l->ask.req),
                     .external = scrape_external_labels(l->ask.m->scrape, &l->ask.arena)};

    answer_init(&out, l->ask.req,
                p.utf8 ? "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    for (size_t i = 0; i < n; i++) {
        if (labels_get(all[i].series.labels, STR(LABEL_NAME)).len > 0) { /* as text it needs one */
            write_newest(&p, &all[i].series, all[i].ts_ms, all[i].v);
        }
        if (answer_more(&out, e) < 0) {
            return -1;
        }
    }
    return answer_end(&out, e);
}

static int federate(struct look *l, struct err *e)
{
    struct tsdb_found *found = NULL;
    struct newest *all;
    size_t n = 0, bytes;
    int result;

    if (look_read(l, e) < 0) {
        return -1;
    }
    l->to = clock_wall_ms();
    l->from = l->to - l->ask.m->lookback_ms;
    if ((result = look_open(l, e)) != 0) {
        return result < 0 ? -1 : 0;
    }
    if (l->selectors.len > 0 && find_series(l, &found, &n, e) < 0) {
        return answer_refuse(l->ask.req, NULL, e);
    }
    if (n > 0) {
        qsort(found, n, sizeof(*found), compare_metrics);
    }
    if (read_newest(l, found, n, &all, &n, e) < 0) {
        return answer_refuse(l->ask.req, &l->patience, e);
    }
    bytes = look_found(l);
    result = write_federate(l, all, n, e);
    gate_sent(&l->ask.m->gate, bytes);
    return result;
}

int prom_federate(struct http_req *req, struct err *e)
{
    return serve(req, federate, e);
}
