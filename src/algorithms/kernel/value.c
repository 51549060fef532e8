#include "algorithms/kernel/value.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/table_file.h"

const char *value_type_name(enum value_type type)
{
    static const char *const names[] = {"none", "table", "model", "transform", "report", "file"};

    return names[type];
}

void value_done(struct value *v)
{
    switch (v->type) {
    case VALUE_TABLE:
        table_free(v->table);
        break;
    case VALUE_MODEL:
        model_free(v->model);
        break;
    case VALUE_TRANSFORM:
        transform_free(v->transform);
        break;
    case VALUE_REPORT:
        buf_done(&v->report);
        break;
    case VALUE_NONE:
    case VALUE_FILE:
        break;
    }
    *v = (struct value){0};
}

static struct transform *load_transform(const char *path, struct err *e)
{
    struct binr r = {0};
    struct transform *x;

    if (binr_open(&r, path, BINARY_TRANSFORM, e) < 0) {
        return NULL;
    }
    x = transform_read(&r, e);
    if (x && binr_end(&r, e) < 0) {
        transform_free(x);
        x = NULL;
    }
    binr_done(&r);
    if (x == NULL) {
        err_wrap(e, "%s", path);
    }
    return x;
}

int value_load(struct value *v, enum value_type type, const char *path, struct err *e)
{
    switch (type) {
    case VALUE_TABLE:
        v->table = table_load(path, e);
        break;
    case VALUE_MODEL:
        v->model = model_load(path, e);
        break;
    case VALUE_TRANSFORM:
        v->transform = load_transform(path, e);
        break;
    default:
        return err_set(e, ERR_INVALID, "a %s cannot be an input", value_type_name(type));
    }
    if (v->table == NULL) { /* the same pointer by another name */
        return -1;
    }
    v->type = type;
    return 0;
}

static int save_transform(const struct transform *x, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open(path, BINARY_TRANSFORM, e);

    if (w == NULL) {
        return -1;
    }
    transform_write(x, w);
    return binw_commit(w, e);
}

static int save_report(const struct buf *report, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open_text(path, e);

    if (w == NULL) {
        return -1;
    }
    binw_bytes(w, report->p, report->len);
    binw_bytes(w, "\n", 1);
    return binw_commit(w, e);
}

int value_save(const struct value *v, const char *path, struct err *e)
{
    switch (v->type) {
    case VALUE_TABLE:
        return table_save(v->table, path, e);
    case VALUE_MODEL:
        return model_save(v->model, path, e);
    case VALUE_TRANSFORM:
        return save_transform(v->transform, path, e);
    case VALUE_REPORT:
        return save_report(&v->report, path, e);
    case VALUE_NONE:
    case VALUE_FILE:
        break;
    }
    return err_set(e, ERR_INTERNAL, "the module made no value for %s", path);
}
