/* Disks and what is built of them: md, NVMe, and the file systems that count for themselves. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <math.h>
#include <stdio.h>
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

static const char *sys_word(struct node *n, const char *dir, const char *name, const char *file)
{
    struct str s = node_line(n, NODE_SYS, "%s/%s/%s", dir, name, file);

    return s.p ? s.p : "";
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
                 sys_word(n, "class/nvme", d, "firmware_rev"), "model",
                 sys_word(n, "class/nvme", d, "model"), "serial",
                 sys_word(n, "class/nvme", d, "serial"), "state",
                 sys_word(n, "class/nvme", d, "state"), NULL);
    }
    return 0;
}

/* --- ZFS: "name type data" under two lines of head --- */

int collect_zfs(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[][2] = {
        {"arcstats", "arc"},
        {"abdstats", "abd"},
        {"dbufstats", "dbuf"},
        {"dmu_tx", "dmu_tx"},
        {"dnodestats", "dnode"},
        {"fm", "fm"},
        {"vdev_cache_stats", "vdev_cache"},
        {"vdev_mirror_stats", "vdev_mirror"},
        {"xuio_stats", "xuio"},
        {"zfetchstats", "zfetch"},
        {"zil", "zil"},
    };
    bool any = false;
    struct str text;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (node_read(n, NODE_PROC, &text, e, "spl/kstat/zfs/%s", files[i][0]) < 0) {
            continue;
        }
        any = true;
        (void)text_line(&text);
        (void)text_line(&text);
        while (text.len > 0) {
            struct str line = text_line(&text), key = text_word(&line), data;
            char name[NAME_BYTES], help[NAME_BYTES];
            double v;

            (void)text_word(&line); /* the type */
            data = text_word(&line);
            if (key.len == 0 || key.len > 60 || !text_number(data, &v)) {
                continue;
            }
            (void)snprintf(name, sizeof(name), "node_zfs_%s_%.*s", files[i][1], STR_ARG(key));
            for (char *c = name; *c; c++) {
                *c = *c == '-' || *c == '.' ? '_' : *c;
            }
            (void)snprintf(help, sizeof(help), "kstat.zfs.misc.%s.%.*s", files[i][0], STR_ARG(key));
            page_one(p, name, PAGE_UNTYPED, help, v);
        }
    }
    return any ? 0 : err_set(e, ERR_NOT_FOUND, "ZFS is not loaded");
}

/* --- XFS: lines of a word and numbers, of each device --- */

static const struct {
    const char *line;
    int place;
    struct column column;
} xfs[] = {
#define XFS(line, place, name, help)                                                               \
    {                                                                                              \
        line, place,                                                                               \
        {                                                                                          \
            "node_xfs_" name "_total", PAGE_COUNTER, help, 0                                       \
        }                                                                                          \
    }
    XFS("extent_alloc", 0, "extent_allocation_extents_allocated",
        "Number of extents allocated for a filesystem."),
    XFS("extent_alloc", 1, "extent_allocation_blocks_allocated",
        "Number of blocks allocated for a filesystem."),
    XFS("extent_alloc", 2, "extent_allocation_extents_freed",
        "Number of extents freed for a filesystem."),
    XFS("extent_alloc", 3, "extent_allocation_blocks_freed",
        "Number of blocks freed for a filesystem."),
    XFS("abt", 0, "allocation_btree_lookups",
        "Number of allocation B-tree lookups for a filesystem."),
    XFS("abt", 1, "allocation_btree_compares",
        "Number of allocation B-tree compares for a filesystem."),
    XFS("abt", 2, "allocation_btree_records_inserted",
        "Number of allocation B-tree records inserted for a filesystem."),
    XFS("abt", 3, "allocation_btree_records_deleted",
        "Number of allocation B-tree records deleted for a filesystem."),
    XFS("blk_map", 0, "block_mapping_reads",
        "Number of block map for read operations for a filesystem."),
    XFS("blk_map", 1, "block_mapping_writes",
        "Number of block map for write operations for a filesystem."),
    XFS("blk_map", 2, "block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."),
    XFS("blk_map", 3, "block_mapping_extent_list_insertions",
        "Number of extent list insertions for a filesystem."),
    XFS("blk_map", 4, "block_mapping_extent_list_deletions",
        "Number of extent list deletions for a filesystem."),
    XFS("blk_map", 5, "block_mapping_extent_list_lookups",
        "Number of extent list lookups for a filesystem."),
    XFS("blk_map", 6, "block_mapping_extent_list_compares",
        "Number of extent list compares for a filesystem."),
    XFS("bmbt", 0, "block_map_btree_lookups",
        "Number of block map B-tree lookups for a filesystem."),
    XFS("bmbt", 1, "block_map_btree_compares",
        "Number of block map B-tree compares for a filesystem."),
    XFS("bmbt", 2, "block_map_btree_records_inserted",
        "Number of block map B-tree records inserted for a filesystem."),
    XFS("bmbt", 3, "block_map_btree_records_deleted",
        "Number of block map B-tree records deleted for a filesystem."),
    XFS("dir", 0, "directory_operation_lookup",
        "Number of file name directory lookups which miss the operating systems directory name "
        "lookup cache."),
    XFS("dir", 1, "directory_operation_create",
        "Number of times a new directory entry was created for a filesystem."),
    XFS("dir", 2, "directory_operation_remove",
        "Number of times an existing directory entry was created for a filesystem."),
    XFS("dir", 3, "directory_operation_getdents",
        "Number of times the directory getdents operation was performed for a filesystem."),
    XFS("ig", 0, "inode_operation_attempts",
        "Number of times the OS looked for an XFS inode in the inode cache."),
    XFS("ig", 1, "inode_operation_found",
        "Number of times the OS looked for and found an XFS inode in the inode cache."),
    XFS("ig", 2, "inode_operation_recycled",
        "Number of times the OS found an XFS inode in the cache, but could not use it as it was "
        "being recycled."),
    XFS("ig", 3, "inode_operation_missed",
        "Number of times the OS looked for an XFS inode in the cache, but did not find it."),
    XFS("ig", 4, "inode_operation_duplicates",
        "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it "
        "had already been added by another process."),
    XFS("ig", 5, "inode_operation_reclaims",
        "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for "
        "another purpose."),
    XFS("ig", 6, "inode_operation_attribute_changes",
        "Number of times the OS explicitly changed the attributes of an XFS inode."),
    XFS("rw", 0, "write_calls", "Number of write(2) system calls made to files in a filesystem."),
    XFS("rw", 1, "read_calls", "Number of read(2) system calls made to files in a filesystem."),
    XFS("vnodes", 0, "vnode_active", "Number of vnodes not on free lists for a filesystem."),
    XFS("vnodes", 1, "vnode_allocate", "Number of times vn_alloc called for a filesystem."),
    XFS("vnodes", 2, "vnode_get", "Number of times vn_get called for a filesystem."),
    XFS("vnodes", 3, "vnode_hold", "Number of times vn_hold called for a filesystem."),
    XFS("vnodes", 4, "vnode_release", "Number of times vn_rele called for a filesystem."),
    XFS("vnodes", 5, "vnode_reclaim", "Number of times vn_reclaim called for a filesystem."),
    XFS("vnodes", 6, "vnode_remove", "Number of times vn_remove called for a filesystem."),
};

int collect_xfs(struct node *n, struct page *p, struct err *e)
{
    struct column columns[ARRAY_LEN(xfs)];
    struct node_names devices;
    struct row *rows;
    size_t len = 0;

    if (node_list(n, NODE_SYS, &devices, e, "fs/xfs") < 0) {
        return -1;
    }
    rows = arena_new_array(&n->arena, struct row, devices.len);
    for (size_t i = 0; i < devices.len; i++) {
        double *v = arena_new_array(&n->arena, double, ARRAY_LEN(xfs));
        struct str text;
        struct err ignored;

        if (node_read(n, NODE_SYS, &text, &ignored, "fs/xfs/%s/stats/stats", devices.p[i]) < 0) {
            continue;
        }
        for (size_t c = 0; c < ARRAY_LEN(xfs); c++) {
            v[c] = NAN;
        }
        while (text.len > 0) {
            struct str line = text_line(&text), key = text_word(&line);

            for (int place = 0; place < 7; place++) {
                double number = text_or(text_word(&line), NAN);

                for (size_t c = 0; c < ARRAY_LEN(xfs); c++) {
                    if (xfs[c].place == place && str_eq_c(key, xfs[c].line)) {
                        v[c] = number;
                    }
                }
            }
        }
        rows[len++] = (struct row){collect_labels(n, "device", devices.p[i], NULL), v};
    }
    for (size_t c = 0; c < ARRAY_LEN(xfs); c++) {
        columns[c] = xfs[c].column;
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows, len);
    return 0;
}

/* --- btrfs --- */

/* How many bytes of the disks a byte takes in a layout. */
static double btrfs_ratio(const char *mode, size_t devices)
{
    double n = (double)devices;

    return strcmp(mode, "dup") == 0 || strcmp(mode, "raid1") == 0 || strcmp(mode, "raid10") == 0 ? 2
           : strcmp(mode, "raid1c3") == 0                                                        ? 3
           : strcmp(mode, "raid1c4") == 0                                                        ? 4
           : strcmp(mode, "raid5") == 0 && devices > 1 ? n / (n - 1)
           : strcmp(mode, "raid6") == 0 && devices > 2 ? n / (n - 2)
                                                       : 1;
}

static bool is_btrfs(const char *name)
{
    return strlen(name) == 36; /* of a UUID; "features" stands beside them */
}

static void btrfs_groups(struct node *n, struct page *p, const struct node_names *all,
                         const char *file, bool of_mode, const char *name, const char *help)
{
    static const char *const kinds[] = {"data", "metadata", "system"};

    page_family(p, name, PAGE_GAUGE, help);
    for (size_t i = 0; i < all->len; i++) {
        for (size_t k = 0; is_btrfs(all->p[i]) && k < ARRAY_LEN(kinds); k++) {
            struct node_names modes = {0};
            struct err ignored;
            double v;

            if (!of_mode) {
                if (node_number(n, NODE_SYS, &v, "fs/btrfs/%s/allocation/%s/%s", all->p[i],
                                kinds[k], file)) {
                    page_add(p, v, "block_group_type", kinds[k], "uuid", all->p[i], NULL);
                }
                continue;
            }
            if (node_list(n, NODE_SYS, &modes, &ignored, "fs/btrfs/%s/allocation/%s", all->p[i],
                          kinds[k]) < 0) {
                continue;
            }
            for (size_t m = 0; m < modes.len; m++) {
                struct node_names devices = {0};

                if (node_number(n, NODE_SYS, &v, "fs/btrfs/%s/allocation/%s/%s/%s", all->p[i],
                                kinds[k], modes.p[m], file ? file : "total_bytes")) {
                    if (!file && node_list(n, NODE_SYS, &devices, &ignored, "fs/btrfs/%s/devices",
                                           all->p[i]) == 0) {
                        v = btrfs_ratio(modes.p[m], devices.len);
                    }
                    page_add(p, v, "block_group_type", kinds[k], "mode", modes.p[m], "uuid",
                             all->p[i], NULL);
                }
            }
        }
    }
}

int collect_btrfs(struct node *n, struct page *p, struct err *e)
{
    struct node_names all, devices;
    struct err ignored;
    size_t any = 0;
    double v;

    if (node_list(n, NODE_SYS, &all, e, "fs/btrfs") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        any += is_btrfs(all.p[i]);
    }
    if (any == 0) {
        return 0;
    }
    page_family(p, "node_btrfs_info", PAGE_GAUGE, "Filesystem information");
    for (size_t i = 0; i < all.len; i++) {
        if (is_btrfs(all.p[i])) {
            page_add(p, 1, "label", sys_word(n, "fs/btrfs", all.p[i], "label"), "uuid", all.p[i],
                     NULL);
        }
    }
    page_family(p, "node_btrfs_global_rsv_size_bytes", PAGE_GAUGE, "Size of global reserve.");
    for (size_t i = 0; i < all.len; i++) {
        if (is_btrfs(all.p[i]) &&
            node_number(n, NODE_SYS, &v, "fs/btrfs/%s/allocation/global_rsv_size", all.p[i])) {
            page_add(p, v, "uuid", all.p[i], NULL);
        }
    }
    page_family(p, "node_btrfs_device_size_bytes", PAGE_GAUGE,
                "Size of a device that is part of the filesystem.");
    for (size_t i = 0; i < all.len; i++) {
        if (!is_btrfs(all.p[i]) ||
            node_list(n, NODE_SYS, &devices, &ignored, "fs/btrfs/%s/devices", all.p[i]) < 0) {
            continue;
        }
        for (size_t k = 0; k < devices.len; k++) {
            if (node_number(n, NODE_SYS, &v, "fs/btrfs/%s/devices/%s/size", all.p[i],
                            devices.p[k])) {
                page_add(p, v * SECTOR, "device", devices.p[k], "uuid", all.p[i], NULL);
            }
        }
    }
    btrfs_groups(n, p, &all, "bytes_reserved", false, "node_btrfs_reserved_bytes",
                 "Amount of space reserved for a data type");
    btrfs_groups(n, p, &all, "used_bytes", true, "node_btrfs_used_bytes",
                 "Amount of used space by a layout/data type");
    btrfs_groups(n, p, &all, "total_bytes", true, "node_btrfs_size_bytes",
                 "Amount of space allocated for a layout/data type");
    btrfs_groups(n, p, &all, NULL, true, "node_btrfs_allocation_ratio",
                 "Data allocation ratio for a layout/data type");
    return 0;
}
