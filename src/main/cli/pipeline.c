/* Pipelines from the command line: files in, files out, checked. */
#include "main/cli/pipeline.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

char *pipeline_path(const struct cli *c, const char *name)
{
    return xasprintf("/api/v1/projects/%s/pipelines/%s", url_segment(c->project),
                     url_segment(name));
}

static int read_file(const char *file, struct buf *text, struct err *e)
{
    return fs_read(AT_FDCWD, strcmp(file, "-") == 0 ? "/dev/stdin" : file, text, e);
}

/* --- what is wrong: a line each --- */

static void show_mistake(const json_t *m)
{
    const char *parts[] = {json_text(m, "node"), json_text(m, "port"), json_text(m, "param"),
                           json_text(m, "column"), json_text(m, "key")};
    const char *sep = "";

    (void)fputs("  ", stderr);
    if (json_number(m, "line") > 0) {
        (void)fprintf(stderr, "line %lld ", (long long)json_number(m, "line"));
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i][0]) {
            (void)fputs(sep, stderr);
            print_safe(stderr, str_of(parts[i]));
            sep = " ";
        }
    }
    (void)fputs(": ", stderr);
    print_safe(stderr, str_of(json_text(m, "message")));
    if (json_text(json_object_get(m, "fix"), "text")[0]) {
        (void)fputs(" - ", stderr);
        print_safe(stderr, str_of(json_text(json_object_get(m, "fix"), "text")));
    }
    (void)fputc('\n', stderr);
}

void pipeline_show_mistakes(const json_t *mistakes)
{
    size_t i;
    const json_t *m;

    json_array_foreach(mistakes, i, m)
    {
        show_mistake(m);
    }
}

/* Mistakes are told once: the sentence of the answer has the first of them too. Always -1. */
static int refusal(const struct cli *c, const struct client_answer *a, struct err *e)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *j = json_parse(buf_str(&a->body), &ignored);
    const json_t *error = json_object_get(j, "error"),
                 *mistakes = json_object_get(error, "mistakes");
    size_t n = json_array_size(mistakes);

    (void)client_error(a, e);
    if (c->json || n == 0) {
        return -1;
    }
    pipeline_show_mistakes(mistakes);
    return n == 1
               ? err_set(e, e->kind, "the pipeline is not taken: mend the line above (request %s)",
                         json_text(error, "request_id"))
               : err_set(e, e->kind,
                         "the pipeline is not taken: mend the %zu lines above (request %s)", n,
                         json_text(error, "request_id"));
}

/* One request whose refusal may list mistakes. */
int pipeline_send(struct cli *c, const char *method, const char *path, const char *type,
                  struct str body, json_t **out, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (client_send(c->client,
                    &(struct client_request){
                        .method = method, .path = str_of(path), .type = type, .body = body},
                    &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return refusal(c, &a, e);
    }
    *out = json_parse(buf_str(&a.body), e);
    return *out ? 0 : -1;
}

/* --- documents --- */

int verb_pipeline_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"VERSION", "version", COLUMN_NUMBER},
                                            {"LAST RUN", "last_run.state", COLUMN_TEXT},
                                            {"CHANGED", "updated_at", COLUMN_AGE},
                                            {"BY", "updated_by", COLUMN_TEXT}};
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/pipelines", url_segment(c->project));

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                         "No pipelines yet: strata pipeline put NAME FILE brings one.", e);
}

char *pipeline_version_path(const struct cli *c, const char *name, const char *version,
                            const char *query)
{
    SCOPED(freep) char *path = pipeline_path(c, name);

    return xasprintf("%s%s%s%s", path, version ? "/versions/" : "",
                     version ? url_segment(version) : "", query);
}

int verb_pipeline_get(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path = pipeline_version_path(c, cli_arg(c, 0), cli_option(c, "version"),
                                       c->json ? "" : "?format=yaml");
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(json_decrefp) json_t *j = NULL;

    if (client_send(c->client, &(struct client_request){.method = "GET", .path = str_of(path)}, &a,
                    e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    if (c->json) {
        j = json_parse(buf_str(&a.body), e);
        return j ? (print_json(c, j), 0) : -1;
    }
    (void)fwrite(a.body.p, 1, a.body.len, stdout);
    return 0;
}

int pipeline_save(struct cli *c, const char *name, const char *file, json_t **made, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_PIPELINE_BYTES);
    SCOPED(freep) char *path = pipeline_path(c, name);

    return read_file(file, &text, e) < 0
               ? -1
               : pipeline_send(c, "PUT", path, "application/yaml", buf_str(&text), made, e);
}

int verb_pipeline_put(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *made = NULL;

    if (pipeline_save(c, cli_arg(c, 0), cli_arg(c, 1), &made, e) < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("Pipeline %s is at version %lld. Run it: strata pipeline run %s -p %s\n",
                     cli_arg(c, 0), (long long)json_number(made, "version"), cli_arg(c, 0),
                     c->project);
    }
    return 0;
}

int verb_pipeline_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = pipeline_path(c, cli_arg(c, 0));
    SCOPED(freep) char *done = xasprintf("Pipeline %s is deleted.", cli_arg(c, 0));

    if (ask_sure(c, e, "Pipeline %s goes with all its versions; its runs stay.", cli_arg(c, 0)) <
        0) {
        return -1;
    }
    return cli_change(c, "DELETE", NULL, path, done, e);
}

int verb_pipeline_check(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_PIPELINE_BYTES);
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/pipelines/check", url_segment(c->project));
    SCOPED(json_decrefp) json_t *found = NULL;

    if (read_file(cli_arg(c, 0), &text, e) < 0 ||
        pipeline_send(c, "POST", path, "application/yaml", buf_str(&text), &found, e) < 0) {
        return -1;
    }
    c->exit_code = json_is_true(json_object_get(found, "ok")) ? 0 : 1;
    if (print_json(c, found)) {
        return 0;
    }
    pipeline_show_mistakes(json_object_get(found, "mistakes"));
    (void)printf(c->exit_code == 0 ? "%s: nothing is wrong.\n" : "%s: cannot run.\n",
                 cli_arg(c, 0));
    return 0;
}

int verb_pipeline_versions(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"VERSION", "version", COLUMN_NUMBER},
                                            {"AGE", "updated_at", COLUMN_AGE},
                                            {"BY", "updated_by", COLUMN_TEXT}};
    SCOPED(freep) char *at = pipeline_path(c, cli_arg(c, 0));
    SCOPED(freep) char *path = xasprintf("%s/versions", at);

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns), "No versions.", e);
}
