#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/checksum.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/shared.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

static uint32_t u32_at(struct str s, uint64_t at)
{
    uint32_t v;

    memcpy(&v, s.p + at, 4);
    return v;
}

/* --- messages ----------------------------------------------------------------------------------
 */

struct message {
    struct flat_bytes meta;
    struct flat_table root;
    enum arrow_header header;
    struct str body;
    uint64_t end; /* where the next one begins */
};

/* The message at `at`: 1, or 0 at the mark of the end (or of the bytes). Before Arrow 0.15 the
 * length stood alone, without ffffffff in front. */
static int take_message(struct str bytes, uint64_t at, struct message *m, struct err *e)
{
    uint64_t start = at, len;
    int64_t body;

    if (at == bytes.len) {
        return 0;
    }
    if (at > bytes.len || bytes.len - at < 8) {
        return damaged("it ends inside a message", e);
    }
    if (u32_at(bytes, at) == UINT32_MAX) {
        start += 4;
    }
    len = u32_at(bytes, start);
    start += 4;
    if (len == 0) {
        return 0;
    }
    if (len > bytes.len - start || len > ML_LIMIT_ARROW_BYTES) {
        return damaged("it ends inside a message", e);
    }
    m->meta = (struct flat_bytes){.s = str_n(bytes.p + start, len)};
    m->root = flat_root(&m->meta);
    m->header = (enum arrow_header)flat_int(&m->root, 1, 1, 0);
    body = flat_int(&m->root, 3, 8, 0);
    if (m->meta.bad || body < 0 || (uint64_t)body > bytes.len - start - len) {
        return damaged("it ends inside the body of a message", e);
    }
    if (flat_int(&m->root, 0, 2, 0) < ARROW_V4) {
        return err_set(e, ERR_DATA, "it is of a version before Arrow 0.8: write it anew");
    }
    m->body = str_n(bytes.p + start + len, (size_t)body);
    m->end = start + len + (uint64_t)body;
    return 1;
}

static int read_batch(const struct message *m, const struct flat_table *t, struct arrow_batch *b,
                      struct err *e)
{
    struct flat_table compression = flat_sub(t, 3);
    int64_t rows = flat_int(t, 0, 8, 0);

    b->nodes = flat_list(t, 1, 16).items;
    b->buffers = flat_list(t, 2, 16).items;
    b->variadic = flat_list(t, 4, 8).items;
    b->codec = compression.at > 0 ? (int)flat_int(&compression, 0, 1, 0) : -1;
    b->body = m->body;
    if (m->meta.bad || t->at == 0) {
        return damaged("a record batch has no description", e);
    }
    if (rows < 0 || (uint64_t)rows > ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "%lld rows are more than a table can have", (long long)rows);
    }
    if (b->codec > 1) {
        return err_set(e, ERR_DATA, "it is compressed in a way (%d) that is none of lz4 and zstd",
                       b->codec);
    }
    b->n_rows = (uint64_t)rows;
    return 0;
}

static int add_message(struct arrow_file *f, const struct message *m, struct err *e)
{
    struct flat_table header = flat_sub(&m->root, 2);
    struct flat_table data = header;
    struct arrow_batch b = {.is_dictionary = m->header == ARROW_DICTIONARY};

    if (m->header != ARROW_DICTIONARY && m->header != ARROW_BATCH) {
        return damaged("a message is neither a dictionary nor a record batch", e);
    }
    if (f->n_batches == ML_LIMIT_ARROW_BATCHES) {
        return err_set(e, ERR_DATA, "it has more than %d record batches", ML_LIMIT_ARROW_BATCHES);
    }
    if (b.is_dictionary) {
        b.id = flat_int(&header, 0, 8, 0);
        b.is_delta = flat_int(&header, 2, 1, 0) != 0;
        data = flat_sub(&header, 1);
    }
    if (read_batch(m, &data, &b, e) < 0) {
        return -1;
    }
    f->n_rows += b.is_dictionary ? 0 : b.n_rows;
    if (f->n_rows > ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "a table has at most %llu rows", ML_LIMIT_ROWS);
    }
    if (f->n_batches == f->cap_batches) {
        f->cap_batches = f->cap_batches ? f->cap_batches * 2 : 16;
        f->batches = xrealloc(f->batches, f->cap_batches * sizeof(*f->batches));
    }
    f->batches[f->n_batches++] = b;
    return 0;
}

/* --- the stream form -----------------------------------------------------------------------------
 */

static int open_stream(struct arrow_file *f, struct err *e)
{
    struct message m;
    struct flat_table schema;
    int more = take_message(f->bytes, 0, &m, e);

    if (more <= 0) {
        return more < 0 ? -1 : damaged("it is empty", e);
    }
    if (m.header != ARROW_SCHEMA) {
        return damaged("it does not begin with a schema", e);
    }
    schema = flat_sub(&m.root, 2);
    if (arrow_read_schema(f, &schema, e) < 0) {
        return -1;
    }
    while ((more = take_message(f->bytes, m.end, &m, e)) > 0) {
        if (add_message(f, &m, e) < 0) {
            return -1;
        }
    }
    return more;
}

/* --- the file form --------------------------------------------------------------------------- */

/* Blocks of field `id`: i64 offset, i32 length of the metadata, 4 bytes of nothing, i64 body. */
static int add_blocks(struct arrow_file *f, const struct flat_table *footer, unsigned id,
                      struct err *e)
{
    struct flat_vector blocks = flat_list(footer, id, 24);

    if (footer->in->bad) {
        return damaged("its footer points outside of it", e);
    }
    for (size_t i = 0; i < blocks.n; i++) {
        struct message m;
        int64_t offset;
        int more;

        memcpy(&offset, blocks.items.p + 24 * i, 8);
        if (offset < 8 || (uint64_t)offset >= f->bytes.len) {
            return damaged("its footer points outside of it", e);
        }
        more = take_message(f->bytes, (uint64_t)offset, &m, e);
        if (more <= 0) {
            return more < 0 ? -1 : damaged("its footer points to no message", e);
        }
        if (add_message(f, &m, e) < 0) {
            return -1;
        }
    }
    return 0;
}

enum { REST_BYTES = 4 << 20 };

/* Some of the file; what was read does not stay in memory. */
static void add_bytes(struct checksum *c, const struct shared *keep, struct str bytes)
{
    for (size_t at = 0; at < bytes.len; at += REST_BYTES) {
        size_t n = bytes.len - at < REST_BYTES ? bytes.len - at : REST_BYTES;

        checksum_add(c, bytes.p + at, n);
        shared_rest(keep, bytes.p + at, n);
    }
}

/* All bytes, with the value of the checksum itself as zeroes. */
static int check_sum(const struct arrow_file *f, struct str hex, struct err *e)
{
    struct str bytes = f->bytes;
    static const char zeros[ARROW_CHECKSUM_HEX + 1] = "0000000000000000";
    struct checksum c;
    unsigned char want[8];
    uint64_t sum = 0;
    size_t before = (size_t)(hex.p - bytes.p);

    if (hex.len != ARROW_CHECKSUM_HEX || hex_decode(hex, want, sizeof(want)) < 0) {
        return damaged("its checksum is no checksum", e);
    }
    for (size_t i = 0; i < sizeof(want); i++) {
        sum = sum << 8 | want[i];
    }
    checksum_init(&c);
    add_bytes(&c, f->keep, str_n(bytes.p, before));
    checksum_add(&c, zeros, ARROW_CHECKSUM_HEX);
    add_bytes(&c, f->keep, str_n(hex.p + hex.len, bytes.len - before - hex.len));
    return checksum_value(&c) == sum ? 0 : damaged("its checksum is wrong", e);
}

/* What only our files have. */
static int check_ours(struct arrow_file *f, const struct flat_table *footer,
                      const struct flat_table *schema, enum arrow_trust trust,
                      struct str *transforms, struct err *e)
{
    struct str version = arrow_metadata(schema, 2, ARROW_KEY_TABLE);
    struct str hex = arrow_metadata(footer, 4, ARROW_KEY_CHECKSUM);

    if (version.p == NULL && hex.p == NULL) {
        return 0;
    }
    if (trust == ARROW_CHECK && check_sum(f, hex, e) < 0) {
        return -1;
    }
    if (!str_eq(version, STR("1"))) {
        return err_set(e, ERR_DATA, "version %.*s of our tables: this program reads version 1",
                       STR_ARG(str_first(version, 20)));
    }
    *transforms = arrow_metadata(schema, 2, ARROW_KEY_TRANSFORMS);
    return 0;
}

/* How long the footer is, by the last bytes of a file; 0: it is none. */
static size_t footer_bytes(struct str last, uint64_t file_bytes, struct err *e)
{
    size_t tail = 4 + ARROW_MAGIC.len, len;

    if (last.len < tail || file_bytes < 8 + tail || !str_ends(last, ARROW_MAGIC)) {
        (void)damaged("it begins as an Arrow file and does not end as one: is it all there?", e);
        return 0;
    }
    len = u32_at(last, last.len - tail);
    if (len == 0 || len > file_bytes - tail - 8 || len > ML_LIMIT_ARROW_BYTES) {
        (void)damaged("its footer is longer than it", e);
        return 0;
    }
    return len;
}

static int open_file(struct arrow_file *f, enum arrow_trust trust, struct str *transforms,
                     struct err *e)
{
    size_t tail = 4 + ARROW_MAGIC.len, len = footer_bytes(f->bytes, f->bytes.len, e);
    struct flat_bytes b;
    struct flat_table footer, schema;

    if (len == 0) {
        return -1;
    }
    b = (struct flat_bytes){.s = str_n(f->bytes.p + f->bytes.len - tail - len, len)};
    footer = flat_root(&b);
    schema = flat_sub(&footer, 1);
    if (b.bad) {
        return damaged("its footer is none", e);
    }
    if (check_ours(f, &footer, &schema, trust, transforms, e) < 0 ||
        arrow_read_schema(f, &schema, e) < 0 || add_blocks(f, &footer, 2, e) < 0) {
        return -1;
    }
    return add_blocks(f, &footer, 3, e);
}

enum arrow_form arrow_form(struct str bytes, struct err *e)
{
    if (str_starts(bytes, ARROW_MAGIC)) {
        return ARROW_FILE_FORM;
    }
    if (str_starts(bytes, STR("\xff\xff\xff\xff"))) {
        return ARROW_STREAM_FORM;
    }
    if (str_starts(bytes, STR("\x89STR")) && bytes.len > 4) {
        err_set(e, ERR_DATA, "a Strata %s, and a table is needed here",
                bytes.p[4] == BINARY_MODEL ? "model" : "transform");
    } else if (str_starts(bytes, STR("FEA1"))) {
        err_set(e, ERR_DATA, "it is Feather of version 1: write it anew as version 2");
    } else {
        err_set(e, ERR_DATA, "not an Arrow file: text is read by the module read_csv");
    }
    return ARROW_NO_FORM;
}

int arrow_open(struct arrow_file *f, struct str bytes, struct shared *keep, enum arrow_trust trust,
               struct str *transforms, struct err *e)
{
    enum arrow_form form = arrow_form(bytes, e);

    *f = (struct arrow_file){.bytes = bytes, .keep = keep};
    *transforms = (struct str){0};
    return form == ARROW_FILE_FORM     ? open_file(f, trust, transforms, e)
           : form == ARROW_STREAM_FORM ? open_stream(f, e)
                                       : -1;
}

/* --- before a run --------------------------------------------------------------------------------
 */

int arrow_schema_lies(struct str first, struct str last, uint64_t file_bytes, uint64_t *at,
                      size_t *len, struct err *e)
{
    enum arrow_form form = arrow_form(first, e);

    if (form == ARROW_NO_FORM) {
        return -1;
    }
    if (form == ARROW_FILE_FORM) {
        *len = footer_bytes(last, file_bytes, e);
        *at = file_bytes - 4 - ARROW_MAGIC.len - *len;
        return *len > 0 ? 0 : -1;
    }
    *at = 8;
    *len = first.len >= 8 ? u32_at(first, 4) : 0;
    return *len > 0 && *len <= file_bytes - 8 ? 0 : damaged("it ends inside its schema", e);
}

int arrow_open_fields(struct arrow_file *f, struct str bytes, enum arrow_form form, struct err *e)
{
    struct flat_bytes b = {.s = bytes};
    struct flat_table root = flat_root(&b);
    struct flat_table schema = flat_sub(&root, form == ARROW_FILE_FORM ? 1 : 2);

    *f = (struct arrow_file){.bytes = bytes};
    if (form == ARROW_STREAM_FORM && flat_int(&root, 1, 1, 0) != ARROW_SCHEMA) {
        return damaged("it does not begin with a schema", e);
    }
    return arrow_read_schema(f, &schema, e);
}

void arrow_close(struct arrow_file *f)
{
    free(f->fields);
    free(f->batches);
    *f = (struct arrow_file){0};
}
