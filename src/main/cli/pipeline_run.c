/* Runs of pipelines: begun, tried again, stopped. */
#include "main/cli/pipeline.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FAILED_STEP = 1, EXIT_CANCELLED = 130 };

bool pipeline_is_final(const char *state)
{
    return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0;
}

int pipeline_get_run(struct cli *c, const char *id, json_t **run, struct err *e)
{
    return client_call(c->client, "GET", NULL, run, e, "/api/v1/projects/%s/runs/%s",
                       url_segment(c->project), url_segment(id));
}

/* "epochs=5" */
int pipeline_read_params(struct cli *c, json_t *body, struct err *e)
{
    json_t *params = json_object();
    const char *given;

    (void)json_object_set_new(body, "params", params);
    for (size_t i = 0; (given = cli_option_nth(c, "param", i)); i++) {
        struct str value = str_of(given), name = str_cut(&value, '=');
        SCOPED(freep) char *key = str_dup(name);

        if (value.p == NULL || json_object_set_new(params, key, json_string(value.p)) < 0) {
            return err_set(e, ERR_INVALID, "--param is NAME=VALUE, not '%.60s'", given);
        }
    }
    return 0;
}

static json_t *new_run(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    const char *to = cli_option(c, "to"), *from = cli_option(c, "from");

    if (pipeline_read_params(c, body, e) < 0) {
        return NULL;
    }
    if (to) {
        (void)json_object_set_new(body, "to", json_string(to));
    }
    if (from) {
        (void)json_object_set_new(body, "from", json_string(from));
    }
    if (cli_option(c, "no-cache")) {
        (void)json_object_set_new(body, "cache", json_false());
    }
    return TAKE(body);
}

/* "a/churn.v2.yaml" is a file, and its pipeline is churn.v2. */
static char *name_of_file(const char *file)
{
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    const char *dot = strrchr(base, '.');
    bool is_suffix =
        dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);

    return str_dup(str_n(base, is_suffix ? (size_t)(dot - base) : strlen(base)));
}

static bool is_file(const char *arg)
{
    return strchr(arg, '/') != NULL || strcmp(arg, "-") == 0 ||
           str_ends(str_of(arg), STR(".yaml")) || str_ends(str_of(arg), STR(".yml")) ||
           str_ends(str_of(arg), STR(".json"));
}

int pipeline_begin(struct cli *c, const char *name, const json_t *body, json_t **run, struct err *e)
{
    SCOPED(freep) char *text = json_dumps(body, JSON_COMPACT);
    SCOPED(freep) char *at = pipeline_path(c, name);
    SCOPED(freep) char *path = xasprintf("%s/runs", at);

    return pipeline_send(c, "POST", path, "application/json", str_of(text), run, e);
}

static int start(struct cli *c, json_t **run, struct err *e)
{
    const char *arg = cli_arg(c, 0), *named = cli_option(c, "name");
    SCOPED(freep)
    char *name = named ? xstrdup(named) : is_file(arg) ? name_of_file(arg) : xstrdup(arg);
    SCOPED(json_decrefp) json_t *made = NULL;
    SCOPED(json_decrefp) json_t *body = new_run(c, e);

    if (strcmp(arg, "-") == 0 && named == NULL) {
        return err_set(e, ERR_INVALID, "a pipeline from standard input needs a name: --name NAME");
    }
    if (body == NULL || (is_file(arg) && pipeline_save(c, name, arg, &made, e) < 0)) {
        return -1;
    }
    return pipeline_begin(c, name, body, run, e);
}

/* What Ctrl-C says; made before, because a signal handler may only write. */
static char interrupted[400];

static void on_interrupt(int sig)
{
    (void)!write(STDERR_FILENO, interrupted, strlen(interrupted));
    _exit(128 + sig);
}

static enum follow_show how(const struct cli *c)
{
    return cli_option(c, "events") ? FOLLOW_EVENTS
           : c->json               ? FOLLOW_QUIET
           : cli_option(c, "logs") ? FOLLOW_LOGS
                                   : FOLLOW_BARS;
}

/* To the end, or with --detach only its number. */
static int go_on(struct cli *c, const json_t *begun, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;
    int64_t id = json_number(begun, "id");
    const char *state;

    if (cli_option(c, "detach")) {
        if (!print_json(c, begun)) {
            (void)printf("%lld\n", (long long)id);
        }
        return 0;
    }
    (void)snprintf(interrupted, sizeof(interrupted),
                   "\nRun %lld goes on. Stop it: strata pipeline cancel %lld -p %.100s\n",
                   (long long)id, (long long)id, c->project);
    (void)signal(SIGINT, on_interrupt);
    if (pipeline_follow(c, id, how(c), &run, e) < 0) {
        return -1;
    }
    state = json_text(run, "state");
    if (!cli_option(c, "events") && !print_json(c, run)) {
        (void)fprintf(stderr, "run %lld %s; what came out: strata pipeline show %lld -p %s\n",
                      (long long)id, state, (long long)id, shell_word(c->project));
        pipeline_print_errors(c, run);
    }
    c->exit_code = strcmp(state, "succeeded") == 0   ? 0
                   : strcmp(state, "cancelled") == 0 ? EXIT_CANCELLED
                                                     : EXIT_FAILED_STEP;
    return 0;
}

int verb_pipeline_run(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *begun = NULL;

    return start(c, &begun, e) < 0 ? -1 : go_on(c, begun, e);
}

int verb_pipeline_retry(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *begun = NULL;
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/runs/%s/retry", url_segment(c->project),
                           url_segment(cli_arg(c, 0)));

    return pipeline_send(c, "POST", path, NULL, STR_EMPTY, &begun, e) < 0 ? -1 : go_on(c, begun, e);
}

int verb_pipeline_cancel(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/runs/%s/cancel", url_segment(c->project),
                           url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Run %s is being stopped.", cli_arg(c, 0));

    return cli_change(c, "POST", NULL, path, done, e);
}
