/* read_sqlite - a table, or what a SELECT gives, from an SQLite file. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/cells.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/sql_open.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows."}, {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {"table", PARAM_TEXT, "", 0, 0, NULL, "The table or view to read; or give query."},
    {"query", PARAM_TEXT, "", 0, 0, NULL,
     "One SELECT in SQLite's words over the tables of the file; or give table."},
    {"seconds", PARAM_INT, "3600", 1, 1e6, NULL, "A query that takes longer is ended."},
    {0},
};

enum { HEAD_BYTES = 100 };

static const char READABLE[] = "the file";
static const char MAGIC[16] = "SQLite format 3";

static int check_words(const struct step *s, const char **param, struct err *e)
{
    bool table = step_text(s, "table").len > 0, query = step_text(s, "query").len > 0;

    *param = table ? "query" : "table";
    if (table == query) {
        return err_set(e, ERR_INVALID, "give either a table or a query%s",
                       table ? ", not both" : "");
    }
    return 0;
}

/* --- the file in memory, which SQLite then cannot write to -------------------------------------
 */

struct database {
    struct sql_connection connection;
    sqlite3_stmt *stmt;
    unsigned char *map; /* ours: what is changed there is not in the file */
    size_t len;
};

static void database_done(struct database *d)
{
    (void)sqlite3_finalize(d->stmt);
    sql_close(&d->connection);
    if (d->map) {
        (void)munmap(d->map, d->len);
    }
}

/* What was written last may still lie in a file beside it, which only SQLite itself may bring
 * home. */
static int refuse_beside(const char *path, const char *suffix, struct err *e)
{
    SCOPED(freep) char *beside = xasprintf("%s%s", path, suffix);
    struct stat st;

    if (stat(beside, &st) < 0 || st.st_size == 0) {
        return 0;
    }
    return err_set(e, ERR_DATA,
                   "part of it lies in %s: close the program that writes it, or run \"pragma "
                   "wal_checkpoint(truncate)\" there",
                   beside);
}

static int map_database(struct database *d, const char *path, struct err *e)
{
    SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    void *map;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "cannot read %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s: not a regular file", path);
    }
    if (st.st_size < HEAD_BYTES) {
        return err_set(e, ERR_DATA, "%s: this is no SQLite file", path);
    }
    map =
        mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED) {
        return err_sys(e, "cannot map %s", path);
    }
    d->map = map;
    d->len = (size_t)st.st_size;
    if (memcmp(d->map, MAGIC, sizeof(MAGIC)) != 0) {
        return err_set(e, ERR_DATA, "%s: this is no SQLite file", path);
    }
    return 0;
}

/* SQLite's file format 1.3.4: 2 means that a log is kept, for which there is no place in memory. */
static void without_log(struct database *d)
{
    d->map[18] = d->map[18] == 2 ? 1 : d->map[18];
    d->map[19] = d->map[19] == 2 ? 1 : d->map[19];
}

static int open_database(struct database *d, const char *path, struct err *e)
{
    int rc;

    if (map_database(d, path, e) < 0) {
        return -1;
    }
    if (refuse_beside(path, "-wal", e) < 0 || refuse_beside(path, "-journal", e) < 0) {
        return err_wrap(e, "%s", path);
    }
    without_log(d);
    if (sql_open(&d->connection, e) < 0) {
        return -1;
    }
    (void)sqlite3_db_config(d->connection.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_drop_modules(d->connection.db, NULL);
    rc = sqlite3_deserialize(d->connection.db, "main", d->map, (sqlite3_int64)d->len,
                             (sqlite3_int64)d->len, SQLITE_DESERIALIZE_READONLY);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(d->connection.db, "pragma cell_size_check = on", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        char words[SQL_WORDS_BYTES];

        return err_set(e, ERR_DATA, "%s: %s", path,
                       sql_words(sqlite3_errmsg(d->connection.db), words));
    }
    sql_lock(&d->connection);
    return 0;
}

/* "; there are a, b, c" */
static void add_names(const struct database *d, struct buf *to)
{
    static const char query[] =
        "select name from sqlite_schema where type in ('table', 'view') and name not like "
        "'sqlite_%' order by name limit 12";
    struct err ignored;
    sqlite3_stmt *stmt = sql_prepare(&d->connection, str_of(query), READABLE, &ignored);

    for (int n = 0; stmt && sqlite3_step(stmt) == SQLITE_ROW; n++) {
        char words[SQL_WORDS_BYTES];

        (void)buf_printf(to, "%s%s", n == 0 ? "; there are " : ", ",
                         sql_words((const char *)sqlite3_column_text(stmt, 0), words));
    }
    (void)sqlite3_finalize(stmt);
}

static int prepare(struct database *d, const struct step *s, struct err *e)
{
    struct str table = step_text(s, "table"), query = step_text(s, "query");
    SCOPED(buf_done) struct buf names = BUF_MAX(140);
    char *made;

    if (query.len > 0) {
        d->stmt = sql_prepare(&d->connection, query, READABLE, e);
        return d->stmt ? 0 : -1;
    }
    made = sqlite3_mprintf("select * from \"%w\"", table.p);
    d->stmt = made ? sql_prepare(&d->connection, str_of(made), READABLE, e) : NULL;
    sqlite3_free(made);
    if (made && d->stmt == NULL && strstr(e->msg, "no such table")) {
        add_names(d, &names);
        return err_set(e, ERR_INVALID, "table: there is no table '%.*s'%s",
                       STR_ARG(str_first(table, 60)), names.p ? names.p : "");
    }
    return d->stmt ? 0 : -1;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int take_text(struct cells *c, sqlite3_stmt *stmt, int i, struct err *e)
{
    struct str s = {.p = (const char *)sqlite3_column_text(stmt, i)};

    s.len = (size_t)sqlite3_column_bytes(stmt, i);
    if (s.p == NULL || s.len > ML_LIMIT_CELL_BYTES || !str_is_utf8(s) ||
        str_find_char(s, '\0') >= 0) {
        return err_set(e, ERR_DATA, "row %zu, column '%s' is no text of at most 1 MiB without NUL",
                       cells_rows(c) + 1, cells_name(c, (size_t)i));
    }
    return cells_text(c, (size_t)i, s, e);
}

static int take_value(struct cells *c, sqlite3_stmt *stmt, int i, struct err *e)
{
    char spelled[32];
    double v;

    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        return 0;
    case SQLITE_INTEGER:
        v = sqlite3_column_double(stmt, i);
        (void)sqlite3_snprintf(sizeof(spelled), spelled, "%lld", sqlite3_column_int64(stmt, i));
        return cells_number(c, (size_t)i, v, /* is_whole */ true, str_of(spelled), e);
    case SQLITE_FLOAT:
        v = sqlite3_column_double(stmt, i);
        return cells_number(c, (size_t)i, v, /* is_whole */ false, STR_EMPTY, e);
    case SQLITE_TEXT:
        return take_text(c, stmt, i, e);
    default:
        return err_set(e, ERR_DATA,
                       "row %zu, column '%s' holds bytes, and no numbers or text: leave it out "
                       "(query), or read hex(%s)",
                       cells_rows(c) + 1, cells_name(c, (size_t)i), cells_name(c, (size_t)i));
    }
}

static int name_columns(struct cells *c, sqlite3_stmt *stmt, struct err *e)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        struct str name = str_of(sqlite3_column_name(stmt, i));
        size_t column;

        if (!str_is_utf8(name)) {
            return err_set(e, ERR_DATA, "the name of column %d is not UTF-8", i + 1);
        }
        if (cells_column(c, name, SIZE_MAX, &column, e) < 0) {
            return -1;
        }
        if (column != (size_t)i) {
            return err_set(e, ERR_INVALID,
                           "query: columns %zu and %d are both named '%s': name one of them by AS",
                           column + 1, i + 1, cells_name(c, column));
        }
    }
    return 0;
}

static int fetch(struct database *d, struct cells *c, struct err *e)
{
    int n = sqlite3_column_count(d->stmt), rc;
    char words[SQL_WORDS_BYTES];

    while ((rc = sqlite3_step(d->stmt)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++) {
            if (take_value(c, d->stmt, i, e) < 0) {
                return -1;
            }
        }
        if (cells_end_row(c, e) < 0) {
            return -1;
        }
    }
    if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) {
        return err_set(e, ERR_DATA, "damaged: %s",
                       sql_words(sqlite3_errmsg(d->connection.db), words));
    }
    return rc == SQLITE_DONE ? 0 : sql_failed(&d->connection, rc, READABLE, e);
}

/* SQLite keeps truth as 0 and 1; its declaration tells. */
static void name_truth(struct table *t, sqlite3_stmt *stmt)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *declared = sqlite3_column_decltype(stmt, (int)i);

        if (declared && sqlite3_strnicmp(declared, "bool", 4) == 0 && t->columns[i].as == AS_INT &&
            t->columns[i].kind == COLUMN_NUMBER) {
            t->columns[i].as = AS_BOOL;
            t->columns[i].as =
                column_as_is(&t->columns[i], t->n_rows) == AS_BOOL ? AS_BOOL : AS_INT;
        }
    }
}

static int run(struct step *s, struct err *e)
{
    SCOPED(database_done) struct database d = {0};
    SCOPED(cells_freep) struct cells *c = cells_new();
    const char *path = source_path(s, e), *ignored;
    struct table *t;

    if (path == NULL || check_words(s, &ignored, e) < 0) {
        return -1;
    }
    /* Half for the query, half for what it gives. */
    (void)sqlite3_hard_heap_limit64((sqlite3_int64)((big_budget() - big_in_use()) / 2 + MIB));
    if (open_database(&d, path, e) < 0) {
        return -1;
    }
    sql_end_after(&d.connection, step_int(s, "seconds"));
    if (prepare(&d, s, e) < 0 || name_columns(c, d.stmt, e) < 0 || fetch(&d, c, e) < 0) {
        return err_wrap(e, "%s", path);
    }
    t = cells_table(c, e);
    if (t == NULL) {
        return -1;
    }
    name_truth(t, d.stmt);
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    step_out_table(s, "table", t);
    return 0;
}

/* The file is hostile: only the run, which has a process of its own, opens it. */
static void check(struct check *c)
{
    SCOPED(freep) char *head = NULL;
    const char *param;
    struct err e = {0};
    uint64_t size = 0;
    SCOPED(closep) int fd = source_is_there(c) ? source_head_open(c, &size) : -1;

    if (check_words(&c->step, &param, &e) < 0) {
        check_mistake(c, /* port */ NULL, param, /* column */ NULL, "%s", e.msg);
    }
    head = fd < 0 || size < HEAD_BYTES ? NULL : source_head_read(c, fd, 0, sizeof(MAGIC));
    if (fd >= 0 && (head == NULL || memcmp(head, MAGIC, sizeof(MAGIC)) != 0)) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: this is no SQLite file",
                      step_text(&c->step, "path").p);
    }
    c->out[0].open = true;
}

const struct module module_read_sqlite = {
    .name = "read_sqlite",
    .title = "Read SQLite",
    .description =
        "Reads a table, or what one SELECT gives, from an SQLite file. The file is only read. A "
        "column is what its values are; integers past 2^53 become text, texts that are all dates "
        "or times become those.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "4*input+256Mi",
    .run = run,
    .check = check,
};
