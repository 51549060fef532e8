/* Disks and what is built of them, and tapes. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <math.h>
#include <string.h>

enum { NAME_BYTES = 160, SECTOR = 512 };

static const struct column disk_columns[] = {
    {"node_disk_reads_completed_total", PAGE_COUNTER,
     "The total number of reads completed successfully.", 0},
    {"node_disk_reads_merged_total", PAGE_COUNTER, "The total number of reads merged.", 0},
    {"node_disk_read_bytes_total", PAGE_COUNTER, "The total number of bytes read successfully.",
     SECTOR},
    {"node_disk_read_time_seconds_total", PAGE_COUNTER,
     "The total number of seconds spent by all reads.", 1e-3},
    {"node_disk_writes_completed_total", PAGE_COUNTER,
     "The total number of writes completed successfully.", 0},
    {"node_disk_writes_merged_total", PAGE_COUNTER, "The number of writes merged.", 0},
    {"node_disk_written_bytes_total", PAGE_COUNTER,
     "The total number of bytes written successfully.", SECTOR},
    {"node_disk_write_time_seconds_total", PAGE_COUNTER,
     "This is the total number of seconds spent by all writes.", 1e-3},
    {"node_disk_io_now", PAGE_GAUGE, "The number of I/Os currently in progress.", 0},
    {"node_disk_io_time_seconds_total", PAGE_COUNTER, "Total seconds spent doing I/Os.", 1e-3},
    {"node_disk_io_time_weighted_seconds_total", PAGE_COUNTER,
     "The weighted # of seconds spent doing I/Os.", 1e-3},
    {"node_disk_discards_completed_total", PAGE_COUNTER,
     "The total number of discards completed successfully.", 0},
    {"node_disk_discards_merged_total", PAGE_COUNTER, "The total number of discards merged.", 0},
    {"node_disk_discarded_sectors_total", PAGE_COUNTER,
     "The total number of sectors discarded successfully.", 0},
    {"node_disk_discard_time_seconds_total", PAGE_COUNTER,
     "This is the total number of seconds spent by all discards.", 1e-3},
    {"node_disk_flush_requests_total", PAGE_COUNTER,
     "The total number of flush requests completed successfully", 0},
    {"node_disk_flush_requests_time_seconds_total", PAGE_COUNTER,
     "This is the total number of seconds spent by all flush requests.", 1e-3},
};

struct disk {
    const char *device, *major, *minor;
    struct str udev;
};

/* "E:ID_MODEL=..." of udev's note about the device */
static const char *udev_value(struct node *n, const struct disk *d, const char *key)
{
    struct str rest = d->udev;

    while (rest.len > 0) {
        struct str line = text_line(&rest), name;

        if (!str_starts(line, STR("E:"))) {
            continue;
        }
        line = str_from(line, 2);
        name = str_cut(&line, '=');
        if (line.p && str_eq_c(name, key)) {
            return arena_strdup(&n->arena, line);
        }
    }
    return "";
}

static void disk_infos(struct node *n, struct page *p, struct disk *disks, size_t len)
{
    bool any = false;

    page_family(p, "node_disk_info", PAGE_GAUGE, "Info of /sys/block/<block_device>.");
    for (size_t i = 0; i < len; i++) {
        struct disk *d = &disks[i];
        struct str text;
        struct err e;

        d->udev = STR_EMPTY;
        if (node_read(n, NODE_ROOT, &text, &e, "%s/b%s:%s",
                      n->o->udev_data ? n->o->udev_data : "run/udev/data", d->major,
                      d->minor) == 0) {
            d->udev = arena_str(&n->arena, text);
        }
        const char *serial = udev_value(n, d, "SCSI_IDENT_SERIAL");
        page_add(p, 1, "device", d->device, "major", d->major, "minor", d->minor, "model",
                 udev_value(n, d, "ID_MODEL"), "path", udev_value(n, d, "ID_PATH"), "revision",
                 udev_value(n, d, "ID_REVISION"), "serial",
                 *serial ? serial : udev_value(n, d, "ID_SERIAL_SHORT"), "wwn",
                 udev_value(n, d, "ID_WWN"), NULL);
    }
    for (size_t i = 0; i < len; i++) {
        const char *type = udev_value(n, &disks[i], "ID_FS_TYPE");

        if (!*type) {
            continue;
        }
        if (!any) {
            page_family(p, "node_disk_filesystem_info", PAGE_GAUGE, "Info about disk filesystem.");
        }
        any = true;
        page_add(p, 1, "device", disks[i].device, "type", type, "usage",
                 udev_value(n, &disks[i], "ID_FS_USAGE"), "uuid",
                 udev_value(n, &disks[i], "ID_FS_UUID"), "version",
                 udev_value(n, &disks[i], "ID_FS_VERSION"), NULL);
    }
    any = false;
    for (size_t i = 0; i < len; i++) {
        const char *name = udev_value(n, &disks[i], "DM_NAME");

        if (!*name) {
            continue;
        }
        if (!any) {
            page_family(p, "node_disk_device_mapper_info", PAGE_GAUGE,
                        "Info about disk device mapper.");
        }
        any = true;
        page_add(p, 1, "device", disks[i].device, "lv_layer",
                 udev_value(n, &disks[i], "DM_LV_LAYER"), "lv_name",
                 udev_value(n, &disks[i], "DM_LV_NAME"), "name", name, "uuid",
                 udev_value(n, &disks[i], "DM_UUID"), "vg_name",
                 udev_value(n, &disks[i], "DM_VG_NAME"), NULL);
    }
}

int collect_diskstats(struct node *n, struct page *p, struct err *e)
{
    VEC(struct disk) disks = {0};
    VEC(struct row) rows = {0};
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "diskstats") < 0) {
        return -1;
    }
    while (text.len > 0 && disks.len < LIMIT_NODE_NAMES) {
        struct str line = text_line(&text);
        struct disk d = {0};
        double *v;

        d.major = arena_strdup(&n->arena, text_word(&line));
        d.minor = arena_strdup(&n->arena, text_word(&line));
        d.device = arena_strdup(&n->arena, text_word(&line));
        if (!*d.device || node_takes(n, 'd', n->disks, str_of(d.device))) {
            continue;
        }
        v = arena_new_array(&n->arena, double, ARRAY_LEN(disk_columns));
        for (size_t i = 0; i < ARRAY_LEN(disk_columns); i++) {
            v[i] = text_or(text_word(&line), NAN);
        }
        *vec_push(&disks) = d;
        *vec_push(&rows) = (struct row){collect_labels(n, "device", d.device, NULL), v};
    }
    collect_columns(p, disk_columns, ARRAY_LEN(disk_columns), rows.p, rows.len);
    disk_infos(n, p, disks.p, disks.len);
    vec_done(&disks);
    vec_done(&rows);
    return 0;
}

/* --- /proc/mdstat --- */

struct md {
    const char *device, *state;
    double active, failed, spare, required, blocks, synced;
};

/* "md3 : active raid6 sda1[8] sdh1[7](S) ..." */
static bool md_head(struct node *n, struct str line, struct md *out)
{
    struct str name = text_word(&line), word;
    double disks = 0;

    if (!str_starts(name, STR("md")) || !str_eq_c(text_word(&line), ":")) {
        return false;
    }
    *out = (struct md){.device = arena_strdup(&n->arena, name)};
    out->state = str_eq_c(text_word(&line), "active") ? "active" : "inactive";
    while ((word = text_word(&line)).len > 0) {
        if (str_find_char(word, '[') < 0) {
            continue; /* the level, (auto-read-only) */
        }
        disks++;
        out->failed += str_find(word, STR("(F)")) >= 0;
        out->spare += str_find(word, STR("(S)")) >= 0;
    }
    out->active = out->required =
        strcmp(out->state, "active") == 0 ? disks - out->failed - out->spare : 0;
    return true;
}

/* "5853468288 blocks ... [8/7] [UUUUUUU_]", "[=>...] recovery = 8.5% (16775552/195310144) ..." */
static void md_line(struct str line, struct md *m)
{
    static const char *const works[][2] = {{"recovery", "recovering"},
                                           {"resync", "resync"},
                                           {"reshape", "recovering"},
                                           {"check", "check"}};
    struct str rest = line, first = text_word(&rest);
    double a, b;

    if (str_eq_c(text_word(&rest), "blocks")) {
        m->blocks = m->synced = text_or(first, 0);
        for (struct str word; (word = text_word(&rest)).len > 0;) {
            struct str in = str_from(word, 1), left;

            if (word.p[0] == '[' && str_ends(word, STR("]")) && str_find_char(word, '/') > 0) {
                in.len--;
                left = str_cut(&in, '/');
                if (strcmp(m->state, "inactive") != 0 && text_number(left, &a) &&
                    text_number(in, &b)) {
                    m->required = a;
                    m->active = b;
                }
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        ptrdiff_t at = str_find(line, str_of(works[i][0]));

        if (at < 0) {
            continue;
        }
        m->state = works[i][1];
        at = str_find_char(line, '(');
        if (at >= 0) {
            struct str in = str_from(line, (size_t)at + 1);

            m->synced = text_or(str_cut(&in, '/'), m->blocks);
        } else {
            m->synced = 0; /* resync=PENDING, DELAYED */
        }
        return;
    }
}

int collect_mdadm(struct node *n, struct page *p, struct err *e)
{
    static const char *const states[] = {"active", "inactive", "recovering", "resync", "check"};
    VEC(struct md) all = {0};
    struct str text;
    struct md m;

    if (node_read(n, NODE_PROC, &text, e, "mdstat") < 0) {
        return -1;
    }
    while (text.len > 0 && all.len < LIMIT_NODE_NAMES) {
        struct str line = text_line(&text);

        if (md_head(n, line, &m)) {
            *vec_push(&all) = m;
        } else if (all.len > 0) {
            md_line(line, &all.p[all.len - 1]);
        }
    }
    if (all.p != NULL) {
        page_family(p, "node_md_state", PAGE_GAUGE, "Indicates the state of md-device.");
        for (size_t i = 0; i < all.len; i++) {
            for (size_t k = 0; k < ARRAY_LEN(states); k++) {
                page_add(p, strcmp(states[k], all.p[i].state) == 0, "device", all.p[i].device,
                         "state", states[k], NULL);
            }
        }
        page_family(p, "node_md_disks", PAGE_GAUGE,
                    "Number of active/failed/spare disks of device.");
        for (size_t i = 0; i < all.len; i++) {
            page_add(p, all.p[i].active, "device", all.p[i].device, "state", "active", NULL);
            page_add(p, all.p[i].failed, "device", all.p[i].device, "state", "failed", NULL);
            page_add(p, all.p[i].spare, "device", all.p[i].device, "state", "spare", NULL);
        }
        page_family(p, "node_md_disks_required", PAGE_GAUGE, "Total number of disks of device.");
        for (size_t i = 0; i < all.len; i++) {
            page_add(p, all.p[i].required, "device", all.p[i].device, NULL);
        }
        page_family(p, "node_md_blocks", PAGE_GAUGE, "Total number of blocks on device.");
        for (size_t i = 0; i < all.len; i++) {
            page_add(p, all.p[i].blocks, "device", all.p[i].device, NULL);
        }
        page_family(p, "node_md_blocks_synced", PAGE_GAUGE, "Number of blocks synced on device.");
        for (size_t i = 0; i < all.len; i++) {
            page_add(p, all.p[i].synced, "device", all.p[i].device, NULL);
        }
    }
    vec_done(&all);
    return 0;
}

int collect_nvme(struct node *n, struct page *p, struct err *e)
{
    struct node_names devices;

    if (node_list(n, NODE_SYS, &devices, e, "class/nvme") < 0) {
        return -1;
    }
    if (devices.len > 0) {
        page_family(p, "node_nvme_info", PAGE_GAUGE,
                    "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
    }
    for (size_t i = 0; i < devices.len; i++) {
        const char *d = devices.p[i];

        page_add(p, 1, "device", d, "firmware_revision",
                 node_word(n, NODE_SYS, "class/nvme/%s/firmware_rev", d), "model",
                 node_word(n, NODE_SYS, "class/nvme/%s/model", d), "serial",
                 node_word(n, NODE_SYS, "class/nvme/%s/serial", d), "state",
                 node_word(n, NODE_SYS, "class/nvme/%s/state", d), NULL);
    }
    return 0;
}

int collect_tapestats(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[] = {"in_flight", "io_ns",   "other_cnt", "read_byte_cnt",
                                        "read_cnt",  "read_ns", "resid_cnt", "write_byte_cnt",
                                        "write_cnt", "write_ns"};
    static const struct column columns[] = {
        {"node_tape_io_now", PAGE_GAUGE, "The number of I/Os currently outstanding to this device.",
         0},
        {"node_tape_io_time_seconds_total", PAGE_COUNTER,
         "Time spent waiting for all I/O, movements of the tape included.", 1e-9},
        {"node_tape_io_others_total", PAGE_COUNTER,
         "The number of I/Os that were neither reads nor writes.", 0},
        {"node_tape_read_bytes_total", PAGE_COUNTER,
         "The number of bytes read from the tape drive.", 0},
        {"node_tape_reads_completed_total", PAGE_COUNTER,
         "The number of read requests issued to the tape drive.", 0},
        {"node_tape_read_time_seconds_total", PAGE_COUNTER,
         "The amount of time spent waiting for read requests to complete.", 1e-9},
        {"node_tape_residual_total", PAGE_COUNTER,
         "The number of reads and writes that moved less than was asked for.", 0},
        {"node_tape_written_bytes_total", PAGE_COUNTER,
         "The number of bytes written to the tape drive.", 0},
        {"node_tape_writes_completed_total", PAGE_COUNTER,
         "The number of write requests issued to the tape drive.", 0},
        {"node_tape_write_time_seconds_total", PAGE_COUNTER,
         "The amount of time spent waiting for write requests to complete.", 1e-9},
    };
    _Static_assert(ARRAY_LEN(files) == ARRAY_LEN(columns), "a file each");
    VEC(struct row) rows = {0};
    struct node_names all;

    if (node_list(n, NODE_SYS, &all, e, "class/scsi_tape") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        struct str number = str_of(all.p[i]); /* "st0": "nst0" and "st0a" are ways to it */
        uint64_t at;
        double *v;

        if (!str_starts(number, STR("st")) || str_to_u64(str_from(number, 2), &at) < 0) {
            continue;
        }
        v = arena_new_array(&n->arena, double, ARRAY_LEN(files));
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            if (!node_number(n, NODE_SYS, &v[k], "class/scsi_tape/%s/stats/%s", all.p[i],
                             files[k])) {
                v[k] = NAN;
            }
        }
        *vec_push(&rows) = (struct row){collect_labels(n, "device", all.p[i], NULL), v};
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows.p, rows.len);
    vec_done(&rows);
    return 0;
}
