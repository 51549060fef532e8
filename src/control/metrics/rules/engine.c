/* engine - one thread that works out the groups of all rule files, each at its interval. */
#include "rules/rules.h"

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

struct rules {
    struct arena arena;
    struct rules_parts parts;
    struct promql_limits limits;
    struct scheduled *groups;
    size_t n_groups;
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
    for (size_t i = 0; i < r->n_groups; i++) {
        fn(ctx, &r->groups[i].shown);
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
    struct rule_host host = {r->parts.db, r->parts.external, r->parts.external_url, &r->limits};
    const struct rule_group *g = rule_run_group(s->run);
    int64_t began_ms = clock_mono_ms();

    rule_run_eval(s->run, &host, at_ms);
    publish(r, s, at_ms, clock_mono_ms() - began_ms);
    for (size_t i = 0; i < g->n_rules && !atomic_load(&r->stops); i++) {
        const struct rule_health *h = rule_run_health(s->run, i);

        if (h->error[0] != '\0') {
            log_warn("rules.failed", "file=%s group=%s rule=%s %s", s->file, Q(g->name),
                     Q(g->rules[i].name), Q(str_of(h->error)));
        }
    }
}

/* Works out what is due, and gives when the next is. */
static int64_t work_due(struct rules *r, int64_t now_ms)
{
    int64_t next = now_ms + LOOK_MS;

    for (size_t i = 0; i < r->n_groups && !atomic_load(&r->stops); i++) {
        struct scheduled *s = &r->groups[i];

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

static void *run(void *arg)
{
    struct rules *r = arg;

    lock_take(&r->lock);
    while (!r->is_closing) {
        int64_t now_ms, wait_ms;

        lock_drop(&r->lock);
        now_ms = clock_wall_ms();
        wait_ms = work_due(r, now_ms) - clock_wall_ms();
        lock_take(&r->lock);
        if (!r->is_closing && wait_ms > 0) {
            (void)lock_wait_until(&r->lock, clock_mono_ms() + wait_ms);
        }
    }
    lock_drop(&r->lock);
    return NULL;
}

static bool stops(void *ctx)
{
    return atomic_load(&((struct rules *)ctx)->stops);
}

/* --- life --- */

static int load(struct rules *r, const char *path, struct rule_file *out, struct err *e)
{
    struct buf text = BUF_MAX(LIMIT_SPEC_BYTES);
    struct err_list errors = {0};
    int result = fs_read(AT_FDCWD, path, &text, e);

    if (result == 0 &&
        rules_parse(&r->arena, arena_str(&r->arena, buf_str(&text)), out, &errors) < 0) {
        (void)err_list_result(&errors, path, e);
        result = -1;
    }
    err_list_done(&errors);
    buf_done(&text);
    return result;
}

static void schedule(struct rules *r, const char *path, const struct rule_group *g)
{
    struct scheduled *s = &r->groups[r->n_groups++];
    struct label named[2] = {{STR("file"), str_of(path)}, {STR("group"), g->name}};
    uint64_t hash = labels_hash((struct labels){named, 2});

    *s = (struct scheduled){.file = arena_strdup(&r->arena, str_of(path)),
                            .run = rule_run_new(g),
                            .interval_ms =
                                g->interval_ms > 0 ? g->interval_ms : r->parts.interval_ms};
    s->phase_ms = (int64_t)(hash % (uint64_t)s->interval_ms);
    s->next_ms = slot(s, clock_wall_ms()) + s->interval_ms;
    publish(r, s, 0, 0);
}

struct rules *rules_open(const struct rules_parts *parts, struct err *e)
{
    struct rules *r = xnew(struct rules);
    struct rule_file *files = arena_new_array(&r->arena, struct rule_file, parts->n_files + 1);
    size_t n = 0;

    r->parts = *parts;
    r->limits = (struct promql_limits){.samples = parts->max_samples,
                                       .lookback_ms = 5 * 60 * 1000,
                                       .default_step_ms = parts->interval_ms,
                                       .is_over = stops,
                                       .ctx = r};
    lock_init(&r->lock, LOCK_rules);
    for (size_t i = 0; i < parts->n_files; i++) {
        if (load(r, parts->files[i], &files[i], e) < 0) {
            lock_done(&r->lock);
            arena_done(&r->arena);
            free(r);
            return NULL;
        }
        n += files[i].n_groups;
    }
    r->groups = xnew_array(struct scheduled, n + 1);
    for (size_t i = 0; i < parts->n_files; i++) {
        for (size_t k = 0; k < files[i].n_groups; k++) {
            schedule(r, parts->files[i], &files[i].groups[k]);
        }
    }
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        err_set(e, ERR_UNAVAILABLE, "no thread for rules");
        r->thread = 0;
        rules_close(r);
        return NULL;
    }
    return r;
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
    for (size_t i = 0; i < r->n_groups; i++) {
        rule_run_free(r->groups[i].run);
        arena_done(&r->groups[i].arena);
    }
    free(r->groups);
    lock_done(&r->lock);
    arena_done(&r->arena);
    free(r);
}
