/* Any bytes as the file of a time zone: refused, or offsets that clocks can have. */
#include "base/zone.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone z;
    struct cron c;
    struct err e;

    if (zone_parse(str_n((const char *)data, size), &z, &e) == 0) {
        int64_t offset = zone_offset_ms(&z, 1800000000000);

        if (offset < -93600000 || offset > 93600000 || cron_parse(STR("@daily"), &c, &e) < 0 ||
            (zone_cron_next(&z, &c, 1800000000000) >= 0 &&
             zone_cron_next(&z, &c, 1800000000000) <= 1800000000000)) {
            abort();
        }
    }
    return 0;
}
