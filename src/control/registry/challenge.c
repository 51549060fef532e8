#include "challenge.h"

#include <string.h>

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static struct str take_token(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && is_token_byte(rest->p[n])) {
        n++;
    }
    struct str token = str_first(*rest, n);

    *rest = str_from(*rest, n);
    return token;
}

static void skip(struct str *rest, const char *bytes)
{
    while (rest->len > 0 && strchr(bytes, rest->p[0]) != NULL && rest->p[0] != '\0') {
        *rest = str_from(*rest, 1);
    }
}

/* A quoted string; \x stands for x. */
static int take_quoted(struct arena *a, struct str *rest, struct str *out)
{
    char *copy = arena_alloc(a, rest->len + 1);
    size_t n = 0;

    for (size_t i = 1; i < rest->len; i++) {
        if (rest->p[i] == '"') {
            *rest = str_from(*rest, i + 1);
            *out = str_n(copy, n);
            return 0;
        }
        i += rest->p[i] == '\\' && i + 1 < rest->len;
        copy[n++] = rest->p[i];
    }
    return -1;
}

static int take_value(struct arena *a, struct str *rest, struct str *out)
{
    if (rest->len > 0 && rest->p[0] == '"') {
        return take_quoted(a, rest, out);
    }
    *out = arena_str(a, take_token(rest));
    return out->len > 0 ? 0 : -1;
}

static void note(struct challenge *c, struct str key, struct str value)
{
    struct str *const places[] = {&c->realm, &c->service, &c->scope};
    static const char *const names[] = {"realm", "service", "scope"};

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (str_eq_nocase(key, str_of(names[i])) && places[i]->p == NULL) {
            *places[i] = value;
        }
    }
}

/* The parameters of one challenge. A token that no "=" follows is the scheme of the next one. */
static int take_params(struct arena *a, struct str *rest, struct challenge *c)
{
    for (;;) {
        struct str before, key, value;

        skip(rest, " \t,");
        before = *rest;
        key = take_token(rest);
        skip(rest, " \t");
        if (key.len == 0 || rest->len == 0 || rest->p[0] != '=') {
            *rest = before;
            return rest->len > 0 && key.len == 0 ? -1 : 0;
        }
        *rest = str_from(*rest, 1);
        skip(rest, " \t");
        if (take_value(a, rest, &value) < 0) {
            return -1;
        }
        note(c, key, value);
    }
}

int challenge_parse(struct arena *a, struct str header, struct challenge *out, struct err *e)
{
    struct str rest = header;

    while (skip(&rest, " \t,"), rest.len > 0) {
        struct challenge c = {0};
        struct str scheme = take_token(&rest);

        if (scheme.len == 0 || take_params(a, &rest, &c) < 0) {
            break;
        }
        c.is_bearer = str_eq_nocase(scheme, STR("Bearer")) && c.realm.p != NULL;
        c.is_basic = str_eq_nocase(scheme, STR("Basic"));
        if (c.is_bearer || c.is_basic) {
            *out = c;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "its WWW-Authenticate \"%.*s\" names no way to sign in that we know",
                   STR_ARG(str_first(header, 200)));
}
