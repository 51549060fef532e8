/* collect - the collectors, each one family of figures. */
#pragma once
#include "exporter/node.h"
#include "exporter/page.h"

/* 0: all is written. -1: `e` says what failed, or ERR_NOT_FOUND that this machine has no such
 * thing; what was written until then stays. */
typedef int collect_fn(struct node *n, struct page *p, struct err *e);

/* cpu.c */
collect_fn collect_stat, collect_cpu, collect_cpufreq, collect_schedstat, collect_loadavg,
    collect_softnet, collect_pressure, collect_cpu_info;
/* interrupts.c, tcp.c */
collect_fn collect_interrupts, collect_tcpstat;
/* memory.c */
collect_fn collect_meminfo, collect_vmstat, collect_numa, collect_edac;
/* disk.c, pools.c, bcache.c, filesystem.c */
collect_fn collect_diskstats, collect_mdadm, collect_nvme, collect_tapestats, collect_zfs,
    collect_xfs, collect_btrfs, collect_bcache, collect_filesystem;
/* network.c */
collect_fn collect_netdev, collect_netclass, collect_netstat, collect_sockstat, collect_arp,
    collect_conntrack, collect_udp_queues, collect_bonding, collect_infiniband, collect_ipvs;
/* system.c */
collect_fn collect_uname, collect_time, collect_timex, collect_filefd, collect_entropy, collect_os,
    collect_kernel_hung, collect_dmi, collect_selinux, collect_textfile, collect_rapl,
    collect_powersupply, collect_thermal_zone, collect_hwmon, collect_watchdog, collect_processes,
    collect_nfs, collect_nfsd, collect_fibrechannel;
/* container.c, gpu.c, lustre.c */
collect_fn collect_containers, collect_gpu, collect_lustre;

/* Several families with the same labels: rows of numbers with the text of their labels. NAN: that
 * row has none of it. */
struct column {
    const char *name;
    enum page_type type;
    const char *help;
    double scale;
};
struct row {
    struct str labels;
    const double *v;
};
void collect_columns(struct page *p, const struct column *c, size_t n_columns,
                     const struct row *rows, size_t n_rows);
/* How full the machine's own disks are, each once; `out` is the caller's to free. filesystem.c */
struct filesystem_disk {
    const char *device; /* in the node's arena */
    double size, used, files, files_free;
};
size_t filesystem_disks(struct node *n, struct filesystem_disk **out);
/* The text of labels, in the node's arena: label, value, ..., NULL. */
struct str collect_labels(struct node *n, ...) __attribute__((sentinel));
