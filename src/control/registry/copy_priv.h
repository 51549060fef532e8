/* copy_priv - what both directions share. */
#pragma once
#include "copy.h"

#include "base/map.h"
#include "manifest.h"
#include "store.h"

/* One copy under way. What a peer lists may go round in circles or without end: each digest is
 * looked at once, and no more than so many. */
struct copying {
    const struct copy *c;
    struct copy_result *out;
    struct map seen;
    int depth;
};

/* 1: to be looked at; 0: was already. `digest` may be "": not known yet. */
int copying_enter(struct copying *y, const char *digest, struct err *e) MUST_USE;
void copying_leave(struct copying *y);

bool copy_is_manifest(struct str media_type);
bool copy_is_kind(enum copy_kind kind, const struct manifest *m);
void copy_tell(const struct copying *y, int64_t total, int64_t done, int64_t moved);
/* All blobs of a manifest are part of the copy from now on. */
void copy_tell_total(const struct copying *y, const struct manifest *m);

/* The upload that a pull writes a blob into: named after what it will be, so that another try (also
 * after a restart) finds it. */
enum { COPY_UPLOAD_ID = 65 };
void copy_upload_id(const struct repo_key *to, const char *digest, char id[COPY_UPLOAD_ID]);
