/* The features of a model in its file: docs/formats/model.md. */
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* A bit of the count of categories. */
enum { OF_NUMBERS = 0x40000000 };

void features_write(const struct features *f, struct binw *w)
{
    binw_u32(w, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        binw_str(w, str_of(f->names[i]));
    }
    binw_f64s(w, f->fill, f->n);
    binw_u32(w, f->missing_kept);
    for (size_t i = 0; i < f->n; i++) {
        const struct categories *c = &f->categories[i];

        binw_u32(w, c->names ? (uint32_t)c->n | (c->numbers ? OF_NUMBERS : 0) : UINT32_MAX);
        for (size_t k = 0; c->names && k < c->n; k++) {
            binw_str(w, str_of(c->names[k]));
        }
    }
}

static int read_categories(struct binr *r, struct categories *c, struct err *e)
{
    uint32_t n = binr_u32(r);
    double number;

    if (n == UINT32_MAX && !r->bad) {
        return 0;
    }
    c->numbers = n & OF_NUMBERS;
    n &= ~(uint32_t)OF_NUMBERS;
    if (r->bad || n > ML_LIMIT_CATEGORIES) {
        return err_set(e, ERR_DATA, "damaged: a feature has %u categories", n);
    }
    c->names = xnew_array(char *, n + 1);
    for (; c->n < n; c->n++) {
        struct str s = binr_str(r);

        if (r->bad || s.len > ML_LIMIT_NAME_BYTES || str_find_char(s, '\0') >= 0 ||
            (c->numbers && as_parse(AS_REAL, s, &number) < 0)) {
            return err_set(e, ERR_DATA, "damaged: category %zu is no text", c->n);
        }
        c->names[c->n] = str_dup(s);
        if (c->n > 0 && strcmp(c->names[c->n - 1], c->names[c->n]) >= 0) {
            c->n++; /* owned: freed with the others */
            return err_set(e, ERR_DATA, "damaged: the categories are not in order");
        }
    }
    return 0;
}

/* What stands in for a missing value is a number; no category does. */
static int check_fill(const struct features *f, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!isnan(f->fill[i]) && (f->categories[i].names || isinf(f->fill[i]))) {
            return err_set(e, ERR_DATA, "damaged: feature %zu cannot be filled with %g", i,
                           f->fill[i]);
        }
    }
    return 0;
}

/* Version 1 knew numbers only. */
int features_read(struct binr *r, struct features *f, struct err *e)
{
    uint32_t n = binr_u32(r);

    if (r->bad || n > ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "damaged: %u features", n);
    }
    *f = features_new(n);
    for (; f->n < n; f->n++) {
        f->names[f->n] = binr_name(r);
        if (f->names[f->n] == NULL) {
            return err_set(e, ERR_DATA, "damaged: feature %zu has no name", f->n);
        }
    }
    binr_f64s(r, f->fill, n);
    f->missing_kept = r->version > 1 && binr_u32(r) == 1;
    for (size_t i = 0; r->version > 1 && i < n; i++) {
        if (read_categories(r, &f->categories[i], e) < 0) {
            return -1;
        }
    }
    return r->bad ? err_set(e, ERR_DATA, "damaged: it ends inside the features") : check_fill(f, e);
}
