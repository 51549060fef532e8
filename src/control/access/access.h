/* access - who someone is and what he may: users, groups, projects, members, roles, robots, tokens,
 * sessions, audit.
 *
 *   net dispatcher -> access_authenticate (password | personal token | session cookie | JWT of the
 *   registry) -> access_authorize (roles.c: the one table of permissions) -> handler ->
 * access_audit
 *
 * Threads: any. Verified tokens and passwords are cached by hash for a short time; a change of
 * user, robot, token or membership drops the cache, so revoking acts at once. On disk: tables
 * users, projects, free_slots, members, tokens, sessions, audit, user_groups, group_users,
 * project_groups, robots, robot_grants. Passwords as yescrypt ($y$), tokens and robots' secrets as
 * SHA-256. */
#pragma once
#include "base/arena.h"
#include "base/cfg.h"
#include "net/http.h"
#include "net/perm.h"

struct access;
struct state;
struct state_db;
struct state_schema;

extern const struct state_schema access_schema;
extern const struct route access_routes[]; /* ctx: struct access * */
extern const struct http_schema access_schemas[];
extern const struct cfg_item access_config[];

enum role {
    ROLE_NONE,
    ROLE_ANONYMOUS,
    ROLE_GUEST,
    ROLE_DEVELOPER,
    ROLE_MAINTAINER,
    ROLE_ADMIN,
    ROLES
};
const char *role_name(enum role r);
uint64_t role_permissions(enum role r); /* PERM_BITs */

/* Someone above wants to know (main/wire.c): each is called after the commit. */
struct access_hooks {
    void *ctx;
    /* A project is about to go: others remove what they keep for it. -1 keeps the project. */
    int (*project_gone)(void *ctx, int64_t project_id, struct str name, struct err *e);
    void (*event)(void *ctx, const char *type, const struct http_audience *to, struct str json);
    /* In the transaction that makes a project a cache of another registry: is there one of that
     * name? NULL: there are none. */
    int (*proxy_ok)(void *ctx, struct state_db *db, struct str registry, struct err *e);
    /* Secrets live below; access serves their routes because they are settings of a project. */
    struct secrets *secrets;
};

/* `cfg` may be NULL: defaults. */
struct access *access_open(struct state *s, const struct cfg *cfg, const struct access_hooks *hooks,
                           struct err *e) MUST_USE;
void access_close(struct access *a);
DEFINE_SCOPED(struct access, access_close)

/* First start: makes the user `admin`, the public project `library`, and returns 1 with the
 * generated password in `password`; 0 when users exist already. */
int access_bootstrap(struct access *a, char password[33], struct err *e) MUST_USE;
/* The same in steps that a crash may part without losing the password: while access_is_empty says 1
 * (-1 error), write one down where people find it, then make the user with it. */
int access_is_empty(struct access *a, struct err *e) MUST_USE;
int access_bootstrap_with(struct access *a, struct str password, struct err *e) MUST_USE;
/* Whoever is root on the machine may be admin: the user `admin` with this password, an
 * administrator and not disabled; made when missing. His sessions end. */
int access_reset_admin(struct access *a, struct str password, struct err *e) MUST_USE;

/* The hooks of struct http_hooks; ctx is a struct access *. */
int access_authenticate(void *ctx, struct http_req *r, struct principal *out, struct err *e);
int access_authorize(void *ctx, struct http_req *r, enum perm perm, struct str project,
                     struct err *e);
void access_audit(void *ctx, const struct http_req *r, int status);
/* Inside a transaction of the state: what the server refused by itself, to whom, where a request
 * has its path. */
int access_audit_own(struct state_db *db, struct str user, struct str project, const char *text,
                     struct err *e) MUST_USE;

/* Once a minute: tells of refusals that were only counted, and deletes old audit entries. */
void access_housekeep(struct access *a);

/* user + password, or user + personal token (what docker login sends). Throttled: ERR_THROTTLED
 * says when to try again. */
int access_verify(struct access *a, struct str user, struct str password, const char *peer,
                  struct principal *out, struct err *e) MUST_USE;
/* A personal token or the secret of a robot alone ("strata_..."). */
int access_verify_token(struct access *a, struct str token, struct principal *out,
                        struct err *e) MUST_USE;
/* The principal of a user, or of a robot (id below 0), as he is now (roles may have changed since a
 * JWT was made). */
int access_principal(struct access *a, int64_t user_id, struct principal *out,
                     struct err *e) MUST_USE;

/* ERR_UNAUTHENTICATED when the personal token is revoked, expired or its user is gone: for what was
 * made from it and lives on (JWTs of the registry, streams). Cached. */
int access_token_alive(struct access *a, int64_t token_id, struct err *e) MUST_USE;

/* The permissions of `who` in a project (PERM_BITs, narrowed by scopes); 0 also when there is no
 * such project. Cheap (cached). */
uint64_t access_permissions(struct access *a, const struct principal *who, struct str project);
/* The filter of the event stream (http_events_filter), asked while the stream lives: an event tells
 * nobody what a route would not. Signed out is whose token was revoked, whose session ended, and
 * who was disabled or deleted. */
enum http_sight access_may_see(void *ctx, const struct principal *who,
                               const struct http_audience *to);

/* For what lives longer than its request (a shell): is whoever signed in still signed in (session,
 * token, password), and does he still have this permission? Also false when it cannot be found out
 * now. */
bool access_still_may(void *ctx, const struct principal *who, enum perm perm, struct str project);

struct project_ref {
    struct str name;
    int64_t id;
};
struct project_refs {
    struct arena *arena;
    struct project_ref *refs; /* room for `max` */
    size_t max, n;
};
/* The next projects that `who` may see (and, as every role does, pull images from), those first
 * whose
 * "<name>/" is `from` or later: the order of full image names. Costs what it finds. */
int access_visible(struct access *a, const struct principal *who, struct str from,
                   struct project_refs *out, struct err *e) MUST_USE;

/* For the search over everything. Projects that he may see and that fit the filter `words`, as
 * their page has them, into an open array: the shortest names first. */
int access_search_projects(struct access *a, const struct principal *who, struct str words,
                           int64_t limit, struct jw *w, struct err *e) MUST_USE;
/* The ids of the projects that he is a member of and where he may do `perm`, as a JSON array; at
 * most LIMIT_LIST_ROWS. An admin may everywhere: then `ids` stays empty. */
int access_search_scope(struct access *a, const struct principal *who, enum perm perm,
                        struct buf *ids, struct err *e) MUST_USE;
/* The names of the projects where he may do `perm`, in the arena. 1: he may everywhere, also where
 * there is no project. */
int access_projects_of(struct access *a, const struct principal *who, enum perm perm,
                       struct arena *arena, struct str **names, size_t *n, struct err *e) MUST_USE;
/* "" when it is gone. */
int access_project_name(struct access *a, int64_t id, char out[65], struct err *e) MUST_USE;

/* ERR_NOT_FOUND. id_base: first host id of the project's range of 65,536. */
int access_project(struct access *a, struct str name, int64_t *id, uint32_t *id_base,
                   struct err *e) MUST_USE;
/* The id of a project where `who` may do `perm`, right and id from one look: what is written under
 * this id later (access_project_check) never lands in another project of the same name.
 * ERR_NOT_FOUND. */
int access_project_may(struct access *a, const struct principal *who, enum perm perm,
                       struct str name, int64_t *id, struct err *e) MUST_USE;
/* Inside a transaction of the state, for those who keep things of a project. ERR_NOT_FOUND when it
 * is gone or being deleted: what would be written now, nobody would remove. */
int access_project_check(struct state_db *db, int64_t id, struct err *e) MUST_USE;
int access_project_find(struct state_db *db, struct str name, int64_t *id, struct err *e) MUST_USE;
/* ERR_NOT_FOUND when it is gone. */
int access_project_look(struct state_db *db, int64_t id, char name[65], bool *is_public,
                        struct err *e) MUST_USE;

/* A project that is a cache of another registry. */
struct project_proxy {
    int64_t project_id, ttl_sec; /* so long a tag is believed without asking there */
    char registry[65];           /* its name there (replication) */
};
/* 1: the project is one; 0: it is not, or there is none. */
int access_project_proxy(struct state_db *db, struct str project, struct project_proxy *out,
                         struct err *e) MUST_USE;
/* A project that is a cache of the registry, in `project`; "" when there is none. Any registry for
 * p == NULL. */
int access_proxy_of(struct state_db *db, struct str registry, char project[65],
                    struct err *e) MUST_USE;

/* Extra authentication tried first for requests that carry "Authorization: Bearer" without the
 * prefix of our personal tokens (the registry's JWTs). Returns 1 recognised, 0 not mine, -1
 * refused. */
typedef int access_bearer(void *ctx, struct http_req *r, struct str token, struct principal *out,
                          struct err *e);
void access_set_bearer(struct access *a, access_bearer *fn, void *ctx);
