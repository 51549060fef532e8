/* Scanners that administrators have registered, and how one talks with them: the pluggable image
 * vulnerability scanning API 1.1 (scanner-adapter-openapi). */
#include "scan.h"

#include "base/clock.h"
#include "fetch/fetch.h"
#include "registry/names.h"
#include "secrets/secrets.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_SEC = 60 };

struct scanner_op {
    struct supply *s;
    struct str name, url, auth;
    int64_t id;
    struct scanner *out;
    struct arena *arena;
    struct jw *w;
};

static struct str place_of(int64_t id, char out[SECRETS_PLACE_MAX])
{
    int n = snprintf(out, SECRETS_PLACE_MAX, "scanner/%lld/auth", (long long)id);

    return str_n(out, (size_t)n);
}

static int name_taken(const struct scanner_op *op, int result, struct err *e)
{
    return result < 0 && e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "there is a scanner \"%.*s\" already", STR_ARG(op->name))
               : result;
}

/* Empty: it signs in no more. */
static int set_auth(struct state_db *db, const struct scanner_op *op, struct err *e)
{
    SCOPED(buf_done) struct buf sealed = BUF_MAX(LIMIT_SCANNER_AUTH_BYTES + SECRETS_OVERHEAD);
    char place[SECRETS_PLACE_MAX];

    if (op->auth.len == 0) {
        return state_run(db, e, "UPDATE supply_scanners SET auth = NULL WHERE id = ?", "i", op->id);
    }
    return secrets_wrap(op->s->secrets, place_of(op->id, place), op->auth, &sealed, e) < 0
               ? -1
               : state_run(db, e, "UPDATE supply_scanners SET auth = ? WHERE id = ?", "bi",
                           buf_str(&sealed), op->id);
}

static int add_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scanner_op *op = ctx;

    if (name_taken(op,
                   state_run(db, e,
                             "INSERT INTO supply_scanners(name, url, created_ms) VALUES (?, ?, ?)",
                             "ssi", op->name, op->url, clock_wall_ms()),
                   e) < 0) {
        return -1;
    }
    op->id = state_last_id(db);
    return set_auth(db, op, e);
}

/* What nobody can read shall not be had by naming another server either. */
static int check_server(struct state_db *db, const struct scanner_op *op, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    char before[LIMIT_WEBHOOK_URL_BYTES + 1] = "", after[LIMIT_WEBHOOK_URL_BYTES + 1] = "";
    int r;

    if (query_open(&q, db, e, "SELECT url, auth IS NOT NULL FROM supply_scanners WHERE id = ?", "i",
                   op->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no such scanner");
    }
    return op->auth.p == NULL && query_i64(&q, 1) != 0 &&
                   (str_copy(query_str(&q, 0), before, sizeof(before)) < 0 ||
                    str_copy(op->url, after, sizeof(after)) < 0 ||
                    !fetch_same_origin(before, after))
               ? err_set(e, ERR_INVALID,
                         "what it signs in with was given for another server: give it again with "
                         "the new url, or null")
               : 0;
}

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct scanner_op *op = ctx;

    return check_server(db, op, e) < 0 ||
                   name_taken(op,
                              state_run(db, e,
                                        "UPDATE supply_scanners SET name = ?, url = ? WHERE id = ?",
                                        "ssi", op->name, op->url, op->id),
                              e) < 0 ||
                   (op->auth.p != NULL && set_auth(db, op, e) < 0)
               ? -1
               : 0;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static int check_form(struct str name, struct str url, struct str auth, struct err *e)
{
    if (thing_name_check(name, e) < 0) {
        return -1;
    }
    if (!(str_starts(url, STR("http://")) || str_starts(url, STR("https://"))) ||
        url.len > LIMIT_WEBHOOK_URL_BYTES || str_find_char(url, '@') >= 0 ||
        str_find_char(url, '?') >= 0 || str_find_char(url, ' ') >= 0 || !is_plain(url)) {
        return err_set(e, ERR_INVALID,
                       "url: give the address of the adapter, such as http://trivy:8080");
    }
    if (auth.len > LIMIT_SCANNER_AUTH_BYTES || !is_plain(auth)) {
        return err_set(e, ERR_INVALID,
                       "auth_header: give the value of the Authorization header, such as \"Bearer "
                       "...\", in one line");
    }
    return 0;
}

int scanner_add(struct supply *s, struct str name, struct str url, struct str auth, struct err *e)
{
    struct scanner_op op = {.s = s, .name = name, .url = url, .auth = auth};

    return check_form(name, url, auth, e) < 0 ? -1 : state_write(s->state, add_fn, &op, e);
}

int scanner_change(struct supply *s, int64_t id, struct str name, struct str url, struct str auth,
                   struct err *e)
{
    struct scanner_op op = {.s = s, .id = id, .name = name, .url = url, .auth = auth};

    return check_form(name, url, auth, e) < 0 ? -1 : state_write(s->state, change_fn, &op, e);
}

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct scanner_op *op = ctx;

    if (state_run(db, e, "DELETE FROM supply_scanners WHERE name = ?", "s", op->name) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "there is no scanner \"%.*s\"",
                                           STR_ARG(str_first(op->name, 64)));
}

int scanner_drop(struct supply *s, struct str name, struct err *e)
{
    struct scanner_op op = {.name = name};

    return state_write(s->state, drop_fn, &op, e);
}

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scanner_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name, url, auth IS NOT NULL, created_ms FROM supply_scanners"
                   " WHERE ?1 IS NULL OR name = ?1 ORDER BY id",
                   "s", op->name) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(op->w);
        jw_kv_str(op->w, "name", query_str(&q, 0));
        jw_kv_str(op->w, "url", query_str(&q, 1));
        jw_kv_bool(op->w, "has_auth_header", query_i64(&q, 2) != 0);
        jw_kv_time(op->w, "created_at", query_i64(&q, 3));
        jw_end(op->w);
    }
    return r;
}

int scanners_write(struct supply *s, struct str name, struct jw *w, struct err *e)
{
    struct scanner_op op = {.name = name, .w = w};

    return state_read(s->state, write_fn, &op, e);
}

static int get_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct scanner_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    SCOPED(buf_done) struct buf auth = BUF_MAX(LIMIT_SCANNER_AUTH_BYTES + 1);
    char place[SECRETS_PLACE_MAX];
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, name, url, auth FROM supply_scanners"
                   " WHERE ?1 IS NULL OR name = ?1 ORDER BY id LIMIT 1",
                   "s", op->name) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "there is no scanner: an administrator adds one (strata scanner add), or "
                       "give the image a report (strata image scan --report)");
    }
    if (!query_is_null(&q, 3) && secrets_unwrap(op->s->secrets, place_of(query_i64(&q, 0), place),
                                                query_str(&q, 3), &auth, e) < 0) {
        return -1;
    }
    op->out->name = arena_strdup(op->arena, query_str(&q, 1));
    op->out->url = arena_strdup(op->arena, query_str(&q, 2));
    op->out->auth = auth.len > 0 ? arena_strdup(op->arena, buf_str(&auth)) : NULL;
    return 0;
}

int scanner_get(struct supply *s, struct arena *a, struct str name, struct scanner *out,
                struct err *e)
{
    struct scanner_op op = {.s = s, .name = name, .arena = a, .out = out};

    return state_read(s->state, get_fn, &op, e);
}

/* --- one request to it --- */

struct stops {
    const struct supply *s;
    const atomic_bool *asked; /* may be NULL */
};

static bool is_stopped(void *ctx)
{
    const struct stops *x = ctx;

    return atomic_load(&x->s->is_closing) || (x->asked != NULL && atomic_load(x->asked));
}

int scanner_ask(struct supply *s, struct arena *a, const struct scanner *to,
                const struct scanner_request *ask, struct fetch_answer *out, struct err *e)
{
    SCOPED(fetch_freep)
    struct fetch *f =
        fetch_new(&(struct fetch_options){.denied = s->denied, .n_denied = s->n_denied}, e);
    struct stops stops = {s, ask->stop};
    const char *slash = to->url[0] && to->url[strlen(to->url) - 1] == '/' ? "" : "/";
    struct fetch_request q = {.method = ask->body.p ? "POST" : "GET",
                              .url = arena_printf(a, "%s%s%s", to->url, slash, ask->path),
                              .body = ask->body,
                              .answer_max = LIMIT_REPORT_BYTES,
                              .stop = is_stopped,
                              .stop_ctx = &stops,
                              .total_sec = ANSWER_SEC};

    if (f == NULL) {
        return -1;
    }
    if (ask->type != NULL) {
        q.headers[q.n_headers++] = (struct fetch_header){"Content-Type", ask->type};
    }
    q.headers[q.n_headers++] = (struct fetch_header){"Accept", ask->accept};
    if (to->auth != NULL) {
        q.headers[q.n_headers++] = (struct fetch_header){"Authorization", to->auth};
    }
    return fetch_do(f, &q, out, e);
}
