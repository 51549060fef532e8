/* commit - a file that is whole gets its name; and whether it has it, when that went wrong.
 *
 * The agent may hang or end at any moment, so the answer to a commit can be lost while the commit
 * is done, or is done later. Nobody may change the bytes of the file until it is known that it is
 * not in its place: they may be somebody's only copy. */
#pragma once
#include "volume/store.h"

/* What the upload `name` must be, or the agent refuses. */
struct volume_whole {
    struct str path;
    const char *name;
    uint64_t inode, size_bytes;
    bool of_user; /* not into VOLUME_STUDIO */
};

/* Renames it onto its path and syncs the directory. *created: VOLUME_CREATED or 0. */
int volume_commit(struct volume_store *v, const struct volume_info *i, const struct volume_whole *w,
                  unsigned *created, struct err *e) MUST_USE;
/* Only true when the file is surely under its temporary name, and no agent is left that could still
 * rename it. */
bool volume_commit_undone(struct volume_store *v, const struct volume_info *i, const char *name,
                          uint64_t inode) MUST_USE;
