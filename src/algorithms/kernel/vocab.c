#include "algorithms/kernel/vocab.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vocab_done(struct vocab *v)
{
    dict_free(v->texts);
    free(v->values);
    *v = (struct vocab){0};
}

/* --- learning --------------------------------------------------------------------------------- */

struct entry {
    struct str text;
    double value;
    size_t count;
};

static int by_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return str_cmp(x->text, y->text);
}

static int by_count(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return by_value(a, b);
}

static int compare_numbers(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* What occurs, and how often. Big memory. */
static struct entry *count_texts(const struct column *c, size_t n_rows, size_t *n, struct err *e)
{
    SCOPED(big_freep)
    struct entry *all = big_alloc(c->dict->len, sizeof(*all), "the categories of a column", e);

    for (size_t r = 0; all && r < n_rows; r++) {
        if (c->codes[r] != DICT_MISSING) {
            all[c->codes[r]].count++;
        }
    }
    *n = 0;
    for (uint32_t i = 0; all && i < c->dict->len; i++) {
        if (all[i].count > 0) {
            all[*n] = (struct entry){.text = dict_text(c->dict, i), .count = all[i].count};
            ++*n;
        }
    }
    return TAKE(all);
}

static struct entry *count_numbers(const struct column *c, size_t n_rows, size_t *n, struct err *e)
{
    SCOPED(big_freep)
    double *sorted = big_alloc(n_rows, sizeof(*sorted), "a column in order", e);
    SCOPED(big_freep) struct entry *all = NULL;
    size_t there = 0;

    for (size_t r = 0; sorted && r < n_rows; r++) {
        if (!isnan(c->numbers[r])) {
            sorted[there++] = c->numbers[r] + 0.0; /* -0 is 0 */
        }
    }
    if (sorted) {
        qsort(sorted, there, sizeof(*sorted), compare_numbers);
        all = big_alloc(there, sizeof(*all), "the categories of a column", e);
    }
    *n = 0;
    for (size_t i = 0; all && i < there; i++) {
        if (*n == 0 || sorted[i] != all[*n - 1].value) {
            all[(*n)++] = (struct entry){.value = sorted[i]};
        }
        all[*n - 1].count++;
    }
    return TAKE(all);
}

static int keep_entries(struct vocab *v, const struct entry *all, size_t n, struct err *e)
{
    uint32_t code;

    if (n > ML_LIMIT_VOCABULARY) {
        return err_set(e, ERR_DATA, "%zu different values are more than the %llu that are taken", n,
                       ML_LIMIT_VOCABULARY);
    }
    if (v->kind == COLUMN_TEXT) {
        v->texts = dict_new();
    } else {
        v->values = xnew_array(double, n + 1);
    }
    for (; v->n < n; v->n++) {
        if (v->kind == COLUMN_NUMBER) {
            v->values[v->n] = all[v->n].value;
        } else if (dict_intern(v->texts, all[v->n].text, &code, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int vocab_learn(struct vocab *v, const struct column *c, size_t n_rows,
                const struct vocab_rule *rule, struct err *e)
{
    size_t n = 0, kept;
    bool text = c->kind == COLUMN_TEXT;
    SCOPED(big_freep)
    struct entry *all = text ? count_texts(c, n_rows, &n, e) : count_numbers(c, n_rows, &n, e);

    *v = (struct vocab){.kind = c->kind};
    if (all == NULL) {
        return -1;
    }
    qsort(all, n, sizeof(*all), by_count);
    for (kept = 0; kept < n && kept < rule->most && all[kept].count >= rule->min_count;) {
        kept++;
    }
    if (rule->order == VOCAB_BY_VALUE || !text) {
        qsort(all, kept, sizeof(*all), by_value);
    }
    if (keep_entries(v, all, kept, e) < 0) {
        vocab_done(v);
        return err_wrap(e, "column '%s'", c->name);
    }
    return 0;
}

/* --- using ------------------------------------------------------------------------------------ */

static uint32_t find_number(const struct vocab *v, double value)
{
    size_t lo = 0, hi = v->n;

    if (isnan(value)) {
        return VOCAB_MISSING;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (v->values[mid] < value) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < v->n && v->values[lo] == value ? (uint32_t)lo : VOCAB_UNKNOWN;
}

static uint32_t find_text(const struct vocab *v, struct str text)
{
    uint32_t code = v->texts->len > 0 ? dict_find(v->texts, text) : DICT_MISSING;

    return code == DICT_MISSING ? VOCAB_UNKNOWN : code;
}

uint32_t *vocab_encode(const struct vocab *v, const struct column *c, size_t n_rows, struct err *e)
{
    SCOPED(big_freep)
    uint32_t *out = big_alloc(n_rows, sizeof(*out), "the categories of a column", e);
    SCOPED(big_freep) uint32_t *of = NULL;

    if (out == NULL) {
        return NULL;
    }
    if (c->kind == COLUMN_NUMBER) {
        for (size_t r = 0; r < n_rows; r++) {
            out[r] = find_number(v, c->numbers[r]);
        }
        return TAKE(out);
    }
    of = big_alloc(c->dict->len, sizeof(*of), "the categories of a column", e);
    for (uint32_t i = 0; of && i < c->dict->len; i++) {
        of[i] = find_text(v, dict_text(c->dict, i));
    }
    for (size_t r = 0; of && r < n_rows; r++) {
        out[r] = c->codes[r] == DICT_MISSING ? VOCAB_MISSING : of[c->codes[r]];
    }
    return of ? TAKE(out) : NULL;
}

struct str vocab_text(const struct vocab *v, size_t i, char number[32])
{
    if (v->kind == COLUMN_TEXT) {
        return dict_text(v->texts, (uint32_t)i);
    }
    return str_of(number_format(v->values[i], number));
}

/* --- files ------------------------------------------------------------------------------------ */

void vocab_write(const struct vocab *v, struct binw *w)
{
    binw_u32(w, v->kind);
    binw_u32(w, (uint32_t)v->n);
    for (size_t i = 0; v->kind == COLUMN_TEXT && i < v->n; i++) {
        binw_str(w, dict_text(v->texts, (uint32_t)i));
    }
    if (v->kind == COLUMN_NUMBER) {
        binw_f64s(w, v->values, v->n);
    }
}

static int read_texts(struct binr *r, struct vocab *v, size_t n, struct err *e)
{
    v->texts = dict_new();
    for (; v->n < n; v->n++) {
        struct str text = binr_str(r);
        uint32_t code = 0;

        if (r->bad || dict_intern(v->texts, text, &code, e) < 0 || code != v->n) {
            return err_set(e, ERR_DATA,
                           "damaged: category %zu of a transform is there twice, or "
                           "is no text",
                           v->n);
        }
    }
    return 0;
}

static int read_values(struct binr *r, struct vocab *v, size_t n, struct err *e)
{
    if (n > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a transform");
    }
    v->values = xnew_array(double, n + 1);
    binr_f64s(r, v->values, n);
    for (; v->n < n; v->n++) {
        if (isnan(v->values[v->n]) || (v->n > 0 && v->values[v->n] <= v->values[v->n - 1])) {
            return err_set(e, ERR_DATA, "damaged: the categories of a transform are not in order");
        }
    }
    return 0;
}

int vocab_read(struct binr *r, struct vocab *v, struct err *e)
{
    uint32_t kind = binr_u32(r), n = binr_u32(r);
    int rc;

    *v = (struct vocab){.kind = kind == COLUMN_TEXT ? COLUMN_TEXT : COLUMN_NUMBER};
    if (r->bad || (kind != COLUMN_TEXT && kind != COLUMN_NUMBER) || n > ML_LIMIT_VOCABULARY) {
        return err_set(e, ERR_DATA, "damaged: a transform of %u categories", n);
    }
    rc = kind == COLUMN_TEXT ? read_texts(r, v, n, e) : read_values(r, v, n, e);
    if (rc < 0) {
        vocab_done(v);
    }
    return rc;
}
