#include "access_priv.h"

/* A project is the first part of an image's name, so it follows the rule of the OCI distribution
 * spec (1.1, "Pulling manifests"): lower-case letters and digits with single separators between. */
static const char name_rule[] =
    "use 1 to 64 lower-case letters and digits, with single '.', '_' or '-' between them";

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_separator(char c)
{
    return c == '.' || c == '_' || c == '-';
}

static bool is_name(struct str s)
{
    if (s.len == 0 || s.len > LIMIT_NAME_BYTES || !is_alnum(s.p[0]) || !is_alnum(s.p[s.len - 1])) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.p[i]) && (!is_separator(s.p[i]) || is_separator(s.p[i + 1]))) {
            return false;
        }
    }
    return true;
}

static int check_name(struct str name, const char *what, const char *const *reserved, size_t n,
                      struct err *e)
{
    if (!is_name(name)) {
        return err_set(e, ERR_INVALID, "%s name \"%.*s\": %s", what, STR_ARG(str_first(name, 80)),
                       name_rule);
    }
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(name, reserved[i])) {
            return err_set(e, ERR_INVALID, "%s name \"%s\" is reserved, choose another", what,
                           reserved[i]);
        }
    }
    return 0;
}

int access_check_user_name(struct str name, struct err *e)
{
    static const char *const reserved[] = {"anonymous", "me", "nobody", "strata", "system"};

    return check_name(name, "user", reserved, ARRAY_LEN(reserved), e);
}

/* A robot's whole name is made of a project's and its own, see access_robot_login. */
int access_check_robot_name(struct str name, struct err *e)
{
    return check_name(name, "robot", NULL, 0, e);
}

int access_check_group_name(struct str name, struct err *e)
{
    return check_name(name, "group", NULL, 0, e);
}

/* One line for people. */
int access_check_description(struct str text, struct err *e)
{
    bool ok = text.len <= LIMIT_DESCRIPTION_BYTES;

    for (size_t i = 0; i < text.len && ok; i++) {
        ok = (unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f;
    }
    return ok ? 0
              : err_set(e, ERR_INVALID, "description: one line of at most %d bytes",
                        LIMIT_DESCRIPTION_BYTES);
}

/* First parts of our own paths, and words that stand for a set of projects. */
int access_check_project_name(struct str name, struct err *e)
{
    static const char *const reserved[] = {
        "all",    "api",    "healthz", "loki",    "metrics",      "new",
        "none",   "readyz", "root",    "service", "static",       "strata",
        "system", "v1",     "v2",      "version", "alertmanager", "prometheus",
    };

    return check_name(name, "project", reserved, ARRAY_LEN(reserved), e);
}
