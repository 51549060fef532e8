/* cron: any text gives an error or a schedule whose next time lies behind the one asked for. */
#include "base/cron.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_ms = 1800000000000LL;
    struct cron c;
    struct err e;

    if (cron_parse(str_n((const char *)data, size), &c, &e) == 0) {
        int64_t next = cron_next(&c, now_ms);

        if (next != -1 && next <= now_ms) {
            abort();
        }
    }
    return 0;
}
