#include "scrape/proto.h"

#include <string.h>

int proto_varint(struct str *rest, uint64_t *out)
{
    uint64_t v = 0;

    if (rest->len == 0) {
        return 0;
    }
    for (size_t i = 0; i < rest->len && i < 10; i++) {
        unsigned char c = (unsigned char)rest->p[i];

        v |= (uint64_t)(c & 127) << (7 * i);
        if (c < 128) {
            *rest = str_from(*rest, i + 1);
            *out = v;
            return i < 9 || c <= 1 ? 1 : -1;
        }
    }
    return -1;
}

static int fixed(struct str *rest, size_t n, uint64_t *out)
{
    *out = 0;
    if (rest->len < n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        *out |= (uint64_t)(unsigned char)rest->p[i] << (8 * i);
    }
    *rest = str_from(*rest, n);
    return 1;
}

int proto_next(struct str *rest, struct proto_field *out)
{
    uint64_t tag, len;
    int r = proto_varint(rest, &tag);

    if (r <= 0) {
        return r;
    }
    *out = (struct proto_field){.number = (unsigned)(tag >> 3), .wire = (enum proto_wire)(tag & 7)};
    if (tag >> 3 == 0 || tag >> 32 != 0) {
        return -1;
    }
    switch (out->wire) {
    case PROTO_VARINT:
        return proto_varint(rest, &out->value) == 1 ? 1 : -1;
    case PROTO_64:
        return fixed(rest, 8, &out->value);
    case PROTO_32:
        return fixed(rest, 4, &out->value);
    case PROTO_BYTES:
        if (proto_varint(rest, &len) != 1 || len > rest->len) {
            return -1;
        }
        out->bytes = str_first(*rest, (size_t)len);
        *rest = str_from(*rest, (size_t)len);
        return 1;
    default: /* groups are long gone */
        return -1;
    }
}

double proto_double(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

void proto_put_varint(struct buf *b, uint64_t v)
{
    char text[10];
    size_t n = 0;

    while (v > 127) {
        text[n++] = (char)((v & 127) | 128);
        v >>= 7;
    }
    text[n++] = (char)v;
    (void)buf_add(b, str_n(text, n));
}

void proto_put_int(struct buf *b, unsigned number, uint64_t v)
{
    proto_put_varint(b, (uint64_t)number << 3 | PROTO_VARINT);
    proto_put_varint(b, v);
}

void proto_put_double(struct buf *b, unsigned number, double v)
{
    uint64_t bits;
    char text[8];

    memcpy(&bits, &v, 8);
    for (size_t i = 0; i < 8; i++) {
        text[i] = (char)(bits >> (8 * i));
    }
    proto_put_varint(b, (uint64_t)number << 3 | PROTO_64);
    (void)buf_add(b, str_n(text, 8));
}

void proto_put_bytes(struct buf *b, unsigned number, struct str s)
{
    proto_put_varint(b, (uint64_t)number << 3 | PROTO_BYTES);
    proto_put_varint(b, s.len);
    (void)buf_add(b, s);
}
