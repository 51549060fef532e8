/* rows - how users, projects, members and robots change: for our own API, and for modules that
 * speak that of somebody else over the same rows (harbor).
 *
 * The caller's permission was checked by his route. Each is durable when it returns 0, drops the
 * caches and tells the event stream. */
#pragma once
#include "access/access.h"

enum {
    NAME_SIZE = LIMIT_NAME_BYTES + 1,
    TOKEN_LETTERS = 40, /* 200 bits */
    TOKEN_SIZE = 7 + TOKEN_LETTERS + 1,
};

int access_check_description(struct str text, struct err *e) MUST_USE;

/* --- users.c --- */
struct user {
    int64_t id, created_ms, last_seen_ms;
    bool is_admin, disabled;
    char name[NAME_SIZE];
};
enum user_flags { USER_ADMIN = 1 };
enum change { CHANGE_KEEP, CHANGE_CLEAR, CHANGE_SET };
struct user_change {
    struct str password; /* p == NULL: stays */
    enum change is_admin, disabled;
    /* The session that lives on when the password changes, as SHA-256; or empty. */
    struct str keep_session;
};
int access_user_add(struct access *a, struct str name, struct str password, unsigned flags,
                    struct user *out, struct err *e) MUST_USE;
int access_user_get(struct access *a, struct str name, struct user *out, struct err *e) MUST_USE;
int access_user_change(struct access *a, struct str name, const struct user_change *c,
                       struct user *out, struct err *e) MUST_USE;
int access_user_delete(struct access *a, struct str name, struct err *e) MUST_USE;

/* --- projects.c --- */
enum project_flags { PROJECT_PUBLIC = 1 };
int access_project_add(struct access *a, const struct principal *maker, struct str name,
                       unsigned flags, struct err *e) MUST_USE;
enum { PROJECT_DESCRIPTION_MAX = 2048, PROXY_TTL_MAX_SEC = 30 * 86400, PROXY_TTL_SEC = 600 };
struct project_form {
    enum change is_public;
    struct str description; /* p == NULL: stays */
    struct str registry;    /* of a new one: what it is a cache of; p == NULL: none */
    int64_t ttl_sec;        /* of a cache; below 0: stays */
};
int access_project_make(struct access *a, const struct principal *maker, struct str name,
                        const struct project_form *form, struct err *e) MUST_USE;
int access_project_change(struct access *a, struct str name, const struct project_form *form,
                          struct err *e) MUST_USE;
int access_project_delete(struct access *a, struct str name, struct err *e) MUST_USE;

/* --- members.c --- */
enum member_kind { MEMBER_USER, MEMBER_GROUP };
int access_member_put(struct access *a, struct str project, enum member_kind kind, struct str name,
                      enum role role, struct err *e) MUST_USE;
int access_member_delete(struct access *a, struct str project, enum member_kind kind,
                         struct str name, struct err *e) MUST_USE;

/* --- groups.c --- */
int access_group_add(struct access *a, struct str name, struct str description,
                     struct err *e) MUST_USE;
int access_group_change(struct access *a, struct str name, struct str description,
                        struct err *e) MUST_USE;
int access_group_delete(struct access *a, struct str name, struct err *e) MUST_USE;
int access_group_put_user(struct access *a, struct str name, struct str user,
                          struct err *e) MUST_USE;
int access_group_drop_user(struct access *a, struct str name, struct str user,
                           struct err *e) MUST_USE;

/* --- robots.c --- */
/* Where a robot is kept: in a project, or (id 0, name empty) in the system. */
struct robot_home {
    int64_t project_id;
    struct str project;
    uint64_t held; /* what who asks may there: nobody gives more */
};
int access_robot_home(struct access *a, const struct principal *who, struct str project,
                      struct robot_home *out, struct err *e) MUST_USE;
struct robot_grant {
    struct str project; /* of a robot of the system; "*": every project */
    uint64_t perms;
};
struct robot_change {
    struct str description; /* p == NULL: stays */
    enum change disabled;
    bool has_expiry;
    int64_t expires_ms; /* 0: never */
    const struct robot_grant *grants;
    size_t n_grants; /* 0: they stay */
};
/* `secret` is shown this once. */
int access_robot_add(struct access *a, const struct robot_home *home, const char *maker,
                     struct str name, const struct robot_change *c, char secret[TOKEN_SIZE],
                     struct err *e) MUST_USE;
int access_robot_change(struct access *a, const struct robot_home *home, struct str name,
                        const struct robot_change *c, struct err *e) MUST_USE;
/* The secret before stops at once. */
int access_robot_rotate(struct access *a, const struct robot_home *home, struct str name,
                        char secret[TOKEN_SIZE], struct err *e) MUST_USE;
int access_robot_delete(struct access *a, const struct robot_home *home, struct str name,
                        struct err *e) MUST_USE;
void access_robot_login(struct str project, struct str name, char out[LIMIT_LOGIN_BYTES + 1]);
