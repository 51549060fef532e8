/* cAdvisor's figures of each container, from its cgroup: version 2, or the controllers of 1. A
 * container's files stay open while it is there. */
#include "exporter/container.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512, DEPTH_MAX = 10, TRIES_MAX = 5, USER_HZ = 100, SPEC_MS = 15000 };

enum file {
    F_CPU,
    F_CPU_USER,
    F_CPU_CFS,
    F_MEMORY,
    F_MEMORY_STAT,
    F_MEMORY_PEAK,
    F_MEMORY_EVENTS,
    F_MEMORY_FAIL,
    F_SWAP,
    F_IO,
    F_IO_COUNT,
    F_PIDS,
    F_PIDS_MAX,
    F_MEMORY_MAX,
    F_MEMORY_LOW,
    F_SWAP_MAX,
    F_CPU_QUOTA,
    F_CPU_PERIOD,
    F_CPU_SHARES,
    F_PROCS,
    FILES
};

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

static const struct column columns[] = {
#define COUNTER(name, help)                                                                        \
    {                                                                                              \
        "container_" name, PAGE_COUNTER, help, 0                                                   \
    }
#define GAUGE(name, help)                                                                          \
    {                                                                                              \
        "container_" name, PAGE_GAUGE, help, 0                                                     \
    }
    COUNTER("cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds."),
    COUNTER("cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds."),
    COUNTER("cpu_cfs_periods_total", "Number of elapsed enforcement period intervals."),
    COUNTER("cpu_cfs_throttled_periods_total", "Number of throttled period intervals."),
    COUNTER("cpu_cfs_throttled_seconds_total",
            "Total time duration the container has been throttled."),
    GAUGE("memory_usage_bytes",
          "Current memory usage in bytes, including all memory regardless of when it was accessed"),
    GAUGE("memory_working_set_bytes", "Current working set in bytes."),
    GAUGE("memory_rss", "Size of RSS in bytes."),
    GAUGE("memory_cache", "Number of bytes of page cache memory."),
    GAUGE("memory_mapped_file", "Size of memory mapped files in bytes."),
    GAUGE("memory_kernel_usage", "Size of kernel memory allocated in bytes."),
    GAUGE("memory_swap", "Container swap usage in bytes."),
    GAUGE("memory_max_usage_bytes", "Maximum memory usage recorded in bytes"),
    COUNTER("memory_failcnt", "Number of memory usage hits limits"),
    COUNTER("oom_events_total", "Count of out of memory events observed for the container"),
    GAUGE("processes", "Number of processes running inside the container."),
    GAUGE("threads", "Number of threads running inside the container"),
    GAUGE("threads_max",
          "Maximum number of threads allowed inside the container, infinity if value is zero"),
    GAUGE("spec_cpu_period", "CPU period of the container."),
    GAUGE("spec_cpu_quota", "CPU quota of the container."),
    GAUGE("spec_cpu_shares", "CPU share of the container."),
    GAUGE("spec_memory_limit_bytes", "Memory limit for the container."),
    GAUGE("spec_memory_reservation_limit_bytes", "Memory reservation limit for the container."),
    GAUGE("spec_memory_swap_limit_bytes", "Memory swap limit for the container."),
    GAUGE("start_time_seconds", "Start time of the container since unix epoch in seconds."),
    GAUGE("last_seen", "Last time a container was seen by the exporter"),
};
enum {
    C_CPU_USER,
    C_CPU_SYSTEM,
    C_PERIODS,
    C_THROTTLED,
    C_THROTTLED_TIME,
    C_MEMORY,
    C_WORKING_SET,
    C_RSS,
    C_CACHE,
    C_MAPPED,
    C_KERNEL,
    C_SWAP,
    C_PEAK,
    C_FAILCNT,
    C_OOM,
    C_PROCESSES,
    C_THREADS,
    C_THREADS_MAX,
    C_PERIOD,
    C_QUOTA,
    C_SHARES,
    C_LIMIT,
    C_RESERVATION,
    C_SWAP_LIMIT,
    C_STARTED,
    C_SEEN,
    COLUMNS
};
_Static_assert(ARRAY_LEN(columns) == COLUMNS, "a column each");

/* A device, or an interface: its name and the totals of it. */
enum { IO_FIGURES = 4, NET_FIGURES = 8, PARTS_MAX = 32 };
struct part {
    char name[64];
    double v[NET_FIGURES];
};
struct parts {
    VEC(struct part) v;
};

struct container {
    char *path; /* below the root of the hierarchy; "" is that itself */
    struct container_names names;
    struct buf labels;
    int fds[FILES]; /* -1: not open, -2: there is none */
    int tries;      /* for its names */
    bool named, seen;
    double cpu, v[COLUMNS], faults, major_faults;
    struct parts io, net;
    double started;
    int64_t spec_until_ms; /* clock_mono_ms(): its limits are read again then */
    pid_t pid;             /* one of its processes */
    pid_t net_pid;         /* whose network `net_fd` is; -1: it is the host's, or we may not know */
    int net_fd;
};

struct containers {
    VEC(struct container *) all;
    bool v2;
    dev_t host_net_dev;
    ino_t host_net; /* 0: we may not know it */
};

static void container_free(struct container *c)
{
    for (int i = 0; i < FILES; i++) {
        closep(&c->fds[i]);
    }
    closep(&c->net_fd);
    container_names_done(&c->names);
    buf_done(&c->labels);
    vec_done(&c->io.v);
    vec_done(&c->net.v);
    free(c->path);
    free(c);
}

void containers_free(struct containers *all)
{
    if (!all) {
        return;
    }
    for (size_t i = 0; i < all->all.len; i++) {
        container_free(all->all.p[i]);
    }
    vec_done(&all->all);
    free(all);
}

/* --- finding them --- */

/* The hierarchy that is walked: the one of version 2, or the memory controller's. */
static const char *top_of(const struct node *n, bool *v2)
{
    *v2 = faccessat(n->sys, "fs/cgroup/cgroup.controllers", F_OK, 0) == 0;
    return *v2 ? "fs/cgroup" : "fs/cgroup/memory";
}

static struct container *container_of(struct containers *all, const char *path)
{
    struct container *c;

    for (size_t i = 0; i < all->all.len; i++) {
        if (strcmp(all->all.p[i]->path, path) == 0) {
            return all->all.p[i];
        }
    }
    if (all->all.len >= LIMIT_NODE_CONTAINERS) {
        return NULL;
    }
    c = xnew(struct container);
    c->path = xstrdup(path);
    c->labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);
    c->net_fd = -1;
    for (int i = 0; i < FILES; i++) {
        c->fds[i] = -1;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    *vec_push(&all->all) = c;
    return c;
}

/* Their names may be written a moment after the cgroup is made. */
static void name_it(struct node *n, struct container *c, const struct container_kind *kind)
{
    if (c->named) {
        return;
    }
    container_names_done(&c->names);
    c->named = container_names_find(n, kind, &c->names) || ++c->tries >= TRIES_MAX;
    buf_clear(&c->labels);
    page_label(&c->labels, "id", str_of(arena_printf(&n->arena, "/%s", c->path)));
    container_label(&c->labels, &c->names);
}

/* Directories have a link for each one in them: who has two is a leaf. (btrfs always says one.) */
static bool has_children(const struct node *n, const char *path)
{
    struct stat st;

    return fstatat(n->sys, path, &st, 0) == 0 && st.st_nlink != 2;
}

static void walk(struct node *n, struct containers *all, const char *top, const char *path,
                 int depth)
{
    const char *slash = *path ? "/" : "";
    struct node_names names;
    struct err e;

    if (depth > DEPTH_MAX || node_dirs(n, NODE_SYS, &names, &e, "%s/%s", top, path) < 0) {
        return;
    }
    for (size_t i = 0; i < names.len; i++) {
        const char *below;
        struct container_kind kind;
        struct container *c;

        below = arena_printf(&n->arena, "%s%s%s", path, slash, names.p[i]);
        if (container_recognize(path, names.p[i], &kind)) {
            c = container_of(all, below);
            if (c) {
                c->seen = true;
                name_it(n, c, &kind);
            }
        } else if (has_children(n, arena_printf(&n->arena, "%s/%s", top, below))) {
            walk(n, all, top, below, depth + 1);
        }
    }
}

static void find_all(struct node *n, struct containers *all)
{
    const char *top = top_of(n, &all->v2);
    struct container *root = container_of(all, "");
    size_t kept = 0;

    for (size_t i = 0; i < all->all.len; i++) {
        all->all.p[i]->seen = false;
    }
    if (root) {
        root->seen = true;
        buf_clear(&root->labels);
        page_label(&root->labels, "id", STR("/"));
        page_label(&root->labels, "image", STR_EMPTY);
        page_label(&root->labels, "name", STR_EMPTY);
    }
    walk(n, all, top, "", 0);
    for (size_t i = 0; i < all->all.len; i++) {
        struct container *c = all->all.p[i];

        if (c->seen) {
            all->all.p[kept++] = c;
        } else {
            container_free(c);
        }
    }
    all->all.len = kept;
}

void containers_of_strata(struct node *n, struct container_list *out)
{
    VEC(struct container_names) all = {0};
    struct node_names tops, names;
    struct err e;
    bool v2;
    const char *top = top_of(n, &v2);

    *out = (struct container_list){0};
    if (node_dirs(n, NODE_SYS, &tops, &e, "%s", top) < 0) {
        return;
    }
    for (size_t i = 0; i < tops.len; i++) {
        if (!str_starts(str_of(tops.p[i]), STR("strata-")) ||
            node_dirs(n, NODE_SYS, &names, &e, "%s/%s", top, tops.p[i]) < 0) {
            continue;
        }
        for (size_t k = 0; k < names.len && all.len < LIMIT_NODE_CONTAINERS; k++) {
            struct container_kind kind = {ENGINE_STRATA, str_of(names.p[k])};
            struct container_names one = {0};

            if (container_names_find(n, &kind, &one)) {
                *vec_push(&all) = one;
            } else {
                container_names_done(&one);
            }
        }
    }
    out->p = all.p;
    out->len = all.len;
}

/* --- reading them --- */

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

        c->fds[f] = openat(n->sys, path, O_RDONLY | O_CLOEXEC);
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
        if (got < 4096) {
            break; /* a short read of a cgroup's file is its end */
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

/* "key value" lines. */
static double keyed(struct str text, const char *key)
{
    size_t len = strlen(key);

    while (text.p && text.len > len) {
        const char *end = memchr(text.p, '\n', text.len);

        if (text.p[len] == ' ' && memcmp(text.p, key, len) == 0) {
            text = str_from(text, len);
            return text_or(text_word(&text), NAN);
        }
        text = end ? str_from(text, (size_t)(end - text.p) + 1) : STR_EMPTY;
    }
    return NAN;
}

static void read_cpu_v2(struct node *n, const struct containers *all, struct container *c)
{
    struct str text = read_file(n, all, c, F_CPU);

    c->cpu = keyed(text, "usage_usec") / 1e6;
    c->v[C_CPU_USER] = keyed(text, "user_usec") / 1e6;
    c->v[C_CPU_SYSTEM] = keyed(text, "system_usec") / 1e6;
    c->v[C_PERIODS] = keyed(text, "nr_periods");
    c->v[C_THROTTLED] = keyed(text, "nr_throttled");
    c->v[C_THROTTLED_TIME] = keyed(text, "throttled_usec") / 1e6;
}

static void read_cpu_v1(struct node *n, const struct containers *all, struct container *c)
{
    struct str text;

    c->cpu = first_number(read_file(n, all, c, F_CPU), NAN) / 1e9;
    text = read_file(n, all, c, F_CPU_USER);
    c->v[C_CPU_USER] = keyed(text, "user") / USER_HZ;
    c->v[C_CPU_SYSTEM] = keyed(text, "system") / USER_HZ;
    text = read_file(n, all, c, F_CPU_CFS);
    c->v[C_PERIODS] = keyed(text, "nr_periods");
    c->v[C_THROTTLED] = keyed(text, "nr_throttled");
    c->v[C_THROTTLED_TIME] = keyed(text, "throttled_time") / 1e9;
}

static void read_memory(struct node *n, const struct containers *all, struct container *c)
{
    bool v2 = all->v2;
    struct str text;
    double inactive;

    c->v[C_MEMORY] = first_number(read_file(n, all, c, F_MEMORY), NAN);
    c->v[C_PEAK] = first_number(read_file(n, all, c, F_MEMORY_PEAK), NAN);
    text = read_file(n, all, c, F_MEMORY_STAT);
    c->v[C_RSS] = keyed(text, v2 ? "anon" : "total_rss");
    c->v[C_CACHE] = keyed(text, v2 ? "file" : "total_cache");
    c->v[C_MAPPED] = keyed(text, v2 ? "file_mapped" : "total_mapped_file");
    c->v[C_KERNEL] = v2 ? keyed(text, "kernel") : NAN;
    c->v[C_SWAP] = v2 ? NAN : keyed(text, "total_swap");
    c->faults = keyed(text, v2 ? "pgfault" : "total_pgfault");
    c->major_faults = keyed(text, v2 ? "pgmajfault" : "total_pgmajfault");
    inactive = keyed(text, v2 ? "inactive_file" : "total_inactive_file");
    c->v[C_WORKING_SET] = fmax(0, c->v[C_MEMORY] - inactive);
    if (isnan(c->v[C_MEMORY])) {
        c->v[C_WORKING_SET] = NAN;
    }
    if (v2) {
        c->v[C_SWAP] = first_number(read_file(n, all, c, F_SWAP), NAN);
    }
    text = read_file(n, all, c, F_MEMORY_EVENTS);
    c->v[C_OOM] = keyed(text, "oom_kill");
    c->v[C_FAILCNT] =
        v2 ? keyed(text, "max") : first_number(read_file(n, all, c, F_MEMORY_FAIL), NAN);
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
    return openat(n->proc, path, O_RDONLY | O_CLOEXEC);
}

/* The machine's network is that of its first process. */
static int open_host_net(const struct node *n)
{
    int fd = openat(n->proc, "1/net/dev", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? openat(n->proc, "net/dev", O_RDONLY | O_CLOEXEC) : fd;
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

static void read_one(struct node *n, const struct containers *all, struct container *c)
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

/* --- showing them --- */

/* The labels of a container and one more, in `b`. */
static struct str with(struct buf *b, const struct container *c, const char *name,
                       const char *value)
{
    buf_clear(b);
    (void)buf_add(b, buf_str(&c->labels));
    page_label(b, name, str_of(value));
    return buf_str(b);
}

/* "254:0" -> "/dev/vda", looked up once a page. */
static const char *device_of(struct node *n, struct map *known, const char *number)
{
    const char *device = map_get(known, str_of(number));

    if (!device) {
        const char *name = node_link(n, NODE_SYS, "dev/block/%s", number);

        device = name ? arena_printf(&n->arena, "/dev/%s", name) : number;
        (void)map_put(known, str_of(number), (void *)(uintptr_t)device);
    }
    return device;
}

static void show_parts(struct node *n, struct page *p, const struct containers *all, bool net)
{
    static const char *const io[IO_FIGURES][2] = {
        {"container_fs_reads_bytes_total", "Cumulative count of bytes read"},
        {"container_fs_writes_bytes_total", "Cumulative count of bytes written"},
        {"container_fs_reads_total", "Cumulative count of reads completed"},
        {"container_fs_writes_total", "Cumulative count of writes completed"}};
    static const char *const network[NET_FIGURES][2] = {
        {"container_network_receive_bytes_total", "Cumulative count of bytes received"},
        {"container_network_receive_packets_total", "Cumulative count of packets received"},
        {"container_network_receive_errors_total",
         "Cumulative count of errors encountered while receiving"},
        {"container_network_receive_packets_dropped_total",
         "Cumulative count of packets dropped while receiving"},
        {"container_network_transmit_bytes_total", "Cumulative count of bytes transmitted"},
        {"container_network_transmit_packets_total", "Cumulative count of packets transmitted"},
        {"container_network_transmit_errors_total",
         "Cumulative count of errors encountered while transmitting"},
        {"container_network_transmit_packets_dropped_total",
         "Cumulative count of packets dropped while transmitting"}};
    size_t figures = net ? NET_FIGURES : IO_FIGURES;
    SCOPED(map_done) struct map devices = {0};
    SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);

    for (size_t f = 0; f < figures; f++) {
        bool begun = false;

        for (size_t i = 0; i < all->all.len; i++) {
            struct container *c = all->all.p[i];
            const struct part *parts = net ? c->net.v.p : c->io.v.p;
            size_t len = net ? c->net.v.len : c->io.v.len;

            for (size_t k = 0; k < len; k++) {
                const char *device = net ? NULL : device_of(n, &devices, parts[k].name);

                if (!begun) {
                    page_family(p, net ? network[f][0] : io[f][0], PAGE_COUNTER,
                                net ? network[f][1] : io[f][1]);
                }
                begun = true;
                page_put(
                    p, with(&labels, c, net ? "interface" : "device", net ? parts[k].name : device),
                    parts[k].v[f]);
            }
        }
    }
}

static void show_faults(struct page *p, const struct containers *all)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(LIMIT_NODE_FILE_BYTES);

    page_family(p, "container_memory_failures_total", PAGE_COUNTER,
                "Cumulative count of memory allocation failures.");
    for (size_t i = 0; i < all->all.len; i++) {
        struct container *c = all->all.p[i];
        const double v[] = {c->faults, c->major_faults};

        for (size_t k = 0; k < ARRAY_LEN(v); k++) {
            if (!isnan(v[k])) {
                (void)with(&b, c, "failure_type", k == 0 ? "pgfault" : "pgmajfault");
                page_label(&b, "scope", STR("hierarchy"));
                page_put(p, buf_str(&b), v[k]);
            }
        }
    }
}

/* The disks of the machine, as cAdvisor shows them of the root. What a container's own layer takes
 * is not counted: that would be a walk through all its files. */
static void show_disks(struct node *n, struct page *p)
{
    static const struct column of_disks[] = {
        {"container_fs_limit_bytes", PAGE_GAUGE,
         "Number of bytes that can be consumed by the container on this filesystem.", 0},
        {"container_fs_usage_bytes", PAGE_GAUGE,
         "Number of bytes that are consumed by the container on this filesystem.", 0},
        {"container_fs_inodes_total", PAGE_GAUGE, "Number of Inodes", 0},
        {"container_fs_inodes_free", PAGE_GAUGE, "Number of available Inodes", 0}};
    enum { FIGURES = ARRAY_LEN(of_disks) };
    struct filesystem_disk *disks = NULL;
    size_t len = filesystem_disks(n, &disks);
    struct row *rows = arena_new_array(&n->arena, struct row, len);

    for (size_t i = 0; i < len; i++) {
        double *v = arena_new_array(&n->arena, double, FIGURES);

        v[0] = disks[i].size;
        v[1] = disks[i].used;
        v[2] = disks[i].files;
        v[3] = disks[i].files_free;
        rows[i] = (struct row){
            collect_labels(n, "device", disks[i].device, "id", "/", "image", "", "name", "", NULL),
            v};
    }
    collect_columns(p, of_disks, FIGURES, rows, len);
    free(disks);
}

static void show_machine(struct node *n, struct page *p)
{
    struct str boot = node_line(n, NODE_PROC, "sys/kernel/random/boot_id");
    struct str machine = node_line(n, NODE_ROOT, "etc/machine-id");
    struct str uuid = node_line(n, NODE_SYS, "class/dmi/id/product_uuid");
    struct str labels =
        collect_labels(n, "boot_id", boot.p ? boot.p : "", "machine_id", machine.p ? machine.p : "",
                       "system_uuid", uuid.p ? uuid.p : "", NULL);
    struct str text;
    struct err e;

    page_family(p, "machine_cpu_cores", PAGE_GAUGE, "Number of logical CPU cores.");
    page_put(p, labels, (double)sysconf(_SC_NPROCESSORS_ONLN));
    if (node_read(n, NODE_PROC, &text, &e, "meminfo") == 0) {
        page_family(p, "machine_memory_bytes", PAGE_GAUGE,
                    "Amount of memory installed on the machine.");
        page_put(p, labels, keyed(text, "MemTotal:") * 1024);
    }
}

static void show_all(struct node *n, struct page *p, const struct containers *all)
{
    struct row *rows = arena_new_array(&n->arena, struct row, all->all.len);
    SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);

    page_family(p, "container_cpu_usage_seconds_total", PAGE_COUNTER,
                "Cumulative cpu time consumed in seconds.");
    for (size_t i = 0; i < all->all.len; i++) {
        struct container *c = all->all.p[i];

        rows[i] = (struct row){buf_str(&c->labels), c->v};
        if (!isnan(c->cpu)) {
            page_put(p, with(&labels, c, "cpu", "total"), c->cpu);
        }
    }
    collect_columns(p, columns, COLUMNS, rows, all->all.len);
    show_faults(p, all);
    show_parts(n, p, all, false);
    show_parts(n, p, all, true);
    show_disks(n, p);
    page_one(p, "container_scrape_error", PAGE_GAUGE,
             "1 if there was an error while getting container metrics, 0 otherwise", 0);
    show_machine(n, p);
}

int collect_containers(struct node *n, struct page *p, struct err *e)
{
    struct containers *all = n->containers;
    struct stat st;

    if (!all) {
        all = n->containers = xnew(struct containers);
        if (fstatat(n->proc, "1/ns/net", &st, 0) == 0) {
            all->host_net = st.st_ino;
            all->host_net_dev = st.st_dev;
        }
    }
    find_all(n, all);
    for (size_t i = 0; i < all->all.len; i++) {
        read_one(n, all, all->all.p[i]);
    }
    show_all(n, p, all);
    (void)e;
    return 0;
}
