/* collect: whatever stands in the files of a machine, a collector gives a page that can be read, or
 * a sentence. The first byte names a group; what follows fills its files in their order, a NUL
 * between two. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/mem.h"
#include "scrape/exposition.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Those of the groups below that choose by regular expressions. */
#define CHOOSE "dfmnN"

#define HWMON "sys/class/hwmon/hwmon0/"
#define IB "sys/class/infiniband/mlx5_0/"
#define NET "sys/class/net/"
#define CONTAINERD "root/run/containerd/io.containerd.runtime.v2.task/k8s.io/"
#define ID "1111111111111111111111111111111111111111111111111111111111111111"
#define V2 "sys/fs/cgroup/strata-0/j-abc-1/"
#define SYS_DEBUG "sys/kernel/debug/lustre/"
#define OSD "sys/fs/lustre/osd-ldiskfs/fs-OST0000/"
#define PROC_LUSTRE "proc/fs/lustre/"

static const struct group {
    char name;
    collect_fn *collect[4];
    const char *files[24];
} groups[] = {
    {'a', {collect_arp, collect_udp_queues}, {"proc/net/arp", "proc/net/udp", "proc/net/udp6"}},
    {'B',
     {collect_bcache, collect_tapestats, collect_kernel_hung},
     {"sys/fs/bcache/a-b/tree_depth", "sys/fs/bcache/a-b/bdev0/dirty_data",
      "sys/fs/bcache/a-b/bdev0/writeback_rate_debug", "sys/fs/bcache/a-b/cache0/written",
      "sys/class/scsi_tape/st0/stats/io_ns", "proc/sys/kernel/hung_task_detect_count"}},
    {'b', {collect_bonding}, {NET "bonding_masters", NET "bond0/bonding/slaves"}},
    {'c', {collect_stat, collect_cpu}, {"proc/stat", "sys/devices/system/cpu/isolated"}},
    {'C', {collect_cpu_info, collect_cpufreq}, {"proc/cpuinfo"}},
    {'d', {collect_diskstats}, {"proc/diskstats", "root/run/udev/data/b8:0"}},
    {'e',
     {collect_edac, collect_thermal_zone, collect_rapl, collect_powersupply},
     {"sys/devices/system/edac/mc/mc0/ce_count", "sys/class/thermal/thermal_zone0/type",
      "sys/class/thermal/thermal_zone0/temp", "sys/class/powercap/intel-rapl:0/name",
      "sys/class/powercap/intel-rapl:0/energy_uj", "sys/class/power_supply/BAT0/type",
      "sys/class/power_supply/BAT0/capacity", "sys/class/power_supply/BAT0/status"}},
    {'f', {collect_filesystem}, {"proc/1/mounts"}},
    {'F',
     {collect_fibrechannel, collect_nvme, collect_watchdog, collect_dmi},
     {"sys/class/fc_host/host0/port_name", "sys/class/fc_host/host0/speed",
      "sys/class/fc_host/host0/statistics/rx_words", "sys/class/nvme/nvme0/model",
      "sys/class/nvme/nvme0/state", "sys/class/watchdog/watchdog0/identity",
      "sys/class/watchdog/watchdog0/timeout", "sys/class/dmi/id/bios_vendor"}},
    {'h',
     {collect_hwmon},
     {HWMON "name", HWMON "temp1_input", HWMON "temp1_label", HWMON "fan1_input", HWMON "in0_alarm",
      HWMON "power1_average_interval", HWMON "curr1_crit"}},
    {'i',
     {collect_infiniband},
     {IB "board_id", IB "ports/1/state", IB "ports/1/phys_state", IB "ports/1/rate",
      IB "ports/1/counters/port_rcv_data", IB "ports/1/hw_counters/rx_atomic_requests"}},
    {'I', {collect_ipvs}, {"proc/net/ip_vs_stats", "proc/net/ip_vs"}},
    {'k',
     {collect_conntrack},
     {"proc/sys/net/netfilter/nf_conntrack_count", "proc/sys/net/netfilter/nf_conntrack_max",
      "proc/net/stat/nf_conntrack"}},
    {'l',
     {collect_loadavg, collect_filefd, collect_entropy},
     {"proc/loadavg", "proc/sys/fs/file-nr", "proc/sys/kernel/random/entropy_avail",
      "proc/sys/kernel/random/poolsize"}},
    {'L',
     {collect_lustre},
     {"sys/fs/lustre/version", "sys/fs/lustre/health_check", "sys/kernel/debug/lnet/stats",
      SYS_DEBUG "llite/fs-ffff1/stats", SYS_DEBUG "llite/fs-ffff1/read_ahead_stats",
      SYS_DEBUG "osc/fs-OST0001-osc-ffff1/stats", PROC_LUSTRE "mdt/fs-MDT0000/md_stats",
      PROC_LUSTRE "mdt/fs-MDT0000/job_stats", PROC_LUSTRE "mdt/fs-MDT0000/recovery_status",
      PROC_LUSTRE "obdfilter/fs-OST0000/stats", PROC_LUSTRE "obdfilter/fs-OST0000/job_stats",
      PROC_LUSTRE "mds/MDS/mdt/stats",
      "sys/fs/lustre/ldlm/namespaces/filter-fs-OST0000_UUID/lock_count", OSD "brw_stats",
      OSD "quota_slave/acct_user", "sys/fs/lustre/qmt/fs-QMT0000/dt-0x0/glb-usr"}},
    {'m',
     {collect_meminfo, collect_vmstat, collect_numa},
     {"proc/meminfo", "proc/vmstat", "sys/devices/system/node/node0/meminfo",
      "sys/devices/system/node/node0/numastat"}},
    {'M', {collect_mdadm}, {"proc/mdstat"}},
    {'n',
     {collect_netdev, collect_netclass},
     {"proc/net/dev", NET "eth0/address", NET "eth0/operstate", NET "eth0/ifalias",
      NET "eth0/speed", NET "eth0/carrier"}},
    {'N',
     {collect_netstat, collect_sockstat},
     {"proc/net/netstat", "proc/net/snmp", "proc/net/snmp6", "proc/net/sockstat",
      "proc/net/sockstat6"}},
    {'o', {collect_os, collect_selinux}, {"root/etc/os-release", "sys/fs/selinux/enforce"}},
    {'p',
     {collect_pressure, collect_softnet, collect_schedstat},
     {"proc/pressure/cpu", "proc/pressure/memory", "proc/net/softnet_stat", "proc/schedstat"}},
    {'P',
     {collect_processes},
     {"proc/1/stat", "proc/1/task/1/stat", "proc/sys/kernel/threads-max"}},
    {'r', {collect_nfs, collect_nfsd}, {"proc/net/rpc/nfs", "proc/net/rpc/nfsd"}},
    {'T',
     {collect_interrupts, collect_tcpstat},
     {"proc/interrupts", "proc/net/tcp", "proc/net/tcp6"}},
    {'t', {collect_textfile}, {"root/text/a.prom", "root/text/b.prom"}},
    {'u',
     {collect_containers}, /* with a cgroup of version 2 */
     {V2 "cpu.stat", V2 "memory.stat", V2 "io.stat", V2 "memory.events", V2 "cpu.max",
      V2 "memory.max", V2 "cgroup.procs", "proc/1/net/dev",
      "root/var/lib/strata/jobs/j-abc-1/labels"}},
    {'U',
     {collect_containers}, /* names */
     {"root/var/lib/docker/containers/" ID "/config.v2.json", CONTAINERD ID "/config.json",
      "root/var/lib/containers/storage/overlay-containers/containers.json"}},
    {'x',
     {collect_xfs, collect_btrfs},
     {"sys/fs/xfs/sda1/stats/stats", "sys/fs/btrfs/0abb/label",
      "sys/fs/btrfs/0abb/allocation/data/total_bytes"}},
    {'z',
     {collect_zfs},
     {"proc/spl/kstat/zfs/arcstats", "proc/spl/kstat/zfs/zil", "proc/spl/kstat/zfs/fm"}},
};
static const char *const folders[] = {
    "sys/fs/cgroup/system.slice/docker-" ID ".scope",
    "sys/fs/cgroup/kubepods.slice/cri-containerd-" ID ".scope",
    "sys/fs/cgroup/machine.slice/libpod-" ID ".scope",
};

static char top[] = "/tmp/strata-collect-fuzz-XXXXXX";
static char proc[64], sys[64], root[64];
static int at = -1; /* top */

static int remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED,
                      struct FTW *where UNUSED)
{
    return remove(path);
}

static void clean(void)
{
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folders(const char *path)
{
    char part[512];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        (void)mkdirat(at, part, 0755);
    }
}

static void put(const char *path, struct str text)
{
    SCOPED(closep) int fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text.p, text.len) != (ssize_t)text.len) {
        abort();
    }
}

static void make_tree(void)
{
    if (!mkdtemp(top) || atexit(clean) != 0 ||
        (at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        abort();
    }
    (void)snprintf(proc, sizeof(proc), "%s/proc", top);
    (void)snprintf(sys, sizeof(sys), "%s/sys", top);
    (void)snprintf(root, sizeof(root), "%s/root", top);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        for (size_t k = 0; groups[i].files[k]; k++) {
            make_folders(groups[i].files[k]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        make_folders(folders[i]);
        (void)mkdirat(at, folders[i], 0755);
    }
    put("sys/fs/cgroup/cgroup.controllers", STR("cpu\n"));
}

/* A scraper must be able to read it: one bad value costs the whole page. */
static void check_page(struct str text)
{
    SCOPED(arena_done) struct arena a = {0};
    struct exposition x;
    struct labels labels;
    struct err e;
    int kind;

    exposition_init(&x, text, EXPOSITION_TEXT);
    while ((kind = exposition_next(&x, &e)) != EXPOSITION_END) {
        if (kind < 0 ||
            (kind == EXPOSITION_SAMPLE && exposition_labels(x.series, &a, &labels, &e) < 0)) {
            (void)fprintf(stderr, "%s\n%.*s\n", e.msg, STR_ARG(text));
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct exporter_options o = {
        .procfs = proc, .sysfs = sys, .rootfs = root, .textfile_dir = "/text"};
    SCOPED(buf_done) struct buf out = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    struct str rest = str_n((const char *)data, size);
    const struct group *g = NULL;
    struct node n;
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        g = size > 0 && groups[i].name == rest.p[0] ? &groups[i] : g;
    }
    if (!g) {
        return 0;
    }
    if (at < 0) {
        make_tree();
    }
    rest = str_from(rest, 1);
    for (size_t k = 0; g->files[k]; k++) {
        struct str text = str_cut(&rest, '\0');

        put(g->files[k], text.p ? text : STR_EMPTY);
    }
    if (node_init(&n, &o, &e) < 0 || (strchr(CHOOSE, g->name) && node_expressions(&n, &e) < 0)) {
        abort();
    }
    for (size_t i = 0; i < ARRAY_LEN(g->collect) && g->collect[i]; i++) {
        struct page p = {.out = &out};

        (void)g->collect[i](&n, &p, &e);
        arena_reset(&n.arena);
    }
    node_done(&n);
    check_page(buf_str(&out));
    return 0;
}
