#include "names.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t first, last;
    struct err e;

    if (chunk_range_parse(str_n((const char *)data, size), &first, &last, &e) == 0 &&
        (first < 0 || last < first || last == INT64_MAX)) {
        abort();
    }
    return 0;
}
