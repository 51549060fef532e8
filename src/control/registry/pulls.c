/* When and how often images are pulled. Noted in memory and written down once a minute, by the
 * thread that keeps house: a pull must not cost a sync, and a minute of them lost by a kill changes
 * no decision of anybody. Lists add what is noted, so that they are exact and write nothing. What
 * is noted names its image by more than an id, which the next one gets after a deletion. */
#include "store_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { PULLS_MAX = 65536 }; /* images in a minute; those past it are noted at their next pull */
enum { FLUSH_PART = 500 };  /* rows of a transaction */

struct pull {
    int64_t repository_id, created_ms;
    char digest[CONTENT_DIGEST_MAX]; /* empty: of the repository */
    struct pulled seen;
};

struct pull_key {
    char text[48 + CONTENT_DIGEST_MAX];
};

static struct str key_of(const struct pulled_thing *of, struct pull_key *key)
{
    int len = snprintf(key->text, sizeof(key->text), "%lld %lld %.*s", (long long)of->repository_id,
                       (long long)of->repository_created_ms,
                       STR_ARG(str_first(of->digest, CONTENT_DIGEST_MAX - 1)));

    return str_n(key->text, (size_t)len);
}

/* Of the registry's lock. */
static void add_locked(struct registry *r, const struct pulled_thing *of, const struct pulled *more)
{
    struct pull_key key;
    struct str name = key_of(of, &key);
    struct pull *p = map_get(&r->pulls, name);

    if (p == NULL && r->pulls.len < PULLS_MAX) {
        p = xnew(struct pull);
        *p = (struct pull){.repository_id = of->repository_id,
                           .created_ms = of->repository_created_ms};
        (void)!str_copy(of->digest, p->digest, sizeof(p->digest));
        (void)map_put(&r->pulls, name, p);
    }
    if (p != NULL) {
        p->seen.times += more->times;
        p->seen.last_ms = more->last_ms > p->seen.last_ms ? more->last_ms : p->seen.last_ms;
    }
}

void registry_note_pull(struct registry *r, const struct stored_manifest *m)
{
    struct pulled_thing of = {m->repository_id, m->repository_created_ms, STR_EMPTY};
    struct pulled once = {.times = 1, .last_ms = clock_wall_ms()};
    struct lock *l = &r->lock;

    atomic_fetch_add(&r->pulled, 1);
    WITH_LOCK(l);
    add_locked(r, &of, &once);
    of.digest = str_of(m->digest);
    add_locked(r, &of, &once);
}

struct pulled store_pulled(struct registry *r, const struct pulled_thing *of, struct pulled written)
{
    struct map *const maps[] = {&r->pulls, &r->pulls_going};
    struct lock *l = &r->lock;
    struct pull_key key;
    struct str name = key_of(of, &key);

    WITH_LOCK(l);
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        const struct pull *p = map_get(maps[i], name);

        if (p != NULL && p->seen.times > 0) {
            written.times += p->seen.times;
            written.last_ms = p->seen.last_ms > written.last_ms ? p->seen.last_ms : written.last_ms;
        }
    }
    return written;
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

/* --- writing down --- */

struct flush {
    struct registry *r;
    size_t at; /* in pulls_going, which only who flushes changes */
    struct pull *part[FLUSH_PART];
    size_t n;
};

static int flush_one(struct state_db *db, const struct pull *p, struct err *e)
{
    return p->digest[0] == '\0'
               ? state_run(db, e,
                           "UPDATE repositories SET pulls = pulls + ? WHERE id = ?"
                           " AND created_ms = ?",
                           "iii", p->seen.times, p->repository_id, p->created_ms)
               : state_run(db, e,
                           "INSERT INTO manifest_pulls(manifest_id, repository_id, pulled_ms,"
                           " pulls) SELECT m.id, r.id, ?4, ?5 FROM repositories r JOIN manifests m"
                           " ON m.repository_id = r.id WHERE r.id = ?1 AND r.created_ms = ?2"
                           " AND m.digest = ?3"
                           " ON CONFLICT DO UPDATE SET pulls = pulls + excluded.pulls,"
                           " pulled_ms = max(pulled_ms, excluded.pulled_ms)",
                           "iizii", p->repository_id, p->created_ms, p->digest, p->seen.last_ms,
                           p->seen.times);
}

static int flush_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct flush *f = ctx;

    for (size_t i = 0; i < f->n; i++) {
        if (flush_one(db, f->part[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

static size_t next_part(struct flush *f)
{
    struct str key;
    void *value;

    for (f->n = 0; f->n < FLUSH_PART && map_next(&f->r->pulls_going, &f->at, &key, &value);) {
        f->part[f->n++] = value;
    }
    return f->n;
}

/* Lists find these in the tables now. */
static void part_is_written(struct flush *f)
{
    struct lock *l = &f->r->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < f->n; i++) {
        f->part[i]->seen.times = 0;
    }
}

/* One at a time; the next writes what came meanwhile. false: nothing did. */
static bool begin_flush(struct registry *r)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    while (r->pulls_going.len > 0) {
        lock_wait(l);
    }
    r->pulls_going = r->pulls;
    r->pulls = (struct map){0};
    return r->pulls_going.len > 0;
}

/* What could not be written is for the next time. */
static void end_flush(struct registry *r)
{
    struct lock *l = &r->lock;
    struct str key;
    void *value;

    WITH_LOCK(l);
    for (size_t i = 0; map_next(&r->pulls_going, &i, &key, &value);) {
        const struct pull *p = value;

        if (p->seen.times > 0) {
            add_locked(r,
                       &(struct pulled_thing){p->repository_id, p->created_ms, str_of(p->digest)},
                       &p->seen);
        }
    }
    registry_free_pulls(&r->pulls_going);
    lock_broadcast(l);
}

int registry_flush_pulls(struct registry *r, struct err *e)
{
    struct flush f = {.r = r};
    int result = 0;

    if (!begin_flush(r)) {
        return 0;
    }
    while (result == 0 && next_part(&f) > 0) {
        result = state_write(r->state, flush_fn, &f, e);
        if (result == 0) {
            part_is_written(&f);
        }
    }
    end_flush(r);
    return result;
}
