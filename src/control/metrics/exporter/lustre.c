/* Lustre, as client and as server, with the names of lustrefs-exporter. What `lctl get_param`
 * prints stands, from version to version, in one of three trees. Source: Lustre Operations Manual,
 * 12 (job statistics) and 40 (parameters). */
#include "exporter/lustre.h"

#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 320 };

#define AS_COLUMN(id, name, type, help) {name, PAGE_##type, help, 0},
static const struct column families[] = {FAMILIES(AS_COLUMN)};

void lustre_add(struct gathered *g, enum family f, struct str labels, double v)
{
    if (g->len < LIMIT_LUSTRE_SAMPLES && !isnan(v)) {
        *vec_push(&g->of[f].v) = (struct sample){labels, v};
        g->len++;
    }
}

static void show(struct page *p, const struct gathered *g)
{
    for (int f = 0; f < N_FAMILIES; f++) {
        if (g->of[f].v.len > 0) {
            page_family(p, families[f].name, families[f].type, families[f].help);
        }
        for (size_t i = 0; i < g->of[f].v.len; i++) {
            page_put(p, g->of[f].v.p[i].labels, g->of[f].v.p[i].v);
        }
    }
}

/* --- where things stand --- */

static const struct {
    enum node_tree tree;
    const char *top;
} trees[] = {{NODE_SYS, "kernel/debug"}, {NODE_SYS, "fs"}, {NODE_PROC, "fs"}, {NODE_PROC, "sys"}};

/* "lustre/llite/x/stats" or "lnet/stats", of the first tree that has it. */
static bool read_text(struct node *n, struct str *out, const char *path)
{
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_read(n, trees[i].tree, out, &e, "%s/%s", trees[i].top, path) == 0) {
            return true;
        }
    }
    return false;
}

bool lustre_read(struct node *n, struct str *out, const char *kind, const char *target,
                 const char *file)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "lustre/%s/%s/%s", kind, target, file);
    return read_text(n, out, path);
}

double lustre_number(struct node *n, const char *kind, const char *target, const char *file)
{
    struct str text;

    return lustre_read(n, &text, kind, target, file) ? text_or(text_word(&text), NAN) : NAN;
}

void lustre_targets(struct node *n, const char *kind, struct node_names *out)
{
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_dirs(n, trees[i].tree, out, &e, "%s/lustre/%s", trees[i].top, kind) == 0 &&
            out->len > 0) {
            return;
        }
    }
    *out = (struct node_names){0};
}

static bool is_there(struct node *n, struct err *e)
{
    struct node_names names;

    for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
        if (node_list(n, trees[i].tree, &names, e, "%s/lustre", trees[i].top) == 0) {
            return true;
        }
    }
    return false;
}

/* --- lines of operations --- */

/* Before 2.14.52 some names were words: "read-ahead to EOF". They become what they are since. */
static const char *operation(struct node *n, struct str name)
{
    char *s;

    if (str_eq_c(name, "read-ahead to EOF")) {
        return "readahead_to_eof";
    }
    if (str_eq_c(name, "hit max r-a issue")) {
        return "hit_max_readahead_issue";
    }
    s = arena_strdup(&n->arena, name);
    for (char *c = s; *c; c++) {
        *c = *c == ' ' ? '_' : *c;
    }
    return s;
}

bool lustre_next_stat(struct node *n, struct str *text, struct stat_line *out)
{
    while (text->len > 0) {
        struct str line = text_line(text), name, unit;
        ptrdiff_t at = str_find(line, STR(" samples "));

        if (at < 0) {
            continue; /* snapshot_time and its like */
        }
        name = str_trim(str_first(line, (size_t)at));
        for (at = (ptrdiff_t)name.len; at > 0 && name.p[at - 1] != ' '; at--) {
        }
        if (!text_number(str_from(name, (size_t)at), &out->samples) ||
            str_trim(str_first(name, (size_t)at)).len == 0) {
            continue;
        }
        line = str_from(line, (size_t)str_find(line, STR(" samples ")) + strlen(" samples "));
        unit = text_word(&line);
        if (unit.len > 2 && unit.p[0] == '[') {
            unit = str_n(unit.p + 1, unit.len - 2);
        }
        out->name = operation(n, str_trim(str_first(name, (size_t)at)));
        out->unit = arena_strdup(&n->arena, unit);
        out->min = text_or(text_word(&line), NAN);
        out->max = text_or(text_word(&line), NAN);
        out->sum = text_or(text_word(&line), NAN);
        return true;
    }
    return false;
}

void lustre_add_io(struct gathered *g, enum family first, struct str labels,
                   const struct stat_line *s)
{
    lustre_add(g, first, labels, s->samples);
    lustre_add(g, first + 1, labels, s->min);
    lustre_add(g, first + 2, labels, s->max);
    lustre_add(g, first + 3, labels, s->sum);
}

/* --- this machine, and its network --- */

static void gather_host(struct gathered *g)
{
    static const struct {
        const char *path;
        enum family family;
    } rows[] = {{"lustre/memused", L_MEM_USED},
                {"lustre/memused_max", L_MEM_USED_MAX},
                {"lnet/lnet_memused", L_LNET_MEM}};
    struct node *n = g->n;
    struct str text, word, last = STR_EMPTY;

    if (read_text(n, &text, "lustre/version")) { /* "lustre: 2.12.8", or the number alone */
        text = text_line(&text);
        while ((word = text_word(&text)).len > 0) {
            last = word;
        }
        lustre_add(g, L_VERSION, collect_labels(n, "version", arena_strdup(&n->arena, last), NULL),
                   1);
    }
    if (read_text(n, &text, "lustre/health_check")) {
        bool healthy = str_find(text, STR("unhealthy")) < 0 && str_starts(text, STR("healthy"));

        lustre_add(g, L_HEALTHY, STR_EMPTY, healthy);
        while (text.len > 0) { /* "device fs-OST0000 reported unhealthy" */
            struct str line = text_line(&text);

            if (str_eq_c(text_word(&line), "device")) {
                const char *target = arena_strdup(&n->arena, text_word(&line));

                lustre_add(g, L_HEALTHY, collect_labels(n, "target", target, NULL), 0);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_text(n, &text, rows[i].path)) {
            lustre_add(g, rows[i].family, STR_EMPTY, text_or(text_word(&text), NAN));
        }
    }
}

static void gather_lnet(struct gathered *g)
{
    /* alloc max errors | send receive route drop: messages, then bytes */
    static const int places[] = {
        -1,          -1,           -1,           L_SEND_COUNT,    L_RECEIVE_COUNT,
        -1,          L_DROP_COUNT, L_SEND_BYTES, L_RECEIVE_BYTES, -1,
        L_DROP_BYTES};
    struct str text;

    if (!read_text(g->n, &text, "lnet/stats")) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        double v = text_or(text_word(&text), NAN);

        if (places[i] >= 0) {
            lustre_add(g, (enum family)places[i], STR_EMPTY, v);
        }
    }
}

/* --- services: lines of operations --- */

static void gather_services(struct gathered *g)
{
    static const struct {
        const char *path;
        enum family family;
        bool units;
    } rows[] = {{"lustre/mds/MDS/mdt/stats", L_MDS, true},
                {"lustre/ost/OSS/ost/stats", L_OSS, true},
                {"lustre/ost/OSS/ost_io/stats", L_OSS_IO, true},
                {"lustre/ost/OSS/ost_create/stats", L_OSS_CREATE, true},
                {"lustre/ldlm/services/ldlm_canceld/stats", L_CANCELD, false},
                {"lustre/ldlm/services/ldlm_cbd/stats", L_CBD, false}};
    struct node *n = g->n;
    struct stat_line s;
    struct str text;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!read_text(n, &text, rows[i].path)) {
            continue;
        }
        while (lustre_next_stat(n, &text, &s)) {
            lustre_add(g, rows[i].family,
                       rows[i].units ? collect_labels(n, "operation", s.name, "units", s.unit, NULL)
                                     : collect_labels(n, "operation", s.name, NULL),
                       s.samples);
        }
    }
}

/* --- a client --- */

/* "my-fs-OST0000-osc-ffff" -> "my-fs": a name of a file system has eight characters at most. */
static const char *fs_of(struct node *n, const char *target)
{
    struct str s = str_of(target);

    for (size_t i = s.len < 8 ? s.len : 8; i > 0; i--) {
        if (i < s.len && (s.p[i] == '-' || s.p[i] == ':')) {
            return arena_strdup(&n->arena, str_first(s, i));
        }
    }
    return target;
}

static void add_operation(struct gathered *g, const char *kind, enum family family,
                          const char *target, const struct stat_line *s)
{
    bool llite = strcmp(kind, "llite") == 0, osc = strcmp(kind, "osc") == 0;
    bool reads = strcmp(s->name, "read_bytes") == 0;
    struct node *n = g->n;
    const char *fs = fs_of(n, target);
    struct str labels = collect_labels(n, "fs", fs, "operation", s->name, "target", target, NULL);
    struct str whole = collect_labels(n, "fs", fs, "target", target, NULL);

    lustre_add(g, family,
               llite ? collect_labels(n, "operation", s->name, "target", target, NULL) : labels,
               s->samples);
    if ((family == L_CLIENT || osc) && (reads || strcmp(s->name, "write_bytes") == 0)) {
        lustre_add(g,
                   osc     ? (reads ? L_OSC_READ : L_OSC_WRITE)
                   : reads ? L_LLITE_READ
                           : L_LLITE_WRITE,
                   whole, s->sum);
    }
    if ((family == L_OSC || family == L_MDC) && str_starts(str_of(s->unit), STR("usec"))) {
        enum family first = osc ? L_OSC_TIME_MIN : L_MDC_TIME_MIN;

        lustre_add(g, first, labels, s->min);
        lustre_add(g, first + 1, labels, s->max);
        lustre_add(g, first + 2, labels, s->sum);
    }
}

static void gather_operations(struct gathered *g, const char *kind, const char *file,
                              enum family family)
{
    struct node *n = g->n;
    struct node_names all;
    struct stat_line s;
    struct str text;

    lustre_targets(n, kind, &all);
    for (size_t i = 0; i < all.len; i++) {
        const char *t = all.p[i];

        if (lustre_read(n, &text, kind, t, file)) {
            while (lustre_next_stat(n, &text, &s)) {
                add_operation(g, kind, family, t, &s);
            }
        }
        if (family == L_OSC) {
            struct str labels = collect_labels(n, "fs", fs_of(n, t), "target", t, NULL);

            lustre_add(g, L_OSC_GRANT, labels, lustre_number(n, kind, t, "cur_grant_bytes"));
            lustre_add(g, L_OSC_DIRTY, labels, lustre_number(n, kind, t, "cur_dirty_bytes"));
        }
    }
}

int collect_lustre(struct node *n, struct page *p, struct err *e)
{
    struct gathered g = {.n = n};

    if (!is_there(n, e)) {
        return -1;
    }
    gather_host(&g);
    gather_lnet(&g);
    gather_services(&g);
    gather_operations(&g, "llite", "stats", L_CLIENT);
    gather_operations(&g, "llite", "read_ahead_stats", L_READ_AHEAD);
    gather_operations(&g, "osc", "stats", L_OSC);
    gather_operations(&g, "mdc", "stats", L_MDC);
    gather_operations(&g, "mdc", "md_stats", L_MDC_MD);
    lustre_gather_targets(&g);
    show(p, &g);
    for (int f = 0; f < N_FAMILIES; f++) {
        vec_done(&g.of[f].v);
    }
    return 0;
}
