#include "algorithms/kernel/npy_priv.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 16 << 20, ITEM_MAX = 64 << 20 };

/* The head is a Python literal; only what numpy writes there is known. */
struct npy_scan {
    struct str rest;
    bool is_latin1; /* before version 3.0 */
    struct err *e;
};

void npy_shape_done(struct npy_shape *s)
{
    for (size_t i = 0; i < s->n_fields; i++) {
        free(s->fields[i].name);
    }
    free(s->fields);
    *s = (struct npy_shape){0};
}

size_t npy_n_columns(const struct npy_shape *s)
{
    return s->fields[0].name ? s->n_fields : (size_t)s->dims[1];
}

size_t npy_head(struct str first, struct err *e)
{
    const unsigned char *p = (const unsigned char *)first.p;
    size_t len;

    if (!str_starts(first, STR("\x93NUMPY")) || first.len < NPY_FIRST_BYTES) {
        (void)err_set(e, ERR_DATA, "this is no file of numpy.save()%s",
                      str_starts(first, STR("PK")) ? ", but maybe one of numpy.savez(): save its "
                                                     "arrays one by one"
                                                   : "");
        return 0;
    }
    if (p[6] < 1 || p[6] > 3) {
        (void)err_set(e, ERR_DATA, "version %d of the format is not known", p[6]);
        return 0;
    }
    len = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) {
        len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    }
    if (len > HEAD_MAX) {
        (void)err_set(e, ERR_DATA, "damaged: a head of %zu bytes", len);
        return 0;
    }
    return len + (p[6] > 1 ? 12 : 10);
}

/* --- the literal ------------------------------------------------------------------------------ */

static int damaged(const struct npy_scan *s)
{
    return err_set(s->e, ERR_DATA, "damaged: its head is not what numpy writes, at '%.*s'",
                   STR_ARG(str_first(s->rest, 20)));
}

static void skip_space(struct npy_scan *s)
{
    while (s->rest.len > 0 && strchr(" \t\n\r", s->rest.p[0]) && s->rest.p[0]) {
        s->rest = str_from(s->rest, 1);
    }
}

static bool take(struct npy_scan *s, const char *word)
{
    skip_space(s);
    if (!str_starts(s->rest, str_of(word))) {
        return false;
    }
    s->rest = str_from(s->rest, strlen(word));
    return true;
}

static int need(struct npy_scan *s, const char *word)
{
    return take(s, word) ? 0 : damaged(s);
}

static int take_text(struct npy_scan *s, struct str *text)
{
    char quote;
    ptrdiff_t end;

    skip_space(s);
    quote = s->rest.len > 0 ? s->rest.p[0] : '\0';
    if (quote != '\'' && quote != '"') {
        return damaged(s);
    }
    s->rest = str_from(s->rest, 1);
    end = str_find_char(s->rest, quote);
    if (end < 0 || str_find_char(str_first(s->rest, (size_t)end), '\\') >= 0) {
        return damaged(s);
    }
    *text = str_first(s->rest, (size_t)end);
    s->rest = str_from(s->rest, (size_t)end + 1);
    return 0;
}

static int take_number(struct npy_scan *s, uint64_t *v)
{
    size_t n = 0;

    skip_space(s);
    while (n < s->rest.len && s->rest.p[n] >= '0' && s->rest.p[n] <= '9') {
        n++;
    }
    if (str_to_u64(str_first(s->rest, n), v) < 0) {
        return damaged(s);
    }
    s->rest = str_from(s->rest, n);
    (void)take(s, "L"); /* Python 2 */
    return 0;
}

/* --- types ------------------------------------------------------------------------------------ */

static int refuse_type(const struct npy_scan *s, struct str text)
{
    const char kind = text.len > 1 ? text.p[1] : '\0';
    const char *why = kind == 'O'   ? "objects are pickles, and reading those runs code: save an "
                                      "array of numbers or texts (dtype)"
                      : kind == 'c' ? "complex numbers have no column: save real and imaginary "
                                      "parts"
                      : kind == 'm' ? "durations have no column: save them as numbers"
                                    : "it has no column here";

    return err_set(s->e, ERR_UNSUPPORTED, "the type '%.*s' is not taken: %s",
                   STR_ARG(str_first(text, 40)), why);
}

static int unit_of(const struct npy_scan *s, struct str text, char *unit)
{
    static const char *const units[] = {"8[D]", "8[s]", "8[ms]", "8[us]", "8[ns]"};
    struct str rest = str_from(text, 2);

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_eq_c(rest, units[i])) {
            *unit = units[i][2];
            return 0;
        }
    }
    return refuse_type(s, text);
}

/* "<f8": byte order, kind, bytes. */
static int parse_type(const struct npy_scan *s, struct str text, struct npy_type *t)
{
    static const char *const sizes[] = {"b1", "i1248", "u1248", "f248"};
    uint64_t n;

    if (text.len < 3 || strchr("<>|=", text.p[0]) == NULL || text.p[0] == '\0') {
        return refuse_type(s, text);
    }
    *t = (struct npy_type){.kind = text.p[1], .swapped = text.p[0] == '>'};
    if (t->kind == 'M') {
        t->bytes = 8;
        return unit_of(s, text, &t->unit);
    }
    if (str_to_u64(str_from(text, 2), &n) < 0 || n > ITEM_MAX) {
        return refuse_type(s, text);
    }
    t->bytes = (size_t)n * (t->kind == 'U' ? 4 : 1);
    if (t->kind == 'U' || t->kind == 'S') {
        return t->bytes <= ML_LIMIT_CELL_BYTES ? 0 : refuse_type(s, text);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (t->kind == sizes[i][0] && n < 10 && strchr(sizes[i] + 1, (int)('0' + n))) {
            return 0;
        }
    }
    return refuse_type(s, text);
}

static char *name_of(const struct npy_scan *s, struct str name)
{
    struct buf out = BUF_MAX(2 * (size_t)HEAD_MAX);

    if (!s->is_latin1) {
        return str_dup(name);
    }
    utf8_from_latin1(name, &out);
    return buf_take(&out);
}

static int add_field(struct npy_shape *to, const struct npy_scan *s, struct str name,
                     struct str type)
{
    struct npy_field *f;

    if (to->n_fields == ML_LIMIT_COLUMNS) {
        return err_set(s->e, ERR_DATA, "a table has at most %d columns", ML_LIMIT_COLUMNS);
    }
    if ((to->n_fields & (to->n_fields - 1)) == 0) {
        to->fields = xrealloc(to->fields, (to->n_fields ? 2 * to->n_fields : 1) * sizeof(*f));
    }
    f = &to->fields[to->n_fields];
    *f = (struct npy_field){.offset = to->item_bytes};
    if (parse_type(s, type, &f->type) < 0) {
        return -1;
    }
    f->name = name.p ? name_of(s, name) : NULL;
    to->n_fields++;
    to->item_bytes += f->type.bytes;
    return to->item_bytes <= ITEM_MAX
               ? 0
               : err_set(s->e, ERR_DATA, "an item of it is longer than %d bytes", ITEM_MAX);
}

/* [('a', '<i4'), ('b', '<f8'), ('', '|V4')]: what has no name is padding. */
static int parse_fields(struct npy_scan *s, struct npy_shape *to)
{
    while (!take(s, "]")) {
        struct str name, type, bytes;
        uint64_t n;

        if (need(s, "(") < 0 || take_text(s, &name) < 0 || need(s, ",") < 0) {
            return -1;
        }
        if (take(s, "[") || take_text(s, &type) < 0 || take(s, ",")) {
            return err_set(s->e, ERR_UNSUPPORTED,
                           "the field '%.*s' is an array or a structure itself, and a column "
                           "holds one value a row",
                           STR_ARG(str_first(name, 40)));
        }
        bytes = str_from(type, 2);
        if (name.len == 0 && str_starts(type, STR("|V")) && str_to_u64(bytes, &n) == 0 &&
            n <= ITEM_MAX) {
            to->item_bytes += (size_t)n;
        } else if (add_field(to, s, name, type) < 0) {
            return -1;
        }
        if (need(s, ")") < 0 || (!take(s, ",") && !str_starts(s->rest, STR("]")))) {
            return damaged(s);
        }
    }
    return to->n_fields > 0 && to->item_bytes <= ITEM_MAX ? 0 : damaged(s);
}

static int parse_dims(struct npy_scan *s, struct npy_shape *to)
{
    if (need(s, "(") < 0) {
        return -1;
    }
    to->dims[0] = to->dims[1] = 1;
    for (to->n_dims = 0; !take(s, ")"); to->n_dims++) {
        if (to->n_dims == 2) {
            return err_set(s->e, ERR_UNSUPPORTED,
                           "an array of more than two dimensions is no table: reshape it");
        }
        if (take_number(s, &to->dims[to->n_dims]) < 0) {
            return -1;
        }
        skip_space(s);
        if (!take(s, ",") && !str_starts(s->rest, STR(")"))) {
            return damaged(s);
        }
    }
    return 0;
}

static int parse_entry(struct npy_scan *s, struct npy_shape *to, unsigned *found)
{
    struct str key, type;

    if (take_text(s, &key) < 0 || need(s, ":") < 0) {
        return -1;
    }
    if (str_eq(key, STR("descr"))) {
        if (*found & 1) {
            return damaged(s);
        }
        *found |= 1;
        if (take(s, "[")) {
            return parse_fields(s, to);
        }
        return take_text(s, &type) < 0 ? -1 : add_field(to, s, (struct str){0}, type);
    }
    if (str_eq(key, STR("fortran_order"))) {
        *found |= 2;
        to->fortran = take(s, "True");
        return to->fortran ? 0 : need(s, "False");
    }
    *found |= 4;
    return str_eq(key, STR("shape")) ? parse_dims(s, to) : damaged(s);
}

static int check_dims(const struct npy_shape *to, struct err *e)
{
    bool structured = to->fields[0].name != NULL;

    if (structured && to->n_dims > 1) {
        return err_set(e, ERR_UNSUPPORTED, "a structured array of two dimensions is no table");
    }
    if (to->dims[0] > ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "it has %llu rows, and a table at most %llu",
                       (unsigned long long)to->dims[0], ML_LIMIT_ROWS);
    }
    if (to->dims[1] > ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "it has %llu columns, and a table at most %d",
                       (unsigned long long)to->dims[1], ML_LIMIT_COLUMNS);
    }
    return 0;
}

int npy_shape_parse(struct npy_shape *to, struct str bytes, struct err *e)
{
    size_t n = npy_head(bytes, e), first;
    struct npy_scan s = {.e = e};
    unsigned found = 0;

    *to = (struct npy_shape){.head_bytes = n};
    if (n == 0) {
        return -1;
    }
    if (n > bytes.len) {
        return err_set(e, ERR_DATA, "damaged: it ends within its head");
    }
    first = bytes.p[6] > 1 ? 12 : 10;
    s.rest = str_n(bytes.p + first, n - first);
    s.is_latin1 = bytes.p[6] < 3;
    if (need(&s, "{") < 0) {
        return -1;
    }
    while (!take(&s, "}")) {
        if (parse_entry(&s, to, &found) < 0) {
            return -1;
        }
        skip_space(&s);
        if (!take(&s, ",") && !str_starts(s.rest, STR("}"))) {
            return damaged(&s);
        }
    }
    skip_space(&s);
    return found == 7 && s.rest.len == 0 ? check_dims(to, e) : damaged(&s);
}
