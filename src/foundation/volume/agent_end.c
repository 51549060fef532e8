/* Before an agent starts, every other of its volume is ended: one that was given up may be stopped
 * in a slow disk, with a request in its queue that it would obey hours later. */
#include "volume/confine.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define END_MS 10000 /* a killed process ends when its disk answers */

static bool has_our_name(int proc, const char *pid)
{
    SCOPED(buf_done) struct buf name = BUF_MAX(4096);
    struct err ignored;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/comm", pid);
    return fs_read(proc, path, &name, &ignored) == 0 &&
           str_eq_c(buf_str(&name), VOLUME_AGENT_COMM "\n");
}

/* Whether one of its cgroups is that of a container, ".../strata-<16 hex>/<id>": a job can call a
 * process what it likes and give it what root it likes, but not take it out of there. */
static bool is_in_container(int proc, const char *pid)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(64 * 1024);
    struct err ignored;
    struct str rest;
    char path[300];
    ptrdiff_t at;

    (void)snprintf(path, sizeof(path), "%s/cgroup", pid);
    if (fs_read(proc, path, &text, &ignored) < 0) {
        return false;
    }
    rest = buf_str(&text);
    while ((at = str_find(rest, STR("/strata-"))) >= 0) {
        rest = str_from(rest, (size_t)at + strlen("/strata-"));
        if (rest.len > 16 && strspn(rest.p, "0123456789abcdef") == 16 && rest.p[16] == '/') {
            return true;
        }
    }
    return false;
}

/* 1: its root is the volume and it is no job's. */
static int is_agent_of(int proc, const char *pid, const struct stat *volume, struct err *e)
{
    struct stat root;
    char path[300];

    if (!has_our_name(proc, pid)) {
        return 0;
    }
    (void)snprintf(path, sizeof(path), "%s/root", pid);
    if (fstatat(proc, path, &root, 0) < 0) {
        return errno == ENOENT || errno == ESRCH || errno == EACCES || errno == EPERM
                   ? 0
                   : err_sys(e, "look at process %s", pid);
    }
    return root.st_dev == volume->st_dev && root.st_ino == volume->st_ino &&
           !is_in_container(proc, pid);
}

static int end_one(int pidfd, struct err *e)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    int rc;

    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
        return err_sys(e, "end an earlier files agent of the volume");
    }
    do {
        rc = poll(&gone, 1, END_MS);
    } while (rc < 0 && errno == EINTR);
    return rc > 0 ? 0
                  : err_set(e, ERR_UNAVAILABLE,
                            "an earlier request to the volume hangs in its disk; try again later");
}

/* The descriptor comes before the look, so that the look is at the process that gets the signal. */
static int end_if_agent(int proc, const char *pid, const struct stat *volume, struct err *e)
{
    int number = (int)strtol(pid, NULL, 10), rc;
    SCOPED(closep) int pidfd = -1;

    if (number == 0 || number == (int)getpid()) {
        return 0;
    }
    pidfd = (int)syscall(SYS_pidfd_open, number, 0);
    if (pidfd < 0) {
        return errno == ESRCH || errno == EINVAL ? 0 : err_sys(e, "open process %s", pid);
    }
    rc = is_agent_of(proc, pid, volume, e);
    return rc <= 0 ? rc : end_one(pidfd, e);
}

int volume_end_agents(int proc, const char *volume, struct err *e)
{
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    struct stat st;

    if (d == NULL) {
        closep(&fd);
        return err_sys(e, "list the processes");
    }
    if (stat(volume, &st) < 0) {
        rc = err_sys(e, "look at %s", volume);
    }
    while (rc == 0 && (ent = readdir(d)) != NULL) {
        rc = end_if_agent(proc, ent->d_name, &st, e);
    }
    (void)closedir(d);
    return rc;
}
