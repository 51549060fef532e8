#include "runtime/containers.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- signal, list, stats --- */

static int handle_signal(void *ctx, struct helper_request *q, struct str payload, int fd,
                         struct err *e)
{
    struct wire_reader w = {payload, false};
    char id[65];
    uint64_t signal;
    struct container *c;

    (void)fd;
    if (container_get_id(&w, id, e) < 0) {
        return -1;
    }
    signal = wire_get_u64(&w);
    if (wire_end(&w, e) < 0) {
        return -1;
    }
    if (signal < 1 || signal > (uint64_t)SIGRTMAX) {
        return err_set(e, ERR_INVALID, "there is no signal %llu", (unsigned long long)signal);
    }
    c = container_find(ctx, id);
    if (c) {
        container_refresh(c);
    }
    if (c && c->phase == RUNNING && c->record.init == 0) {
        return err_set(e, ERR_UNAVAILABLE, "container %s is only being started: try again", id);
    }
    if (c && c->phase == STARTING) {
        c->pending_signal = c->pending_signal == SIGKILL ? SIGKILL : (int)signal;
    } else if (c && c->phase == RUNNING && container_signal(c, (int)signal, e) < 0) {
        return -1;
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static void add_figures(const struct container *c, struct runtime_status *st)
{
    struct runtime_sample f;
    char name[160];

    (void)snprintf(name, sizeof(name), "strata-%s/%s", c->owner->instance, c->status.id);
    cgroup_sample(&c->owner->cgroups, name, &f);
    status_set_figures(st, &f);
}

static int handle_stats(void *ctx, struct helper_request *q, struct str payload, int fd,
                        struct err *e)
{
    struct wire_reader w = {payload, false};
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct runtime_status st;
    struct container *c;
    char id[65];

    (void)fd;
    if (container_get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    c = container_find(ctx, id);
    if (c == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no container %s", id);
    }
    container_refresh(c);
    st = c->status;
    if (c->phase == RUNNING) {
        add_figures(c, &st);
    }
    status_put(&b, &st);
    helper_answer(q, buf_str(&b), -1);
    buf_done(&b);
    return 0;
}

static int handle_list(void *ctx, struct helper_request *q, struct str payload, int fd,
                       struct err *e)
{
    struct runtime_helper *r = ctx;
    struct wire_reader w = {payload, false};
    struct buf b = BUF_MAX(HELPER_PAYLOAD_MAX);
    uint64_t n = 0;

    (void)fd;
    if (wire_end(&w, e) < 0) {
        return -1;
    }
    list_each(it, &r->containers)
    {
        container_refresh(list_entry(it, struct container, link));
        n++;
    }
    wire_put_u64(&b, n);
    list_each(it, &r->containers) status_put(&b, &list_entry(it, struct container, link)->status);
    if (b.failed) {
        buf_done(&b);
        return err_set(e, ERR_LIMIT, "%llu containers do not fit one answer; remove ended ones",
                       (unsigned long long)n);
    }
    helper_answer(q, buf_str(&b), -1);
    buf_done(&b);
    return 0;
}

/* --- the helper's part --- */

/* The box lies below: the root of a container, nobody on the host, must be able to search there. */
static int make_run_dirs(const char *run_dir, struct err *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"", 0711}, {"/crun", 0700}, {"/box", 0711}, {"/exec", 0700}};

    char path[96];

    /* what keepers that were killed have left holds secrets of jobs */
    (void)snprintf(path, sizeof(path), "%s/exec", run_dir);
    if (fs_remove_tree(AT_FDCWD, path, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", run_dir, dirs[i].name);
        if (fs_mkdir(AT_FDCWD, path, dirs[i].mode, e) < 0) {
            return -1;
        }
        if (chmod(path, dirs[i].mode) < 0) { /* whatever the umask is */
            return err_sys(e, "chmod %s", path);
        }
    }
    return 0;
}

struct runtime_helper *runtime_helper_new(struct rootfs_helper *rootfs, const char *instance,
                                          struct err *e)
{
    SCOPED(runtime_helper_freep) struct runtime_helper *r = xnew(struct runtime_helper);

    list_init(&r->containers);
    list_init(&r->keepers);
    r->rootfs = rootfs;
    r->seccomp = BUF_MAX(128U << 10);
    if (!helper_id_ok(str_of(instance)) || strlen(instance) >= sizeof(r->instance)) {
        err_set(e, ERR_INVALID, "instance %.40s is not [a-z0-9-]{1,32}", instance);
        return NULL;
    }
    (void)snprintf(r->instance, sizeof(r->instance), "%s", instance);
    (void)snprintf(r->run_dir, sizeof(r->run_dir), "/run/strata-%s", instance);
    if (make_run_dirs(r->run_dir, e) < 0 || cgroups_load(&r->cgroups, e) < 0) {
        return NULL;
    }
    return TAKE(r);
}

void runtime_helper_free(struct runtime_helper *r)
{
    if (r == NULL) {
        return;
    }
    r->server = NULL; /* it may be gone already, and its watches with it */
    list_each(it, &r->containers) container_free(list_entry(it, struct container, link));
    keepers_forget(r);
    buf_done(&r->seccomp);
    free(r);
}

const struct helper_operation runtime_operations[] = {
    {HELPER_CONTAINER_START, start_handle, NULL},
    {HELPER_CONTAINER_EXEC, exec_handle, NULL},
    {HELPER_CONTAINER_SIGNAL, handle_signal, NULL},
    {HELPER_CONTAINER_LIST, handle_list, NULL},
    {HELPER_CONTAINER_STATS, handle_stats, NULL},
    {HELPER_CONTAINER_REMOVE, remove_handle, NULL},
    {HELPER_CONTAINER_REMOVE_LOG, remove_log_handle, NULL},
    {HELPER_HOST_CHECK, doctor_handle, NULL},
    {0},
};
