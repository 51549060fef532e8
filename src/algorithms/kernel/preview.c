#include "algorithms/kernel/preview.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_ROWS = 50, HEAD_BYTES = 1 << 20, COLUMNS_MAX = 500 };
enum { SAMPLE_ROWS = 65536, BINS = 20, TOP = 10, TEXT_BYTES = 200, NAMES_MAX = 1000 };

/* --- one column of numbers -------------------------------------------------------------------- */

struct top {
    uint32_t code;
    size_t count;
};

struct figures {
    size_t missing, infinite, distinct;
    double min, max, mean, deviation, quantiles[5];
    size_t n_bins, counts[BINS];
    double edges[BINS + 1];
    struct top top[TOP]; /* COLUMN_TEXT */
    size_t n_top;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Between the two neighbours, as numpy's quantile() does by default. */
static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;

    return low + 1 < n ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low])
                       : sorted[low];
}

static void from_sample(const struct column *c, size_t n_rows, struct figures *f)
{
    size_t want = n_rows < SAMPLE_ROWS ? n_rows : SAMPLE_ROWS, n = 0;
    SCOPED(freep) double *v = xnew_array(double, want + 1);

    for (size_t i = 0; i < want; i++) {
        double x = c->numbers[(size_t)((double)i * ((double)n_rows / (double)want))];

        if (isfinite(x)) {
            v[n++] = x;
        }
    }
    qsort(v, n, sizeof(*v), compare_doubles);
    for (size_t i = 0; i < n; i++) {
        f->distinct += i == 0 || v[i] != v[i - 1];
    }
    for (size_t i = 0; i < ARRAY_LEN(f->quantiles) && n > 0; i++) {
        f->quantiles[i] = quantile(v, n, (double)i / 4);
    }
    f->quantiles[0] = f->min; /* the sample may have missed them */
    f->quantiles[4] = f->max;
}

/* Whole numbers of a small range get a bin each. */
static void set_edges(const struct column *c, struct figures *f)
{
    bool whole = c->as != AS_REAL && f->max - f->min < BINS;
    double from = whole ? f->min - 0.5 : f->min;
    double width = whole ? 1 : f->max / BINS - f->min / BINS;

    f->n_bins = whole ? (size_t)(f->max - f->min) + 1 : f->max > f->min ? BINS : 1;
    for (size_t i = 0; i <= f->n_bins; i++) {
        f->edges[i] = f->n_bins == 1 && !whole && i == 1 ? f->max : from + (double)i * width;
    }
}

static void count_bins(const struct column *c, size_t n_rows, struct figures *f)
{
    double from = f->edges[0], width = f->edges[f->n_bins] - from;
    double scale = width > 0 ? (double)f->n_bins / width : 0;

    for (size_t r = 0; r < n_rows; r++) {
        double x = c->numbers[r];

        if (isfinite(x)) {
            size_t bin = (size_t)((x - from) * scale);

            f->counts[bin < f->n_bins ? bin : f->n_bins - 1]++;
        }
    }
}

static void numbers_of(const struct column *c, size_t n_rows, struct figures *f)
{
    double sum = 0, squares = 0;
    size_t n = 0;

    f->min = INFINITY;
    f->max = -INFINITY;
    for (size_t r = 0; r < n_rows; r++) {
        double x = c->numbers[r];

        f->missing += isnan(x);
        f->infinite += isinf(x) != 0;
        if (isfinite(x)) {
            f->min = x < f->min ? x : f->min;
            f->max = x > f->max ? x : f->max;
            sum += x;
            n++;
        }
    }
    if (n == 0) {
        return;
    }
    f->mean = sum / (double)n;
    for (size_t r = 0; r < n_rows; r++) {
        double d = isfinite(c->numbers[r]) ? c->numbers[r] - f->mean : 0;

        squares += d * d;
    }
    f->deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    from_sample(c, n_rows, f);
    set_edges(c, f);
    count_bins(c, n_rows, f);
}

/* --- one column of text ----------------------------------------------------------------------- */

/* Of equal counts the smaller text is first, whatever the order of the dictionary. */
static void keep_top(struct figures *f, const struct dict *d, uint32_t code, size_t count)
{
    size_t at = f->n_top;

    while (at > 0 && (f->top[at - 1].count < count ||
                      (f->top[at - 1].count == count &&
                       str_cmp(dict_text(d, code), dict_text(d, f->top[at - 1].code)) < 0))) {
        at--;
    }
    if (at == TOP) {
        return;
    }
    f->n_top += f->n_top < TOP;
    memmove(f->top + at + 1, f->top + at, (f->n_top - at - 1) * sizeof(*f->top));
    f->top[at] = (struct top){code, count};
}

static void texts_of(const struct column *c, size_t n_rows, struct figures *f)
{
    struct err e = {0};
    SCOPED(big_freep) uint64_t *counts = big_alloc(c->dict->len, sizeof(*counts), "a preview", &e);

    for (size_t r = 0; counts && r < n_rows; r++) {
        if (c->codes[r] == DICT_MISSING) {
            f->missing++;
        } else {
            counts[c->codes[r]]++;
        }
    }
    for (uint32_t i = 0; counts && i < c->dict->len; i++) {
        if (counts[i] > 0) {
            f->distinct++;
            keep_top(f, c->dict, i, counts[i]);
        }
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void put_text(struct jw *w, struct str s)
{
    size_t len = s.len;

    if (len > TEXT_BYTES) {
        len = TEXT_BYTES;
        while (len > 0 && ((unsigned char)s.p[len] & 0xc0) == 0x80) { /* not inside a character */
            len--;
        }
    }
    jw_str(w, str_n(s.p, len));
}

static void put_numbers(struct jw *w, const char *key, const double *v, size_t n)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        number_json(w, v[i]);
    }
    jw_end(w);
}

static void put_figures(struct jw *w, const struct figures *f)
{
    number_json_kv(w, "min", f->min);
    number_json_kv(w, "max", f->max);
    number_json_kv(w, "mean", f->mean);
    number_json_kv(w, "std", f->deviation);
    put_numbers(w, "quantiles", f->quantiles, ARRAY_LEN(f->quantiles));
    jw_key(w, "histogram");
    jw_object(w);
    put_numbers(w, "edges", f->edges, f->n_bins + 1);
    jw_key(w, "counts");
    jw_array(w);
    for (size_t i = 0; i < f->n_bins; i++) {
        jw_i64(w, (int64_t)f->counts[i]);
    }
    jw_end(w);
    jw_end(w);
}

static void put_top(struct jw *w, const struct column *c, const struct figures *f)
{
    jw_key(w, "top");
    jw_array(w);
    for (size_t i = 0; i < f->n_top; i++) {
        jw_array(w);
        put_text(w, dict_text(c->dict, f->top[i].code));
        jw_i64(w, (int64_t)f->top[i].count);
        jw_end(w);
    }
    jw_end(w);
}

static void put_column(struct jw *w, const struct column *c, const struct figures *f)
{
    jw_object(w);
    jw_kv_c(w, "name", c->name);
    jw_kv_c(w, "type", column_type_name(c));
    jw_kv_i64(w, "missing", (int64_t)f->missing);
    jw_kv_i64(w, "distinct", (int64_t)f->distinct);
    if (f->infinite > 0) {
        jw_kv_i64(w, "infinite", (int64_t)f->infinite);
    }
    if (c->kind == COLUMN_TEXT) {
        put_top(w, c, f);
    } else if (f->n_bins > 0) {
        put_figures(w, f);
    }
    jw_end(w);
}

static void put_cell(struct jw *w, const struct column *c, size_t row)
{
    char text[AS_TEXT_BYTES];

    if (c->kind == COLUMN_TEXT && c->codes[row] != DICT_MISSING) {
        put_text(w, dict_text(c->dict, c->codes[row]));
    } else if (c->kind == COLUMN_TEXT || isnan(c->numbers[row])) {
        jw_null(w);
    } else if (c->as == AS_BOOL && as_holds(AS_BOOL, c->numbers[row])) {
        jw_bool(w, c->numbers[row] != 0);
    } else if (c->as == AS_REAL || c->as == AS_INT || isinf(c->numbers[row])) {
        isinf(c->numbers[row]) ? jw_str(w, str_of(as_format(c->as, c->numbers[row], text)))
                               : number_json(w, c->numbers[row]);
    } else {
        jw_str(w, str_of(as_format(c->as, c->numbers[row], text)));
    }
}

struct columns {
    const struct table *t;
    struct figures *figures;
};

static void look_at(void *ctx, size_t task, unsigned worker)
{
    struct columns *j = ctx;
    const struct column *c = &j->t->columns[task];

    (void)worker;
    if (c->kind == COLUMN_TEXT) {
        texts_of(c, j->t->n_rows, &j->figures[task]);
    } else {
        numbers_of(c, j->t->n_rows, &j->figures[task]);
    }
}

static void table_json(const struct table *t, struct threads *threads, struct jw *w)
{
    size_t n = t->n_columns < COLUMNS_MAX ? t->n_columns : COLUMNS_MAX, start;
    SCOPED(freep) struct figures *figures = xnew_array(struct figures, n + 1);

    threads_each(threads, n, look_at, &(struct columns){t, figures});
    jw_kv_i64(w, "rows", (int64_t)t->n_rows);
    jw_kv_i64(w, "columns_total", (int64_t)t->n_columns);
    jw_kv_bool(w, "sampled", t->n_rows > SAMPLE_ROWS);
    jw_key(w, "columns");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        put_column(w, &t->columns[i], &figures[i]);
    }
    jw_end(w);
    jw_key(w, "head");
    jw_array(w);
    start = w->out->len;
    for (size_t r = 0; r < t->n_rows && r < HEAD_ROWS && w->out->len - start < HEAD_BYTES; r++) {
        jw_array(w);
        for (size_t i = 0; i < n; i++) {
            put_cell(w, &t->columns[i], r);
        }
        jw_end(w);
    }
    jw_end(w);
}

static void names_json(struct jw *w, const char *key, char *const *names, size_t n)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < n && i < NAMES_MAX; i++) {
        put_text(w, str_of(names[i]));
    }
    jw_end(w);
}

static void model_json(const struct model *m, struct jw *w)
{
    jw_kv_c(w, "kind", m->type->module);
    jw_kv_c(w, "task", model_task_name(m->task));
    jw_kv_c(w, "label", m->label);
    names_json(w, "classes", m->classes.names, m->classes.n);
    names_json(w, "features", m->features.names, m->features.n);
    jw_key(w, "transforms");
    jw_array(w);
    for (size_t i = 0; i < m->n_transforms; i++) {
        jw_str(w, str_of(m->transforms[i]->type->module));
    }
    jw_end(w);
    if (m->type->describe) {
        m->type->describe(m, w);
    }
}

void preview_json(const struct value *v, struct threads *threads, struct buf *out)
{
    struct jw w = JW(out);

    if (v->type == VALUE_REPORT) { /* as it is, with two keys in front */
        (void)buf_printf(out, "{\"preview\":1,\"type\":\"report\",%.*s",
                         (int)(v->report.len > 0 ? v->report.len - 1 : 0),
                         v->report.len > 0 ? v->report.p + 1 : "");
        return;
    }
    jw_object(&w);
    jw_kv_i64(&w, "preview", 1);
    jw_kv_c(&w, "type", value_type_name(v->type));
    if (v->type == VALUE_TABLE) {
        table_json(v->table, threads, &w);
    } else if (v->type == VALUE_MODEL) {
        model_json(v->model, &w);
    } else if (v->type == VALUE_TRANSFORM) {
        jw_kv_c(&w, "kind", v->transform->type->module);
    }
    jw_end(&w);
}
