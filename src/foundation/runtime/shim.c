#include "runtime/shim_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h clashes with sys/wait.h */
#endif

/* --- before crun --- */

/* Not synced: it serves a helper that is started again. After a power loss nothing runs, and that
 * is found without it. Renamed, so that a helper never reads half of one. */
static int write_record(struct shim *s, struct err *e)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[96], tmp[96];
    SCOPED(closep) int fd = -1;
    int rc;

    (void)snprintf(path, sizeof(path), "%s/shim", s->dir);
    (void)snprintf(tmp, sizeof(tmp), "%s/shim.tmp", s->dir);
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return err_sys(e, "create %s", tmp);
    }
    shim_record_put(&text, &s->record);
    rc = fs_write_all(fd, buf_str(&text), e);
    buf_done(&text);
    if (rc == 0 && rename(tmp, path) < 0) {
        rc = err_sys(e, "rename to %s", path);
    }
    return rc;
}

static int own_record(struct shim *s, struct err *e)
{
    struct process_stat st;

    if (process_stat_of(getpid(), &st, e) < 0 || clock_boot_id(s->record.boot, e) < 0) {
        return -1;
    }
    s->record.pid = getpid();
    s->record.start = st.start;
    if (write_record(s, e) < 0) {
        return -1;
    }
    /* A helper that dies from now on is followed by one that finds the record. If ours died before,
     * the next one may have looked already: then nobody would know this container. */
    if (getppid() != s->job->helper) {
        return err_set(e, ERR_CONFLICT, "the helper died");
    }
    return 0;
}

/* What the server reads is born with its group: it may be looking already, and between a creation
 * and a chown it would be refused. The mode is whole, for the umask is ours. */
static int make_dir(struct shim *s, struct err *e)
{
    int rc;

    (void)setfsgid(s->job->group);
    rc = mkdir(s->dir, 0750);
    (void)setfsgid(0);
    if (rc < 0) {
        return errno == EEXIST ? err_set(e, ERR_CONFLICT, "container %s exists already", s->id)
                               : err_sys(e, "mkdir %s", s->dir);
    }
    return 0;
}

static int open_log(struct shim *s, struct err *e)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/log", s->dir);
    (void)setfsgid(s->job->group);
    s->log = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
    (void)setfsgid(0);
    return s->log < 0 ? err_sys(e, "create %s", path) : 0;
}

/* Whose container it is, where the exporter may read it. It is no secret: what `ps` shows. */
static int put_labels(const struct shim *s, struct err *e)
{
    SCOPED(closep) int fd = -1;
    char path[96];

    if (!s->job->spec->labels || !*s->job->spec->labels) {
        return 0;
    }
    (void)snprintf(path, sizeof(path), "%s/labels", s->dir);
    (void)setfsgid(s->job->group);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    (void)setfsgid(0);
    return fd < 0 ? err_sys(e, "create %s", path)
                  : fs_write_all(fd, str_of(s->job->spec->labels), e);
}

/* The container writes into a pipe of ours and we into the log. crun gives the descriptors it hands
 * on to the container's user (fchown), on the host's inode: a log handed on directly would from
 * then on be the job's to truncate and unreadable for the server, and /dev/null would change its
 * owner. A pipe may be owned by anybody, /dev/stdout and /dev/stderr can be opened by name as
 * people expect, and no restart of ours is in the way. */
static int open_output(struct shim *s, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    s->output = ends[0];
    s->output_writer = ends[1];
    return fcntl(s->output, F_SETFL, O_NONBLOCK) < 0 ? err_sys(e, "pipe") : 0;
}

/* A job may fill the disk, and its exit code must still fit. */
static int reserve_exit(struct shim *s, struct err *e)
{
    char path[96];
    int rc;

    (void)snprintf(path, sizeof(path), "%s/exit.tmp", s->dir);
    s->exit = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (s->exit < 0) {
        return err_sys(e, "create %s", path);
    }
    rc = posix_fallocate(s->exit, 0, RUNTIME_RECORD_MAX);
    if (rc != 0) {
        errno = rc;
        return err_sys(e, "room for %s", path);
    }
    return 0;
}

static int find_devices(const struct runtime_spec *spec, struct bundle_device *out, size_t *n,
                        struct err *e)
{
    *n = 0;
    for (size_t i = 0; spec->devices && spec->devices[i]; i++) {
        struct stat st;

        if (lstat(spec->devices[i], &st) < 0) {
            return err_sys(e, "device %s", spec->devices[i]);
        }
        if (!S_ISCHR(st.st_mode)) {
            return err_set(e, ERR_INVALID, "%s is no character device", spec->devices[i]);
        }
        out[(*n)++] =
            (struct bundle_device){spec->devices[i], major(st.st_rdev), minor(st.st_rdev)};
    }
    return 0;
}

/* It holds the job's secrets: in the box, which is memory and goes with us, never on a disk. */
static int put_in_box(const struct shim *s, const char *name, const struct bundle *b,
                      int (*write)(const struct bundle *b, struct buf *out, struct err *e),
                      struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(RUNTIME_CONFIG_MAX);
    SCOPED(closep) int fd = -1;
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", s->box, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_sys(e, "create %s", path);
    }
    return write(b, &text, e) < 0 ? -1 : fs_write_all(fd, buf_str(&text), e);
}

static int write_config(struct shim *s, struct err *e)
{
    const struct shim_job *job = s->job;
    struct image_user user;
    struct bundle_device devices[RUNTIME_DEVICES_MAX];
    char cgroup[sizeof(s->cgroup) + 1], path[160];
    struct bundle b = {.spec = job->spec,
                       .user = &user,
                       .cgroups = job->cgroups,
                       .box = s->box,
                       .cgroup = cgroup,
                       .seccomp = job->seccomp,
                       .devices = devices};
    SCOPED(closep) int rootfs = -1;

    (void)snprintf(cgroup, sizeof(cgroup), "/%s", s->cgroup);
    (void)snprintf(path, sizeof(path), "%s/rootfs", s->box);
    rootfs = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rootfs < 0) {
        return err_sys(e, "open %s", path);
    }
    if (image_user_find(rootfs, job->spec->user, &user, e) < 0 ||
        tree_names(rootfs, &b.names, e) < 0 ||
        find_devices(job->spec, devices, &b.n_devices, e) < 0) {
        return -1;
    }
    return put_in_box(s, "config.json", &b, bundle_write, e) < 0 ||
                   put_in_box(s, "process", &b, bundle_process, e) < 0
               ? -1
               : 0;
}

static int make_container(struct shim *s, struct err *e)
{
    if (child_become("strata-shim", e) < 0 || make_dir(s, e) < 0 || own_record(s, e) < 0 ||
        box_make(s->job, s->box, e) < 0) {
        return -1;
    }
    child_keep_only(s->job->answer); /* rootfs may keep descriptors for box_make */
    if (open_log(s, e) < 0 || put_labels(s, e) < 0 || reserve_exit(s, e) < 0 ||
        open_output(s, e) < 0 || write_config(s, e) < 0 || shim_start_crun(s, e) < 0) {
        return -1;
    }
    s->record.started_ms = clock_wall_ms();
    return write_record(s, e);
}

/* --- answering --- */

static void answer(struct shim *s, const struct err *e)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err ignored;

    wire_put_u64(&b, e ? e->kind : ERR_NONE);
    if (e) {
        wire_put_u64(&b, (uint64_t)(uint32_t)e->sys);
        wire_put_str(&b, str_of(e->msg));
    } else {
        struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);

        shim_record_put(&text, &s->record);
        wire_put_str(&b, buf_str(&text));
        buf_done(&text);
    }
    (void)!fs_write_all(s->job->answer, buf_str(&b), &ignored);
    (void)close(s->job->answer);
    buf_done(&b);
}

int shim_answer_parse(struct str bytes, struct shim_record *out, struct err *e)
{
    struct wire_reader r = {bytes, false};
    uint64_t kind = wire_get_u64(&r), sys = 0;
    struct str text;
    struct err ignored;

    if (!r.failed && kind != ERR_NONE) {
        sys = wire_get_u64(&r);
    }
    text = wire_get_str(&r);
    if (wire_end(&r, &ignored) < 0 || kind >= ERR_KINDS) {
        return err_set(e, ERR_INTERNAL, "the container's shim ended before it answered");
    }
    if (kind == ERR_NONE) {
        return shim_record_parse(text, out, e);
    }
    err_set(e, (enum err_kind)kind, "%.*s", STR_ARG(text));
    e->sys = (int)sys;
    return -1;
}

/* --- the end --- */

/* The disk may be full: the job goes on, and its log says at the end what is missing. */
static void append(struct shim *s, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(s->log, bytes.p, bytes.len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            s->lost += bytes.len;
            return;
        }
        s->logged += n;
        bytes = str_from(bytes, (size_t)n);
    }
}

/* A job that writes without end must not take the disk from everybody: it goes on, unheard. */
static void append_output(struct shim *s, struct str bytes)
{
    int64_t max = s->job->spec->log_max_bytes;
    struct str kept = max > 0 ? str_first(bytes, (size_t)(max - s->logged)) : bytes;

    append(s, kept);
    s->cut += bytes.len - kept.len;
}

/* Moves what is there. False when nobody can write any more. */
static bool move_output(struct shim *s)
{
    char block[65536];
    ssize_t n;

    while ((n = read(s->output, block, sizeof(block))) > 0) {
        append_output(s, str_n(block, (size_t)n));
    }
    return n < 0;
}

/* crun's own processes became our children when it ended; unless waited for, one would stay a
 * zombie as long as the container runs. The container's process is not touched. */
static void reap_others(const struct shim *s)
{
    siginfo_t si = {0};

    while (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid > 0 &&
           si.si_pid != s->record.init) {
        (void)waitpid(si.si_pid, NULL, 0);
        si.si_pid = 0;
    }
}

/* Becomes readable when a child ends, also one that crun leaves behind a moment after its own end.
 */
static int watch_children(const sigset_t *child)
{
    return sigprocmask(SIG_BLOCK, child, NULL) < 0
               ? -1
               : signalfd(-1, child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void wait_for_init(struct shim *s, siginfo_t *si)
{
    sigset_t child;
    struct signalfd_siginfo ignored;
    struct pollfd p[3] = {{.fd = s->init, .events = POLLIN}, {.fd = s->output, .events = POLLIN}};

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    p[2] = (struct pollfd){.fd = watch_children(&child), .events = POLLIN};
    for (;;) {
        reap_others(s);
        if (poll(p, 3, shim_usage_wait_ms(s)) < 0) {
            continue;
        }
        if (p[2].revents) {
            (void)!read(p[2].fd, &ignored, sizeof(ignored));
        }
        if (p[1].revents && !move_output(s)) {
            p[1].fd = -1; /* closed by the container, which may go on */
        }
        shim_usage_tick(s);
        if (p[0].revents && waitid((idtype_t)P_PIDFD, (id_t)s->init, si, WEXITED) == 0) {
            break;
        }
    }
    if (p[2].fd >= 0) {
        (void)close(p[2].fd);
    }
    (void)sigprocmask(SIG_UNBLOCK, &child, NULL); /* what is started later inherits the mask */
}

static void say_what_is_missing(struct shim *s, uint64_t bytes, const char *why)
{
    char line[160];

    if (bytes > 0) {
        (void)snprintf(line, sizeof(line), "\n[strata: %llu bytes of output are lost: %s]\n",
                       (unsigned long long)bytes, why);
        append(s, str_of(line));
    }
}

static void finish_log(struct shim *s)
{
    char limit[16], why[80];

    (void)move_output(s);
    say_what_is_missing(s, s->lost, "disk full");
    (void)snprintf(why, sizeof(why), "jobs.log_max is %s",
                   str_format_bytes(s->job->spec->log_max_bytes, limit));
    say_what_is_missing(s, s->cut, why);
    if (lseek(s->log, 0, SEEK_END) > 0) {
        (void)fdatasync(
            s->log); /* who reads the exit code finds the whole log, also after a crash */
    }
}

/* Into the room that was reserved: takes no block of a disk that may be full. */
static int fill_reserved(struct shim *s, const char *path, struct str text)
{
    char tmp[96];
    struct err ignored;

    (void)snprintf(tmp, sizeof(tmp), "%s/exit.tmp", s->dir);
    if (s->exit < 0 || fs_write_all(s->exit, text, &ignored) < 0 ||
        ftruncate(s->exit, (off_t)text.len) < 0 || fsync(s->exit) < 0 || rename(tmp, path) < 0) {
        return -1;
    }
    return fs_sync_dir(AT_FDCWD, s->dir, &ignored);
}

static void write_exit(struct shim *s, struct runtime_status *st)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[96];
    struct err ignored;

    (void)snprintf(path, sizeof(path), "%s/exit", s->dir);
    exit_record_put(&text, st);
    /* Who reads it finds its log beside it, also after a crash. */
    (void)!fs_sync_dir(AT_FDCWD, "jobs", &ignored);
    if (fill_reserved(s, path, buf_str(&text)) < 0) {
        (void)!fs_write_atomic(AT_FDCWD, path, buf_str(&text), 0640, &ignored);
    }
    buf_done(&text);
}

/* A shell whose child was killed for memory says 137; one that coped says what it likes. */
static void judge_end(const siginfo_t *si, int64_t oom_kills, struct runtime_status *st)
{
    bool killed = si->si_code == CLD_KILLED || si->si_code == CLD_DUMPED;

    st->end = killed ? RUNTIME_SIGNALED : RUNTIME_EXITED;
    st->code = si->si_status;
    if (oom_kills > 0 && ((killed && st->code == SIGKILL) || (!killed && st->code == 137))) {
        st->end = RUNTIME_OOM;
        st->code = SIGKILL;
    }
}

static void record_end(struct shim *s, const siginfo_t *si)
{
    struct runtime_status st = {.started_ms = s->record.started_ms, .ended_ms = clock_wall_ms()};
    struct runtime_sample last;

    cgroup_meter_read(&s->usage.meter, &last);
    status_set_figures(&st, &last);
    judge_end(si, cgroup_oom_kills(s->job->cgroups, s->cgroup) - ooms_before_signal(s->id), &st);
    finish_log(s);
    shim_usage_add(s, &last);
    write_exit(s, &st);
}

/* The start failed. Whatever there is of a container ends; why is kept for a helper that did not
 * hear the answer. */
static void give_up(struct shim *s, const struct err *why)
{
    struct runtime_status st = {.end = s->start_code ? RUNTIME_EXITED : RUNTIME_LOST,
                                .code = s->start_code,
                                .ended_ms = clock_wall_ms()};

    (void)cgroup_kill(s->job->cgroups, s->cgroup, clock_mono_ms() + 2000);
    (void)snprintf(st.detail, sizeof(st.detail), "%s", why->msg);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    write_exit(s, &st);
    remains_sweep(s->job->cgroups, s->job->instance, s->job->run_dir, s->id);
}

/* Nothing was made yet but the record. */
static void withdraw(const struct shim *s)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/shim", s->dir);
    (void)unlink(path);
    (void)rmdir(s->dir);
}

void shim_main(const struct shim_job *job)
{
    struct shim s = {.job = job,
                     .id = job->spec->id,
                     .log = -1,
                     .output = -1,
                     .output_writer = -1,
                     .exit = -1,
                     .init = -1};
    siginfo_t si = {0};
    struct err e = {0};

    (void)snprintf(s.dir, sizeof(s.dir), "jobs/%s", s.id);
    (void)snprintf(s.cgroup, sizeof(s.cgroup), "strata-%s/%s", job->instance, s.id);
    if (make_container(&s, &e) < 0) {
        if (s.record.pid == 0) {
            /* the directory is not ours */
        } else if (s.log < 0 && e.kind == ERR_CONFLICT) {
            withdraw(&s);
        } else {
            give_up(&s, &e);
        }
        answer(&s, &e);
        _exit(1);
    }
    answer(&s, NULL);
    shim_usage_begin(&s);
    wait_for_init(&s, &si);
    record_end(&s, &si);
    remains_sweep(job->cgroups, job->instance, job->run_dir, s.id);
    _exit(0);
}
