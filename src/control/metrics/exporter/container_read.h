/* container_read - what is kept of a container from page to page, and reading it again. */
#pragma once
#include "exporter/container.h"

#include "base/vec.h"

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

/* All its figures; a file of it that is gone leaves those of it out. */
void container_read(struct node *n, const struct containers *all, struct container *c);
