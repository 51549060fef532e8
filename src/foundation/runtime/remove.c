#include "runtime/containers.h"

#include "base/fs.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- remove --- */

/* What a container leaves beside its log and its samples. `exit` goes last: while it is there the
 * container is listed. */
static const char *const leftovers[] = {"rootfs",    "config.json", "shim", "shim.tmp",
                                        "usage.tmp", "exit.tmp",    "exit"};

int remove_files(const char *id, struct err *e)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "jobs/%s/scratch", id);
    if (fs_remove_tree(AT_FDCWD, path, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(leftovers); i++) {
        (void)snprintf(path, sizeof(path), "jobs/%s/%s", id, leftovers[i]);
        if (unlink(path) < 0 && errno != ENOENT && !(errno == EISDIR && rmdir(path) == 0)) {
            return err_sys(e, "remove %s", path);
        }
    }
    return 0;
}

/* Did the container write anything into its root? An empty upper directory is removed at once, a
 * full one by a child. */
static bool scratch_is_small(const char *id)
{
    char path[96];
    int fd;
    DIR *d;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "jobs/%s/scratch/upper", id);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        closep(&fd);
        return false;
    }
    for (struct dirent *ent; n == 0 && (ent = readdir(d));) {
        n += strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0;
    }
    (void)closedir(d);
    return n == 0;
}

static int remove_work(void *ctx, int fd, struct buf *reply, struct err *e)
{
    (void)fd;
    (void)reply;
    return remove_files(ctx, e);
}

int remove_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    struct runtime_helper *r = ctx;
    struct wire_reader w = {payload, false};
    struct container *c;
    char id[65];

    (void)fd;
    if (container_get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    c = container_find(r, id);
    if (c && c->phase != ENDED) {
        return err_set(e, ERR_CONFLICT, "container %s is running", id);
    }
    if (c) {
        container_free(c);
    }
    remains_sweep(&r->cgroups, r->instance, r->run_dir, id); /* what was busy at its end */
    if (!scratch_is_small(id)) {
        return helper_fork(q, -1, remove_work, NULL, xstrdup(id), free, e);
    }
    if (remove_files(id, e) < 0) {
        return -1;
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

/* --- remove the log --- */

static int remove_log_work(void *ctx, int fd, struct buf *reply, struct err *e)
{
    static const char *const kept[] = {"usage", "log"};
    const char *id = ctx;
    char path[96];

    (void)fd;
    (void)reply;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        (void)snprintf(path, sizeof(path), "jobs/%s/%s", id, kept[i]);
        if (unlink(path) < 0 && errno != ENOENT) {
            return err_sys(e, "remove %s", path);
        }
    }
    (void)snprintf(path, sizeof(path), "jobs/%s", id);
    if (rmdir(path) < 0 && errno != ENOENT) {
        return err_sys(e, "remove %s", path);
    }
    return 0;
}

int remove_log_handle(void *ctx, struct helper_request *q, struct str payload, int fd,
                      struct err *e)
{
    struct wire_reader w = {payload, false};
    char id[65];

    (void)fd;
    if (container_get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    if (container_find(ctx, id)) {
        return err_set(e, ERR_CONFLICT, "container %s was not removed yet", id);
    }
    /* a log may have gigabytes: a child waits for the file system */
    return helper_fork(q, -1, remove_log_work, NULL, xstrdup(id), free, e);
}
