/* When and how often images are pulled. Noted in memory and written down once a minute, and before
 * somebody lists them: a pull must not cost a sync, and a minute of them lost by a kill changes no
 * decision of anybody. */
#include "store_priv.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_EVERY_MS = 2000 };
enum { PULLS_MAX = 65536 }; /* images in a minute; those past it are noted at their next pull */

struct pull {
    int64_t manifest_id, times, last_ms;
};

void registry_note_pull(struct registry *r, int64_t manifest_id)
{
    struct lock *l = &r->lock;
    struct pull *p;
    char key[24];
    int len = snprintf(key, sizeof(key), "%lld", (long long)manifest_id);

    atomic_fetch_add(&r->pulled, 1);
    WITH_LOCK(l);
    p = map_get(&r->pulls, str_n(key, (size_t)len));
    if (p == NULL && r->pulls.len < PULLS_MAX) {
        p = xnew(struct pull);
        p->manifest_id = manifest_id;
        (void)map_put(&r->pulls, str_n(key, (size_t)len), p);
    }
    if (p != NULL) {
        p->times++;
        p->last_ms = clock_wall_ms();
    }
}

static int flush_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct map *pulls = ctx;
    struct str key;
    void *value;

    for (size_t i = 0; map_next(pulls, &i, &key, &value);) {
        const struct pull *p = value;

        if (state_run(db, e,
                      "UPDATE repositories SET pulls = pulls + ? WHERE id ="
                      " (SELECT repository_id FROM manifests WHERE id = ?)",
                      "ii", p->times, p->manifest_id) < 0 ||
            state_run(db, e,
                      "UPDATE manifests SET pulled_ms = max(pulled_ms, ?), pulls = pulls + ?"
                      " WHERE id = ?",
                      "iii", p->last_ms, p->times, p->manifest_id) < 0) {
            return -1;
        }
    }
    return 0;
}

void registry_free_pulls(struct map *pulls)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(pulls, &i, &key, &value);) {
        free(value);
    }
    map_done(pulls);
}

int registry_flush_pulls(struct registry *r, struct err *e)
{
    struct lock *l = &r->lock;
    struct map taken;
    int result;

    lock_take(l);
    taken = r->pulls;
    r->pulls = (struct map){0};
    lock_drop(l);
    result = taken.len > 0 ? state_write(r->state, flush_fn, &taken, e) : 0;
    registry_free_pulls(&taken);
    return result;
}

void registry_pulls_for_list(struct registry *r)
{
    struct lock *l = &r->lock;
    bool is_due;
    struct err e;

    lock_take(l);
    is_due = r->pulls.len > 0 && clock_mono_ms() - r->pulls_listed_ms >= LIST_EVERY_MS;
    r->pulls_listed_ms = is_due ? clock_mono_ms() : r->pulls_listed_ms;
    lock_drop(l);
    if (is_due && registry_flush_pulls(r, &e) < 0) {
        log_warn("registry.pulls_lost", "error=%s", Q(str_of(e.msg)));
    }
}
