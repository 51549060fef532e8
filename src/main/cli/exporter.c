/* strata exporter: it keeps no state and asks no server.
 *
 * It becomes the program strata-exporter beside it, where there is one: the same code without the
 * libraries of the rest, which take three times the memory of the exporter itself. */
#include "exporter/exporter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "main/cli/cli.h"
#include "main/main_priv.h"

#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { ONCE_MS = 10000, PAGE_HEAP_BYTES = 64 * 1024 };

const struct cli_option exporter_options[] = {
    {"web.listen-address", 0, "HOST:PORT",
     "address to serve on (default 127.0.0.1:9100); :PORT is all of IPv4"},
    {"web.telemetry-path", 0, "PATH", "of the page (default /metrics)"},
    {"tls-cert", 0, "FILE", "certificate chain (PEM) for HTTPS; empty serves plain HTTP"},
    {"tls-key", 0, "FILE", "private key (PEM) of it"},
    {"path.procfs", 0, "DIR", "where /proc is (default /proc)"},
    {"path.sysfs", 0, "DIR", "where /sys is (default /sys)"},
    {"path.rootfs", 0, "DIR", "where / is (default /)"},
    {"path.udev.data", 0, "DIR", "where udev keeps its notes (default /run/udev/data)"},
    {"state", 0, "DIR",
     "Strata's state directory, for the names of jobs (default /var/lib/strata)"},
    {"nvml", 0, "FILE", "NVIDIA's management library (default libnvidia-ml.so.1)"},
    {"collector", 0, "NAME", "a collector that is off by default; may be repeated"},
    {"no-collector", 0, "NAME", "without this collector; may be repeated"},
    {"collector.disable-defaults", 0, NULL, "only those named by --collector"},
    {"collector.textfile.directory", 0, "DIR", "show the files *.prom of it"},
    {"collector.filesystem.mount-points-exclude", 0, "REGEX", "mounts to leave out"},
    {"collector.filesystem.fs-types-exclude", 0, "REGEX", "types of file systems to leave out"},
    {"collector.diskstats.device-exclude", 0, "REGEX", "disks to leave out"},
    {"collector.netdev.device-exclude", 0, "REGEX", "interfaces to leave out"},
    {"collector.netstat.fields", 0, "REGEX", "fields of netstat and snmp to show"},
    {"collector.vmstat.fields", 0, "REGEX", "fields of vmstat to show"},
    {"once", 0, NULL, "print one page and end"},
    {0},
};

struct names {
    VEC(const char *) v;
};

static void take_all(struct cli *c, const char *option, struct names *out)
{
    const char *one;

    for (size_t i = 0; (one = cli_option_nth(c, option, i)); i++) {
        *vec_push(&out->v) = one;
    }
}

static int print_page(struct exporter *x, struct err *e)
{
    SCOPED(buf_done) struct buf page = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    const struct exporter_ask ask = {.within_ms = ONCE_MS};

    if (exporter_page(x, &ask, &page, e) < 0) {
        return -1;
    }
    return fwrite(page.p, 1, page.len, stdout) == page.len ? 0 : err_sys(e, "write the page");
}

static int serve(struct cli *c, struct exporter *x, struct err *e)
{
    const char *given = cli_option(c, "web.listen-address");
    const char *host = given && given[0] == ':' ? "0.0.0.0" : "";
    SCOPED(freep) char *listen = xasprintf("%s%s", host, given ? given : "127.0.0.1:9100");
    const char *path = cli_option(c, "web.telemetry-path");
    const struct exporter_serve o = {.listen = listen,
                                     .listen_name = "--web.listen-address",
                                     .path = path ? path : "/metrics",
                                     .tls_cert = cli_option(c, "tls-cert"),
                                     .tls_key = cli_option(c, "tls-key"),
                                     .version = STRATA_VERSION,
                                     .started_ms = clock_wall_ms()};

    if (o.path[0] != '/' || o.path[1] == '\0') {
        return err_set(e, ERR_INVALID,
                       "--web.telemetry-path begins with / and is not the start "
                       "page: /metrics");
    }
    return exporter_serve(x, &o, e);
}

/* Comes back where there is no such program. */
static void become_small(char **argv)
{
    static const char name[] = "strata-exporter";
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));
    char *slash;

    if (len <= 0) {
        return;
    }
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (slash) {
        (void)memcpy(slash + 1, name, sizeof(name));
        (void)execv(path, argv);
    }
}

int verb_exporter(struct cli *c, struct err *e)
{
    struct names on = {0}, off = {0};
    struct exporter_options o = {
        .procfs = cli_option(c, "path.procfs"),
        .sysfs = cli_option(c, "path.sysfs"),
        .rootfs = cli_option(c, "path.rootfs"),
        .udev_data = cli_option(c, "path.udev.data"),
        .strata_state = cli_option(c, "state"),
        .nvml = cli_option(c, "nvml"),
        .textfile_dir = cli_option(c, "collector.textfile.directory"),
        .only_on = cli_option(c, "collector.disable-defaults") != NULL,
        .mount_points_exclude = cli_option(c, "collector.filesystem.mount-points-exclude"),
        .fs_types_exclude = cli_option(c, "collector.filesystem.fs-types-exclude"),
        .disks_exclude = cli_option(c, "collector.diskstats.device-exclude"),
        .interfaces_exclude = cli_option(c, "collector.netdev.device-exclude"),
        .netstat_fields = cli_option(c, "collector.netstat.fields"),
        .vmstat_fields = cli_option(c, "collector.vmstat.fields"),
    };
    SCOPED(exporter_closep) struct exporter *x = NULL;
    sigset_t stop;
    int rc = -1;

    if (c->argv) {
        become_small(c->argv);
    }
    take_all(c, "collector", &on);
    take_all(c, "no-collector", &off);
    o.on = on.v.p;
    o.n_on = on.v.len;
    o.off = off.v.p;
    o.n_off = off.v.len;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL); /* before the threads are made */
    (void)signal(SIGPIPE, SIG_IGN);
    /* One heap: the few threads hardly meet. Pages are given back when they are sent. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, PAGE_HEAP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, PAGE_HEAP_BYTES);
    (void)prctl(PR_SET_NAME, "strata-exporter", 0, 0, 0);
    log_set_role("exporter");
    x = exporter_open(&o, e);
    if (x) {
        rc = cli_option(c, "once") ? print_page(x, e) : serve(c, x, e);
    }
    vec_done(&on.v);
    vec_done(&off.v);
    return rc;
}
