/* cli - the command line: one table of verbs, from which help, completion and the man page are
 * made.
 *
 *   main -> cli_main -> parse.c (words, options) -> verb->run -> client.c (HTTP) -> table.c
 * (output)
 *
 * One thread. Every verb takes --json and then prints one JSON value. */
#pragma once
#include "base/json.h"
#include "base/vec.h"

#include <stdio.h>

struct cli;
struct client;

struct cli_option {
    const char *name;  /* without the dashes */
    char letter;       /* or 0 */
    const char *value; /* placeholder; NULL: a flag */
    const char *help;
};

enum cli_flags {
    CLI_NEEDS_SERVER = 1, /* a client is made before run */
    CLI_NEEDS_PROJECT = 2,
};

struct cli_verb {
    const char *words; /* "job show" */
    const char *args;  /* "JOB", "[NAME]", "FILE...", "" */
    const char *summary;
    const char *detail;               /* more for help and man, with an example; or NULL */
    const struct cli_option *options; /* ends with a zero row; or NULL */
    int (*run)(struct cli *c, struct err *e);
    unsigned flags;
};

extern const struct cli_verb cli_verbs[]; /* ends with a zero row */
extern const struct cli_option cli_global_options[];

struct cli_given {
    const struct cli_option *option;
    const char *value; /* "" for a flag */
};

struct cli {
    const struct cli_verb *verb;
    VEC(const char *) args;
    VEC(struct cli_given) given;
    char **argv; /* of the process; NULL in strata-exporter */
    bool json;
    const char *project;
    char *spec_project; /* owned: where the job spec names it */
    struct client *client;
    int exit_code; /* of a verb that succeeded; `run` and `job wait` set the job's */
};

int cli_main(int argc, char **argv);

/* --- parse.c --- */
/* 0, or -1: *e says what is wrong and how it is meant. */
int cli_parse(struct cli *c, int argc, char **argv, struct err *e) MUST_USE;
const char *cli_option(const struct cli *c, const char *name); /* last value, or NULL */
/* The nth use of a repeatable option, or NULL. */
const char *cli_option_nth(const struct cli *c, const char *name, size_t n);
const char *cli_arg(const struct cli *c, size_t i); /* or NULL */

/* --- safe.c --- */
/* Text from outside for a terminal: control bytes are shown, not obeyed. */
void print_safe(FILE *out, struct str s);
/* Whether a terminal would obey something in it that is no control character of ASCII. */
bool steers_terminal(struct str s);
/* On standard error: a sentence, or JSON with --json. */
void cli_print_error(const struct cli *c, const struct err *e);

/* --- docs.c --- */
void cli_help(FILE *out, const struct cli_verb *verb);
void cli_help_group(FILE *out, struct str group); /* empty: everything */
void cli_man(FILE *out);
int cli_completion(FILE *out, const char *shell, struct err *e) MUST_USE;

/* --- client.c --- */
struct client *client_new(const char *server, const char *token, struct err *e) MUST_USE;
/* The name of a server as it is kept: "host:1/" is "http://host:1". free(3). */
char *client_base_url(const char *server);
void client_free(struct client *c);
/* From now on this user, and no token. */
void client_set_password(struct client *c, const char *user, const char *password);
const char *client_server(const struct client *c);

struct client_request {
    const char *method;
    struct str path;  /* encoded, from "/" on */
    const char *type; /* of the body, or NULL */
    struct str body;
    int body_fd; /* when body_length > 0 and body.p == NULL: streamed from here */
    int64_t body_length;
    /* Instead of body_fd: the next bytes of the body, at most n; -1 stops. ctx as below. */
    ssize_t (*source)(void *ctx, char *p, size_t n);
    const char *headers[4]; /* "Name: value", more */
    /* Bytes of a successful answer go here instead of into memory. -1 stops. */
    int (*sink)(void *ctx, struct str bytes);
    void (*progress)(void *ctx, int64_t done_bytes, int64_t total_bytes);
    void *ctx;
};
struct client_answer {
    int status;
    struct buf body;
    char location[1024];
    char upload_offset[24];
};
/* Any status comes back in *out; an error only when there was no answer. */
int client_send(struct client *c, const struct client_request *q, struct client_answer *out,
                struct err *e) MUST_USE;
void client_answer_done(struct client_answer *a);
/* The server's own sentence as *e, for a status >= 400. Always -1. */
int client_error(const struct client_answer *a, struct err *e);
/* JSON there and back; `body` may be NULL and is borrowed; `out` may be NULL. Status >= 400 is an
 * error. */
int client_json(struct client *c, const char *method, struct str path, const json_t *body,
                json_t **out, struct err *e) MUST_USE;
/* Printf-like path; %s arguments must be encoded with url_segment first. */
int client_call(struct client *c, const char *method, const json_t *body, json_t **out,
                struct err *e, const char *path_fmt, ...) PRINTF_LIKE(6, 7) MUST_USE;
const char *client_token(const struct client *c); /* or NULL */
/* Percent-encoded for one path segment ('/' too), or a whole relative path ('/' kept); in the arena
 * of the process (never freed: a CLI is short). */
const char *url_segment(const char *s);
const char *url_path(const char *s);

/* --- websocket.c --- */
struct websocket;
typedef void websocket_sink(void *ctx, struct str message); /* binary messages, whole */
/* Errors are the server's own sentences. */
struct websocket *websocket_open(const struct client *c, struct str path, const char *protocol,
                                 websocket_sink *sink, void *ctx, struct err *e) MUST_USE;
void websocket_close(struct websocket *w); /* cuts it */
DEFINE_SCOPED(struct websocket, websocket_close)
int websocket_fd(const struct websocket *w);
/* One binary message, sent by websocket_serve. */
void websocket_send(struct websocket *w, struct str message);
bool websocket_has_to_send(const struct websocket *w);
/* Moves what can be moved without waiting; held, nothing is taken from the server. 1: goes on; 0:
 * the server has closed it; -1: cut. */
enum websocket_intake { WEBSOCKET_TAKES, WEBSOCKET_HOLDS };
int websocket_serve(struct websocket *w, enum websocket_intake intake, struct err *e) MUST_USE;
const char *websocket_close_reason(const struct websocket *w); /* or "" */

/* --- ask.c --- */
/* `out` receives the text without the end of its line; the caller wipes it. At a terminal nothing
 * is echoed; else it is the next line of standard input. */
int ask_password(struct cli *c, struct buf *out, struct err *e) MUST_USE;
int ask_old_password(struct buf *out, struct err *e) MUST_USE;
int ask_new_password(struct buf *out, struct err *e) MUST_USE; /* at a terminal: twice */
int ask_secret(struct buf *out, struct err *e) MUST_USE;       /* all of standard input */
/* One line, shown; -1: no terminal, or nothing was typed. */
int ask_text(const char *prompt, char *out, size_t size) MUST_USE;
/* Before something is gone for good: at a terminal without --yes. -1: not sure. */
int ask_sure(struct cli *c, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

/* --- credentials.c --- */
/* ~/.config/strata/credentials.json, 0600. `server` NULL: the one used last. */
void credentials_load(const char *server, char **found_server, char **token);
int credentials_save(const char *server, const char *token, int64_t id, struct err *e) MUST_USE;
/* *id: of the token, to revoke it; 0 when none is kept. */
int credentials_forget(const char *server, int64_t *id, struct err *e) MUST_USE;

/* --- table.c --- */
/* WHOLE: text that is not cut, for the last column */
enum column_kind {
    COLUMN_TEXT,
    COLUMN_BYTES,
    COLUMN_CPU,
    COLUMN_AGE,
    COLUMN_NUMBER,
    COLUMN_YES,
    COLUMN_WHOLE
};
struct column {
    const char *title;
    const char *key; /* dotted: "exit.text" */
    enum column_kind kind;
};
/* `empty`: what to say (and do first) when there are no rows. */
void table_print(const json_t *items, const struct column *columns, size_t n, const char *empty);
/* Prints `value` as JSON with --json; true when it did. */
bool print_json(const struct cli *c, const json_t *value);
/* What was done: a sentence, or {"done": true} with --json. */
void print_done(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A line of bars, NaN a gap: between `least` and `most`. */
void print_chart(const double *values, size_t n, double least, double most);
/* An object of texts: key, value, ..., NULL. Also where a value is no UTF-8. */
void print_pairs(const char *const *pairs);
/* The same for people: a line each, what is empty left out. */
void print_facts(const char *const *pairs);
/* A name from outside as one word of a command that people copy: quoted where a shell would read
 * something into it, without control bytes; "NAME" for one that is too long to be any here, or
 * would be an option. In the arena of the process, as url_segment. */
const char *shell_word(const char *s);
const char *json_text(const json_t *obj, const char *key); /* "" when missing */
int64_t json_number(const json_t *obj, const char *key);   /* 0 when missing */
/* "&q=..." of --filter, or ""; the caller frees it. */
char *filter_query(const struct cli *c);
/* What to say when a list is empty: `text`, unless there is a filter. */
const char *empty_text(const struct cli *c, const char *text);
/* "a,b" as a JSON array. */
json_t *json_words(const char *text);
/* GET of a whole list, with --filter: follows `next`. The caller owns it. */
int list_all(struct cli *c, struct str path, json_t **items, struct err *e) MUST_USE;

/* --- progress.c --- */
/* A bar on standard error: only on a terminal, and redrawn at most ten times a second; without a
 * terminal one line at the end. */
struct meter {
    const char *what;
    int64_t began_ms, drawn_ms, base_bytes;
    bool on_terminal, in_bytes;
};
void meter_begin(struct meter *p, const char *what);
void meter_bytes(void *progress, int64_t done, int64_t total);
void meter_fraction(struct meter *p, double fraction, const char *note);
void meter_end(struct meter *p);

/* --- what several verbs do; admin.c, login.c --- */
/* A change without an answer to show, and the sentence that says it was made. */
int cli_change(struct cli *c, const char *method, const json_t *body, const char *path,
               const char *done, struct err *e) MUST_USE;
/* A list as a table or as JSON. */
int cli_show_list(struct cli *c, struct str path, const struct column *columns, size_t n,
                  const char *empty, struct err *e) MUST_USE;
/* "yes" or "no" of an option, set in `body` under `key` when it is given. */
int cli_set_flag(struct cli *c, const char *option, json_t *body, const char *key,
                 struct err *e) MUST_USE;
/* --expires in seconds, or `def`; 0: never. */
int cli_expiry(struct cli *c, const char *def, int64_t *sec, struct err *e) MUST_USE;

/* What a robot may, a line for each project. */
void cli_print_grants(const json_t *grants);

/* --- verbs, by file --- */
/* metrics.c */
int verb_query(struct cli *c, struct err *e);
int verb_metrics_targets(struct cli *c, struct err *e);
int verb_metrics_analyze(struct cli *c, struct err *e);
int verb_metrics_delete(struct cli *c, struct err *e);
int verb_metrics_import(struct cli *c, struct err *e);
int verb_metrics_snapshot(struct cli *c, struct err *e);
/* host.c */
int verb_up(struct cli *c, struct err *e);
int verb_doctor(struct cli *c, struct err *e);
int verb_config(struct cli *c, struct err *e);
int verb_version(struct cli *c, struct err *e);
int verb_help(struct cli *c, struct err *e);
int verb_man(struct cli *c, struct err *e);
int verb_completion(struct cli *c, struct err *e);
int verb_debug_routes(struct cli *c, struct err *e);
int verb_debug_openapi(struct cli *c, struct err *e);
/* login.c */
int verb_login(struct cli *c, struct err *e);
int verb_logout(struct cli *c, struct err *e);
int verb_whoami(struct cli *c, struct err *e);
int verb_token_create(struct cli *c, struct err *e);
int verb_token_list(struct cli *c, struct err *e);
int verb_token_delete(struct cli *c, struct err *e);
/* admin.c */
int verb_user_create(struct cli *c, struct err *e);
int verb_user_list(struct cli *c, struct err *e);
int verb_user_set(struct cli *c, struct err *e);
int verb_user_delete(struct cli *c, struct err *e);
int verb_user_password(struct cli *c, struct err *e);
int verb_project_create(struct cli *c, struct err *e);
int verb_project_list(struct cli *c, struct err *e);
int verb_project_set(struct cli *c, struct err *e);
int verb_project_logo(struct cli *c, struct err *e);
int verb_project_delete(struct cli *c, struct err *e);
int verb_project_members(struct cli *c, struct err *e);
int verb_project_grant(struct cli *c, struct err *e);
int verb_project_revoke(struct cli *c, struct err *e);
/* group.c */
int verb_group_create(struct cli *c, struct err *e);
int verb_group_list(struct cli *c, struct err *e);
int verb_group_show(struct cli *c, struct err *e);
int verb_group_set(struct cli *c, struct err *e);
int verb_group_delete(struct cli *c, struct err *e);
int verb_group_add(struct cli *c, struct err *e);
int verb_group_remove(struct cli *c, struct err *e);
/* robot.c */
int verb_robot_create(struct cli *c, struct err *e);
int verb_robot_list(struct cli *c, struct err *e);
int verb_robot_show(struct cli *c, struct err *e);
int verb_robot_set(struct cli *c, struct err *e);
int verb_robot_rotate(struct cli *c, struct err *e);
int verb_robot_delete(struct cli *c, struct err *e);
/* admin.c */
int verb_secret_set(struct cli *c, struct err *e);
int verb_secret_list(struct cli *c, struct err *e);
int verb_secret_delete(struct cli *c, struct err *e);
/* server.c */
int verb_server_health(struct cli *c, struct err *e);
int verb_server_settings(struct cli *c, struct err *e);
int verb_role_list(struct cli *c, struct err *e);
int verb_audit(struct cli *c, struct err *e);
int verb_audit_export(struct cli *c, struct err *e);
int verb_node_list(struct cli *c, struct err *e);
/* exporter.c */
extern const struct cli_option exporter_options[];
int verb_exporter(struct cli *c, struct err *e);
/* image.c */
int verb_image_push(struct cli *c, struct err *e);
/* label.c */
int verb_label_list(struct cli *c, struct err *e);
int verb_label_create(struct cli *c, struct err *e);
int verb_label_set(struct cli *c, struct err *e);
int verb_label_delete(struct cli *c, struct err *e);
int verb_image_label_list(struct cli *c, struct err *e);
int verb_image_label_add(struct cli *c, struct err *e);
int verb_image_label_remove(struct cli *c, struct err *e);
/* trash.c */
int verb_trash_list(struct cli *c, struct err *e);
int verb_trash_restore(struct cli *c, struct err *e);
int verb_trash_delete(struct cli *c, struct err *e);
int verb_trash_empty(struct cli *c, struct err *e);

/* image_list.c */
int verb_image_list(struct cli *c, struct err *e);
int verb_image_show(struct cli *c, struct err *e);
int verb_image_delete(struct cli *c, struct err *e);
/* image_tree.c */
int verb_image_tree(struct cli *c, struct err *e);
int verb_image_inspect(struct cli *c, struct err *e);
/* image_export.c */
int verb_image_pull(struct cli *c, struct err *e);
int verb_image_export(struct cli *c, struct err *e);
/* image_import.c */
int verb_image_import(struct cli *c, struct err *e);
/* A repository is named with its project, as everywhere, or within the one of -p: the rest of the
 * name, and c->project is set. */
const char *image_within_project(struct cli *c, const char *name, struct err *e) MUST_USE;
/* trust.c */
/* "demo/app:1" or "demo/app@sha256:..." -> "/api/v1/projects/demo/repositories/app/artifacts/1".
 * free(3). */
char *image_url(struct cli *c, const char *name, struct err *e) MUST_USE;
int verb_image_signatures(struct cli *c, struct err *e);
int verb_image_vulnerabilities(struct cli *c, struct err *e);
int verb_image_scan(struct cli *c, struct err *e);
int verb_key_add(struct cli *c, struct err *e);
int verb_key_list(struct cli *c, struct err *e);
int verb_key_delete(struct cli *c, struct err *e);
int verb_trust_show(struct cli *c, struct err *e);
int verb_trust_set(struct cli *c, struct err *e);
int verb_scanner_add(struct cli *c, struct err *e);
int verb_scanner_list(struct cli *c, struct err *e);
int verb_scanner_ping(struct cli *c, struct err *e);
int verb_scanner_delete(struct cli *c, struct err *e);
/* image_copy.c */
int verb_image_copy(struct cli *c, struct err *e);
/* migrate.c */
int verb_image_migrate(struct cli *c, struct err *e);
/* replication.c */
int verb_registry_add(struct cli *c, struct err *e);
int verb_registry_list(struct cli *c, struct err *e);
int verb_registry_set(struct cli *c, struct err *e);
int verb_registry_delete(struct cli *c, struct err *e);
int verb_registry_ping(struct cli *c, struct err *e);
int verb_rule_create(struct cli *c, struct err *e);
int verb_rule_list(struct cli *c, struct err *e);
int verb_rule_show(struct cli *c, struct err *e);
int verb_rule_set(struct cli *c, struct err *e);
int verb_rule_delete(struct cli *c, struct err *e);
int verb_replicate(struct cli *c, struct err *e);
int verb_replication_runs(struct cli *c, struct err *e);
int verb_replication_run(struct cli *c, struct err *e);
int verb_replication_stop(struct cli *c, struct err *e);
/* fsck.c */
int verb_registry_storage(struct cli *c, struct err *e);
int verb_registry_collect(struct cli *c, struct err *e);
int verb_registry_fsck(struct cli *c, struct err *e);
/* policy.c */
int verb_quota_show(struct cli *c, struct err *e);
int verb_quota_set(struct cli *c, struct err *e);
int verb_immutable_add(struct cli *c, struct err *e);
int verb_immutable_list(struct cli *c, struct err *e);
int verb_immutable_delete(struct cli *c, struct err *e);
int verb_retention_show(struct cli *c, struct err *e);
int verb_retention_add(struct cli *c, struct err *e);
int verb_retention_delete(struct cli *c, struct err *e);
int verb_retention_set(struct cli *c, struct err *e);
int verb_retention_run(struct cli *c, struct err *e);
int verb_retention_runs(struct cli *c, struct err *e);
int verb_retention_log(struct cli *c, struct err *e);
/* volume.c */
int verb_volume_create(struct cli *c, struct err *e);
int verb_volume_list(struct cli *c, struct err *e);
int verb_volume_delete(struct cli *c, struct err *e);
int verb_data_list(struct cli *c, struct err *e);
int verb_data_put(struct cli *c, struct err *e);
int verb_data_mkdir(struct cli *c, struct err *e);
int verb_data_move(struct cli *c, struct err *e);
int verb_data_delete(struct cli *c, struct err *e);
/* "volume/path/in/it" -> its two halves; path may be empty. */
int place_split(const char *place, char **volume, const char **path, struct err *e) MUST_USE;
/* "/api/v1/projects/P/volumes/V/<what>[/path]"; the caller frees it. */
char *place_url(const struct cli *c, const char *volume, const char *what, const char *path);
/* get.c */
int verb_data_get(struct cli *c, struct err *e);
/* job.c */
int verb_job_submit(struct cli *c, struct err *e);
int verb_run(struct cli *c, struct err *e);
int verb_job_list(struct cli *c, struct err *e);
int verb_job_show(struct cli *c, struct err *e);
int verb_job_logs(struct cli *c, struct err *e);
int verb_job_wait(struct cli *c, struct err *e);
int verb_job_cancel(struct cli *c, struct err *e);
int verb_job_delete(struct cli *c, struct err *e);
/* pipeline.c */
int verb_pipeline_list(struct cli *c, struct err *e);
int verb_pipeline_get(struct cli *c, struct err *e);
int verb_pipeline_put(struct cli *c, struct err *e);
int verb_pipeline_check(struct cli *c, struct err *e);
int verb_pipeline_versions(struct cli *c, struct err *e);
int verb_pipeline_delete(struct cli *c, struct err *e);
/* pipeline_diff.c */
int verb_pipeline_diff(struct cli *c, struct err *e);
/* pipeline_run.c */
int verb_pipeline_run(struct cli *c, struct err *e);
int verb_pipeline_retry(struct cli *c, struct err *e);
int verb_pipeline_cancel(struct cli *c, struct err *e);
/* pipeline_show.c */
int verb_pipeline_runs(struct cli *c, struct err *e);
int verb_pipeline_show(struct cli *c, struct err *e);
int verb_pipeline_compare(struct cli *c, struct err *e);
int verb_pipeline_logs(struct cli *c, struct err *e);
/* pipeline_schedule.c */
int verb_pipeline_schedule_set(struct cli *c, struct err *e);
int verb_pipeline_schedule_show(struct cli *c, struct err *e);
int verb_pipeline_schedule_delete(struct cli *c, struct err *e);
/* module.c */
int verb_module_list(struct cli *c, struct err *e);
int verb_module_describe(struct cli *c, struct err *e);
int verb_module_add(struct cli *c, struct err *e);
int verb_module_show(struct cli *c, struct err *e);
int verb_module_delete(struct cli *c, struct err *e);
/* module_trial.c */
int verb_module_test(struct cli *c, struct err *e);
/* job_files.c */
int verb_job_files(struct cli *c, struct err *e);
/* exec.c */
int verb_job_exec(struct cli *c, struct err *e);
/* webhook.c */
int verb_webhook_create(struct cli *c, struct err *e);
int verb_webhook_list(struct cli *c, struct err *e);
int verb_webhook_show(struct cli *c, struct err *e);
int verb_webhook_set(struct cli *c, struct err *e);
int verb_webhook_delete(struct cli *c, struct err *e);
int verb_webhook_trust(struct cli *c, struct err *e);
int verb_webhook_ping(struct cli *c, struct err *e);
int verb_webhook_log(struct cli *c, struct err *e);
int verb_webhook_redeliver(struct cli *c, struct err *e);
/* metrics_config.c */
int verb_metrics_check_config(struct cli *c, struct err *e);
/* metrics_rules.c */
/* What else than mistakes is looked for: --lint, of which `known` are the ones that there are. With
 * --lint-fatal the program ends with LINT_EXIT, as promtool, where there is any. */
enum { LINT_DUPLICATES = 1, LINT_INTERVALS = 2, LINT_EXIT = 3 };
int lints_of(const struct cli *c, unsigned known, unsigned *out, struct err *e) MUST_USE;
json_t *mistakes_json(const struct err_list *l);
void print_mistakes(const struct err_list *l);
/* One file of them, told as `all` wants it: 1 when it has mistakes. */
int check_rule_file(const struct cli *c, const char *path, unsigned lints, json_t *all,
                    struct err *e) MUST_USE;
int verb_metrics_check_rules(struct cli *c, struct err *e);
int verb_metrics_test(struct cli *c, struct err *e);
/* usage.c */
int verb_job_usage(struct cli *c, struct err *e);
