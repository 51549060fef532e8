/* What an agent and the server take from each other: no packet may lead to a path that could leave.
 */
#include "volume/agent_wire.h"
#include "volume/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct str path)
{
    struct str rest = path;

    while (path.len > 0 && rest.p != NULL) {
        struct str part = str_cut(&rest, '/');

        if (part.len == 0 || str_eq_c(part, ".") || str_eq_c(part, "..")) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str packet = str_n((const char *)data, size);
    struct volume_request q, again;
    struct volume_reply reply;
    struct volume_row row;
    struct err e;

    if (volume_request_get(packet, &q, &e) == 0) {
        struct buf b = BUF_MAX(VOLUME_PACKET_MAX);

        check_path(q.path);
        volume_request_put(&b, &q);
        if (!b.failed && volume_request_get(buf_str(&b), &again, &e) < 0) {
            abort();
        }
        buf_done(&b);
    }
    if (volume_reply_get(packet, &reply, &e) == 0) {
        while (volume_row_next(&reply.rows, &row, &e) > 0) {
            if (str_find_char(row.name, '/') >= 0) {
                abort();
            }
        }
    }
    return 0;
}
