#include "runtime/doctor_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

void doctor_found(struct finding *f, enum doctor_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(f->found, sizeof(f->found), fmt, ap);
    va_end(ap);
    f->level = level;
}

void doctor_mend(struct finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(f->mend, sizeof(f->mend), fmt, ap);
    va_end(ap);
}

/* --- programs --- */

/* The first line of what a program says, at most 5 s long. */
static int first_line(const char *const *argv, char *out, size_t size, struct err *e)
{
    posix_spawn_file_actions_t actions;
    SCOPED(closep) int reader = -1;
    struct pollfd p;
    char text[512] = "";
    int ends[2], rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    reader = ends[0];
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    rc = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv,
                     (char *const[]){(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL});
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (rc != 0) {
        errno = rc;
        return err_sys(e, "%s", argv[0]);
    }
    p = (struct pollfd){.fd = reader, .events = POLLIN};
    if (poll(&p, 1, 5000) > 0) {
        (void)!read(reader, text, sizeof(text) - 1);
    } else {
        (void)kill(pid, SIGKILL);
    }
    (void)waitpid(pid, NULL, 0);
    (void)snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
    return 0;
}

static void check_crun(struct doctor *d, struct finding *f)
{
    struct crun crun;
    struct err e;
    char line[100] = "";
    const char *argv[] = {NULL, "--version", NULL};

    (void)d;
    if (crun_find(&crun, &e) < 0) {
        doctor_found(f, DOCTOR_FAIL, "neither crun nor runc is installed");
        doctor_mend(f, "apt-get install crun");
        return;
    }
    argv[0] = crun.path;
    if (first_line(argv, line, sizeof(line), &e) < 0 || line[0] == '\0') {
        doctor_found(f, DOCTOR_FAIL, "%s does not run", crun.path);
        doctor_mend(f, "apt-get install --reinstall crun");
        return;
    }
    doctor_found(f, DOCTOR_OK, "%s (%s)", crun.path, line);
    if (crun.is_runc) {
        doctor_found(f, DOCTOR_WARN, "%s (%s): containers start three times faster with crun",
                     crun.path, line);
        doctor_mend(f, "apt-get install crun");
    }
}

static void check_bridge(struct doctor *d, struct finding *f)
{
    (void)d;
    if (access("/usr/sbin/ip", X_OK) < 0 && access("/sbin/ip", X_OK) < 0) {
        doctor_found(f, DOCTOR_WARN, "ip is missing: jobs with network: bridge cannot start");
        doctor_mend(f, "apt-get install iproute2");
    } else if (access("/usr/sbin/nft", X_OK) < 0) {
        doctor_found(f, DOCTOR_WARN, "nft is missing: jobs with network: bridge cannot start");
        doctor_mend(f, "apt-get install nftables");
    } else {
        doctor_found(f, DOCTOR_OK, "ip and nft are there");
    }
}

static void check_resolver(struct doctor *d, struct finding *f)
{
    struct buf host = BUF_MAX(64 * KIB), out = BUF_MAX(64 * KIB);
    struct err ignored;

    (void)d;
    (void)!fs_read(AT_FDCWD, "/etc/resolv.conf", &host, &ignored);
    bridge_resolv_conf(buf_str(&host), RUNTIME_NET_BRIDGE, &out);
    if (str_find(buf_str(&out), STR("nameserver ")) >= 0) {
        doctor_found(f, DOCTOR_OK, "jobs on the bridge can use the host's name servers");
    } else {
        doctor_found(f, DOCTOR_WARN,
                     "the host's name server is on loopback, where jobs with network: "
                     "bridge cannot reach it");
        doctor_mend(f, "name a server that the network reaches in /etc/resolv.conf");
    }
    buf_done(&host);
    buf_done(&out);
}

/* --- the state directory: the current one --- */

#define TRY_CHAIN "0000000000000000000000000000000000000000000000000000000000000000"

/* In a child with a mount namespace of its own, in a directory that the parent removes. */
static int try_mount(const char *dir, struct err *e)
{
    static const char *const dirs[] = {"rootfs", "rootfs/" TRY_CHAIN, "rootfs/" TRY_CHAIN "/fs",
                                       "scratch", "merged"};
    static const char chains[1][65] = {TRY_CHAIN};
    struct rootfs_helper *r;
    int rc;

    if (chdir(dir) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
        return err_sys(e, "try a mount");
    }
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        if (fs_mkdir(AT_FDCWD, dirs[i], 0755, e) < 0) {
            return -1;
        }
    }
    if (fs_write_atomic(AT_FDCWD, "rootfs/" TRY_CHAIN "/done", STR_EMPTY, 0600, e) < 0) {
        return -1;
    }
    r = rootfs_helper_new(e);
    rc = r ? rootfs_mount(r, chains, 1, "scratch", "merged", 2000000000U, e) : -1;
    if (rc == 0 && mkdir("merged/made", 0755) < 0) {
        rc = err_sys(e, "write into the overlay");
    }
    rootfs_helper_free(r);
    return rc;
}

static int try_mount_in_child(const char *dir, struct err *e)
{
    struct str said;
    char text[300] = "";
    int ends[2], status = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    pid = fork();
    if (pid == 0) {
        struct err why = {0};
        int rc = try_mount(dir, &why);

        (void)!write(ends[1], why.msg, strlen(why.msg));
        _exit(rc < 0);
    }
    (void)close(ends[1]);
    n = pid < 0 ? 0 : read(ends[0], text, sizeof(text) - 1);
    (void)close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        return err_sys(e, "fork");
    }
    said = n > 0 ? str_n(text, (size_t)n) : STR("no reason given");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : err_set(e, ERR_UNAVAILABLE, "%.*s", STR_ARG(said));
}

static void check_overlay(struct doctor *d, struct finding *f)
{
    char dir[] = ".doctor-XXXXXX";
    struct err e = {0}, ignored;

    (void)d;
    if (geteuid() != 0) {
        doctor_found(f, DOCTOR_WARN, "not tried: needs root");
        return;
    }
    if (mkdtemp(dir) == NULL) {
        doctor_found(f, DOCTOR_FAIL, "cannot write to the state directory: %s",
                     strerrordesc_np(errno));
        doctor_mend(f, "give strata a state directory on a disk: strata up --state DIR");
        return;
    }
    if (try_mount_in_child(dir, &e) < 0) {
        doctor_found(f, DOCTOR_FAIL, "image layers cannot be mounted: %.240s", e.msg);
        doctor_mend(f, "put the state directory on ext4, xfs or btrfs: strata up --state DIR");
    } else {
        doctor_found(f, DOCTOR_OK, "idmapped overlay mounts work on the state directory");
    }
    (void)!fs_remove_tree(AT_FDCWD, dir, &ignored);
}

static void check_disk(struct doctor *d, struct finding *f)
{
    struct statvfs v;
    char avail[16];
    uint64_t bytes;

    (void)d;
    if (statvfs(".", &v) < 0) {
        doctor_found(f, DOCTOR_FAIL, "state directory: %s", strerrordesc_np(errno));
        return;
    }
    bytes = (uint64_t)v.f_bavail * v.f_frsize;
    (void)str_format_bytes((int64_t)bytes, avail);
    doctor_found(f,
                 bytes < 256 * MIB ? DOCTOR_FAIL
                 : bytes < 5 * GIB ? DOCTOR_WARN
                                   : DOCTOR_OK,
                 "%s free on the state directory", avail);
    if (f->level != DOCTOR_OK) {
        doctor_mend(f, "free some space or use another disk: strata up --state DIR");
    }
}

/* --- limits and ids --- */

static void check_open_files(struct doctor *d, struct finding *f)
{
    struct rlimit r;

    (void)d;
    (void)getrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_max < 16384) {
        doctor_found(f, DOCTOR_WARN, "at most %llu open files", (unsigned long long)r.rlim_max);
        doctor_mend(f, "ulimit -Hn 65536 (systemd: LimitNOFILE=65536)");
        return;
    }
    doctor_found(f, DOCTOR_OK, "up to %llu open files", (unsigned long long)r.rlim_max);
}

/* Projects get ranges of 65536 ids from here on (access_project). */
#define PROJECT_IDS_FIRST 100000000ULL

/* "user:first:count" lines of subuid(5). */
static bool clashes(const char *path, char *who, size_t size)
{
    struct buf text = BUF_MAX(1 * MIB);
    struct err ignored;
    bool found = false;

    if (fs_read(AT_FDCWD, path, &text, &ignored) == 0) {
        struct str rest = buf_str(&text);

        while (rest.p && !found) {
            struct str count = str_cut(&rest, '\n'), name = str_cut(&count, ':');
            uint64_t first, n;

            if (count.p && str_to_u64(str_cut(&count, ':'), &first) == 0 && count.p &&
                str_to_u64(count, &n) == 0 && first + n > PROJECT_IDS_FIRST) {
                (void)snprintf(who, size, "%.*s", STR_ARG(str_first(name, 60)));
                found = true;
            }
        }
    }
    buf_done(&text);
    return found;
}

static void check_ids(struct doctor *d, struct finding *f)
{
    static const char *const paths[] = {"/etc/subuid", "/etc/subgid"};
    char who[64];

    (void)d;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (clashes(paths[i], who, sizeof(who))) {
            doctor_found(f, DOCTOR_WARN, "%s gives %s ids from %llu on, which projects use, too",
                         paths[i], who, PROJECT_IDS_FIRST);
            doctor_mend(f, "give %s a range below %llu in %s", who, PROJECT_IDS_FIRST, paths[i]);
            return;
        }
    }
    doctor_found(f, DOCTOR_OK, "ids from %llu on are free for projects", PROJECT_IDS_FIRST);
}

/* --- the table --- */

static const struct {
    const char *name;
    void (*check)(struct doctor *d, struct finding *f);
} checks[] = {
    {"root", doctor_check_root},
    {"kernel", doctor_check_kernel},
    {"cgroup hybrid", doctor_check_hybrid},
    {"cgroups", doctor_check_cgroups},
    {"swap limit", doctor_check_swap},
    {"crun", check_crun},
    {"user namespaces", doctor_check_userns},
    {"overlay", check_overlay},
    {"seccomp", doctor_check_seccomp},
    {"pidfd", doctor_check_pidfd},
    {"user ids", check_ids},
    {"bridge network", check_bridge},
    {"name servers", check_resolver},
    {"disk space", check_disk},
    {"open files", check_open_files},
    {"pressure", doctor_check_pressure},
};

int runtime_doctor(enum doctor_mode mode, doctor_row *row, void *ctx)
{
    struct doctor d = {.mode = mode};
    struct err e;
    int failed = 0;

    (void)!cgroups_load(&d.cgroups, &e);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct finding f = {0};

        checks[i].check(&d, &f);
        row(ctx, checks[i].name, f.level, f.found, f.mend);
        failed += f.level == DOCTOR_FAIL;
    }
    return failed;
}

/* --- HOST_CHECK: number of rows, then name, level, found, mend of each --- */

static void put_row(void *ctx, const char *check, enum doctor_level level, const char *found,
                    const char *mending)
{
    struct buf *b = ctx;

    wire_put_str(b, str_of(check));
    wire_put_u64(b, level);
    wire_put_str(b, str_of(found));
    wire_put_str(b, str_of(mending));
}

static int check_work(void *ctx, int fd, struct buf *reply, struct err *e)
{
    (void)ctx;
    (void)fd;
    (void)e;
    wire_put_u64(reply, ARRAY_LEN(checks));
    (void)runtime_doctor(DOCTOR_LOOK, put_row, reply);
    return 0;
}

int doctor_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    struct wire_reader r = {payload, false};

    (void)ctx;
    (void)fd;
    return wire_end(&r, e) < 0 ? -1 : helper_fork(q, -1, check_work, NULL, NULL, NULL, e);
}
