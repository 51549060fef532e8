/* Other registries by their ids. Their password is never told. */
#include "harbor_priv.h"

#include "replication/rows.h"

#define COLUMNS "id, name, url, user, has_password, insecure, created_ms"

/* Those that are asked as the specification has it; the kind itself is not kept. */
static const char *const types[] = {"docker-registry", "harbor", "docker-hub",       "quay",
                                    "github-ghcr",     "gitlab", "jfrog-artifactory"};

static void write_registry(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_str(w, "url", query_str(q, 2));
    jw_kv_c(w, "type", types[0]);
    if (query_i64(q, 4) != 0 || query_str(q, 3).len > 0) {
        jw_key(w, "credential");
        jw_object(w);
        jw_kv_c(w, "type", "basic");
        jw_kv_str(w, "access_key", query_str(q, 3));
        jw_kv_c(w, "access_secret", "*****");
        jw_end(w);
    }
    jw_kv_bool(w, "insecure", query_i64(q, 5) != 0);
    jw_kv_time(w, "creation_time", query_i64(q, 6));
    jw_kv_time(w, "update_time", query_i64(q, 6));
    jw_end(w);
}

static int fill_registries(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), old = http_query(l->r, "name");
    struct str part = old.p ? old : harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM replication_registries WHERE (?1 IS NULL OR name = ?1)"
                      " AND instr(name, ?2)",
                      "ss", name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " COLUMNS " FROM replication_registries WHERE (?1 IS NULL OR name = ?1)"
                   " AND instr(name, ?2) ORDER BY id LIMIT ?3 OFFSET ?4",
                   "ssii", name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_registry(&l->w, &q);
    }
    return r;
}

int harbor_registries(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct list l;

    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_registries, e);
}

struct one {
    int64_t id;
    char name[NAME_SIZE];
    struct jw *w; /* or NULL */
};

static int registry_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};

    if (harbor_row(&q, db, "SELECT " COLUMNS " FROM replication_registries WHERE id = ?", o->id,
                   "there is no registry of that id", e) < 0) {
        return -1;
    }
    (void)!str_copy(query_str(&q, 1), o->name, sizeof(o->name));
    if (o->w) {
        write_registry(o->w, &q);
    }
    return 0;
}

static int registry_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_path_id(r, "id", &o->id, e) < 0 ? -1 : state_read(h->state, registry_fn, o, e);
}

int harbor_registry(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, registry_of(r, &o, e), e);
}

/* --- changes --- */

static int check_type(const json_t *body, struct err *e)
{
    struct str type = STR("docker-registry");

    if (json_get_str(body, "type", &type, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_c(type, types[i])) {
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "type: %.*s asks for a sign-in of its own, which is not here",
                   STR_ARG(str_first(type, 64)));
}

/* What is given, as our own API takes it. A secret of stars is one that was told. */
static int fields_read(const json_t *body, const json_t *credential, json_t *out, struct err *e)
{
    const struct {
        const json_t *from;
        const char *theirs, *ours;
    } keys[] = {{body, "url", "url"},
                {body, "insecure", "insecure"},
                {credential, "access_key", "user"},
                {credential, "access_secret", "password"}};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *v = json_object_get(keys[i].from, keys[i].theirs);

        if (v != NULL && !json_is_null(v) && !str_eq_c(str_of(json_string_value(v)), "*****")) {
            (void)json_object_set(out, keys[i].ours, v);
        }
    }
    return check_type(body, e);
}

int harbor_registry_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct str name = STR_EMPTY;
    int64_t id;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "name", &name, e) < 0 ||
        fields_read(body, json_object_get(body, "credential"), ours, e) < 0) {
        return -1;
    }
    (void)json_object_set_new(ours, "name", json_stringn(name.p, name.len));
    r->audit_note = arena_str(&r->arena, name);
    return registry_make(h->replication, &r->arena, ours, str_of(r->who.name), &id, e) < 0
               ? -1
               : harbor_reply_made(r, id, e);
}

int harbor_registry_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct one o = {0};
    struct str name = STR_EMPTY;

    if (registry_of(r, &o, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_str(body, "name", &name, e) < 0 || fields_read(body, body, ours, e) < 0) {
        return -1;
    }
    if (name.len > 0 && !str_eq_c(name, o.name)) {
        return err_set(e, ERR_INVALID, "name: a registry keeps its name");
    }
    return registry_edit(h->replication, &r->arena, str_of(o.name), ours, str_of(r->who.name), e) <
                   0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_registry_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    if (registry_of(r, &o, e) < 0) {
        return -1;
    }
    if (registry_drop(h->replication, &r->arena, str_of(o.name), e) < 0) {
        return e->kind == ERR_CONFLICT ? harbor_reply_needed(r, e->msg, e) : -1;
    }
    return http_reply_empty(r, 200, e);
}

/* One that is kept, by its id, or one that is only told of. A password that is kept goes only to
 * the address that it was kept for. */
int harbor_registry_ping(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct one o = {0};
    struct err why;

    if (http_body_json(r, &body, e) < 0 || json_get_i64(body, "id", &o.id, e) < 0 ||
        fields_read(body, body, ours, e) < 0) {
        return -1;
    }
    if (json_object_get(ours, "url") == NULL) {
        if (state_read(h->state, registry_fn, &o, e) < 0) {
            return -1;
        }
    }
    return registry_try(h->replication, &r->arena, str_of(o.name), ours, &why) < 0
               ? err_set(e, ERR_INVALID, "the registry does not answer as it should: %s", why.msg)
               : http_reply_empty(r, 200, e);
}

/* What policies may say of one. */
int harbor_registry_info(struct http_req *r, struct err *e)
{
    static const char *const filters[] = {"name", "tag", "resource", "label"};
    static const char *const triggers[] = {"manual", "scheduled", "event_based"};
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {0};

    if (registry_of(r, &o, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_c(&w, "type", types[0]);
    jw_key(&w, "supported_resource_filters");
    jw_array(&w);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        jw_object(&w);
        jw_kv_c(&w, "type", filters[i]);
        jw_kv_c(&w, "style", i < 2 ? "input" : "radio");
        jw_end(&w);
    }
    jw_end(&w);
    jw_key(&w, "supported_triggers");
    jw_array(&w);
    for (size_t i = 0; i < ARRAY_LEN(triggers); i++) {
        jw_str(&w, str_of(triggers[i]));
    }
    jw_end(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

int harbor_adapters(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_array(&w);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        jw_str(&w, str_of(types[i]));
    }
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
