#include "state_priv.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct state_schema *schema_find(const struct state_schema *const *schemas,
                                              struct str module)
{
    for (; *schemas; schemas++) {
        if (str_eq_c(module, (*schemas)->module)) {
            return *schemas;
        }
    }
    return NULL;
}

static int64_t count_steps(const struct state_schema *schema)
{
    int64_t n = 0;

    while (schema->steps[n]) {
        n++;
    }
    return n;
}

/* What a step calls itself: its leading comment, else the start of its SQL up to a bracket. */
static struct str step_name(const char *sql)
{
    struct str s = str_of(sql);
    ptrdiff_t end;

    while (s.len > 0 && strchr(" \t\r\n", s.p[0])) {
        s = str_from(s, 1);
    }
    if (str_starts(s, STR("/*"))) {
        s = str_from(s, 2);
        end = str_find(s, STR("*/"));
    } else {
        end = (ptrdiff_t)strcspn(s.p, "(;\n");
    }
    return str_first(str_trim(end < 0 ? s : str_first(s, (size_t)end)), 80);
}

int state_file_create(const char *path, struct err *e)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    /* Only ever a file that is new: closing a descriptor of one that SQLite has open somewhere
     * else in this process would drop its POSIX locks. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        return errno == EEXIST ? 0 : err_sys(e, "create %s", path);
    }
    (void)close(fd);
    (void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, "open %s", dir);
    }
    if (fsync(fd) < 0) {
        err_sys(e, "fsync %s", dir);
        (void)close(fd);
        return -1;
    }
    (void)close(fd);
    return 0;
}

/* A file name as SQLite's URI: after a clean stop there is no WAL and the file is read as
 * immutable, so that looking leaves nothing behind. With a WAL, an ordinary read-only connection
 * reads it (and writes neither of both files). */
static void look_uri(const char *path, struct buf *out)
{
    char wal[PATH_MAX];
    struct stat st;

    buf_add_c(out, "file:");
    for (const char *p = path; *p; p++) {
        if (strchr("?#%", *p)) {
            buf_printf(out, "%%%02X", (unsigned char)*p);
        } else {
            buf_add(out, str_n(p, 1));
        }
    }
    (void)snprintf(wal, sizeof(wal), "%s-wal", path);
    if (stat(wal, &st) < 0 || st.st_size == 0) {
        buf_add_c(out, "?immutable=1");
    }
}

static int check_row(const struct state_schema *const *schemas, struct str module, int64_t number,
                     const char *path, struct err *e)
{
    const struct state_schema *schema = schema_find(schemas, module);

    if (schema && number <= count_steps(schema)) {
        return 0;
    }
    return err_set(
        e, ERR_CONFLICT,
        "%s was written by a newer version of Strata (migration %.*s %lld): install that "
        "version, or give another state directory; nothing was changed",
        path, STR_ARG(module), (long long)number);
}

static int check_rows(sqlite3 *h, const struct state_schema *const *schemas, const char *path,
                      struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(h, "SELECT module, max(number) FROM migrations GROUP BY module", -1,
                                &s, NULL);
    int r = 0;

    while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct str module = str_of((const char *)sqlite3_column_text(s, 0));

        r = check_row(schemas, module, sqlite3_column_int64(s, 1), path, e);
        rc = SQLITE_OK;
    }
    if (r == 0 && rc != SQLITE_OK && rc != SQLITE_DONE) {
        r = state_db_error(h, rc, path, e);
    }
    (void)sqlite3_finalize(s);
    return r;
}

/* A database that somebody else made is not ours to migrate. */
static int check_tables(sqlite3 *h, bool *is_empty, const char *path, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(h,
                                "SELECT count(*), coalesce(sum(name = 'migrations'), 0) "
                                "FROM sqlite_schema",
                                -1, &s, NULL);
    int64_t all, ours;

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
    }
    if (rc != SQLITE_ROW) {
        state_db_error(h, rc, path, e);
        (void)sqlite3_finalize(s);
        return -1;
    }
    all = sqlite3_column_int64(s, 0);
    ours = sqlite3_column_int64(s, 1);
    (void)sqlite3_finalize(s);
    *is_empty = all == 0;
    if (all > 0 && ours == 0) {
        return err_set(e, ERR_INVALID,
                       "%s is a database of another program: give another state directory", path);
    }
    return 0;
}

int state_migrate_look(const char *path, const struct state_schema *const *schemas, struct err *e)
{
    struct buf uri = BUF_MAX(3 * PATH_MAX);
    struct stat st;
    sqlite3 *h = NULL;
    bool is_empty = false;
    int rc, r;

    if (stat(path, &st) < 0) {
        return errno == ENOENT ? 0 : err_sys(e, "stat %s", path);
    }
    if (strlen(path) >= PATH_MAX - 8) {
        return err_set(e, ERR_INVALID, "path is too long: %.60s...", path);
    }
    look_uri(path, &uri);
    rc = sqlite3_open_v2(buf_str(&uri).p, &h,
                         SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                         state_vfs_name());
    buf_done(&uri);
    if (rc == SQLITE_OK) {
        (void)sqlite3_busy_timeout(h, 5000);
        r = check_tables(h, &is_empty, path, e);
    } else {
        r = state_db_error(h, rc, path, e);
    }
    if (r == 0 && !is_empty) {
        r = check_rows(h, schemas, path, e);
    }
    (void)sqlite3_close(h);
    return r;
}

static int apply_step(struct state_db *db, const struct state_schema *schema, int64_t number,
                      struct err *e)
{
    const char *sql = schema->steps[number - 1];

    if (state_db_exec(db, sql, e) < 0) {
        return err_wrap(e, "migration %s %lld", schema->module, (long long)number);
    }
    if (sqlite3_get_autocommit(db->h)) {
        return err_set(e, ERR_INTERNAL, "migration %s %lld ends the transaction", schema->module,
                       (long long)number);
    }
    return state_run(db, e, "INSERT INTO migrations VALUES(?, ?, ?, ?)", "zisi", schema->module,
                     number, step_name(sql), clock_wall_ms());
}

static int apply_schema(struct state_db *db, const struct state_schema *schema, struct err *e)
{
    int64_t have;

    if (state_one_i64(db, &have, e, "", "SELECT count(*) FROM migrations WHERE module = ?", "z",
                      schema->module) < 0) {
        return -1;
    }
    for (int64_t n = have + 1; n <= count_steps(schema); n++) {
        if (apply_step(db, schema, n, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Tables are rebuilt with foreign keys off (SQLite's own advice), so look before the commit. */
static int check_foreign_keys(struct state_db *db, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "PRAGMA foreign_key_check", "") < 0 || (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? 0
                  : err_set(e, ERR_INTERNAL, "after the migrations a row of %.*s points to nothing",
                            STR_ARG(query_str(&q, 0)));
}

static int apply_all(struct state_db *db, const struct state_schema *const *schemas, struct err *e)
{
    if (state_db_exec(db,
                      "CREATE TABLE IF NOT EXISTS migrations(module TEXT NOT NULL, number INTEGER "
                      "NOT NULL, name TEXT NOT NULL, applied_ms INTEGER NOT NULL, "
                      "PRIMARY KEY(module, number)) STRICT, WITHOUT ROWID",
                      e) < 0) {
        return -1;
    }
    for (; *schemas; schemas++) {
        if (apply_schema(db, *schemas, e) < 0) {
            return -1;
        }
    }
    if (check_foreign_keys(db, e) < 0) {
        return -1;
    }
    return state_db_exec(db, "COMMIT", e);
}

int state_migrate(struct state_db *db, const struct state_schema *const *schemas, struct err *e)
{
    if (state_db_exec(db, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE", e) < 0) {
        return -1;
    }
    if (apply_all(db, schemas, e) < 0) {
        struct err ignored;

        if (!sqlite3_get_autocommit(db->h)) {
            (void)!state_db_exec(db, "ROLLBACK", &ignored);
        }
        return -1;
    }
    return state_db_exec(db, "PRAGMA foreign_keys = ON", e);
}
