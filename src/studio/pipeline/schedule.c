/* Runs that begin by the clock: a schedule belongs to its pipeline and runs in the name of whoever
 * set it, as long as he may run pipelines of the project: then it is paused, and says so. */
#include "pipeline/pipeline_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/zone.h"

#include <stdio.h>
#include <string.h>

enum { DUE_AT_ONCE = 50, RETRY_MS = 10000 };

/* --- when --- */

static int next_of(struct str cron, struct str zone, int64_t after_ms, int64_t *out, struct err *e)
{
    struct zone z;
    struct cron c;

    if (cron_parse(cron, &c, e) < 0 || zone_open(zone, &z, e) < 0) {
        return -1;
    }
    *out = zone_cron_next(&z, &c, after_ms);
    return *out > 0 ? 0
                    : err_set(e, ERR_INVALID, "schedule '%.*s' never comes",
                              STR_ARG(str_first(cron, CRON_BYTES_MAX)));
}

/* --- routes --- */

struct change {
    int64_t project_id, next_ms, user_id;
    struct str name;
    const char *schedule; /* JSON, or NULL: none any more */
};

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct change *c = ctx;

    if (state_run(db, e,
                  "UPDATE pipelines SET schedule = ?, next_ms = nullif(?, 0), schedule_user = ?"
                  " WHERE project_id = ? AND name = ?",
                  "ziiis", c->schedule, c->next_ms, c->user_id, c->project_id, c->name) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "the project has no pipeline \"%.*s\"",
                                           STR_ARG(str_first(c->name, 70)));
}

static int save(struct http_req *r, struct change *c, struct err *e)
{
    struct pipelines *s = r->ctx;

    c->name = http_path_param(r, "name");
    c->user_id = r->who.user_id;
    if (studio_project(r, &c->project_id, e) < 0 ||
        state_write(s->parts.state, change_fn, c, e) < 0) {
        return -1;
    }
    runner_note(s, NOTE_SCHEDULE, c->project_id, 0);
    return 0;
}

int schedule_put(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"cron", "timezone", "params", "enabled"};
    SCOPED(buf_done) struct buf json = BUF_MAX(2 * LIMIT_JSON_BODY_BYTES);
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str cron, zone = STR("UTC");
    struct run_new values = {0};
    struct jw w = JW(&json);
    struct change c = {0};
    bool enabled = true;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "cron", &cron, e) < 0 || json_get_str(body, "timezone", &zone, e) < 0 ||
        json_get_bool(body, "enabled", &enabled, e) < 0 ||
        run_read_values(&r->arena, json_object_get(body, "params"), &values, e) < 0 ||
        next_of(cron, zone, clock_wall_ms(), &c.next_ms, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_str(&w, "cron", cron);
    jw_kv_str(&w, "timezone", zone);
    jw_key(&w, "params");
    jw_raw(&w, str_of(values.params));
    jw_kv_bool(&w, "enabled", enabled);
    jw_kv_c(&w, "by", r->who.name);
    jw_end(&w);
    c.schedule = arena_strdup(&r->arena, buf_str(&json));
    c.next_ms = enabled ? c.next_ms : 0;
    return save(r, &c, e) < 0 ? -1 : studio_reply_pipeline(r, e);
}

int schedule_delete(struct http_req *r, struct err *e)
{
    struct change c = {0};

    return save(r, &c, e) < 0 ? -1 : http_reply_empty(r, 204, e);
}

/* --- what is due --- */

struct due {
    int64_t id, project_id, user_id;
    const char *name, *schedule;
    char project[65];
    int64_t next_ms;
};

struct look {
    struct arena *a;
    int64_t now_ms, next_ms;
    struct due due[DUE_AT_ONCE];
    size_t n;
    const struct due *one;
};

static int look_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *k = ctx;
    SCOPED(query_done) struct query q = {0};
    bool is_public;
    int rc;

    if (query_open(
            &q, db, e,
            "SELECT id, project_id, name, schedule, next_ms, schedule_user FROM pipelines WHERE"
            " next_ms IS NOT NULL ORDER BY next_ms LIMIT ?",
            "i", (int64_t)DUE_AT_ONCE) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        struct due *d = &k->due[k->n];

        k->next_ms = query_i64(&q, 4);
        if (k->next_ms > k->now_ms) {
            break;
        }
        *d = (struct due){.id = query_i64(&q, 0),
                          .project_id = query_i64(&q, 1),
                          .user_id = query_i64(&q, 5),
                          .name = arena_strdup(k->a, query_str(&q, 2)),
                          .schedule = arena_strdup(k->a, query_str(&q, 3))};
        k->n += access_project_look(db, d->project_id, d->project, &is_public, e) == 0;
        k->next_ms = 0;
    }
    return rc < 0 ? -1 : 0;
}

static int next_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct look *k = ctx;

    return state_run(db, e, "UPDATE pipelines SET next_ms = nullif(?, 0) WHERE id = ?", "ii",
                     k->one->next_ms, k->one->id);
}

/* --- whether it may go on --- */

static struct str text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return str_of(s ? s : "");
}

/* As he is now. 1: he may. 0: not, and *why says it. -1: nobody can tell at the moment. */
static int may_run(struct pipelines *s, const struct due *d, struct principal *who, struct err *why)
{
    char by[sizeof(who->name)];

    memcpy(by, who->name, sizeof(by));
    if (access_principal(s->parts.access, d->user_id, who, why) < 0) {
        if (why->kind != ERR_UNAUTHENTICATED && why->kind != ERR_NOT_FOUND) {
            return -1;
        }
        err_set(why, ERR_FORBIDDEN, "%s, who set it, is gone or disabled: set the schedule again",
                by);
        return 0;
    }
    if (studio_may_run(s, who, str_of(d->project))) {
        return 1;
    }
    err_set(
        why, ERR_FORBIDDEN,
        "%s, who set it, may not run pipelines of this project any more: set the schedule again",
        by);
    return 0;
}

struct pause {
    const struct due *due;
    struct str by;
    const char *schedule, *why;
    struct arena *a;
};

static int pause_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct pause *p = ctx;

    if (state_run(db, e,
                  "UPDATE pipelines SET schedule = ?, next_ms = NULL WHERE id = ? AND schedule = ?",
                  "ziz", p->schedule, p->due->id, p->due->schedule) < 0) {
        return -1;
    }
    return state_changes(db) == 0 /* set again meanwhile */
               ? 0
               : access_audit_own(
                     db, p->by, str_of(p->due->project),
                     arena_printf(p->a, "schedule of pipeline %s paused: %s", p->due->name, p->why),
                     e);
}

static int pause(struct pipelines *s, struct look *k, const struct due *d, const json_t *schedule,
                 const char *why, struct err *e)
{
    SCOPED(json_decrefp) json_t *paused = json_copy((json_t *)schedule);
    SCOPED(buf_done) struct buf event = BUF_MAX(4 * KIB);
    struct jw w = JW(&event);
    SCOPED(freep) char *text = NULL;
    struct pause p = {.due = d, .by = text_at(schedule, "by"), .why = why, .a = k->a};

    (void)json_object_set_new(paused, "enabled", json_false());
    (void)json_object_set_new(paused, "paused", json_string(why));
    text = json_dumps(paused, JSON_COMPACT);
    if (text == NULL) {
        return err_set(e, ERR_INTERNAL, "its schedule cannot be written");
    }
    p.schedule = text;
    if (state_write(s->parts.state, pause_fn, &p, e) < 0) {
        return -1;
    }
    log_warn("pipeline.schedule_paused", "project=%s pipeline=%s why=%s, until it is set again",
             d->project, d->name, Q(str_of(why)));
    jw_object(&w);
    jw_kv_c(&w, "project", d->project);
    jw_kv_c(&w, "name", d->name);
    jw_kv_c(&w, "state", "paused");
    jw_end(&w);
    s->parts.event(s->parts.ctx, "pipeline", str_of(d->project), buf_str(&event));
    return 0;
}

/* The next time is written first: what begins twice would be worse than what begins never. */
static int begin(struct pipelines *s, struct look *k, struct due *d, bool *is_written,
                 struct err *e)
{
    struct err never;
    SCOPED(json_decrefp) json_t *schedule = json_parse(str_of(d->schedule), &never);
    struct mistakes mistakes = {.a = k->a};
    struct principal who = {.kind = PRINCIPAL_SESSION};
    struct run_new asked = {.who = &who,
                            .project = str_of(d->project),
                            .pipeline = str_of(d->name),
                            .project_id = d->project_id};
    struct err why;
    int64_t id;
    int may;

    if (next_of(text_at(schedule, "cron"), text_at(schedule, "timezone"), k->now_ms, &d->next_ms,
                &never) < 0) {
        d->next_ms = 0;
    }
    k->one = d;
    (void)snprintf(who.name, sizeof(who.name), "%.*s", STR_ARG(text_at(schedule, "by")));
    may = may_run(s, d, &who, &why);
    if (may <= 0) {
        *is_written = may == 0 && pause(s, k, d, schedule, why.msg, e) == 0;
        if (may < 0) {
            *e = why;
        }
        return *is_written ? 0 : -1;
    }
    *is_written = state_write(s->parts.state, next_fn, k, e) == 0;
    if (!*is_written) {
        return -1;
    }
    if (schedule == NULL) {
        return err_set(e, ERR_INTERNAL, "its schedule cannot be read");
    }
    return run_read_values(k->a, json_object_get(schedule, "params"), &asked, e) < 0
               ? -1
               : run_create(s, &asked, k->a, &id, &mistakes, e);
}

int64_t schedule_run(struct pipelines *s)
{
    SCOPED(arena_done) struct arena a = {0};
    struct look k = {.a = &a, .now_ms = clock_wall_ms()};
    bool is_written, all_written = true;
    struct err e;

    if (state_read(s->parts.state, look_fn, &k, &e) < 0) {
        log_warn("pipeline.schedule_failed", "error=%s, trying again in a minute",
                 Q(str_of(e.msg)));
        return 0;
    }
    for (size_t i = 0; i < k.n; i++) {
        if (begin(s, &k, &k.due[i], &is_written, &e) < 0) {
            log_warn("pipeline.schedule_failed", "project=%s pipeline=%s error=%s, again next time",
                     k.due[i].project, k.due[i].name, Q(str_of(e.msg)));
        }
        all_written = all_written && is_written;
    }
    return !all_written ? clock_wall_ms() + RETRY_MS : k.n > 0 ? 1 : k.next_ms;
}
