#include "runtime/containers.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

#define KILL_DEADLINE_MS 2000

/* --- the table --- */

struct container *container_new(struct runtime_helper *r, const char *id)
{
    struct container *c = xnew(struct container);

    c->owner = r;
    c->shim = c->answer = -1;
    c->answer_bytes = BUF_MAX(RUNTIME_RECORD_MAX);
    (void)snprintf(c->status.id, sizeof(c->status.id), "%s", id);
    c->status.running = true;
    list_append(&r->containers, &c->link);
    return c;
}

void container_unwatch(struct container *c, int *fd)
{
    if (*fd >= 0 && c->owner->server) {
        helper_unwatch(c->owner->server, *fd);
    }
    closep(fd);
}

void container_free(struct container *c)
{
    list_remove(&c->link);
    container_unwatch(c, &c->shim);
    container_unwatch(c, &c->answer);
    buf_done(&c->answer_bytes);
    free(c);
}

struct container *container_find(struct runtime_helper *r, const char *id)
{
    list_each(it, &r->containers)
    {
        struct container *c = list_entry(it, struct container, link);

        if (strcmp(c->status.id, id) == 0) {
            return c;
        }
    }
    return NULL;
}

/* --- its end --- */

int container_read_exit(const char *id, struct runtime_status *out, struct err *e)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[96];
    int rc;

    (void)snprintf(path, sizeof(path), "jobs/%s/exit", id);
    rc = fs_read(AT_FDCWD, path, &text, e);
    if (rc == 0) {
        rc = exit_record_parse(buf_str(&text), out, e);
    }
    buf_done(&text);
    return rc;
}

void container_read_shim(const char *id, struct shim_record *out)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[96];
    struct err ignored;

    (void)snprintf(path, sizeof(path), "jobs/%s/shim", id);
    if (fs_read(AT_FDCWD, path, &text, &ignored) < 0 ||
        shim_record_parse(buf_str(&text), out, &ignored) < 0) {
        *out = (struct shim_record){0};
    }
    buf_done(&text);
}

void container_sweep(struct runtime_helper *r, const char *id)
{
    char name[160];

    (void)snprintf(name, sizeof(name), "strata-%s/%s", r->instance, id);
    if (!cgroup_kill(&r->cgroups, name, clock_mono_ms() + KILL_DEADLINE_MS)) {
        log_error("runtime.kill_incomplete", "container=%s processes are left in its cgroup", id);
    }
    remains_sweep(&r->cgroups, r->instance, r->run_dir, id);
}

/* The shim is gone and left no word (somebody killed it): end what it held, then say so. */
void container_lost(struct container *c, const char *why)
{
    struct runtime_helper *r = c->owner;
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[160];
    struct err e = {0};

    c->status.end = RUNTIME_LOST;
    c->status.code = 0;
    c->status.ended_ms = clock_wall_ms();
    (void)snprintf(c->status.detail, sizeof(c->status.detail), "%s", why);
    container_sweep(r, c->status.id);
    exit_record_put(&text, &c->status);
    (void)snprintf(path, sizeof(path), "jobs/%s/exit", c->status.id);
    if (fs_write_atomic(AT_FDCWD, path, buf_str(&text), 0640, &e) < 0) {
        log_error("runtime.exit_unwritten", "container=%s error=%s", c->status.id,
                  Q(str_of(e.msg)));
    }
    buf_done(&text);
}

void container_emit_end(struct container *c)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);

    status_put(&b, &c->status);
    helper_emit(c->owner->server, HELPER_EVENT_CONTAINER_EXITED, buf_str(&b));
    buf_done(&b);
}

void container_finish(struct container *c)
{
    struct runtime_status st = c->status;
    struct err e = {0};

    if (container_read_exit(c->status.id, &st, &e) == 0) {
        st.running = false;
        c->status = st;
    } else {
        c->status.running = false;
        container_lost(c, "the shim that held the container was killed");
    }
    c->phase = ENDED;
}

void container_refresh(struct container *c)
{
    if (c->phase == RUNNING && c->record.init == 0) {
        container_read_shim(c->status.id, &c->record);
        c->status.started_ms = c->record.started_ms;
    }
}

static void note_ooms(const struct container *c)
{
    char name[160];

    (void)snprintf(name, sizeof(name), "strata-%s/%s", c->owner->instance, c->status.id);
    ooms_before_signal_note(c->status.id, cgroup_oom_kills(&c->owner->cgroups, name));
}

int container_signal(struct container *c, int signal, struct err *e)
{
    SCOPED(closep) int init = process_open(c->record.init, c->record.init_start);

    if (init < 0) {
        return 0; /* gone already; its shim is about to say so */
    }
    note_ooms(c);
    if (pidfd_send_signal(init, signal, NULL, 0) < 0 && errno != ESRCH) {
        return err_sys(e, "signal %d to container %s", signal, c->status.id);
    }
    return 0;
}

int container_get_id(struct wire_reader *r, char id[65], struct err *e)
{
    wire_get_name(r, id, 65);
    if (!r->failed && !helper_id_ok(str_of(id))) {
        return err_set(e, ERR_INVALID, "container id %.80s is not [a-z0-9-]{1,64}", id);
    }
    return 0;
}
