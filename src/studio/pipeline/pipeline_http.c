/* The routes of pipelines and modules; those of runs are in runs_http.c and outputs_http.c. */
#include "pipeline/pipeline_priv.h"

#include "access/access.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES (8 * MIB)

int studio_project(struct http_req *r, int64_t *id, struct err *e)
{
    const struct pipelines *s = r->ctx;
    uint32_t id_base;

    return access_project(s->parts.access, r->project, id, &id_base, e);
}

bool studio_may_run(const struct pipelines *s, const struct principal *who, struct str project)
{
    uint64_t needed = PERM_BIT(PERM_PIPELINE_RUN) | PERM_BIT(PERM_VOLUME_WRITE);

    return (access_permissions(s->parts.access, who, project) & needed) == needed;
}

int studio_reply(struct http_req *r, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(r, status, b, e);
    }
    buf_done(b);
    return result;
}

int studio_reply_mistakes(struct http_req *r, const struct err_list *l, const struct err *why,
                          struct err *e)
{
    struct buf out = BUF_MAX(MIB);
    struct jw writer = JW(&out), *w = &writer;

    jw_object(w);
    jw_key(w, "error");
    jw_object(w);
    jw_kv_c(w, "kind", err_name(why->kind));
    jw_kv_c(w, "message", why->msg);
    jw_kv_c(w, "request_id", r->id);
    jw_key(w, "mistakes");
    jw_array(w);
    for (size_t i = 0; i < l->len; i++) {
        jw_object(w);
        jw_kv_i64(w, "line", l->items[i].line);
        jw_kv_i64(w, "column", l->items[i].column);
        jw_kv_c(w, "key", l->items[i].key);
        jw_kv_c(w, "message", l->items[i].msg);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
    jw_end(w);
    return studio_reply(r, err_http_status(why->kind), &out, 0, e);
}

/* --- documents --- */

/* 1: a mistake was answered. */
static int read_document(struct http_req *r, struct doc *d, struct err *e)
{
    SCOPED(err_list_done) struct err_list wrong = {0};
    struct err why;
    struct str text;

    if (http_body_all(r, LIMIT_PIPELINE_BYTES, &text, e) < 0) {
        return -1;
    }
    if (doc_parse(&r->arena, text, d, &wrong, &why) == 0) {
        return 0;
    }
    if (wrong.len > 0) {
        return studio_reply_mistakes(r, &wrong, &why, e) < 0 ? -1 : 1;
    }
    *e = why;
    return -1;
}

static int json_of(struct arena *a, const struct doc *d, struct str *out, struct err *e)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(2 * LIMIT_PIPELINE_BYTES);
    struct jw w = JW(&json);

    doc_json(d, &w);
    *out = arena_str(a, buf_str(&json));
    return json.failed || json.len > LIMIT_PIPELINE_BYTES
               ? err_set(e, ERR_LIMIT, "the pipeline is larger than %llu bytes as JSON",
                         LIMIT_PIPELINE_BYTES)
               : 0;
}

static int check_post(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct buf out = BUF_MAX(16 * MIB);
    struct jw w = JW(&out);
    struct mistakes mistakes = {.a = &r->arena};
    struct check_files files = {.s = s};
    struct catalog catalog;
    struct graph graph;
    struct doc d;
    int rc = studio_project(r, &files.project_id, e) < 0 ? -1 : read_document(r, &d, e);

    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }
    if (studio_catalog(s, files.project_id, &d, &r->arena, &catalog, e) < 0) {
        return -1;
    }
    graph_build(&r->arena, &d, &catalog, NULL, 0, GRAPH_FOR_CHECK, &graph, &mistakes);
    check_json(&r->arena, &graph, &files, &mistakes, &w);
    return studio_reply(r, 200, &out, 0, e);
}

/* --- pipelines --- */

struct ask {
    int64_t project_id, version, before, limit;
    struct str name, words, after;
    struct arena *a;
    struct pipeline_row row;
    struct pipeline_row *rows;
    struct pipeline_version *versions;
    size_t n;
    struct pipeline_put put;
};

static int get_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct ask *q = ctx;

    return pipeline_store_get(db, q->project_id, q->name, q->version, q->a, &q->row, e);
}

static void write_row(const struct pipeline_row *p, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "name", p->name);
    jw_kv_i64(w, "version", p->version);
    jw_kv_time(w, "updated_at", p->updated_ms);
    jw_kv_c(w, "updated_by", p->updated_by);
    jw_key(w, "schedule");
    if (p->schedule) {
        jw_raw(w, str_of(p->schedule));
    } else {
        jw_null(w);
    }
    jw_key(w, "last_run");
    if (p->last_run > 0) {
        jw_object(w);
        jw_kv_i64(w, "id", p->last_run);
        jw_kv_c(w, "state", p->last_state);
        jw_kv_time(w, "created_at", p->last_ms);
        jw_end(w);
    } else {
        jw_null(w);
    }
    if (p->document) {
        jw_key(w, "document");
        jw_raw(w, str_of(p->document));
    }
    jw_end(w);
}

static int reply_pipeline(struct http_req *r, int status, const struct pipeline_row *p,
                          struct err *e)
{
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw w = JW(&out);

    write_row(p, &w);
    http_set_header(r, "ETag", "\"%lld\"", (long long)p->version);
    return studio_reply(r, status, &out, 0, e);
}

static int reply_yaml(struct http_req *r, const struct pipeline_row *p, struct err *e)
{
    SCOPED(err_list_done) struct err_list wrong = {0};
    SCOPED(buf_done) struct buf out = BUF_MAX(ANSWER_BYTES);
    struct doc d;

    if (doc_parse(&r->arena, str_of(p->document), &d, &wrong, e) < 0) {
        return -1;
    }
    doc_yaml(&d, &out);
    http_set_header(r, "ETag", "\"%lld\"", (long long)p->version);
    return http_reply(r, 200, "application/yaml", buf_str(&out), e);
}

static int number_of(struct str text, int64_t *out, struct err *e)
{
    uint64_t n = 0;

    if (text.p != NULL && (str_to_u64(text, &n) < 0 || n == 0 || n > INT64_MAX)) {
        return err_set(e, ERR_NOT_FOUND, "there is no version '%.*s'",
                       STR_ARG(str_first(text, 32)));
    }
    *out = (int64_t)n;
    return 0;
}

int studio_reply_pipeline(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct ask q = {.name = http_path_param(r, "name"), .a = &r->arena};

    return studio_project(r, &q.project_id, e) < 0 || state_read(s->parts.state, get_fn, &q, e) < 0
               ? -1
               : reply_pipeline(r, 200, &q.row, e);
}

static int pipeline_get(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct ask q = {.name = http_path_param(r, "name"), .a = &r->arena};
    struct str format = http_query(r, "format");

    if (studio_project(r, &q.project_id, e) < 0 ||
        number_of(http_path_param(r, "version"), &q.version, e) < 0 ||
        state_read(s->parts.state, get_fn, &q, e) < 0) {
        return -1;
    }
    if (format.p && !str_eq_c(format, "yaml") && !str_eq_c(format, "json")) {
        return err_set(e, ERR_INVALID, "format: '%.*s' is neither json nor yaml",
                       STR_ARG(str_first(format, 32)));
    }
    return format.p && str_eq_c(format, "yaml") ? reply_yaml(r, &q.row, e)
                                                : reply_pipeline(r, 200, &q.row, e);
}

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct ask *q = ctx;

    return pipeline_store_list(db, q->project_id, q->words, q->after, q->limit + 1, q->a, &q->rows,
                               &q->n, e);
}

static int pipelines_list(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct jw writer = JW(&out), *w = &writer;
    struct ask q = {.a = &r->arena, .after = http_query(r, "after")};
    size_t n;

    if (studio_project(r, &q.project_id, e) < 0 || http_query_filter(r, &q.words, e) < 0 ||
        http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &q.limit, e) < 0 ||
        state_read(s->parts.state, list_fn, &q, e) < 0) {
        return -1;
    }
    n = q.n > (size_t)q.limit ? (size_t)q.limit : q.n;
    jw_object(w);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        write_row(&q.rows[i], w);
    }
    jw_end(w);
    jw_kv_c(w, "next", n < q.n ? q.rows[n - 1].name : NULL);
    jw_end(w);
    return studio_reply(r, 200, &out, 0, e);
}

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct ask *q = ctx;

    return pipeline_store_put(db, &q->put, e) < 0 ? -1 : get_fn(db, q, e);
}

static void tell(struct http_req *r, struct str name, const char *state)
{
    struct pipelines *s = r->ctx;
    SCOPED(buf_done) struct buf json = BUF_MAX(KIB);
    struct jw w = JW(&json);

    jw_object(&w);
    jw_kv_str(&w, "project", r->project);
    jw_kv_str(&w, "name", name);
    jw_kv_c(&w, "state", state);
    jw_end(&w);
    s->parts.event(s->parts.ctx, "pipeline", r->project, buf_str(&json));
}

static int save_pipeline(struct http_req *r, struct str name, int64_t seen, const struct doc *d,
                         struct err *e)
{
    struct pipelines *s = r->ctx;
    struct ask q = {.name = name, .a = &r->arena};
    struct str json;

    if (doc_name_check(name, e) < 0 || studio_project(r, &q.project_id, e) < 0 ||
        json_of(&r->arena, d, &json, e) < 0) {
        return -1;
    }
    q.put = (struct pipeline_put){.project_id = q.project_id,
                                  .seen = seen,
                                  .name = name,
                                  .document = json,
                                  .by = r->who.name,
                                  .may_run = studio_may_run(r->ctx, &r->who, r->project)};
    if (state_write(s->parts.state, put_fn, &q, e) < 0) {
        return -1;
    }
    tell(r, name, "saved");
    return reply_pipeline(r, q.put.is_new ? 201 : 200, &q.row, e);
}

/* If-Match: "3" · If-None-Match: * */
static int seen_of(struct http_req *r, int64_t *out, struct err *e)
{
    struct str match = str_trim(http_header(r, "If-Match"));
    uint64_t n;

    *out = PIPELINE_ANY;
    if (str_eq(str_trim(http_header(r, "If-None-Match")), STR("*"))) {
        *out = PIPELINE_NONE;
        return 0;
    }
    if (match.p == NULL || match.len == 0 || str_eq(match, STR("*"))) {
        return 0;
    }
    if (match.len > 2 && match.p[0] == '"' && match.p[match.len - 1] == '"') {
        match = str_first(str_from(match, 1), match.len - 2);
    }
    if (str_to_u64(match, &n) < 0 || n == 0 || n > INT64_MAX) {
        return err_set(e, ERR_INVALID, "If-Match: give the version that you changed, as in \"3\"");
    }
    *out = (int64_t)n;
    return 0;
}

static int pipeline_put(struct http_req *r, struct err *e)
{
    struct doc d;
    int64_t seen;
    int rc;

    if (seen_of(r, &seen, e) < 0) {
        return -1;
    }
    rc = read_document(r, &d, e);
    return rc != 0 ? (rc < 0 ? -1 : 0) : save_pipeline(r, http_path_param(r, "name"), seen, &d, e);
}

/* {"name", "document"?}: without a document an empty one. */
static int pipeline_post(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "document"};
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(err_list_done) struct err_list wrong = {0};
    const json_t *document;
    struct err why;
    struct str name;
    struct doc d;
    int rc;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0) {
        return -1;
    }
    name = arena_str(&r->arena, name);
    document = json_object_get(body, "document");
    rc = document ? doc_from_json(&r->arena, document, &d, &wrong, &why)
                  : doc_parse(&r->arena, STR("{\"pipeline\":1}"), &d, &wrong, &why);
    if (rc < 0) {
        if (wrong.len > 0) {
            return studio_reply_mistakes(r, &wrong, &why, e);
        }
        *e = why;
        return -1;
    }
    return save_pipeline(r, name, PIPELINE_NONE, &d, e);
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct ask *q = ctx;

    return pipeline_store_delete(db, q->project_id, q->name, e);
}

static int pipeline_delete(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct ask q = {.name = http_path_param(r, "name")};

    if (studio_project(r, &q.project_id, e) < 0 ||
        state_write(s->parts.state, delete_fn, &q, e) < 0) {
        return -1;
    }
    tell(r, q.name, "deleted");
    return http_reply_empty(r, 204, e);
}

static int versions_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct ask *q = ctx;

    return get_fn(db, q, e) < 0 ? -1
                                : pipeline_store_versions(db, q->row.id, q->before, q->limit + 1,
                                                          q->a, &q->versions, &q->n, e);
}

static int versions_get(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct buf out = BUF_MAX(MIB);
    struct jw writer = JW(&out), *w = &writer;
    struct ask q = {.name = http_path_param(r, "name"), .a = &r->arena};
    size_t n;

    if (studio_project(r, &q.project_id, e) < 0 ||
        http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &q.limit, e) < 0 ||
        http_query_i64(r, "after", 0, 0, INT64_MAX, &q.before, e) < 0 ||
        state_read(s->parts.state, versions_fn, &q, e) < 0) {
        return -1;
    }
    n = q.n > (size_t)q.limit ? (size_t)q.limit : q.n;
    jw_object(w);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_kv_i64(w, "version", q.versions[i].version);
        jw_kv_time(w, "updated_at", q.versions[i].at_ms);
        jw_kv_c(w, "updated_by", q.versions[i].by);
        jw_end(w);
    }
    jw_end(w);
    jw_kv_c(w, "next",
            n < q.n ? arena_printf(&r->arena, "%lld", (long long)q.versions[n - 1].version) : NULL);
    jw_end(w);
    return studio_reply(r, 200, &out, 0, e);
}

#define P "/api/v1/projects/{p}"
#define RUN P "/runs/{id}"
#define NODE RUN "/nodes/{node}"

const struct route pipeline_routes[] = {
    {HTTP_GET, "/api/v1/modules", PERM_SIGNED_IN, modules_built_in_get,
     "The built-in modules with their ports and parameters.", .gives = "200 ModuleManifest"},
    {HTTP_GET, P "/modules", PERM_PIPELINE_READ, modules_get,
     "The modules that pipelines of a project may use.", .gives = "200 ModuleManifest"},
    {HTTP_PUT, P "/modules/{name}", PERM_PIPELINE_WRITE, module_put,
     "Brings a container as a module: a component file of Kubeflow Pipelines v1.",
     .takes = "application/yaml", .gives = "200 ModuleManifest"},
    {HTTP_GET, P "/modules/{name}", PERM_PIPELINE_READ, module_get,
     "The component file of a module that the project brought.", .gives = "200 application/yaml"},
    {HTTP_DELETE, P "/modules/{name}", PERM_PIPELINE_WRITE, module_delete,
     "Takes a module of the project away.", .gives = "204"},
    {HTTP_GET, P "/pipelines", PERM_PIPELINE_READ, pipelines_list, "Lists pipelines by name.",
     .query = "q limit after", .gives = "200 [PipelineRow]"},
    {HTTP_POST, P "/pipelines", PERM_PIPELINE_WRITE, pipeline_post,
     "Makes a pipeline, empty or with a document.", .takes = "PipelineNew",
     .gives = "201 Pipeline"},
    {HTTP_POST, P "/pipelines/check", PERM_PIPELINE_READ, check_post,
     "Checks a document: all mistakes, and what flows out of every port.", .flags = ROUTE_NO_AUDIT,
     .takes = "PipelineDocument application/yaml", .gives = "200 PipelineCheck",
     .also = PERM_VOLUME_READ},
    {HTTP_GET, P "/pipelines/{name}", PERM_PIPELINE_READ, pipeline_get,
     "Shows a pipeline; ?format=yaml its document as YAML.", .query = "format",
     .gives = "200 Pipeline application/yaml"},
    {HTTP_PUT, P "/pipelines/{name}", PERM_PIPELINE_WRITE, pipeline_put,
     "Saves a document as the newest version; If-Match: the version that was changed.",
     .takes = "PipelineDocument application/yaml", .gives = "200 Pipeline, 201 Pipeline"},
    {HTTP_DELETE, P "/pipelines/{name}", PERM_PIPELINE_WRITE, pipeline_delete,
     "Deletes a pipeline with its versions; its runs stay.", .gives = "204"},
    {HTTP_GET, P "/pipelines/{name}/versions", PERM_PIPELINE_READ, versions_get,
     "Lists versions, newest first.", .query = "limit after", .gives = "200 [PipelineVersion]"},
    {HTTP_GET, P "/pipelines/{name}/versions/{version}", PERM_PIPELINE_READ, pipeline_get,
     "Shows a version of a pipeline.", .query = "format", .gives = "200 Pipeline application/yaml"},
    {HTTP_PUT, P "/pipelines/{name}/schedule", PERM_PIPELINE_RUN, schedule_put,
     "Runs a pipeline by the clock: cron in a time zone.", .takes = "PipelineScheduleNew",
     .gives = "200 Pipeline", .also = PERM_VOLUME_WRITE},
    {HTTP_DELETE, P "/pipelines/{name}/schedule", PERM_PIPELINE_RUN, schedule_delete,
     "Stops running a pipeline by the clock.", .gives = "204"},
    {HTTP_POST, P "/pipelines/{name}/runs", PERM_PIPELINE_RUN, runs_post, "Runs a pipeline.",
     .takes = "RunNew", .gives = "202 Run", .also = PERM_VOLUME_WRITE},
    {HTTP_GET, P "/runs", PERM_PIPELINE_READ, runs_list,
     "Lists runs, newest first; ?pipeline=, ?state=running,failed.",
     .query = "q pipeline state limit after", .gives = "200 [RunRow]"},
    {HTTP_GET, P "/runs/compare", PERM_PIPELINE_READ, run_compare,
     "Two runs side by side: ?a= and ?b= their numbers.", .query = "a b",
     .gives = "200 RunComparison"},
    {HTTP_GET, RUN, PERM_PIPELINE_READ, run_get, "Shows a run with its nodes.", .gives = "200 Run"},
    {HTTP_DELETE, RUN, PERM_PIPELINE_RUN, run_delete,
     "Deletes a finished run, its logs, and outputs that no other run refers to.", .gives = "204"},
    {HTTP_POST, RUN "/cancel", PERM_PIPELINE_RUN, run_cancel, "Stops a run.", .gives = "202 Run"},
    {HTTP_POST, RUN "/retry", PERM_PIPELINE_RUN, run_retry,
     "Runs what failed and what follows from it again.", .gives = "202 Run",
     .also = PERM_VOLUME_WRITE},
    {HTTP_GET, RUN "/events", PERM_PIPELINE_READ, run_events_get,
     "Follows a run as server-sent events: run, node.", .gives = "200 text/event-stream"},
    {HTTP_GET, NODE "/log", PERM_PIPELINE_READ, node_log_get, "The output of a node's step.",
     .gives = "200 text/plain", .also = PERM_JOB_READ},
    {HTTP_GET, NODE "/outputs/{port}", PERM_PIPELINE_READ, node_output_get,
     "Downloads what came out of a port.", .gives = "200 application/octet-stream",
     .also = PERM_VOLUME_READ},
    {HTTP_GET, NODE "/outputs/{port}/preview", PERM_PIPELINE_READ, node_preview_get,
     "What came out of a port, at a glance.", .gives = "200 Preview", .also = PERM_VOLUME_READ},
    {0},
};

#define PIPELINE_ROW                                                                               \
    "name: string, version: integer, updated_at: time, updated_by: string,"                        \
    " schedule: PipelineSchedule | null, last_run: PipelineLastRun | null"
#define RUN_ROW                                                                                    \
    "id: integer, pipeline: string, version: integer, state: RunState, params: {*: string},"       \
    " by: string, to: string | null, from: string | null, created_at: time,"                       \
    " started_at: time | null, finished_at: time | null"

const struct http_schema pipeline_schemas[] = {
    {"ModuleManifest", "{schema: integer, program: string, modules: [Module]}"},
    {"Module", "{name: string, version: string, title: string, description: string,"
               " category: string, kind: 'native' | 'container' | 'import' | 'script', light: "
               "boolean, memory?: string,"
               " memory_spilled?: string,"
               " deterministic: boolean, inputs: [ModulePort],"
               " outputs: [ModulePort], params: [ModuleParam]}"},
    {"PortType", "'table' | 'model' | 'transform' | 'report' | 'file'"},
    {"ModulePort", "{name: string, type: PortType, optional: boolean, help: string}"},
    {"ParamType", "'int' | 'real' | 'bool' | 'text' | 'choice' | 'ints' | 'path' | 'column'"
                  " | 'columns' | 'code'"},
    {"ModuleParam", "{name: string, type: ParamType, required: boolean,"
                    " default?: string | number | boolean, min?: number, max?: number,"
                    " choices?: [string], help: string}"},
    {"PipelineRow", "{" PIPELINE_ROW "}"},
    {"Pipeline", "{" PIPELINE_ROW ", document: PipelineDocument}"},
    {"PipelineLastRun", "{id: integer, state: RunState, created_at: time}"},
    {"PipelineSchedule",
     "{cron: string, timezone: string, params: {*: string}, enabled: boolean, by: string,"
     " paused?: string}"},
    {"PipelineScheduleNew", "{cron: string, timezone?: string, params?: {*: PipelineValue},"
                            " enabled?: boolean}"},
    {"PipelineNew", "{name: string, document?: PipelineDocument}"},
    {"PipelineVersion", "{version: integer, updated_at: time, updated_by: string}"},
    {"PipelineDocument",
     "{pipeline: integer, description?: string, volume?: string, params?: [PipelineParam],"
     " nodes?: {*: PipelineNode}, comments?: [PipelineComment]}"},
    {"PipelineValue", "string | number | boolean"},
    {"PipelineParam", "{name: string, type?: 'int' | 'real' | 'bool' | 'text',"
                      " default?: PipelineValue, help?: string}"},
    {"PipelineNode", "{module: string, title?: string, at?: [number],"
                     " params?: {*: PipelineValue}, inputs?: {*: string}, cache?: boolean,"
                     " memory?: string}"},
    {"PipelineComment", "{text: string, at?: [number], size?: [number]}"},
    {"PipelineCheck", "{ok: boolean, mistakes: [PipelineMistake], nodes: {*: PipelineNodeCheck}}"},
    {"PipelineMistake", "{node?: string, port?: string, param?: string, column?: string,"
                        " message: string, fix?: PipelineFix}"},
    {"PipelineFix", "{text?: string, param?: PipelineFixParam, insert?: PipelineFixInsert}"},
    {"PipelineFixParam", "{name: string, value: PipelineValue}"},
    {"PipelineFixInsert", "{module: string, port: string, params?: {*: PipelineValue}}"},
    {"PipelineNodeCheck", "{outputs: {*: PipelinePortCheck}}"},
    {"PipelinePortCheck", "{type: PortType, open?: boolean, columns?: [PipelineColumn],"
                          " task?: string, label?: string}"},
    {"PipelineColumn", "{name: string, type: string}"},
    {"PipelineEvent", "{project: string, name: string, state: 'saved' | 'deleted' | 'paused'}"},
    {"RunState", "'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'"},
    {"RunNew", "{version?: integer, params?: {*: PipelineValue}, to?: string, from?: string,"
               " cache?: boolean, fuse?: boolean}"},
    {"RunRow", "{" RUN_ROW "}"},
    {"Run", "{" RUN_ROW ", nodes: {*: RunNode}}"},
    {"RunNode", "{state: RunNodeState, module: string, done: number, text: string,"
                " job: string | null, started_at: time | null, finished_at: time | null,"
                " cache: RunCache | null, metrics: {*: number | null}, warnings: [string],"
                " outputs: {*: RunOutput},"
                " error: RunError | null}"},
    {"RunNodeState", "'waiting' | 'cached' | 'queued' | 'running' | 'succeeded' | 'failed'"
                     " | 'skipped' | 'cancelled'"},
    {"RunCache", "{hit: boolean, why: string}"},
    {"RunOutput", "{type: PortType, rows?: integer, columns?: integer, bytes: integer,"
                  " sha256: string, preview: boolean}"},
    {"RunError", "{message: string, kind: string | null}"},
    {"RunComparison", "{a: RunRow, b: RunRow, params: {*: RunPair}, nodes: {*: RunNodePair}}"},
    {"RunPair", "{a: string | null, b: string | null}"},
    {"RunNodePair", "{a: RunNode | null, b: RunNode | null}"},
    {"RunEvent", "{project: string, id: integer, pipeline: string, state: RunState | 'deleted'}"},
    {"Preview", "any"},
    {0},
};
