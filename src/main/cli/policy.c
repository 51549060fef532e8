/* What a project may hold and what becomes of its tags: quota, immutable tags, retention. */
#include "main/cli/cli.h"

#include <stdlib.h>
#include <string.h>

static char *project_path(const struct cli *c, const char *rest)
{
    return xasprintf("/api/v1/projects/%s/%s", url_segment(c->project), rest);
}

/* --- quota --- */

static int show_quota(struct cli *c, const json_t *quota)
{
    const json_t *limit = json_object_get(quota, "quota_bytes");
    char used[16], most[16];

    if (print_json(c, quota)) {
        return 0;
    }
    (void)printf("%s%s%s%s\n", str_format_bytes(json_number(quota, "used_bytes"), used),
                 json_is_null(limit) ? " used, without a limit" : " of ",
                 json_is_null(limit) ? "" : str_format_bytes(json_integer_value(limit), most),
                 json_is_true(json_object_get(quota, "is_default")) ? " (the server's default)"
                                                                    : "");
    return 0;
}

int verb_quota_show(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = project_path(c, "quota");
    SCOPED(json_decrefp) json_t *quota = NULL;

    return client_json(c->client, "GET", str_of(path), NULL, &quota, e) < 0 ? -1
                                                                            : show_quota(c, quota);
}

int verb_quota_set(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = project_path(c, "quota");
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(json_decrefp) json_t *quota = NULL;
    const char *size = cli_arg(c, 0);
    int64_t bytes = 0;

    if (strcmp(size, "default") == 0) {
        (void)json_object_set_new(body, "quota_bytes", json_null());
    } else if (str_parse_bytes(str_of(size), &bytes, e) < 0) {
        return err_wrap(e, "the quota is a size such as 100GiB, or default");
    } else {
        (void)json_object_set_new(body, "quota_bytes", json_integer(bytes));
    }
    return client_json(c->client, "PUT", str_of(path), body, &quota, e) < 0 ? -1
                                                                            : show_quota(c, quota);
}

/* --- rules --- */

static int get_policy(struct cli *c, json_t **policy, struct err *e)
{
    SCOPED(freep) char *path = project_path(c, "image-policy");

    return client_json(c->client, "GET", str_of(path), NULL, policy, e);
}

static int put_policy(struct cli *c, const json_t *policy, struct err *e)
{
    SCOPED(freep) char *path = project_path(c, "image-policy");
    SCOPED(json_decrefp) json_t *kept = NULL;

    if (client_json(c->client, "PUT", str_of(path), policy, &kept, e) < 0) {
        return -1;
    }
    if (!print_json(c, kept)) {
        print_done(c, "The rules of %s are changed.", c->project);
    }
    return 0;
}

static json_t *rules_of(json_t *policy, const char *kind)
{
    return strcmp(kind, "immutable") == 0
               ? json_object_get(policy, "immutable")
               : json_object_get(json_object_get(policy, "retention"), "rules");
}

static int number(const char *text, const char *what, int64_t *out, struct err *e)
{
    uint64_t n;

    if (str_to_u64(str_of(text), &n) < 0 || n > INT32_MAX) {
        return err_set(e, ERR_INVALID, "%s is a number, not '%.40s'", what, text);
    }
    *out = (int64_t)n;
    return 0;
}

static int add_rule(struct cli *c, const char *kind, struct err *e)
{
    static const char *const texts[] = {"repositories", "tags", "keep"};
    SCOPED(json_decrefp) json_t *policy = NULL;
    json_t *rule = json_object();
    const char *n = cli_option(c, "n");
    int64_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (cli_option(c, texts[i])) {
            (void)json_object_set_new(rule, texts[i], json_string(cli_option(c, texts[i])));
        }
    }
    if (cli_option(c, "labels")) {
        (void)json_object_set_new(rule, "labels", json_words(cli_option(c, "labels")));
    }
    if (cli_option(c, "untagged")) {
        (void)json_object_set_new(rule, "untagged", json_true());
    }
    if ((n && number(n, "--n", &count, e) < 0) || get_policy(c, &policy, e) < 0) {
        json_decref(rule);
        return -1;
    }
    if (n) {
        (void)json_object_set_new(rule, "n", json_integer(count));
    }
    (void)json_array_append_new(rules_of(policy, kind), rule);
    return put_policy(c, policy, e);
}

static int remove_rule(struct cli *c, const char *kind, struct err *e)
{
    SCOPED(json_decrefp) json_t *policy = NULL;
    json_t *rules;
    int64_t id;
    size_t i;
    const json_t *rule;

    if (number(cli_arg(c, 0), "a rule", &id, e) < 0 || get_policy(c, &policy, e) < 0) {
        return -1;
    }
    rules = rules_of(policy, kind);
    json_array_foreach(rules, i, rule)
    {
        if (json_number(rule, "id") == id) {
            (void)json_array_remove(rules, i);
            return put_policy(c, policy, e);
        }
    }
    return err_set(e, ERR_NOT_FOUND, "%s has no %s rule %lld", c->project, kind, (long long)id);
}

int verb_immutable_add(struct cli *c, struct err *e)
{
    return add_rule(c, "immutable", e);
}

int verb_immutable_delete(struct cli *c, struct err *e)
{
    return remove_rule(c, "immutable", e);
}

int verb_immutable_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"RULE", "id", COLUMN_NUMBER},
                                            {"REPOSITORIES", "repositories", COLUMN_TEXT},
                                            {"TAGS", "tags", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *policy = NULL;

    if (get_policy(c, &policy, e) < 0) {
        return -1;
    }
    if (!print_json(c, rules_of(policy, "immutable"))) {
        table_print(rules_of(policy, "immutable"), columns, ARRAY_LEN(columns),
                    "Every tag may be moved and deleted.");
    }
    return 0;
}

/* --- retention --- */

int verb_retention_add(struct cli *c, struct err *e)
{
    if (cli_option(c, "keep") == NULL) {
        return err_set(e, ERR_INVALID,
                       "what is kept? --keep latest_pushed, latest_pulled, pushed_days, "
                       "pulled_days or always");
    }
    return add_rule(c, "retention", e);
}

int verb_retention_delete(struct cli *c, struct err *e)
{
    return remove_rule(c, "retention", e);
}

int verb_retention_set(struct cli *c, struct err *e)
{
    const char *schedule = cli_option(c, "schedule"), *others = cli_option(c, "others");
    SCOPED(json_decrefp) json_t *policy = NULL;
    json_t *retention;

    if (schedule == NULL && others == NULL) {
        return err_set(e, ERR_INVALID, "what is to change? --schedule or --others");
    }
    if (get_policy(c, &policy, e) < 0) {
        return -1;
    }
    retention = json_object_get(policy, "retention");
    if (schedule) {
        (void)json_object_set_new(retention, "schedule",
                                  schedule[0] ? json_string(schedule) : json_null());
    }
    if (others) {
        (void)json_object_set_new(retention, "others", json_string(others));
    }
    return put_policy(c, policy, e);
}

int verb_retention_show(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"RULE", "id", COLUMN_NUMBER}, {"REPOSITORIES", "repositories", COLUMN_TEXT},
        {"TAGS", "tags", COLUMN_TEXT}, {"UNTAGGED", "untagged", COLUMN_YES},
        {"KEEP", "keep", COLUMN_TEXT}, {"N", "n", COLUMN_NUMBER}};
    SCOPED(json_decrefp) json_t *policy = NULL;
    const json_t *retention;

    if (get_policy(c, &policy, e) < 0) {
        return -1;
    }
    retention = json_object_get(policy, "retention");
    if (print_json(c, retention)) {
        return 0;
    }
    table_print(rules_of(policy, "retention"), columns, ARRAY_LEN(columns), "No rules yet.");
    (void)printf("\nschedule: ");
    print_safe(stdout, str_of(json_text(retention, "schedule")[0]
                                  ? json_text(retention, "schedule")
                                  : "only when asked (strata retention run)"));
    (void)printf("\nwhat no rule is about: %s\n", json_text(retention, "others"));
    return 0;
}

static int show_rows(struct cli *c, const json_t *run, struct err *e)
{
    static const struct column columns[] = {{"KEPT", "kept", COLUMN_YES},
                                            {"REPOSITORY", "repository", COLUMN_TEXT},
                                            {"TAG", "tag", COLUMN_TEXT},
                                            {"DIGEST", "digest", COLUMN_TEXT},
                                            {"WHY", "why", COLUMN_TEXT}};
    SCOPED(freep)
    char *rest = xasprintf("retention/runs/%lld/rows", (long long)json_number(run, "id"));
    SCOPED(freep) char *path = project_path(c, rest);
    SCOPED(json_decrefp) json_t *rows = NULL;
    SCOPED(json_decrefp) json_t *both = NULL;

    if (list_all(c, str_of(path), &rows, e) < 0) {
        return -1;
    }
    both = json_pack("{s:O, s:O}", "run", run, "rows", rows);
    if (print_json(c, both)) {
        return 0;
    }
    table_print(rows, columns, ARRAY_LEN(columns), "No rule is about anything.");
    (void)printf("\nRun %lld: %lld kept, %lld %s.\n", (long long)json_number(run, "id"),
                 (long long)json_number(run, "kept"), (long long)json_number(run, "removed"),
                 json_is_true(json_object_get(run, "dry_run")) ? "would go" : "removed");
    if (json_text(run, "error")[0]) {
        print_safe(stdout, str_of(json_text(run, "error")));
        (void)putchar('\n');
        c->exit_code = 1;
    }
    return 0;
}

int verb_retention_run(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = project_path(c, "retention/runs");
    bool is_dry = cli_option(c, "dry-run") != NULL;
    SCOPED(json_decrefp) json_t *body = json_pack("{s:b}", "dry_run", is_dry);
    SCOPED(json_decrefp) json_t *run = NULL;

    if (!is_dry && ask_sure(c, e, "What the rules of %s do not keep goes; --dry-run shows it.",
                            c->project) < 0) {
        return -1;
    }
    return client_json(c->client, "POST", str_of(path), body, &run, e) < 0 ? -1
                                                                           : show_rows(c, run, e);
}

int verb_retention_runs(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"RUN", "id", COLUMN_NUMBER},      {"DRY", "dry_run", COLUMN_YES},
        {"KEPT", "kept", COLUMN_NUMBER},   {"REMOVED", "removed", COLUMN_NUMBER},
        {"BY", "started_by", COLUMN_TEXT}, {"AGE", "started_at", COLUMN_AGE}};
    SCOPED(freep) char *path = project_path(c, "retention/runs");

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns), "No runs yet.", e);
}

int verb_retention_log(struct cli *c, struct err *e)
{
    SCOPED(freep) char *rest = xasprintf("retention/runs/%s", url_segment(cli_arg(c, 0)));
    SCOPED(freep) char *path = project_path(c, rest);
    SCOPED(json_decrefp) json_t *run = NULL;

    return client_json(c->client, "GET", str_of(path), NULL, &run, e) < 0 ? -1
                                                                          : show_rows(c, run, e);
}
