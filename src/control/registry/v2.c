/* The route tables, and what every /v2/ handler has in common. */
#include "registry_priv.h"

#include "access/access.h"
#include "base/json.h"
#include "store.h"

#include <string.h>

const struct route registry_v2_routes[] = {
    {HTTP_GET, "/v2/", PERM_PUBLIC, v2_ping, "Tells that the registry speaks this protocol.",
     .flags = 0},
    {HTTP_GET, "/v2/_catalog", PERM_PUBLIC, v2_catalog, "Repositories one may pull from.",
     .flags = 0},
    {HTTP_GET, "/v2/{repo...}/tags/list", PERM_IMAGE_PULL, v2_tags, "Tags of a repository.",
     .flags = 0},
    {HTTP_GET, "/v2/{repo...}/referrers/{digest}", PERM_IMAGE_PULL, v2_referrers,
     "Signatures, SBOMs and other manifests about a manifest.", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/manifests/{ref}", PERM_IMAGE_PULL, v2_manifest_get,
     "A manifest by tag or digest.", .flags = 0},
    {HTTP_PUT, "/v2/{repo...}/manifests/{ref}", PERM_IMAGE_PUSH, v2_manifest_put,
     "Pushes a manifest.", .flags = 0},
    {HTTP_DELETE, "/v2/{repo...}/manifests/{ref}", PERM_IMAGE_DELETE, v2_manifest_delete,
     "Deletes a tag, or a manifest with its tags.", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/blobs/{digest}", PERM_IMAGE_PULL, v2_blob_get, "A blob.", .flags = 0},
    {HTTP_DELETE, "/v2/{repo...}/blobs/{digest}", PERM_IMAGE_DELETE, v2_blob_delete,
     "Deletes a blob that no manifest uses.", .flags = 0},
    /* What is uploaded shows when its manifest is pushed: that is what gets an audit entry. */
    {HTTP_POST, "/v2/{repo...}/blobs/uploads/", PERM_IMAGE_PUSH, v2_upload_start,
     "Starts an upload, mounts a blob, or uploads one at once.", .flags = ROUTE_NO_AUDIT},
    {HTTP_POST, "/v2/{repo...}/blobs/uploads", PERM_IMAGE_PUSH, v2_upload_start,
     "Starts an upload, mounts a blob, or uploads one at once.", .flags = ROUTE_NO_AUDIT},
    {HTTP_GET, "/v2/{repo...}/blobs/uploads/{id}", PERM_IMAGE_PUSH, v2_upload_status,
     "How much of an upload has arrived.", .flags = 0},
    {HTTP_PATCH, "/v2/{repo...}/blobs/uploads/{id}", PERM_IMAGE_PUSH, v2_upload_patch,
     "Appends to an upload.", .flags = ROUTE_NO_AUDIT},
    {HTTP_PUT, "/v2/{repo...}/blobs/uploads/{id}", PERM_IMAGE_PUSH, v2_upload_finish,
     "Ends an upload and names its digest.", .flags = ROUTE_NO_AUDIT},
    {HTTP_DELETE, "/v2/{repo...}/blobs/uploads/{id}", PERM_IMAGE_PUSH, v2_upload_cancel,
     "Cancels an upload.", .flags = ROUTE_NO_AUDIT},
    {HTTP_GET, "/service/token", PERM_PUBLIC, token_get, "A token for /v2/ (Docker token service).",
     .flags = 0},
    {HTTP_POST, "/service/token", PERM_PUBLIC, token_post,
     "A token for /v2/ (OAuth2 password and refresh_token).", .flags = ROUTE_NO_AUDIT},
    {0},
};

#define IMAGE "/api/v1/projects/{p}/repositories/{repo...}/artifacts/{ref}"

const struct route registry_api_routes[] = {
    {HTTP_GET, "/api/v1/projects/{p}/repositories", PERM_IMAGE_PULL, api_repositories,
     "Repositories of a project.", .query = "q label limit after", .gives = "200 [Repository]"},
    {HTTP_GET, "/api/v1/projects/{p}/repositories/{repo...}/tags", PERM_IMAGE_PULL, api_tags,
     "Tags of a repository with digest, size, platform and labels.", .query = "q label limit after",
     .gives = "200 [Tag]"},
    {HTTP_DELETE, "/api/v1/projects/{p}/repositories/{repo...}/tags/{tag}", PERM_IMAGE_DELETE,
     api_tag_delete, "Deletes a tag, and the image when that was its last tag.", .gives = "204"},
    {HTTP_DELETE, "/api/v1/projects/{p}/repositories/{repo...}", PERM_IMAGE_DELETE,
     api_repository_delete, "Deletes a repository with all its images.", .gives = "204"},
    {HTTP_GET, "/api/v1/labels", PERM_SIGNED_IN, api_labels,
     "Global labels, which images of all projects may have.", .query = "q limit after",
     .gives = "200 [Label]"},
    {HTTP_POST, "/api/v1/labels", PERM_SYSTEM_MANAGE, api_label_add, "Makes a global label.",
     .takes = "LabelNew", .gives = "201 Label"},
    {HTTP_PATCH, "/api/v1/labels/{label}", PERM_SYSTEM_MANAGE, api_label_change,
     "Changes name, description or colour of a global label.", .takes = "LabelChange",
     .gives = "200 Label"},
    {HTTP_DELETE, "/api/v1/labels/{label}", PERM_SYSTEM_MANAGE, api_label_drop,
     "Deletes a global label, and takes it from all images.", .gives = "204"},
    {HTTP_GET, "/api/v1/projects/{p}/labels", PERM_IMAGE_PULL, api_labels,
     "Labels that images of a project may have: its own and the global ones.",
     .query = "q limit after", .gives = "200 [Label]"},
    {HTTP_POST, "/api/v1/projects/{p}/labels", PERM_PROJECT_MANAGE, api_label_add,
     "Makes a label of a project.", .takes = "LabelNew", .gives = "201 Label"},
    {HTTP_PATCH, "/api/v1/projects/{p}/labels/{label}", PERM_PROJECT_MANAGE, api_label_change,
     "Changes name, description or colour of a project's label.", .takes = "LabelChange",
     .gives = "200 Label"},
    {HTTP_DELETE, "/api/v1/projects/{p}/labels/{label}", PERM_PROJECT_MANAGE, api_label_drop,
     "Deletes a label of a project, and takes it from its images.", .gives = "204"},
    {HTTP_GET, IMAGE "/labels", PERM_IMAGE_PULL, api_image_labels, "Labels of an image.",
     .gives = "200 [ImageLabel]"},
    {HTTP_PUT, IMAGE "/labels/{label}", PERM_IMAGE_PUSH, api_image_label_put,
     "Puts a label on an image: the project's own of that name, or else the global one.",
     .gives = "204"},
    {HTTP_DELETE, IMAGE "/labels/{label}", PERM_IMAGE_PUSH, api_image_label_take,
     "Takes a label from an image.", .gives = "204"},
    {HTTP_GET, "/api/v1/projects/{p}/trash", PERM_IMAGE_DELETE, api_trash,
     "Deleted images of a project that can be restored, newest first.", .query = "q limit after",
     .gives = "200 [TrashItem]"},
    {HTTP_DELETE, "/api/v1/projects/{p}/trash", PERM_IMAGE_DELETE, api_trash_drop,
     "Empties the trash of a project: its images are gone for good.", .gives = "204",
     .also = PERM_PROJECT_MANAGE}, /* so no robot */
    {HTTP_POST, "/api/v1/projects/{p}/trash/{id}/restore", PERM_IMAGE_DELETE, api_trash_restore,
     "Restores a deleted repository, image or tag.", .gives = "200 TrashRestored",
     .also = PERM_IMAGE_PUSH},
    {HTTP_DELETE, "/api/v1/projects/{p}/trash/{id}", PERM_IMAGE_DELETE, api_trash_drop,
     "Deletes something in the trash for good.", .gives = "204", .also = PERM_PROJECT_MANAGE},
    {HTTP_GET, "/api/v1/trash", PERM_SYSTEM_MANAGE, api_trash,
     "Deleted images of all projects, also of those that are gone.", .query = "q limit after",
     .gives = "200 [TrashItem]"},
    {HTTP_POST, "/api/v1/trash/{id}/restore", PERM_SYSTEM_MANAGE, api_trash_restore,
     "Restores something deleted into the project that has the name now.",
     .gives = "200 TrashRestored"},
    {HTTP_DELETE, "/api/v1/trash/{id}", PERM_SYSTEM_MANAGE, api_trash_drop,
     "Deletes something in the trash for good.", .gives = "204"},
    {HTTP_GET, "/api/v1/projects/{p}/quota", PERM_MEMBER_READ, api_quota,
     "Bytes of images a project holds, and may hold.", .gives = "200 ImageQuota"},
    {HTTP_PUT, "/api/v1/projects/{p}/quota", PERM_SYSTEM_MANAGE, api_quota_set,
     "Sets how many bytes of images a project may hold.", .takes = "ImageQuotaChange",
     .gives = "200 ImageQuota"},
    {HTTP_GET, "/api/v1/projects/{p}/image-policy", PERM_MEMBER_READ, api_policy,
     "Which tags never change, and which are kept.", .gives = "200 ImagePolicy"},
    {HTTP_PUT, "/api/v1/projects/{p}/image-policy", PERM_PROJECT_MANAGE, api_policy_set,
     "Replaces the rules for tags.", .takes = "ImagePolicyChange", .gives = "200 ImagePolicy"},
    {HTTP_POST, "/api/v1/projects/{p}/retention/runs", PERM_PROJECT_MANAGE, api_retain,
     "Applies the retention rules now; a dry run only says what it would remove.",
     .takes = "RetentionRunNew", .gives = "201 RetentionRun"},
    {HTTP_GET, "/api/v1/projects/{p}/retention/runs", PERM_MEMBER_READ, api_retention_runs,
     "Runs of the retention rules, newest first.", .query = "limit after",
     .gives = "200 [RetentionRun]"},
    {HTTP_GET, "/api/v1/projects/{p}/retention/runs/{id}", PERM_MEMBER_READ, api_retention_run,
     "One run of the retention rules.", .gives = "200 RetentionRun"},
    {HTTP_GET, "/api/v1/projects/{p}/retention/runs/{id}/rows", PERM_MEMBER_READ,
     api_retention_rows, "What a run did with each tag, and why.", .query = "limit after",
     .gives = "200 [RetentionRow]"},
    {HTTP_GET, "/metrics", PERM_SYSTEM_READ, api_metrics,
     "What the registry holds and did, for Prometheus.", .gives = "200 text/plain"},
    {HTTP_GET, "/api/v1/registry/storage", PERM_SYSTEM_MANAGE, api_storage,
     "What all images take on disk, what is about to go, and the last check of it.",
     .gives = "200 RegistryStorage"},
    {HTTP_POST, "/api/v1/registry/collect", PERM_SYSTEM_MANAGE, api_collect,
     "Deletes blobs now that nothing used for their time of grace.", .gives = "200 RegistryFreed"},
    {HTTP_POST, "/api/v1/registry/fsck", PERM_SYSTEM_MANAGE, api_fsck_start,
     "Begins to check that files and tables of the registry agree.", .takes = "RegistryCheckNew",
     .gives = "202 RegistryCheck"},
    {HTTP_GET, "/api/v1/registry/fsck", PERM_SYSTEM_MANAGE, api_fsck,
     "The check that runs, or the last one.", .gives = "200 RegistryCheck"},
    {HTTP_GET, "/api/v1/registry/fsck/findings", PERM_SYSTEM_MANAGE, api_fsck_findings,
     "What the last check found.", .query = "q limit after", .gives = "200 [RegistryFinding]"},
    {0},
};

const struct http_schema registry_schemas[] = {
    {"Repository", "{name: string, tags: integer, size_bytes: integer, updated_at: time,"
                   " pulled_at: time | null, pulls: integer}"},
    {"Tag", "{tag: string, digest: string, media_type: string, size_bytes: integer,"
            " platform: string, pushed_at: time, pulled_at: time | null,"
            " pulls: integer, labels: [ImageLabel]}"},
    {"ImageLabel", "{id: integer, name: string, color: string, scope: 'global' | 'project'}"},
    {"LabelNew", "{name: string, description?: string, color?: string}"},
    {"LabelChange", "{name?: string, description?: string, color?: string}"},
    {"Label", "{id: integer, name: string, description: string, color: string,"
              " scope: 'global' | 'project', created_by: string, created_at: time}"},
    {"TrashItem", "{id: integer, project: string, repository: string, tag: string | null,"
                  " digest: string | null, tags: integer, size_bytes: integer, deleted_at: time,"
                  " deleted_by: string, ends_at: time}"},
    {"TrashRestored", "{project: string, repository: string, tags: integer, kept: integer,"
                      " missing: integer}"},
    {"ImageQuota", "{used_bytes: integer, quota_bytes: integer | null, is_default: boolean}"},
    {"ImageQuotaChange", "{quota_bytes: integer | null}"},
    {"ImmutableRule", "{id?: integer, repositories?: string, tags?: string}"},
    {"RetentionRule",
     "{id?: integer, repositories?: string, tags?: string, untagged?: boolean, n?: integer,"
     " labels?: [string], keep: 'latest_pushed' | 'latest_pulled' | 'pushed_days' | 'pulled_days' "
     "| 'always'}"},
    {"ImagePolicyChange", "{immutable?: [ImmutableRule], retention?: {schedule?: string | null,"
                          " others?: 'keep' | 'remove', rules?: [RetentionRule]}}"},
    {"ImagePolicy", "{immutable: [ImmutableRule], retention: {schedule: string | null,"
                    " others: 'keep' | 'remove', rules: [RetentionRule]}}"},
    {"RetentionRunNew", "{dry_run?: boolean}"},
    {"RetentionRun", "{id: integer, started_at: time, ended_at: time | null, dry_run: boolean,"
                     " started_by: string, kept: integer, removed: integer, error: string | null}"},
    {"RetentionRow", "{repository: string, tag: string, digest: string, kept: boolean,"
                     " why: string}"},
    {"RegistryStorage",
     "{stored_bytes: integer, blobs: integer, unreferenced_bytes: integer,"
     " unreferenced_blobs: integer, freed_bytes: integer, freed_blobs: integer, uploads: integer,"
     " upload_bytes: integer, last_fsck: RegistryCheck | null}"},
    {"RegistryFreed", "{blobs: integer, bytes: integer, more: boolean}"},
    {"RegistryCheckNew", "{deep?: boolean, repair?: boolean}"},
    {"RegistryCheck", "{at: time, ended_at: time | null, started_by: string, deep: boolean,"
                      " repair: boolean, done: integer, total: integer, blobs: integer,"
                      " bytes: integer, manifests: integer, problems: integer, repaired: integer,"
                      " notes: integer, error: string | null}"},
    {"RegistryFinding", "{kind: string, level: 'problem' | 'note', name: string, text: string,"
                        " details: string, repaired: boolean}"},
    {"ImageEvent", "{project: string, repository: string, tag: string, digest: string,"
                   " action: 'pushed' | 'deleted' | 'labeled'}"},
    {0},
};

/* --- errors: OCI dist-spec 1.1 "Error Codes" --- */

static const char *code_of_status(int status)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {
        {401, "UNAUTHORIZED"},    {403, "DENIED"},       {404, "NAME_UNKNOWN"},
        {405, "UNSUPPORTED"},     {400, "UNSUPPORTED"},  {409, "BLOB_UPLOAD_INVALID"},
        {429, "TOOMANYREQUESTS"}, {413, "SIZE_INVALID"}, {416, "RANGE_INVALID"},
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].status == status) {
            return codes[i].code;
        }
    }
    return "UNKNOWN";
}

static void error_body(const struct http_req *r, int status, const struct err *e, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_key(&w, "errors");
    jw_array(&w);
    jw_object(&w);
    jw_kv_c(&w, "code", r->error_code && status < 500 ? r->error_code : code_of_status(status));
    jw_kv_c(&w, "message", e->msg);
    jw_key(&w, "detail");
    jw_null(&w);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
}

/* --- challenges: Docker token authentication --- */

static const char *actions_of(enum perm perm)
{
    switch (perm) {
    case PERM_IMAGE_PULL:
        return "pull";
    case PERM_IMAGE_PUSH:
        return "pull,push";
    case PERM_IMAGE_DELETE:
        return "delete";
    default:
        return NULL;
    }
}

/* Quotes and backslashes would end the quoted string early; a host has none. */
static bool is_plain(struct str s)
{
    return s.len > 0 && str_find_char(s, '"') < 0 && str_find_char(s, '\\') < 0;
}

/* The target first: some clients read only the first scope. */
static void add_scopes(const struct http_req *r, enum perm perm, struct buf *b)
{
    struct str repository = http_path_param(r, "repo"), from = http_query(r, "from");
    struct err ignored;

    if (str_eq_c(r->path, "/v2/_catalog")) {
        buf_printf(b, ",scope=\"registry:catalog:*\"");
    }
    if (perm == PERM_IMAGE_PULL && request_is_signing_tool(r)) {
        perm = PERM_IMAGE_PUSH; /* they read an image that nobody else may yet */
    }
    if (actions_of(perm) == NULL || repository.p == NULL || name_check(repository, &ignored) < 0) {
        return;
    }
    buf_printf(b, ",scope=\"repository:%.*s:%s", STR_ARG(repository), actions_of(perm));
    if (http_query(r, "mount").p && from.p && name_check(from, &ignored) == 0) {
        buf_printf(b, " repository:%.*s:pull", STR_ARG(from));
    }
    buf_add(b, STR("\""));
}

static void challenge(struct http_req *r, enum perm perm, struct str project UNUSED)
{
    struct buf b = BUF_MAX(4096);

    http_set_header(r, "Docker-Distribution-Api-Version", "registry/2.0");
    if (str_starts(r->path, STR("/service/"))) {
        http_set_header(r, "WWW-Authenticate", "Basic realm=\"strata\"");
        return;
    }
    buf_printf(&b, "Bearer realm=\"%.*s://%.*s/service/token\",service=\"" JWT_AUDIENCE "\"",
               STR_ARG(r->scheme), STR_ARG(is_plain(r->host) ? r->host : STR("localhost")));
    add_scopes(r, perm, &b);
    if (r->error_code != NULL && strcmp(r->error_code, "DENIED") == 0) {
        buf_add_c(&b, ",error=\"insufficient_scope\"");
    } else if (str_starts(http_header(r, "Authorization"), STR("Bearer "))) {
        buf_add_c(&b, ",error=\"invalid_token\"");
    }
    http_set_header(r, "WWW-Authenticate", "%s", b.p);
    buf_done(&b);
}

const struct http_style registry_v2_style = {.error_body = error_body, .challenge = challenge};

/* --- common steps --- */

int v2_fail(struct http_req *r, const char *code, int result)
{
    if (result < 0) {
        r->error_code = code;
    }
    return result;
}

void v2_pause(struct http_req *r, struct str repository)
{
    int64_t seconds = proxy_pause_sec(r->ctx, repository);

    if (seconds > 0) {
        http_set_header(r, "Retry-After", "%lld", (long long)seconds);
    }
}

int v2_enter(struct http_req *r, struct err *e)
{
    if (r->who.kind == PRINCIPAL_ANONYMOUS && http_header(r, "Authorization").p == NULL) {
        return err_set(e, ERR_UNAUTHENTICATED, "authentication required");
    }
    http_set_header(r, "Docker-Distribution-Api-Version", "registry/2.0");
    return 0;
}

int v2_repository(struct http_req *r, struct str *out, struct err *e)
{
    struct str name = http_path_param(r, "repo");

    if (v2_enter(r, e) < 0 || v2_fail(r, "NAME_INVALID", name_check(name, e)) < 0) {
        return -1;
    }
    *out = name;
    return 0;
}

int v2_key(struct http_req *r, struct repo_key *out, struct err *e)
{
    const struct registry *registry = r->ctx;

    *out = (struct repo_key){.is_cache = false};
    if (v2_repository(r, &out->name, e) < 0) {
        return -1;
    }
    out->by = str_of(r->who.name);
    if (v2_fail(r, "DENIED", proxy_refuse(r->ctx, name_project(out->name), e)) < 0) {
        return -1;
    }
    return v2_fail(r, "NAME_UNKNOWN",
                   access_project_may(registry->access, &r->who, r->route->perm,
                                      name_project(out->name), &out->project_id, e));
}

int v2_ping(struct http_req *r, struct err *e)
{
    return v2_enter(r, e) < 0 ? -1 : http_reply(r, 200, "application/json", STR("{}"), e);
}
