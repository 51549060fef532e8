/* report - what judging modules say, in one form (docs/formats/report.md): metrics by name, charts
 * of few points, tables of few rows.
 *
 *   report_begin(&r, "binary");  jw_kv_i64(&r.w, "rows", n);     further keys of the head
 *   report_metrics(&r, m, n);
 *   report_charts(&r);  report_lines(&r, ...);  report_bars(&r, ...);
 *   report_tables(&r);  report_table(&r, ...);  report_row(&r); report_text(&r, ...); ...
 *   report_end(&r, e);  step_out_report(s, "report", r.out);
 *
 * Points stay where it is. Titles that a kind of chart has by itself (roc, pr) are the console's,
 * in the user's language. */
#pragma once
#include "algorithms/kernel/progress.h"
#include "base/json.h"

enum { REPORT_POINTS = 256 }; /* of one line: more cannot be seen */

struct report {
    struct buf out;
    struct jw w;
};

void report_begin(struct report *r, const char *kind);
void report_done(struct report *r); /* of one that goes nowhere */
void report_metrics(struct report *r, const struct metric *m, size_t n);

struct chart {
    const char *kind, *title, *x_label, *y_label; /* all but kind may be NULL */
};
void report_charts(struct report *r);
void report_lines(struct report *r, const struct chart *c, const double *x, const double *y,
                  size_t n);
/* Several of them in one chart, each with a name: begin, series, end. */
void report_series_begin(struct report *r, const struct chart *c);
/* `x_as` names what the numbers of x mean: as.h. */
void report_series_begin_as(struct report *r, const struct chart *c, const char *x_as);
void report_series(struct report *r, const char *name, const double *x, const double *y, size_t n);
void report_series_end(struct report *r);
void report_bars(struct report *r, const struct chart *c, const char *const *labels,
                 const double *y, size_t n);
/* counts[truth][prediction] */
void report_confusion(struct report *r, const char *const *labels, const double *counts, size_t n);

void report_tables(struct report *r);
/* `columns` are separated by '|'; then rows of values, then report_table_end(). */
void report_table(struct report *r, const char *title, const char *columns);
/* The same with columns of any name. */
void report_table_of(struct report *r, const char *title, const char *const *columns, size_t n);
void report_row(struct report *r);
void report_number(struct report *r, double v);
void report_text(struct report *r, const char *text);
void report_row_end(struct report *r);
void report_table_end(struct report *r);
/* ERR_LIMIT when it has become too large; report_done() is the caller's then. */
int report_end(struct report *r, struct err *e) MUST_USE;
