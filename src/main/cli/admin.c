#include "main/cli/cli.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int cli_change(struct cli *c, const char *method, const json_t *body, const char *path,
               const char *done, struct err *e)
{
    if (client_call(c->client, method, body, NULL, e, "%s", path) < 0) {
        return -1;
    }
    print_done(c, "%s", done);
    return 0;
}

int verb_user_create(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *made = NULL;

    if (ask_new_password(&password, e) < 0) {
        return -1;
    }
    body = json_pack("{s:s, s:s, s:b}", "name", cli_arg(c, 0), "password", password.p, "is_admin",
                     cli_option(c, "admin") != NULL);
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "name and password must be UTF-8");
    }
    if (client_call(c->client, "POST", body, &made, e, "/api/v1/users") < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("User %s made. Give a role: strata project grant %s developer -p PROJECT\n",
                     cli_arg(c, 0), cli_arg(c, 0));
    }
    return 0;
}

/* Without a name one's own, which takes the old one. */
int verb_user_password(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(buf_done) struct buf old = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(freep) char *path = NULL;
    const char *user = cli_arg(c, 0);

    if ((user == NULL && ask_old_password(&old, e) < 0) || ask_new_password(&password, e) < 0) {
        return -1;
    }
    body = user ? json_pack("{s:s}", "password", password.p)
                : json_pack("{s:s, s:s}", "old", old.p, "new", password.p);
    path = user ? xasprintf("/api/v1/users/%s", url_segment(user)) : xstrdup("/api/v1/me/password");
    return cli_change(c, user ? "PATCH" : "PUT", body, path, "The password is changed.", e);
}

int cli_show_list(struct cli *c, struct str path, const struct column *columns, size_t n,
                  const char *empty, struct err *e)
{
    SCOPED(json_decrefp) json_t *items = NULL;

    if (list_all(c, path, &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, n, empty_text(c, empty));
    }
    return 0;
}

int verb_user_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"ADMIN", "is_admin", COLUMN_YES},
                                            {"DISABLED", "disabled", COLUMN_YES},
                                            {"AGE", "created_at", COLUMN_AGE}};

    return cli_show_list(c, STR("/api/v1/users"), columns, ARRAY_LEN(columns), "No users.", e);
}

int cli_set_flag(struct cli *c, const char *option, json_t *body, const char *key, struct err *e)
{
    const char *value = cli_option(c, option);

    if (value == NULL) {
        return 0;
    }
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        return err_set(e, ERR_INVALID, "--%s is yes or no, not '%.40s'", option, value);
    }
    return json_object_set_new(body, key, json_boolean(value[0] == 'y'));
}

int verb_user_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = xasprintf("/api/v1/users/%s", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("User %s is changed.", cli_arg(c, 0));

    if (cli_set_flag(c, "admin", body, "is_admin", e) < 0 ||
        cli_set_flag(c, "disabled", body, "disabled", e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID, "what is to change? --admin yes|no, --disabled yes|no");
    }
    return cli_change(c, "PATCH", body, path, done, e);
}

int verb_user_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/api/v1/users/%s", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("User %s is deleted.", cli_arg(c, 0));

    if (ask_sure(c, e, "User %s goes, with tokens and memberships.", cli_arg(c, 0)) < 0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}

/* What --description, --proxy and --proxy-ttl say. */
static int add_project_options(struct cli *c, json_t *body, struct err *e)
{
    const char *ttl = cli_option(c, "proxy-ttl"), *registry = cli_option(c, "proxy");
    const char *description = cli_option(c, "description");
    json_t *proxy;
    int64_t sec;

    if (description != NULL &&
        json_object_set_new(body, "description", json_string(description)) < 0) {
        return err_set(e, ERR_INVALID, "the description must be UTF-8");
    }
    if (registry == NULL && ttl == NULL) {
        return 0;
    }
    proxy = json_object();
    (void)json_object_set_new(body, "proxy", proxy);
    if (registry != NULL && json_object_set_new(proxy, "registry", json_string(registry)) < 0) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    if (ttl != NULL && str_parse_seconds(str_of(ttl), &sec, e) < 0) {
        return err_wrap(e, "--proxy-ttl");
    }
    return ttl ? json_object_set_new(proxy, "ttl_seconds", json_integer(sec)) : 0;
}

int verb_project_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp)
    json_t *body =
        json_pack("{s:s, s:b}", "name", cli_arg(c, 0), "public", cli_option(c, "public") != NULL);
    SCOPED(json_decrefp) json_t *made = NULL;
    int rc;

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    if (add_project_options(c, body, e) < 0) {
        return -1;
    }
    rc = client_call(c->client, "POST", body, &made, e, "/api/v1/projects");
    if (rc < 0 && e->kind == ERR_CONFLICT && cli_option(c, "if-missing")) {
        print_done(c, "Project %s is there already.", cli_arg(c, 0));
        return 0;
    }
    if (rc == 0 && !print_json(c, made)) {
        (void)printf("Project %s made. Add members: strata project grant USER developer -p %s\n",
                     cli_arg(c, 0), cli_arg(c, 0));
    }
    return rc;
}

int verb_project_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"PUBLIC", "public", COLUMN_YES},
                                            {"YOUR ROLE", "role", COLUMN_TEXT},
                                            {"CACHE OF", "proxy.registry", COLUMN_TEXT},
                                            {"AGE", "created_at", COLUMN_AGE}};

    return cli_show_list(c, STR("/api/v1/projects"), columns, ARRAY_LEN(columns),
                         "No project yet: strata project create NAME makes one.", e);
}

int verb_project_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Project %s is changed.", cli_arg(c, 0));

    if (cli_set_flag(c, "public", body, "public", e) < 0 || add_project_options(c, body, e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID,
                       "what is to change? --public yes|no, --description, --proxy-ttl");
    }
    return cli_change(c, "PATCH", body, path, done, e);
}

int verb_project_logo(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/logo", url_segment(cli_arg(c, 0)));
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(buf_done) struct buf b = BUF_MAX(LIMIT_LOGO_BYTES + 1);
    const char *file = cli_arg(c, 1);

    if (file == NULL) {
        return cli_option(c, "remove")
                   ? cli_change(c, "DELETE", NULL, path, "The logo is gone.", e)
                   : err_set(e, ERR_INVALID, "which picture? give a file, or --remove");
    }
    if (fs_read(AT_FDCWD, file, &b, e) < 0 ||
        client_send(c->client,
                    &(struct client_request){.method = "PUT",
                                             .path = str_of(path),
                                             .type = "application/octet-stream",
                                             .body = buf_str(&b)},
                    &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    print_done(c, "Project %s has a logo.", cli_arg(c, 0));
    return 0;
}

int verb_project_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Project %s is deleted.", cli_arg(c, 0));

    if (ask_sure(c, e, "Project %s goes, with all its images, volumes, jobs and secrets.",
                 cli_arg(c, 0)) < 0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}

int verb_project_members(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"MEMBER", "name", COLUMN_TEXT},
                                            {"KIND", "kind", COLUMN_TEXT},
                                            {"ROLE", "role", COLUMN_TEXT}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/members", url_segment(c->project));
    SCOPED(json_decrefp) json_t *items = NULL;
    size_t i;
    json_t *item;

    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (print_json(c, items)) {
        return 0;
    }
    json_array_foreach(items, i, item)
    {
        (void)json_object_set(item, "name", json_object_get(item, json_text(item, "kind")));
    }
    table_print(items, columns, ARRAY_LEN(columns),
                "No members: strata project grant USER ROLE adds one.");
    return 0;
}

static char *member_path(struct cli *c)
{
    return xasprintf("/api/v1/projects/%s/%s/%s", url_segment(c->project),
                     cli_option(c, "group") ? "groups" : "members", url_segment(cli_arg(c, 0)));
}

int verb_project_grant(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "role", cli_arg(c, 1));
    SCOPED(freep) char *path = member_path(c);
    SCOPED(freep)
    char *done = xasprintf("%s is %s of %s now.", cli_arg(c, 0), cli_arg(c, 1), c->project);

    return cli_change(c, "PUT", body, path, done, e);
}

int verb_project_revoke(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = member_path(c);
    SCOPED(freep)
    char *done = xasprintf("%s is no member of %s any more.", cli_arg(c, 0), c->project);

    return cli_change(c, "DELETE", NULL, path, done, e);
}

int verb_secret_set(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf value = BUF_MAX(LIMIT_SECRET_BYTES);
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(freep) char *path = NULL;
    SCOPED(freep) char *done = NULL;

    if (ask_secret(&value, e) < 0) {
        return -1;
    }
    body = json_pack("{s:s%}", "value", buf_str(&value).p, value.len);
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "a secret is UTF-8 text; encode bytes as base64 first");
    }
    path = xasprintf("/api/v1/projects/%s/secrets/%s", url_segment(c->project),
                     url_segment(cli_arg(c, 0)));
    done = xasprintf("Secret %s is stored. Jobs name it: secrets: {VARIABLE: %s}", cli_arg(c, 0),
                     cli_arg(c, 0));
    return cli_change(c, "PUT", body, path, done, e);
}

int verb_secret_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"CHANGED", "updated_at", COLUMN_AGE},
                                            {"BY", "updated_by", COLUMN_TEXT}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/secrets", url_segment(c->project));

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                         "No secrets: strata secret set NAME < file stores one.", e);
}

int verb_secret_delete(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/secrets/%s", url_segment(c->project),
                           url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Secret %s is deleted.", cli_arg(c, 0));

    return cli_change(c, "DELETE", NULL, path, done, e);
}
