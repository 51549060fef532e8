#include "algorithms/kernel/groups.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"

#include <math.h>
#include <stdlib.h>

void groups_done(struct groups *g)
{
    big_free(g->of);
    *g = (struct groups){0};
}

/* A cell and its row; sorted, equal ones stand together. */
struct cell {
    double value; /* a number, or the code of a text */
    uint32_t row;
};

static int by_value(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

int groups_of(struct groups *g, const struct column *c, size_t n_rows, struct err *e)
{
    SCOPED(big_freep) struct cell *cells = big_alloc(n_rows, sizeof(*cells), "the groups", e);

    *g = (struct groups){0};
    for (uint32_t r = 0; cells && r < n_rows; r++) {
        if (c->kind == COLUMN_TEXT ? c->codes[r] == DICT_MISSING : isnan(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %u: the value is missing", c->name,
                           r + 1);
        }
        cells[r] = (struct cell){c->kind == COLUMN_TEXT ? c->codes[r] : c->numbers[r], r};
    }
    g->of = cells ? big_alloc(n_rows, sizeof(*g->of), "the groups", e) : NULL;
    if (g->of == NULL) {
        return -1;
    }
    qsort(cells, n_rows, sizeof(*cells), by_value);
    for (size_t i = 0; i < n_rows; i++) {
        g->n += i == 0 || cells[i].value != cells[i - 1].value;
        g->of[cells[i].row] = (uint32_t)(g->n - 1);
    }
    return 0;
}
