/* sql_open - SQLite for queries of users: a connection in memory that can open no file, runs for a
 * bounded time, and gives the same today and tomorrow. Any thread, one connection each. */
#pragma once
#include "base/str.h"

#include <sqlite3.h>

enum { SQL_QUERY_BYTES = 65536 };

/* May not move while it is open. */
struct sql_connection {
    sqlite3_vfs vfs;
    sqlite3 *db;
    char name[40];
    int64_t deadline_ms;
};

/* ERR_MEMORY. */
int sql_open(struct sql_connection *c, struct err *e) MUST_USE;
/* From now on it can only SELECT, and call functions that give the same every time. */
void sql_lock(struct sql_connection *c);
/* Queries that run longer from now on are ended. */
void sql_end_after(struct sql_connection *c, int64_t seconds);
void sql_close(struct sql_connection *c); /* statements are finalized before */
/* SQLite's own words, which may hold bytes of a damaged file: those become '?'. Returns `out`. */
enum { SQL_WORDS_BYTES = 200 };
char *sql_words(const char *words, char out[SQL_WORDS_BYTES]);
/* What a result code says: ERR_MEMORY; ERR_INVALID "query: ..."; `readable` is what may be read:
 * "t1 to t4". */
int sql_failed(const struct sql_connection *c, int rc, const char *readable, struct err *e);
/* One SELECT; NULL with an error. */
sqlite3_stmt *sql_prepare(const struct sql_connection *c, struct str query, const char *readable,
                          struct err *e) MUST_USE;
