/* What is known about an image (signatures, findings), and what a project asks of its images. */
#include "main/cli/cli.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_US = 300 * 1000 };

char *image_url(struct cli *c, const char *name, struct err *e)
{
    const char *rest = image_within_project(c, name, e);
    const char *at = rest ? strchr(rest, '@') : NULL;
    const char *colon = rest ? strrchr(rest, ':') : NULL;
    const char *ref;
    char *repo, *url;
    size_t len;

    if (rest == NULL) {
        return NULL;
    }
    if (at == NULL && (colon == NULL || strchr(colon, '/'))) {
        err_set(e, ERR_INVALID, "which image? write %s:TAG or %s@DIGEST", name, name);
        return NULL;
    }
    ref = (at ? at : colon) + 1;
    len = (size_t)((at ? at : colon) - rest);
    if (at && memchr(rest, ':', len)) { /* app:1@sha256:...: the digest wins */
        len = (size_t)((const char *)memchr(rest, ':', len) - rest);
    }
    repo = xstrndup(rest, len);
    url = xasprintf("/api/v1/projects/%s/repositories/%s/artifacts/%s", url_segment(c->project),
                    url_path(repo), url_segment(ref));
    free(repo);
    return url;
}

static void print_trust(const json_t *trust)
{
    const char *signer = json_text(trust, "signed_by"), *why = json_text(trust, "pull_refused");

    if (signer[0]) {
        (void)printf("Signed with %s.\n", signer);
    } else {
        (void)printf("No key of the project verifies a signature of it.\n");
    }
    if (why[0]) {
        (void)printf("It cannot be pulled: ");
        print_safe(stdout, str_of(why));
        (void)putchar('\n');
    }
    why = json_text(trust, "run_refused");
    if (why[0]) {
        (void)printf("It cannot be run: ");
        print_safe(stdout, str_of(why));
        (void)putchar('\n');
    }
    (void)putchar('\n');
}

int verb_image_signatures(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"KIND", "kind", COLUMN_TEXT},       {"VERIFIED BY", "verified_by", COLUMN_TEXT},
        {"DIGEST", "digest", COLUMN_TEXT},   {"SIZE", "size_bytes", COLUMN_BYTES},
        {"PUSHED", "pushed_at", COLUMN_AGE}, {"BY", "pushed_by", COLUMN_TEXT}};
    SCOPED(freep) char *url = image_url(c, cli_arg(c, 0), e);
    SCOPED(freep) char *path = url ? xasprintf("%s/accessories", url) : NULL;
    SCOPED(json_decrefp) json_t *items = NULL;
    SCOPED(json_decrefp) json_t *trust = NULL;

    if (url == NULL || list_all(c, str_of(path), &items, e) < 0 ||
        client_call(c->client, "GET", NULL, &trust, e, "%s/trust", url) < 0) {
        return -1;
    }
    if (c->json) {
        (void)json_object_set(trust, "accessories", items);
    }
    if (!print_json(c, trust)) {
        print_trust(trust);
        table_print(items, columns, ARRAY_LEN(columns),
                    "Nothing belongs to it: cosign sign --key cosign.key IMAGE signs it.");
    }
    return 0;
}

int verb_image_vulnerabilities(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"SEVERITY", "severity", COLUMN_TEXT},
                                            {"ID", "id", COLUMN_TEXT},
                                            {"PACKAGE", "package", COLUMN_TEXT},
                                            {"VERSION", "version", COLUMN_TEXT},
                                            {"FIXED", "fixed_version", COLUMN_TEXT}};
    const char *severity = cli_option(c, "severity");
    SCOPED(freep) char *url = image_url(c, cli_arg(c, 0), e);
    SCOPED(freep)
    char *path = url ? xasprintf("%s/vulnerabilities?severity=%s", url,
                                 severity ? url_segment(severity) : "unknown")
                     : NULL;
    SCOPED(json_decrefp) json_t *items = NULL;

    if (url == NULL || list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, ARRAY_LEN(columns),
                    empty_text(c, "Nothing was found, or it has no report yet: strata image scan "
                                  "IMAGE --report FILE."));
    }
    return 0;
}

static void print_summary(struct cli *c, const json_t *report)
{
    if (!print_json(c, report)) {
        (void)printf(
            "%lld critical, %lld high, %lld medium, %lld low, %lld unknown\n",
            (long long)json_number(report, "critical"), (long long)json_number(report, "high"),
            (long long)json_number(report, "medium"), (long long)json_number(report, "low"),
            (long long)json_number(report, "unknown"));
    }
}

/* By the server's scanner, until its report is there. */
static int scan(struct cli *c, const char *url, struct err *e)
{
    SCOPED(json_decrefp) json_t *trust = NULL;
    const json_t *state;

    if (client_call(c->client, "POST", NULL, NULL, e, "%s/scan", url) < 0) {
        return -1;
    }
    do {
        (void)usleep(LOOK_US);
        json_decref(trust);
        trust = NULL;
        if (client_call(c->client, "GET", NULL, &trust, e, "%s/trust", url) < 0) {
            return -1;
        }
        state = json_object_get(trust, "scan");
    } while (json_text(state, "started_at")[0] && json_text(state, "ended_at")[0] == '\0');
    if (strcmp(json_text(state, "state"), "stopped") == 0) {
        return err_set(e, ERR_CONFLICT, "not scanned: the scan was stopped");
    }
    if (strcmp(json_text(state, "state"), "succeeded") != 0) {
        return err_set(e, ERR_UNAVAILABLE, "not scanned: %s", json_text(state, "error"));
    }
    print_summary(c, json_object_get(trust, "report"));
    return 0;
}

static int stop_scan(struct cli *c, const char *url, struct err *e)
{
    if (client_call(c->client, "POST", NULL, NULL, e, "%s/scan/stop", url) < 0) {
        return -1;
    }
    print_done(c, "The scan of %s is stopped.", cli_arg(c, 0));
    return 0;
}

int verb_image_scan(struct cli *c, struct err *e)
{
    SCOPED(freep) char *url = image_url(c, cli_arg(c, 0), e);
    SCOPED(freep) char *path = url ? xasprintf("%s/vulnerabilities", url) : NULL;
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_REPORT_BYTES);
    SCOPED(json_decrefp) json_t *report = NULL;
    SCOPED(json_decrefp) json_t *summary = NULL;
    const char *file = cli_option(c, "report");

    if (url == NULL) {
        return -1;
    }
    if (cli_option(c, "stop") != NULL) {
        return stop_scan(c, url, e);
    }
    if (file == NULL) {
        return scan(c, url, e);
    }
    if ((strcmp(file, "-") == 0 ? ask_secret(&text, e) : fs_read(AT_FDCWD, file, &text, e)) < 0 ||
        (report = json_parse(buf_str(&text), e)) == NULL) {
        return err_wrap(e, "--report");
    }
    if (client_json(c->client, "PUT", str_of(path), report, &summary, e) < 0) {
        return -1;
    }
    print_summary(c, summary);
    return 0;
}

/* --- keys --- */

int verb_key_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"ALGORITHM", "algorithm", COLUMN_TEXT},
                                            {"FINGERPRINT", "fingerprint", COLUMN_TEXT},
                                            {"AGE", "created_at", COLUMN_AGE},
                                            {"BY", "created_by", COLUMN_TEXT}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/trust-keys", url_segment(c->project));

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                         "No keys: strata key add NAME FILE adds a public one.", e);
}

int verb_key_add(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf pem = BUF_MAX(LIMIT_PUBLIC_KEY_BYTES);
    SCOPED(json_decrefp) json_t *body = NULL;
    const char *file = cli_arg(c, 1);

    if ((strcmp(file, "-") == 0 ? ask_secret(&pem, e) : fs_read(AT_FDCWD, file, &pem, e)) < 0) {
        return -1;
    }
    body = json_pack("{s:s, s:s%}", "name", cli_arg(c, 0), "pem", pem.p ? pem.p : "", pem.len);
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "name and key must be UTF-8 text");
    }
    if (client_call(c->client, "POST", body, NULL, e, "/api/v1/projects/%s/trust-keys",
                    url_segment(c->project)) < 0) {
        return -1;
    }
    print_done(c, "Key %s is added.", cli_arg(c, 0));
    return 0;
}

int verb_key_delete(struct cli *c, struct err *e)
{
    if (ask_sure(c, e, "Key %s goes: what only it verified is unsigned.", cli_arg(c, 0)) < 0 ||
        client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/trust-keys/%s",
                    url_segment(c->project), url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    print_done(c, "Key %s is deleted.", cli_arg(c, 0));
    return 0;
}

/* --- rules --- */

static void print_rules(const json_t *rules)
{
    const char *signed_for = json_text(rules, "require_signature");
    const char *severity = json_text(rules, "block_severity");
    SCOPED(buf_done) struct buf allowed = BUF_MAX(1 * MIB);
    size_t i;
    json_t *id;

    json_array_foreach(json_object_get(rules, "allowed"), i, id)
    {
        buf_printf(&allowed, "%s%s", i > 0 ? " " : "", json_string_value(id));
    }
    print_facts((const char *[]){
        "only signed",
        strcmp(signed_for, "pull_and_run") == 0 ? "to pull and run"
        : strcmp(signed_for, "pull") == 0       ? "to pull"
                                                : "no",
        "refused from severity", severity[0] ? severity : "none", "refused without a report",
        json_is_true(json_object_get(rules, "block_unscanned")) ? "yes" : "no",
        "scanned when pushed", json_is_true(json_object_get(rules, "scan_on_push")) ? "yes" : "no",
        "do not count", allowed.len > 0 ? allowed.p : "", "that list",
        json_is_true(json_object_get(rules, "allowed_off")) ? "not in force" : "", NULL});
}

int verb_trust_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *rules = NULL;

    if (client_call(c->client, "GET", NULL, &rules, e, "/api/v1/projects/%s/trust-policy",
                    url_segment(c->project)) < 0) {
        return -1;
    }
    if (!print_json(c, rules)) {
        print_rules(rules);
    }
    return 0;
}

/* An empty word among them takes all away. */
static void set_allowed(struct cli *c, json_t *rules)
{
    json_t *list = json_array();
    const char *one;

    for (size_t i = 0; (one = cli_option_nth(c, "allow", i)); i++) {
        if (one[0]) {
            (void)json_array_append_new(list, json_string(one));
        }
    }
    (void)json_object_set_new(rules, "allowed", list);
    (void)json_object_del(rules, "allowed_off"); /* what is named now counts */
}

int verb_trust_set(struct cli *c, struct err *e)
{
    const char *need = cli_option(c, "signed"), *severity = cli_option(c, "block");
    SCOPED(json_decrefp) json_t *rules = NULL;

    if (c->given.len == 0) {
        return err_set(e, ERR_INVALID, "what is to change? strata trust set --help");
    }
    if (client_call(c->client, "GET", NULL, &rules, e, "/api/v1/projects/%s/trust-policy",
                    url_segment(c->project)) < 0) {
        return -1;
    }
    if (need) {
        (void)json_object_set_new(rules, "require_signature", json_string(need));
    }
    if (severity) {
        (void)json_object_set_new(rules, "block_severity",
                                  strcmp(severity, "off") == 0 ? json_null()
                                                               : json_string(severity));
    }
    if (cli_option(c, "allow")) {
        set_allowed(c, rules);
    }
    if (cli_set_flag(c, "block-unscanned", rules, "block_unscanned", e) < 0 ||
        cli_set_flag(c, "scan-on-push", rules, "scan_on_push", e) < 0 ||
        client_call(c->client, "PUT", rules, NULL, e, "/api/v1/projects/%s/trust-policy",
                    url_segment(c->project)) < 0) {
        return -1;
    }
    print_done(c, "The rules of %s are changed.", c->project);
    return 0;
}

/* --- scanners --- */

int verb_scanner_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"URL", "url", COLUMN_TEXT},
                                            {"AGE", "created_at", COLUMN_AGE}};

    return cli_show_list(c, STR("/api/v1/scanners"), columns, ARRAY_LEN(columns),
                         "No scanners: strata scanner add NAME --url URL adds one.", e);
}

int verb_scanner_add(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(buf_done) struct buf auth = BUF_MAX(LIMIT_SCANNER_AUTH_BYTES);
    const char *url = cli_option(c, "url"), *file = cli_option(c, "auth-header-file");

    if (url == NULL) {
        return err_set(e, ERR_INVALID, "where is it? --url http://HOST:PORT");
    }
    if (file != NULL &&
        (strcmp(file, "-") == 0 ? ask_secret(&auth, e) : fs_read(AT_FDCWD, file, &auth, e)) < 0) {
        return err_wrap(e, "--auth-header-file");
    }
    while (auth.len > 0 && strchr("\r\n", auth.p[auth.len - 1]) != NULL) {
        auth.len--;
    }
    body = json_pack("{s:s, s:s, s:s%}", "name", cli_arg(c, 0), "url", url, "auth_header",
                     auth.p ? auth.p : "", auth.len);
    if (auth.p != NULL) {
        explicit_bzero(auth.p, auth.len);
    }
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "name, url and header must be UTF-8 text");
    }
    if (client_call(c->client, "POST", body, NULL, e, "/api/v1/scanners") < 0) {
        return -1;
    }
    print_done(c, "Scanner %s is added. Try it: strata scanner ping %s", cli_arg(c, 0),
               cli_arg(c, 0));
    return 0;
}

int verb_scanner_ping(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *said = NULL;

    if (client_call(c->client, "POST", NULL, &said, e, "/api/v1/scanners/%s/ping",
                    url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    if (!json_is_true(json_object_get(said, "ok"))) {
        return err_set(e, ERR_UNAVAILABLE, "%s", json_text(said, "error"));
    }
    print_done(c, "It answers: %s %s.", json_text(said, "scanner"), json_text(said, "version"));
    return 0;
}

int verb_scanner_delete(struct cli *c, struct err *e)
{
    if (ask_sure(c, e, "Scanner %s is forgotten; its reports stay.", cli_arg(c, 0)) < 0 ||
        client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/scanners/%s",
                    url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    print_done(c, "Scanner %s is forgotten.", cli_arg(c, 0));
    return 0;
}
