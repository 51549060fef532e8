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
static const char *const leftovers[] = {"rootfs",    "config.json", "labels",   "shim", "shim.tmp",
                                        "usage.tmp", "signal",      "exit.tmp", "exit"};

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

/* --- remove the log --- */

static int remove_log_work(void *ctx, int fd UNUSED, struct buf *reply UNUSED, struct err *e)
{
    static const char *const kept[] = {"usage", "log"};
    const char *id = ctx;
    char path[96];

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

/* A log may have gigabytes: a child waits for the file system. */
static int remove_log(struct helper_request *q, const char *id, struct err *e)
{
    return helper_fork(q, -1, remove_log_work, NULL, xstrdup(id), free, e);
}

/* --- one removal at a time --- */

/* Not waited for here: the server has few threads for it, and signals of other jobs to send. It
 * comes again. */
static int being_removed(const char *id, struct err *e)
{
    return err_set(e, ERR_CONFLICT, "container %s is being removed", id);
}

/* The work of a child: it must not look at the table, which is that of the moment it was forked. */
struct removal {
    struct container *c;
    bool done;
    char id[65];
};

static int remove_work(void *ctx, int fd UNUSED, struct buf *reply UNUSED, struct err *e)
{
    const struct removal *m = ctx;

    return remove_files(m->id, e);
}

static int remove_done(void *ctx, struct buf *reply UNUSED, struct err *e UNUSED)
{
    struct removal *m = ctx;

    m->done = true;
    return 0;
}

/* When the child has answered, whatever it said. */
static void end_removal(void *ctx)
{
    struct removal *m = ctx;

    if (m->done) {
        container_free(m->c);
    } else {
        m->c->phase = ENDED;
    }
    free(m);
}

static int begin_removal(struct container *c, struct helper_request *q, struct err *e)
{
    struct removal *m = xnew(struct removal);

    c->phase = REMOVING;
    m->c = c;
    (void)snprintf(m->id, sizeof(m->id), "%s", c->status.id);
    return helper_fork(q, -1, remove_work, remove_done, m, end_removal, e);
}

/* Files of nobody, such as those of a start that was withdrawn. While they go they are a container
 * that never ran. */
static struct container *container_of_leftovers(struct runtime_helper *r, const char *id)
{
    struct container *c = container_new(r, id);

    c->phase = ENDED;
    c->status.running = false;
    c->status.end = RUNTIME_LOST;
    return c;
}

int remove_handle(void *ctx, struct helper_request *q, struct str payload, int fd UNUSED,
                  struct err *e)
{
    struct runtime_helper *r = ctx;
    struct wire_reader w = {payload, false};
    struct container *c;
    char id[65];

    if (container_get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    c = container_find(r, id);
    if (c && c->phase == REMOVING) {
        return being_removed(id, e);
    }
    if (c && c->phase != ENDED) {
        return err_set(e, ERR_CONFLICT, "container %s is running", id);
    }
    remains_sweep(&r->cgroups, r->instance, r->run_dir, id); /* what was busy at its end */
    if (!scratch_is_small(id)) {
        return begin_removal(c ? c : container_of_leftovers(r, id), q, e);
    }
    if (remove_files(id, e) < 0) {
        (void)(c ? c : container_of_leftovers(r, id)); /* listed until another try succeeds */
        return -1;
    }
    if (c) {
        container_free(c);
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

int remove_log_handle(void *ctx, struct helper_request *q, struct str payload, int fd UNUSED,
                      struct err *e)
{
    struct wire_reader w = {payload, false};
    struct container *c;
    char id[65];

    if (container_get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    c = container_find(ctx, id);
    if (c && c->phase == REMOVING) {
        return being_removed(id, e);
    }
    if (c) {
        return err_set(e, ERR_CONFLICT, "container %s was not removed yet", id);
    }
    return remove_log(q, id, e);
}
