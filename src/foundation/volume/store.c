#include "volume/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "helper/helper.h"
#include "volume/path.h"

#include <stdlib.h>
#include <string.h>

#define AGENT_IDLE_MS 60000
#define HASH_IDLE_MS (3600 * 1000LL)
#define UPLOAD_KEPT_MS (24 * 3600 * 1000LL)
#define FIRST_SWEEP_MS (10 * 60 * 1000LL)
#define SWEEP_EVERY_MS (6 * 3600 * 1000LL)
#define SWEEP_TURN_MS 500 /* between looks at whether to stop */
#define LEFTOVER_RETRY_MS 60000

/* --- requests to the helper and to agents --- */

static int helper_create(struct volume_store *v, const struct volume_info *i, struct err *e)
{
    struct buf payload = BUF_MAX(256);
    int rc;

    wire_put_str(&payload, str_of(i->id));
    wire_put_u64(&payload, i->id_base);
    rc = helper_call(v->helper, HELPER_VOLUME_CREATE, buf_str(&payload), -1, NULL, NULL, e);
    buf_done(&payload);
    return rc;
}

/* "" removes only what is left of earlier deletions. */
static int helper_delete(struct volume_store *v, const char *id, struct err *e)
{
    struct buf payload = BUF_MAX(256);
    int rc;

    wire_put_str(&payload, str_of(id));
    rc = helper_call(v->helper, HELPER_VOLUME_DELETE, buf_str(&payload), -1, NULL, NULL, e);
    buf_done(&payload);
    return rc;
}

int volume_ask(struct volume_store *v, const struct volume_info *i, const struct volume_request *q,
               struct buf *packet, struct volume_reply *reply, int *fd, struct err *e)
{
    return volume_agents_call(v->agents, i->id, i->id_base, q, packet, reply, fd, e);
}

int volume_empty_trash(struct volume_store *v, const struct volume_info *i, int64_t deadline_ms,
                       struct err *e)
{
    struct volume_request q = {
        .op = VOLUME_AGENT_SWEEP_TRASH, .path = STR_EMPTY, .other = STR_EMPTY};
    struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply r = {0};
    int rc;

    do {
        rc = volume_ask(v, i, &q, &packet, &r, NULL, e);
    } while (rc == 0 && (r.flags & VOLUME_MORE) && clock_mono_ms() < deadline_ms);
    buf_done(&packet);
    return rc < 0 ? -1 : (r.flags & VOLUME_MORE) != 0;
}

/* --- making and deleting --- */

static int in_use(struct volume_store *v, const struct volume_info *i, struct err *e)
{
    if (v->hooks.in_use == NULL || !v->hooks.in_use(v->hooks.ctx, i->id)) {
        return 0;
    }
    return err_set(
        e, ERR_CONFLICT,
        "volume \"%s\" is used by a job that is queued or runs; wait for it or cancel it", i->name);
}

static void add_leftover(struct volume_store *v, const char *id)
{
    struct lock *l = &v->lock;
    struct volume_id one;

    if (str_copy(str_of(id), one.id, sizeof(one.id)) == 0) {
        WITH_LOCK(l);
        *vec_push(&v->leftovers) = one;
        lock_broadcast(l);
    }
}

int volume_create(struct volume_store *v, struct str project, struct str name,
                  struct volume_info *out, struct err *e)
{
    struct volume_info i = {.created_ms = clock_wall_ms()};
    struct err later;

    if (volume_name_check(name, e) < 0 || str_copy(name, i.name, sizeof(i.name)) < 0 ||
        v->hooks.project(v->hooks.ctx, project, &i.project_id, &i.id_base, e) < 0) {
        return -1;
    }
    memcpy(i.id, "v-", 2);
    random_name(i.id + 2, 10);
    if (volume_row_insert(v, &i, e) < 0) {
        return -1;
    }
    if (helper_create(v, &i, e) < 0) {
        if (volume_row_remove(v, i.id, &later) < 0) {
            add_leftover(v, i.id);
        }
        return err_wrap(e, "make volume \"%s\"", i.name);
    }
    if (volume_row_set_state(v, &i, VOLUME_ROW_READY, e) < 0) {
        add_leftover(v, i.id);
        return -1;
    }
    volume_event(v, project, i.name, "created");
    log_info("volume.created", "volume=%s name=%s project=%s", i.id, i.name, Q(project));
    *out = i;
    return 0;
}

/* The directory and then the row; the row says "deleting" already. */
static int remove_for_good(struct volume_store *v, const char *id, struct err *e)
{
    volume_agents_drop(v->agents, id);
    if (helper_delete(v, id, e) < 0) {
        return -1;
    }
    volume_live_forget(v, id);
    return volume_row_remove(v, id, e);
}

/* Asked twice: a job may have come between the question and the mark, which stops further ones. */
static int mark_deleting(struct volume_store *v, const struct volume_info *i, struct err *e)
{
    struct err ignored;

    if (in_use(v, i, e) < 0 || volume_row_set_state(v, i, VOLUME_ROW_DELETING, e) < 0) {
        return -1;
    }
    if (in_use(v, i, e) < 0) {
        (void)!volume_row_set_state(v, i, VOLUME_ROW_READY, &ignored);
        return -1;
    }
    return 0;
}

int volume_delete(struct volume_store *v, struct str project, const struct volume_info *i,
                  struct err *e)
{
    struct err later;

    if (mark_deleting(v, i, e) < 0) {
        return -1;
    }
    if (remove_for_good(v, i->id, &later) < 0) {
        log_warn("volume.delete_delayed", "volume=%s error=%s, trying again later", i->id,
                 Q(str_of(later.msg)));
        add_leftover(v, i->id);
    }
    volume_event(v, project, i->name, "deleted");
    log_info("volume.deleted", "volume=%s name=%s project=%s", i->id, i->name, Q(project));
    return 0;
}

int volume_find(struct volume_store *v, int64_t project_id, struct str name, char id[65],
                struct err *e)
{
    struct volume_info i;

    if (volume_row_find(v, project_id, name, &i, e) < 0) {
        return -1;
    }
    memcpy(id, i.id, sizeof(i.id));
    return 0;
}

int volume_project_gone(struct volume_store *v, int64_t project_id, struct err *e)
{
    SCOPED(freep) struct volume_info *rows = NULL;
    struct err later;
    size_t n;

    if (volume_row_list(v, project_id, STR_EMPTY, STR_EMPTY, -1, &rows, &n, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (in_use(v, &rows[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (mark_deleting(v, &rows[i], e) < 0) {
            return -1;
        }
        if (remove_for_good(v, rows[i].id, &later) < 0) {
            add_leftover(v, rows[i].id);
        }
    }
    return 0;
}

static bool is_stopping(struct volume_store *v)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    return v->stopping;
}

/* Old uploads of one volume, and what is left in its trash. */
static int sweep_one(struct volume_store *v, const struct volume_info *i, int64_t older_ms,
                     struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_SWEEP_UPLOADS,
                               .number = older_ms > 0 ? (uint64_t)older_ms : 0,
                               .path = STR_EMPTY,
                               .other = STR_EMPTY};
    struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply r;
    int rc = volume_ask(v, i, &q, &packet, &r, NULL, e);

    buf_done(&packet);
    if (rc == 0 && r.first > 0) {
        log_info("volume.swept", "volume=%s uploads=%llu", i->id, (unsigned long long)r.first);
    }
    if (rc == 0) {
        do {
            rc = volume_empty_trash(v, i, clock_mono_ms() + SWEEP_TURN_MS, e);
        } while (rc > 0 && !is_stopping(v));
    }
    return rc < 0 ? -1 : 0;
}

int volume_sweep(struct volume_store *v, int64_t older_ms, struct err *e)
{
    SCOPED(freep) struct volume_info *rows = NULL;
    size_t n;

    if (volume_row_all(v, &rows, &n, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n && !is_stopping(v); i++) {
        struct err failed;

        if (sweep_one(v, &rows[i], older_ms, &failed) < 0) {
            log_warn("volume.sweep_failed", "volume=%s error=%s, trying again in 6 hours",
                     rows[i].id, Q(str_of(failed.msg)));
        }
    }
    return 0;
}

/* --- the housekeeper --- */

static bool take_leftover(struct volume_store *v, struct volume_id *out)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    if (v->leftovers.len == 0) {
        return false;
    }
    *out = v->leftovers.p[--v->leftovers.len];
    return true;
}

/* When to try again, 0: all done. */
static int64_t remove_leftovers(struct volume_store *v)
{
    struct volume_id one;
    struct err e;

    while (take_leftover(v, &one)) {
        if (remove_for_good(v, one.id, &e) < 0) {
            log_warn("volume.delete_delayed", "volume=%s error=%s, trying again in a minute",
                     one.id, Q(str_of(e.msg)));
            add_leftover(v, one.id);
            return clock_mono_ms() + LEFTOVER_RETRY_MS;
        }
    }
    return 0;
}

static void earlier(int64_t *next, int64_t due)
{
    if (due != 0 && due < *next) {
        *next = due;
    }
}

/* Until something is due or somebody signals. False: stop. */
static bool wait_until(struct volume_store *v, int64_t due)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    if (!v->stopping) {
        (void)lock_wait_until(l, due);
    }
    return !v->stopping;
}

static void *housekeeper_main(void *arg)
{
    struct volume_store *v = arg;
    int64_t sweep = clock_mono_ms() + FIRST_SWEEP_MS, retry = 0, next;
    struct err e;

    if (helper_delete(v, "", &e) < 0) {
        log_warn("volume.leftovers_failed", "error=%s, trying again at the next deletion",
                 Q(str_of(e.msg)));
    }
    do {
        int64_t now = clock_mono_ms();

        if (sweep <= now) {
            sweep = now + SWEEP_EVERY_MS;
            if (volume_sweep(v, clock_wall_ms() - UPLOAD_KEPT_MS, &e) < 0) {
                log_warn("volume.sweep_failed", "error=%s, trying again in 6 hours",
                         Q(str_of(e.msg)));
            }
        }
        next = sweep;
        if (retry <= now) {
            retry = remove_leftovers(v);
        }
        earlier(&next, retry);
        volume_hash_expire(v, now - HASH_IDLE_MS);
        earlier(&next, volume_measure_on(v, now + 500) ? now : 0);
        earlier(&next, volume_agents_close_idle(v->agents, AGENT_IDLE_MS));
        earlier(&next, volume_flush_events(v));
    } while (wait_until(v, next));
    return NULL;
}

struct volume_store *volume_open(struct state *s, struct helper_client *h,
                                 const struct volume_hooks *hooks, struct err *e)
{
    struct volume_store *v = xnew(struct volume_store);

    v->state = s;
    v->helper = h;
    v->hooks = *hooks;
    lock_init(&v->lock, LOCK_volumes);
    v->agents = volume_agents_new(h);
    if (volume_row_leftovers(v, e) < 0 ||
        (pthread_create(&v->housekeeper, NULL, housekeeper_main, v) != 0 &&
         err_set(e, ERR_UNAVAILABLE, "cannot start a thread for volumes") < 0)) {
        v->stopping = true; /* there is no thread to join */
        volume_close(v);
        return NULL;
    }
    return v;
}

static void stop_housekeeper(struct volume_store *v)
{
    struct lock *l = &v->lock;

    if (v->stopping) {
        return;
    }
    lock_take(l);
    v->stopping = true;
    lock_broadcast(l);
    lock_drop(l);
    (void)pthread_join(v->housekeeper, NULL);
}

void volume_close(struct volume_store *v)
{
    if (v == NULL) {
        return;
    }
    stop_housekeeper(v);
    volume_agents_free(v->agents);
    volume_hash_expire(v, INT64_MAX);
    volume_live_free(v);
    vec_done(&v->leftovers);
    vec_done(&v->active);
    lock_done(&v->lock);
    free(v);
}
