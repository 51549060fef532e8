/* What has no transaction (pulls, refusals): noted in memory if any hook asks for it, written down
 * within a second. */
#include "webhooks_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

enum { NOTES_AFTER_MS = 1000, NOTES_AT_ONCE = 256 }; /* pushes wait no longer than for these */

struct note {
    struct list link;
    struct webhook_news news;
    struct webhook_image image;
    char text[]; /* what they point to */
};

static int by_project(const void *a, const void *b)
{
    const struct interest *x = a, *y = b;

    return x->project_id < y->project_id ? -1 : x->project_id > y->project_id;
}

static bool is_wanted_locked(struct webhooks *h, const struct webhook_news *n)
{
    struct interest key = {.project_id = n->project_id};
    const struct interest *found;

    lock_assert(&h->lock);
    if (h->interests_stale || h->interests.len == 0) {
        return h->interests_stale;
    }
    found = bsearch(&key, h->interests.p, h->interests.len, sizeof(key), by_project);
    return found != NULL && (found->events & EVENT_BIT(n->event)) != 0;
}

static struct str kept(char **room, struct str s)
{
    char *at = *room;

    if (s.len > 0) {
        memcpy(at, s.p, s.len);
        *room += s.len;
    }
    return s.p ? str_n(at, s.len) : s;
}

/* Of its images only the first: a pull has one. */
static struct note *note_of(const struct webhook_news *n)
{
    struct webhook_image image = n->n_images > 0 ? n->images[0] : (struct webhook_image){0};
    struct note *note = xcalloc(1, sizeof(*note) + n->repository.len + n->by.len + n->details.len +
                                       image.tag.len + image.digest.len);
    char *room = note->text;

    note->news = (struct webhook_news){.event = n->event,
                                       .project_id = n->project_id,
                                       .repository = kept(&room, n->repository),
                                       .repository_created_ms = n->repository_created_ms,
                                       .by = kept(&room, n->by),
                                       .details = kept(&room, n->details)};
    if (n->n_images > 0) {
        note->image = (struct webhook_image){.tag = kept(&room, image.tag),
                                             .digest = kept(&room, image.digest)};
        note->news.images = &note->image;
        note->news.n_images = 1;
    }
    return note;
}

void webhooks_note(struct webhooks *h, const struct webhook_news *n)
{
    struct lock *l = &h->lock;

    WITH_LOCK(l);
    if (!is_wanted_locked(h, n)) {
        return;
    }
    if (h->n_notes == LIMIT_WEBHOOK_NOTES) {
        h->notes_dropped++;
        return;
    }
    if (h->n_notes++ == 0) {
        h->notes_due_ms = clock_mono_ms() + NOTES_AFTER_MS;
        lock_broadcast(l); /* whoever looks, waits no longer than that from now on */
    }
    list_append(&h->notes, &note_of(n)->link);
}

struct taken {
    struct webhooks *h;
    struct note *notes[NOTES_AT_ONCE];
    size_t n;
};

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct taken *t = ctx;

    for (size_t i = 0; i < t->n; i++) {
        if (webhooks_queue(t->h, db, &t->notes[i]->news, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void take(struct taken *t)
{
    struct lock *l = &t->h->lock;

    WITH_LOCK(l);
    for (t->n = 0; t->n < NOTES_AT_ONCE && !list_empty(&t->h->notes); t->n++) {
        struct list *first = t->h->notes.next;

        list_remove(first);
        t->h->n_notes--;
        t->notes[t->n] = list_entry(first, struct note, link);
    }
}

static size_t take_dropped(struct webhooks *h)
{
    struct lock *l = &h->lock;
    size_t n;

    WITH_LOCK(l);
    n = h->notes_dropped;
    h->notes_dropped = 0;
    return n;
}

int notes_write(struct webhooks *h, struct err *e)
{
    struct taken t = {.h = h};
    size_t dropped = take_dropped(h);
    int result = 0;

    if (dropped > 0) {
        log_warn("webhooks.notes_dropped", "events=%zu next=only %d a second are told of", dropped,
                 LIMIT_WEBHOOK_NOTES);
    }
    for (take(&t); t.n > 0; take(&t)) {
        if (result == 0) { /* what comes after a failure is lost too: nobody is made to wait */
            result = state_write(h->state, write_fn, &t, e);
        }
        for (size_t i = 0; i < t.n; i++) {
            free(t.notes[i]);
        }
    }
    return result;
}

struct interests {
    VEC(struct interest) v;
};

static int interests_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct interests *out = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT project_id, events FROM webhooks WHERE enabled = 1 ORDER BY project_id",
                   "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        int64_t project = query_i64(&q, 0);

        if (out->v.len == 0 || out->v.p[out->v.len - 1].project_id != project) {
            *vec_push(&out->v) = (struct interest){.project_id = project};
        }
        out->v.p[out->v.len - 1].events |= (unsigned)query_i64(&q, 1);
    }
    return r;
}

int interests_read(struct webhooks *h, struct err *e)
{
    struct lock *l = &h->lock;
    struct interests now = {0};
    int result = state_read(h->state, interests_fn, &now, e);

    lock_take(l);
    if (result == 0) {
        struct interest *old = h->interests.p;

        h->interests.p = now.v.p;
        h->interests.len = now.v.len;
        h->interests.cap = now.v.cap;
        now.v.p = old;
    } else {
        h->interests_stale = true;
    }
    lock_drop(l);
    free(now.v.p);
    return result;
}
