/* proto - the wire format of protocol buffers: fields, one after the other. Private to scrape.
 *
 * Threads: any. Source: https://protobuf.dev/programming-guides/encoding/ */
#pragma once
#include "base/buf.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_64 = 1, PROTO_BYTES = 2, PROTO_32 = 5 };

struct proto_field {
    unsigned number;
    enum proto_wire wire;
    uint64_t value;   /* VARINT, 64, 32 */
    struct str bytes; /* BYTES */
};

/* 1: a field; 0: the end; -1: it is damaged. */
int proto_next(struct str *rest, struct proto_field *out);
/* One of a packed list: 1, 0, -1. */
int proto_varint(struct str *rest, uint64_t *out);
double proto_double(uint64_t bits);

void proto_put_varint(struct buf *b, uint64_t v);
void proto_put_int(struct buf *b, unsigned number, uint64_t v);
void proto_put_double(struct buf *b, unsigned number, double v);
void proto_put_bytes(struct buf *b, unsigned number, struct str s);
