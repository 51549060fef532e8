/* state_priv - what the files of this module share: one connection (db.c), the names of files
 * (vfs.c), what has been applied (migrate.c). */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "state/state.h"

#include <sqlite3.h>

/* Statements kept prepared by one connection: Strata has about 200 texts, and the least used ones
 * are prepared again in 10-20 us. A statement costs 2-6 KiB. */
enum { STATE_STATEMENTS = 96 };

/* One connection. One thread at a time; whoever hands it over gives a happens-before. */
struct state_db {
    struct list link; /* pool of readers; guarded by state.queue */
    sqlite3 *h;
    struct map by_sql; /* text -> struct statement, those that are in `lru` */
    struct list lru;   /* least recently used first */
    size_t n_cached;
    unsigned open_queries;
    int wal_pages; /* after the last commit of this connection */
};

enum state_mode {
    STATE_WRITER,
    STATE_READER,
};

struct state_db *state_db_open(const char *path, enum state_mode mode, struct err *e) MUST_USE;
void state_db_close(struct state_db *db);
DEFINE_SCOPED(struct state_db, state_db_close)
/* SQL without parameters or rows, not cached. */
int state_db_exec(struct state_db *db, const char *sql, struct err *e) MUST_USE;
/* Fills *e from the last error of `h` (may be NULL) and returns -1. */
int state_db_error(sqlite3 *h, int rc, const char *doing, struct err *e);

/* The SQL function has_words (filter.c). An error code of SQLite. */
int state_filter_register(sqlite3 *h) MUST_USE;

/* "strata": SQLite's own unix VFS, except that names stay relative (see vfs.c). */
const char *state_vfs_name(void);

/* Creates the file 0600; then the -wal and -shm files get the same mode from SQLite. */
int state_file_create(const char *path, struct err *e) MUST_USE;
/* ERR_CONFLICT when the file holds what this program does not know. Reads only. */
int state_migrate_look(const char *path, const struct state_schema *const *schemas,
                       struct err *e) MUST_USE;
/* One transaction; all or nothing. */
int state_migrate(struct state_db *db, const struct state_schema *const *schemas,
                  struct err *e) MUST_USE;
