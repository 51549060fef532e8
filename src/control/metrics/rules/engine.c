/* engine - one thread that works out the groups of all rule files, each at its interval. */
#include "rules/rules_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 1000 }; /* so that a wall clock that jumps is seen */

struct scheduled {
    const char *file;
    struct rule_run *run;
    int64_t interval_ms, phase_ms;
    int64_t next_ms;          /* engine thread only */
    struct rules_shown shown; /* guarded by lock */
    struct arena arena;       /* of `shown`; guarded by lock */
};

/* What was read at one time. */
struct rule_set {
    struct arena arena;
    struct rule_host host;
    struct rule_sink sink;
    struct promql_limits limits;
    struct scheduled *groups;
    size_t n_groups;
};

struct rules {
    struct rule_set *set;       /* changed by the engine thread, guarded by lock */
    struct rule_set *coming;    /* guarded by lock */
    const struct label *forget; /* guarded by lock: alerts of this label, for whoever waits */
    struct rule_own own;        /* engine thread only, and the next */
    int64_t own_at_ms;
    pthread_t thread;
    struct lock lock;
    bool is_closing; /* guarded by lock */
    atomic_bool stops;
};

/* --- what others see --- */

static void copy_rule(struct arena *a, const struct scheduled *s, size_t i,
                      struct rules_shown_rule *out)
{
    size_t n;
    const struct rule_alert *alerts = rule_run_alerts(s->run, i, &n);
    struct rule_alert *copies = arena_new_array(a, struct rule_alert, n + 1);

    *out = (struct rules_shown_rule){.rule = &rule_run_group(s->run)->rules[i],
                                     .health = *rule_run_health(s->run, i),
                                     .alerts = copies,
                                     .n_alerts = n};
    for (size_t k = 0; k < n; k++) {
        copies[k] = alerts[k];
        copies[k].arena = copies[k].notes = (struct arena){0};
        copies[k].labels = labels_copy(a, alerts[k].labels);
        copies[k].annotations = labels_copy(a, alerts[k].annotations);
    }
}

static void publish(struct rules *r, struct scheduled *s, int64_t at_ms, int64_t took_ms)
{
    const struct rule_group *g = rule_run_group(s->run);
    struct rules_shown shown = {.file = s->file,
                                .group = g,
                                .interval_ms = s->interval_ms,
                                .at_ms = at_ms,
                                .took_ms = took_ms};
    struct arena fresh = {0}, old;
    struct rules_shown_rule *rules =
        arena_new_array(&fresh, struct rules_shown_rule, g->n_rules + 1);

    for (size_t i = 0; i < g->n_rules; i++) {
        copy_rule(&fresh, s, i, &rules[i]);
    }
    shown.rules = rules;
    lock_take(&r->lock);
    old = s->arena;
    s->arena = fresh;
    s->shown = shown;
    lock_drop(&r->lock);
    arena_done(&old);
}

void rules_visit(struct rules *r, rules_visitor *fn, void *ctx)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < r->set->n_groups; i++) {
        fn(ctx, &r->set->groups[i].shown);
    }
}

/* --- time --- */

/* The last moment of the group at or before `now`: the same for every process and every start. */
static int64_t slot(const struct scheduled *s, int64_t now_ms)
{
    int64_t since = (now_ms - s->phase_ms) % s->interval_ms;

    return now_ms - (since < 0 ? since + s->interval_ms : since);
}

static void work(struct rules *r, struct scheduled *s, int64_t at_ms)
{
    const struct rule_group *g = rule_run_group(s->run);
    int64_t began_ms = clock_mono_ms();

    rule_run_eval(s->run, &r->set->host, at_ms);
    rule_run_send(s->run, &r->set->sink, at_ms, s->interval_ms);
    publish(r, s, at_ms, clock_mono_ms() - began_ms);
    for (size_t i = 0; i < g->n_rules && !atomic_load(&r->stops); i++) {
        const struct rule_health *h = rule_run_health(s->run, i);

        if (h->error[0] != '\0') {
            log_warn("rules.failed", "file=%s group=%s rule=%s %s", s->file, Q(g->name),
                     Q(g->rules[i].name), Q(str_of(h->error)));
        }
    }
}

static void send_own(struct rules *r, int64_t now_ms)
{
    if (now_ms - r->own_at_ms >= LOOK_MS || now_ms < r->own_at_ms) {
        r->own_at_ms = now_ms;
        rule_own_send(&r->own, r->set->host.db, &r->set->sink, now_ms);
    }
}

/* Works out what is due, and gives when the next is. */
static int64_t work_due(struct rules *r, int64_t now_ms)
{
    int64_t next = now_ms + LOOK_MS;

    for (size_t i = 0; i < r->set->n_groups && !atomic_load(&r->stops); i++) {
        struct scheduled *s = &r->set->groups[i];

        if (s->next_ms - now_ms > s->interval_ms) {
            s->next_ms = slot(s, now_ms) + s->interval_ms; /* the clock went back */
        }
        if (s->next_ms <= now_ms) {
            work(r, s, slot(s, now_ms));
            s->next_ms = slot(s, now_ms) + s->interval_ms;
        }
        next = s->next_ms < next ? s->next_ms : next;
    }
    return next;
}

/* --- another set --- */

static void set_free(struct rule_set *set)
{
    for (size_t i = 0; i < set->n_groups; i++) {
        rule_run_free(set->groups[i].run);
        arena_done(&set->groups[i].arena);
    }
    free(set->groups);
    arena_done(&set->arena);
    free(set);
}

static void adopt(struct rule_set *fresh, struct rule_set *old)
{
    for (size_t i = 0; i < fresh->n_groups; i++) {
        struct scheduled *to = &fresh->groups[i];

        for (size_t k = 0; k < old->n_groups; k++) {
            struct scheduled *from = &old->groups[k];

            if (strcmp(to->file, from->file) == 0 &&
                str_eq(rule_run_group(to->run)->name, rule_run_group(from->run)->name)) {
                rule_run_adopt(to->run, from->run);
                break;
            }
        }
    }
}

/* With the lock, which is let go while the store is written. */
static void change(struct rules *r)
{
    struct rule_set *old = r->set, *fresh = r->coming;
    int64_t now_ms = clock_wall_ms();
    struct err e;

    lock_drop(&r->lock);
    adopt(fresh, old);
    for (size_t i = 0; i < old->n_groups; i++) {
        if (rule_run_end(old->groups[i].run, &old->host, now_ms, &e) < 0) {
            log_warn("rules.failed", "file=%s %s", old->groups[i].file, Q(str_of(e.msg)));
        }
    }
    for (size_t i = 0; i < fresh->n_groups; i++) {
        publish(r, &fresh->groups[i], 0, 0);
    }
    lock_take(&r->lock);
    r->set = fresh;
    r->coming = NULL;
    lock_broadcast(&r->lock);
    lock_drop(&r->lock);
    set_free(old);
    lock_take(&r->lock);
}

/* With the lock, which is let go meanwhile. */
static void forget(struct rules *r)
{
    const struct label *l = r->forget;

    lock_drop(&r->lock);
    for (size_t i = 0; i < r->set->n_groups; i++) {
        struct scheduled *s = &r->set->groups[i];

        rule_run_forget(s->run, l->name, l->value);
        publish(r, s, s->shown.at_ms, s->shown.took_ms);
    }
    lock_take(&r->lock);
    r->forget = NULL;
    lock_broadcast(&r->lock);
}

static void *run(void *arg)
{
    struct rules *r = arg;

    lock_take(&r->lock);
    while (!r->is_closing) {
        int64_t now_ms, wait_ms;

        if (r->coming != NULL) {
            change(r);
        }
        if (r->forget != NULL) {
            forget(r);
        }
        lock_drop(&r->lock);
        now_ms = clock_wall_ms();
        send_own(r, now_ms);
        wait_ms = work_due(r, now_ms) - clock_wall_ms();
        lock_take(&r->lock);
        if (!r->is_closing && r->coming == NULL && r->forget == NULL && wait_ms > 0) {
            (void)lock_wait_until(&r->lock, clock_mono_ms() + wait_ms);
        }
    }
    r->forget = NULL;
    lock_broadcast(&r->lock);
    lock_drop(&r->lock);
    return NULL;
}

static bool stops(void *ctx)
{
    return atomic_load(&((struct rules *)ctx)->stops);
}

/* --- life --- */

static int load(struct rule_set *set, const char *path, struct rule_file *out, struct err *e)
{
    struct buf text = BUF_MAX(LIMIT_SPEC_BYTES);
    struct err_list errors = {0};
    int result = fs_read(AT_FDCWD, path, &text, e);

    if (result == 0 &&
        rules_parse(&set->arena, arena_str(&set->arena, buf_str(&text)), out, &errors) < 0) {
        (void)err_list_result(&errors, path, e);
        result = -1;
    }
    err_list_done(&errors);
    buf_done(&text);
    return result;
}

static void schedule(struct rule_set *set, const char *path, const struct rule_group *g)
{
    struct scheduled *s = &set->groups[set->n_groups++];
    struct label named[2] = {{STR("file"), str_of(path)}, {STR("group"), g->name}};
    uint64_t hash = labels_hash((struct labels){named, 2});

    *s = (struct scheduled){.file = arena_strdup(&set->arena, str_of(path)),
                            .run = rule_run_new(g),
                            .interval_ms =
                                g->interval_ms > 0 ? g->interval_ms : set->limits.default_step_ms};
    s->phase_ms = (int64_t)(hash % (uint64_t)s->interval_ms);
    s->next_ms = slot(s, clock_wall_ms()) + s->interval_ms;
}

static struct rule_set *read_set(struct rules *r, const struct rules_parts *parts, struct err *e)
{
    struct rule_set *set = xnew(struct rule_set);
    struct rule_file *files = arena_new_array(&set->arena, struct rule_file, parts->n_files + 1);
    size_t n = 0;

    set->limits = (struct promql_limits){.samples = parts->max_samples,
                                         .lookback_ms = 5 * 60 * 1000,
                                         .default_step_ms = parts->interval_ms,
                                         .is_over = stops,
                                         .ctx = r};
    set->host = (struct rule_host){parts->db, labels_copy(&set->arena, parts->external),
                                   arena_str(&set->arena, parts->external_url), &set->limits,
                                   parts->patience_ms};
    set->sink = parts->sink;
    for (size_t i = 0; i < parts->n_files; i++) {
        if (load(set, parts->files[i], &files[i], e) < 0) {
            set_free(set);
            return NULL;
        }
        n += files[i].n_groups;
    }
    set->groups = xnew_array(struct scheduled, n + 1);
    for (size_t i = 0; i < parts->n_files; i++) {
        for (size_t k = 0; k < files[i].n_groups; k++) {
            schedule(set, parts->files[i], &files[i].groups[k]);
        }
    }
    return set;
}

struct rules *rules_open(const struct rules_parts *parts, struct err *e)
{
    struct rules *r = xnew(struct rules);

    r->set = read_set(r, parts, e);
    if (r->set == NULL) {
        free(r);
        return NULL;
    }
    lock_init(&r->lock, LOCK_rules);
    for (size_t i = 0; i < r->set->n_groups; i++) {
        rule_run_restore(r->set->groups[i].run);
        publish(r, &r->set->groups[i], 0, 0);
    }
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        err_set(e, ERR_UNAVAILABLE, "no thread for rules");
        r->thread = 0;
        rules_close(r);
        return NULL;
    }
    return r;
}

int rules_reload(struct rules *r, const struct rules_parts *parts, struct err *e)
{
    struct rule_set *fresh = read_set(r, parts, e);
    struct lock *l = &r->lock;

    if (fresh == NULL) {
        return -1;
    }
    WITH_LOCK(l);
    while (r->coming != NULL && !r->is_closing) { /* of somebody else */
        (void)lock_wait_until(l, clock_mono_ms() + LOOK_MS);
    }
    if (r->is_closing) {
        set_free(fresh);
        return 0;
    }
    r->coming = fresh;
    lock_broadcast(l);
    while (r->coming == fresh && !r->is_closing) {
        (void)lock_wait_until(l, clock_mono_ms() + LOOK_MS);
    }
    return 0;
}

void rules_forget(struct rules *r, struct str name, struct str value)
{
    const struct label which = {name, value};
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    while (r->forget != NULL && !r->is_closing) { /* of somebody else */
        (void)lock_wait_until(l, clock_mono_ms() + LOOK_MS);
    }
    r->forget = r->is_closing ? NULL : &which;
    lock_broadcast(l);
    while (r->forget == &which) {
        (void)lock_wait_until(l, clock_mono_ms() + LOOK_MS);
    }
}

void rules_close(struct rules *r)
{
    if (r == NULL) {
        return;
    }
    atomic_store(&r->stops, true);
    lock_take(&r->lock);
    r->is_closing = true;
    lock_broadcast(&r->lock);
    lock_drop(&r->lock);
    if (r->thread != 0) {
        pthread_join(r->thread, NULL);
    }
    set_free(r->set);
    if (r->coming != NULL) {
        set_free(r->coming);
    }
    rule_own_done(&r->own);
    lock_done(&r->lock);
    free(r);
}
