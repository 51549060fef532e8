#include "runtime/runtime_priv.h"

#include "base/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* SIGTERM and SIGHUP are for the helper's group; who holds a process ends when that does. */
int child_become(const char *name, struct err *e)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)setsid();
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)umask(022);
    (void)prctl(PR_SET_NAME, name);
    return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? err_sys(e, "become a subreaper") : 0;
}

void child_keep_only(int fd)
{
    SCOPED(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; i < 3 && null > 2; i++) {
        (void)dup2(null, i);
    }
    if (fd > 3) {
        (void)close_range(3, (unsigned)fd - 1, 0);
    }
    (void)close_range((unsigned)fd + 1, ~0U, 0);
}

/* Between fork and execve. */
void child_exec(const char *const *argv, const int stdio[3])
{
    static const char *const env[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 3; i++) {
        (void)dup2(stdio[i], i);
    }
    (void)execve(argv[0], (char *const *)argv, (char *const *)env);
    _exit(127);
}
