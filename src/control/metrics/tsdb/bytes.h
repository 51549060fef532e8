/* bytes - the small pieces that all files of the store are made of. */
#pragma once
#include "tsdb/column.h"

static inline void bytes_put_u32(uint32_t v, char *to)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (char)(v >> (8 * i));
    }
}

static inline uint32_t bytes_get_u32(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        v |= (uint32_t)(unsigned char)p[i] << (8 * i);
    }
    return v;
}

static inline uint64_t bytes_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline int64_t bytes_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

static inline void bytes_put_signed(int64_t v, struct buf *out)
{
    column_put_varint(bytes_zigzag(v), out);
}

static inline int bytes_get_signed(struct str *in, int64_t *v)
{
    uint64_t u;

    if (column_get_varint(in, &u) < 0) {
        return -1;
    }
    *v = bytes_unzigzag(u);
    return 0;
}

static inline int bytes_get_u32v(struct str *in, uint32_t *v)
{
    uint64_t u;

    if (column_get_varint(in, &u) < 0 || u > UINT32_MAX) {
        return -1;
    }
    *v = (uint32_t)u;
    return 0;
}

static inline void bytes_put_text(struct str s, struct buf *out)
{
    column_put_varint(s.len, out);
    (void)buf_add(out, s);
}

static inline int bytes_get_text(struct str *in, struct str *out)
{
    uint64_t len;

    if (column_get_varint(in, &len) < 0 || len > in->len) {
        return -1;
    }
    *out = str_n(in->p, (size_t)len);
    *in = str_from(*in, (size_t)len);
    return 0;
}
