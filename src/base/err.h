/* err - what went wrong: a kind for programs, a sentence for people.
 *
 * A function that can fail returns -1 or NULL and takes `struct err *e` last. Success leaves *e
 * alone; failure fills it once. Lives on the caller's stack and never allocates.
 * The sentence says what, where and how to mend it. Libraries return, the edge logs. */
#pragma once
#include "base/attrs.h"

#include <stdarg.h>

enum err_kind {
    ERR_NONE,
    ERR_INVALID,         /* the request is wrong: 400 */
    ERR_UNAUTHENTICATED, /* who are you: 401 */
    ERR_FORBIDDEN,       /* you may not: 403 */
    ERR_NOT_FOUND,       /* 404 */
    ERR_CONFLICT,        /* the state does not allow it, or the name is taken: 409 */
    ERR_LIMIT,           /* larger than a limit of ours: 413 */
    ERR_RANGE,           /* a byte range that cannot be served: 416 */
    ERR_THROTTLED,       /* too many tries: 429 */
    ERR_UNSUPPORTED,     /* a thing we do not do: 405 */
    ERR_UNAVAILABLE,     /* not now, try again: 503 */
    ERR_TIMEOUT,         /* 408 */
    ERR_NO_SPACE,        /* disk or quota is full: 507 */
    ERR_IO,              /* the machine failed us: 500 */
    ERR_INTERNAL,        /* we failed: 500 */
    ERR_KINDS
};

struct err {
    enum err_kind kind;
    int sys; /* errno, or 0 */
    char msg[512];
};

/* The three columns of the one table of kinds. `exit` values are those of sysexits(3). */
const char *err_name(enum err_kind kind);
int err_http_status(enum err_kind kind);
int err_exit_code(enum err_kind kind);
/* The kind a status code of a server stands for. */
enum err_kind err_kind_of_http(int status);

/* Each fills *e and returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_setv(struct err *e, enum err_kind kind, const char *fmt, va_list ap);
/* From errno: "<text>: <strerror>". The kind follows errno (ENOSPC, EDQUOT -> ERR_NO_SPACE, ...).
 */
int err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts "<text>: " before the sentence that is there already. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The -1 in plain sight: compilers and analysers need not guess it. */
static inline int err_minus_one(int rc)
{
    (void)rc;
    return -1;
}
#define err_set(...) err_minus_one(err_set(__VA_ARGS__))
#define err_sys(...) err_minus_one(err_sys(__VA_ARGS__))
#define err_wrap(...) err_minus_one(err_wrap(__VA_ARGS__))

/* All mistakes at once, for specs and configuration. In place: err_list_init / err_list_done. */
struct err_item {
    unsigned line, column; /* 1-based; 0 when unknown */
    char *key;             /* "resources.memory", or NULL */
    char *msg;
};
struct err_list {
    struct err_item *items;
    size_t len;
    size_t dropped; /* past LIMIT_ERR_ITEMS */
};
void err_list_done(struct err_list *l);
void err_list_add(struct err_list *l, unsigned line, unsigned column, const char *key,
                  const char *fmt, ...) PRINTF_LIKE(5, 6);
/* 0 when the list is empty; else fills *e (ERR_INVALID) with `what` and all that fits. */
int err_list_result(const struct err_list *l, const char *what, struct err *e);
