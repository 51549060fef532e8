/* system_http - the routes of no module: health, version, events, openapi. */
#pragma once
#include "base/attrs.h"
#include "net/http.h"

struct access;
struct cfg;
struct helper_client;
struct jobs;
struct registry;
struct volume_store;

struct system_http {
    struct http_events *events;
    struct access *access;
    struct helper_client *helper;
    const struct cfg *cfg;
    struct registry *registry;
    struct volume_store *volumes;
    struct jobs *jobs;
};

extern const struct route system_routes[]; /* ctx: struct system_http * */
extern const struct http_schema system_schemas[];
