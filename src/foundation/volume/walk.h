/* walk - everything below a folder of a volume, in constant memory, through the files agent.
 *
 * Each step is a short request of its own (READ_DIR), so that others at this volume have their turn
 * in between, and an agent that was ended for want of use is simply started again. A folder's files
 * come first, then its folders one by one, each after its own row. No link is followed. What
 * changes meanwhile may come or not; what goes away is told to `skipped`. */
#pragma once
#include "volume/store.h"

struct volume_walk_ops {
    /* `path`: in the volume; `rel`: below the folder that is walked. Both until the return.
     * 0: go on. 1: enough. -1: *e. */
    int (*entry)(void *ctx, struct str path, struct str rel, const struct volume_file *f,
                 struct err *e);
    /* A folder (`rel`, empty: the first one) that could not be read: gone, replaced by something
     * else, a stranger's, or with a path that is too long. May be NULL. */
    void (*skipped)(void *ctx, struct str rel, const struct err *why);
};

/* 0: all was seen. 1: an entry said enough. The folder itself is no entry; that it is not there is
 * an error. */
int volume_walk(struct volume_store *v, const struct volume_info *i, struct str folder,
                const struct volume_walk_ops *ops, void *ctx, struct err *e) MUST_USE;

/* Is it about what is at a path (gone, of another type, not ours), not about the agent? */
bool volume_is_about_path(const struct err *e);
