#include "main/openapi.h"

#include "access/access.h"
#include "harbor/harbor.h"
#include "jobs/jobs.h"
#include "main/console.h"
#include "main/main_priv.h"
#include "main/system_http.h"
#include "metrics/api/metrics.h"
#include "net/http.h"
#include "net/schema.h"
#include "pipeline/pipeline.h"
#include "registry/registry.h"
#include "replication/replication.h"
#include "supply/supply.h"
#include "volume/volume.h"
#include "webhooks/webhooks.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct openapi_part openapi_parts[] = {
    {system_routes, system_schemas},         {console_routes, NULL},
    {access_routes, access_schemas},         {registry_v2_routes, NULL},
    {registry_api_routes, registry_schemas}, {supply_routes, supply_schemas},
    {webhooks_routes, webhooks_schemas},     {replication_routes, replication_schemas},
    {metrics_routes, metrics_schemas},       {harbor_routes, NULL},
    {volume_routes, volume_schemas},         {jobs_routes, jobs_schemas},
    {pipeline_routes, pipeline_schemas},     {0},
};

static const char *const verbs[HTTP_METHODS] = {"get",   "head",   "post",   "put",
                                                "patch", "delete", "options"};

/* What the `query` column of a route names. */
static const struct parameter {
    const char *name, *form, *what;
} parameters[] = {
    {"limit", "integer", "Rows of a page: 1 to 1000, 100 when not given."},
    {"after", "string", "The `next` of the page before."},
    {"user", "string", "Only what this user did."},
    {"project", "string", "Only what was done in this project."},
    {"q", "string",
     "A filter: only rows in which each of these words occurs, upper and lower case"
     " alike; at most 200 bytes and 8 words. %, _ and * are characters."},
    {"label", "string", "Only with images that have all these labels: names with commas between."},
    {"severity", "'unknown' | 'low' | 'medium' | 'high' | 'critical'", "Only these and worse."},
    {"rule", "string", "Only of this rule."},
    {"kind", "'admins' | 'disabled'", "Only these users."},
    {"sort", "'name' | 'size' | 'time'", "By what a folder is sorted: by name when not given."},
    {"desc", "'1'", "1: the other way round: last name, largest or newest first."},
    {"pipeline", "string", "Only runs of this pipeline."},
    {"a", "string", "The number of one run."},
    {"b", "string", "The number of the other run."},
    {"since", "string", "RFC 3339: nothing older."},
    {"until", "string", "RFC 3339: nothing newer."},
    {"state", "string", "Only these states, with commas between: queued,running."},
    {"follow", "integer", "1: goes on until the job ends."},
    {"offset", "integer", "The first byte wanted."},
    {"attempt", "integer", "Which attempt of a job; the last when not given."},
    {"command", "[string]", "A word of the command; given again for each word. None: a shell."},
    {"tty", "boolean", "true: at a terminal of its own."},
    {"stdin", "boolean", "true: messages of channel 0 are its input. Not given: it has none."},
    {"stdout", "boolean", "false: its output is dropped."},
    {"stderr", "boolean", "false: its error output is dropped."},
    {"replay_ms", "integer", "Begins with what was told in the last so many milliseconds."},
    {"upload", "string", "An upload in parts, [a-z0-9]{8,64}, chosen by the client."},
    {"format", "'ndjson' | 'csv' | 'json' | 'yaml'",
     "Series: ndjson, lines of JSON (also when not given), or csv. A pipeline: json (also when not"
     " given) or yaml."},
    {"query", "string", "An expression of PromQL."},
    {"time", "string", "Seconds since 1970 or RFC 3339; now when not given."},
    {"start", "string", "From when on: seconds since 1970 or RFC 3339."},
    {"end", "string", "Until when: seconds since 1970 or RFC 3339."},
    {"step", "string", "From one moment to the next: seconds, or such as 5m."},
    {"timeout", "string", "After which a query is ended: seconds, or such as 30s."},
    {"lookback_delta", "string", "How old the newest sample of a series may be; 5m."},
    {"stats", "string", "Anything: how long it took and how many samples it read."},
    {"type", "'alert' | 'record'", "Only rules of this kind."},
    {"rule_name[]", "[string]", "Only rules of these names."},
    {"rule_group[]", "[string]", "Only groups of these names."},
    {"file[]", "[string]", "Only groups of these files; for administrators."},
    {"exclude_alerts", "boolean", "true: rules without their alerts."},
    {"name", "string", "Of a directory, without a path."},
    {"match[]", "[string]", "A selector of series; given again for each."},
    {"metric", "string", "Only of this metric."},
    {"limit_per_metric", "integer", "At most so many of each metric."},
    {"scrapePool", "string", "Only of this scrape job."},
    {"match_target", "string", "Only of targets that this selector finds."},
    {"recursive", "'1'", "1: a directory with all that is in it."},
};

/* One is needed, except where an operation says otherwise. */
static const struct {
    const char *name, *type, *scheme, *in, *parameter;
} sign_ins[] = {
    {"token", "http", "bearer", NULL, NULL},
    {"password", "http", "basic", NULL, NULL},
    {"session", "apiKey", NULL, "cookie", "strata_session"},
};

static void write_ref(struct jw *w, const char *kind, const char *name)
{
    char ref[128];

    (void)snprintf(ref, sizeof(ref), "#/components/%s/%s", kind, name);
    jw_object(w);
    jw_kv_c(w, "$ref", ref);
    jw_end(w);
}

static void key_of(struct jw *w, struct str name)
{
    char key[256];

    jw_key(w, str_copy(name, key, sizeof(key)) < 0 ? "?" : key);
}

/* --- bodies --- */

static bool is_text(struct str media_type)
{
    return str_starts(media_type, STR("text/")) || str_eq_c(media_type, "application/yaml");
}

/* A media type of which nothing more is known. */
static void write_plain_content(struct jw *w, struct str media_type)
{
    key_of(w, media_type);
    jw_object(w);
    if (is_text(media_type)) {
        jw_key(w, "schema");
        jw_raw(w, STR("{\"type\":\"string\"}"));
    }
    jw_end(w);
}

/* "User" or "[User]". */
static int write_json_content(struct jw *w, struct str component, struct err *e)
{
    SCOPED(buf_done) struct buf form = BUF_MAX(256);
    bool is_page = component.p[0] == '[';
    int rc;

    buf_printf(&form, is_page ? "{items: %.*s, next: string | null}" : "%.*s", STR_ARG(component));
    jw_key(w, "application/json");
    jw_object(w);
    jw_key(w, "schema");
    rc = schema_write(w, buf_str(&form), e);
    jw_end(w);
    return rc;
}

/* The words of a `takes`, or of one answer of a `gives`. */
static int write_content(struct jw *w, struct str words, struct err *e)
{
    jw_key(w, "content");
    jw_object(w);
    while (words.p) {
        struct str word = str_cut(&words, ' ');

        if (str_find_char(word, '/') >= 0) {
            write_plain_content(w, word);
        } else if (write_json_content(w, word, e) < 0) {
            return -1;
        }
    }
    jw_end(w);
    return 0;
}

static int write_request(struct jw *w, const struct route *route, struct err *e)
{
    if (route->takes == NULL) {
        return 0;
    }
    jw_key(w, "requestBody");
    jw_object(w);
    jw_kv_bool(w, "required", true);
    if (write_content(w, str_of(route->takes), e) < 0) {
        return -1;
    }
    jw_end(w);
    return 0;
}

static int write_responses(struct jw *w, const struct route *route, struct err *e)
{
    struct str rest = str_of(route->gives);

    jw_key(w, "responses");
    jw_object(w);
    while (rest.p) {
        struct str words = str_trim(str_cut(&rest, ','));

        key_of(w, str_cut(&words, ' '));
        jw_object(w);
        jw_kv_c(w, "description", words.p ? "Done." : "Done, without a body.");
        if (words.p && write_content(w, words, e) < 0) {
            return -1;
        }
        jw_end(w);
    }
    jw_key(w, "default");
    write_ref(w, "responses", "Error");
    jw_end(w);
    return 0;
}

/* --- parameters --- */

static void write_path_parameters(struct jw *w, const char *pattern)
{
    struct str rest = str_of(pattern);

    while (rest.p) {
        struct str name = str_cut(&rest, '}');
        ptrdiff_t at = str_find_char(name, '{');

        if (at < 0) {
            continue;
        }
        name = str_from(name, (size_t)at + 1);
        if (str_ends(name, STR("..."))) {
            name.len -= 3;
        }
        jw_object(w);
        jw_kv_str(w, "name", name);
        jw_kv_c(w, "in", "path");
        jw_kv_bool(w, "required", true);
        jw_key(w, "schema");
        jw_raw(w, STR("{\"type\":\"string\"}"));
        jw_end(w);
    }
}

static const struct parameter *parameter_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        if (str_eq_c(name, parameters[i].name)) {
            return &parameters[i];
        }
    }
    return NULL;
}

static int write_parameters(struct jw *w, const struct route *route, struct err *e)
{
    struct str rest = {route->query, route->query ? strlen(route->query) : 0};

    jw_key(w, "parameters");
    jw_array(w);
    write_path_parameters(w, route->pattern);
    while (rest.p) {
        struct str name = str_cut(&rest, ' ');
        const struct parameter *p = parameter_find(name);

        if (p == NULL) {
            return err_set(e, ERR_INTERNAL, "no parameter is named '%.*s'", STR_ARG(name));
        }
        write_ref(w, "parameters", p->name);
    }
    jw_end(w);
    return 0;
}

/* --- operations --- */

/* "openapi.json" as "OpenapiJson". */
static void add_camel(struct buf *b, struct str word)
{
    bool upper = true;

    for (size_t i = 0; i < word.len; i++) {
        char c = upper ? (char)toupper((unsigned char)word.p[i]) : word.p[i];

        upper = isalnum((unsigned char)word.p[i]) == 0;
        if (!upper) {
            buf_add(b, str_n(&c, 1));
        }
    }
}

/* What a parameter follows is one of many: "Repositories" becomes "Repository". -1: it is no
 * plural. */
static int singular(struct buf *b)
{
    if (str_ends(buf_str(b), STR("ies"))) {
        b->len -= 3;
        return buf_add(b, STR("y"));
    }
    if (str_ends(buf_str(b), STR("s"))) {
        b->len--;
        return 0;
    }
    return -1;
}

/* GET /api/v1/projects/{p}/jobs/{id} is getProjectJob, and .../tree/{path...} getTreePath. */
static void write_operation_id(struct jw *w, const struct route *route)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(256);
    struct str rest = str_of(route->pattern);

    if (str_starts(rest, STR("/api/v1"))) {
        rest = str_from(rest, 7);
    }
    buf_add_c(&b, verbs[route->method]);
    while (rest.p) {
        struct str word = str_cut(&rest, '/');

        if (!str_starts(word, STR("{")) || singular(&b) < 0) {
            add_camel(&b, word);
        }
    }
    jw_kv_str(w, "operationId", buf_str(&b));
}

static int write_operation(struct jw *w, const struct route *route, struct err *e)
{
    jw_key(w, verbs[route->method]);
    jw_object(w);
    write_operation_id(w, route);
    jw_kv_c(w, "summary", route->summary);
    jw_kv_c(w, "x-permission", perm_name(route->perm));
    if (route->also != PERM_PUBLIC) {
        jw_kv_c(w, "x-permission-also", perm_name(route->also));
    }
    if (route->perm == PERM_PUBLIC) {
        jw_key(w, "security");
        jw_raw(w, STR("[]"));
    }
    if (write_parameters(w, route, e) < 0 || write_request(w, route, e) < 0 ||
        write_responses(w, route, e) < 0) {
        return err_wrap(e, "%s %s", http_method_name(route->method), route->pattern);
    }
    jw_end(w);
    return 0;
}

/* "/a/{x...}" as OpenAPI writes it: "/a/{x}". */
static void key_of_path(struct jw *w, const char *pattern)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(256);

    for (const char *p = pattern; *p; p++) {
        if (strncmp(p, "...}", 4) == 0) {
            p += 3;
        }
        buf_add(&b, str_n(p, 1));
    }
    key_of(w, buf_str(&b));
}

/* All operations of one pattern, in one go, when `first` is where it stands first. */
static int write_path(struct jw *w, const struct route *routes, const struct route *first,
                      struct err *e)
{
    for (const struct route *r = routes; r < first; r++) {
        if (strcmp(r->pattern, first->pattern) == 0) {
            return 0;
        }
    }
    key_of_path(w, first->pattern);
    jw_object(w);
    for (const struct route *r = first; r->pattern; r++) {
        if (strcmp(r->pattern, first->pattern) == 0 && write_operation(w, r, e) < 0) {
            return -1;
        }
    }
    jw_end(w);
    return 0;
}

static int write_paths(struct jw *w, struct err *e)
{
    jw_key(w, "paths");
    jw_object(w);
    for (const struct openapi_part *p = openapi_parts; p->routes; p++) {
        for (const struct route *r = p->routes; r->pattern; r++) {
            if (r->gives && write_path(w, p->routes, r, e) < 0) {
                return -1;
            }
        }
    }
    jw_end(w);
    return 0;
}

/* --- components --- */

static int write_schemas(struct jw *w, struct err *e)
{
    jw_key(w, "schemas");
    jw_object(w);
    for (const struct openapi_part *p = openapi_parts; p->routes; p++) {
        for (const struct http_schema *s = p->schemas; s && s->name; s++) {
            jw_key(w, s->name);
            if (schema_write(w, str_of(s->form), e) < 0) {
                return err_wrap(e, "%s", s->name);
            }
        }
    }
    jw_end(w);
    return 0;
}

static int write_query_parameters(struct jw *w, struct err *e)
{
    jw_key(w, "parameters");
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        jw_key(w, parameters[i].name);
        jw_object(w);
        jw_kv_c(w, "name", parameters[i].name);
        jw_kv_c(w, "in", "query");
        jw_kv_c(w, "description", parameters[i].what);
        jw_key(w, "schema");
        if (schema_write(w, str_of(parameters[i].form), e) < 0) {
            return err_wrap(e, "%s", parameters[i].name);
        }
        jw_end(w);
    }
    jw_end(w);
    return 0;
}

static int write_error_response(struct jw *w, struct err *e)
{
    jw_key(w, "responses");
    jw_object(w);
    jw_key(w, "Error");
    jw_object(w);
    jw_kv_c(w, "description", "What went wrong, where, and how to mend it.");
    if (write_content(w, STR("Error"), e) < 0) {
        return -1;
    }
    jw_end(w);
    jw_end(w);
    return 0;
}

static void write_sign_ins(struct jw *w)
{
    static const char *const keys[] = {"scheme", "in", "name"};

    jw_key(w, "securitySchemes");
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(sign_ins); i++) {
        const char *values[] = {sign_ins[i].scheme, sign_ins[i].in, sign_ins[i].parameter};

        jw_key(w, sign_ins[i].name);
        jw_object(w);
        jw_kv_c(w, "type", sign_ins[i].type);
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            if (values[k]) {
                jw_kv_c(w, keys[k], values[k]);
            }
        }
        jw_end(w);
    }
    jw_end(w);
}

static void write_security(struct jw *w)
{
    jw_key(w, "security");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(sign_ins); i++) {
        jw_object(w);
        jw_key(w, sign_ins[i].name);
        jw_raw(w, STR("[]"));
        jw_end(w);
    }
    jw_end(w);
}

static int write_components(struct jw *w, struct err *e)
{
    jw_key(w, "components");
    jw_object(w);
    if (write_schemas(w, e) < 0 || write_query_parameters(w, e) < 0 ||
        write_error_response(w, e) < 0) {
        return -1;
    }
    write_sign_ins(w);
    jw_end(w);
    return 0;
}

int openapi_write(struct buf *out, struct err *e)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_kv_c(&w, "openapi", "3.1.0");
    jw_key(&w, "info");
    jw_object(&w);
    jw_kv_c(&w, "title", "Strata");
    jw_kv_c(&w, "version", STRATA_VERSION);
    jw_kv_c(&w, "description",
            "Times are RFC 3339 UTC, sizes bytes, CPU thousandths of a core. Who signs in with the "
            "session cookie sends the header X-CSRF-Token with every change. GET also answers "
            "HEAD.");
    jw_end(&w);
    write_security(&w);
    if (write_paths(&w, e) < 0 || write_components(&w, e) < 0) {
        return err_wrap(e, "openapi");
    }
    jw_end(&w);
    return 0;
}
