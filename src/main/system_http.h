/* system_http - the routes of no module: health, version, events, openapi. */
#pragma once
#include "base/attrs.h"
#include "net/http.h"

struct access;
struct cfg;
struct helper_client;

struct system_http {
    struct http_events *events;
    struct access *access;
    struct helper_client *helper;
    const struct cfg *cfg;
    const struct http_mount *mounts; /* for openapi */
    size_t n_mounts;
};

extern const struct route system_routes[]; /* ctx: struct system_http * */
