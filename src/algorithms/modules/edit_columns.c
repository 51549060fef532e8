/* edit_columns - other names and types for columns, and some left out. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The table with its new columns."},
                                      {0}};
static const struct param params[] = {
    {"rename", PARAM_TEXT, "", 0, 0, NULL, "New names: old=new, price_usd=price."},
    {"types", PARAM_TEXT, "", 0, 0, NULL,
     "New types, by the old names: age:int, day:date; int, real, bool, date, time or text."},
    {"drop", PARAM_TEXT, "", 0, 0, NULL,
     "Columns to leave out, by the old names: names, @text, -name to keep one."},
    {"on_bad", PARAM_CHOICE, "error", 0, 0, "error|missing",
     "A value that is none of the new type: an error, or missing."},
    {0},
};

/* What happens to one column. */
struct edit {
    char *name; /* NULL: as it is */
    bool drop, cast;
    enum column_kind kind;
    enum column_as as;
};

struct edits {
    struct edit *of;
    size_t n;
    bool may_miss;
};

static void edits_done(struct edits *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->of[i].name);
    }
    free(x->of);
}

/* --- parameters ------------------------------------------------------------------------------- */

/* "old=new" or "col:type" at the last separator; `left` is a column. */
static int next_pair(const struct table *t, struct str *rest, char separator, size_t *at,
                     struct str *right, struct err *e)
{
    struct str word = str_trim(str_cut(rest, ','));
    ptrdiff_t split = str_rfind_char(word, separator);
    const struct column *c;

    if (word.len == 0) {
        return 0;
    }
    *right = split < 0 ? STR_EMPTY : str_trim(str_from(word, (size_t)split + 1));
    if (right->len == 0) {
        return err_set(e, ERR_INVALID, "'%.*s' is none: write %s", STR_ARG(str_first(word, 60)),
                       separator == '=' ? "old=new" : "column:type");
    }
    c = table_need(t, str_trim(str_first(word, (size_t)split)), e);
    *at = c ? (size_t)(c - t->columns) : 0;
    return c ? 1 : -1;
}

static int read_names(const struct table *t, struct str rest, struct edits *x, struct err *e)
{
    struct str name;
    size_t at;

    while (rest.p) {
        int rc = next_pair(t, &rest, '=', &at, &name, e);

        if (rc < 0) {
            return err_wrap(e, "rename");
        }
        if (rc > 0) {
            free(x->of[at].name);
            x->of[at].name = str_dup(name);
        }
    }
    return 0;
}

static int read_types(const struct table *t, struct str rest, struct edits *x, struct err *e)
{
    struct str type;
    size_t at;

    while (rest.p) {
        int rc = next_pair(t, &rest, ':', &at, &type, e);
        bool known = rc > 0 && str_eq(type, STR("text"));

        if (known) {
            x->of[at].kind = COLUMN_TEXT;
        }
        for (unsigned as = AS_REAL; rc > 0 && as <= AS_TIME; as++) {
            if (str_eq_c(type, as_name((enum column_as)as))) {
                x->of[at].kind = COLUMN_NUMBER;
                x->of[at].as = (enum column_as)as;
                known = true;
            }
        }
        if (rc > 0 && !known) {
            rc = err_set(e, ERR_INVALID,
                         "'%.*s' is no type: take int, real, bool, date, time or text",
                         STR_ARG(str_first(type, 60)));
        }
        if (rc < 0) {
            return err_wrap(e, "types");
        }
        if (rc > 0) {
            x->of[at].cast = true;
        }
    }
    return 0;
}

static int read_drop(const struct table *t, struct str spec, struct edits *x, struct err *e)
{
    size_t n = 0;
    SCOPED(freep) uint32_t *found = NULL;

    if (str_trim(spec).len == 0) {
        return 0;
    }
    found = select_columns(t, spec, /* never */ NULL, 0, &n, e);
    if (found == NULL) {
        return err_wrap(e, "drop");
    }
    for (size_t i = 0; i < n; i++) {
        x->of[found[i]].drop = true;
    }
    return 0;
}

/* --- types ------------------------------------------------------------------------------------ */

static int bad_value(const struct column *c, size_t r, const char *text, enum column_as as,
                     struct err *e)
{
    return err_set(e, ERR_DATA,
                   "column '%s', row %zu: '%.60s' is no %s; on_bad=missing leaves such values out",
                   c->name, r + 1, text, as_name(as));
}

/* Each different text is read once. */
static int text_to_numbers(const struct column *c, struct column *to, size_t n_rows, bool may_miss,
                           struct err *e)
{
    SCOPED(big_freep)
    double *of = big_alloc(c->dict->len, sizeof(*of), "the different texts of a column", e);

    for (uint32_t i = 0; of && i < c->dict->len; i++) {
        double v = 0;

        of[i] = as_parse(to->as, str_trim(dict_text(c->dict, i)), &v) < 0 ? NAN : v;
    }
    for (size_t r = 0; of && r < n_rows; r++) {
        uint32_t code = c->codes[r];

        to->numbers[r] = code == DICT_MISSING ? NAN : of[code];
        if (code != DICT_MISSING && isnan(of[code]) && !may_miss &&
            dict_text(c->dict, code).len > 0) {
            SCOPED(freep) char *text = str_dup(str_first(dict_text(c->dict, code), 60));

            return bad_value(c, r, text, to->as, e);
        }
    }
    return of ? 0 : -1;
}

static double convert(double v, enum column_as from, enum column_as to)
{
    if (from == AS_DATE && to == AS_TIME) {
        return v * (double)CALENDAR_DAY_US;
    }
    return from == AS_TIME && to == AS_DATE ? floor(v / (double)CALENDAR_DAY_US) : v;
}

static int numbers_to_numbers(const struct column *c, struct column *to, size_t n_rows,
                              bool may_miss, struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        double v = convert(c->numbers[r], c->as, to->as);

        if (!as_holds(to->as, v)) {
            char text[AS_TEXT_BYTES];

            if (!may_miss) {
                return bad_value(c, r, as_format(c->as, c->numbers[r], text), to->as, e);
            }
            v = NAN;
        }
        to->numbers[r] = v;
    }
    return 0;
}

static int numbers_to_text(struct table *out, struct str name, const struct column *c,
                           struct err *e)
{
    SCOPED(big_freep)
    uint32_t *codes = big_alloc(out->n_rows, sizeof(*codes), "a column of text", e);
    SCOPED(dict_freep) struct dict *dict = dict_new();
    struct column *to;

    for (size_t r = 0; codes && r < out->n_rows; r++) {
        char text[AS_TEXT_BYTES];

        codes[r] = DICT_MISSING;
        if (!isnan(c->numbers[r]) &&
            dict_intern(dict, str_of(as_format(c->as, c->numbers[r], text)), &codes[r], e) < 0) {
            return -1;
        }
    }
    dict_seal(dict);
    to = codes ? table_add_text(out, name, dict, e) : NULL;
    if (to == NULL) {
        return -1;
    }
    (void)TAKE(dict);
    for (size_t r = 0; r < out->n_rows; r++) {
        to->codes[r] = codes[r];
    }
    return 0;
}

static int cast_column(struct table *out, struct str name, const struct column *c,
                       const struct edit *x, bool may_miss, struct err *e)
{
    struct column *to;

    if (x->kind == COLUMN_TEXT) {
        return c->kind == COLUMN_TEXT ? (table_add_as(out, name, c, e) ? 0 : -1)
                                      : numbers_to_text(out, name, c, e);
    }
    if (c->kind == COLUMN_NUMBER && (c->as >= AS_DATE) != (x->as >= AS_DATE)) {
        return err_set(e, ERR_INVALID,
                       "types: column '%s' holds %s, which cannot become %s: compute_columns can "
                       "take its parts",
                       c->name, as_name(c->as), as_name(x->as));
    }
    to = table_add_numbers(out, name, e);
    if (to == NULL) {
        return -1;
    }
    to->as = x->as;
    return c->kind == COLUMN_TEXT ? text_to_numbers(c, to, out->n_rows, may_miss, e)
                                  : numbers_to_numbers(c, to, out->n_rows, may_miss, e);
}

static struct table *edit_table(const struct table *t, const struct edits *x, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);

    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        struct str name = str_of(x->of[i].name ? x->of[i].name : c->name);
        int rc = 0;

        if (x->of[i].drop) {
            continue;
        }
        rc = x->of[i].cast ? cast_column(out, name, c, &x->of[i], x->may_miss, e)
                           : (table_add_as(out, name, c, e) ? 0 : -1);
        if (rc < 0) {
            return NULL;
        }
    }
    for (size_t i = 0; i < t->n_applied; i++) {
        if (table_note_applied(out, t->applied[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(edits_done)
    struct edits x = {xnew_array(struct edit, t->n_columns + 1), t->n_columns,
                      step_choice(s, "on_bad") == 1};
    struct table *out;

    if (read_names(t, step_text(s, "rename"), &x, e) < 0 ||
        read_types(t, step_text(s, "types"), &x, e) < 0 ||
        read_drop(t, step_text(s, "drop"), &x, e) < 0) {
        return -1;
    }
    out = edit_table(t, &x, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu columns became %zu", t->n_columns, out->n_columns);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_edit_columns = {
    .name = "edit_columns",
    .title = "Edit columns",
    .description = "Gives columns other names and types, and leaves some out: texts that are "
                   "numbers become numbers, dates become times, codes become text.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+16*rows",
    .run = run,
    .check = check_dry,
};
