/* rows - how other registries and rules change: for our own API, and for modules that speak that of
 * somebody else over the same rows (harbor). Bodies are those of our API. The caller's permission
 * was checked by his route; `a` keeps what a row says. Each is durable when it returns 0. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "replication/replication.h"

int registry_make(struct replication *r, struct arena *a, const json_t *body, struct str by,
                  int64_t *id, struct err *e) MUST_USE;
int registry_edit(struct replication *r, struct arena *a, struct str name, const json_t *body,
                  struct str by, struct err *e) MUST_USE;
int registry_drop(struct replication *r, struct arena *a, struct str name, struct err *e) MUST_USE;
/* Does it answer, and take the password? Without a name: one that is not kept, as `body` says. */
int registry_try(struct replication *r, struct arena *a, struct str name, const json_t *body,
                 struct err *e) MUST_USE;

int rule_make(struct replication *r, struct arena *a, const json_t *body, struct str by,
              int64_t *id, struct err *e) MUST_USE;
int rule_edit(struct replication *r, struct arena *a, struct str name, const json_t *body,
              struct err *e) MUST_USE;
int rule_drop(struct replication *r, struct arena *a, struct str name, struct err *e) MUST_USE;
/* ERR_CONFLICT: a run is going on, or it is disabled. */
int rule_start(struct replication *r, struct arena *a, struct str name, struct str by, int64_t *id,
               struct err *e) MUST_USE;
int run_halt(struct replication *r, int64_t id, struct err *e) MUST_USE;
