#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/yaml.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { RETRY_SECONDS = 120, EXIT_TIMEOUT = 124, EXIT_CANCELLED = 130 };

static bool is_final(const char *state)
{
    static const char *const final[] = {"succeeded", "failed", "cancelled", "lost"};

    for (size_t i = 0; i < ARRAY_LEN(final); i++) {
        if (strcmp(state, final[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The exit code of ours that stands for how a job ended (docs/manual). */
static int job_exit_code(const json_t *job)
{
    const json_t *exit = json_object_get(job, "exit");
    const char *kind = json_text(exit, "kind");
    const char *state = json_text(job, "state");
    int code = (int)json_number(exit, "code");

    if (strcmp(state, "succeeded") == 0) {
        return 0;
    }
    if (strcmp(state, "cancelled") == 0) {
        return EXIT_CANCELLED;
    }
    if (strcmp(kind, "timeout") == 0) {
        return EXIT_TIMEOUT;
    }
    if (strcmp(kind, "oom") == 0) {
        return 128 + SIGKILL;
    }
    if (strcmp(kind, "signal") == 0) {
        return 128 + code;
    }
    if (strcmp(kind, "exit") == 0 && code != 0) {
        return code;
    }
    return EX_SOFTWARE; /* lost, or it could not be started */
}

static int read_spec(struct cli *c, struct buf *text, struct err *e)
{
    const char *file = cli_option(c, "file") ? cli_option(c, "file") : cli_arg(c, 0);
    const struct yaml_node *root;
    SCOPED(arena_done) struct arena a = {0};

    if (file == NULL) {
        return err_set(e, ERR_INVALID, "which job? strata %s -f job.yaml", c->verb->words);
    }
    if (strcmp(file, "-") == 0) {
        file = "/dev/stdin";
    }
    if (fs_read(AT_FDCWD, file, text, e) < 0) {
        return -1;
    }
    root = yaml_parse(&a, buf_str(text), e);
    if (root == NULL) {
        return err_wrap(e, "%s", file);
    }
    if (c->project == NULL) {
        const struct yaml_node *project = yaml_get(root, "project");

        if (project && project->kind == YAML_SCALAR) {
            c->spec_project = str_dup(project->scalar);
            c->project = c->spec_project;
        }
    }
    if (c->project == NULL) {
        return err_set(e, ERR_INVALID, "which project? -p NAME, or 'project:' in the spec");
    }
    return 0;
}

/* A spec that is wrong: every mistake on a line of its own. Always -1. */
static int spec_error(const struct cli *c, const struct client_answer *a, struct err *e)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *j = json_parse(buf_str(&a->body), &ignored);
    const json_t *mistakes = json_object_get(json_object_get(j, "error"), "mistakes");
    size_t i;
    const json_t *m;

    if (c->json || json_array_size(mistakes) < 2) {
        return client_error(a, e);
    }
    json_array_foreach(mistakes, i, m)
    {
        if (json_number(m, "line") > 0) {
            (void)fprintf(stderr, "  line %-4lld ", (long long)json_number(m, "line"));
        } else {
            (void)fputs("            ", stderr);
        }
        print_safe(stderr, str_of(json_text(m, "key")));
        (void)fputs(json_text(m, "key")[0] ? ": " : "", stderr);
        print_safe(stderr, str_of(json_text(m, "message")));
        (void)fputc('\n', stderr);
    }
    return err_set(e, ERR_INVALID, "the job is not taken: mend the %zu lines above (request %s)",
                   json_array_size(mistakes), json_text(json_object_get(j, "error"), "request_id"));
}

static int submit(struct cli *c, json_t **job, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_SPEC_BYTES);
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(freep) char *path = NULL;

    if (read_spec(c, &text, e) < 0) {
        return -1;
    }
    path = xasprintf("/api/v1/projects/%s/jobs", url_segment(c->project));
    if (client_send(c->client,
                    &(struct client_request){.method = "POST",
                                             .path = str_of(path),
                                             .type = "application/yaml",
                                             .body = buf_str(&text)},
                    &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return spec_error(c, &a, e);
    }
    *job = json_parse(buf_str(&a.body), e);
    return *job ? 0 : -1;
}

static int get_job(struct cli *c, const char *id, json_t **job, struct err *e)
{
    return client_call(c->client, "GET", NULL, job, e, "/api/v1/projects/%s/jobs/%s",
                       url_segment(c->project), url_segment(id));
}

/* --- following a log --- */

struct follow {
    int64_t attempt;    /* where it begins; retries follow on */
    int64_t offset;     /* from there on */
    bool bars;          /* progress lines become a bar */
    bool is_for_people; /* lines for programs are left out */
    struct meter progress;
    struct buf line;
};

/* {"t":"progress","done":0.4,...}: docs/formats/progress.md. 1 when it was one. */
static bool take_progress(struct follow *f, struct str line)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *j = NULL;
    char note[96];

    if (!f->bars || !str_starts(line, STR("{\"t\":\"progress\""))) {
        return false;
    }
    j = json_parse(line, &ignored);
    if (!json_is_number(json_object_get(j, "done"))) {
        return false;
    }
    (void)snprintf(note, sizeof(note), "%.60s", json_text(j, "module"));
    f->progress.what = "training";
    meter_fraction(&f->progress, json_number_value(json_object_get(j, "done")), note);
    return true;
}

static void print_line(struct follow *f)
{
    if (!take_progress(f, buf_str(&f->line)) &&
        !(f->is_for_people && str_starts(buf_str(&f->line), STR("{\"t\":")))) {
        if (f->bars && f->progress.drawn_ms) {
            (void)fprintf(stderr, "\r\033[K");
            f->progress.drawn_ms = 0;
        }
        (void)fwrite(f->line.p, 1, f->line.len, stdout);
        (void)putchar('\n');
    }
    buf_clear(&f->line);
}

static int take_log(void *ctx, struct str bytes)
{
    struct follow *f = ctx;

    f->offset += (int64_t)bytes.len;
    if (!f->bars && !f->is_for_people) {
        (void)fwrite(bytes.p, 1, bytes.len, stdout);
        return fflush(stdout) == 0 ? 0 : -1;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] == '\n') {
            print_line(f);
        } else if (buf_add(&f->line, str_n(bytes.p + i, 1)) < 0) {
            print_line(f); /* a line without end: shown in pieces */
        }
    }
    return fflush(stdout) == 0 ? 0 : -1;
}

static int get_log(struct cli *c, const char *id, struct follow *f, const char *extra,
                   struct err *e)
{
    SCOPED(freep)
    char *which = f->attempt ? xasprintf("&attempt=%lld", (long long)f->attempt) : NULL;
    SCOPED(freep)
    char *path =
        xasprintf("/api/v1/projects/%s/jobs/%s/log?offset=%lld%s%s", url_segment(c->project),
                  url_segment(id), (long long)f->offset, extra, which ? which : "");
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (client_send(c->client,
                    &(struct client_request){
                        .method = "GET", .path = str_of(path), .sink = take_log, .ctx = f},
                    &a, e) < 0) {
        return -1;
    }
    return a.status >= 400 ? client_error(&a, e) : 0;
}

static int get_attempt(struct cli *c, const char *id, int64_t *attempt, struct err *e)
{
    SCOPED(json_decrefp) json_t *job = NULL;

    if (get_job(c, id, &job, e) < 0) {
        return -1;
    }
    *attempt = json_number(job, "attempt");
    return 0;
}

/* The log of a pipeline's node: a job of ours. */
static bool is_for_people(const struct cli *c)
{
    return !c->json && str_starts(str_of(c->verb->words), STR("pipeline "));
}

/* Until the job has ended and its last byte is shown. A restart of the server in between only makes
 * a pause: the log goes on where it was. With `quiet` nothing is shown. */
static int follow_job(struct cli *c, const char *id, int64_t attempt, bool quiet, json_t **job,
                      struct err *e)
{
    struct follow f = {.attempt = attempt,
                       .is_for_people = is_for_people(c),
                       .offset = quiet ? INT64_MAX / 2 : 0,
                       .bars = isatty(STDERR_FILENO) == 1 && !c->json,
                       .line = BUF_MAX(64 * 1024)};
    int64_t lost_ms = 0;
    int rc = 0;

    meter_begin(&f.progress, "");
    for (;;) {
        int64_t before = f.offset;
        int got = get_log(c, id, &f, "&follow=1", e);

        rc = got == 0 ? get_job(c, id, job, e) : -1;
        if (rc == 0 && is_final(json_text(*job, "state"))) {
            break;
        }
        if (rc == 0) {
            json_decref(*job);
            *job = NULL;
            lost_ms = 0;
        } else if (e->kind != ERR_UNAVAILABLE && e->kind != ERR_TIMEOUT) {
            break;
        }
        lost_ms = f.offset > before || lost_ms == 0 ? clock_mono_ms() : lost_ms;
        if (clock_mono_ms() - lost_ms > RETRY_SECONDS * 1000) {
            break;
        }
        (void)usleep(200 * 1000);
    }
    if (f.line.len > 0) {
        print_line(&f);
    }
    meter_end(&f.progress);
    buf_done(&f.line);
    return rc;
}

static void print_end(const json_t *job)
{
    const char *text = json_text(json_object_get(job, "exit"), "text");

    (void)fprintf(stderr, "%s %s: ", json_text(job, "id"), json_text(job, "state"));
    print_safe(stderr, str_of(text[0] ? text : json_text(job, "reason")));
    (void)fputc('\n', stderr);
}

static int follow_to_end(struct cli *c, const char *id, int64_t attempt, bool quiet, struct err *e)
{
    SCOPED(json_decrefp) json_t *job = NULL;

    if (follow_job(c, id, attempt, quiet, &job, e) < 0) {
        return -1;
    }
    if (!print_json(c, job)) {
        print_end(job);
    }
    c->exit_code = job_exit_code(job);
    return 0;
}

int verb_job_submit(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *job = NULL;

    if (submit(c, &job, e) < 0) {
        return -1;
    }
    if (!print_json(c, job)) {
        (void)printf("%s\n", json_text(job, "id"));
        (void)fprintf(stderr, "%s. Follow it: strata job logs -f -p %s %s\n",
                      json_text(job, "reason"), c->project, json_text(job, "id"));
    }
    return 0;
}

/* What Ctrl-C says; made before, because a signal handler may only write. */
static char interrupted[400];

static void on_interrupt(int sig)
{
    (void)!write(STDERR_FILENO, interrupted, strlen(interrupted));
    _exit(128 + sig);
}

/* Who waits may leave; the job does not. */
static void explain_interrupt(const struct cli *c, const char *id)
{
    (void)snprintf(interrupted, sizeof(interrupted),
                   "\n%s goes on. Follow it: strata job logs -f -p %.100s %s\n"
                   "Stop it: strata job cancel -p %.100s %s\n",
                   id, c->project, id, c->project, id);
    (void)signal(SIGINT, on_interrupt);
}

int verb_run(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *job = NULL;
    SCOPED(freep) char *id = NULL;

    if (submit(c, &job, e) < 0) {
        return -1;
    }
    id = xstrdup(json_text(job, "id"));
    explain_interrupt(c, id);
    (void)fprintf(stderr, "%s %s: ", id, json_text(job, "state"));
    print_safe(stderr, str_of(json_text(job, "reason")));
    (void)fputc('\n', stderr);
    return follow_to_end(c, id, 1, c->json, e);
}

int verb_job_wait(struct cli *c, struct err *e)
{
    int64_t attempt;

    return get_attempt(c, cli_arg(c, 0), &attempt, e) < 0
               ? -1
               : follow_to_end(c, cli_arg(c, 0), attempt, true, e);
}

int verb_job_logs(struct cli *c, struct err *e)
{
    const char *attempt = cli_option(c, "attempt");
    struct follow f = {.is_for_people = is_for_people(c), .line = BUF_MAX(64 * 1024)};
    uint64_t n = 0;
    int rc;

    if (attempt && (str_to_u64(str_of(attempt), &n) < 0 || n == 0 || n > INT32_MAX)) {
        return err_set(e, ERR_INVALID, "--attempt is a number from 1 on, not '%.40s'", attempt);
    }
    f.attempt = (int64_t)n;
    if (cli_option(c, "follow")) {
        SCOPED(json_decrefp) json_t *job = NULL;

        return f.attempt == 0 && get_attempt(c, cli_arg(c, 0), &f.attempt, e) < 0
                   ? -1
                   : follow_job(c, cli_arg(c, 0), f.attempt, false, &job, e);
    }
    rc = get_log(c, cli_arg(c, 0), &f, "", e);
    if (f.line.len > 0) {
        print_line(&f);
    }
    buf_done(&f.line);
    return rc;
}

int verb_job_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"ID", "id", COLUMN_TEXT},         {"NAME", "name", COLUMN_TEXT},
        {"STATE", "state", COLUMN_TEXT},   {"USER", "user", COLUMN_TEXT},
        {"CPU", "cpu_milli", COLUMN_CPU},  {"MEMORY", "memory_bytes", COLUMN_BYTES},
        {"AGE", "created_at", COLUMN_AGE}, {"REASON", "reason", COLUMN_TEXT}};
    const char *state = cli_option(c, "state");
    const char *limit = cli_option(c, "limit");
    SCOPED(freep) char *filter = filter_query(c);
    SCOPED(json_decrefp) json_t *page = NULL;

    if (client_call(c->client, "GET", NULL, &page, e, "/api/v1/projects/%s/jobs?limit=%s%s%s%s",
                    url_segment(c->project), limit ? url_segment(limit) : "50", filter,
                    state ? "&state=" : "", state ? url_segment(state) : "") < 0) {
        return -1;
    }
    if (!print_json(c, json_object_get(page, "items"))) {
        table_print(json_object_get(page, "items"), columns, ARRAY_LEN(columns),
                    state ? "No job is in that state."
                          : empty_text(c, "No jobs yet: strata run -f job.yaml runs one."));
    }
    return 0;
}

static void print_field(const char *name, const char *value)
{
    if (value[0]) {
        (void)printf("%-10s ", name);
        print_safe(stdout, str_of(value));
        (void)putchar('\n');
    }
}

static void print_job(const json_t *job)
{
    const json_t *history = json_object_get(job, "history");
    char size[16];
    size_t i;
    const json_t *h;

    print_field("job", json_text(job, "id"));
    print_field("name", json_text(job, "name"));
    print_field("project", json_text(job, "project"));
    print_field("user", json_text(job, "user"));
    print_field("image", json_text(job, "image"));
    print_field("digest", json_text(job, "digest"));
    print_field("state", json_text(job, "state"));
    print_field("reason", json_text(job, "reason"));
    if (strcmp(json_text(job, "reason"), json_text(json_object_get(job, "exit"), "text")) != 0) {
        print_field("exit", json_text(json_object_get(job, "exit"), "text"));
    }
    (void)printf("%-10s %g CPU, %s memory, %lld GPU\n", "asks for",
                 (double)json_number(job, "cpu_milli") / 1000,
                 str_format_bytes(json_number(job, "memory_bytes"), size),
                 (long long)json_number(job, "gpus"));
    if (json_object_get(job, "usage")) {
        const json_t *u = json_object_get(job, "usage");

        (void)printf("%-10s %.2f CPU seconds, memory peak %s\n", "used",
                     (double)json_number(u, "cpu_usec") / 1e6,
                     str_format_bytes(json_number(u, "memory_peak_bytes"), size));
    }
    (void)printf("%-10s %s\n", "log", str_format_bytes(json_number(job, "log_bytes"), size));
    json_array_foreach(history, i, h)
    {
        (void)printf("%-10s %s  %-10s ", i == 0 ? "history" : "", json_text(h, "at"),
                     json_text(h, "state"));
        print_safe(stdout, str_of(json_text(h, "reason")));
        (void)putchar('\n');
    }
}

int verb_job_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *job = NULL;

    if (get_job(c, cli_arg(c, 0), &job, e) < 0) {
        return -1;
    }
    if (!print_json(c, job)) {
        print_job(job);
    }
    return 0;
}

int verb_job_cancel(struct cli *c, struct err *e)
{
    for (size_t i = 0; i < c->args.len; i++) {
        SCOPED(json_decrefp) json_t *job = NULL;

        if (client_call(c->client, "POST", NULL, &job, e, "/api/v1/projects/%s/jobs/%s/cancel",
                        url_segment(c->project), url_segment(cli_arg(c, i))) < 0) {
            return -1;
        }
        if (!print_json(c, job)) {
            (void)printf("%s %s\n", cli_arg(c, i),
                         is_final(json_text(job, "state")) ? json_text(job, "state")
                                                           : "is being cancelled");
        }
    }
    return 0;
}

int verb_job_delete(struct cli *c, struct err *e)
{
    for (size_t i = 0; i < c->args.len; i++) {
        if (client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/jobs/%s",
                        url_segment(c->project), url_segment(cli_arg(c, i))) < 0) {
            return -1;
        }
        print_done(c, "%s is deleted.", cli_arg(c, i));
    }
    return 0;
}
