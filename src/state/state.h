/* state - transactions on SQLite (WAL, synchronous=FULL): one writer thread with group commit, a
 * read connection per thread.
 *
 *   handler -> state_write(fn) -> writer thread: BEGIN IMMEDIATE, SAVEPOINT, fn, ... COMMIT (fsync)
 *           <- returns when the commit is on disk (state_write_lazy: when it is in the WAL)
 *
 * SQL has one function of ours: has_words(q, text, ...), the filter of lists (base/words.h).
 * Threads: any. Never call while holding a lock. fn runs on the writer thread and must not block on
 * anything but the database; its changes are undone when it returns -1, others of the same group
 * stay.
 * On disk: state.db, state.db-wal, state.db-shm in the current directory (see main/server.c);
 * table `migrations(module, number, name, applied_ms)` names what has been applied. */
#pragma once
#include "base/buf.h"

struct state;
struct state_db; /* a connection with its cache of prepared statements */

/* Each module owns its tables. `steps[i]` is migration i + 1: never edited, only added to. */
struct state_schema {
    const char *module;
    const char *const *steps; /* SQL, ends with NULL */
};

/* Creates or migrates (one transaction; all or nothing). ERR_CONFLICT, and nothing touched, when
 * the file holds a migration that this program does not know (a newer version wrote it). `schemas`
 * ends with NULL. */
struct state *state_open(const char *path, const struct state_schema *const *schemas,
                         struct err *e) MUST_USE;
void state_close(struct state *s); /* finishes what was submitted */
DEFINE_SCOPED(struct state, state_close)
void state_dump(struct state *s, struct buf *out);

typedef int state_fn(struct state_db *db, void *ctx, struct err *e);

/* Durable when it returns 0. Full disk: ERR_NO_SPACE, nothing changed. */
int state_write(struct state *s, state_fn *fn, void *ctx, struct err *e) MUST_USE;
/* The same for what would be found out or done again after a power cut, and nobody has been told:
 * all see it when it returns 0, a kill loses nothing, and it is on disk with the next state_write
 * (changes stay in their order) or a checkpoint. Costs no wait for the disk. */
int state_write_lazy(struct state *s, state_fn *fn, void *ctx, struct err *e) MUST_USE;
/* As state_write, without waiting: `done` (may be NULL) runs on the writer thread after the commit
 * or failure (e == NULL on success). */
void state_submit(struct state *s, state_fn *fn, void *ctx,
                  void (*done)(void *ctx, const struct err *e));
/* One consistent snapshot, read-only, on a connection of the pool, which is this thread's until
 * the return. A read inside a read sees a snapshot of its own. */
int state_read(struct state *s, state_fn *fn, void *ctx, struct err *e) MUST_USE;
/* Looks for damage (reads the whole file: for `strata doctor`); ERR_IO names the first one. */
int state_check(struct state *s, struct err *e) MUST_USE;

/* --- inside fn --- */

/* A statement that is being run. `types` has a letter per value: i int64_t, s struct str (TEXT; p
 * == NULL is NULL), z const char * (TEXT, NULL allowed), b struct str (BLOB), d double.
 *
 *   SCOPED(query_done) struct query q;
 *   if (query_open(&q, db, e, "SELECT id FROM users WHERE name = ?", "s", name) < 0) return -1;
 *   while ((r = query_step(&q, e)) > 0) ... query_i64(&q, 0) */
struct query {
    void *stmt;
    struct state_db *db;
};
int query_open(struct query *q, struct state_db *db, struct err *e, const char *sql,
               const char *types, ...) MUST_USE;
int query_step(struct query *q, struct err *e) MUST_USE; /* 1 row, 0 end, -1 error */
int64_t query_i64(const struct query *q, int column);
double query_double(const struct query *q, int column);
struct str query_str(const struct query *q, int column);         /* valid until the next step */
struct str query_str_or_null(const struct query *q, int column); /* NULL: p == NULL */
bool query_is_null(const struct query *q, int column);
void query_done(struct query *q); /* zeroes; may be called twice */

/* A statement without rows. A broken UNIQUE is ERR_CONFLICT, a broken foreign key ERR_CONFLICT. */
int state_run(struct state_db *db, struct err *e, const char *sql, const char *types, ...) MUST_USE;
/* First column of the first row; ERR_NOT_FOUND (message: `what`) without one. */
int state_one_i64(struct state_db *db, int64_t *out, struct err *e, const char *what,
                  const char *sql, const char *types, ...) MUST_USE;
/* A number of rows for /metrics: name, what it says, and the statement that finds it. */
struct state_gauge {
    const char *name, *help, *sql;
};
int state_gauges(struct state_db *db, const struct state_gauge *gauges, size_t n, struct buf *out,
                 struct err *e) MUST_USE;
int64_t state_last_id(struct state_db *db);
int64_t state_changes(struct state_db *db);
