#include "algorithms/kernel/jsonl.h"

#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/json.h"

#include <math.h>

static bool is_missing(const struct column *c, size_t row)
{
    return c->kind == COLUMN_TEXT ? c->codes[row] == DICT_MISSING : isnan(c->numbers[row]);
}

static void write_value(struct jw *w, const struct column *c, size_t row)
{
    char text[AS_TEXT_BYTES];
    double v;

    if (is_missing(c, row)) {
        jw_null(w);
        return;
    }
    if (c->kind == COLUMN_TEXT) {
        jw_str(w, dict_text(c->dict, c->codes[row]));
        return;
    }
    v = c->numbers[row];
    if (!as_holds(c->as, v) || c->as == AS_REAL) {
        number_json(w, v);
    } else if (c->as == AS_DATE || c->as == AS_TIME) {
        jw_str(w, str_of(as_format(c->as, v, text)));
    } else {
        jw_raw(w, str_of(as_format(c->as, v, text)));
    }
}

int jsonl_write(const struct table *t, enum jsonl_missing missing, struct binw *w, struct err *e)
{
    /* A text takes six bytes a byte at most. */
    struct buf line = BUF_MAX(6 * (size_t)ML_LIMIT_LINE_BYTES);
    int rc = 0;

    for (size_t row = 0; rc == 0 && row < t->n_rows; row++) {
        struct jw out = JW(&line);

        buf_clear(&line);
        jw_object(&out);
        for (size_t i = 0; i < t->n_columns; i++) {
            const struct column *c = &t->columns[i];

            if (missing == JSONL_MISSING_NULL || !is_missing(c, row)) {
                jw_key(&out, c->name);
                write_value(&out, c, row);
            }
        }
        jw_end(&out);
        rc = line.failed ? err_set(e, ERR_DATA, "row %zu makes a line longer than %zu bytes",
                                   row + 1, line.max)
                         : 0;
        binw_bytes(w, line.p, rc == 0 ? line.len : 0);
        binw_bytes(w, "\n", rc == 0);
    }
    buf_done(&line);
    return rc;
}
