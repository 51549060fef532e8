/* string_index - the number of its category in place of a text. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@text", 0, 0, NULL,
     "Columns of text to number: names, @text, -name to leave one out."},
    {"order", PARAM_CHOICE, "freq", 0, 0, "freq|alpha",
     "freq: the most frequent text is 0; alpha: texts in the order of their bytes."},
    {"unknown", PARAM_CHOICE, "keep", 0, 0, "keep|error",
     "A text that was not there when it was fitted: keep gives it the next number behind all "
     "others, error ends the run."},
    {0},
};

enum { UNKNOWN_KEEP, UNKNOWN_ERROR }; /* flag */

static int number_rows(struct column *to, const struct vocab *v, unsigned flag,
                       const struct column *c, size_t n_rows, struct err *e)
{
    SCOPED(big_freep) uint32_t *codes = vocab_encode(v, c, n_rows, e);

    for (size_t r = 0; codes && r < n_rows; r++) {
        if (codes[r] == VOCAB_UNKNOWN && flag == UNKNOWN_ERROR) {
            struct str text = str_first(dict_text(c->dict, c->codes[r]), 60);

            return err_set(e, ERR_DATA,
                           "column '%s', row %zu: '%.*s' was not there when string_index was "
                           "fitted; unknown=keep gives it a number of its own",
                           c->name, r + 1, STR_ARG(text));
        }
        to->numbers[r] = codes[r] == VOCAB_MISSING   ? NAN
                         : codes[r] == VOCAB_UNKNOWN ? (double)v->n
                                                     : codes[r];
    }
    return codes ? 0 : -1;
}

static int index_column(struct table *out, const struct encoding *x, size_t i,
                        const struct column *c, struct err *e)
{
    struct column *to = table_add_numbers(out, str_of(c->name), e);

    if (to == NULL) {
        return -1;
    }
    to->as = AS_INT;
    return number_rows(to, &x->vocabs[i], x->flag, c, out->n_rows, e);
}

static struct table *index_apply(const void *body, const struct table *t, struct err *e)
{
    const struct encoding *x = body;
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    SCOPED(map_done) struct map index = fitted_index(x->columns, x->n);

    for (size_t i = 0; i < x->n; i++) {
        if (fitted_need(t, x->columns[i], COLUMN_TEXT, e) == NULL) {
            return NULL;
        }
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        size_t at = (size_t)map_get(&index, str_of(c->name));

        if ((at > 0 ? index_column(out, x, at - 1, c, e) : table_add_copy(out, c, e)) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

static void *index_read(struct binr *r, struct err *e)
{
    struct encoding *x = encoding_read(r, e);

    for (size_t i = 0; x && i < x->n; i++) {
        if (x->vocabs[i].kind != COLUMN_TEXT) {
            err_set(e, ERR_DATA, "damaged: a string_index of numbers");
            encoding_free(x);
            return NULL;
        }
    }
    return x;
}

const struct transform_type transform_string_index = {
    .kind = 52,
    .module = "string_index",
    .apply = index_apply,
    .write = encoding_write,
    .read = index_read,
    .free = encoding_free,
};

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct vocab_rule rule = {step_choice(s, "order") == 0 ? VOCAB_BY_COUNT : VOCAB_BY_VALUE,
                              ML_LIMIT_VOCABULARY, 1};
    size_t n = 0;
    SCOPED(freep) uint32_t *columns = fit_columns(s, &n, e);
    struct encoding *x;

    for (size_t i = 0; columns && i < n; i++) {
        if (t->columns[columns[i]].kind != COLUMN_TEXT) {
            return err_set(e, ERR_DATA, "column '%s' holds numbers, and text is needed here",
                           t->columns[columns[i]].name);
        }
    }
    x = columns ? encoding_learn(s, &rule, step_choice(s, "unknown"), e) : NULL;
    if (fit_finish(s, &transform_string_index, x, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns of text numbered", n);
    return 0;
}

static void check(struct check *c)
{
    size_t n = 0;

    free(check_columns(c, "table", "cols", CHECK_TEXT, /* never */ NULL, 0, NULL, &n));
    check_out_transform(c, "transform");
    if (c->n_mistakes == 0) {
        check_dry(c);
    }
}

const struct module module_string_index = {
    .name = "string_index",
    .title = "String index",
    .description = "Puts numbers from 0 in place of the different texts of a column. What is "
                   "missing stays missing. A model trained on the result applies the same to new "
                   "rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = fit_inputs,
    .outputs = fit_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+32*rows",
    .run = run,
    .check = check,
};
