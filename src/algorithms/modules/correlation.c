/* correlation - of every two columns of numbers: Pearson, or Spearman (Pearson of the ranks). */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ranks.h"
#include "algorithms/kernel/report.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "Any rows."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, PORT_OPTIONAL, "A row and a column for each column."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "The same, and the strongest pairs."},
    {0},
};
static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL, "Columns of numbers, at most 500."},
    {"method", PARAM_CHOICE, "pearson", 0, 0, "pearson|spearman",
     "Of the values, or of their ranks: any falling or rising relation."},
    {0},
};

enum { COLUMNS_MAX = 500, STRONGEST = 20, LANES = 8 };

struct correlation {
    const struct table *t;
    uint32_t *cols;
    size_t d;
    bool ranks;
    bool *holes;        /* column has values that are not finite */
    double **x;         /* centred to length 1, or as it is when it has holes */
    double *r;          /* [d][d]; big memory */
    struct err *errors; /* of each column */
    struct step *s;
};

static void correlation_done(struct correlation *c)
{
    for (size_t i = 0; c->x && i < c->d; i++) {
        big_free(c->x[i]);
    }
    free(c->cols);
    free(c->holes);
    free(c->x);
    free(c->errors);
    big_free(c->r);
}

/* Mean 0 and length 1; false when all values are equal. */
static bool normalise(double *v, size_t n)
{
    double mean = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        mean += v[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        v[i] -= mean;
        squares += v[i] * v[i];
    }
    squares = sqrt(squares);
    if (!(squares > 1e-14 * fabs(mean) * sqrt((double)n)) || !isfinite(squares)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        v[i] /= squares;
    }
    return true;
}

static void prepare(void *ctx, size_t j, unsigned worker)
{
    struct correlation *c = ctx;
    const double *from = c->t->columns[c->cols[j]].numbers;
    size_t n = c->t->n_rows;

    (void)worker;
    for (size_t i = 0; i < n; i++) {
        c->holes[j] = c->holes[j] || !isfinite(from[i]);
    }
    c->x[j] = big_alloc(n, sizeof(double), "the columns", &c->errors[j]);
    if (c->x[j] == NULL) {
        return;
    }
    if (c->ranks && !c->holes[j] && ranks_of(from, n, c->x[j], &c->errors[j]) < 0) {
        return;
    }
    if (!c->ranks || c->holes[j]) {
        memcpy(c->x[j], from, n * sizeof(double));
    }
    if (!c->holes[j] && !normalise(c->x[j], n)) {
        c->x[j][0] = NAN; /* no relation to anything */
    }
}

/* Eight sums side by side, which the compiler makes vectors of. */
static double product(const double *a, const double *b, size_t n)
{
    double part[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            part[k] += a[i + k] * b[i + k];
        }
    }
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    for (size_t k = 0; k < LANES; k++) {
        sum += part[k];
    }
    return sum;
}

/* Of two columns with holes: over the rows that both have. */
static double of_pairs(struct correlation *c, size_t j, size_t k, double *a, double *b,
                       struct err *e)
{
    const double *x = c->t->columns[c->cols[j]].numbers, *y = c->t->columns[c->cols[k]].numbers;
    double *u = a, *v = b;
    size_t n = 0;

    for (size_t i = 0; i < c->t->n_rows; i++) {
        if (isfinite(x[i]) && isfinite(y[i])) {
            a[n] = x[i];
            b[n++] = y[i];
        }
    }
    if (c->ranks) {
        u = a + c->t->n_rows;
        v = b + c->t->n_rows;
        if (ranks_of(a, n, u, e) < 0 || ranks_of(b, n, v, e) < 0) {
            return NAN;
        }
    }
    return n > 1 && normalise(u, n) && normalise(v, n) ? product(u, v, n) : NAN;
}

/* One row of the matrix, from the diagonal on. */
static void one_row(void *ctx, size_t j, unsigned worker)
{
    struct correlation *c = ctx;
    size_t n = c->t->n_rows;
    struct err *e = &c->errors[j];
    SCOPED(big_freep) double *a = NULL;

    (void)worker;
    for (size_t k = j; k < c->d; k++) {
        double r;

        if (c->holes[j] || c->holes[k]) {
            if (a == NULL) {
                a = big_alloc(n, 4 * sizeof(double), "the columns", e);
            }
            r = a ? of_pairs(c, j, k, a, a + 2 * n, e) : NAN;
        } else {
            r = product(c->x[j], c->x[k], n);
        }
        r = r > 1 ? 1 : r < -1 ? -1 : r;
        c->r[j * c->d + k] = c->r[k * c->d + j] = j == k && !isnan(r) ? 1 : r;
    }
}

static int compute(struct correlation *c, struct err *e)
{
    c->holes = xnew_array(bool, c->d);
    c->x = xnew_array(double *, c->d);
    c->errors = xnew_array(struct err, c->d);
    c->r = big_alloc(c->d * c->d, sizeof(double), "the correlations", e);
    if (c->r == NULL) {
        return -1;
    }
    threads_each(c->s->threads, c->d, prepare, c);
    for (size_t j = 0; j < c->d; j++) {
        if (c->errors[j].kind != ERR_NONE) {
            *e = c->errors[j];
            return -1;
        }
    }
    threads_each(c->s->threads, c->d, one_row, c);
    for (size_t j = 0; j < c->d; j++) {
        if (c->errors[j].kind != ERR_NONE) {
            *e = c->errors[j];
            return -1;
        }
    }
    return 0;
}

static const char *name_of(const struct correlation *c, size_t j)
{
    return c->t->columns[c->cols[j]].name;
}

static int put_table(const struct correlation *c, struct step *s, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(c->d);
    SCOPED(dict_freep) struct dict *dict = dict_new();
    struct column *to = table_add_text(out, STR("column"), dict, e);

    if (to == NULL) {
        return -1;
    }
    (void)TAKE(dict);
    for (size_t j = 0; j < c->d; j++) {
        if (dict_intern(to->dict, str_of(name_of(c, j)), &to->codes[j], e) < 0) {
            return -1;
        }
    }
    dict_seal(to->dict);
    for (size_t j = 0; j < c->d; j++) {
        to = table_add_numbers(out, str_of(name_of(c, j)), e);
        for (size_t k = 0; to && k < c->d; k++) {
            to->numbers[k] = c->r[k * c->d + j];
        }
        if (to == NULL) {
            return err_wrap(e, "leave it out of cols");
        }
    }
    step_out_table(s, "table", TAKE(out));
    return 0;
}

struct pair {
    size_t a, b;
    double r;
};

/* The strongest, in order; equal ones in the order of columns. */
static size_t strongest(const struct correlation *c, struct pair *best)
{
    size_t n = 0;

    for (size_t j = 0; j < c->d; j++) {
        for (size_t k = j + 1; k < c->d; k++) {
            double r = c->r[j * c->d + k];
            size_t at = n;

            while (at > 0 && fabs(best[at - 1].r) < fabs(r)) {
                at--;
            }
            if (isnan(r) || at == STRONGEST) {
                continue;
            }
            n += n < STRONGEST;
            memmove(best + at + 1, best + at, (n - at - 1) * sizeof(*best));
            best[at] = (struct pair){j, k, r};
        }
    }
    return n;
}

static void put_matrix(struct report *r, const struct correlation *c)
{
    const char *columns[COLUMNS_MAX + 1] = {"column"};

    for (size_t j = 0; j < c->d; j++) {
        columns[j + 1] = name_of(c, j);
    }
    report_table_of(r, "Correlations", columns, c->d + 1);
    for (size_t j = 0; j < c->d; j++) {
        report_row(r);
        report_text(r, name_of(c, j));
        for (size_t k = 0; k < c->d; k++) {
            report_number(r, c->r[j * c->d + k]);
        }
        report_row_end(r);
    }
    report_table_end(r);
}

static int put_report(const struct correlation *c, struct step *s, struct err *e)
{
    struct pair best[STRONGEST];
    size_t n = strongest(c, best);
    const struct metric m[] = {{"columns", (double)c->d},
                               {"rows", (double)c->t->n_rows},
                               {"strongest", n > 0 ? best[0].r : NAN}};
    struct report r;

    report_begin(&r, "correlation");
    jw_kv_str(&r.w, "method", step_text(s, "method"));
    report_metrics(&r, m, ARRAY_LEN(m));
    report_charts(&r);
    report_tables(&r);
    report_table(&r, "Strongest pairs", "column|with|correlation");
    for (size_t i = 0; i < n; i++) {
        report_row(&r);
        report_text(&r, name_of(c, best[i].a));
        report_text(&r, name_of(c, best[i].b));
        report_number(&r, best[i].r);
        report_row_end(&r);
    }
    report_table_end(&r);
    put_matrix(&r, c);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    progress_result(s->progress, m, n > 0 ? 3 : 2);
    if (n > 0) {
        progress_say(s->progress, "strongest of %zu columns: '%s' with '%s', %.4f", c->d,
                     name_of(c, best[0].a), name_of(c, best[0].b), best[0].r);
    }
    step_out_report(s, "report", r.out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(correlation_done)
    struct correlation c = {
        .t = step_table(s, "table"), .s = s, .ranks = step_choice(s, "method") == 1};

    if (c.t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    c.cols = select_columns(c.t, step_text(s, "cols"), NULL, 0, &c.d, e);
    if (c.cols == NULL) {
        return err_wrap(e, "cols");
    }
    if (c.d > COLUMNS_MAX) {
        return err_set(e, ERR_INVALID,
                       "cols: %zu columns, and a matrix of more than %d is not read", c.d,
                       COLUMNS_MAX);
    }
    for (size_t j = 0; j < c.d; j++) {
        if (c.t->columns[c.cols[j]].kind != COLUMN_NUMBER) {
            return err_set(e, ERR_DATA, "column '%s' holds text, and numbers are needed here",
                           name_of(&c, j));
        }
    }
    if (compute(&c, e) < 0 || (step_wants(s, "table") && put_table(&c, s, e) < 0)) {
        return -1;
    }
    return put_report(&c, s, e);
}

static void check(struct check *c)
{
    size_t n;
    SCOPED(freep)
    uint32_t *cols = check_columns(c, "table", "cols", CHECK_NUMBERS, NULL, 0, /* fix */ NULL, &n);
    const struct table *t = check_table(c, "table");
    struct table *out = NULL;

    if (cols && !check_open(c, "table")) {
        out = table_new(0);
        check_add_column(c, out, NULL, STR("column"), COLUMN_TEXT);
        for (size_t j = 0; j < n; j++) {
            check_add_column(c, out, "cols", str_of(t->columns[cols[j]].name), COLUMN_NUMBER);
        }
    }
    check_out_table(c, "table", out, false);
    check_out_report(c, "report");
}

const struct module module_correlation = {
    .name = "correlation",
    .title = "Correlation",
    .description = "How much each two columns of numbers rise and fall together: Pearson or "
                   "Spearman, over the rows that both have.",
    .category = "evaluation",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+32*rows*cpus+64Mi",
    .run = run,
    .check = check,
};
