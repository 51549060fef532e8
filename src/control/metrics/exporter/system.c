/* The machine itself: who it is, its clock, its files, and what others wrote for us to show. */
#include "exporter/collect.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "scrape/exposition.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

int collect_uname(struct node *n UNUSED, struct page *p, struct err *e)
{
    struct utsname u;

    if (uname(&u) < 0) {
        return err_sys(e, "uname");
    }
    page_family(p, "node_uname_info", PAGE_GAUGE,
                "Labeled system information as provided by the uname system call.");
    page_add(p, 1, "domainname", u.domainname, "machine", u.machine, "nodename", u.nodename,
             "release", u.release, "sysname", u.sysname, "version", u.version, NULL);
    return 0;
}

static void clock_sources(struct node *n, struct page *p, const struct node_names *dirs,
                          const char *file, const char *name, const char *help)
{
    page_family(p, name, PAGE_GAUGE, help);
    for (size_t i = 0; i < dirs->len; i++) {
        struct str all =
            node_line(n, NODE_SYS, "devices/system/clocksource/%s/%s", dirs->p[i], file);

        for (struct str one; all.p && (one = text_word(&all)).len > 0;) {
            page_add(p, 1, "clocksource", arena_strdup(&n->arena, one), "device", dirs->p[i] + 11,
                     NULL);
        }
    }
}

int collect_time(struct node *n, struct page *p, struct err *e)
{
    struct node_names dirs;
    struct timespec now;
    struct tm local;
    size_t len = 0;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &local);
    page_one(p, "node_time_seconds", PAGE_GAUGE, "System time in seconds since epoch (1970).",
             (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    page_family(p, "node_time_zone_offset_seconds", PAGE_GAUGE,
                "System time zone offset in seconds.");
    page_add(p, (double)local.tm_gmtoff, "time_zone", local.tm_zone, NULL);
    if (node_list(n, NODE_SYS, &dirs, e, "devices/system/clocksource") < 0) {
        return -1;
    }
    for (size_t i = 0; i < dirs.len; i++) {
        if (str_starts(str_of(dirs.p[i]), STR("clocksource"))) {
            dirs.p[len++] = dirs.p[i];
        }
    }
    dirs.len = len;
    clock_sources(n, p, &dirs, "available_clocksource", "node_time_clocksource_available_info",
                  "Available clocksources read from '/sys/devices/system/clocksource'.");
    clock_sources(n, p, &dirs, "current_clocksource", "node_time_clocksource_current_info",
                  "Current clocksource read from '/sys/devices/system/clocksource'.");
    return 0;
}

/* adjtimex(2); frequencies are parts per million with 16 bits of fraction. */
int collect_timex(struct node *n UNUSED, struct page *p, struct err *e)
{
    static const double ppm = 1e6 * 65536;
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);
    double unit = t.status & STA_NANO ? 1e9 : 1e6;
    const struct {
        const char *name, *help;
        double v;
        enum page_type type;
    } rows[] = {
        {"offset_seconds", "Time offset in between local system and reference clock.",
         (double)t.offset / unit, PAGE_GAUGE},
        {"frequency_adjustment_ratio", "Local clock frequency adjustment.",
         1 + (double)t.freq / ppm, PAGE_GAUGE},
        {"maxerror_seconds", "Maximum error in seconds.", (double)t.maxerror / 1e6, PAGE_GAUGE},
        {"estimated_error_seconds", "Estimated error in seconds.", (double)t.esterror / 1e6,
         PAGE_GAUGE},
        {"status", "Value of the status array bits.", t.status, PAGE_GAUGE},
        {"loop_time_constant", "Phase-locked loop time constant.", (double)t.constant, PAGE_GAUGE},
        {"tick_seconds", "Seconds between clock ticks.", (double)t.tick / 1e6, PAGE_GAUGE},
        {"pps_frequency_hertz", "Pulse per second frequency.", (double)t.ppsfreq / ppm, PAGE_GAUGE},
        {"pps_jitter_seconds", "Pulse per second jitter.", (double)t.jitter / unit, PAGE_GAUGE},
        {"pps_shift_seconds", "Pulse per second interval duration.", t.shift, PAGE_GAUGE},
        {"pps_stability_hertz", "Pulse per second stability, average of recent frequency changes.",
         (double)t.stabil / ppm, PAGE_GAUGE},
        {"pps_jitter_total", "Pulse per second count of jitter limit exceeded events.",
         (double)t.jitcnt, PAGE_COUNTER},
        {"pps_calibration_total", "Pulse per second count of calibration intervals.",
         (double)t.calcnt, PAGE_COUNTER},
        {"pps_error_total", "Pulse per second count of calibration errors.", (double)t.errcnt,
         PAGE_COUNTER},
        {"pps_stability_exceeded_total",
         "Pulse per second count of stability limit exceeded events.", (double)t.stbcnt,
         PAGE_COUNTER},
        {"tai_offset_seconds", "International Atomic Time (TAI) offset.", t.tai, PAGE_GAUGE},
        {"sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
         state != TIME_ERROR, PAGE_GAUGE},
    };

    if (state < 0) {
        return err_sys(e, "adjtimex");
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "node_timex_%s", rows[i].name);
        page_one(p, name, rows[i].type, rows[i].help, rows[i].v);
    }
    return 0;
}

int collect_filefd(struct node *n, struct page *p, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "sys/fs/file-nr") < 0) {
        return -1;
    }
    page_one(p, "node_filefd_allocated", PAGE_GAUGE, "File descriptor statistics: allocated.",
             text_or(text_word(&text), 0));
    (void)text_word(&text);
    page_one(p, "node_filefd_maximum", PAGE_GAUGE, "File descriptor statistics: maximum.",
             text_or(text_word(&text), 0));
    return 0;
}

int collect_kernel_hung(struct node *n, struct page *p, struct err *e)
{
    double v;

    if (!node_number(n, NODE_PROC, &v, "sys/kernel/hung_task_detect_count")) {
        return err_set(e, ERR_NOT_FOUND, "there is no sys/kernel/hung_task_detect_count");
    }
    page_one(p, "node_kernel_hung_tasks_total", PAGE_COUNTER,
             "Total number of tasks that have been detected as hung since the system booted.", v);
    return 0;
}

int collect_entropy(struct node *n, struct page *p, struct err *e)
{
    double available, size;

    if (!node_number(n, NODE_PROC, &available, "sys/kernel/random/entropy_avail") ||
        !node_number(n, NODE_PROC, &size, "sys/kernel/random/poolsize")) {
        return err_set(e, ERR_NOT_FOUND, "there is no sys/kernel/random");
    }
    page_one(p, "node_entropy_available_bits", PAGE_GAUGE, "Bits of available entropy.", available);
    page_one(p, "node_entropy_pool_size_bits", PAGE_GAUGE, "Bits of entropy pool.", size);
    return 0;
}

/* KEY="value" lines, os-release(5). */
static const char *os_value(struct node *n, struct str text, const char *key)
{
    while (text.len > 0) {
        struct str line = text_line(&text), name = str_cut(&line, '=');

        if (!line.p || !str_eq_c(name, key)) {
            continue;
        }
        if (line.len >= 2 && (line.p[0] == '"' || line.p[0] == '\'')) {
            line = str_n(line.p + 1, line.len - 2);
        }
        return arena_strdup(&n->arena, line);
    }
    return "";
}

int collect_os(struct node *n, struct page *p, struct err *e)
{
    static const char *const keys[][2] = {{"BUILD_ID", "build_id"},
                                          {"ID", "id"},
                                          {"ID_LIKE", "id_like"},
                                          {"IMAGE_ID", "image_id"},
                                          {"IMAGE_VERSION", "image_version"},
                                          {"NAME", "name"},
                                          {"PRETTY_NAME", "pretty_name"},
                                          {"VARIANT", "variant"},
                                          {"VARIANT_ID", "variant_id"},
                                          {"VERSION", "version"},
                                          {"VERSION_CODENAME", "version_codename"},
                                          {"VERSION_ID", "version_id"}};
    SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);
    struct str text;
    char *end;
    double v;

    if (node_read(n, NODE_ROOT, &text, e, "etc/os-release") < 0 &&
        node_read(n, NODE_ROOT, &text, e, "usr/lib/os-release") < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        page_label(&labels, keys[i][1], str_of(os_value(n, text, keys[i][0])));
    }
    page_family(p, "node_os_info", PAGE_GAUGE,
                "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
                "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
                "version_id.");
    page_put(p, buf_str(&labels), 1);
    const char *version = os_value(n, text, "VERSION_ID");
    v = strtod(version, &end); /* "22.04.1": major.minor */
    if (end > version) {
        page_family(p, "node_os_version", PAGE_GAUGE,
                    "Metric containing the major.minor part of the OS version.");
        page_add(p, v, "id", os_value(n, text, "ID"), "id_like", os_value(n, text, "ID_LIKE"),
                 "name", os_value(n, text, "NAME"), NULL);
    }
    return 0;
}

int collect_dmi(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[] = {
        "bios_date",       "bios_release",      "bios_vendor",     "bios_version",
        "board_asset_tag", "board_name",        "board_serial",    "board_vendor",
        "board_version",   "chassis_asset_tag", "chassis_serial",  "chassis_vendor",
        "chassis_version", "product_family",    "product_name",    "product_serial",
        "product_sku",     "product_uuid",      "product_version", "sys_vendor"};
    SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct str s = node_line(n, NODE_SYS, "class/dmi/id/%s", files[i]);

        if (s.p) {
            page_label(&labels, strcmp(files[i], "sys_vendor") == 0 ? "system_vendor" : files[i],
                       s);
        }
    }
    if (labels.len == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no class/dmi/id");
    }
    page_family(p, "node_dmi_info", PAGE_GAUGE,
                "A metric with a constant '1' value labeled by bios_date, bios_release, "
                "bios_vendor, bios_version, board_asset_tag, board_name, board_serial, "
                "board_vendor, board_version, chassis_asset_tag, chassis_serial, chassis_vendor, "
                "chassis_version, product_family, product_name, product_serial, product_sku, "
                "product_uuid, product_version, system_vendor if provided by DMI.");
    page_put(p, buf_str(&labels), 1);
    return 0;
}

int collect_selinux(struct node *n, struct page *p, struct err *e UNUSED)
{
    bool on = faccessat(n->sys, "fs/selinux/enforce", F_OK, 0) == 0;
    double v;

    page_one(p, "node_selinux_enabled", PAGE_GAUGE, "SELinux is enabled, 1 is true, 0 is false",
             on);
    if (on && node_number(n, NODE_SYS, &v, "fs/selinux/enforce")) {
        page_one(p, "node_selinux_current_mode", PAGE_GAUGE, "Current SELinux enforcement mode", v);
    }
    return 0;
}

/* The state and the number of threads that a stat file tells. */
static bool read_task(struct node *n, const char *path, char *state, double *threads)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(4096);
    struct str rest;
    struct err gone;
    ptrdiff_t at;

    if (fs_read(n->proc, path, &text, &gone) < 0 ||
        (at = str_rfind_char(buf_str(&text), ')')) < 0) {
        return false;
    }
    rest = str_trim(str_from(buf_str(&text), (size_t)at + 1));
    *state = (char)(rest.len > 0 ? rest.p[0] & 127 : '?');
    for (int k = 0; k < 17; k++) {
        (void)text_word(&rest);
    }
    *threads = text_or(text_word(&rest), 1);
    return true;
}

static void count_threads(struct node *n, const char *pid, double states[128])
{
    struct node_names tasks;
    struct err gone;
    double unused;
    char path[96], state;

    if (node_list(n, NODE_PROC, &tasks, &gone, "%.20s/task", pid) < 0) {
        return;
    }
    for (size_t i = 0; i < tasks.len; i++) {
        (void)snprintf(path, sizeof(path), "%.20s/task/%.20s/stat", pid, tasks.p[i]);
        if (read_task(n, path, &state, &unused)) {
            states[(int)state]++;
        }
    }
}

static void put_states(struct page *p, const char *label, const double states[128])
{
    for (int c = 'A'; c < 'z'; c++) {
        char name[2] = {(char)c, '\0'};

        if (states[c] > 0) {
            page_add(p, states[c], label, name, NULL);
        }
    }
}

int collect_processes(struct node *n, struct page *p, struct err *e)
{
    struct node_names all;
    double states[128] = {0}, of_threads[128] = {0}, pids = 0, threads = 0, max;

    if (node_list(n, NODE_PROC, &all, e, ".") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        char path[64], state;
        double its;

        (void)snprintf(path, sizeof(path), "%.40s/stat", all.p[i]);
        if (all.p[i][0] < '0' || all.p[i][0] > '9' || !read_task(n, path, &state, &its)) {
            continue;
        }
        pids++;
        threads += its;
        count_threads(n, all.p[i], of_threads);
        states[(int)state]++;
    }
    page_one(p, "node_processes_threads", PAGE_GAUGE, "Allocated threads in system", threads);
    page_one(p, "node_processes_pids", PAGE_GAUGE, "Number of PIDs", pids);
    if (node_number(n, NODE_PROC, &max, "sys/kernel/threads-max")) {
        page_one(p, "node_processes_max_threads", PAGE_GAUGE, "Limit of threads in the system",
                 max);
    }
    if (node_number(n, NODE_PROC, &max, "sys/kernel/pid_max")) {
        page_one(p, "node_processes_max_processes", PAGE_GAUGE, "Number of max PIDs limit", max);
    }
    page_family(p, "node_processes_state", PAGE_GAUGE, "Number of processes in each state.");
    put_states(p, "state", states);
    page_family(p, "node_processes_threads_state", PAGE_GAUGE, "Number of threads in each state.");
    put_states(p, "thread_state", of_threads);
    return 0;
}

/* --- textfile: *.prom of a directory --- */

static enum page_type type_of(struct str word, bool open, struct str name)
{
    if (str_eq_c(word, "counter")) {
        return open && !str_ends(name, STR("_total")) ? PAGE_UNTYPED : PAGE_COUNTER;
    }
    return str_eq_c(word, "gauge")       ? PAGE_GAUGE
           : str_eq_c(word, "histogram") ? PAGE_HISTOGRAM
           : str_eq_c(word, "summary")   ? PAGE_SUMMARY
                                         : PAGE_UNTYPED;
}

/* Whether "x_bucket" belongs to the family "x" of that type. */
static bool of_family(struct str name, struct str family, enum page_type type)
{
    struct str rest = str_from(name, family.len);

    if (family.len == 0 || !str_starts(name, family)) {
        return false;
    }
    return rest.len == 0 || (type == PAGE_HISTOGRAM && str_eq_c(rest, "_bucket")) ||
           ((type == PAGE_HISTOGRAM || type == PAGE_SUMMARY) &&
            (str_eq_c(rest, "_sum") || str_eq_c(rest, "_count")));
}

/* What the files have shown: "f" and a family, "s" and a series -> whether its file counts. */
static int note(struct node *n, struct map *seen, char kind, struct str name, bool *file,
                struct err *e)
{
    static const char *const ours[] = {"node_exporter_", "node_scrape_collector_", "node_textfile_",
                                       "process_"};
    struct str key = str_of(arena_printf(&n->arena, "%c%.*s", kind, STR_ARG(name)));
    const bool *before = map_get(seen, key);

    for (size_t i = 0; kind == 'f' && i < ARRAY_LEN(ours); i++) {
        if (str_starts(name, str_of(ours[i]))) {
            return err_set(e, ERR_INVALID, "%s: the exporter says that of itself", Q(name));
        }
    }
    if (before && *before) {
        return err_set(e, ERR_INVALID, "%s is there twice", Q(name));
    }
    (void)map_put(seen, key, file);
    return 0;
}

struct textfile {
    struct node *n;
    struct page *p;
    struct map *seen;
    bool *counts;
    struct str help, family;
    enum page_type type;
};

static int begin_family(struct textfile *t, struct str name, enum page_type type, struct err *e)
{
    t->family = arena_str(&t->n->arena, name);
    t->type = type;
    if (!page_is_name(name)) {
        return err_set(e, ERR_INVALID, "%s: a page of text has no such names", Q(name));
    }
    if (note(t->n, t->seen, 'f', t->family, t->counts, e) < 0) {
        return -1;
    }
    page_family(t->p, t->family.p, type,
                t->help.len > 0 ? arena_strdup(&t->n->arena, t->help) : "Metric read from a file.");
    t->help = STR_EMPTY;
    return 0;
}

static int show_sample(struct textfile *t, const struct exposition *x, struct err *e)
{
    struct str rest = x->series, name = str_cut(&rest, '{');

    if (x->has_time) {
        return err_set(e, ERR_INVALID, "samples of files carry no time, they are of now");
    }
    if (!of_family(name, t->family, t->type) && begin_family(t, name, PAGE_UNTYPED, e) < 0) {
        return -1;
    }
    if (note(t->n, t->seen, 's', x->series, t->counts, e) < 0) {
        return -1;
    }
    t->p->name = arena_strdup(&t->n->arena, x->series);
    page_put(t->p, STR_EMPTY, x->value);
    return 0;
}

/* All of a file or, with a mistake, nothing of it. */
static int show_file(struct textfile *t, struct str text, struct err *e)
{
    bool open = t->p->format == EXPORTER_OPENMETRICS;
    size_t began = t->p->out->len;
    struct exposition x;
    int kind, rc = 0;

    exposition_init(&x, text, EXPOSITION_TEXT);
    while (rc == 0 && (kind = exposition_next(&x, e)) != EXPOSITION_END) {
        if (kind < 0) {
            rc = -1;
        } else if (kind == EXPOSITION_HELP) {
            t->help = x.text;
        } else if (kind == EXPOSITION_TYPE) {
            rc = begin_family(t, x.name, type_of(x.text, open, x.name), e);
        } else if (kind == EXPOSITION_SAMPLE) {
            rc = show_sample(t, &x, e);
        }
        if (rc < 0 && kind > 0) {
            (void)err_wrap(e, "line %u", x.line);
        }
    }
    if (rc < 0) {
        *t->counts = false;
        t->p->out->len = began;
    }
    return rc;
}

int collect_textfile(struct node *n, struct page *p, struct err *e)
{
    SCOPED(map_done) struct map seen = {0};
    const char *dir = n->o->textfile_dir;
    struct node_names files = {0};
    size_t bad = 0, shown = 0;
    double *mtimes;

    if (!dir) {
        page_one(p, "node_textfile_scrape_error", PAGE_GAUGE,
                 "1 if there was an error opening or reading a file, 0 otherwise", 0);
        return 0;
    }
    if (node_list(n, NODE_ROOT, &files, e, "%s", dir) < 0) {
        page_one(p, "node_textfile_scrape_error", PAGE_GAUGE,
                 "1 if there was an error opening or reading a file, 0 otherwise", 1);
        return -1;
    }
    mtimes = arena_new_array(&n->arena, double, files.len);
    for (size_t i = 0; i < files.len; i++) {
        SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_NODE_FILE_BYTES);
        SCOPED(freep) char *path = xasprintf("%s/%s", dir, files.p[i]);
        struct stat st;
        bool *counts = arena_new_array(&n->arena, bool, 1);
        struct textfile t = {.n = n, .p = p, .seen = &seen, .counts = counts};

        if (!str_ends(str_of(path), STR(".prom"))) {
            continue;
        }
        *counts = true;
        if (node_read_foreign(n, NODE_ROOT, path, &text, e) < 0 ||
            show_file(&t, buf_str(&text), e) < 0) {
            (void)err_wrap(e, "%s", files.p[i]);
            bad++;
            continue;
        }
        if (fstatat(n->root, path, &st, 0) == 0) {
            mtimes[shown] = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
            files.p[shown++] = arena_strdup(&n->arena, str_of(path));
        }
    }
    if (shown > 0) {
        page_family(p, "node_textfile_mtime_seconds", PAGE_GAUGE,
                    "Unixtime mtime of textfiles successfully read.");
    }
    for (size_t i = 0; i < shown; i++) {
        page_add(p, mtimes[i], "file", files.p[i], NULL);
    }
    page_one(p, "node_textfile_scrape_error", PAGE_GAUGE,
             "1 if there was an error opening or reading a file, 0 otherwise", bad > 0);
    return bad > 0 ? -1 : 0;
}
