#include "volume/range.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    unsigned char digest[SHA256_BYTES];
    struct volume_range r;
    struct err e;

    if (volume_range_parse(s, &r, &e) == 0 &&
        (r.from < 0 || r.length < 0 || r.total < 0 || r.from > r.total ||
         r.length > r.total - r.from || (r.length == 0 && r.from != r.total))) {
        abort();
    }
    (void)!volume_digest_parse("Content-Digest", s, digest, &e);
    return 0;
}
