/* registry - OCI Distribution 1.1 over content: repositories, tags, manifests, uploads, and the
 * Docker token service (ES256 JWTs).
 *
 *   docker push -> net -> upload_http.c / manifest_http.c -> content (bytes) + state (who refers to
 *   what)
 *
 * Threads: any. On disk (docs/formats/registry.md): tables repositories, blobs, repository_blobs,
 * manifests, manifest_blobs, manifest_children, tags, blob_trash; the JWT key in registry.key 0600
 * (current directory). A repository's name is "<project>/<rest>". Sources: OCI distribution-spec
 * 1.1.1, image-spec 1.1, Docker token authentication. */
#pragma once
#include "base/arena.h"
#include "net/http.h"
#include "net/perm.h"

struct access;
struct cfg;
struct cfg_item;
struct content;
struct registry;
struct remote;
struct state;
struct state_db;
struct state_schema;

extern const struct state_schema registry_schema;
extern const struct route
    registry_v2_routes[]; /* /v2/ and /service/token; ctx: struct registry * */
extern const struct http_style registry_v2_style; /* OCI errors and challenges */
extern const struct route registry_api_routes[];  /* /api/v1/.../repositories; ctx: the same */
extern const struct http_schema registry_schemas[];
extern const struct cfg_item registry_config[];

/* How long a token of /service/token is good: revoked rights end then at last; clients fetch a new
 * one by themselves. */
enum { REGISTRY_TOKEN_SEC = 300 };

typedef void registry_digest(void *ctx, const char *digest);

/* What became of images, for those who are told by it (webhooks). */
enum registry_what {
    REGISTRY_PUSHED,
    REGISTRY_PULLED,
    REGISTRY_DELETED,
    REGISTRY_OVER_QUOTA, /* something was refused for it */
    REGISTRY_NEAR_QUOTA, /* a push went past 85 % of it */
    REGISTRY_RETAINED    /* a run of retention ended */
};
struct registry_artifact {
    struct str tag; /* p == NULL: none */
    struct str digest;
};
struct registry_change {
    enum registry_what what;
    int64_t project_id;
    struct str repository; /* full name; empty: of the project as a whole */
    int64_t repository_created_ms;
    struct str by; /* the user */
    const struct registry_artifact *artifacts;
    size_t n_artifacts, n_left_out; /* past REGISTRY_ARTIFACTS_MAX they are only counted */
    struct str details;             /* of the two about the quota: a sentence */
    struct str retention;           /* of REGISTRY_RETAINED: a JSON object */
};
enum { REGISTRY_ARTIFACTS_MAX = 100 };

/* A manifest that is here now: pushed, copied from another registry, fetched for a cache, restored.
 */
struct registry_arrival {
    struct str repository, by; /* the user */
    const char *digest;
    int64_t project_id;
};

/* A manifest that somebody asks for. */
struct registry_pull {
    const struct principal *who;
    struct str repository;
    bool may_push; /* also to its repository, by what this very request was given */
    const char *digest;
    int64_t project_id;
};

struct registry_restore {
    int64_t trash_id; /* and others of its repository, when an index lists what is in them */
    int64_t from_project_id, project_id;
};

struct registry_hooks {
    void *ctx;
    void (*event)(void *ctx, const char *type, struct str project, struct str json);
    /* Called in the transaction of the change, so that what it writes there is kept or lost with
     * the change; -1 undoes both. With db == NULL (pulls, and what was refused) there is none: it
     * must neither wait nor fail. May be NULL. */
    int (*changed)(void *ctx, struct state_db *db, const struct registry_change *c, struct err *e);
    /* The other registry of that name, for one request after the other; it ends when `stop` says
     * so. NULL: there are none. */
    struct remote *(*upstream)(void *ctx, struct str name, bool (*stop)(void *ctx), void *stop_ctx,
                               struct err *e);
    /* Before a manifest is given to a client: ERR_FORBIDDEN says why it is not, and what to do. May
     * be NULL. */
    int (*may_pull)(void *ctx, const struct registry_pull *p, struct err *e);
    /* After the commit, before the client hears of it. May be NULL. */
    void (*arrived)(void *ctx, const struct registry_arrival *x);
    /* Manifests of the trash come back, into a project that may be another one of the same name: in
     * the transaction, before they are there. May be NULL. */
    int (*restoring)(void *ctx, struct state_db *db, const struct registry_restore *x,
                     struct err *e);
    /* Adds to /metrics what others count. May be NULL. */
    int (*metrics)(void *ctx, struct state_db *db, struct buf *out, struct err *e);
    /* Names the blobs that others still need although no repository has them (layers of a job that
     * waits); may name one twice. May be NULL. */
    int (*held)(void *ctx, registry_digest *each, void *each_ctx, struct err *e);
};

/* `cfg` may be NULL: defaults. */
struct registry *registry_open(struct state *s, struct content *c, struct access *a,
                               const struct cfg *cfg, const struct registry_hooks *hooks,
                               struct err *e) MUST_USE;
void registry_close(struct registry *r);
/* What is being fetched from other registries ends: before those who wait for it are. */
void registry_stop(struct registry *r);
/* From now on projects may be caches; and what is known of the other registry (or, p == NULL, of
 * none) is of no use any more. */
void registry_upstream_changed(struct registry *r, struct str name);
DEFINE_SCOPED(struct registry, registry_close)

/* access_bearer: verifies a JWT of ours (cached by hash), narrows the scopes to what its access
 * list says about the repository of the path, and asks access about the user again. */
int registry_bearer(void *ctx, struct http_req *r, struct str token, struct principal *out,
                    struct err *e);

/* An image resolved for this platform; everything in the arena. */
struct registry_image {
    char digest[136]; /* manifest */
    char (*layer_digests)[136];
    char (*diff_ids)[136];
    size_t n_layers;
    const char **entrypoint, **cmd, **env; /* NULL-terminated */
    const char *cwd, *user, *architecture, *os;
};
/* `reference` is "project/repository[:tag][@digest]". Follows indexes to linux/`architecture`. The
 * caller has checked PERM_IMAGE_PULL. Errors say what exists instead. */
/* In a cache of another registry what is missing is fetched first, for `by`: that may last. */
int registry_resolve(struct registry *r, struct str reference, const char *architecture,
                     struct str by, struct arena *a, struct registry_image *out,
                     struct err *e) MUST_USE;
/* A token with which a scanner pulls from this repository for an hour, whatever the rules say about
 * the image: on behalf of this user (his rights end it too), or, user_id 0, of the project's rule
 * that what arrives is scanned. */
int registry_scan_token(struct registry *r, int64_t user_id, struct str repository, struct buf *out,
                        struct err *e) MUST_USE;
/* In a cache of another registry, for those who judge an image: what refers to it there (also by
 * the tag that cosign gives its signatures), when that was not asked for the project's time; and a
 * blob of at most `max` bytes that a manifest here names. They do nothing elsewhere. */
bool registry_is_cache(struct registry *r, struct str repository);
void registry_fetch_referrers(struct registry *r, struct str repository, const char *digest);
void registry_fetch_blob(struct registry *r, struct str repository, const char *digest,
                         int64_t max);
/* The "project/repository" of a reference. */
int registry_repository_of(struct str reference, struct str *out, struct err *e) MUST_USE;
/* The repositories with images that fit the filter `words`, the shortest names first, as {project,
 * name} into an open array. `projects`: a JSON array of project ids, or NULL: of all. */
struct jw;
int registry_search(struct registry *r, const char *projects, struct str words, int64_t limit,
                    struct jw *w, struct err *e) MUST_USE;
int registry_project_gone(struct registry *r, int64_t project_id, struct str name,
                          struct err *e) MUST_USE;
/* Once a minute: writes down who was pulled, begins the retention that is due. */
int registry_housekeep(struct registry *r, struct err *e);
/* Online garbage collection step: deletes up to `max` blobs that no manifest has used for a day;
 * returns how many. Costs what it deletes. */
int registry_collect(struct registry *r, unsigned max, struct err *e);
/* Because somebody asks: in steps while others push, at most for some seconds. The hour is noted
 * also when nothing was freed. */
struct collected {
    int64_t blobs, bytes, hour_ms;
    bool more;
};
int registry_collect_now(struct registry *r, struct collected *out, struct err *e) MUST_USE;
/* Checks at once, in a state directory that nobody serves, that files and tables agree:
 * {"check": RegistryCheck, "findings": [RegistryFinding]}, the first 1,000. */
enum { REGISTRY_CHECK_DEEP = 1, REGISTRY_CHECK_REPAIR = 2 };
int registry_check(struct registry *r, unsigned flags, struct jw *w, struct err *e) MUST_USE;
/* Files that a kill left without a row: looks at the next of content's shards, and returns how many
 * it deleted. One thread. */
int registry_sweep(struct registry *r, struct err *e);
