/* Other registries, and the rules and runs of replication. */
#include "main/cli/cli.h"

#include "base/fs.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- options into JSON --- */

enum form { FORM_TEXT, FORM_YES, FORM_NUMBER, FORM_BYTES, FORM_LIST };

struct field {
    const char *option, *key;
    enum form form;
};

static int set_field(struct cli *c, const struct field *f, json_t *body, struct err *e)
{
    const char *value = cli_option(c, f->option);
    int64_t bytes;
    uint64_t n;

    if (value == NULL) {
        return 0;
    }
    switch (f->form) {
    case FORM_YES:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
            return err_set(e, ERR_INVALID, "--%s is yes or no, not '%.40s'", f->option, value);
        }
        return json_object_set_new(body, f->key, json_boolean(value[0] == 'y'));
    case FORM_NUMBER:
        if (str_to_u64(str_of(value), &n) < 0 || n > INT32_MAX) {
            return err_set(e, ERR_INVALID, "--%s is a number, not '%.40s'", f->option, value);
        }
        return json_object_set_new(body, f->key, json_integer((json_int_t)n));
    case FORM_BYTES:
        if (str_parse_bytes(str_of(value), &bytes, e) < 0) {
            return err_wrap(e, "--%s", f->option);
        }
        return json_object_set_new(body, f->key, json_integer(bytes));
    case FORM_LIST:
        return json_object_set_new(body, f->key, json_words(value));
    case FORM_TEXT:
        break;
    }
    return json_object_set_new(body, f->key, json_string(value)) < 0
               ? err_set(e, ERR_INVALID, "--%s is no UTF-8", f->option)
               : 0;
}

static int set_fields(struct cli *c, const struct field *fields, size_t n, json_t *body,
                      struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (set_field(c, &fields[i], body, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int change(struct cli *c, const char *method, const char *path, const json_t *body,
                  const char *done, struct err *e)
{
    if (client_call(c->client, method, body, NULL, e, "%s", path) < 0) {
        return -1;
    }
    print_done(c, "%s", done);
    return 0;
}

/* --- other registries --- */

static char *registry_path(struct cli *c)
{
    return xasprintf("/api/v1/registries/%s", url_segment(cli_arg(c, 0)));
}

static int set_certificate(struct cli *c, json_t *body, struct err *e)
{
    SCOPED(buf_done) struct buf pem = BUF_MAX(64 * KIB);
    const char *file = cli_option(c, "ca");

    if (file == NULL) {
        return 0;
    }
    if (file[0] != '\0' && fs_read(AT_FDCWD, file, &pem, e) < 0) {
        return -1;
    }
    return json_object_set_new(body, "ca_certificate", json_string(pem.p ? pem.p : ""));
}

static int set_password(struct cli *c, json_t *body, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(16 * KIB);
    int rc;

    if (ask_password(c, &password, e) < 0) {
        return -1;
    }
    rc = json_object_set_new(body, "password", json_string(password.p));
    explicit_bzero(password.p, password.len);
    return rc < 0 ? err_set(e, ERR_INVALID, "the password is no UTF-8") : 0;
}

static const struct field registry_fields[] = {
    {"url", "url", FORM_TEXT}, {"user", "user", FORM_TEXT}, {"insecure", "insecure", FORM_YES}};

/* The password is asked for where it is new: with --user, or when it is to be read. */
static int registry_body(struct cli *c, json_t *body, struct err *e)
{
    const char *user = cli_option(c, "user");

    if (set_fields(c, registry_fields, ARRAY_LEN(registry_fields), body, e) < 0 ||
        set_certificate(c, body, e) < 0) {
        return -1;
    }
    if (user != NULL && user[0] == '\0') {
        return json_object_set_new(body, "password", json_null());
    }
    return user || cli_option(c, "password-stdin") ? set_password(c, body, e) : 0;
}

int verb_registry_add(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp)
    json_t *body = json_pack("{s:s, s:s}", "name", cli_arg(c, 0), "url", cli_arg(c, 1));
    SCOPED(freep)
    char *done = xasprintf("Registry %s added. Does it answer? strata registry ping %s",
                           cli_arg(c, 0), cli_arg(c, 0));

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "name and address must be UTF-8");
    }
    return registry_body(c, body, e) < 0 ? -1
                                         : change(c, "POST", "/api/v1/registries", body, done, e);
}

int verb_registry_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = registry_path(c);
    SCOPED(freep) char *done = xasprintf("Registry %s is changed.", cli_arg(c, 0));

    if (registry_body(c, body, e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID, "what is to change? --url, --user, --ca, --insecure");
    }
    return change(c, "PATCH", path, body, done, e);
}

int verb_registry_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = registry_path(c);
    SCOPED(freep) char *done = xasprintf("Registry %s is removed.", cli_arg(c, 0));

    return ask_sure(c, e, "Registry %s goes, with its password.", cli_arg(c, 0)) < 0
               ? -1
               : change(c, "DELETE", path, NULL, done, e);
}

static int show_list(struct cli *c, const char *path, const struct column *columns, size_t n,
                     const char *empty, struct err *e)
{
    SCOPED(json_decrefp) json_t *items = NULL;

    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, n, empty);
    }
    return 0;
}

int verb_registry_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT},        {"URL", "url", COLUMN_TEXT},
        {"USER", "user", COLUMN_TEXT},        {"PASSWORD", "has_password", COLUMN_YES},
        {"INSECURE", "insecure", COLUMN_YES}, {"AGE", "created_at", COLUMN_AGE}};

    return show_list(c, "/api/v1/registries", columns, ARRAY_LEN(columns),
                     "No other registries yet: strata registry add NAME URL", e);
}

int verb_registry_ping(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *answer = NULL;

    if (client_call(c->client, "POST", NULL, &answer, e, "/api/v1/registries/%s/ping",
                    url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    if (!json_is_true(json_object_get(answer, "ok"))) {
        return err_set(e, ERR_UNAVAILABLE, "%s", json_text(answer, "error"));
    }
    print_done(c, "%s answers, and takes the user.", cli_arg(c, 0));
    return 0;
}

/* --- rules --- */

static const struct field rule_fields[] = {
    {"direction", "direction", FORM_TEXT},
    {"registry", "registry", FORM_TEXT},
    {"repositories", "repositories", FORM_TEXT},
    {"tags", "tags", FORM_TEXT},
    {"labels", "labels", FORM_LIST},
    {"kind", "kind", FORM_TEXT},
    {"destination", "destination", FORM_TEXT},
    {"strip-parts", "strip_parts", FORM_NUMBER},
    {"trigger", "trigger", FORM_TEXT},
    {"schedule", "schedule", FORM_TEXT},
    {"mirror-deletions", "mirror_deletions", FORM_YES},
    {"referrers", "with_referrers", FORM_YES},
    {"rate", "rate_bytes", FORM_BYTES},
    {"enabled", "enabled", FORM_YES},
};

/* A schedule says which trigger is meant. */
static int rule_body(struct cli *c, json_t *body, struct err *e)
{
    if (set_fields(c, rule_fields, ARRAY_LEN(rule_fields), body, e) < 0) {
        return -1;
    }
    return cli_option(c, "schedule") && !cli_option(c, "trigger")
               ? json_object_set_new(body, "trigger", json_string("schedule"))
               : 0;
}

static char *rule_path(struct cli *c)
{
    return xasprintf("/api/v1/replication/rules/%s", url_segment(cli_arg(c, 0)));
}

int verb_rule_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "name", cli_arg(c, 0));
    SCOPED(freep)
    char *done = xasprintf("Rule %s made. Run it now: strata replication run start %s",
                           cli_arg(c, 0), cli_arg(c, 0));

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    return rule_body(c, body, e) < 0
               ? -1
               : change(c, "POST", "/api/v1/replication/rules", body, done, e);
}

int verb_rule_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = rule_path(c);
    SCOPED(freep) char *done = xasprintf("Rule %s is changed.", cli_arg(c, 0));

    if (rule_body(c, body, e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID,
                       "what is to change? strata help replication rule set names the options");
    }
    return change(c, "PATCH", path, body, done, e);
}

int verb_rule_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = rule_path(c);
    SCOPED(freep) char *done = xasprintf("Rule %s is deleted.", cli_arg(c, 0));

    return ask_sure(c, e, "Rule %s goes, with its runs; what it copied stays.", cli_arg(c, 0)) < 0
               ? -1
               : change(c, "DELETE", path, NULL, done, e);
}

int verb_rule_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT},         {"DIRECTION", "direction", COLUMN_TEXT},
        {"REGISTRY", "registry", COLUMN_TEXT}, {"REPOSITORIES", "repositories", COLUMN_TEXT},
        {"TAGS", "tags", COLUMN_TEXT},         {"DESTINATION", "destination", COLUMN_TEXT},
        {"TRIGGER", "trigger", COLUMN_TEXT},   {"SCHEDULE", "schedule", COLUMN_TEXT},
        {"ENABLED", "enabled", COLUMN_YES},
    };

    return show_list(c, "/api/v1/replication/rules", columns, ARRAY_LEN(columns),
                     "No rules yet: strata replication rule create NAME", e);
}

/* An object's fields, one a line. */
static void print_fields(const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        SCOPED(freep)
        char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

        if (!json_is_null(value)) {
            (void)printf("%-17s ", key);
            print_safe(stdout, str_of(json_is_string(value) ? json_string_value(value) : text));
            (void)putchar('\n');
        }
    }
}

int verb_rule_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *rule = NULL;

    if (client_call(c->client, "GET", NULL, &rule, e, "/api/v1/replication/rules/%s",
                    url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    if (!print_json(c, rule)) {
        print_fields(rule);
    }
    return 0;
}

/* --- runs --- */

static int get_run(struct cli *c, const char *id, json_t **run, struct err *e)
{
    return client_call(c->client, "GET", NULL, run, e, "/api/v1/replication/runs/%s",
                       url_segment(id));
}

static void print_run(const json_t *run)
{
    char size[16];

    (void)printf("Run %lld of %s: %s, %lld of %lld copied, %lld there already, %lld failed, %s "
                 "moved\n",
                 (long long)json_number(run, "id"), json_text(run, "rule"), json_text(run, "state"),
                 (long long)json_number(run, "succeeded"), (long long)json_number(run, "tasks"),
                 (long long)json_number(run, "skipped"), (long long)json_number(run, "failed"),
                 str_format_bytes(json_number(run, "moved_bytes"), size));
    if (json_text(run, "error")[0] != '\0') {
        print_safe(stdout, str_of(json_text(run, "error")));
        (void)putchar('\n');
    }
}

/* Asked once a second: runs take longer than that. */
static int wait_run(struct cli *c, json_t **run, struct err *e)
{
    SCOPED(freep) char *id = xasprintf("%lld", (long long)json_number(*run, "id"));

    while (json_is_null(json_object_get(*run, "ended_at"))) {
        (void)usleep(1000 * 1000);
        json_decref(*run);
        *run = NULL;
        if (get_run(c, id, run, e) < 0) {
            return -1;
        }
    }
    c->exit_code = strcmp(json_text(*run, "state"), "succeeded") == 0 ? 0 : 1;
    return 0;
}

int verb_replicate(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;

    if (client_call(c->client, "POST", NULL, &run, e, "/api/v1/replication/rules/%s/run",
                    url_segment(cli_arg(c, 0))) < 0 ||
        (cli_option(c, "wait") && wait_run(c, &run, e) < 0)) {
        return -1;
    }
    if (!print_json(c, run)) {
        print_run(run);
    }
    return 0;
}

int verb_replication_runs(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"RUN", "id", COLUMN_NUMBER},           {"RULE", "rule", COLUMN_TEXT},
        {"TRIGGER", "trigger", COLUMN_TEXT},    {"STATE", "state", COLUMN_TEXT},
        {"TASKS", "tasks", COLUMN_NUMBER},      {"COPIED", "succeeded", COLUMN_NUMBER},
        {"THERE", "skipped", COLUMN_NUMBER},    {"FAILED", "failed", COLUMN_NUMBER},
        {"MOVED", "moved_bytes", COLUMN_BYTES}, {"AGE", "created_at", COLUMN_AGE}};
    const char *rule = cli_option(c, "rule"), *limit = cli_option(c, "limit");
    SCOPED(json_decrefp) json_t *page = NULL;
    json_t *items;

    if (client_call(c->client, "GET", NULL, &page, e, "/api/v1/replication/runs?limit=%s%s%s",
                    limit ? url_segment(limit) : "50", rule ? "&rule=" : "",
                    rule ? url_segment(rule) : "") < 0) {
        return -1;
    }
    items = json_object_get(page, "items");
    if (!print_json(c, items)) {
        table_print(items, columns, ARRAY_LEN(columns), "No runs yet.");
    }
    return 0;
}

int verb_replication_run(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"ACTION", "action", COLUMN_TEXT},    {"SOURCE", "source", COLUMN_TEXT},
        {"TAG", "reference", COLUMN_TEXT},    {"DESTINATION", "destination", COLUMN_TEXT},
        {"STATE", "state", COLUMN_TEXT},      {"TRIES", "tries", COLUMN_NUMBER},
        {"DONE", "done_bytes", COLUMN_BYTES}, {"OF", "total_bytes", COLUMN_BYTES},
        {"ERROR", "error", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *run = NULL;
    SCOPED(json_decrefp) json_t *tasks = NULL;
    SCOPED(freep)
    char *path = xasprintf("/api/v1/replication/runs/%s/tasks", url_segment(cli_arg(c, 0)));

    if (get_run(c, cli_arg(c, 0), &run, e) < 0 || list_all(c, str_of(path), &tasks, e) < 0) {
        return -1;
    }
    if (c->json) {
        (void)json_object_set(run, "items", tasks);
        (void)print_json(c, run);
        return 0;
    }
    print_run(run);
    (void)putchar('\n');
    table_print(tasks, columns, ARRAY_LEN(columns), "It has nothing to copy.");
    return 0;
}

int verb_replication_stop(struct cli *c, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/api/v1/replication/runs/%s/stop", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *done = xasprintf("Run %s is stopped.", cli_arg(c, 0));

    return change(c, "POST", path, NULL, done, e);
}
