/* bcache: disks with a cache of another disk before them, each set in fs/bcache/<uuid>. */
#include "exporter/collect.h"

#include "base/vec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What each of a set, a disk behind it (bdev0), a cache (cache0) has in a file of its own. */
struct figure {
    const char *file;
    struct column column;
};
static const struct figure of_set[] = {
    {"average_key_size",
     {"node_bcache_average_key_size_sectors", PAGE_GAUGE,
      "Average data per key in the btree (sectors).", 0}},
    {"btree_cache_size",
     {"node_bcache_btree_cache_size_bytes", PAGE_GAUGE,
      "Amount of memory currently used by the btree cache.", 0}},
    {"cache_available_percent",
     {"node_bcache_cache_available_percent", PAGE_GAUGE,
      "Percentage of cache device without dirty data, usable for writeback (may contain clean "
      "cached data).",
      0}},
    {"congested", {"node_bcache_congested", PAGE_GAUGE, "Congestion.", 0}},
    {"root_usage_percent",
     {"node_bcache_root_usage_percent", PAGE_GAUGE,
      "Percentage of the root btree node in use (tree depth increases if too high).", 0}},
    {"tree_depth", {"node_bcache_tree_depth", PAGE_GAUGE, "Depth of the btree.", 0}},
    {"internal/active_journal_entries",
     {"node_bcache_active_journal_entries", PAGE_GAUGE,
      "Number of journal entries that are newer than the index.", 0}},
    {"internal/btree_nodes",
     {"node_bcache_btree_nodes", PAGE_GAUGE, "Total nodes in the btree.", 0}},
    {"internal/btree_read_average_duration_us",
     {"node_bcache_btree_read_average_duration_seconds", PAGE_GAUGE, "Average btree read duration.",
      1e-9}},
    {"internal/cache_read_races",
     {"node_bcache_cache_read_races_total", PAGE_COUNTER,
      "Reads whose bucket was used anew meanwhile.", 0}},
};
static const struct figure of_disk[] = {
    {"dirty_data",
     {"node_bcache_dirty_data_bytes", PAGE_GAUGE,
      "Amount of dirty data for this backing device in the cache.", 0}},
    {"stats_total/bypassed",
     {"node_bcache_bypassed_bytes_total", PAGE_COUNTER,
      "Amount of IO (both reads and writes) that has bypassed the cache.", 0}},
    {"stats_total/cache_hits",
     {"node_bcache_cache_hits_total", PAGE_COUNTER,
      "Hits counted per individual IO as bcache sees them.", 0}},
    {"stats_total/cache_misses",
     {"node_bcache_cache_misses_total", PAGE_COUNTER,
      "Misses counted per individual IO as bcache sees them.", 0}},
    {"stats_total/cache_bypass_hits",
     {"node_bcache_cache_bypass_hits_total", PAGE_COUNTER,
      "Hits for IO intended to skip the cache.", 0}},
    {"stats_total/cache_bypass_misses",
     {"node_bcache_cache_bypass_misses_total", PAGE_COUNTER,
      "Misses for IO intended to skip the cache.", 0}},
    {"stats_total/cache_miss_collisions",
     {"node_bcache_cache_miss_collisions_total", PAGE_COUNTER,
      "Misses whose data was in the cache when it was to be put there.", 0}},
    {"stats_total/cache_readaheads",
     {"node_bcache_cache_readaheads_total", PAGE_COUNTER, "Count of times readahead occurred.", 0}},
};
static const struct figure of_cache[] = {
    {"io_errors",
     {"node_bcache_io_errors", PAGE_GAUGE,
      "Number of errors that have occurred, decayed by io_error_halflife.", 0}},
    {"metadata_written",
     {"node_bcache_metadata_written_bytes_total", PAGE_COUNTER,
      "Sum of all non data writes (btree writes and all other metadata).", 0}},
    {"written",
     {"node_bcache_written_bytes_total", PAGE_COUNTER,
      "Sum of all data that has been written to the cache.", 0}},
};
/* Lines of writeback_rate_debug. */
static const struct figure of_writeback[] = {
    {"target:",
     {"node_bcache_dirty_target_bytes", PAGE_GAUGE, "Current dirty data target threshold in bytes.",
      0}},
    {"rate:", {"node_bcache_writeback_rate", PAGE_GAUGE, "Current writeback rate in bytes.", 0}},
    {"proportional:",
     {"node_bcache_writeback_rate_proportional_term", PAGE_GAUGE,
      "Current result of proportional controller, part of writeback rate", 0}},
    {"integral:",
     {"node_bcache_writeback_rate_integral_term", PAGE_GAUGE,
      "Current result of integral controller, part of writeback rate", 0}},
    {"change:", {"node_bcache_writeback_change", PAGE_GAUGE, "Last writeback rate change.", 0}},
};
enum { FIGURES_MAX = ARRAY_LEN(of_set) };

/* "1.5k", as the kernel's bch_hprint() has it: what stands behind the point is of 1024. */
static double figure_of(struct str s)
{
    static const char units[] = "kMGTPEZY";
    const char *unit;
    double whole, part = 0, scale = 1;
    struct str rest;

    s = str_first(s, s.len - (str_ends(s, STR("/sec")) ? strlen("/sec") : 0));
    unit = s.len > 0 ? memchr(units, s.p[s.len - 1], strlen(units)) : NULL;
    for (const char *u = units; unit && u <= unit; u++) {
        scale *= 1024;
    }
    s.len -= unit != NULL;
    if (!unit) {
        return text_or(s, NAN);
    }
    rest = s;
    whole = text_or(str_cut(&rest, '.'), NAN);
    part = rest.p ? text_or(rest, NAN) / 10.24 : 0;
    return trunc((s.p[0] == '-' ? whole - part : whole + part) * scale);
}

static void collect_figures(struct node *n, const char *dir, const struct figure *f, size_t len,
                            double *out)
{
    for (size_t i = 0; i < len; i++) {
        struct str s = node_line(n, NODE_SYS, "fs/bcache/%s/%s", dir, f[i].file);

        out[i] = s.p ? figure_of(s) : NAN;
    }
}

static void collect_writeback(struct node *n, const char *dir, double *out)
{
    struct str text = STR_EMPTY;
    struct err ignored;

    for (size_t i = 0; i < ARRAY_LEN(of_writeback); i++) {
        out[i] = NAN;
    }
    if (node_read(n, NODE_SYS, &text, &ignored, "fs/bcache/%s/writeback_rate_debug", dir) < 0) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line);

        for (size_t i = 0; i < ARRAY_LEN(of_writeback); i++) {
            if (str_eq_c(key, of_writeback[i].file)) {
                out[i] = figure_of(text_word(&line));
            }
        }
    }
}

struct rows {
    VEC(struct row) v;
};

static double *row_of(struct node *n, struct rows *rows, struct str labels)
{
    double *v = arena_new_array(&n->arena, double, FIGURES_MAX);

    *vec_push(&rows->v) = (struct row){labels, v};
    return v;
}

static void show(struct page *p, struct rows *rows, const struct figure *f, size_t len)
{
    struct column columns[FIGURES_MAX];

    for (size_t i = 0; i < len; i++) {
        columns[i] = f[i].column;
    }
    collect_columns(p, columns, len, rows->v.p, rows->v.len);
    vec_done(&rows->v);
}

/* "bdev0" of "bdev", and no other word that begins so. */
static bool is_part(const char *name, const char *kind)
{
    size_t len = strlen(kind);

    return strncmp(name, kind, len) == 0 && name[len] >= '0' && name[len] <= '9';
}

int collect_bcache(struct node *n, struct page *p, struct err *e)
{
    struct rows sets = {0}, disks = {0}, writebacks = {0}, caches = {0};
    struct node_names all, parts;
    struct err ignored;

    if (node_list(n, NODE_SYS, &all, e, "fs/bcache") < 0) {
        return -1;
    }
    for (size_t i = 0; i < all.len; i++) {
        const char *uuid = all.p[i];

        if (!strchr(uuid, '-') ||
            node_list(n, NODE_SYS, &parts, &ignored, "fs/bcache/%s", uuid) < 0) {
            continue; /* "register" and its like stand beside them */
        }
        collect_figures(n, uuid, of_set, ARRAY_LEN(of_set),
                        row_of(n, &sets, collect_labels(n, "uuid", uuid, NULL)));
        for (size_t k = 0; k < parts.len; k++) {
            const char *part = parts.p[k], *dir = arena_printf(&n->arena, "%s/%s", uuid, part);

            if (is_part(part, "bdev")) {
                struct str labels = collect_labels(n, "backing_device", part, "uuid", uuid, NULL);

                collect_figures(n, dir, of_disk, ARRAY_LEN(of_disk), row_of(n, &disks, labels));
                collect_writeback(n, dir, row_of(n, &writebacks, labels));
            } else if (is_part(part, "cache")) {
                struct str labels = collect_labels(n, "cache_device", part, "uuid", uuid, NULL);

                collect_figures(n, dir, of_cache, ARRAY_LEN(of_cache), row_of(n, &caches, labels));
            }
        }
    }
    show(p, &sets, of_set, ARRAY_LEN(of_set));
    show(p, &disks, of_disk, ARRAY_LEN(of_disk));
    show(p, &writebacks, of_writeback, ARRAY_LEN(of_writeback));
    show(p, &caches, of_cache, ARRAY_LEN(of_cache));
    return 0;
}
