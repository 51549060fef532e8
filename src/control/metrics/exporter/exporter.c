/* The list of collectors, and the page they make together.
 *
 * Those that wait for a device, a mount or a driver have a lane each. The others share one, for
 * that is cheap, until one of them hangs: it keeps that lane, and they get another. */
#include "exporter/exporter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "exporter/lane.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct collector collectors[] = {
    {"arp", collect_arp, ON},
    {"bcache", collect_bcache, ON},
    {"bonding", collect_bonding, ON},
    {"btrfs", collect_btrfs, ON},
    {"conntrack", collect_conntrack, ON},
    {"containers", collect_containers, ON | OWN_LANE},
    {"cpu", collect_cpu, ON},
    {"cpu.info", collect_cpu_info, 0},
    {"cpufreq", collect_cpufreq, ON},
    {"diskstats", collect_diskstats, ON},
    {"dmi", collect_dmi, ON},
    {"edac", collect_edac, ON},
    {"entropy", collect_entropy, ON},
    {"fibrechannel", collect_fibrechannel, ON},
    {"filefd", collect_filefd, ON},
    {"filesystem", collect_filesystem, ON | OWN_LANE | CHOOSES},
    {"gpu", collect_gpu, ON | OWN_LANE},
    {"hwmon", collect_hwmon, ON | OWN_LANE},
    {"infiniband", collect_infiniband, ON},
    {"interrupts", collect_interrupts, 0},
    {"ipvs", collect_ipvs, ON},
    {"kernel_hung", collect_kernel_hung, ON},
    {"loadavg", collect_loadavg, ON},
    {"lustre", collect_lustre, ON | OWN_LANE},
    {"mdadm", collect_mdadm, ON},
    {"meminfo", collect_meminfo, ON},
    {"meminfo_numa", collect_numa, 0},
    {"netclass", collect_netclass, ON},
    {"netdev", collect_netdev, ON},
    {"netstat", collect_netstat, ON},
    {"nfs", collect_nfs, ON},
    {"nfsd", collect_nfsd, ON},
    {"nvme", collect_nvme, ON},
    {"os", collect_os, ON},
    {"powersupplyclass", collect_powersupply, ON},
    {"pressure", collect_pressure, ON},
    {"processes", collect_processes, 0},
    {"rapl", collect_rapl, ON},
    {"schedstat", collect_schedstat, ON},
    {"selinux", collect_selinux, ON},
    {"sockstat", collect_sockstat, ON},
    {"softnet", collect_softnet, ON},
    {"stat", collect_stat, ON},
    {"tapestats", collect_tapestats, ON},
    {"tcpstat", collect_tcpstat, OWN_LANE},
    {"textfile", collect_textfile, ON | OWN_LANE | FOREIGN},
    {"thermal_zone", collect_thermal_zone, ON},
    {"time", collect_time, ON},
    {"timex", collect_timex, ON},
    {"udp_queues", collect_udp_queues, ON},
    {"uname", collect_uname, ON},
    {"vmstat", collect_vmstat, ON},
    {"watchdog", collect_watchdog, ON},
    {"xfs", collect_xfs, ON},
    {"zfs", collect_zfs, ON},
};

/* A collector hangs when it takes a quarter of what the page may: two such leave time for the rest.
 * On a busy machine the healthy ones take long too: where the page has little time, the next finds
 * the one that hangs. */
enum { N = ARRAY_LEN(collectors), HANGS_PART = 4, HANGS_MS = 1000, LEAST_MS = 200 };
_Static_assert(ARRAY_LEN(collectors) <= COLLECTORS_MAX, "a lane has room for all");

struct exporter {
    struct exporter_options o;
    struct lock lock;
    bool busy; /* guarded by lock: a page is being made, which owns what follows */
    bool on[N];
    struct lane *lanes[N];  /* NULL: in the shared one */
    struct lane *shared;    /* NULL: it could not be made again */
    bool late[N], twice[N]; /* the page before was told of it in the log */
};

const char *exporter_collector(size_t i, bool *on_by_default)
{
    if (i >= N) {
        return NULL;
    }
    *on_by_default = collectors[i].flags & ON;
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
        x->on[i] = (collectors[i].flags & ON) && !o->only_on;
    }
    if (choose(x, o->on, o->n_on, true, e) < 0 || choose(x, o->off, o->n_off, false, e) < 0) {
        return NULL;
    }
    x->shared = lane_open(&x->o, collectors, N, LANE_CHOOSES, e);
    if (!x->shared) {
        return NULL;
    }
    for (size_t i = 0; i < N; i++) {
        unsigned flags = collectors[i].flags;

        if (x->on[i] && (flags & OWN_LANE)) {
            x->lanes[i] =
                lane_open(&x->o, collectors, N, (flags & CHOOSES) ? LANE_CHOOSES : LANE_PLAIN, e);
            if (!x->lanes[i]) {
                return NULL;
            }
        }
    }
    return TAKE(x);
}

void exporter_close(struct exporter *x)
{
    bool all = true;

    if (!x) {
        return;
    }
    for (size_t i = 0; i < N; i++) {
        if (x->lanes[i]) {
            all = lane_close(x->lanes[i]) && all;
        }
    }
    if (x->shared) {
        all = lane_close(x->shared) && all;
    }
    if (all) { /* a lane that hangs looks at the options */
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

/* One page at a time: the buffers of the lanes hold one. It waits for one that was begun at the
 * same time and used up all of it, and has a moment then. */
static bool begin(struct exporter *x, int64_t *deadline)
{
    struct lock *l = &x->lock;
    int64_t least;
    WITH_LOCK(l);

    while (x->busy) {
        if (!lock_wait_until(l, *deadline + LEAST_MS)) {
            return false;
        }
    }
    x->busy = true;
    least = clock_mono_ms() + LEAST_MS;
    *deadline = *deadline < least ? least : *deadline;
    return true;
}

static void finish(struct exporter *x)
{
    struct lock *l = &x->lock;
    WITH_LOCK(l);

    x->busy = false;
    lock_broadcast(l);
}

/* "# TYPE name gauge": its name, as the page has it. Empty: another line. */
static struct str family_of(struct str line)
{
    if (!str_starts(line, STR("# TYPE "))) {
        return STR_EMPTY;
    }
    line = str_from(line, strlen("# TYPE "));
    return str_cut(&line, ' ');
}

static void add_families(struct map *families, struct str page)
{
    while (page.len > 0) {
        struct str family = family_of(text_line(&page));

        if (family.len > 0) {
            (void)map_put(families, family, families);
        }
    }
}

/* Family by family, each from its HELP to the next, without those that the page has already. False:
 * there were such. */
static bool add_foreign(struct buf *page, struct str text)
{
    SCOPED(map_done) struct map families = {0};
    bool all = true;

    add_families(&families, buf_str(page));
    while (text.len > 0) {
        ptrdiff_t end = str_find(text, STR("\n# HELP "));
        struct str part = end < 0 ? text : str_n(text.p, (size_t)end + 1);
        struct str rest = str_from(part, strlen("# HELP "));

        text = str_from(text, part.len);
        if (map_get(&families, str_cut(&rest, ' '))) {
            all = false;
        } else {
            (void)buf_add(page, part);
        }
    }
    return all;
}

/* What came of a page, so far: which lanes of their own were asked, and what they gave. */
struct turn {
    const struct exporter_ask *ask;
    int64_t deadline;
    bool began[N];
    struct outcome outcomes[N];
};

static void ask_lanes(struct exporter *x, struct turn *t)
{
    for (size_t i = 0; i < N; i++) {
        bool which[N] = {0};

        which[i] = true;
        t->began[i] =
            x->lanes[i] && asked(x, t->ask, i) && lane_ask(x->lanes[i], which, t->ask->format);
    }
}

/* Those of others are added without the families that the page has. */
static void add_lane(struct exporter *x, size_t i, struct turn *t, struct page *p)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    bool twice;

    if (!(collectors[i].flags & FOREIGN) || !x->o.textfile_dir) {
        lane_take(x->lanes[i], p->out, t->outcomes);
        return;
    }
    lane_take(x->lanes[i], &text, t->outcomes);
    twice = !add_foreign(p->out, buf_str(&text));
    p->out->failed = p->out->failed || text.failed;
    if (twice && !x->twice[i]) {
        log_warn("exporter.twice", "collector=%s; what the page has already is left out",
                 collectors[i].name);
    }
    x->twice[i] = twice;
    t->outcomes[i].ok = t->outcomes[i].ok && !twice;
}

static void show_lane(struct exporter *x, size_t i, struct turn *t, struct page *p)
{
    if (t->began[i] && lane_await(x->lanes[i], t->deadline, 0, /* at */ NULL) == LANE_DONE) {
        add_lane(x, i, t, p);
    }
}

static void show_lanes(struct exporter *x, unsigned foreign, struct turn *t, struct page *p)
{
    for (size_t i = 0; i < N; i++) {
        if (x->lanes[i] && (collectors[i].flags & FOREIGN) == foreign) {
            show_lane(x, i, t, p);
        }
    }
}

/* Those that share a lane, are asked for and have not answered. */
static bool sharing(const struct exporter *x, const struct turn *t, bool which[N])
{
    bool any = false;

    for (size_t i = 0; i < N; i++) {
        which[i] = !x->lanes[i] && asked(x, t->ask, i) && !t->outcomes[i].shown;
        any = any || which[i];
    }
    return any;
}

/* One that hangs keeps the lane. */
static void give_away(struct exporter *x, size_t at)
{
    log_warn("exporter.hangs", "collector=%s; the others go on without it", collectors[at].name);
    x->lanes[at] = x->shared;
    x->shared = NULL;
}

/* One turn of the lane that is shared. True: those left are to be asked in another one. */
static bool run_shared(struct exporter *x, const bool which[N], struct turn *t, struct page *p)
{
    int64_t part_ms = t->ask->within_ms / HANGS_PART;
    int64_t patience_ms = part_ms < HANGS_MS ? HANGS_MS : part_ms;
    enum lane_answer answer;
    size_t at = 0;
    struct err e;

    if (!x->shared) {
        x->shared = lane_open(&x->o, collectors, N, LANE_CHOOSES, &e);
    }
    if (!x->shared) {
        log_warn("exporter.no_lane", "%s", e.msg);
        return false;
    }
    answer = lane_await(x->shared, t->deadline, patience_ms, &at); /* of the page before */
    if (answer == LANE_DONE && lane_ask(x->shared, which, t->ask->format)) {
        answer = lane_await(x->shared, t->deadline, patience_ms, &at);
        lane_take(x->shared, p->out, t->outcomes);
    }
    if (answer == LANE_HANGS && !t->outcomes[at].shown) {
        give_away(x, at);
    }
    return answer == LANE_HANGS;
}

static void show_shared(struct exporter *x, struct turn *t, struct page *p)
{
    bool which[N];

    while (sharing(x, t, which) && run_shared(x, which, t, p)) {
    }
}

/* Those that did not come back. It is logged when it begins, not with each page. */
static void miss(struct exporter *x, struct turn *t)
{
    for (size_t i = 0; i < N; i++) {
        if (!asked(x, t->ask, i)) {
            continue;
        }
        if (!t->outcomes[i].shown && !x->late[i]) {
            log_warn("exporter.late", "collector=%s; the page goes without", collectors[i].name);
        }
        x->late[i] = !t->outcomes[i].shown;
        if (x->late[i]) {
            t->outcomes[i] = (struct outcome){.shown = true, .seconds = NAN};
        }
    }
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
    struct turn t = {.ask = ask, .deadline = clock_mono_ms() + ask->within_ms};
    struct page p = {.out = out, .format = ask->format};

    if (check(x, ask->collect, ask->n_collect, e) < 0 ||
        check(x, ask->exclude, ask->n_exclude, e) < 0) {
        return -1;
    }
    if (!begin(x, &t.deadline)) {
        return err_set(e, ERR_UNAVAILABLE, "other pages are still being made: try again");
    }
    ask_lanes(x, &t);
    show_shared(x, &t, &p);
    show_lanes(x, 0, &t, &p);
    show_lanes(x, FOREIGN, &t, &p); /* the page has all that they may not repeat */
    miss(x, &t);
    finish(x);
    show_outcomes(&p, t.outcomes);
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
