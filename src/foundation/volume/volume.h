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

/* What pipelines made (docs/formats/pipeline.md). Users read it and may delete in it; their
 * containers cannot write there, and nothing is renamed into or out of it. */
#define VOLUME_STUDIO ".studio"

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
/* Files of a volume for other modules. Everything in it is hostile: containers write there. */
struct volume_ref {
    int64_t project_id;
    struct str name;
};
/* Being there already is success. */
int volume_make(struct volume_store *v, struct str project, const struct volume_ref *ref,
                struct err *e) MUST_USE;
struct volume_file_info {
    int fd; /* the caller's; a regular file, for reading */
    int64_t size_bytes;
    uint64_t inode;
    int64_t modified_ns, changed_ns;
};
enum volume_links { VOLUME_LINKS_FOLLOWED, VOLUME_LINKS_REFUSED };
int volume_file_open(struct volume_store *v, const struct volume_ref *ref, struct str path,
                     enum volume_links links, struct volume_file_info *out, struct err *e) MUST_USE;
/* What lies in a directory, by name. `is_dir`: a directory itself; links are not followed. At most
 * `max` entries: ERR_LIMIT past it. ERR_NOT_FOUND, ERR_CONFLICT: it is no directory. */
typedef void volume_dir_entry(void *ctx, struct str name, bool is_dir);
int volume_dir_list(struct volume_store *v, const struct volume_ref *ref, struct str path,
                    size_t max, volume_dir_entry *each, void *ctx, struct err *e) MUST_USE;
int volume_dir_make(struct volume_store *v, const struct volume_ref *ref, struct str path,
                    struct err *e) MUST_USE; /* with its parents; durable */
/* Durable; ERR_CONFLICT when `to` is there. */
int volume_rename(struct volume_store *v, const struct volume_ref *ref, struct str from,
                  struct str to, struct err *e) MUST_USE;
/* With all that is in it; none is success. Durable. */
int volume_remove(struct volume_store *v, const struct volume_ref *ref, struct str path,
                  struct err *e) MUST_USE;
/* The same of what harms nobody when a power cut brings it back. */
int volume_discard(struct volume_store *v, const struct volume_ref *ref, struct str path,
                   struct err *e) MUST_USE;
/* A file that the server itself writes: under a name that nobody sees, until it is kept. */
struct volume_new {
    int fd; /* for writing; nobody else's */
    char name[32];
    uint64_t inode;
};
int volume_file_new(struct volume_store *v, const struct volume_ref *ref, struct volume_new *out,
                    struct err *e) MUST_USE;
/* Makes the bytes durable, and the file appear at `path` with its parents, in place of what is
 * there. ERR_CONFLICT: it has another size than that, or somebody replaced it. */
int volume_file_keep(struct volume_store *v, const struct volume_ref *ref,
                     const struct volume_new *n, struct str path, uint64_t size_bytes,
                     struct err *e) MUST_USE;
void volume_file_drop(struct volume_store *v, const struct volume_ref *ref,
                      const struct volume_new *n);
void volume_file_done(struct volume_new *n); /* closes it; after keep or drop */
/* For jobs: which files changed within a time, in any of several volumes. */
struct volume_recent {
    int64_t project_id;
    const char *name;
    size_t volume;              /* the caller's number of it, given back with each file */
    int64_t since_ns, until_ns; /* since 1970 */
    int64_t deadline_ms;        /* clock_mono_ms */
    size_t max;                 /* files that are kept: the newest; the same for all volumes */
};
struct volume_recent_file {
    size_t volume;
    char *path;
    int64_t changed_ns; /* within that time */
    uint64_t size_bytes;
    bool is_link;
};
struct volume_recent_found {
    struct volume_recent_file *files;
    size_t n;
    uint64_t matched, looked_at; /* may be more than are kept */
    bool is_partial;             /* not everything was looked at */
};
/* Adds those of the volume, which must have that id. Looks at LIMIT_RECENT_ENTRIES entries in all.
 * ERR_NOT_FOUND: it is gone. */
int volume_recent(struct volume_store *v, const struct volume_recent *q, const char *id,
                  struct volume_recent_found *out, struct err *e) MUST_USE;
void volume_recent_sort(struct volume_recent_found *f); /* newest first */
void volume_recent_done(struct volume_recent_found *f);
/* A place among the walks that go on, which are few: for each request with volume_recent.
 * ERR_UNAVAILABLE: all are taken, or this user has enough. */
int volume_walk_enter(struct volume_store *v, int64_t user_id, struct err *e) MUST_USE;
void volume_walk_leave(struct volume_store *v, int64_t user_id);
/* "key": name, and when it is no UTF-8 also "key_raw": its bytes, percent-encoded as in a URL; then
 * "key" has U+FFFD where the bytes cannot be shown. */
struct jw;
void volume_json_name(struct jw *w, const char *key, struct str name);
/* The volumes that fit the filter `words`, the shortest names first. `projects`: a JSON array of
 * project ids, or NULL: of all. */
typedef void volume_each(void *ctx, int64_t project_id, struct str name);
int volume_search(struct volume_store *v, const char *projects, struct str words, int64_t limit,
                  volume_each *each, void *ctx, struct err *e) MUST_USE;
int volume_project_gone(struct volume_store *v, int64_t project_id, struct err *e) MUST_USE;

/* Helper side; the current directory is the state directory. */
extern const struct helper_operation volume_operations[];
