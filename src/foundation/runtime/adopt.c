#include "runtime/containers.h"

#include "base/log.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* --- adoption --- */

/* The shim writes its record again when the container runs; a helper that adopts it in between
 * looks again when it is asked (container_refresh). */
static void adopt_live(struct container *c, int pidfd, struct err *e)
{
    c->shim = pidfd;
    c->phase = RUNNING;
    c->status.started_ms = c->record.started_ms;
    if (helper_watch(c->owner->server, pidfd, container_on_shim_end, c, e) < 0) {
        log_error("runtime.adopt_failed", "container=%s error=%s", c->status.id, Q(str_of(e->msg)));
    }
}

/* One directory of jobs/: running, ended and not removed, or only a log. */
static void adopt_one(struct runtime_helper *r, const char *id)
{
    struct shim_record record;
    struct runtime_status st = {0};
    struct container *c;
    struct err e = {0};
    bool ended;
    int pidfd = -1;

    (void)snprintf(st.id, sizeof(st.id), "%s", id);
    container_read_shim(id, &record);
    if (record.pid > 0 && strcmp(record.boot, r->boot) == 0) {
        pidfd = process_open(record.pid, record.start);
    }
    ended = container_read_exit(id, &st, &e) == 0;
    if (pidfd < 0 && !ended && record.pid == 0) {
        if (remove_files(id, &e) == 0) { /* it died before it began, or was removed */
            return;
        }
        log_warn("runtime.leftovers", "container=%s error=%s; listing it as lost", id,
                 Q(str_of(e.msg)));
    }
    c = container_new(r, id);
    c->record = record;
    if (pidfd >= 0) {
        adopt_live(c, pidfd, &e); /* also when it has ended: its shim is about to go */
        return;
    }
    c->status.running = false;
    c->phase = ENDED;
    if (ended) {
        c->status = st;
    } else {
        c->status.started_ms = record.started_ms;
        container_lost(c, strcmp(record.boot, r->boot) == 0
                              ? "the shim that held the container was killed"
                              : "the machine was started anew while the container ran");
    }
    container_emit_end(c);
}

static bool is_alive(void *ctx, const char *id)
{
    struct container *c = container_find(ctx, id);

    return c && c->phase != ENDED;
}

static void sweep_one(void *ctx, const char *id)
{
    if (!is_alive(ctx, id)) {
        container_sweep(ctx, id);
        log_info("runtime.swept", "container=%s", id);
    }
}

/* Calls `each` for every name in a directory that is an id. A missing directory has none. */
static void each_id(struct runtime_helper *r, const char *path,
                    void (*each)(struct runtime_helper *r, const char *id))
{
    DIR *d = opendir(path);
    struct dirent *ent;

    if (d == NULL) {
        return;
    }
    while ((ent = readdir(d))) {
        if (helper_id_ok(str_of(ent->d_name))) {
            each(r, ent->d_name);
        }
    }
    (void)closedir(d);
}

static void sweep_state(struct runtime_helper *r, const char *id)
{
    sweep_one(r, id);
}

int runtime_helper_adopt(struct runtime_helper *r, struct helper_server *s, struct err *e)
{
    char path[160];

    r->server = s;
    if (clock_boot_id(r->boot, e) < 0) {
        return -1;
    }
    each_id(r, "jobs", adopt_one);
    (void)snprintf(path, sizeof(path), "strata-%s", r->instance);
    cgroup_children(&r->cgroups, path, sweep_one, r);
    (void)snprintf(path, sizeof(path), "%s/crun", r->run_dir);
    each_id(r, path, sweep_state);
    bridge_sweep(r->run_dir, is_alive, r);
    return 0;
}
