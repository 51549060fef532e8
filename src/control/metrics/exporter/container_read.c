/* A container's figures, from the files of its cgroup and of its processes. They stay open while it
 * is there. */
#include "exporter/container_read.h"

#include "base/clock.h"
#include "base/mem.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512, USER_HZ = 100, SPEC_MS = 15000 };

/* Where each figure stands: in version 2, and in which controller of version 1. NULL: in none. */
static const struct {
    const char *v2, *controller, *v1;
} files[FILES] = {
    [F_CPU] = {"cpu.stat", "cpuacct", "cpuacct.usage"},
    [F_CPU_USER] = {NULL, "cpuacct", "cpuacct.stat"},
    [F_CPU_CFS] = {NULL, "cpu", "cpu.stat"},
    [F_MEMORY] = {"memory.current", "memory", "memory.usage_in_bytes"},
    [F_MEMORY_STAT] = {"memory.stat", "memory", "memory.stat"},
    [F_MEMORY_PEAK] = {"memory.peak", "memory", "memory.max_usage_in_bytes"},
    [F_MEMORY_EVENTS] = {"memory.events", "memory", "memory.oom_control"},
    [F_MEMORY_FAIL] = {NULL, "memory", "memory.failcnt"},
    [F_SWAP] = {"memory.swap.current", NULL, NULL},
    [F_IO] = {"io.stat", "blkio", "blkio.throttle.io_service_bytes_recursive"},
    [F_IO_COUNT] = {NULL, "blkio", "blkio.throttle.io_serviced_recursive"},
    [F_PIDS] = {"pids.current", "pids", "pids.current"},
    [F_PIDS_MAX] = {"pids.max", "pids", "pids.max"},
    [F_MEMORY_MAX] = {"memory.max", "memory", "memory.limit_in_bytes"},
    [F_MEMORY_LOW] = {"memory.low", "memory", "memory.soft_limit_in_bytes"},
    [F_SWAP_MAX] = {"memory.swap.max", "memory", "memory.memsw.limit_in_bytes"},
    [F_CPU_QUOTA] = {"cpu.max", "cpu", "cpu.cfs_quota_us"},
    [F_CPU_PERIOD] = {NULL, "cpu", "cpu.cfs_period_us"},
    [F_CPU_SHARES] = {"cpu.weight", "cpu", "cpu.shares"},
    [F_PROCS] = {"cgroup.procs", "memory", "cgroup.procs"},
};

/* A file of the container; p == NULL: there is none. Valid until the next read. */
static struct str read_file(struct node *n, const struct containers *all, struct container *c,
                            enum file f)
{
    const char *name = all->v2 ? files[f].v2 : files[f].v1;
    ssize_t got = 0;

    if (!name || c->fds[f] == -2) {
        return (struct str){0};
    }
    if (c->fds[f] == -1) {
        const char *path = all->v2 ? arena_printf(&n->arena, "fs/cgroup/%s/%s", c->path, name)
                                   : arena_printf(&n->arena, "fs/cgroup/%s/%s/%s",
                                                  files[f].controller, c->path, name);

        c->fds[f] = openat(n->sys, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (c->fds[f] < 0) {
            c->fds[f] = -2;
            return (struct str){0};
        }
    }
    buf_clear(&n->text);
    for (;;) {
        char *p = buf_reserve(&n->text, 4096);

        got = p ? pread(c->fds[f], p, 4096, (off_t)n->text.len) : -1;
        n->text.len += got > 0 ? (size_t)got : 0;
        /* A short read of a cgroup's file is its end, but of a list of processes. */
        if (got <= 0 || (got < 4096 && f != F_PROCS)) {
            break;
        }
    }
    return got < 0 ? (struct str){0} : buf_str(&n->text);
}

/* "max" is no limit: 0, as cAdvisor says it. */
static double first_number(struct str text, double otherwise)
{
    struct str word;

    if (!text.p) {
        return otherwise;
    }
    word = text_word(&text);
    return str_eq_c(word, "max") ? 0 : text_or(word, otherwise);
}

static void read_cpu_v2(struct node *n, const struct containers *all, struct container *c)
{
    struct str text = read_file(n, all, c, F_CPU);

    c->cpu = text_keyed(text, "usage_usec") / 1e6;
    c->v[C_CPU_USER] = text_keyed(text, "user_usec") / 1e6;
    c->v[C_CPU_SYSTEM] = text_keyed(text, "system_usec") / 1e6;
    c->v[C_PERIODS] = text_keyed(text, "nr_periods");
    c->v[C_THROTTLED] = text_keyed(text, "nr_throttled");
    c->v[C_THROTTLED_TIME] = text_keyed(text, "throttled_usec") / 1e6;
}

static void read_cpu_v1(struct node *n, const struct containers *all, struct container *c)
{
    struct str text;

    c->cpu = first_number(read_file(n, all, c, F_CPU), NAN) / 1e9;
    text = read_file(n, all, c, F_CPU_USER);
    c->v[C_CPU_USER] = text_keyed(text, "user") / USER_HZ;
    c->v[C_CPU_SYSTEM] = text_keyed(text, "system") / USER_HZ;
    text = read_file(n, all, c, F_CPU_CFS);
    c->v[C_PERIODS] = text_keyed(text, "nr_periods");
    c->v[C_THROTTLED] = text_keyed(text, "nr_throttled");
    c->v[C_THROTTLED_TIME] = text_keyed(text, "throttled_time") / 1e9;
}

static void read_memory(struct node *n, const struct containers *all, struct container *c)
{
    bool v2 = all->v2;
    struct str text;
    double inactive;

    c->v[C_MEMORY] = first_number(read_file(n, all, c, F_MEMORY), NAN);
    c->v[C_PEAK] = first_number(read_file(n, all, c, F_MEMORY_PEAK), NAN);
    text = read_file(n, all, c, F_MEMORY_STAT);
    c->v[C_RSS] = text_keyed(text, v2 ? "anon" : "total_rss");
    c->v[C_CACHE] = text_keyed(text, v2 ? "file" : "total_cache");
    c->v[C_MAPPED] = text_keyed(text, v2 ? "file_mapped" : "total_mapped_file");
    c->v[C_KERNEL] = v2 ? text_keyed(text, "kernel") : NAN;
    c->v[C_SWAP] = v2 ? NAN : text_keyed(text, "total_swap");
    c->faults = text_keyed(text, v2 ? "pgfault" : "total_pgfault");
    c->major_faults = text_keyed(text, v2 ? "pgmajfault" : "total_pgmajfault");
    inactive = text_keyed(text, v2 ? "inactive_file" : "total_inactive_file");
    c->v[C_WORKING_SET] = fmax(0, c->v[C_MEMORY] - inactive);
    if (isnan(c->v[C_MEMORY])) {
        c->v[C_WORKING_SET] = NAN;
    }
    if (v2) {
        c->v[C_SWAP] = first_number(read_file(n, all, c, F_SWAP), NAN);
    }
    text = read_file(n, all, c, F_MEMORY_EVENTS);
    c->v[C_OOM] = text_keyed(text, "oom_kill");
    c->v[C_FAILCNT] =
        v2 ? text_keyed(text, "max") : first_number(read_file(n, all, c, F_MEMORY_FAIL), NAN);
}

static struct part *part_of(struct parts *parts, struct str name)
{
    struct part *part;
    char text[64];

    if (str_copy(name, text, sizeof(text)) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < parts->v.len; i++) {
        if (strcmp(parts->v.p[i].name, text) == 0) {
            return &parts->v.p[i];
        }
    }
    if (parts->v.len == PARTS_MAX) {
        return NULL;
    }
    part = vec_push(&parts->v);
    *part = (struct part){0};
    memcpy(part->name, text, sizeof(text));
    return part;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static void read_io_v2(struct node *n, const struct containers *all, struct container *c)
{
    static const char *const keys[IO_FIGURES] = {"rbytes", "wbytes", "rios", "wios"};
    struct str text = read_file(n, all, c, F_IO);

    while (text.p && text.len > 0) {
        struct str line = text_line(&text), device = text_word(&line), word;
        struct part *part = part_of(&c->io, device);

        while (part && (word = text_word(&line)).len > 0) {
            struct str key = str_cut(&word, '=');

            for (size_t i = 0; i < IO_FIGURES; i++) {
                if (word.p && str_eq_c(key, keys[i])) {
                    part->v[i] = text_or(word, 0);
                }
            }
        }
    }
}

/* "8:0 Read 1\n8:0 Write 2\n... Total 3" */
static void read_io_v1(struct node *n, const struct containers *all, struct container *c,
                       enum file f, int at)
{
    struct str text = read_file(n, all, c, f);

    while (text.p && text.len > 0) {
        struct str line = text_line(&text), device = text_word(&line), what = text_word(&line);
        bool reads = str_eq_c(what, "Read");
        struct part *part;

        if (!reads && !str_eq_c(what, "Write")) {
            continue;
        }
        part = part_of(&c->io, device);
        if (part) {
            part->v[at + !reads] = text_or(text_word(&line), 0);
        }
    }
}

static void read_procs(struct node *n, const struct containers *all, struct container *c)
{
    struct str text = read_file(n, all, c, F_PROCS);
    double processes = 0;

    c->pid = 0;
    while (text.p && text.len > 0) {
        struct str line = text_line(&text);
        uint64_t pid;

        if (str_to_u64(line, &pid) == 0) {
            c->pid = c->pid ? c->pid : (pid_t)pid;
            processes++;
        }
    }
    c->v[C_PROCESSES] = processes;
    c->v[C_THREADS] = first_number(read_file(n, all, c, F_PIDS), NAN);
}

/* The interfaces of the network that `pid` is in: -1 when that is the host's own, or when we may
 * not know. */
static int open_net(const struct node *n, const struct containers *all, pid_t pid)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%d/ns/net", (int)pid);
    if (all->host_net == 0 || fstatat(n->proc, path, &st, 0) < 0 ||
        (st.st_ino == all->host_net && st.st_dev == all->host_net_dev)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%d/net/dev", (int)pid);
    return openat(n->proc, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* The machine's network is that of its first process. */
static int open_host_net(const struct node *n)
{
    int fd = openat(n->proc, "1/net/dev", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 ? openat(n->proc, "net/dev", O_RDONLY | O_CLOEXEC | O_NONBLOCK) : fd;
}

/* What cAdvisor leaves out too: the machine's ends of its containers' links count twice. */
static bool is_inner(struct str interface)
{
    return str_eq_c(interface, "lo") || str_starts(interface, STR("veth")) ||
           str_starts(interface, STR("docker")) || str_starts(interface, STR("nerdctl"));
}

static void read_net(struct node *n, const struct containers *all, struct container *c)
{
    struct str text;
    struct err e;

    c->net.v.len = 0;
    if (!*c->path) {
        c->net_fd = c->net_fd < 0 ? open_host_net(n) : c->net_fd;
    } else if (c->pid != c->net_pid) {
        closep(&c->net_fd);
        c->net_pid = c->pid;
        c->net_fd = c->pid > 0 ? open_net(n, all, c->pid) : -1;
    }
    if (c->net_fd < 0 || node_read_fd(n, c->net_fd, "net/dev", &text, &e) < 0) {
        return;
    }
    while (text.len > 0) {
        static const int places[NET_FIGURES] = {0, 1, 2, 3, 8, 9, 10, 11};
        struct str line = text_line(&text), name = str_trim(str_cut(&line, ':'));
        double v[16];
        struct part *part;

        if (!line.p || is_inner(name)) {
            continue;
        }
        part = part_of(&c->net, name);
        for (size_t i = 0; i < 16; i++) {
            v[i] = text_or(text_word(&line), 0);
        }
        for (size_t i = 0; part && i < NET_FIGURES; i++) {
            part->v[i] = v[places[i]];
        }
    }
}

/* A cgroup is as old as its container. */
static double started(struct node *n, const struct containers *all, const struct container *c)
{
    const char *top = all->v2 ? "fs/cgroup" : "fs/cgroup/memory";
    struct stat st;

    return fstatat(n->sys, arena_printf(&n->arena, "%s/%s", top, c->path), &st, 0) == 0
               ? (double)st.st_ctim.tv_sec
               : NAN;
}

/* Version 1 says "no limit" with a number just below 2^63. */
static double limit(double v)
{
    return v > 9e18 ? 0 : v;
}

/* "max 100000" */
static void read_quota_v2(struct node *n, const struct containers *all, struct container *c)
{
    struct str text = read_file(n, all, c, F_CPU_QUOTA), quota;

    if (text.p) {
        quota = text_word(&text);
        c->v[C_QUOTA] = text_or(quota, NAN);
        c->v[C_PERIOD] = text_or(text_word(&text), NAN);
    }
    /* As crun and runc convert shares to weights, the other way round. */
    c->v[C_SHARES] =
        round((first_number(read_file(n, all, c, F_CPU_SHARES), NAN) - 1) * 262142 / 9999 + 2);
}

static void read_quota_v1(struct node *n, const struct containers *all, struct container *c)
{
    c->v[C_QUOTA] = first_number(read_file(n, all, c, F_CPU_QUOTA), NAN);
    if (c->v[C_QUOTA] < 0) {
        c->v[C_QUOTA] = NAN;
    }
    c->v[C_PERIOD] = first_number(read_file(n, all, c, F_CPU_PERIOD), NAN);
    c->v[C_SHARES] = first_number(read_file(n, all, c, F_CPU_SHARES), NAN);
}

static bool is_spec(size_t column)
{
    return column == C_THREADS_MAX || (column >= C_PERIOD && column <= C_SWAP_LIMIT);
}

/* Limits change seldom: half of a container's files need not be read for each page. */
static void read_spec(struct node *n, const struct containers *all, struct container *c)
{
    (all->v2 ? read_quota_v2 : read_quota_v1)(n, all, c);
    c->v[C_LIMIT] = limit(first_number(read_file(n, all, c, F_MEMORY_MAX), NAN));
    c->v[C_RESERVATION] = limit(first_number(read_file(n, all, c, F_MEMORY_LOW), NAN));
    c->v[C_SWAP_LIMIT] = limit(first_number(read_file(n, all, c, F_SWAP_MAX), NAN));
    if (*c->path) {
        c->v[C_THREADS_MAX] = first_number(read_file(n, all, c, F_PIDS_MAX), NAN);
    }
}

void container_read(struct node *n, const struct containers *all, struct container *c)
{
    int64_t now_ms = clock_mono_ms();
    bool spec = now_ms >= c->spec_until_ms;

    for (size_t i = 0; i < COLUMNS; i++) {
        c->v[i] = spec || !is_spec(i) ? NAN : c->v[i];
    }
    if (spec) {
        read_spec(n, all, c);
        c->spec_until_ms = now_ms + SPEC_MS;
    }
    c->io.v.len = 0;
    if (all->v2) {
        read_cpu_v2(n, all, c);
        read_io_v2(n, all, c);
    } else {
        read_cpu_v1(n, all, c);
        read_io_v1(n, all, c, F_IO, 0);
        read_io_v1(n, all, c, F_IO_COUNT, 2);
    }
    read_memory(n, all, c);
    if (*c->path) {
        read_procs(n, all, c);
    }
    read_net(n, all, c);
    c->v[C_STARTED] = c->started = c->started == 0 ? started(n, all, c) : c->started;
    c->v[C_SEEN] = floor((double)clock_wall_ms() / 1000);
}
