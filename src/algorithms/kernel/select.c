#include "algorithms/kernel/select.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Turns on or off what one word names. */
static int apply_word(const struct table *t, struct str word, unsigned char *on, struct err *e)
{
    bool all = str_eq(word, STR("@all"));
    bool numeric = str_eq(word, STR("@numeric")), text = str_eq(word, STR("@text"));
    bool date = str_eq(word, STR("@date"));
    bool minus = word.len > 1 && word.p[0] == '-' && table_column(t, word) == NULL;
    const struct column *c;

    if (all || numeric || text || date) {
        for (size_t i = 0; i < t->n_columns; i++) {
            bool is_text = t->columns[i].kind == COLUMN_TEXT;
            bool is_date = !is_text && t->columns[i].as >= AS_DATE;

            on[i] |=
                all || (text && is_text) || (date && is_date) || (numeric && !is_text && !is_date);
        }
        return 0;
    }
    c = table_need(t, str_from(word, minus), e);
    if (c == NULL) {
        return -1;
    }
    on[c - t->columns] = minus ? 0 : 2; /* 2: named by the user */
    return 0;
}

static int refuse(const struct table *t, const char *const *never, size_t n_never,
                  unsigned char *on, struct err *e)
{
    for (size_t k = 0; k < n_never; k++) {
        const struct column *c = never[k] ? table_column(t, str_of(never[k])) : NULL;

        if (c && on[c - t->columns] == 2) {
            return err_set(e, ERR_INVALID,
                           "column '%s' cannot be a feature too: it is the label, the weight or a "
                           "result",
                           c->name);
        }
        if (c) {
            on[c - t->columns] = 0;
        }
    }
    return 0;
}

uint32_t *select_columns(const struct table *t, struct str spec, const char *const *never,
                         size_t n_never, size_t *n, struct err *e)
{
    SCOPED(freep) unsigned char *on = xcalloc(t->n_columns + 1, 1);
    SCOPED(freep) uint32_t *found = xnew_array(uint32_t, t->n_columns + 1);
    struct str rest = spec;
    size_t count = 0;

    while (rest.p) {
        struct str word = str_trim(str_cut(&rest, ','));

        if (word.len > 0 && apply_word(t, word, on, e) < 0) {
            return NULL;
        }
    }
    if (refuse(t, never, n_never, on, e) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (on[i]) {
            found[count++] = (uint32_t)i;
        }
    }
    if (count == 0) {
        err_set(e, ERR_INVALID, "no column is left of '%.*s'", STR_ARG(spec));
        return NULL;
    }
    *n = count;
    return TAKE(found);
}
