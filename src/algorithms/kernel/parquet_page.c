#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/codec.h"
#include "algorithms/kernel/failure.h"

#include <string.h>

enum { DATA_PAGE = 0, DICTIONARY_PAGE = 2, DATA_PAGE_V2 = 3 };

/* PageHeader with the header of its kind. */
struct header {
    int64_t type, unpacked, packed;
    int64_t n, encoding, levels_encoding, levels_bytes, repetition_bytes;
    bool compressed;
};

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

/* DataPageHeader (v2: DataPageHeaderV2) and DictionaryPageHeader. */
static void take_kind(struct thrift *t, struct header *h, bool v2)
{
    for (struct thrift_field f = {0}; thrift_next(t, &f);) {
        if (f.id == 1) {
            h->n = thrift_int(t, &f);
        } else if (f.id == (v2 ? 4 : 2)) {
            h->encoding = thrift_int(t, &f);
        } else if (!v2 && f.id == 3 && f.type == THRIFT_I32) {
            h->levels_encoding = thrift_int(t, &f);
        } else if (v2 && f.id == 5) {
            h->levels_bytes = thrift_int(t, &f);
        } else if (v2 && f.id == 6) {
            h->repetition_bytes = thrift_int(t, &f);
        } else if (v2 && f.id == 7) {
            h->compressed = thrift_bool(t, &f);
        } else {
            thrift_skip(t, &f);
        }
    }
}

static int take_header(struct str *in, struct header *h, struct err *e)
{
    struct thrift t = {.p = in->p, .end = in->p + in->len};

    *h = (struct header){.type = -1, .compressed = true, .levels_encoding = PARQUET_ENC_RLE};
    for (struct thrift_field f = {0}; thrift_next(&t, &f);) {
        if (f.id == 1) {
            h->type = thrift_int(&t, &f);
        } else if (f.id == 2) {
            h->unpacked = thrift_int(&t, &f);
        } else if (f.id == 3) {
            h->packed = thrift_int(&t, &f);
        } else if ((f.id == 5 || f.id == 7 || f.id == 8) && thrift_struct(&t, &f)) {
            take_kind(&t, h, f.id == 8);
        } else {
            thrift_skip(&t, &f);
        }
    }
    *in = str_from(*in, (size_t)(t.p - in->p));
    if (t.bad || h->packed < 0 || (uint64_t)h->packed > in->len || h->unpacked < 0 ||
        h->unpacked > INT32_MAX || h->n < 0 || h->n > INT32_MAX || h->levels_bytes < 0 ||
        h->repetition_bytes < 0) {
        return damaged("a page has no head, or ends early", e);
    }
    return 0;
}

static int unpack(int codec, struct str in, void *out, size_t len, struct err *e)
{
    switch (codec) {
    case PARQUET_SNAPPY:
        return codec_snappy(in, out, len, e);
    case PARQUET_GZIP:
        return codec_gzip(in, out, len, e);
    case PARQUET_ZSTD:
        return codec_zstd(in, out, len, e);
    case PARQUET_CODEC_LZ4_RAW:
        return codec_lz4_block(in, out, len, e);
    default:
        return err_set(e, ERR_DATA,
                       "it is compressed with %s; write it anew with snappy, gzip, zstd or none",
                       codec == 3   ? "LZO"
                       : codec == 4 ? "Brotli"
                       : codec == 5 ? "the LZ4 of Hadoop"
                                    : "something unknown");
    }
}

/* The body of a page, unpacked into the room of `p` when it is compressed. */
static int unpack_page(struct parquet_pages *p, struct str in, size_t len, struct str *out,
                       struct err *e)
{
    if (p->chunk->codec == PARQUET_PLAIN) {
        *out = in;
        return in.len == len ? 0 : damaged("a page is not as long as it says", e);
    }
    if (len == 0) {
        *out = STR_EMPTY;
        return 0;
    }
    if (len > p->room->len) {
        if (big_resize(&p->room->bytes, len, 1, "a page", e) < 0) {
            return -1;
        }
        p->room->len = len;
    }
    *out = str_n(p->room->bytes, len);
    return unpack(p->chunk->codec, in, p->room->bytes, len, e);
}

/* Version 1: everything is compressed, and levels say their own length. */
static int split_v1(const struct parquet_pages *p, const struct header *h,
                    struct parquet_page *page, struct str body, struct err *e)
{
    uint32_t len;

    page->levels = (struct str){0};
    page->values = body;
    if (!p->column->optional) {
        return 0;
    }
    page->levels_packed = h->levels_encoding == PARQUET_ENC_BIT_PACKED;
    if (page->levels_packed) {
        len = (uint32_t)((page->n + 7) / 8);
    } else if (body.len < 4) {
        return damaged("a page has no levels", e);
    } else {
        memcpy(&len, body.p, 4);
        body = str_from(body, 4);
    }
    if (len > body.len) {
        return damaged("the levels of a page are longer than it", e);
    }
    page->levels = str_first(body, len);
    page->values = str_from(body, len);
    return 0;
}

/* Version 2: levels stand in front, as they are. */
static int split_v2(struct parquet_pages *p, const struct header *h, struct parquet_page *page,
                    struct str in, struct err *e)
{
    size_t levels = (size_t)h->levels_bytes, repetitions = (size_t)h->repetition_bytes;
    size_t front = levels + repetitions;
    struct str rest;

    if (levels > in.len || repetitions > in.len - levels || front > (size_t)h->unpacked) {
        return damaged("the levels of a page are longer than it", e);
    }
    page->levels = p->column->optional ? str_n(in.p + repetitions, levels) : (struct str){0};
    rest = str_from(in, front);
    if (!h->compressed) {
        page->values = rest;
        return 0;
    }
    return unpack_page(p, rest, (size_t)h->unpacked - front, &page->values, e);
}

void parquet_pages_init(struct parquet_pages *p, const struct parquet_file *f,
                        const struct parquet_column *c, size_t group, struct parquet_room *room)
{
    const struct parquet_chunk *chunk = &f->chunks[group * f->n_leaves + c->leaf];

    *p = (struct parquet_pages){.file = f,
                                .chunk = chunk,
                                .column = c,
                                .room = room,
                                .rest = str_n(f->bytes.p + chunk->start, chunk->len)};
}

int parquet_next_page(struct parquet_pages *p, struct parquet_page *page, struct err *e)
{
    struct header h;
    struct str body;

    for (;;) {
        if (p->rest.len == 0 || p->seen == p->chunk->n_values) {
            return 0;
        }
        if (take_header(&p->rest, &h, e) < 0) {
            return -1;
        }
        body = str_first(p->rest, (size_t)h.packed);
        p->rest = str_from(p->rest, (size_t)h.packed);
        if (h.type == DATA_PAGE || h.type == DICTIONARY_PAGE || h.type == DATA_PAGE_V2) {
            break;
        }
    }
    *page = (struct parquet_page){.dictionary = h.type == DICTIONARY_PAGE,
                                  .encoding = (enum parquet_encoding)h.encoding,
                                  .n = (size_t)h.n};
    p->seen += page->dictionary ? 0 : page->n;
    if (h.type == DATA_PAGE_V2) {
        return split_v2(p, &h, page, body, e) < 0 ? -1 : 1;
    }
    if (unpack_page(p, body, (size_t)h.unpacked, &body, e) < 0) {
        return -1;
    }
    if (page->dictionary) {
        page->values = body;
        return 1;
    }
    return split_v1(p, &h, page, body, e) < 0 ? -1 : 1;
}
