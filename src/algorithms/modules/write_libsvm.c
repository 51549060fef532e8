/* write_libsvm - a table to sparse rows as LIBSVM and SVMlight have them. */
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/libsvm.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to write."}, {0}};

static const struct param params[] = {
    {"path", PARAM_PATH, NULL, 0, 0, NULL, "The file to write; it appears whole or not at all."},
    {"label_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column of labels, which are numbers."},
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "The features: names, @numeric, @all, -name to leave one out."},
    {"index", PARAM_CHOICE, "one", 0, 0, "one|zero", "The number of the first feature."},
    {0},
};

static int write_rows(struct step *s, struct binw *w, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *label = table_need_numbers(t, step_text(s, "label_col"), e);
    const char *never[1];
    SCOPED(freep) uint32_t *features = NULL;
    size_t n = 0;

    if (label == NULL) {
        return -1;
    }
    never[0] = label->name;
    features = select_columns(t, step_text(s, "cols"), never, 1, &n, e);
    for (size_t i = 0; features && i < n; i++) {
        if (table_need_numbers(t, str_of(t->columns[features[i]].name), e) == NULL) {
            return -1;
        }
    }
    return features == NULL
               ? err_wrap(e, "cols")
               : libsvm_write(t, label, features, n,
                              step_choice(s, "index") == 0 ? LIBSVM_FROM_ONE : LIBSVM_FROM_ZERO, w,
                              e);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const char *path = step_text(s, "path").p;
    SCOPED(binw_closep) struct binw *w = binw_open_named(path, e);

    if (w == NULL || write_rows(s, w, e) < 0 || binw_commit(w, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu rows to %s, %llu bytes", t->n_rows, path,
                 (unsigned long long)w->len);
    return 0;
}

static void check(struct check *c)
{
    const struct column *label = check_column(c, "table", "label_col", CHECK_NUMBERS);
    const char *never[1];
    size_t n;

    if (label) {
        never[0] = label->name;
        free(check_columns(c, "table", "cols", CHECK_NUMBERS, never, 1, "string_index", &n));
    }
}

const struct module module_write_libsvm = {
    .name = "write_libsvm",
    .title = "Write LIBSVM",
    .description = "Writes a table as sparse rows (LIBSVM, SVMlight): a label and index:value for "
                   "what is not 0. Missing values are refused.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = (const struct port[]){{0}},
    .params = params,
    .flags = MODULE_LIGHT | MODULE_WRITES,
    .run = run,
    .check = check,
};
