/* Zones, power, watchdogs, Fibre Channel: what /sys/class says of the board. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 160, PATH_BYTES = 512 };

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
                 node_word(n, NODE_SYS, "class/thermal/%s/type", all->p[i]), NULL);
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
            const char *value =
                node_word(n, NODE_SYS, "class/power_supply/%s/%s", all.p[i], words[k]);

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
        page_add(p, 1, "name", all.p[i], "options",
                 node_word(n, NODE_SYS, "class/watchdog/%s/options", all.p[i]), "identity",
                 node_word(n, NODE_SYS, "class/watchdog/%s/identity", all.p[i]), "state",
                 node_word(n, NODE_SYS, "class/watchdog/%s/state", all.p[i]), "status",
                 node_word(n, NODE_SYS, "class/watchdog/%s/status", all.p[i]),
                 "pretimeout_governor",
                 node_word(n, NODE_SYS, "class/watchdog/%s/pretimeout_governor", all.p[i]), NULL);
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
            const char *word = node_word(n, NODE_SYS, "class/fc_host/%s/%s", all.p[i], words[k]);

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
