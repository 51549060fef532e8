#include "algorithms/kernel/fit.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/select.h"
#include "base/mem.h"

#include <stdlib.h>

const struct port fit_inputs[] = {{"table", VALUE_TABLE, 0, "The rows to learn from."}, {0}};
const struct port fit_outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows changed; models trained on it carry the transform."},
    {"transform", VALUE_TRANSFORM, 0, "What was learned, for apply_transform and predict."},
    {0},
};

int fit_finish(struct step *s, const struct transform_type *type, void *body, struct err *e)
{
    SCOPED(transform_freep) struct transform *x = body ? transform_new(type, body) : NULL;
    struct table *changed = x ? transform_apply(x, step_table(s, "table"), e) : NULL;

    if (changed == NULL) {
        return -1;
    }
    step_out_table(s, "table", changed);
    step_out_transform(s, "transform", TAKE(x));
    return 0;
}

uint32_t *fit_columns(const struct step *s, size_t *n, struct err *e)
{
    uint32_t *found =
        select_columns(step_table(s, "table"), step_text(s, "cols"), /* never */ NULL, 0, n, e);

    if (found == NULL) {
        err_wrap(e, "cols");
    }
    return found;
}

static void encoding_freep(struct encoding **x)
{
    encoding_free(*x);
}

struct encoding *encoding_learn(const struct step *s, const struct vocab_rule *rule, unsigned flag,
                                struct err *e)
{
    const struct table *t = step_table(s, "table");
    size_t n = 0;
    SCOPED(freep) uint32_t *columns = fit_columns(s, &n, e);
    SCOPED(encoding_freep) struct encoding *x = NULL;

    if (columns == NULL) {
        return NULL;
    }
    x = xnew(struct encoding);
    *x = (struct encoding){xnew_array(char *, n + 1), xnew_array(struct vocab, n + 1), n, flag};
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &t->columns[columns[i]];

        x->columns[i] = xstrdup(c->name);
        if (vocab_learn(&x->vocabs[i], c, t->n_rows, rule, e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

void encoding_write(const void *body, struct binw *w)
{
    const struct encoding *x = body;

    fitted_write(x->columns, x->n, w);
    binw_u32(w, x->flag);
    for (size_t i = 0; i < x->n; i++) {
        vocab_write(&x->vocabs[i], w);
    }
}

void *encoding_read(struct binr *r, struct err *e)
{
    size_t n = 0;
    char **columns = fitted_read(r, &n, e);
    SCOPED(encoding_freep) struct encoding *x = NULL;

    if (columns == NULL) {
        return NULL;
    }
    x = xnew(struct encoding);
    *x = (struct encoding){columns, xnew_array(struct vocab, n + 1), n, binr_u32(r)};
    if (x->flag > 1) {
        err_set(e, ERR_DATA, "damaged: an encoder of kind %u", x->flag);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (vocab_read(r, &x->vocabs[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

void encoding_free(void *body)
{
    struct encoding *x = body;

    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        vocab_done(&x->vocabs[i]);
    }
    fitted_free(x->columns, x->n);
    free(x->vocabs);
    free(x);
}
