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
    int64_t patience_ms; /* how long the server may say nothing */
};

/* --- postgres_connect.c --- */
/* The addresses that a host's name means, without those that are denied: "10.0.0.7,::1". */
int pg_open(struct pg *pg, struct err *e) MUST_USE;
void pg_close(struct pg *pg);
/* Until the socket can be read (or written, with PG_WRITE); -1: stopped, or too long. */
enum pg_way { PG_READ = 1, PG_WRITE = 2 };
int pg_wait(const struct pg *pg, unsigned ways, int64_t deadline_ms, struct err *e) MUST_USE;
/* What libpq says, on one line, as `kind`. Returns -1. */
int pg_error(const struct pg *pg, enum err_kind kind, const char *what, struct err *e);
