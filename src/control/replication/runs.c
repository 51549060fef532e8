/* Rows of runs and tasks, and /api/v1/replication/runs. */
#include "replication_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "list_http.h"

#include <string.h>

static const char *const whys[] = {"manual", "schedule", "event", "start"};

/* --- making them --- */

static int add_row(struct state_db *db, const struct rule *rule, enum run_why why, struct str by,
                   int64_t *id, struct err *e)
{
    int64_t now = clock_wall_ms();

    if (state_run(db, e,
                  "DELETE FROM replication_runs WHERE rule_id = ?1 AND ended_ms IS NOT NULL"
                  " AND id NOT IN (SELECT id FROM replication_runs WHERE rule_id = ?1"
                  "  ORDER BY id DESC LIMIT ?2)",
                  "ii", rule->id, (int64_t)RUNS_KEPT - 1) < 0 ||
        state_run(db, e,
                  "INSERT INTO replication_runs(rule_id, why, started_by, created_ms, next_ms,"
                  " planned) VALUES (?, ?, ?, ?, ?, ?)",
                  "iisiii", rule->id, (int64_t)why, by, now, now,
                  (int64_t)(why == WHY_EVENT)) < 0) {
        return -1;
    }
    *id = state_last_id(db);
    return 0;
}

int run_add(struct state_db *db, const struct rule *rule, enum run_why why, struct str by,
            int64_t *id, struct err *e)
{
    int64_t open;

    if (state_one_i64(db, &open, e, "rows",
                      "SELECT EXISTS (SELECT 1 FROM replication_runs WHERE rule_id = ?"
                      " AND ended_ms IS NULL AND why <> ?)",
                      "ii", rule->id, (int64_t)WHY_EVENT) < 0) {
        return -1;
    }
    return open ? err_set(e, ERR_CONFLICT,
                          "a run of the rule %.*s is going on: wait for it, or stop it",
                          STR_ARG(rule->name))
                : add_row(db, rule, why, by, id, e);
}

int run_add_event(struct state_db *db, const struct rule *rule, int64_t *id, struct err *e)
{
    if (state_one_i64(db, id, e, "run",
                      "SELECT id FROM replication_runs WHERE rule_id = ? AND why = ?"
                      " AND started_ms IS NULL AND ended_ms IS NULL ORDER BY id DESC LIMIT 1",
                      "ii", rule->id, (int64_t)WHY_EVENT) == 0) {
        return 0;
    }
    return e->kind == ERR_NOT_FOUND ? add_row(db, rule, WHY_EVENT, STR("push"), id, e) : -1;
}

int task_add(struct state_db *db, int64_t run_id, const struct task_row *t, struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO replication_tasks(run_id, number, deletes, source, reference,"
                     " destination, state) SELECT ?1, 1 + coalesce(max(number), 0), ?2, ?3, ?4, ?5,"
                     " 'waiting' FROM replication_tasks WHERE run_id = ?1"
                     " ON CONFLICT(run_id, source, reference, destination) DO UPDATE"
                     " SET deletes = excluded.deletes",
                     "iisss", run_id, (int64_t)t->deletes, t->source, t->reference,
                     t->destination) < 0 ||
                   state_run(db, e,
                             "UPDATE replication_runs SET tasks = (SELECT max(number) FROM"
                             " replication_tasks WHERE run_id = ?1) WHERE id = ?1",
                             "i", run_id) < 0
               ? -1
               : 0;
}

/* --- one --- */

#define RUN_COLUMNS                                                                                \
    "n.id, r.name, n.why, n.started_by, n.state, n.created_ms, n.started_ms, n.ended_ms,"          \
    " n.next_ms, n.tasks, n.succeeded, n.skipped, n.failed, n.moved_bytes, n.error, n.stop"
#define RUN_FROM " FROM replication_runs n JOIN replication_rules r ON r.id = n.rule_id "

static void write_run(struct replication *r, const struct query *q, struct jw *w)
{
    struct copy_bytes live = {0};
    bool has_ended = !query_is_null(q, 7);
    int64_t task, next = query_i64(q, 8);
    bool runs = !has_ended && replication_live(r, query_i64(q, 0), &task, &live);

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "rule", query_str(q, 1));
    jw_kv_c(w, "trigger", whys[query_i64(q, 2) & 3]);
    jw_kv_str(w, "started_by", query_str(q, 3));
    if (has_ended) {
        jw_kv_str(w, "state", query_str(q, 4));
    } else {
        jw_kv_c(w, "state", query_i64(q, 15) ? "stopping" : runs ? "running" : "waiting");
    }
    jw_kv_time(w, "created_at", query_i64(q, 5));
    jw_kv_time(w, "started_at", query_i64(q, 6));
    jw_kv_time(w, "ended_at", query_i64(q, 7));
    jw_kv_time(w, "next_try_at", has_ended || runs || next <= clock_wall_ms() ? 0 : next);
    jw_kv_i64(w, "tasks", query_i64(q, 9));
    jw_kv_i64(w, "succeeded", query_i64(q, 10));
    jw_kv_i64(w, "skipped", query_i64(q, 11));
    jw_kv_i64(w, "failed", query_i64(q, 12));
    jw_kv_i64(w, "moved_bytes", query_i64(q, 13) + live.moved);
    jw_kv_str_or_null(w, "error", query_str_or_null(q, 14));
    jw_end(w);
}

struct one {
    struct replication *r;
    int64_t id;
    struct jw *w;
};

static int run_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT " RUN_COLUMNS RUN_FROM "WHERE n.id = ?", "i", o->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no such run of replication");
    }
    write_run(o->r, &q, o->w);
    return 0;
}

int run_write(struct replication *r, int64_t id, struct jw *w, struct err *e)
{
    struct one o = {r, id, w};

    return state_read(r->state, run_fn, &o, e);
}

/* --- lists --- */

struct runs_list {
    struct replication *r;
    int64_t id;      /* of the run, for its tasks */
    struct str rule; /* or empty */
    struct str state;
};

static int runs_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    const struct runs_list *k = l->ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t before;
    int r;

    if (number_of(l->after, INT64_MAX, &before, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " RUN_COLUMNS RUN_FROM "WHERE n.id < ?1 AND (?2 = '' OR r.name = ?2)"
                   " AND has_words(?3, r.name, n.started_by) ORDER BY n.id DESC LIMIT ?4",
                   "issi", before, k->rule, l->q, l->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (listing_is_full(l)) {
            return 0;
        }
        write_run(k->r, &q, l->w);
        l->last = str_of(arena_printf(l->a, "%lld", (long long)query_i64(&q, 0)));
    }
    return r;
}

int api_runs(struct http_req *req, struct err *e)
{
    struct str rule = http_query(req, "rule");
    struct runs_list k = {.r = req->ctx, .rule = rule.p ? rule : STR_EMPTY};

    return list_reply(req, k.r->state, runs_fn, &k, e);
}

#define TASK_COLUMNS                                                                               \
    "number, deletes, source, reference, destination, state, tries, next_ms, digest,"              \
    " total_bytes, done_bytes, moved_bytes, error, started_ms, ended_ms"

static void write_task(struct replication *r, int64_t run_id, const struct query *q, struct jw *w)
{
    struct copy_bytes live;
    int64_t task = 0, next = query_i64(q, 7);
    bool runs = replication_live(r, run_id, &task, &live) && task == query_i64(q, 0);

    jw_object(w);
    jw_kv_i64(w, "number", query_i64(q, 0));
    jw_kv_c(w, "action", query_i64(q, 1) ? "delete" : "copy");
    jw_kv_str(w, "source", query_str(q, 2));
    jw_kv_str(w, "reference", query_str(q, 3));
    jw_kv_str(w, "destination", query_str(q, 4));
    if (runs) {
        jw_kv_c(w, "state", "running");
    } else {
        jw_kv_str(w, "state", query_str(q, 5));
    }
    jw_kv_i64(w, "tries", query_i64(q, 6));
    jw_kv_time(w, "next_try_at", str_eq_c(query_str(q, 5), "waiting") && !runs ? next : 0);
    jw_kv_str_or_null(w, "digest", query_str_or_null(q, 8));
    jw_kv_i64(w, "total_bytes", runs ? live.total : query_i64(q, 9));
    jw_kv_i64(w, "done_bytes", runs ? live.done : query_i64(q, 10));
    jw_kv_i64(w, "moved_bytes", query_i64(q, 11) + (runs ? live.moved : 0));
    jw_kv_str_or_null(w, "error", query_str_or_null(q, 12));
    jw_kv_time(w, "started_at", query_i64(q, 13));
    jw_kv_time(w, "ended_at", query_i64(q, 14));
    jw_end(w);
}

static int tasks_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    const struct runs_list *k = l->ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t after, there;
    int r;

    if (state_one_i64(db, &there, e, "there is no such run of replication",
                      "SELECT 1 FROM replication_runs WHERE id = ?", "i", k->id) < 0 ||
        number_of(l->after, 0, &after, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " TASK_COLUMNS " FROM replication_tasks WHERE run_id = ?1"
                   " AND number > ?2 AND (?3 = '' OR instr(',' || ?3 || ',', ',' || state || ','))"
                   " AND has_words(?4, source, reference, destination) ORDER BY number LIMIT ?5",
                   "iissi", k->id, after, k->state, l->q, l->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (listing_is_full(l)) {
            return 0;
        }
        write_task(k->r, k->id, &q, l->w);
        l->last = str_of(arena_printf(l->a, "%lld", (long long)query_i64(&q, 0)));
    }
    return r;
}

static int id_of(struct http_req *req, int64_t *id, struct err *e)
{
    return number_of(http_path_param(req, "id"), 0, id, e) < 0
               ? err_set(e, ERR_NOT_FOUND, "there is no such run of replication")
               : 0;
}

int api_run_tasks(struct http_req *req, struct err *e)
{
    struct str state = http_query(req, "state");
    struct runs_list k = {.r = req->ctx, .state = state.p ? state : STR_EMPTY};

    return id_of(req, &k.id, e) < 0 ? -1 : list_reply(req, k.r->state, tasks_fn, &k, e);
}

static int reply_run(struct http_req *req, int status, int64_t id, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    int result = run_write(req->ctx, id, &w, e);

    if (result == 0) {
        result = http_reply_json(req, status, &b, e);
    }
    buf_done(&b);
    return result;
}

int api_run(struct http_req *req, struct err *e)
{
    int64_t id;

    return id_of(req, &id, e) < 0 ? -1 : reply_run(req, 200, id, e);
}

static int stop_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_run(db, e,
                     "UPDATE replication_runs SET stop = 1, next_ms = 0"
                     " WHERE id = ? AND ended_ms IS NULL",
                     "i", *(const int64_t *)ctx);
}

int run_halt(struct replication *r, int64_t id, struct err *e)
{
    if (state_write(r->state, stop_fn, &id, e) < 0) {
        return -1;
    }
    if (!replication_stop(r, id, 0)) {
        replication_wake(r); /* the scheduler ends those that nobody works on */
    }
    return 0;
}

int api_run_stop(struct http_req *req, struct err *e)
{
    int64_t id;

    return id_of(req, &id, e) < 0 || run_halt(req->ctx, id, e) < 0 ? -1
                                                                   : reply_run(req, 202, id, e);
}

int replication_metrics(struct state_db *db, struct buf *out, struct err *e)
{
    static const struct state_gauge gauges[] = {
        {"strata_replication_runs_open", "Runs of replication that wait or go on.",
         "SELECT count(*) FROM replication_runs WHERE ended_ms IS NULL"},
        {"strata_replication_tasks_open", "Images that they have yet to copy.",
         "SELECT count(*) FROM replication_runs r JOIN replication_tasks t ON t.run_id = r.id"
         " WHERE r.ended_ms IS NULL AND t.ended_ms IS NULL"},
    };

    return state_gauges(db, gauges, ARRAY_LEN(gauges), out, e);
}
