#include "net/perm.h"

#define PERM_ROW(name, text, where) {text, PERM_WHERE_##where},

static const struct {
    const char *text;
    enum perm_where where;
} perms[PERM_COUNT] = {PERMS(PERM_ROW)};

const char *perm_name(enum perm p)
{
    return perms[p].text;
}

enum perm_where perm_where(enum perm p)
{
    return perms[p].where;
}

int perm_parse(struct str text, enum perm *out, struct err *e)
{
    const char *names[PERM_COUNT];
    const char *near;

    for (int p = 0; p < PERM_COUNT; p++) {
        if (str_eq_c(text, perms[p].text)) {
            *out = (enum perm)p;
            return 0;
        }
        names[p] = perms[p].text;
    }
    near = str_nearest(text, names, PERM_COUNT);
    return err_set(e, ERR_INVALID, "no permission is called \"%.*s\"%s%s%s",
                   STR_ARG(str_first(text, 64)), near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
}
