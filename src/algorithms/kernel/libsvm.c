#include "algorithms/kernel/libsvm.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct libsvm_reader {
    struct str rest; /* lines */
    uint64_t line;
    struct str words; /* of the current line: what follows the label */
    struct str label;
    /* after the first pass */
    uint64_t lowest, highest; /* index of a feature */
    bool has_feature, has_qid;
    size_t n_rows;
};

static int refuse(const struct libsvm_reader *r, struct str word, const char *what, struct err *e)
{
    return err_set(e, ERR_DATA, "line %llu: '%.*s' %s", (unsigned long long)r->line,
                   STR_ARG(str_first(word, 40)), what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct str next_word(struct str *rest)
{
    size_t from = 0, to;

    while (from < rest->len && is_blank(rest->p[from])) {
        from++;
    }
    to = from;
    while (to < rest->len && !is_blank(rest->p[to])) {
        to++;
    }
    struct str word = str_n(rest->p + from, to - from);

    *rest = str_from(*rest, to);
    return word;
}

/* To the next line that is one; false at the end. */
static bool next_line(struct libsvm_reader *r)
{
    while (r->rest.p) {
        struct str line = str_cut(&r->rest, '\n');

        r->line++;
        r->words = str_cut(&line, '#');
        r->label = next_word(&r->words);
        if (r->label.len > 0) {
            return true;
        }
    }
    return false;
}

static int parse_value(const struct libsvm_reader *r, struct str word, struct str text, double *v,
                       struct err *e)
{
    if (str_eq_nocase(text, STR("nan"))) {
        *v = NAN;
        return 0;
    }
    return number_parse(text, v) == 0 ? 0 : refuse(r, word, "is no number", e);
}

struct libsvm_pair {
    bool is_qid;
    uint64_t index;
    double value;
};

/* 1: a pair, 0: the end of the line. */
static int next_pair(struct libsvm_reader *r, struct libsvm_pair *p, struct err *e)
{
    struct str word = next_word(&r->words), value = word, name;

    if (word.len == 0) {
        return 0;
    }
    name = str_cut(&value, ':');
    if (value.p == NULL) {
        return refuse(r, word, "is no pair like 3:0.5", e);
    }
    p->is_qid = str_eq(name, STR("qid"));
    if (!p->is_qid && str_to_u64(name, &p->index) < 0) {
        return refuse(r, word, "has no whole number in front of its ':'", e);
    }
    return parse_value(r, word, value, &p->value, e) < 0 ? -1 : 1;
}

/* --- the first pass: how wide and how long ---------------------------------------------------- */

static int measure_line(struct libsvm_reader *r, struct err *e)
{
    uint64_t above = 0; /* the index before, and one */
    struct libsvm_pair p = {0};
    double v;
    int rc;

    if (str_find_char(r->label, ',') >= 0) {
        return refuse(r, r->label, "is several labels, and a row has one", e);
    }
    if (parse_value(r, r->label, r->label, &v, e) < 0) {
        return -1;
    }
    while ((rc = next_pair(r, &p, e)) > 0) {
        if (p.is_qid) {
            r->has_qid = true;
            continue;
        }
        if (p.index < above) {
            return err_set(e, ERR_DATA,
                           "line %llu: feature %llu stands behind feature %llu: they go up",
                           (unsigned long long)r->line, (unsigned long long)p.index,
                           (unsigned long long)above - 1);
        }
        if (p.index > ML_LIMIT_COLUMNS - 2) {
            return err_set(
                e, ERR_DATA, "line %llu: feature %llu: a table has at most %d features as columns",
                (unsigned long long)r->line, (unsigned long long)p.index, ML_LIMIT_COLUMNS - 2);
        }
        above = p.index + 1;
        r->lowest = !r->has_feature || p.index < r->lowest ? p.index : r->lowest;
        r->highest = !r->has_feature || p.index > r->highest ? p.index : r->highest;
        r->has_feature = true;
    }
    return rc;
}

static int measure(struct libsvm_reader *r, struct err *e)
{
    while (next_line(r)) {
        if (r->n_rows++ == ML_LIMIT_ROWS) {
            return err_set(e, ERR_DATA, "line %llu: a table has at most %llu rows",
                           (unsigned long long)r->line, ML_LIMIT_ROWS);
        }
        if (measure_line(r, e) < 0) {
            return -1;
        }
    }
    return r->n_rows > 0 ? 0 : err_set(e, ERR_DATA, "the file is empty: no line with a label");
}

/* The index of the first feature, and how many there are. */
static int width_of(const struct libsvm_reader *r, const struct libsvm_options *o, uint64_t *base,
                    size_t *n, struct err *e)
{
    uint64_t found;

    *base = o->index == LIBSVM_FROM_ZERO || (o->index == LIBSVM_AUTO && r->lowest == 0) ? 0 : 1;
    if (r->has_feature && r->lowest < *base) {
        return err_set(e, ERR_DATA, "there is a feature 0: with index=zero it is the first one");
    }
    found = r->has_feature ? r->highest - *base + 1 : 0;
    if (o->features > 0 && found > o->features) {
        return err_set(e, ERR_DATA, "there is a feature %llu, and features=%zu",
                       (unsigned long long)r->highest, o->features);
    }
    *n = o->features > 0 ? o->features : (size_t)found;
    return 0;
}

/* --- the second pass -------------------------------------------------------------------------- */

struct libsvm_columns {
    double *label, *qid, **features;
};

static int add_columns(struct table *t, const struct libsvm_reader *r,
                       const struct libsvm_options *o, size_t n, struct libsvm_columns *to,
                       struct err *e)
{
    struct column *c = table_add_numbers(t, o->label, e);

    if (c == NULL) {
        return -1;
    }
    to->label = c->numbers;
    c = r->has_qid ? table_add_numbers(t, STR("qid"), e) : NULL;
    if (r->has_qid && c == NULL) {
        return -1;
    }
    to->qid = c ? c->numbers : NULL;
    for (size_t row = 0; c && row < t->n_rows; row++) {
        c->numbers[row] = NAN;
    }
    for (size_t i = 0; i < n; i++) {
        SCOPED(freep) char *name = xasprintf("f%zu", i + 1);

        c = table_add_numbers(t, str_of(name), e);
        if (c == NULL) {
            return -1;
        }
        to->features[i] = c->numbers;
    }
    return 0;
}

static int fill(struct libsvm_reader *r, struct libsvm_columns *to, uint64_t base, struct err *e)
{
    for (size_t row = 0; next_line(r); row++) {
        struct libsvm_pair p = {0};
        int rc;

        if (parse_value(r, r->label, r->label, &to->label[row], e) < 0) {
            return -1;
        }
        while ((rc = next_pair(r, &p, e)) > 0) {
            if (!p.is_qid) {
                to->features[p.index - base][row] = p.value;
            } else if (to->qid) {
                to->qid[row] = p.value;
            }
        }
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

static void name_whole(struct table *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t->columns[i].as = AS_INT;
        t->columns[i].as = column_as_is(&t->columns[i], t->n_rows);
    }
}

struct table *libsvm_read(struct str text, const struct libsvm_options *o, struct err *e)
{
    struct libsvm_reader r = {.rest = text}, again = {.rest = text};
    SCOPED(table_freep) struct table *t = NULL;
    SCOPED(freep) double **features = NULL;
    struct libsvm_columns to = {0};
    uint64_t base = 0;
    size_t n = 0;

    if (measure(&r, e) < 0 || width_of(&r, o, &base, &n, e) < 0) {
        return NULL;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    features = xnew_array(double *, n + 1);
    to.features = features;
    t = table_new(r.n_rows);
    if (add_columns(t, &r, o, n, &to, e) < 0 || fill(&again, &to, base, e) < 0) {
        return NULL;
    }
    name_whole(t, r.has_qid ? 2 : 1);
    return TAKE(t);
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_number(const struct column *c, size_t row, struct binw *w, struct err *e)
{
    char text[NUMBER_TEXT_BYTES];

    if (isnan(c->numbers[row])) {
        return err_set(e, ERR_DATA,
                       "row %zu, column '%s' is missing, and rows of LIBSVM have only numbers: "
                       "fill it before (impute)",
                       row + 1, c->name);
    }
    (void)number_format(c->numbers[row], text);
    binw_bytes(w, text, strlen(text));
    return 0;
}

int libsvm_write(const struct table *t, const struct column *label, const uint32_t *features,
                 size_t n, enum libsvm_index index, struct binw *w, struct err *e)
{
    for (size_t row = 0; row < t->n_rows; row++) {
        if (write_number(label, row, w, e) < 0) {
            return -1;
        }
        for (size_t i = 0; i < n; i++) {
            const struct column *c = &t->columns[features[i]];
            SCOPED(freep) char *pair = NULL;

            if (c->numbers[row] == 0) {
                continue;
            }
            pair = xasprintf(" %zu:", i + (index != LIBSVM_FROM_ZERO));
            binw_bytes(w, pair, strlen(pair));
            if (write_number(c, row, w, e) < 0) {
                return -1;
            }
        }
        binw_bytes(w, "\n", 1);
    }
    return 0;
}
