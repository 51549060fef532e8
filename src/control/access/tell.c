/* What the event stream tells of users, projects, members, tokens, secrets and the audit log: to
 * those whom a route would tell it, and to whoever is meant himself. Each is called after the
 * commit and after access_forget, so that the filter already judges by what is new. */
#include "access_priv.h"

#include "base/json.h"

enum { EVENT_MAX = 1024 };

static void tell(struct access *a, const char *type, const struct http_audience *to, struct buf *b)
{
    if (a->hooks.event && !b->failed) {
        a->hooks.event(a->hooks.ctx, type, to, buf_str(b));
    }
    buf_done(b);
}

static void add_or_null(struct jw *w, const char *key, struct str value)
{
    jw_key(w, key);
    if (value.len == 0) {
        jw_null(w);
    } else {
        jw_str(w, value);
    }
}

void access_tell_project(struct access *a, const struct http_audience *to, struct str project,
                         const char *action)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "project", project);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    tell(a, "project", to, &b);
}

void access_tell_me(struct access *a, int64_t user_id)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    if (user_id == 0) {
        return; /* the first start makes things that nobody made */
    }
    jw_object(&w);
    jw_end(&w);
    tell(a, "me", &(struct http_audience){.perm = PERM_SIGNED_IN, .user_id = user_id}, &b);
}

void access_tell_all(struct access *a, const struct user_ids *users)
{
    for (size_t i = 0; i < users->len; i++) {
        access_tell_me(a, users->p[i]);
    }
}

static void tell_named(struct access *a, const char *type, struct str name, const char *action)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "name", name);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    tell(a, type, &(struct http_audience){.perm = PERM_USER_MANAGE}, &b);
}

void access_tell_user(struct access *a, struct str name, const char *action)
{
    tell_named(a, "user", name, action);
}

void access_tell_member(struct access *a, struct str project, const char *kind, struct str name,
                        enum role role)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "project", project);
    jw_kv_str(&w, kind, name);
    add_or_null(&w, "role", role == ROLE_NONE ? STR_EMPTY : str_of(role_name(role)));
    jw_end(&w);
    tell(a, "member", &(struct http_audience){.perm = PERM_MEMBER_READ, .project = project}, &b);
}

void access_tell_robot(struct access *a, struct str project, struct str name, const char *action)
{
    struct http_audience to = {.perm = project.len > 0 ? PERM_PROJECT_MANAGE : PERM_USER_MANAGE,
                               .project = project};
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    add_or_null(&w, "project", project);
    jw_kv_str(&w, "name", name);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    tell(a, "robot", &to, &b);
}

void access_tell_group(struct access *a, struct str name, const char *action)
{
    tell_named(a, "group", name, action);
}

void access_tell_token(struct access *a, int64_t user_id, int64_t id, const char *action)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_i64(&w, "id", id);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    tell(a, "token", &(struct http_audience){.perm = PERM_SIGNED_IN, .user_id = user_id}, &b);
}

void access_tell_secret(struct access *a, struct str project, struct str name, const char *action)
{
    struct buf b = BUF_MAX(EVENT_MAX);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "project", project);
    jw_kv_str(&w, "name", name);
    jw_kv_c(&w, "action", action);
    jw_end(&w);
    tell(a, "secret", &(struct http_audience){.perm = PERM_SECRET_READ, .project = project}, &b);
}

void access_tell_audit(struct access *a, struct str user, struct str project)
{
    struct buf b = BUF_MAX(EVENT_MAX + LIMIT_AUDIT_PATH_BYTES);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_str(&w, "user", user);
    add_or_null(&w, "project", project);
    jw_end(&w);
    tell(a, "audit", &(struct http_audience){.perm = PERM_AUDIT_READ}, &b);
}
