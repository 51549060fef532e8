#include "access_priv.h"

#define P(name) PERM_BIT(PERM_##name)

/* Each role holds what the one above holds, and more; except that ANONYMOUS (anybody, in a public
 * project) is not signed in, and NONE (any user, outside of projects) is in no project. */
#define ANYBODY (P(PUBLIC))
#define USER (ANYBODY | P(SIGNED_IN) | P(PERSON) | P(PROJECT_CREATE))
#define VISITOR (ANYBODY | P(PROJECT_READ) | P(IMAGE_PULL))
#define GUEST                                                                                      \
    (VISITOR | P(SIGNED_IN) | P(PERSON) | P(MEMBER_READ) | P(JOB_READ) | P(VOLUME_READ) |          \
     P(METRIC_READ) | P(PIPELINE_READ))
#define DEVELOPER                                                                                  \
    (GUEST | P(IMAGE_PUSH) | P(JOB_SUBMIT) | P(JOB_CANCEL) | P(JOB_EXEC) | P(VOLUME_WRITE) |       \
     P(VOLUME_MANAGE) | P(METRIC_WRITE) | P(SECRET_READ) | P(PIPELINE_WRITE) | P(PIPELINE_RUN))
#define MAINTAINER (DEVELOPER | P(PROJECT_MANAGE) | P(IMAGE_DELETE) | P(SECRET_WRITE))

/* The one table of permissions. */
static const struct {
    const char *name;
    uint64_t permissions;
} roles[ROLES] = {
    [ROLE_NONE] = {"user", USER},
    [ROLE_ANONYMOUS] = {"anonymous", VISITOR},
    [ROLE_GUEST] = {"guest", GUEST},
    [ROLE_DEVELOPER] = {"developer", DEVELOPER},
    [ROLE_MAINTAINER] = {"maintainer", MAINTAINER},
    [ROLE_ADMIN] = {"admin", PERM_ALL},
};

const char *role_name(enum role r)
{
    return roles[r].name;
}

uint64_t role_permissions(enum role r)
{
    return roles[r].permissions;
}

int role_parse_member(struct str text, enum role *out, struct err *e)
{
    for (int r = ROLE_GUEST; r <= ROLE_MAINTAINER; r++) {
        if (str_eq_c(text, roles[r].name)) {
            *out = (enum role)r;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "\"%.*s\" is no role of a project: give guest, developer or maintainer",
                   STR_ARG(str_first(text, 32)));
}
