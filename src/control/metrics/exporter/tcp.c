/* How many TCP connections are in which state. Off unless asked for: the kernel writes a line for
 * each of them. */
#include "exporter/collect.h"

#include "base/limits.h"

/* As the kernel numbers them from 1: include/net/tcp_states.h. */
static const char *const states[] = {"established", "syn_sent",  "syn_recv", "fin_wait1",
                                     "fin_wait2",   "time_wait", "close",    "close_wait",
                                     "last_ack",    "listen",    "closing"};
enum { STATES = ARRAY_LEN(states) };

struct counts {
    double state[STATES], received, sent; /* bytes that wait to be read, and to be acknowledged */
};

/* "0: 0100007F:8B73 00000000:0000 0A 00000000:00000000 ..." */
static void count(struct str text, struct counts *all)
{
    (void)text_line(&text);
    while (text.len > 0) {
        struct str line = text_line(&text), state, sent;
        uint64_t number, bytes;

        for (int i = 0; i < 3; i++) {
            (void)text_word(&line);
        }
        state = text_word(&line);
        line = text_word(&line);
        sent = str_cut(&line, ':');
        if (!text_hex(state, &number) || number < 1 || number > STATES) {
            continue;
        }
        all->state[number - 1]++;
        all->sent += text_hex(sent, &bytes) ? (double)bytes : 0;
        all->received += line.p && text_hex(line, &bytes) ? (double)bytes : 0;
    }
}

int collect_tcpstat(struct node *n, struct page *p, struct err *e)
{
    struct counts all = {0};
    struct str text;
    struct err none;

    if (node_read(n, NODE_PROC, &text, e, "net/tcp") < 0) {
        return -1;
    }
    count(text, &all);
    if (node_read(n, NODE_PROC, &text, &none, "net/tcp6") == 0) {
        count(text, &all);
    } else if (none.kind != ERR_NOT_FOUND) {
        *e = none;
        return -1;
    }
    page_family(p, "node_tcp_connection_states", PAGE_GAUGE, "Number of connection states.");
    for (size_t i = 0; i < STATES; i++) {
        page_add(p, all.state[i], "state", states[i], NULL);
    }
    page_add(p, all.received, "state", "rx_queued_bytes", NULL);
    page_add(p, all.sent, "state", "tx_queued_bytes", NULL);
    return 0;
}
