/* imports - data from the network for the import steps of pipelines: a file of the web, an object
 * of an S3 store, rows of PostgreSQL.
 *
 *   pipeline/importer.c -> import_bring -> url.c | s3.c | postgres.c -> pieces to the caller's sink
 *
 * The other side is hostile: what comes has a ceiling, nobody stands still for long, and nothing is
 * parsed here but what a protocol needs. Addresses of net.outbound_deny are not connected to,
 * whatever name or redirect leads there. Secrets are in no sentence. Threads: any; blocking. */
#pragma once
#include "base/buf.h"
#include "base/cidr.h"

struct import_value {
    const char *name, *text; /* a parameter of the module, its default where none was given */
};

/* What comes, in order; an empty piece says that all begins anew. -1 ends it. */
typedef int import_sink(void *ctx, struct str piece, struct err *e);
typedef bool import_stop(void *ctx);
/* How many rows have come, for those that know. */
typedef void import_rows(void *ctx, int64_t rows);

struct import_order {
    const char *module; /* "import_url", "import_s3", "import_postgres" */
    const struct import_value *values;
    size_t n_values;
    struct str secret; /* the value of the parameter `secret`; empty: none was named */
    const struct cidr *denied;
    size_t n_denied;
    import_sink *sink;
    import_rows *rows;
    import_stop *stop; /* asked about once a second and between pieces */
    void *ctx;
};

/* ERR_UNAVAILABLE, ERR_TIMEOUT and ERR_THROTTLED may be tried again, ERR_CONFLICT was stopped; all
 * else is final. */
int import_bring(const struct import_order *o, struct err *e) MUST_USE;
/* For the parameter; "" when there is no such. */
const char *import_text(const struct import_order *o, const char *name);
int64_t import_number(const struct import_order *o, const char *name);
