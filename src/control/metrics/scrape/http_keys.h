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

/* Of a map that begins with a struct scrape_config: who tells which targets there are. */
#define NO_SD(name)                                                                                \
    NOT_YET(name "_sd_configs", "this discovery is not supported: write targets to a file for "    \
                                "file_sd_configs, or serve them for http_sd_configs")
#define SD_KEYS                                                                                    \
    {"static_configs", KEY_FN, 0, sd_static_key, NULL},                                            \
        {"file_sd_configs", KEY_FN, 0, sd_file_key, NULL},                                         \
        {"http_sd_configs", KEY_FN, 0, sd_http_key, NULL},                                         \
        {"dns_sd_configs", KEY_FN, 0, sd_dns_key, NULL},                                           \
        {"docker_sd_configs", KEY_FN, 0, sd_docker_key, NULL},                                     \
        {"kubernetes_sd_configs", KEY_FN, 0, sd_kubernetes_key, NULL}, NO_SD("aws"),               \
        NO_SD("azure"), NO_SD("consul"), NO_SD("digitalocean"), NO_SD("dockerswarm"),              \
        NO_SD("ec2"), NO_SD("ecs"), NO_SD("eureka"), NO_SD("gce"), NO_SD("hetzner"),               \
        NO_SD("ionos"), NO_SD("kuma"), NO_SD("lightsail"), NO_SD("linode"), NO_SD("marathon"),     \
        NO_SD("nerve"), NO_SD("nomad"), NO_SD("openstack"), NO_SD("ovhcloud"), NO_SD("puppetdb"),  \
        NO_SD("scaleway"), NO_SD("serverset"), NO_SD("stackit"), NO_SD("triton"), NO_SD("uyuni"),  \
        NO_SD("vultr")

key_fn http_basic_auth, http_authorization, http_bearer_token, http_bearer_token_file, http_tls,
    http_headers;
/* Defaults, and what may not stand together. */
void http_config_init(const struct decoder *d, struct http_config *h);
int http_config_check(const struct decoder *d, const struct yaml_node *n,
                      const struct http_config *h) MUST_USE;

/* The parts that several maps have. */
key_fn relabel_configs; /* struct relabel */
key_fn scheme_key;      /* struct str */
key_fn sd_static_key, sd_file_key, sd_http_key, sd_dns_key, sd_docker_key,
    sd_kubernetes_key; /* struct scrape_config */
key_fn alerting_key;   /* struct alerting_config */
/* Equal when nothing changed. */
uint64_t config_print(uint64_t h, const struct yaml_node *n);
int sd_config_read(const struct decoder *d, const struct yaml_node *n, enum sd_kind kind,
                   struct sd_config *out) MUST_USE;
int sd_static_group(const struct decoder *d, const struct yaml_node *n,
                    struct target_group *out) MUST_USE;
