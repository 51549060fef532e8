/* cAdvisor's figures of each container, found by its cgroup: of version 2, or of 1. */
#include "exporter/container_read.h"

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

enum { DEPTH_MAX = 10, TRIES_MAX = 5 };

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
_Static_assert(ARRAY_LEN(columns) == COLUMNS, "a column each");

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
        page_put(p, labels, text_keyed(text, "MemTotal:") * 1024);
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
        container_read(n, all, all->all.p[i]);
    }
    show_all(n, p, all);
    (void)e;
    return 0;
}
