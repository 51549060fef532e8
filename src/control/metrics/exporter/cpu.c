/* Processors: their time, frequency, run queues, pressure. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USER_HZ = 100, CPU_FIELDS = 10 };

/* "cpu3 ..." -> "3"; false for "cpu " (all of them). */
static bool is_cpu(struct str word, char out[16])
{
    return str_starts(word, STR("cpu")) && word.len > 3 &&
           str_copy(str_from(word, 3), out, 16) == 0 && out[0] >= '0' && out[0] <= '9';
}

int collect_stat(struct node *n, struct page *p, struct err *e)
{
    static const struct {
        const char *key, *name, *help;
        enum page_type type;
    } keys[] = {
        {"intr", "node_intr_total", "Total number of interrupts serviced.", PAGE_COUNTER},
        {"ctxt", "node_context_switches_total", "Total number of context switches.", PAGE_COUNTER},
        {"processes", "node_forks_total", "Total number of forks.", PAGE_COUNTER},
        {"btime", "node_boot_time_seconds", "Node boot time, in unixtime.", PAGE_GAUGE},
        {"procs_running", "node_procs_running", "Number of processes in runnable state.",
         PAGE_GAUGE},
        {"procs_blocked", "node_procs_blocked",
         "Number of processes blocked waiting for I/O to complete.", PAGE_GAUGE},
    };
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "stat") < 0) {
        return -1;
    }
    while (text.len > 0) {
        struct str line = text_line(&text);
        struct str key = text_word(&line);

        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            if (str_eq_c(key, keys[i].key)) {
                page_one(p, keys[i].name, keys[i].type, keys[i].help, text_or(text_word(&line), 0));
            }
        }
    }
    return 0;
}

/* Times of one processor, in seconds. */
struct cpu_times {
    char cpu[16];
    double v[CPU_FIELDS];
};

struct cpu_list {
    struct cpu_times *p;
    size_t len;
};

static int read_times(struct node *n, struct cpu_list *out, struct err *e)
{
    struct str text, rest;
    size_t lines = 0;

    if (node_read(n, NODE_PROC, &text, e, "stat") < 0) {
        return -1;
    }
    for (rest = text; str_starts(rest, STR("cpu")); lines++) {
        (void)text_line(&rest);
    }
    out->p = arena_new_array(&n->arena, struct cpu_times, lines);
    out->len = 0;
    for (rest = text; str_starts(rest, STR("cpu"));) {
        struct str line = text_line(&rest);
        struct cpu_times *t = &out->p[out->len];

        if (!is_cpu(text_word(&line), t->cpu)) {
            continue;
        }
        for (size_t i = 0; i < CPU_FIELDS; i++) {
            t->v[i] = text_or(text_word(&line), 0) / USER_HZ;
        }
        out->len++;
    }
    return 0;
}

/* The kernel's idle and iowait may go back a little; a counter that does is read as a restart. The
 * last values are kept, unless so much is missing that the processor itself was away. */
static void keep_rising(struct node *n, struct cpu_list *now)
{
    enum { IDLE = 3, AWAY_SEC = 3 };

    if (n->n_cpus != now->len) {
        n->cpu_seen = xrealloc(n->cpu_seen, now->len * sizeof(*n->cpu_seen));
        n->n_cpus = now->len;
        memcpy(n->cpu_seen, now->p, now->len * sizeof(*n->cpu_seen));
        return;
    }
    for (size_t i = 0; i < now->len; i++) {
        struct cpu_times *seen = &n->cpu_seen[i], *t = &now->p[i];
        bool other = strcmp(seen->cpu, t->cpu) != 0 || t->v[IDLE] < seen->v[IDLE] - AWAY_SEC;

        for (size_t k = 0; !other && k < CPU_FIELDS; k++) {
            t->v[k] = fmax(t->v[k], seen->v[k]);
        }
        *seen = *t;
    }
}

/* Throttled by heat: of cores, and of packages, each once. */
static void put_throttles(struct node *n, struct page *p, const struct cpu_list *cpus,
                          const char *part, const char *name, const char *help)
{
    bool whole = strcmp(part, "package") == 0, begun = false;
    SCOPED(map_done) struct map seen = {0};

    for (size_t i = 0; i < cpus->len; i++) {
        const char *dir = "devices/system/cpu/cpu";
        struct str package =
            node_line(n, NODE_SYS, "%s%s/topology/physical_package_id", dir, cpus->p[i].cpu);
        struct str core = node_line(n, NODE_SYS, "%s%s/topology/core_id", dir, cpus->p[i].cpu);
        struct str labels;
        double v;

        if (!package.p || !core.p ||
            !node_number(n, NODE_SYS, &v, "%s%s/thermal_throttle/%s_throttle_count", dir,
                         cpus->p[i].cpu, part)) {
            continue;
        }
        labels = whole ? collect_labels(n, "package", package.p, NULL)
                       : collect_labels(n, "core", core.p, "package", package.p, NULL);
        if (map_put(&seen, labels, n)) {
            continue;
        }
        if (!begun) {
            page_family(p, name, PAGE_COUNTER, help);
        }
        begun = true;
        page_put(p, labels, v);
    }
}

/* "1-3,5": processors that the scheduler leaves alone. */
static void put_isolated(struct node *n, struct page *p)
{
    struct str all = node_line(n, NODE_SYS, "devices/system/cpu/isolated");

    if (all.len == 0) {
        return;
    }
    page_family(p, "node_cpu_isolated", PAGE_GAUGE, "Whether each core is isolated.");
    while (all.p) {
        struct str last = str_cut(&all, ','), first = str_cut(&last, '-');
        uint64_t from, to;

        if (str_to_u64(first, &from) < 0 || str_to_u64(last.p ? last : first, &to) < 0) {
            return;
        }
        for (; from <= to && from < LIMIT_NODE_CPUS; from++) {
            char cpu[32];

            (void)snprintf(cpu, sizeof(cpu), "%llu", (unsigned long long)from);
            page_add(p, 1, "cpu", cpu, NULL);
        }
    }
}

int collect_cpu(struct node *n, struct page *p, struct err *e)
{
    static const char *const modes[] = {"user",   "nice", "system",  "idle",
                                        "iowait", "irq",  "softirq", "steal"};
    struct cpu_list cpus;

    if (read_times(n, &cpus, e) < 0) {
        return -1;
    }
    keep_rising(n, &cpus);
    page_family(p, "node_cpu_seconds_total", PAGE_COUNTER, "Seconds the CPUs spent in each mode.");
    for (size_t i = 0; i < cpus.len; i++) {
        for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
            page_add(p, cpus.p[i].v[m], "cpu", cpus.p[i].cpu, "mode", modes[m], NULL);
        }
    }
    page_family(p, "node_cpu_guest_seconds_total", PAGE_COUNTER,
                "Seconds the CPUs spent in guests (VMs) for each mode.");
    for (size_t i = 0; i < cpus.len; i++) {
        page_add(p, cpus.p[i].v[8], "cpu", cpus.p[i].cpu, "mode", "user", NULL);
        page_add(p, cpus.p[i].v[9], "cpu", cpus.p[i].cpu, "mode", "nice", NULL);
    }
    if (faccessat(n->sys, "devices/system/cpu/cpu0/thermal_throttle", F_OK, 0) == 0) {
        put_throttles(n, p, &cpus, "core", "node_cpu_core_throttles_total",
                      "Number of times this CPU core has been throttled.");
        put_throttles(n, p, &cpus, "package", "node_cpu_package_throttles_total",
                      "Number of times this CPU package has been throttled.");
    }
    put_isolated(n, p);
    return 0;
}

/* "model name\t: Intel(R) ..." */
static bool cpuinfo_field(struct str line, const char *key, struct str *out)
{
    struct str rest = line, name = str_trim(str_cut(&rest, ':'));

    if (!str_eq_c(name, key)) {
        return false;
    }
    *out = str_trim(rest.p ? rest : STR_EMPTY);
    return true;
}

int collect_cpu_info(struct node *n, struct page *p, struct err *e)
{
    static const char *const keys[][2] = {
        {"physical id", "package"},   {"core id", "core"},        {"processor", "cpu"},
        {"vendor_id", "vendor"},      {"cpu family", "family"},   {"model", "model"},
        {"model name", "model_name"}, {"microcode", "microcode"}, {"stepping", "stepping"},
        {"cache size", "cachesize"}};
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "cpuinfo") < 0) {
        return -1;
    }
    page_family(p, "node_cpu_info", PAGE_GAUGE, "CPU information from /proc/cpuinfo.");
    while (text.len > 0) {
        struct str values[ARRAY_LEN(keys)] = {{0}}, line;
        SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);
        bool any = false;

        while ((line = text_line(&text)).len > 0) {
            for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                any |= cpuinfo_field(line, keys[i][0], &values[i]);
            }
        }
        for (size_t i = 0; any && i < ARRAY_LEN(keys); i++) {
            page_label(&labels, keys[i][1], values[i]);
        }
        if (any) {
            page_put(p, buf_str(&labels), 1);
        }
    }
    return 0;
}

static int list_cpus(struct node *n, struct node_names *out, struct err *e)
{
    struct node_names all;
    size_t len = 0;
    char cpu[16];

    if (node_list(n, NODE_SYS, &all, e, "devices/system/cpu") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        if (is_cpu(str_of(all.p[i]), cpu)) {
            all.p[len++] = all.p[i] + 3;
        }
    }
    *out = (struct node_names){all.p, len};
    return 0;
}

int collect_cpufreq(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[] = {"cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq",
                                        "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"};
    static const struct column columns[] = {
        {"node_cpu_frequency_hertz", PAGE_GAUGE, "Current CPU thread frequency in hertz.", 1000},
        {"node_cpu_frequency_min_hertz", PAGE_GAUGE, "Minimum CPU thread frequency in hertz.",
         1000},
        {"node_cpu_frequency_max_hertz", PAGE_GAUGE, "Maximum CPU thread frequency in hertz.",
         1000},
        {"node_cpu_scaling_frequency_hertz", PAGE_GAUGE,
         "Current scaled CPU thread frequency in hertz.", 1000},
        {"node_cpu_scaling_frequency_min_hertz", PAGE_GAUGE,
         "Minimum scaled CPU thread frequency in hertz.", 1000},
        {"node_cpu_scaling_frequency_max_hertz", PAGE_GAUGE,
         "Maximum scaled CPU thread frequency in hertz.", 1000},
    };
    struct node_names cpus;
    struct row *rows;
    bool governors = false;

    if (list_cpus(n, &cpus, e) < 0) {
        return -1;
    }
    rows = arena_new_array(&n->arena, struct row, cpus.len);
    for (size_t i = 0; i < cpus.len; i++) {
        double *v = arena_new_array(&n->arena, double, ARRAY_LEN(files));

        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            if (!node_number(n, NODE_SYS, &v[k], "devices/system/cpu/cpu%s/cpufreq/%s", cpus.p[i],
                             files[k])) {
                v[k] = NAN;
            }
        }
        rows[i] = (struct row){collect_labels(n, "cpu", cpus.p[i], NULL), v};
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows, cpus.len);
    for (size_t i = 0; i < cpus.len; i++) {
        struct str now =
            node_line(n, NODE_SYS, "devices/system/cpu/cpu%s/cpufreq/scaling_governor", cpus.p[i]);
        struct str all = node_line(
            n, NODE_SYS, "devices/system/cpu/cpu%s/cpufreq/scaling_available_governors", cpus.p[i]);

        while (now.p && all.len > 0) {
            struct str one = text_word(&all);
            char name[64];

            if (one.len == 0 || str_copy(one, name, sizeof(name)) < 0) {
                break;
            }
            if (!governors) {
                page_family(p, "node_cpu_scaling_governor", PAGE_GAUGE,
                            "Current enabled CPU frequency governor.");
            }
            governors = true;
            page_add(p, str_eq(one, now), "cpu", cpus.p[i], "governor", name, NULL);
        }
    }
    return 0;
}

int collect_schedstat(struct node *n, struct page *p, struct err *e)
{
    static const struct column columns[] = {
        {"node_schedstat_running_seconds_total", PAGE_COUNTER,
         "Number of seconds CPU spent running a process.", 1e-9},
        {"node_schedstat_waiting_seconds_total", PAGE_COUNTER,
         "Number of seconds spent by processing waiting for this CPU.", 1e-9},
        {"node_schedstat_timeslices_total", PAGE_COUNTER, "Number of timeslices executed by CPU.",
         0},
    };
    struct row rows[LIMIT_NODE_CPUS];
    struct str text;
    size_t len = 0;

    if (node_read(n, NODE_PROC, &text, e, "schedstat") < 0) {
        return -1;
    }
    while (text.len > 0 && len < ARRAY_LEN(rows)) {
        struct str line = text_line(&text);
        char cpu[16];

        if (!is_cpu(text_word(&line), cpu)) {
            continue;
        }
        double *v = arena_new_array(&n->arena, double, ARRAY_LEN(columns));
        for (int i = 0; i < 6; i++) {
            (void)text_word(&line); /* yields and wake-ups */
        }
        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            v[i] = text_or(text_word(&line), 0);
        }
        rows[len++] = (struct row){collect_labels(n, "cpu", cpu, NULL), v};
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows, len);
    return 0;
}

int collect_loadavg(struct node *n, struct page *p, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "loadavg") < 0) {
        return -1;
    }
    page_one(p, "node_load1", PAGE_GAUGE, "1m load average.", text_or(text_word(&text), 0));
    page_one(p, "node_load5", PAGE_GAUGE, "5m load average.", text_or(text_word(&text), 0));
    page_one(p, "node_load15", PAGE_GAUGE, "15m load average.", text_or(text_word(&text), 0));
    return 0;
}

/* Columns of /proc/net/softnet_stat are hexadecimal; later kernels have more of them. */
int collect_softnet(struct node *n, struct page *p, struct err *e)
{
    static const struct column columns[] = {
        {"node_softnet_processed_total", PAGE_COUNTER, "Number of processed packets", 0},
        {"node_softnet_dropped_total", PAGE_COUNTER, "Number of dropped packets", 0},
        {"node_softnet_times_squeezed_total", PAGE_COUNTER,
         "Number of times processing packets ran out of quota", 0},
        {"node_softnet_cpu_collision_total", PAGE_COUNTER,
         "Number of collision occur while obtaining device lock while transmitting", 0},
        {"node_softnet_received_rps_total", PAGE_COUNTER,
         "Number of times cpu woken up received_rps", 0},
        {"node_softnet_flow_limit_count_total", PAGE_COUNTER,
         "Number of times flow limit has been reached", 0},
        {"node_softnet_backlog_len", PAGE_GAUGE, "Softnet backlog status", 0},
    };
    static const int places[] = {0, 1, 2, 8, 9, 10, 11};
    struct row rows[LIMIT_NODE_CPUS];
    struct str text;
    size_t len = 0;

    if (node_read(n, NODE_PROC, &text, e, "net/softnet_stat") < 0) {
        return -1;
    }
    while (text.len > 0 && len < ARRAY_LEN(rows)) {
        struct str line = text_line(&text);
        double *v = arena_new_array(&n->arena, double, ARRAY_LEN(columns));
        char cpu[16];
        uint64_t at = len;

        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            v[i] = NAN;
        }
        for (int i = 0; i < 13; i++) {
            uint64_t value;

            if (!text_hex(text_word(&line), &value)) {
                break;
            }
            for (size_t k = 0; k < ARRAY_LEN(places); k++) {
                v[k] = places[k] == i ? (double)value : v[k];
            }
            at = i == 12 ? value : at; /* processors that are off have no line */
        }
        (void)snprintf(cpu, sizeof(cpu), "%llu", (unsigned long long)at);
        rows[len++] = (struct row){collect_labels(n, "cpu", cpu, NULL), v};
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows, len);
    return 0;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123": microseconds */
static bool pressure_total(struct str text, const char *kind, double *out)
{
    while (text.len > 0) {
        struct str line = text_line(&text);
        ptrdiff_t at = str_find(line, STR("total="));

        if (at >= 0 && str_eq_c(text_word(&line), kind)) {
            at = str_find(line, STR("total="));
            return text_number(str_from(line, (size_t)at + strlen("total=")), out);
        }
    }
    return false;
}

int collect_pressure(struct node *n, struct page *p, struct err *e)
{
    static const struct {
        const char *file, *kind, *name, *help;
    } rows[] = {
        {"cpu", "some", "node_pressure_cpu_waiting_seconds_total",
         "Total time in seconds that processes have waited for CPU time"},
        {"io", "some", "node_pressure_io_waiting_seconds_total",
         "Total time in seconds that processes have waited due to IO congestion"},
        {"io", "full", "node_pressure_io_stalled_seconds_total",
         "Total time in seconds no process could make progress due to IO congestion"},
        {"memory", "some", "node_pressure_memory_waiting_seconds_total",
         "Total time in seconds that processes have waited for memory"},
        {"memory", "full", "node_pressure_memory_stalled_seconds_total",
         "Total time in seconds no process could make progress due to memory congestion"},
        {"irq", "full", "node_pressure_irq_stalled_seconds_total",
         "Total time in seconds no process could make progress due to IRQ congestion"},
    };
    struct str text = STR_EMPTY;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool again = i > 0 && strcmp(rows[i].file, rows[i - 1].file) == 0;
        bool must = strcmp(rows[i].file, "irq") != 0; /* since Linux 6.1, when built in */
        double us;

        if (!again && node_read(n, NODE_PROC, &text, e, "pressure/%s", rows[i].file) < 0) {
            if (must) {
                return -1;
            }
            continue;
        }
        if (pressure_total(text, rows[i].kind, &us)) {
            page_one(p, rows[i].name, PAGE_COUNTER, rows[i].help, us / 1e6);
        }
    }
    return 0;
}
