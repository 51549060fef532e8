#include "state_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* The server works inside the state directory and may not be able to walk the way to it (its
 * parents can be 0700 of somebody else). SQLite's unix VFS turns every name into an absolute one,
 * which then cannot be opened. This one differs in that single function. */
static sqlite3_vfs relative_vfs;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int keep_name(sqlite3_vfs *vfs UNUSED, const char *name, int out_size, char *out)
{
    int n = snprintf(out, (size_t)out_size, "%s", name);

    return n < 0 || n >= out_size ? SQLITE_CANTOPEN : SQLITE_OK;
}

static void make_vfs(void)
{
    const sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");

    if (unix_vfs == NULL) {
        return; /* opening then says that there is no such VFS */
    }
    relative_vfs = *unix_vfs;
    relative_vfs.pNext = NULL;
    relative_vfs.zName = "strata";
    relative_vfs.xFullPathname = keep_name;
    (void)sqlite3_vfs_register(&relative_vfs, /* default */ 0);
}

const char *state_vfs_name(void)
{
    (void)pthread_once(&once, make_vfs);
    return "strata";
}
