/* What Harbor tells of robots and policies, as our Harbor API takes it. Pure: rows from a stranger
 * in, bodies of requests out, and the server judges them. */
#include "main/cli/migrate.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { DAY_SEC = 24 * 3600 };

/* An object of the keys that are named, and that are there. */
static json_t *only(const json_t *row, const char *const *keys, size_t n)
{
    json_t *out = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *v = json_object_get(row, keys[i]);

        if (v != NULL && !json_is_null(v)) {
            (void)json_object_set(out, keys[i], v);
        }
    }
    return out;
}

static const char *mapped(const json_t *maps, const char *name)
{
    const char *to = json_text(maps, name);

    return to[0] ? to : name;
}

/* --- projects --- */

static void copy_severity(json_t *out, const json_t *metadata)
{
    static const char *const known[] = {"none", "low", "medium", "high", "critical"};
    const char *severity = json_text(metadata, "severity");

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(severity, known[i]) == 0) { /* else the lowest, which blocks the most */
            (void)json_object_set_new(out, "severity", json_string(severity));
        }
    }
}

/* A list that will be in force no more one day does not come. */
json_t *translate_allowlist(const json_t *list)
{
    static const char *const keys[] = {"cve_id"};
    const json_t *one;
    json_t *items = json_array();
    size_t i;

    json_array_foreach(json_object_get(list, "items"), i, one)
    {
        (void)json_array_append_new(items, only(one, keys, ARRAY_LEN(keys)));
    }
    if (json_array_size(items) == 0 || json_number(list, "expires_at") > 0) {
        json_decref(items);
        return NULL;
    }
    return json_pack("{s:o}", "items", items);
}

json_t *translate_metadata(const json_t *project)
{
    static const char *const keys[] = {"public",
                                       "prevent_vul",
                                       "auto_scan",
                                       "enable_content_trust",
                                       "enable_content_trust_cosign",
                                       "reuse_sys_cve_allowlist"};
    const json_t *metadata = json_object_get(project, "metadata");
    json_t *out = json_object(),
           *allowed = translate_allowlist(json_object_get(project, "cve_allowlist"));

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(json_text(metadata, keys[i]), "true") == 0) {
            (void)json_object_set_new(out, keys[i], json_string("true"));
        }
    }
    if (json_object_get(out, "prevent_vul") != NULL) {
        copy_severity(out, metadata);
    }
    out = json_pack("{s:o}", "metadata", out);
    if (allowed != NULL) {
        (void)json_object_set_new(out, "cve_allowlist", allowed);
    }
    return out;
}

/* --- labels --- */

json_t *translate_label(const json_t *row, int64_t project_id)
{
    static const char *const keys[] = {"name", "description"};
    json_t *out = only(row, keys, ARRAY_LEN(keys));
    const char *color = json_text(row, "color");

    if (color[0] == '#' && strlen(color) == 7 && strspn(color + 1, "0123456789abcdefABCDEF") == 6) {
        (void)json_object_set_new(out, "color", json_string(color));
    }
    (void)json_object_set_new(out, "scope", json_string(project_id ? "p" : "g"));
    if (project_id != 0) {
        (void)json_object_set_new(out, "project_id", json_integer(project_id));
    }
    return out;
}

/* --- robots --- */

const char *translate_robot_name(const char *login)
{
    const char *plus = strrchr(login, '+'), *dollar = strchr(login, '$');

    return plus ? plus + 1 : dollar ? dollar + 1 : login;
}

static bool can_be_given(const json_t *rights, const json_t *access)
{
    const json_t *one;
    size_t i;

    json_array_foreach(rights, i, one)
    {
        if (json_equal(json_object_get(one, "resource"), json_object_get(access, "resource")) &&
            json_equal(json_object_get(one, "action"), json_object_get(access, "action"))) {
            return true;
        }
    }
    return rights == NULL;
}

static void leave_out(struct buf *left_out, const char *a, const char *b)
{
    (void)buf_printf(left_out, "%s%.40s %.40s", left_out->len ? ", " : "", a, b);
}

static bool is_right(const json_t *access, const char *resource, const char *action)
{
    return strcmp(json_text(access, "resource"), resource) == 0 &&
           strcmp(json_text(access, "action"), action) == 0;
}

/* Who may look here may pull: there it is a right of its own. */
static bool looks_only(const json_t *access)
{
    return is_right(access, "repository", "read") || is_right(access, "repository", "list") ||
           is_right(access, "artifact", "read") || is_right(access, "artifact", "list") ||
           is_right(access, "tag", "list") || is_right(access, "accessory", "list");
}

static bool is_denied(const json_t *access)
{
    return strcmp(json_text(access, "effect"), "deny") == 0;
}

static bool pulls(const json_t *permission)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(permission, "access"), i, one)
    {
        if (is_right(one, "repository", "pull") && !is_denied(one)) {
            return true;
        }
    }
    return false;
}

static json_t *access_of(const json_t *permission, const json_t *rights, struct buf *left_out)
{
    static const char *const keys[] = {"resource", "action"};
    json_t *out = json_array();
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(permission, "access"), i, one)
    {
        if (is_denied(one)) {
            continue;
        }
        if (looks_only(one) && !pulls(permission)) { /* nobody gets more than he had */
            leave_out(left_out, json_text(one, "action"), json_text(one, "resource"));
            (void)buf_add_c(left_out, " (without pull)");
        } else if (can_be_given(rights, one)) {
            (void)json_array_append_new(out, only(one, keys, ARRAY_LEN(keys)));
        } else {
            leave_out(left_out, json_text(one, "action"), json_text(one, "resource"));
        }
    }
    return out;
}

static json_t *permissions_of(const json_t *row, const json_t *maps, const json_t *rights,
                              struct buf *left_out)
{
    json_t *out = json_array();
    const json_t *p;
    size_t i;

    json_array_foreach(json_object_get(row, "permissions"), i, p)
    {
        const char *space = mapped(maps, json_text(p, "namespace"));
        json_t *access;

        if (strcmp(json_text(p, "kind"), "project") != 0) {
            leave_out(left_out, json_text(p, "kind"), "permissions");
            continue;
        }
        access = access_of(p, rights, left_out);
        if (json_array_size(access) == 0) {
            json_decref(access);
            continue;
        }
        (void)json_array_append_new(out, json_pack("{s:s, s:s, s:o}", "kind", "project",
                                                   "namespace", space, "access", access));
    }
    return out;
}

/* Whole days that it still lives; -1 for ever, 0: it has ended. */
static int64_t days_left(const json_t *row)
{
    int64_t until = json_number(row, "expires_at"), now = clock_wall_ms() / 1000;

    return until <= 0 ? -1 : until <= now ? 0 : (until - now - 1) / DAY_SEC + 1;
}

json_t *translate_robot(const json_t *row, const json_t *maps, const json_t *rights,
                        struct buf *left_out)
{
    static const char *const keys[] = {"description", "level", "disable"};
    int64_t days = days_left(row);
    json_t *permissions = permissions_of(row, maps, rights, left_out), *out;

    if (days == 0 || json_array_size(permissions) == 0) {
        if (days == 0) {
            leave_out(left_out, "it has", "expired");
        }
        json_decref(permissions);
        return NULL;
    }
    out = only(row, keys, ARRAY_LEN(keys));
    (void)json_object_set_new(out, "name",
                              json_string(translate_robot_name(json_text(row, "name"))));
    (void)json_object_set_new(out, "duration", json_integer(days));
    (void)json_object_set_new(out, "permissions", permissions);
    return out;
}

/* --- rules for tags --- */

static bool is_off(const json_t *rule)
{
    return json_is_true(json_object_get(rule, "disabled"));
}

json_t *translate_retention(const json_t *policy, int64_t project_id)
{
    static const char *const keys[] = {"algorithm", "trigger"};
    json_t *rules = json_array(), *out;
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(policy, "rules"), i, rule)
    {
        if (!is_off(rule)) {
            (void)json_array_append_new(rules, json_deep_copy(rule));
        }
    }
    if (json_array_size(rules) == 0) {
        json_decref(rules);
        return NULL;
    }
    out = only(policy, keys, ARRAY_LEN(keys));
    (void)json_object_set_new(out, "rules", rules);
    (void)json_object_set_new(
        out, "scope", json_pack("{s:s, s:I}", "level", "project", "ref", (json_int_t)project_id));
    return out;
}

json_t *translate_immutable(const json_t *row)
{
    static const char *const keys[] = {"action", "template", "tag_selectors", "scope_selectors",
                                       "priority"};

    return is_off(row) ? NULL : only(row, keys, ARRAY_LEN(keys));
}

static bool same_selector(const json_t *a, const json_t *b)
{
    const json_t *x = json_array_get(a, 0), *y = json_array_get(b, 0);

    return strcmp(json_text(x, "decoration"), json_text(y, "decoration")) == 0 &&
           strcmp(json_text(x, "pattern"), json_text(y, "pattern")) == 0;
}

bool translate_same_immutable(const json_t *a, const json_t *b)
{
    return same_selector(json_object_get(a, "tag_selectors"),
                         json_object_get(b, "tag_selectors")) &&
           same_selector(json_object_get(json_object_get(a, "scope_selectors"), "repository"),
                         json_object_get(json_object_get(b, "scope_selectors"), "repository"));
}

/* --- webhooks, registries, replication --- */

json_t *translate_webhook(const json_t *row)
{
    static const char *const keys[] = {"name", "targets", "event_types", "enabled"};
    json_t *copy = json_deep_copy(row), *target;
    json_t *out = only(copy, keys, ARRAY_LEN(keys));
    size_t i;

    json_array_foreach(json_object_get(out, "targets"), i, target)
    {
        if (strspn(json_text(target, "auth_header"), "*") == /* covered up: not told */
            strlen(json_text(target, "auth_header"))) {
            (void)json_object_del(target, "auth_header");
        }
    }
    json_decref(copy);
    return out;
}

json_t *translate_registry(const json_t *row, bool *has_secret)
{
    static const char *const keys[] = {"name", "url", "type", "insecure"};
    const json_t *credential = json_object_get(row, "credential");
    const char *key = json_text(credential, "access_key");
    json_t *out = only(row, keys, ARRAY_LEN(keys));

    *has_secret = key[0] != '\0' || json_text(credential, "access_secret")[0] != '\0';
    if (key[0] != '\0') {
        (void)json_object_set_new(out, "credential",
                                  json_pack("{s:s, s:s}", "type", "basic", "access_key", key));
    }
    return out;
}

/* {"id"} of the registry here that has this one's name; NULL: this side is the Harbor itself. */
static int side_of(const json_t *side, const json_t *ids, json_t **out)
{
    const json_t *id;

    *out = NULL;
    if (json_number(side, "id") <= 0) {
        return 0;
    }
    id = json_object_get(ids, json_text(side, "name"));
    if (id == NULL) {
        return -1;
    }
    *out = json_pack("{s:I}", "id", json_integer_value(id));
    return 0;
}

/* A pattern that begins with a project that has another name here. */
static void map_filter(json_t *filter, const json_t *maps)
{
    struct str rest = str_of(json_text(filter, "value")), project = str_cut(&rest, '/');
    SCOPED(freep) char *name = str_dup(project);
    const char *to = json_text(maps, name);
    SCOPED(freep) char *value = NULL;

    if (strcmp(json_text(filter, "type"), "name") == 0 && to[0] && rest.p != NULL) {
        value = xasprintf("%s/%.*s", to, STR_ARG(rest));
        (void)json_object_set_new(filter, "value", json_string(value));
    }
}

json_t *translate_rule(const json_t *row, const json_t *ids, const json_t *maps)
{
    static const char *const keys[] = {"name",     "dest_namespace", "dest_namespace_replace_count",
                                       "trigger",  "filters",        "replicate_deletion",
                                       "deletion", "override",       "enabled",
                                       "speed"};
    json_t *copy, *out, *src, *dst, *filter;
    size_t i;

    if (side_of(json_object_get(row, "src_registry"), ids, &src) < 0) {
        return NULL;
    }
    if (side_of(json_object_get(row, "dest_registry"), ids, &dst) < 0) {
        json_decref(src);
        return NULL;
    }
    copy = json_deep_copy(row);
    out = only(copy, keys, ARRAY_LEN(keys));
    json_array_foreach(json_object_get(out, "filters"), i, filter)
    {
        if (src == NULL) { /* names of here */
            map_filter(filter, maps);
        }
    }
    if (src != NULL && json_text(maps, json_text(row, "dest_namespace"))[0]) {
        (void)json_object_set_new(out, "dest_namespace",
                                  json_string(mapped(maps, json_text(row, "dest_namespace"))));
    }
    (void)json_object_set_new(out, "src_registry", src ? src : json_null());
    (void)json_object_set_new(out, "dest_registry", dst ? dst : json_null());
    json_decref(copy);
    return out;
}

const char *translate_missing_label(const json_t *rule, const json_t *names)
{
    const json_t *filter, *name;
    size_t i, j;

    json_array_foreach(json_object_get(rule, "filters"), i, filter)
    {
        if (strcmp(json_text(filter, "type"), "label") != 0) {
            continue;
        }
        json_array_foreach(json_object_get(filter, "value"), j, name)
        {
            if (json_is_string(name) && json_object_get(names, json_string_value(name)) == NULL) {
                return json_string_value(name);
            }
        }
    }
    return NULL;
}
