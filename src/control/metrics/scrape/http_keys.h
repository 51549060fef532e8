/* http_keys - the keys of Prometheus' http_config, which stand in the middle of other maps. Private
 * to scrape. */
#pragma once
#include "scrape/config.h"

#define NOT_YET(key, what)                                                                         \
    {                                                                                              \
        key, KEY_NOT, 0, NULL, what                                                                \
    }
/* Of a map into T whose http_config is the member m. */
#define HTTP_KEYS(T, m)                                                                            \
    {"basic_auth", KEY_FN, offsetof(T, m), http_basic_auth, NULL},                                 \
        {"authorization", KEY_FN, offsetof(T, m), http_authorization, NULL},                       \
        {"bearer_token", KEY_FN, offsetof(T, m), http_bearer_token, NULL},                         \
        {"bearer_token_file", KEY_FN, offsetof(T, m), http_bearer_token_file, NULL},               \
        {"tls_config", KEY_FN, offsetof(T, m), http_tls, NULL},                                    \
        {"proxy_url", KEY_URL, offsetof(T, m.proxy_url), NULL, NULL},                              \
        {"no_proxy", KEY_STR, offsetof(T, m.no_proxy), NULL, NULL},                                \
        {"proxy_from_environment", KEY_BOOL, offsetof(T, m.proxy_from_environment), NULL, NULL},   \
        {"follow_redirects", KEY_BOOL, offsetof(T, m.follow_redirects), NULL, NULL},               \
        {"enable_http2", KEY_BOOL, offsetof(T, m.enable_http2), NULL, NULL},                       \
        {"http_headers", KEY_FN, offsetof(T, m), http_headers, NULL},                              \
        NOT_YET("oauth2", "not supported: put a proxy that signs in before the target, or use "    \
                          "authorization with credentials_file"),                                  \
        NOT_YET("proxy_connect_header", "not supported: put the credentials into proxy_url")

key_fn http_basic_auth, http_authorization, http_bearer_token, http_bearer_token_file, http_tls,
    http_headers;
/* Defaults, and what may not stand together. */
void http_config_init(const struct decoder *d, struct http_config *h);
int http_config_check(const struct decoder *d, const struct yaml_node *n,
                      const struct http_config *h) MUST_USE;

/* The lists of a scrape configuration that are read elsewhere. */
key_fn relabel_configs; /* struct relabel */
int sd_config_read(const struct decoder *d, const struct yaml_node *n, enum sd_kind kind,
                   struct sd_config *out) MUST_USE;
int sd_static_group(const struct decoder *d, const struct yaml_node *n,
                    struct target_group *out) MUST_USE;
