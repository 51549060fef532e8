/* The supervisor: makes the ground ready, starts helper and server, and starts them again when one
 * of them dies. Running containers do not notice: their shims hold them. The exporter is started
 * beside them, alone. */
#include "main/main_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_SERVER_MS = 8000,
    STOP_HELPER_MS = 1500,
    RESTART_MAX_MS = 5000,
    FIRST_START_MS = 30000,
    EXPORTER_AGAIN_MS = 5000
};

struct supervisor {
    struct boot boot;
    pid_t server, helper, exporter; /* 0: not running */
    int64_t exporter_at_ms;         /* it is not started again before; -1: never */
    int lock_fd;                    /* of the state directory: held by all but the exporter */
    int exit_code;
    int64_t restart_ms; /* wait before the next start: grows while starts keep failing */
    int64_t started_ms;
    unsigned n_starts;
    bool stopping;       /* for good */
    bool stopping_other; /* one role died: the other one's end is our doing */
};

/* The server may make files in the state directory, and root reads this one: root must have made
 * it. Looked at before it is opened: a fifo would hold us for ever. */
static int check_owner(const char *path, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) < 0) {
        return err_sys(e, "look at %s", path);
    }
    if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid())) {
        return err_set(e, ERR_FORBIDDEN,
                       "%s is not a regular file of root: look at it, then chown root it, or name "
                       "another one with --config",
                       path);
    }
    return 0;
}

static int load_file(struct cfg *c, const char *path, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_SPEC_BYTES);
    SCOPED(err_list_done) struct err_list errors = {0};

    if (fs_read(AT_FDCWD, path, &text, e) < 0) {
        return -1;
    }
    cfg_load(c, buf_str(&text), &errors);
    return err_list_result(&errors, path, e);
}

int up_load_config(const struct up_options *o, struct cfg **out, struct err *e)
{
    SCOPED(cfg_freep) struct cfg *c = cfg_new(all_config);
    SCOPED(freep)
    char *path =
        o->config ? xstrdup(o->config)
                  : xasprintf("%s/strata.yaml", o->state_dir ? o->state_dir : STRATA_DEFAULT_STATE);

    if (o->config
            ? load_file(c, path, e) < 0
            : access(path, F_OK) == 0 && (check_owner(path, e) < 0 || load_file(c, path, e) < 0)) {
        return -1;
    }
    for (size_t i = 0; i < o->n_set; i++) {
        if (cfg_set(c, str_of(o->set[i]), e) < 0) {
            return -1;
        }
    }
    if (o->listen) {
        SCOPED(freep) char *assignment = xasprintf("net.listen=%s", o->listen);

        if (cfg_set(c, str_of(assignment), e) < 0) {
            return -1;
        }
    }
    *out = TAKE(c);
    return 0;
}

static void log_check(void *ctx UNUSED, const char *check, enum doctor_level level,
                      const char *found, const char *mend)
{
    if (level == DOCTOR_FAIL) {
        log_error("host.check", "check=%s found=%s mend=%s", check, Q(str_of(found)),
                  Q(str_of(mend)));
    } else if (level == DOCTOR_WARN || level == DOCTOR_MENDED) {
        log_warn("host.check", "check=%s found=%s %s=%s", check, Q(str_of(found)),
                 level == DOCTOR_MENDED ? "mended" : "mend", Q(str_of(mend)));
    }
}

/* In the child: signals as at program start, and an end when the supervisor is killed. */
static void become_child(const char *name, pid_t parent, const sigset_t *signals)
{
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != parent) {
        _exit(EX_TEMPFAIL); /* it died before the line above */
    }
    (void)sigprocmask(SIG_UNBLOCK, signals, NULL);
    log_set_role(name + strlen("strata-"));
}

static pid_t start_role(struct supervisor *s, const char *name, const sigset_t *signals, int own,
                        int others, int (*role)(const struct boot *b, int socket))
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        closep(&others);
        become_child(name, parent, signals);
        _exit(role(&s->boot, own));
    }
    return pid;
}

static int start_both(struct supervisor *s, const sigset_t *signals, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return err_sys(e, "socketpair");
    }
    s->started_ms = clock_mono_ms();
    s->n_starts++;
    s->helper = start_role(s, "strata-helper", signals, pair[0], pair[1], helper_role);
    s->server = start_role(s, "strata-server", signals, pair[1], pair[0], server_role);
    (void)close(pair[0]);
    (void)close(pair[1]);
    s->boot.reset_admin = false; /* a role that is started again must not do it again */
    if (s->helper < 0 || s->server < 0) {
        return err_sys(e, "fork");
    }
    log_debug("up.started", "server=%d helper=%d", (int)s->server, (int)s->helper);
    return 0;
}

/* It needs nobody and nobody needs it: its end ends no other, and it comes back after a while. */
static void start_exporter(struct supervisor *s, const sigset_t *signals)
{
    if (s->exporter > 0 || s->exporter_at_ms < 0 || clock_mono_ms() < s->exporter_at_ms) {
        return;
    }
    s->exporter = start_role(s, "strata-exporter", signals, -1, s->lock_fd, exporter_role);
    s->exporter_at_ms = clock_mono_ms() + EXPORTER_AGAIN_MS;
    if (s->exporter < 0) {
        s->exporter = 0;
        log_warn("up.no_exporter", "%s; trying again", strerror(errno));
    }
}

/* One of ours ended: note it. A server that ends by itself with an error (port in use, state of a
 * newer version) would do so again, so its code becomes ours; a role that was killed is started
 * again. */
static void note_end(struct supervisor *s, pid_t pid, int status)
{
    bool is_server = pid == s->server;

    if (pid == s->exporter) {
        s->exporter = 0;
        if (!s->stopping) {
            log_warn("up.role_ended", "role=exporter %s=%d; starting again in a moment",
                     WIFSIGNALED(status) ? "signal" : "code",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
        return;
    }
    if (!is_server && pid != s->helper) {
        return;
    }
    *(is_server ? &s->server : &s->helper) = 0;
    if (is_server && WIFEXITED(status) && WEXITSTATUS(status) != 0 && s->n_starts == 1 &&
        clock_mono_ms() - s->started_ms < FIRST_START_MS) {
        s->exit_code = WEXITSTATUS(status);
        s->stopping = true;
    } else if (!is_server && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        /* the server is gone, and the helper left because of that: it has its own line */
    } else if (!s->stopping && !s->stopping_other) {
        log_error("up.role_ended", "role=%s %s=%d; starting again", is_server ? "server" : "helper",
                  WIFSIGNALED(status) ? "signal" : "code",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        note_end(s, pid, status);
    }
}

/* Waits for a signal of ours until the deadline (-1: for ever); 0 at the deadline. */
static int wait_signal(const sigset_t *signals, int64_t deadline_mono_ms)
{
    int64_t left = deadline_mono_ms - clock_mono_ms();
    struct timespec ts = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    int sig;

    if (deadline_mono_ms < 0) {
        sig = sigwaitinfo(signals, NULL);
    } else if (left <= 0) {
        return 0;
    } else {
        sig = sigtimedwait(signals, NULL, &ts);
    }
    return sig > 0 ? sig : errno == EINTR ? SIGCHLD : 0;
}

static void stop_one(struct supervisor *s, pid_t *pid, unsigned within_ms, const sigset_t *signals)
{
    int64_t deadline = clock_mono_ms() + within_ms;

    if (*pid > 0) {
        (void)kill(*pid, SIGTERM);
    }
    while (*pid > 0) {
        if (wait_signal(signals, deadline) == 0) {
            log_warn("up.slow_stop", "pid=%d did not stop within %u ms; killing it", (int)*pid,
                     within_ms);
            (void)kill(*pid, SIGKILL);
            deadline = clock_mono_ms() + 1000;
        }
        reap(s);
    }
}

/* Server first: it asks the helper for nothing any more when it has drained. */
static void stop_both(struct supervisor *s, const sigset_t *signals)
{
    stop_one(s, &s->server, STOP_SERVER_MS, signals);
    stop_one(s, &s->helper, STOP_HELPER_MS, signals);
}

static void wait_before_restart(struct supervisor *s, const sigset_t *signals)
{
    int64_t deadline;

    if (clock_mono_ms() - s->started_ms > 10000) {
        s->restart_ms = 0; /* it ran well: this is no loop of failing starts */
    }
    deadline = clock_mono_ms() + s->restart_ms;
    s->restart_ms = s->restart_ms == 0 ? 50 : s->restart_ms * 2;
    s->restart_ms = s->restart_ms > RESTART_MAX_MS ? RESTART_MAX_MS : s->restart_ms;
    while (!s->stopping) {
        int sig = wait_signal(signals, deadline);

        if (sig == 0) {
            return;
        }
        s->stopping = sig == SIGTERM || sig == SIGINT;
    }
}

static int supervise(struct supervisor *s, const sigset_t *signals, struct err *e)
{
    while (!s->stopping) {
        if (start_both(s, signals, e) < 0) {
            s->stopping = true;
            stop_both(s, signals);
            stop_one(s, &s->exporter, STOP_HELPER_MS, signals);
            return -1;
        }
        while (!s->stopping && s->server > 0 && s->helper > 0) {
            int sig;

            start_exporter(s, signals);
            sig = wait_signal(signals,
                              s->exporter > 0 || s->exporter_at_ms < 0 ? -1 : s->exporter_at_ms);

            s->stopping = sig == SIGTERM || sig == SIGINT;
            reap(s);
        }
        if (!s->stopping) {
            s->stopping_other = true;
            stop_both(s, signals);
            s->stopping_other = false;
            wait_before_restart(s, signals);
        }
    }
    stop_both(s, signals);
    stop_one(s, &s->exporter, STOP_HELPER_MS, signals);
    return 0;
}

static int prepare(struct supervisor *s, const struct up_options *o, struct cfg **cfg, int *lock_fd,
                   struct err *e)
{
    struct boot *b = &s->boot;

    if (geteuid() != 0) {
        return err_set(e, ERR_FORBIDDEN,
                       "strata up starts containers and needs root: sudo strata up");
    }
    b->state_dir = o->state_dir ? o->state_dir : STRATA_DEFAULT_STATE;
    if (up_load_config(o, cfg, e) < 0 || exporter_check(*cfg, e) < 0 ||
        statedir_user(&b->uid, &b->gid, e) < 0 ||
        statedir_enter(b->state_dir, b->uid, b->gid, lock_fd, e) < 0 ||
        statedir_instance(b->instance, e) < 0) {
        return -1;
    }
    b->cfg = *cfg;
    b->reset_admin = o->reset_admin;
    s->lock_fd = *lock_fd;
    s->exporter_at_ms = cfg_str(*cfg, "exporter.listen").len > 0 ? 0 : -1;
    return 0;
}

int up_run(const struct up_options *o)
{
    struct supervisor s = {0};
    SCOPED(cfg_freep) struct cfg *cfg = NULL;
    SCOPED(closep) int lock_fd = -1;
    sigset_t signals;
    struct err e;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_role("up");
    (void)umask(022); /* containers' roots must pass the folders under /run */
    if (prepare(&s, o, &cfg, &lock_fd, &e) < 0) {
        (void)fprintf(stderr, "strata: %s\n", e.msg);
        return err_exit_code(e.kind);
    }
    (void)runtime_doctor(DOCTOR_MEND, log_check, NULL);
    if (supervise(&s, &signals, &e) < 0) {
        log_error("up.failed", "%s", e.msg);
        return err_exit_code(e.kind);
    }
    return s.exit_code;
}
