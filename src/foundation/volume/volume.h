/* volume - POSIX directories of a project that outlive jobs: files in, files out, mounted into
 * jobs.
 *
 *   PUT .../files/{path...} -> volume_http.c -> files agent (confined child in the project's id
 *   mapping; openat2 RESOLVE_BENEATH|NO_MAGICLINKS from a root fd) -> open fd -> server streams
 *
 * Path traversal and symlink escapes are impossible by construction: the agent has no other root,
 * and the server never opens a path inside a volume. Threads: any. On disk: volumes/<id>/ owned by
 * the project's id range; table `volumes`. */
#pragma once
#include "base/str.h"
#include "helper/helper.h"
#include "net/http.h"

struct state;
struct state_schema;
struct volume_store;

extern const struct state_schema volume_schema;
extern const struct route volume_routes[]; /* ctx: struct volume_store * */
extern const struct http_schema volume_schemas[];

/* What volume needs from above (main/wire.c). */
struct volume_hooks {
    void *ctx;
    /* Project name -> id and first host id of its range. ERR_NOT_FOUND. */
    int (*project)(void *ctx, struct str name, int64_t *project_id, uint32_t *id_base,
                   struct err *e);
    /* Something changed: SSE. `json` one line. */
    void (*event)(void *ctx, const char *type, struct str project, struct str json);
    /* Is a volume mounted by a job that is queued or runs? Its name or an empty view. */
    bool (*in_use)(void *ctx, const char *volume_id);
};

struct volume_store *volume_open(struct state *s, struct helper_client *h,
                                 const struct volume_hooks *hooks, struct err *e) MUST_USE;
void volume_close(struct volume_store *v);
DEFINE_SCOPED(struct volume_store, volume_close)

/* For jobs: name -> id (directory). ERR_NOT_FOUND names the volumes that exist. */
int volume_find(struct volume_store *v, int64_t project_id, struct str name, char id[65],
                struct err *e) MUST_USE;
int volume_project_gone(struct volume_store *v, int64_t project_id, struct err *e) MUST_USE;

/* Helper side; the current directory is the state directory. */
extern const struct helper_operation volume_operations[];
