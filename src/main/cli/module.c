/* Modules from the command line: what there is, and those that a project brings. */
#include "main/cli/pipeline.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static char *own_path(const struct cli *c)
{
    return xasprintf("/api/v1/projects/%s/modules/%s", url_segment(c->project),
                     url_segment(cli_arg(c, 0)));
}

int module_get_all(struct cli *c, json_t **all, struct err *e)
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

    if (module_get_all(c, &all, e) < 0) {
        return -1;
    }
    modules = json_object_get(all, "modules");
    if (!print_json(c, modules)) {
        table_print(modules, columns, ARRAY_LEN(columns), "There are no modules.");
    }
    return 0;
}

const json_t *module_find(const json_t *all, const char *name, struct err *e)
{
    const char *names[512], *near;
    size_t i, n = 0;
    const json_t *m;

    json_array_foreach(json_object_get(all, "modules"), i, m)
    {
        names[n] = json_text(m, "name");
        n += n + 1 < ARRAY_LEN(names);
        if (strcmp(json_text(m, "name"), name) == 0) {
            return m;
        }
    }
    near = str_nearest(str_of(name), names, n);
    err_set(e, ERR_NOT_FOUND,
            near ? "there is no module '%.60s': did you mean '%.60s'?"
                 : "there is no module '%.60s': strata module list shows them",
            name, near ? near : "");
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

    if (module_get_all(c, &all, e) < 0 || (m = module_find(all, cli_arg(c, 0), e)) == NULL) {
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

int verb_module_add(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_COMPONENT_BYTES);
    SCOPED(freep) char *path = own_path(c);
    SCOPED(json_decrefp) json_t *made = NULL;
    const char *file = cli_arg(c, 1);

    if (fs_read(AT_FDCWD, strcmp(file, "-") == 0 ? "/dev/stdin" : file, &text, e) < 0 ||
        pipeline_send(c, "PUT", path, "application/yaml", buf_str(&text), &made, e) < 0) {
        return -1;
    }
    if (!print_json(c, json_array_get(json_object_get(made, "modules"), 0))) {
        (void)printf("The project has the module %s. Try it: strata module test %s -p %s\n",
                     cli_arg(c, 0), cli_arg(c, 0), c->project);
    }
    return 0;
}

int verb_module_show(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = own_path(c);
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(json_decrefp) json_t *text = NULL;

    if (client_send(c->client, &(struct client_request){.method = "GET", .path = str_of(path)}, &a,
                    e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    text = json_stringn(a.body.p ? a.body.p : "", a.body.len);
    if (!print_json(c, text)) {
        (void)fwrite(a.body.p, 1, a.body.len, stdout);
    }
    return 0;
}

int verb_module_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = own_path(c);
    SCOPED(freep) char *done = xasprintf("The module %s is gone.", cli_arg(c, 0));

    if (ask_sure(c, e, "Pipelines with the module %s will not run any more.", cli_arg(c, 0)) < 0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}
