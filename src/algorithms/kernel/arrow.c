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

/* A column without a name gets one; a name that is no text is damage. */
static int read_column(struct arrow_file *f, size_t i, struct table *t, struct err *e)
{
    SCOPED(freep) char *made = xasprintf("column_%zu", i + 1);
    struct arrow_field field = f->fields[i];

    field.name = field.name.len > 0 ? field.name : str_of(made);
    if (utf8_check(field.name) >= 0) {
        return err_set(e, ERR_DATA, "the name of column %zu is no UTF-8", i + 1);
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
