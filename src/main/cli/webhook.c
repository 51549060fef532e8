/* Webhooks of a project: make, change, try, and see what became of what was sent. */
#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PING_WAIT_MS = 30 * 1000, PING_LOOK_MS = 100 };

/* The id of the webhook with this name; the caller owns *whole when it is asked for. */
static int find(struct cli *c, const char *name, int64_t *id, json_t **whole, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/webhooks", url_segment(c->project));
    SCOPED(json_decrefp) json_t *items = NULL;
    json_t *one;
    size_t i;

    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    json_array_foreach(items, i, one)
    {
        if (strcmp(json_text(one, "name"), name) == 0) {
            *id = json_number(one, "id");
            if (whole != NULL) {
                *whole = json_incref(one);
            }
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND,
                   "project %s has no webhook '%.64s': strata webhook list shows those there are",
                   c->project, name);
}

int verb_webhook_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT},         {"URL", "url", COLUMN_TEXT},
        {"ON", "enabled", COLUMN_YES},         {"EVENTS", "events_text", COLUMN_TEXT},
        {"WAITING", "waiting", COLUMN_NUMBER}, {"FAILURES", "failures", COLUMN_NUMBER}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/webhooks", url_segment(c->project));
    SCOPED(json_decrefp) json_t *items = NULL;
    json_t *one, *event;
    size_t i, k;

    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (print_json(c, items)) {
        return 0;
    }
    json_array_foreach(items, i, one)
    {
        SCOPED(buf_done) struct buf text = BUF_MAX(1024);

        json_array_foreach(json_object_get(one, "events"), k, event)
        {
            (void)buf_printf(&text, "%s%s", k ? "," : "", json_string_value(event));
        }
        (void)json_object_set_new(one, "events_text", json_string(text.p ? text.p : ""));
    }
    table_print(
        items, columns, ARRAY_LEN(columns),
        "No webhooks: strata webhook create NAME --url URL --event PUSH_ARTIFACT makes one.");
    return 0;
}

int verb_webhook_show(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *hook = NULL;
    SCOPED(freep) char *text = NULL;
    int64_t id;

    if (find(c, cli_arg(c, 0), &id, &hook, e) < 0) {
        return -1;
    }
    if (!print_json(c, hook)) {
        text = json_dumps(hook, JSON_INDENT(2));
        print_safe(stdout, str_of(text));
        (void)putchar('\n');
    }
    return 0;
}

/* --- making and changing --- */

/* The text of a file (- is standard input) without the end of its last line; "" takes it away. */
static int set_file(struct cli *c, const char *option, size_t max, json_t *body, const char *key,
                    struct err *e)
{
    const char *path = cli_option(c, option);
    SCOPED(buf_done) struct buf text = BUF_MAX(max);
    int r;

    if (path == NULL) {
        return 0;
    }
    if (path[0] == '\0') {
        return json_object_set_new(body, key, json_null());
    }
    r = strcmp(path, "-") == 0 ? ask_secret(&text, e) : fs_read(AT_FDCWD, path, &text, e);
    if (r < 0) {
        return err_wrap(e, "--%s", option);
    }
    while (text.len > 0 && strchr("\r\n", text.p[text.len - 1]) != NULL) {
        text.len--;
    }
    r = json_object_set_new(body, key, json_stringn(text.p ? text.p : "", text.len));
    if (text.p != NULL) {
        explicit_bzero(text.p, text.len);
    }
    return r == 0 ? 0 : err_set(e, ERR_INVALID, "--%s: the file must be UTF-8 text", option);
}

static int set_option(struct cli *c, const char *option, json_t *body, struct err *e)
{
    const char *value = cli_option(c, option);

    return value == NULL || json_object_set_new(body, option, json_string(value)) == 0
               ? 0
               : err_set(e, ERR_INVALID, "--%s must be UTF-8", option);
}

static int body_of(struct cli *c, json_t *body, struct err *e)
{
    const char *one, *enabled = cli_option(c, "enabled");

    if (set_option(c, "url", body, e) < 0 || set_option(c, "format", body, e) < 0 ||
        set_option(c, "repositories", body, e) < 0 || set_option(c, "tags", body, e) < 0 ||
        set_file(c, "auth-header-file", LIMIT_WEBHOOK_VALUE_BYTES, body, "auth_header", e) < 0 ||
        set_file(c, "secret-file", LIMIT_WEBHOOK_VALUE_BYTES, body, "secret", e) < 0 ||
        set_file(c, "ca-file", LIMIT_WEBHOOK_CA_BYTES, body, "ca", e) < 0) {
        return -1;
    }
    if (cli_option(c, "event")) {
        json_t *events = json_array();

        for (size_t i = 0; (one = cli_option_nth(c, "event", i)); i++) {
            (void)json_array_append_new(events, json_string(one));
        }
        (void)json_object_set_new(body, "events", events);
    }
    if (enabled && strcmp(enabled, "yes") != 0 && strcmp(enabled, "no") != 0) {
        return err_set(e, ERR_INVALID, "--enabled is yes or no, not '%.40s'", enabled);
    }
    return enabled ? json_object_set_new(body, "enabled", json_boolean(enabled[0] == 'y')) : 0;
}

int verb_webhook_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "name", cli_arg(c, 0));
    SCOPED(json_decrefp) json_t *made = NULL;

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    if (body_of(c, body, e) < 0 ||
        client_call(c->client, "POST", body, &made, e, "/api/v1/projects/%s/webhooks",
                    url_segment(c->project)) < 0) {
        return -1;
    }
    if (!print_json(c, made)) {
        (void)printf("Webhook %s made. Try it: strata webhook ping %s -p %s\n", cli_arg(c, 0),
                     cli_arg(c, 0), c->project);
    }
    return 0;
}

int verb_webhook_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    int64_t id;

    if (body_of(c, body, e) < 0) {
        return -1;
    }
    if (json_object_size(body) == 0) {
        return err_set(e, ERR_INVALID, "what is to change? strata webhook set --help");
    }
    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0 ||
        client_call(c->client, "PATCH", body, NULL, e, "/api/v1/projects/%s/webhooks/%lld",
                    url_segment(c->project), (long long)id) < 0) {
        return -1;
    }
    print_done(c, "Webhook %s is changed.", cli_arg(c, 0));
    return 0;
}

int verb_webhook_delete(struct cli *c, struct err *e)
{
    int64_t id;

    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0 ||
        ask_sure(c, e, "Webhook %s goes, with its log and what waits.", cli_arg(c, 0)) < 0 ||
        client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/webhooks/%lld",
                    url_segment(c->project), (long long)id) < 0) {
        return -1;
    }
    print_done(c, "Webhook %s is deleted.", cli_arg(c, 0));
    return 0;
}

int verb_webhook_trust(struct cli *c, struct err *e)
{
    const char *answer = cli_arg(c, 1);
    bool any = strcmp(answer, "yes") == 0;
    SCOPED(json_decrefp) json_t *body = json_pack("{s:b}", "skip", any);
    int64_t id;

    if (!any && strcmp(answer, "no") != 0) {
        return err_set(e, ERR_INVALID, "believe any certificate? yes or no, not '%.40s'", answer);
    }
    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0 ||
        client_call(c->client, "PUT", body, NULL, e,
                    "/api/v1/projects/%s/webhooks/%lld/skip-cert-verify", url_segment(c->project),
                    (long long)id) < 0) {
        return -1;
    }
    print_done(c,
               any ? "Any certificate of %s's server is believed."
                   : "The certificate of %s's server is checked.",
               cli_arg(c, 0));
    return 0;
}

/* --- what was sent --- */

int verb_webhook_log(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"ID", "id", COLUMN_NUMBER},          {"EVENT", "event", COLUMN_TEXT},
        {"STATE", "state", COLUMN_TEXT},      {"AGE", "created_at", COLUMN_AGE},
        {"TRIES", "attempts", COLUMN_NUMBER}, {"STATUS", "status", COLUMN_NUMBER},
        {"MS", "duration_ms", COLUMN_NUMBER}, {"SIZE", "payload_bytes", COLUMN_BYTES},
        {"ERROR", "error", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *items = NULL;
    SCOPED(freep) char *path = NULL;
    int64_t id;

    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0) {
        return -1;
    }
    path = xasprintf("/api/v1/projects/%s/webhooks/%lld/deliveries", url_segment(c->project),
                     (long long)id);
    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, ARRAY_LEN(columns), "Nothing was sent yet.");
    }
    return 0;
}

/* Until it has been tried; *last is the delivery as it is then. */
static int wait_for_delivery(struct cli *c, int64_t hook, int64_t delivery, json_t **last,
                             struct err *e)
{
    int64_t until = clock_mono_ms() + PING_WAIT_MS;

    for (;;) {
        json_decref(*last);
        *last = NULL;
        if (client_call(c->client, "GET", NULL, last, e,
                        "/api/v1/projects/%s/webhooks/%lld/deliveries/%lld",
                        url_segment(c->project), (long long)hook, (long long)delivery) < 0) {
            return -1;
        }
        if (json_number(*last, "attempts") > 0 ||
            strcmp(json_text(*last, "state"), "waiting") != 0 || clock_mono_ms() > until) {
            return 0;
        }
        (void)usleep(PING_LOOK_MS * 1000);
    }
}

static int tell_delivery(struct cli *c, int64_t hook, int64_t delivery, struct err *e)
{
    SCOPED(json_decrefp) json_t *last = NULL;

    if (wait_for_delivery(c, hook, delivery, &last, e) < 0) {
        return -1;
    }
    if (strcmp(json_text(last, "state"), "sent") == 0) {
        if (!print_json(c, last)) {
            (void)printf("Sent: the target answered %lld after %lld ms.\n",
                         (long long)json_number(last, "status"),
                         (long long)json_number(last, "duration_ms"));
        }
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "not sent: %s",
                   json_text(last, "error")[0] ? json_text(last, "error")
                                               : "it waits behind others; see strata webhook log");
}

int verb_webhook_ping(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *delivery = NULL;
    int64_t id;

    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0 ||
        client_call(c->client, "POST", NULL, &delivery, e, "/api/v1/projects/%s/webhooks/%lld/ping",
                    url_segment(c->project), (long long)id) < 0) {
        return -1;
    }
    return tell_delivery(c, id, json_number(delivery, "id"), e);
}

int verb_webhook_redeliver(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *delivery = NULL;
    int64_t id;

    if (find(c, cli_arg(c, 0), &id, NULL, e) < 0 ||
        client_call(c->client, "POST", NULL, &delivery, e,
                    "/api/v1/projects/%s/webhooks/%lld/deliveries/%s/redeliver",
                    url_segment(c->project), (long long)id, url_segment(cli_arg(c, 1))) < 0) {
        return -1;
    }
    return tell_delivery(c, id, json_number(delivery, "id"), e);
}
