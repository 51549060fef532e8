#include "algorithms/kernel/thrift.h"

#include <string.h>

/* --- reading --------------------------------------------------------------------------------- */

static uint8_t take_byte(struct thrift *t)
{
    if (t->p == t->end) {
        t->bad = true;
        return 0;
    }
    return (uint8_t)*t->p++;
}

static uint64_t take_varint(struct thrift *t)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = take_byte(t);

        v |= (uint64_t)(b & 127) << shift;
        if (b < 128) {
            return v;
        }
    }
    t->bad = true;
    return 0;
}

static int64_t take_zigzag(struct thrift *t)
{
    uint64_t v = take_varint(t);

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct str take_bytes(struct thrift *t, uint64_t n)
{
    struct str s = str_n(t->p, n);

    if (t->bad || n > (uint64_t)(t->end - t->p)) {
        t->bad = true;
        return STR_EMPTY;
    }
    t->p += n;
    return s;
}

bool thrift_next(struct thrift *t, struct thrift_field *f)
{
    uint8_t head = take_byte(t);
    int step = head >> 4;

    f->type = (enum thrift_type)(head & 15);
    if (t->bad || f->type == THRIFT_STOP) {
        return false;
    }
    f->id = step > 0 ? f->id + step : (int)(int16_t)take_zigzag(t);
    if (f->type > THRIFT_STRUCT) {
        t->bad = true;
    }
    return !t->bad;
}

int64_t thrift_int(struct thrift *t, const struct thrift_field *f)
{
    if (f->type == THRIFT_I8) {
        return (int8_t)take_byte(t);
    }
    if (f->type < THRIFT_I16 || f->type > THRIFT_I64) {
        t->bad = true;
        return 0;
    }
    return take_zigzag(t);
}

bool thrift_bool(struct thrift *t, const struct thrift_field *f)
{
    t->bad = t->bad || (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE);
    return f->type == THRIFT_TRUE;
}

struct str thrift_binary(struct thrift *t, const struct thrift_field *f)
{
    if (f->type != THRIFT_BINARY) {
        t->bad = true;
        return STR_EMPTY;
    }
    return take_bytes(t, take_varint(t));
}

bool thrift_struct(struct thrift *t, const struct thrift_field *f)
{
    t->bad = t->bad || f->type != THRIFT_STRUCT;
    return !t->bad;
}

static size_t take_list(struct thrift *t, enum thrift_type *type)
{
    uint8_t head = take_byte(t);
    uint64_t n = head >> 4;

    *type = (enum thrift_type)(head & 15);
    n = n == 15 ? take_varint(t) : n;
    if (t->bad || n > (uint64_t)(t->end - t->p)) {
        t->bad = true;
        return 0;
    }
    return n;
}

size_t thrift_list(struct thrift *t, const struct thrift_field *f, enum thrift_type *type)
{
    if (f->type != THRIFT_LIST && f->type != THRIFT_SET) {
        t->bad = true;
        return 0;
    }
    return take_list(t, type);
}

/* What is still to be skipped at one level: items of a list, or the fields of a struct. */
struct level {
    enum thrift_type type; /* of items; THRIFT_STOP: the fields of a struct */
    size_t left;
};

/* Skips a value without parts; for one with parts the level to go down to. */
static bool skip_plain(struct thrift *t, enum thrift_type type, bool item, struct level *down)
{
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        (void)(item ? take_byte(t) : 0);
        return true;
    case THRIFT_I8:
        (void)take_byte(t);
        return true;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)take_varint(t);
        return true;
    case THRIFT_DOUBLE:
        (void)take_bytes(t, 8);
        return true;
    case THRIFT_BINARY:
        (void)take_bytes(t, take_varint(t));
        return true;
    case THRIFT_LIST:
    case THRIFT_SET:
        down->left = take_list(t, &down->type);
        return false;
    case THRIFT_STRUCT:
        *down = (struct level){.type = THRIFT_STOP};
        return false;
    default: /* maps: Parquet has none */
        t->bad = true;
        return true;
    }
}

void thrift_skip(struct thrift *t, const struct thrift_field *f)
{
    struct level levels[THRIFT_DEPTH];
    size_t depth = 0;

    if (skip_plain(t, f->type, /* item */ false, &levels[0])) {
        return;
    }
    depth = 1;
    while (depth > 0 && !t->bad) {
        struct level *at = &levels[depth - 1];
        struct thrift_field field = {0};
        bool item = at->type != THRIFT_STOP;

        if (item ? at->left == 0 : !thrift_next(t, &field)) {
            depth--;
            continue;
        }
        at->left -= item;
        if (depth == THRIFT_DEPTH) {
            t->bad = true;
            return;
        }
        depth += !skip_plain(t, item ? at->type : field.type, item, &levels[depth]);
    }
}

/* --- writing --------------------------------------------------------------------------------- */

static void put_byte(struct buf *b, unsigned v)
{
    char c = (char)v;

    (void)buf_add(b, str_n(&c, 1));
}

void thrift_put_varint(struct buf *b, uint64_t v)
{
    for (; v > 127; v >>= 7) {
        put_byte(b, (unsigned)(v & 127) | 128);
    }
    put_byte(b, (unsigned)v);
}

void thrift_put_zigzag(struct buf *b, int64_t v)
{
    thrift_put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_head(struct buf *b, int *last, int id, enum thrift_type type)
{
    int step = id - *last;

    put_byte(b, (unsigned)(step > 0 && step < 16 ? step << 4 : 0) | type);
    if (step <= 0 || step > 15) {
        thrift_put_zigzag(b, id);
    }
    *last = id;
}

void thrift_put_int(struct buf *b, int *last, int id, enum thrift_type type, int64_t v)
{
    put_head(b, last, id, type);
    if (type == THRIFT_I8) {
        put_byte(b, (unsigned)(uint8_t)v);
    } else {
        thrift_put_zigzag(b, v);
    }
}

void thrift_put_bool(struct buf *b, int *last, int id, enum thrift_type truth)
{
    put_head(b, last, id, truth);
}

void thrift_put_binary(struct buf *b, int *last, int id, struct str s)
{
    put_head(b, last, id, THRIFT_BINARY);
    thrift_put_varint(b, s.len);
    (void)buf_add(b, s);
}

void thrift_put_list(struct buf *b, int *last, int id, enum thrift_type type, size_t n)
{
    put_head(b, last, id, THRIFT_LIST);
    put_byte(b, (unsigned)(n < 15 ? n << 4 : 0xf0) | type);
    if (n >= 15) {
        thrift_put_varint(b, n);
    }
}

void thrift_put_struct(struct buf *b, int *last, int id)
{
    put_head(b, last, id, THRIFT_STRUCT);
}

void thrift_put_stop(struct buf *b)
{
    put_byte(b, THRIFT_STOP);
}
