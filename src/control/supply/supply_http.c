/* /api/v1/projects/{p}/...: keys, rules, and what is known about an image. */
#include "scan.h"

#include "access/access.h"
#include "fetch/fetch.h"
#include "registry/manifest.h"
#include "registry/names.h"

#include <stdio.h>

#define REPLY_MAX (8 * MIB)

static int project_of(struct http_req *req, int64_t *id, struct err *e)
{
    const struct supply *s = req->ctx;
    uint32_t id_base;

    return access_project(s->access, http_path_param(req, "p"), id, &id_base, e);
}

static int reply(struct http_req *req, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(req, status, b, e);
    }
    buf_done(b);
    return result;
}

/* The image that the path names, by tag or digest. */
static int image_of(struct http_req *req, struct artifact *out, struct err *e)
{
    const struct supply *s = req->ctx;
    struct str project = http_path_param(req, "p"), rest = http_path_param(req, "repo");
    struct str name =
        str_of(arena_printf(&req->arena, "%.*s/%.*s", STR_ARG(project), STR_ARG(rest)));

    return name_check(name, e) < 0
               ? -1
               : artifact_find(s->registry, &req->arena, name, http_path_param(req, "ref"), out, e);
}

/* --- keys --- */

static int api_keys(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct str q;
    int64_t id;
    int result;

    if (project_of(req, &id, e) < 0 || http_query_filter(req, &q, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = keys_write(req->ctx, id, (struct str){0}, q, &w, e);
    jw_end(&w);
    jw_kv_c(&w, "next", NULL);
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static int api_key_add(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"name", "pem"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct str name, pem;
    int64_t id;

    if (project_of(req, &id, e) < 0 || http_body_json(req, &body, e) < 0 ||
        json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 || json_need_str(body, "pem", &pem, e) < 0 ||
        key_add(req->ctx, id, name, pem, str_of(req->who.name), e) < 0) {
        return -1;
    }
    return reply(req, 201, &b, keys_write(req->ctx, id, name, STR_EMPTY, &w, e), e);
}

static int api_key_drop(struct http_req *req, struct err *e)
{
    int64_t id;

    return project_of(req, &id, e) < 0 || key_drop(req->ctx, id, http_path_param(req, "key"), e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}

/* --- rules --- */

static int reply_policy(struct http_req *req, const struct trust_policy *p, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);

    trust_policy_write(p, &w);
    return reply(req, 200, &b, 0, e);
}

static int api_policy(struct http_req *req, struct err *e)
{
    struct trust_policy p;
    int64_t id;

    return project_of(req, &id, e) < 0 || trust_policy_read(req->ctx, &req->arena, id, &p, e) < 0
               ? -1
               : reply_policy(req, &p, e);
}

static int api_policy_set(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct trust_policy p;
    int64_t id;

    return project_of(req, &id, e) < 0 || http_body_json(req, &body, e) < 0 ||
                   trust_policy_parse(&req->arena, body, &p, e) < 0 ||
                   trust_policy_save(req->ctx, id, &p, e) < 0
               ? -1
               : reply_policy(req, &p, e);
}

/* --- an image --- */

static void write_refusal(struct supply *s, struct arena *a, const struct artifact *of,
                          const struct trust_policy *p, const char *key, enum judged what,
                          struct jw *w, int *result, struct err *e)
{
    struct err why;
    bool refused = artifact_judge(s, a, of, p, what, &why) < 0;

    if (refused && why.kind != ERR_FORBIDDEN) {
        *e = why;
        *result = -1;
    }
    jw_kv_c(w, key, refused ? why.msg : NULL);
}

static int api_trust(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct arena *a = &req->arena;
    struct trust_policy p;
    struct artifact of;
    struct inspection inspection;
    struct str signer;
    int result = 0;

    if (image_of(req, &of, e) < 0 || trust_policy_read(req->ctx, a, of.project_id, &p, e) < 0 ||
        artifact_signer(req->ctx, a, &of, &inspection, &signer, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_c(&w, "digest", of.digest);
    jw_key(&w, "signed_by");
    if (signer.len > 0) {
        jw_str(&w, signer);
    } else {
        jw_null(&w);
    }
    write_refusal(req->ctx, a, &of, &p, "pull_refused", JUDGED_PULL, &w, &result, e);
    write_refusal(req->ctx, a, &of, &p, "run_refused", JUDGED_RUN, &w, &result, e);
    jw_key(&w, "report");
    if (result == 0) {
        result = report_write(req->ctx, &of, &w, e);
    }
    jw_key(&w, "scan");
    if (result == 0) {
        result = scan_write(req->ctx, of.id, &w, e);
    }
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static void write_accessory(struct supply *s, struct arena *arena, struct inspection *x,
                            const struct artifact *of, const struct artifact *one, struct jw *w)
{
    struct accessory a;
    struct str signer;

    accessory_parse(arena, one->artifact_type, one->body, &a);
    accessory_signer(s, x, of, one, &a, &signer, arena);
    jw_object(w);
    jw_kv_c(w, "kind", accessory_name(a.kind));
    jw_kv_c(w, "digest", one->digest);
    jw_kv_str(w, "media_type", one->media_type);
    jw_kv_str(w, "artifact_type", one->artifact_type);
    jw_kv_i64(w, "size_bytes", one->total_bytes);
    jw_kv_time(w, "pushed_at", one->pushed_ms);
    jw_kv_c(w, "pushed_by", one->pushed_by.len > 0 ? arena_strdup(arena, one->pushed_by) : NULL);
    jw_kv_c(w, "tag", one->tag.len > 0 ? arena_strdup(arena, one->tag) : NULL);
    jw_kv_c(w, "verified_by", signer.len > 0 ? arena_strdup(arena, signer) : NULL);
    jw_end(w);
}

static int api_accessories(struct http_req *req, struct err *e)
{
    struct supply *s = req->ctx;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct artifact of;
    struct artifact_list list;
    struct inspection x;

    if (image_of(req, &of, e) < 0 || inspection_begin(s, &req->arena, of.project_id, &x, e) < 0 ||
        artifacts_about(s->registry, &req->arena, &of, &list, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < list.n; i++) {
        write_accessory(s, &req->arena, &x, &of, &list.items[i], &w);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", NULL);
    jw_end(&w);
    return reply(req, 200, &b, 0, e);
}

/* --- vulnerabilities --- */

static int page_of(struct http_req *req, struct finding_page *p, struct err *e)
{
    struct str after = http_query(req, "after"), severity = http_query(req, "severity");
    uint64_t n = 0;

    if (after.p != NULL && (str_to_u64(after, &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "after: give the \"next\" of the page before");
    }
    p->after = (int64_t)n;
    if (severity.p != NULL && severity_parse(severity, &p->at_least) < 0) {
        return err_set(e, ERR_INVALID, "severity: expected unknown, low, medium, high or critical");
    }
    return http_query_i64(req, "limit", 100, 1, LIMIT_LIST_ROWS, &p->limit, e) < 0
               ? -1
               : http_query_filter(req, &p->q, e);
}

static int api_findings(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct finding_page page = {.at_least = SEV_UNKNOWN};
    struct artifact of;
    char next[24];
    int result;

    if (page_of(req, &page, e) < 0 || image_of(req, &of, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = findings_write(req->ctx, &of, &page, &w, e);
    jw_end(&w);
    (void)snprintf(next, sizeof(next), "%lld", (long long)page.next);
    jw_kv_c(&w, "next", page.next ? next : NULL);
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static int api_report_put(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct report report;
    struct artifact of;
    struct str body;

    if (image_of(req, &of, e) < 0 || http_body_all(req, LIMIT_REPORT_BYTES, &body, e) < 0 ||
        json_count_check(body, e) < 0 || (doc = json_parse(body, e)) == NULL ||
        report_of_json(&req->arena, doc, &report, e) < 0 ||
        report_store(req->ctx, &of, &report, str_of(req->who.name), e) < 0) {
        return -1;
    }
    return reply(req, 200, &b, report_write(req->ctx, &of, &w, e), e);
}

static int api_scan(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct artifact of;

    return image_of(req, &of, e) < 0 ||
                   scan_start(req->ctx, &of, req->who.user_id, str_of(req->who.name), e) < 0
               ? -1
               : reply(req, 202, &b, scan_write(req->ctx, of.id, &w, e), e);
}

static int api_scan_stop(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct artifact of;
    size_t n = 0;

    if (image_of(req, &of, e) < 0 || scan_stop(req->ctx, &of, str_of(req->who.name), &n, e) < 0) {
        return -1;
    }
    if (n == 0) {
        return err_set(e, ERR_CONFLICT, "no scan of this image goes on");
    }
    return reply(req, 200, &b, scan_write(req->ctx, of.id, &w, e), e);
}

/* --- scanners --- */

static int api_scanners(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    int result;

    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = scanners_write(req->ctx, (struct str){0}, &w, e);
    jw_end(&w);
    jw_kv_c(&w, "next", NULL);
    jw_end(&w);
    return reply(req, 200, &b, result, e);
}

static int api_scanner_add(struct http_req *req, struct err *e)
{
    static const char *const keys[] = {"name", "url", "auth_header"};
    SCOPED(json_decrefp) json_t *body = NULL;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct str name, url, auth = STR_EMPTY;

    if (http_body_json(req, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 || json_need_str(body, "url", &url, e) < 0 ||
        (!json_is_null(json_object_get(body, "auth_header")) &&
         json_get_str(body, "auth_header", &auth, e) < 0) ||
        scanner_add(req->ctx, name, url, auth, e) < 0) {
        return -1;
    }
    return reply(req, 201, &b, scanners_write(req->ctx, name, &w, e), e);
}

static int api_scanner_drop(struct http_req *req, struct err *e)
{
    return scanner_drop(req->ctx, http_path_param(req, "name"), e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}

/* What it says about itself; that it does not answer is an answer too. */
static int api_scanner_ping(struct http_req *req, struct err *e)
{
    static const struct scanner_request ask = {
        .path = "api/v1/metadata",
        .accept = "application/vnd.scanner.adapter.metadata+json; version=1.0"};
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct buf b = BUF_MAX(REPLY_MAX);
    struct jw w = JW(&b);
    struct fetch_answer got = {.status = 0};
    struct str name = STR_EMPTY, version = STR_EMPTY;
    struct scanner to;
    struct err why = {.kind = ERR_NONE};

    if (scanner_get(req->ctx, &req->arena, http_path_param(req, "name"), &to, e) < 0) {
        return -1;
    }
    if (scanner_ask(req->ctx, &req->arena, &to, &ask, &got, &why) == 0) {
        const json_t *scanner;

        doc = got.status == 200 ? json_parse(buf_str(&got.body), &why) : NULL;
        scanner = json_object_get(doc, "scanner");
        if (got.status != 200) {
            (void)!err_set(&why, ERR_UNAVAILABLE, "the scanner answered %d", got.status);
        } else if (doc != NULL && (json_need_str(scanner, "name", &name, &why) < 0 ||
                                   json_get_str(scanner, "version", &version, &why) < 0)) {
            name = version = STR_EMPTY;
        }
    }
    fetch_answer_done(&got);
    jw_object(&w);
    jw_kv_bool(&w, "ok", why.kind == ERR_NONE);
    jw_kv_str(&w, "scanner", name);
    jw_kv_str(&w, "version", version);
    jw_kv_c(&w, "error", why.kind == ERR_NONE ? NULL : why.msg);
    jw_end(&w);
    return reply(req, 200, &b, 0, e);
}

#define PROJECT "/api/v1/projects/{p}"
#define IMAGE PROJECT "/repositories/{repo...}/artifacts/{ref}"

const struct route supply_routes[] = {
    {HTTP_GET, PROJECT "/trust-keys", PERM_MEMBER_READ, api_keys,
     "Public keys whose signatures the project trusts.", .query = "q", .gives = "200 [TrustKey]"},
    {HTTP_POST, PROJECT "/trust-keys", PERM_PROJECT_MANAGE, api_key_add, "Adds a public key (PEM).",
     .takes = "TrustKeyNew", .gives = "201 TrustKey"},
    {HTTP_DELETE, PROJECT "/trust-keys/{key}", PERM_PROJECT_MANAGE, api_key_drop,
     "Deletes a public key: what only it verified is unsigned.", .gives = "204"},
    {HTTP_GET, PROJECT "/trust-policy", PERM_MEMBER_READ, api_policy,
     "What an image must be to be pulled and run.", .gives = "200 TrustPolicy"},
    {HTTP_PUT, PROJECT "/trust-policy", PERM_PROJECT_MANAGE, api_policy_set,
     "Replaces the rules for what may be pulled and run.", .takes = "TrustPolicyChange",
     .gives = "200 TrustPolicy"},
    {HTTP_GET, IMAGE "/trust", PERM_IMAGE_PULL, api_trust,
     "Who signed an image, what was found in it, and whether it may be pulled and run.",
     .gives = "200 ImageTrust"},
    {HTTP_GET, IMAGE "/accessories", PERM_IMAGE_PULL, api_accessories,
     "Signatures, SBOMs and attestations of an image, newest first.", .gives = "200 [Accessory]"},
    {HTTP_GET, IMAGE "/vulnerabilities", PERM_IMAGE_PULL, api_findings,
     "Findings of the image's report, the worst first.", .query = "q limit after severity",
     .gives = "200 [Vulnerability]"},
    {HTTP_PUT, IMAGE "/vulnerabilities", PERM_IMAGE_PUSH, api_report_put,
     "Takes a report: SARIF 2.1.0 or CycloneDX 1.4 to 1.6 in JSON.", .takes = "application/json",
     .gives = "200 ReportSummary"},
    {HTTP_POST, IMAGE "/scan", PERM_IMAGE_PUSH, api_scan,
     "Has a scanner look into the image; its report takes the place of the one before.",
     .gives = "202 ImageScan"},
    {HTTP_POST, IMAGE "/scan/stop", PERM_IMAGE_PUSH, api_scan_stop,
     "Stops the scan of an image that goes on.", .gives = "200 ImageScan"},
    {HTTP_GET, "/api/v1/scanners", PERM_SYSTEM_MANAGE, api_scanners,
     "Scanner adapters; the first one is asked.", .gives = "200 [Scanner]"},
    {HTTP_POST, "/api/v1/scanners", PERM_SYSTEM_MANAGE, api_scanner_add,
     "Adds a scanner adapter (pluggable image vulnerability scanning API 1.1).",
     .takes = "ScannerNew", .gives = "201 Scanner"},
    {HTTP_DELETE, "/api/v1/scanners/{name}", PERM_SYSTEM_MANAGE, api_scanner_drop,
     "Forgets a scanner adapter; reports stay.", .gives = "204"},
    {HTTP_POST, "/api/v1/scanners/{name}/ping", PERM_SYSTEM_MANAGE, api_scanner_ping,
     "Asks a scanner adapter who it is.", .gives = "200 ScannerPing"},
    {0},
};

const struct http_schema supply_schemas[] = {
    {"TrustKeyNew", "{name: string, pem: string}"},
    {"TrustKey", "{name: string, algorithm: string, fingerprint: string, pem: string,"
                 " created_at: time, created_by: string}"},
    {"TrustPolicyChange", "{require_signature?: 'off' | 'pull' | 'pull_and_run',"
                          " block_severity?: 'low' | 'medium' | 'high' | 'critical' | null,"
                          " block_unscanned?: boolean, scan_on_push?: boolean, allowed?: [string],"
                          " allowed_off?: boolean}"},
    {"TrustPolicy", "{require_signature: 'off' | 'pull' | 'pull_and_run',"
                    " block_severity: 'low' | 'medium' | 'high' | 'critical' | null,"
                    " block_unscanned: boolean, scan_on_push: boolean, allowed: [string],"
                    " allowed_off?: boolean}"},
    {"ImageTrust", "{digest: string, signed_by: string | null, pull_refused: string | null,"
                   " run_refused: string | null, report: ReportSummary | null,"
                   " scan: ImageScan | null}"},
    {"Accessory",
     "{kind: 'cosign-signature' | 'sigstore-bundle' | 'notation-signature' | 'sbom' |"
     " 'attestation' | 'other', digest: string, media_type: string, artifact_type: string,"
     " size_bytes: integer, pushed_at: time, pushed_by: string | null, tag: string | null,"
     " verified_by: string | null}"},
    {"ReportSummary", "{unknown: integer, low: integer, medium: integer, high: integer,"
                      " critical: integer, format: 'sarif' | 'cyclonedx' | 'scanner',"
                      " tool: string, created_at: time, created_by: string}"},
    {"Vulnerability", "{severity: 'unknown' | 'low' | 'medium' | 'high' | 'critical', id: string,"
                      " package: string, version: string, fixed_version: string, link: string,"
                      " title: string}"},
    {"ImageScan",
     "{state: 'waiting' | 'running' | 'succeeded' | 'failed' | 'stopped',"
     " started_at: time, ended_at: time | null, started_by: string, error: string | null}"},
    {"ScannerNew", "{name: string, url: string, auth_header?: string | null}"},
    {"Scanner", "{name: string, url: string, has_auth_header: boolean, created_at: time}"},
    {"ScannerPing", "{ok: boolean, scanner: string, version: string, error: string | null}"},
    {0},
};
