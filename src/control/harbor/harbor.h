/* harbor - the part of Harbor's API v2.0 that its clients use most, over our own rows.
 *
 *   terraform, harbor-cli, curl -> /api/v2.0 -> the functions of those who keep the rows
 *
 * A translation and no second truth: it keeps nothing, so what it changes is durable, audited and
 * told to webhooks as by our own API. Paths name a project by its name or its id. What is there and
 * what differs: docs/formats/harbor.md.
 * Threads: any. On disk: nothing. Source: Harbor 2, api/v2.0/swagger.yaml. */
#pragma once
#include "net/http.h"

struct access;
struct cfg;
struct content;
struct registry;
struct replication;
struct state;
struct supply;
struct webhooks;

struct harbor {
    struct state *state;
    struct access *access;
    struct registry *registry;
    struct webhooks *webhooks;
    struct replication *replication;
    struct supply *supply;
    struct content *content;
    const struct cfg *cfg;
};

extern const struct route harbor_routes[]; /* ctx: struct harbor * */
extern const struct http_style harbor_style;
