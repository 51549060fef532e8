/* Robots: of the project that -p names, or with --system of the system. */
#include "main/cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* "/api/v1/projects/demo/robots", or NULL. */
static char *home_path(struct cli *c, struct err *e)
{
    if (cli_option(c, "system")) {
        return xstrdup("/api/v1/robots");
    }
    if (c->project == NULL) {
        err_set(e, ERR_INVALID, "which robots? -p PROJECT, or --system for those of the system");
        return NULL;
    }
    return xasprintf("/api/v1/projects/%s/robots", url_segment(c->project));
}

static char *robot_path(struct cli *c, const char *tail, struct err *e)
{
    SCOPED(freep) char *home = home_path(c, e);

    return home ? xasprintf("%s/%s%s", home, url_segment(cli_arg(c, 0)), tail) : NULL;
}

static json_t *words_of(struct cli *c, const char *option)
{
    json_t *list = json_array();
    const char *word;

    for (size_t i = 0; (word = cli_option_nth(c, option, i)); i++) {
        (void)json_array_append_new(list, json_string(word));
    }
    return list;
}

/* --allow in the project, or with --system in each --in. */
static int add_rights(struct cli *c, json_t *body, struct err *e)
{
    SCOPED(json_decrefp) json_t *allowed = words_of(c, "allow");
    const char *project;
    json_t *grants;

    if (!cli_option(c, "system")) {
        if (cli_option(c, "in")) {
            return err_set(e, ERR_INVALID, "--in goes with --system: this robot is of a project");
        }
        return json_array_size(allowed) == 0 ? 0 : json_object_set(body, "permissions", allowed);
    }
    if ((json_array_size(allowed) == 0) != (cli_option(c, "in") == NULL)) {
        return err_set(e, ERR_INVALID,
                       "--in PROJECT (or --in '*') and --allow PERMISSION go together");
    }
    if (json_array_size(allowed) == 0) {
        return 0;
    }
    grants = json_array();
    for (size_t i = 0; (project = cli_option_nth(c, "in", i)); i++) {
        (void)json_array_append_new(
            grants, json_pack("{s:s, s:O}", "project", project, "permissions", allowed));
    }
    return json_object_set_new(body, "grants", grants);
}

static int add_expiry(struct cli *c, const char *def, json_t *body, struct err *e)
{
    int64_t sec;

    if (def == NULL && cli_option(c, "expires") == NULL) {
        return 0;
    }
    if (cli_expiry(c, def, &sec, e) < 0) {
        return -1;
    }
    return json_object_set_new(body, "expires_in_seconds", sec ? json_integer(sec) : json_null());
}

static int add_description(struct cli *c, json_t *body, struct err *e)
{
    const char *text = cli_option(c, "description");

    return text == NULL || json_object_set_new(body, "description", json_string(text)) == 0
               ? 0
               : err_set(e, ERR_INVALID, "--description must be UTF-8");
}

/* "demo: image:pull image:push" */
void cli_print_grants(const json_t *grants)
{
    size_t i, j;
    json_t *grant, *word;

    json_array_foreach(grants, i, grant)
    {
        print_safe(stdout, str_of(json_text(grant, "project")));
        (void)putchar(':');
        json_array_foreach(json_object_get(grant, "permissions"), j, word)
        {
            (void)putchar(' ');
            print_safe(stdout, str_of(json_string_value(word)));
        }
        (void)putchar('\n');
    }
}

static void print_robot(const json_t *robot)
{
    print_facts((const char *[]){
        "login", json_text(robot, "login"), "description", json_text(robot, "description"),
        "expires",
        json_is_null(json_object_get(robot, "expires_at")) ? "never"
                                                           : json_text(robot, "expires_at"),
        "disabled", json_is_true(json_object_get(robot, "disabled")) ? "yes" : "no", "made by",
        json_text(robot, "created_by"), "last seen", json_text(robot, "last_seen_at"), NULL});
    cli_print_grants(json_object_get(robot, "grants"));
}

/* On standard output the secret alone, for a pipe. */
static void print_secret(struct cli *c, const json_t *made)
{
    if (print_json(c, made)) {
        return;
    }
    (void)printf("%s\n", json_text(made, "secret"));
    (void)fprintf(stderr, "Keep it now: it is not shown again. docker login -u '%s'\n",
                  json_text(json_object_get(made, "robot"), "login"));
}

int verb_robot_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "name", cli_arg(c, 0));
    SCOPED(json_decrefp) json_t *made = NULL;
    SCOPED(freep) char *path = home_path(c, e);

    if (path == NULL) {
        return -1;
    }
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    if (cli_option(c, "allow") == NULL) {
        return err_set(e, ERR_INVALID,
                       "what may it? --allow image:pull --allow image:push; strata role list "
                       "names all permissions");
    }
    if (add_rights(c, body, e) < 0 || add_description(c, body, e) < 0 ||
        add_expiry(c, "365d", body, e) < 0 ||
        client_json(c->client, "POST", str_of(path), body, &made, e) < 0) {
        return -1;
    }
    print_secret(c, made);
    return 0;
}

int verb_robot_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"LOGIN", "login", COLUMN_TEXT},
                                            {"DISABLED", "disabled", COLUMN_YES},
                                            {"EXPIRES", "expires_at", COLUMN_TEXT},
                                            {"LAST SEEN", "last_seen_at", COLUMN_TEXT},
                                            {"DESCRIPTION", "description", COLUMN_TEXT}};
    SCOPED(freep) char *path = home_path(c, e);

    return path == NULL ? -1
                        : cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                                        "No robots: strata robot create NAME --allow PERMISSION "
                                        "makes one.",
                                        e);
}

int verb_robot_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *robot = NULL;
    SCOPED(freep) char *path = robot_path(c, "", e);

    if (path == NULL || client_json(c->client, "GET", str_of(path), NULL, &robot, e) < 0) {
        return -1;
    }
    if (!print_json(c, robot)) {
        print_robot(robot);
    }
    return 0;
}

int verb_robot_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = robot_path(c, "", e);
    SCOPED(freep) char *done = xasprintf("Robot %s is changed.", cli_arg(c, 0));

    if (path == NULL || add_rights(c, body, e) < 0 || add_description(c, body, e) < 0 ||
        add_expiry(c, NULL, body, e) < 0 || cli_set_flag(c, "disabled", body, "disabled", e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID,
                       "what is to change? --allow (all that it may from now on), --expires, "
                       "--description, --disabled yes|no");
    }
    return cli_change(c, "PATCH", body, path, done, e);
}

int verb_robot_rotate(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *made = NULL;
    SCOPED(freep) char *path = robot_path(c, "/rotate", e);

    if (path == NULL || client_json(c->client, "POST", str_of(path), NULL, &made, e) < 0) {
        return -1;
    }
    print_secret(c, made);
    return 0;
}

int verb_robot_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = robot_path(c, "", e);
    SCOPED(freep) char *done = xasprintf("Robot %s is deleted.", cli_arg(c, 0));

    if (path == NULL ||
        ask_sure(c, e, "Robot %s goes; what signs in as it stops at once.", cli_arg(c, 0)) < 0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}
