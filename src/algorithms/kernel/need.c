#include "algorithms/kernel/need.h"

#include <stdlib.h>
#include <string.h>

/* Where nobody counted them: a value takes some bytes, and a row a few values. */
enum { UNKNOWN_CELL_BYTES = 4, UNKNOWN_COLUMNS = 4 };

static int64_t product(int64_t a, int64_t b)
{
    int64_t out;

    return __builtin_mul_overflow(a, b, &out) ? INT64_MAX : out;
}

static int64_t sum(int64_t a, int64_t b)
{
    int64_t out;

    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

void need_table(struct need *n, int64_t bytes, int64_t rows, int64_t columns)
{
    if (rows < 0 || columns <= 0) {
        columns = columns > 0 ? columns : UNKNOWN_COLUMNS;
        rows = bytes / UNKNOWN_CELL_BYTES / columns;
    }
    n->input = sum(n->input, bytes);
    n->all_rows = sum(n->all_rows, rows);
    n->cells = sum(n->cells, product(rows, columns));
    if (n->rows == 0 && n->columns == 0) {
        n->rows = rows;
        n->columns = columns;
    }
}

/* "128,64" is 192. */
static double sum_of_ints(struct str list)
{
    double all = 0;

    while (list.p) {
        struct str one = str_trim(str_cut(&list, ','));
        uint64_t v;

        all += str_to_u64(one, &v) == 0 ? (double)v : 0;
    }
    return all;
}

static int value_of_param(const struct step *s, struct str name, double *out)
{
    for (const struct param *p = s->module->params; p->name; p++) {
        if (!str_eq_c(name, p->name)) {
            continue;
        }
        *out = p->type == PARAM_INT    ? (double)step_int(s, p->name)
               : p->type == PARAM_REAL ? step_real(s, p->name)
               : p->type == PARAM_INTS ? sum_of_ints(step_text(s, p->name))
                                       : -1;
        return *out >= 0 ? 0 : -1;
    }
    return -1;
}

static int value_of_word(const struct step *s, const struct need *n, struct str word, double *out)
{
    const struct {
        const char *name;
        int64_t value;
    } words[] = {{"input", n->input},       {"rows", n->rows},   {"columns", n->columns},
                 {"all_rows", n->all_rows}, {"cells", n->cells}, {"cpus", n->cpus}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_c(word, words[i].name)) {
            *out = (double)words[i].value;
            return 0;
        }
    }
    return value_of_param(s, word, out);
}

/* "0.5", "64Mi" or a word. */
static int factor(const struct step *s, const struct need *n, struct str text, double *out)
{
    int64_t bytes;
    struct err e;

    text = str_trim(text);
    if (text.len == 0 || text.p[0] < '0' || text.p[0] > '9') {
        return value_of_word(s, n, text, out);
    }
    if (str_find_char(text, '.') >= 0) {
        *out = strtod(text.p, NULL); /* what follows is an operator or the end */
        return 0;
    }
    if (str_parse_bytes(text, &bytes, &e) < 0) {
        return -1;
    }
    *out = (double)bytes;
    return 0;
}

int need_bytes(const struct step *s, const char *formula, const struct need *n, int64_t *bytes,
               struct err *e)
{
    struct str rest = str_of(formula ? formula : NEED_DEFAULT);
    double all = 0;

    while (rest.p) {
        struct str term = str_cut(&rest, '+');
        double product_of = 1;

        while (term.p) {
            double v;

            if (factor(s, n, str_cut(&term, '*'), &v) < 0) {
                return err_set(e, ERR_INTERNAL, "%s: its need of memory is no formula: %s",
                               s->module->name, formula ? formula : NEED_DEFAULT);
            }
            product_of *= v;
        }
        all += product_of;
    }
    *bytes = all < 9e18 ? (int64_t)all : INT64_MAX;
    return 0;
}
