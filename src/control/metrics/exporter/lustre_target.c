/* The targets that a server of Lustre has: space, reads and writes, jobs, locks, quotas. */
#include "exporter/lustre.h"

#include <math.h>
#include <string.h>

static const char *component_of(const char *target)
{
    return strstr(target, "MDT") ? "mdt" : strstr(target, "OST") ? "ost" : "mgt";
}

static struct str target_labels(struct node *n, const char *target)
{
    return collect_labels(n, "component", component_of(target), "target", target, NULL);
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
                  {"evicted_clients:", L_RECOVERY_EVICTED},
                  {"recovery_duration:", L_RECOVERY_TIME},
                  {"time_remaining:", L_RECOVERY_LEFT}};
    struct str labels = collect_labels(g->n, "kind", strcmp(kind, "mdt") == 0 ? "MDT" : "OST",
                                       "target", target, NULL);
    struct str text;

    if (!lustre_read(g->n, &text, kind, target, "recovery_status")) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line), value = text_word(&line);
        size_t state = 0;

        if (str_eq_c(key, "status:")) {
            while (state < ARRAY_LEN(states) && !str_eq_c(value, states[state])) {
                state++;
            }
            lustre_add(g, L_RECOVERY, labels, (double)state);
        }
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
            if (str_eq_c(key, counts[i].key)) { /* "3/4" */
                lustre_add(g, counts[i].family, labels, text_or(str_cut(&value, '/'), NAN));
                if (counts[i].family == L_RECOVERY_DONE && value.p) {
                    lustre_add(g, L_RECOVERY_TOTAL, labels, text_or(value, NAN));
                }
            }
        }
    }
}

static void gather_ost_io(struct gathered *g, const char *target)
{
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    if (!lustre_read(n, &text, "obdfilter", target, "stats")) {
        return;
    }
    while (lustre_next_stat(n, &text, &s)) {
        bool reads = strcmp(s.name, "read_bytes") == 0;

        if (reads || strcmp(s.name, "write_bytes") == 0) {
            lustre_add_io(g, reads ? L_READS : L_WRITES,
                          collect_labels(n, "component", "ost", "operation",
                                         reads ? "read" : "write", "target", target, NULL),
                          &s);
        }
    }
}

static void gather_mdt_operations(struct gathered *g, const char *target)
{
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    if (!lustre_read(n, &text, "mdt", target, "md_stats")) {
        return;
    }
    while (lustre_next_stat(n, &text, &s)) {
        struct str labels =
            collect_labels(n, "component", "mdt", "operation", s.name, "target", target, NULL);

        lustre_add(g, L_STATS, labels, s.samples);
        lustre_add(g, L_STATS_MIN, labels, s.min);
        lustre_add(g, L_STATS_MAX, labels, s.max);
        lustre_add(g, L_STATS_TIME, labels, s.sum);
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

    if (!lustre_read(n, &text, kind, target, "job_stats")) {
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
            lustre_add_io(g, reads ? L_JOB_READS : L_JOB_WRITES, labels, &s);
        } else {
            lustre_add(g, L_JOB_STATS, labels, s.samples);
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

        lustre_targets(n, kinds[k], &all);
        for (size_t i = 0; i < all.len; i++) {
            const char *t = all.p[i];
            struct str labels = target_labels(n, t);

            lustre_add(g, ost ? L_EXPORTS : L_CLIENTS, labels,
                       lustre_number(n, kinds[k], t, "num_exports"));
            if (ost) {
                lustre_add(g, L_DIRTY, labels, lustre_number(n, kinds[k], t, "tot_dirty"));
                lustre_add(g, L_GRANTED, labels, lustre_number(n, kinds[k], t, "tot_granted"));
                lustre_add(g, L_PENDING, labels, lustre_number(n, kinds[k], t, "tot_pending"));
                gather_ost_io(g, t);
            } else {
                gather_mdt_operations(g, t);
            }
            gather_recovery(g, kinds[k], t);
            gather_jobs(g, kinds[k], t);
        }
    }
}

/* --- brw_stats: tables of "256K:  577 0 73 | 432 0 40": size, reads, writes --- */

static const struct {
    const char *title;
    enum family family;
} tables[] = {{"pages per bulk r/w", L_PAGES},
              {"discontiguous pages", L_DISCONT_PAGES},
              {"discontiguous blocks", L_DISCONT_BLOCKS},
              {"disk fragmented I/Os", L_DIO_FRAGS},
              {"disk I/Os in flight", L_DISK_IO},
              {"I/O time (1/1000s)", L_IO_TIME},
              {"disk I/O size", L_DISK_IO_SIZE},
              {"block maps msec", L_BLOCK_MAPS}};

/* "256K:" is 262144. */
static double size_of(struct str word)
{
    static const char units[] = "KMG";
    const char *unit;
    double scale = 1;

    if (!str_ends(word, STR(":"))) {
        return NAN;
    }
    word.len--;
    unit = word.len > 0 ? memchr(units, word.p[word.len - 1] & ~0x20, strlen(units)) : NULL;
    for (const char *u = units; unit && u <= unit; u++) {
        scale *= 1024;
    }
    word.len -= unit != NULL;
    return text_or(word, NAN) * scale;
}

static void add_bucket(struct gathered *g, enum family f, const char *target, struct str line)
{
    struct node *n = g->n;
    double size = size_of(text_word(&line));
    double reads = text_or(text_word(&line), NAN);
    const char *text = arena_printf(&n->arena, "%.0f", size);

    (void)str_cut(&line, '|');
    if (isnan(size)) {
        return;
    }
    lustre_add(g, f,
               collect_labels(n, "component", component_of(target), "operation", "read", "size",
                              text, "target", target, NULL),
               reads);
    lustre_add(g, f,
               collect_labels(n, "component", component_of(target), "operation", "write", "size",
                              text, "target", target, NULL),
               text_or(text_word(&line), NAN));
}

static bool gather_brw(struct gathered *g, const char *kind, const char *target)
{
    int table = -1;
    struct str text;

    if (!lustre_read(g->n, &text, kind, target, "brw_stats")) {
        return false;
    }
    while (text.len > 0) {
        struct str line = text_line(&text);

        if (line.len > 0 && line.p[0] >= '0' && line.p[0] <= '9') {
            if (table >= 0) {
                add_bucket(g, tables[table].family, target, line);
            }
            continue;
        }
        table = -1;
        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
            table = str_starts(line, str_of(tables[i].title)) ? (int)i : table;
        }
    }
    return true;
}

static void gather_tables(struct gathered *g)
{
    static const char *const kinds[] = {"osd-ldiskfs", "osd-zfs", "obdfilter"};
    struct node_names all;
    bool any = false;

    /* The last has what the others have, where they have it not. */
    for (size_t k = 0; k < ARRAY_LEN(kinds) && !(k == 2 && any); k++) {
        lustre_targets(g->n, kinds[k], &all);
        for (size_t i = 0; i < all.len; i++) {
            any = gather_brw(g, kinds[k], all.p[i]) || any;
        }
    }
}

/* --- quotas: "- id: 0" and "limits: { hard: 0, soft: 0, granted: 0, time: 604800 }" --- */

static const struct {
    const char *name, *shown, *file;
} accounts[] = {{"usr", "user", "quota_slave/acct_user"},
                {"grp", "group", "quota_slave/acct_group"},
                {"prj", "project", "quota_slave/acct_project"}};

/* The next one's id, in the arena, and the line of its figures. */
static const char *next_account(struct node *n, struct str *text, struct str *figures)
{
    const char *id = NULL;

    while (text->len > 0) {
        struct str line = text_line(text), rest = str_trim(line), key = str_cut(&rest, ':');

        if (str_eq_c(key, "- id")) {
            id = arena_strdup(&n->arena, str_trim(rest));
        } else if (id && (str_eq_c(key, "limits") || str_eq_c(key, "usage"))) {
            *figures = line;
            return id;
        }
    }
    return NULL;
}

/* What each takes on a target. */
static void gather_used(struct gathered *g, const char *kind, const char *target)
{
    struct str text, line;
    const char *id;

    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        if (!lustre_read(g->n, &text, kind, target, accounts[i].file)) {
            continue;
        }
        while ((id = next_account(g->n, &text, &line))) {
            struct str labels =
                collect_labels(g->n, "accounting", accounts[i].shown, "component",
                               component_of(target), "id", id, "target", target, NULL);

            lustre_add(g, L_QUOTA_INODES, labels, braced(line, " inodes:"));
            lustre_add(g, L_QUOTA_KBYTES, labels, braced(line, " kbytes:"));
        }
    }
}

/* What each may take: qmt/fs-QMT0000/dt-0x0/glb-usr, of a pool of targets ("0x0": of all). */
static void gather_limits_of(struct gathered *g, const char *target, const char *pool)
{
    struct node *n = g->n;
    struct str text, line, name = str_of(pool);
    const char *manager = arena_strdup(&n->arena, str_cut(&name, '-')), *id, *path;
    const char *shown = !name.p || str_eq_c(name, "0x0") ? "" : arena_strdup(&n->arena, name);

    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        path = arena_printf(&n->arena, "%s/glb-%s", pool, accounts[i].name);
        if (!lustre_read(n, &text, "qmt", target, path)) {
            continue;
        }
        while ((id = next_account(n, &text, &line))) {
            struct str labels =
                collect_labels(n, "accounting", accounts[i].shown, "id", id, "manager", manager,
                               "pool", shown, "target", target, NULL);

            lustre_add(g, L_QUOTA_HARD, labels, braced(line, " hard:"));
            lustre_add(g, L_QUOTA_SOFT, labels, braced(line, " soft:"));
            lustre_add(g, L_QUOTA_GRANTED, labels, braced(line, " granted:"));
        }
    }
}

static void gather_limits(struct gathered *g)
{
    struct node_names all, pools;

    lustre_targets(g->n, "qmt", &all);
    for (size_t i = 0; i < all.len; i++) {
        lustre_targets(g->n, arena_printf(&g->n->arena, "qmt/%s", all.p[i]), &pools);
        for (size_t k = 0; k < pools.len; k++) {
            gather_limits_of(g, all.p[i], pools.p[k]);
        }
    }
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
        lustre_targets(g->n, kinds[k], &all);
        for (size_t i = 0; i < all.len; i++) {
            for (size_t f = 0; f < ARRAY_LEN(files); f++) {
                lustre_add(g, files[f].family, target_labels(g->n, all.p[i]),
                           lustre_number(g->n, kinds[k], all.p[i], files[f].file));
            }
            gather_used(g, kinds[k], all.p[i]);
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

    lustre_targets(g->n, "ldlm/namespaces", &all);
    for (size_t i = 0; i < all.len; i++) {
        struct str s = str_of(all.p[i]), prefix = str_cut(&s, '-');
        const char *target;

        if (!str_ends(s, STR("_UUID")) ||
            (!str_eq_c(prefix, "filter") && !str_eq_c(prefix, "mdt"))) {
            continue;
        }
        target = arena_strdup(&g->n->arena, str_first(s, s.len - strlen("_UUID")));
        for (size_t f = 0; f < ARRAY_LEN(files); f++) {
            lustre_add(g, files[f].family, target_labels(g->n, target),
                       lustre_number(g->n, "ldlm/namespaces", all.p[i], files[f].file));
        }
    }
}

void lustre_gather_targets(struct gathered *g)
{
    gather_space(g);
    gather_tables(g);
    gather_limits(g);
    gather_targets(g);
    gather_locks(g);
}
