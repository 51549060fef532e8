/* What people set of a hook: names, limits, and what may be in a URL. */
#include "webhooks_priv.h"

#include "base/glob.h"
#include "fetch/fetch.h"

#include <string.h>

static const char *const event_names[WEBHOOK_EVENTS] = {
    "PUSH_ARTIFACT", "PULL_ARTIFACT", "DELETE_ARTIFACT",    "QUOTA_EXCEED",    "QUOTA_WARNING",
    "TAG_RETENTION", "REPLICATION",   "SCANNING_COMPLETED", "SCANNING_FAILED", "SCANNING_STOPPED",
    "PING"};

static const char *const format_names[HOOK_FORMATS] = {"Default", "CloudEvents"};

const char *event_name(enum webhook_event event)
{
    return event_names[event];
}

const char *format_name(enum hook_format format)
{
    return format_names[format];
}

/* --- URL --- */

static size_t scheme_length(struct str url)
{
    return str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
}

static struct str up_to_path(struct str url)
{
    size_t n = scheme_length(url);

    while (n < url.len && strchr("/?#", url.p[n]) == NULL) {
        n++;
    }
    return str_first(url, n);
}

int hook_url_check(struct str url, struct err *e)
{
    struct str host = str_from(up_to_path(url), scheme_length(url));
    char text[LIMIT_WEBHOOK_URL_BYTES + 1];

    if (scheme_length(url) == 0 || host.len == 0) {
        return err_set(e, ERR_INVALID, "url: give an address such as https://ci.example/hooks/1");
    }
    if (url.len > LIMIT_WEBHOOK_URL_BYTES) {
        return err_set(e, ERR_INVALID, "url: at most %d bytes", LIMIT_WEBHOOK_URL_BYTES);
    }
    for (size_t i = 0; i < url.len; i++) {
        if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\') {
            return err_set(e, ERR_INVALID,
                           "url: byte %zu does not belong in an address: write it as %%XX", i + 1);
        }
    }
    if (str_find_char(host, '@') >= 0) {
        return err_set(e, ERR_INVALID,
                       "url: it would be shown with its password: put that into auth_header");
    }
    (void)!str_copy(url, text, sizeof(text));
    if (!fetch_same_origin(text, text)) {
        return err_set(e, ERR_INVALID, "url: \"%.*s\" is no host and port",
                       STR_ARG(str_first(host, 100)));
    }
    if (str_find_char(url, '#') >= 0) {
        return err_set(e, ERR_INVALID, "url: what stands behind # is never sent: leave it out");
    }
    return 0;
}

/* --- the other fields --- */

static int check_name(struct str name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES && name.p[0] != '.' && name.p[0] != '-';

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.p[i];

        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    }
    return ok ? 0
              : err_set(e, ERR_INVALID,
                        "name: use 1 to %d letters, digits, '.', '_' and '-', not starting with "
                        "'.' or '-'",
                        LIMIT_NAME_BYTES);
}

static int check_pattern(const char *key, struct str pattern, struct err *e)
{
    struct glob g;

    return pattern.len == 0 || glob_compile(&g, pattern, e) == 0 ? 0 : err_wrap(e, "%s", key);
}

/* It becomes a header: a line break would begin another one. */
static int check_value(const char *key, struct str value, struct err *e)
{
    if (value.len > LIMIT_WEBHOOK_VALUE_BYTES) {
        return err_set(e, ERR_INVALID, "%s: at most %llu bytes", key, LIMIT_WEBHOOK_VALUE_BYTES);
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f) {
            return err_set(e, ERR_INVALID, "%s: byte %zu is a control character", key, i + 1);
        }
    }
    return 0;
}

static int check_ca(struct str ca, struct err *e)
{
    if (ca.len > LIMIT_WEBHOOK_CA_BYTES) {
        return err_set(e, ERR_INVALID, "ca: at most %llu bytes", LIMIT_WEBHOOK_CA_BYTES);
    }
    if (str_find(ca, STR("PRIVATE KEY")) >= 0) {
        return err_set(e, ERR_INVALID, "ca: that holds a private key: give certificates alone");
    }
    if (ca.len > 0 &&
        (str_find(ca, STR("-----BEGIN CERTIFICATE-----")) < 0 || str_find_char(ca, '\0') >= 0)) {
        return err_set(e, ERR_INVALID, "ca: give PEM text: -----BEGIN CERTIFICATE-----...");
    }
    return 0;
}

static int events_of(const json_t *list, unsigned *out, struct err *e)
{
    const json_t *one;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0) {
        return err_set(e, ERR_INVALID, "events: give at least one, such as [\"PUSH_ARTIFACT\"]");
    }
    *out = 0;
    json_array_foreach(list, i, one)
    {
        struct str name = str_of(json_string_value(one));
        unsigned event = 0;

        while (event < WEBHOOK_PING && !str_eq_c(name, event_names[event])) {
            event++;
        }
        if (event == WEBHOOK_PING) {
            const char *near = str_nearest(name, event_names, WEBHOOK_PING);

            return err_set(e, ERR_INVALID, "events[%zu]: %s%s%s", i,
                           near ? "did you mean '" : "there is no such event",
                           near ? near : ": see the manual, images", near ? "'?" : "");
        }
        *out |= EVENT_BIT(event);
    }
    return 0;
}

static int format_of(struct str text, enum hook_format *out, struct err *e)
{
    for (int i = 0; i < HOOK_FORMATS; i++) {
        if (str_eq_c(text, format_names[i])) {
            *out = (enum hook_format)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "format: Default or CloudEvents");
}

/* One text, where null stands for none. */
static int take_text(const json_t *body, const char *key, unsigned bit, struct hook_change *c,
                     struct str *out, struct err *e)
{
    const json_t *value = json_object_get(body, key);

    if (value == NULL) {
        return 0;
    }
    c->given |= bit;
    *out = STR_EMPTY;
    return json_is_null(value) ? 0 : json_get_str(body, key, out, e);
}

static void note(struct err_list *l, int result, const struct err *e)
{
    if (result < 0) {
        err_list_add(l, 0, 0, NULL, "%s", e->msg);
    }
}

static void check_all(const struct hook_change *c, struct err_list *l)
{
    struct err e;

    if (c->given & HOOK_HAS_NAME) {
        note(l, check_name(c->name, &e), &e);
    }
    if (c->given & HOOK_HAS_URL) {
        note(l, hook_url_check(c->url, &e), &e);
    }
    note(l, check_pattern("repositories", c->repositories, &e), &e);
    note(l, check_pattern("tags", c->tags, &e), &e);
    note(l, check_value("auth_header", c->auth, &e), &e);
    note(l, check_value("secret", c->secret, &e), &e);
    note(l, check_ca(c->ca, &e), &e);
}

int hook_change_parse(const json_t *body, struct hook_change *out, struct err *e)
{
    static const char *const keys[] = {"name", "url",         "events", "format", "repositories",
                                       "tags", "auth_header", "secret", "ca",     "enabled"};
    struct err_list l = {0};
    struct str format = STR("Default");
    struct err one;
    int result;

    *out = (struct hook_change){.name = STR_EMPTY,
                                .url = STR_EMPTY,
                                .repositories = STR_EMPTY,
                                .tags = STR_EMPTY,
                                .auth = STR_EMPTY,
                                .secret = STR_EMPTY,
                                .ca = STR_EMPTY,
                                .enabled = true};
    note(&l, json_only_keys(body, keys, ARRAY_LEN(keys), &one), &one);
    note(&l, take_text(body, "name", HOOK_HAS_NAME, out, &out->name, &one), &one);
    note(&l, take_text(body, "url", HOOK_HAS_URL, out, &out->url, &one), &one);
    note(&l, take_text(body, "repositories", HOOK_HAS_REPOSITORIES, out, &out->repositories, &one),
         &one);
    note(&l, take_text(body, "tags", HOOK_HAS_TAGS, out, &out->tags, &one), &one);
    note(&l, take_text(body, "auth_header", HOOK_HAS_AUTH, out, &out->auth, &one), &one);
    note(&l, take_text(body, "secret", HOOK_HAS_SECRET, out, &out->secret, &one), &one);
    note(&l, take_text(body, "ca", HOOK_HAS_CA, out, &out->ca, &one), &one);
    if (json_object_get(body, "events") != NULL) {
        out->given |= HOOK_HAS_EVENTS;
        note(&l, events_of(json_object_get(body, "events"), &out->events, &one), &one);
    }
    if (json_object_get(body, "format") != NULL) {
        out->given |= HOOK_HAS_FORMAT;
        result = json_get_str(body, "format", &format, &one);
        note(&l, result < 0 ? -1 : format_of(format, &out->format, &one), &one);
    }
    if (json_object_get(body, "enabled") != NULL) {
        out->given |= HOOK_HAS_ENABLED;
        note(&l, json_get_bool(body, "enabled", &out->enabled, &one), &one);
    }
    check_all(out, &l);
    result = err_list_result(&l, "webhook", e);
    err_list_done(&l);
    return result;
}
