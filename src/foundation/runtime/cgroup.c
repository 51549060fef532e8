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
#include <stddef.h>
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

#define V1_IO_FILE "blkio.throttle.io_service_bytes"

/* Since Linux 6.10 v1 only counts for devices that somebody has limited, and says 0 else. The root
 * group, which has started the machine, has lines of devices where they are counted. */
static void look_whether_io_counts(struct cgroups *c)
{
    const struct cgroup_mount *m = cgroups_find(c, "blkio");
    struct buf text = BUF_MAX(FILE_MAX_CGROUP);
    char path[PATH_MAX_CGROUP];
    struct err ignored;

    if (m && !m->v2) {
        (void)snprintf(path, sizeof(path), "%s/" V1_IO_FILE, m->path);
        c->counts_io = fs_read(AT_FDCWD, path, &text, &ignored) == 0 &&
                       str_find_char(buf_str(&text), ':') >= 0;
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
        look_whether_io_counts(out);
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

static void add_clamped(uint64_t *sum, struct str number)
{
    uint64_t v;

    if (str_to_u64(number, &v) == 0 && __builtin_add_overflow(*sum, v, sum)) {
        *sum = UINT64_MAX;
    }
}

/* v2: "8:0 rbytes=1 wbytes=2 rios=..."; v1: "8:0 Read 1" and "8:0 Write 2" among other lines. */
void cgroup_parse_io(struct str text, uint64_t *read_bytes, uint64_t *write_bytes)
{
    *read_bytes = *write_bytes = 0;
    while (text.p) {
        struct str line = str_cut(&text, '\n');

        (void)str_cut(&line, ' '); /* the device */
        while (line.p) {
            struct str word = str_cut(&line, ' ');

            if (str_starts(word, STR("rbytes="))) {
                add_clamped(read_bytes, str_from(word, 7));
            } else if (str_starts(word, STR("wbytes="))) {
                add_clamped(write_bytes, str_from(word, 7));
            } else if (str_eq_c(word, "Read") && line.p) {
                add_clamped(read_bytes, line);
            } else if (str_eq_c(word, "Write") && line.p) {
                add_clamped(write_bytes, line);
            }
        }
    }
}

/* Where a figure of a sample is, and what its number is divided by. */
static const struct source {
    const char *controller, *v1, *v2, *v2_key; /* v2_key NULL: the whole file is the number */
    size_t at;
    int64_t v1_unit;
} sources[CGROUP_NUMBERS] = {
    {"cpuacct", "cpuacct.usage", "cpu.stat", "usage_usec",
     offsetof(struct runtime_sample, cpu_usec), 1000},
    {"memory", "memory.usage_in_bytes", "memory.current", NULL,
     offsetof(struct runtime_sample, memory_bytes), 1},
    {"memory", "memory.max_usage_in_bytes", "memory.peak", NULL,
     offsetof(struct runtime_sample, memory_peak_bytes), 1},
    {"pids", "pids.current", "pids.current", NULL, offsetof(struct runtime_sample, processes), 1},
};

static struct cgroup_file open_figure(const struct cgroups *c, const char *name,
                                      const char *controller, const char *v1, const char *v2)
{
    const struct cgroup_mount *m = cgroups_find(c, controller);
    struct cgroup_file f = {.fd = -1, .v2 = m && m->v2};
    char path[PATH_MAX_CGROUP];

    if (m) {
        (void)snprintf(path, sizeof(path), "%s/%s/%s", m->path, name, f.v2 ? v2 : v1);
        f.fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return f;
}

void cgroup_meter_open(const struct cgroups *c, const char *name, struct cgroup_meter *m)
{
    for (size_t i = 0; i < CGROUP_NUMBERS; i++) {
        const struct source *s = &sources[i];

        m->numbers[i] = open_figure(c, name, s->controller, s->v1, s->v2);
    }
    m->io = open_figure(c, name, "blkio", V1_IO_FILE, "io.stat");
    if (!m->io.v2 && !c->counts_io) {
        closep(&m->io.fd);
        m->io.fd = -1;
    }
}

void cgroup_meter_close(struct cgroup_meter *m)
{
    for (size_t i = 0; i < CGROUP_NUMBERS; i++) {
        closep(&m->numbers[i].fd);
    }
    closep(&m->io.fd);
}

/* The kernel makes these files whole at each read from their beginning. One that does not fit is
 * not known. */
static bool read_figure(const struct cgroup_file *f, char *block, size_t size, struct str *text)
{
    ssize_t n = f->fd < 0 ? -1 : pread(f->fd, block, size, 0);

    if (n < 0 || (size_t)n == size) {
        return false;
    }
    *text = str_n(block, (size_t)n);
    return true;
}

static int64_t known(uint64_t v)
{
    return v > INT64_MAX ? RUNTIME_UNKNOWN : (int64_t)v;
}

/* One number of a file: of the line `key`, or the whole file's when `key` is NULL. */
static int64_t read_number(const struct cgroup_file *f, const char *key)
{
    char block[RUNTIME_RECORD_MAX];
    struct str text;
    uint64_t v;

    if (!read_figure(f, block, sizeof(block), &text) ||
        (key ? !cgroup_parse_key(text, key, &v) : str_to_u64(str_cut(&text, '\n'), &v) < 0)) {
        return RUNTIME_UNKNOWN;
    }
    return known(v);
}

/* A file without a line is a group that read and wrote nothing. */
static void read_io(const struct cgroup_file *f, struct runtime_sample *out)
{
    char block[CGROUP_IO_MAX];
    struct str text;
    uint64_t in = UINT64_MAX, written = UINT64_MAX;

    if (read_figure(f, block, sizeof(block), &text)) {
        cgroup_parse_io(text, &in, &written);
    }
    out->io_read_bytes = known(in);
    out->io_write_bytes = known(written);
}

void cgroup_meter_read(const struct cgroup_meter *m, struct runtime_sample *out)
{
    *out = (struct runtime_sample){.at_ms = clock_wall_ms()};
    for (size_t i = 0; i < CGROUP_NUMBERS; i++) {
        const struct cgroup_file *f = &m->numbers[i];
        int64_t v = read_number(f, f->v2 ? sources[i].v2_key : NULL);

        *(int64_t *)((char *)out + sources[i].at) = v < 0 || f->v2 ? v : v / sources[i].v1_unit;
    }
    read_io(&m->io, out);
}

void cgroup_sample(const struct cgroups *c, const char *name, struct runtime_sample *out)
{
    struct cgroup_meter m;

    cgroup_meter_open(c, name, &m);
    cgroup_meter_read(&m, out);
    cgroup_meter_close(&m);
}

int64_t cgroup_oom_kills(const struct cgroups *c, const char *name)
{
    struct cgroup_file f = open_figure(c, name, "memory", "memory.oom_control", "memory.events");
    int64_t v = read_number(&f, "oom_kill");

    closep(&f.fd);
    return v;
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

void cgroup_each(const struct cgroups *c, const char *name, void (*each)(void *ctx, pid_t pid),
                 void *ctx)
{
    SCOPED(buf_done) struct buf members = BUF_MAX(FILE_MAX_CGROUP);
    const struct cgroup_mount *m = cgroups_find(c, "pids");
    SCOPED(closep) int group = m ? open_group(m, name) : -1;
    struct str rest = group >= 0 && read_members(group, &members) ? buf_str(&members) : STR_EMPTY;

    while (rest.p) {
        uint64_t pid;

        if (str_to_u64(str_cut(&rest, '\n'), &pid) == 0 && pid > 0 && pid <= INT32_MAX) {
            each(ctx, (pid_t)pid);
        }
    }
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
