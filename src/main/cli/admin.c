#include "main/cli/cli.h"

#include "base/limits.h"

#include <string.h>
#include <unistd.h>

/* All of standard input, for values that must not stand in argv. */
static int read_stdin(struct buf *out, struct err *e)
{
    char part[4096];
    size_t n;

    while ((n = fread(part, 1, sizeof(part), stdin)) > 0) {
        if (buf_add(out, str_n(part, n)) < 0) {
            return err_set(e, ERR_LIMIT, "standard input is longer than %zu bytes", out->max);
        }
    }
    return 0;
}

/* The first line, without its end: a password. */
static int read_first_line(struct buf *out, struct err *e)
{
    if (isatty(STDIN_FILENO)) {
        (void)fprintf(stderr, "Password (shown while typing): ");
    }
    if (read_stdin(out, e) < 0) {
        return -1;
    }
    if (out->len > 0) {
        out->len = strcspn(out->p, "\r\n");
        out->p[out->len] = '\0';
    }
    if (out->len == 0) {
        return err_set(e, ERR_INVALID, "standard input is empty: a password was expected");
    }
    return 0;
}

int verb_user_create(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *made = NULL;

    if (read_first_line(&password, e) < 0) {
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

int verb_user_password(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    SCOPED(json_decrefp) json_t *body = NULL;

    if (read_first_line(&password, e) < 0) {
        return -1;
    }
    body = json_pack("{s:s}", "password", password.p);
    return client_call(c->client, "PATCH", body, NULL, e, "/api/v1/users/%s",
                       url_segment(cli_arg(c, 0)));
}

/* A list as a table or as JSON. */
static int show_list(struct cli *c, struct str path, const struct column *columns, size_t n,
                     const char *empty, struct err *e)
{
    SCOPED(json_decrefp) json_t *items = NULL;

    if (list_all(c, path, &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, n, empty);
    }
    return 0;
}

int verb_user_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"ADMIN", "is_admin", COLUMN_YES},
                                            {"DISABLED", "disabled", COLUMN_YES},
                                            {"AGE", "created_at", COLUMN_AGE}};

    return show_list(c, STR("/api/v1/users"), columns, ARRAY_LEN(columns), "No users.", e);
}

int verb_user_delete(struct cli *c, struct err *e)
{
    return client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/users/%s",
                       url_segment(cli_arg(c, 0)));
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
    rc = client_call(c->client, "POST", body, &made, e, "/api/v1/projects");
    if (rc < 0 && e->kind == ERR_CONFLICT && cli_option(c, "if-missing")) {
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
                                            {"AGE", "created_at", COLUMN_AGE}};

    return show_list(c, STR("/api/v1/projects"), columns, ARRAY_LEN(columns),
                     "No project yet: strata project create NAME makes one.", e);
}

int verb_project_delete(struct cli *c, struct err *e)
{
    return client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s",
                       url_segment(cli_arg(c, 0)));
}

int verb_project_members(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"USER", "user", COLUMN_TEXT},
                                            {"ROLE", "role", COLUMN_TEXT}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/members", url_segment(c->project));

    return show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                     "No members: strata project grant USER ROLE adds one.", e);
}

int verb_project_grant(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "role", cli_arg(c, 1));

    return client_call(c->client, "PUT", body, NULL, e, "/api/v1/projects/%s/members/%s",
                       url_segment(c->project), url_segment(cli_arg(c, 0)));
}

int verb_project_revoke(struct cli *c, struct err *e)
{
    return client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/members/%s",
                       url_segment(c->project), url_segment(cli_arg(c, 0)));
}

int verb_secret_set(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf value = BUF_MAX(LIMIT_SECRET_BYTES);
    SCOPED(json_decrefp) json_t *body = NULL;

    if (read_stdin(&value, e) < 0) {
        return -1;
    }
    body = json_pack("{s:s%}", "value", buf_str(&value).p, value.len);
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "a secret is UTF-8 text; encode bytes as base64 first");
    }
    return client_call(c->client, "PUT", body, NULL, e, "/api/v1/projects/%s/secrets/%s",
                       url_segment(c->project), url_segment(cli_arg(c, 0)));
}

int verb_secret_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"CHANGED", "updated_at", COLUMN_AGE},
                                            {"BY", "updated_by", COLUMN_TEXT}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/secrets", url_segment(c->project));

    return show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                     "No secrets: strata secret set NAME < file stores one.", e);
}

int verb_secret_delete(struct cli *c, struct err *e)
{
    return client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/secrets/%s",
                       url_segment(c->project), url_segment(cli_arg(c, 0)));
}

int verb_audit(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"AT", "at", COLUMN_TEXT},           {"USER", "user", COLUMN_TEXT},
        {"METHOD", "method", COLUMN_TEXT},   {"PATH", "path", COLUMN_TEXT},
        {"STATUS", "status", COLUMN_NUMBER}, {"FROM", "peer", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *page = NULL;
    const char *user = cli_option(c, "user");

    if (client_call(c->client, "GET", NULL, &page, e, "/api/v1/audit?limit=%s%s%s%s%s",
                    cli_option(c, "limit") ? url_segment(cli_option(c, "limit")) : "50",
                    user ? "&user=" : "", user ? url_segment(user) : "",
                    c->project ? "&project=" : "", c->project ? url_segment(c->project) : "") < 0) {
        return -1;
    }
    if (!print_json(c, page)) {
        table_print(json_object_get(page, "items"), columns, ARRAY_LEN(columns), "No entries.");
    }
    return 0;
}

int verb_node_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"STATE", "state", COLUMN_TEXT},
                                            {"ARCH", "arch", COLUMN_TEXT},
                                            {"CPU", "cpu_milli", COLUMN_CPU},
                                            {"FREE", "cpu_milli_free", COLUMN_CPU},
                                            {"MEMORY", "memory_bytes", COLUMN_BYTES},
                                            {"FREE", "memory_bytes_free", COLUMN_BYTES},
                                            {"GPU", "gpus", COLUMN_NUMBER},
                                            {"FREE", "gpus_free", COLUMN_NUMBER}};
    SCOPED(json_decrefp) json_t *page = NULL;

    if (client_call(c->client, "GET", NULL, &page, e, "/api/v1/nodes") < 0) {
        return -1;
    }
    if (!print_json(c, page)) {
        table_print(json_object_get(page, "items"), columns, ARRAY_LEN(columns), "No nodes.");
    }
    return 0;
}
