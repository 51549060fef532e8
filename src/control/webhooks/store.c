/* Hooks as people make, change and try them. */
#include "webhooks_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "fetch/fetch.h"
#include "secrets/secrets.h"
#include "state/state.h"

#include <stdio.h>

struct hook_op {
    struct webhooks *h;
    struct hook_key key;
    const struct hook_change *change;
    struct str by;
    bool skips;
    int64_t delivery_id;
};

int hook_check(struct state_db *db, const struct hook_key *k, struct err *e)
{
    int64_t found;

    return access_project_check(db, k->project_id, e) < 0
               ? -1
               : state_one_i64(db, &found, e, "the project has no such webhook",
                               "SELECT id FROM webhooks WHERE id = ? AND project_id = ?", "ii",
                               k->id, k->project_id);
}

/* --- values that are never shown --- */

static int set_sealed(struct state_db *db, const struct hook_op *op, const char *what,
                      const char *sql, struct str value, struct err *e)
{
    SCOPED(buf_done) struct buf sealed = BUF_MAX(LIMIT_WEBHOOK_VALUE_BYTES + SECRETS_OVERHEAD);
    char place[SECRETS_PLACE_MAX];
    int n = snprintf(place, sizeof(place), "webhook/%lld/%s", (long long)op->key.id, what);

    if (value.len > 0 &&
        secrets_wrap(op->h->secrets, str_n(place, (size_t)n), value, &sealed, e) < 0) {
        return -1;
    }
    return state_run(db, e, sql, "bi", value.len > 0 ? buf_str(&sealed) : (struct str){0},
                     op->key.id);
}

static int set_values(struct state_db *db, const struct hook_op *op, struct err *e)
{
    const struct hook_change *c = op->change;

    if ((c->given & HOOK_HAS_AUTH) &&
        set_sealed(db, op, "auth", "UPDATE webhooks SET auth = ? WHERE id = ?", c->auth, e) < 0) {
        return -1;
    }
    return (c->given & HOOK_HAS_SECRET) &&
                   set_sealed(db, op, "secret", "UPDATE webhooks SET secret = ? WHERE id = ?",
                              c->secret, e) < 0
               ? -1
               : 0;
}

/* --- made, changed, gone --- */

static int check_count(struct state_db *db, int64_t project_id, struct err *e)
{
    int64_t n;

    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM webhooks WHERE project_id = ?", "i",
                      project_id) < 0) {
        return -1;
    }
    return n < LIMIT_WEBHOOKS
               ? 0
               : err_set(e, ERR_LIMIT, "a project has at most %d webhooks: delete one first",
                         LIMIT_WEBHOOKS);
}

static int name_taken(const struct hook_change *c, int result, struct err *e)
{
    return result < 0 && e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "the project has a webhook \"%.*s\" already",
                         STR_ARG(c->name))
               : result;
}

static int add_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct hook_op *op = ctx;
    const struct hook_change *c = op->change;
    int64_t now = clock_wall_ms();

    if (access_project_check(db, op->key.project_id, e) < 0 ||
        check_count(db, op->key.project_id, e) < 0 ||
        name_taken(c,
                   state_run(db, e,
                             "INSERT INTO webhooks(project_id, name, url, events, format,"
                             " repositories, tags, ca, enabled, created_ms, created_by, updated_ms,"
                             " skip_verify) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             "issiisssiisii", op->key.project_id, c->name, c->url,
                             (int64_t)c->events, (int64_t)c->format,
                             c->repositories.p ? c->repositories : STR_EMPTY,
                             c->tags.p ? c->tags : STR_EMPTY, c->ca.p ? c->ca : STR_EMPTY,
                             (int64_t)c->enabled, now, op->by, now,
                             (int64_t)((c->given & HOOK_HAS_SKIPS) && c->skips)),
                   e) < 0) {
        return -1;
    }
    op->key.id = state_last_id(db);
    return set_values(db, op, e);
}

int hook_add(struct webhooks *h, int64_t project_id, const struct hook_change *c, struct str by,
             int64_t *id, struct err *e)
{
    struct hook_op op = {.h = h, .key = {.project_id = project_id}, .change = c, .by = by};

    if (!(c->given & HOOK_HAS_NAME) || !(c->given & HOOK_HAS_URL) ||
        !(c->given & HOOK_HAS_EVENTS)) {
        return err_set(e, ERR_INVALID, "a webhook needs name, url and events");
    }
    if (state_write(h->state, add_fn, &op, e) < 0) {
        return -1;
    }
    *id = op.key.id;
    webhooks_changed(h, project_id, op.key.id);
    return 0;
}

/* A value that nobody can read shall not be had by naming another address either; and what an
 * administrator said of one server is not said of the next. */
static int change_url(struct state_db *db, const struct hook_op *op, struct err *e)
{
    const struct hook_change *c = op->change;
    SCOPED(query_done) struct query q = {0};
    char before[LIMIT_WEBHOOK_URL_BYTES + 1], after[LIMIT_WEBHOOK_URL_BYTES + 1];
    int r;

    if (!(c->given & HOOK_HAS_URL)) {
        return 0;
    }
    if (query_open(&q, db, e, "SELECT url, auth IS NOT NULL FROM webhooks WHERE id = ?", "i",
                   op->key.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no such webhook");
    }
    if (str_copy(query_str(&q, 0), before, sizeof(before)) == 0 &&
        str_copy(c->url, after, sizeof(after)) == 0 && fetch_same_origin(before, after)) {
        query_done(&q);
        return state_run(db, e, "UPDATE webhooks SET url = ? WHERE id = ?", "si", c->url,
                         op->key.id);
    }
    if (query_i64(&q, 1) != 0 && !(c->given & HOOK_HAS_AUTH)) {
        return err_set(e, ERR_INVALID,
                       "auth_header was given for another server: give it again with the new url, "
                       "or null");
    }
    query_done(&q);
    return state_run(db, e, "UPDATE webhooks SET url = ?, skip_verify = 0 WHERE id = ?", "si",
                     c->url, op->key.id);
}

static int change_texts(struct state_db *db, const struct hook_op *op, struct err *e)
{
    const struct hook_change *c = op->change;
    const struct {
        unsigned bit;
        const char *sql;
        struct str value;
    } texts[] = {
        {HOOK_HAS_NAME, "UPDATE webhooks SET name = ? WHERE id = ?", c->name},
        {HOOK_HAS_REPOSITORIES, "UPDATE webhooks SET repositories = ? WHERE id = ?",
         c->repositories},
        {HOOK_HAS_TAGS, "UPDATE webhooks SET tags = ? WHERE id = ?", c->tags},
        {HOOK_HAS_CA, "UPDATE webhooks SET ca = ? WHERE id = ?", c->ca},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if ((c->given & texts[i].bit) &&
            name_taken(c, state_run(db, e, texts[i].sql, "si", texts[i].value, op->key.id), e) <
                0) {
            return -1;
        }
    }
    return 0;
}

static int change_numbers(struct state_db *db, const struct hook_op *op, struct err *e)
{
    const struct hook_change *c = op->change;

    if ((c->given & HOOK_HAS_EVENTS) &&
        state_run(db, e, "UPDATE webhooks SET events = ? WHERE id = ?", "ii", (int64_t)c->events,
                  op->key.id) < 0) {
        return -1;
    }
    if ((c->given & HOOK_HAS_SKIPS) &&
        state_run(db, e, "UPDATE webhooks SET skip_verify = ? WHERE id = ?", "ii",
                  (int64_t)c->skips, op->key.id) < 0) {
        return -1;
    }
    return (c->given & HOOK_HAS_FORMAT) &&
                   state_run(db, e, "UPDATE webhooks SET format = ? WHERE id = ?", "ii",
                             (int64_t)c->format, op->key.id) < 0
               ? -1
               : 0;
}

/* What waits when a hook is switched off is not sent when it is switched on again, next week. */
static int switch_it(struct state_db *db, const struct hook_op *op, struct err *e)
{
    if (!(op->change->given & HOOK_HAS_ENABLED)) {
        return 0;
    }
    if (!op->change->enabled &&
        state_run(db, e,
                  "UPDATE webhook_deliveries SET state = 'cancelled', ended_ms = ?,"
                  " error = 'the webhook was switched off' WHERE hook_id = ?"
                  " AND state = 'waiting'",
                  "ii", clock_wall_ms(), op->key.id) < 0) {
        return -1;
    }
    return state_run(db, e, "UPDATE webhooks SET enabled = ? WHERE id = ?", "ii",
                     (int64_t)op->change->enabled, op->key.id);
}

/* Whatever was wrong may be mended now: what waits is tried at once. */
static int try_anew(struct state_db *db, int64_t id, struct err *e)
{
    return state_run(db, e,
                     "UPDATE webhooks SET updated_ms = ?1, streak = 0, next_ms = iif(enabled = 1"
                     " AND EXISTS (SELECT 1 FROM webhook_deliveries WHERE hook_id = ?2"
                     " AND state = 'waiting'), ?1, NULL) WHERE id = ?2",
                     "ii", clock_wall_ms(), id);
}

static int update_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct hook_op *op = ctx;

    return hook_check(db, &op->key, e) < 0 || change_url(db, op, e) < 0 ||
                   change_texts(db, op, e) < 0 || change_numbers(db, op, e) < 0 ||
                   set_values(db, op, e) < 0 || switch_it(db, op, e) < 0 ||
                   try_anew(db, op->key.id, e) < 0
               ? -1
               : 0;
}

int hook_update(struct webhooks *h, const struct hook_key *k, const struct hook_change *c,
                struct err *e)
{
    struct hook_op op = {.h = h, .key = *k, .change = c};

    if (state_write(h->state, update_fn, &op, e) < 0) {
        return -1;
    }
    webhooks_changed(h, k->project_id, k->id);
    return 0;
}

static int skip_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct hook_op *op = ctx;

    return hook_check(db, &op->key, e) < 0 ||
                   state_run(db, e, "UPDATE webhooks SET skip_verify = ? WHERE id = ?", "ii",
                             (int64_t)op->skips, op->key.id) < 0 ||
                   try_anew(db, op->key.id, e) < 0
               ? -1
               : 0;
}

int hook_skip_verify(struct webhooks *h, const struct hook_key *k, bool skips, struct err *e)
{
    struct hook_op op = {.h = h, .key = *k, .skips = skips};

    if (state_write(h->state, skip_fn, &op, e) < 0) {
        return -1;
    }
    webhooks_changed(h, k->project_id, k->id);
    return 0;
}

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct hook_op *op = ctx;

    return hook_check(db, &op->key, e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM webhooks WHERE id = ?", "i", op->key.id);
}

int hook_drop(struct webhooks *h, const struct hook_key *k, struct err *e)
{
    struct hook_op op = {.h = h, .key = *k};

    if (state_write(h->state, drop_fn, &op, e) < 0) {
        return -1;
    }
    webhooks_changed(h, k->project_id, k->id);
    return 0;
}

/* --- sent because somebody asks for it --- */

static int check_enabled(struct state_db *db, const struct hook_key *k, struct err *e)
{
    int64_t enabled;

    if (hook_check(db, k, e) < 0 ||
        state_one_i64(db, &enabled, e, "", "SELECT enabled FROM webhooks WHERE id = ?", "i",
                      k->id) < 0) {
        return -1;
    }
    return enabled ? 0
                   : err_set(e, ERR_CONFLICT, "the webhook is switched off: switch it on first");
}

static int ping_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct hook_op *op = ctx;
    int64_t waits;

    if (check_enabled(db, &op->key, e) < 0 ||
        state_one_i64(db, &waits, e, "",
                      "SELECT EXISTS (SELECT 1 FROM webhook_deliveries WHERE hook_id = ?"
                      " AND state = 'waiting' AND event = 'PING')",
                      "i", op->key.id) < 0) {
        return -1;
    }
    if (waits) {
        return err_set(e, ERR_CONFLICT, "a test is under way: wait for it");
    }
    return queue_ping(op->h, db, op->key.project_id, op->key.id, op->by, &op->delivery_id, e) < 0
               ? -1
               : state_run(db, e, "UPDATE webhooks SET next_ms = ? WHERE id = ?", "ii",
                           clock_wall_ms(), op->key.id);
}

int hook_ping(struct webhooks *h, const struct hook_key *k, struct str by, int64_t *delivery_id,
              struct err *e)
{
    struct hook_op op = {.h = h, .key = *k, .by = by};

    if (state_write(h->state, ping_fn, &op, e) < 0) {
        return -1;
    }
    *delivery_id = op.delivery_id;
    webhooks_look(h);
    return 0;
}

/* The same request id again, so that the target knows it as the same event. */
static int again_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct hook_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    SCOPED(arena_done) struct arena a = {0};
    struct str payload;
    char *request_id;
    enum hook_format format;
    int event = 0, r;

    if (check_enabled(db, &op->key, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT event, request_id, format, payload, state FROM webhook_deliveries"
                   " WHERE id = ? AND hook_id = ?",
                   "ii", op->delivery_id, op->key.id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the webhook's log has no such delivery (any more)");
    }
    if (str_eq_c(query_str(&q, 4), DELIVERY_WAITING)) {
        return err_set(e, ERR_CONFLICT, "the delivery waits already: it will be tried again");
    }
    while (event < WEBHOOK_PING && !str_eq_c(query_str(&q, 0), event_name(event))) {
        event++;
    }
    request_id = arena_strdup(&a, query_str(&q, 1));
    format = (enum hook_format)query_i64(&q, 2);
    payload = arena_str(&a, query_str(&q, 3));
    query_done(&q);
    return queue_add(db, op->key.id, (enum webhook_event)event, request_id, format, payload,
                     &op->delivery_id, e) < 0
               ? -1
               : state_run(db, e, "UPDATE webhooks SET next_ms = ? WHERE id = ?", "ii",
                           clock_wall_ms(), op->key.id);
}

int delivery_again(struct webhooks *h, const struct hook_key *k, int64_t delivery_id,
                   int64_t *new_id, struct err *e)
{
    struct hook_op op = {.h = h, .key = *k, .delivery_id = delivery_id};

    if (state_write(h->state, again_fn, &op, e) < 0) {
        return -1;
    }
    *new_id = op.delivery_id;
    webhooks_look(h);
    return 0;
}
