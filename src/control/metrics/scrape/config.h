/* config - a configuration file of Prometheus 3 as structs. Private to scrape.
 *
 * Threads: read-only once read. Memory: an arena of its own, counted by config_ref(): pools that a
 * reload does not change go on with the configuration they began with. */
#pragma once
#include "scrape/decode.h"
#include "scrape/relabel.h"

struct fetch_deny;

/* How to talk to a peer: of scrape_configs, discovery and remote_write. */
struct http_config {
    bool has_basic, has_authorization;
    struct str username, username_file, password, password_file;
    struct str auth_type, credentials, credentials_file;
    struct {
        struct str ca, ca_file, cert, cert_file, key, key_file, server_name, min_version,
            max_version;
        bool insecure;
    } tls;
    struct str proxy_url, no_proxy;
    bool proxy_from_environment, follow_redirects, enable_http2;
    struct labels headers;         /* name: value, each once a value */
    const struct fetch_deny *deny; /* where it does not go; NULL: our own targets */
};

enum sd_kind { SD_STATIC, SD_FILE, SD_HTTP, SD_DNS, SD_DOCKER, SD_KUBERNETES };

/* Addresses with labels that they share: what every discovery gives. */
struct target_group {
    struct str source;
    struct labels labels;
    struct labels *targets; /* each at least __address__ */
    size_t n_targets;
};

struct sd_config {
    enum sd_kind kind;
    unsigned line;
    struct target_group *groups; /* static */
    size_t n_groups;
    struct strs files, names; /* file, dns */
    struct str url;           /* http; docker: host; kubernetes: api_server */
    struct str dns_type, role, kubeconfig;
    int64_t refresh_ms;
    uint64_t port;
    struct {
        bool own;
        struct strs names;
    } namespaces;
    struct str select_label, select_field;
    bool attach_node, attach_namespace;
    struct str filters; /* docker: as JSON for ?filters= */
    struct str host_networking_host;
    bool match_first_network;
    struct http_config http;
};

struct sd_configs {
    struct sd_config *p;
    size_t len;
};

struct scrape_limits {
    int64_t body_bytes;
    uint64_t samples, labels, label_name, label_value, targets, keep_dropped;
};

struct scrape_config {
    struct str job_name;
    unsigned line;
    const char *file;
    uint64_t print; /* of all that counts: equal when nothing changed */
    int64_t interval_ms, timeout_ms;
    struct strs protocols;
    struct str fallback;
    struct str metrics_path, scheme;
    struct strs *params_values; /* of params[i] */
    struct str *params;
    size_t n_params;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression,
        extra_metrics, is_legacy_names;
    struct str escaping;
    struct scrape_limits limits;
    struct http_config http;
    struct relabel relabel, metric_relabel;
    struct sd_configs sd;
};

struct remote_write_config {
    struct str url, name;
    int64_t timeout_ms;
    bool is_v2, send_exemplars;
    struct labels headers;
    struct relabel relabel;
    struct http_config http;
    uint64_t capacity, max_shards, min_shards, max_samples;
    int64_t deadline_ms, min_backoff_ms, max_backoff_ms, age_limit_ms;
    bool retry_on_429;
    uint64_t print;
};

/* Who is told of alerts. Of `s` counts how they are found and asked; metrics_path is where alerts
 * go. */
struct alertmanager_config {
    struct scrape_config s;
    struct relabel alert_relabel;
};

struct alerting_config {
    struct relabel relabel;
    struct alertmanager_config *managers;
    size_t n_managers;
};

struct config {
    struct arena arena;
    unsigned refs;
    struct scrape_config *scrape;
    size_t n_scrape;
    struct remote_write_config *writes;
    size_t n_writes;
    struct alerting_config alerting;
    struct strs rule_files; /* patterns expanded */
    struct labels external;
    int64_t evaluation_ms;
    struct str text; /* of the main file, secrets taken out */
};

/* `file` NULL: none; where it leads must not be of `deny`, which the caller keeps (NULL: anywhere).
 * `own`: more scrape_configs as YAML; may be NULL. Caller owns it. */
struct config *config_read(const char *file, const char *own, const struct fetch_deny *deny,
                           struct err *e) MUST_USE;
/* All that config_read() would refuse in the file, as "FILE:LINE: what"; empty when it could not be
 * read at all. */
void config_mistakes(const char *file, struct err_list *all);
struct config *config_ref(struct config *c);
void config_unref(struct config *c);
DEFINE_SCOPED(struct config, config_unref)

/* Groups of file_sd and http_sd: YAML (JSON is YAML); `name` is for the sentence. */
int config_groups(struct arena *a, struct str text, const char *name, struct target_group **out,
                  size_t *n, struct err *e) MUST_USE;
/* The files that a pattern names, sorted; in the arena. */
int config_glob(struct arena *a, struct str pattern, struct strs *out, struct err *e) MUST_USE;
