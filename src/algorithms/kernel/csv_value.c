#include "algorithms/kernel/csv_priv.h"

#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/utf8.h"

#include <math.h>
#include <string.h>

struct str csv_text(struct csv_reader *r, const struct csv_cell *c)
{
    struct str s = csv_cell_text(c, r->o->quote, &r->cell);

    if (r->o->encoding == CSV_LATIN1) {
        buf_clear(&r->utf8);
        utf8_from_latin1(s, &r->utf8);
        s = buf_str(&r->utf8);
    }
    return s;
}

int csv_check_text(const struct csv_reader *r, size_t column, struct str s, struct err *e)
{
    if (str_find_char(s, '\0') >= 0) {
        return err_set(e, ERR_DATA, "line %llu, column %zu holds a NUL byte: this is no text table",
                       (unsigned long long)r->scan.record_line, column + 1);
    }
    if (utf8_check(s) >= 0) {
        return err_set(e, ERR_DATA,
                       "line %llu, column %zu is not UTF-8; if the file is Western European text, "
                       "set encoding=latin1",
                       (unsigned long long)r->scan.record_line, column + 1);
    }
    return 0;
}

/* The column of that name gets a type that its cells cannot change. */
static int fix(struct csv_reader *r, struct str name, enum column_kind kind, enum column_as as,
               struct err *e)
{
    size_t i = 0;

    while (i < r->n_columns && !str_eq_c(name, r->columns[i].name)) {
        i++;
    }
    if (i == r->n_columns) {
        return r->o->may_lack
                   ? 0
                   : err_set(e, ERR_INVALID, "the file has no column '%.*s'", STR_ARG(name));
    }
    r->columns[i].kind = kind;
    r->columns[i].as = as;
    r->columns[i].fixed = r->columns[i].seen = true;
    return 0;
}

static int fix_all(struct csv_reader *r, struct str list, enum column_kind kind, struct err *e)
{
    while (list.p) {
        struct str name = str_trim(str_cut(&list, ','));

        if (name.len > 0 && fix(r, name, kind, AS_REAL, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* One "column:type". */
static int fix_type(struct csv_reader *r, struct str word, struct err *e)
{
    static const enum column_as all[] = {AS_REAL, AS_INT, AS_BOOL, AS_DATE, AS_TIME};
    ptrdiff_t colon = str_rfind_char(word, ':');
    struct str name = str_trim(str_first(word, colon > 0 ? (size_t)colon : 0));
    struct str type = str_trim(str_from(word, (size_t)(colon + 1)));

    for (size_t i = 0; name.len > 0 && i < ARRAY_LEN(all); i++) {
        if (str_eq_c(type, as_name(all[i]))) {
            return fix(r, name, COLUMN_NUMBER, all[i], e);
        }
    }
    if (name.len > 0 && str_eq(type, STR("text"))) {
        return fix(r, name, COLUMN_TEXT, AS_REAL, e);
    }
    return err_set(e, ERR_INVALID,
                   "types: write column:type with a type of real, int, bool, date, time and text, "
                   "not '%.*s'",
                   STR_ARG(str_first(word, 60)));
}

int csv_fix_types(struct csv_reader *r, struct err *e)
{
    struct str list = r->o->types;

    while (list.p) {
        struct str word = str_trim(str_cut(&list, ','));

        if (word.len > 0 && fix_type(r, word, e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; r->o->texts && i < r->n_columns; i++) {
        struct str name = str_of(r->columns[i].name);

        if (map_get(r->o->texts, name) && fix(r, name, COLUMN_TEXT, AS_REAL, e) < 0) {
            return -1;
        }
    }
    if (fix_all(r, r->o->text_columns, COLUMN_TEXT, e) < 0) {
        return -1;
    }
    return fix_all(r, r->o->number_columns, COLUMN_NUMBER, e);
}

static int store_text(struct csv_reader *r, size_t i, const struct csv_cell *cell, struct err *e)
{
    struct csv_column *c = &r->columns[i];
    struct str s = csv_text(r, cell);
    uint32_t before = c->dict->len;

    if (!cell->quoted && csv_is_null(r, str_trim(s))) {
        c->codes[r->n_rows] = DICT_MISSING;
        return 0;
    }
    if (dict_intern(c->dict, s, &c->codes[r->n_rows], e) < 0) {
        return err_wrap(e, "column '%s'", c->name);
    }
    return c->dict->len > before ? csv_check_text(r, i, s, e) : 0; /* a known text was looked at */
}

/* "-12" but not "12.0", "1e3" or "-0": what an integer is written like. */
static bool written_whole(struct str s)
{
    bool sign = s.len > 0 && (s.p[0] == '-' || s.p[0] == '+');

    for (size_t i = sign; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Words, dates and times: the type that the text has, or AS_REAL. */
static enum column_as type_of(struct str s, double *v)
{
    static const enum column_as tried[] = {AS_BOOL, AS_DATE, AS_TIME};

    for (size_t i = 0; i < ARRAY_LEN(tried); i++) {
        if (as_parse(tried[i], s, v) == 0) {
            return tried[i];
        }
    }
    return AS_REAL;
}

/* A word, a date or a time in a column of such, or in one whose user said so. */
static int parse_special(const struct csv_column *c, struct str s, double *v)
{
    if (as_parse(c->as, s, v) == 0) {
        return 0;
    }
    if (!c->fixed || c->as != AS_TIME || as_parse(AS_DATE, s, v) < 0) {
        return -1;
    }
    *v *= (double)CALENDAR_DAY_US;
    return as_holds(AS_TIME, *v) ? 0 : -1;
}

/* Whether number_loss() could find one: not in few digits that begin with none or "0.". */
static bool may_lose(struct str s)
{
    size_t sign = s.p[0] == '-' || s.p[0] == '+';

    return s.len > 15 || (s.p[sign] == '0' && s.len > sign + 1 && s.p[sign + 1] != '.');
}

static int parse_number(struct csv_column *c, struct str s, double *v, enum number_loss *loss)
{
    if (number_parse(s, v) < 0) {
        return -1;
    }
    *loss = may_lose(s) ? number_loss(s, *v) : NUMBER_KEPT;
    /* Who says that it is a number has said that its zeros mean nothing. */
    if (*loss != NUMBER_KEPT && !(c->fixed && *loss == NUMBER_ZEROS)) {
        return -1;
    }
    if (c->as == AS_INT && !(as_holds(AS_INT, *v) && (c->fixed || written_whole(s)))) {
        if (c->fixed) {
            return -1;
        }
        c->as = AS_REAL; /* the numbers before stay what they are */
    }
    return 0;
}

/* The value of a cell that is not missing; the first one of a column says what it is. */
static int parse_value(struct csv_column *c, struct str s, double *v, enum number_loss *loss)
{
    bool first = !c->seen;

    c->seen = true;
    if (!first && c->as >= AS_BOOL) {
        return parse_special(c, s, v);
    }
    if (parse_number(c, s, v, loss) == 0) {
        return 0;
    }
    c->as = first && *loss == NUMBER_KEPT ? type_of(s, v) : c->as;
    return c->as >= AS_BOOL ? 0 : -1;
}

static int refuse_fixed(const struct csv_reader *r, size_t i, struct str s, enum number_loss loss,
                        struct err *e)
{
    static const char *const wanted[] = {
        "a number", "a whole number up to 2^53", "true or false", "a date: 2024-12-31",
        "a time: 2024-12-31T23:59:59.5+08:00, from 1684 to 2255, no finer than a microsecond"};
    const struct csv_column *c = &r->columns[i];

    return err_set(
        e, ERR_DATA, "line %llu, column %zu ('%s'): '%.*s' is %s%s",
        (unsigned long long)r->scan.record_line, i + 1, c->name, STR_ARG(str_first(s, 60)),
        loss == NUMBER_ROUNDED ? "an integer that a number would not hold exactly; let the column "
                                 "be text"
                               : "not ",
        loss == NUMBER_ROUNDED ? "" : wanted[c->as]);
}

/* "1,5", "1,234,567.8": as many countries write numbers, and no program does. */
static bool has_commas(struct str s)
{
    size_t commas = 0;

    for (size_t i = 0; i < s.len; i++) {
        bool sign = i == 0 && (s.p[i] == '-' || s.p[i] == '+');

        commas += s.p[i] == ',';
        if (!sign && s.p[i] != ',' && s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9')) {
            return false;
        }
    }
    return commas > 0;
}

static void note_odd(struct csv_reader *r, size_t i, struct str s)
{
    struct csv_report *to = &r->report;
    size_t len = s.len < CSV_ODD_BYTES ? s.len : CSV_ODD_BYTES - 1;

    if (to->odd++ > 0) {
        return;
    }
    while (len > 0 && len < s.len && ((unsigned char)s.p[len] & 0xc0) == 0x80) {
        len--; /* no half a character */
    }
    memcpy(to->odd_value, s.p, len);
    to->odd_value[len] = '\0';
    to->odd_column = i;
    to->odd_line = r->scan.record_line;
    to->odd_after = r->columns[i].n_values;
}

/* The column turns to text, and the table is read once more. */
static void turn_to_text(struct csv_reader *r, size_t i, struct str s, bool is_first,
                         enum number_loss loss)
{
    if (loss == NUMBER_KEPT && (!is_first || has_commas(s)) && utf8_check(s) < 0) {
        note_odd(r, i, s);
    }
    if (loss != NUMBER_KEPT && r->report.as_text++ == 0) {
        r->report.as_text_column = i;
        r->report.as_text_line = r->scan.record_line;
    }
    r->columns[i].kind = COLUMN_TEXT;
    r->conflict = true;
}

/* Nearly no number has spaces around it. */
static struct str trimmed(const struct csv_cell *cell)
{
    struct str s = {cell->p, cell->len};
    bool is_bare = s.len > 0 && s.p[0] > ' ' && s.p[s.len - 1] > ' ';

    return is_bare ? s : str_trim(s);
}

static int store_number(struct csv_reader *r, size_t i, const struct csv_cell *cell, bool keep,
                        struct err *e)
{
    struct csv_column *c = &r->columns[i];
    struct str s = trimmed(cell);
    enum number_loss loss = NUMBER_KEPT;
    bool is_null = s.len == 0 || (r->null_start[(unsigned char)s.p[0]] && csv_is_null(r, s));
    bool is_first = !c->seen;
    double v = NAN;

    if (!is_null && parse_value(c, s, &v, &loss) < 0) {
        if (c->fixed) {
            return refuse_fixed(r, i, s, loss, e);
        }
        turn_to_text(r, i, s, is_first, loss);
        return 0;
    }
    c->n_values += !is_null;
    if (keep) {
        c->numbers[r->n_rows] = v;
    }
    return 0;
}

int csv_store(struct csv_reader *r, size_t i, const struct csv_cell *cell, bool keep, struct err *e)
{
    keep = keep && !r->conflict;
    if (r->columns[i].kind == COLUMN_NUMBER) {
        return store_number(r, i, cell, keep, e);
    }
    return keep ? store_text(r, i, cell, e) : 0;
}
