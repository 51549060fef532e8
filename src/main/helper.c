/* The role helper: root, no network, one thread. It serves the operations of rootfs, runtime and
 * volume and trusts nothing that it is told. */
#include "main/main_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "helper/helper.h"
#include "rootfs/rootfs.h"
#include "runtime/runtime.h"
#include "volume/volume.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

typedef VEC(struct helper_operation) operation_vec;

static void add_operations(operation_vec *all, const struct helper_operation *table, void *ctx)
{
    for (; table->handle; table++) {
        struct helper_operation *o = vec_push(all);

        *o = *table;
        o->ctx = ctx;
    }
}

/* Mounts of containers are the helper's own affair: the host never sees them, and they go when the
 * last process that holds them goes. Mounts the host makes later still arrive here. */
static int own_mounts(struct err *e)
{
    if (unshare(CLONE_NEWNS) < 0) {
        return err_sys(e, "unshare the mount namespace");
    }
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0) {
        return err_sys(e, "make the mounts slaves");
    }
    return 0;
}

static int serve(const struct boot *b, int socket, struct err *e)
{
    struct rootfs_helper *rootfs = NULL;
    struct runtime_helper *runtime = NULL;
    struct helper_server *server = NULL;
    operation_vec ops = {0};
    int rc = -1;

    if (own_mounts(e) < 0 || !(rootfs = rootfs_helper_new(e)) ||
        !(runtime = runtime_helper_new(rootfs, b->instance, e))) {
        goto out;
    }
    add_operations(&ops, rootfs_operations, rootfs);
    add_operations(&ops, runtime_operations, runtime);
    add_operations(&ops, volume_operations, NULL);
    server = helper_server_new(socket, ops.p, ops.len, e);
    if (server == NULL || runtime_helper_adopt(runtime, server, e) < 0) {
        goto out;
    }
    rc = helper_server_run(server, e);
out:
    helper_server_free(server);
    runtime_helper_free(runtime);
    rootfs_helper_free(rootfs);
    vec_done(&ops);
    return rc;
}

int helper_role(const struct boot *b, int socket)
{
    struct err e;

    /* Its memory and that of its shims holds secrets of jobs, which no core dump may keep. */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    /* Ctrl-C reaches the whole group: the helper stays until the server has drained. */
    (void)signal(SIGINT, SIG_IGN);
    if (serve(b, socket, &e) < 0) {
        log_error("helper.failed", "%s", e.msg);
        return err_exit_code(e.kind);
    }
    return 0;
}
