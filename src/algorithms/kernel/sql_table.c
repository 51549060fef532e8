#include "algorithms/kernel/sql_table.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/order.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* What one name stands for; lives as long as the connection. */
struct source {
    const struct table *t;
    uint32_t **orders; /* per column: rows in its order, or NULL; big memory */
};

struct view {
    sqlite3_vtab base;
    struct source *source;
};

struct cursor {
    sqlite3_vtab_cursor base;
    const uint32_t *rows; /* NULL: all in order */
    size_t at, end;
};

static void source_free(void *p)
{
    struct source *s = p;

    for (size_t i = 0; i < s->t->n_columns; i++) {
        big_free(s->orders[i]);
    }
    free(s->orders);
    free(s);
}

/* create table x("name" type, ...) */
static int declare(sqlite3 *db, const struct table *t, char **message)
{
    struct buf sql = BUF_MAX(64 * MIB);
    int rc;

    (void)buf_add_c(&sql, "create table x(");
    for (size_t i = 0; i < t->n_columns; i++) {
        (void)buf_add_c(&sql, i > 0 ? ",\"" : "\"");
        for (const char *p = t->columns[i].name; *p; p++) {
            (void)buf_add(&sql, str_n(p, 1));
            if (*p == '"') {
                (void)buf_add_c(&sql, "\"");
            }
        }
        (void)buf_printf(&sql, "\" %s", column_type_name(&t->columns[i]));
    }
    (void)buf_add_c(&sql, ")");
    rc = sql.failed ? SQLITE_TOOBIG : sqlite3_declare_vtab(db, sql.p);
    buf_done(&sql);
    if (rc != SQLITE_OK) {
        *message = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    }
    return rc;
}

static int view_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **message)
{
    struct source *s = aux;
    struct view *v;
    int rc = declare(db, s->t, message);

    (void)argc;
    (void)argv;
    if (rc != SQLITE_OK) {
        return rc;
    }
    v = xnew(struct view);
    v->source = s;
    *out = &v->base;
    return SQLITE_OK;
}

static int view_disconnect(sqlite3_vtab *base)
{
    free(base);
    return SQLITE_OK;
}

/* Whether the order of the column finds what SQLite would call equal. */
static bool can_halve(const struct table *t, sqlite3_index_info *info, int i)
{
    const struct sqlite3_index_constraint *c = &info->aConstraint[i];

    return c->usable && c->iColumn >= 0 && (size_t)c->iColumn < t->n_columns &&
           c->op == SQLITE_INDEX_CONSTRAINT_EQ &&
           sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") == 0;
}

/* One equal value, found by halving; idxNum is its column + 1. */
static int view_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct table *t = ((struct view *)base)->source->t;

    info->estimatedCost = (double)t->n_rows + 10;
    info->estimatedRows = (sqlite3_int64)t->n_rows + 1;
    for (int i = 0; i < info->nConstraint; i++) {
        if (can_halve(t, info, i)) {
            info->aConstraintUsage[i].argvIndex = 1;
            info->idxNum = info->aConstraint[i].iColumn + 1;
            info->estimatedCost = 20;
            info->estimatedRows = 10;
            break;
        }
    }
    return SQLITE_OK;
}

static int view_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    (void)base;
    *out = (sqlite3_vtab_cursor *)xnew(struct cursor);
    return SQLITE_OK;
}

static int view_close(sqlite3_vtab_cursor *base)
{
    free(base);
    return SQLITE_OK;
}

static const struct table *table_of(const sqlite3_vtab_cursor *base)
{
    return ((const struct view *)base->pVtab)->source->t;
}

/* --- equal values ----------------------------------------------------------------------------- */

/* What is looked for, in the terms of the column. SQLite compares what is found once more. */
struct wanted {
    double number;
    struct str text;
};

/* UNSURE: a type that SQLite compares by rules of its own, for which it looks at all rows. */
enum wanting { NOTHING, ONE_VALUE, UNSURE };

static enum wanting wanted_of(const struct column *c, sqlite3_value *value, struct wanted *w)
{
    bool number = c->kind == COLUMN_NUMBER && c->as < AS_DATE;
    int type = number ? sqlite3_value_numeric_type(value) : sqlite3_value_type(value);

    if (type == SQLITE_NULL) {
        return NOTHING;
    }
    if (number && (type == SQLITE_INTEGER || type == SQLITE_FLOAT)) {
        w->number = sqlite3_value_double(value);
        return ONE_VALUE;
    }
    if (number || type != SQLITE_TEXT) {
        return UNSURE;
    }
    w->text.p = (const char *)sqlite3_value_text(value);
    w->text.len = w->text.p ? (size_t)sqlite3_value_bytes(value) : 0;
    if (w->text.p == NULL || c->kind == COLUMN_TEXT) {
        return w->text.p ? ONE_VALUE : UNSURE;
    }
    return as_parse(c->as, w->text, &w->number) == 0 ? ONE_VALUE : NOTHING; /* dates are text */
}

/* Whether the row comes before the value, in the order of order_rows(). */
static bool is_before(const struct column *c, uint32_t row, const struct wanted *w, bool or_equal)
{
    int order;

    if (c->kind == COLUMN_NUMBER) {
        double v = c->numbers[row];

        return v < w->number || (or_equal && v == w->number); /* NaN is behind all */
    }
    if (c->codes[row] == DICT_MISSING) {
        return false;
    }
    order = str_cmp(dict_text(c->dict, c->codes[row]), w->text);
    return order < 0 || (or_equal && order == 0);
}

static size_t halve(const struct column *c, const uint32_t *rows, size_t n, const struct wanted *w,
                    bool or_equal)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (is_before(c, rows[mid], w, or_equal)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static int view_filter(sqlite3_vtab_cursor *base, int column, const char *name, int argc,
                       sqlite3_value **argv)
{
    struct cursor *cur = (struct cursor *)base;
    struct source *s = ((struct view *)base->pVtab)->source;
    struct wanted w = {0};
    struct err e = {0};

    (void)name;
    cur->rows = NULL;
    cur->at = 0;
    cur->end = s->t->n_rows;
    if (column > 0 && argc > 0) {
        const struct column *c = &s->t->columns[column - 1];
        enum wanting wanting = wanted_of(c, argv[0], &w);
        struct order_key key = {.column = c};
        uint32_t **order = &s->orders[column - 1];

        if (wanting != ONE_VALUE) {
            cur->end = wanting == NOTHING ? 0 : cur->end;
            return SQLITE_OK;
        }
        *order = *order ? *order : order_rows(&key, 1, s->t->n_rows, &e);
        if (*order == NULL) {
            return SQLITE_NOMEM;
        }
        cur->rows = *order;
        cur->at = halve(c, cur->rows, s->t->n_rows, &w, /* or_equal */ false);
        cur->end = halve(c, cur->rows, s->t->n_rows, &w, /* or_equal */ true);
    }
    return SQLITE_OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int view_next(sqlite3_vtab_cursor *base)
{
    ((struct cursor *)base)->at++;
    return SQLITE_OK;
}

static int view_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *cur = (const struct cursor *)base;

    return cur->at >= cur->end;
}

static size_t row_of(const sqlite3_vtab_cursor *base)
{
    const struct cursor *cur = (const struct cursor *)base;

    return cur->rows ? cur->rows[cur->at] : cur->at;
}

static void result_number(sqlite3_context *ctx, const struct column *c, double v)
{
    if (isnan(v)) {
        sqlite3_result_null(ctx);
    } else if (c->as >= AS_DATE) {
        char text[AS_TEXT_BYTES];

        sqlite3_result_text(ctx, as_format(c->as, v, text), -1, SQLITE_TRANSIENT);
    } else if (c->as == AS_REAL || !as_holds(AS_INT, v)) {
        sqlite3_result_double(ctx, v);
    } else {
        sqlite3_result_int64(ctx, (sqlite3_int64)v);
    }
}

static int view_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i)
{
    const struct column *c = &table_of(base)->columns[i];
    size_t row = row_of(base);

    if (c->kind == COLUMN_NUMBER) {
        result_number(ctx, c, c->numbers[row]);
    } else if (c->codes[row] == DICT_MISSING) {
        sqlite3_result_null(ctx);
    } else {
        struct str s = dict_text(c->dict, c->codes[row]);

        sqlite3_result_text64(ctx, s.p ? s.p : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
    }
    return SQLITE_OK;
}

static int view_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)row_of(base) + 1;
    return SQLITE_OK;
}

/* Without xCreate: the name of the module is that of the table. */
static const sqlite3_module view_module = {
    .xConnect = view_connect,
    .xBestIndex = view_best_index,
    .xDisconnect = view_disconnect,
    .xDestroy = view_disconnect,
    .xOpen = view_open,
    .xClose = view_close,
    .xFilter = view_filter,
    .xNext = view_next,
    .xEof = view_eof,
    .xColumn = view_column,
    .xRowid = view_rowid,
};

int sql_table_add(struct sqlite3 *db, const char *name, const struct table *t, struct err *e)
{
    struct source *s = xnew(struct source);

    *s = (struct source){t, xnew_array(uint32_t *, t->n_columns + 1)};
    if (sqlite3_create_module_v2(db, name, &view_module, s, source_free) != SQLITE_OK) {
        return err_set(e, ERR_MEMORY, "%s: %s", name, sqlite3_errmsg(db)); /* s is freed */
    }
    return 0;
}

bool sql_table_type(const char *declared, enum column_kind *kind, enum column_as *as)
{
    *kind = COLUMN_TEXT;
    *as = AS_REAL;
    if (declared == NULL || sqlite3_stricmp(declared, "text") == 0) {
        return declared != NULL;
    }
    *kind = COLUMN_NUMBER;
    for (unsigned i = AS_REAL; i <= AS_TIME; i++) {
        if (sqlite3_stricmp(declared, as_name((enum column_as)i)) == 0) {
            *as = (enum column_as)i;
            return true;
        }
    }
    return false;
}
