#include "algorithms/kernel/labels.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void classes_done(struct classes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->names[i]);
    }
    free(c->names);
    free(c->values);
    *c = (struct classes){0};
}

static int too_many(const struct column *label, struct err *e)
{
    return err_set(e, ERR_DATA,
                   "label column '%s' has more than %d different values: is it a quantity rather "
                   "than a class?",
                   label->name, ML_LIMIT_CLASSES);
}

/* Position of v among n sorted values, or where it would go. */
static size_t lower_bound(const double *values, size_t n, double v)
{
    size_t low = 0;

    while (n > 0) {
        size_t half = n / 2;

        if (values[low + half] < v) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

static int number_classes(const struct column *label, size_t n_rows, struct classes *c,
                          struct err *e)
{
    c->values = xnew_array(double, ML_LIMIT_CLASSES + 1);
    for (size_t r = 0; r < n_rows; r++) {
        double v = label->numbers[r] + 0.0; /* -0 is 0 */
        size_t at;

        if (isnan(v)) {
            continue;
        }
        at = lower_bound(c->values, c->n, v);
        if (at < c->n && c->values[at] == v) {
            continue;
        }
        if (c->n == ML_LIMIT_CLASSES) {
            c->n = 0; /* no names yet */
            return too_many(label, e);
        }
        memmove(c->values + at + 1, c->values + at, (c->n - at) * sizeof(double));
        c->values[at] = v;
        c->n++;
    }
    c->names = xnew_array(char *, c->n + 1);
    for (size_t i = 0; i < c->n; i++) {
        char text[AS_TEXT_BYTES];

        c->names[i] = xstrdup(as_format(c->as, c->values[i], text));
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int text_classes(const struct column *label, size_t n_rows, struct classes *c, struct err *e)
{
    SCOPED(big_freep)
    unsigned char *used = big_alloc(label->dict->len, 1, "the classes of the label", e);

    if (used == NULL) {
        return -1;
    }
    for (size_t r = 0; r < n_rows; r++) {
        if (label->codes[r] != DICT_MISSING) {
            used[label->codes[r]] = 1;
        }
    }
    c->names = xnew_array(char *, ML_LIMIT_CLASSES);
    for (uint32_t i = 0; i < label->dict->len; i++) {
        struct str text = dict_text(label->dict, i);

        if (!used[i]) {
            continue;
        }
        if (c->n == ML_LIMIT_CLASSES) {
            return too_many(label, e);
        }
        if (text.len > ML_LIMIT_NAME_BYTES) {
            return err_set(e, ERR_DATA,
                           "label column '%s' holds a text of %zu bytes; a class name "
                           "has at most %d",
                           label->name, text.len, ML_LIMIT_NAME_BYTES);
        }
        if (str_find_char(text, '\0') >= 0) {
            return err_set(e, ERR_DATA,
                           "label column '%s' holds a text with a NUL, which is no class name",
                           label->name);
        }
        c->names[c->n++] = str_dup(text);
    }
    qsort(c->names, c->n, sizeof(*c->names), compare_names);
    return 0;
}

static uint32_t find_name(const struct classes *c, struct str name)
{
    size_t low = 0, n = c->n;

    while (n > 0) {
        size_t half = n / 2;
        int order = str_cmp(str_of(c->names[low + half]), name);

        if (order == 0) {
            return (uint32_t)(low + half);
        }
        if (order < 0) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return CLASS_UNKNOWN;
}

static uint32_t class_of_number(const struct classes *c, enum column_as as, double v)
{
    char text[AS_TEXT_BYTES];
    size_t at;

    if (isnan(v)) {
        return CLASS_MISSING;
    }
    if (c->kind == COLUMN_TEXT) {
        return find_name(c, str_of(as_format(as, v, text)));
    }
    at = lower_bound(c->values, c->n, v);
    return at < c->n && c->values[at] == v ? (uint32_t)at : CLASS_UNKNOWN;
}

static uint32_t class_of_text(const struct classes *c, struct str s)
{
    double v;

    if (c->kind == COLUMN_TEXT) {
        return find_name(c, s);
    }
    return as_parse(c->as, s, &v) == 0 || number_parse(s, &v) == 0 ? class_of_number(c, c->as, v)
                                                                   : CLASS_UNKNOWN;
}

static int encode_texts(const struct classes *c, const struct column *label, size_t n_rows,
                        uint32_t *of_row, struct err *e)
{
    SCOPED(big_freep)
    uint32_t *of_code =
        big_alloc(label->dict->len, sizeof(*of_code), "the classes of the label", e);

    if (of_code == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < label->dict->len; i++) {
        of_code[i] = class_of_text(c, dict_text(label->dict, i));
    }
    for (size_t r = 0; r < n_rows; r++) {
        of_row[r] = label->codes[r] == DICT_MISSING ? CLASS_MISSING : of_code[label->codes[r]];
    }
    return 0;
}

uint32_t *classes_encode(const struct classes *c, const struct column *label, size_t n_rows,
                         struct err *e)
{
    SCOPED(big_freep)
    uint32_t *of_row = big_alloc(n_rows, sizeof(*of_row), "the classes of the label", e);

    if (of_row && label->kind == COLUMN_TEXT && encode_texts(c, label, n_rows, of_row, e) < 0) {
        return NULL;
    }
    for (size_t r = 0; of_row && label->kind == COLUMN_NUMBER && r < n_rows; r++) {
        of_row[r] = class_of_number(c, label->as, label->numbers[r]);
    }
    return TAKE(of_row);
}

int classes_of(const struct column *label, size_t n_rows, struct classes *c, uint32_t **of_row,
               struct err *e)
{
    *c = (struct classes){.kind = label->kind, .as = label->as};
    if ((label->kind == COLUMN_NUMBER ? number_classes(label, n_rows, c, e)
                                      : text_classes(label, n_rows, c, e)) < 0) {
        classes_done(c);
        return -1;
    }
    *of_row = classes_encode(c, label, n_rows, e);
    if (*of_row == NULL) {
        classes_done(c);
        return -1;
    }
    return 0;
}

void classes_write(const struct classes *c, struct binw *w)
{
    binw_u32(w, c->kind | (uint32_t)c->as << 8);
    binw_u32(w, (uint32_t)c->n);
    for (size_t i = 0; i < c->n; i++) {
        binw_str(w, str_of(c->names[i]));
    }
    if (c->kind == COLUMN_NUMBER) {
        binw_f64s(w, c->values, c->n);
    }
}

static bool in_order(const struct classes *c)
{
    for (size_t i = 1; i < c->n; i++) {
        if (c->kind == COLUMN_NUMBER ? !(c->values[i - 1] < c->values[i])
                                     : strcmp(c->names[i - 1], c->names[i]) >= 0) {
            return false;
        }
    }
    return true;
}

int classes_read(struct binr *r, struct classes *c, struct err *e)
{
    uint32_t both = binr_u32(r), n = binr_u32(r), kind = both & 0xff, as = both >> 8;

    *c = (struct classes){.kind = kind == COLUMN_NUMBER ? COLUMN_NUMBER : COLUMN_TEXT};
    if (r->bad || n < 2 || n > ML_LIMIT_CLASSES || (kind != COLUMN_NUMBER && kind != COLUMN_TEXT) ||
        as > AS_TIME) {
        return err_set(e, ERR_DATA, "damaged: %u classes of kind %u", n, both);
    }
    c->as = (enum column_as)as;
    c->names = xnew_array(char *, n + 1);
    for (; c->n < n; c->n++) {
        struct str s = binr_str(r);

        if (r->bad || s.len > ML_LIMIT_NAME_BYTES || str_find_char(s, '\0') >= 0) {
            return err_set(e, ERR_DATA, "damaged: class %zu has no name", c->n);
        }
        c->names[c->n] = str_dup(s);
    }
    c->values = xnew_array(double, n + 1);
    if (kind == COLUMN_NUMBER) {
        binr_f64s(r, c->values, n);
    }
    if (r->bad || !in_order(c)) {
        return err_set(e, ERR_DATA, "damaged: the classes are not in order");
    }
    return 0;
}
