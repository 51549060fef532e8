/* Sensors, power, watchdogs, Fibre Channel: what /sys/class says of the board. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 160, PATH_BYTES = 512 };

static const char *sys_text(struct node *n, const char *dir, const char *name, const char *file)
{
    struct str s = node_line(n, NODE_SYS, "%s/%s/%s", dir, name, file);

    return s.p ? s.p : "";
}

/* --- hwmon: https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html --- */

/* Letters, digits, ':' and '_' stay. */
static void clean(char *s)
{
    for (; *s; s++) {
        *s = (char)tolower((unsigned char)*s);
        if (!isalnum((unsigned char)*s) && *s != ':' && *s != '_') {
            *s = '_';
        }
    }
}

/* The name of a chip: of its device and of what that hangs on, which stays from boot to boot
 * ("platform_coretemp_0"); else what it says itself; else where it stands. */
static const char *chip_of(struct node *n, const char *dir)
{
    char target[PATH_BYTES], path[PATH_BYTES];
    char *name = NULL, *kind = NULL;
    struct str own;
    ssize_t len;

    (void)snprintf(path, sizeof(path), "class/hwmon/%s/device", dir);
    len = readlinkat(n->sys, path, target, sizeof(target) - 1);
    if (len > 0) {
        /* Relative to where the class's link leads, which all but the first parts name. */
        SCOPED(freep) char *full = NULL;
        char root[PATH_BYTES];

        (void)snprintf(root, sizeof(root), "%s/%s", n->o->sysfs ? n->o->sysfs : "/sys", path);
        full = realpath(root, NULL);
        name = full ? strrchr(full, '/') : NULL;
        if (name && name != full) {
            *name++ = '\0';
            kind = strrchr(full, '/');
            kind = kind ? kind + 1 : full;
            clean(name);
            clean(kind);
            return *kind ? arena_printf(&n->arena, "%s_%s", kind, name)
                         : arena_strdup(&n->arena, str_of(name));
        }
    }
    own = node_line(n, NODE_SYS, "class/hwmon/%s/name", dir);
    name = arena_strdup(&n->arena, own.p && own.len > 0 ? own : str_of(dir));
    clean(name);
    return name;
}

/* One file: "temp1_crit_alarm" -> sensor "temp1" of kind "temp", property "crit_alarm". */
struct sensor {
    const char *chip, *kind, *sensor, *property;
    double v;
    bool has_plain; /* the sensor has a file without a property beside */
};

static bool split_sensor(struct node *n, const char *file, struct sensor *out)
{
    static const char *const kinds[] = {
        "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
        "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i]), end = len;

        if (strncmp(file, kinds[i], len) != 0) {
            continue;
        }
        while (file[end] >= '0' && file[end] <= '9') {
            end++;
        }
        if (file[end] != '\0' && file[end] != '_') {
            continue;
        }
        out->kind = kinds[i];
        /* one without a number is number 0 */
        out->sensor = arena_printf(&n->arena, "%.*s%s", (int)end, file, end == len ? "0" : "");
        out->property = file[end] == '_' ? arena_strdup(&n->arena, str_of(file + end + 1)) : "";
        return true;
    }
    return false;
}

/* The name, unit and type that node_exporter gives it. */
static enum page_type sensor_name(const struct sensor *s, char name[NAME_BYTES], double *scale)
{
    const char *k = s->kind, *q = s->property, *unit = "";
    bool input = strcmp(q, "input") == 0;
    const char *middle = input && !s->has_plain ? "" : q;
    enum page_type type = PAGE_GAUGE;

    *scale = 1;
    if (strcmp(k, "vrm") == 0) {
        (void)snprintf(name, NAME_BYTES, "node_hwmon_voltage_regulator_version");
        return type;
    }
    if (strcmp(k, "beep_enable") == 0) {
        (void)snprintf(name, NAME_BYTES, "node_hwmon_beep_enabled");
        return type;
    }
    if (strcmp(k, "update_interval") == 0) {
        *scale = 1e-3;
        (void)snprintf(name, NAME_BYTES, "node_hwmon_update_interval_seconds");
        return type;
    }
    if (strcmp(q, "fault") == 0 || strcmp(q, "alarm") == 0) {
    } else if (strcmp(q, "beep") == 0) {
        unit = "_enabled";
    } else if (strcmp(k, "in") == 0 || strcmp(k, "cpu") == 0) {
        unit = "_volts";
        *scale = 1e-3;
    } else if (strcmp(k, "temp") == 0 && strcmp(q, "type") != 0) {
        unit = "_celsius";
        *scale = 1e-3;
    } else if (strcmp(k, "curr") == 0) {
        unit = "_amps";
        *scale = 1e-3;
    } else if (strcmp(k, "energy") == 0) {
        unit = "_joule_total";
        *scale = 1e-6;
        type = PAGE_COUNTER;
    } else if (strcmp(k, "power") == 0 && strcmp(q, "accuracy") == 0) {
        *scale = 1e-6;
    } else if (strcmp(k, "power") == 0 && strncmp(q, "average_interval", 16) == 0) {
        unit = "_seconds";
        *scale = 1e-3;
    } else if (strcmp(k, "power") == 0) {
        unit = "_watt";
        *scale = 1e-6;
    } else if (strcmp(k, "humidity") == 0) {
        *scale = 1e-6;
    } else if (strcmp(k, "fan") == 0 && (input || strcmp(q, "min") == 0 || strcmp(q, "max") == 0)) {
        unit = "_rpm";
    } else if (strcmp(k, "freq") == 0 && input) {
        unit = "_mhz";
        *scale = 1e-6;
    }
    (void)snprintf(name, NAME_BYTES, "node_hwmon_%s%s%s%s", k, *middle ? "_" : "", middle, unit);
    return type;
}

struct hwmon_row {
    char name[NAME_BYTES];
    enum page_type type;
    struct str labels;
    double v;
};

static int by_family(const void *a, const void *b)
{
    const struct hwmon_row *x = a, *y = b;
    int by = strcmp(x->name, y->name);

    return by != 0 ? by : str_cmp(x->labels, y->labels);
}

struct hwmon_rows {
    VEC(struct hwmon_row) v;
};

static void hwmon_add(struct hwmon_rows *rows, const char *name, enum page_type type,
                      struct str labels, double v)
{
    if (rows->v.len < LIMIT_NODE_NAMES) {
        struct hwmon_row *r = vec_push(&rows->v);

        (void)snprintf(r->name, sizeof(r->name), "%s", name);
        r->type = type;
        r->labels = labels;
        r->v = v;
    }
}

static bool has_file(const struct node_names *files, const char *name)
{
    for (size_t i = 0; i < files->len; i++) {
        if (strcmp(files->p[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void hwmon_files(struct node *n, const char *chip, const char *dir, struct hwmon_rows *rows)
{
    struct node_names files;
    struct err ignored;

    if (node_list(n, NODE_SYS, &files, &ignored, "%s", dir) < 0) {
        return;
    }
    for (size_t i = 0; i < files.len; i++) {
        struct sensor s = {.chip = chip};
        char name[NAME_BYTES];
        double scale, v;
        enum page_type type;

        if (!split_sensor(n, files.p[i], &s)) {
            continue;
        }
        if (strcmp(s.property, "label") == 0) {
            struct str label = node_line(n, NODE_SYS, "%s/%s", dir, files.p[i]);

            hwmon_add(rows, "node_hwmon_sensor_label", PAGE_GAUGE,
                      collect_labels(n, "chip", chip, "label", label.p ? label.p : "", "sensor",
                                     s.sensor, NULL),
                      1);
            continue;
        }
        if (!node_number(n, NODE_SYS, &v, "%s/%s", dir, files.p[i])) {
            continue;
        }
        s.has_plain = has_file(&files, s.sensor);
        type = sensor_name(&s, name, &scale);
        hwmon_add(rows, name, type, collect_labels(n, "chip", chip, "sensor", s.sensor, NULL),
                  v * scale);
    }
}

static const char *help_of(const char *name)
{
    return strcmp(name, "node_hwmon_sensor_label") == 0 ? "Label for given chip and sensor"
           : strcmp(name, "node_hwmon_chip_names") == 0
               ? "Annotation metric for human-readable chip names"
               : "Hardware monitor";
}

int collect_hwmon(struct node *n, struct page *p, struct err *e)
{
    struct hwmon_rows rows = {0};
    struct node_names chips;

    if (node_list(n, NODE_SYS, &chips, e, "class/hwmon") < 0) {
        return -1;
    }
    for (size_t i = 0; i < chips.len; i++) {
        const char *chip = chip_of(n, chips.p[i]);
        struct str name = node_line(n, NODE_SYS, "class/hwmon/%s/name", chips.p[i]);

        hwmon_files(n, chip, arena_printf(&n->arena, "class/hwmon/%s", chips.p[i]), &rows);
        hwmon_files(n, chip, arena_printf(&n->arena, "class/hwmon/%s/device", chips.p[i]), &rows);
        if (name.p) {
            char *word = arena_strdup(&n->arena, name);

            clean(word);
            hwmon_add(&rows, "node_hwmon_chip_names", PAGE_GAUGE,
                      collect_labels(n, "chip", chip, "chip_name", word, NULL), 1);
        }
    }
    if (rows.v.len > 1) {
        qsort(rows.v.p, rows.v.len, sizeof(*rows.v.p), by_family);
    }
    for (size_t i = 0; i < rows.v.len; i++) {
        const struct hwmon_row *r = &rows.v.p[i];

        if (i > 0 && by_family(r, r - 1) == 0) {
            continue; /* both directories have it */
        }
        if (i == 0 || strcmp(r->name, r[-1].name) != 0) {
            page_family(p, r->name, r->type, help_of(r->name));
        }
        page_put(p, r->labels, r->v);
    }
    vec_done(&rows.v);
    return 0;
}

/* --- zones and fans --- */

static void each_of(struct node *n, struct page *p, const struct node_names *all,
                    const char *prefix, const char *file, const char *label, const char *name,
                    const char *help, double scale)
{
    bool begun = false;
    double v;

    for (size_t i = 0; i < all->len; i++) {
        if (!str_starts(str_of(all->p[i]), str_of(prefix)) ||
            !node_number(n, NODE_SYS, &v, "class/thermal/%s/%s", all->p[i], file)) {
            continue;
        }
        if (!begun) {
            page_family(p, name, PAGE_GAUGE, help);
        }
        begun = true;
        page_add(p, v * scale, label, all->p[i] + strlen(prefix), "type",
                 sys_text(n, "class/thermal", all->p[i], "type"), NULL);
    }
}

int collect_thermal_zone(struct node *n, struct page *p, struct err *e)
{
    struct node_names all;

    if (node_list(n, NODE_SYS, &all, e, "class/thermal") < 0) {
        return -1;
    }
    each_of(n, p, &all, "thermal_zone", "temp", "zone", "node_thermal_zone_temp",
            "Zone temperature in Celsius", 1e-3);
    each_of(n, p, &all, "cooling_device", "cur_state", "name", "node_cooling_device_cur_state",
            "Current throttle state of the cooling device", 1);
    each_of(n, p, &all, "cooling_device", "max_state", "name", "node_cooling_device_max_state",
            "Maximum throttle state of the cooling device", 1);
    return 0;
}

/* --- power supplies --- */

static const struct {
    const char *file, *name;
    double scale;
} supplies[] = {
    {"authentic", "authentic", 1},
    {"calibrate", "calibrate", 1},
    {"capacity", "capacity", 1},
    {"capacity_alert_max", "capacity_alert_max", 1},
    {"capacity_alert_min", "capacity_alert_min", 1},
    {"cyclecount", "cyclecount", 1},
    {"cycle_count", "cyclecount", 1},
    {"online", "online", 1},
    {"present", "present", 1},
    {"time_to_empty_now", "time_to_empty_seconds", 1},
    {"time_to_full_now", "time_to_full_seconds", 1},
    {"current_boot", "current_boot", 1e-6},
    {"current_max", "current_max", 1e-6},
    {"current_now", "current_ampere", 1e-6},
    {"energy_empty", "energy_empty", 1e-6},
    {"energy_empty_design", "energy_empty_design", 1e-6},
    {"energy_full", "energy_full", 1e-6},
    {"energy_full_design", "energy_full_design", 1e-6},
    {"energy_now", "energy_watthour", 1e-6},
    {"voltage_boot", "voltage_boot", 1e-6},
    {"voltage_max", "voltage_max", 1e-6},
    {"voltage_max_design", "voltage_max_design", 1e-6},
    {"voltage_min", "voltage_min", 1e-6},
    {"voltage_min_design", "voltage_min_design", 1e-6},
    {"voltage_now", "voltage_volt", 1e-6},
    {"voltage_ocv", "voltage_ocv", 1e-6},
    {"charge_control_limit", "charge_control_limit", 1e-6},
    {"charge_control_limit_max", "charge_control_limit_max", 1e-6},
    {"charge_counter", "charge_counter", 1e-6},
    {"charge_empty", "charge_empty", 1e-6},
    {"charge_empty_design", "charge_empty_design", 1e-6},
    {"charge_full", "charge_full", 1e-6},
    {"charge_full_design", "charge_full_design", 1e-6},
    {"charge_now", "charge_ampere", 1e-6},
    {"charge_term_current", "charge_term_current", 1e-6},
    {"constant_charge_current", "constant_charge_current", 1e-6},
    {"constant_charge_current_max", "constant_charge_current_max", 1e-6},
    {"constant_charge_voltage", "constant_charge_voltage", 1e-6},
    {"constant_charge_voltage_max", "constant_charge_voltage_max", 1e-6},
    {"precharge_current", "precharge_current", 1e-6},
    {"input_current_limit", "input_current_limit", 1e-6},
    {"power_now", "power_watt", 1e-6},
    {"temp", "temp_celsius", 0.1},
    {"temp_alert_max", "temp_alert_max_celsius", 0.1},
    {"temp_alert_min", "temp_alert_min_celsius", 0.1},
    {"temp_ambient_max", "temp_ambient_max_celsius", 0.1},
    {"temp_ambient_min", "temp_ambient_min_celsius", 0.1},
    {"temp_ambient", "temp_ambient_celsius", 0.1},
    {"temp_max", "temp_max_celsius", 0.1},
    {"temp_min", "temp_min_celsius", 0.1},
};

int collect_powersupply(struct node *n, struct page *p, struct err *e)
{
    static const char *const words[] = {
        "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "scope",
        "serial_number",  "status",      "technology", "type",         "usb_type"};
    struct node_names all;
    char name[NAME_BYTES], help[NAME_BYTES];
    double v;

    if (node_list(n, NODE_SYS, &all, e, "class/power_supply") < 0) {
        return -1;
    }
    for (size_t k = 0; k < ARRAY_LEN(supplies); k++) {
        bool begun = false;

        for (size_t i = 0; i < all.len; i++) {
            if (!node_number(n, NODE_SYS, &v, "class/power_supply/%s/%s", all.p[i],
                             supplies[k].file)) {
                continue;
            }
            if (!begun) {
                (void)snprintf(name, sizeof(name), "node_power_supply_%s", supplies[k].name);
                (void)snprintf(help, sizeof(help),
                               "%s value of /sys/class/power_supply/<power_supply>.",
                               supplies[k].name);
                page_family(p, name, PAGE_GAUGE, help);
            }
            begun = true;
            page_add(p, v * supplies[k].scale, "power_supply", all.p[i], NULL);
        }
    }
    if (all.len > 0) {
        page_family(p, "node_power_supply_info", PAGE_GAUGE,
                    "info of /sys/class/power_supply/<power_supply>.");
    }
    for (size_t i = 0; i < all.len; i++) {
        SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);

        page_label(&labels, "power_supply", str_of(all.p[i]));
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            const char *value = sys_text(n, "class/power_supply", all.p[i], words[k]);

            if (*value) {
                page_label(&labels, words[k], str_of(value));
            }
        }
        page_put(p, buf_str(&labels), 1);
    }
    return 0;
}

/* --- energy of packages: class/powercap/intel-rapl:0[:1] --- */

struct rapl_zone {
    const char *name, *path;
    char index[16];
    double joules;
};

int collect_rapl(struct node *n, struct page *p, struct err *e)
{
    VEC(struct rapl_zone) zones = {0};
    struct node_names all;
    double uj;

    if (node_list(n, NODE_SYS, &all, e, "class/powercap") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        struct str name = node_line(n, NODE_SYS, "class/powercap/%s/name", all.p[i]);
        struct rapl_zone z;
        ptrdiff_t dash;
        size_t same = 0;

        if (!str_starts(str_of(all.p[i]), STR("intel-rapl:")) || !name.p ||
            !node_number(n, NODE_SYS, &uj, "class/powercap/%s/energy_uj", all.p[i])) {
            continue;
        }
        dash = str_rfind_char(name, '-'); /* "package-0" */
        z.name = arena_strdup(&n->arena, dash > 0 ? str_first(name, (size_t)dash) : name);
        for (size_t k = 0; k < zones.len; k++) {
            same += strcmp(zones.p[k].name, z.name) == 0;
        }
        if (dash > 0) {
            (void)snprintf(z.index, sizeof(z.index), "%.15s", name.p + dash + 1);
        } else {
            (void)snprintf(z.index, sizeof(z.index), "%zu", same);
        }
        z.path = arena_printf(&n->arena, "%s/class/powercap/%s", n->o->sysfs ? n->o->sysfs : "/sys",
                              all.p[i]);
        z.joules = uj / 1e6;
        *vec_push(&zones) = z;
    }
    for (size_t i = 0; i < zones.len; i++) {
        bool first = true;
        char name[NAME_BYTES], help[NAME_BYTES];

        for (size_t k = 0; k < i; k++) {
            first = first && strcmp(zones.p[k].name, zones.p[i].name) != 0;
        }
        if (!first) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "node_rapl_%s_joules_total", zones.p[i].name);
        for (char *c = name; *c; c++) {
            *c = *c == '-' ? '_' : *c;
        }
        (void)snprintf(help, sizeof(help), "Current RAPL %s value in joules", zones.p[i].name);
        page_family(p, name, PAGE_COUNTER, help);
        for (size_t k = i; k < zones.len; k++) {
            if (strcmp(zones.p[k].name, zones.p[i].name) == 0) {
                page_add(p, zones.p[k].joules, "index", zones.p[k].index, "path", zones.p[k].path,
                         NULL);
            }
        }
    }
    vec_done(&zones);
    return 0;
}

int collect_watchdog(struct node *n, struct page *p, struct err *e)
{
    static const struct {
        const char *file, *name, *help;
    } rows[] = {
        {"bootstatus", "node_watchdog_bootstatus",
         "Value of /sys/class/watchdog/<watchdog>/bootstatus"},
        {"fw_version", "node_watchdog_fw_version",
         "Value of /sys/class/watchdog/<watchdog>/fw_version"},
        {"nowayout", "node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout"},
        {"timeleft", "node_watchdog_timeleft_seconds",
         "Value of /sys/class/watchdog/<watchdog>/timeleft"},
        {"timeout", "node_watchdog_timeout_seconds",
         "Value of /sys/class/watchdog/<watchdog>/timeout"},
        {"pretimeout", "node_watchdog_pretimeout_seconds",
         "Value of /sys/class/watchdog/<watchdog>/pretimeout"},
        {"access_cs0", "node_watchdog_access_cs0",
         "Value of /sys/class/watchdog/<watchdog>/access_cs0"},
    };
    struct node_names all;
    double v;

    if (node_list(n, NODE_SYS, &all, e, "class/watchdog") < 0) {
        return -1;
    }
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        bool begun = false;

        for (size_t i = 0; i < all.len; i++) {
            if (node_number(n, NODE_SYS, &v, "class/watchdog/%s/%s", all.p[i], rows[k].file)) {
                if (!begun) {
                    page_family(p, rows[k].name, PAGE_GAUGE, rows[k].help);
                }
                begun = true;
                page_add(p, v, "name", all.p[i], NULL);
            }
        }
    }
    if (all.len > 0) {
        page_family(p, "node_watchdog_info", PAGE_GAUGE, "Info of /sys/class/watchdog/<watchdog>");
    }
    for (size_t i = 0; i < all.len; i++) {
        const char *d = "class/watchdog";

        page_add(p, 1, "name", all.p[i], "options", sys_text(n, d, all.p[i], "options"), "identity",
                 sys_text(n, d, all.p[i], "identity"), "state", sys_text(n, d, all.p[i], "state"),
                 "status", sys_text(n, d, all.p[i], "status"), "pretimeout_governor",
                 sys_text(n, d, all.p[i], "pretimeout_governor"), NULL);
    }
    return 0;
}

int collect_fibrechannel(struct node *n, struct page *p, struct err *e)
{
    static const char *const counters[] = {"dumped_frames",
                                           "error_frames",
                                           "fcp_packet_aborts",
                                           "invalid_crc_count",
                                           "invalid_tx_word_count",
                                           "link_failure_count",
                                           "loss_of_signal_count",
                                           "loss_of_sync_count",
                                           "nos_count",
                                           "rx_frames",
                                           "rx_words",
                                           "seconds_since_last_reset",
                                           "tx_frames",
                                           "tx_words"};
    static const char *const names[] = {
        "dumped_frames_total",  "error_frames_total",     "fcp_packet_aborts_total",
        "invalid_crc_total",    "invalid_tx_words_total", "link_failure_total",
        "loss_of_signal_total", "loss_of_sync_total",     "nos_total",
        "rx_frames_total",      "rx_words_total",         "seconds_since_last_reset_total",
        "tx_frames_total",      "tx_words_total"};
    static const char *const words[] = {
        "speed",       "port_state",    "port_type",         "port_id",          "port_name",
        "fabric_name", "symbolic_name", "supported_classes", "supported_speeds", "dev_loss_tmo"};
    struct node_names all;

    if (node_list(n, NODE_SYS, &all, e, "class/fc_host") < 0) {
        return -1;
    }
    if (all.len > 0) {
        page_family(p, "node_fibrechannel_info", PAGE_GAUGE,
                    "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.");
    }
    for (size_t i = 0; i < all.len; i++) {
        SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);

        page_label(&labels, "fc_host", str_of(all.p[i]));
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            const char *word = sys_text(n, "class/fc_host", all.p[i], words[k]);

            page_label(&labels, words[k], str_of(strncmp(word, "0x", 2) == 0 ? word + 2 : word));
        }
        page_put(p, buf_str(&labels), 1);
    }
    for (size_t k = 0; k < ARRAY_LEN(counters); k++) {
        bool begun = false;

        for (size_t i = 0; i < all.len; i++) {
            struct str s =
                node_line(n, NODE_SYS, "class/fc_host/%s/statistics/%s", all.p[i], counters[k]);
            char name[NAME_BYTES];
            uint64_t v;

            if (!s.p || !text_hex(s, &v) || v == UINT64_MAX) {
                continue; /* all ones: the adapter does not count it */
            }
            if (!begun) {
                (void)snprintf(name, sizeof(name), "node_fibrechannel_%s", names[k]);
                page_family(p, name, PAGE_COUNTER, "Counter of /sys/class/fc_host/<host>.");
            }
            begun = true;
            page_add(p, (double)v, "fc_host", all.p[i], NULL);
        }
    }
    return 0;
}
