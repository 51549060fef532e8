/* Other architectures: what their plain instruction set has (NEON on arm64). */
#include "algorithms/kernel/simd.h"

extern const struct simd simd_plain;

const struct simd *simd_nth(size_t i)
{
    return i == 0 ? &simd_plain : NULL;
}

const struct simd *simd_get(void)
{
    return &simd_plain;
}
