/* imports, inside: one function a kind of import, and what HTTP ones share. */
#pragma once
#include "fetch/fetch.h"
#include "imports/imports.h"

int url_bring(const struct import_order *o, struct err *e) MUST_USE;
int s3_bring(const struct import_order *o, struct err *e) MUST_USE;
int postgres_bring(const struct import_order *o, struct err *e) MUST_USE;

/* The ceiling of the parameter max_size over a sink. */
struct counted {
    const struct import_order *order;
    int64_t left;
};
struct counted counted_of(const struct import_order *o);
int counted_sink(void *counted, struct str piece, struct err *e);

/* A request whose answer of 200 goes to the sink of `c`; other statuses are for the caller. */
int import_get(struct fetch *f, const struct import_order *o, struct counted *c,
               struct fetch_request *q, struct fetch_answer *out, struct err *e) MUST_USE;
/* What a status other than 200 means; `said` is what the server calls it, or empty. */
int import_status(int status, const char *what, struct str said, struct err *e);
int import_denied(const char *where, struct err *e);
struct fetch *import_client(const struct import_order *o, struct err *e) MUST_USE;
