#include "jobs/engine.h"

#include "base/mem.h"
#include "rootfs/rootfs.h"

#include <stdlib.h>
#include <string.h>

static const enum runtime_network networks[JOB_NETS] = {
    [JOB_NET_NONE] = RUNTIME_NET_NONE,
    [JOB_NET_BRIDGE] = RUNTIME_NET_BRIDGE,
    [JOB_NET_HOST] = RUNTIME_NET_HOST,
};

static bool host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
}

/* hostname(7); a dot or hyphen at an end makes no name either. */
void job_host_name(const char *name, char out[64])
{
    size_t n = 0;

    for (; *name && n < 63; name++) {
        char c = host_byte(*name) ? *name : '-';

        if (n > 0 || (c != '-' && c != '.')) {
            out[n++] = c;
        }
    }
    while (n > 0 && (out[n - 1] == '-' || out[n - 1] == '.')) {
        n--;
    }
    out[n] = '\0';
    if (n == 0) {
        memcpy(out, "job", sizeof("job"));
    }
}

static int local_start(void *ctx, const struct job_launch *l, struct err *e)
{
    struct engine_local *local = ctx;
    const struct job_image *im = l->image;
    const struct job_spec *s = l->spec;
    SCOPED(freep) char(*chains)[65] = xcalloc(im->n_layers + 1, sizeof(*chains));
    SCOPED(freep)
    struct runtime_mount *mounts = xnew_array(struct runtime_mount, s->n_volumes + 1);
    char hostname[64];

    if (rootfs_prepare(local->rootfs, im->layers, im->n_layers, chains, e) < 0) {
        return err_wrap(e, "image");
    }
    for (size_t i = 0; i < s->n_volumes; i++) {
        memcpy(mounts[i].volume_id, l->volume_ids[i], sizeof(mounts[i].volume_id));
        mounts[i].target = s->volumes[i].path;
        mounts[i].subpath = s->volumes[i].subpath;
        mounts[i].read_only = s->volumes[i].read_only;
    }
    job_host_name(s->name, hostname);
    return runtime_start(local->runtime,
                         &(struct runtime_spec){
                             .id = l->id,
                             .args = l->args,
                             .env = l->env,
                             .cwd = s->workdir            ? s->workdir
                                    : im->cwd && *im->cwd ? im->cwd
                                                          : "/",
                             .user = im->user ? im->user : "",
                             .hostname = hostname,
                             .chains = (const char(*)[65])chains,
                             .n_chains = im->n_layers,
                             .mounts = mounts,
                             .n_mounts = s->n_volumes,
                             .id_base = l->id_base,
                             .cpu_milli = s->cpu_milli,
                             .memory_bytes = s->memory_bytes,
                             .pids = s->pids,
                             .log_max_bytes = l->log_max_bytes,
                             .devices = l->devices,
                             .network = networks[s->network],
                             .labels = l->labels,
                         },
                         e);
}

static int local_exec(void *ctx, const struct runtime_exec *x, struct runtime_process *out,
                      struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_exec(local->runtime, x, out, e);
}

static int local_signal(void *ctx, const char *id, int signal, struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_signal(local->runtime, id, signal, e);
}

static int local_list(void *ctx, struct runtime_status **out, size_t *n, struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_list(local->runtime, out, n, e);
}

static int local_stats(void *ctx, const char *id, struct runtime_status *out, struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_stats(local->runtime, id, out, e);
}

static int local_remove(void *ctx, const char *id, struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_remove(local->runtime, id, e);
}

static int local_remove_log(void *ctx, const char *id, struct err *e)
{
    struct engine_local *local = ctx;

    return runtime_remove_log(local->runtime, id, e);
}

static int local_log_open(void *ctx UNUSED, const char *id, int *fd, struct err *e)
{
    return runtime_log_open(id, fd, e);
}

static int local_usage(void *ctx UNUSED, const char *id, struct arena *a, struct runtime_usage *out,
                       struct err *e)
{
    return runtime_usage(id, a, out, e);
}

const struct job_engine engine_local = {
    .name = "local",
    .start = local_start,
    .exec = local_exec,
    .signal = local_signal,
    .list = local_list,
    .stats = local_stats,
    .remove = local_remove,
    .remove_log = local_remove_log,
    .log_open = local_log_open,
    .usage = local_usage,
};
