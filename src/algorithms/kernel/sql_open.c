#include "algorithms/kernel/sql_open.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "base/clock.h"
#include "base/limits.h"

#include <string.h>

enum { STEPS = 100000 /* between two looks at the clock */ };

static int no_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    (void)name;
    (void)flags;
    (void)out;
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

/* The same query gives the same table, today and tomorrow: 'now' is missing. */
static int no_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    (void)out;
    return SQLITE_ERROR;
}

static int no_time_double(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    (void)out;
    return SQLITE_ERROR;
}

static int allow(void *ctx, int action, const char *a, const char *b, const char *c, const char *d)
{
    static const char *const never[] = {"random",       "randomblob",   "load_extension",
                                        "current_date", "current_time", "current_timestamp"};

    (void)ctx;
    (void)a;
    (void)c;
    (void)d;
    for (size_t i = 0; action == SQLITE_FUNCTION && b && i < ARRAY_LEN(never); i++) {
        if (sqlite3_stricmp(b, never[i]) == 0) {
            return SQLITE_DENY;
        }
    }
    return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
                   action == SQLITE_RECURSIVE
               ? SQLITE_OK
               : SQLITE_DENY;
}

static int out_of_time(void *ctx)
{
    const struct sql_connection *c = ctx;

    return clock_mono_ms() > c->deadline_ms;
}

/* A name of its own for every connection: checks of the server run side by side. */
int sql_open(struct sql_connection *c, struct err *e)
{
    const sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    int rc;

    c->vfs = *real;
    (void)sqlite3_snprintf(sizeof(c->name), c->name, "none-%p", (void *)c);
    c->vfs.zName = c->name;
    c->vfs.pNext = NULL;
    c->vfs.xOpen = no_open;
    c->vfs.xCurrentTime = no_time_double;
    c->vfs.xCurrentTimeInt64 = no_time;
    rc = sqlite3_vfs_register(&c->vfs, /* default */ 0);
    if (rc == SQLITE_OK) {
        rc = sqlite3_open_v2(":memory:", &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             c->name);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(c->db, "pragma temp_store = memory", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        return err_set(e, ERR_MEMORY, "SQLite does not start: %s", sqlite3_errstr(rc));
    }
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, (int)(16 * MIB));
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_SQL_LENGTH, SQL_QUERY_BYTES);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_EXPR_DEPTH, 200);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_COMPOUND_SELECT, 200);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_VDBE_OP, 1000000);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(c->db, SQLITE_LIMIT_COLUMN, 32767);
    return 0;
}

void sql_lock(struct sql_connection *c)
{
    (void)sqlite3_set_authorizer(c->db, allow, NULL);
}

void sql_end_after(struct sql_connection *c, int64_t seconds)
{
    c->deadline_ms = clock_mono_ms() + seconds * 1000;
    sqlite3_progress_handler(c->db, STEPS, out_of_time, c);
}

void sql_close(struct sql_connection *c)
{
    (void)sqlite3_close(c->db);
    c->db = NULL;
    if (c->vfs.zName) {
        (void)sqlite3_vfs_unregister(&c->vfs);
    }
}

char *sql_words(const char *words, char out[SQL_WORDS_BYTES])
{
    struct str s = str_first(str_of(words), SQL_WORDS_BYTES - 4);
    size_t n = 0;

    for (size_t i = 0; i < s.len;) {
        size_t len = str_utf8_len((const unsigned char *)s.p + i, s.len - i);

        if (len == 0 || (unsigned char)s.p[i] < ' ') {
            out[n++] = '?';
            i++;
            continue;
        }
        memcpy(out + n, s.p + i, len);
        n += len;
        i += len;
    }
    out[n] = '\0';
    return out;
}

int sql_failed(const struct sql_connection *c, int rc, const char *readable, struct err *e)
{
    char words[SQL_WORDS_BYTES];

    if (rc == SQLITE_NOMEM) {
        return err_set(e, ERR_MEMORY, "not enough memory for the query, which has %llu MiB",
                       (unsigned long long)(big_budget() - big_in_use()) / MIB);
    }
    if (rc == SQLITE_INTERRUPT) {
        return err_set(e, ERR_INVALID, "seconds: the query took longer");
    }
    if (rc == SQLITE_AUTH) {
        return err_set(e, ERR_INVALID,
                       "query: %s: it can only read %s, by SELECT, and by functions that give the "
                       "same every time",
                       sql_words(sqlite3_errmsg(c->db), words), readable);
    }
    return err_set(e, ERR_INVALID, "query: %s", sql_words(sqlite3_errmsg(c->db), words));
}

sqlite3_stmt *sql_prepare(const struct sql_connection *c, struct str query, const char *readable,
                          struct err *e)
{
    sqlite3_stmt *stmt = NULL;
    const char *tail = NULL;
    int rc = query.len > SQL_QUERY_BYTES
                 ? SQLITE_TOOBIG
                 : sqlite3_prepare_v2(c->db, query.p, (int)query.len, &stmt, &tail);

    if (rc != SQLITE_OK) {
        (void)sql_failed(c, rc, readable, e);
        return NULL;
    }
    while (tail && *tail && strchr(" \t\r\n;", *tail)) {
        tail++;
    }
    if (stmt == NULL || (tail && *tail) || sqlite3_column_count(stmt) == 0) {
        (void)err_set(e, ERR_INVALID, "query: write one SELECT");
        (void)sqlite3_finalize(stmt);
        return NULL;
    }
    return stmt;
}
