/* Memory: what is used for what, paging, nodes, memory errors. */
#include "exporter/collect.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 160 };

/* "Active(anon)" -> "Active_anon" */
static void name_of(struct str key, char out[64])
{
    size_t n = 0;

    for (size_t i = 0; i < key.len && n < 63; i++) {
        char c = key.p[i];

        if (c == ')') {
            continue;
        }
        out[n++] = c == '(' ? '_' : c;
    }
    out[n] = '\0';
}

int collect_meminfo(struct node *n, struct page *p, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "meminfo") < 0) {
        return -1;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = str_cut(&line, ':');
        char field[64], name[NAME_BYTES], help[NAME_BYTES];
        bool kilo;
        double v;

        if (!line.p || !text_number(text_word(&line), &v)) {
            continue;
        }
        kilo = str_eq_c(text_word(&line), "kB");
        name_of(key, field);
        (void)snprintf(name, sizeof(name), "node_memory_%s%s", field, kilo ? "_bytes" : "");
        (void)snprintf(help, sizeof(help), "Memory information field %s%s.", field,
                       kilo ? "_bytes" : "");
        page_one(p, name, PAGE_GAUGE, help, kilo ? v * 1024 : v);
    }
    return 0;
}

int collect_vmstat(struct node *n, struct page *p, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "vmstat") < 0) {
        return -1;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line);
        char name[NAME_BYTES], help[NAME_BYTES];

        if (key.len > 0 && node_takes(n, 'v', n->vmstat, key)) {
            (void)snprintf(name, sizeof(name), "node_vmstat_%.*s", STR_ARG(key));
            (void)snprintf(help, sizeof(help), "/proc/vmstat information field %.*s.",
                           STR_ARG(key));
            page_one(p, name, PAGE_UNTYPED, help, text_or(text_word(&line), 0));
        }
    }
    return 0;
}

/* --- nodes: the fields of all are the same, and a family is written at once --- */

struct numa_field {
    char name[64];
    enum page_type type;
    double v[64];
    bool has[64];
};

enum { NUMA_NODES = 64, NUMA_FIELDS = 128 };

static void numa_put(struct numa_field *fields, size_t *len, const char *name, enum page_type type,
                     int node, double v)
{
    size_t i = 0;

    while (i < *len && strcmp(fields[i].name, name) != 0) {
        i++;
    }
    if (i == NUMA_FIELDS) {
        return;
    }
    if (i == *len) {
        (void)snprintf(fields[i].name, sizeof(fields[i].name), "%s", name);
        fields[i].type = type;
        ++*len;
    }
    fields[i].v[node] = v;
    fields[i].has[node] = true;
}

/* "Node 0 MemTotal:  24 kB" */
static void numa_meminfo(struct node *n, int node, struct numa_field *fields, size_t *len)
{
    struct str text;
    struct err e;

    if (node_read(n, NODE_SYS, &text, &e, "devices/system/node/node%d/meminfo", node) < 0) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key;
        char field[64];
        double v;

        (void)text_word(&line);
        (void)text_word(&line);
        key = text_word(&line);
        key.len -= key.len > 0;
        name_of(key, field);
        if (text_number(text_word(&line), &v)) {
            numa_put(fields, len, field, PAGE_GAUGE, node,
                     str_eq_c(text_word(&line), "kB") ? v * 1024 : v);
        }
    }
}

static void numa_stat(struct node *n, int node, struct numa_field *fields, size_t *len)
{
    struct str text;
    struct err e;

    if (node_read(n, NODE_SYS, &text, &e, "devices/system/node/node%d/numastat", node) < 0) {
        return;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line);
        char field[64];

        (void)snprintf(field, sizeof(field), "%.*s_total", STR_ARG(str_first(key, 50)));
        if (key.len > 0) {
            numa_put(fields, len, field, PAGE_COUNTER, node, text_or(text_word(&line), 0));
        }
    }
}

int collect_numa(struct node *n, struct page *p, struct err *e)
{
    struct numa_field *fields = arena_new_array(&n->arena, struct numa_field, NUMA_FIELDS);
    struct node_names dirs;
    size_t len = 0;

    if (node_list(n, NODE_SYS, &dirs, e, "devices/system/node") < 0) {
        return -1;
    }
    for (size_t i = 0; i < dirs.len; i++) {
        uint64_t id;

        if (str_starts(str_of(dirs.p[i]), STR("node")) &&
            str_to_u64(str_of(dirs.p[i] + 4), &id) == 0 && id < NUMA_NODES) {
            numa_meminfo(n, (int)id, fields, &len);
            numa_stat(n, (int)id, fields, &len);
        }
    }
    for (size_t i = 0; i < len; i++) {
        char name[NAME_BYTES], help[NAME_BYTES], node[16];

        (void)snprintf(name, sizeof(name), "node_memory_numa_%s", fields[i].name);
        (void)snprintf(help, sizeof(help), "Memory information field %s.", fields[i].name);
        page_family(p, name, fields[i].type, help);
        for (int k = 0; k < NUMA_NODES; k++) {
            if (fields[i].has[k]) {
                (void)snprintf(node, sizeof(node), "%d", k);
                page_add(p, fields[i].v[k], "node", node, NULL);
            }
        }
    }
    return 0;
}

/* --- memory errors --- */

static void edac_put(struct node *n, struct page *p, const struct node_names *dirs,
                     const char *kind, const char *word)
{
    char name[NAME_BYTES], help[NAME_BYTES];

    (void)snprintf(name, sizeof(name), "node_edac_%s_errors_total", word);
    (void)snprintf(help, sizeof(help), "Total %s memory errors.", word);
    page_family(p, name, PAGE_COUNTER, help);
    for (size_t i = 0; i < dirs->len; i++) {
        double v;

        if (node_number(n, NODE_SYS, &v, "devices/system/edac/mc/%s/%s_count", dirs->p[i], kind)) {
            page_add(p, v, "controller", dirs->p[i] + 2, NULL);
        }
    }
}

static void edac_rows(struct node *n, struct page *p, const struct node_names *dirs,
                      const char *kind, const char *word)
{
    char name[NAME_BYTES], help[NAME_BYTES];

    (void)snprintf(name, sizeof(name), "node_edac_csrow_%s_errors_total", word);
    (void)snprintf(help, sizeof(help), "Total %s memory errors for this csrow.", word);
    page_family(p, name, PAGE_COUNTER, help);
    for (size_t i = 0; i < dirs->len; i++) {
        struct node_names rows;
        struct err ignored;
        double v;

        if (node_number(n, NODE_SYS, &v, "devices/system/edac/mc/%s/%s_noinfo_count", dirs->p[i],
                        kind)) {
            page_add(p, v, "controller", dirs->p[i] + 2, "csrow", "unknown", NULL);
        }
        if (node_list(n, NODE_SYS, &rows, &ignored, "devices/system/edac/mc/%s", dirs->p[i]) < 0) {
            continue;
        }
        for (size_t k = 0; k < rows.len; k++) {
            if (str_starts(str_of(rows.p[k]), STR("csrow")) &&
                node_number(n, NODE_SYS, &v, "devices/system/edac/mc/%s/%s/%s_count", dirs->p[i],
                            rows.p[k], kind)) {
                page_add(p, v, "controller", dirs->p[i] + 2, "csrow", rows.p[k] + 5, NULL);
            }
        }
    }
}

int collect_edac(struct node *n, struct page *p, struct err *e)
{
    struct node_names dirs;
    size_t len = 0;

    if (node_list(n, NODE_SYS, &dirs, e, "devices/system/edac/mc") < 0) {
        return -1;
    }
    for (size_t i = 0; i < dirs.len; i++) {
        uint64_t id;

        if (str_starts(str_of(dirs.p[i]), STR("mc")) &&
            str_to_u64(str_of(dirs.p[i] + 2), &id) == 0) {
            dirs.p[len++] = dirs.p[i];
        }
    }
    dirs.len = len;
    if (len > 0) {
        edac_put(n, p, &dirs, "ce", "correctable");
        edac_put(n, p, &dirs, "ue", "uncorrectable");
        edac_rows(n, p, &dirs, "ce", "correctable");
        edac_rows(n, p, &dirs, "ue", "uncorrectable");
    }
    return 0;
}
