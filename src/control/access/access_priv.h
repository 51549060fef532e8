/* access_priv - what the files of this module share.
 *
 *   authenticate.c  who is it      tokens.c sessions.c password.c throttle.c cache.c
 *   authorize.c     may he         roles.c, places (project and role of a user, cached)
 *   users.c projects.c members.c groups.c robots.c audit.c   the rows
 *   tell.c                         the event stream hears of changes
 *   *_http.c        the routes, listed in routes.c */
#pragma once
#include "access/access.h"
#include "base/buf.h"
#include "base/limits.h"
#include "cache.h"
#include "password.h"
#include "refusals.h"
#include "rows.h"
#include "throttle.h"

#include <stdatomic.h>

struct jw;
struct state_db;

enum {
    COOKIE_SIZE = 65, /* 32 random bytes in hex */
    CSRF_SIZE = 33,
    TOKENS_PER_USER = 200,
    SESSIONS_PER_USER = 32, /* the oldest ones are ended */
    ID_BASE_FIRST = 100000000,
    ID_RANGE = 65536,
    /* Ids of a project lie below 2^32 - 65536: the last range stays free of (uid_t)-1. */
    SLOT_MAX = (4294967296 - 2 * ID_RANGE - ID_BASE_FIRST) / ID_RANGE,
};

struct access {
    struct state *state;
    struct access_hooks hooks;
    access_bearer *bearer;
    void *bearer_ctx;
    /* settings, constant */
    int64_t session_idle_ms, session_max_ms, audit_keep_ms, audit_rows;
    int64_t robot_expiry_max_ms; /* 0: no limit */
    int64_t projects_per_user;   /* 0: no limit */
    bool users_create_projects;

    unsigned char key[32];       /* of the caches; new at every start */
    _Atomic uint64_t epoch;      /* of the caches: moves after every change that takes away */
    struct cache *known;         /* password, token or user id -> struct known */
    struct cache *places;        /* user and project -> struct place */
    struct throttle *throttle;   /* locks itself */
    struct refusals *refusals;   /* locks itself */
    struct password_slots slots; /* locks itself */
};

/* A verified credential. */
struct known {
    struct principal who;
    int64_t expires_ms; /* wall; 0 never */
};

/* What a user is in a project. */
struct place {
    int64_t project_id; /* 0: there is none */
    bool is_public;
    enum role member; /* his own or that of a group of his, whichever is higher; ROLE_NONE: none */
    uint64_t robot;   /* PERM_BITs that a robot was given */
};

/* What a robot can be given: to change who may what, and to delete the project, is for people. */
uint64_t access_robot_may(void);

void access_forget(struct access *a); /* after the commit of a change: all caches */
struct cache_key access_cache_key(const struct access *a, char kind, struct str one,
                                  struct str two);

/* --- names --- */
int access_check_user_name(struct str name, struct err *e) MUST_USE;
int access_check_project_name(struct str name, struct err *e) MUST_USE;
int access_check_robot_name(struct str name, struct err *e) MUST_USE;
int access_check_group_name(struct str name, struct err *e) MUST_USE;
int role_parse_member(struct str text, enum role *out, struct err *e) MUST_USE;

/* --- users.c, see rows.h --- */
/* One page of a list as {"items":[...],"next":...}. */
struct page {
    struct str after; /* empty: from the start */
    struct str q;     /* the filter; may be empty */
    int64_t limit;
    struct buf *out;
};
enum user_kind { USERS_ALL, USERS_ADMINS, USERS_DISABLED };
int access_users_page(struct access *a, enum user_kind kind, const struct page *p,
                      struct err *e) MUST_USE;
void access_user_json(struct jw *w, const struct user *u);

/* --- projects.c --- */
int access_projects_page(struct access *a, const struct principal *who, const struct page *p,
                         struct err *e) MUST_USE;
int access_project_json(struct access *a, const struct principal *who, struct str name,
                        struct jw *w, struct err *e) MUST_USE;
/* Before a SELECT: the projects where ?1 (his id) has `permission` by a role of his own or of a
 * group, or as a robot; all roles have what this is asked for. */
#define WITH_HIS(permission_text)                                                                  \
    "WITH his(project_id, rank) AS (SELECT project_id, max(rank) FROM memberships "                \
    "WHERE user_id = ?1 AND (permission IS NULL OR permission = '" permission_text "') "           \
    "GROUP BY project_id) "
#define WITH_READ WITH_HIS("project:read")
#define WITH_PULL WITH_HIS("image:pull")
/* Those that he may see: ?1 his id, ?2 whether he is admin. */
#define LOGO(id) "(SELECT version FROM project_logos WHERE project_id = " id ")" /* NULL: none */
#define SELECT_PROJECTS                                                                            \
    WITH_READ                                                                                      \
    "SELECT p.name, p.public, his.rank, p.created_ms, p.description, p.proxy_registry, "           \
    "p.proxy_ttl_sec, " LOGO(                                                                      \
        "p.id") " FROM projects p "                                                                \
                "LEFT JOIN his ON his.project_id = p.id "                                          \
                "WHERE p.deleting = 0 AND (?2 OR p.public OR his.rank IS NOT NULL) "
/* The role of a rank as the view `memberships` has it; ROLE_NONE of 0, which robots have. */
enum role access_role_of_rank(int64_t rank);
struct query;
/* A row of SELECT_PROJECTS as an object. */
void access_project_row(struct jw *w, const struct query *q, const struct principal *who);
int access_err_no_project(struct str name, struct err *e);

/* --- members.c --- */
int access_members_page(struct access *a, struct str project, const struct page *p,
                        struct err *e) MUST_USE;
/* Projects he is a member of, as objects into an open array. */
int access_memberships(struct access *a, int64_t user_id, struct jw *w, struct err *e) MUST_USE;

/* --- groups.c --- */
struct user_ids {
    int64_t *p;
    size_t len, cap;
};
int access_group_json(struct access *a, struct str name, struct jw *w, struct err *e) MUST_USE;
int access_groups_page(struct access *a, const struct page *p, struct err *e) MUST_USE;
/* Adds the ids of those in it. */
int access_group_users(struct state_db *db, int64_t group_id, struct user_ids *out,
                       struct err *e) MUST_USE;

/* --- robots.c --- */
int access_robot_json(struct access *a, const struct robot_home *home, struct str name,
                      struct jw *w, struct err *e) MUST_USE;
int access_robots_page(struct access *a, const struct robot_home *home, const struct page *p,
                       struct err *e) MUST_USE;
/* What the robot `who` was given, as a list of grants. */
int access_robot_own_grants(struct access *a, const struct principal *who, struct jw *w,
                            struct err *e) MUST_USE;
struct robot_found {
    struct known known;
    int64_t last_seen_ms;
};
/* 1 found, 0 none that is enabled. Whether it has expired is for the caller. */
int access_robot_by_secret(struct state_db *db, const unsigned char hash[SHA256_BYTES],
                           struct robot_found *out, struct err *e) MUST_USE;
int access_robot_by_id(struct state_db *db, int64_t id, struct robot_found *out,
                       struct err *e) MUST_USE;

/* --- tokens.c --- */
void access_token_text(char out[TOKEN_SIZE]); /* a new one */
struct token {
    int64_t id, created_ms, expires_ms; /* expires 0: never */
    uint64_t scopes;
    char text[TOKEN_SIZE]; /* only known when it is made */
};
/* Never outlives nor exceeds the token that `maker` came with. */
int access_token_add(struct access *a, const struct principal *maker, struct str name,
                     int64_t expires_ms, uint64_t scopes, struct token *out,
                     struct err *e) MUST_USE;
int access_token_delete(struct access *a, const struct principal *who, int64_t id,
                        struct err *e) MUST_USE;
int access_tokens_page(struct access *a, int64_t user_id, const struct page *p,
                       struct err *e) MUST_USE;
void access_scopes_json(struct jw *w, uint64_t scopes); /* null when not narrowed */
bool access_is_token(struct str text);

/* --- sessions.c --- */
int access_session_new(struct access *a, int64_t user_id, const char *peer,
                       char cookie[COOKIE_SIZE], struct err *e) MUST_USE;
/* 0 found, 1 no such session (expired, signed out). */
int access_session_find(struct access *a, struct str cookie, struct principal *out,
                        struct err *e) MUST_USE;
int access_session_end(struct access *a, struct str cookie, struct err *e) MUST_USE;
/* ERR_UNAUTHENTICATED when the session of `who` has ended. Cached. */
int access_session_alive(struct access *a, const struct principal *who, struct err *e) MUST_USE;
/* What the console sends with each change; made from the cookie, which scripts cannot read. */
void access_session_csrf(struct str cookie, char out[CSRF_SIZE]);
struct str access_session_cookie(const struct http_req *r); /* p == NULL without */
int access_sessions_drop(struct state_db *db, int64_t user_id, struct str keep,
                         struct err *e) MUST_USE;

/* --- authenticate.c --- */
/* A password and nothing else, throttled. */
int access_verify_password(struct access *a, struct str user, struct str password, const char *peer,
                           struct principal *out, struct err *e) MUST_USE;
void access_set_principal(struct principal *out, enum principal_kind kind, int64_t user_id,
                          enum user_flags flags, struct str name);

/* --- authorize.c --- */
int access_place(struct access *a, int64_t user_id, struct str project, struct place *out,
                 struct err *e) MUST_USE;
enum role access_role(const struct principal *who, const struct place *p);
/* What he may there: his role or a robot's grants, narrowed by scopes. The one place for it. */
uint64_t access_rights(const struct principal *who, const struct place *p);

/* --- tell.c --- */
void access_tell_project(struct access *a, const struct http_audience *to, struct str project,
                         const char *action);
void access_tell_me(struct access *a, int64_t user_id);               /* his rights are others */
void access_tell_all(struct access *a, const struct user_ids *users); /* the same to each */
void access_tell_user(struct access *a, struct str name, const char *action);
/* `kind`: "user" or "group". */
void access_tell_member(struct access *a, struct str project, const char *kind, struct str name,
                        enum role role);
void access_tell_robot(struct access *a, struct str project, struct str name, const char *action);
void access_tell_group(struct access *a, struct str name, const char *action);
void access_tell_token(struct access *a, int64_t user_id, int64_t id, const char *action);
void access_tell_secret(struct access *a, struct str project, struct str name, const char *action);
void access_tell_audit(struct access *a, struct str user, struct str project);

/* --- audit.c --- */
struct audit_filter {
    struct str user, project;   /* p == NULL: all */
    int64_t since_ms, until_ms; /* until 0: now */
};
int access_audit_page(struct access *a, const struct audit_filter *f, const struct page *p,
                      struct err *e) MUST_USE;
enum audit_format { AUDIT_NDJSON, AUDIT_CSV };
/* Newest first, a row a line: up to `max` of those with an id below *before, which moves on; *n
 * tells how many there were (fewer than `max`: that was all). */
int access_audit_part(struct access *a, const struct audit_filter *f, struct str words,
                      enum audit_format format, int64_t max, int64_t *before, int64_t *n,
                      struct buf *out, struct err *e) MUST_USE;
#define AUDIT_CSV_HEAD "id,at,user,method,path,project,status,peer,request_id\r\n"
void access_audit_prune(struct access *a);
