/* The choice on x86-64. */
#include "algorithms/kernel/simd.h"

#include <stdlib.h>
#include <string.h>

extern const struct simd simd_plain, simd_avx2, simd_avx512;

const struct simd *simd_nth(size_t i)
{
    const struct simd *found[3];
    size_t n = 0;

    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
        found[n++] = &simd_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found[n++] = &simd_avx2;
    }
    found[n++] = &simd_plain;
    return i < n ? found[i] : NULL;
}

const struct simd *simd_get(void)
{
    const char *want = getenv("STRATA_ISA");
    const struct simd *s;

    for (size_t i = 0; want && (s = simd_nth(i)); i++) {
        if (strcmp(s->name, want) == 0) {
            return s;
        }
    }
    return simd_nth(0);
}
