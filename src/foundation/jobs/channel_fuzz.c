/* A message of a shell's client. */
#include "jobs/channel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct channel_message m = {0}, old = {0};
    struct err e = {0};

    if (channel_parse(s, CHANNEL_V5, &m, &e) < 0) {
        if (e.kind == ERR_NONE || channel_parse(s, CHANNEL_V4, &old, &e) == 0) {
            abort(); /* v4 takes nothing that v5 does not */
        }
        return 0;
    }
    if (m.channel != (unsigned char)data[0] ||
        (m.channel == CHANNEL_IN && m.bytes.len != size - 1)) {
        abort();
    }
    return 0;
}
