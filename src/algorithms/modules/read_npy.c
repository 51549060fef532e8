/* read_npy - a table from an array that numpy.save() wrote. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/npy.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows of the array: column_1, column_2, ..., or its fields."},
    {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {0},
};

static int run(struct step *s, struct err *e)
{
    const char *path = source_path(s, e);
    struct table *t;
    void *map;
    size_t len;

    if (path == NULL || map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    t = npy_read(str_n(map ? map : "", len), e);
    unmap_file(map, len);
    if (t == NULL) {
        return err_wrap(e, "%s", path);
    }
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    step_out_table(s, "table", t);
    return 0;
}

static void check(struct check *c)
{
    SCOPED(freep) char *first = NULL;
    SCOPED(freep) char *head = NULL;
    struct err e = {0};
    uint64_t size = 0, rows;
    SCOPED(closep) int fd = source_is_there(c) ? source_head_open(c, &size) : -1;
    size_t n = size < NPY_FIRST_BYTES ? (size_t)size : NPY_FIRST_BYTES, len;

    first = fd < 0 ? NULL : source_head_read(c, fd, 0, n);
    if (first == NULL) {
        return;
    }
    len = npy_head(str_n(first, n), &e);
    if (len == 0) {
        source_gives(c, NULL, &e);
        return;
    }
    head = source_head_read(c, fd, 0, len < size ? len : (size_t)size);
    if (head) {
        source_gives(c, npy_columns(str_n(head, len < size ? len : (size_t)size), &rows, &e), &e);
    }
}

const struct module module_read_npy = {
    .name = "read_npy",
    .title = "Read NumPy array",
    .description =
        "Reads a table from an array of numpy.save(): one dimension is a column, two are rows of "
        "columns, a structured type has a column a field. Integers past 2^53 become text; objects "
        "are refused, since they are pickles, which run code.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "18*input+64Mi",
    .run = run,
    .check = check,
};
