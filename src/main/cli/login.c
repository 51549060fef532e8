#include "main/cli/cli.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *token_request(struct cli *c, const char *name, int64_t expires_sec)
{
    json_t *body = json_pack("{s:s}", "name", name);
    const char *scope;

    if (expires_sec > 0) {
        (void)json_object_set_new(body, "expires_in_seconds", json_integer(expires_sec));
    }
    for (size_t i = 0; (scope = cli_option_nth(c, "scope", i)); i++) {
        if (i == 0) {
            (void)json_object_set_new(body, "scopes", json_array());
        }
        (void)json_array_append_new(json_object_get(body, "scopes"), json_string(scope));
    }
    return body;
}

static int expiry(struct cli *c, const char *def, int64_t *sec, struct err *e)
{
    const char *s = cli_option(c, "expires");

    s = s ? s : def;
    if (strcmp(s, "never") == 0) {
        *sec = 0;
        return 0;
    }
    if (str_parse_seconds(str_of(s), sec, e) < 0) {
        return err_wrap(e, "--expires");
    }
    return *sec > 0 ? 0 : err_set(e, ERR_INVALID, "--expires: give a time, such as 12h, or never");
}

/* A token of this machine, made with the password. */
static int make_token(struct cli *c, const char *user, json_t **made, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(json_decrefp) json_t *body = NULL;
    char host[64] = "", name[128];
    int64_t expires_sec;

    if (expiry(c, "90d", &expires_sec, e) < 0 || ask_password(c, &password, e) < 0) {
        return -1;
    }
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(name, sizeof(name), "strata login on %s", host);
    client_set_password(c->client, user, password.p);
    explicit_bzero(password.p, password.len);
    body = token_request(c, name, expires_sec);
    return client_call(c->client, "POST", body, made, e, "/api/v1/tokens");
}

int verb_login(struct cli *c, struct err *e)
{
    const char *user = cli_option(c, "user");
    SCOPED(json_decrefp) json_t *made = NULL;
    char typed[LIMIT_NAME_BYTES + 2];

    if (user == NULL) {
        if (ask_text("User", typed, sizeof(typed)) < 0) {
            return err_set(e, ERR_INVALID, "who signs in? strata login --user NAME");
        }
        user = typed;
    }
    if (make_token(c, user, &made, e) < 0) {
        return -1;
    }
    if (cli_option(c, "print-token")) {
        if (!print_json(c, made)) {
            (void)printf("%s\n", json_text(made, "token"));
        }
        return 0;
    }
    if (credentials_save(client_server(c->client), json_text(made, "token"),
                         json_number(made, "id"), e) < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("Signed in to %s as %s.\n", client_server(c->client), user);
    }
    return 0;
}

/* The token is revoked where the server can be asked; it is forgotten in any case. */
int verb_logout(struct cli *c, struct err *e)
{
    struct err ignored;
    int64_t id;

    if (credentials_forget(client_server(c->client), &id, e) < 0) {
        return -1;
    }
    if (id > 0 && client_call(c->client, "DELETE", NULL, NULL, &ignored, "/api/v1/tokens/%lld",
                              (long long)id) < 0) {
        (void)fprintf(stderr, "strata: the token is forgotten here, but was not revoked: ");
        print_safe(stderr, str_of(ignored.msg));
        (void)fputc('\n', stderr);
    }
    print_done(c, "Signed out of %s.", client_server(c->client));
    return 0;
}

int verb_whoami(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"PROJECT", "name", COLUMN_TEXT},
                                            {"ROLE", "role", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *me = NULL;

    if (client_call(c->client, "GET", NULL, &me, e, "/api/v1/me") < 0) {
        return -1;
    }
    if (print_json(c, me)) {
        return 0;
    }
    (void)printf("%s%s at %s\n", json_text(me, "name"),
                 json_is_true(json_object_get(me, "is_admin")) ? " (administrator)" : "",
                 client_server(c->client));
    table_print(json_object_get(me, "projects"), columns, ARRAY_LEN(columns),
                "You are a member of no project yet: ask an administrator, or make one with strata "
                "project create NAME.");
    return 0;
}

int verb_token_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *made = NULL;
    int64_t expires_sec;

    if (expiry(c, "90d", &expires_sec, e) < 0) {
        return -1;
    }
    body = token_request(c, cli_arg(c, 0), expires_sec);
    if (client_call(c->client, "POST", body, &made, e, "/api/v1/tokens") < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("%s\n", json_text(made, "token"));
        (void)fprintf(stderr, "Keep it now: it is not shown again.\n");
    }
    return 0;
}

int verb_token_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"ID", "id", COLUMN_NUMBER},
                                            {"NAME", "name", COLUMN_TEXT},
                                            {"AGE", "created_at", COLUMN_AGE},
                                            {"EXPIRES", "expires_at", COLUMN_TEXT},
                                            {"LAST USED", "last_used_at", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *items = NULL;

    if (list_all(c, STR("/api/v1/tokens"), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, ARRAY_LEN(columns),
                    empty_text(c, "You have no tokens: strata token create NAME makes one."));
    }
    return 0;
}

int verb_token_delete(struct cli *c, struct err *e)
{
    if (client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/tokens/%s",
                    url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    print_done(c, "Token %s is revoked.", cli_arg(c, 0));
    return 0;
}
