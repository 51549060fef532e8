/* Sensors: https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 160, PATH_BYTES = 512 };

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
