/* The queue: from an event to rows, from a row to what is sent, from an outcome to the next try. */
#include "webhooks_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/hash.h"
#include "state/state.h"

#include <stdio.h>

enum {
    REQUEST_ID_LETTERS = 26,
    EXCEED_EVERY_MS = 60 * 1000, /* whoever pushes into a full project tries again and again */
    DELAY_MAX_MS = 20 * 60 * 1000
};

/* --- in --- */

int queue_add(struct state_db *db, int64_t hook_id, enum webhook_event event,
              const char *request_id, enum hook_format format, struct str payload, int64_t *id,
              struct err *e)
{
    int64_t now = clock_wall_ms();

    if (state_run(db, e,
                  "INSERT INTO webhook_deliveries(hook_id, event, request_id, format, payload,"
                  " created_ms, state) VALUES (?, ?, ?, ?, ?, ?, '" DELIVERY_WAITING "')",
                  "izzibi", hook_id, event_name(event), request_id, (int64_t)format, payload,
                  now) < 0) {
        return -1;
    }
    *id = state_last_id(db);
    if (state_run(db, e,
                  "DELETE FROM webhook_deliveries WHERE hook_id = ?1 AND state = 'waiting' AND id"
                  " <= (SELECT id FROM webhook_deliveries WHERE hook_id = ?1 AND state = 'waiting'"
                  " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                  "ii", hook_id, (int64_t)LIMIT_WEBHOOK_QUEUE) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE webhooks SET next_ms = coalesce(next_ms, ?), dropped = dropped + ?"
                     " WHERE id = ?",
                     "iii", now, state_changes(db), hook_id);
}

/* A hook that wants the event. */
struct target {
    int64_t id;
    enum hook_format format;
    struct str repositories, tags; /* in the arena */
};
struct targets {
    struct arena arena;
    struct target items[LIMIT_WEBHOOKS];
    size_t n;
};

static int read_targets(struct state_db *db, const struct webhook_news *n, struct targets *out,
                        struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, format, repositories, tags FROM webhooks WHERE project_id = ?"
                   " AND enabled = 1 AND events & ? LIMIT ?",
                   "iii", n->project_id, (int64_t)EVENT_BIT(n->event),
                   (int64_t)LIMIT_WEBHOOKS) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        out->items[out->n++] =
            (struct target){.id = query_i64(&q, 0),
                            .format = (enum hook_format)query_i64(&q, 1),
                            .repositories = arena_str(&out->arena, query_str(&q, 2)),
                            .tags = arena_str(&out->arena, query_str(&q, 3))};
    }
    return r;
}

static int was_told_just_now(struct state_db *db, int64_t hook_id, int64_t *out, struct err *e)
{
    return state_one_i64(db, out, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM webhook_deliveries WHERE hook_id = ?"
                         " AND event = 'QUOTA_EXCEED' AND created_ms > ?)",
                         "ii", hook_id, clock_wall_ms() - EXCEED_EVERY_MS);
}

static int add_one(struct state_db *db, const struct payload *about, const struct target *t,
                   int64_t *id, struct err *e)
{
    char request_id[REQUEST_ID_LETTERS + 1];
    struct buf text = BUF_MAX(LIMIT_WEBHOOK_PAYLOAD);
    struct payload p = *about;
    int result = 0;

    random_name(request_id, REQUEST_ID_LETTERS);
    p.hook_id = t->id;
    p.request_id = request_id;
    p.format = t->format;
    payload_write(&p, &text);
    if (!text.failed) { /* LIMIT_WEBHOOK_PAYLOAD is above all that the callers' limits allow */
        result = queue_add(db, t->id, p.news->event, request_id, t->format, buf_str(&text), id, e);
    }
    buf_done(&text);
    return result;
}

static int queue_for(struct state_db *db, const struct payload *p, const struct target *t,
                     unsigned char *chosen, struct err *e)
{
    int64_t id, told = 0;

    if (!payload_filter(p->news, t->repositories, t->tags, chosen)) {
        return 0;
    }
    if (p->news->event == WEBHOOK_QUOTA_EXCEED && was_told_just_now(db, t->id, &told, e) < 0) {
        return -1;
    }
    return told ? 0 : add_one(db, p, t, &id, e);
}

/* Runs right after the commit of what was queued, or of its group. */
static void committed(void *ctx, const struct err *e UNUSED)
{
    webhooks_look(ctx);
}

static int nothing(struct state_db *db UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
    return 0;
}

static int queue_all(struct webhooks *h, struct state_db *db, const struct webhook_news *n,
                     const struct targets *t, struct err *e)
{
    SCOPED(arena_done) struct arena arena = {0};
    char project[LIMIT_NAME_BYTES + 1];
    unsigned char *chosen = arena_alloc(&arena, n->n_images + 1);
    struct payload p = {
        .news = n, .project = project, .host = h->host, .at_ms = clock_wall_ms(), .chosen = chosen};

    if (access_project_look(db, n->project_id, project, &p.is_public, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    for (size_t i = 0; i < t->n; i++) {
        if (queue_for(db, &p, &t->items[i], chosen, e) < 0) {
            return -1;
        }
    }
    state_submit(h->state, nothing, h, committed); /* behind us in the queue: after our commit */
    return 0;
}

int webhooks_queue(struct webhooks *h, struct state_db *db, const struct webhook_news *n,
                   struct err *e)
{
    struct targets targets = {.n = 0};
    int result = read_targets(db, n, &targets, e);

    if (result == 0 && targets.n > 0) {
        result = queue_all(h, db, n, &targets, e);
    }
    arena_done(&targets.arena);
    return result;
}

int queue_ping(struct webhooks *h, struct state_db *db, int64_t project_id, int64_t hook_id,
               struct str by, int64_t *id, struct err *e)
{
    char project[LIMIT_NAME_BYTES + 1];
    unsigned char chosen = 0;
    struct webhook_news news = {.event = WEBHOOK_PING,
                                .project_id = project_id,
                                .by = by,
                                .details = STR("A test: somebody asked for it.")};
    struct payload p = {.news = &news,
                        .project = project,
                        .host = h->host,
                        .at_ms = clock_wall_ms(),
                        .chosen = &chosen};
    struct target t = {.id = hook_id};
    int64_t format;

    if (access_project_look(db, project_id, project, &p.is_public, e) < 0 ||
        state_one_i64(db, &format, e, "the webhook is gone",
                      "SELECT format FROM webhooks WHERE id = ?", "i", hook_id) < 0) {
        return -1;
    }
    t.format = (enum hook_format)format;
    return add_one(db, &p, &t, id, e);
}

/* --- out --- */

struct first {
    int64_t hook_id;
    struct arena *arena;
    struct parcel *out;
    bool found;
};

/* A ping goes first: whoever asked for it waits for the answer. */
static int first_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct first *f = ctx;
    SCOPED(query_done) struct query q = {0};
    struct arena *a = f->arena;
    int r;

    if (query_open(&q, db, e,
                   "SELECT d.id, d.attempts, w.streak, w.url, d.event, d.request_id, w.ca,"
                   " w.skip_verify, d.format, d.payload, w.auth, w.secret"
                   " FROM webhook_deliveries d JOIN webhooks w ON w.id = d.hook_id"
                   " WHERE d.hook_id = ? AND d.state = 'waiting' AND w.enabled = 1"
                   " ORDER BY d.event <> 'PING', d.id LIMIT 1",
                   "i", f->hook_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    f->found = r > 0;
    if (f->found) {
        *f->out = (struct parcel){.hook_id = f->hook_id,
                                  .delivery_id = query_i64(&q, 0),
                                  .attempts = query_i64(&q, 1),
                                  .streak = query_i64(&q, 2),
                                  .url = arena_strdup(a, query_str(&q, 3)),
                                  .event = arena_strdup(a, query_str(&q, 4)),
                                  .request_id = arena_strdup(a, query_str(&q, 5)),
                                  .ca = arena_strdup(a, query_str(&q, 6)),
                                  .insecure = query_i64(&q, 7) != 0,
                                  .is_ping = str_eq_c(query_str(&q, 4), "PING"),
                                  .format = (enum hook_format)query_i64(&q, 8),
                                  .payload = arena_str(a, query_str(&q, 9)),
                                  .auth = arena_str(a, query_str(&q, 10)),
                                  .secret = arena_str(a, query_str(&q, 11))};
    }
    return 0;
}

static int rest_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct first *f = ctx;

    return state_run(db, e,
                     "UPDATE webhooks SET next_ms = NULL WHERE id = ?1 AND (enabled = 0 OR NOT"
                     " EXISTS (SELECT 1 FROM webhook_deliveries WHERE hook_id = ?1"
                     " AND state = 'waiting'))",
                     "i", f->hook_id);
}

int queue_first(struct webhooks *h, int64_t hook_id, struct arena *a, struct parcel *out,
                struct err *e)
{
    struct first f = {.hook_id = hook_id, .arena = a, .out = out};

    if (state_read(h->state, first_fn, &f, e) < 0) {
        return -1;
    }
    if (f.found) {
        return 1;
    }
    return state_write(h->state, rest_fn, &f, e) < 0 ? -1 : 0;
}

int64_t queue_delay_ms(int64_t first_ms, int64_t streak)
{
    int64_t delay = first_ms;

    for (int64_t i = 1; i < streak && delay < DELAY_MAX_MS; i++) {
        delay *= 3;
    }
    return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

struct noting {
    const struct parcel *parcel;
    const struct outcome *outcome;
};

static int note_delivery(struct state_db *db, const struct noting *n, struct err *e)
{
    const struct outcome *o = n->outcome;
    bool is_over = o->error == NULL || o->is_final;
    const char *state = o->error == NULL ? DELIVERY_SENT
                        : is_over        ? DELIVERY_FAILED
                                         : DELIVERY_WAITING;

    /* One that was cancelled meanwhile stays so, unless it went out all the same. */
    return state_run(db, e,
                     "UPDATE webhook_deliveries SET state = ?2, attempts = attempts + 1,"
                     " status = nullif(?3, 0), error = ?4, duration_ms = ?5, ended_ms = ?6"
                     " WHERE id = ?1 AND (state = 'waiting' OR ?2 = 'sent')",
                     "izizii", n->parcel->delivery_id, state, (int64_t)o->status, o->error,
                     o->duration_ms, is_over ? clock_wall_ms() : 0);
}

static int note_hook(struct state_db *db, const struct noting *n, struct err *e)
{
    const struct outcome *o = n->outcome;

    return state_run(db, e,
                     "UPDATE webhooks SET streak = ?2, next_ms = iif(enabled = 1 AND EXISTS"
                     " (SELECT 1 FROM webhook_deliveries WHERE hook_id = ?1"
                     "  AND state = 'waiting'), ?3, NULL) WHERE id = ?1",
                     "iii", n->parcel->hook_id,
                     o->error == NULL ? (int64_t)0 : n->parcel->streak + 1,
                     clock_wall_ms() + o->wait_ms);
}

static int note_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct noting *n = ctx;

    if (note_delivery(db, n, e) < 0 || note_hook(db, n, e) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "DELETE FROM webhook_deliveries WHERE hook_id = ?1 AND state <> 'waiting'"
                     " AND id <= (SELECT id FROM webhook_deliveries WHERE hook_id = ?1"
                     " AND state <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                     "ii", n->parcel->hook_id, (int64_t)LIMIT_WEBHOOK_LOG);
}

int queue_note(struct webhooks *h, const struct parcel *p, const struct outcome *o, struct err *e)
{
    return state_write(h->state, note_fn, &(struct noting){p, o}, e);
}
