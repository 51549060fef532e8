/* The role exporter: user strata, the figures of this machine for our own scraper. It reads /proc,
 * /sys and the labels of jobs; where it listens it writes to metrics/exporter.json, in which the
 * scraper looks (file discovery). */
#include "main/main_priv.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "exporter/exporter.h"
#include "main/own_scrape.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

enum { COLLECTORS_MAX = 64 };

const struct cfg_item exporter_config[] = {
    {"exporter.listen", CFG_STRING, "127.0.0.1:0",
     "Where the figures of this machine are served to our own scraper: an address and a port, 0 "
     "for "
     "any that is free. Empty: this server starts no exporter. Nobody is asked who he is there."},
    {"exporter.collectors", CFG_STRING, "",
     "Collectors beside those that are on by default, with a blank between them: processes tcpstat "
     "interrupts cpu.info meminfo_numa."},
    {0},
};

static bool is_collector(const char *name)
{
    bool on;
    const char *one;

    for (size_t i = 0; (one = exporter_collector(i, &on)); i++) {
        if (strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The names of exporter.collectors, in the arena. */
static int collectors_of(const struct cfg *cfg, struct arena *a, const char *out[COLLECTORS_MAX],
                         size_t *n, struct err *e)
{
    struct str rest = cfg_str(cfg, "exporter.collectors");

    *n = 0;
    while (rest.len > 0) {
        struct str word = str_cut(&rest, ' ');
        const char *name = arena_strdup(a, word);

        if (word.len == 0) {
            continue;
        }
        if (*n == COLLECTORS_MAX) {
            return err_set(e, ERR_INVALID,
                           "exporter.collectors: more than %d names: each collector is named once",
                           COLLECTORS_MAX);
        }
        if (!is_collector(name)) {
            return err_set(e, ERR_INVALID,
                           "exporter.collectors: there is no collector %s: strata exporter --help "
                           "lists them",
                           Q(word));
        }
        out[(*n)++] = name;
    }
    return 0;
}

int exporter_check(const struct cfg *cfg, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    const char *names[COLLECTORS_MAX];
    size_t n;

    return collectors_of(cfg, &a, names, &n, e);
}

/* The address with the port that was given to us. */
static void tell(void *ctx, unsigned port)
{
    const struct boot *b = ctx;
    SCOPED(buf_done) struct buf text = BUF_MAX(4 * KIB);
    char address[300], host[HOST_NAME_MAX + 1] = "";
    struct jw writer = JW(&text), *w = &writer;
    struct err e;

    own_address(cfg_str(b->cfg, "exporter.listen"), port, address);
    (void)gethostname(host, sizeof(host) - 1);
    jw_array(w);
    jw_object(w);
    jw_key(w, "targets");
    jw_array(w);
    jw_str(w, str_of(address));
    jw_end(w);
    jw_key(w, "labels");
    jw_object(w);
    jw_kv_c(w, "instance", *host ? host : "localhost");
    jw_end(w);
    jw_end(w);
    jw_end(w);
    if (fs_write_atomic(AT_FDCWD, "metrics/exporter.json", buf_str(&text), 0640, &e) < 0) {
        log_warn("exporter.untold", "%s; our own scraper does not find us", e.msg);
    }
}

int exporter_role(const struct boot *b, int socket UNUSED)
{
    struct exporter_options o = {0};
    struct exporter_serve serve = {.listen_name = "exporter.listen",
                                   .path = "/metrics",
                                   .version = STRATA_VERSION,
                                   .started_ms = clock_wall_ms(),
                                   .ready = tell,
                                   .ctx = (void *)(uintptr_t)b};
    SCOPED(exporter_closep) struct exporter *x = NULL;
    SCOPED(arena_done) struct arena a = {0};
    const char *on[COLLECTORS_MAX];
    pid_t parent = getppid();
    sigset_t stop;
    struct err e;

    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    serve.listen = cfg_str(b->cfg, "exporter.listen").p;
    o.strata_state = "/proc/self/cwd"; /* its parents may be closed to us */
    o.on = on;
    if (collectors_of(b->cfg, &a, on, &o.n_on, &e) == 0 && confine_drop(b->uid, b->gid, &e) == 0 &&
        confine_no_exec(&e) == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* a change of user clears it */
        if (getppid() != parent) {
            return EX_TEMPFAIL; /* it died before the line above */
        }
        x = exporter_open(&o, &e);
    }
    if (!x || exporter_serve(x, &serve, &e) < 0) {
        log_error("exporter.failed", "%s", e.msg);
        return err_exit_code(e.kind);
    }
    return EX_OK;
}
