#include "algorithms/modules/judging.h"

#include "algorithms/kernel/failure.h"

#include <math.h>

const struct column *judging_numbers(const struct step *s, const struct table *t, const char *param,
                                     struct err *e)
{
    const struct column *c = table_need_numbers(t, step_text(s, param), e);

    if (c == NULL) {
        err_wrap(e, "%s", param);
        return NULL;
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        if (!isfinite(c->numbers[r])) {
            err_set(e, ERR_DATA, "column '%s', row %zu: the value is %s", c->name, r + 1,
                    isnan(c->numbers[r]) ? "missing" : "infinite");
            return NULL;
        }
    }
    return c;
}

int judging_weights(const struct step *s, const struct table *t, const double **w, double *sum,
                    struct err *e)
{
    struct str name = step_text(s, "weight_col");
    const struct column *c;

    *w = NULL;
    *sum = (double)t->n_rows;
    if (name.len == 0) {
        return 0;
    }
    c = judging_numbers(s, t, "weight_col", e);
    *sum = 0;
    for (size_t r = 0; c && r < t->n_rows; r++) {
        if (c->numbers[r] < 0) {
            return err_set(e, ERR_DATA,
                           "weight column '%s', row %zu: a weight is a number from 0 up", c->name,
                           r + 1);
        }
        *sum += c->numbers[r];
    }
    if (c && (!(*sum > 0) || isinf(*sum))) {
        return err_set(e, ERR_DATA, "the weights of all rows sum to %g", *sum);
    }
    *w = c ? c->numbers : NULL;
    return c ? 0 : -1;
}

void judging_begin(struct report *r, const char *kind, const struct step *s, size_t rows)
{
    report_begin(r, kind);
    jw_kv_str(&r->w, "name", step_text(s, "name"));
    jw_kv_str(&r->w, "label_col", step_text(s, "label_col"));
    jw_kv_i64(&r->w, "rows", (int64_t)rows);
}

int judging_end(struct report *r, struct step *s, const struct metric *m, size_t n, struct err *e)
{
    if (report_end(r, e) < 0) {
        report_done(r);
        return -1;
    }
    progress_result(s->progress, m, n);
    step_out_report(s, "report", r->out);
    return 0;
}
