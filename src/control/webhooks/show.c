/* What people see of hooks and their deliveries. */
#include "webhooks_priv.h"

#include "state/state.h"

struct listing {
    struct hook_key key;
    int64_t delivery_id;
    struct jw *w;
    int64_t before, limit, next;
};

#define HOOK_COLUMNS                                                                               \
    "w.id, w.name, w.url, w.events, w.format, w.repositories, w.tags, w.auth IS NOT NULL,"         \
    " w.secret IS NOT NULL, w.ca, w.skip_verify, w.enabled, w.created_ms, w.created_by,"           \
    " w.updated_ms, (SELECT count(*) FROM webhook_deliveries d WHERE d.hook_id = w.id"             \
    " AND d.state = 'waiting'), w.dropped, w.streak, w.next_ms"

static void write_hook(const struct query *q, struct jw *w)
{
    int64_t streak = query_i64(q, 17);

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_str(w, "url", query_str(q, 2));
    jw_key(w, "events");
    jw_array(w);
    for (int event = 0; event < WEBHOOK_PING; event++) {
        if (query_i64(q, 3) & EVENT_BIT(event)) {
            jw_str(w, str_of(event_name((enum webhook_event)event)));
        }
    }
    jw_end(w);
    jw_kv_c(w, "format", format_name((enum hook_format)query_i64(q, 4)));
    jw_kv_str(w, "repositories", query_str(q, 5));
    jw_kv_str(w, "tags", query_str(q, 6));
    jw_kv_bool(w, "has_auth_header", query_i64(q, 7) != 0);
    jw_kv_bool(w, "has_secret", query_i64(q, 8) != 0);
    jw_kv_str(w, "ca", query_str(q, 9));
    jw_kv_bool(w, "skip_cert_verify", query_i64(q, 10) != 0);
    jw_kv_bool(w, "enabled", query_i64(q, 11) != 0);
    jw_kv_time(w, "created_at", query_i64(q, 12));
    jw_kv_str(w, "created_by", query_str(q, 13));
    jw_kv_time(w, "updated_at", query_i64(q, 14));
    jw_kv_i64(w, "waiting", query_i64(q, 15));
    jw_kv_i64(w, "dropped", query_i64(q, 16));
    jw_kv_i64(w, "failures", streak);
    jw_kv_time(w, "next_try_at", streak > 0 && !query_is_null(q, 18) ? query_i64(q, 18) : 0);
    jw_end(w);
}

static int hooks_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct listing *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " HOOK_COLUMNS " FROM webhooks w WHERE w.project_id = ? ORDER BY w.name",
                   "i", op->key.project_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_hook(&q, op->w);
    }
    return r;
}

int hooks_write(struct webhooks *h, int64_t project_id, struct jw *w, struct err *e)
{
    struct listing op = {.key = {.project_id = project_id}, .w = w};

    return state_read(h->state, hooks_fn, &op, e);
}

static int hook_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct listing *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " HOOK_COLUMNS " FROM webhooks w WHERE w.id = ? AND w.project_id = ?",
                   "ii", op->key.id, op->key.project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no such webhook");
    }
    write_hook(&q, op->w);
    return 0;
}

int hook_write(struct webhooks *h, const struct hook_key *k, struct jw *w, struct err *e)
{
    struct listing op = {.key = *k, .w = w};

    return state_read(h->state, hook_fn, &op, e);
}

#define DELIVERY_COLUMNS                                                                           \
    "d.id, d.event, d.request_id, d.state, d.created_ms, d.ended_ms, d.attempts, d.status,"        \
    " d.error, d.duration_ms, length(d.payload)"

static void write_number(struct jw *w, const char *key, const struct query *q, int column)
{
    jw_key(w, key);
    if (query_is_null(q, column)) {
        jw_null(w);
    } else {
        jw_i64(w, query_i64(q, column));
    }
}

/* The object stays open. */
static void write_delivery(const struct query *q, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "event", query_str(q, 1));
    jw_kv_str(w, "request_id", query_str(q, 2));
    jw_kv_str(w, "state", query_str(q, 3));
    jw_kv_time(w, "created_at", query_i64(q, 4));
    jw_kv_time(w, "ended_at", query_i64(q, 5));
    jw_kv_i64(w, "attempts", query_i64(q, 6));
    write_number(w, "status", q, 7);
    jw_kv_str_or_null(w, "error", query_str_or_null(q, 8));
    write_number(w, "duration_ms", q, 9);
    jw_kv_i64(w, "payload_bytes", query_i64(q, 10));
}

static int deliveries_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct listing *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t n = 0, last = 0;
    int r;

    if (hook_check(db, &op->key, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " DELIVERY_COLUMNS " FROM webhook_deliveries d WHERE d.hook_id = ?"
                   " AND d.id < ? ORDER BY d.id DESC LIMIT ?",
                   "iii", op->key.id, op->before, op->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (n++ == op->limit) {
            op->next = last;
            return 0;
        }
        last = query_i64(&q, 0);
        write_delivery(&q, op->w);
        jw_end(op->w);
    }
    return r;
}

int deliveries_write(struct webhooks *h, const struct hook_key *k, int64_t before, int64_t limit,
                     struct jw *w, int64_t *next, struct err *e)
{
    struct listing op = {.key = *k, .w = w, .before = before, .limit = limit};

    if (state_read(h->state, deliveries_fn, &op, e) < 0) {
        return -1;
    }
    *next = op.next;
    return 0;
}

static int delivery_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct listing *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (hook_check(db, &op->key, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " DELIVERY_COLUMNS ", d.payload FROM webhook_deliveries d"
                   " WHERE d.id = ? AND d.hook_id = ?",
                   "ii", op->delivery_id, op->key.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the webhook's log has no such delivery (any more)");
    }
    write_delivery(&q, op->w);
    jw_kv_str(op->w, "payload", query_str(&q, 11));
    jw_end(op->w);
    return 0;
}

int delivery_write(struct webhooks *h, const struct hook_key *k, int64_t delivery_id, struct jw *w,
                   struct err *e)
{
    struct listing op = {.key = *k, .delivery_id = delivery_id, .w = w};

    return state_read(h->state, delivery_fn, &op, e);
}
