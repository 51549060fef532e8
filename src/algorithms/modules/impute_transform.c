#include "algorithms/modules/impute.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct filling *filling_new(char **columns, size_t n, unsigned indicator)
{
    struct filling *x = xnew(struct filling);

    *x = (struct filling){columns, xnew_array(struct fill, n + 1), n, indicator};
    return x;
}

void filling_free(void *body)
{
    struct filling *x = body;

    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        free(x->fills[i].text);
    }
    fitted_free(x->columns, x->n);
    free(x->fills);
    free(x);
}

static void filling_freep(struct filling **x)
{
    filling_free(*x);
}

static int add_indicator(struct table *out, const struct column *c, struct err *e)
{
    SCOPED(freep) char *name = xasprintf("%s_missing", c->name);
    struct column *to = table_add_numbers(out, str_of(name), e);

    if (to) {
        to->as = AS_INT;
    }
    for (size_t r = 0; to && r < out->n_rows; r++) {
        to->numbers[r] =
            c->kind == COLUMN_TEXT ? c->codes[r] == DICT_MISSING : isnan(c->numbers[r]);
    }
    return to ? 0 : err_wrap(e, "indicator");
}

/* What the column means with the number in it: 2.5 makes a column of whole numbers real. */
static enum column_as fill_as(enum column_as as, double number)
{
    return as_holds(as, number) ? as : AS_REAL;
}

static int fill_numbers(struct table *out, const struct column *c, double number, struct err *e)
{
    struct column *to = table_add_numbers(out, str_of(c->name), e);

    if (to) {
        to->as = fill_as(c->as, number);
    }
    for (size_t r = 0; to && r < out->n_rows; r++) {
        to->numbers[r] = isnan(c->numbers[r]) ? number : c->numbers[r];
    }
    return to ? 0 : -1;
}

static int fill_text(struct table *out, const struct column *c, const char *text, struct err *e)
{
    SCOPED(dict_freep) struct dict *dict = dict_copy(c->dict, e);
    uint32_t code = 0;
    struct column *to;

    if (dict == NULL || dict_intern(dict, str_of(text), &code, e) < 0) {
        return -1;
    }
    dict_seal(dict);
    to = table_add_text(out, str_of(c->name), dict, e);
    if (to == NULL) {
        return -1;
    }
    (void)TAKE(dict);
    for (size_t r = 0; r < out->n_rows; r++) {
        to->codes[r] = c->codes[r] == DICT_MISSING ? code : c->codes[r];
    }
    return 0;
}

/* Columns in place, indicators behind all of them. */
static struct table *filling_apply(const void *body, const struct table *t, struct err *e)
{
    const struct filling *x = body;
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    SCOPED(map_done) struct map index = fitted_index(x->columns, x->n);

    for (size_t i = 0; i < x->n; i++) {
        if (fitted_need(t, x->columns[i], x->fills[i].kind, e) == NULL) {
            return NULL;
        }
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        size_t at = (size_t)map_get(&index, str_of(c->name));
        const struct fill *f = at > 0 ? &x->fills[at - 1] : NULL;

        if ((f == NULL                ? table_add_copy(out, c, e)
             : f->kind == COLUMN_TEXT ? fill_text(out, c, f->text, e)
                                      : fill_numbers(out, c, f->number, e)) < 0) {
            return NULL;
        }
    }
    for (size_t i = 0; x->indicator && i < x->n; i++) {
        if (add_indicator(out, table_column(t, str_of(x->columns[i])), e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

static void filling_write(const void *body, struct binw *w)
{
    const struct filling *x = body;

    fitted_write(x->columns, x->n, w);
    binw_u32(w, x->indicator);
    for (size_t i = 0; i < x->n; i++) {
        binw_u32(w, x->fills[i].kind);
        if (x->fills[i].kind == COLUMN_TEXT) {
            binw_str(w, str_of(x->fills[i].text));
        } else {
            binw_f64(w, x->fills[i].number);
        }
    }
}

static int read_fill(struct binr *r, struct fill *f, struct err *e)
{
    uint32_t kind = binr_u32(r);
    struct str text = STR_EMPTY;

    f->kind = kind == COLUMN_TEXT ? COLUMN_TEXT : COLUMN_NUMBER;
    if (kind == COLUMN_TEXT) {
        text = binr_str(r);
        f->text = r->bad ? NULL : str_dup(text);
    } else {
        f->number = binr_f64(r);
    }
    if (r->bad || (kind != COLUMN_TEXT && kind != COLUMN_NUMBER) || isnan(f->number) ||
        text.len > ML_LIMIT_CELL_BYTES || str_find_char(text, '\0') >= 0) {
        return err_set(e, ERR_DATA, "damaged: a transform fills with no value");
    }
    return 0;
}

static void *filling_read(struct binr *r, struct err *e)
{
    size_t n = 0;
    char **columns = fitted_read(r, &n, e);
    SCOPED(filling_freep) struct filling *x = NULL;

    if (columns == NULL) {
        return NULL;
    }
    x = filling_new(columns, n, binr_u32(r) == 1);
    for (size_t i = 0; i < n; i++) {
        if (read_fill(r, &x->fills[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

const struct transform_type transform_impute = {
    .kind = 50,
    .module = "impute",
    .apply = filling_apply,
    .write = filling_write,
    .read = filling_read,
    .free = filling_free,
};
