#include "access_http.h"

#include "base/clock.h"

#include <string.h>

enum { EXPIRES_MAX_SECONDS = 10 * 366 * 86400 };

int access_http_tokens(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct page p;

    if (access_http_page(r, &b, &p, e) < 0 ||
        access_tokens_page(r->ctx, r->who.user_id, &p, e) < 0) {
        buf_done(&b);
        return -1;
    }
    return access_http_json(r, 200, &b, e);
}

int access_http_permissions_of(const json_t *list, const char *key, uint64_t *out, struct err *e)
{
    uint64_t perms = 0;
    size_t i;
    json_t *item;

    if (!json_is_array(list) || json_array_size(list) == 0) {
        return err_set(e, ERR_INVALID, "%s: give a list of permissions such as [\"job:read\"]",
                       key);
    }
    json_array_foreach(list, i, item)
    {
        enum perm p;

        if (!json_is_string(item)) {
            return err_set(e, ERR_INVALID, "%s[%zu]: give the name of a permission", key, i);
        }
        if (perm_parse(str_n(json_string_value(item), json_string_length(item)), &p, e) < 0) {
            return err_wrap(e, "%s[%zu]", key, i);
        }
        perms |= PERM_BIT(p);
    }
    *out = perms;
    return 0;
}

int access_http_expiry(const json_t *body, bool *given, int64_t *expires_ms, struct err *e)
{
    const json_t *expires = json_object_get(body, "expires_in_seconds");
    int64_t seconds = 0;

    *given = expires != NULL;
    if (expires == NULL || json_is_null(expires)) {
        *expires_ms = 0;
        return 0;
    }
    if (json_get_i64(body, "expires_in_seconds", &seconds, e) < 0) {
        return -1;
    }
    if (seconds < 1 || seconds > EXPIRES_MAX_SECONDS) {
        return err_set(e, ERR_INVALID, "expires_in_seconds: give 1 to %d, or leave it out",
                       EXPIRES_MAX_SECONDS);
    }
    *expires_ms = clock_wall_ms() + seconds * 1000;
    return 0;
}

struct token_request {
    struct str name;
    int64_t expires_ms;
    uint64_t scopes;
};

static int parse_token(const json_t *body, struct token_request *out, struct err *e)
{
    static const char *const keys[] = {"name", "expires_in_seconds", "scopes"};
    const json_t *scopes = json_object_get(body, "scopes");
    bool given;

    out->scopes = PERM_ALL;
    if (json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &out->name, e) < 0 ||
        access_http_expiry(body, &given, &out->expires_ms, e) < 0) {
        return -1;
    }
    return scopes == NULL || json_is_null(scopes)
               ? 0
               : access_http_permissions_of(scopes, "scopes", &out->scopes, e);
}

int access_http_token_add(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct token_request want = {0};
    struct token made;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    if (http_body_json(r, &body, e) < 0 || parse_token(body, &want, e) < 0 ||
        access_token_add(r->ctx, &r->who, want.name, want.expires_ms, want.scopes, &made, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_i64(&w, "id", made.id);
    jw_kv_str(&w, "name", want.name);
    jw_kv_c(&w, "token", made.text);
    jw_kv_time(&w, "expires_at", made.expires_ms);
    jw_key(&w, "scopes");
    access_scopes_json(&w, made.scopes);
    jw_kv_time(&w, "created_at", made.created_ms);
    jw_end(&w);
    explicit_bzero(&made, sizeof(made));
    http_set_header(r, "Cache-Control", "no-store");
    return access_http_json(r, 201, &b, e);
}

int access_http_token_delete(struct http_req *r, struct err *e)
{
    struct str text = http_path_param(r, "id");
    uint64_t id;

    if (str_to_u64(text, &id) < 0 || id > INT64_MAX) {
        return err_set(e, ERR_NOT_FOUND, "you have no token with the id \"%.*s\"",
                       STR_ARG(str_first(text, 32)));
    }
    if (access_token_delete(r->ctx, &r->who, (int64_t)id, e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}
