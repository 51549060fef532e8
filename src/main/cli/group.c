#include "main/cli/cli.h"

#include <stdlib.h>

static char *group_path(struct cli *c)
{
    return xasprintf("/api/v1/groups/%s", url_segment(cli_arg(c, 0)));
}

/* NULL: not UTF-8. */
static json_t *body_of(struct cli *c, const char *name)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    const char *text = cli_option(c, "description");

    if ((name != NULL && json_object_set_new(body, "name", json_string(name)) < 0) ||
        (text != NULL && json_object_set_new(body, "description", json_string(text)) < 0)) {
        return NULL;
    }
    return TAKE(body);
}

int verb_group_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = body_of(c, cli_arg(c, 0));
    SCOPED(json_decrefp) json_t *made = NULL;

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "name and description must be UTF-8");
    }
    if (client_call(c->client, "POST", body, &made, e, "/api/v1/groups") < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("Group %s made. Add users: strata group add %s USER\n", cli_arg(c, 0),
                     cli_arg(c, 0));
    }
    return 0;
}

int verb_group_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"USERS", "users", COLUMN_NUMBER},
                                            {"AGE", "created_at", COLUMN_AGE},
                                            {"DESCRIPTION", "description", COLUMN_TEXT}};

    return cli_show_list(c, STR("/api/v1/groups"), columns, ARRAY_LEN(columns),
                         "No groups: strata group create NAME makes one.", e);
}

int verb_group_show(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"PROJECT", "name", COLUMN_TEXT},
                                            {"ROLE", "role", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *group = NULL;
    SCOPED(freep) char *path = group_path(c);
    size_t i;
    json_t *user;

    if (client_json(c->client, "GET", str_of(path), NULL, &group, e) < 0) {
        return -1;
    }
    if (print_json(c, group)) {
        return 0;
    }
    print_facts((const char *[]){"group", json_text(group, "name"), "description",
                                 json_text(group, "description"), NULL});
    json_array_foreach(json_object_get(group, "members"), i, user)
    {
        print_safe(stdout, str_of(json_string_value(user)));
        (void)putchar('\n');
    }
    table_print(json_object_get(group, "projects"), columns, ARRAY_LEN(columns),
                "It has no role yet: strata project grant --group GROUP ROLE -p PROJECT");
    return 0;
}

int verb_group_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = body_of(c, NULL);
    SCOPED(freep) char *path = group_path(c);
    SCOPED(freep) char *done = xasprintf("Group %s is changed.", cli_arg(c, 0));

    if (body == NULL || json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID, "what is to change? --description TEXT (UTF-8)");
    }
    return cli_change(c, "PATCH", body, path, done, e);
}

int verb_group_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = group_path(c);
    SCOPED(freep) char *done = xasprintf("Group %s is deleted.", cli_arg(c, 0));

    if (ask_sure(c, e, "Group %s goes, with its roles; its users stay.", cli_arg(c, 0)) < 0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}

static int change_user(struct cli *c, const char *method, const char *now, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/api/v1/groups/%s/members/%s", url_segment(cli_arg(c, 0)),
                           url_segment(cli_arg(c, 1)));
    SCOPED(freep) char *done = xasprintf("%s is %s %s now.", cli_arg(c, 1), now, cli_arg(c, 0));

    return cli_change(c, method, NULL, path, done, e);
}

int verb_group_add(struct cli *c, struct err *e)
{
    return change_user(c, "PUT", "in", e);
}

int verb_group_remove(struct cli *c, struct err *e)
{
    return change_user(c, "DELETE", "not in", e);
}
