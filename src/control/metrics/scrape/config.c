#include "scrape/config.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scrape/http_keys.h"

#include <fcntl.h>
#include <glob.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- what is equal when nothing changed --- */

static uint64_t print_bytes(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
    }
    return (h ^ 0xff) * 0x100000001b3ULL;
}

/* Recursion ends at yaml's own depth. */
uint64_t config_print(uint64_t h, const struct yaml_node *n)
{
    if (n == NULL) {
        return h;
    }
    h = print_bytes(print_bytes(h ^ (uint64_t)n->kind, n->key), n->scalar);
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        h = config_print(h, c);
    }
    return (h ^ 0xfe) * 0x100000001b3ULL;
}

/* --- the text without secrets --- */

static bool is_secret(struct str key)
{
    static const char *const keys[] = {"password", "credentials", "bearer_token", "client_secret",
                                       "secrets",  "secret_key",  "key"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (str_eq_c(key, keys[i])) {
            return true;
        }
    }
    return false;
}

static void write_scalar(struct buf *b, const struct yaml_node *n, struct str s)
{
    ptrdiff_t scheme = str_find(s, STR("://")), at = str_find_char(s, '@');

    if (scheme >= 0 && at > scheme) { /* https://user:password@host */
        (void)buf_printf(b, "%.*s://<secret>%.*s", (int)scheme, s.p,
                         STR_ARG(str_from(s, (size_t)at)));
        return;
    }
    if (!n->quoted) {
        (void)buf_add(b, s);
        return;
    }
    (void)buf_add_c(b, "'");
    for (size_t i = 0; i < s.len; i++) {
        (void)buf_add(b, str_n(s.p + i, 1));
        if (s.p[i] == '\'') {
            (void)buf_add_c(b, "'");
        }
    }
    (void)buf_add_c(b, "'");
}

/* The children of `n`, each in lines of its own. */
static void write_node(struct buf *b, const struct yaml_node *n, unsigned indent, bool is_hidden)
{
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        bool hides = is_hidden || (n->kind == YAML_MAP && is_secret(c->key));

        (void)buf_printf(b, "%*s", (int)indent, "");
        if (n->kind == YAML_MAP) {
            (void)buf_printf(b, "%.*s:", STR_ARG(c->key));
        } else {
            (void)buf_add_c(b, "-");
        }
        if (c->kind == YAML_SCALAR) {
            (void)buf_add_c(b, " ");
            if (hides && c->scalar.len > 0) {
                (void)buf_add_c(b, "<secret>");
            } else {
                write_scalar(b, c, c->scalar);
            }
            (void)buf_add_c(b, "\n");
        } else if (c->children == NULL) {
            (void)buf_add_c(b, c->kind == YAML_MAP ? " {}\n" : " []\n");
        } else {
            (void)buf_add_c(b, "\n");
            write_node(b, c, indent + 2, hides);
        }
    }
}

/* --- files --- */

int config_glob(struct arena *a, struct str pattern, struct strs *out, struct err *e)
{
    SCOPED(freep) char *text = str_dup(pattern);
    glob_t g;
    int rc = glob(text, 0, NULL, &g);

    *out = (struct strs){.p = NULL};
    if (rc == GLOB_NOMATCH) {
        return 0;
    }
    if (rc != 0) {
        return err_set(e, ERR_INVALID, "%s: cannot be read as a pattern of files", text);
    }
    if (g.gl_pathc > LIMIT_SCRAPE_FILES) {
        globfree(&g);
        return err_set(e, ERR_LIMIT, "%s: more than %d files", text, LIMIT_SCRAPE_FILES);
    }
    out->p = arena_new_array(a, struct str, g.gl_pathc + 1);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        out->p[out->len++] = arena_str(a, str_of(g.gl_pathv[i]));
    }
    globfree(&g);
    return 0;
}

static struct yaml_node *parse_file(const struct decoder *d, const char *path)
{
    struct buf b = BUF_MAX(LIMIT_SCRAPE_CONFIG_BYTES);
    struct yaml_node *root = NULL;

    if (fs_read(AT_FDCWD, path, &b, d->e) == 0) {
        root = yaml_parse_up_to(d->a, buf_str(&b), LIMIT_SCRAPE_CONFIG_BYTES,
                                LIMIT_SCRAPE_CONFIG_NODES, YAML_ALIASES, d->e);
        if (root == NULL) {
            (void)err_wrap(d->e, "%s", path);
        }
    }
    buf_done(&b);
    return root;
}

/* --- scrape_configs --- */

struct global {
    struct scrape_config s; /* what each begins with */
    int64_t evaluation_ms, query_offset_ms;
    struct labels external;
    bool native, nhcb, classic;
    const struct yaml_node *node;
};

static int only_false(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    return yaml_is_null(n) || str_eq_c(n->scalar, "false")
               ? 0
               : decode_refuse(d, n,
                               "native histograms are not supported yet: remove it, or say false");
}

static int any_bool(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    return n->kind == YAML_SCALAR && (str_eq_c(n->scalar, "true") || str_eq_c(n->scalar, "false"))
               ? 0
               : decode_refuse(d, n, "expected true or false");
}

static int read_protocols(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const char *const known[] = {"OpenMetricsText0.0.1", "OpenMetricsText1.0.0",
                                        "PrometheusText0.0.4", "PrometheusText1.0.0"};
    struct strs *list = out;

    if (decode_strs(d, n, list) < 0) {
        return -1;
    }
    for (size_t i = 0; i < list->len; i++) {
        size_t k = 0;

        while (k < ARRAY_LEN(known) && !str_eq_c(list->p[i], known[k])) {
            k++;
        }
        if (str_eq_c(list->p[i], "PrometheusProto")) {
            return decode_refuse(d, n, "PrometheusProto is not supported: take it from the list");
        }
        if (k == ARRAY_LEN(known)) {
            return decode_refuse(d, n,
                                 "\"%.*s\" is none of OpenMetricsText0.0.1, OpenMetricsText1.0.0, "
                                 "PrometheusText0.0.4, PrometheusText1.0.0",
                                 STR_ARG(str_first(list->p[i], 60)));
        }
        for (size_t j = 0; j < i; j++) {
            if (str_eq(list->p[i], list->p[j])) {
                return decode_refuse(d, n, "\"%.*s\" stands there twice", STR_ARG(list->p[i]));
            }
        }
    }
    return list->len == 0 ? decode_refuse(d, n, "an empty list leaves no protocol") : 0;
}

static int read_fallback(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct str s = n->scalar;

    if (yaml_is_null(n)) {
        return 0;
    }
    if (!str_eq_c(s, "OpenMetricsText0.0.1") && !str_eq_c(s, "OpenMetricsText1.0.0") &&
        !str_eq_c(s, "PrometheusText0.0.4") && !str_eq_c(s, "PrometheusText1.0.0")) {
        return decode_refuse(d, n,
                             "\"%.*s\" is no protocol that is supported: PrometheusText0.0.4, "
                             "...",
                             STR_ARG(str_first(s, 60)));
    }
    *(struct str *)out = s;
    return 0;
}

static int read_validation(const struct decoder *d, const struct yaml_node *n, void *out)
{
    if (!str_eq_c(n->scalar, "utf8") && !str_eq_c(n->scalar, "legacy")) {
        return decode_refuse(d, n, "expected utf8 or legacy");
    }
    *(bool *)out = str_eq_c(n->scalar, "legacy");
    return 0;
}

static int read_escaping(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const char *const known[] = {"allow-utf-8", "underscores", "dots", "values"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq_c(n->scalar, known[i])) {
            *(struct str *)out = n->scalar;
            return 0;
        }
    }
    return decode_refuse(d, n, "expected allow-utf-8, underscores, dots or values");
}

static int read_params(const struct decoder *d, const struct yaml_node *n, void *out)
{
    struct scrape_config *s = out;

    if (yaml_is_null(n)) {
        return 0;
    }
    if (n->kind != YAML_MAP) {
        return decode_refuse(d, n, "expected names with lists of values");
    }
    s->params = arena_new_array(d->a, struct str, n->n_children + 1);
    s->params_values = arena_new_array(d->a, struct strs, n->n_children + 1);
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        s->params[s->n_params] = c->key;
        if (decode_strs(d, c, &s->params_values[s->n_params++]) < 0) {
            return -1;
        }
    }
    return 0;
}

int scheme_key(const struct decoder *d, const struct yaml_node *n, void *out)
{
    if (!str_eq_c(n->scalar, "http") && !str_eq_c(n->scalar, "https")) {
        return decode_refuse(d, n, "expected http or https");
    }
    *(struct str *)out = n->scalar;
    return 0;
}

static int read_discovery(const struct decoder *d, const struct yaml_node *n,
                          struct scrape_config *s, enum sd_kind kind)
{
    struct sd_configs more = {.len = s->sd.len};

    if (!yaml_is_null(n) && n->kind != YAML_LIST) {
        return decode_refuse(d, n, "expected a list");
    }
    more.p = arena_new_array(d->a, struct sd_config, s->sd.len + n->n_children + 1);
    if (s->sd.len > 0) {
        memcpy(more.p, s->sd.p, s->sd.len * sizeof(*more.p));
    }
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        if (sd_config_read(d, c, kind, &more.p[more.len++]) < 0) {
            return -1;
        }
    }
    s->sd = more;
    return 0;
}

#define READ_SD(name, kind)                                                                        \
    int sd_##name##_key(const struct decoder *d, const struct yaml_node *n, void *out)             \
    {                                                                                              \
        return read_discovery(d, n, out, kind);                                                    \
    }
READ_SD(static, SD_STATIC)
READ_SD(file, SD_FILE)
READ_SD(http, SD_HTTP)
READ_SD(dns, SD_DNS)
READ_SD(docker, SD_DOCKER)
READ_SD(kubernetes, SD_KUBERNETES)

/* What may stand in global, too. */
#define SHARED_KEYS(T, m)                                                                          \
    {"scrape_interval", KEY_MS, offsetof(T, m interval_ms), NULL, NULL},                           \
        {"scrape_timeout", KEY_MS, offsetof(T, m timeout_ms), NULL, NULL},                         \
        {"scrape_protocols", KEY_FN, offsetof(T, m protocols), read_protocols, NULL},              \
        {"body_size_limit", KEY_BYTES, offsetof(T, m limits.body_bytes), NULL, NULL},              \
        {"sample_limit", KEY_COUNT, offsetof(T, m limits.samples), NULL, NULL},                    \
        {"label_limit", KEY_COUNT, offsetof(T, m limits.labels), NULL, NULL},                      \
        {"label_name_length_limit", KEY_COUNT, offsetof(T, m limits.label_name), NULL, NULL},      \
        {"label_value_length_limit", KEY_COUNT, offsetof(T, m limits.label_value), NULL, NULL},    \
        {"target_limit", KEY_COUNT, offsetof(T, m limits.targets), NULL, NULL},                    \
        {"keep_dropped_targets", KEY_COUNT, offsetof(T, m limits.keep_dropped), NULL, NULL},       \
        {"metric_name_validation_scheme", KEY_FN, offsetof(T, m is_legacy_names), read_validation, \
         NULL},                                                                                    \
        {"metric_name_escaping_scheme", KEY_FN, offsetof(T, m escaping), read_escaping, NULL},     \
        {"extra_scrape_metrics", KEY_BOOL, offsetof(T, m extra_metrics), NULL, NULL},              \
        {"scrape_native_histograms", KEY_FN, 0, only_false, NULL},                                 \
        {"convert_classic_histograms_to_nhcb", KEY_FN, 0, only_false, NULL},                       \
        {"always_scrape_classic_histograms", KEY_FN, 0, any_bool, NULL},                           \
        NOT_YET("scrape_failure_log_file",                                                         \
                "not supported: the last error of each target is at /api/v1/targets")

static const struct key scrape_keys[] = {
    {"job_name", KEY_STR, offsetof(struct scrape_config, job_name), NULL, NULL},
    SHARED_KEYS(struct scrape_config, ),
    {"fallback_scrape_protocol", KEY_FN, offsetof(struct scrape_config, fallback), read_fallback,
     NULL},
    {"metrics_path", KEY_STR, offsetof(struct scrape_config, metrics_path), NULL, NULL},
    {"scheme", KEY_FN, offsetof(struct scrape_config, scheme), scheme_key, NULL},
    {"params", KEY_FN, 0, read_params, NULL},
    {"honor_labels", KEY_BOOL, offsetof(struct scrape_config, honor_labels), NULL, NULL},
    {"honor_timestamps", KEY_BOOL, offsetof(struct scrape_config, honor_timestamps), NULL, NULL},
    {"track_timestamps_staleness", KEY_BOOL,
     offsetof(struct scrape_config, track_timestamps_staleness), NULL, NULL},
    {"enable_compression", KEY_BOOL, offsetof(struct scrape_config, enable_compression), NULL,
     NULL},
    {"relabel_configs", KEY_FN, offsetof(struct scrape_config, relabel), relabel_configs, NULL},
    {"metric_relabel_configs", KEY_FN, offsetof(struct scrape_config, metric_relabel),
     relabel_configs, NULL},
    HTTP_KEYS(struct scrape_config, http),
    SD_KEYS,
    {"scrape_classic_histograms", KEY_FN, 0, any_bool, NULL},
    NOT_YET("native_histogram_bucket_limit", "native histograms are not supported yet: remove it"),
    NOT_YET("native_histogram_min_bucket_factor",
            "native histograms are not supported yet: remove it"),
};

static int check_times(const struct decoder *d, const struct yaml_node *n, const struct global *g,
                       struct scrape_config *s)
{
    s->interval_ms = s->interval_ms == 0 ? g->s.interval_ms : s->interval_ms;
    if (s->timeout_ms > s->interval_ms) {
        return decode_refuse(d, n, "job %.*s: scrape_timeout is longer than scrape_interval",
                             STR_ARG(str_first(s->job_name, 60)));
    }
    if (s->timeout_ms == 0) {
        s->timeout_ms = g->s.timeout_ms < s->interval_ms ? g->s.timeout_ms : s->interval_ms;
    }
    return 0;
}

/* Relabeling may make an address of a URL (as for the blackbox exporter): what comes of it is
 * looked at when the target is made. */
static int check_addresses(const struct decoder *d, const struct yaml_node *n)
{
    const struct yaml_node *groups = yaml_get(n, "static_configs"), *targets;

    for (const struct yaml_node *g = groups ? groups->children : NULL; g != NULL; g = g->next) {
        targets = yaml_get(g, "targets");
        for (const struct yaml_node *t = targets ? targets->children : NULL; t; t = t->next) {
            if (str_find_char(t->scalar, '/') >= 0) {
                return decode_refuse(d, t,
                                     "\"%.*s\" is no host and port (a path goes to metrics_path)",
                                     STR_ARG(str_first(t->scalar, 100)));
            }
        }
    }
    return 0;
}

static int scrape_config(const struct decoder *d, const struct yaml_node *n, const struct global *g,
                         struct scrape_config *s)
{
    *s = g->s;
    s->interval_ms = s->timeout_ms = 0;
    s->line = n->line;
    s->file = arena_strdup(d->a, str_of(d->file));
    if (decode_map(d, n, scrape_keys, ARRAY_LEN(scrape_keys), s) < 0) {
        return -1;
    }
    if (s->job_name.len == 0) {
        return decode_refuse(d, n, "a scrape configuration needs job_name");
    }
    if (check_times(d, n, g, s) < 0 || http_config_check(d, n, &s->http) < 0 ||
        (s->relabel.len == 0 && check_addresses(d, n) < 0)) {
        return -1;
    }
    s->print = config_print(config_print(print_bytes(1, str_of(d->file)), g->node), n);
    return 0;
}

static int scrape_list(struct config *c, const struct decoder *d, const struct yaml_node *list,
                       const struct global *g)
{
    struct scrape_config *more;
    int rc = 0;

    if (yaml_is_null(list)) {
        return 0;
    }
    if (list->kind != YAML_LIST) {
        return decode_refuse(d, list, "expected a list");
    }
    more = arena_new_array(d->a, struct scrape_config, c->n_scrape + list->n_children + 1);
    if (c->n_scrape > 0) {
        memcpy(more, c->scrape, c->n_scrape * sizeof(*more));
    }
    c->scrape = more;
    for (const struct yaml_node *n = list->children; n != NULL; n = n->next) {
        struct scrape_config *s = &c->scrape[c->n_scrape];

        if (scrape_config(d, n, g, s) < 0) {
            rc = -1;
            if (d->all == NULL) {
                return -1;
            }
            continue;
        }
        for (size_t i = 0; i < c->n_scrape; i++) {
            if (str_eq(c->scrape[i].job_name, s->job_name)) {
                return decode_refuse(d, n, "the job %.*s stands there twice (first in %s:%u)",
                                     STR_ARG(str_first(s->job_name, 60)), c->scrape[i].file,
                                     c->scrape[i].line);
            }
        }
        c->n_scrape++;
    }
    return rc;
}

static int scrape_files(struct config *c, const struct decoder *d, const struct yaml_node *list,
                        const struct global *g)
{
    struct strs patterns = {0};

    if (list == NULL || decode_strs(d, list, &patterns) < 0) {
        return list == NULL ? 0 : -1;
    }
    for (size_t i = 0; i < patterns.len; i++) {
        struct strs files;

        if (config_glob(d->a, decode_path(d, patterns.p[i]), &files, d->e) < 0) {
            return -1;
        }
        for (size_t k = 0; k < files.len; k++) {
            struct decoder inner = {.a = d->a, .file = files.p[k].p, .e = d->e, .deny = d->deny};
            struct yaml_node *root = parse_file(&inner, inner.file);

            if (root == NULL) {
                return -1;
            }
            inner.all = d->all;
            for (const struct yaml_node *n = root->children; n != NULL; n = n->next) {
                if (!str_eq_c(n->key, "scrape_configs")) {
                    return decode_refuse(&inner, n, "such a file holds scrape_configs only");
                }
                if (scrape_list(c, &inner, n, g) < 0) {
                    return -1;
                }
            }
        }
    }
    return 0;
}

/* --- remote_write --- */

static int read_message(const struct decoder *d, const struct yaml_node *n, void *out)
{
    if (str_eq_c(n->scalar, "prometheus.WriteRequest") ||
        str_eq_c(n->scalar, "io.prometheus.write.v2.Request")) {
        *(bool *)out = str_eq_c(n->scalar, "io.prometheus.write.v2.Request");
        return 0;
    }
    return decode_refuse(d, n,
                         "expected prometheus.WriteRequest or io.prometheus.write.v2.Request");
}

#define QUEUE(name, type, member)                                                                  \
    {                                                                                              \
        name, type, offsetof(struct remote_write_config, member), NULL, NULL                       \
    }

static int no_exemplars(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    return yaml_is_null(n) || str_eq_c(n->scalar, "false")
               ? 0
               : decode_refuse(d, n, "exemplars are not kept: remove it, or say false");
}

static int read_queue(const struct decoder *d, const struct yaml_node *n, void *out)
{
    static const struct key keys[] = {
        QUEUE("capacity", KEY_COUNT, capacity),
        QUEUE("max_shards", KEY_COUNT, max_shards),
        QUEUE("min_shards", KEY_COUNT, min_shards),
        QUEUE("max_samples_per_send", KEY_COUNT, max_samples),
        QUEUE("batch_send_deadline", KEY_MS, deadline_ms),
        QUEUE("min_backoff", KEY_MS, min_backoff_ms),
        QUEUE("max_backoff", KEY_MS, max_backoff_ms),
        QUEUE("retry_on_http_429", KEY_BOOL, retry_on_429),
        QUEUE("sample_age_limit", KEY_MS, age_limit_ms),
    };
    struct remote_write_config *w = out;

    if (decode_map(d, n, keys, ARRAY_LEN(keys), w) < 0) {
        return -1;
    }
    if (w->max_samples == 0 || w->max_samples > 100000 || w->max_shards == 0) {
        return decode_refuse(d, n, "max_samples_per_send is 1 to 100000, max_shards at least 1");
    }
    return 0;
}

static int read_metadata(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    struct metadata {
        bool send;
        int64_t interval_ms;
        uint64_t max;
    } m = {.send = true};
    static const struct key keys[] = {
        {"send", KEY_BOOL, offsetof(struct metadata, send), NULL, NULL},
        {"send_interval", KEY_MS, offsetof(struct metadata, interval_ms), NULL, NULL},
        {"max_samples_per_send", KEY_COUNT, offsetof(struct metadata, max), NULL, NULL},
    };

    if (decode_map(d, n, keys, ARRAY_LEN(keys), &m) < 0) {
        return -1;
    }
    return m.send ? decode_refuse(d, n, "metadata is not sent: say send: false") : 0;
}

static int remote_write(const struct decoder *d, const struct yaml_node *n,
                        struct remote_write_config *w)
{
    static const struct key keys[] = {
        {"url", KEY_URL, offsetof(struct remote_write_config, url), NULL, NULL},
        {"name", KEY_STR, offsetof(struct remote_write_config, name), NULL, NULL},
        {"remote_timeout", KEY_MS, offsetof(struct remote_write_config, timeout_ms), NULL, NULL},
        {"headers", KEY_LABELS, offsetof(struct remote_write_config, headers), NULL, NULL},
        {"write_relabel_configs", KEY_FN, offsetof(struct remote_write_config, relabel),
         relabel_configs, NULL},
        {"protobuf_message", KEY_FN, offsetof(struct remote_write_config, is_v2), read_message,
         NULL},
        {"send_exemplars", KEY_FN, 0, no_exemplars, NULL},
        {"send_native_histograms", KEY_FN, 0, only_false, NULL},
        {"queue_config", KEY_FN, 0, read_queue, NULL},
        {"metadata_config", KEY_FN, 0, read_metadata, NULL},
        NOT_YET("sigv4", "not supported: put a proxy that signs before the address"),
        NOT_YET("azuread", "not supported: put a proxy that signs in before the address"),
        NOT_YET("google_iam", "not supported: put a proxy that signs in before the address"),
        NOT_YET("round_robin_dns", "not supported: remove it"),
        HTTP_KEYS(struct remote_write_config, http),
    };

    *w = (struct remote_write_config){.timeout_ms = 30000,
                                      .capacity = 10000,
                                      .max_shards = 50,
                                      .min_shards = 1,
                                      .max_samples = 2000,
                                      .deadline_ms = 5000,
                                      .min_backoff_ms = 30,
                                      .max_backoff_ms = 5000};
    http_config_init(d, &w->http);
    if (decode_map(d, n, keys, ARRAY_LEN(keys), w) < 0) {
        return -1;
    }
    if (w->url.len == 0) {
        return decode_refuse(d, n, "remote write needs url");
    }
    w->print = config_print(3, n);
    if (w->name.len == 0) {
        w->name = str_of(arena_printf(d->a, "%06llx", (unsigned long long)(w->print & 0xffffff)));
    }
    return http_config_check(d, n, &w->http);
}

static int remote_writes(struct config *c, const struct decoder *d, const struct yaml_node *list)
{
    int rc = 0;

    if (yaml_is_null(list)) {
        return 0;
    }
    if (list->kind != YAML_LIST) {
        return decode_refuse(d, list, "expected a list");
    }
    c->writes = arena_new_array(d->a, struct remote_write_config, list->n_children + 1);
    for (const struct yaml_node *n = list->children; n != NULL; n = n->next) {
        struct remote_write_config *w = &c->writes[c->n_writes];

        if (remote_write(d, n, w) < 0) {
            rc = -1;
            if (d->all == NULL) {
                return -1;
            }
            continue;
        }
        for (size_t i = 0; i < c->n_writes; i++) {
            if (str_eq(c->writes[i].name, w->name)) {
                return decode_refuse(d, n, "two of remote_write have one name: name them");
            }
        }
        c->n_writes++;
    }
    return rc;
}

/* --- the file --- */

static int read_runtime(const struct decoder *d, const struct yaml_node *n, void *out UNUSED)
{
    struct runtime {
        uint64_t gogc;
    } r;
    static const struct key keys[] = {{"gogc", KEY_COUNT, 0, NULL, NULL}};

    return decode_map(d, n, keys, ARRAY_LEN(keys), &r); /* of Go's memory: nothing to be done */
}

static const struct key global_keys[] = {
    SHARED_KEYS(struct global, s.),
    {"evaluation_interval", KEY_MS, offsetof(struct global, evaluation_ms), NULL, NULL},
    {"external_labels", KEY_LABELS, offsetof(struct global, external), NULL, NULL},
    {"rule_query_offset", KEY_MS, offsetof(struct global, query_offset_ms), NULL, NULL},
    {"runtime", KEY_FN, 0, read_runtime, NULL},
    NOT_YET("query_log_file", "not supported: slow queries are in the server's log"),
};

/* Whether to go on after this part. */
static bool goes_on(const struct decoder *d, int *rc, int part)
{
    *rc |= part;
    return *rc == 0 || d->all != NULL;
}

static int read_global(const struct decoder *d, const struct yaml_node *n, struct global *g)
{
    int rc = 0;

    *g = (struct global){.s = {.metrics_path = STR("/metrics"),
                               .scheme = STR("http"),
                               .escaping = STR("allow-utf-8"),
                               .honor_timestamps = true,
                               .enable_compression = true,
                               .extra_metrics = true},
                         .node = n};
    http_config_init(d, &g->s.http);
    if (!goes_on(d, &rc, n ? decode_map(d, n, global_keys, ARRAY_LEN(global_keys), g) : 0)) {
        return -1;
    }
    g->s.interval_ms = g->s.interval_ms == 0 ? 60000 : g->s.interval_ms;
    if (g->s.timeout_ms > g->s.interval_ms) {
        return decode_refuse(d, n, "scrape_timeout is longer than scrape_interval");
    }
    if (g->s.timeout_ms == 0) {
        g->s.timeout_ms = g->s.interval_ms < 10000 ? g->s.interval_ms : 10000;
    }
    g->evaluation_ms = g->evaluation_ms == 0 ? 60000 : g->evaluation_ms;
    if (g->query_offset_ms != 0) {
        return decode_refuse(d, yaml_get(n, "rule_query_offset"), "not supported: remove it");
    }
    return rc < 0 ? -1 : labels_normalize(&g->external, d->e);
}

static int later(const struct decoder *d UNUSED, const struct yaml_node *n UNUSED, void *out UNUSED)
{
    return 0; /* read by name, once global is known */
}

static const struct key file_keys[] = {
    {"global", KEY_FN, 0, later, NULL},
    {"scrape_configs", KEY_FN, 0, later, NULL},
    {"scrape_config_files", KEY_FN, 0, later, NULL},
    {"rule_files", KEY_FN, 0, later, NULL},
    {"remote_write", KEY_FN, 0, later, NULL},
    {"runtime", KEY_FN, 0, read_runtime, NULL},
    {"alerting", KEY_FN, offsetof(struct config, alerting), alerting_key, NULL},
    NOT_YET("storage", "retention and the out-of-order window are settings of strata.yaml "
                       "(metrics.*): remove it here"),
    NOT_YET("remote_read", "not supported: remove it"),
    NOT_YET("tracing", "not supported: remove it"),
    NOT_YET("otlp", "not supported: remove it"),
};

static int rule_files(struct config *c, const struct decoder *d, const struct yaml_node *list)
{
    struct strs patterns = {0}, all = {0};

    if (list == NULL || decode_strs(d, list, &patterns) < 0) {
        return list == NULL ? 0 : -1;
    }
    for (size_t i = 0; i < patterns.len; i++) {
        struct str pattern = decode_path(d, patterns.p[i]);
        struct strs found;
        struct str *more;

        if (config_glob(d->a, pattern, &found, d->e) < 0) {
            return -1;
        }
        if (found.len == 0 && strpbrk(pattern.p, "*?[") == NULL) {
            return decode_refuse(d, list, "%.*s is not there", STR_ARG(str_first(pattern, 200)));
        }
        more = arena_new_array(d->a, struct str, all.len + found.len + 1);
        for (size_t k = 0; k < all.len + found.len; k++) {
            more[k] = k < all.len ? all.p[k] : found.p[k - all.len];
        }
        all = (struct strs){more, all.len + found.len};
    }
    c->rule_files = all;
    return 0;
}

static int read_root(struct config *c, const struct decoder *d, const struct yaml_node *root,
                     struct global *g)
{
    struct buf text = BUF_MAX(LIMIT_SCRAPE_CONFIG_BYTES);
    int rc = 0;

    if (!goes_on(d, &rc, decode_map(d, root, file_keys, ARRAY_LEN(file_keys), c)) ||
        !goes_on(d, &rc, read_global(d, yaml_get(root, "global"), g)) ||
        !goes_on(d, &rc, scrape_list(c, d, yaml_get(root, "scrape_configs"), g)) ||
        !goes_on(d, &rc, scrape_files(c, d, yaml_get(root, "scrape_config_files"), g)) ||
        !goes_on(d, &rc, rule_files(c, d, yaml_get(root, "rule_files"))) ||
        !goes_on(d, &rc, remote_writes(c, d, yaml_get(root, "remote_write"))) || rc < 0) {
        return -1;
    }
    write_node(&text, root, 0, false);
    c->text = arena_str(&c->arena, buf_str(&text));
    buf_done(&text);
    c->external = g->external;
    c->evaluation_ms = g->evaluation_ms;
    return 0;
}

static int read_own(struct config *c, const char *own, struct err *e)
{
    struct decoder d = {.a = &c->arena, .file = "own targets", .e = e};
    struct global g;
    struct yaml_node *root = yaml_parse_up_to(&c->arena, str_of(own), LIMIT_SCRAPE_CONFIG_BYTES,
                                              LIMIT_SCRAPE_CONFIG_NODES, YAML_ALIASES, e);

    return root == NULL || read_global(&d, yaml_get(root, "global"), &g) < 0
               ? -1
               : scrape_list(c, &d, yaml_get(root, "scrape_configs"), &g);
}

struct config *config_read(const char *file, const char *own, const struct fetch_deny *deny,
                           struct err *e)
{
    SCOPED(config_unrefp) struct config *c = xnew(struct config);
    struct decoder d = {.a = &c->arena, .file = file, .e = e, .deny = deny};
    struct global g;

    c->refs = 1;
    c->evaluation_ms = 60000;
    c->text = STR_EMPTY;
    if (file != NULL) {
        struct yaml_node *root = parse_file(&d, file);

        if (root == NULL || read_root(c, &d, root, &g) < 0) {
            return NULL;
        }
    }
    if (own != NULL && read_own(c, own, e) < 0) {
        return NULL;
    }
    return TAKE(c);
}

void config_mistakes(const char *file, struct err_list *all)
{
    SCOPED(config_unrefp) struct config *c = xnew(struct config);
    struct err e;
    struct decoder d = {.a = &c->arena, .file = file, .e = &e, .all = all};
    struct yaml_node *root = parse_file(&d, file);
    struct global g;

    c->refs = 1;
    if (root != NULL) {
        (void)read_root(c, &d, root, &g);
    }
}

struct config *config_ref(struct config *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void config_unref(struct config *c)
{
    if (c != NULL && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_done(&c->arena);
        free(c);
    }
}
