#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/codec.h"
#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int damaged(const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: %s", what);
}

static int64_t i64_at(struct str s, size_t at)
{
    int64_t v;

    memcpy(&v, s.p + at, 8);
    return v;
}

/* Buffer i of the batch, unpacked when it is compressed: i64 length (-1: stored), then its bytes.
 * *owned is big memory that holds it, or NULL. */
static int get_buffer(const struct arrow_batch *b, size_t i, struct str *out, void **owned,
                      struct err *e)
{
    int64_t offset, len, unpacked;

    *owned = NULL;
    if (i >= b->buffers.len / 16) {
        return damaged("a record batch has too few buffers", e);
    }
    offset = i64_at(b->buffers, 16 * i);
    len = i64_at(b->buffers, 16 * i + 8);
    if (offset < 0 || len < 0 || (uint64_t)offset > b->body.len ||
        (uint64_t)len > b->body.len - (uint64_t)offset) {
        return damaged("a buffer lies outside of its record batch", e);
    }
    *out = str_n(b->body.p + offset, (size_t)len);
    if (b->codec < 0 || len == 0) {
        return 0;
    }
    unpacked = len >= 8 ? i64_at(*out, 0) : -2;
    *out = str_from(*out, 8);
    if (unpacked == -1) {
        return 0;
    }
    if (unpacked < 0) {
        return damaged("a compressed buffer has no length", e);
    }
    *owned = big_alloc((size_t)unpacked, 1, "a compressed column", e);
    if (*owned == NULL) {
        return -1;
    }
    if ((b->codec == 0 ? codec_lz4_frame(*out, *owned, (size_t)unpacked, e)
                       : codec_zstd(*out, *owned, (size_t)unpacked, e)) < 0) {
        big_free(*owned);
        *owned = NULL;
        return -1;
    }
    *out = str_n(*owned, (size_t)unpacked);
    return 0;
}

/* The buffers behind the views of an array, as many as the batch says. */
static int get_views(struct arrow_array *a, const struct arrow_batch *b, size_t first,
                     size_t variadic, struct err *e)
{
    int64_t n = variadic < b->variadic.len / 8 ? i64_at(b->variadic, 8 * variadic) : -1;

    if (n < 0 || (uint64_t)n > b->buffers.len / 16) {
        return damaged("a record batch does not say how many buffers its texts have", e);
    }
    a->views = xnew_array(struct str, (size_t)n + 1);
    a->owned_views = xnew_array(void *, (size_t)n + 1);
    for (; a->n_views < (size_t)n; a->n_views++) {
        if (get_buffer(b, first + a->n_views, &a->views[a->n_views], &a->owned_views[a->n_views],
                       e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* How many buffers of views lie before those of field `variadic`. */
static size_t views_before(const struct arrow_batch *b, size_t variadic)
{
    size_t sum = 0;

    for (size_t i = 0; i < variadic && i < b->variadic.len / 8; i++) {
        sum += (size_t)i64_at(b->variadic, 8 * i) & 0xffffffff;
    }
    return sum;
}

/* Whether the buffers hold `n` values. */
static int check_lengths(const struct arrow_array *a, const struct arrow_type *t, struct err *e)
{
    size_t bits = t->kind == ARROW_UTF8_VIEW ? 128 : t->bits;
    size_t width = t->kind == ARROW_LARGE_UTF8 ? 8 : 4;

    if (a->valid.len > 0 && a->valid.len < (a->n + 7) / 8) {
        return damaged("a bitmap is too short", e);
    }
    if (t->kind == ARROW_UTF8 || t->kind == ARROW_LARGE_UTF8) {
        return a->n > 0 && a->offsets.len / width < a->n + 1
                   ? damaged("a column has too few offsets", e)
                   : 0;
    }
    return a->data.len < (a->n * bits + 7) / 8 ? damaged("a column is too short", e) : 0;
}

int arrow_array_get(struct arrow_array *a, const struct arrow_batch *b, const struct arrow_type *t,
                    size_t node, size_t buffer, size_t variadic, struct err *e)
{
    bool texts = t->kind == ARROW_UTF8 || t->kind == ARROW_LARGE_UTF8;
    int64_t nulls;

    *a = (struct arrow_array){.valid = STR_EMPTY, .data = STR_EMPTY, .offsets = STR_EMPTY};
    if (node >= b->nodes.len / 16 || i64_at(b->nodes, 16 * node) != (int64_t)b->n_rows) {
        return damaged("a column is not as long as its record batch", e);
    }
    a->n = b->n_rows;
    nulls = i64_at(b->nodes, 16 * node + 8);
    if (t->kind == ARROW_NULL) {
        return 0;
    }
    buffer += views_before(b, variadic);
    if (get_buffer(b, buffer, &a->valid, &a->owned[0], e) < 0 ||
        get_buffer(b, buffer + 1, texts ? &a->offsets : &a->data, &a->owned[1], e) < 0 ||
        (texts && get_buffer(b, buffer + 2, &a->data, &a->owned[2], e) < 0) ||
        (t->kind == ARROW_UTF8_VIEW && get_views(a, b, buffer + 2, variadic, e) < 0)) {
        return -1;
    }
    if (nulls > 0 && a->valid.len == 0 && a->n > 0) {
        return damaged("a column with missing values does not say which", e);
    }
    a->valid = nulls == 0 ? STR_EMPTY : a->valid;
    return check_lengths(a, t, e);
}

void arrow_array_done(struct arrow_array *a)
{
    for (size_t i = 0; i < ARRAY_LEN(a->owned); i++) {
        big_free(a->owned[i]);
    }
    for (size_t i = 0; i < a->n_views; i++) {
        big_free(a->owned_views[i]);
    }
    free(a->views);
    free(a->owned_views);
    *a = (struct arrow_array){0};
}

bool arrow_is_valid(const struct arrow_array *a, size_t i)
{
    return a->valid.len == 0 || ((unsigned char)a->valid.p[i / 8] >> (i % 8) & 1);
}

/* i32 length, then 12 bytes of text, or 4 bytes of its beginning, i32 buffer and i32 offset. */
static int text_of_view(const struct arrow_array *a, size_t i, struct str *out, struct err *e)
{
    const char *p = a->data.p + 16 * i;
    uint32_t head[4];

    memcpy(head, p, sizeof(head));
    if (head[0] <= 12) {
        *out = str_n(p + 4, head[0]);
        return 0;
    }
    if (head[2] >= a->n_views || head[3] > a->views[head[2]].len ||
        head[0] > a->views[head[2]].len - head[3]) {
        return damaged("a text lies outside of its buffer", e);
    }
    *out = str_n(a->views[head[2]].p + head[3], head[0]);
    return 0;
}

int arrow_text(const struct arrow_array *a, const struct arrow_type *t, size_t i, struct str *out,
               struct err *e)
{
    uint64_t from = 0, to = 0;
    size_t width = t->kind == ARROW_LARGE_UTF8 ? 8 : 4;

    if (t->kind == ARROW_UTF8_VIEW) {
        return text_of_view(a, i, out, e);
    }
    memcpy(&from, a->offsets.p + width * i, width);
    memcpy(&to, a->offsets.p + width * (i + 1), width);
    if (from > to || to > a->data.len) {
        return damaged("a text lies outside of its column", e);
    }
    *out = str_n(a->data.p + from, to - from);
    return 0;
}
