/* store - the server's side of volumes: rows, figures, events, and the thread that tidies up.
 * Private to the module. */
#pragma once
#include "volume/agents.h"
#include "volume/volume.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"

#include <pthread.h>

/* A row of the table. Plain value. */
struct volume_info {
    char id[65];
    char name[LIMIT_NAME_BYTES + 1];
    int64_t project_id;
    uint32_t id_base;
    int64_t created_ms;
    int64_t files, size_bytes; /* as last measured */
};

/* The hash of an unfinished upload up to where it got, so that its next part need not read it
 * all again. */
struct volume_hash {
    char id[65], upload[101];
    int64_t offset;
    int64_t used_ms; /* clock_mono_ms; 0: a free place */
    struct sha256 hash;
};
#define VOLUME_HASHES 64

struct volume_id {
    char id[65];
};

/* An upload that a request works on. */
struct volume_active {
    char id[65], upload[101];
};

struct volume_store {
    struct state *state;
    struct helper_client *helper;
    struct volume_hooks hooks;
    struct volume_agents *agents;
    pthread_t housekeeper;
    struct lock lock;
    /* guarded by lock */
    struct map live; /* id -> struct live (usage.c) */
    struct volume_hash hashes[VOLUME_HASHES];
    VEC(struct volume_id) leftovers; /* half made or half deleted: the housekeeper removes them */
    VEC(struct volume_active) active;
    int64_t walks[LIMIT_WALKS]; /* ids of the users who walk; 0: a free place */
    bool stopping;
};

/* --- rows (rows.c) --- */
int volume_row_find(struct volume_store *v, int64_t project_id, struct str name,
                    struct volume_info *out, struct err *e) MUST_USE;
/* At most `limit` by name, after `after`, that fit the filter `q`; the caller frees *out. */
int volume_row_list(struct volume_store *v, int64_t project_id, struct str q, struct str after,
                    int64_t limit, struct volume_info **out, size_t *n, struct err *e) MUST_USE;
/* All that are ready, of all projects. */
int volume_row_all(struct volume_store *v, struct volume_info **out, size_t *n,
                   struct err *e) MUST_USE;
int volume_row_leftovers(struct volume_store *v, struct err *e) MUST_USE; /* fills v->leftovers */
enum volume_row_state { VOLUME_ROW_CREATING, VOLUME_ROW_READY, VOLUME_ROW_DELETING };
int volume_row_insert(struct volume_store *v, const struct volume_info *i, struct err *e) MUST_USE;
/* ERR_NOT_FOUND when it has gone or is in that state already. The name is free when the row goes.
 */
int volume_row_set_state(struct volume_store *v, const struct volume_info *i,
                         enum volume_row_state state, struct err *e) MUST_USE;
int volume_row_remove(struct volume_store *v, const char *id, struct err *e) MUST_USE;
/* Without waiting: figures may be lost, they are measured again. */
void volume_row_save_usage(struct volume_store *v, const char *id, int64_t files,
                           int64_t size_bytes);

/* --- whole volumes (store.c) --- */
int volume_create(struct volume_store *v, struct str project, struct str name,
                  struct volume_info *out, struct err *e) MUST_USE;
int volume_delete(struct volume_store *v, struct str project, const struct volume_info *i,
                  struct err *e) MUST_USE;
/* One request to the volume's agent; see volume_agents_call. */
int volume_ask(struct volume_store *v, const struct volume_info *i, const struct volume_request *q,
               struct buf *packet, struct volume_reply *reply, int *fd, struct err *e) MUST_USE;
/* Empties the trash of a volume until `deadline_ms` (clock_mono_ms). 1: there is more. */
int volume_empty_trash(struct volume_store *v, const struct volume_info *i, int64_t deadline_ms,
                       struct err *e) MUST_USE;
/* Removes unfinished uploads of all volumes that were not written since `older_ms` (wall). */
int volume_sweep(struct volume_store *v, int64_t older_ms, struct err *e) MUST_USE;

/* --- figures and events (usage.c) --- */

/* Something in the volume changed through us: an event at most once a second, and the figures are
 * to be measured again. */
void volume_changed(struct volume_store *v, struct str project, const struct volume_info *i);
void volume_event(struct volume_store *v, struct str project, const char *name, const char *action);
/* Measures if need be, not past `deadline_ms` (clock_mono_ms); else the last figures stay. */
void volume_measure(struct volume_store *v, struct volume_info *i, int64_t deadline_ms);
/* Goes on with a walk that its deadline ended; false when there is none. */
bool volume_measure_on(struct volume_store *v, int64_t deadline_ms);
/* Sends events that are due. When to ask again (clock_mono_ms), 0: nothing waits. */
int64_t volume_flush_events(struct volume_store *v);
void volume_live_forget(struct volume_store *v, const char *id);
void volume_live_free(struct volume_store *v);

/* --- unfinished uploads (hashes.c) --- */

/* One request at a time works on an upload. Waits until `deadline_ms` (clock_mono_ms) for another
 * one, whose connection may be broken without its knowing. False: it is still there. */
bool volume_active_enter(struct volume_store *v, const char *id, const char *upload,
                         int64_t deadline_ms);
void volume_active_leave(struct volume_store *v, const char *id, const char *upload);

/* Takes the hash of that upload at that offset out of the store; false when it is not there. */
bool volume_hash_take(struct volume_store *v, const char *id, const char *upload, int64_t offset,
                      struct sha256 *out);
/* Takes over *h. */
void volume_hash_keep(struct volume_store *v, const char *id, const char *upload, int64_t offset,
                      struct sha256 *h);
void volume_hash_expire(struct volume_store *v, int64_t unused_since_ms);
