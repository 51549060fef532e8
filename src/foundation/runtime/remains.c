#include "runtime/runtime_priv.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>

void remains_sweep(const struct cgroups *c, const char *instance, const char *run_dir,
                   const char *id)
{
    char path[300];
    struct err ignored;

    (void)snprintf(path, sizeof(path), "strata-%s/%s", instance, id);
    cgroup_remove(c, path);
    (void)snprintf(path, sizeof(path), "%s/crun/%s", run_dir, id);
    (void)!fs_remove_tree(AT_FDCWD, path, &ignored);
    bridge_release(run_dir, id);
}
