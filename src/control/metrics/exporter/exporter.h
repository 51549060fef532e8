/* exporter - the figures of this machine as Prometheus reads them: node, containers, GPUs, Lustre.
 *
 *   Prometheus, scrape -> GET /metrics -> the collectors -> /proc, /sys, cgroups, NVML
 *
 * Names, types and labels are those of node_exporter 1.x, cAdvisor, dcgm-exporter and
 * lustrefs-exporter, so that dashboards and rules made for them go on working. A collector that
 * fails, or does not answer in time, is left out and reported (node_scrape_collector_success).
 * Threads: any; one page is made at a time. Keeps no state. */
#pragma once
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct exporter;

struct exporter_options {
    const char *procfs, *sysfs, *rootfs; /* NULL: /proc, /sys, / */
    const char *textfile_dir;            /* NULL: none */
    const char *udev_data;               /* NULL: /run/udev/data below rootfs */
    const char *nvml;                    /* NULL: libnvidia-ml.so.1 */
    const char *strata_state;            /* NULL: /var/lib/strata below rootfs */
    const char *const *on;               /* names of collectors beside those of the default */
    size_t n_on;
    const char *const *off;
    size_t n_off;
    bool only_on; /* --collector.disable-defaults */
    /* RE2's syntax, as node_exporter's options of these names; NULL: its defaults. */
    const char *mount_points_exclude, *fs_types_exclude, *disks_exclude, *interfaces_exclude,
        *netstat_fields, *vmstat_fields;
};

struct exporter *exporter_open(const struct exporter_options *o, struct err *e) MUST_USE;
void exporter_close(struct exporter *x);
DEFINE_SCOPED(struct exporter, exporter_close)

enum exporter_format { EXPORTER_TEXT, EXPORTER_OPENMETRICS };
/* What a page shows and how long it may take. `collect`: names, as collect[]= has them. */
struct exporter_ask {
    enum exporter_format format;
    int64_t within_ms;
    const struct str *collect, *exclude;
    size_t n_collect, n_exclude;
};
/* The page behind what is in `out`. ERR_INVALID: a collector that is not known or not on. */
int exporter_page(struct exporter *x, const struct exporter_ask *ask, struct buf *out,
                  struct err *e) MUST_USE;
/* "cpu (on by default)" ..., for --help and the start page. Ends with NULL. */
const char *exporter_collector(size_t i, bool *on_by_default);

/* Serves GET /metrics (`path`) on `listen` until SIGTERM or SIGINT. */
struct exporter_serve {
    const char *listen, *listen_name, *path; /* listen_name: as in http_options */
    const char *tls_cert, *tls_key;          /* or NULL */
    const char *version;
    int64_t started_ms;                      /* clock_wall_ms() */
    void (*ready)(void *ctx, unsigned port); /* it listens; or NULL */
    void *ctx;
};
int exporter_serve(struct exporter *x, const struct exporter_serve *o, struct err *e) MUST_USE;
