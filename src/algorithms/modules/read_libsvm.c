/* read_libsvm - a table from sparse rows as LIBSVM and SVMlight have them. */
#include "algorithms/kernel/libsvm.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "Label, qid when there is one, and a column a feature: f1, f2, ..."},
    {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {"index", PARAM_CHOICE, "auto", 0, 0, "auto|one|zero",
     "The number of the first feature, which becomes f1; auto: zero when some line has a 0."},
    {"features", PARAM_INT, "0", 0, ML_LIMIT_COLUMNS - 2, NULL,
     "How many features there are, for files of which none names the last ones; 0: as many as are "
     "named."},
    {"label_col", PARAM_TEXT, "label", 0, 0, NULL, "The name of the column of labels."},
    {0},
};

static struct libsvm_options options_of(const struct step *s)
{
    return (struct libsvm_options){
        .index = (enum libsvm_index)step_choice(s, "index"),
        .features = (size_t)step_int(s, "features"),
        .label = step_text(s, "label_col"),
    };
}

static int run(struct step *s, struct err *e)
{
    struct libsvm_options o = options_of(s);
    const char *path = source_path(s, e);
    struct table *t;
    void *map;
    size_t len;

    if (path == NULL || map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    t = libsvm_read(str_n(map ? map : "", len), &o, e);
    unmap_file(map, len);
    if (t == NULL) {
        return err_wrap(e, "%s", path);
    }
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    step_out_table(s, "table", t);
    return 0;
}

enum { HEAD_BYTES = 64 * 1024 };

/* A row further down may name more features. */
static void check(struct check *c)
{
    struct libsvm_options o = options_of(&c->step);
    SCOPED(freep) char *head = NULL;
    SCOPED(table_freep) struct table *t = NULL;
    struct value v = {.type = VALUE_TABLE};
    struct err e = {0};
    uint64_t size = 0;
    SCOPED(closep) int fd = source_is_there(c) ? source_head_open(c, &size) : -1;
    size_t n = size < HEAD_BYTES ? (size_t)size : HEAD_BYTES;

    head = fd < 0 ? NULL : source_head_read(c, fd, 0, n);
    if (head == NULL) {
        return;
    }
    while (n < size && n > 0 && head[n - 1] != '\n') {
        n--;
    }
    t = n > 0 ? libsvm_read(str_n(head, n), &o, &e) : NULL;
    if (t == NULL && (n > 0 || size == 0)) {
        source_gives(c, NULL, &e);
        return;
    }
    v.table = t;
    if (t == NULL || schema_of(&c->out[0], &v, &e) < 0 || (n < size && o.features == 0)) {
        c->out[0].open = true;
    }
    if (t && n > 0) {
        c->out[0].rows = (int64_t)((double)t->n_rows * (double)size / (double)n);
    }
}

const struct module module_read_libsvm = {
    .name = "read_libsvm",
    .title = "Read LIBSVM",
    .description =
        "Reads a table from sparse rows (LIBSVM, SVMlight): a label, maybe qid:, and index:value. "
        "Every feature becomes a column, 0 where a row does not name it.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "24*input+16*cells+64Mi",
    .run = run,
    .check = check,
};
