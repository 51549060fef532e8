#include "access_http.h"
#include "secrets/secrets.h"

#include <string.h>

/* The project's id; ERR_UNAVAILABLE on a server without a secret store. */
static int open_project(struct http_req *r, struct secrets **s, int64_t *id, struct err *e)
{
    struct access *a = r->ctx;
    uint32_t id_base;

    if (a->hooks.secrets == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "this server keeps no secrets");
    }
    *s = a->hooks.secrets;
    return access_project(a, r->project, id, &id_base, e);
}

int access_http_secrets(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct secrets *s = NULL;
    struct str q;
    int64_t id = 0;

    if (http_query_filter(r, &q, e) < 0 || open_project(r, &s, &id, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    if (secrets_list(s, id, q, &w, e) < 0) {
        buf_done(&b);
        return -1;
    }
    jw_end(&w);
    jw_kv_c(&w, "next", NULL);
    jw_end(&w);
    return access_http_json(r, 200, &b, e);
}

int access_http_secret_put(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"value"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct secrets *s = NULL;
    struct str value;
    int64_t id = 0;
    int result;

    if (open_project(r, &s, &id, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "value", &value, e) < 0) {
        return -1;
    }
    result = secrets_put(s, id, http_path_param(r, "s"), value, str_of(r->who.name), e);
    explicit_bzero((char *)value.p, value.len); /* our own copy, freed in a moment */
    if (result < 0) {
        return -1;
    }
    access_tell_secret(r->ctx, r->project, http_path_param(r, "s"), "set");
    return http_reply_empty(r, 204, e);
}

int access_http_secret_delete(struct http_req *r, struct err *e)
{
    struct secrets *s = NULL;
    int64_t id = 0;

    if (open_project(r, &s, &id, e) < 0 || secrets_delete(s, id, http_path_param(r, "s"), e) < 0) {
        return -1;
    }
    access_tell_secret(r->ctx, r->project, http_path_param(r, "s"), "deleted");
    return http_reply_empty(r, 204, e);
}
