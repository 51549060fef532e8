#include "algorithms/kernel/crc64.h"

#include <pthread.h>
#include <string.h>

/* Slicing by eight: table[k][b] is the effect of byte b that has k bytes behind it. */
static uint64_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t v = b;

        for (int i = 0; i < 8; i++) {
            v = v >> 1 ^ (v & 1 ? 0xc96c5795d7870f42ULL : 0);
        }
        table[0][b] = v;
    }
    for (unsigned b = 0; b < 256; b++) {
        for (int k = 1; k < 8; k++) {
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
        }
    }
}

uint64_t crc64(uint64_t before, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    uint64_t crc = ~before;

    (void)pthread_once(&once, make_table);
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, 8);
        v ^= crc;
        crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^
              table[4][v >> 24 & 255] ^ table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^
              table[1][v >> 48 & 255] ^ table[0][v >> 56];
    }
    for (; len > 0; len--, p++) {
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    }
    return ~crc;
}
