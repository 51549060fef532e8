/* One module, tried and judged: as a pipeline of the project, or by strata-ml here. */
#include "main/cli/pipeline.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- here: becomes strata-ml, which lies beside this program (in a build folder, one folder down)
 * --- */

static int become_strata_ml(const struct cli *c, struct err *e)
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

/* --- what it is tried on goes to a volume --- */

static int put_bytes(struct cli *c, const char *name, struct str text, int fd, int64_t length,
                     struct err *e)
{
    SCOPED(freep) char *path = place_url(c, SAMPLE_VOLUME, "files", name);
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (client_send(c->client,
                    &(struct client_request){.method = "PUT",
                                             .path = str_of(path),
                                             .type = "application/octet-stream",
                                             .body = text,
                                             .body_fd = fd,
                                             .body_length = length},
                    &a, e) < 0) {
        return -1;
    }
    return a.status >= 400 ? client_error(&a, e) : 0;
}

static int put_file(struct cli *c, const char *name, const char *file, struct err *e)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC), rc;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = err_sys(e, "%s", file);
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        rc = err_set(e, ERR_INVALID, "%s: a file with a table is needed", file);
    } else {
        rc = put_bytes(c, name, (struct str){0}, fd, st.st_size, e);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static bool has_input(const json_t *module, struct str name)
{
    const json_t *port;
    size_t i;

    json_array_foreach(json_object_get(module, "inputs"), i, port)
    {
        if (str_eq_c(name, json_text(port, "name"))) {
            return true;
        }
    }
    return false;
}

static int put_files(struct cli *c, const json_t *module, struct err *e)
{
    SCOPED(json_decrefp) json_t *volume = json_pack("{s:s}", "name", SAMPLE_VOLUME);
    SCOPED(buf_done) struct buf csv = BUF_MAX(MIB);
    const char *given;

    if (client_call(c->client, "POST", volume, NULL, e, "/api/v1/projects/%s/volumes",
                    url_segment(c->project)) < 0 &&
        e->kind != ERR_CONFLICT) {
        return -1;
    }
    module_sample_csv(&csv);
    if (put_bytes(c, "sample.csv", buf_str(&csv), -1, 0, e) < 0) {
        return -1;
    }
    for (size_t i = 0; (given = cli_option_nth(c, "in", i)); i++) {
        struct str file = str_of(given), name = str_cut(&file, '=');
        SCOPED(freep) char *as = xasprintf("%.*s.csv", STR_ARG(name));

        if (file.p == NULL || !has_input(module, name)) {
            return err_set(e, ERR_INVALID,
                           "--in is PORT=FILE, and '%.60s' names no input: strata module describe",
                           given);
        }
        if (put_file(c, as, file.p, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- judging --- */

struct trial {
    struct cli *c;
    const json_t *module;
    json_t *verdicts; /* [{"what","ok","text"}] */
    char *pipeline;
    bool failed;
};

PRINTF_LIKE(4, 5)
static void judge(struct trial *t, const char *what, bool is_good, const char *fmt, ...)
{
    char text[300]; /* a port's name and a sentence of ours */
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->failed = t->failed || !is_good;
    (void)json_array_append_new(
        t->verdicts, json_pack("{s:s,s:b,s:s}", "what", what, "ok", is_good, "text", text));
    if (!t->c->json) {
        (void)printf("%-5s %-8s ", is_good ? "ok" : "WRONG", what);
        print_safe(stdout, str_of(text));
        (void)putchar('\n');
        (void)fflush(stdout);
    }
}

static const json_t *outputs_of(const json_t *answer)
{
    return json_object_get(json_object_get(json_object_get(answer, "nodes"), "tried"), "outputs");
}

/* Everything that is asked of it came, with the columns that were foretold. */
static void judge_outputs(struct trial *t, const json_t *foretold, const json_t *run)
{
    const json_t *port;
    size_t i;

    json_array_foreach(json_object_get(t->module, "outputs"), i, port)
    {
        const char *name = json_text(port, "name");
        const json_t *o = json_object_get(outputs_of(run), name);
        const json_t *told = json_object_get(outputs_of(foretold), name);
        int64_t columns = json_number(o, "columns");
        int64_t wanted = (int64_t)json_array_size(json_object_get(told, "columns"));

        judge(t, "output", json_number(o, "bytes") > 0, "%s: %lld bytes", name,
              (long long)json_number(o, "bytes"));
        if (strcmp(json_text(port, "type"), "table") == 0 && json_object_get(told, "columns") &&
            json_object_get(o, "columns") && !json_is_true(json_object_get(told, "open"))) {
            judge(t, "columns", columns == wanted, "%s: %lld, foretold were %lld", name,
                  (long long)columns, (long long)wanted);
        }
    }
}

static int run_once(struct trial *t, json_t **run, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:b}", "cache", false);
    SCOPED(json_decrefp) json_t *begun = NULL;

    return pipeline_begin(t->c, t->pipeline, body, &begun, e) < 0
               ? -1
               : pipeline_follow(t->c, json_number(begun, "id"), FOLLOW_QUIET, run, e);
}

/* One that cannot be the same again should say so; a container's manifest cannot. */
static void judge_again(struct trial *t, const json_t *a, const json_t *b)
{
    bool must = json_is_true(json_object_get(t->module, "deterministic"));
    const json_t *o;
    const char *port;

    json_object_foreach((json_t *)outputs_of(a), port, o)
    {
        bool same = strcmp(json_text(o, "sha256"),
                           json_text(json_object_get(outputs_of(b), port), "sha256")) == 0;

        judge(t, "again", same || !must, "%s: %s", port,
              same ? "the same bytes" : "other bytes: give it a seed, or set cache: false");
    }
}

static bool judge_run(struct trial *t, const json_t *run)
{
    bool is_good = strcmp(json_text(run, "state"), "succeeded") == 0;

    judge(t, "run", is_good, "%s", is_good ? "succeeded" : json_text(run, "state"));
    if (!is_good && !t->c->json) {
        (void)fflush(stdout);
        pipeline_print_errors(t->c, run);
    }
    return is_good;
}

static void forget_run(struct trial *t, const json_t *run)
{
    struct err ignored;

    (void)!client_call(t->c->client, "DELETE", NULL, NULL, &ignored,
                       "/api/v1/projects/%s/runs/%lld", url_segment(t->c->project),
                       (long long)json_number(run, "id"));
}

static int try_it(struct trial *t, const json_t *document, struct err *e)
{
    SCOPED(freep) char *text = json_dumps(document, JSON_COMPACT);
    SCOPED(freep) char *at = pipeline_path(t->c, t->pipeline);
    SCOPED(freep)
    char *check = xasprintf("/api/v1/projects/%s/pipelines/check", url_segment(t->c->project));
    SCOPED(json_decrefp) json_t *found = NULL;
    SCOPED(json_decrefp) json_t *saved = NULL;
    SCOPED(json_decrefp) json_t *first = NULL;
    SCOPED(json_decrefp) json_t *second = NULL;
    const char *json = "application/json";
    bool fits;

    if (pipeline_send(t->c, "POST", check, json, str_of(text), &found, e) < 0) {
        return -1;
    }
    fits = json_is_true(json_object_get(found, "ok"));
    judge(t, "words", fits, "%s", fits ? "nothing is wrong" : "see below: --param, --in mend it");
    if (!fits) {
        pipeline_show_mistakes(json_object_get(found, "mistakes"));
        return 0;
    }
    if (pipeline_send(t->c, "PUT", at, json, str_of(text), &saved, e) < 0 ||
        run_once(t, &first, e) < 0) {
        return -1;
    }
    if (!judge_run(t, first)) {
        return 0; /* it stays, with its logs */
    }
    judge_outputs(t, found, first);
    if (run_once(t, &second, e) < 0) {
        return -1;
    }
    if (judge_run(t, second)) {
        judge_again(t, first, second);
        forget_run(t, second);
    }
    forget_run(t, first);
    return 0;
}

static int test_on_server(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = NULL;
    SCOPED(json_decrefp) json_t *document = NULL;
    SCOPED(json_decrefp) json_t *verdicts = json_array();
    SCOPED(freep) char *name = xasprintf("test-%.50s", cli_arg(c, 0));
    struct trial t = {.c = c, .verdicts = verdicts, .pipeline = name};
    struct err ignored;
    int rc;

    if (module_get_all(c, &all, e) < 0 || (t.module = module_find(all, cli_arg(c, 0), e)) == NULL ||
        (document = module_sample_document(c, t.module, e)) == NULL ||
        put_files(c, t.module, e) < 0) {
        return -1;
    }
    rc = try_it(&t, document, e);
    (void)!client_call(c->client, "DELETE", NULL, NULL, &ignored,
                       "/api/v1/projects/%s/pipelines/%s", url_segment(c->project),
                       url_segment(name));
    (void)print_json(c, verdicts);
    c->exit_code = t.failed;
    return rc;
}

int verb_module_test(struct cli *c, struct err *e)
{
    if (c->args.len > 1) {
        return become_strata_ml(c, e);
    }
    if (c->project == NULL) {
        return err_set(e, ERR_INVALID,
                       "which project? -p NAME; or here, behind --, with the words of strata-ml");
    }
    return test_on_server(c, e);
}
