#include "tsdb/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t tables[8][256];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++) {
            c = (c & 1) != 0 ? c >> 1 ^ 0x82f63b78U : c >> 1;
        }
        tables[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++) {
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
        }
    }
#ifdef __x86_64__
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(struct str s)
{
    uint64_t c = 0xffffffffU;

    for (; s.len >= 8; s = str_from(s, 8)) {
        uint64_t w;

        memcpy(&w, s.p, 8);
        c = __builtin_ia32_crc32di(c, w);
    }
    for (size_t i = 0; i < s.len; i++) {
        c = __builtin_ia32_crc32qi((uint32_t)c, (unsigned char)s.p[i]);
    }
    return ~(uint32_t)c;
}
#else
static uint32_t by_instruction(struct str s UNUSED)
{
    return 0;
}
#endif

static uint32_t by_tables(struct str s)
{
    uint32_t c = 0xffffffffU;

    for (; s.len >= 8; s = str_from(s, 8)) {
        const unsigned char *p = (const unsigned char *)s.p;

        c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        c = tables[7][c & 0xff] ^ tables[6][c >> 8 & 0xff] ^ tables[5][c >> 16 & 0xff] ^
            tables[4][c >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
            tables[0][p[7]];
    }
    for (size_t i = 0; i < s.len; i++) {
        c = c >> 8 ^ tables[0][(c ^ (unsigned char)s.p[i]) & 0xff];
    }
    return ~c;
}

uint32_t crc32c(struct str bytes)
{
    (void)pthread_once(&once, make_tables);
    return has_instruction ? by_instruction(bytes) : by_tables(bytes);
}
