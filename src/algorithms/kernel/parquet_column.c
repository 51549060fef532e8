#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/shared.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_TEXT_BYTES (256 * MIB) /* of texts that a page only hints at */

/* Room for the values of a page. */
struct parquet_work {
    struct parquet_build *b;
    struct parquet_room page;
    size_t cap;
    unsigned char *there; /* levels */
    uint32_t *indexes;    /* codes */
    struct str *texts;
    unsigned char *raw;
    double *dense;
    struct buf scratch;
    /* the dictionary of the chunk: */
    double *entries;
    uint32_t *entry_codes;
    size_t n_entries;
    enum arrow_fit fit;
};

struct parquet_work *parquet_work_new(void)
{
    struct parquet_work *w = xnew(struct parquet_work);

    w->scratch = BUF_MAX(PAGE_TEXT_BYTES);
    return w;
}

void parquet_work_free(struct parquet_work *w)
{
    if (w == NULL) {
        return;
    }
    big_free(w->page.bytes);
    big_free(w->there);
    big_free(w->indexes);
    big_free(w->texts);
    big_free(w->raw);
    big_free(w->dense);
    big_free(w->entries);
    big_free(w->entry_codes);
    buf_done(&w->scratch);
    free(w);
}

static int make_room(struct parquet_work *w, size_t n, struct err *e)
{
    if (n <= w->cap && w->cap > 0) {
        return 0;
    }
    n = n < 1024 ? 1024 : n;
    if (big_resize(&w->there, n / 8 + 1, 1, "a page", e) < 0 ||
        big_resize(&w->indexes, n, sizeof(*w->indexes), "a page", e) < 0 ||
        big_resize(&w->texts, n, sizeof(*w->texts), "a page", e) < 0 ||
        big_resize(&w->raw, n, 16, "a page", e) < 0 ||
        big_resize(&w->dense, n, sizeof(*w->dense), "a page", e) < 0) {
        return -1;
    }
    w->cap = n;
    return 0;
}

/* --- values ------------------------------------------------------------------------------------
 */

static int intern(struct dict *d, struct str s, uint32_t *code, struct err *e)
{
    uint32_t before = d->len;

    if (dict_intern(d, s, code, e) < 0) {
        return -1;
    }
    if (d->len > before && (utf8_check(s) >= 0 || str_find_char(s, '\0') >= 0)) {
        return err_set(e, ERR_DATA, "it holds bytes that are no text (UTF-8 without NUL)");
    }
    return 0;
}

/* "123e4567-e89b-12d3-a456-426614174000" */
static int intern_uuid(struct dict *d, struct str s, uint32_t *code, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    char text[36], *to = text;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = digits[(unsigned char)s.p[i] >> 4];
        *to++ = digits[s.p[i] & 15];
    }
    return intern(d, str_n(text, sizeof(text)), code, e);
}

static int texts_to_codes(struct parquet_work *w, const struct parquet_page *p, size_t n,
                          uint32_t *codes, struct err *e)
{
    const struct parquet_column *c = w->b->column;

    if (parquet_texts(c, p, n, w->texts, &w->scratch, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if ((c->uuid ? intern_uuid(w->b->dict, w->texts[i], &codes[i], e)
                     : intern(w->b->dict, w->texts[i], &codes[i], e)) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_double(const struct parquet_column *c)
{
    return c->type.kind == ARROW_FLOAT && c->type.bits == 64;
}

/* n values of a page, none missing, as numbers or, in a column of text, as codes. */
static int decode(struct parquet_work *w, const struct parquet_page *p, size_t n, double *numbers,
                  uint32_t *codes, struct err *e)
{
    const struct parquet_column *c = w->b->column;
    struct arrow_array a = {.n = n};
    enum arrow_fit fit;

    if (c->text) {
        return texts_to_codes(w, p, n, codes, e);
    }
    if (parquet_numbers(c, p, n, w->texts, &w->scratch, w->raw, &a.data, e) < 0) {
        return -1;
    }
    if (numbers && is_double(c) && !w->b->text) {
        memcpy(numbers, a.data.p, n * sizeof(*numbers));
        return 0;
    }
    if (!w->b->text) {
        fit = arrow_numbers(&a, &c->type, c->as, numbers);
        w->fit = fit > w->fit ? fit : w->fit;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        char text[AS_TEXT_BYTES];

        if (intern(w->b->dict, str_of(arrow_number_text(&a, &c->type, i, text)), &codes[i], e) <
            0) {
            return -1;
        }
    }
    return 0;
}

static int take_dictionary(struct parquet_work *w, const struct parquet_page *p, struct err *e)
{
    if (p->n / 8 > p->values.len) { /* before memory is taken for them */
        return err_set(e, ERR_DATA, "damaged: a dictionary has fewer values than it says");
    }
    if (make_room(w, p->n, e) < 0 ||
        (w->b->text ? big_resize(&w->entry_codes, p->n, sizeof(uint32_t), "a dictionary", e)
                    : big_resize(&w->entries, p->n, sizeof(double), "a dictionary", e)) < 0) {
        return -1;
    }
    w->n_entries = p->n;
    return decode(w, p, p->n, w->entries, w->entry_codes, e);
}

/* A byte says how many bits an index has; then runs. */
static int decode_indexes(struct parquet_work *w, const struct parquet_page *p, size_t n,
                          double *numbers, uint32_t *codes, struct err *e)
{
    struct parquet_runs r;

    if (n == 0) {
        return 0;
    }
    parquet_runs_init(&r, str_from(p->values, 1),
                      p->values.len > 0 ? (unsigned char)p->values.p[0] : 33);
    if (parquet_runs_get(&r, w->indexes, n) < 0) {
        return err_set(e, ERR_DATA, "damaged: a page has fewer values than it says");
    }
    for (size_t i = 0; i < n; i++) {
        if (w->indexes[i] >= w->n_entries) {
            return err_set(e, ERR_DATA, "damaged: a value is not in the dictionary");
        }
        if (codes) {
            codes[i] = w->entry_codes[w->indexes[i]];
        } else if (numbers) {
            numbers[i] = w->entries[w->indexes[i]];
        }
    }
    return 0;
}

/* --- pages ---------------------------------------------------------------------------------------
 */

/* The dense values to the rows that have one. */
static void spread(struct parquet_work *w, size_t n, size_t at)
{
    if (w->b->text) {
        parquet_spread_codes(w->b->codes + at, w->indexes, w->there, n);
    } else {
        parquet_spread_numbers(w->b->numbers + at, w->dense, w->there, n);
    }
}

/* The commonest: numbers as they are stored, straight from the page to their rows. */
static int spread_plain(struct parquet_work *w, const struct parquet_page *p, size_t n, size_t at,
                        struct err *e)
{
    if (p->values.len / sizeof(double) < n) {
        return err_set(e, ERR_DATA, "damaged: a page has fewer values than it says");
    }
    parquet_spread_numbers(w->b->numbers + at, p->values.p, w->there, p->n);
    return 0;
}

static int take_page(struct parquet_work *w, const struct parquet_page *p, size_t at, struct err *e)
{
    struct parquet_build *b = w->b;
    bool indexed =
        p->encoding == PARQUET_ENC_PLAIN_DICTIONARY || p->encoding == PARQUET_ENC_RLE_DICTIONARY;
    size_t n = p->n;
    double *numbers = b->text ? NULL : w->dense;
    uint32_t *codes = b->text ? w->indexes : NULL;

    if (p->levels.p && parquet_levels(p, w->there, &n, e) < 0) {
        return -1;
    }
    if (n < p->n && !b->text && p->encoding == PARQUET_ENC_PLAIN && is_double(b->column) &&
        b->column->stored == PARQUET_DOUBLE) {
        return spread_plain(w, p, n, at, e);
    }
    if (n == p->n) { /* where they belong */
        numbers = b->numbers ? b->numbers + at : NULL;
        codes = b->codes ? b->codes + at : NULL;
    }
    if ((indexed ? decode_indexes(w, p, n, numbers, codes, e)
                 : decode(w, p, n, numbers, codes, e)) < 0) {
        return -1;
    }
    if (n < p->n) {
        spread(w, p->n, at);
    }
    return 0;
}

/* The chunk of a row group, whose rows begin at `at`. */
static int take_chunk(struct parquet_work *w, size_t group, size_t at, struct err *e)
{
    const struct parquet_file *f = w->b->file;
    size_t end = at + f->group_rows[group];
    struct parquet_pages pages;
    struct parquet_page p;
    int rc;

    w->n_entries = 0;
    parquet_pages_init(&pages, f, w->b->column, group, &w->page);
    while ((rc = parquet_next_page(&pages, &p, e)) > 0) {
        if (p.dictionary) {
            rc = take_dictionary(w, &p, e);
        } else if (p.n > end - at) {
            rc = err_set(e, ERR_DATA, "damaged: a column has more values than its row group");
        } else {
            rc = make_room(w, p.n, e) < 0 ? -1 : take_page(w, &p, at, e);
            at += p.n;
        }
        if (rc < 0) {
            break;
        }
    }
    if (rc == 0 && at != end) {
        return err_set(e, ERR_DATA, "damaged: a column has fewer values than its row group");
    }
    return rc;
}

static int take_all(struct parquet_work *w, struct err *e)
{
    struct parquet_build *b = w->b;
    size_t at = 0;

    b->numbers = NULL;
    b->codes = NULL;
    if (b->text) {
        b->dict = dict_new();
        b->codes = b->place;
    } else {
        b->numbers = b->place;
    }
    for (size_t i = 0; i < b->file->n_groups; i++) {
        if (take_chunk(w, i, at, e) < 0) {
            return -1;
        }
        at += b->file->group_rows[i];
    }
    if (b->text) {
        dict_seal(b->dict);
    }
    return 0;
}

void parquet_build_done(struct parquet_build *b)
{
    shared_unref(b->data);
    dict_free(b->dict);
    b->data = NULL;
    b->dict = NULL;
}

void parquet_build(struct parquet_build *b, struct parquet_work *w)
{
    w->b = b;
    w->fit = ARROW_FITS;
    b->text = b->column->text;
    b->rc = take_all(w, &b->err);
    if (b->rc == 0 && w->fit != ARROW_FITS && !b->text) { /* once more, as text */
        b->text = true;
        b->rc = take_all(w, &b->err);
    }
    if (b->rc < 0) {
        err_wrap(&b->err, "column '%.*s'", STR_ARG(str_first(b->column->name, 60)));
    }
}
