#include "scrape/http_keys.h"

#include <stddef.h>

void http_config_init(const struct decoder *d, struct http_config *h)
{
    *h = (struct http_config){.follow_redirects = true, .enable_http2 = true, .deny = d->deny};
}

int http_basic_auth(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"username", KEY_STR, offsetof(struct http_config, username), NULL, NULL},
        {"username_file", KEY_PATH, offsetof(struct http_config, username_file), NULL, NULL},
        {"password", KEY_STR, offsetof(struct http_config, password), NULL, NULL},
        {"password_file", KEY_PATH, offsetof(struct http_config, password_file), NULL, NULL},
        NOT_YET("username_ref", "not supported: use username_file"),
        NOT_YET("password_ref", "not supported: use password_file"),
    };
    struct http_config *h = out;

    h->has_basic = !yaml_is_null(n);
    if (decode_map(d, n, keys, ARRAY_LEN(keys), h) < 0) {
        return -1;
    }
    if ((h->username.len > 0 && h->username_file.len > 0) ||
        (h->password.len > 0 && h->password_file.len > 0)) {
        return decode_refuse(d, n, "a value and its file stand side by side: keep one");
    }
    return 0;
}

int http_authorization(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"type", KEY_STR, offsetof(struct http_config, auth_type), NULL, NULL},
        {"credentials", KEY_STR, offsetof(struct http_config, credentials), NULL, NULL},
        {"credentials_file", KEY_PATH, offsetof(struct http_config, credentials_file), NULL, NULL},
        NOT_YET("credentials_ref", "not supported: use credentials_file"),
    };
    struct http_config *h = out;

    if (decode_map(d, n, keys, ARRAY_LEN(keys), h) < 0) {
        return -1;
    }
    if (h->has_authorization) {
        return decode_refuse(d, n, "bearer_token stands beside it: keep one");
    }
    h->has_authorization = !yaml_is_null(n);
    if (str_eq_nocase(h->auth_type, STR("basic"))) {
        return decode_refuse(d, n, "for the type Basic there is basic_auth");
    }
    if (h->credentials.len > 0 && h->credentials_file.len > 0) {
        return decode_refuse(d, n, "credentials and credentials_file stand side by side: keep one");
    }
    return 0;
}

static int bearer(const struct decoder *d, const struct yaml_node *n, struct http_config *h,
                  struct str *to, struct str value)
{
    if (n->kind != YAML_SCALAR) {
        return decode_refuse(d, n, "expected a single value");
    }
    if (h->has_authorization) {
        return decode_refuse(d, n, "authorization stands beside it: keep one");
    }
    h->has_authorization = true;
    *to = value;
    return 0;
}

int http_bearer_token(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct http_config *h = out;

    return yaml_is_null(n) ? 0 : bearer(d, n, h, &h->credentials, n->scalar);
}

int http_bearer_token_file(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct http_config *h = out;

    return yaml_is_null(n) ? 0 : bearer(d, n, h, &h->credentials_file, decode_path(d, n->scalar));
}

static bool is_version(struct str s)
{
    return s.len == 0 || str_eq_c(s, "TLS10") || str_eq_c(s, "TLS11") || str_eq_c(s, "TLS12") ||
           str_eq_c(s, "TLS13");
}

int http_tls(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"ca", KEY_STR, offsetof(struct http_config, tls.ca), NULL, NULL},
        {"ca_file", KEY_PATH, offsetof(struct http_config, tls.ca_file), NULL, NULL},
        {"cert", KEY_STR, offsetof(struct http_config, tls.cert), NULL, NULL},
        {"cert_file", KEY_PATH, offsetof(struct http_config, tls.cert_file), NULL, NULL},
        {"key", KEY_STR, offsetof(struct http_config, tls.key), NULL, NULL},
        {"key_file", KEY_PATH, offsetof(struct http_config, tls.key_file), NULL, NULL},
        {"server_name", KEY_STR, offsetof(struct http_config, tls.server_name), NULL, NULL},
        {"insecure_skip_verify", KEY_BOOL, offsetof(struct http_config, tls.insecure), NULL, NULL},
        {"min_version", KEY_STR, offsetof(struct http_config, tls.min_version), NULL, NULL},
        {"max_version", KEY_STR, offsetof(struct http_config, tls.max_version), NULL, NULL},
        NOT_YET("ca_ref", "not supported: use ca_file"),
        NOT_YET("cert_ref", "not supported: use cert_file"),
        NOT_YET("key_ref", "not supported: use key_file"),
    };
    struct http_config *h = out;

    if (decode_map(d, n, keys, ARRAY_LEN(keys), h) < 0) {
        return -1;
    }
    if ((h->tls.cert.len + h->tls.cert_file.len > 0) !=
        (h->tls.key.len + h->tls.key_file.len > 0)) {
        return decode_refuse(d, n, "a client certificate and its key go together: give both");
    }
    if (h->tls.server_name.len > 0) {
        return decode_refuse(d, n,
                             "server_name is not supported: let the target's address be a name of "
                             "its certificate");
    }
    if (!is_version(h->tls.min_version) || !is_version(h->tls.max_version)) {
        return decode_refuse(d, n, "versions are TLS10, TLS11, TLS12, TLS13");
    }
    return 0;
}

int http_headers(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct header {
        struct strs values, secrets;
    };
    static const struct key keys[] = {
        {"values", KEY_STRS, offsetof(struct header, values), NULL, NULL},
        {"secrets", KEY_STRS, offsetof(struct header, secrets), NULL, NULL},
        NOT_YET("files", "not supported: give values or secrets"),
    };
    struct http_config *h = out;
    size_t room = 0;

    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        for (const struct yaml_node *list = c->children; list != NULL; list = list->next) {
            room += list->n_children;
        }
    }
    h->headers = (struct labels){.p = arena_new_array(d->a, struct label, room + 1)};
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        struct header one = {.values = {0}};

        if (decode_map(d, c, keys, ARRAY_LEN(keys), &one) < 0) {
            return -1;
        }
        for (size_t i = 0; i < one.values.len + one.secrets.len; i++) {
            struct str v = i < one.values.len ? one.values.p[i] : one.secrets.p[i - one.values.len];

            if (str_find_char(v, '\n') >= 0 || str_find_char(v, '\r') >= 0) {
                return decode_refuse(d, c, "the value of a header has one line");
            }
            h->headers.p[h->headers.len++] = (struct label){c->key, v};
        }
    }
    return 0;
}

int http_config_check(const struct decoder *d, const struct yaml_node *n,
                      const struct http_config *h)
{
    if (h->has_basic && h->has_authorization) {
        return decode_refuse(d, n, "basic_auth and authorization stand side by side: keep one");
    }
    if (h->proxy_url.len > 0 && h->proxy_from_environment) {
        return decode_refuse(d, n,
                             "proxy_url and proxy_from_environment stand side by side: keep one");
    }
    return 0;
}
