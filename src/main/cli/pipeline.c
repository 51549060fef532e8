/* Pipelines from the command line: files in, files out, checked and run. */
#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 300, RETRY_SECONDS = 120, EXIT_CANCELLED = 130 };

static char *pipeline_path(const struct cli *c, const char *name)
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

static void show_mistakes(const json_t *mistakes)
{
    size_t i;
    const json_t *m;

    json_array_foreach(mistakes, i, m)
    {
        show_mistake(m);
    }
}

/* One request whose refusal may list mistakes. */
static int send(struct cli *c, const char *method, const char *path, const char *type,
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
        struct err ignored;
        SCOPED(json_decrefp) json_t *j = json_parse(buf_str(&a.body), &ignored);

        if (!c->json) {
            show_mistakes(json_object_get(json_object_get(j, "error"), "mistakes"));
        }
        return client_error(&a, e);
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

static char *version_path(const struct cli *c, const char *name, const char *version,
                          const char *query)
{
    SCOPED(freep) char *path = pipeline_path(c, name);

    return xasprintf("%s%s%s%s", path, version ? "/versions/" : "",
                     version ? url_segment(version) : "", query);
}

int verb_pipeline_get(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path =
        version_path(c, cli_arg(c, 0), cli_option(c, "version"), c->json ? "" : "?format=yaml");
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

static int put(struct cli *c, const char *name, const char *file, json_t **made, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_PIPELINE_BYTES);
    SCOPED(freep) char *path = pipeline_path(c, name);

    return read_file(file, &text, e) < 0
               ? -1
               : send(c, "PUT", path, "application/yaml", buf_str(&text), made, e);
}

int verb_pipeline_put(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *made = NULL;

    if (put(c, cli_arg(c, 0), cli_arg(c, 1), &made, e) < 0) {
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
        send(c, "POST", path, "application/yaml", buf_str(&text), &found, e) < 0) {
        return -1;
    }
    c->exit_code = json_is_true(json_object_get(found, "ok")) ? 0 : 1;
    if (print_json(c, found)) {
        return 0;
    }
    show_mistakes(json_object_get(found, "mistakes"));
    (void)printf(c->exit_code == 0 ? "%s: nothing is wrong.\n" : "%s: cannot run.\n",
                 cli_arg(c, 0));
    return 0;
}

/* --- what changed between two versions --- */

static void print_value(const json_t *v)
{
    SCOPED(freep)
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

    print_safe(stdout, str_of(text ? text : "-"));
}

/* Keys of `a` and then those of `b` alone, each once. */
static int diff_object(const char *where, const json_t *a, const json_t *b, bool is_nodes)
{
    const json_t *sides[] = {a, b};
    int n = 0;

    for (int i = 0; i < 2; i++) {
        for (void *it = json_object_iter((json_t *)sides[i]); it;
             it = json_object_iter_next((json_t *)sides[i], it)) {
            const char *key = json_object_iter_key(it);
            const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
            SCOPED(freep) char *at = xasprintf("%s%s%s", where, *where ? "." : "", key);

            if ((i == 1 && x) || (x && y && json_equal(x, y)) || strcmp(key, "at") == 0) {
                continue; /* told already, the same, or only moved in the picture */
            }
            if (x && y && json_is_object(x) && json_is_object(y)) {
                n += diff_object(at, x, y, strcmp(key, "nodes") == 0 && *where == '\0');
                continue;
            }
            n++;
            (void)fputs(x == NULL ? "+ " : y == NULL ? "- " : "~ ", stdout);
            print_safe(stdout, str_of(at));
            (void)fputs(": ", stdout);
            print_value(is_nodes && y == NULL ? json_object_get(x, "module") : x ? x : y);
            if (x && y) {
                (void)fputs(" -> ", stdout);
                print_value(y);
            }
            (void)fputc('\n', stdout);
        }
    }
    return n;
}

int verb_pipeline_diff(struct cli *c, struct err *e)
{
    SCOPED(freep) char *one = version_path(c, cli_arg(c, 0), cli_arg(c, 1), "");
    SCOPED(freep) char *two = version_path(c, cli_arg(c, 0), cli_arg(c, 2), "");
    SCOPED(json_decrefp) json_t *a = NULL;
    SCOPED(json_decrefp) json_t *b = NULL;

    if (client_json(c->client, "GET", str_of(one), NULL, &a, e) < 0 ||
        client_json(c->client, "GET", str_of(two), NULL, &b, e) < 0) {
        return -1;
    }
    if (c->json) {
        SCOPED(json_decrefp)
        json_t *both = json_pack("{s:O,s:O}", "a", json_object_get(a, "document"), "b",
                                 json_object_get(b, "document"));

        (void)print_json(c, both);
        return 0;
    }
    if (diff_object("", json_object_get(a, "document"), json_object_get(b, "document"), false) ==
        0) {
        (void)printf("Versions %lld and %lld say the same.\n", (long long)json_number(a, "version"),
                     (long long)json_number(b, "version"));
    }
    return 0;
}

/* --- running --- */

static bool is_final(const char *state)
{
    return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0;
}

/* A node that came to an end since the last look, as a line. */
static void print_node(const char *name, const json_t *node, bool on_terminal)
{
    const json_t *error = json_object_get(node, "error"), *cache = json_object_get(node, "cache");
    const json_t *metric;
    const char *key;

    (void)fprintf(stderr, "%s%-24.63s %-10s ", on_terminal ? "\r\033[K" : "", name,
                  json_text(node, "state"));
    if (json_is_object(error)) {
        print_safe(stderr, str_of(json_text(error, "message")));
    } else if (json_is_true(json_object_get(cache, "hit"))) {
        print_safe(stderr, str_of(json_text(cache, "why")));
        (void)fputs("  ", stderr);
    }
    json_object_foreach(json_object_get(node, "metrics"), key, metric)
    {
        print_safe(stderr, str_of(key));
        (void)fprintf(stderr, " %.4g  ", json_number_value(metric));
    }
    (void)fputc('\n', stderr);
}

struct watch {
    json_t *seen; /* name of a node -> its state */
    struct meter bar;
    bool quiet;
};

static void show(struct watch *w, const json_t *run)
{
    const json_t *nodes = json_object_get(run, "nodes"), *node;
    const char *name;

    if (w->quiet) {
        return;
    }
    json_object_foreach((json_t *)nodes, name, node)
    {
        const char *state = json_text(node, "state");
        const char *before = json_string_value(json_object_get(w->seen, name));
        bool ended = strcmp(state, "waiting") != 0 && strcmp(state, "queued") != 0 &&
                     strcmp(state, "running") != 0;

        if (ended && (before == NULL || strcmp(before, state) != 0)) {
            print_node(name, node, w->bar.on_terminal);
            (void)json_object_set_new(w->seen, name, json_string(state));
        } else if (strcmp(state, "running") == 0) {
            w->bar.what = name;
            meter_fraction(&w->bar, json_number_value(json_object_get(node, "done")),
                           json_text(node, "text"));
        }
    }
}

static int get_run(struct cli *c, int64_t id, json_t **run, struct err *e)
{
    return client_call(c->client, "GET", NULL, run, e, "/api/v1/projects/%s/runs/%lld",
                       url_segment(c->project), (long long)id);
}

/* Until the run has ended; a restart of the server in between only makes a pause. */
static int follow(struct cli *c, int64_t id, json_t **run, struct err *e)
{
    SCOPED(json_decrefp) json_t *seen = json_object();
    struct watch w = {.seen = seen, .quiet = c->json};
    int64_t lost_ms = 0;

    meter_begin(&w.bar, "");
    for (;;) {
        if (get_run(c, id, run, e) == 0) {
            lost_ms = 0;
            show(&w, *run);
            if (is_final(json_text(*run, "state"))) {
                return 0;
            }
            json_decref(*run);
            *run = NULL;
        } else if (e->kind != ERR_UNAVAILABLE && e->kind != ERR_TIMEOUT) {
            return -1;
        } else {
            lost_ms = lost_ms > 0 ? lost_ms : clock_mono_ms();
            if (clock_mono_ms() - lost_ms > RETRY_SECONDS * 1000) {
                return -1;
            }
        }
        (void)usleep(LOOK_MS * 1000);
    }
}

/* "epochs=5" */
static int read_params(struct cli *c, json_t *body, struct err *e)
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

    if (read_params(c, body, e) < 0) {
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

static int start(struct cli *c, json_t **run, struct err *e)
{
    const char *arg = cli_arg(c, 0), *named = cli_option(c, "name");
    SCOPED(freep)
    char *name = named ? xstrdup(named) : is_file(arg) ? name_of_file(arg) : xstrdup(arg);
    SCOPED(json_decrefp) json_t *made = NULL;
    SCOPED(json_decrefp) json_t *body = new_run(c, e);
    SCOPED(freep) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    SCOPED(freep) char *at = pipeline_path(c, name);
    SCOPED(freep) char *path = xasprintf("%s/runs", at);

    if (body == NULL || (is_file(arg) && put(c, name, arg, &made, e) < 0)) {
        return -1;
    }
    return send(c, "POST", path, "application/json", str_of(text), run, e);
}

static char interrupted[400];

static void on_interrupt(int sig)
{
    (void)!write(STDERR_FILENO, interrupted, strlen(interrupted));
    _exit(128 + sig);
}

int verb_pipeline_run(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;
    SCOPED(json_decrefp) json_t *begun = NULL;
    int64_t id;
    const char *state;

    if (start(c, &begun, e) < 0) {
        return -1;
    }
    id = json_number(begun, "id");
    (void)snprintf(interrupted, sizeof(interrupted),
                   "\nRun %lld goes on. Stop it: strata pipeline cancel %lld -p %.100s\n",
                   (long long)id, (long long)id, c->project);
    (void)signal(SIGINT, on_interrupt);
    if (cli_option(c, "detach")) {
        if (!print_json(c, begun)) {
            (void)printf("%lld\n", (long long)id);
        }
        return 0;
    }
    if (follow(c, id, &run, e) < 0) {
        return -1;
    }
    state = json_text(run, "state");
    if (!print_json(c, run)) {
        (void)fprintf(stderr, "run %lld %s\n", (long long)id, state);
    }
    c->exit_code = strcmp(state, "succeeded") == 0   ? 0
                   : strcmp(state, "cancelled") == 0 ? EXIT_CANCELLED
                                                     : 1;
    return 0;
}

int verb_pipeline_runs(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"RUN", "id", COLUMN_NUMBER},
                                            {"PIPELINE", "pipeline", COLUMN_TEXT},
                                            {"VERSION", "version", COLUMN_NUMBER},
                                            {"STATE", "state", COLUMN_TEXT},
                                            {"BY", "by", COLUMN_TEXT},
                                            {"AGE", "created_at", COLUMN_AGE}};
    const char *name = cli_arg(c, 0), *limit = cli_option(c, "limit");
    const char *state = cli_option(c, "state");
    SCOPED(freep) char *filter = filter_query(c);
    SCOPED(json_decrefp) json_t *page = NULL;

    if (client_call(c->client, "GET", NULL, &page, e,
                    "/api/v1/projects/%s/runs?limit=%s&pipeline=%s%s%s%s", url_segment(c->project),
                    limit ? url_segment(limit) : "50", name ? url_segment(name) : "", filter,
                    state ? "&state=" : "", state ? url_segment(state) : "") < 0) {
        return -1;
    }
    if (!print_json(c, json_object_get(page, "items"))) {
        table_print(json_object_get(page, "items"), columns, ARRAY_LEN(columns),
                    empty_text(c, "No runs yet: strata pipeline run NAME begins one."));
    }
    return 0;
}

int verb_pipeline_cancel(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/runs/%s/cancel", url_segment(c->project),
                           url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Run %s is being stopped.", cli_arg(c, 0));

    return cli_change(c, "POST", NULL, path, done, e);
}
