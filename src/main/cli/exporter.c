/* The role exporter: it keeps no state and asks no server. */
#include "exporter/exporter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "main/cli/cli.h"
#include "main/main_priv.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { ONCE_MS = 10000, PAGE_HEAP_BYTES = 64 * 1024 };

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
    const char *listen = cli_option(c, "web.listen-address");
    const char *path = cli_option(c, "web.telemetry-path");
    const struct exporter_serve o = {.listen = listen ? listen : "127.0.0.1:9100",
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
