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
static const char *const leftovers[] = {"rootfs",    "config.json", "shim",     "shim.tmp",
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

/* A request that came while the container was being removed. */
struct waiting {
    struct list link;
    struct helper_request *request;
    enum helper_op op;
};

static int wait_for_removal(struct container *c, struct helper_request *q, enum helper_op op)
{
    struct waiting *w = xnew(struct waiting);

    w->request = q;
    w->op = op;
    list_append(&c->waiting, &w->link);
    return 0;
}

void remove_drop_waiting(struct container *c)
{
    list_each(it, &c->waiting)
    {
        list_remove(it);
        free(list_entry(it, struct waiting, link));
    }
}

/* What was asked for meanwhile, now that the files are gone, or are not. */
static void answer_waiting(struct list *waiting, const char *id, enum phase end)
{
    list_each(it, waiting)
    {
        struct waiting *w = list_entry(it, struct waiting, link);
        struct err e = {0};

        list_remove(it);
        if (end == ENDED) {
            err_set(&e, ERR_UNAVAILABLE, "container %s could not be removed: try again", id);
            helper_answer_err(w->request, &e);
        } else if (w->op == HELPER_CONTAINER_REMOVE) {
            helper_answer(w->request, STR_EMPTY, -1);
        } else if (remove_log(w->request, id, &e) < 0) {
            helper_answer_err(w->request, &e);
        }
        free(w);
    }
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
    struct list waiting;

    list_init(&waiting);
    list_each(it, &m->c->waiting)
    {
        list_remove(it);
        list_append(&waiting, it);
    }
    if (m->done) {
        container_free(m->c);
    } else {
        m->c->phase = ENDED;
    }
    answer_waiting(&waiting, m->id, m->done ? REMOVING : ENDED);
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
        return wait_for_removal(c, q, HELPER_CONTAINER_REMOVE);
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
        return wait_for_removal(c, q, HELPER_CONTAINER_REMOVE_LOG);
    }
    if (c) {
        return err_set(e, ERR_CONFLICT, "container %s was not removed yet", id);
    }
    return remove_log(q, id, e);
}
