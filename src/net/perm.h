/* perm - the names of all permissions, and who asks. A route names the permission it needs; the
 * dispatcher asks the authorize hook before the handler runs. Which role holds which permission is
 * the one table in control/access/roles.c. */
#pragma once
#include "base/limits.h"
#include "base/str.h"

/* X(NAME, "text", where): where = NONE needs no project, SYSTEM is held by system roles, PROJECT is
 * asked for the project that the route's path names. */
#define PERMS(X)                                                                                   \
    X(PUBLIC, "public", NONE)       /* anybody, also without signing in */                         \
    X(SIGNED_IN, "signed-in", NONE) /* whoever signed in: users and robots */                      \
    X(PERSON, "person", NONE)       /* a user, about his own password and tokens: no robots */     \
    X(SYSTEM_READ, "system:read", SYSTEM)                                                          \
    X(SYSTEM_MANAGE, "system:manage", SYSTEM)                                                      \
    X(USER_MANAGE, "user:manage", SYSTEM)                                                          \
    X(AUDIT_READ, "audit:read", SYSTEM)                                                            \
    X(PROJECT_CREATE, "project:create", SYSTEM)                                                    \
    X(PROJECT_READ, "project:read", PROJECT)                                                       \
    X(PROJECT_MANAGE, "project:manage", PROJECT)                                                   \
    X(MEMBER_READ, "member:read", PROJECT) /* who they are: not for visitors */                    \
    X(IMAGE_PULL, "image:pull", PROJECT)                                                           \
    X(IMAGE_PUSH, "image:push", PROJECT)                                                           \
    X(IMAGE_DELETE, "image:delete", PROJECT)                                                       \
    X(JOB_READ, "job:read", PROJECT)                                                               \
    X(JOB_SUBMIT, "job:submit", PROJECT)                                                           \
    X(JOB_CANCEL, "job:cancel", PROJECT)                                                           \
    X(JOB_EXEC, "job:exec", PROJECT) /* a shell sees the secrets that a job was given */           \
    X(VOLUME_READ, "volume:read", PROJECT)                                                         \
    X(VOLUME_WRITE, "volume:write", PROJECT)                                                       \
    X(VOLUME_MANAGE, "volume:manage", PROJECT)                                                     \
    X(PIPELINE_READ, "pipeline:read", PROJECT)                                                     \
    X(PIPELINE_WRITE, "pipeline:write", PROJECT)                                                   \
    X(PIPELINE_RUN, "pipeline:run", PROJECT)                                                       \
    X(METRIC_READ, "metric:read", PROJECT) /* series with the label project */                     \
    X(METRIC_WRITE, "metric:write", PROJECT)                                                       \
    X(SECRET_READ, "secret:read", PROJECT) /* names only: values are write-only */                 \
    X(SECRET_WRITE, "secret:write", PROJECT)

#define PERM_ENUM(name, text, where) PERM_##name,
enum perm { PERMS(PERM_ENUM) PERM_COUNT };

enum perm_where { PERM_WHERE_NONE, PERM_WHERE_SYSTEM, PERM_WHERE_PROJECT };

const char *perm_name(enum perm p);
enum perm_where perm_where(enum perm p);
int perm_parse(struct str text, enum perm *out, struct err *e) MUST_USE;

#define PERM_BIT(p) (1ULL << (p))
#define PERM_ALL (PERM_BIT(PERM_COUNT) - 1)

enum principal_kind {
    PRINCIPAL_ANONYMOUS,
    PRINCIPAL_SESSION,
    PRINCIPAL_TOKEN,
    PRINCIPAL_PASSWORD,
    PRINCIPAL_ROBOT
};

/* Who makes a request. Plain value, copied freely. */
struct principal {
    enum principal_kind kind;
    /* 0: anonymous. Below 0: a robot, minus its id; so what is kept by user (sessions, tokens,
     * members) has nothing of a robot, and what is counted by user counts it apart. */
    int64_t user_id;
    int64_t token_id;
    int64_t generation; /* of his password, or of a robot's secret: what is made from it is void
                         * when there is another */
    bool is_admin;
    unsigned char session[32]; /* PRINCIPAL_SESSION: SHA-256 of its cookie */
    uint64_t scopes; /* PERM_BITs this sign-in may use at most; PERM_ALL when not narrowed */
    char name[LIMIT_LOGIN_BYTES + 1]; /* "anonymous", "ada", "robot$demo+ci" */
};
