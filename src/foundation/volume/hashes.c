#include "volume/store.h"

#include "base/clock.h"

#include <string.h>

static bool is_of(const struct volume_hash *h, const char *id, const char *upload)
{
    return h->used_ms != 0 && strcmp(h->upload, upload) == 0 && strcmp(h->id, id) == 0;
}

static void forget(struct volume_hash *h)
{
    if (h->used_ms != 0) {
        sha256_done(&h->hash);
        h->used_ms = 0;
    }
}

bool volume_hash_take(struct volume_store *v, const char *id, const char *upload, int64_t offset,
                      struct sha256 *out)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < VOLUME_HASHES; i++) {
        struct volume_hash *h = &v->hashes[i];

        if (is_of(h, id, upload) && h->offset == offset) {
            *out = h->hash;
            h->used_ms = 0;
            return true;
        }
        if (is_of(h, id, upload)) {
            forget(h); /* of another life of that upload */
        }
    }
    return false;
}

void volume_hash_keep(struct volume_store *v, const char *id, const char *upload, int64_t offset,
                      struct sha256 *h)
{
    struct lock *l = &v->lock;
    struct volume_hash *place = &v->hashes[0];

    WITH_LOCK(l);
    for (size_t i = 0; i < VOLUME_HASHES; i++) {
        if (is_of(&v->hashes[i], id, upload)) {
            place = &v->hashes[i];
            break;
        }
        if (v->hashes[i].used_ms < place->used_ms) {
            place = &v->hashes[i];
        }
    }
    forget(place);
    *place = (struct volume_hash){.offset = offset, .used_ms = clock_mono_ms() + 1, .hash = *h};
    (void)!str_copy(str_of(id), place->id, sizeof(place->id));
    (void)!str_copy(str_of(upload), place->upload, sizeof(place->upload));
    h->ctx = NULL;
}

void volume_hash_expire(struct volume_store *v, int64_t unused_since_ms)
{
    struct lock *l = &v->lock;

    WITH_LOCK(l);
    for (size_t i = 0; i < VOLUME_HASHES; i++) {
        if (v->hashes[i].used_ms < unused_since_ms) {
            forget(&v->hashes[i]);
        }
    }
}

/* Its place in v->active, or the length. */
static size_t find_active(const struct volume_store *v, const char *id, const char *upload)
{
    size_t i = 0;

    while (i < v->active.len &&
           (strcmp(v->active.p[i].upload, upload) != 0 || strcmp(v->active.p[i].id, id) != 0)) {
        i++;
    }
    return i;
}

bool volume_active_enter(struct volume_store *v, const char *id, const char *upload,
                         int64_t deadline_ms)
{
    struct lock *l = &v->lock;
    struct volume_active *a;

    WITH_LOCK(l);
    while (find_active(v, id, upload) < v->active.len) {
        if (!lock_wait_until(l, deadline_ms) && clock_mono_ms() >= deadline_ms) {
            return false;
        }
    }
    a = vec_push(&v->active);
    (void)!str_copy(str_of(id), a->id, sizeof(a->id));
    (void)!str_copy(str_of(upload), a->upload, sizeof(a->upload));
    return true;
}

void volume_active_leave(struct volume_store *v, const char *id, const char *upload)
{
    struct lock *l = &v->lock;
    size_t i;

    WITH_LOCK(l);
    i = find_active(v, id, upload);
    if (i < v->active.len) {
        v->active.p[i] = v->active.p[--v->active.len];
        lock_broadcast(l);
    }
}
