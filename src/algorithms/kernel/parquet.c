#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <stdlib.h>

/* A table without rows, for the selector. */
static struct table *heads(const struct parquet_file *f, struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(0);

    for (size_t i = 0; i < f->n_columns; i++) {
        const struct parquet_column *from = &f->columns[i];
        struct dict *d = from->text ? dict_new() : NULL;
        struct column *c;

        if (utf8_check(from->name) >= 0) {
            err_set(e, ERR_DATA, "the name of a column is no UTF-8");
            dict_free(d);
            return NULL;
        }
        c = d ? table_add_text(t, from->name, d, e) : table_add_numbers(t, from->name, e);
        if (c == NULL) {
            dict_free(d);
            e->kind = e->kind == ERR_INVALID ? ERR_DATA : e->kind; /* a name twice */
            return NULL;
        }
        c->as = from->as;
    }
    return TAKE(t);
}

/* Which columns are wanted; for free(3). */
static uint32_t *chosen(const struct parquet_file *f, struct str spec, size_t *n, struct err *e)
{
    SCOPED(table_freep) struct table *t = heads(f, e);

    if (t == NULL) {
        return NULL;
    }
    if (f->n_columns == 0) {
        err_set(e, ERR_DATA, "it has no column that a table can hold");
        return NULL;
    }
    return select_columns(t, spec.len > 0 ? spec : STR("@all"), /* never */ NULL, 0, n, e);
}

struct building {
    struct parquet_build *builds;
    struct parquet_work **work; /* one of each worker */
};

static void build_task(void *ctx, size_t task, unsigned worker)
{
    struct building *b = ctx;

    if (b->work[worker] == NULL) {
        b->work[worker] = parquet_work_new();
    }
    parquet_build(&b->builds[task], b->work[worker]);
}

static void build_each(struct parquet_build *builds, size_t n, struct threads *threads)
{
    unsigned workers = threads_count(threads);
    SCOPED(freep)
    struct parquet_work **work = xnew_array(struct parquet_work *, (size_t)workers + 1);
    struct building b = {builds, work};

    threads_each(threads, n, build_task, &b);
    for (unsigned i = 0; i < workers; i++) {
        parquet_work_free(work[i]);
    }
}

static int put(struct parquet_build *b, struct table *t, struct err *e)
{
    struct column *c = b->text ? table_put_text(t, b->column->name, b->codes, b->data, b->dict, e)
                               : table_put_numbers(t, b->column->name, b->numbers, b->data, e);

    if (c && !b->text) {
        c->as = b->column->as;
    }
    return c ? 0 : -1;
}

/* All columns, then the table in their order; the first that failed says why. */
static struct table *build_all(const struct parquet_file *f, const uint32_t *which, size_t n,
                               struct threads *threads, struct err *e)
{
    SCOPED(freep) struct parquet_build *builds = xnew_array(struct parquet_build, n + 1);
    SCOPED(table_freep) struct table *t = table_new(f->n_rows);
    int rc;

    for (size_t i = 0; i < n; i++) {
        builds[i].file = f;
        builds[i].column = &f->columns[which[i]];
    }
    rc = parquet_places(builds, n, e);
    if (rc == 0) {
        build_each(builds, n, threads);
    }
    for (size_t i = 0; i < n; i++) {
        if (rc == 0 && builds[i].rc < 0) {
            *e = builds[i].err;
            rc = -1;
        }
        rc = rc == 0 ? put(&builds[i], t, e) : rc;
        parquet_build_done(&builds[i]);
    }
    return rc == 0 ? TAKE(t) : NULL;
}

struct table *parquet_read(struct str bytes, const struct parquet_options *o,
                           struct threads *threads, struct parquet_report *r, struct err *e)
{
    SCOPED(parquet_close) struct parquet_file f;
    SCOPED(freep) uint32_t *which = NULL;
    size_t n = 0;

    if (parquet_open(&f, bytes, r, e) < 0) {
        return NULL;
    }
    which = chosen(&f, o->columns, &n, e);
    return which ? build_all(&f, which, n, threads, e) : NULL;
}

struct table *parquet_columns(struct str metadata, const struct parquet_options *o,
                              struct parquet_report *r, struct err *e)
{
    SCOPED(parquet_close) struct parquet_file f;
    SCOPED(freep) uint32_t *which = NULL;
    SCOPED(table_freep) struct table *all = NULL;
    SCOPED(table_freep) struct table *t = table_new(0);
    size_t n = 0;

    if (parquet_open_columns(&f, metadata, r, e) < 0) {
        return NULL;
    }
    all = heads(&f, e);
    which = all ? chosen(&f, o->columns, &n, e) : NULL;
    if (which == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (table_add_copy(t, &all->columns[which[i]], e) < 0) {
            return NULL;
        }
    }
    return TAKE(t);
}
