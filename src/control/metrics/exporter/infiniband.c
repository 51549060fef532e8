/* InfiniBand: /sys/class/infiniband/<device>/ports/<port>/{,hw_}counters. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/vec.h"

#include <math.h>

static const struct {
    const char *file;
    struct column column;
} infiniband[] = {
#define IB(file, name, help, scale)                                                                \
    {                                                                                              \
        file,                                                                                      \
        {                                                                                          \
            "node_infiniband_" name, PAGE_COUNTER, help, scale                                     \
        }                                                                                          \
    }
    IB("counters/excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors_total",
       "Number of times that OverrunErrors consecutive flow control update periods occurred, each "
       "having at least one overrun error.",
       0),
    IB("counters/link_downed", "link_downed_total",
       "Number of times the link failed to recover from an error state and went down", 0),
    IB("counters/link_error_recovery", "link_error_recovery_total",
       "Number of times the link successfully recovered from an error state", 0),
    IB("counters/local_link_integrity_errors", "local_link_integrity_errors_total",
       "Number of times that the count of local physical errors exceeded the threshold specified "
       "by LocalPhyErrors.",
       0),
    IB("counters/multicast_rcv_packets", "multicast_packets_received_total",
       "Number of multicast packets received (including errors)", 0),
    IB("counters/multicast_xmit_packets", "multicast_packets_transmitted_total",
       "Number of multicast packets transmitted (including errors)", 0),
    IB("counters/port_rcv_constraint_errors", "port_constraint_errors_received_total",
       "Number of packets received on the switch physical port that are discarded", 0),
    IB("counters/port_xmit_constraint_errors", "port_constraint_errors_transmitted_total",
       "Number of packets not transmitted from the switch physical port", 0),
    /* in words of four bytes */
    IB("counters/port_rcv_data", "port_data_received_bytes_total",
       "Number of data octets received on all links", 4),
    IB("counters/port_xmit_data", "port_data_transmitted_bytes_total",
       "Number of data octets transmitted on all links", 4),
    IB("counters/port_rcv_discards", "port_discards_received_total",
       "Number of inbound packets discarded by the port because the port is down or congested", 0),
    IB("counters/port_xmit_discards", "port_discards_transmitted_total",
       "Number of outbound packets discarded by the port because the port is down or congested", 0),
    IB("counters/port_rcv_errors", "port_errors_received_total",
       "Number of packets containing an error that were received on this port", 0),
    IB("counters/port_rcv_packets", "port_packets_received_total",
       "Number of packets received on all VLs by this port (including errors)", 0),
    IB("counters/port_xmit_packets", "port_packets_transmitted_total",
       "Number of packets transmitted on all VLs from this port (including errors)", 0),
    IB("counters/port_rcv_remote_physical_errors", "port_receive_remote_physical_errors_total",
       "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port.",
       0),
    IB("counters/port_rcv_switch_relay_errors", "port_receive_switch_relay_errors_total",
       "Number of packets that could not be forwarded by the switch.", 0),
    IB("counters/port_xmit_wait", "port_transmit_wait_total",
       "Number of ticks during which the port had data to transmit but no data was sent during the "
       "entire tick",
       0),
    IB("counters/symbol_error", "symbol_error_total",
       "Number of minor link errors detected on one or more physical lanes.", 0),
    IB("counters/unicast_rcv_packets", "unicast_packets_received_total",
       "Number of unicast packets received (including errors)", 0),
    IB("counters/unicast_xmit_packets", "unicast_packets_transmitted_total",
       "Number of unicast packets transmitted (including errors)", 0),
    IB("counters/VL15_dropped", "vl15_dropped_total",
       "Number of incoming VL15 packets dropped due to resource limitations.", 0),
    /* of adapters before there was counters/ in 64 bits */
    IB("counters_ext/port_multicast_rcv_packets", "legacy_multicast_packets_received_total",
       "Number of multicast packets received", 0),
    IB("counters_ext/port_multicast_xmit_packets", "legacy_multicast_packets_transmitted_total",
       "Number of multicast packets transmitted", 0),
    IB("counters_ext/port_rcv_data_64", "legacy_data_received_bytes_total",
       "Number of data octets received on all links", 4),
    IB("counters_ext/port_xmit_data_64", "legacy_data_transmitted_bytes_total",
       "Number of data octets transmitted on all links", 4),
    IB("counters_ext/port_rcv_packets_64", "legacy_packets_received_total",
       "Number of data packets received on all links", 0),
    IB("counters_ext/port_xmit_packets_64", "legacy_packets_transmitted_total",
       "Number of data packets received on all links", 0),
    IB("counters_ext/port_unicast_rcv_packets", "legacy_unicast_packets_received_total",
       "Number of unicast packets received", 0),
    IB("counters_ext/port_unicast_xmit_packets", "legacy_unicast_packets_transmitted_total",
       "Number of unicast packets transmitted", 0),
    {"state",
     {"node_infiniband_state_id", PAGE_GAUGE,
      "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, "
      "5: act defer)",
      0}},
    {"phys_state",
     {"node_infiniband_physical_state_id", PAGE_GAUGE,
      "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: "
      "disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)",
      0}},
    {"rate",
     {"node_infiniband_rate_bytes_per_second", PAGE_GAUGE, "Maximum signal transfer rate",
      1e9 / 8}}, /* "100 Gb/sec" */
};

/* "4: ACTIVE", "100 Gb/sec (4X EDR)", "123", "N/A (no PMA)" */
static double ib_value(struct node *n, const char *device, const char *port, const char *file)
{
    struct str text = node_line(n, NODE_SYS, "class/infiniband/%s/ports/%s/%s", device, port, file);
    struct str word = text.p ? text_word(&text) : STR_EMPTY;

    if (str_ends(word, STR(":"))) {
        word.len--;
    }
    return text_or(word, NAN);
}

int collect_infiniband(struct node *n, struct page *p, struct err *e)
{
    struct column columns[ARRAY_LEN(infiniband)];
    VEC(struct row) rows = {0};
    struct node_names devices, ports;
    struct err ignored;

    if (node_list(n, NODE_SYS, &devices, e, "class/infiniband") < 0) {
        return -1;
    }
    if (devices.len > 0) {
        page_family(p, "node_infiniband_info", PAGE_GAUGE,
                    "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.");
    }
    for (size_t i = 0; i < devices.len; i++) {
        const char *d = devices.p[i];

        page_add(p, 1, "device", d, "board_id",
                 node_word(n, NODE_SYS, "class/infiniband/%s/board_id", d), "firmware_version",
                 node_word(n, NODE_SYS, "class/infiniband/%s/fw_ver", d), "hca_type",
                 node_word(n, NODE_SYS, "class/infiniband/%s/hca_type", d), NULL);
    }
    for (size_t i = 0; i < devices.len; i++) {
        if (node_list(n, NODE_SYS, &ports, &ignored, "class/infiniband/%s/ports", devices.p[i]) <
            0) {
            continue;
        }
        for (size_t k = 0; k < ports.len && rows.len < LIMIT_NODE_NAMES; k++) {
            double *v = arena_new_array(&n->arena, double, ARRAY_LEN(infiniband));

            for (size_t c = 0; c < ARRAY_LEN(infiniband); c++) {
                v[c] = ib_value(n, devices.p[i], ports.p[k], infiniband[c].file);
            }
            *vec_push(&rows) = (struct row){
                collect_labels(n, "device", devices.p[i], "port", ports.p[k], NULL), v};
        }
    }
    for (size_t c = 0; c < ARRAY_LEN(infiniband); c++) {
        columns[c] = infiniband[c].column;
    }
    collect_columns(p, columns, ARRAY_LEN(columns), rows.p, rows.len);
    vec_done(&rows);
    return 0;
}
