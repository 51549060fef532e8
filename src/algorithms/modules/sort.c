/* sort - rows in the order of some columns. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/order.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "Its rows in order."}, {0}};
static const struct param params[] = {
    {"by", PARAM_TEXT, NULL, 0, 0, NULL,
     "Columns, the most important first, each with asc (as without) or desc behind: price desc, "
     "name."},
    {0},
};

enum { SORT_KEYS = 32 };

/* "price desc": a name may have spaces, so the last word counts only when the rest is a column. */
static int add_key(const struct table *t, struct str spec, struct order_key *key, struct err *e)
{
    ptrdiff_t space = str_rfind_char(spec, ' ');
    struct str word = space > 0 ? str_from(spec, (size_t)space + 1) : STR_EMPTY;
    bool down = str_eq_nocase(word, STR("desc"));

    if (table_column(t, spec) == NULL && (down || str_eq_nocase(word, STR("asc")))) {
        spec = str_trim(str_first(spec, (size_t)space));
        key->descending = down;
    }
    key->column = table_need(t, spec, e);
    return key->column ? 0 : err_wrap(e, "by");
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str rest = step_text(s, "by");
    struct order_key keys[SORT_KEYS] = {0};
    SCOPED(big_freep) uint32_t *rows = NULL;
    struct table *out;
    size_t n = 0;

    while (rest.p) {
        struct str spec = str_trim(str_cut(&rest, ','));

        if (spec.len > 0 && n == SORT_KEYS) {
            return err_set(e, ERR_INVALID, "by: at most %d columns", SORT_KEYS);
        }
        if (spec.len > 0 && add_key(t, spec, &keys[n++], e) < 0) {
            return -1;
        }
    }
    if (n == 0) {
        return err_set(e, ERR_INVALID, "by: name at least one column");
    }
    rows = order_rows(keys, n, t->n_rows, e);
    out = rows ? table_rows(t, rows, t->n_rows, e) : NULL;
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows by %zu columns", t->n_rows, n);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_sort = {
    .name = "sort",
    .title = "Sort",
    .description =
        "Puts the rows in the order of columns: numbers by value, text by its bytes, missing "
        "values last in both directions. Rows that are equal in all of them stay as they were.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+18*cells+16*rows+64Mi",
    .run = run,
    .check = check_dry,
};
