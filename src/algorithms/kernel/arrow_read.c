#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values that are being gathered: a column, or the entries of its dictionary. */
struct values {
    double *numbers; /* or */
    uint32_t *codes; /* into the column's texts */
    size_t n, cap;
};

/* A column that is being converted. */
struct building {
    struct arrow_file *file;
    const struct arrow_field *field;
    bool text;
    enum column_as as;
    struct dict *dict;
    struct values rows, entries;
    enum arrow_fit fit; /* whether another pass as another type is needed */
};

static void building_done(struct building *b)
{
    big_free(b->rows.numbers);
    big_free(b->rows.codes);
    big_free(b->entries.numbers);
    big_free(b->entries.codes);
    dict_free(b->dict);
    b->rows = b->entries = (struct values){0};
    b->dict = NULL;
}

static int make_room(const struct building *b, struct values *v, size_t more, struct err *e)
{
    size_t need = v->n + more, cap = need + (v->n > 0 ? need / 2 : 0);

    if (need <= v->cap && v->cap > 0) {
        return 0;
    }
    if ((b->text ? big_resize_column(&v->codes, cap, sizeof(*v->codes), "the table", e)
                 : big_resize_column(&v->numbers, cap, sizeof(*v->numbers), "the table", e)) < 0) {
        return -1;
    }
    v->cap = cap;
    return 0;
}

static int check_text(struct str s, struct err *e)
{
    if (utf8_check(s) >= 0 || str_find_char(s, '\0') >= 0) {
        return err_set(e, ERR_DATA, "it holds a text that is no UTF-8, or has a NUL byte");
    }
    return 0;
}

/* --- conversion ------------------------------------------------------------------------------- */

static int intern(struct building *b, struct str s, uint32_t *code, struct err *e)
{
    uint32_t before = b->dict->len;

    if (dict_intern(b->dict, s, code, e) < 0) {
        return -1;
    }
    return b->dict->len > before ? check_text(s, e) : 0;
}

static int add_texts(struct building *b, const struct arrow_array *a, uint32_t *codes,
                     struct err *e)
{
    const struct arrow_type *t = &b->field->type;

    for (size_t i = 0; i < a->n; i++) {
        char text[AS_TEXT_BYTES];
        struct str s;

        codes[i] = DICT_MISSING;
        if (t->kind == ARROW_NULL || !arrow_is_valid(a, i)) {
            continue;
        }
        if (!arrow_is_text(t)) {
            s = str_of(arrow_number_text(a, t, i, text));
        } else if (arrow_text(a, t, i, &s, e) < 0) {
            return -1;
        }
        if (intern(b, s, &codes[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The values of an array behind those that `v` has. */
static int add_values(struct building *b, struct values *v, const struct arrow_batch *batch,
                      size_t node, size_t buffer, size_t variadic, struct err *e)
{
    const struct arrow_type *t = &b->field->type;
    struct arrow_array a;
    int rc = arrow_array_get(&a, batch, t, node, buffer, variadic, e);

    if (rc == 0) {
        rc = make_room(b, v, a.n, e);
    }
    if (rc == 0 && b->text) {
        rc = add_texts(b, &a, v->codes + v->n, e);
    } else if (rc == 0) {
        enum arrow_fit fit = arrow_numbers(&a, t, b->as, v->numbers + v->n);

        b->fit = fit > b->fit ? fit : b->fit;
    }
    v->n += rc == 0 ? a.n : 0;
    arrow_array_done(&a);
    return rc;
}

/* Entry `code` of the dictionary becomes row `to`. */
static int take_entry(struct building *b, uint64_t code, size_t to, struct err *e)
{
    if (code >= b->entries.n) {
        return err_set(e, ERR_DATA, "damaged: row %zu is not in the dictionary", to + 1);
    }
    if (b->rows.codes && b->entries.codes) {
        b->rows.codes[to] = b->entries.codes[code];
    } else if (b->rows.numbers && b->entries.numbers) {
        b->rows.numbers[to] = b->entries.numbers[code];
    }
    return 0;
}

static uint64_t index_at(const struct arrow_array *a, const struct arrow_type *t, size_t i)
{
    size_t width = t->bits / 8;
    uint64_t v = 0;

    memcpy(&v, a->data.p + width * i, width); /* a negative one is too large: entries are fewer */
    return v;
}

static int add_indexed(struct building *b, const struct arrow_batch *batch, struct err *e)
{
    const struct arrow_field *field = b->field;
    struct values *v = &b->rows;
    struct arrow_array a;
    int rc =
        arrow_array_get(&a, batch, &field->index, field->node, field->buffer, field->variadic, e);

    if (rc == 0) {
        rc = make_room(b, v, a.n, e);
    }
    for (size_t i = 0; rc == 0 && i < a.n; i++, v->n++) {
        if (arrow_is_valid(&a, i)) {
            rc = take_entry(b, index_at(&a, &field->index, i), v->n, e);
        } else if (v->codes) {
            v->codes[v->n] = DICT_MISSING;
        } else if (v->numbers) {
            v->numbers[v->n] = NAN;
        }
    }
    arrow_array_done(&a);
    return rc;
}

/* Every batch in the order of the file: a dictionary holds for the record batches behind it. */
static int convert(struct building *b, struct err *e)
{
    const struct arrow_field *field = b->field;

    b->dict = dict_new();
    b->fit = ARROW_FITS;
    if (make_room(b, &b->rows, b->file->n_rows, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < b->file->n_batches; i++) {
        const struct arrow_batch *batch = &b->file->batches[i];
        int rc = 0;

        if (!batch->is_dictionary) {
            rc = field->has_dictionary ? add_indexed(b, batch, e)
                                       : add_values(b, &b->rows, batch, field->node, field->buffer,
                                                    field->variadic, e);
        } else if (field->has_dictionary && batch->id == field->dictionary) {
            b->entries.n = batch->is_delta ? b->entries.n : 0;
            rc = add_values(b, &b->entries, batch, 0, 0, 0, e);
        }
        if (rc < 0) {
            return -1;
        }
    }
    dict_seal(b->dict);
    return 0;
}

static int put(struct building *b, struct table *t, struct err *e)
{
    void *big = b->text ? (void *)b->rows.codes : (void *)b->rows.numbers;
    struct shared *data = shared_of_big(big);
    struct column *c = b->text ? table_put_text(t, b->field->name, big, data, b->dict, e)
                               : table_put_numbers(t, b->field->name, big, data, e);

    b->rows = (struct values){0};
    shared_unref(data);
    if (c) {
        c->as = b->text ? AS_REAL : b->as;
    }
    return c ? 0 : -1;
}

static int convert_column(struct arrow_file *f, const struct arrow_field *field, struct table *t,
                          struct err *e)
{
    SCOPED(building_done)
    struct building b = {.file = f,
                         .field = field,
                         .text = arrow_is_text(&field->type),
                         .as = arrow_as(&field->type)};

    for (;;) {
        if (convert(&b, e) < 0) {
            return -1;
        }
        if (b.fit == ARROW_FITS || b.text) {
            return put(&b, t, e);
        }
        b.text = b.fit == ARROW_NEEDS_TEXT;
        b.as = b.fit == ARROW_NEEDS_TIME ? AS_TIME : b.as;
        building_done(&b);
    }
}

/* --- where they lie -----------------------------------------------------------------------------
 */

static bool aligned(struct str s, size_t to)
{
    return (uintptr_t)s.p % to == 0;
}

/* The one batch of rows, or the one dictionary; NULL when there is none or another, or when its
 * buffers must be unpacked. */
static const struct arrow_batch *only_batch(const struct arrow_file *f, bool dictionary, int64_t id)
{
    const struct arrow_batch *found = NULL;

    for (size_t i = 0; i < f->n_batches; i++) {
        const struct arrow_batch *b = &f->batches[i];

        if (b->is_dictionary == dictionary && (!dictionary || b->id == id)) {
            if (found || b->codec >= 0) {
                return NULL;
            }
            found = b;
        }
    }
    return found;
}

/* Missing values must be NaN already. */
static bool missing_are_nan(const struct arrow_array *a, const double *numbers)
{
    for (size_t i = 0; a->valid.len > 0 && i < a->n; i++) {
        if (!arrow_is_valid(a, i) && !isnan(numbers[i])) {
            return false;
        }
    }
    return true;
}

/* 1: done, 0: the column must be converted. */
static int numbers_in_place(struct arrow_file *f, const struct arrow_field *field, struct table *t,
                            struct err *e)
{
    const struct arrow_batch *b = only_batch(f, false, 0);
    struct arrow_array a;
    const double *numbers;

    if (b == NULL || field->has_dictionary || field->type.kind != ARROW_FLOAT ||
        field->type.bits != 64) {
        return 0;
    }
    if (arrow_array_get(&a, b, &field->type, field->node, field->buffer, field->variadic, e) < 0) {
        return -1;
    }
    numbers = (const double *)(const void *)a.data.p;
    if (!aligned(a.data, sizeof(double)) || !missing_are_nan(&a, numbers)) {
        return 0;
    }
    return table_put_numbers(t, field->name, numbers, f->keep, e) ? 1 : -1;
}

/* The dictionary of a column as it lies in the file, *out; NULL when it must be converted. */
static int texts_in_place(struct arrow_file *f, const struct arrow_field *field, struct dict **out,
                          struct err *e)
{
    const struct arrow_batch *b = only_batch(f, true, field->dictionary);
    SCOPED(dict_freep) struct dict *d = NULL;
    struct arrow_array a;
    struct str s;
    int distinct;

    *out = NULL;
    if (b == NULL || b->n_rows == 0 || b->n_rows >= DICT_MISSING) {
        return 0;
    }
    if (arrow_array_get(&a, b, &field->type, 0, 0, 0, e) < 0 ||
        arrow_text(&a, &field->type, 0, &s, e) < 0) {
        return -1;
    }
    if (a.valid.len > 0 || s.p != a.data.p || !aligned(a.offsets, sizeof(uint64_t))) {
        return 0;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (arrow_text(&a, &field->type, i, &s, e) < 0 || check_text(s, e) < 0) {
            return -1;
        }
    }
    d = dict_of(f->keep, a.data.p, (const uint64_t *)(const void *)a.offsets.p + 1, (uint32_t)a.n);
    distinct = dict_is_distinct(d, e);
    *out = distinct > 0 ? TAKE(d) : NULL;
    return distinct < 0 ? -1 : 0;
}

/* The codes of a column: in place when none is missing, else a copy with DICT_MISSING. */
static int put_codes(struct arrow_file *f, const struct arrow_field *field,
                     const struct arrow_array *a, struct dict *d, struct table *t, struct err *e)
{
    const uint32_t *codes = (const uint32_t *)(const void *)a->data.p;
    struct column *c;

    for (size_t i = 0; i < a->n; i++) {
        if (arrow_is_valid(a, i) && codes[i] >= d->len) {
            return err_set(e, ERR_DATA, "damaged: row %zu is not in the dictionary", i + 1);
        }
    }
    if (a->valid.len == 0) {
        return table_put_text(t, field->name, codes, f->keep, d, e) ? 0 : -1;
    }
    c = table_add_text(t, field->name, dict_ref(d), e);
    if (c == NULL) {
        dict_free(d);
        return -1;
    }
    for (size_t i = 0; i < a->n; i++) {
        c->codes[i] = arrow_is_valid(a, i) ? codes[i] : DICT_MISSING;
    }
    return 0;
}

static int codes_in_place(struct arrow_file *f, const struct arrow_field *field, struct table *t,
                          struct err *e)
{
    const struct arrow_batch *b = only_batch(f, false, 0);
    SCOPED(dict_freep) struct dict *d = NULL;
    struct arrow_array a;

    if (b == NULL || !field->has_dictionary || field->type.kind != ARROW_LARGE_UTF8 ||
        field->index.bits != 32) {
        return 0;
    }
    if (arrow_array_get(&a, b, &field->index, field->node, field->buffer, field->variadic, e) < 0 ||
        texts_in_place(f, field, &d, e) < 0) {
        return -1;
    }
    if (d == NULL || !aligned(a.data, sizeof(uint32_t))) {
        return 0;
    }
    return put_codes(f, field, &a, d, t, e) < 0 ? -1 : 1;
}

int arrow_read_column(struct arrow_file *f, const struct arrow_field *field, struct table *t,
                      struct err *e)
{
    int done = numbers_in_place(f, field, t, e);

    if (done == 0) {
        done = codes_in_place(f, field, t, e);
    }
    if (done == 0) {
        done = convert_column(f, field, t, e);
    }
    return done < 0 ? -1 : 0;
}
