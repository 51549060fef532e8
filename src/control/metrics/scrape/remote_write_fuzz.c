/* remote_write: whatever comes is taken or refused; what is packed comes back. */
#include "scrape/proto.h"
#include "scrape/snappy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct str rest, unsigned depth)
{
    struct proto_field f;

    while (proto_next(&rest, &f) > 0) {
        if (f.wire == PROTO_BYTES && depth < 4) {
            walk(f.bytes, depth + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);
    struct buf whole = BUF_MAX(1 << 20), packed = BUF_MAX(1 << 22), back = BUF_MAX(1 << 22);
    struct err e;

    if (snappy_unpack(in, &whole, &e) == 0) {
        walk(buf_str(&whole), 0);
    }
    walk(in, 0);
    snappy_pack(in, &packed);
    if (snappy_unpack(buf_str(&packed), &back, &e) < 0 || !str_eq(buf_str(&back), in)) {
        abort();
    }
    buf_done(&whole);
    buf_done(&packed);
    buf_done(&back);
    return 0;
}
