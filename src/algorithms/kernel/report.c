#include "algorithms/kernel/report.h"

#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"

void report_begin(struct report *r, const char *kind)
{
    r->out = BUF_MAX(ML_LIMIT_REPORT_BYTES);
    r->w = JW(&r->out);
    jw_object(&r->w);
    jw_kv_i64(&r->w, "report", 1);
    jw_kv_c(&r->w, "kind", kind);
}

void report_done(struct report *r)
{
    buf_done(&r->out);
}

void report_metrics(struct report *r, const struct metric *m, size_t n)
{
    jw_key(&r->w, "metrics");
    jw_object(&r->w);
    for (size_t i = 0; i < n; i++) {
        number_json_kv(&r->w, m[i].name, m[i].value);
    }
    jw_end(&r->w);
}

void report_charts(struct report *r)
{
    jw_key(&r->w, "charts");
    jw_array(&r->w);
}

static void put_numbers(struct report *r, const char *key, const double *v, size_t n)
{
    jw_key(&r->w, key);
    jw_array(&r->w);
    for (size_t i = 0; i < n; i++) {
        number_json(&r->w, v[i]);
    }
    jw_end(&r->w);
}

static void put_labels(struct report *r, const char *const *labels, size_t n)
{
    jw_key(&r->w, "labels");
    jw_array(&r->w);
    for (size_t i = 0; i < n; i++) {
        jw_str(&r->w, str_of(labels[i]));
    }
    jw_end(&r->w);
}

static void chart_head(struct report *r, const struct chart *c)
{
    jw_object(&r->w);
    jw_kv_c(&r->w, "kind", c->kind);
    if (c->title) {
        jw_kv_c(&r->w, "title", c->title);
    }
    if (c->x_label) {
        jw_kv_c(&r->w, "x_label", c->x_label);
    }
    if (c->y_label) {
        jw_kv_c(&r->w, "y_label", c->y_label);
    }
}

void report_lines(struct report *r, const struct chart *c, const double *x, const double *y,
                  size_t n)
{
    chart_head(r, c);
    put_numbers(r, "x", x, n);
    put_numbers(r, "y", y, n);
    jw_end(&r->w);
}

static void series_begin(struct report *r)
{
    jw_key(&r->w, "series");
    jw_array(&r->w);
}

void report_series_begin(struct report *r, const struct chart *c)
{
    chart_head(r, c);
    series_begin(r);
}

void report_series_begin_as(struct report *r, const struct chart *c, const char *x_as)
{
    chart_head(r, c);
    jw_kv_c(&r->w, "x_as", x_as);
    series_begin(r);
}

void report_series(struct report *r, const char *name, const double *x, const double *y, size_t n)
{
    jw_object(&r->w);
    jw_kv_str(&r->w, "name", str_of(name));
    put_numbers(r, "x", x, n);
    put_numbers(r, "y", y, n);
    jw_end(&r->w);
}

void report_series_end(struct report *r)
{
    jw_end(&r->w);
    jw_end(&r->w);
}

void report_bars(struct report *r, const struct chart *c, const char *const *labels,
                 const double *y, size_t n)
{
    chart_head(r, c);
    put_labels(r, labels, n);
    put_numbers(r, "y", y, n);
    jw_end(&r->w);
}

void report_confusion(struct report *r, const char *const *labels, const double *counts, size_t n)
{
    chart_head(r, &(struct chart){.kind = "confusion"});
    put_labels(r, labels, n);
    jw_key(&r->w, "counts");
    jw_array(&r->w);
    for (size_t i = 0; i < n; i++) {
        jw_array(&r->w);
        for (size_t j = 0; j < n; j++) {
            number_json(&r->w, counts[i * n + j]);
        }
        jw_end(&r->w);
    }
    jw_end(&r->w);
    jw_end(&r->w);
}

void report_tables(struct report *r)
{
    jw_end(&r->w);
    jw_key(&r->w, "tables");
    jw_array(&r->w);
}

static void table_head(struct report *r, const char *title)
{
    jw_object(&r->w);
    jw_kv_c(&r->w, "title", title);
    jw_key(&r->w, "columns");
    jw_array(&r->w);
}

static void table_rows_begin(struct report *r)
{
    jw_end(&r->w);
    jw_key(&r->w, "rows");
    jw_array(&r->w);
}

void report_table(struct report *r, const char *title, const char *columns)
{
    struct str rest = str_of(columns);

    table_head(r, title);
    while (rest.p) {
        jw_str(&r->w, str_cut(&rest, '|'));
    }
    table_rows_begin(r);
}

void report_table_of(struct report *r, const char *title, const char *const *columns, size_t n)
{
    table_head(r, title);
    for (size_t i = 0; i < n; i++) {
        jw_str(&r->w, str_of(columns[i]));
    }
    table_rows_begin(r);
}

void report_row(struct report *r)
{
    jw_array(&r->w);
}

void report_number(struct report *r, double v)
{
    number_json(&r->w, v);
}

void report_text(struct report *r, const char *text)
{
    jw_str(&r->w, str_of(text));
}

void report_row_end(struct report *r)
{
    jw_end(&r->w);
}

void report_table_end(struct report *r)
{
    jw_end(&r->w);
    jw_end(&r->w);
}

int report_end(struct report *r, struct err *e)
{
    jw_end(&r->w);
    jw_end(&r->w);
    return r->out.failed ? err_set(e, ERR_LIMIT, "the report is larger than %llu MiB",
                                   ML_LIMIT_REPORT_BYTES / MIB)
                         : 0;
}
