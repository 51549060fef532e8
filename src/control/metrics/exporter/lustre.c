/* Lustre, as client and as server, with the names of lustrefs-exporter. What `lctl get_param`
 * prints stands, from version to version, in one of three trees. Source: Lustre Operations Manual,
 * 12 (job statistics) and 40 (parameters). */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 320 };

/* --- families; rows of them are gathered first, for a family stands together on a page --- */

#define FAMILIES(X)                                                                                \
    X(VERSION, "lustre_version_info", GAUGE, "The Lustre version string, as a label.")             \
    X(HEALTHY, "lustre_health_healthy", GAUGE,                                                     \
      "Indicates whether the Lustre target is healthy or not. 1 is healthy, 0 is unhealthy.")      \
    X(MEM_USED, "lustre_mem_used", GAUGE, "Gives information about Lustre memory usage.")          \
    X(MEM_USED_MAX, "lustre_mem_used_max", GAUGE,                                                  \
      "Gives information about Lustre maximum memory usage.")                                      \
    X(LNET_MEM, "lustre_lnet_mem_used", GAUGE,                                                     \
      "Gives information about Lustre LNet memory usage.")                                         \
    X(SEND_COUNT, "lustre_send_count_total", COUNTER,                                              \
      "Total number of messages that have been sent")                                              \
    X(RECEIVE_COUNT, "lustre_receive_count_total", COUNTER,                                        \
      "Total number of messages that have been received")                                          \
    X(DROP_COUNT, "lustre_drop_count_total", COUNTER,                                              \
      "Total number of messages that have been dropped")                                           \
    X(SEND_BYTES, "lustre_send_bytes_total", COUNTER, "Total number of bytes that have been sent") \
    X(RECEIVE_BYTES, "lustre_receive_bytes_total", COUNTER,                                        \
      "Total number of bytes that have been received")                                             \
    X(DROP_BYTES, "lustre_drop_bytes_total", COUNTER,                                              \
      "Total number of bytes that have been dropped")                                              \
    X(CLIENT, "lustre_client_stats", COUNTER, "Lustre client interface stats.")                    \
    X(READ_AHEAD, "lustre_client_read_ahead_stats_total", COUNTER,                                 \
      "Number of read-ahead events of the client, by operation")                                   \
    X(OSC, "lustre_client_osc_stats_total", COUNTER,                                               \
      "Number of RPCs the client has sent to the target, by operation")                            \
    X(OSC_READ, "lustre_client_osc_read_bytes_total", COUNTER,                                     \
      "Total bytes read by the client via OSC")                                                    \
    X(OSC_WRITE, "lustre_client_osc_write_bytes_total", COUNTER,                                   \
      "Total bytes written by the client via OSC")                                                 \
    X(OSC_GRANT, "lustre_client_osc_cur_grant_bytes", GAUGE,                                       \
      "Bytes of write grant the client currently holds from the OST")                              \
    X(OSC_DIRTY, "lustre_client_osc_cur_dirty_bytes", GAUGE,                                       \
      "Bytes of dirty data the client currently caches for the OST")                               \
    X(MDC, "lustre_client_mdc_stats_total", COUNTER,                                               \
      "Number of RPCs the client has sent to the target, by operation")                            \
    X(MDC_MD, "lustre_client_mdc_md_stats_requests_total", COUNTER,                                \
      "Total number of metadata requests, by operation")                                           \
    X(CAPACITY, "lustre_capacity_kilobytes", GAUGE, "Capacity of the pool in kilobytes")           \
    X(FREE, "lustre_free_kilobytes", GAUGE, "Number of kilobytes allocated to the pool")           \
    X(AVAILABLE, "lustre_available_kilobytes", GAUGE,                                              \
      "Number of kilobytes readily available in the pool")                                         \
    X(INODES, "lustre_inodes_maximum", GAUGE,                                                      \
      "The maximum number of inodes (objects) the filesystem can hold")                            \
    X(INODES_FREE, "lustre_inodes_free", GAUGE, "The number of inodes (objects) available")        \
    X(EXPORTS, "lustre_exports_total", COUNTER,                                                    \
      "Total number of times the pool has been exported")                                          \
    X(CLIENTS, "lustre_connected_clients", GAUGE, "Number of connected clients")                   \
    X(DIRTY, "lustre_exports_dirty_total", COUNTER,                                                \
      "Total number of exports that have been marked dirty")                                       \
    X(GRANTED, "lustre_exports_granted_total", COUNTER,                                            \
      "Total number of exports that have been marked granted")                                     \
    X(PENDING, "lustre_exports_pending_total", COUNTER,                                            \
      "Total number of exports that have been marked pending")                                     \
    X(READS, "lustre_read_samples_total", COUNTER,                                                 \
      "Total number of reads that have been recorded.")                                            \
    X(READ_MIN, "lustre_read_minimum_size_bytes", GAUGE, "The minimum read size in bytes.")        \
    X(READ_MAX, "lustre_read_maximum_size_bytes", GAUGE, "The maximum read size in bytes.")        \
    X(READ_BYTES, "lustre_read_bytes_total", COUNTER,                                              \
      "The total number of bytes that have been read.")                                            \
    X(WRITES, "lustre_write_samples_total", COUNTER,                                               \
      "Total number of writes that have been recorded.")                                           \
    X(WRITE_MIN, "lustre_write_minimum_size_bytes", GAUGE, "The minimum write size in bytes.")     \
    X(WRITE_MAX, "lustre_write_maximum_size_bytes", GAUGE, "The maximum write size in bytes.")     \
    X(WRITE_BYTES, "lustre_write_bytes_total", COUNTER,                                            \
      "The total number of bytes that have been written.")                                         \
    X(STATS, "lustre_stats_total", COUNTER, "Number of operations the filesystem has performed.")  \
    X(STATS_MIN, "lustre_stats_time_min", GAUGE,                                                   \
      "Minimum time taken for an operation in microseconds")                                       \
    X(STATS_MAX, "lustre_stats_time_max", GAUGE,                                                   \
      "Maximum time taken for an operation in microseconds")                                       \
    X(STATS_TIME, "lustre_stats_time_total", GAUGE,                                                \
      "Total time taken for an operation in microseconds")                                         \
    X(MDS, "lustre_mds_mdt_stats", GAUGE, "MDS mdt stats")                                         \
    X(OSS, "lustre_oss_ost_stats", GAUGE, "OSS ost stats")                                         \
    X(OSS_IO, "lustre_oss_ost_io_stats", GAUGE, "OSS ost_io stats")                                \
    X(OSS_CREATE, "lustre_oss_ost_create_stats", GAUGE, "OSS ost_create stats")                    \
    X(CANCELD, "lustre_ldlm_canceld_stats", COUNTER,                                               \
      "Gives information about LDLM Canceld service.")                                             \
    X(CBD, "lustre_ldlm_cbd_stats", COUNTER, "Gives information about LDLM Callback service.")     \
    X(LOCKS, "lustre_lock_count_total", COUNTER, "Number of locks")                                \
    X(LOCK_TIMEOUTS, "lustre_lock_timeout_total", COUNTER, "Number of lock timeouts")              \
    X(CONTENDED, "lustre_lock_contended_total", COUNTER, "Number of contended locks")              \
    X(CONTENTION, "lustre_lock_contention_seconds_total", COUNTER,                                 \
      "Time in seconds during which locks were contended")                                         \
    X(RECOVERY, "recovery_status", GAUGE,                                                          \
      "Gives the recovery status off a target. 0=Complete 1=Inactive 2=Waiting "                   \
      "3=WaitingForClients 4=Recovering 5=Unknown")                                                \
    X(RECOVERY_DONE, "recovery_status_completed_clients", GAUGE,                                   \
      "Gives the count of clients that complete the recovery on a target.")                        \
    X(RECOVERY_CONNECTED, "recovery_status_connected_clients", GAUGE,                              \
      "Gives the count of clients connected to a target.")                                         \
    X(RECOVERY_EVICTED, "recovery_status_evicted_clients", GAUGE,                                  \
      "Gives the count of clients evicted from a target.")                                         \
    X(JOB_READS, "lustre_job_read_samples_total", COUNTER,                                         \
      "Total number of reads that have been recorded.")                                            \
    X(JOB_READ_MIN, "lustre_job_read_minimum_size_bytes", GAUGE,                                   \
      "The minimum read size in bytes.")                                                           \
    X(JOB_READ_MAX, "lustre_job_read_maximum_size_bytes", GAUGE,                                   \
      "The maximum read size in bytes.")                                                           \
    X(JOB_READ_BYTES, "lustre_job_read_bytes_total", COUNTER,                                      \
      "The total number of bytes that have been read.")                                            \
    X(JOB_WRITES, "lustre_job_write_samples_total", COUNTER,                                       \
      "Total number of writes that have been recorded.")                                           \
    X(JOB_WRITE_MIN, "lustre_job_write_minimum_size_bytes", GAUGE,                                 \
      "The minimum write size in bytes.")                                                          \
    X(JOB_WRITE_MAX, "lustre_job_write_maximum_size_bytes", GAUGE,                                 \
      "The maximum write size in bytes.")                                                          \
    X(JOB_WRITE_BYTES, "lustre_job_write_bytes_total", COUNTER,                                    \
      "The total number of bytes that have been written.")                                         \
    X(JOB_STATS, "lustre_job_stats_total", COUNTER,                                                \
      "Number of operations the filesystem has performed, recorded by jobstats.")

#define AS_ENUM(id, name, type, help) L_##id,
enum family { FAMILIES(AS_ENUM) N_FAMILIES };
#define AS_COLUMN(id, name, type, help) {name, PAGE_##type, help, 0},
static const struct column families[] = {FAMILIES(AS_COLUMN)};

struct sample {
    enum family family;
    struct str labels;
    double v;
};

struct gathered {
    struct node *n;
    VEC(struct sample) v;
};

static void add(struct gathered *g, enum family f, struct str labels, double v)
{
    if (g->v.len < LIMIT_LUSTRE_SAMPLES && !isnan(v)) {
        *vec_push(&g->v) = (struct sample){f, labels, v};
    }
}

static void show(struct page *p, const struct gathered *g)
{
    for (int f = 0; f < N_FAMILIES; f++) {
        bool begun = false;

        for (size_t i = 0; i < g->v.len; i++) {
            if ((int)g->v.p[i].family != f) {
                continue;
            }
            if (!begun) {
                page_family(p, families[f].name, families[f].type, families[f].help);
            }
            begun = true;
            page_put(p, g->v.p[i].labels, g->v.p[i].v);
        }
    }
}

/* --- where things stand --- */

static const struct {
    enum node_tree tree;
    const char *top;
} trees[] = {{NODE_SYS, "kernel/debug"}, {NODE_SYS, "fs"}, {NODE_PROC, "fs"}, {NODE_PROC, "sys"}};

/* "lustre/llite/x/stats" or "lnet/stats", of the first tree that has it. */
static bool read_text(struct node *n, struct str *out, const char *path)
{
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_read(n, trees[i].tree, out, &e, "%s/%s", trees[i].top, path) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_of(struct node *n, struct str *out, const char *kind, const char *target,
                    const char *file)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "lustre/%s/%s/%s", kind, target, file);
    return read_text(n, out, path);
}

static double number_of(struct node *n, const char *kind, const char *target, const char *file)
{
    struct str text;

    return read_of(n, &text, kind, target, file) ? text_or(text_word(&text), NAN) : NAN;
}

static void targets_of(struct node *n, const char *kind, struct node_names *out)
{
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_dirs(n, trees[i].tree, out, &e, "%s/lustre/%s", trees[i].top, kind) == 0 &&
            out->len > 0) {
            return;
        }
    }
    *out = (struct node_names){0};
}

static bool is_there(struct node *n, struct err *e)
{
    struct node_names names;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_list(n, trees[i].tree, &names, e, "%s/lustre", trees[i].top) == 0) {
            return true;
        }
    }
    return false;
}

/* --- "open  434 samples [usecs] 1 1229 10438 10028664": min, max, sum where there are any --- */

struct stat_line {
    const char *name, *unit;
    double samples, min, max, sum;
};

static bool next_stat(struct node *n, struct str *text, struct stat_line *out)
{
    while (text->len > 0) {
        struct str line = text_line(text), name = text_word(&line), count = text_word(&line), unit;

        if (!str_eq_c(text_word(&line), "samples") || !text_number(count, &out->samples)) {
            continue; /* snapshot_time and its like */
        }
        unit = text_word(&line);
        if (unit.len > 2 && unit.p[0] == '[') {
            unit = str_n(unit.p + 1, unit.len - 2);
        }
        out->name = arena_strdup(&n->arena, name);
        out->unit = arena_strdup(&n->arena, unit);
        out->min = text_or(text_word(&line), NAN);
        out->max = text_or(text_word(&line), NAN);
        out->sum = text_or(text_word(&line), NAN);
        return true;
    }
    return false;
}

/* --- this machine, and its network --- */

static void gather_host(struct gathered *g)
{
    static const struct {
        const char *path;
        enum family family;
    } rows[] = {{"lustre/memused", L_MEM_USED},
                {"lustre/memused_max", L_MEM_USED_MAX},
                {"lnet/lnet_memused", L_LNET_MEM}};
    struct node *n = g->n;
    struct str text, word, last = STR_EMPTY;

    if (read_text(n, &text, "lustre/version")) { /* "lustre: 2.12.8", or the number alone */
        text = text_line(&text);
        while ((word = text_word(&text)).len > 0) {
            last = word;
        }
        add(g, L_VERSION, collect_labels(n, "version", arena_strdup(&n->arena, last), NULL), 1);
    }
    if (read_text(n, &text, "lustre/health_check")) {
        bool healthy = str_find(text, STR("unhealthy")) < 0 && str_starts(text, STR("healthy"));

        add(g, L_HEALTHY, STR_EMPTY, healthy);
        while (text.len > 0) { /* "device fs-OST0000 reported unhealthy" */
            struct str line = text_line(&text);

            if (str_eq_c(text_word(&line), "device")) {
                const char *target = arena_strdup(&n->arena, text_word(&line));

                add(g, L_HEALTHY, collect_labels(n, "target", target, NULL), 0);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_text(n, &text, rows[i].path)) {
            add(g, rows[i].family, STR_EMPTY, text_or(text_word(&text), NAN));
        }
    }
}

static void gather_lnet(struct gathered *g)
{
    /* alloc max errors | send receive route drop: messages, then bytes */
    static const int places[] = {
        -1,          -1,           -1,           L_SEND_COUNT,    L_RECEIVE_COUNT,
        -1,          L_DROP_COUNT, L_SEND_BYTES, L_RECEIVE_BYTES, -1,
        L_DROP_BYTES};
    struct str text;

    if (!read_text(g->n, &text, "lnet/stats")) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        double v = text_or(text_word(&text), NAN);

        if (places[i] >= 0) {
            add(g, (enum family)places[i], STR_EMPTY, v);
        }
    }
}

/* --- services: lines of operations --- */

static void gather_services(struct gathered *g)
{
    static const struct {
        const char *path;
        enum family family;
        bool units;
    } rows[] = {{"lustre/mds/MDS/mdt/stats", L_MDS, true},
                {"lustre/ost/OSS/ost/stats", L_OSS, true},
                {"lustre/ost/OSS/ost_io/stats", L_OSS_IO, true},
                {"lustre/ost/OSS/ost_create/stats", L_OSS_CREATE, true},
                {"lustre/ldlm/services/ldlm_canceld/stats", L_CANCELD, false},
                {"lustre/ldlm/services/ldlm_cbd/stats", L_CBD, false}};
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!read_text(n, &text, rows[i].path)) {
            continue;
        }
        while (next_stat(n, &text, &s)) {
            add(g, rows[i].family,
                rows[i].units ? collect_labels(n, "operation", s.name, "units", s.unit, NULL)
                              : collect_labels(n, "operation", s.name, NULL),
                s.samples);
        }
    }
}

/* --- a client --- */

/* "my-fs-OST0000-osc-ffff" -> "my-fs": a name of a file system has eight characters at most. */
static const char *fs_of(struct node *n, const char *target)
{
    struct str s = str_of(target);

    for (size_t i = s.len < 8 ? s.len : 8; i > 0; i--) {
        if (i < s.len && (s.p[i] == '-' || s.p[i] == ':')) {
            return arena_strdup(&n->arena, str_first(s, i));
        }
    }
    return target;
}

static void gather_operations(struct gathered *g, const char *kind, const char *file,
                              enum family family)
{
    bool llite = strcmp(kind, "llite") == 0, osc = strcmp(kind, "osc") == 0;
    struct node *n = g->n;
    struct node_names all;
    struct stat_line s;
    struct str text;

    targets_of(n, kind, &all);
    for (size_t i = 0; i < all.len; i++) {
        const char *t = all.p[i], *fs = fs_of(n, t);

        if (!read_of(n, &text, kind, t, file)) {
            continue;
        }
        while (next_stat(n, &text, &s)) {
            bool reads = strcmp(s.name, "read_bytes") == 0;

            add(g, family,
                llite ? collect_labels(n, "operation", s.name, "target", t, NULL)
                      : collect_labels(n, "fs", fs, "operation", s.name, "target", t, NULL),
                s.samples);
            if (osc && (reads || strcmp(s.name, "write_bytes") == 0)) {
                add(g, reads ? L_OSC_READ : L_OSC_WRITE,
                    collect_labels(n, "fs", fs, "target", t, NULL), s.sum);
            }
        }
        if (osc) {
            struct str labels = collect_labels(n, "fs", fs, "target", t, NULL);

            add(g, L_OSC_GRANT, labels, number_of(n, kind, t, "cur_grant_bytes"));
            add(g, L_OSC_DIRTY, labels, number_of(n, kind, t, "cur_dirty_bytes"));
        }
    }
}

/* --- targets of a server --- */

static const char *component_of(const char *target)
{
    return strstr(target, "MDT") ? "mdt" : strstr(target, "OST") ? "ost" : "mgt";
}

static struct str target_labels(struct node *n, const char *target)
{
    return collect_labels(n, "component", component_of(target), "target", target, NULL);
}

static void gather_space(struct gathered *g)
{
    static const char *const kinds[] = {"osd-ldiskfs", "osd-zfs"};
    static const struct {
        const char *file;
        enum family family;
    } files[] = {{"kbytestotal", L_CAPACITY},
                 {"kbytesfree", L_FREE},
                 {"kbytesavail", L_AVAILABLE},
                 {"filestotal", L_INODES},
                 {"filesfree", L_INODES_FREE}};
    struct node_names all;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        targets_of(g->n, kinds[k], &all);
        for (size_t i = 0; i < all.len; i++) {
            for (size_t f = 0; f < ARRAY_LEN(files); f++) {
                add(g, files[f].family, target_labels(g->n, all.p[i]),
                    number_of(g->n, kinds[k], all.p[i], files[f].file));
            }
        }
    }
}

static void gather_recovery(struct gathered *g, const char *kind, const char *target)
{
    static const char *const states[] = {"COMPLETE", "INACTIVE", "WAITING", "WAITING_FOR_CLIENTS",
                                         "RECOVERING"};
    static const struct {
        const char *key;
        enum family family;
    } counts[] = {{"completed_clients:", L_RECOVERY_DONE},
                  {"connected_clients:", L_RECOVERY_CONNECTED},
                  {"evicted_clients:", L_RECOVERY_EVICTED}};
    struct str labels = collect_labels(g->n, "kind", strcmp(kind, "mdt") == 0 ? "MDT" : "OST",
                                       "target", target, NULL);
    struct str text;

    if (!read_of(g->n, &text, kind, target, "recovery_status")) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line), value = text_word(&line);
        size_t state = 0;

        if (str_eq_c(key, "status:")) {
            while (state < ARRAY_LEN(states) && !str_eq_c(value, states[state])) {
                state++;
            }
            add(g, L_RECOVERY, labels, (double)state);
        }
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
            if (str_eq_c(key, counts[i].key)) { /* "3/4" */
                add(g, counts[i].family, labels, text_or(str_cut(&value, '/'), NAN));
            }
        }
    }
}

static void add_io(struct gathered *g, enum family first, struct str labels,
                   const struct stat_line *s)
{
    add(g, first, labels, s->samples);
    add(g, first + 1, labels, s->min);
    add(g, first + 2, labels, s->max);
    add(g, first + 3, labels, s->sum);
}

static void gather_ost_io(struct gathered *g, const char *target)
{
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    if (!read_of(n, &text, "obdfilter", target, "stats")) {
        return;
    }
    while (next_stat(n, &text, &s)) {
        bool reads = strcmp(s.name, "read_bytes") == 0;

        if (reads || strcmp(s.name, "write_bytes") == 0) {
            add_io(g, reads ? L_READS : L_WRITES,
                   collect_labels(n, "component", "ost", "operation", reads ? "read" : "write",
                                  "target", target, NULL),
                   &s);
        }
    }
}

static void gather_mdt_operations(struct gathered *g, const char *target)
{
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    if (!read_of(n, &text, "mdt", target, "md_stats")) {
        return;
    }
    while (next_stat(n, &text, &s)) {
        struct str labels =
            collect_labels(n, "component", "mdt", "operation", s.name, "target", target, NULL);

        add(g, L_STATS, labels, s.samples);
        add(g, L_STATS_MIN, labels, s.min);
        add(g, L_STATS_MAX, labels, s.max);
        add(g, L_STATS_TIME, labels, s.sum);
    }
}

/* --- job_stats: YAML of a fixed form --- */

/* " samples: 5, unit: bytes, min: ..." */
static double braced(struct str line, const char *key)
{
    ptrdiff_t at = str_find(line, str_of(key));
    struct str rest = at < 0 ? STR_EMPTY : str_from(line, (size_t)at + strlen(key));
    struct str word = text_word(&rest);

    if (str_ends(word, STR(","))) {
        word.len--;
    }
    return text_or(word, NAN);
}

static struct str unquoted(struct str s)
{
    s = str_trim(s);
    return s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"' ? str_n(s.p + 1, s.len - 2) : s;
}

static void gather_jobs(struct gathered *g, const char *kind, const char *target)
{
    bool ost = strcmp(kind, "obdfilter") == 0;
    const char *job = NULL;
    struct node *n = g->n;
    struct str text;

    if (!read_of(n, &text, kind, target, "job_stats")) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), rest = line, labels;
        struct str key = str_trim(str_cut(&rest, ':'));
        struct stat_line s = {.samples = braced(line, " samples:"),
                              .min = braced(line, " min:"),
                              .max = braced(line, " max:"),
                              .sum = braced(line, " sum:")};
        bool reads = str_eq_c(key, "read_bytes");

        if (str_eq_c(key, "- job_id")) {
            job = arena_strdup(&n->arena, unquoted(rest.p ? rest : STR_EMPTY));
            continue;
        }
        if (!job || isnan(s.samples)) {
            continue;
        }
        labels = collect_labels(n, "component", ost ? "ost" : "mdt", "jobid", job, "operation",
                                arena_strdup(&n->arena, key), "target", target, NULL);
        if (ost && (reads || str_eq_c(key, "write_bytes"))) {
            add_io(g, reads ? L_JOB_READS : L_JOB_WRITES, labels, &s);
        } else {
            add(g, L_JOB_STATS, labels, s.samples);
        }
    }
}

static void gather_targets(struct gathered *g)
{
    static const char *const kinds[] = {"mdt", "obdfilter"};
    struct node *n = g->n;
    struct node_names all;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        bool ost = k == 1;

        targets_of(n, kinds[k], &all);
        for (size_t i = 0; i < all.len; i++) {
            const char *t = all.p[i];
            struct str labels = target_labels(n, t);

            add(g, ost ? L_EXPORTS : L_CLIENTS, labels, number_of(n, kinds[k], t, "num_exports"));
            if (ost) {
                add(g, L_DIRTY, labels, number_of(n, kinds[k], t, "tot_dirty"));
                add(g, L_GRANTED, labels, number_of(n, kinds[k], t, "tot_granted"));
                add(g, L_PENDING, labels, number_of(n, kinds[k], t, "tot_pending"));
                gather_ost_io(g, t);
            } else {
                gather_mdt_operations(g, t);
            }
            gather_recovery(g, kinds[k], t);
            gather_jobs(g, kinds[k], t);
        }
    }
}

/* "filter-fs-OST0000_UUID", "mdt-fs-MDT0000_UUID": those of a server; a client's are left out. */
static void gather_locks(struct gathered *g)
{
    static const struct {
        const char *file;
        enum family family;
    } files[] = {{"lock_count", L_LOCKS},
                 {"lock_timeouts", L_LOCK_TIMEOUTS},
                 {"contended_locks", L_CONTENDED},
                 {"contention_seconds", L_CONTENTION}};
    struct node_names all;

    targets_of(g->n, "ldlm/namespaces", &all);
    for (size_t i = 0; i < all.len; i++) {
        struct str s = str_of(all.p[i]), prefix = str_cut(&s, '-');
        const char *target;

        if (!str_ends(s, STR("_UUID")) ||
            (!str_eq_c(prefix, "filter") && !str_eq_c(prefix, "mdt"))) {
            continue;
        }
        target = arena_strdup(&g->n->arena, str_first(s, s.len - strlen("_UUID")));
        for (size_t f = 0; f < ARRAY_LEN(files); f++) {
            add(g, files[f].family, target_labels(g->n, target),
                number_of(g->n, "ldlm/namespaces", all.p[i], files[f].file));
        }
    }
}

int collect_lustre(struct node *n, struct page *p, struct err *e)
{
    struct gathered g = {.n = n};

    if (!is_there(n, e)) {
        return -1;
    }
    gather_host(&g);
    gather_lnet(&g);
    gather_services(&g);
    gather_operations(&g, "llite", "stats", L_CLIENT);
    gather_operations(&g, "llite", "read_ahead_stats", L_READ_AHEAD);
    gather_operations(&g, "osc", "stats", L_OSC);
    gather_operations(&g, "mdc", "stats", L_MDC);
    gather_operations(&g, "mdc", "md_stats", L_MDC_MD);
    gather_space(&g);
    gather_targets(&g);
    gather_locks(&g);
    show(p, &g);
    vec_done(&g.v);
    return 0;
}
