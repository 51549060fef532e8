#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http.h"
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRUNE_EVERY = 1024, PRUNE_ROWS = 4096 };

/* Views into one request, or into `memory` when it is written later. */
struct entry {
    int64_t at_ms, token_id;
    struct access *a;
    const char *method;
    struct str user, path, project, peer, request_id;
    int status;
    struct arena memory;
};

/* Entries are in the order of time, so only the old end is looked at. */
static int prune(struct state_db *db, const struct access *a, int64_t now_ms, struct err *e)
{
    if (state_run(db, e,
                  "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < (SELECT id "
                  "FROM audit WHERE at_ms >= ? ORDER BY id LIMIT 1) ORDER BY id LIMIT ?)",
                  "ii", now_ms - a->audit_keep_ms, (int64_t)PRUNE_ROWS) < 0) {
        return -1;
    }
    if (a->audit_rows <= 0) {
        return 0;
    }
    /* Ids have no gaps but at the old end. */
    return state_run(db, e,
                     "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= (SELECT "
                     "max(id) FROM audit) - ? ORDER BY id LIMIT ?)",
                     "ii", a->audit_rows, (int64_t)PRUNE_ROWS);
}

static int insert_entry(struct state_db *db, void *ctx, struct err *e)
{
    const struct entry *en = ctx;

    if (state_run(db, e,
                  "INSERT INTO audit(at_ms, user, token_id, method, path, project, status, peer, "
                  "request_id) VALUES(?, ?, nullif(?, 0), ?, ?, nullif(?, ''), ?, ?, ?)",
                  "isizssiss", en->at_ms, en->user, en->token_id, en->method, en->path, en->project,
                  (int64_t)en->status, en->peer, en->request_id) < 0) {
        return -1;
    }
    return state_last_id(db) % PRUNE_EVERY == 0 ? prune(db, en->a, en->at_ms, e) : 0;
}

static void free_entry(void *ctx, const struct err *e)
{
    struct entry *en = ctx;

    if (e) {
        log_error("access.audit_lost", "request=%.*s error=%s", STR_ARG(en->request_id), e->msg);
    } else {
        access_tell_audit(en->a, en->user, en->project);
    }
    arena_done(&en->memory);
    free(en);
}

static void write_later(struct access *a, const struct entry *en)
{
    struct entry *copy = xnew(struct entry);

    *copy = *en;
    copy->user = arena_str(&copy->memory, en->user);
    copy->path = arena_str(&copy->memory, en->path);
    copy->project = arena_str(&copy->memory, en->project);
    copy->peer = arena_str(&copy->memory, en->peer);
    copy->request_id = arena_str(&copy->memory, en->request_id);
    state_submit(a->state, insert_entry, copy, free_entry);
}

/* One entry for each user whose refusals of a minute were too many to be written down. */
static void write_sums(struct access *a, int64_t now_ms)
{
    struct refusal last;
    unsigned more;

    while ((more = access_refusals_sum(a->refusals, now_ms, &last)) > 0) {
        char text[80];

        (void)snprintf(text, sizeof(text), "%u more refused requests within a minute", more);
        write_later(a, &(struct entry){.at_ms = now_ms,
                                       .a = a,
                                       .method = "*",
                                       .user = str_of(last.user),
                                       .path = str_of(text),
                                       .project = STR_EMPTY,
                                       .peer = str_of(last.peer),
                                       .request_id = str_of(last.request_id),
                                       .status = last.status});
    }
}

/* What was refused is written without waiting, so that the time of an answer tells nothing;
 * refusals of strangers are not written at all, or they could fill the disk. */
static void write_refusal(struct access *a, struct entry *en)
{
    struct refusal one = {.status = en->status};

    if (str_eq(en->user, STR("anonymous"))) {
        return;
    }
    (void)!str_copy(en->user, one.user, sizeof(one.user));
    (void)!str_copy(en->peer, one.peer, sizeof(one.peer));
    (void)!str_copy(en->request_id, one.request_id, sizeof(one.request_id));
    write_sums(a, en->at_ms);
    if (access_refusals_note(a->refusals, &one, en->at_ms)) {
        en->path = str_first(en->path, LIMIT_AUDIT_REFUSED_BYTES);
        en->project = str_first(en->project, LIMIT_NAME_BYTES);
        write_later(a, en);
    }
}

/* A change is on disk with its entry before its answer is sent. */
void access_audit(void *ctx, const struct http_req *r, int status)
{
    struct access *a = ctx;
    SCOPED(buf_done) struct buf path = BUF_MAX(LIMIT_TARGET_BYTES * 2);
    struct entry en = {.at_ms = clock_wall_ms(),
                       .token_id = r->who.token_id,
                       .a = a,
                       .method = http_method_name(r->method),
                       .user = str_of(r->who.name),
                       .path = str_first(r->path, LIMIT_AUDIT_PATH_BYTES),
                       .project = r->project.p ? r->project : STR_EMPTY,
                       .peer = str_of(r->peer),
                       .request_id = str_of(r->id),
                       .status = status};
    struct err e;

    if (r->audit_note.len > 0 && buf_add(&path, r->path) == 0 && buf_add_c(&path, " ") == 0 &&
        buf_add(&path, r->audit_note) == 0) {
        en.path = str_first(buf_str(&path), LIMIT_AUDIT_PATH_BYTES);
    }
    if (status >= 400) {
        write_refusal(a, &en);
    } else if (state_write(a->state, insert_entry, &en, &e) < 0) {
        log_error("access.audit_lost", "request=%s error=%s", r->id, e.msg);
    } else {
        access_tell_audit(a, en.user, en.project);
    }
}

int access_audit_own(struct state_db *db, struct str user, struct str project, const char *text,
                     struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO audit(at_ms, user, method, path, project, status, peer,"
                     " request_id) VALUES(?, ?, '*', ?, nullif(?, ''), 403, '', '')",
                     "isss", clock_wall_ms(), user, str_first(str_of(text), LIMIT_AUDIT_PATH_BYTES),
                     project);
}

struct audit_list {
    const struct audit_filter *filter;
    const struct page *page;
    int64_t before;
};

static void entry_json(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_time(w, "at", query_i64(q, 1));
    jw_kv_str(w, "user", query_str(q, 2));
    jw_kv_str(w, "method", query_str(q, 3));
    jw_kv_str(w, "path", query_str(q, 4));
    jw_kv_str_or_null(w, "project", query_str_or_null(q, 5));
    jw_kv_i64(w, "status", query_i64(q, 6));
    jw_kv_str(w, "peer", query_str(q, 7));
    jw_kv_str(w, "request_id", query_str(q, 8));
    jw_end(w);
}

#define AUDIT_COLUMNS "id, at_ms, user, method, path, project, status, peer, request_id"
#define SELECT_AUDIT                                                                               \
    "SELECT " AUDIT_COLUMNS " FROM audit WHERE id < ?1 AND at_ms BETWEEN ?2 AND ?3 "               \
    "AND has_words(?4, path, peer, request_id, user, project, method) "

/* One text a case, so that each uses its index. Words that hardly occur are looked for in all that
 * is kept: this is read by administrators, one page at a time. */
static int open_audit(struct query *q, struct state_db *db, const struct audit_list *l,
                      struct err *e)
{
    const struct audit_filter *f = l->filter;
    struct str words = l->page->q;
    int64_t until = f->until_ms > 0 ? f->until_ms : INT64_MAX;
    int64_t limit = l->page->limit + 1;

    if (f->user.p && f->project.p) {
        return query_open(
            q, db, e, SELECT_AUDIT "AND user = ?5 AND project = ?6 ORDER BY id DESC LIMIT ?7",
            "iiisssi", l->before, f->since_ms, until, words, f->user, f->project, limit);
    }
    if (f->user.p) {
        return query_open(q, db, e, SELECT_AUDIT "AND user = ?5 ORDER BY id DESC LIMIT ?6",
                          "iiissi", l->before, f->since_ms, until, words, f->user, limit);
    }
    if (f->project.p) {
        return query_open(q, db, e, SELECT_AUDIT "AND project = ?5 ORDER BY id DESC LIMIT ?6",
                          "iiissi", l->before, f->since_ms, until, words, f->project, limit);
    }
    return query_open(q, db, e, SELECT_AUDIT "ORDER BY id DESC LIMIT ?5", "iiisi", l->before,
                      f->since_ms, until, words, limit);
}

static int write_audit(struct state_db *db, void *ctx, struct err *e)
{
    const struct audit_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(l->page->out);
    int64_t n = 0, last = 0;
    char next[24];
    int r;

    if (open_audit(&q, db, l, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < l->page->limit) {
        last = query_i64(&q, 0);
        entry_json(&w, &q);
    }
    jw_end(&w);
    (void)snprintf(next, sizeof(next), "%lld", (long long)last);
    jw_kv_c(&w, "next", r > 0 ? next : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_audit_page(struct access *a, const struct audit_filter *f, const struct page *p,
                      struct err *e)
{
    struct audit_list l = {.filter = f, .page = p, .before = INT64_MAX};
    uint64_t before;

    if (p->after.len > 0) {
        if (str_to_u64(p->after, &before) < 0 || before > INT64_MAX) {
            return err_set(e, ERR_INVALID, "after: give the \"next\" of the page before");
        }
        l.before = (int64_t)before;
    }
    return state_read(a->state, write_audit, &l, e);
}

/* --- the whole log as lines --- */

/* RFC 4180; what a spreadsheet would take for a formula is marked as text: others wrote it. */
static void csv_text(struct buf *out, struct str s)
{
    buf_add_c(out, s.len > 0 && memchr("=+-@\t\r", s.p[0], 6) != NULL ? "\"'" : "\"");
    for (struct str rest = s; rest.p != NULL;) {
        buf_add(out, str_cut(&rest, '"'));
        if (rest.p != NULL) {
            buf_add_c(out, "\"\"");
        }
    }
    buf_add_c(out, "\"");
}

static void entry_csv(struct buf *out, const struct query *q)
{
    char at[32];

    buf_printf(out, "%lld,%s,", (long long)query_i64(q, 0), clock_format(query_i64(q, 1), at));
    for (int column = 2; column <= 8; column++) {
        if (column == 6) {
            buf_printf(out, "%lld", (long long)query_i64(q, column));
        } else if (!query_is_null(q, column)) {
            csv_text(out, query_str(q, column));
        }
        buf_add_c(out, column < 8 ? "," : "\r\n");
    }
}

struct audit_part {
    struct audit_list list;
    enum audit_format format;
    int64_t last, n;
};

static int write_part(struct state_db *db, void *ctx, struct err *e)
{
    struct audit_part *p = ctx;
    struct buf *out = p->list.page->out;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (open_audit(&q, db, &p->list, e) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0 && p->n < p->list.page->limit) {
        struct jw w = JW(out);

        p->last = query_i64(&q, 0);
        p->n++;
        if (p->format == AUDIT_CSV) {
            entry_csv(out, &q);
        } else {
            entry_json(&w, &q);
            buf_add_c(out, "\n");
        }
    }
    return r < 0 ? -1 : 0;
}

int access_audit_part(struct access *a, const struct audit_filter *f, struct str words,
                      enum audit_format format, int64_t max, int64_t *before, int64_t *n,
                      struct buf *out, struct err *e)
{
    struct page page = {.q = words, .limit = max, .out = out};
    struct audit_part p = {.list = {.filter = f, .page = &page, .before = *before},
                           .format = format};

    if (state_read(a->state, write_part, &p, e) < 0) {
        return -1;
    }
    *n = p.n;
    *before = p.last;
    return out->failed ? err_set(e, ERR_LIMIT, "a part of the audit log is too long") : 0;
}

static int prune_now(struct state_db *db, void *ctx, struct err *e)
{
    return prune(db, ctx, clock_wall_ms(), e);
}

void access_audit_prune(struct access *a)
{
    struct err e;

    if (state_write(a->state, prune_now, a, &e) < 0) {
        log_warn("access.audit_not_pruned", "error=%s next=again in a minute", Q(str_of(e.msg)));
    }
}

void access_housekeep(struct access *a)
{
    write_sums(a, clock_wall_ms());
    access_audit_prune(a);
}
