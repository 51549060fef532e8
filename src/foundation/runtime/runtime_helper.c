#include "runtime/runtime_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h clashes with sys/wait.h */
#endif

#define KILL_DEADLINE_MS 2000

enum phase { STARTING, RUNNING, ENDED };

/* A container this helper knows: started by it or found at adoption. Kept until CONTAINER_REMOVE.
 */
struct container {
    struct list link;
    struct runtime_helper *owner;
    enum phase phase;
    struct runtime_status status;
    struct shim_record record;
    int shim;   /* pidfd, -1 when ended */
    int answer; /* pipe from the shim while it starts */
    struct buf answer_bytes;
    struct helper_request *request; /* who asked for the start; NULL after adoption */
    int pending_signal;             /* asked for while it started */
};

/* The helper's one thread only. */
struct runtime_helper {
    struct rootfs_helper *rootfs;
    struct helper_server *server;
    char instance[33], run_dir[64];
    char boot[40];
    struct cgroups cgroups;
    struct buf seccomp; /* base64, made at the first start */
    struct list containers;
};

/* --- the table --- */

static struct container *container_new(struct runtime_helper *r, const char *id)
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

static void unwatch(struct container *c, int *fd)
{
    if (*fd >= 0 && c->owner->server) {
        helper_unwatch(c->owner->server, *fd);
    }
    closep(fd);
}

static void container_free(struct container *c)
{
    list_remove(&c->link);
    unwatch(c, &c->shim);
    unwatch(c, &c->answer);
    buf_done(&c->answer_bytes);
    free(c);
}

static struct container *container_find(struct runtime_helper *r, const char *id)
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

static int read_exit(const char *id, struct runtime_status *out, struct err *e)
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

/* The shim is gone and left no word (somebody killed it): end what it held, then say so. */
static void record_lost(struct container *c, const char *why)
{
    struct runtime_helper *r = c->owner;
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[160];
    struct err e = {0};

    c->status.end = RUNTIME_LOST;
    c->status.code = 0;
    c->status.ended_ms = clock_wall_ms();
    (void)snprintf(c->status.detail, sizeof(c->status.detail), "%s", why);
    (void)snprintf(path, sizeof(path), "strata-%s/%s", r->instance, c->status.id);
    if (!cgroup_kill(&r->cgroups, path, clock_mono_ms() + KILL_DEADLINE_MS)) {
        log_error("runtime.kill_incomplete", "container=%s processes are left in its cgroup",
                  c->status.id);
    }
    remains_sweep(&r->cgroups, r->instance, r->run_dir, c->status.id);
    exit_record_put(&text, &c->status);
    (void)snprintf(path, sizeof(path), "jobs/%s/exit", c->status.id);
    if (fs_write_atomic(AT_FDCWD, path, buf_str(&text), 0640, &e) < 0) {
        log_error("runtime.exit_unwritten", "container=%s error=%s", c->status.id,
                  Q(str_of(e.msg)));
    }
    buf_done(&text);
}

static void emit_end(struct container *c)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);

    status_put(&b, &c->status);
    helper_emit(c->owner->server, HELPER_EVENT_CONTAINER_EXITED, buf_str(&b));
    buf_done(&b);
}

static void finish(struct container *c)
{
    struct runtime_status st = c->status;
    struct err e = {0};

    if (read_exit(c->status.id, &st, &e) == 0) {
        st.running = false;
        c->status = st;
    } else {
        c->status.running = false;
        record_lost(c, "the shim that held the container was killed");
    }
    c->phase = ENDED;
}

/* --- starting --- */

/* Reads what the shim has said so far. */
static void read_answer(struct container *c)
{
    char block[1024];
    ssize_t n;

    while (c->answer >= 0 && (n = read(c->answer, block, sizeof(block))) > 0) {
        (void)buf_add(&c->answer_bytes, str_n(block, (size_t)n));
    }
}

static int signal_init(struct container *c, int signal, struct err *e)
{
    SCOPED(closep) int init = process_open(c->record.init, c->record.init_start);

    if (init < 0) {
        return 0; /* gone already; its shim is about to say so */
    }
    if (pidfd_send_signal(init, signal, NULL, 0) < 0 && errno != ESRCH) {
        return err_sys(e, "signal %d to container %s", signal, c->status.id);
    }
    return 0;
}

static void answer_running(struct container *c)
{
    struct helper_request *q = TAKE(c->request);
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err e = {0};

    c->phase = RUNNING;
    c->status.started_ms = c->record.started_ms;
    if (c->pending_signal && signal_init(c, c->pending_signal, &e) < 0) {
        log_warn("runtime.signal_failed", "%s", e.msg);
    }
    status_put(&b, &c->status);
    helper_answer(q, buf_str(&b), -1);
    buf_done(&b);
}

/* The pipe is at its end when the shim closed it, after it answered, or died. A start that failed
 * is answered when the shim has ended, so that the container can be removed at once. */
static void on_answer(void *ctx, int fd)
{
    struct container *c = ctx;
    struct err ignored;
    char probe;

    read_answer(c);
    if (read(fd, &probe, 1) == 0) {
        unwatch(c, &c->answer);
        if (shim_answer_parse(buf_str(&c->answer_bytes), &c->record, &ignored) == 0) {
            answer_running(c);
        }
    }
}

/* The directory of an id that was used before is not this container's: it is forgotten and nothing
 * there is touched. */
static void answer_failed(struct container *c)
{
    struct helper_request *q = TAKE(c->request);
    struct err e = {0};

    (void)!shim_answer_parse(buf_str(&c->answer_bytes), &c->record, &e);
    if (e.kind == ERR_CONFLICT) {
        container_free(c);
    } else {
        finish(c);
    }
    helper_answer_err(q, &e);
}

static void on_shim_end(void *ctx, int fd)
{
    struct container *c = ctx;
    siginfo_t si = {0};

    (void)waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG); /* not ours after adoption */
    if (c->answer >= 0) {
        on_answer(c, c->answer);
    }
    unwatch(c, &c->answer);
    unwatch(c, &c->shim);
    if (c->request) {
        answer_failed(c);
        return;
    }
    finish(c);
    emit_end(c);
}

static gid_t jobs_group(void)
{
    struct stat st;

    return stat("jobs", &st) == 0 ? st.st_gid : 0;
}

static int prepare(struct runtime_helper *r, struct crun *crun, struct err *e)
{
    /* `strata doctor --mend` may have mounted what was missing since. */
    bool trap = r->cgroups.mode == CGROUP_HYBRID && r->cgroups.v2_controllers[0] != '\0';

    if ((trap || r->cgroups.mode == CGROUP_NONE) && cgroups_load(&r->cgroups, e) < 0) {
        return -1;
    }
    if (r->cgroups.mode == CGROUP_NONE) {
        return err_set(e, ERR_UNAVAILABLE, "no cgroups are mounted: run `strata doctor`");
    }
    if (r->seccomp.len == 0 && seccomp_profile_bpf(&r->seccomp, e) < 0) {
        return -1;
    }
    return crun_find(crun, e);
}

static int watch_shim(struct container *c, pid_t pid, struct err *e)
{
    c->shim = pidfd_open(pid, 0);
    if (c->shim < 0) {
        return err_sys(e, "pidfd_open");
    }
    return helper_watch(c->owner->server, c->shim, on_shim_end, c, e);
}

static int fork_shim(struct runtime_helper *r, const struct runtime_spec *spec,
                     struct helper_request *q, struct err *e)
{
    struct shim_job job = {.spec = spec,
                           .rootfs = r->rootfs,
                           .cgroups = &r->cgroups,
                           .instance = r->instance,
                           .run_dir = r->run_dir,
                           .helper = getpid(),
                           .group = jobs_group()};
    struct container *c;
    int ends[2];
    pid_t pid;

    if (prepare(r, &job.crun, e) < 0) {
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    job.seccomp = buf_str(&r->seccomp);
    job.answer = ends[1];
    pid = fork();
    if (pid == 0) {
        shim_main(&job);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return err_sys(e, "fork");
    }
    c = container_new(r, spec->id);
    c->answer = ends[0];
    (void)fcntl(c->answer, F_SETFL, O_NONBLOCK);
    if (helper_watch(r->server, c->answer, on_answer, c, e) < 0 || watch_shim(c, pid, e) < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        container_free(c);
        return -1;
    }
    c->request = q;
    return 0;
}

static int handle_start(void *ctx, struct helper_request *q, struct str payload, int fd,
                        struct err *e)
{
    struct runtime_helper *r = ctx;
    struct arena a = {0};
    struct runtime_spec spec;
    int rc = spec_get(payload, &a, &spec, e);

    (void)fd;
    if (rc == 0) {
        rc = spec_check(&spec, e);
    }
    if (rc == 0 && container_find(r, spec.id)) {
        rc = err_set(e, ERR_CONFLICT, "container %s exists already", spec.id);
    }
    if (rc == 0) {
        rc = fork_shim(r, &spec, q, e);
    }
    arena_done(&a);
    return rc;
}

/* --- signal, list, stats --- */

static int get_id(struct wire_reader *r, char id[65], struct err *e)
{
    wire_get_name(r, id, 65);
    if (!r->failed && !helper_id_ok(str_of(id))) {
        return err_set(e, ERR_INVALID, "container id %.80s is not [a-z0-9-]{1,64}", id);
    }
    return 0;
}

static int handle_signal(void *ctx, struct helper_request *q, struct str payload, int fd,
                         struct err *e)
{
    struct wire_reader w = {payload, false};
    char id[65];
    uint64_t signal;
    struct container *c;

    (void)fd;
    if (get_id(&w, id, e) < 0) {
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
    if (c && c->phase == STARTING) {
        c->pending_signal = c->pending_signal == SIGKILL ? SIGKILL : (int)signal;
    } else if (c && c->phase == RUNNING && signal_init(c, (int)signal, e) < 0) {
        return -1;
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static void add_figures(const struct container *c, struct runtime_status *st)
{
    struct cgroup_figures f;
    char name[160];

    (void)snprintf(name, sizeof(name), "strata-%s/%s", c->owner->instance, c->status.id);
    cgroup_read(&c->owner->cgroups, name, &f);
    st->memory_peak_bytes = f.memory_peak_bytes;
    st->cpu_usec = f.cpu_usec;
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
    if (get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
        return -1;
    }
    c = container_find(ctx, id);
    if (c == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no container %s", id);
    }
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
    list_each(it, &r->containers) n++;
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

/* --- remove --- */

/* What a container leaves beside its log. `exit` goes last: while it is there the container is
 * listed. */
static const char *const leftovers[] = {"rootfs", "config.json", "shim", "shim.tmp", "exit"};

static int remove_files(const char *id, struct err *e)
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

static int handle_remove(void *ctx, struct helper_request *q, struct str payload, int fd,
                         struct err *e)
{
    struct runtime_helper *r = ctx;
    struct wire_reader w = {payload, false};
    struct container *c;
    char id[65];

    (void)fd;
    if (get_id(&w, id, e) < 0 || wire_end(&w, e) < 0) {
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

/* --- adoption --- */

static void read_shim(const char *id, struct shim_record *out)
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

/* The shim writes its record again when the container runs; a helper that adopts it in between
 * looks again when it is asked. */
static void adopt_live(struct container *c, int pidfd, struct err *e)
{
    c->shim = pidfd;
    c->phase = RUNNING;
    c->status.started_ms = c->record.started_ms;
    if (helper_watch(c->owner->server, pidfd, on_shim_end, c, e) < 0) {
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
    read_shim(id, &record);
    if (record.pid > 0 && strcmp(record.boot, r->boot) == 0) {
        pidfd = process_open(record.pid, record.start);
    }
    ended = read_exit(id, &st, &e) == 0;
    if (pidfd < 0 && !ended && record.pid == 0) {
        (void)!remove_files(id, &e); /* it died before it began, or was removed */
        return;
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
        record_lost(c, strcmp(record.boot, r->boot) == 0
                           ? "the shim that held the container was killed"
                           : "the machine was started anew while the container ran");
    }
    emit_end(c);
}

static bool is_alive(void *ctx, const char *id)
{
    struct container *c = container_find(ctx, id);

    return c && c->phase != ENDED;
}

static void sweep_one(void *ctx, const char *id)
{
    struct runtime_helper *r = ctx;
    char name[160];

    if (is_alive(r, id)) {
        return;
    }
    (void)snprintf(name, sizeof(name), "strata-%s/%s", r->instance, id);
    (void)cgroup_kill(&r->cgroups, name, clock_mono_ms() + KILL_DEADLINE_MS);
    remains_sweep(&r->cgroups, r->instance, r->run_dir, id);
    log_info("runtime.swept", "container=%s", id);
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
    if (boot_id_read(r->boot, e) < 0) {
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

/* --- the helper's part --- */

/* The box lies below: the root of a container, nobody on the host, must be able to search there. */
static int make_run_dirs(const char *run_dir, struct err *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"", 0711}, {"/crun", 0700}, {"/box", 0711}};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        char path[96];

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
    buf_done(&r->seccomp);
    free(r);
}

const struct helper_operation runtime_operations[] = {
    {HELPER_CONTAINER_START, handle_start, NULL},
    {HELPER_CONTAINER_SIGNAL, handle_signal, NULL},
    {HELPER_CONTAINER_LIST, handle_list, NULL},
    {HELPER_CONTAINER_STATS, handle_stats, NULL},
    {HELPER_CONTAINER_REMOVE, handle_remove, NULL},
    {HELPER_HOST_CHECK, doctor_handle, NULL},
    {0},
};
