/* route - which row of which table a request means. Patterns are cut into segments once, at start;
 * more literal text is tried first. Read-only afterwards, so any thread may match. */
#pragma once
#include "net/url.h"

enum { ROUTE_PARAMS_MAX = 8 };

struct route_table;

struct route_match {
    const struct http_mount *mount; /* also without a route, when a neighbour tells */
    const struct route *route;      /* NULL: not found, or not with this method */
    unsigned allowed;               /* without a route: bits (1 << method) that the path knows */
    struct http_param params[ROUTE_PARAMS_MAX];
    size_t n_params;
};

/* Keeps pointers into `mounts`. A malformed pattern is a mistake of ours: ERR_INTERNAL. */
struct route_table *route_table_new(const struct http_mount *mounts, size_t n,
                                    struct err *e) MUST_USE;
void route_table_free(struct route_table *t);
DEFINE_SCOPED(struct route_table, route_table_free)

void route_find(const struct route_table *t, enum http_method method, const struct url *u,
                struct route_match *out);
/* Bits (1 << method) of all routes that fit the path. */
unsigned route_allowed(const struct route_table *t, const struct url *u);
