#include "main/main_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 3000, LOCK_TRY_MS = 20 };

static int make_user(struct err *e)
{
    static char *const argv[] = {"useradd",           "--system",     "--no-create-home",
                                 "--home-dir",        "/nonexistent", "--shell",
                                 "/usr/sbin/nologin", STRATA_USER,    NULL};
    static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    int status = -1, rc;
    pid_t pid;

    rc = posix_spawn(&pid, "/usr/sbin/useradd", NULL, NULL, argv, env);
    if (rc != 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
        return err_set(e, ERR_UNAVAILABLE,
                       "there is no user '" STRATA_USER "' and it could not be made: run "
                       "useradd --system --no-create-home " STRATA_USER);
    }
    return 0;
}

int statedir_user(uid_t *uid, gid_t *gid, struct err *e)
{
    struct passwd *pw = getpwnam(STRATA_USER);

    if (pw == NULL) {
        if (make_user(e) < 0) {
            return -1;
        }
        pw = getpwnam(STRATA_USER);
    }
    if (pw == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "the user '" STRATA_USER "' does not exist");
    }
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    return 0;
}

/* A new name in a directory is there after a power loss when that directory was synced. */
static int make_dir(const char *path, mode_t mode, struct err *e)
{
    SCOPED(freep) char *p = xstrdup(path);

    if (mkdir(path, mode) < 0) {
        return errno == EEXIST ? 0 : err_sys(e, "mkdir %s", path);
    }
    return fs_sync_dir(AT_FDCWD, dirname(p), e);
}

/* mkdir -p for the administrator's own path. */
static int make_parents(const char *path, struct err *e)
{
    SCOPED(freep) char *p = xstrdup(path);

    for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_dir(p, 0755, e) < 0) {
            return -1;
        }
        *slash = '/';
    }
    return make_dir(p, 0750, e);
}

/* Parts of root stay out of the server's reach: it may enter and read, not write. */
static const struct {
    const char *name;
    enum { OF_ROOT, OF_STRATA } owner;
} parts[] = {{"jobs", OF_ROOT},    {"rootfs", OF_ROOT},    {"volumes", OF_ROOT},
             {"blobs", OF_STRATA}, {"metrics", OF_STRATA}, {"logs", OF_STRATA}};

static int make_parts(uid_t uid, gid_t gid, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uid_t owner = parts[i].owner == OF_ROOT ? 0 : uid;
        struct stat st;

        if (mkdir(parts[i].name, 0750) < 0 && errno != EEXIST) {
            return err_sys(e, "mkdir %s", parts[i].name);
        }
        if (lstat(parts[i].name, &st) < 0 || !S_ISDIR(st.st_mode)) {
            return err_set(e, ERR_CONFLICT, "%s in the state directory is no directory",
                           parts[i].name);
        }
        if ((st.st_uid != owner || st.st_gid != gid) && lchown(parts[i].name, owner, gid) < 0) {
            return err_sys(e, "chown %s", parts[i].name);
        }
    }
    return fs_sync_dir(AT_FDCWD, ".", e); /* also when a kill came before it last time */
}

/* The pid in the lock file, 0 when there is none. */
static pid_t holder_of(int fd)
{
    char text[24] = "";
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 && str_to_u64(str_n(text, (size_t)n), &pid) == 0 ? (pid_t)pid : 0;
}

/* A server that was killed may leave a child that is just starting: it lets go within a moment, so
 * the lock of a dead holder is waited for, that of a living one is not. */
static int lock_or_wait(int fd)
{
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        pid_t holder = holder_of(fd);

        if ((holder > 0 && kill(holder, 0) == 0) || clock_mono_ms() >= deadline) {
            return -1;
        }
        (void)poll(NULL, 0, LOCK_TRY_MS);
    }
    return 0;
}

static int take_lock(const char *path, int *lock_fd, struct err *e)
{
    SCOPED(closep) int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char pid[24];

    if (fd < 0) {
        return err_sys(e, "open %s/lock", path);
    }
    if (lock_or_wait(fd) < 0) {
        return err_set(e, ERR_CONFLICT,
                       "another Strata (pid %d) serves %s: stop it, or give another --state",
                       (int)holder_of(fd), path);
    }
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0) {
        return err_sys(e, "write %s/lock", path);
    }
    *lock_fd = TAKE_FD(fd);
    return 0;
}

/* Only an empty directory, or one that was ours before, is taken: its owner and mode are about to
 * change. A fresh file system and settings laid there in advance do not count. */
static int check_ours(const char *path, struct err *e)
{
    static const char *const known[] = {".", "..", "strata.yaml", "lost+found"};
    DIR *d = access("lock", F_OK) == 0 ? NULL : opendir(".");
    struct dirent *ent;
    int rc = 0;

    while (d && rc == 0 && (ent = readdir(d))) {
        size_t i = 0;

        while (i < ARRAY_LEN(known) && strcmp(ent->d_name, known[i]) != 0) {
            i++;
        }
        if (i == ARRAY_LEN(known)) {
            rc = err_set(e, ERR_CONFLICT,
                         "%s is neither empty nor a state directory of Strata (it has %s): give "
                         "--state a new directory",
                         path, ent->d_name);
        }
    }
    if (d) {
        (void)closedir(d);
    }
    return rc;
}

int statedir_enter(const char *path, uid_t uid, gid_t gid, int *lock_fd, struct err *e)
{
    SCOPED(closep) int lock = -1;

    if (make_parents(path, e) < 0) {
        return -1;
    }
    if (chdir(path) < 0) {
        return err_sys(e, "enter %s", path);
    }
    if (check_ours(path, e) < 0 || take_lock(path, &lock, e) < 0) {
        return -1;
    }
    /* Sticky: strata makes its own files here (state.db and its journal) but cannot rename or
     * remove what is root's. */
    if (chown(".", 0, gid) < 0 || chmod(".", 01770) < 0) {
        return err_sys(e, "set the owner of %s", path);
    }
    if (make_parts(uid, gid, e) < 0) {
        return -1;
    }
    *lock_fd = TAKE_FD(lock);
    return 0;
}

int statedir_instance(char out[17], struct err *e)
{
    struct stat st;

    if (stat(".", &st) < 0) {
        return err_sys(e, "stat the state directory");
    }
    (void)snprintf(out, 17, "%06llx%010llx", (unsigned long long)st.st_dev & 0xffffff,
                   (unsigned long long)st.st_ino & 0xffffffffff);
    return 0;
}
