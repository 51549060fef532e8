/* Modules from the command line: what there is, and one of them on files of this machine. */
#include "main/cli/cli.h"

#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a project with -p, else the built-in ones. */
static int get_modules(struct cli *c, json_t **all, struct err *e)
{
    return c->project ? client_call(c->client, "GET", NULL, all, e, "/api/v1/projects/%s/modules",
                                    url_segment(c->project))
                      : client_call(c->client, "GET", NULL, all, e, "/api/v1/modules");
}

int verb_module_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"VERSION", "version", COLUMN_TEXT},
                                            {"CATEGORY", "category", COLUMN_TEXT},
                                            {"TITLE", "title", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *all = NULL;
    const json_t *modules;

    if (get_modules(c, &all, e) < 0) {
        return -1;
    }
    modules = json_object_get(all, "modules");
    if (!print_json(c, modules)) {
        table_print(modules, columns, ARRAY_LEN(columns), "There are no modules.");
    }
    return 0;
}

static const json_t *find(const json_t *all, const char *name, struct err *e)
{
    size_t i;
    const json_t *m;

    json_array_foreach(json_object_get(all, "modules"), i, m)
    {
        if (strcmp(json_text(m, "name"), name) == 0) {
            return m;
        }
    }
    err_set(e, ERR_NOT_FOUND, "there is no module '%.60s': strata module list shows them", name);
    return NULL;
}

static void print_ports(const char *title, const json_t *ports)
{
    size_t i;
    const json_t *p;

    json_array_foreach(ports, i, p)
    {
        (void)printf("%s %s: %s%s. ", title, json_text(p, "name"), json_text(p, "type"),
                     json_is_true(json_object_get(p, "optional")) ? ", optional" : "");
        print_safe(stdout, str_of(json_text(p, "help")));
        (void)putchar('\n');
    }
}

static void print_params(const json_t *params)
{
    size_t i;
    const json_t *p;

    json_array_foreach(params, i, p)
    {
        const json_t *def = json_object_get(p, "default");
        SCOPED(freep)
        char *text = def ? json_dumps(def, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;

        (void)printf("param  %s: %s, %s%s. ", json_text(p, "name"), json_text(p, "type"),
                     text ? "default " : "must be given", text ? text : "");
        print_safe(stdout, str_of(json_text(p, "help")));
        (void)putchar('\n');
    }
}

int verb_module_describe(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = NULL;
    const json_t *m;

    if (get_modules(c, &all, e) < 0 || (m = find(all, cli_arg(c, 0), e)) == NULL) {
        return -1;
    }
    if (print_json(c, m)) {
        return 0;
    }
    (void)printf("%s %s - ", json_text(m, "name"), json_text(m, "version"));
    print_safe(stdout, str_of(json_text(m, "title")));
    (void)fputs("\n\n", stdout);
    print_safe(stdout, str_of(json_text(m, "description")));
    (void)fputs("\n\n", stdout);
    print_ports("input ", json_object_get(m, "inputs"));
    print_ports("output", json_object_get(m, "outputs"));
    print_params(json_object_get(m, "params"));
    return 0;
}

/* Becomes strata-ml, which lies beside this program (in a build folder, one folder down). */
int verb_module_test(struct cli *c, struct err *e)
{
    static const char *const names[] = {"strata-ml", "src/algorithms/strata-ml"};
    char path[LIMIT_PATH_BYTES + 64];
    ssize_t n = readlink("/proc/self/exe", path, LIMIT_PATH_BYTES);
    SCOPED(freep) char **words = xnew_array(char *, c->args.len + 2);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    words[0] = "strata-ml";
    for (size_t i = 0; i < c->args.len; i++) {
        words[i + 1] = (char *)c->args.p[i];
    }
    for (size_t i = 0; slash && i < ARRAY_LEN(names); i++) {
        (void)snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s", names[i]);
        (void)execv(path, words);
    }
    return err_set(e, ERR_UNAVAILABLE,
                   "the program strata-ml is not beside this one (%s): install both together",
                   strerror(errno));
}
