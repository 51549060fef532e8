/* Replication: policies are our rules, executions their runs. */
#include "harbor_priv.h"

#include "registry/labels.h"
#include "replication/rows.h"

#define POLICY_COLUMNS                                                                             \
    "r.id, r.name, r.direction, g.id, g.name, g.url, r.repositories, r.tags, r.kind,"              \
    " r.destination, r.strip_parts, r.trigger, r.schedule, r.mirror_deletions, r.rate_bytes,"      \
    " r.enabled, r.created_ms, r.labels"
#define FROM_POLICIES                                                                              \
    " FROM replication_rules r JOIN replication_registries g ON g.id = r.registry_id"

/* By the numbers of our rows. */
static const char *const triggers[] = {"manual", "scheduled", "event_based", "manual"};
static const char *const our_triggers[] = {"manual", "schedule", "event"};
enum { STRIP_ALL = 8, PULLS = 1, KIND_IMAGES = 1, KIND_ARTIFACTS = 2 };

/* --- policies, told --- */

static void write_filter(struct jw *w, const char *type, struct str pattern)
{
    bool is_not = str_starts(pattern, STR("!"));

    if (str_eq_c(pattern, "**")) {
        return;
    }
    jw_object(w);
    jw_kv_c(w, "type", type);
    jw_kv_str(w, "value", is_not ? str_from(pattern, 1) : pattern);
    jw_kv_c(w, "decoration", is_not ? "excludes" : "matches");
    jw_end(w);
}

static void write_filters(struct jw *w, const struct query *q)
{
    jw_key(w, "filters");
    jw_array(w);
    write_filter(w, "name", query_str(q, 6));
    write_filter(w, "tag", query_str(q, 7));
    if (query_str(q, 17).len > 0) {
        jw_object(w);
        jw_kv_c(w, "type", "label");
        jw_key(w, "value");
        label_names_write(w, query_str(q, 17));
        jw_kv_c(w, "decoration", "matches");
        jw_end(w);
    }
    if (query_i64(q, 8) != 0) {
        jw_object(w);
        jw_kv_c(w, "type", "resource");
        jw_kv_c(w, "value", query_i64(q, 8) == KIND_IMAGES ? "image" : "artifact");
        jw_end(w);
    }
    jw_end(w);
}

static void write_side(struct jw *w, const char *key, const struct query *q)
{
    jw_key(w, key);
    jw_object(w);
    jw_kv_i64(w, "id", q ? query_i64(q, 3) : 0);
    jw_kv_str(w, "name", q ? query_str(q, 4) : STR("Local"));
    jw_kv_c(w, "type", q ? "docker-registry" : "harbor");
    if (q) {
        jw_kv_str(w, "url", query_str(q, 5));
    }
    jw_end(w);
}

static void write_trigger(struct jw *w, struct arena *a, const struct query *q)
{
    struct str schedule = query_str(q, 12);

    jw_key(w, "trigger");
    jw_object(w);
    jw_kv_c(w, "type", triggers[query_i64(q, 11) & 3]);
    jw_key(w, "trigger_settings");
    jw_object(w);
    jw_kv_str(w, "cron", schedule.len > 0 ? harbor_cron(a, schedule) : STR_EMPTY);
    jw_end(w);
    jw_end(w);
}

static void write_policy(struct jw *w, struct arena *a, const struct query *q)
{
    bool pulls = query_i64(q, 2) == PULLS, deletes = query_i64(q, 13) != 0;
    int64_t strips = query_i64(q, 10), rate = query_i64(q, 14);

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_c(w, "description", "");
    write_side(w, "src_registry", pulls ? q : NULL);
    write_side(w, "dest_registry", pulls ? NULL : q);
    jw_kv_str(w, "dest_namespace", query_str(q, 9));
    jw_kv_i64(w, "dest_namespace_replace_count", strips == STRIP_ALL ? -1 : strips);
    write_trigger(w, a, q);
    write_filters(w, q);
    jw_kv_bool(w, "replicate_deletion", deletes);
    jw_kv_bool(w, "deletion", deletes);
    jw_kv_bool(w, "override", true);
    jw_kv_bool(w, "enabled", query_i64(q, 15) != 0);
    jw_kv_i64(w, "speed", rate > 0 ? rate / 1024 : -1);
    jw_kv_time(w, "creation_time", query_i64(q, 16));
    jw_kv_time(w, "update_time", query_i64(q, 16));
    jw_end(w);
}

static int fill_policies(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), old = http_query(l->r, "name");
    struct str part = old.p ? old : harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM replication_rules WHERE (?1 IS NULL OR name = ?1)"
                      " AND instr(name, ?2)",
                      "ss", name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " POLICY_COLUMNS FROM_POLICIES " WHERE (?1 IS NULL OR r.name = ?1)"
                   " AND instr(r.name, ?2) ORDER BY r.id LIMIT ?3 OFFSET ?4",
                   "ssii", name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_policy(&l->w, &l->r->arena, &q);
    }
    return r;
}

int harbor_policies(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct list l;

    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_policies, e);
}

struct one {
    struct arena *arena;
    int64_t id, task;
    char name[NAME_SIZE]; /* of the rule */
    int64_t ended_ms;
    struct jw *w; /* or NULL */
};

static int policy_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};

    if (harbor_row(&q, db, "SELECT " POLICY_COLUMNS FROM_POLICIES " WHERE r.id = ?", o->id,
                   "there is no replication policy of that id", e) < 0) {
        return -1;
    }
    (void)!str_copy(query_str(&q, 1), o->name, sizeof(o->name));
    if (o->w) {
        write_policy(o->w, o->arena, &q);
    }
    return 0;
}

static int policy_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    o->arena = &r->arena;
    return harbor_path_id(r, "id", &o->id, e) < 0 ? -1 : state_read(h->state, policy_fn, o, e);
}

int harbor_policy(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, policy_of(r, &o, e), e);
}

/* --- policies, said --- */

static int registry_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT name FROM replication_registries WHERE id = ?", "i", o->id) <
            0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? err_set(e, ERR_INVALID, "there is no registry %lld", (long long)o->id)
                  : str_copy(query_str(&q, 0), o->name, sizeof(o->name));
}

/* One side is here: null, or an id of 0. */
static int sides_read(const struct harbor *h, const json_t *body, json_t *out, struct err *e)
{
    int64_t src = json_integer_value(json_object_get(json_object_get(body, "src_registry"), "id"));
    int64_t dst = json_integer_value(json_object_get(json_object_get(body, "dest_registry"), "id"));
    struct one o = {.id = src > 0 ? src : dst};

    if ((src > 0) == (dst > 0)) {
        return err_set(e, ERR_INVALID,
                       "give the id of another registry as src_registry or as dest_registry");
    }
    if (state_read(h->state, registry_fn, &o, e) < 0) {
        return -1;
    }
    (void)json_object_set_new(out, "direction", json_string(src > 0 ? "pull" : "push"));
    (void)json_object_set_new(out, "registry", json_string(o.name));
    return 0;
}

static int filter_read(struct arena *a, const json_t *f, json_t *out, struct err *e)
{
    struct str type = STR_EMPTY, value = STR_EMPTY, decoration = STR("matches");

    if (!json_is_object(f) || json_need_str(f, "type", &type, e) < 0 ||
        json_get_str(f, "decoration", &decoration, e) < 0) {
        return err_set(e, ERR_INVALID, "give type and value");
    }
    if (!str_eq_c(type, "label") && json_get_str(f, "value", &value, e) < 0) {
        return -1;
    }
    if (str_eq_c(type, "name") || str_eq_c(type, "tag")) {
        if (value.len > 0) {
            (void)json_object_set_new(
                out, str_eq_c(type, "name") ? "repositories" : "tags",
                json_string(arena_printf(a, "%s%.*s", str_eq_c(decoration, "excludes") ? "!" : "",
                                         STR_ARG(value))));
        }
        return 0;
    }
    if (str_eq_c(type, "label") && !str_eq_c(decoration, "excludes")) {
        (void)json_object_set(out, "labels", json_object_get(f, "value")); /* rules read it */
        return 0;
    }
    if (str_eq_c(type, "resource")) {
        (void)json_object_set_new(out, "kind",
                                  json_string(str_eq_c(value, "image")      ? "images"
                                              : str_eq_c(value, "artifact") ? "artifacts"
                                                                            : "all"));
        return 0;
    }
    return err_set(e, ERR_INVALID, "there is no filter %.*s here: name, tag, resource or label",
                   STR_ARG(str_first(type, 64)));
}

static int filters_read(struct arena *a, const json_t *body, json_t *out, struct err *e)
{
    const json_t *list = json_object_get(body, "filters"), *f;
    size_t i;

    (void)json_object_set_new(out, "repositories", json_string("**"));
    (void)json_object_set_new(out, "tags", json_string("**"));
    (void)json_object_set_new(out, "kind", json_string("all"));
    (void)json_object_set_new(out, "labels", json_array());
    json_array_foreach(list, i, f)
    {
        if (filter_read(a, f, out, e) < 0) {
            return err_wrap(e, "filters[%zu]", i);
        }
    }
    return 0;
}

static int trigger_read(const json_t *body, json_t *out, struct err *e)
{
    const json_t *trigger = json_object_get(body, "trigger");
    const json_t *cron = json_object_get(json_object_get(trigger, "trigger_settings"), "cron");
    struct str type = STR("manual");
    size_t i = 0;

    if (json_is_object(trigger) && json_get_str(trigger, "type", &type, e) < 0) {
        return -1;
    }
    while (i < ARRAY_LEN(our_triggers) && !str_eq_c(type, triggers[i])) {
        i++;
    }
    if (i == ARRAY_LEN(our_triggers)) {
        return err_set(e, ERR_INVALID, "trigger.type: manual, scheduled or event_based");
    }
    (void)json_object_set_new(out, "trigger", json_string(our_triggers[i]));
    if (str_eq_c(type, "scheduled")) {
        (void)json_object_set_new(out, "schedule",
                                  json_string(json_is_string(cron) ? json_string_value(cron) : ""));
    }
    return 0;
}

/* Without a namespace nothing is replaced; a count of -1 leaves the last part alone. */
static int numbers_read(const json_t *body, json_t *out, struct err *e)
{
    struct str space = STR_EMPTY;
    int64_t count = -1, speed = -1;
    bool override = true, deletes = false, enabled = true;

    if (json_get_str(body, "dest_namespace", &space, e) < 0 ||
        json_get_i64(body, "dest_namespace_replace_count", &count, e) < 0 ||
        json_get_i64(body, "speed", &speed, e) < 0 ||
        json_get_bool(body, "override", &override, e) < 0 ||
        json_get_bool(body, "deletion", &deletes, e) < 0 ||
        json_get_bool(body, "replicate_deletion", &deletes, e) < 0 ||
        json_get_bool(body, "enabled", &enabled, e) < 0) {
        return -1;
    }
    if (!override) {
        return err_set(e, ERR_INVALID, "override: a copy here always replaces what has its tag");
    }
    if (speed > INT32_MAX) {
        return err_set(e, ERR_INVALID, "speed: KiB a second, or -1");
    }
    (void)json_object_set_new(out, "destination", json_stringn(space.p, space.len));
    (void)json_object_set_new(out, "strip_parts",
                              json_integer(space.len == 0 ? 0
                                           : count < 0    ? STRIP_ALL
                                                          : count));
    (void)json_object_set_new(out, "rate_bytes", json_integer(speed > 0 ? speed * 1024 : 0));
    (void)json_object_set_new(out, "mirror_deletions", json_boolean(deletes));
    (void)json_object_set_new(out, "enabled", json_boolean(enabled));
    return 0;
}

/* All of it, as our own API takes it. */
static int policy_read(struct http_req *r, json_t *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str name = STR_EMPTY;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "name", &name, e) < 0 ||
        sides_read(r->ctx, body, out, e) < 0 || filters_read(&r->arena, body, out, e) < 0 ||
        trigger_read(body, out, e) < 0 || numbers_read(body, out, e) < 0) {
        return -1;
    }
    (void)json_object_set_new(out, "name", json_stringn(name.p, name.len));
    r->audit_note = arena_str(&r->arena, name);
    return 0;
}

int harbor_policy_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *ours = json_object();
    int64_t id;

    return policy_read(r, ours, e) < 0 ||
                   rule_make(h->replication, &r->arena, ours, str_of(r->who.name), &id, e) < 0
               ? -1
               : harbor_reply_made(r, id, e);
}

int harbor_policy_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *ours = json_object();
    struct one o = {0};

    return policy_of(r, &o, e) < 0 || policy_read(r, ours, e) < 0 ||
                   rule_edit(h->replication, &r->arena, str_of(o.name), ours, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_policy_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    return policy_of(r, &o, e) < 0 || rule_drop(h->replication, &r->arena, str_of(o.name), e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- executions --- */

#define RUN_COLUMNS                                                                                \
    "n.id, n.rule_id, n.why, n.state, n.created_ms, n.ended_ms, n.tasks, n.succeeded + n.skipped," \
    " n.failed, coalesce(n.error, ''), iif(n.ended_ms IS NULL, 'InProgress', CASE n.state"         \
    "  WHEN 'succeeded' THEN 'Succeed' WHEN 'stopped' THEN 'Stopped' ELSE 'Failed' END) AS status"

static void write_run(struct jw *w, const struct query *q)
{
    bool has_ended = !query_is_null(q, 5);
    int64_t left = query_i64(q, 6) - query_i64(q, 7) - query_i64(q, 8);

    left = left > 0 ? left : 0;
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "policy_id", query_i64(q, 1));
    jw_kv_str(w, "status", query_str(q, 10));
    jw_kv_c(w, "trigger", triggers[query_i64(q, 2) & 3]);
    jw_kv_time(w, "start_time", query_i64(q, 4));
    if (has_ended) {
        jw_kv_time(w, "end_time", query_i64(q, 5));
    }
    jw_kv_str(w, "status_text", query_str(q, 9));
    jw_kv_i64(w, "total", query_i64(q, 6));
    jw_kv_i64(w, "failed", query_i64(q, 8));
    jw_kv_i64(w, "succeed", query_i64(q, 7));
    jw_kv_i64(w, "in_progress", has_ended ? 0 : left);
    jw_kv_i64(w, "stopped", has_ended ? left : 0);
    jw_end(w);
}

struct runs {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t id;       /* of the policy (0: of all), or of the run */
};

static int fill_runs(struct state_db *db, void *ctx, struct err *e)
{
    struct runs *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str status = http_query(l->r, "status");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM (SELECT " RUN_COLUMNS " FROM replication_runs n"
                      " WHERE (?1 = 0 OR n.rule_id = ?1) AND (?2 IS NULL OR status = ?2))",
                      "is", of->id, status) < 0 ||
        query_open(&q, db, e,
                   "SELECT " RUN_COLUMNS " FROM replication_runs n WHERE (?1 = 0 OR n.rule_id = ?1)"
                   " AND (?2 IS NULL OR status = ?2) ORDER BY n.id DESC LIMIT ?3 OFFSET ?4",
                   "isii", of->id, status, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_run(&l->w, &q);
    }
    return r;
}

int harbor_runs(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct runs of = {0};

    return http_query_i64(r, "policy_id", 0, 0, INT64_MAX, &of.id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_runs, e);
}

static int run_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};

    if (harbor_row(&q, db, "SELECT " RUN_COLUMNS " FROM replication_runs n WHERE n.id = ?", o->id,
                   "there is no execution of that id", e) < 0) {
        return -1;
    }
    if (o->w) {
        write_run(o->w, &q);
    }
    return 0;
}

static int run_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_path_id(r, "id", &o->id, e) < 0 ? -1 : state_read(h->state, run_fn, o, e);
}

int harbor_run(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, run_of(r, &o, e), e);
}

int harbor_run_start(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct one o = {.arena = &r->arena};
    int64_t id;

    if (http_body_json(r, &body, e) < 0 || json_get_i64(body, "policy_id", &o.id, e) < 0) {
        return -1;
    }
    if (state_read(h->state, policy_fn, &o, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? err_set(e, ERR_INVALID, "policy_id: there is no such one")
                                        : -1;
    }
    r->audit_note = arena_str(&r->arena, str_of(o.name));
    return rule_start(h->replication, &r->arena, str_of(o.name), str_of(r->who.name), &id, e) < 0
               ? -1
               : harbor_reply_made(r, id, e);
}

int harbor_run_stop(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {0};

    return run_of(r, &o, e) < 0 || run_halt(h->replication, o.id, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- tasks --- */

#define TASK_COLUMNS                                                                               \
    "t.number, t.deletes, t.source, t.reference, t.destination, t.started_ms, t.ended_ms,"         \
    " CASE t.state WHEN 'waiting' THEN 'InProgress' WHEN 'failed' THEN 'Failed' WHEN 'stopped'"    \
    "  THEN 'Stopped' ELSE 'Succeed' END AS status"

static void write_task(struct jw *w, struct arena *a, int64_t run, const struct query *q)
{
    struct str reference = query_str(q, 3);
    char sep = str_find_char(reference, ':') >= 0 ? '@' : ':';

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "execution_id", run);
    jw_kv_str(w, "status", query_str(q, 7));
    jw_kv_c(w, "operation", query_i64(q, 1) ? "deletion" : "copy");
    jw_kv_c(w, "resource_type", "artifact");
    jw_kv_c(w, "src_resource",
            arena_printf(a, "%.*s%c%.*s", STR_ARG(query_str(q, 2)), sep, STR_ARG(reference)));
    jw_kv_c(w, "dst_resource",
            arena_printf(a, "%.*s%c%.*s", STR_ARG(query_str(q, 4)), sep, STR_ARG(reference)));
    if (!query_is_null(q, 5)) {
        jw_kv_time(w, "start_time", query_i64(q, 5));
    }
    if (!query_is_null(q, 6)) {
        jw_kv_time(w, "end_time", query_i64(q, 6));
    }
    jw_end(w);
}

static int fill_tasks(struct state_db *db, void *ctx, struct err *e)
{
    struct runs *of = ctx;
    struct list *l = &of->list;
    struct one o = {.id = of->id};
    SCOPED(query_done) struct query q = {0};
    struct str status = http_query(l->r, "status");
    int r;

    if (run_fn(db, &o, e) < 0 ||
        state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM (SELECT " TASK_COLUMNS " FROM replication_tasks t"
                      " WHERE t.run_id = ?1 AND (?2 IS NULL OR status = ?2))",
                      "is", of->id, status) < 0 ||
        query_open(&q, db, e,
                   "SELECT " TASK_COLUMNS " FROM replication_tasks t WHERE t.run_id = ?1"
                   " AND (?2 IS NULL OR status = ?2) ORDER BY t.number LIMIT ?3 OFFSET ?4",
                   "isii", of->id, status, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_task(&l->w, &l->r->arena, of->id, &q);
    }
    return r;
}

int harbor_run_tasks(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct runs of = {0};

    return harbor_path_id(r, "id", &of.id, e) < 0 || harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_tasks, e);
}

struct log {
    int64_t run, task;
    struct buf text;
};

static int log_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct log *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT iif(deletes, 'delete', 'copy'), source, reference, destination, state,"
                   " tries, moved_bytes, coalesce(error, '') FROM replication_tasks"
                   " WHERE run_id = ? AND number = ?",
                   "ii", l->run, l->task) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the execution has no such task");
    }
    buf_printf(&l->text, "%.*s %.*s %.*s to %.*s\n%.*s after %lld tries, %lld bytes moved\n%.*s%s",
               STR_ARG(query_str(&q, 0)), STR_ARG(query_str(&q, 1)), STR_ARG(query_str(&q, 2)),
               STR_ARG(query_str(&q, 3)), STR_ARG(query_str(&q, 4)), (long long)query_i64(&q, 5),
               (long long)query_i64(&q, 6), STR_ARG(query_str(&q, 7)),
               query_str(&q, 7).len > 0 ? "\n" : "");
    return 0;
}

int harbor_run_log(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct log l = {.text = BUF_MAX(64 * 1024)};
    int result;

    if (harbor_path_id(r, "id", &l.run, e) < 0 || harbor_path_id(r, "task", &l.task, e) < 0) {
        return -1;
    }
    result = state_read(h->state, log_fn, &l, e);
    if (result == 0) {
        result = harbor_reply_log(r, &l.text, e);
    }
    buf_done(&l.text);
    return result;
}
