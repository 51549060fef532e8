#include "algorithms/kernel/fitted.h"

#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <stdlib.h>

const struct column *fitted_need(const struct table *t, const char *name, enum column_kind kind,
                                 struct err *e)
{
    const struct column *c = table_need(t, str_of(name), e);

    if (c == NULL) {
        e->kind = ERR_DATA;
        err_wrap(e, "the transform was fitted on column '%s'", name);
        return NULL;
    }
    if (c->kind != kind) {
        err_set(e, ERR_DATA, "column '%s' holds %s, and the transform was fitted on %s", name,
                c->kind == COLUMN_TEXT ? "text" : "numbers",
                c->kind == COLUMN_TEXT ? "numbers" : "text");
        return NULL;
    }
    return c;
}

void fitted_write(char *const *names, size_t n, struct binw *w)
{
    binw_u32(w, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        binw_str(w, str_of(names[i]));
    }
}

char **fitted_read(struct binr *r, size_t *n, struct err *e)
{
    uint32_t count = binr_u32(r);
    SCOPED(map_done) struct map seen = {0};
    char **names;

    if (r->bad || count > ML_LIMIT_COLUMNS) {
        err_set(e, ERR_DATA, "damaged: a transform of %u columns", count);
        return NULL;
    }
    names = xnew_array(char *, count + 1);
    for (*n = 0; *n < count; ++*n) {
        names[*n] = binr_name(r);
        if (names[*n] == NULL || map_put(&seen, str_of(names[*n]), names)) {
            err_set(e, ERR_DATA, "damaged: column %zu of a transform has no name of its own", *n);
            fitted_free(names, count); /* those past the bad one are NULL */
            return NULL;
        }
    }
    return names;
}

void fitted_free(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++) {
        free(names[i]);
    }
    free(names);
}

struct map fitted_index(char *const *names, size_t n)
{
    struct map index = {0};

    for (size_t i = 0; i < n; i++) {
        (void)map_put(&index, str_of(names[i]), (void *)(i + 1));
    }
    return index;
}
