/* `alerting`: which Alertmanagers are told of alerts, and how. */
#include "scrape/http_keys.h"

#include <stddef.h>

#define NO_SIGNING(key)                                                                            \
    NOT_YET(key, "not supported: put a proxy that signs before the Alertmanager")

static int read_version(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    return str_eq_c(n->scalar, "v2")
               ? 0
               : decode_refuse(d, n, "Alertmanager has only v2 since 0.27: say v2, or remove it");
}

/* "am/" --> "/am/api/v2/alerts" */
static struct str alerts_path(struct arena *a, struct str prefix)
{
    while (prefix.len > 0 && prefix.p[0] == '/') {
        prefix = str_from(prefix, 1);
    }
    while (prefix.len > 0 && prefix.p[prefix.len - 1] == '/') {
        prefix.len--;
    }
    return str_of(
        arena_printf(a, "%s%.*s/api/v2/alerts", prefix.len > 0 ? "/" : "", STR_ARG(prefix)));
}

static int read_manager(const struct decoder *d, const struct yaml_node *n,
                        struct alertmanager_config *m)
{
    static const struct key keys[] = {
        {"scheme", KEY_FN, offsetof(struct alertmanager_config, s.scheme), scheme_key, NULL},
        {"path_prefix", KEY_STR, offsetof(struct alertmanager_config, s.metrics_path), NULL, NULL},
        {"timeout", KEY_MS, offsetof(struct alertmanager_config, s.timeout_ms), NULL, NULL},
        {"api_version", KEY_FN, 0, read_version, NULL},
        {"relabel_configs", KEY_FN, offsetof(struct alertmanager_config, s.relabel),
         relabel_configs, NULL},
        {"alert_relabel_configs", KEY_FN, offsetof(struct alertmanager_config, alert_relabel),
         relabel_configs, NULL},
        HTTP_KEYS(struct alertmanager_config, s.http),
        SD_KEYS,
        NO_SIGNING("sigv4"),
        NO_SIGNING("azuread"),
        NO_SIGNING("google_iam"),
    };

    *m = (struct alertmanager_config){
        .s = {.scheme = STR("http"), .timeout_ms = 10000, .print = config_print(5, n)}};
    http_config_init(d, &m->s.http);
    if (decode_map(d, n, keys, ARRAY_LEN(keys), m) < 0) {
        return -1;
    }
    if (m->s.timeout_ms == 0) {
        return decode_refuse(d, yaml_get(n, "timeout"), "a timeout above 0 is needed");
    }
    m->s.metrics_path = alerts_path(d->a, m->s.metrics_path);
    return http_config_check(d, n, &m->s.http);
}

static int read_managers(const struct decoder *d, const struct yaml_node *list, void *out)
{
    struct alerting_config *c = out;
    int rc = 0;

    if (yaml_is_null(list)) {
        return 0;
    }
    if (list->kind != YAML_LIST) {
        return decode_refuse(d, list, "expected a list");
    }
    c->managers = arena_new_array(d->a, struct alertmanager_config, list->n_children + 1);
    for (const struct yaml_node *n = list->children; n != NULL; n = n->next) {
        if (read_manager(d, n, &c->managers[c->n_managers++]) < 0) {
            rc = -1;
            if (d->all == NULL) {
                return -1;
            }
        }
    }
    return rc;
}

int alerting_key(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        {"alertmanagers", KEY_FN, 0, read_managers, NULL},
        {"alert_relabel_configs", KEY_FN, offsetof(struct alerting_config, relabel),
         relabel_configs, NULL},
    };

    return decode_map(d, n, keys, ARRAY_LEN(keys), out);
}
