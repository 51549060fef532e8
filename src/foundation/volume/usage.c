#include "volume/store.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_EVERY_MS 1000
#define MEASURE_EVERY_MS 10000 /* jobs change files and do not tell us */
#define MEASURE_LONG_MS 250    /* a walk that is felt ... */
#define MEASURE_SHARE 10       /* ... of one second is not repeated for ten */

/* What the server remembers of a volume between requests. Times are clock_mono_ms. */
struct live {
    struct str project; /* owned; for a late event */
    char name[LIMIT_NAME_BYTES + 1];
    int64_t event_ms; /* last event, 0: never */
    bool event_waits;
    bool dirty; /* changed through us since the walk began */
    bool walking;
    bool unfinished; /* the last walk ran into its deadline; `info` is for the one who goes on */
    struct volume_info info;
    int64_t walk_began_ms, walk_took_ms, measured_ms; /* 0: never */
    int64_t files, size_bytes;
};

static struct live *live_of(struct volume_store *v, const char *id)
{
    struct live *l = map_get(&v->live, str_of(id));

    if (l == NULL) {
        l = xnew(struct live);
        (void)map_put(&v->live, str_of(id), l);
    }
    return l;
}

static void live_free(struct live *l)
{
    if (l != NULL) {
        free((char *)l->project.p);
        free(l);
    }
}

void volume_live_forget(struct volume_store *v, const char *id)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    live_free(map_del(&v->live, str_of(id)));
}

void volume_live_free(struct volume_store *v)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&v->live, &i, &key, &value);) {
        live_free(value);
    }
    map_done(&v->live);
}

/* --- events --- */

void volume_event(struct volume_store *v, struct str project, const char *name, const char *action)
{
    struct buf b = BUF_MAX(1024);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "project", project);
    jw_kv_c(&w, "name", name);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    if (!b.failed && v->hooks.event != NULL) {
        v->hooks.event(v->hooks.ctx, "volume", project, buf_str(&b));
    }
    buf_done(&b);
}

/* Notes the change. True: the event is due now; else the housekeeper sends it. */
static bool note_change(struct volume_store *v, struct str project, const struct volume_info *i)
{
    struct lock *lock = &v->lock;
    int64_t now = clock_mono_ms();
    struct live *l;

    WITH_LOCK(lock);
    l = live_of(v, i->id);
    l->dirty = true;
    if (l->event_ms == 0 || now - l->event_ms >= EVENT_EVERY_MS) {
        l->event_ms = now;
        return true;
    }
    if (!l->event_waits) {
        l->event_waits = true;
        free((char *)l->project.p);
        l->project = str_n(str_dup(project), project.len);
        memcpy(l->name, i->name, sizeof(l->name));
        lock_broadcast(lock);
    }
    return false;
}

void volume_changed(struct volume_store *v, struct str project, const struct volume_info *i)
{
    if (note_change(v, project, i)) {
        volume_event(v, project, i->name, "changed");
    }
}

/* One event that is due, or NULL; *next is when another will be. The caller frees *project. */
static bool take_due(struct volume_store *v, struct str *project, char name[LIMIT_NAME_BYTES + 1],
                     int64_t *next)
{
    struct lock *lock = &v->lock;
    int64_t now = clock_mono_ms();
    struct str key;
    void *value;

    WITH_LOCK(lock);
    *next = 0;
    for (size_t i = 0; map_next(&v->live, &i, &key, &value);) {
        struct live *l = value;
        int64_t due = l->event_ms + EVENT_EVERY_MS;

        if (!l->event_waits) {
            continue;
        }
        if (due <= now) {
            *project = l->project;
            l->project = (struct str){NULL, 0};
            l->event_waits = false;
            l->event_ms = now;
            memcpy(name, l->name, sizeof(l->name));
            return true;
        }
        *next = *next == 0 || due < *next ? due : *next;
    }
    return false;
}

int64_t volume_flush_events(struct volume_store *v)
{
    char name[LIMIT_NAME_BYTES + 1];
    struct str project;
    int64_t next;

    while (take_due(v, &project, name, &next)) {
        volume_event(v, project, name, "changed");
        free((char *)project.p);
    }
    return next;
}

/* --- figures --- */

/* Fills in what is known. True when this thread shall measure. */
static bool begin_walk(struct volume_store *v, struct volume_info *i)
{
    struct lock *lock = &v->lock;
    int64_t now = clock_mono_ms(), age, rest;
    struct live *l;

    WITH_LOCK(lock);
    l = live_of(v, i->id);
    if (l->measured_ms != 0) {
        i->files = l->files;
        i->size_bytes = l->size_bytes;
    }
    age = now - l->measured_ms;
    rest = l->walk_took_ms >= MEASURE_LONG_MS ? MEASURE_SHARE * l->walk_took_ms : 0;
    rest = !l->dirty && rest < MEASURE_EVERY_MS ? MEASURE_EVERY_MS : rest;
    if (l->walking || (!l->unfinished && l->measured_ms != 0 && age < rest)) {
        return false;
    }
    l->walking = true;
    if (l->walk_began_ms == 0) {
        l->walk_began_ms = now;
        l->dirty = false;
    }
    return true;
}

enum walk_outcome { WALK_FAILED, WALK_UNFINISHED, WALK_COMPLETE };

/* True when the figures are news. An unfinished walk is gone on with where the agent stands. */
static bool end_walk(struct volume_store *v, struct volume_info *i, enum walk_outcome outcome,
                     const struct volume_reply *r)
{
    struct lock *lock = &v->lock;
    bool news;
    struct live *l;

    WITH_LOCK(lock);
    l = live_of(v, i->id);
    l->walking = false;
    l->unfinished = outcome == WALK_UNFINISHED;
    if (outcome != WALK_COMPLETE) {
        l->info = *i;
        lock_broadcast(lock);
        return false;
    }
    news = i->files != (int64_t)r->first || i->size_bytes != (int64_t)r->second;
    l->measured_ms = clock_mono_ms();
    l->walk_took_ms = l->measured_ms - l->walk_began_ms;
    l->walk_began_ms = 0;
    i->files = l->files = (int64_t)r->first;
    i->size_bytes = l->size_bytes = (int64_t)r->second;
    return news;
}

void volume_measure(struct volume_store *v, struct volume_info *i, int64_t deadline_ms)
{
    struct volume_request q = {.op = VOLUME_AGENT_USAGE, .path = STR_EMPTY, .other = STR_EMPTY};
    struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply r = {0};
    enum walk_outcome outcome;
    struct err e;
    int rc = 0;

    if (clock_mono_ms() >= deadline_ms || !begin_walk(v, i)) {
        return;
    }
    do {
        rc = volume_ask(v, i, &q, &packet, &r, NULL, &e);
    } while (rc == 0 && (r.flags & VOLUME_MORE) && clock_mono_ms() < deadline_ms);
    if (rc < 0) {
        log_warn("volume.measure_failed", "volume=%s error=%s, keeping the last figures", i->id,
                 Q(str_of(e.msg)));
    }
    outcome = rc < 0 ? WALK_FAILED : r.flags & VOLUME_MORE ? WALK_UNFINISHED : WALK_COMPLETE;
    if (end_walk(v, i, outcome, &r)) {
        volume_row_save_usage(v, i->id, i->files, i->size_bytes);
    }
    buf_done(&packet);
}

static bool take_unfinished(struct volume_store *v, struct volume_info *out)
{
    struct lock *lock = &v->lock;
    struct str key;
    void *value;

    WITH_LOCK(lock);
    for (size_t i = 0; map_next(&v->live, &i, &key, &value);) {
        struct live *l = value;

        if (l->unfinished && !l->walking) {
            *out = l->info;
            return true;
        }
    }
    return false;
}

bool volume_measure_on(struct volume_store *v, int64_t deadline_ms)
{
    struct volume_info i;

    if (!take_unfinished(v, &i)) {
        return false;
    }
    volume_measure(v, &i, deadline_ms);
    return true;
}
