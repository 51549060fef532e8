#include "algorithms/kernel/cells.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum cells_kind { CELLS_NONE, CELLS_NUMBERS, CELLS_BOOLS, CELLS_TEXTS };

struct cells_of {
    char *name;
    enum cells_kind kind;
    bool has_fraction; /* some number is not written as a whole one */
    bool is_text;      /* said by the user */
    double *numbers;   /* NUMBERS, BOOLS */
    uint32_t *codes;   /* TEXTS */
    struct dict *dict;
    size_t n, cap; /* rows that have a value; those after them are missing */
};

struct cells {
    struct cells_of *of;
    size_t n, n_rows;
    struct map names; /* -> index + 1 */
};

static const char WHAT[] = "the table";

struct cells *cells_new(void)
{
    return xnew(struct cells);
}

static void drop_values(struct cells_of *of)
{
    big_free(of->numbers);
    big_free(of->codes);
    dict_free(of->dict);
    of->numbers = NULL;
    of->codes = NULL;
    of->dict = NULL;
}

void cells_free(struct cells *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        drop_values(&c->of[i]);
        free(c->of[i].name);
    }
    free(c->of);
    map_done(&c->names);
    free(c);
}

size_t cells_columns(const struct cells *c)
{
    return c->n;
}

size_t cells_rows(const struct cells *c)
{
    return c->n_rows;
}

const char *cells_name(const struct cells *c, size_t column)
{
    return c->of[column].name;
}

bool cells_is_set(const struct cells *c, size_t column)
{
    return c->of[column].n > c->n_rows;
}

bool cells_is_text(const struct cells *c, size_t column)
{
    return c->of[column].is_text;
}

bool cells_has_text(const struct cells *c, size_t column)
{
    return c->of[column].kind == CELLS_TEXTS;
}

static int add_column(struct cells *c, struct str name, struct err *e)
{
    if (c->n == ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "a table has at most %d columns", ML_LIMIT_COLUMNS);
    }
    if (name.len == 0 || name.len > ML_LIMIT_NAME_BYTES || str_find_char(name, '\0') >= 0) {
        return err_set(e, ERR_DATA, "a column name has 1 to %d bytes and no NUL",
                       ML_LIMIT_NAME_BYTES);
    }
    if ((c->n & (c->n - 1)) == 0) {
        c->of = xrealloc(c->of, (c->n ? c->n * 2 : 1) * sizeof(*c->of));
    }
    c->of[c->n++] = (struct cells_of){.name = str_dup(name)};
    (void)map_put(&c->names, name, (void *)c->n);
    return 0;
}

int cells_column(struct cells *c, struct str name, size_t hint, size_t *column, struct err *e)
{
    size_t at;

    if (hint < c->n && str_eq_c(name, c->of[hint].name)) {
        *column = hint;
        return 0;
    }
    at = (size_t)map_get(&c->names, name);
    if (at == 0) {
        if (add_column(c, name, e) < 0) {
            return -1;
        }
        at = c->n;
    }
    *column = at - 1;
    return 0;
}

void cells_drop_columns(struct cells *c, size_t first)
{
    while (c->n > first) {
        struct cells_of *of = &c->of[--c->n];

        (void)map_del(&c->names, str_of(of->name));
        drop_values(of);
        free(of->name);
        *of = (struct cells_of){0};
    }
}

void cells_keep_text(struct cells *c, size_t column)
{
    c->of[column].is_text = true;
}

/* --- values ----------------------------------------------------------------------------------- */

/* Room for the current row, and missing values up to it. */
static int reach(struct cells *c, struct cells_of *of, struct err *e)
{
    if (c->n_rows >= of->cap) {
        size_t cap = c->n_rows + c->n_rows / 4 + 64;
        int rc = of->kind == CELLS_TEXTS ? big_resize(&of->codes, cap, sizeof(*of->codes), WHAT, e)
                                         : big_resize(&of->numbers, cap, sizeof(double), WHAT, e);

        if (rc < 0) {
            return -1;
        }
        of->cap = cap;
    }
    for (; of->n < c->n_rows; of->n++) {
        if (of->kind == CELLS_TEXTS) {
            of->codes[of->n] = DICT_MISSING;
        } else {
            of->numbers[of->n] = NAN;
        }
    }
    return 0;
}

static int text_of_number(struct cells_of *of, double v, uint32_t *code, struct err *e)
{
    char text[AS_TEXT_BYTES];

    if (isnan(v)) {
        *code = DICT_MISSING;
        return 0;
    }
    (void)as_format(of->kind == CELLS_BOOLS ? AS_BOOL : AS_REAL, v, text);
    return dict_intern(of->dict, str_of(text), code, e);
}

/* What the column holds so far becomes text. */
static int turn_to_text(struct cells_of *of, struct err *e)
{
    if (of->kind == CELLS_TEXTS) {
        return 0;
    }
    of->dict = dict_new();
    if (of->cap > 0 && big_resize(&of->codes, of->cap, sizeof(*of->codes), WHAT, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < of->n; r++) {
        if (text_of_number(of, of->numbers[r], &of->codes[r], e) < 0) {
            return -1;
        }
    }
    big_free(of->numbers);
    of->numbers = NULL;
    of->kind = CELLS_TEXTS;
    return 0;
}

static int put_text(struct cells *c, struct cells_of *of, struct str s, struct err *e)
{
    if (turn_to_text(of, e) < 0 || reach(c, of, e) < 0 ||
        dict_intern(of->dict, s, &of->codes[of->n], e) < 0) {
        return -1;
    }
    of->n++;
    return 0;
}

static int put_number(struct cells *c, struct cells_of *of, double v, struct err *e)
{
    if (reach(c, of, e) < 0) {
        return -1;
    }
    of->numbers[of->n++] = v;
    return 0;
}

int cells_number(struct cells *c, size_t column, double v, bool is_whole, struct str spelled,
                 struct err *e)
{
    struct cells_of *of = &c->of[column];
    char text[NUMBER_TEXT_BYTES];
    bool is_exact;

    is_whole = is_whole && !(v == 0 && signbit(v)); /* -0 is real, as in CSV */
    is_exact = !is_whole || (as_holds(AS_INT, v) &&
                             (spelled.len == 0 || number_loss(spelled, v) == NUMBER_KEPT));

    if (is_exact && !of->is_text && (of->kind == CELLS_NONE || of->kind == CELLS_NUMBERS)) {
        of->kind = CELLS_NUMBERS;
        of->has_fraction = of->has_fraction || !is_whole;
        return put_number(c, of, v, e);
    }
    return put_text(c, of, spelled.len > 0 ? spelled : str_of(number_format(v, text)), e);
}

int cells_bool(struct cells *c, size_t column, bool v, struct err *e)
{
    struct cells_of *of = &c->of[column];

    if (!of->is_text && (of->kind == CELLS_NONE || of->kind == CELLS_BOOLS)) {
        of->kind = CELLS_BOOLS;
        return put_number(c, of, v ? 1 : 0, e);
    }
    return put_text(c, of, v ? STR("true") : STR("false"), e);
}

int cells_text(struct cells *c, size_t column, struct str s, struct err *e)
{
    return put_text(c, &c->of[column], s, e);
}

int cells_end_row(struct cells *c, struct err *e)
{
    if (c->n_rows == ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "a table has at most %llu rows", ML_LIMIT_ROWS);
    }
    c->n_rows++;
    return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

/* AS_DATE or AS_TIME when every text is one, else AS_REAL. */
static enum column_as dates_of(const struct cells_of *of)
{
    static const enum column_as tried[] = {AS_DATE, AS_TIME};

    for (size_t t = 0; !of->is_text && of->dict->len > 0 && t < ARRAY_LEN(tried); t++) {
        uint32_t i = 0;
        double v;

        while (i < of->dict->len && as_parse(tried[t], dict_text(of->dict, i), &v) == 0) {
            i++;
        }
        if (i == of->dict->len) {
            return tried[t];
        }
    }
    return AS_REAL;
}

static int add_dates(struct cells_of *of, enum column_as as, struct table *t, struct err *e)
{
    SCOPED(big_freep) double *values = big_alloc(of->dict->len, sizeof(double), WHAT, e);
    struct column *to = values ? table_add_numbers(t, str_of(of->name), e) : NULL;
    int rc = 0;

    if (to == NULL) {
        return -1;
    }
    to->as = as;
    for (uint32_t i = 0; i < of->dict->len; i++) {
        rc |= as_parse(as, dict_text(of->dict, i), &values[i]);
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        to->numbers[r] = of->codes[r] == DICT_MISSING ? NAN : values[of->codes[r]];
    }
    return rc; /* each was parsed before */
}

static int add_texts(struct cells_of *of, struct table *t, struct err *e)
{
    struct shared *data;
    struct column *to;

    dict_seal(of->dict);
    if (big_resize(&of->codes, t->n_rows, sizeof(*of->codes), WHAT, e) < 0) {
        return -1;
    }
    data = shared_of_big(of->codes);
    to = table_put_text(t, str_of(of->name), TAKE(of->codes), data, of->dict, e);
    shared_unref(data);
    return to ? 0 : -1;
}

static int add_numbers(struct cells_of *of, struct table *t, struct err *e)
{
    struct shared *data;
    struct column *to;

    if (big_resize(&of->numbers, t->n_rows, sizeof(double), WHAT, e) < 0) {
        return -1;
    }
    data = shared_of_big(of->numbers);
    to = table_put_numbers(t, str_of(of->name), TAKE(of->numbers), data, e);
    shared_unref(data);
    if (to == NULL) {
        return -1;
    }
    to->as = of->kind == CELLS_BOOLS                          ? AS_BOOL
             : of->kind == CELLS_NUMBERS && !of->has_fraction ? AS_INT
                                                              : AS_REAL;
    return 0;
}

static int add_column_of(struct cells *c, struct cells_of *of, struct table *t, struct err *e)
{
    enum column_as as;

    if (of->is_text && turn_to_text(of, e) < 0) {
        return -1;
    }
    if (reach(c, of, e) < 0) {
        return -1;
    }
    if (of->kind != CELLS_TEXTS) {
        return add_numbers(of, t, e);
    }
    as = dates_of(of);
    return as == AS_REAL ? add_texts(of, t, e) : add_dates(of, as, t, e);
}

struct table *cells_table(struct cells *c, struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(c->n_rows);

    for (size_t i = 0; i < c->n; i++) {
        if (add_column_of(c, &c->of[i], t, e) < 0) {
            return NULL;
        }
        drop_values(&c->of[i]);
    }
    return TAKE(t);
}
