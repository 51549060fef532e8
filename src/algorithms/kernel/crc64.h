/* crc64 - the checksum of our files: CRC-64/XZ (ECMA-182, reflected). Finds damage, not malice. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Of one run of bytes after another: start with 0. crc64(0, "123456789", 9) is
 * 0x995dc9bbdf1939fa. */
uint64_t crc64(uint64_t before, const void *p, size_t len);
