/* Scanners as registrations of Harbor. Their uuid is made of their number here. The one that was
 * added first is asked, for all projects. */
#include "harbor_priv.h"

#include "base/hash.h"
#include "fetch/fetch.h"
#include "supply/rows.h"

#include <stdio.h>
#include <string.h>

#define UUID_START "00000000-0000-4000-8000-"
#define SELECT_SCANNERS                                                                            \
    "SELECT id, name, url, created_ms,"                                                            \
    " id = (SELECT min(id) FROM supply_scanners) FROM supply_scanners"

static void write_scanner(struct jw *w, const struct query *q)
{
    char uuid[64];

    (void)snprintf(uuid, sizeof(uuid), UUID_START "%012llx",
                   (unsigned long long)query_i64(q, 0) & 0xffffffffffffULL);
    jw_object(w);
    jw_kv_c(w, "uuid", uuid);
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_c(w, "description", "");
    jw_kv_str(w, "url", query_str(q, 2));
    jw_kv_bool(w, "disabled", false);
    jw_kv_bool(w, "is_default", query_i64(q, 4) != 0);
    jw_kv_c(w, "auth", ""); /* what it signs in with is sealed */
    jw_kv_c(w, "access_credential", "");
    jw_kv_bool(w, "skip_certVerify", false);
    jw_kv_bool(w, "use_internal_addr", false);
    jw_kv_time(w, "create_time", query_i64(q, 3));
    jw_kv_time(w, "update_time", query_i64(q, 3));
    jw_end(w);
}

static int fill_scanners(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM supply_scanners WHERE (?1 IS NULL OR name = ?1)"
                      " AND instr(name, ?2)",
                      "ss", name, part) < 0 ||
        query_open(&q, db, e,
                   SELECT_SCANNERS " WHERE (?1 IS NULL OR name = ?1) AND instr(name, ?2)"
                                   " ORDER BY id LIMIT ?3 OFFSET ?4",
                   "ssii", name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_scanner(&l->w, &q);
    }
    return r;
}

/* All, and those that a project could choose from. */
int harbor_scanners(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct list l;

    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_scanners, e);
}

struct one {
    struct arena *arena;
    int64_t id; /* 0: the one that is asked */
    bool is_default;
    struct str name;
    struct jw *w; /* or NULL */
};

static int scanner_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   SELECT_SCANNERS " WHERE (?1 = 0 OR id = ?1) AND (?2 IS NULL OR name = ?2)"
                                   " ORDER BY id LIMIT 1",
                   "is", o->id, o->name) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no such scanner");
    }
    o->id = query_i64(&q, 0);
    o->name = arena_str(o->arena, query_str(&q, 1));
    o->is_default = query_i64(&q, 4) != 0;
    if (o->w) {
        write_scanner(o->w, &q);
    }
    return 0;
}

static int id_of_uuid(struct str uuid, int64_t *out, struct err *e)
{
    size_t start = strlen(UUID_START);
    int64_t id = 0;

    for (size_t i = start; i < uuid.len && uuid.len == start + 12; i++) {
        char c = uuid.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        id = digit < 0 || id < 0 ? -1 : id * 16 + digit;
    }
    *out = id;
    return str_starts(uuid, STR(UUID_START)) && id > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "there is no such scanner");
}

/* The scanner of the path. */
static int scanner_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    o->arena = &r->arena;
    return id_of_uuid(http_path_param(r, "scanner"), &o->id, e) < 0
               ? -1
               : state_read(h->state, scanner_fn, o, e);
}

int harbor_scanner(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, scanner_of(r, &o, e), e);
}

/* Of an Authorization header: {"auth": "Bearer", "access_credential": "..."}. In the arena. */
static int read_auth(struct http_req *r, const json_t *body, struct str *out, struct err *e)
{
    struct str kind = STR_EMPTY, credential = STR_EMPTY;

    if ((!json_is_null(json_object_get(body, "auth")) &&
         json_get_str(body, "auth", &kind, e) < 0) ||
        (!json_is_null(json_object_get(body, "access_credential")) &&
         json_get_str(body, "access_credential", &credential, e) < 0)) {
        return -1;
    }
    *out = STR_EMPTY;
    if (kind.len == 0) {
        return 0;
    }
    if (str_eq_c(kind, "Bearer")) {
        *out = str_of(arena_printf(&r->arena, "Bearer %.*s", STR_ARG(credential)));
        return 0;
    }
    if (str_eq_c(kind, "Basic")) {
        SCOPED(buf_done) struct buf code = BUF_MAX(2 * LIMIT_SCANNER_AUTH_BYTES);

        if (credential.len > LIMIT_SCANNER_AUTH_BYTES) {
            return err_set(e, ERR_INVALID, "access_credential: give user:password");
        }
        base64_add(&code, credential);
        *out = str_of(arena_printf(&r->arena, "Basic %.*s", STR_ARG(buf_str(&code))));
        return 0;
    }
    return err_set(e, ERR_INVALID, "auth: give Basic, Bearer or nothing");
}

static int read_scanner(struct http_req *r, const json_t *body, struct str *name, struct str *url,
                        struct str *auth, struct err *e)
{
    bool is_off = false, skips = false;

    if (json_need_str(body, "name", name, e) < 0 || json_need_str(body, "url", url, e) < 0 ||
        json_get_bool(body, "disabled", &is_off, e) < 0 ||
        json_get_bool(body, "skip_certVerify", &skips, e) < 0) {
        return -1;
    }
    if (is_off || skips) {
        return err_set(e, ERR_INVALID, "%s: not possible here, leave it false",
                       is_off ? "disabled" : "skip_certVerify");
    }
    return read_auth(r, body, auth, e);
}

int harbor_scanner_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {.arena = &r->arena};
    struct str url, auth;

    if (http_body_json(r, &body, e) < 0 || read_scanner(r, body, &o.name, &url, &auth, e) < 0 ||
        scanner_add(h->supply, o.name, url, auth, e) < 0 ||
        state_read(h->state, scanner_fn, &o, e) < 0) {
        return -1;
    }
    r->audit_note = o.name;
    http_set_header(r, "Location", HARBOR "/scanners/" UUID_START "%012llx",
                    (unsigned long long)o.id);
    return http_reply_empty(r, 201, e);
}

/* Nothing said of a sign-in, or what was told of it: it stays. null: it is taken away. */
static bool says_auth(const json_t *body)
{
    const json_t *auth = json_object_get(body, "auth");

    return auth != NULL && !(json_is_string(auth) && json_string_length(auth) == 0);
}

int harbor_scanner_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name, url, auth;
    struct one o = {0};

    if (scanner_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        read_scanner(r, body, &name, &url, &auth, e) < 0) {
        return -1;
    }
    r->audit_note = o.name;
    return scanner_change(h->supply, o.id, name, url,
                          says_auth(body) ? auth : (struct str){.p = NULL}, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* Harbor answers with what was deleted. */
int harbor_scanner_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    struct one o = {.w = &w};
    int result = scanner_of(r, &o, e);

    r->audit_note = result == 0 ? o.name : r->audit_note;
    if (result == 0) {
        result = scanner_drop(h->supply, o.name, e);
    }
    return harbor_reply_and_free(r, 200, &b, result, e);
}

/* The first one is asked; another becomes the first when those before it go. */
static int need_default(const struct one *o, struct err *e)
{
    return o->is_default ? 0
                         : err_set(e, ERR_INVALID,
                                   "the scanner that was added first is asked, for all projects: "
                                   "delete those before this one");
}

int harbor_scanner_default(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {0};
    bool is_default = false;

    if (scanner_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_bool(body, "is_default", &is_default, e) < 0) {
        return -1;
    }
    if (!is_default) {
        return err_set(e, ERR_INVALID, "is_default: give true");
    }
    return need_default(&o, e) < 0 ? -1 : http_reply_empty(r, 200, e);
}

/* --- of a project: the same for all --- */

int harbor_project_scanner(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    struct one o = {.arena = &r->arena, .w = &w};

    return harbor_reply_and_free(r, 200, &b, state_read(h->state, scanner_fn, &o, e), e);
}

int harbor_project_scanner_set(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {.arena = &r->arena};
    struct str uuid;

    return http_body_json(r, &body, e) < 0 || json_need_str(body, "uuid", &uuid, e) < 0 ||
                   id_of_uuid(uuid, &o.id, e) < 0 || state_read(h->state, scanner_fn, &o, e) < 0 ||
                   need_default(&o, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- asking one --- */

/* What it says about itself; a new reference, or NULL. */
static json_t *ask(struct http_req *r, const struct scanner *to, struct err *e)
{
    static const struct scanner_request question = {
        .path = "api/v1/metadata",
        .accept = "application/vnd.scanner.adapter.metadata+json; version=1.0"};
    const struct harbor *h = r->ctx;
    struct fetch_answer got = {.status = 0};
    json_t *doc = NULL;

    if (scanner_ask(h->supply, &r->arena, to, &question, &got, e) == 0) {
        if (got.status != 200) {
            (void)err_set(e, ERR_INVALID, "the scanner answered %d", got.status);
        } else {
            doc = json_parse(buf_str(&got.body), e);
        }
    } else {
        e->kind = ERR_INVALID; /* that it cannot be reached is the answer, and no fault of ours */
    }
    fetch_answer_done(&got);
    if (doc != NULL && !json_is_object(json_object_get(doc, "scanner"))) {
        json_decref(doc);
        (void)err_set(e, ERR_INVALID, "this is no scanner: its answer has no \"scanner\"");
        return NULL;
    }
    return doc;
}

int harbor_scanner_ping(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct str name, url, auth;
    struct scanner to;

    if (http_body_json(r, &body, e) < 0 || read_scanner(r, body, &name, &url, &auth, e) < 0) {
        return -1;
    }
    if (!(str_starts(url, STR("http://")) || str_starts(url, STR("https://"))) ||
        url.len > LIMIT_WEBHOOK_URL_BYTES || auth.len > LIMIT_SCANNER_AUTH_BYTES) {
        return err_set(e, ERR_INVALID,
                       "url: give the address of the adapter, such as http://trivy:8080");
    }
    to = (struct scanner){.name = arena_strdup(&r->arena, name),
                          .url = arena_strdup(&r->arena, url),
                          .auth = auth.len > 0 ? arena_strdup(&r->arena, auth) : NULL};
    doc = ask(r, &to, e);
    return doc == NULL ? -1 : http_reply_empty(r, 200, e);
}

static void copy_text(struct jw *w, const json_t *from, const char *key)
{
    const json_t *j = json_object_get(from, key);

    jw_kv_str(w, key,
              json_is_string(j) ? str_n(json_string_value(j), json_string_length(j)) : STR_EMPTY);
}

static void copy_texts(struct jw *w, const json_t *from, const char *key)
{
    const json_t *list = json_object_get(from, key), *j;
    size_t i;

    jw_key(w, key);
    jw_array(w);
    json_array_foreach(list, i, j)
    {
        if (json_is_string(j)) {
            jw_str(w, str_n(json_string_value(j), json_string_length(j)));
        }
    }
    jw_end(w);
}

int harbor_scanner_metadata(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct buf b = BUF_MAX(1 * MIB);
    struct jw w = JW(&b);
    const json_t *list, *one;
    struct one o = {0};
    struct scanner to;
    size_t i;

    if (scanner_of(r, &o, e) < 0 || scanner_get(h->supply, &r->arena, o.name, &to, e) < 0 ||
        (doc = ask(r, &to, e)) == NULL) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "scanner");
    jw_object(&w);
    copy_text(&w, json_object_get(doc, "scanner"), "name");
    copy_text(&w, json_object_get(doc, "scanner"), "vendor");
    copy_text(&w, json_object_get(doc, "scanner"), "version");
    jw_end(&w);
    jw_key(&w, "capabilities");
    jw_array(&w);
    list = json_object_get(doc, "capabilities");
    json_array_foreach(list, i, one)
    {
        jw_object(&w);
        copy_texts(&w, one, "consumes_mime_types");
        copy_texts(&w, one, "produces_mime_types");
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
