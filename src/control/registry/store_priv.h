/* store_priv - shared by the files of the store: work inside a transaction. */
#pragma once
#include "registry_priv.h"
#include "state/state.h"
#include "store.h"

struct policy;

/* Manifests of the repository ?1 whose id is... In it alone: between two of its ids lies all that
 * was pushed into others meanwhile. */
#define SQL_MANIFESTS_BY_ID                                                                        \
    "manifests INDEXED BY manifests_repository WHERE repository_id = ?1 AND id "

/* --- telling of changes (changes.c) --- */

/* Up to REGISTRY_ARTIFACTS_MAX of them; the texts are in the arena. */
struct artifacts {
    struct arena arena;
    struct registry_artifact items[REGISTRY_ARTIFACTS_MAX];
    size_t n, n_left_out;
};
void artifacts_add(struct artifacts *a, struct str tag, struct str digest);
/* Rows of tag (or NULL) and digest; past the limit they are counted. */
int artifacts_read(struct artifacts *a, struct query *q, struct err *e) MUST_USE;
/* Tells of the artifacts of a repository (before it is deleted), inside the transaction. */
int db_tell(struct state_db *db, const struct registry *r, int64_t repository_id,
            enum registry_what what, struct str by, const struct artifacts *a,
            struct err *e) MUST_USE;

/* ERR_FORBIDDEN: nothing is pushed there. */
struct project_proxy;
int err_is_cache(struct str project, const struct project_proxy *p, struct err *e);

/* Of the project that has the name now: what a deleted one left is not found. ERR_NOT_FOUND,
 * NAME_UNKNOWN. */
int db_repository(struct state_db *db, struct str name, int64_t *id, const char **code,
                  struct err *e) MUST_USE;
/* ERR_NOT_FOUND when the project is gone or being deleted. */
int db_repository_make(struct state_db *db, const struct repo_key *key, int64_t *id,
                       struct err *e) MUST_USE;
/* Size of a blob of the repository, -1 when it has none of that digest. */
int db_blob_size(struct state_db *db, int64_t repository_id, const char *digest,
                 int64_t *size_bytes, struct err *e) MUST_USE;

/* What is about to be deleted goes into the trash first, if there is one (store_trash.c). */
struct going {
    int64_t repository_id;
    /* One manifest, with what only it holds together; or, when the two differ, all between. */
    int64_t first_id, last_id;
    bool is_whole;  /* these are of a repository that goes */
    struct str tag; /* only this one of its names; p == NULL: all */
    struct str by;
};
int db_trash(struct state_db *db, const struct registry *r, const struct going *g,
             struct err *e) MUST_USE;

int trash_no_such(int64_t id, struct err *e); /* ERR_NOT_FOUND */

/* Before the change, for those who are told: the rows of tag and digest that a statement finds with
 * the repository's id and a text. */
int db_tell_deleted(struct state_db *db, const struct registry *r, int64_t repository_id,
                    struct str by, const char *sql, struct str text, struct err *e) MUST_USE;

/* store_tag_drop, inside a transaction. */
struct tag_drop {
    struct registry *r;
    struct str repository, tag, by;
    char *digest; /* out: CONTENT_DIGEST_MAX */
    const char **code;
};
int db_tag_drop(struct state_db *db, const struct tag_drop *op, struct err *e) MUST_USE;

/* Deletes the manifest unless a tag or an index holds it, then those of its dependants (children of
 * an index, manifests about it) that nothing else holds, and so on. */
int db_prune(struct state_db *db, int64_t manifest_id, struct err *e) MUST_USE;

/* --- what a project may hold and change (store_policy.c) --- */

/* Around what may make a project grow: `used_bytes` is what it held before. ERR_FORBIDDEN, DENIED
 * when it grew past its quota; one that was past it already may still replace and delete. */
int db_quota_begin(struct state_db *db, const struct registry *r, int64_t project_id,
                   int64_t *used_bytes, struct err *e) MUST_USE;
int db_quota_end(struct state_db *db, const struct registry *r, const struct repo_key *to,
                 int64_t used_bytes, const char **code, struct err *e) MUST_USE;

int db_policy(struct state_db *db, struct arena *a, int64_t project_id, struct policy *out,
              struct err *e) MUST_USE;
/* Tags about to be changed or deleted: one, those of a manifest, or all of the repository. */
struct tags_named {
    int64_t repository_id;
    struct str tag;             /* p == NULL: not by name */
    int64_t unless_manifest_id; /* a tag that names this one already does not change; 0: none */
    const char *digest;         /* NULL: not by manifest */
};
/* ERR_CONFLICT, DENIED when a rule makes one of them immutable. */
int db_tags_may_change(struct state_db *db, const struct tags_named *t, const char **code,
                       struct err *e) MUST_USE;

/* After a kill in the middle of a deletion: what is left of the repository can be pushed to again.
 */
int store_drop_recover(struct registry *r, struct err *e) MUST_USE;
