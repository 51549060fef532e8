/* Network: interfaces and their counters, protocols, sockets, connection tracking. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"
#include "labels/labels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 160 };

static bool shows(struct node *n, const char *device)
{
    return !node_takes(n, 'i', n->interfaces, str_of(device));
}

/* --- /proc/net/dev --- */

static const struct column netdev_columns[] = {
#define RECEIVE(x)                                                                                 \
    {                                                                                              \
        "node_network_receive_" x "_total", PAGE_COUNTER,                                          \
            "Network device statistic receive_" x ".", 0                                           \
    }
#define TRANSMIT(x)                                                                                \
    {                                                                                              \
        "node_network_transmit_" x "_total", PAGE_COUNTER,                                         \
            "Network device statistic transmit_" x ".", 0                                          \
    }
    RECEIVE("bytes"),     RECEIVE("packets"),  RECEIVE("errs"),       RECEIVE("drop"),
    RECEIVE("fifo"),      RECEIVE("frame"),    RECEIVE("compressed"), RECEIVE("multicast"),
    TRANSMIT("bytes"),    TRANSMIT("packets"), TRANSMIT("errs"),      TRANSMIT("drop"),
    TRANSMIT("fifo"),     TRANSMIT("colls"),   TRANSMIT("carrier"),   TRANSMIT("compressed"),
    RECEIVE("nohandler"),
};
enum { NETDEV_COLUMNS = ARRAY_LEN(netdev_columns), NETDEV_NOHANDLER = NETDEV_COLUMNS - 1 };

int collect_netdev(struct node *n, struct page *p, struct err *e)
{
    VEC(struct row) rows = {0};
    VEC(char *) devices = {0};
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "net/dev") < 0) {
        return -1;
    }
    while (text.len > 0) {
        struct str line = text_line(&text), name = str_trim(str_cut(&line, ':'));
        double *v;

        if (!line.p || rows.len >= LIMIT_NODE_NAMES) {
            continue; /* the two lines of the head */
        }
        char *device = arena_strdup(&n->arena, name);
        if (!shows(n, device)) {
            continue;
        }
        v = arena_new_array(&n->arena, double, NETDEV_COLUMNS);
        for (int i = 0; i < NETDEV_NOHANDLER; i++) {
            v[i] = text_or(text_word(&line), NAN);
        }
        *vec_push(&devices) = device;
        *vec_push(&rows) = (struct row){collect_labels(n, "device", device, NULL), v};
    }
    for (size_t i = 0; i < rows.len; i++) {
        double *v = (double *)(uintptr_t)rows.p[i].v;

        if (!node_number(n, NODE_SYS, &v[NETDEV_NOHANDLER], "class/net/%s/statistics/rx_nohandler",
                         devices.p[i])) {
            v[NETDEV_NOHANDLER] = NAN;
        }
    }
    collect_columns(p, netdev_columns, NETDEV_COLUMNS, rows.p, rows.len);
    vec_done(&rows);
    vec_done(&devices);
    return 0;
}

/* --- /sys/class/net --- */

static const struct {
    const char *file;
    struct column column;
} netclass[] = {
#define PROPERTY(file, name, type, scale)                                                          \
    {                                                                                              \
        file,                                                                                      \
        {                                                                                          \
            "node_network_" name, type, "Network device property: " name, scale                    \
        }                                                                                          \
    }
    PROPERTY("addr_assign_type", "address_assign_type", PAGE_GAUGE, 0),
    PROPERTY("carrier", "carrier", PAGE_GAUGE, 0),
    PROPERTY("carrier_changes", "carrier_changes_total", PAGE_COUNTER, 0),
    PROPERTY("carrier_up_count", "carrier_up_changes_total", PAGE_COUNTER, 0),
    PROPERTY("carrier_down_count", "carrier_down_changes_total", PAGE_COUNTER, 0),
    PROPERTY("dev_id", "device_id", PAGE_GAUGE, 0),
    PROPERTY("dormant", "dormant", PAGE_GAUGE, 0),
    PROPERTY("flags", "flags", PAGE_GAUGE, 0),
    PROPERTY("ifindex", "iface_id", PAGE_GAUGE, 0),
    PROPERTY("iflink", "iface_link", PAGE_GAUGE, 0),
    PROPERTY("link_mode", "iface_link_mode", PAGE_GAUGE, 0),
    PROPERTY("mtu", "mtu_bytes", PAGE_GAUGE, 0),
    PROPERTY("name_assign_type", "name_assign_type", PAGE_GAUGE, 0),
    PROPERTY("netdev_group", "net_dev_group", PAGE_GAUGE, 0),
    PROPERTY("speed", "speed_bytes", PAGE_GAUGE, 1e6 / 8), /* megabits */
    PROPERTY("tx_queue_len", "transmit_queue_length", PAGE_GAUGE, 0),
    PROPERTY("type", "protocol_type", PAGE_GAUGE, 0),
};

static double property(struct node *n, const char *device, const char *file)
{
    struct str text = node_line(n, NODE_SYS, "class/net/%s/%s", device, file);
    uint64_t hex;

    if (text.p && str_starts(text, STR("0x")) && text_hex(text, &hex)) {
        return (double)hex;
    }
    return text.p ? text_or(text, NAN) : NAN;
}

static void netclass_words(struct node *n, struct page *p, const struct node_names *devices)
{
    page_family(p, "node_network_up", PAGE_GAUGE, "Value is 1 if operstate is 'up', 0 otherwise.");
    for (size_t i = 0; i < devices->len; i++) {
        struct str state = node_line(n, NODE_SYS, "class/net/%s/operstate", devices->p[i]);

        if (state.p) {
            page_add(p, str_eq_c(state, "up"), "device", devices->p[i], NULL);
        }
    }
    page_family(p, "node_network_info", PAGE_GAUGE,
                "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
    for (size_t i = 0; i < devices->len; i++) {
        const char *d = devices->p[i];

        page_add(p, 1, "device", d, "address", node_word(n, NODE_SYS, "class/net/%s/address", d),
                 "broadcast", node_word(n, NODE_SYS, "class/net/%s/broadcast", d), "duplex",
                 node_word(n, NODE_SYS, "class/net/%s/duplex", d), "operstate",
                 node_word(n, NODE_SYS, "class/net/%s/operstate", d), "ifalias",
                 node_word(n, NODE_SYS, "class/net/%s/ifalias", d), NULL);
    }
}

int collect_netclass(struct node *n, struct page *p, struct err *e)
{
    struct column columns[ARRAY_LEN(netclass)];
    struct node_names all, devices;
    struct row *rows;

    if (node_list(n, NODE_SYS, &all, e, "class/net") < 0) {
        return -1;
    }
    devices = (struct node_names){all.p, 0};
    rows = arena_new_array(&n->arena, struct row, all.len);
    for (size_t i = 0; i < all.len; i++) {
        double *v;

        /* bonding_masters is a file */
        if (strcmp(all.p[i], "bonding_masters") == 0 || !shows(n, all.p[i])) {
            continue;
        }
        v = arena_new_array(&n->arena, double, ARRAY_LEN(netclass));
        for (size_t k = 0; k < ARRAY_LEN(netclass); k++) {
            v[k] = property(n, all.p[i], netclass[k].file);
        }
        rows[devices.len] = (struct row){collect_labels(n, "device", all.p[i], NULL), v};
        devices.p[devices.len++] = all.p[i];
    }
    for (size_t k = 0; k < ARRAY_LEN(netclass); k++) {
        columns[k] = netclass[k].column;
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows, devices.len);
    netclass_words(n, p, &devices);
    return 0;
}

/* --- protocols --- */

static void netstat_put(struct node *n, struct page *p, struct str protocol, struct str field,
                        struct str value)
{
    char name[NAME_BYTES], help[NAME_BYTES], key[NAME_BYTES];
    double v;

    (void)snprintf(key, sizeof(key), "%.*s_%.*s", STR_ARG(str_first(protocol, 32)),
                   STR_ARG(str_first(field, 64)));
    if (node_takes(n, 'n', n->netstat, str_of(key)) && text_number(value, &v)) {
        (void)snprintf(name, sizeof(name), "node_netstat_%s", key);
        (void)snprintf(help, sizeof(help), "Statistic %.*s%.*s.", STR_ARG(str_first(protocol, 32)),
                       STR_ARG(str_first(field, 64)));
        page_one(p, name, PAGE_UNTYPED, help, v);
    }
}

/* Pairs of lines: "TcpExt: SyncookiesSent ..." and "TcpExt: 0 ..." */
static int netstat_pairs(struct node *n, struct page *p, const char *file, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "net/%s", file) < 0) {
        return -1;
    }
    while (text.len > 0) {
        struct str names = text_line(&text), values = text_line(&text);
        struct str protocol = text_word(&names), field;

        (void)text_word(&values);
        protocol.len -= protocol.len > 0;
        while ((field = text_word(&names)).len > 0) {
            netstat_put(n, p, protocol, field, text_word(&values));
        }
    }
    return 0;
}

int collect_netstat(struct node *n, struct page *p, struct err *e)
{
    struct str text;
    struct err ignored;

    if (netstat_pairs(n, p, "netstat", e) < 0 || netstat_pairs(n, p, "snmp", e) < 0) {
        return -1;
    }
    if (node_read(n, NODE_PROC, &text, &ignored, "net/snmp6") < 0) {
        return 0; /* a machine without IPv6 */
    }
    while (text.len > 0) {
        struct str line = text_line(&text), key = text_word(&line);
        ptrdiff_t six = str_find_char(key, '6');

        if (six >= 0) {
            netstat_put(n, p, str_first(key, (size_t)six + 1), str_from(key, (size_t)six + 1),
                        text_word(&line));
        }
    }
    return 0;
}

/* "TCP: inuse 4 orphan 0 tw 2 alloc 5 mem 1" */
static void sockstat_line(struct page *p, struct str line)
{
    struct str protocol = text_word(&line), field;

    protocol.len -= protocol.len > 0;
    while ((field = text_word(&line)).len > 0) {
        double v = text_or(text_word(&line), 0);
        char name[NAME_BYTES], help[NAME_BYTES];
        struct str what = str_first(protocol, 32), how = str_first(field, 32);

        (void)snprintf(name, sizeof(name), "node_sockstat_%.*s_%.*s", STR_ARG(what), STR_ARG(how));
        (void)snprintf(help, sizeof(help), "Number of %.*s sockets in state %.*s.", STR_ARG(what),
                       STR_ARG(how));
        page_one(p, name, PAGE_GAUGE, help, v);
        if (str_eq_c(field, "mem")) {
            (void)snprintf(name, sizeof(name), "node_sockstat_%.*s_mem_bytes", STR_ARG(what));
            (void)snprintf(help, sizeof(help), "Number of %.*s sockets in state mem_bytes.",
                           STR_ARG(what));
            page_one(p, name, PAGE_GAUGE, help, v * (double)sysconf(_SC_PAGESIZE));
        }
    }
}

int collect_sockstat(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[] = {"net/sockstat", "net/sockstat6"};
    struct str text;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (node_read(n, NODE_PROC, &text, e, "%s", files[i]) < 0) {
            return i == 0 ? -1 : 0;
        }
        while (text.len > 0) {
            sockstat_line(p, text_line(&text));
        }
    }
    return 0;
}

int collect_arp(struct node *n, struct page *p, struct err *e)
{
    struct {
        char device[32];
        size_t entries;
    } seen[256] = {{{0}, 0}};
    struct str text;
    size_t len = 0;

    if (node_read(n, NODE_PROC, &text, e, "net/arp") < 0) {
        return -1;
    }
    (void)text_line(&text);
    while (text.len > 0) {
        struct str line = text_line(&text), device = STR_EMPTY;
        size_t i = 0;

        for (int k = 0; k < 6; k++) {
            device = text_word(&line);
        }
        while (i < len && !str_eq_c(device, seen[i].device)) {
            i++;
        }
        if (device.len == 0 || i == ARRAY_LEN(seen) ||
            str_copy(device, seen[i].device, sizeof(seen[i].device)) < 0) {
            continue;
        }
        len += i == len;
        seen[i].entries++;
    }
    if (len > 0) {
        page_family(p, "node_arp_entries", PAGE_GAUGE, "ARP entries by device");
    }
    for (size_t i = 0; i < len; i++) {
        page_add(p, (double)seen[i].entries, "device", seen[i].device, NULL);
    }
    return 0;
}

/* A line a processor, in hexadecimal, under a line of names. */
static void conntrack_stat(struct str text, struct page *p)
{
    static const struct {
        const char *field, *help;
    } keys[] = {
        {"found", "Number of searched entries which were successful."},
        {"invalid", "Number of packets seen which can not be tracked."},
        {"ignore", "Number of packets seen which are already connected to a conntrack entry."},
        {"insert", "Number of entries inserted into the list."},
        {"insert_failed", "Number of entries for which list insertion was attempted but failed."},
        {"drop", "Number of packets dropped due to conntrack failure."},
        {"early_drop", "Number of dropped conntrack entries to make room for new ones, if maximum "
                       "table size was reached."},
        {"search_restart",
         "Number of conntrack table lookups which had to be restarted due to hashtable resizes."},
    };
    struct str head = text_line(&text), lines = text, field;
    char name[NAME_BYTES];

    for (int column = 0; (field = text_word(&head)).len > 0; column++) {
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            double sum = 0;

            if (!str_eq_c(field, keys[i].field)) {
                continue;
            }
            for (struct str rest = lines; rest.len > 0;) {
                struct str line = text_line(&rest), word = STR_EMPTY;
                uint64_t v;

                for (int k = 0; k <= column; k++) {
                    word = text_word(&line);
                }
                sum += text_hex(word, &v) ? (double)v : 0;
            }
            (void)snprintf(name, sizeof(name), "node_nf_conntrack_stat_%s", keys[i].field);
            page_one(p, name, PAGE_GAUGE, keys[i].help, sum);
        }
    }
}

int collect_conntrack(struct node *n, struct page *p, struct err *e)
{
    struct str text;
    double v;

    if (!node_number(n, NODE_PROC, &v, "sys/net/netfilter/nf_conntrack_count")) {
        return err_set(e, ERR_NOT_FOUND, "connection tracking is not loaded");
    }
    page_one(p, "node_nf_conntrack_entries", PAGE_GAUGE,
             "Number of currently allocated flow entries for connection tracking.", v);
    if (node_number(n, NODE_PROC, &v, "sys/net/netfilter/nf_conntrack_max")) {
        page_one(p, "node_nf_conntrack_entries_limit", PAGE_GAUGE,
                 "Maximum size of connection tracking table.", v);
    }
    if (node_read(n, NODE_PROC, &text, e, "net/stat/nf_conntrack") < 0) {
        return -1;
    }
    conntrack_stat(text, p);
    return 0;
}

int collect_udp_queues(struct node *n, struct page *p, struct err *e)
{
    static const char *const files[][2] = {{"net/udp", "v4"}, {"net/udp6", "v6"}};

    page_family(p, "node_udp_queues", PAGE_GAUGE,
                "Number of allocated memory in the kernel for UDP datagrams in bytes.");
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        double tx = 0, rx = 0;
        struct str text;

        if (node_read(n, NODE_PROC, &text, e, "%s", files[i][0]) < 0) {
            return i == 0 ? -1 : 0;
        }
        (void)text_line(&text);
        while (text.len > 0) {
            struct str line = text_line(&text), queues = STR_EMPTY;
            uint64_t v;

            for (int k = 0; k < 5; k++) {
                queues = text_word(&line);
            }
            tx += text_hex(str_cut(&queues, ':'), &v) ? (double)v : 0;
            rx += queues.p && text_hex(queues, &v) ? (double)v : 0;
        }
        page_add(p, tx, "queue", "tx", "ip", files[i][1], NULL);
        page_add(p, rx, "queue", "rx", "ip", files[i][1], NULL);
    }
    return 0;
}

int collect_bonding(struct node *n, struct page *p, struct err *e)
{
    struct str masters = node_line(n, NODE_SYS, "class/net/bonding_masters");
    struct {
        const char *name;
        size_t slaves, up;
    } bonds[256];
    size_t len = 0;

    if (!masters.p) {
        return err_set(e, ERR_NOT_FOUND, "there is no bonding");
    }
    for (struct str one; len < ARRAY_LEN(bonds) && (one = text_word(&masters)).len > 0; len++) {
        struct str slaves, slave;

        bonds[len].name = arena_strdup(&n->arena, one);
        bonds[len].slaves = bonds[len].up = 0;
        slaves = node_line(n, NODE_SYS, "class/net/%s/bonding/slaves", bonds[len].name);
        while (slaves.p && (slave = text_word(&slaves)).len > 0) {
            struct str state =
                node_line(n, NODE_SYS, "class/net/%s/lower_%.*s/bonding_slave/mii_status",
                          bonds[len].name, STR_ARG(slave));

            if (!state.p) { /* before Linux 4 it was slave_ */
                state = node_line(n, NODE_SYS, "class/net/%s/slave_%.*s/bonding_slave/mii_status",
                                  bonds[len].name, STR_ARG(slave));
            }
            bonds[len].slaves++;
            bonds[len].up += state.p && str_eq_c(state, "up");
        }
    }
    page_family(p, "node_bonding_slaves", PAGE_GAUGE,
                "Number of configured slaves per bonding interface.");
    for (size_t i = 0; i < len; i++) {
        page_add(p, (double)bonds[i].slaves, "master", bonds[i].name, NULL);
    }
    page_family(p, "node_bonding_active", PAGE_GAUGE,
                "Number of active slaves per bonding interface.");
    for (size_t i = 0; i < len; i++) {
        page_add(p, (double)bonds[i].up, "master", bonds[i].name, NULL);
    }
    return 0;
}

/* Two lines of heads, then one of sums in hexadecimal. */
int collect_ipvs(struct node *n, struct page *p, struct err *e)
{
    static const char *const names[][2] = {
        {"node_ipvs_connections_total", "The total number of connections made."},
        {"node_ipvs_incoming_packets_total", "The total number of incoming packets."},
        {"node_ipvs_outgoing_packets_total", "The total number of outgoing packets."},
        {"node_ipvs_incoming_bytes_total", "The total amount of incoming data."},
        {"node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."},
    };
    struct str text, line;
    uint64_t v;

    if (node_read(n, NODE_PROC, &text, e, "net/ip_vs_stats") < 0) {
        return -1;
    }
    (void)text_line(&text);
    (void)text_line(&text);
    line = text_line(&text);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (text_hex(text_word(&line), &v)) {
            page_one(p, names[i][0], PAGE_COUNTER, names[i][1], (double)v);
        }
    }
    return 0;
}
