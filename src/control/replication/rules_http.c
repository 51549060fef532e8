/* /api/v1/replication/rules */
#include "replication_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "list_http.h"

struct edit {
    struct replication *r;
    struct arena *a;
    const json_t *body;
    struct str name;
    struct rule rule; /* out */
};

static int64_t next_run(const struct rule *rule)
{
    return rule->enabled && rule->trigger == TRIGGER_SCHEDULE
               ? cron_next(&rule->cron, clock_wall_ms())
               : -1;
}

static int find_registry(struct state_db *db, struct edit *x, struct err *e)
{
    struct remote_row row;

    if (remote_row_find(db, x->a, x->rule.registry, &row, e) < 0) {
        return e->kind == ERR_NOT_FOUND
                   ? err_set(e, ERR_INVALID,
                             "registry: there is no registry '%.*s' here: add it first",
                             STR_ARG(str_first(x->rule.registry, 64)))
                   : -1;
    }
    x->rule.registry_id = row.id;
    return 0;
}

static int taken(const struct edit *x, struct err *e)
{
    return e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "the name %.*s is taken", STR_ARG(x->rule.name))
               : -1;
}

static int add_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct edit *x = ctx;
    const struct rule *n = &x->rule;
    int64_t count;

    if (state_one_i64(db, &count, e, "rows", "SELECT count(*) FROM replication_rules", "") < 0) {
        return -1;
    }
    if (count >= RULES_MAX) {
        return err_set(e, ERR_LIMIT, "there are %d rules already: delete one", RULES_MAX);
    }
    if (find_registry(db, x, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "INSERT INTO replication_rules(name, direction, registry_id, repositories, tags,"
                  " kind, destination, strip_parts, trigger, schedule, mirror_deletions,"
                  " with_referrers, rate_bytes, enabled, created_by, created_ms, next_run_ms,"
                  " labels) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                  " nullif(?, -1), ?)",
                  "siissisiisiiiisiis", n->name, (int64_t)n->direction, n->registry_id,
                  n->repositories.text, n->tags.text, (int64_t)n->kind, n->destination,
                  n->strip_parts, (int64_t)n->trigger, n->schedule, (int64_t)n->mirror_deletions,
                  (int64_t)n->with_referrers, n->rate_bytes, (int64_t)n->enabled, n->created_by,
                  n->created_ms, next_run(n), n->labels) < 0) {
        return taken(x, e);
    }
    return rule_of_id(db, x->a, state_last_id(db), &x->rule, e);
}

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct edit *x = ctx;
    struct rule *n = &x->rule;

    if (rule_find(db, x->a, x->name, n, e) < 0 || rule_read_json(x->a, x->body, n, e) < 0 ||
        find_registry(db, x, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "UPDATE replication_rules SET name = ?, direction = ?, registry_id = ?,"
                  " repositories = ?, tags = ?, kind = ?, destination = ?, strip_parts = ?,"
                  " trigger = ?, schedule = ?, mirror_deletions = ?, with_referrers = ?,"
                  " rate_bytes = ?, enabled = ?, next_run_ms = nullif(?, -1), labels = ?"
                  " WHERE id = ?",
                  "siissisiisiiiiisi", n->name, (int64_t)n->direction, n->registry_id,
                  n->repositories.text, n->tags.text, (int64_t)n->kind, n->destination,
                  n->strip_parts, (int64_t)n->trigger, n->schedule, (int64_t)n->mirror_deletions,
                  (int64_t)n->with_referrers, n->rate_bytes, (int64_t)n->enabled, next_run(n),
                  n->labels, n->id) < 0) {
        return taken(x, e);
    }
    return rule_of_id(db, x->a, n->id, n, e);
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct edit *x = ctx;

    return rule_find(db, x->a, x->name, &x->rule, e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM replication_rules WHERE id = ?", "i", x->rule.id);
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct edit *x = ctx;

    return rule_find(db, x->a, x->name, &x->rule, e);
}

static int reply_rule(struct http_req *req, int status, const struct rule *rule, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    int result;

    rule_write_json(rule, &w);
    result = http_reply_json(req, status, &b, e);
    buf_done(&b);
    return result;
}

static struct edit edit_of(struct http_req *req)
{
    return (struct edit){.r = req->ctx, .a = &req->arena, .name = http_path_param(req, "name")};
}

static int need(const json_t *body, const char *key, const char *what, struct err *e)
{
    return json_object_get(body, key) == NULL
               ? err_set(e, ERR_INVALID, "%s is missing: %s", key, what)
               : 0;
}

static int make(struct edit *x, struct str by, struct err *e)
{
    if (need(x->body, "name", "how the rule is called", e) < 0 ||
        need(x->body, "direction", "push or pull", e) < 0 ||
        need(x->body, "registry", "the name of the other registry", e) < 0) {
        return -1;
    }
    x->rule = (struct rule){.repositories = {.text = STR("**")},
                            .tags = {.text = STR("**")},
                            .destination = STR_EMPTY,
                            .labels = STR_EMPTY,
                            .schedule = STR_EMPTY,
                            .with_referrers = true,
                            .enabled = true,
                            .created_by = by,
                            .created_ms = clock_wall_ms()};
    if (rule_read_json(x->a, x->body, &x->rule, e) < 0 ||
        state_write(x->r->state, add_fn, x, e) < 0) {
        return -1;
    }
    replication_wake(x->r);
    return 0;
}

int rule_make(struct replication *r, struct arena *a, const json_t *body, struct str by,
              int64_t *id, struct err *e)
{
    struct edit x = {.r = r, .a = a, .body = body};

    if (make(&x, by, e) < 0) {
        return -1;
    }
    *id = x.rule.id;
    return 0;
}

static int change(struct edit *x, struct err *e)
{
    if (state_write(x->r->state, change_fn, x, e) < 0) {
        return -1;
    }
    replication_wake(x->r);
    return 0;
}

int rule_edit(struct replication *r, struct arena *a, struct str name, const json_t *body,
              struct err *e)
{
    return change(&(struct edit){.r = r, .a = a, .name = name, .body = body}, e);
}

int rule_drop(struct replication *r, struct arena *a, struct str name, struct err *e)
{
    struct edit x = {.r = r, .a = a, .name = name};

    if (state_write(r->state, delete_fn, &x, e) < 0) {
        return -1;
    }
    (void)replication_stop(r, 0, x.rule.id);
    return 0;
}

int api_rule_add(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct edit x = edit_of(req);

    if (http_body_json(req, &body, e) < 0) {
        return -1;
    }
    x.body = body;
    return make(&x, str_of(req->who.name), e) < 0 ? -1 : reply_rule(req, 201, &x.rule, e);
}

int api_rule(struct http_req *req, struct err *e)
{
    struct edit x = edit_of(req);

    return state_read(x.r->state, find_fn, &x, e) < 0 ? -1 : reply_rule(req, 200, &x.rule, e);
}

int api_rule_change(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct edit x = edit_of(req);

    if (http_body_json(req, &body, e) < 0) {
        return -1;
    }
    x.body = body;
    return change(&x, e) < 0 ? -1 : reply_rule(req, 200, &x.rule, e);
}

int api_rule_delete(struct http_req *req, struct err *e)
{
    return rule_drop(req->ctx, &req->arena, http_path_param(req, "name"), e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}

static int rules_fn(struct state_db *db, void *ctx, struct err *e)
{
    return rules_page(db, ctx, e);
}

int api_rules(struct http_req *req, struct err *e)
{
    return list_reply(req, ((struct replication *)req->ctx)->state, rules_fn, NULL, e);
}

struct start {
    struct edit x;
    struct str by;
    int64_t id;
};

static int run_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct start *s = ctx;

    if (rule_find(db, s->x.a, s->x.name, &s->x.rule, e) < 0) {
        return -1;
    }
    return s->x.rule.enabled
               ? run_add(db, &s->x.rule, WHY_MANUAL, s->by, &s->id, e)
               : err_set(e, ERR_CONFLICT, "the rule %.*s is disabled: enable it first",
                         STR_ARG(s->x.rule.name));
}

int rule_start(struct replication *r, struct arena *a, struct str name, struct str by, int64_t *id,
               struct err *e)
{
    struct start s = {.x = {.r = r, .a = a, .name = name}, .by = by};

    if (state_write(r->state, run_fn, &s, e) < 0) {
        return -1;
    }
    *id = s.id;
    replication_wake(r);
    return 0;
}

int api_rule_run(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    int64_t id;
    int result;

    if (rule_start(req->ctx, &req->arena, http_path_param(req, "name"), str_of(req->who.name), &id,
                   e) < 0) {
        return -1;
    }
    result = run_write(req->ctx, id, &w, e);
    if (result == 0) {
        result = http_reply_json(req, 202, &b, e);
    }
    buf_done(&b);
    return result;
}
