#include "metrics_priv.h"

#define API "/prometheus/api/v1"
#define ADMIN API "/admin/tsdb"

/* A query by POST changes nothing, and is no matter for the audit. */
#define BOTH(path, handler, about, asks, answers)                                                  \
    {HTTP_GET, API path, PERM_SIGNED_IN, handler, about, .query = asks, .gives = "200 " answers},  \
    {                                                                                              \
        HTTP_POST, API path, PERM_SIGNED_IN, handler, about " The parameters as a form.",          \
            ROUTE_NO_AUDIT, .takes = "application/x-www-form-urlencoded", .gives = "200 " answers  \
    }

/* As in Prometheus: both verbs. */
#define CARE(path, handler, about, asks, answers)                                                  \
    {HTTP_POST, ADMIN path, PERM_SYSTEM_MANAGE, handler, about, .query = asks, .gives = answers},  \
    {                                                                                              \
        HTTP_PUT, ADMIN path, PERM_SYSTEM_MANAGE, handler, about, .query = asks, .gives = answers  \
    }

const struct route metrics_routes[] = {
    BOTH("/query", prom_query, "A PromQL query at one moment.",
         "query time timeout limit lookback_delta stats", "PrometheusResult"),
    BOTH("/query_range", prom_query_range, "A PromQL query over a range of time.",
         "query start end step timeout limit lookback_delta stats", "PrometheusResult"),
    BOTH("/query_exemplars", prom_exemplars, "Exemplars of a query: none are kept.",
         "query start end", "PrometheusList"),
    BOTH("/series", prom_series, "The series that selectors find.", "match[] start end limit",
         "PrometheusList"),
    BOTH("/labels", prom_labels, "Names of labels.", "match[] start end limit", "PrometheusList"),
    {HTTP_GET, API "/label/{name}/values", PERM_SIGNED_IN, prom_label_values,
     "Values of a label; __name__ are the metrics.", .query = "match[] start end limit",
     .gives = "200 PrometheusList"},
    BOTH("/format_query", prom_format_query, "A query, formatted.", "query", "PrometheusText"),
    BOTH("/parse_query", prom_parse_query, "A query as a tree.", "query", "PrometheusObject"),
    {HTTP_GET, API "/metadata", PERM_SIGNED_IN, prom_metadata, "Types and help of metrics.",
     .query = "metric limit limit_per_metric", .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/targets", PERM_SIGNED_IN, prom_targets, "What is scraped, and how it went.",
     .query = "state scrapePool", .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/targets/metadata", PERM_SIGNED_IN, prom_targets_metadata,
     "Types and help of metrics, by target.", .query = "match_target metric limit",
     .gives = "200 PrometheusList"},
    {HTTP_GET, API "/scrape_pools", PERM_SIGNED_IN, prom_scrape_pools, "Names of scrape jobs.",
     .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/rules", PERM_SIGNED_IN, prom_rules, "Rules and how they went.",
     .query = "type rule_name[] rule_group[] file[] match[] exclude_alerts",
     .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/alerts", PERM_SIGNED_IN, prom_alerts, "Alerts that are pending or firing.",
     .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/alertmanagers", PERM_SYSTEM_READ, prom_alertmanagers,
     "Alertmanagers that are told of alerts.", .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/status/buildinfo", PERM_SIGNED_IN, prom_buildinfo,
     "Which version of Prometheus' API this is.", .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/status/runtimeinfo", PERM_SIGNED_IN, prom_runtimeinfo, "Since when it runs.",
     .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/status/config", PERM_SYSTEM_READ, prom_config,
     "The scrape configuration, without its secrets.", .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/status/flags", PERM_SYSTEM_READ, prom_flags, "Settings by Prometheus' names.",
     .gives = "200 PrometheusObject"},
    {HTTP_GET, API "/status/tsdb", PERM_SYSTEM_READ, prom_tsdb,
     "What takes the most series in the store.", .query = "limit", .gives = "200 PrometheusObject"},
    {HTTP_POST, API "/write", PERM_SYSTEM_MANAGE, prom_write,
     "Samples of remote write 1.0 or 2.0, of any project.", ROUTE_NO_AUDIT,
     .takes = "application/x-protobuf", .gives = "204"},
    {HTTP_POST, API "/projects/{p}/write", PERM_METRIC_WRITE, prom_write_project,
     "Samples of remote write 1.0 or 2.0, all of this project: the label is set here.",
     ROUTE_NO_AUDIT, .takes = "application/x-protobuf", .gives = "204"},
    CARE("/delete_series", prom_delete_series, "Deletes samples of what selectors find.",
         "match[] start end", "204"),
    CARE("/snapshot", prom_snapshot, "Makes a copy of the store, under metrics/snapshots.", NULL,
         "200 PrometheusObject"),
    CARE("/import", prom_import, "Takes over blocks of Prometheus from metrics/import/NAME.",
         "name", "200 PrometheusObject"),
    CARE("/clean_tombstones", prom_clean_tombstones,
         "Answers when what was deleted has left its blocks.", NULL, "204"),
    {HTTP_GET, "/prometheus/federate", PERM_SIGNED_IN, prom_federate,
     "The newest samples of what selectors find, as text.", .query = "match[]",
     .gives = "200 text/plain"},
    {HTTP_GET, "/prometheus", PERM_PUBLIC, prom_page_graph, "Leads to the console.", .flags = 0},
    {HTTP_GET, "/prometheus/", PERM_PUBLIC, prom_page_graph, "Leads to the console.", .flags = 0},
    {HTTP_GET, "/prometheus/graph", PERM_PUBLIC, prom_page_graph,
     "Leads to the queries of the address (g0.expr) in the console.", .flags = 0},
    {HTTP_GET, "/prometheus/query", PERM_PUBLIC, prom_page_graph,
     "Leads to the queries of the address (g0.expr) in the console.", .flags = 0},
    {HTTP_GET, "/prometheus/targets", PERM_PUBLIC, prom_page_targets, "Leads to the console.",
     .flags = 0},
    {HTTP_GET, "/prometheus/-/healthy", PERM_PUBLIC, prom_healthy, "The process answers.",
     .gives = "200 text/plain"},
    {HTTP_GET, "/prometheus/-/ready", PERM_PUBLIC, prom_ready, "Queries are answered.",
     .gives = "200 text/plain"},
    {HTTP_POST, "/prometheus/-/reload", PERM_SYSTEM_MANAGE, prom_reload,
     "Reads the scrape configuration again.", .gives = "200"},
    {HTTP_PUT, "/prometheus/-/reload", PERM_SYSTEM_MANAGE, prom_reload,
     "Reads the scrape configuration again.", .gives = "200"},
    {0},
};

const struct http_schema metrics_schemas[] = {
    {"PrometheusResult", "{status: 'success', data: {resultType: 'matrix' | 'vector' | 'scalar'"
                         " | 'string', result: [any]}, warnings?: [string], infos?: [string]}"},
    {"PrometheusList", "{status: 'success', data: [any], warnings?: [string]}"},
    {"PrometheusText", "{status: 'success', data: string}"},
    {"PrometheusObject", "{status: 'success', data: any, warnings?: [string]}"},
    {0},
};
