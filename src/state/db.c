#include "state_priv.h"

#include "base/mem.h"
#include "base/metric.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A prepared statement. `cached` ones stay in db->lru and db->by_sql while they are used; a second
 * use of the same text at the same time gets one of its own. */
struct statement {
    struct list link;
    sqlite3_stmt *s;
    bool cached, busy;
};

enum { BUSY_TIMEOUT_MS = 5000 }; /* another process (a backup, a shell) has the write lock */

static enum err_kind kind_of(int rc, int sys)
{
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_CHECK || rc == SQLITE_CONSTRAINT_NOTNULL ? ERR_INTERNAL
                                                                                : ERR_CONFLICT;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_UNAVAILABLE;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return sys == ENOSPC || sys == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    default:
        return ERR_INTERNAL;
    }
}

static const char *advice_of(int rc, enum err_kind kind)
{
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "; the state file is damaged: stop the server, keep a copy, restore a backup";
    case SQLITE_BUSY:
        return "; another program holds the state file";
    default:
        return kind == ERR_NO_SPACE ? "; free some space, nothing was changed" : "";
    }
}

int state_db_error(sqlite3 *h, int rc, const char *doing, struct err *e)
{
    int full = h ? sqlite3_extended_errcode(h) : rc;
    int sys = h ? sqlite3_system_errno(h) : 0;
    enum err_kind kind = kind_of((full & 0xff) == (rc & 0xff) ? full : rc, sys);

    err_set(e, kind, "%s: %s%s", doing, h ? sqlite3_errmsg(h) : sqlite3_errstr(rc),
            advice_of(rc, kind));
    e->sys = sys;
    return -1;
}

int state_db_exec(struct state_db *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : state_db_error(db->h, rc, "state", e);
}

static int on_commit(void *ctx, sqlite3 *h UNUSED, const char *name UNUSED, int pages)
{
    ((struct state_db *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

/* Checkpoints are the writer's business (state.c), so the automatic one is off: the hook that
 * counts pages takes its place. */
static const char writer_pragmas[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA foreign_keys = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA cell_size_check = ON;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA journal_size_limit = 16777216;"
                                     "PRAGMA cache_size = -4096;";

static const char reader_pragmas[] = "PRAGMA query_only = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA cell_size_check = ON;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA cache_size = -1024;";

/* A file system without shared memory keeps the old journal and says nothing. */
static int check_wal(struct state_db *db, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e, "PRAGMA journal_mode", "") < 0 || query_step(&q, e) < 0) {
        return -1;
    }
    if (!str_eq_c(query_str(&q, 0), "wal")) {
        return err_set(e, ERR_UNSUPPORTED,
                       "this file system cannot hold a write-ahead log (journal_mode is %.*s): "
                       "put the state directory on a local disk",
                       STR_ARG(query_str(&q, 0)));
    }
    return 0;
}

struct state_db *state_db_open(const char *path, enum state_mode mode, struct err *e)
{
    SCOPED(state_db_closep) struct state_db *db = xnew(struct state_db);
    int rc;

    list_init(&db->link);
    list_init(&db->lru);
    rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                         state_vfs_name());
    rc = rc == SQLITE_OK ? state_filter_register(db->h) : rc;
    if (rc != SQLITE_OK) {
        state_db_error(db->h, rc, path, e);
        return NULL;
    }
    (void)sqlite3_extended_result_codes(db->h, 1);
    (void)sqlite3_busy_timeout(db->h, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (state_db_exec(db, mode == STATE_WRITER ? writer_pragmas : reader_pragmas, e) < 0 ||
        (mode == STATE_WRITER && check_wal(db, e) < 0)) {
        err_wrap(e, "%s", path);
        return NULL;
    }
    (void)sqlite3_wal_hook(db->h, on_commit, db);
    return TAKE(db);
}

static void statement_free(struct statement *st)
{
    (void)sqlite3_finalize(st->s);
    free(st);
}

static void statement_evict(struct state_db *db, struct statement *st)
{
    (void)map_del(&db->by_sql, str_of(sqlite3_sql(st->s)));
    list_remove(&st->link);
    db->n_cached--;
    statement_free(st);
}

void state_db_close(struct state_db *db)
{
    if (db == NULL) {
        return;
    }
    assert(db->open_queries == 0);
    list_each(it, &db->lru)
    {
        statement_evict(db, list_entry(it, struct statement, link));
    }
    map_done(&db->by_sql);
    (void)sqlite3_close_v2(db->h);
    free(db);
}

static void statement_cache(struct state_db *db, struct statement *st, const char *sql)
{
    if (map_get(&db->by_sql, str_of(sql))) {
        return; /* the cached one is busy: this one is for once */
    }
    if (db->n_cached >= STATE_STATEMENTS) {
        list_each(it, &db->lru)
        {
            struct statement *oldest = list_entry(it, struct statement, link);

            if (!oldest->busy) {
                statement_evict(db, oldest);
                break;
            }
        }
    }
    (void)map_put(&db->by_sql, str_of(sql), st);
    list_append(&db->lru, &st->link);
    db->n_cached++;
    st->cached = true;
}

static struct statement *statement_take(struct state_db *db, const char *sql, struct err *e)
{
    struct statement *st = map_get(&db->by_sql, str_of(sql));
    sqlite3_stmt *s = NULL;
    int rc;

    if (st && !st->busy) {
        list_remove(&st->link);
        list_append(&db->lru, &st->link);
        st->busy = true;
        return st;
    }
    rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (rc != SQLITE_OK) {
        state_db_error(db->h, rc, "state", e);
        return NULL;
    }
    assert(s); /* an empty text is a mistake of ours */
    st = xnew(struct statement);
    list_init(&st->link);
    st->s = s;
    st->busy = true;
    statement_cache(db, st, sql);
    return st;
}

static int bind_text(sqlite3_stmt *s, int i, struct str v, sqlite3_destructor_type life)
{
    return v.p ? sqlite3_bind_text64(s, i, v.p, v.len, life, SQLITE_UTF8) : sqlite3_bind_null(s, i);
}

static int bind_one(sqlite3_stmt *s, int i, char type, va_list *ap, sqlite3_destructor_type life)
{
    const char *z;
    struct str v;

    switch (type) {
    case 'i':
        return sqlite3_bind_int64(s, i, va_arg(*ap, int64_t));
    case 'd':
        return sqlite3_bind_double(s, i, va_arg(*ap, double));
    case 's':
        return bind_text(s, i, va_arg(*ap, struct str), life);
    case 'z':
        z = va_arg(*ap, const char *);
        return bind_text(s, i, (struct str){z, z ? strlen(z) : 0}, life);
    case 'b':
        v = va_arg(*ap, struct str);
        return v.p ? sqlite3_bind_blob64(s, i, v.p, v.len, life) : sqlite3_bind_null(s, i);
    default:
        return SQLITE_MISUSE;
    }
}

/* `life`: SQLITE_TRANSIENT copies the values, SQLITE_STATIC uses the caller's. */
static int open_with(struct query *q, struct state_db *db, struct err *e, const char *sql,
                     const char *types, va_list *ap, sqlite3_destructor_type life)
{
    struct statement *st = statement_take(db, sql, e);

    *q = (struct query){0};
    if (st == NULL) {
        return -1;
    }
    *q = (struct query){.stmt = st, .db = db};
    db->open_queries++;
    assert((int)strlen(types) == sqlite3_bind_parameter_count(st->s));
    for (int i = 0; types[i]; i++) {
        int rc = bind_one(st->s, i + 1, types[i], ap, life);

        if (rc != SQLITE_OK) {
            state_db_error(db->h, rc, "state: value", e);
            query_done(q);
            return -1;
        }
    }
    return 0;
}

int query_open(struct query *q, struct state_db *db, struct err *e, const char *sql,
               const char *types, ...)
{
    int r;
    va_list ap;

    va_start(ap, types);
    r = open_with(q, db, e, sql, types, &ap, SQLITE_TRANSIENT);
    va_end(ap);
    return r;
}

static sqlite3_stmt *stmt_of(const struct query *q)
{
    return ((struct statement *)q->stmt)->s;
}

int query_step(struct query *q, struct err *e)
{
    int rc = sqlite3_step(stmt_of(q));

    if (rc == SQLITE_ROW) {
        return 1;
    }
    return rc == SQLITE_DONE ? 0 : state_db_error(q->db->h, rc, "state", e);
}

int64_t query_i64(const struct query *q, int column)
{
    return sqlite3_column_int64(stmt_of(q), column);
}

double query_double(const struct query *q, int column)
{
    return sqlite3_column_double(stmt_of(q), column);
}

struct str query_str(const struct query *q, int column)
{
    const char *p = sqlite3_column_blob(stmt_of(q), column); /* no conversion of a TEXT */

    return p ? str_n(p, (size_t)sqlite3_column_bytes(stmt_of(q), column)) : STR_EMPTY;
}

struct str query_str_or_null(const struct query *q, int column)
{
    return query_is_null(q, column) ? (struct str){0} : query_str(q, column);
}

bool query_is_null(const struct query *q, int column)
{
    return sqlite3_column_type(stmt_of(q), column) == SQLITE_NULL;
}

void query_done(struct query *q)
{
    struct statement *st = q->stmt;

    if (st == NULL) {
        return;
    }
    q->db->open_queries--;
    (void)sqlite3_reset(st->s);
    (void)sqlite3_clear_bindings(st->s);
    st->busy = false;
    if (!st->cached) {
        statement_free(st);
    }
    *q = (struct query){0};
}

int state_run(struct state_db *db, struct err *e, const char *sql, const char *types, ...)
{
    SCOPED(query_done) struct query q = {0};
    int r;
    va_list ap;

    va_start(ap, types);
    r = open_with(&q, db, e, sql, types, &ap, SQLITE_STATIC);
    va_end(ap);
    if (r < 0) {
        return -1;
    }
    return query_step(&q, e) < 0 ? -1 : 0;
}

int state_one_i64(struct state_db *db, int64_t *out, struct err *e, const char *what,
                  const char *sql, const char *types, ...)
{
    SCOPED(query_done) struct query q = {0};
    int r;
    va_list ap;

    va_start(ap, types);
    r = open_with(&q, db, e, sql, types, &ap, SQLITE_STATIC);
    va_end(ap);
    if (r == 0) {
        r = query_step(&q, e);
    }
    if (r < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "%s", what);
    }
    *out = query_i64(&q, 0);
    return 0;
}

int state_gauges(struct state_db *db, const struct state_gauge *gauges, size_t n, struct buf *out,
                 struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value;

        if (state_one_i64(db, &value, e, "rows", gauges[i].sql, "") < 0) {
            return -1;
        }
        metric_one(out, gauges[i].name, "gauge", gauges[i].help, value);
    }
    return 0;
}

int64_t state_last_id(struct state_db *db)
{
    return sqlite3_last_insert_rowid(db->h);
}

int64_t state_changes(struct state_db *db)
{
    return sqlite3_changes64(db->h);
}
