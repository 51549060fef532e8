/* store - who refers to what, in the tables of docs/formats/registry.md.
 *
 * `code` receives the OCI error code when a function fails for a reason that has one; pass
 * &req->error_code. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "registry/manifest.h"
#include "registry/names.h"

struct policy;
struct project_refs;
struct registry;

/* A repository that is about to be written to. The project is named by its id, from the moment the
 * right to write was asked for: nothing lands in another one that got the same name meanwhile. */
struct repo_key {
    struct str name;
    int64_t project_id;
    struct str by; /* the user */
    bool is_cache; /* what is written was fetched for a cache of another registry */
};

/* --- blobs --- */

struct stored_blob {
    int64_t size_bytes;
    bool is_stale; /* no manifest uses it, and half of its grace time is over */
};
int store_blob_find(struct registry *r, struct str repository, const char *digest,
                    struct stored_blob *out, const char **code, struct err *e) MUST_USE;
/* Gives a stale blob a new grace time: a client that asked for it will not upload it again. */
void store_blob_renew(struct registry *r, struct str repository, const char *digest);
/* The blob's file is in place and pinned: from now on it belongs to the repository. */
int store_blob_link(struct registry *r, const struct repo_key *to, const char *digest,
                    int64_t size_bytes, const char **code, struct err *e) MUST_USE;
/* Links what `from` has (p == NULL: any repository of the same project); ERR_NOT_FOUND. */
int store_blob_mount(struct registry *r, struct str from, const struct repo_key *to,
                     const char *digest, const char **code, struct err *e) MUST_USE;
/* ERR_UNSUPPORTED while a manifest of the repository needs it. */
int store_blob_unlink(struct registry *r, struct str repository, const char *digest,
                      const char **code, struct err *e) MUST_USE;

/* --- manifests and tags --- */

struct stored_manifest {
    int64_t id, project_id, repository_id, repository_created_ms;
    char digest[CONTENT_DIGEST_MAX];
    struct str media_type, body; /* in the arena */
};
int store_manifest_get(struct registry *r, struct arena *a, const struct reference *ref,
                       struct stored_manifest *out, const char **code, struct err *e) MUST_USE;

/* What a cache of another registry has, before it asks there. */
struct stored_cache {
    bool is_here;
    char digest[CONTENT_DIGEST_MAX];  /* of what is here */
    int64_t checked_ms, referrers_ms; /* when the other registry was asked last */
};
int store_cache_look(struct registry *r, const struct reference *ref, struct stored_cache *out,
                     struct err *e) MUST_USE;
int store_cache_checked(struct registry *r, const struct reference *ref, struct err *e) MUST_USE;
int store_cache_referrers_checked(struct registry *r, const struct reference *ref,
                                  struct err *e) MUST_USE;
/* Its size by a manifest that names it and waits for it; ERR_NOT_FOUND. */
int store_cache_wants(struct registry *r, struct str repository, const char *digest,
                      int64_t *size_bytes, struct err *e) MUST_USE;

struct manifest_put {
    struct repo_key repository;
    const struct str *tags; /* names it gets together with what it is */
    size_t n_tags;
    const char *digest;
    const struct manifest *manifest;
    struct str body, platform;
};
/* All or nothing: what it refers to must be there. */
int store_manifest_put(struct registry *r, const struct manifest_put *p, const char **code,
                       struct err *e) MUST_USE;
/* By digest: the manifest and its tags. By tag: the tag alone. */
int store_manifest_delete(struct registry *r, const struct reference *ref, struct str by,
                          const char **code, struct err *e) MUST_USE;
/* A tag, and when it was the last name of its manifest that too, with what only it held together:
 * children of an index, signatures. `digest` receives the manifest's. */
int store_tag_drop(struct registry *r, struct str repository, struct str tag, struct str by,
                   char digest[CONTENT_DIGEST_MAX], struct err *e) MUST_USE;
/* What a path ".../<repository>/tags/<tag>" names: the tag, or else the repository of that whole
 * name (then `digest` is empty). ERR_CONFLICT when there are both. */
int store_tag_or_repository_drop(struct registry *r, struct str repository, struct str tag,
                                 struct str by, char digest[CONTENT_DIGEST_MAX],
                                 struct err *e) MUST_USE;
int store_repository_drop(struct registry *r, struct str repository, struct str by,
                          struct err *e) MUST_USE;
/* A text for people about one that holds manifests; of this project, whoever has its name now. */
int store_repository_describe(struct registry *r, int64_t project_id, struct str repository,
                              struct str text, struct err *e) MUST_USE;
int store_project_drop(struct registry *r, int64_t project_id, struct str project,
                       struct err *e) MUST_USE;

/* --- the trash; project_id 0: of any, also of those that are gone --- */

struct restored {
    struct str repository; /* in the arena */
    int64_t project_id;    /* it came back to */
    int64_t tags, kept;    /* those that came back; those whose name was given again meanwhile */
    int64_t missing;       /* images that an index of it lists and that are gone for good */
    const char **digests;  /* in the arena: of manifests, the first RESTORED_MAX; NULL at the end */
};
enum { RESTORED_MAX = 1000 };
/* ERR_CONFLICT when it is one tag, and its name was given again. */
int store_trash_restore(struct registry *r, struct arena *a, int64_t project_id, int64_t id,
                        struct str by, struct restored *out, struct err *e) MUST_USE;
/* id 0: all of the project; project_id 0: of any. */
int store_trash_drop(struct registry *r, int64_t project_id, int64_t id, struct err *e) MUST_USE;
/* Some of what is over its time. */
int store_trash_purge(struct registry *r, struct err *e) MUST_USE;
struct page;
int store_trash_rows(struct registry *r, int64_t project_id, int64_t after, struct page *p,
                     struct jw *w, struct err *e) MUST_USE;

/* How often and when something was pulled: what the tables say, and what is noted since. */
struct pulled_thing {
    int64_t repository_id, repository_created_ms;
    struct str digest; /* empty: the repository itself */
};
struct pulled {
    int64_t times, last_ms; /* 0: never */
};
struct pulled store_pulled(struct registry *r, const struct pulled_thing *of,
                           struct pulled written);

/* --- lists; each writes the items of a JSON array that is open in `w` --- */

struct page {
    struct str after;  /* p == NULL: from the start */
    struct str q;      /* of tag and repository rows: the filter, or p == NULL */
    struct str labels; /* of the same two: a JSON array of names, p == NULL: any (labels.h) */
    int64_t limit;
    struct arena *arena;
    int64_t n;          /* out: how many were written so far */
    struct str last;    /* out: where to go on, in the arena; p == NULL when that was all */
    struct str written; /* of a page in steps: the last name so far */
};
int store_tag_names(struct registry *r, struct str repository, struct page *p, struct jw *w,
                    const char **code, struct err *e) MUST_USE;
int store_referrers(struct registry *r, struct str repository, const char *subject,
                    struct str artifact_type, struct page *p, struct jw *w, struct err *e) MUST_USE;
int store_tag_rows(struct registry *r, struct str repository, struct page *p, struct jw *w,
                   struct err *e) MUST_USE;
int store_repository_rows(struct registry *r, struct str project, struct page *p, struct jw *w,
                          struct err *e) MUST_USE;
/* Repositories of `projects` that hold manifests, by full name. */
int store_catalog_names(struct registry *r, const struct project_refs *projects, struct page *p,
                        struct jw *w, struct err *e) MUST_USE;

/* --- walks; -1 of `each` ends one, and it runs inside the read --- */

typedef int store_tag(void *ctx, struct str repository, struct str tag, struct err *e);
/* Of one repository, or (p == NULL) of all by name; one without tags comes with an empty one. */
int store_each_tag(struct registry *r, struct str repository, store_tag *each, void *ctx,
                   struct err *e) MUST_USE;
/* Only tags of images that have all `labels` (as in labels.h; p == NULL: all tags). */
int store_each_tag_with(struct registry *r, struct str labels, store_tag *each, void *ctx,
                        struct err *e) MUST_USE;
/* The tags of a manifest. */
int store_each_tag_of(struct registry *r, struct str repository, const char *digest,
                      store_tag *each, void *ctx, struct err *e) MUST_USE;
/* The tags of what a manifest refers to: of the image that a signature is about. */
int store_each_subject_tag(struct registry *r, struct str repository, const char *digest,
                           store_tag *each, void *ctx, struct err *e) MUST_USE;

/* --- quota and policy of a project --- */

/* ERR_FORBIDDEN when a blob of so many bytes cannot fit into the project now; *room is how many
 * can. Whether it does is decided when it is committed. */
int store_quota_room(struct registry *r, const struct repo_key *to, int64_t bytes, int64_t *room,
                     const char **code, struct err *e) MUST_USE;
int store_quota_write(struct registry *r, int64_t project_id, struct jw *w, struct err *e) MUST_USE;
/* < 0: the default of the settings. */
int store_quota_set(struct registry *r, int64_t project_id, int64_t quota_bytes,
                    struct err *e) MUST_USE;
int store_policy_get(struct registry *r, struct arena *a, int64_t project_id, struct policy *out,
                     struct err *e) MUST_USE;
int store_policy_set(struct registry *r, int64_t project_id, const struct policy *p,
                     struct err *e) MUST_USE;
/* Changes the policy's JSON (policy.h) in one transaction, which may be run again. */
typedef int policy_change(void *ctx, json_t *doc, struct err *e);
int store_policy_change(struct registry *r, struct arena *a, int64_t project_id,
                        policy_change *change, void *ctx, struct policy *out,
                        struct err *e) MUST_USE;

/* --- after a change --- */

/* Tells the sinks above; `tag` or `digest` may be empty. */
void registry_emit(struct registry *r, struct str repository, struct str tag, const char *digest,
                   const char *action);
