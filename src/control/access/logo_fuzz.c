/* logo: any bytes give an error or a picture of a kind and size that we take. */
#include "logo.h"

#include "base/limits.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct logo l;
    struct err e;

    if (logo_read(str_n((const char *)data, size), &l, &e) == 0 &&
        (l.type == NULL || l.width - 1 >= LIMIT_LOGO_PIXELS || l.height - 1 >= LIMIT_LOGO_PIXELS)) {
        abort();
    }
    return 0;
}
