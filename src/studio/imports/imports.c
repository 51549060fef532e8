#include "imports/imports_priv.h"

#include <stdio.h>
#include <string.h>

enum { CONNECT_SEC = 10, STALL_SEC = 60, SLOWEST_BYTES = 1024 };

static const struct {
    const char *module;
    int (*bring)(const struct import_order *o, struct err *e);
} kinds[] = {
    {"import_url", url_bring},
    {"import_s3", s3_bring},
    {"import_postgres", postgres_bring},
};

int import_bring(const struct import_order *o, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].module, o->module) == 0) {
            return kinds[i].bring(o, e);
        }
    }
    return err_set(e, ERR_INTERNAL, "%s brings nothing from the network", o->module);
}

const char *import_text(const struct import_order *o, const char *name)
{
    for (size_t i = 0; i < o->n_values; i++) {
        if (strcmp(o->values[i].name, name) == 0) {
            return o->values[i].text;
        }
    }
    return "";
}

int64_t import_number(const struct import_order *o, const char *name)
{
    uint64_t n = 0;

    return str_to_u64(str_of(import_text(o, name)), &n) == 0 && n <= INT64_MAX ? (int64_t)n : 0;
}

/* --- what comes --- */

struct counted counted_of(const struct import_order *o)
{
    struct counted c = {.order = o};
    struct err e;

    if (str_parse_bytes(str_of(import_text(o, "max_size")), &c.left, &e) < 0) {
        c.left = 0;
    }
    return c;
}

int counted_sink(void *ctx, struct str piece, struct err *e)
{
    struct counted *c = ctx;

    if ((int64_t)piece.len > c->left) {
        return err_set(e, ERR_LIMIT, "it is larger than max_size, %s",
                       import_text(c->order, "max_size"));
    }
    c->left -= (int64_t)piece.len;
    return c->order->sink(c->order->ctx, piece, e);
}

/* --- HTTP --- */

struct fetch *import_client(const struct import_order *o, struct err *e)
{
    return fetch_new(&(struct fetch_options){.denied = o->denied, .n_denied = o->n_denied}, e);
}

int import_denied(const char *where, struct err *e)
{
    return err_set(e, ERR_FORBIDDEN,
                   "%.300s leads to an address that imports do not reach (net.outbound_deny, "
                   "net.import_deny): an administrator may allow it",
                   where);
}

int import_get(struct fetch *f, const struct import_order *o, struct counted *c,
               struct fetch_request *q, struct fetch_answer *out, struct err *e)
{
    q->method = "GET";
    q->connect_sec = CONNECT_SEC;
    q->stall_sec = STALL_SEC;
    q->slowest_bytes = SLOWEST_BYTES;
    q->stop = o->stop;
    q->stop_ctx = o->ctx;
    if (c) {
        q->sink = counted_sink;
        q->ctx = c;
    }
    if (fetch_do(f, q, out, e) == 0) {
        return 0;
    }
    if (out->is_untrusted) { /* not by waiting, either */
        return err_set(e, ERR_INVALID,
                       "the certificate of %.300s is not trusted: an administrator may add its CA "
                       "to those of the machine (update-ca-certificates) and start Strata again",
                       q->url);
    }
    return e->kind == ERR_FORBIDDEN ? import_denied(q->url, e) : -1;
}

int import_status(int status, const char *what, struct str said, struct err *e)
{
    char more[80] = "";

    if (said.len > 0 && said.len < sizeof(more) - 3) {
        (void)snprintf(more, sizeof(more), ", %.*s", STR_ARG(said));
    }
    if (status == 401 || status == 403) {
        return err_set(e, ERR_FORBIDDEN,
                       "%s: the server refuses it (%d%s): look at the secret and what it may read",
                       what, status, more);
    }
    if (status == 404 || status == 410) {
        return err_set(e, ERR_NOT_FOUND, "%s: the server does not have it (%d%s)", what, status,
                       more);
    }
    if (status == 429 || status >= 500) {
        return err_set(e, ERR_UNAVAILABLE, "%s: the server cannot now (%d%s)", what, status, more);
    }
    return err_set(e, ERR_INVALID, "%s: the server answers %d%s instead of the file", what, status,
                   more);
}
