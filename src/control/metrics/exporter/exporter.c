/* The list of collectors, and the page they make together.
 *
 * Most are done in the thread that answers. Those that wait for a device, a mount or a driver
 * (LANE) have a thread each, so that one which hangs holds up neither the page nor the others: it
 * is left out until it comes back. */
#include "exporter/exporter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "exporter/collect.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* FOREIGN: what it shows was named by others, who may have taken a name that is there.
 * CHOOSES: a lane that needs the regular expressions. */
enum collector_flags { DEFAULT = 1, LANE = 2, FOREIGN = 4, CHOOSES = 8 };

static const struct collector {
    const char *name;
    collect_fn *collect;
    unsigned flags;
} collectors[] = {
    {"arp", collect_arp, DEFAULT},
    {"bonding", collect_bonding, DEFAULT},
    {"btrfs", collect_btrfs, DEFAULT},
    {"conntrack", collect_conntrack, DEFAULT},
    {"containers", collect_containers, DEFAULT | LANE},
    {"cpu", collect_cpu, DEFAULT},
    {"cpu.info", collect_cpu_info, 0},
    {"cpufreq", collect_cpufreq, DEFAULT},
    {"diskstats", collect_diskstats, DEFAULT},
    {"dmi", collect_dmi, DEFAULT},
    {"edac", collect_edac, DEFAULT},
    {"entropy", collect_entropy, DEFAULT},
    {"fibrechannel", collect_fibrechannel, DEFAULT},
    {"filefd", collect_filefd, DEFAULT},
    {"filesystem", collect_filesystem, DEFAULT | LANE | CHOOSES},
    {"gpu", collect_gpu, DEFAULT | LANE},
    {"hwmon", collect_hwmon, DEFAULT | LANE},
    {"infiniband", collect_infiniband, DEFAULT},
    {"interrupts", collect_interrupts, 0},
    {"ipvs", collect_ipvs, DEFAULT},
    {"loadavg", collect_loadavg, DEFAULT},
    {"lustre", collect_lustre, DEFAULT | LANE},
    {"mdadm", collect_mdadm, DEFAULT},
    {"meminfo", collect_meminfo, DEFAULT},
    {"meminfo_numa", collect_numa, 0},
    {"netclass", collect_netclass, DEFAULT},
    {"netdev", collect_netdev, DEFAULT},
    {"netstat", collect_netstat, DEFAULT},
    {"nfs", collect_nfs, DEFAULT},
    {"nfsd", collect_nfsd, DEFAULT},
    {"nvme", collect_nvme, DEFAULT},
    {"os", collect_os, DEFAULT},
    {"powersupplyclass", collect_powersupply, DEFAULT},
    {"pressure", collect_pressure, DEFAULT},
    {"processes", collect_processes, 0},
    {"rapl", collect_rapl, DEFAULT},
    {"schedstat", collect_schedstat, DEFAULT},
    {"selinux", collect_selinux, DEFAULT},
    {"sockstat", collect_sockstat, DEFAULT},
    {"softnet", collect_softnet, DEFAULT},
    {"stat", collect_stat, DEFAULT},
    {"tcpstat", collect_tcpstat, LANE},
    {"textfile", collect_textfile, DEFAULT | LANE | FOREIGN},
    {"thermal_zone", collect_thermal_zone, DEFAULT},
    {"time", collect_time, DEFAULT},
    {"timex", collect_timex, DEFAULT},
    {"udp_queues", collect_udp_queues, DEFAULT},
    {"uname", collect_uname, DEFAULT},
    {"vmstat", collect_vmstat, DEFAULT},
    {"watchdog", collect_watchdog, DEFAULT},
    {"xfs", collect_xfs, DEFAULT},
    {"zfs", collect_zfs, DEFAULT},
};

enum { N = ARRAY_LEN(collectors), LANE_STACK_BYTES = 256 * 1024, LANE_KEPT_BYTES = 32 * 1024 };

/* What one turn of a collector gave. */
struct outcome {
    double seconds;
    bool ok, shown;
};

enum lane_state { LANE_IDLE, LANE_ASKED, LANE_RUNS, LANE_DONE, LANE_ENDS };

/* The thread of one collector. `out` and `outcome` are its own while it runs, the page's when it is
 * done. */
struct lane {
    struct exporter *x;
    const struct collector *c;
    struct node node;
    struct buf out;
    struct outcome outcome;
    enum exporter_format format;
    enum lane_state state; /* guarded by x->lock */
    bool stuck;            /* it still ran when this page began */
    bool told;             /* its error was logged, and is the same since */
    pthread_t thread;
};

struct exporter {
    struct exporter_options o;
    struct lock lock;
    bool busy; /* guarded by lock: a page is being made */
    bool on[N];
    bool told[N];
    struct lane *lanes[N]; /* NULL: done in the thread that answers */
    struct node node;
};

const char *exporter_collector(size_t i, bool *on_by_default)
{
    if (i >= N) {
        return NULL;
    }
    *on_by_default = collectors[i].flags & DEFAULT;
    return collectors[i].name;
}

static ptrdiff_t find(struct str name)
{
    for (size_t i = 0; i < N; i++) {
        if (str_eq_c(name, collectors[i].name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

/* A failure is logged when it begins, not with each page. */
static void run(const struct collector *c, struct node *n, struct page *p, bool *told,
                struct outcome *out)
{
    int64_t began_us = clock_mono_us();
    struct err e = {0};
    int rc = c->collect(n, p, &e);

    arena_reset(&n->arena);
    if (rc < 0 && e.kind != ERR_NOT_FOUND && !*told) {
        log_warn("exporter.collector", "collector=%s error=%s; the page goes without", c->name,
                 Q(str_of(e.msg)));
    }
    *told = rc < 0;
    out->ok = rc == 0;
    out->shown = true;
    out->seconds = (double)(clock_mono_us() - began_us) / 1e6;
}

static void *lane_main(void *ctx)
{
    struct lane *l = ctx;
    struct lock *lock = &l->x->lock;

    lock_take(lock);
    while (l->state != LANE_ENDS) {
        if (l->state != LANE_ASKED) {
            lock_wait(lock);
            continue;
        }
        l->state = LANE_RUNS;
        lock_drop(lock);
        struct page p = {.out = &l->out, .format = l->format};
        buf_clear(&l->out);
        run(l->c, &l->node, &p, &l->told, &l->outcome);
        lock_take(lock);
        if (l->state == LANE_RUNS) {
            l->state = LANE_DONE;
        }
        lock_broadcast(lock);
    }
    lock_drop(lock);
    return NULL;
}

static int start_lane(struct exporter *x, size_t i, struct err *e)
{
    struct lane *l = xnew(struct lane);
    pthread_attr_t attr;
    int rc;

    *l = (struct lane){.x = x, .c = &collectors[i], .out = BUF_MAX(LIMIT_EXPOSITION_BYTES)};
    if (node_init(&l->node, &x->o, e) < 0 ||
        ((l->c->flags & CHOOSES) && node_expressions(&l->node, e) < 0)) {
        node_done(&l->node);
        free(l);
        return -1;
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, LANE_STACK_BYTES);
    rc = pthread_create(&l->thread, &attr, lane_main, l);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        node_done(&l->node);
        free(l);
        return err_set(e, ERR_UNAVAILABLE, "a thread for %s: %s", collectors[i].name, strerror(rc));
    }
    x->lanes[i] = l;
    return 0;
}

static int choose(struct exporter *x, const char *const *names, size_t n, bool on, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        ptrdiff_t at = find(str_of(names[i]));

        if (at < 0) {
            return err_set(e, ERR_INVALID,
                           "there is no collector \"%s\": see strata exporter "
                           "--help",
                           names[i]);
        }
        x->on[at] = on;
    }
    return 0;
}

struct exporter *exporter_open(const struct exporter_options *o, struct err *e)
{
    SCOPED(exporter_closep) struct exporter *x = xnew(struct exporter);

    x->o = *o;
    lock_init(&x->lock, LOCK_exporter);
    for (size_t i = 0; i < N; i++) {
        x->on[i] = (collectors[i].flags & DEFAULT) && !o->only_on;
    }
    if (node_init(&x->node, &x->o, e) < 0 || node_expressions(&x->node, e) < 0 ||
        choose(x, o->on, o->n_on, true, e) < 0 || choose(x, o->off, o->n_off, false, e) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < N; i++) {
        if (x->on[i] && (collectors[i].flags & LANE) && start_lane(x, i, e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

/* A lane that hangs cannot be waited for: its memory stays, the process ends anyway. */
static bool end_lane(struct exporter *x, struct lane *l)
{
    bool runs;

    lock_take(&x->lock);
    runs = l->state == LANE_RUNS;
    l->state = LANE_ENDS;
    lock_broadcast(&x->lock);
    lock_drop(&x->lock);
    if (runs) {
        (void)pthread_detach(l->thread);
        return false;
    }
    (void)pthread_join(l->thread, NULL);
    node_done(&l->node);
    buf_done(&l->out);
    free(l);
    return true;
}

void exporter_close(struct exporter *x)
{
    bool all = true;

    if (!x) {
        return;
    }
    for (size_t i = 0; i < N; i++) {
        if (x->lanes[i]) {
            all = end_lane(x, x->lanes[i]) && all;
        }
    }
    node_done(&x->node);
    if (all) {
        lock_done(&x->lock);
        free(x);
    }
}

static bool named(const struct str *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(names[i], name)) {
            return true;
        }
    }
    return false;
}

static int check(const struct exporter *x, const struct str *names, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        ptrdiff_t at = find(names[i]);

        if (at < 0 || !x->on[at]) {
            return err_set(e, ERR_INVALID, "there is no collector %s, or it is not on",
                           Q(names[i]));
        }
    }
    return 0;
}

static bool asked(const struct exporter *x, const struct exporter_ask *ask, size_t i)
{
    const char *name = collectors[i].name;

    return x->on[i] && (ask->n_collect == 0 || named(ask->collect, ask->n_collect, name)) &&
           !named(ask->exclude, ask->n_exclude, name);
}

/* One page at a time: the buffers of the lanes hold one. */
static bool begin(struct exporter *x, const struct exporter_ask *ask, int64_t deadline)
{
    struct lock *l = &x->lock;
    WITH_LOCK(l);

    while (x->busy) {
        if (!lock_wait_until(l, deadline)) {
            return false;
        }
    }
    x->busy = true;
    for (size_t i = 0; i < N; i++) {
        struct lane *lane = x->lanes[i];

        if (lane) {
            lane->stuck = lane->state == LANE_RUNS || lane->state == LANE_ASKED;
        }
        if (lane && !lane->stuck && asked(x, ask, i)) {
            lane->format = ask->format;
            lane->state = LANE_ASKED;
        }
    }
    lock_broadcast(l);
    return true;
}

static void finish(struct exporter *x)
{
    struct lock *l = &x->lock;
    WITH_LOCK(l);

    x->busy = false;
    lock_broadcast(l);
}

/* Waits for a lane; what it gave is ours to read then. */
static bool await_lane(struct exporter *x, const struct lane *lane, int64_t deadline)
{
    struct lock *l = &x->lock;
    WITH_LOCK(l);

    while (lane->state != LANE_DONE) {
        if (lane->stuck || !lock_wait_until(l, deadline)) {
            return false;
        }
    }
    return true;
}

static bool has_family(const struct buf *page, struct str name)
{
    SCOPED(buf_done) struct buf head = BUF_MAX(LIMIT_EXPOSITION_BYTES);

    (void)buf_printf(&head, "\n# TYPE %.*s ", STR_ARG(name));
    return str_find(buf_str(page), buf_str(&head)) >= 0;
}

/* Family by family, without those that the page has already. False: there were such. */
static bool add_foreign(struct buf *page, struct str text)
{
    bool all = true, skip = false;

    while (text.len > 0) {
        struct str line = text_line(&text), rest = line;

        if (str_starts(line, STR("# HELP "))) {
            (void)text_word(&rest);
            (void)text_word(&rest);
            skip = has_family(page, text_word(&rest));
            all = all && !skip;
        }
        if (!skip) {
            (void)buf_add(page, line);
            (void)buf_add_c(page, "\n");
        }
    }
    return all;
}

static void show_lane(struct exporter *x, struct lane *lane, int64_t deadline, struct page *p,
                      struct outcome *out)
{
    if (await_lane(x, lane, deadline)) {
        *out = lane->outcome;
        if (!(lane->c->flags & FOREIGN)) {
            (void)buf_add(p->out, buf_str(&lane->out));
        } else if (!add_foreign(p->out, buf_str(&lane->out))) {
            log_warn("exporter.twice", "collector=%s; what the page has already is left out",
                     lane->c->name);
            out->ok = false;
        }
        if (lane->out.cap > LANE_KEPT_BYTES) {
            buf_done(&lane->out);
            lane->out = BUF_MAX(LIMIT_EXPOSITION_BYTES);
        }
        return;
    }
    log_warn("exporter.late", "collector=%s; the page goes without", lane->c->name);
    *out = (struct outcome){.shown = true, .seconds = NAN};
}

static void show_outcomes(struct page *p, const struct outcome *outcomes)
{
    page_family(p, "node_scrape_collector_duration_seconds", PAGE_GAUGE,
                "node_exporter: Duration of a collector scrape.");
    for (size_t i = 0; i < N; i++) {
        if (outcomes[i].shown && !isnan(outcomes[i].seconds)) {
            page_add(p, outcomes[i].seconds, "collector", collectors[i].name, NULL);
        }
    }
    page_family(p, "node_scrape_collector_success", PAGE_GAUGE,
                "node_exporter: Whether a collector succeeded.");
    for (size_t i = 0; i < N; i++) {
        if (outcomes[i].shown) {
            page_add(p, outcomes[i].ok, "collector", collectors[i].name, NULL);
        }
    }
}

int exporter_page(struct exporter *x, const struct exporter_ask *ask, struct buf *out,
                  struct err *e)
{
    int64_t deadline = clock_mono_ms() + ask->within_ms;
    struct page p = {.out = out, .format = ask->format};
    struct outcome outcomes[N] = {{0}};

    if (check(x, ask->collect, ask->n_collect, e) < 0 ||
        check(x, ask->exclude, ask->n_exclude, e) < 0) {
        return -1;
    }
    if (!begin(x, ask, deadline)) {
        return err_set(e, ERR_UNAVAILABLE, "other pages are still being made: try again");
    }
    for (size_t i = 0; i < N; i++) {
        if (asked(x, ask, i) && !x->lanes[i]) {
            run(&collectors[i], &x->node, &p, &x->told[i], &outcomes[i]);
        }
    }
    for (size_t i = 0; i < N; i++) {
        if (asked(x, ask, i) && x->lanes[i]) {
            show_lane(x, x->lanes[i], deadline, &p, &outcomes[i]);
        }
    }
    finish(x);
    show_outcomes(&p, outcomes);
    if (out->failed) {
        return err_set(e, ERR_LIMIT, "the page is larger than %zu bytes: switch collectors off",
                       out->max);
    }
    return 0;
}

void collect_columns(struct page *p, const struct column *c, size_t n_columns,
                     const struct row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_columns; i++) {
        bool begun = false;

        for (size_t k = 0; k < n_rows; k++) {
            double v = rows[k].v[i];

            if (isnan(v)) {
                continue;
            }
            if (!begun) {
                page_family(p, c[i].name, c[i].type, c[i].help);
            }
            begun = true;
            page_put(p, rows[k].labels, c[i].scale == 0 ? v : v * c[i].scale);
        }
    }
}

struct str collect_labels(struct node *n, ...)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    const char *name;
    va_list ap;

    va_start(ap, n);
    while ((name = va_arg(ap, const char *))) {
        page_label(&b, name, str_of(va_arg(ap, const char *)));
    }
    va_end(ap);
    return arena_str(&n->arena, buf_str(&b));
}
