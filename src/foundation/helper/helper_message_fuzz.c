/* A packet as it comes from the socket: head, fields, an error. */
#include "helper/helper_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f = {.fd = -1};
    struct err e = {0};
    struct wire_reader r;
    unsigned char head[HELPER_HEAD_BYTES];
    char name[16];

    if (frame_parse(str_n((const char *)data, size), &f, &e) < 0) {
        return 0;
    }
    frame_put_head(&f, head);
    if (memcmp(head, data, sizeof(head)) != 0) {
        abort(); /* what was read is what would be written */
    }
    if (f.kind == FRAME_ERROR) {
        frame_get_err(f.code, f.payload, &e);
        return 0;
    }
    r = (struct wire_reader){f.payload, false};
    while (!r.failed && r.rest.len > 0) {
        uint64_t v = wire_get_u64(&r);

        wire_get_name(&r, name, sizeof(name));
        if (v & 1) {
            (void)helper_id_ok(wire_get_str(&r));
        }
    }
    if (wire_end(&r, &e) == 0 && r.rest.len > 0) {
        abort();
    }
    frame_done(&f);
    return 0;
}
