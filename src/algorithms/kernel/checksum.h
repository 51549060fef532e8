/* checksum - of our files: XXH64 with seed 0 (the published xxHash specification, 0.1.1). Finds
 * damage, not malice; about ten times as fast as a CRC in plain C. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct checksum {
    uint64_t lanes[4];
    unsigned char rest[32]; /* bytes that do not fill a stripe yet */
    uint64_t len;
};

void checksum_init(struct checksum *c);
void checksum_add(struct checksum *c, const void *p, size_t len);
/* Of all bytes so far; more may be added afterwards. */
uint64_t checksum_value(const struct checksum *c);
/* Of one run of bytes. checksum_of("", 0) is 0xef46db3751d8e999. */
uint64_t checksum_of(const void *p, size_t len);
