/* Webhooks by their ids. A policy of Harbor has one target here. */
#include "harbor_priv.h"

#include "webhooks/hooks.h"

#include <string.h>

#define HOOK_COLUMNS                                                                               \
    "w.id, w.name, w.url, w.events, w.format, w.skip_verify, w.enabled, w.created_ms,"             \
    " w.created_by, w.updated_ms"

static void write_target(struct jw *w, const struct query *q)
{
    jw_key(w, "targets");
    jw_array(w);
    jw_object(w);
    jw_kv_c(w, "type", "http");
    jw_kv_str(w, "address", query_str(q, 2));
    jw_kv_bool(w, "skip_cert_verify", query_i64(q, 5) != 0);
    jw_kv_c(w, "payload_format", format_name((enum hook_format)query_i64(q, 4)));
    jw_end(w);
    jw_end(w);
}

/* The header is never told back. */
static void write_hook(struct jw *w, int64_t project_id, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "project_id", project_id);
    jw_kv_str(w, "name", query_str(q, 1));
    write_target(w, q);
    jw_key(w, "event_types");
    jw_array(w);
    for (int event = 0; event < WEBHOOK_PING; event++) {
        if (query_i64(q, 3) & EVENT_BIT(event)) {
            jw_str(w, str_of(event_name((enum webhook_event)event)));
        }
    }
    jw_end(w);
    jw_kv_str(w, "creator", query_str(q, 8));
    jw_kv_time(w, "creation_time", query_i64(q, 7));
    jw_kv_time(w, "update_time", query_i64(q, 9));
    jw_kv_bool(w, "enabled", query_i64(q, 6) != 0);
    jw_end(w);
}

struct hooks {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t project_id, hook_id;
};

static int fill_hooks(struct state_db *db, void *ctx, struct err *e)
{
    struct hooks *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM webhooks WHERE project_id = ?1 AND (?2 IS NULL OR"
                      " name = ?2) AND instr(name, ?3)",
                      "iss", of->project_id, name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " HOOK_COLUMNS " FROM webhooks w WHERE w.project_id = ?1 AND (?2 IS NULL"
                   " OR w.name = ?2) AND instr(w.name, ?3) ORDER BY w.id LIMIT ?4 OFFSET ?5",
                   "issii", of->project_id, name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_hook(&l->w, of->project_id, &q);
    }
    return r;
}

int harbor_hooks(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct hooks of = {0};

    return harbor_project_id(r, &of.project_id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_hooks, e);
}

struct one {
    struct hook_key key;
    bool skips;
    struct jw *w; /* or NULL */
};

static int hook_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " HOOK_COLUMNS " FROM webhooks w WHERE w.id = ? AND w.project_id = ?",
                   "ii", o->key.id, o->key.project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no webhook of that id");
    }
    o->skips = query_i64(&q, 5) != 0;
    if (o->w) {
        write_hook(o->w, o->key.project_id, &q);
    }
    return 0;
}

static int hook_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_project_id(r, &o->key.project_id, e) < 0 ||
                   harbor_path_id(r, "id", &o->key.id, e) < 0
               ? -1
               : state_read(h->state, hook_fn, o, e);
}

int harbor_hook(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, hook_of(r, &o, e), e);
}

/* --- changes --- */

/* An empty header stays what it was, as clients send back what they read; null takes it away. */
static int target_read(const json_t *body, json_t *out, bool *skips, struct err *e)
{
    const json_t *list = json_object_get(body, "targets"), *t = json_array_get(list, 0);
    json_t *auth = json_object_get(t, "auth_header"), *format;
    struct str type = STR("http"), address = STR_EMPTY;

    if (json_array_size(list) != 1 || !json_is_object(t)) {
        return err_set(e, ERR_INVALID, "targets: give one");
    }
    if (json_get_str(t, "type", &type, e) < 0 || json_need_str(t, "address", &address, e) < 0 ||
        json_get_bool(t, "skip_cert_verify", skips, e) < 0) {
        return err_wrap(e, "targets[0]");
    }
    if (!str_eq_c(type, "http")) {
        return err_set(e, ERR_INVALID, "targets[0].type: http");
    }
    (void)json_object_set_new(out, "url", json_stringn(address.p, address.len));
    format = json_object_get(t, "payload_format");
    if (format != NULL && json_string_length(format) > 0) {
        (void)json_object_set(out, "format", format);
    }
    if (auth != NULL && !(json_is_string(auth) && json_string_length(auth) == 0)) {
        (void)json_object_set(out, "auth_header", auth);
    }
    return 0;
}

/* As our own API takes it. */
static int hook_read(struct http_req *r, json_t *out, bool *skips, struct err *e)
{
    static const char *const same[][2] = {
        {"name", "name"}, {"event_types", "events"}, {"enabled", "enabled"}};
    SCOPED(json_decrefp) json_t *body = NULL;

    if (http_body_json(r, &body, e) < 0 || target_read(body, out, skips, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        json_t *v = json_object_get(body, same[i][0]);

        if (v != NULL) {
            (void)json_object_set(out, same[i][1], v);
        }
    }
    return 0;
}

/* Believing any certificate is an administrator's to say, and who sends back what he read says
 * nothing. With another address in the same body it is said of that. */
static int read_skips(struct http_req *r, const struct one *o, bool skips, struct hook_change *c,
                      struct err *e)
{
    const struct harbor *h = r->ctx;
    struct err no = {0};

    if (!skips && !o->skips) {
        return 0;
    }
    if (access_authorize(h->access, r, PERM_SYSTEM_MANAGE, STR_EMPTY, &no) < 0) {
        if (skips == o->skips) {
            return 0;
        }
        *e = no;
        return -1;
    }
    c->given |= HOOK_HAS_SKIPS;
    c->skips = skips;
    return 0;
}

/* Our own copy of what is never shown, freed in a moment. */
static void wipe(const struct hook_change *c)
{
    explicit_bzero((char *)(uintptr_t)c->auth.p, c->auth.len);
}

int harbor_hook_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct hook_change c;
    struct one o = {0};
    bool skips = false;
    int result;

    if (harbor_project_id(r, &o.key.project_id, e) < 0 || hook_read(r, ours, &skips, e) < 0 ||
        hook_change_parse(ours, &c, e) < 0 || read_skips(r, &o, skips, &c, e) < 0) {
        return -1;
    }
    result = hook_add(h->webhooks, o.key.project_id, &c, str_of(r->who.name), &o.key.id, e);
    wipe(&c);
    return result < 0 ? -1 : harbor_reply_made(r, o.key.id, e);
}

int harbor_hook_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct hook_change c;
    struct one o = {0};
    bool skips;
    int result;

    if (hook_of(r, &o, e) < 0) {
        return -1;
    }
    skips = o.skips;
    if (hook_read(r, ours, &skips, e) < 0 || hook_change_parse(ours, &c, e) < 0 ||
        read_skips(r, &o, skips, &c, e) < 0) {
        return -1;
    }
    result = hook_update(h->webhooks, &o.key, &c, e);
    wipe(&c);
    return result < 0 ? -1 : http_reply_empty(r, 200, e);
}

int harbor_hook_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    return hook_of(r, &o, e) < 0 || hook_drop(h->webhooks, &o.key, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- what became of them --- */

static const char *job_status(struct str state)
{
    return str_eq_c(state, "waiting")  ? "Pending"
           : str_eq_c(state, "sent")   ? "Success"
           : str_eq_c(state, "failed") ? "Error"
                                       : "Stopped";
}

static int fill_jobs(struct state_db *db, void *ctx, struct err *e)
{
    struct hooks *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM webhook_deliveries d JOIN webhooks w ON w.id ="
                      " d.hook_id WHERE w.project_id = ? AND w.id = ?",
                      "ii", of->project_id, of->hook_id) < 0 ||
        query_open(&q, db, e,
                   "SELECT d.id, d.event, d.state, d.payload, d.created_ms, d.ended_ms FROM"
                   " webhook_deliveries d JOIN webhooks w ON w.id = d.hook_id"
                   " WHERE w.project_id = ? AND w.id = ? ORDER BY d.id DESC LIMIT ? OFFSET ?",
                   "iiii", of->project_id, of->hook_id, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t ended = query_i64(&q, 5);

        jw_object(&l->w);
        jw_kv_i64(&l->w, "id", query_i64(&q, 0));
        jw_kv_i64(&l->w, "policy_id", of->hook_id);
        jw_kv_str(&l->w, "event_type", query_str(&q, 1));
        jw_kv_c(&l->w, "notify_type", "http");
        jw_kv_c(&l->w, "status", job_status(query_str(&q, 2)));
        jw_kv_str(&l->w, "job_detail", query_str(&q, 3));
        jw_kv_time(&l->w, "creation_time", query_i64(&q, 4));
        jw_kv_time(&l->w, "update_time", ended ? ended : query_i64(&q, 4));
        jw_end(&l->w);
    }
    return r;
}

int harbor_hook_jobs(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct hooks of = {0};

    if (harbor_project_id(r, &of.project_id, e) < 0 ||
        http_query_i64(r, "policy_id", 0, 0, INT64_MAX, &of.hook_id, e) < 0 ||
        harbor_list_begin(&of.list, r, keys, e) < 0) {
        return -1;
    }
    return of.hook_id == 0 ? err_set(e, ERR_INVALID, "policy_id is missing: which webhook?")
                           : harbor_list_reply(&of.list, fill_jobs, e);
}

static int last_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT w.name, d.event, w.enabled, w.created_ms, max(d.created_ms) FROM"
                   " webhooks w JOIN webhook_deliveries d ON d.hook_id = w.id"
                   " WHERE w.project_id = ? GROUP BY w.id, d.event ORDER BY w.id, d.event",
                   "i", o->key.project_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(o->w);
        jw_kv_str(o->w, "policy_name", query_str(&q, 0));
        jw_kv_str(o->w, "event_type", query_str(&q, 1));
        jw_kv_bool(o->w, "enabled", query_i64(&q, 2) != 0);
        jw_kv_time(o->w, "creation_time", query_i64(&q, 3));
        jw_kv_time(o->w, "last_trigger_time", query_i64(&q, 4));
        jw_end(o->w);
    }
    return r;
}

int harbor_hook_last(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(1024 * 1024);
    struct jw w = JW(&b);
    struct one o = {.w = &w};
    int result;

    if (harbor_project_id(r, &o.key.project_id, e) < 0) {
        return -1;
    }
    jw_array(&w);
    result = state_read(h->state, last_fn, &o, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}

int harbor_hook_events(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_key(&w, "event_type");
    jw_array(&w);
    for (int event = 0; event < WEBHOOK_PING; event++) {
        jw_str(&w, str_of(event_name((enum webhook_event)event)));
    }
    jw_end(&w);
    jw_key(&w, "notify_type");
    jw_array(&w);
    jw_str(&w, STR("http"));
    jw_end(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
