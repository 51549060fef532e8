/* registry_priv - what the files of the registry share. */
#pragma once
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "content/content.h"
#include "jwt.h"
#include "names.h"
#include "net/http.h"
#include "registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>

/* A blob that no manifest refers to stays so long: a push of a large image over a slow line uploads
 * its layers first and its manifest last. */
#define BLOB_GRACE_MS (24 * 3600 * 1000LL)

/* One whose last manifest was deleted is no longer charged to its project, so it stays shorter. */
#define RELEASED_GRACE_MS (2 * 3600 * 1000LL)

/* A blob without a row so long after it appeared will not get one: the commit of the row follows
 * the rename of the file, while the client waits. */
#define ORPHAN_AGE_MS (3600 * 1000LL)

/* A check of the store (fsck.c). Whoever starts one has `starts` meanwhile; `runs` goes when it has
 * ended, and its thread is joined by the next start or by close. */
struct fsck {
    _Atomic bool starts, runs;
    pthread_t thread; /* this and the next: who starts, and close */
    bool has_thread;
    unsigned flags; /* the rest is set before runs */
    int64_t began_ms;
    char by[LIMIT_LOGIN_BYTES + 1];
    _Atomic int64_t done, total;
};

struct token_cache;

struct trash_size {
    int64_t manifests, body_bytes, blob_bytes;
};

struct registry {
    struct state *state;
    struct content *content;
    struct access *access;
    struct registry_hooks hooks;
    int64_t project_quota; /* bytes; 0: none */
    int64_t trash_ms;      /* 0: what is deleted is gone at once */
    struct trash_size trash_max;
    struct jwt_key *key;
    unsigned char upload_secret[32]; /* signs the ids of uploads */
    struct lock lock;
    struct map pinned;    /* digests being added or removed right now; guarded by lock */
    struct map retaining; /* project id -> bool, whether its run of retention shall stop; lock */
    pthread_t retainer;   /* runs what is due; housekeeping and close only, as has_retainer */
    bool has_retainer;
    struct fsck fsck;
    int64_t opened_ms;              /* of the wall clock */
    _Atomic int64_t pushes, pulled; /* manifests since then */
    _Atomic bool retainer_runs, is_closing;
    struct map pulls;       /* of the last minute (pulls.c); guarded by lock, as the next */
    struct map pulls_going; /* those that are being written down */
    _Atomic bool has_caches, is_stopping;
    struct map flights;   /* what is being fetched (proxy_flight.c); guarded by lock, as below */
    unsigned n_fetchers;  /* workers in flights */
    struct map upstreams; /* other registries by name (proxy_flight.c) */
    struct map notes;     /* tags that were looked at there (proxy.c) */
    struct fetcher *fetchers;   /* threads that fetch blobs (proxy_blob.c) */
    unsigned char next_shard;   /* of content, for registry_sweep; who calls that only */
    struct token_cache *tokens; /* verified JWTs; guarded by lock */
};

/* --- collect.c --- */
/* Adds the blobs that others have (hook `held`): layers of jobs, images of our own. */
int registry_held(struct registry *r, struct map *out, struct err *e) MUST_USE;

/* One thread at a time puts a digest's file and row in place, or takes them away. Waits. */
void registry_pin(struct registry *r, const char *digest);
/* Same without waiting; false: somebody has it. */
bool registry_try_pin(struct registry *r, const char *digest);
void registry_unpin(struct registry *r, const char *digest);

/* A file whose row was refused: deleted unless somebody else has it. The digest is pinned. */
void registry_drop_orphan(struct registry *r, const char *digest);

/* Tells of what has no transaction: a pull. */
void registry_tell_pull(struct registry *r, const struct registry_change *c);

/* --- proxy.c, proxy_blob.c: caches of other registries; each does nothing where the project is
 * none --- */
/* After it the manifest is as new as it can be had: then it is here, or nowhere. Errors tell why
 * there is none and may not be. */
int proxy_manifest(struct registry *r, struct str by, const struct reference *ref,
                   const char **code, struct err *e) MUST_USE;
/* For HEAD. 1: *out is what the other registry says of it, nothing was fetched; 0: what is here
 * counts. */
struct remote_head;
int proxy_manifest_look(struct registry *r, struct str by, const struct reference *ref,
                        struct remote_head *out, const char **code, struct err *e) MUST_USE;
/* The blob that was not found here, if a manifest here names it; waits for all of it. 1: it is here
 * now. */
int proxy_blob(struct registry *r, struct str by, struct str repository, const char *digest,
               const char **code, struct err *e) MUST_USE;
/* For GET. 1: it is here now; 2: *out follows its file while it grows, until proxy_follow_end. */
struct flight;
struct proxy_follow {
    struct registry *r;
    struct flight *flight; /* NULL: follows nothing */
    int fd;                /* the flight's */
    int64_t size_bytes;
    bool is_done; /* it waits for its client alone, and counts as nobody who fetches */
};
int proxy_blob_follow(struct registry *r, struct str by, struct str repository, const char *digest,
                      struct proxy_follow *out, const char **code, struct err *e) MUST_USE;
int64_t proxy_follow_grown(void *ctx, int64_t at, int64_t end, struct err *e);
void proxy_follow_end(struct proxy_follow *v);
/* For HEAD. 1: the other registry has it, of that size; 2: it is here now. */
int proxy_blob_look(struct registry *r, struct str by, struct str repository, const char *digest,
                    int64_t *size_bytes, const char **code, struct err *e) MUST_USE;
/* Seconds for which the other registry asked to be left alone; 0: none. */
int64_t proxy_pause_sec(struct registry *r, struct str repository);
/* What refers to the manifest, when it can be had. */
void proxy_referrers(struct registry *r, struct str by, struct str repository, const char *digest);
/* ERR_FORBIDDEN in a cache: only what is fetched is put into it. */
int proxy_refuse(struct registry *r, struct str project, struct err *e) MUST_USE;
int proxy_open(struct registry *r, struct err *e) MUST_USE;
void proxy_close(struct registry *r);
void proxy_upstreams_close(struct registry *r);
void proxy_fetchers_open(struct registry *r);
void proxy_fetchers_close(struct registry *r);

/* --- pulls.c --- */
struct stored_manifest;
void registry_note_pull(struct registry *r, const struct stored_manifest *m);
/* Writes down what is noted, in parts. */
int registry_flush_pulls(struct registry *r, struct err *e) MUST_USE;
void registry_free_pulls(struct map *pulls);

/* --- tokens.c --- */
struct token_cache *token_cache_new(void) MUST_USE;
void token_cache_free(struct token_cache *t);
/* PERM_BITs that the request's credentials allow at most in a repository: of a JWT its access
 * list, of other credentials their scopes. */
/* It carries a token of registry_scan_token. */
bool request_scans(struct registry *r, const struct http_req *req, struct str repository);
uint64_t request_scopes(struct registry *r, const struct http_req *req, struct str repository);
/* It carries a token of our token service, whose access list says what it was asked for. */
bool request_has_jwt(const struct http_req *req);
/* cosign, notation: by their User-Agent, so that is what they say and no more. */
bool request_is_signing_tool(const struct http_req *req);

/* Answers {"items": [...], "next": ...}: `write` adds the items of the page that the query names.
 */
struct page;
struct jw;
typedef int page_writer(struct registry *r, const void *of, struct page *p, struct jw *w,
                        struct err *e);
int reply_page(struct http_req *req, page_writer *write, const void *of, struct err *e);

/* --- handlers; ctx is a struct registry * --- */

/* Every /v2/ handler begins with it: version header, and clients without any credentials are sent
 * for a token also where the project is public (they would never send theirs otherwise). */
int v2_enter(struct http_req *r, struct err *e) MUST_USE;
/* The checked {repo...} of the path. */
int v2_repository(struct http_req *r, struct str *out, struct err *e) MUST_USE;
/* The same, about to be written to by who asks with the permission of the route. */
struct repo_key;
int v2_key(struct http_req *r, struct repo_key *out, struct err *e) MUST_USE;
/* Before a 429 that another registry caused: when to come back. */
void v2_pause(struct http_req *r, struct str repository);
/* Fails with an OCI error code. */
int v2_fail(struct http_req *r, const char *code, int result);

http_handler v2_ping, v2_catalog, v2_tags;
http_handler v2_blob_get, v2_blob_delete;
http_handler v2_upload_start, v2_upload_status, v2_upload_patch, v2_upload_finish, v2_upload_cancel;
http_handler v2_manifest_get, v2_manifest_put, v2_manifest_delete, v2_referrers;
http_handler token_get, token_post;
http_handler api_retain, api_retention_runs, api_retention_run, api_retention_rows;
http_handler api_quota, api_quota_set, api_policy, api_policy_set;
http_handler api_metrics, api_storage, api_collect, api_fsck, api_fsck_start, api_fsck_findings;
http_handler api_labels, api_label_add, api_label_change, api_label_drop;
http_handler api_image_labels, api_image_label_put, api_image_label_take;
http_handler api_trash, api_trash_restore, api_trash_drop;
http_handler api_repositories, api_tags, api_tag_delete, api_repository_delete;
