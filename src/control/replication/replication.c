/* The scheduler: what is due, what was pushed, and who works on it. */
#include "replication_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/labels.h"
#include "registry/names.h"
#include "registry/registry.h"
#include "registry/store.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 10000, LOOK_MS = 60000 };

const struct cfg_item replication_config[] = {
    {"replication.retry", CFG_SECONDS, "5s",
     "Wait before what failed for a time is tried again; each further wait is longer, up to 720 "
     "times that."},
    {0},
};

/* --- slots --- */

void replication_wake(struct replication *r)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    r->is_woken = true;
    lock_broadcast(l);
}

bool replication_stop(struct replication *r, int64_t run_id, int64_t rule_id)
{
    struct lock *l = &r->lock;
    bool found = false;

    WITH_LOCK(l);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];

        if (s->run_id != 0 && (s->run_id == run_id || s->rule_id == rule_id)) {
            atomic_store(&s->stop, true);
            found = true;
        }
    }
    return found;
}

bool replication_live(struct replication *r, int64_t run_id, int64_t *task, struct copy_bytes *live)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < SLOTS; i++) {
        if (r->slots[i].run_id == run_id) {
            *task = r->slots[i].task;
            *live = r->slots[i].live;
            return true;
        }
    }
    return false;
}

void replication_tell(struct replication *r, int64_t run_id)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    struct err gone;

    if (r->event != NULL && run_write(r, run_id, &w, &gone) == 0 && !b.failed) {
        r->event(r->event_ctx, "replication", buf_str(&b));
    }
    buf_done(&b);
}

static void *runner(void *ctx)
{
    struct slot *s = ctx;
    struct replication *r = s->r;
    struct lock *l = &r->lock;

    for (;;) {
        lock_take(l);
        while (!s->is_taken && !atomic_load(&r->stopping)) {
            lock_wait(l);
        }
        lock_drop(l);
        if (atomic_load(&r->stopping)) {
            return NULL;
        }
        run_work(s);
        lock_take(l);
        s->run_id = s->rule_id = s->task = 0;
        s->live = (struct copy_bytes){0};
        s->is_taken = false;
        atomic_store(&s->stop, false);
        r->is_woken = true;
        lock_broadcast(l);
        lock_drop(l);
    }
}

/* --- runs that wait --- */

struct candidate {
    int64_t run_id, rule_id, next_ms;
    bool stop;
};

struct look {
    int64_t now_ms, next_ms; /* when to look again */
    VEC(struct candidate) due;
};

/* All that have not ended: of a rule there are two at most, and those of events. */
static int open_runs_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *k = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, rule_id, next_ms, stop FROM replication_runs WHERE ended_ms IS NULL"
                   " ORDER BY next_ms, id",
                   "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t next_ms = query_i64(&q, 2);

        if (next_ms <= k->now_ms || query_i64(&q, 3)) {
            *vec_push(&k->due) = (struct candidate){query_i64(&q, 0), query_i64(&q, 1), next_ms,
                                                    query_i64(&q, 3) != 0};
        } else if (next_ms < k->next_ms) {
            k->next_ms = next_ms;
        }
    }
    return r;
}

enum gave { GAVE_NO_SLOT, GAVE, GAVE_BUSY };

/* Busy: somebody works on it, or on another run of its rule. */
static enum gave give(struct replication *r, const struct candidate *c)
{
    struct lock *l = &r->lock;
    struct slot *idle = NULL;

    WITH_LOCK(l);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];

        if (s->run_id == c->run_id || (s->rule_id == c->rule_id && !c->stop)) {
            return GAVE_BUSY;
        }
        idle = s->run_id == 0 ? s : idle;
    }
    if (c->stop) {
        return GAVE; /* not worked on: nothing else is needed */
    }
    if (idle == NULL) {
        return GAVE_NO_SLOT;
    }
    idle->run_id = c->run_id;
    idle->rule_id = c->rule_id;
    idle->is_taken = true;
    lock_broadcast(l);
    return GAVE;
}

static int give_runs(struct replication *r, struct look *k, struct err *e)
{
    if (state_read(r->state, open_runs_fn, k, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < k->due.len; i++) {
        const struct candidate *c = &k->due.p[i];

        if (give(r, c) == GAVE && c->stop) {
            if (run_end_stopped(r, c->run_id, e) < 0) {
                return -1;
            }
            replication_tell(r, c->run_id);
        }
    }
    return 0;
}

/* --- schedules --- */

static int schedules_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *k = ctx;
    SCOPED(arena_done) struct arena a = {0};
    rule_list rules = {0};
    int result = rules_with(db, &a, TRIGGER_SCHEDULE, &rules, e);

    for (size_t i = 0; result == 0 && i < rules.len; i++) {
        const struct rule *rule = &rules.p[i];
        int64_t next = rule->next_run_ms, id;

        if (next <= k->now_ms) {
            next = cron_next(&rule->cron, k->now_ms);
            result = state_run(db, e,
                               "UPDATE replication_rules SET next_run_ms = nullif(?, -1)"
                               " WHERE id = ?",
                               "ii", next, rule->id);
            if (result == 0 && rule->next_run_ms != 0) {
                result = run_add(db, rule, WHY_SCHEDULE, STR("schedule"), &id, e);
            }
            result =
                result < 0 && e->kind == ERR_CONFLICT ? 0 : result; /* the last one still goes */
        }
        k->next_ms = next > 0 && next < k->next_ms ? next : k->next_ms;
    }
    vec_done(&rules);
    return result;
}

static int due_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct look *k = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT min(next_run_ms) FROM replication_rules WHERE next_run_ms IS NOT NULL",
                   "") < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r > 0 && !query_is_null(&q, 0) && query_i64(&q, 0) < k->next_ms) {
        k->next_ms = query_i64(&q, 0);
    }
    return 0;
}

/* Reads first: writing without need would wake the disk each minute. */
static int add_scheduled(struct replication *r, struct look *k, struct err *e)
{
    if (state_read(r->state, due_fn, k, e) < 0) {
        return -1;
    }
    return k->next_ms > k->now_ms
               ? 0
               : (k->next_ms = k->now_ms + LOOK_MS, state_write(r->state, schedules_fn, k, e));
}

/* --- what was pushed and deleted --- */

struct image {
    struct str repository, tag;
    bool is_deleted, is_labeled;
};

struct taken {
    struct replication *r;
    bool is_labeled; /* what is added now */
    struct arena arena;
    VEC(struct image) images;
};

static int add_image(void *ctx, struct str repository, struct str tag, struct err *e UNUSED)
{
    struct taken *t = ctx;

    *vec_push(&t->images) = (struct image){.repository = arena_str(&t->arena, repository),
                                           .tag = arena_str(&t->arena, tag),
                                           .is_labeled = t->is_labeled};
    return 0;
}

static int add_tags_of(struct taken *t, struct str action, struct str repository,
                       const char *digest, struct err *e)
{
    t->is_labeled = str_eq_c(action, "labeled");
    return t->is_labeled ? store_each_tag_of(t->r->registry, repository, digest, add_image, t, e)
           : str_eq_c(action, "pushed")
               ? store_each_subject_tag(t->r->registry, repository, digest, add_image, t, e)
               : 0;
}

/* What has no tag is part of something that has one; a signature came after it. A label is on all
 * tags of its image. */
static void read_event(struct taken *t, const char *text)
{
    struct err e;
    SCOPED(json_decrefp) json_t *doc = json_parse(str_of(text), &e);
    struct str project = STR_EMPTY, rest = STR_EMPTY, tag = STR_EMPTY, digest = STR_EMPTY;
    struct str action = STR_EMPTY, name;

    if (doc == NULL || json_get_str(doc, "project", &project, &e) < 0 ||
        json_get_str(doc, "repository", &rest, &e) < 0 || json_get_str(doc, "tag", &tag, &e) < 0 ||
        json_get_str(doc, "digest", &digest, &e) < 0 ||
        json_get_str(doc, "action", &action, &e) < 0) {
        return;
    }
    name = str_of(arena_printf(&t->arena, "%.*s/%.*s", STR_ARG(project), STR_ARG(rest)));
    t->is_labeled = false;
    if (tag.len > 0) {
        (void)add_image(t, name, tag, &e);
        t->images.p[t->images.len - 1].is_deleted = str_eq_c(action, "deleted");
    } else if (add_tags_of(t, action, name, digest.p ? digest.p : "", &e) < 0) {
        log_warn("replication.event_lost", "repository=%s: %s; the next run brings it", Q(name),
                 e.msg);
    }
}

/* 1: the rule means it. Of an image that got a label only rules with labels want to hear. */
static int is_meant(struct state_db *db, struct taken *t, const struct rule *rule,
                    const struct image *m, struct err *e)
{
    if ((m->is_deleted && !rule->mirror_deletions) || (m->is_labeled && rule->labels.len == 0) ||
        !pattern_matches(&rule->repositories, m->repository) ||
        !pattern_matches(&rule->tags, m->tag)) {
        return 0;
    }
    return rule->labels.len == 0
               ? 1
               : db_tag_has_labels(db, &t->arena, m->repository, m->tag, rule->labels, e);
}

static int add_for_rule(struct state_db *db, struct taken *t, const struct rule *rule,
                        struct err *e)
{
    int64_t run_id = 0;

    for (size_t i = 0; i < t->images.len; i++) {
        const struct image *m = &t->images.p[i];
        struct task_row task = {
            .source = m->repository, .reference = m->tag, .deletes = m->is_deleted};
        int meant = is_meant(db, t, rule, m, e);

        if (meant == 0) {
            continue;
        }
        if (meant < 0 ||
            rule_destination(rule, &t->arena, m->repository, &task.destination, e) < 0 ||
            (run_id == 0 && run_add_event(db, rule, &run_id, e) < 0) ||
            task_add(db, run_id, &task, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int events_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct taken *t = ctx;
    rule_list rules = {0};
    int result = rules_with(db, &t->arena, TRIGGER_EVENT, &rules, e);

    for (size_t i = 0; result == 0 && i < rules.len; i++) {
        result = add_for_rule(db, t, &rules.p[i], e);
    }
    vec_done(&rules);
    return result;
}

/* Everything of every event rule: what came while we were away. */
static int catch_up_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    rule_list rules = {0};
    int result = rules_with(db, &a, TRIGGER_EVENT, &rules, e);

    for (size_t i = 0; result == 0 && i < rules.len; i++) {
        int64_t id;

        result = run_add(db, &rules.p[i], WHY_START, STR("start"), &id, e);
        result = result < 0 && e->kind == ERR_CONFLICT ? 0 : result;
    }
    vec_done(&rules);
    return result;
}

void replication_on_image(struct replication *r, struct str json)
{
    struct lock *l = r ? &r->lock : NULL;
    char *copy;

    if (r == NULL) {
        return;
    }
    copy = str_dup(json);
    WITH_LOCK(l);
    if (r->events.len >= EVENTS_MAX) {
        r->lost_events = true;
        free(copy);
    } else {
        *vec_push(&r->events) = (struct happened){copy};
    }
    r->is_woken = true;
    lock_broadcast(l);
}

static int has_event_rules_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_one_i64(db, ctx, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM replication_rules WHERE trigger = ?"
                         " AND enabled = 1)",
                         "i", (int64_t)TRIGGER_EVENT);
}

/* Events are kept until they are tasks: a full disk only delays them. */
static int take_events(struct replication *r, struct err *e)
{
    struct lock *l = &r->lock;
    struct taken t = {.r = r};
    VEC(struct happened) events;
    int64_t wanted = 0;
    bool lost;
    int result;

    lock_take(l);
    memcpy(&events, &r->events, sizeof(events));
    memset(&r->events, 0, sizeof(r->events));
    lost = r->lost_events;
    r->lost_events = false;
    lock_drop(l);
    result = events.len > 0 ? state_read(r->state, has_event_rules_fn, &wanted, e) : 0;
    for (size_t i = 0; i < events.len; i++) {
        if (wanted) {
            read_event(&t, events.p[i].json);
        }
        free(events.p[i].json);
    }
    vec_done(&events);
    if (result == 0 && t.images.len > 0) {
        result = state_write(r->state, events_fn, &t, e);
    }
    if (result == 0 && lost) {
        result = state_write(r->state, catch_up_fn, NULL, e);
    }
    if (result < 0) {
        lock_take(l);
        r->lost_events = true;
        lock_drop(l);
    }
    vec_done(&t.images);
    arena_done(&t.arena);
    return result;
}

/* --- the scheduler --- */

static void wait_for_work(struct replication *r, int64_t next_ms)
{
    struct lock *l = &r->lock;
    int64_t left = next_ms - clock_wall_ms();
    int64_t deadline = clock_mono_ms() + (left < 0 ? 0 : left > LOOK_MS ? LOOK_MS : left);

    WITH_LOCK(l);
    while (!r->is_woken && !atomic_load(&r->stopping) && lock_wait_until(l, deadline)) {
    }
    r->is_woken = false;
}

static void *scheduler(void *ctx)
{
    struct replication *r = ctx;

    while (!atomic_load(&r->stopping)) {
        struct look k = {.now_ms = clock_wall_ms()};
        struct err e;

        k.next_ms = k.now_ms + LOOK_MS;
        if (take_events(r, &e) < 0 || add_scheduled(r, &k, &e) < 0 || give_runs(r, &k, &e) < 0) {
            log_warn("replication.not_scheduled", "%s; trying again in 5 s", e.msg);
            k.next_ms = clock_wall_ms() + 5000;
        }
        vec_done(&k.due);
        wait_for_work(r, k.next_ms);
    }
    return NULL;
}

int replication_start(struct replication *r, struct err *e)
{
    if (pthread_create(&r->scheduler, NULL, scheduler, r) != 0) {
        return err_set(e, ERR_UNAVAILABLE, "replication: no thread can be started");
    }
    r->has_threads = true;
    for (size_t i = 0; i < SLOTS; i++) {
        if (pthread_create(&r->slots[i].thread, NULL, runner, &r->slots[i]) != 0) {
            r->slots[i].thread = 0;
            return err_set(e, ERR_UNAVAILABLE, "replication: no thread can be started");
        }
    }
    return 0;
}

struct replication *replication_open(const struct replication_parts *p, struct err *e)
{
    SCOPED(replication_closep) struct replication *r = xnew(struct replication);

    lock_init(&r->lock, LOCK_replication);
    r->state = p->state;
    r->registry = p->registry;
    r->access = p->access;
    r->secrets = p->secrets;
    r->event_ctx = p->ctx;
    r->event = p->event;
    r->ended = p->ended;
    r->retry_ms = (p->cfg ? cfg_i64(p->cfg, "replication.retry") : 5) * 1000;
    for (size_t i = 0; i < SLOTS; i++) {
        r->slots[i].r = r;
    }
    r->denied = p->denied;
    r->n_denied = p->n_denied;
    return state_write(r->state, catch_up_fn, NULL, e) < 0 ? NULL : TAKE(r);
}

void replication_halt(struct replication *r)
{
    atomic_store(&r->stopping, true);
    replication_wake(r);
    if (r->has_threads) {
        (void)pthread_join(r->scheduler, NULL);
    }
    for (size_t i = 0; i < SLOTS && r->has_threads; i++) {
        if (r->slots[i].thread != 0) {
            (void)pthread_join(r->slots[i].thread, NULL);
        }
    }
    r->has_threads = false;
}

void replication_close(struct replication *r)
{
    if (r == NULL) {
        return;
    }
    replication_halt(r);
    for (size_t i = 0; i < r->events.len; i++) {
        free(r->events.p[i].json);
    }
    vec_done(&r->events);
    lock_done(&r->lock);
    free(r);
}
