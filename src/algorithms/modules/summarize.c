/* summarize - what the columns of a table hold. Exact over all rows; a column is one task. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/report.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/sort.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "Any rows."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, PORT_OPTIONAL, "A row for each column."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "The same, and how values are spread."},
    {0},
};
static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@all", 0, 0, NULL, "Which columns."},
    {0},
};

enum { QUANTILES = 7, BINS = 20, CHARTS_MAX = 50 };
static const double parts[QUANTILES] = {0, 0.05, 0.25, 0.5, 0.75, 0.95, 1};

struct figures {
    double count, missing, infinite, distinct; /* count: values that are there */
    double sum, mean, deviation, skewness, kurtosis, quantiles[QUANTILES];
    double bins[BINS], low, width;
    uint32_t top; /* the most frequent text; DICT_MISSING: none */
    double top_count;
    struct err e;
};

struct summary {
    const struct table *t;
    uint32_t *cols;
    size_t d;
    struct figures *of;
};

static void summary_done(struct summary *h)
{
    free(h->cols);
    free(h->of);
}

static const struct column *column_at(const struct summary *h, size_t j)
{
    return &h->t->columns[h->cols[j]];
}

/* As pandas: deviation with divisor n - 1, skewness and excess kurtosis without bias. */
static void moments(const double *v, size_t n, struct figures *f)
{
    double m2 = 0, m3 = 0, m4 = 0, k = (double)n, s2;

    for (size_t i = 0; i < n; i++) {
        f->sum += v[i];
    }
    f->mean = f->sum / k;
    for (size_t i = 0; i < n; i++) {
        double d = v[i] - f->mean;

        m2 += d * d;
        m3 += d * d * d;
        m4 += d * d * d * d;
    }
    f->deviation = n > 1 ? sqrt(m2 / (k - 1)) : NAN;
    s2 = m2 / k;
    if (n > 2 && s2 > 0) {
        f->skewness = m3 / k / pow(s2, 1.5) * sqrt(k * (k - 1)) / (k - 2);
    }
    if (n > 3 && s2 > 0) {
        f->kurtosis = (k - 1) / ((k - 2) * (k - 3)) * ((k + 1) * (m4 / k / (s2 * s2) - 3) + 6);
    }
}

static void from_sorted(const double *v, size_t n, struct figures *f)
{
    for (size_t q = 0; q < QUANTILES; q++) {
        double at = parts[q] * (double)(n - 1);
        size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;

        f->quantiles[q] = v[low] + (at - (double)low) * (v[high] - v[low]);
    }
    for (size_t i = 0; i < n; i++) {
        f->distinct += i == 0 || v[i] != v[i - 1];
    }
    f->low = f->quantiles[0];
    f->width = f->quantiles[QUANTILES - 1] / BINS - f->low / BINS;
    for (size_t i = 0; i < n; i++) {
        double at = f->width > 0 ? (v[i] - f->low) / f->width : 0;

        f->bins[at < BINS ? (size_t)at : BINS - 1]++;
    }
}

static void numbers_of(const struct column *c, size_t n_rows, struct figures *f)
{
    SCOPED(big_freep) double *v = big_alloc(n_rows, sizeof(*v), "a column", &f->e);
    SCOPED(big_freep) uint64_t *scratch = NULL;
    size_t n = 0;

    for (size_t r = 0; v && r < n_rows; r++) {
        f->missing += isnan(c->numbers[r]);
        f->infinite += isinf(c->numbers[r]) != 0;
        if (isfinite(c->numbers[r])) {
            v[n++] = c->numbers[r];
        }
    }
    f->count = (double)n + f->infinite;
    scratch = v && n > 0 ? big_alloc(n, 2 * sizeof(*scratch), "a column", &f->e) : NULL;
    if (scratch) {
        moments(v, n, f);
        sort_f64(v, scratch, n);
        from_sorted(v, n, f);
    }
}

static void texts_of(const struct column *c, size_t n_rows, struct figures *f)
{
    SCOPED(big_freep)
    uint64_t *counts = big_alloc(c->dict->len, sizeof(*counts), "a column", &f->e);

    for (size_t r = 0; counts && r < n_rows; r++) {
        if (c->codes[r] == DICT_MISSING) {
            f->missing++;
        } else {
            counts[c->codes[r]]++;
        }
    }
    f->count = (double)n_rows - f->missing;
    for (uint32_t i = 0; counts && i < c->dict->len; i++) {
        f->distinct += counts[i] > 0;
        if ((double)counts[i] > f->top_count ||
            (counts[i] > 0 && (double)counts[i] == f->top_count &&
             str_cmp(dict_text(c->dict, i), dict_text(c->dict, f->top)) < 0)) {
            f->top = i;
            f->top_count = (double)counts[i];
        }
    }
}

static void one_column(void *ctx, size_t j, unsigned worker)
{
    struct summary *h = ctx;
    struct figures *f = &h->of[j];
    const struct column *c = column_at(h, j);

    (void)worker;
    *f = (struct figures){.top = DICT_MISSING};
    f->mean = f->deviation = f->skewness = f->kurtosis = NAN;
    for (size_t q = 0; q < QUANTILES; q++) {
        f->quantiles[q] = NAN;
    }
    if (c->kind == COLUMN_NUMBER) {
        numbers_of(c, h->t->n_rows, f);
    } else {
        texts_of(c, h->t->n_rows, f);
    }
}

/* --- what comes out --------------------------------------------------------------------------- */

static int add_texts(const struct summary *h, struct table *out, struct str name,
                     struct str (*text)(const struct summary *h, size_t j), struct err *e)
{
    SCOPED(dict_freep) struct dict *d = dict_new();
    struct column *c = table_add_text(out, name, d, e);

    if (c == NULL) {
        return -1;
    }
    (void)TAKE(d);
    for (size_t j = 0; j < h->d; j++) {
        struct str s = text(h, j);

        c->codes[j] = DICT_MISSING;
        if (s.p && dict_intern(c->dict, s, &c->codes[j], e) < 0) {
            return -1;
        }
    }
    dict_seal(c->dict);
    return 0;
}

static struct str name_text(const struct summary *h, size_t j)
{
    return str_of(column_at(h, j)->name);
}

static struct str type_text(const struct summary *h, size_t j)
{
    return str_of(column_type_name(column_at(h, j)));
}

static struct str top_text(const struct summary *h, size_t j)
{
    uint32_t top = h->of[j].top;

    return top == DICT_MISSING ? (struct str){NULL, 0} : dict_text(column_at(h, j)->dict, top);
}

/* The figures of one column, in the order of the names. */
enum { WIDTH = 8 + QUANTILES };
static const char *const names[WIDTH] = {"count", "missing", "infinite", "distinct", "mean",
                                         "std",   "min",     "p5",       "p25",      "p50",
                                         "p75",   "p95",     "max",      "skewness", "kurtosis"};

static void row_of(const struct figures *f, double row[WIDTH])
{
    const double head[] = {f->count, f->missing, f->infinite, f->distinct, f->mean, f->deviation};

    memcpy(row, head, sizeof(head));
    memcpy(row + ARRAY_LEN(head), f->quantiles, sizeof(f->quantiles));
    row[WIDTH - 2] = f->skewness;
    row[WIDTH - 1] = f->kurtosis;
}

static int put_table(const struct summary *h, struct step *s, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(h->d);
    struct column *c;

    if (add_texts(h, out, STR("column"), name_text, e) < 0 ||
        add_texts(h, out, STR("type"), type_text, e) < 0) {
        return -1;
    }
    for (size_t k = 0; k < WIDTH; k++) {
        c = table_add_numbers(out, str_of(names[k]), e);
        if (c == NULL) {
            return -1;
        }
        c->as = k < 4 ? AS_INT : AS_REAL;
        for (size_t j = 0; j < h->d; j++) {
            double row[WIDTH];

            row_of(&h->of[j], row);
            c->numbers[j] = row[k];
        }
    }
    if (add_texts(h, out, STR("top"), top_text, e) < 0) {
        return -1;
    }
    c = table_add_numbers(out, STR("top_count"), e);
    for (size_t j = 0; c && j < h->d; j++) {
        c->as = AS_INT;
        c->numbers[j] = h->of[j].top == DICT_MISSING ? NAN : h->of[j].top_count;
    }
    if (c == NULL) {
        return -1;
    }
    step_out_table(s, "table", TAKE(out));
    return 0;
}

/* Dates and times as people write them. */
static void put_value(struct report *r, const struct column *c, double v)
{
    char text[AS_TEXT_BYTES];

    if (c->kind == COLUMN_NUMBER && (c->as == AS_DATE || c->as == AS_TIME) && !isnan(v)) {
        report_text(r, as_format(c->as, floor(v), text));
    } else {
        report_number(r, v);
    }
}

static void put_rows(struct report *r, const struct summary *h)
{
    const char *heads[WIDTH + 4] = {"column", "type"};

    memcpy(heads + 2, names, sizeof(names));
    heads[WIDTH + 2] = "top";
    heads[WIDTH + 3] = "top count";
    report_table_of(r, "Columns", heads, ARRAY_LEN(heads));
    for (size_t j = 0; j < h->d; j++) {
        const struct column *c = column_at(h, j);
        struct str top = top_text(h, j);
        double row[WIDTH];

        row_of(&h->of[j], row);
        report_row(r);
        report_text(r, c->name);
        report_text(r, column_type_name(c));
        for (size_t k = 0; k < WIDTH; k++) {
            bool value = k == 4 || (k >= 6 && k < 6 + QUANTILES); /* not the spread of them */

            if (value) {
                put_value(r, c, row[k]);
            } else {
                report_number(r, row[k]);
            }
        }
        jw_str(&r->w, str_first(top, 200));
        report_number(r, top.p ? h->of[j].top_count : NAN);
        report_row_end(r);
    }
    report_table_end(r);
}

static void put_charts(struct report *r, const struct summary *h)
{
    size_t n = 0;

    for (size_t j = 0; j < h->d && n < CHARTS_MAX; j++) {
        const struct figures *f = &h->of[j];
        const struct column *c = column_at(h, j);
        char text[BINS][AS_TEXT_BYTES];
        const char *labels[BINS];

        if (c->kind == COLUMN_TEXT || !(f->width > 0)) {
            continue;
        }
        for (size_t b = 0; b < BINS; b++) {
            double from = f->low + (double)b * f->width;

            if (c->as == AS_DATE || c->as == AS_TIME) {
                (void)as_format(c->as, floor(from), text[b]);
            } else {
                (void)snprintf(text[b], sizeof(text[b]), "%.6g", from);
            }
            labels[b] = text[b];
        }
        report_bars(r, &(struct chart){"bars", c->name, "from", "rows"}, labels, f->bins, BINS);
        n++;
    }
}

static int put_report(const struct summary *h, struct step *s, struct err *e)
{
    struct metric m[] = {{"rows", (double)h->t->n_rows}, {"columns", (double)h->d}, {"missing", 0}};
    struct report r;

    for (size_t j = 0; j < h->d; j++) {
        m[2].value += h->of[j].missing;
    }
    report_begin(&r, "summary");
    report_metrics(&r, m, ARRAY_LEN(m));
    report_charts(&r);
    put_charts(&r, h);
    report_tables(&r);
    put_rows(&r, h);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    progress_result(s->progress, m, ARRAY_LEN(m));
    progress_say(s->progress, "%zu rows, %zu columns, %.0f values missing", h->t->n_rows, h->d,
                 m[2].value);
    step_out_report(s, "report", r.out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(summary_done) struct summary h = {.t = step_table(s, "table")};

    h.cols = select_columns(h.t, step_text(s, "cols"), NULL, 0, &h.d, e);
    if (h.cols == NULL) {
        return err_wrap(e, "cols");
    }
    h.of = xnew_array(struct figures, h.d);
    threads_each(s->threads, h.d, one_column, &h);
    for (size_t j = 0; j < h.d; j++) {
        if (h.of[j].e.kind != ERR_NONE) {
            *e = h.of[j].e;
            return -1;
        }
    }
    return step_wants(s, "table") && put_table(&h, s, e) < 0 ? -1 : put_report(&h, s, e);
}

static void check(struct check *c)
{
    size_t n;
    struct table *out = table_new(0);

    free(check_columns(c, "table", "cols", CHECK_ANY, NULL, 0, /* fix */ NULL, &n));
    check_add_column(c, out, NULL, STR("column"), COLUMN_TEXT);
    check_add_column(c, out, NULL, STR("type"), COLUMN_TEXT);
    for (size_t k = 0; k < WIDTH; k++) {
        check_add_column(c, out, NULL, str_of(names[k]), COLUMN_NUMBER);
        out->columns[out->n_columns - 1].as = k < 4 ? AS_INT : AS_REAL;
    }
    check_add_column(c, out, NULL, STR("top"), COLUMN_TEXT);
    check_add_column(c, out, NULL, STR("top_count"), COLUMN_NUMBER);
    out->columns[out->n_columns - 1].as = AS_INT;
    check_out_table(c, "table", out, false);
    check_out_report(c, "report");
}

const struct module module_summarize = {
    .name = "summarize",
    .title = "Summarize",
    .description = "What each column holds: missing and different values, mean, deviation, "
                   "quantiles, skewness and kurtosis, the most frequent text.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+8*cells+32*rows*cpus+64Mi",
    .run = run,
    .check = check,
};
