/* openapi - the API as OpenAPI 3.1, made from the tables of routes and schemas that the modules
 * serve by: GET /api/v1/openapi.json, `strata debug openapi`, docs/formats/openapi.json. */
#pragma once
#include "base/buf.h"

struct route;
struct http_schema;

struct openapi_part {
    const struct route *routes;
    const struct http_schema *schemas; /* or NULL */
};
extern const struct openapi_part openapi_parts[]; /* all of this program; ends with a zero row */

/* Fails only when a row of a table is wrong. */
int openapi_write(struct buf *out, struct err *e) MUST_USE;
