/* Runs of pipelines for people: listed, shown, compared, their logs. */
#include "main/cli/pipeline.h"

#include "base/clock.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 300 };

void pipeline_print_metrics(FILE *out, const json_t *node)
{
    const json_t *metric;
    const char *key;

    json_object_foreach(json_object_get(node, "metrics"), key, metric)
    {
        print_safe(out, str_of(key));
        (void)fprintf(out, " %.4g  ", json_number_value(metric));
    }
}

/* --- what mends it --- */

/* The server does it, mostly without a job that has a log. */
static bool is_import(const json_t *node)
{
    return str_starts(str_of(json_text(node, "module")), STR("import_"));
}

static void print_next_step(const struct cli *c, const char *kind, int64_t run, const char *node,
                            bool has_log)
{
    const char *p = shell_word(c->project);

    if (strcmp(kind, "words") == 0) {
        (void)fprintf(stderr, "  mend the step's parameters, save, and run the pipeline again\n");
    } else if (strcmp(kind, "data") == 0) {
        (void)fprintf(stderr, "  mend the data, then: strata pipeline retry %lld -p %s\n",
                      (long long)run, p);
    } else if (strcmp(kind, "memory") == 0) {
        (void)fprintf(stderr, "  give the step more memory, or put a sample in front of it;"
                              " save, and run the pipeline again\n");
    }
    if (has_log) {
        (void)fprintf(stderr, "  all it said: strata pipeline logs %lld %s -p %s\n", (long long)run,
                      shell_word(node), p);
    }
}

void pipeline_print_errors(const struct cli *c, const json_t *run)
{
    const json_t *node;
    const char *name;

    json_object_foreach(json_object_get(run, "nodes"), name, node)
    {
        const json_t *error = json_object_get(node, "error");

        if (json_is_object(error)) {
            (void)fprintf(stderr, "%s: ", name);
            print_safe(stderr, str_of(json_text(error, "message")));
            (void)fputc('\n', stderr);
            print_next_step(c, json_text(error, "kind"), json_number(run, "id"), name,
                            json_text(node, "job")[0] != '\0' && !is_import(node));
        }
    }
}

/* --- lists --- */

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

/* --- one --- */

static int64_t seconds_of(const char *when)
{
    struct tm tm = {0};

    return strptime(when, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : 0;
}

static void format_took(const json_t *what, char out[32])
{
    int64_t began = seconds_of(json_text(what, "started_at"));
    int64_t ended = seconds_of(json_text(what, "finished_at"));

    out[0] = '\0';
    if (began > 0) {
        (void)snprintf(out, 32, "%lld s",
                       (long long)((ended > 0 ? ended : clock_wall_ms() / 1000) - began));
    }
}

char *pipeline_params_text(const json_t *params)
{
    struct buf out = BUF_MAX(64 * KIB);
    const json_t *v;
    const char *key;

    json_object_foreach((json_t *)params, key, v)
    {
        (void)buf_printf(&out, "%s%s=%s", out.len > 0 ? " " : "", key, json_string_value(v));
    }
    return out.p ? out.p : xstrdup("");
}

static json_t *row_of_node(const char *name, const json_t *node)
{
    struct buf metrics = BUF_MAX(4 * KIB);
    char took[32];
    const json_t *m;
    const char *key;
    json_t *row;

    json_object_foreach(json_object_get(node, "metrics"), key, m)
    {
        (void)buf_printf(&metrics, "%s%s %.4g", metrics.len > 0 ? ", " : "", key,
                         json_number_value(m));
    }
    format_took(node, took);
    row = json_pack("{s:s,s:O,s:O,s:s,s:s,s:s}", "node", name, "module",
                    json_object_get(node, "module"), "state", json_object_get(node, "state"),
                    "took", took, "why", json_text(json_object_get(node, "cache"), "why"),
                    "metrics", metrics.p ? metrics.p : "");
    buf_done(&metrics);
    return row;
}

static void print_nodes(const json_t *nodes)
{
    static const struct column columns[] = {
        {"NODE", "node", COLUMN_TEXT},   {"MODULE", "module", COLUMN_TEXT},
        {"STATE", "state", COLUMN_TEXT}, {"TOOK", "took", COLUMN_TEXT},
        {"WHY", "why", COLUMN_TEXT},     {"METRICS", "metrics", COLUMN_WHOLE}};
    SCOPED(json_decrefp) json_t *rows = json_array();
    const json_t *node;
    const char *name;

    json_object_foreach((json_t *)nodes, name, node)
    {
        (void)json_array_append_new(rows, row_of_node(name, node));
    }
    table_print(rows, columns, ARRAY_LEN(columns), "The run has no nodes.");
}

static json_t *row_of_output(const char *node, const char *port, const json_t *o)
{
    SCOPED(freep) char *name = xasprintf("%s.%s", node, port);

    return json_pack("{s:s,s:O,s:O?,s:O?,s:O?,s:O?}", "output", name, "type",
                     json_object_get(o, "type"), "rows", json_object_get(o, "rows"), "columns",
                     json_object_get(o, "columns"), "bytes", json_object_get(o, "bytes"), "sha256",
                     json_object_get(o, "sha256"));
}

static void print_outputs(const json_t *nodes)
{
    static const struct column columns[] = {
        {"OUTPUT", "output", COLUMN_TEXT}, {"TYPE", "type", COLUMN_TEXT},
        {"ROWS", "rows", COLUMN_NUMBER},   {"COLUMNS", "columns", COLUMN_NUMBER},
        {"SIZE", "bytes", COLUMN_BYTES},   {"SHA256", "sha256", COLUMN_WHOLE}};
    SCOPED(json_decrefp) json_t *rows = json_array();
    const json_t *node, *o;
    const char *name, *port;

    json_object_foreach((json_t *)nodes, name, node)
    {
        json_object_foreach(json_object_get(node, "outputs"), port, o)
        {
            (void)json_array_append_new(rows, row_of_output(name, port, o));
        }
    }
    if (json_array_size(rows) > 0) {
        (void)putchar('\n');
        table_print(rows, columns, ARRAY_LEN(columns), "");
    }
}

int verb_pipeline_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;
    SCOPED(freep) char *params = NULL;
    char version[32], took[32];

    if (pipeline_get_run(c, cli_arg(c, 0), &run, e) < 0) {
        return -1;
    }
    if (print_json(c, run)) {
        return 0;
    }
    params = pipeline_params_text(json_object_get(run, "params"));
    (void)snprintf(version, sizeof(version), "%lld", (long long)json_number(run, "version"));
    format_took(run, took);
    print_facts((const char *const[]){"run",      cli_arg(c, 0),
                                      "pipeline", json_text(run, "pipeline"),
                                      "version",  version,
                                      "state",    json_text(run, "state"),
                                      "params",   params,
                                      "to",       json_text(run, "to"),
                                      "from",     json_text(run, "from"),
                                      "by",       json_text(run, "by"),
                                      "began",    json_text(run, "created_at"),
                                      "took",     took,
                                      NULL});
    (void)putchar('\n');
    print_nodes(json_object_get(run, "nodes"));
    print_outputs(json_object_get(run, "nodes"));
    (void)fflush(stdout);
    pipeline_print_errors(c, run);
    return 0;
}

/* --- two --- */

static void add_pair(json_t *rows, const char *what, const char *a, const char *b)
{
    (void)json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:s}", "what", what, "a", a, "b", b,
                                                "differs", strcmp(a, b) == 0 ? "" : "*"));
}

static void format_metric(const json_t *v, char out[32])
{
    out[0] = '\0';
    if (json_is_number(v)) {
        (void)snprintf(out, 32, "%.6g", json_number_value(v));
    }
}

/* State and metrics: those of one side, then those that only the other has. */
static void add_node(json_t *rows, const char *name, const json_t *pair)
{
    const json_t *a = json_object_get(pair, "a"), *b = json_object_get(pair, "b");
    const json_t *sides[] = {json_object_get(a, "metrics"), json_object_get(b, "metrics")};
    SCOPED(freep) char *state = xasprintf("%s state", name);
    const json_t *v;
    const char *key;

    add_pair(rows, state, json_text(a, "state"), json_text(b, "state"));
    for (int i = 0; i < 2; i++) {
        json_object_foreach((json_t *)sides[i], key, v)
        {
            SCOPED(freep) char *what = xasprintf("%s %s", name, key);
            char x[32], y[32];

            if (i == 0 || json_object_get(sides[0], key) == NULL) {
                format_metric(json_object_get(sides[0], key), x);
                format_metric(json_object_get(sides[1], key), y);
                add_pair(rows, what, x, y);
            }
        }
    }
}

int verb_pipeline_compare(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *both = NULL;
    SCOPED(json_decrefp) json_t *rows = json_array();
    const struct column columns[] = {{"", "what", COLUMN_TEXT},
                                     {cli_arg(c, 0), "a", COLUMN_TEXT},
                                     {cli_arg(c, 1), "b", COLUMN_TEXT},
                                     {"", "differs", COLUMN_TEXT}};
    const json_t *pair;
    const char *key;

    if (client_call(c->client, "GET", NULL, &both, e, "/api/v1/projects/%s/runs/compare?a=%s&b=%s",
                    url_segment(c->project), url_segment(cli_arg(c, 0)),
                    url_segment(cli_arg(c, 1))) < 0) {
        return -1;
    }
    if (print_json(c, both)) {
        return 0;
    }
    json_object_foreach(json_object_get(both, "params"), key, pair)
    {
        SCOPED(freep) char *what = xasprintf("param %s", key);

        add_pair(rows, what, json_text(pair, "a"), json_text(pair, "b"));
    }
    json_object_foreach(json_object_get(both, "nodes"), key, pair)
    {
        add_node(rows, key, pair);
    }
    table_print(rows, columns, ARRAY_LEN(columns), "Neither run has anything to compare.");
    return 0;
}

/* --- the log of a node: that of its job --- */

/* Into *run; with --follow once the step has begun. */
static int look_for_job(struct cli *c, const json_t **node, json_t **run, struct err *e)
{
    const char *name = cli_arg(c, 1);

    for (;;) {
        if (pipeline_get_run(c, cli_arg(c, 0), run, e) < 0) {
            return -1;
        }
        *node = json_object_get(json_object_get(*run, "nodes"), name);
        if (*node == NULL) {
            return err_set(e, ERR_NOT_FOUND, "run %s has no node '%.63s': strata pipeline show %s",
                           cli_arg(c, 0), name, cli_arg(c, 0));
        }
        if (cli_option(c, "follow") == NULL || json_text(*node, "job")[0] ||
            pipeline_is_final(json_text(*run, "state")) ||
            (strcmp(json_text(*node, "state"), "waiting") != 0 &&
             strcmp(json_text(*node, "state"), "queued") != 0)) {
            return 0;
        }
        json_decref(*run);
        *run = NULL;
        (void)usleep(LOOK_MS * 1000);
    }
}

int verb_pipeline_logs(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;
    const json_t *node = NULL;

    if (look_for_job(c, &node, &run, e) < 0) {
        return -1;
    }
    if (json_text(node, "job")[0] == '\0') {
        return err_set(e, ERR_NOT_FOUND, "'%.63s' is %s and has no log of its own: %.120s",
                       cli_arg(c, 1), json_text(node, "state"),
                       json_text(json_object_get(node, "cache"), "why"));
    }
    c->args.p[0] = json_text(node, "job");
    if (verb_job_logs(c, e) < 0) {
        return e->kind == ERR_NOT_FOUND && is_import(node)
                   ? err_set(e, ERR_NOT_FOUND,
                             "'%.63s' has no log: the server brought the data itself",
                             cli_arg(c, 1))
                   : -1;
    }
    return 0;
}
