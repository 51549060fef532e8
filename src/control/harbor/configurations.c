/* Settings, which are read here and changed in strata.yaml; and LDAP, which is not here. */
#include "harbor_priv.h"

#include "base/cfg.h"
#include "registry/registry.h"

enum kind { TEXT, SWITCH, NUMBER };

struct setting {
    enum kind kind;
    const char *text;
    int64_t number; /* of a switch 0 or 1 */
};

static int64_t in_units(int64_t sec, int64_t unit)
{
    return (sec + unit - 1) / unit;
}

static struct setting creation(const struct cfg *c)
{
    return (struct setting){
        TEXT, cfg_bool(c, "access.users_create_projects") ? "everyone" : "adminonly", 0};
}

static struct setting quota(const struct cfg *c)
{
    int64_t bytes = cfg_i64(c, "registry.project_quota");

    return (struct setting){NUMBER, NULL, bytes > 0 ? bytes : -1};
}

/* Days; -1: for ever. */
static struct setting robots(const struct cfg *c)
{
    int64_t sec = cfg_i64(c, "access.robot_expiry_max");

    return (struct setting){NUMBER, NULL, sec > 0 ? in_units(sec, 86400) : -1};
}

/* Minutes. */
static struct setting sessions(const struct cfg *c)
{
    return (struct setting){NUMBER, NULL, in_units(cfg_i64(c, "access.session_idle"), 60)};
}

static struct setting tokens(const struct cfg *c)
{
    (void)c;
    return (struct setting){NUMBER, NULL, in_units(REGISTRY_TOKEN_SEC, 60)};
}

/* `ours` is the setting of strata.yaml, NULL where there is nothing to set. */
static const struct {
    const char *name, *ours;
    struct setting is;
    struct setting (*read)(const struct cfg *c); /* NULL: it is always so */
} settings[] = {
    {"auth_mode", NULL, {TEXT, "db_auth", 0}, NULL},
    {"primary_auth_mode", NULL, {SWITCH, NULL, 1}, NULL},
    {"self_registration", NULL, {SWITCH, NULL, 0}, NULL},
    {"project_creation_restriction", "access.users_create_projects", {TEXT, NULL, 0}, creation},
    {"read_only", NULL, {SWITCH, NULL, 0}, NULL},
    {"notification_enable", NULL, {SWITCH, NULL, 1}, NULL},
    {"quota_per_project_enable", NULL, {SWITCH, NULL, 1}, NULL},
    {"storage_per_project", "registry.project_quota", {NUMBER, NULL, 0}, quota},
    {"robot_name_prefix", NULL, {TEXT, "robot$", 0}, NULL},
    {"robot_token_duration", "access.robot_expiry_max", {NUMBER, NULL, 0}, robots},
    {"session_timeout", "access.session_idle", {NUMBER, NULL, 0}, sessions},
    {"token_expiration", NULL, {NUMBER, NULL, 0}, tokens},
};

static struct setting value_of(const struct cfg *c, size_t i)
{
    return settings[i].read ? settings[i].read(c) : settings[i].is;
}

/* --- reading --- */

/* Nothing of it can be changed by this API. The internal ones are the same. */
int harbor_configurations(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);

    jw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        struct setting s = value_of(h->cfg, i);

        jw_key(&w, settings[i].name);
        jw_object(&w);
        if (s.kind == TEXT) {
            jw_kv_c(&w, "value", s.text);
        } else if (s.kind == SWITCH) {
            jw_kv_bool(&w, "value", s.number != 0);
        } else {
            jw_kv_i64(&w, "value", s.number);
        }
        jw_kv_bool(&w, "editable", false);
        jw_end(&w);
    }
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

bool harbor_everyone_creates(const struct harbor *h)
{
    return cfg_bool(h->cfg, "access.users_create_projects");
}

/* --- changing: what is so already is no change --- */

static bool is_so(const struct setting *s, const json_t *v)
{
    switch (s->kind) {
    case TEXT:
        return json_is_string(v) && str_eq_c(str_of(json_string_value(v)), s->text);
    case SWITCH:
        return json_is_boolean(v) && json_is_true(v) == (s->number != 0);
    default:
        return json_is_integer(v) && json_integer_value(v) == s->number;
    }
}

/* What switches nothing on: clients send all that they know. */
static bool is_nothing(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_integer(v) && json_integer_value(v) == 0);
}

static int check(const struct cfg *c, const char *key, const json_t *v, struct err *e)
{
    size_t i = 0;
    struct setting s;

    while (i < ARRAY_LEN(settings) && !str_eq_c(str_of(key), settings[i].name)) {
        i++;
    }
    if (i == ARRAY_LEN(settings)) {
        return is_nothing(v) ? 0
                             : err_set(e, ERR_INVALID, "%.64s: there is no such setting here", key);
    }
    s = value_of(c, i);
    if (json_is_null(v) || is_so(&s, v)) {
        return 0;
    }
    return settings[i].ours
               ? err_set(e, ERR_INVALID,
                         "%s: set %s in strata.yaml and restart the server; this API reads it only",
                         key, settings[i].ours)
               : err_set(e, ERR_INVALID, "%s: it is so always here, and cannot be changed", key);
}

int harbor_configurations_set(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    const char *key;
    json_t *v;

    if (http_body_json(r, &body, e) < 0) {
        return -1;
    }
    json_object_foreach(body, key, v)
    {
        if (check(h->cfg, key, v, e) < 0) {
            return -1;
        }
    }
    return http_reply_empty(r, 200, e);
}

/* --- LDAP --- */

#define NO_LDAP "there is no LDAP here: users are made by POST /users, groups by POST /usergroups"

/* That it does not answer is an answer, as in Harbor. */
int harbor_ldap_ping(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_bool(&w, "success", false);
    jw_kv_c(&w, "message", "error: " NO_LDAP);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

int harbor_ldap_none(struct http_req *r, struct err *e)
{
    (void)r;
    return err_set(e, ERR_INVALID, NO_LDAP);
}
