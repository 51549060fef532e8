/* Other registries: their rows, and /api/v1/registries. The password is a secret (project 0,
 * "registry.<id>"): written, never read back. */
#include "replication_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "list_http.h"
#include "registry/names.h"
#include "registry/registry.h"
#include "secrets/secrets.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS "id, name, url, user, ca_pem, insecure, has_password, created_ms"

static void read_row(const struct query *q, struct arena *a, struct remote_row *out)
{
    *out = (struct remote_row){.id = query_i64(q, 0),
                               .name = arena_str(a, query_str(q, 1)),
                               .url = arena_str(a, query_str(q, 2)),
                               .user = arena_str(a, query_str(q, 3)),
                               .ca_pem = arena_str(a, query_str(q, 4)),
                               .insecure = query_i64(q, 5) != 0,
                               .has_password = query_i64(q, 6) != 0,
                               .created_ms = query_i64(q, 7)};
}

static int one_row(struct query *q, struct arena *a, struct remote_row *out, struct err *e)
{
    int r = query_step(q, e);

    if (r > 0) {
        read_row(q, a, out);
        return 0;
    }
    return r < 0 ? -1
                 : err_set(e, ERR_NOT_FOUND, "there is no such registry: strata registry list");
}

int remote_row_find(struct state_db *db, struct arena *a, struct str name, struct remote_row *out,
                    struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, "SELECT " COLUMNS " FROM replication_registries WHERE name = ?",
                      "s", name) < 0
               ? -1
               : one_row(&q, a, out, e);
}

int remote_row_of_id(struct state_db *db, struct arena *a, int64_t id, struct remote_row *out,
                     struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, "SELECT " COLUMNS " FROM replication_registries WHERE id = ?", "i",
                      id) < 0
               ? -1
               : one_row(&q, a, out, e);
}

static void write_row(const struct remote_row *row, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id", row->id);
    jw_kv_str(w, "name", row->name);
    jw_kv_str(w, "url", row->url);
    jw_kv_str(w, "user", row->user);
    jw_kv_bool(w, "has_password", row->has_password);
    jw_kv_str(w, "ca_certificate", row->ca_pem);
    jw_kv_bool(w, "insecure", row->insecure);
    jw_kv_time(w, "created_at", row->created_ms);
    jw_end(w);
}

/* --- what is taken --- */

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~:/[]", c) != NULL);
}

static int check_url(struct str url, struct err *e)
{
    struct str rest = str_from(url, str_starts(url, STR("https://")) ? 8 : 7);

    if (!(str_starts(url, STR("https://")) || str_starts(url, STR("http://"))) || rest.len == 0 ||
        rest.p[0] == '/' || rest.p[0] == ':') {
        return err_set(e, ERR_INVALID,
                       "url: expected the address of a registry: https://registry.example");
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (!is_host_byte(rest.p[i])) {
            return err_set(e, ERR_INVALID,
                           "url: only scheme, host, port and path (user and password have fields "
                           "of their own)");
        }
    }
    return url.len > URL_BYTES_MAX
               ? err_set(e, ERR_INVALID, "url: longer than %d bytes", URL_BYTES_MAX)
               : 0;
}

static int check_row(const struct remote_row *row, struct err *e)
{
    if (check_url(row->url, e) < 0) {
        return -1;
    }
    if (row->user.len > 255 || str_find_char(row->user, ':') >= 0) {
        return err_set(e, ERR_INVALID, "user: at most 255 bytes, without a colon");
    }
    if (row->ca_pem.len > CA_BYTES_MAX ||
        (row->ca_pem.len > 0 && str_find(row->ca_pem, STR("-----BEGIN CERTIFICATE-----")) < 0)) {
        return err_set(
            e, ERR_INVALID,
            "ca_certificate: expected PEM (-----BEGIN CERTIFICATE-----), at most 64 KiB");
    }
    return 0;
}

struct change {
    struct replication *r;
    struct arena *a;
    const json_t *body;
    struct str name;
    struct remote_row row; /* out */
};

static int take_keys(struct change *c, struct err *e)
{
    static const char *const keys[] = {"name",           "url",     "user", "password",
                                       "ca_certificate", "insecure"};
    struct remote_row *row = &c->row;
    struct str password = STR_EMPTY;

    if (json_only_keys(c->body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_str(c->body, "url", &row->url, e) < 0 ||
        json_get_str(c->body, "user", &row->user, e) < 0 ||
        json_get_str(c->body, "ca_certificate", &row->ca_pem, e) < 0 ||
        json_get_bool(c->body, "insecure", &row->insecure, e) < 0 || check_row(row, e) < 0) {
        return -1;
    }
    if (json_object_get(c->body, "password") == NULL) {
        return 0;
    }
    if (json_is_null(json_object_get(c->body, "password"))) {
        row->has_password = false;
        return 0;
    }
    if (json_get_str(c->body, "password", &password, e) < 0) {
        return -1;
    }
    if (password.len > 16 * KIB || memchr(password.p, 0, password.len) != NULL) {
        return err_set(e, ERR_INVALID, "password: at most 16 KiB, without a zero byte");
    }
    row->has_password = password.len > 0;
    return 0;
}

static void secret_name(int64_t id, char out[32])
{
    (void)snprintf(out, 32, "registry.%lld", (long long)id);
}

/* After the row: a kill between the two leaves one whose password must be given again. */
static int keep_password(const struct change *c, struct str by, struct err *e)
{
    struct str password = STR_EMPTY;
    char name[32];
    struct err ignored;

    if (json_object_get(c->body, "password") == NULL) {
        return 0;
    }
    secret_name(c->row.id, name);
    if (!c->row.has_password) {
        (void)!secrets_delete(c->r->secrets, 0, str_of(name), &ignored);
        return 0;
    }
    return json_get_str(c->body, "password", &password, e) < 0
               ? -1
               : secrets_put(c->r->secrets, 0, str_of(name), password, by, e);
}

static int add_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct change *c = ctx;
    struct remote_row *row = &c->row;
    int64_t n;

    if (state_one_i64(db, &n, e, "rows", "SELECT count(*) FROM replication_registries", "") < 0) {
        return -1;
    }
    if (n >= REGISTRIES_MAX) {
        return err_set(e, ERR_LIMIT, "there are %d registries already: delete one", REGISTRIES_MAX);
    }
    if (state_run(db, e,
                  "INSERT INTO replication_registries(name, url, user, has_password, ca_pem,"
                  " insecure, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
                  "sssisii", row->name, row->url, row->user, (int64_t)row->has_password,
                  row->ca_pem, (int64_t)row->insecure, row->created_ms) < 0) {
        return e->kind == ERR_CONFLICT
                   ? err_set(e, ERR_CONFLICT, "the name %.*s is taken", STR_ARG(row->name))
                   : -1;
    }
    row->id = state_last_id(db);
    return 0;
}

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct change *c = ctx;
    struct remote_row *row = &c->row;

    return remote_row_find(db, c->a, c->name, row, e) < 0 || take_keys(c, e) < 0
               ? -1
               : state_run(db, e,
                           "UPDATE replication_registries SET url = ?, user = ?, has_password = ?,"
                           " ca_pem = ?, insecure = ? WHERE id = ?",
                           "ssisii", row->url, row->user, (int64_t)row->has_password, row->ca_pem,
                           (int64_t)row->insecure, row->id);
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct change *c = ctx;
    SCOPED(query_done) struct query q = {0};
    char project[65];
    int r;

    if (remote_row_find(db, c->a, c->name, &c->row, e) < 0 ||
        query_open(&q, db, e, "SELECT name FROM replication_rules WHERE registry_id = ?", "i",
                   c->row.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0) {
        return err_set(e, ERR_CONFLICT, "the rule %.*s uses this registry: delete that first",
                       STR_ARG(query_str(&q, 0)));
    }
    query_done(&q);
    if (access_proxy_of(db, c->row.name, project, e) < 0) {
        return -1;
    }
    if (project[0] != '\0') {
        return err_set(e, ERR_CONFLICT,
                       "the project %s is a cache of this registry: delete that first", project);
    }
    return state_run(db, e, "DELETE FROM replication_registries WHERE id = ?", "i", c->row.id);
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct change *c = ctx;

    return remote_row_find(db, c->a, c->name, &c->row, e);
}

/* --- routes --- */

static int reply_row(struct http_req *req, int status, const struct remote_row *row, struct err *e)
{
    struct buf b = BUF_MAX(CA_BYTES_MAX * 2 + 8192);
    struct jw w = JW(&b);
    int result;

    write_row(row, &w);
    result = http_reply_json(req, status, &b, e);
    buf_done(&b);
    return result;
}

static struct change change_of(struct replication *r, struct arena *a, struct str name)
{
    return (struct change){.r = r,
                           .a = a,
                           .name = name,
                           .row = {.url = STR_EMPTY, .user = STR_EMPTY, .ca_pem = STR_EMPTY}};
}

static int make(struct change *c, struct str by, struct err *e)
{
    c->row.created_ms = clock_wall_ms();
    return json_need_str(c->body, "name", &c->row.name, e) < 0 ||
                   thing_name_check(c->row.name, e) < 0 || take_keys(c, e) < 0 ||
                   state_write(c->r->state, add_fn, c, e) < 0 || keep_password(c, by, e) < 0
               ? -1
               : 0;
}

int registry_make(struct replication *r, struct arena *a, const json_t *body, struct str by,
                  int64_t *id, struct err *e)
{
    struct change c = change_of(r, a, STR_EMPTY);

    c.body = body;
    if (make(&c, by, e) < 0) {
        return -1;
    }
    *id = c.row.id;
    return 0;
}

static int edit(struct change *c, struct str by, struct err *e)
{
    if (json_object_get(c->body, "name") != NULL) {
        return err_set(e, ERR_INVALID, "name: a registry keeps its name");
    }
    if (state_write(c->r->state, change_fn, c, e) < 0 || keep_password(c, by, e) < 0) {
        return -1;
    }
    registry_upstream_changed(c->r->registry, c->name);
    return 0;
}

int registry_edit(struct replication *r, struct arena *a, struct str name, const json_t *body,
                  struct str by, struct err *e)
{
    struct change c = change_of(r, a, name);

    c.body = body;
    return edit(&c, by, e);
}

int registry_drop(struct replication *r, struct arena *a, struct str name, struct err *e)
{
    struct change c = change_of(r, a, name);
    char secret[32];
    struct err ignored;

    if (state_write(r->state, delete_fn, &c, e) < 0) {
        return -1;
    }
    secret_name(c.row.id, secret);
    (void)!secrets_delete(r->secrets, 0, str_of(secret), &ignored);
    return 0;
}

int api_registry_add(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct change c = change_of(req->ctx, &req->arena, STR_EMPTY);

    if (http_body_json(req, &body, e) < 0) {
        return -1;
    }
    c.body = body;
    return make(&c, str_of(req->who.name), e) < 0 ? -1 : reply_row(req, 201, &c.row, e);
}

int api_registry(struct http_req *req, struct err *e)
{
    struct change c = change_of(req->ctx, &req->arena, http_path_param(req, "name"));

    return state_read(c.r->state, find_fn, &c, e) < 0 ? -1 : reply_row(req, 200, &c.row, e);
}

int api_registry_change(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct change c = change_of(req->ctx, &req->arena, http_path_param(req, "name"));

    if (http_body_json(req, &body, e) < 0) {
        return -1;
    }
    c.body = body;
    return edit(&c, str_of(req->who.name), e) < 0 ? -1 : reply_row(req, 200, &c.row, e);
}

int api_registry_delete(struct http_req *req, struct err *e)
{
    return registry_drop(req->ctx, &req->arena, http_path_param(req, "name"), e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}

static bool is_closing(void *ctx)
{
    struct replication *r = ctx;

    return atomic_load(&r->stopping);
}

static struct remote *open_with(struct replication *r, const struct remote_row *row,
                                struct remote_options *o, struct err *e);

/* What is not kept has its password in the body. */
static struct remote *open_unkept(struct change *c, struct err *e)
{
    struct str password = STR_EMPTY;
    struct remote_options o = {.stop = is_closing, .stop_ctx = c->r};

    if (take_keys(c, e) < 0 || json_get_str(c->body, "password", &password, e) < 0) {
        return NULL;
    }
    c->row.url = arena_str(c->a, c->row.url); /* with a NUL behind */
    c->row.user = arena_str(c->a, c->row.user);
    c->row.ca_pem = arena_str(c->a, c->row.ca_pem);
    o.password = arena_str(c->a, password).p;
    return open_with(c->r, &c->row, &o, e);
}

int registry_try(struct replication *r, struct arena *a, struct str name, const json_t *body,
                 struct err *e)
{
    struct change c = change_of(r, a, name);

    c.body = body;
    if (name.len > 0 && state_read(r->state, find_fn, &c, e) < 0) {
        return -1;
    }
    SCOPED(remote_closep)
    struct remote *remote = name.len > 0
                                ? replication_remote(r, &c.row, /* no limit */ 0, is_closing, r, e)
                                : open_unkept(&c, e);

    return remote == NULL ? -1 : remote_ping(remote, e);
}

int api_registry_ping(struct http_req *req, struct err *e)
{
    struct change c = change_of(req->ctx, &req->arena, http_path_param(req, "name"));
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct err why;
    int ok, result;

    if (state_read(c.r->state, find_fn, &c, e) < 0) {
        return -1;
    }
    ok = registry_try(c.r, c.a, c.name, NULL, &why) == 0;
    jw_object(&w);
    jw_kv_bool(&w, "ok", ok);
    jw_kv_c(&w, "error", ok ? NULL : why.msg);
    jw_end(&w);
    result = http_reply_json(req, 200, &b, e);
    buf_done(&b);
    return result;
}

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " COLUMNS " FROM replication_registries WHERE name > ?"
                   " AND has_words(?, name, url) ORDER BY name LIMIT ?",
                   "ssi", l->after, l->q, l->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct remote_row row;

        if (listing_is_full(l)) {
            return 0;
        }
        read_row(&q, l->a, &row);
        write_row(&row, l->w);
        l->last = row.name;
    }
    return r;
}

int api_registries(struct http_req *req, struct err *e)
{
    return list_reply(req, ((struct replication *)req->ctx)->state, list_fn, NULL, e);
}

/* --- as a client --- */

/* The arena's texts end with a NUL. */
static struct remote *open_with(struct replication *r, const struct remote_row *row,
                                struct remote_options *o, struct err *e)
{
    o->url = row->url.p;
    o->user = row->user.p;
    o->fetch = (struct fetch_options){.denied = r->denied,
                                      .n_denied = r->n_denied,
                                      .ca_pem = row->ca_pem.len > 0 ? row->ca_pem.p : NULL,
                                      .insecure = row->insecure};
    return remote_open(o, e);
}

struct remote *replication_remote(struct replication *r, const struct remote_row *row,
                                  int64_t rate_bytes, fetch_stop *stop, void *stop_ctx,
                                  struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_SECRET_BYTES + 1);
    struct remote_options o = {.rate_bytes = rate_bytes, .stop = stop, .stop_ctx = stop_ctx};
    struct remote *remote;
    char name[32];

    secret_name(row->id, name);
    if (row->has_password && secrets_get(r->secrets, 0, str_of(name), &password, e) < 0) {
        err_wrap(e, "the password of registry %.*s", STR_ARG(row->name));
        return NULL;
    }
    o.password = password.p;
    remote = open_with(r, row, &o, e);
    if (password.p != NULL) {
        explicit_bzero(password.p, password.len);
    }
    return remote;
}

struct named {
    struct arena arena;
    struct str name;
    struct remote_row row;
};

static int named_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct named *n = ctx;

    return remote_row_find(db, &n->arena, n->name, &n->row, e);
}

struct remote *replication_open_remote(struct replication *r, struct str name, fetch_stop *stop,
                                       void *stop_ctx, struct err *e)
{
    struct named n = {.name = name};
    struct remote *remote =
        state_read(r->state, named_fn, &n, e) < 0
            ? NULL
            : replication_remote(r, &n.row, /* no limit */ 0, stop, stop_ctx, e);

    arena_done(&n.arena);
    return remote;
}

int replication_has_registry(struct state_db *db, struct str name, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct remote_row row;

    return remote_row_find(db, &a, name, &row, e);
}
