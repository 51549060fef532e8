/* fuzz_envelope - gives fuzzed bytes the head of one of our files, so that a fuzzer gets past the
 * checksum to what lies behind it. For fuzzers only. */
#pragma once
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/checksum.h"
#include "base/limits.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file whose head is right for what follows it; for free(3). NULL when there is no head. */
static inline char *fuzz_envelope(const uint8_t *data, size_t size, enum binary_kind kind)
{
    static const char magic[8] = {(char)0x89, 'S', 'T', 'R', 0, '\r', '\n', 0x1a};
    uint64_t len = size - BINARY_HEAD_BYTES, sum;
    uint32_t version = BINARY_VERSION;
    char *file = size < BINARY_HEAD_BYTES ? NULL : malloc(size);

    big_set_budget(256 * MIB);
    if (file) {
        sum = checksum_of(data + BINARY_HEAD_BYTES, len);
        memcpy(file, data, size);
        memcpy(file, magic, sizeof(magic));
        file[4] = (char)kind;
        memcpy(file + 8, &version, 4);
        memcpy(file + 16, &len, 8);
        memcpy(file + 24, &sum, 8);
    }
    return file;
}
