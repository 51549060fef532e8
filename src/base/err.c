#include "base/err.h"

#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#undef err_set /* the functions behind the macros */
#undef err_sys
#undef err_wrap

static const struct {
    const char *name;
    int http_status;
    int exit_code;
} kinds[ERR_KINDS] = {
    [ERR_NONE] = {"ok", 200, EX_OK},
    [ERR_INVALID] = {"invalid", 400, EX_DATAERR},
    [ERR_UNAUTHENTICATED] = {"unauthenticated", 401, EX_NOPERM},
    [ERR_FORBIDDEN] = {"forbidden", 403, EX_NOPERM},
    [ERR_NOT_FOUND] = {"not_found", 404, EX_NOINPUT},
    [ERR_CONFLICT] = {"conflict", 409, EX_CANTCREAT},
    [ERR_LIMIT] = {"limit", 413, EX_DATAERR},
    [ERR_RANGE] = {"range", 416, EX_DATAERR},
    [ERR_THROTTLED] = {"throttled", 429, EX_TEMPFAIL},
    [ERR_UNSUPPORTED] = {"unsupported", 405, EX_UNAVAILABLE},
    [ERR_UNAVAILABLE] = {"unavailable", 503, EX_UNAVAILABLE},
    [ERR_TIMEOUT] = {"timeout", 408, EX_TEMPFAIL},
    [ERR_NO_SPACE] = {"no_space", 507, EX_IOERR},
    [ERR_IO] = {"io", 500, EX_IOERR},
    [ERR_INTERNAL] = {"internal", 500, EX_SOFTWARE},
};

const char *err_name(enum err_kind kind)
{
    return kinds[kind].name;
}

int err_http_status(enum err_kind kind)
{
    return kinds[kind].http_status;
}

int err_exit_code(enum err_kind kind)
{
    return kinds[kind].exit_code;
}

enum err_kind err_kind_of_http(int status)
{
    if (status < 400) {
        return ERR_NONE;
    }
    for (int k = ERR_INVALID; k < ERR_KINDS; k++) {
        if (kinds[k].http_status == status && status != 500) {
            return (enum err_kind)k;
        }
    }
    return status < 500 ? ERR_INVALID : ERR_INTERNAL;
}

int err_setv(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
    char msg[sizeof(e->msg)]; /* the arguments may point into *e */

    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    e->kind = kind;
    e->sys = 0;
    memcpy(e->msg, msg, sizeof(msg));
    return -1;
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_setv(e, kind, fmt, ap);
    va_end(ap);
    return -1;
}

static enum err_kind kind_of_errno(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    err_setv(e, kind_of_errno(sys), fmt, ap);
    va_end(ap);
    e->sys = sys;
    used = strlen(e->msg);
    (void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", strerrordesc_np(sys));
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char inner[sizeof(e->msg)];
    size_t used;
    va_list ap;

    memcpy(inner, e->msg, sizeof(inner));
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    used = strlen(e->msg);
    (void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", inner);
    return -1;
}

void err_list_done(struct err_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        free(l->items[i].key);
        free(l->items[i].msg);
    }
    free(l->items);
    *l = (struct err_list){0};
}

void err_list_add(struct err_list *l, unsigned line, unsigned column, const char *key,
                  const char *fmt, ...)
{
    struct err one;
    va_list ap;

    if (l->len == LIMIT_ERR_ITEMS) {
        l->dropped++;
        return;
    }
    va_start(ap, fmt);
    err_setv(&one, ERR_INVALID, fmt, ap);
    va_end(ap);
    l->items = xrealloc(l->items, (l->len + 1) * sizeof(*l->items));
    l->items[l->len++] =
        (struct err_item){line, column, key ? xstrdup(key) : NULL, xstrdup(one.msg)};
}

int err_list_result(const struct err_list *l, const char *what, struct err *e)
{
    size_t used;

    if (l->len == 0) {
        return 0;
    }
    err_set(e, ERR_INVALID, "%s has %zu mistake%s", what, l->len + l->dropped,
            l->len + l->dropped == 1 ? "" : "s");
    for (size_t i = 0; i < l->len; i++) {
        const struct err_item *it = &l->items[i];
        char where[32] = "";

        if (it->line > 0) {
            (void)snprintf(where, sizeof(where), "line %u: ", it->line);
        }
        used = strlen(e->msg);
        (void)snprintf(e->msg + used, sizeof(e->msg) - used, "%s%s%s%s%s", i == 0 ? ": " : "; ",
                       where, it->key ? it->key : "", it->key ? ": " : "", it->msg);
    }
    return -1;
}
