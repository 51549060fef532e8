#include "runtime/runtime_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define PATH_MAX_CGROUP 512
#define FILE_MAX_CGROUP (1U << 20)

/* --- which hierarchies there are --- */

/* Named hierarchies ("name=systemd") hold processes too, so crun makes and we remove groups there.
 * Options that are no controllers are kept: they match no name we ask for. */
static void add_mount(struct cgroups *c, struct str path, struct str type, struct str options)
{
    struct cgroup_mount m = {.v2 = str_eq_c(type, "cgroup2")};

    if (c->n == ARRAY_LEN(c->mounts) || str_find_char(path, '\\') >= 0 ||
        str_copy(path, m.path, sizeof(m.path)) < 0) {
        return;
    }
    if (!m.v2 && (size_t)snprintf(m.controllers, sizeof(m.controllers), ",%.*s,",
                                  STR_ARG(options)) >= sizeof(m.controllers)) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->mounts[i].v2 == m.v2 && strcmp(c->mounts[i].controllers, m.controllers) == 0) {
            return; /* the same hierarchy, mounted a second time */
        }
    }
    c->mounts[c->n++] = m;
}

/* proc(5), mountinfo: id parent major:minor root mount-point options [tags] - type source super */
static void parse_mount(struct str line, struct cgroups *out)
{
    ptrdiff_t dash = str_find(line, STR(" - "));
    struct str tail = dash < 0 ? STR_EMPTY : str_from(line, (size_t)dash + 3), path = STR_EMPTY;
    struct str type = str_cut(&tail, ' ');

    if (!str_eq_c(type, "cgroup") && !str_eq_c(type, "cgroup2")) {
        return;
    }
    for (int i = 0; i < 5 && line.p; i++) {
        path = str_cut(&line, ' ');
    }
    (void)str_cut(&tail, ' '); /* source */
    add_mount(out, path, type, tail.p ? tail : STR_EMPTY);
}

void cgroups_parse(struct str mountinfo, struct cgroups *out)
{
    bool v1 = false, v2 = false, unified = false;

    *out = (struct cgroups){0};
    while (mountinfo.p) {
        parse_mount(str_cut(&mountinfo, '\n'), out);
    }
    for (size_t i = 0; i < out->n; i++) {
        v2 |= out->mounts[i].v2;
        v1 |= !out->mounts[i].v2;
        unified |= out->mounts[i].v2 && strcmp(out->mounts[i].path, "/sys/fs/cgroup") == 0;
    }
    /* What is mounted there is what crun looks at. A v2 host stays one when some program (a VPN)
     * has mounted net_cls as v1 beside it: there is nothing to mend. */
    out->mode = unified    ? CGROUP_V2
                : v1 && v2 ? CGROUP_HYBRID
                : v1       ? CGROUP_V1
                : v2       ? CGROUP_V2
                           : CGROUP_NONE;
}

static void read_v2_controllers(struct cgroups *c)
{
    struct buf text = BUF_MAX(sizeof(c->v2_controllers) - 1);
    char path[PATH_MAX_CGROUP];
    struct err ignored;

    for (size_t i = 0; i < c->n; i++) {
        if (c->mounts[i].v2) {
            (void)snprintf(path, sizeof(path), "%s/cgroup.controllers", c->mounts[i].path);
            if (fs_read(AT_FDCWD, path, &text, &ignored) == 0) {
                struct str all = buf_str(&text);

                (void)!str_copy(str_cut(&all, '\n'), c->v2_controllers, sizeof(c->v2_controllers));
            }
            break;
        }
    }
    buf_done(&text);
}

int cgroups_load(struct cgroups *out, struct err *e)
{
    struct buf text = BUF_MAX(8 * MIB); /* a machine with ten thousand mounts */
    int rc = fs_read(AT_FDCWD, "/proc/self/mountinfo", &text, e);

    if (rc == 0) {
        cgroups_parse(buf_str(&text), out);
        read_v2_controllers(out);
    }
    buf_done(&text);
    return rc;
}

const struct cgroup_mount *cgroups_find(const struct cgroups *c, const char *controller)
{
    char word[40];

    (void)snprintf(word, sizeof(word), ",%s,", controller);
    for (size_t i = 0; i < c->n; i++) {
        if (!c->mounts[i].v2 && strstr(c->mounts[i].controllers, word)) {
            return &c->mounts[i];
        }
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->mounts[i].v2) {
            return &c->mounts[i];
        }
    }
    return NULL;
}

/* --- figures --- */

bool cgroup_parse_key(struct str text, const char *key, uint64_t *out)
{
    while (text.p) {
        struct str value = str_cut(&text, '\n'), name = str_cut(&value, ' ');

        if (str_eq_c(name, key)) {
            return value.p && str_to_u64(value, out) == 0;
        }
    }
    return false;
}

/* One number of a file: of the line `key`, or the whole file's when `key` is NULL. */
static int64_t figure(const struct cgroup_mount *m, const char *name, const char *file,
                      const char *key)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[PATH_MAX_CGROUP];
    struct err ignored;
    uint64_t v = 0;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", m->path, name, file);
    if (fs_read(AT_FDCWD, path, &text, &ignored) == 0) {
        struct str all = buf_str(&text);

        if (key ? !cgroup_parse_key(all, key, &v) : str_to_u64(str_cut(&all, '\n'), &v) < 0) {
            v = 0;
        }
    }
    buf_done(&text);
    return v > INT64_MAX ? 0 : (int64_t)v;
}

void cgroup_read(const struct cgroups *c, const char *name, struct cgroup_figures *out)
{
    const struct cgroup_mount *memory = cgroups_find(c, "memory");
    const struct cgroup_mount *cpu = cgroups_find(c, "cpuacct");

    *out = (struct cgroup_figures){0};
    if (memory) {
        out->memory_peak_bytes =
            figure(memory, name, memory->v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
        out->oom_kills =
            figure(memory, name, memory->v2 ? "memory.events" : "memory.oom_control", "oom_kill");
    }
    if (cpu) {
        out->cpu_usec = cpu->v2 ? figure(cpu, name, "cpu.stat", "usage_usec")
                                : figure(cpu, name, "cpuacct.usage", NULL) / 1000;
    }
}

/* --- the end of a group --- */

static int open_group(const struct cgroup_mount *m, const char *name)
{
    char path[PATH_MAX_CGROUP];

    (void)snprintf(path, sizeof(path), "%s/%s", m->path, name);
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool read_members(int group, struct buf *out)
{
    struct err ignored;

    buf_clear(out);
    return fs_read(group, "cgroup.procs", out, &ignored) == 0;
}

static bool is_member(struct str members, pid_t pid)
{
    while (members.p) {
        uint64_t v;

        if (str_to_u64(str_cut(&members, '\n'), &v) == 0 && v == (uint64_t)pid) {
            return true;
        }
    }
    return false;
}

/* Dead ones are members until their parent has waited for them. */
static bool has_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* The list is read again after the pidfd is held: so nobody outside the group is hit. True when a
 * living member was killed. */
static bool kill_member(int group, pid_t pid, int64_t deadline_mono_ms)
{
    struct buf members = BUF_MAX(FILE_MAX_CGROUP);
    SCOPED(closep) int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left = deadline_mono_ms - clock_mono_ms();
    bool alive = fd >= 0 && !has_ended(fd) && read_members(group, &members) &&
                 is_member(buf_str(&members), pid);

    if (alive) {
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
        (void)poll(&p, 1, left > 0 ? (int)left : 0);
    }
    buf_done(&members);
    return alive;
}

/* One pass over the members; true when one of them was alive. */
static bool kill_members(int group, int64_t deadline_mono_ms)
{
    struct buf members = BUF_MAX(FILE_MAX_CGROUP);
    struct str rest = read_members(group, &members) ? buf_str(&members) : STR_EMPTY;
    bool any = false;

    while (rest.p) {
        uint64_t pid;

        if (str_to_u64(str_cut(&rest, '\n'), &pid) == 0 && pid > 0 && pid <= INT32_MAX) {
            any |= kill_member(group, (pid_t)pid, deadline_mono_ms);
        }
    }
    buf_done(&members);
    return any;
}

/* A group of crun's is a pid namespace of its own: with its first process dead the kernel ends the
 * others, so this loop is short. v2 has cgroup.kill since 5.14, which also stops fork bombs. */
static bool kill_group(int group, int64_t deadline_mono_ms)
{
    SCOPED(closep) int all = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);

    if (all >= 0) {
        (void)!write(all, "1", 1);
    }
    while (kill_members(group, deadline_mono_ms)) {
        if (clock_mono_ms() >= deadline_mono_ms) {
            return false;
        }
    }
    return true;
}

bool cgroup_kill(const struct cgroups *c, const char *name, int64_t deadline_mono_ms)
{
    bool empty = true;

    for (size_t i = 0; i < c->n; i++) {
        SCOPED(closep) int group = open_group(&c->mounts[i], name);

        empty = group < 0 || kill_group(group, deadline_mono_ms) ? empty : false;
    }
    return empty;
}

/* Groups inside a group (a container with a writable cgroup) are not ours to expect, but a group
 * with children cannot be removed: one level is swept. */
static void remove_children(int group)
{
    int fd = fcntl(group, F_DUPFD_CLOEXEC, 3);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;

    if (d == NULL) {
        closep(&fd);
        return;
    }
    while ((ent = readdir(d))) {
        if (ent->d_type == DT_DIR && ent->d_name[0] != '.') {
            (void)unlinkat(group, ent->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(d);
}

void cgroup_remove(const struct cgroups *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        char path[PATH_MAX_CGROUP];

        (void)snprintf(path, sizeof(path), "%s/%s", c->mounts[i].path, name);
        if (rmdir(path) < 0 && errno == EBUSY) {
            SCOPED(closep) int group = open_group(&c->mounts[i], name);

            if (group >= 0) {
                remove_children(group);
                (void)rmdir(path);
            }
        }
    }
}

void cgroup_children(const struct cgroups *c, const char *name,
                     void (*each)(void *ctx, const char *child), void *ctx)
{
    for (size_t i = 0; i < c->n; i++) {
        int fd = open_group(&c->mounts[i], name);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *ent;

        if (d == NULL) {
            closep(&fd);
            continue;
        }
        while ((ent = readdir(d))) {
            if (ent->d_type == DT_DIR && helper_id_ok(str_of(ent->d_name))) {
                each(ctx, ent->d_name);
            }
        }
        (void)closedir(d);
    }
}
