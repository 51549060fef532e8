/* postgres - inside: a connection that may be left at any moment. libpq without its blocking
 * calls: every wait asks whether to stop.
 *
 *   pg_open -> pg_run ("BEGIN ... READ ONLY") -> pg_columns -> pg_copy -> pg_close */
#pragma once
#include "imports/imports_priv.h"

#include <libpq-fe.h>

struct pg {
    const struct import_order *order;
    PGconn *conn;
    int64_t patience_ms; /* how long the server may take for a row, or for all but rows */
    /* What libpq keeps in memory has no limit of its own: how much may come until something is
     * taken (pg_taken), and where the socket's count stood then. */
    uint64_t most_bytes, heard_bytes;
    bool is_taken;
};

/* --- postgres_connect.c --- */
/* The addresses that a host's name means, without those that are denied: "10.0.0.7,::1". */
int pg_open(struct pg *pg, struct err *e) MUST_USE;
void pg_close(struct pg *pg);
/* Until the socket can be read (or written, with PG_WRITE); -1: stopped, too long, or too much. */
enum pg_way { PG_READ = 1, PG_WRITE = 2 };
int pg_wait(struct pg *pg, unsigned ways, int64_t deadline_ms, struct err *e) MUST_USE;
/* All that came was used, or a row of it: the rest may be `most` bytes. */
enum { PG_TALK_BYTES = 16 * 1024 * 1024, PG_ROW_BYTES = 64 * 1024 * 1024 };
void pg_taken(struct pg *pg, uint64_t most_bytes);
/* What libpq says, on one line, as `kind`. Returns -1. */
int pg_error(const struct pg *pg, enum err_kind kind, const char *what, struct err *e);
