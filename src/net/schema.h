/* schema - forms of JSON in the notation of TypeScript, for openapi: short enough to stand in a
 * table beside the code that writes the JSON (struct http_schema).
 *
 *   {name: string, ends_at: time | null, tags?: [string]}   these keys, no others; ?: may be
 * missing
 *   {*: integer}                                            any keys
 *   [User]                                                  a list; of a component: upper case
 *   'ro' | 'rw' | null                                      one of them
 *   string integer number boolean null time any             time: RFC 3339
 *
 * Forms are our own constants, so the recursion follows how deep we nest them. */
#pragma once
#include "base/json.h"

/* As JSON Schema 2020-12, where a component is {"$ref": "#/components/schemas/..."}. -1: what is
 * written so far is of no use, *e names the part that is no form. */
int schema_write(struct jw *w, struct str form, struct err *e) MUST_USE;
