/* File systems that count for themselves. */
#include "exporter/collect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 160, SECTOR = 512 };

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
            page_add(p, 1, "label", node_word(n, NODE_SYS, "fs/btrfs/%s/label", all.p[i]), "uuid",
                     all.p[i], NULL);
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
