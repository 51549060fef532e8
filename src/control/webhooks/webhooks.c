#include "webhooks_priv.h"

#include "access/access.h"
#include "base/cfg.h"
#include "base/clock.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

const struct cfg_item webhooks_config[] = {
    {"webhooks.tries", CFG_INT, "9",
     "How often a delivery is tried before it has failed; 9 take over an hour."},
    {"webhooks.retry_delay", CFG_SECONDS, "5s",
     "Until the second try; three times as long before each further one, 20 minutes at most."},
    {0},
};

enum { TRIES_DEFAULT = 9, DELAY_DEFAULT_MS = 5000, TRIES_MAX = 100 };

/* `events` has a bit for each of enum webhook_event, `format` is an enum hook_format: their values
 * never change. next_ms: when its first waiting delivery is to be sent; NULL: nothing waits. */
static const char *const steps[] = {
    "CREATE TABLE webhooks("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT," /* sealed values are bound to it */
    "  project_id INTEGER NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,"
    "  events INTEGER NOT NULL, format INTEGER NOT NULL,"
    "  repositories TEXT NOT NULL, tags TEXT NOT NULL,"
    "  auth BLOB, secret BLOB, ca TEXT NOT NULL,"
    "  skip_verify INTEGER NOT NULL DEFAULT 0, enabled INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL, created_by TEXT NOT NULL, updated_ms INTEGER NOT NULL,"
    "  streak INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0, next_ms INTEGER,"
    "  UNIQUE(project_id, name)) STRICT;"
    "CREATE INDEX webhooks_due ON webhooks(next_ms) WHERE next_ms IS NOT NULL;"

    "CREATE TABLE webhook_deliveries("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT," /* the order of the queue */
    "  hook_id INTEGER NOT NULL REFERENCES webhooks(id) ON DELETE CASCADE,"
    "  event TEXT NOT NULL, request_id TEXT NOT NULL, format INTEGER NOT NULL,"
    "  payload BLOB NOT NULL, created_ms INTEGER NOT NULL, state TEXT NOT NULL,"
    "  attempts INTEGER NOT NULL DEFAULT 0, status INTEGER, error TEXT,"
    "  duration_ms INTEGER, ended_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX webhook_deliveries_of_hook ON webhook_deliveries(hook_id, id);"
    "CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries(hook_id, id)"
    "  WHERE state = 'waiting';",
    NULL,
};

const struct state_schema webhooks_schema = {"webhooks", steps};

struct webhooks *webhooks_open(const struct webhooks_parts *p, struct err *e)
{
    SCOPED(webhooks_closep) struct webhooks *h = xnew(struct webhooks);

    h->state = p->state;
    h->access = p->access;
    h->secrets = p->secrets;
    h->denied = p->denied;
    h->n_denied = p->n_denied;
    h->host = xstrdup(p->host);
    h->tries = p->cfg ? cfg_i64(p->cfg, "webhooks.tries") : TRIES_DEFAULT;
    h->first_delay_ms = p->cfg ? cfg_i64(p->cfg, "webhooks.retry_delay") * 1000 : DELAY_DEFAULT_MS;
    h->interests_stale = true;
    list_init(&h->notes);
    lock_init(&h->lock, LOCK_webhooks);
    if (h->tries < 1 || h->tries > TRIES_MAX || h->first_delay_ms < 1000) {
        err_set(e, ERR_INVALID,
                "webhooks.tries: 1 to %d; webhooks.retry_delay: at least one second", TRIES_MAX);
        return NULL;
    }
    return !p->is_offline && worker_start(h, e) < 0 ? NULL : TAKE(h);
}

static int nothing(struct state_db *db UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
    return 0;
}

static void join_workers(struct webhooks *h)
{
    struct lock *l = &h->lock;

    atomic_store(&h->is_closing, true);
    lock_take(l);
    for (size_t i = 0; i < WEBHOOK_WORKERS; i++) {
        atomic_store(&h->turns[i].is_stopped, true);
    }
    lock_broadcast(l);
    /* A worker is made by an earlier one, which has ended when its turn here is over. */
    for (unsigned i = 0; i < h->n_threads; i++) {
        lock_drop(l);
        (void)pthread_join(h->threads[i], NULL);
        lock_take(l);
    }
    lock_drop(l);
}

void webhooks_close(struct webhooks *h)
{
    struct err ignored;

    if (h == NULL) {
        return;
    }
    join_workers(h);
    (void)!notes_write(h, &ignored);
    (void)!state_write(h->state, nothing, NULL, &ignored); /* what was submitted uses `h` */
    vec_done(&h->interests);
    lock_done(&h->lock);
    free(h->host);
    free(h);
}

void webhooks_look(struct webhooks *h)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    h->looks++;
    lock_broadcast(l);
}

void webhooks_changed(struct webhooks *h, int64_t project_id, int64_t id)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < WEBHOOK_WORKERS; i++) {
        struct turn *t = &h->turns[i];

        if (t->hook_id != 0 && (id ? t->hook_id == id : t->project_id == project_id)) {
            atomic_store(&t->is_stopped, true);
        }
    }
    h->interests_stale = true;
    h->looks++;
    lock_broadcast(l);
}

static int drop_all_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_run(db, e, "DELETE FROM webhooks WHERE project_id = ?", "i",
                     *(const int64_t *)ctx);
}

int webhooks_project_gone(struct webhooks *h, int64_t project_id, struct err *e)
{
    if (state_write(h->state, drop_all_fn, &project_id, e) < 0) {
        return -1;
    }
    webhooks_changed(h, project_id, 0);
    return 0;
}

int webhooks_metrics(struct state_db *db, struct buf *out, struct err *e)
{
    static const struct state_gauge gauges[] = {
        {"strata_webhooks_waiting", "Deliveries of webhooks that wait to be sent.",
         "SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'"},
    };

    return state_gauges(db, gauges, ARRAY_LEN(gauges), out, e);
}
