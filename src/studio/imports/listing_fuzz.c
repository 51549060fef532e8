#include "imports/listing.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(listing_done) struct listing l = LISTING;
    struct err e;

    (void)!listing_read(str_n((const char *)data, size), &l, &e);
    (void)listing_element(str_n((const char *)data, size), "Code");
    return 0;
}
