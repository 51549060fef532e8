#include "algorithms/kernel/numbering.h"

#include "algorithms/kernel/select.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ROWS_LEAST = 20, GAPS_MOST = 50 /* a sample of one row in so many */ };

static bool named_so(const char *name)
{
    static const char *const names[] = {
        "id",    "rowid", "row_id", "rownames", "rowname",    "rownumber", "row",    "row_number",
        "index", "idx",   "no",     "nr",       "unnamed: 0", "column_1",  "number", "key"};
    size_t len = strlen(name);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return len == 0 || (len > 3 && strcasecmp(name + len - 3, "_id") == 0);
}

bool numbering_is(const struct column *c, size_t n_rows)
{
    bool gaps = false;

    if (c->kind != COLUMN_NUMBER || c->as > AS_INT || n_rows < ROWS_LEAST ||
        !(c->numbers[0] >= 0) || c->numbers[0] != floor(c->numbers[0])) {
        return false;
    }
    for (size_t r = 1; r < n_rows; r++) {
        double step = c->numbers[r] - c->numbers[r - 1];

        if (!(step >= 1) || step != floor(step)) {
            return false;
        }
        gaps = gaps || step > 1;
    }
    return named_so(c->name) && /* else it may be the week, the dose, the time */
           (!gaps || c->numbers[n_rows - 1] <= (double)n_rows * GAPS_MOST);
}

/* Whether a word of the selector is this name. */
static bool names_it(struct str spec, const char *name)
{
    struct str rest = spec;

    while (rest.p) {
        if (str_eq_c(str_trim(str_cut(&rest, ',')), name)) {
            return true;
        }
    }
    return false;
}

static char *minus(char *spec, const char *name)
{
    char *with = xasprintf("%s,-%s", spec, name);

    free(spec);
    return with;
}

static void tell(struct progress *progress, const char *name, bool stays)
{
    if (stays) {
        progress_warn(progress,
                      "column '%s' only numbers the rows, and is learned from: leave it out with "
                      "feature_cols=@all,-%s unless the order means something",
                      name, name);
        return;
    }
    progress_warn(progress,
                  "column '%s' only numbers the rows and is left out; name it in feature_cols to "
                  "learn from it",
                  name);
}

char *numbering_leave_out(const struct table *t, struct str spec, struct str also,
                          const char *const *never, size_t n_never, struct progress *progress)
{
    struct err ignored = {0};
    size_t n = 0, others = 0;
    SCOPED(freep) uint32_t *found = select_columns(t, spec, never, n_never, &n, &ignored);
    char *left = found ? str_dup(spec) : NULL;

    for (size_t i = 0; found && i < n; i++) {
        others += !numbering_is(&t->columns[found[i]], t->n_rows);
    }
    for (size_t i = 0; found && others < n && i < n; i++) {
        const struct column *c = &t->columns[found[i]];
        struct str name = str_of(c->name);
        bool stays = others == 0 || names_it(spec, c->name) || names_it(also, c->name) ||
                     strchr(c->name, ',') || str_trim(name).len < name.len;

        if (!numbering_is(c, t->n_rows)) {
            continue;
        }
        tell(progress, c->name, stays);
        left = stays ? left : minus(left, c->name);
    }
    return left;
}
