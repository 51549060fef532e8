/* Rows of PostgreSQL: the types of the columns, then COPY as the server writes it
 * (docs/formats/rows.md). The server alone reads the query, in a transaction that cannot write. */
#include "imports/postgres.h"

#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 256 * 1024, GRACE_MS = 30000 };

/* --- one statement --- */

static int no_answer(const struct pg *pg, struct err *e)
{
    return pg_error(pg, ERR_UNAVAILABLE, "the database does not answer", e);
}

static int statement_failed(const struct pg *pg, const PGresult *res, struct err *e)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *said = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    const char *at = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    char place[40] = "";

    if (state == NULL) { /* the connection is gone */
        return no_answer(pg, e);
    }
    if (strcmp(state, "57014") == 0) {
        return err_set(e, ERR_LIMIT, "the query took longer than timeout_sec, %s seconds",
                       import_text(pg->order, "timeout_sec"));
    }
    if (at && *import_text(pg->order, "query")) {
        (void)snprintf(place, sizeof(place), " (character %.10s of the query)", at);
    }
    return err_set(e,
                   strncmp(state, "08", 2) == 0 || strncmp(state, "53", 2) == 0 ||
                           strncmp(state, "57P", 3) == 0 || strncmp(state, "40", 2) == 0
                       ? ERR_UNAVAILABLE
                       : ERR_INVALID,
                   "the database says: %.300s%s%s%.100s", said ? said : state, place,
                   hint ? "; " : "", hint ? hint : "");
}

/* The next result; NULL without an error: there is none. */
static int next_result(struct pg *pg, PGresult **out, struct err *e)
{
    int64_t deadline = clock_mono_ms() + pg->patience_ms;

    while (PQflush(pg->conn) > 0) {
        if (pg_wait(pg, PG_READ | PG_WRITE, deadline, e) < 0) {
            return -1;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return no_answer(pg, e);
        }
    }
    while (PQisBusy(pg->conn)) {
        if (pg_wait(pg, PG_READ, deadline, e) < 0) {
            return -1;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return no_answer(pg, e);
        }
    }
    *out = PQgetResult(pg->conn);
    return 0;
}

/* A server that wants or sends rows where none were asked for: libpq gives such a result for ever.
 */
static bool is_copy(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* All results of what was sent; -1 for the first that is an error. `keep`: the first one, or NULL.
 */
static int results(struct pg *pg, PGresult **keep, struct err *e)
{
    struct err later; /* the first one counts */
    int rc = 0;

    pg_taken(pg, PG_TALK_BYTES);
    for (;;) {
        PGresult *res = NULL;

        if (next_result(pg, &res, rc == 0 ? e : &later) < 0) {
            return -1;
        }
        if (res == NULL) {
            return rc;
        }
        if (is_copy(res)) {
            PQclear(res);
            return err_set(e, ERR_INVALID, "the database copies where it was not asked to");
        }
        if (rc == 0 && PQresultStatus(res) == PGRES_FATAL_ERROR) {
            rc = statement_failed(pg, res, e);
        }
        if (rc == 0 && keep && *keep == NULL) {
            *keep = res;
            continue;
        }
        PQclear(res);
    }
}

static int not_sent(const struct pg *pg, struct err *e)
{
    return pg_error(pg, ERR_UNAVAILABLE, "the database is not reached", e);
}

static int begin(struct pg *pg, struct err *e)
{
    char sql[400];

    (void)snprintf(sql, sizeof(sql),
                   "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                   "SET LOCAL statement_timeout = %lld; SET LOCAL DateStyle = 'ISO, YMD';"
                   "SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 1;"
                   "SET LOCAL bytea_output = 'hex'; SET LOCAL IntervalStyle = 'postgres'",
                   (long long)import_number(pg->order, "timeout_sec") * 1000);
    return PQsendQuery(pg->conn, sql) ? results(pg, NULL, e) : not_sent(pg, e);
}

/* --- the query --- */

/* "public.sales" -> "public"."sales" */
static int select_table(const struct pg *pg, struct buf *sql, struct err *e)
{
    struct str rest = str_of(import_text(pg->order, "table"));
    bool first = true;

    (void)buf_add_c(sql, "SELECT * FROM ");
    while (rest.p) {
        struct str part = str_cut(&rest, '.');
        char *quoted = PQescapeIdentifier(pg->conn, part.p, part.len);

        if (quoted == NULL || part.len == 0) {
            PQfreemem(quoted);
            return err_set(e, ERR_INVALID, "'%.100s' is no name of a table",
                           import_text(pg->order, "table"));
        }
        (void)buf_printf(sql, "%s%s", first ? "" : ".", quoted);
        PQfreemem(quoted);
        first = false;
    }
    return 0;
}

static int write_select(const struct pg *pg, struct buf *sql, struct err *e)
{
    struct str query = str_trim(str_of(import_text(pg->order, "query")));

    if (query.len == 0) {
        return select_table(pg, sql, e);
    }
    while (query.len > 0 && query.p[query.len - 1] == ';') {
        query = str_trim(str_first(query, query.len - 1));
    }
    (void)buf_add(sql, query);
    return 0;
}

static const char *type_of(const struct pg *pg, Oid oid)
{
    static const struct {
        Oid oid; /* pg_type.dat: never changes */
        const char *type;
    } types[] = {{16, "bool"},  {20, "int"},   {21, "int"},    {23, "int"},    {26, "int"},
                 {700, "real"}, {701, "real"}, {1082, "date"}, {1114, "time"}, {1184, "time"}};

    if (oid == 1700) { /* numeric */
        return import_text(pg->order, "numeric");
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].oid == oid) {
            return types[i].type;
        }
    }
    return "text";
}

/* As COPY writes texts. */
static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const char *c = *text == '\t'   ? "\\t"
                        : *text == '\n' ? "\\n"
                        : *text == '\\' ? "\\\\"
                                        : NULL;

        (void)(c ? buf_add_c(out, c) : buf_add(out, str_n(text, 1)));
    }
}

static int send_columns(struct pg *pg, const PGresult *res, struct counted *c, struct err *e)
{
    SCOPED(buf_done) struct buf head = BUF_MAX(MIB);

    if (PQnfields(res) == 0) {
        return err_set(e, ERR_INVALID, "the query gives no rows: write one SELECT");
    }
    (void)buf_add_c(&head, "strata-rows 1\n");
    for (int i = 0; i < PQnfields(res); i++) {
        (void)buf_add_c(&head, i > 0 ? "\t" : "");
        add_escaped(&head, PQfname(res, i));
        (void)buf_printf(&head, "\t%s", type_of(pg, PQftype(res, i)));
    }
    (void)buf_add_c(&head, "\n");
    return head.failed ? err_set(e, ERR_LIMIT, "the names of the columns are too long")
                       : counted_sink(c, buf_str(&head), e);
}

/* Prepared, so that it is one statement by itself: nothing that stands in it leads out of the COPY
 * that it is put into. */
static int describe(struct pg *pg, const char *sql, struct counted *c, struct err *e)
{
    PGresult *res = NULL;
    int rc;

    if (!PQsendPrepare(pg->conn, "", sql, 0, NULL)) {
        return not_sent(pg, e);
    }
    if (results(pg, NULL, e) < 0) {
        return -1;
    }
    if (!PQsendDescribePrepared(pg->conn, "")) {
        return not_sent(pg, e);
    }
    rc = results(pg, &res, e);
    if (rc == 0) {
        rc = send_columns(pg, res, c, e);
    }
    PQclear(res);
    return rc;
}

/* --- the rows --- */

struct copy {
    struct pg *pg;
    struct counted *counted;
    struct buf piece;
    int64_t rows, max_rows;
};

static int flush(struct copy *c, struct err *e)
{
    const struct import_order *o = c->pg->order;
    int rc = c->piece.len > 0 ? counted_sink(c->counted, buf_str(&c->piece), e) : 0;

    buf_clear(&c->piece);
    if (o->rows) {
        o->rows(o->ctx, c->rows);
    }
    return rc;
}

static int take_row(struct copy *c, struct str row, struct err *e)
{
    c->rows++;
    if (c->max_rows > 0 && c->rows > c->max_rows) {
        return err_set(e, ERR_LIMIT, "there are more than max_rows, %lld rows",
                       (long long)c->max_rows);
    }
    if (c->piece.len + row.len > PIECE_BYTES && flush(c, e) < 0) {
        return -1;
    }
    return row.len > PIECE_BYTES ? counted_sink(c->counted, row, e) : buf_add(&c->piece, row);
}

/* 1: a row, 0: the last has come. */
static int next_row(struct copy *c, struct err *e)
{
    struct pg *pg = c->pg;
    int64_t deadline = clock_mono_ms() + pg->patience_ms;
    char *row = NULL;
    int n, rc;

    while ((n = PQgetCopyData(pg->conn, &row, /* async */ 1)) == 0) {
        if (pg_wait(pg, PG_READ, deadline, e) < 0) {
            return -1;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return no_answer(pg, e);
        }
    }
    if (n < 0) {
        return n == -1 ? 0 : pg_error(pg, ERR_UNAVAILABLE, "the rows do not come", e);
    }
    pg_taken(pg, PG_ROW_BYTES);
    rc = take_row(c, str_n(row, (size_t)n), e);
    PQfreemem(row);
    return rc < 0 ? -1 : 1;
}

static int copy_rows(struct pg *pg, struct counted *counted, struct err *e)
{
    struct copy c = {.pg = pg,
                     .counted = counted,
                     .piece = BUF_MAX(PIECE_BYTES + 1),
                     .max_rows = import_number(pg->order, "max_rows")};
    int64_t last_asked = clock_mono_ms();
    int rc;

    while ((rc = next_row(&c, e)) > 0) {
        if (clock_mono_ms() - last_asked > 500) {
            last_asked = clock_mono_ms();
            if (pg->order->stop && pg->order->stop(pg->order->ctx)) {
                rc = err_set(e, ERR_CONFLICT, "stopped");
                break;
            }
        }
    }
    rc = rc == 0 ? flush(&c, e) : -1;
    buf_done(&c.piece);
    return rc;
}

/* By the extended protocol, which takes one statement only. */
static int copy(struct pg *pg, const char *select, struct counted *counted, struct err *e)
{
    SCOPED(buf_done) struct buf sql = BUF_MAX(LIMIT_PIPELINE_VALUE_BYTES + KIB);
    PGresult *res = NULL;
    int rc;

    (void)buf_printf(&sql, "COPY (%s\n) TO STDOUT", select);
    if (sql.failed) {
        return err_set(e, ERR_LIMIT, "the query is too long");
    }
    if (!PQsendQueryParams(pg->conn, sql.p, 0, NULL, NULL, NULL, NULL, 0)) {
        return not_sent(pg, e);
    }
    pg_taken(pg, PG_ROW_BYTES);
    if (next_result(pg, &res, e) < 0) {
        return -1;
    }
    if (res && PQresultStatus(res) == PGRES_COPY_OUT) {
        rc = copy_rows(pg, counted, e);
        rc = rc == 0 ? results(pg, NULL, e) : -1;
    } else {
        rc = res ? statement_failed(pg, res, e) : not_sent(pg, e);
    }
    PQclear(res);
    return rc;
}

int postgres_bring(const struct import_order *o, struct err *e)
{
    SCOPED(pg_close)
    struct pg pg = {.order = o, .patience_ms = import_number(o, "timeout_sec") * 1000 + GRACE_MS};
    SCOPED(buf_done) struct buf select = BUF_MAX(LIMIT_PIPELINE_VALUE_BYTES + KIB);
    struct counted c = counted_of(o);

    return pg_open(&pg, e) < 0 || begin(&pg, e) < 0 || write_select(&pg, &select, e) < 0 ||
                   describe(&pg, select.p ? select.p : "", &c, e) < 0 ||
                   copy(&pg, select.p, &c, e) < 0
               ? -1
               : 0;
}
