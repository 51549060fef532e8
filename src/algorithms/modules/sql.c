/* sql - a SELECT over up to four tables, by SQLite, which reads their columns where they lie. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/sql_cost.h"
#include "algorithms/kernel/sql_open.h"
#include "algorithms/kernel/sql_table.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {
    {"t1", VALUE_TABLE, 0, "The table t1 of the query."},
    {"t2", VALUE_TABLE, PORT_OPTIONAL, "The table t2."},
    {"t3", VALUE_TABLE, PORT_OPTIONAL, "The table t3."},
    {"t4", VALUE_TABLE, PORT_OPTIONAL, "The table t4."},
    {0},
};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "What the query gives."}, {0}};
static const struct param params[] = {
    {"query", PARAM_TEXT, NULL, 0, 0, NULL,
     "One SELECT in SQLite's words over t1, t2, t3, t4: select city, avg(price) as mean from t1 "
     "group by city."},
    {"seconds", PARAM_INT, "3600", 1, 1e6, NULL, "A query that takes longer is ended."},
    {0},
};

static const char READABLE[] = "t1 to t4";

struct query {
    struct sql_connection connection;
    sqlite3_stmt *stmt;
};

static void query_done(struct query *q)
{
    (void)sqlite3_finalize(q->stmt);
    sql_close(&q->connection);
}

/* Now, while tables may still be declared. */
static int connect_table(struct query *q, const char *name, struct err *e)
{
    char look[40];
    int rc;

    (void)sqlite3_snprintf(sizeof(look), look, "select 1 from %s limit 0", name);
    rc = sqlite3_exec(q->connection.db, look, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sql_failed(&q->connection, rc, READABLE, e);
}

/* Prepared against the columns of the tables; `t[i]` NULL: there is none. */
static int prepare(struct query *q, const struct table *const t[MODULE_PORTS], struct str text,
                   struct err *e)
{
    for (int i = 0; i < MODULE_PORTS; i++) {
        if (t[i] && (sql_table_add(q->connection.db, inputs[i].name, t[i], e) < 0 ||
                     connect_table(q, inputs[i].name, e) < 0)) {
            return -1;
        }
    }
    sql_lock(&q->connection);
    q->stmt = sql_prepare(&q->connection, text, READABLE, e);
    return q->stmt ? 0 : -1;
}

/* --- results ---------------------------------------------------------------------------------- */

/* A column as it comes: numbers and texts may be mixed. */
struct cells {
    double *numbers;
    uint32_t *codes;
    struct dict *dict;
    bool texts, figures, reals; /* seen: texts, numbers, numbers that are not whole */
};

struct result {
    struct cells *of;
    int n;
    size_t n_rows, cap;
};

static void result_done(struct result *r)
{
    for (int i = 0; i < r->n; i++) {
        big_free(r->of[i].numbers);
        big_free(r->of[i].codes);
        dict_free(r->of[i].dict);
    }
    free(r->of);
}

static int make_room(struct result *r, struct err *e)
{
    size_t cap = r->cap ? r->cap * 2 : 1024;

    if (r->n_rows < r->cap) {
        return 0;
    }
    if (r->n_rows >= ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "the query gives more than %llu rows", ML_LIMIT_ROWS);
    }
    for (int i = 0; i < r->n; i++) {
        if (big_resize(&r->of[i].numbers, cap, sizeof(double), "what the query gives", e) < 0 ||
            big_resize(&r->of[i].codes, cap, sizeof(uint32_t), "what the query gives", e) < 0) {
            return -1;
        }
    }
    r->cap = cap;
    return 0;
}

static int keep_cell(struct cells *c, size_t row, sqlite3_stmt *stmt, int i, struct err *e)
{
    int type = sqlite3_column_type(stmt, i);
    double v = NAN;
    struct str s;

    c->codes[row] = DICT_MISSING;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
        v = sqlite3_column_double(stmt, i);
        c->figures = true;
        c->reals = c->reals || type == SQLITE_FLOAT || !as_holds(AS_INT, v);
    }
    c->numbers[row] = v;
    if (type == SQLITE_BLOB) {
        return err_set(e, ERR_INVALID, "query: column %d gives bytes, and no numbers or text",
                       i + 1);
    }
    if (type != SQLITE_TEXT) {
        return 0;
    }
    s.p = (const char *)sqlite3_column_text(stmt, i);
    s.len = (size_t)sqlite3_column_bytes(stmt, i);
    if (s.p == NULL || s.len > ML_LIMIT_CELL_BYTES || !str_is_utf8(s) ||
        str_find_char(s, '\0') >= 0) {
        return err_set(e, ERR_DATA,
                       "query: row %zu, column %d is no text of at most 1 MiB without NUL", row + 1,
                       i + 1);
    }
    c->texts = true;
    return dict_intern(c->dict, s, &c->codes[row], e);
}

static int fetch(struct query *q, struct result *r, struct err *e)
{
    int rc;

    r->n = sqlite3_column_count(q->stmt);
    r->of = xnew_array(struct cells, (size_t)r->n);
    for (int i = 0; i < r->n; i++) {
        r->of[i].dict = dict_new();
    }
    while ((rc = sqlite3_step(q->stmt)) == SQLITE_ROW) {
        if (make_room(r, e) < 0) {
            return -1;
        }
        for (int i = 0; i < r->n; i++) {
            if (keep_cell(&r->of[i], r->n_rows, q->stmt, i, e) < 0) {
                return -1;
            }
        }
        r->n_rows++;
    }
    return rc == SQLITE_DONE ? 0 : sql_failed(&q->connection, rc, READABLE, e);
}

/* Whether every text is a date, or a time: what functions of dates give. */
static bool all_are(const struct dict *d, enum column_as as)
{
    double v;

    for (uint32_t i = 0; i < d->len; i++) {
        if (as_parse(as, dict_text(d, i), &v) < 0) {
            return false;
        }
    }
    return d->len > 0;
}

static int add_number_column(struct table *out, struct str name, const struct cells *c,
                             enum column_as as, struct err *e)
{
    struct column *to = table_add_numbers(out, name, e);

    if (to == NULL) {
        return -1;
    }
    to->as = as;
    for (size_t r = 0; r < out->n_rows; r++) {
        to->numbers[r] = c->numbers[r];
        if (c->codes[r] != DICT_MISSING &&
            as_parse(as, dict_text(c->dict, c->codes[r]), &to->numbers[r]) < 0) {
            to->numbers[r] = NAN;
        }
        if (!as_holds(to->as, to->numbers[r])) {
            to->as = AS_REAL;
        }
    }
    return 0;
}

static int add_text_column(struct table *out, struct str name, struct cells *c, struct err *e)
{
    struct column *to;

    for (size_t r = 0; r < out->n_rows; r++) {
        char text[NUMBER_TEXT_BYTES];

        if (!isnan(c->numbers[r]) &&
            dict_intern(c->dict, str_of(number_format(c->numbers[r], text)), &c->codes[r], e) < 0) {
            return -1;
        }
    }
    dict_seal(c->dict);
    to = table_add_text(out, name, c->dict, e);
    if (to == NULL) {
        return -1;
    }
    c->dict = NULL;
    if (out->n_rows > 0) {
        memcpy(to->codes, c->codes, out->n_rows * sizeof(*to->codes));
    }
    return 0;
}

/* A UNION is declared as its first SELECT: the others may give what is of another type. */
static bool agrees(const struct cells *c, enum column_kind kind, enum column_as as)
{
    return kind == COLUMN_TEXT ||
           ((!c->texts || all_are(c->dict, as)) && (as < AS_DATE || !c->figures));
}

/* Columns of the tables keep their type; others get that of their values. */
static int add_result(struct table *out, const struct query *q, struct cells *c, int i,
                      struct err *e)
{
    enum column_kind kind;
    enum column_as as;
    struct str name = str_of(sqlite3_column_name(q->stmt, i));
    bool told = sql_table_type(sqlite3_column_decltype(q->stmt, i), &kind, &as);

    if (!told || !agrees(c, kind, as)) {
        kind = c->texts ? COLUMN_TEXT : COLUMN_NUMBER;
        as = c->reals ? AS_REAL : AS_INT;
        for (unsigned t = AS_DATE; c->texts && !c->figures && t <= AS_TIME; t++) {
            if (all_are(c->dict, (enum column_as)t)) {
                kind = COLUMN_NUMBER;
                as = (enum column_as)t;
                break;
            }
        }
    }
    return kind == COLUMN_TEXT ? add_text_column(out, name, c, e)
                               : add_number_column(out, name, c, as, e);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t[MODULE_PORTS];
    SCOPED(query_done) struct query q = {0};
    SCOPED(result_done) struct result r = {0};
    SCOPED(table_freep) struct table *out = NULL;

    for (int i = 0; i < MODULE_PORTS; i++) {
        t[i] = step_table(s, inputs[i].name);
    }
    /* Half for the query, half for what it gives. */
    (void)sqlite3_hard_heap_limit64((sqlite3_int64)((big_budget() - big_in_use()) / 2 + MIB));
    if (sql_open(&q.connection, e) < 0 || prepare(&q, t, step_text(s, "query"), e) < 0) {
        return -1;
    }
    sql_end_after(&q.connection, step_int(s, "seconds"));
    if (fetch(&q, &r, e) < 0) {
        return -1;
    }
    out = table_new(r.n_rows);
    for (int i = 0; i < r.n; i++) {
        if (add_result(out, &q, &r.of[i], i, e) < 0) {
            return e->kind == ERR_INVALID ? err_wrap(e, "query") : -1;
        }
    }
    progress_say(s->progress, "%zu rows in %d columns", r.n_rows, r.n);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

/* The query is prepared and never run; one that may be much work to prepare waits for the run,
 * which has a process and memory of its own. What an expression gives, only the run knows. */
static void check(struct check *c)
{
    const struct table *t[MODULE_PORTS] = {0};
    SCOPED(query_done) struct query q = {0};
    SCOPED(table_freep) struct table *out = table_new(0);
    struct str query = step_text(&c->step, "query");
    struct err e = {0};
    size_t n_columns = 0;
    bool open = false;

    for (int i = 0; i < MODULE_PORTS; i++) {
        if (c->in[i] && check_open(c, inputs[i].name)) {
            return;
        }
        t[i] = check_table(c, inputs[i].name);
        n_columns += t[i] ? t[i]->n_columns : 0;
    }
    if (query.len <= SQL_QUERY_BYTES && !sql_is_cheap(query, n_columns)) {
        check_out_table(c, "table", TAKE(out), /* open */ true);
        return;
    }
    if (sql_open(&q.connection, &e) < 0 || prepare(&q, t, query, &e) < 0) {
        const char *sentence = strncmp(e.msg, "query: ", 7) == 0 ? e.msg + 7 : e.msg;

        check_mistake(c, NULL, "query", NULL, "%s", sentence);
        return;
    }
    for (int i = 0; i < sqlite3_column_count(q.stmt); i++) {
        enum column_kind kind;
        enum column_as as;

        if (!sql_table_type(sqlite3_column_decltype(q.stmt, i), &kind, &as)) {
            open = true;
            continue;
        }
        check_add_column(c, out, "query", str_of(sqlite3_column_name(q.stmt, i)), kind);
        if (out->n_columns > 0) {
            out->columns[out->n_columns - 1].as = as;
        }
    }
    check_out_table(c, "table", TAKE(out), open);
}

const struct module module_sql = {
    .name = "sql",
    .title = "SQL",
    .description =
        "Makes a table by one SELECT over up to four tables, which are t1, t2, t3 and t4 there. "
        "The words are SQLite's. Dates and times are text in it, and become dates again.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+48*cells+128Mi",
    .run = run,
    .check = check,
};
