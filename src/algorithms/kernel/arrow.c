#include "algorithms/kernel/arrow_priv.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/transform.h"
#include "algorithms/kernel/utf8.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

static int read_transforms(struct str base64, struct table *t, struct err *e)
{
    struct buf b = BUF_MAX(ML_LIMIT_ARROW_BYTES);
    struct binr r = {0};
    int rc = 0;

    if (base64.p == NULL) {
        return 0;
    }
    if (base64_decode(base64, &b) < 0) {
        rc = err_set(e, ERR_DATA, "damaged: its transforms are no base64");
    } else {
        r = (struct binr){.p = b.p ? b.p : "", .left = b.len};
        rc = transform_read_list(&r, &t->applied, &t->n_applied, e);
        rc = rc == 0 ? binr_end(&r, e) : rc;
    }
    buf_done(&b);
    return rc;
}

/* A column without a name gets one, in *made; a name that is no text is damage. */
static int name_field(struct arrow_field *field, size_t i, char **made, struct err *e)
{
    *made = xasprintf("column_%zu", i + 1);
    field->name = field->name.len > 0 ? field->name : str_of(*made);
    return utf8_check(field->name) >= 0
               ? err_set(e, ERR_DATA, "the name of column %zu is no UTF-8", i + 1)
               : 0;
}

static int read_column(struct arrow_file *f, size_t i, struct table *t, struct err *e)
{
    SCOPED(freep) char *made = NULL;
    struct arrow_field field = f->fields[i];

    if (name_field(&field, i, &made, e) < 0) {
        return -1;
    }
    if (arrow_read_column(f, &field, t, e) == 0) {
        return 0;
    }
    if (e->kind == ERR_INVALID) {
        e->kind = ERR_DATA; /* a name twice: here the file is wrong, not the user's word */
        return -1;
    }
    return err_wrap(e, "column '%.*s'", STR_ARG(str_first(field.name, 60)));
}

struct table *arrow_read(struct str bytes, struct shared *keep, enum arrow_trust trust,
                         struct err *e)
{
    SCOPED(arrow_close) struct arrow_file f = {0};
    SCOPED(table_freep) struct table *t = NULL;
    struct str transforms;

    if (arrow_open(&f, bytes, keep, trust, &transforms, e) < 0) {
        return NULL;
    }
    t = table_new(f.n_rows);
    for (size_t i = 0; i < f.n_fields; i++) {
        if (read_column(&f, i, t, e) < 0) {
            return NULL;
        }
    }
    return read_transforms(transforms, t, e) < 0 ? NULL : TAKE(t);
}

static int add_empty(struct table *t, const struct arrow_field *from, size_t i, struct err *e)
{
    SCOPED(freep) char *made = NULL;
    struct arrow_field field = *from;
    SCOPED(dict_freep) struct dict *d = arrow_is_text(&field.type) ? dict_new() : NULL;
    struct column *c;

    if (name_field(&field, i, &made, e) < 0) {
        return -1;
    }
    c = d ? table_add_text(t, field.name, d, e) : table_add_numbers(t, field.name, e);
    if (c == NULL) {
        return -1;
    }
    (void)TAKE(d);
    c->as = c->kind == COLUMN_NUMBER ? arrow_as(&field.type) : AS_REAL;
    return 0;
}

struct table *arrow_columns(struct str first, struct str schema, struct err *e)
{
    enum arrow_form form = arrow_form(first, e);
    SCOPED(arrow_close) struct arrow_file f = {0};
    SCOPED(table_freep) struct table *t = table_new(0);

    if (form == ARROW_NO_FORM || arrow_open_fields(&f, schema, form, e) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < f.n_fields; i++) {
        if (add_empty(t, &f.fields[i], i, e) < 0) {
            return NULL;
        }
    }
    return TAKE(t);
}
