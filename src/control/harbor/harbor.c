#include "harbor_priv.h"

#include "registry/names.h"

#include <stdlib.h>

#define PROJECT HARBOR "/projects/{p}"
#define REPO PROJECT "/repositories/{r...}"
#define HOOKS PROJECT "/webhook"
#define RETENTION HARBOR "/retentions/{p}"
#define ARTIFACT REPO "/artifacts/{ref}"

/* Described by the document of Harbor, so not in ours: no row has `gives`. */
const struct route harbor_routes[] = {
    {HTTP_GET, HARBOR "/ping", PERM_PUBLIC, harbor_ping, "Is it there.", .gives = NULL},
    {HTTP_GET, HARBOR "/health", PERM_PUBLIC, harbor_health, "The state of the parts.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/systeminfo", PERM_PUBLIC, harbor_systeminfo, "Version and address.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/statistics", PERM_SIGNED_IN, harbor_statistics,
     "Counts projects and repositories.", .gives = NULL},

    {HTTP_GET, HARBOR "/projects", PERM_PUBLIC, harbor_projects, "Lists projects.", .gives = NULL},
    {HTTP_HEAD, HARBOR "/projects", PERM_PUBLIC, harbor_project_head,
     "Whether there is a project of that name.", .gives = NULL},
    {HTTP_POST, HARBOR "/projects", PERM_PROJECT_CREATE, harbor_project_add, "Makes a project.",
     .gives = NULL},
    {HTTP_GET, PROJECT, PERM_PROJECT_READ, harbor_project, "Shows a project.", .gives = NULL},
    {HTTP_PUT, PROJECT, PERM_PROJECT_MANAGE, harbor_project_change, "Changes a project.",
     .gives = NULL},
    {HTTP_DELETE, PROJECT, PERM_PROJECT_MANAGE, harbor_project_delete,
     "Deletes a project without repositories.", .gives = NULL},
    {HTTP_GET, PROJECT "/_deletable", PERM_PROJECT_MANAGE, harbor_project_deletable,
     "Whether a project can be deleted.", .gives = NULL},
    {HTTP_GET, PROJECT "/summary", PERM_PROJECT_READ, harbor_project_summary,
     "Counts what a project holds.", .gives = NULL},
    {HTTP_GET, PROJECT "/metadatas", PERM_PROJECT_READ, harbor_metadatas,
     "Shows the metadata of a project.", .gives = NULL},

    /* Harbor's document has the slash. */
    {HTTP_GET, PROJECT "/metadatas/", PERM_PROJECT_READ, harbor_metadatas,
     "Shows the metadata of a project.", .gives = NULL},
    {HTTP_GET, PROJECT "/metadatas/{meta}", PERM_PROJECT_READ, harbor_metadata,
     "Shows one metadata of a project.", .gives = NULL},
    {HTTP_POST, PROJECT "/metadatas", PERM_PROJECT_MANAGE, harbor_metadata_add,
     "Adds one metadata to a project.", .gives = NULL},
    {HTTP_POST, PROJECT "/metadatas/", PERM_PROJECT_MANAGE, harbor_metadata_add,
     "Adds one metadata to a project.", .gives = NULL},
    {HTTP_PUT, PROJECT "/metadatas/{meta}", PERM_PROJECT_MANAGE, harbor_metadata_set,
     "Sets one metadata of a project.", .gives = NULL},
    {HTTP_DELETE, PROJECT "/metadatas/{meta}", PERM_PROJECT_MANAGE, harbor_metadata_delete,
     "Takes one metadata of a project back.", .gives = NULL},
    {HTTP_GET, PROJECT "/members", PERM_MEMBER_READ, harbor_members, "Lists members.",
     .gives = NULL},
    {HTTP_POST, PROJECT "/members", PERM_PROJECT_MANAGE, harbor_member_add, "Adds a member.",
     .gives = NULL},
    {HTTP_GET, PROJECT "/members/{id}", PERM_MEMBER_READ, harbor_member, "Shows a member.",
     .gives = NULL},
    {HTTP_PUT, PROJECT "/members/{id}", PERM_PROJECT_MANAGE, harbor_member_change,
     "Gives a member another role.", .gives = NULL},
    {HTTP_DELETE, PROJECT "/members/{id}", PERM_PROJECT_MANAGE, harbor_member_delete,
     "Takes a member away.", .gives = NULL},

    {HTTP_GET, PROJECT "/immutabletagrules", PERM_MEMBER_READ, harbor_immutables,
     "Lists the rules for tags that never change.", .gives = NULL},
    {HTTP_POST, PROJECT "/immutabletagrules", PERM_PROJECT_MANAGE, harbor_immutable_add,
     "Makes a rule for tags that never change.", .gives = NULL},
    {HTTP_PUT, PROJECT "/immutabletagrules/{id}", PERM_PROJECT_MANAGE, harbor_immutable_change,
     "Changes a rule for tags that never change.", .gives = NULL},
    {HTTP_DELETE, PROJECT "/immutabletagrules/{id}", PERM_PROJECT_MANAGE, harbor_immutable_delete,
     "Deletes a rule for tags that never change.", .gives = NULL},

    /* The id of a retention is that of its project. */
    {HTTP_POST, HARBOR "/retentions", PERM_SIGNED_IN, harbor_retention_add,
     "Says which tags of a project are kept.", .gives = NULL},
    {HTTP_GET, HARBOR "/retentions/metadatas", PERM_SIGNED_IN, harbor_retention_kinds,
     "Which rules there are.", .gives = NULL},
    {HTTP_GET, RETENTION, PERM_MEMBER_READ, harbor_retention, "Shows which tags are kept.",
     .gives = NULL},
    {HTTP_PUT, RETENTION, PERM_PROJECT_MANAGE, harbor_retention_change,
     "Says anew which tags are kept.", .gives = NULL},
    {HTTP_DELETE, RETENTION, PERM_PROJECT_MANAGE, harbor_retention_delete,
     "Keeps all tags from now on.", .gives = NULL},
    {HTTP_GET, RETENTION "/executions", PERM_MEMBER_READ, harbor_retention_runs,
     "Lists runs of the retention.", .gives = NULL},
    {HTTP_POST, RETENTION "/executions", PERM_PROJECT_MANAGE, harbor_retention_run,
     "Runs the retention.", .gives = NULL},
    {HTTP_PATCH, RETENTION "/executions/{id}", PERM_PROJECT_MANAGE, harbor_retention_stop,
     "Stops a run of the retention.", .gives = NULL},
    {HTTP_GET, RETENTION "/executions/{id}/tasks", PERM_MEMBER_READ, harbor_retention_tasks,
     "What a run did in each repository.", .gives = NULL},
    {HTTP_GET, RETENTION "/executions/{id}/tasks/{task}", PERM_MEMBER_READ, harbor_retention_log,
     "What a run did with each tag of a repository.", .gives = NULL},

    {HTTP_GET, HOOKS "/policies", PERM_PROJECT_MANAGE, harbor_hooks, "Lists webhooks.",
     .gives = NULL},
    {HTTP_POST, HOOKS "/policies", PERM_PROJECT_MANAGE, harbor_hook_add, "Makes a webhook.",
     .gives = NULL},
    {HTTP_GET, HOOKS "/policies/{id}", PERM_PROJECT_MANAGE, harbor_hook, "Shows a webhook.",
     .gives = NULL},
    {HTTP_PUT, HOOKS "/policies/{id}", PERM_PROJECT_MANAGE, harbor_hook_change,
     "Changes a webhook.", .gives = NULL},
    {HTTP_DELETE, HOOKS "/policies/{id}", PERM_PROJECT_MANAGE, harbor_hook_delete,
     "Deletes a webhook.", .gives = NULL},
    {HTTP_GET, HOOKS "/lasttrigger", PERM_PROJECT_MANAGE, harbor_hook_last,
     "When each webhook was last used.", .gives = NULL},
    {HTTP_GET, HOOKS "/jobs", PERM_PROJECT_MANAGE, harbor_hook_jobs,
     "Lists the deliveries of a webhook.", .gives = NULL},
    {HTTP_GET, HOOKS "/events", PERM_PROJECT_MANAGE, harbor_hook_events, "Which events there are.",
     .gives = NULL},

    {HTTP_GET, HARBOR "/repositories", PERM_PUBLIC, harbor_all_repositories,
     "Lists the repositories of all projects that one may see.", .gives = NULL},
    {HTTP_GET, PROJECT "/repositories", PERM_IMAGE_PULL, harbor_repositories, "Lists repositories.",
     .gives = NULL},
    {HTTP_GET, REPO, PERM_IMAGE_PULL, harbor_repository, "Shows a repository.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_PUT, REPO, PERM_IMAGE_PUSH, harbor_repository_change, "Describes a repository.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_DELETE, REPO, PERM_IMAGE_DELETE, harbor_repository_delete, "Deletes a repository.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_GET, REPO "/artifacts", PERM_IMAGE_PULL, harbor_artifacts, "Lists artifacts.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_POST, REPO "/artifacts", PERM_IMAGE_PUSH, harbor_copy,
     "Copies an artifact of another repository.", .flags = ROUTE_RAW_PATH},
    {HTTP_GET, ARTIFACT, PERM_IMAGE_PULL, harbor_artifact, "Shows an artifact.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_DELETE, ARTIFACT, PERM_IMAGE_DELETE, harbor_artifact_delete,
     "Deletes an artifact with its tags.", .flags = ROUTE_RAW_PATH},
    {HTTP_GET, ARTIFACT "/tags", PERM_IMAGE_PULL, harbor_tags, "Lists the tags of an artifact.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_POST, ARTIFACT "/tags", PERM_IMAGE_PUSH, harbor_tag_add, "Gives an artifact a tag.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_DELETE, ARTIFACT "/tags/{tag}", PERM_IMAGE_DELETE, harbor_tag_delete, "Takes a tag away.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_GET, ARTIFACT "/accessories", PERM_IMAGE_PULL, harbor_accessories,
     "Lists what refers to an artifact: signatures, SBOMs.", .flags = ROUTE_RAW_PATH},

    {HTTP_GET, ARTIFACT "/additions/vulnerabilities", PERM_IMAGE_PULL, harbor_vulnerabilities,
     "What scanners found in an artifact.", .flags = ROUTE_RAW_PATH},
    {HTTP_GET, ARTIFACT "/additions/{addition}", PERM_IMAGE_PULL, harbor_addition,
     "How an image was built.", .flags = ROUTE_RAW_PATH},
    {HTTP_POST, ARTIFACT "/scan", PERM_IMAGE_PUSH, harbor_scan, "Has an artifact scanned.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_POST, ARTIFACT "/scan/stop", PERM_IMAGE_PUSH, harbor_scan_stop, "Stops a scan.",
     .flags = ROUTE_RAW_PATH},
    {HTTP_GET, ARTIFACT "/scan/{id}/log", PERM_IMAGE_PULL, harbor_scan_log, "How the scan went.",
     .flags = ROUTE_RAW_PATH},

    {HTTP_GET, HARBOR "/scanners", PERM_SYSTEM_MANAGE, harbor_scanners, "Lists scanners.",
     .gives = NULL},
    {HTTP_POST, HARBOR "/scanners", PERM_SYSTEM_MANAGE, harbor_scanner_add, "Adds a scanner.",
     .gives = NULL},
    {HTTP_POST, HARBOR "/scanners/ping", PERM_SYSTEM_MANAGE, harbor_scanner_ping,
     "Asks a scanner whether it answers.", ROUTE_NO_AUDIT, .gives = NULL},
    {HTTP_GET, HARBOR "/scanners/{scanner}", PERM_SYSTEM_MANAGE, harbor_scanner, "Shows a scanner.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/scanners/{scanner}", PERM_SYSTEM_MANAGE, harbor_scanner_change,
     "Changes a scanner.", .gives = NULL},
    {HTTP_PATCH, HARBOR "/scanners/{scanner}", PERM_SYSTEM_MANAGE, harbor_scanner_default,
     "Says which scanner is asked.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/scanners/{scanner}", PERM_SYSTEM_MANAGE, harbor_scanner_delete,
     "Forgets a scanner.", .gives = NULL},
    {HTTP_GET, HARBOR "/scanners/{scanner}/metadata", PERM_SYSTEM_MANAGE, harbor_scanner_metadata,
     "What a scanner says about itself.", .gives = NULL},
    {HTTP_GET, PROJECT "/scanner", PERM_PROJECT_MANAGE, harbor_project_scanner,
     "Which scanner is asked.", .gives = NULL},
    {HTTP_PUT, PROJECT "/scanner", PERM_PROJECT_MANAGE, harbor_project_scanner_set,
     "Says which scanner is asked.", .gives = NULL},
    {HTTP_GET, PROJECT "/scanner/candidates", PERM_PROJECT_MANAGE, harbor_scanners,
     "Lists scanners.", .gives = NULL},
    {HTTP_POST, ARTIFACT "/labels", PERM_IMAGE_PUSH, harbor_artifact_label_add,
     "Puts a label on an artifact.", .flags = ROUTE_RAW_PATH},
    {HTTP_DELETE, ARTIFACT "/labels/{label}", PERM_IMAGE_PUSH, harbor_artifact_label_delete,
     "Takes a label from an artifact.", .flags = ROUTE_RAW_PATH},

    /* Their projects are in the query, in the body, or behind the id: the handlers ask. */
    {HTTP_GET, HARBOR "/labels", PERM_SIGNED_IN, harbor_labels,
     "Lists global labels, or those of a project.", .gives = NULL},
    {HTTP_POST, HARBOR "/labels", PERM_SIGNED_IN, harbor_label_add,
     "Makes a label, global or of a project.", .gives = NULL},
    {HTTP_GET, HARBOR "/labels/{id}", PERM_SIGNED_IN, harbor_label, "Shows a label.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/labels/{id}", PERM_SIGNED_IN, harbor_label_change, "Changes a label.",
     .gives = NULL},
    {HTTP_DELETE, HARBOR "/labels/{id}", PERM_SIGNED_IN, harbor_label_delete, "Deletes a label.",
     .gives = NULL},

    {HTTP_GET, HARBOR "/users", PERM_USER_MANAGE, harbor_users, "Lists users.", .gives = NULL},
    {HTTP_POST, HARBOR "/users", PERM_USER_MANAGE, harbor_user_add, "Makes a user.", .gives = NULL},
    {HTTP_GET, HARBOR "/users/current", PERM_PERSON, harbor_user_current, "Who one is.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/users/current/permissions", PERM_SIGNED_IN, harbor_permissions,
     "What one may in a project.", .gives = NULL},
    {HTTP_GET, HARBOR "/users/search", PERM_PERSON, harbor_user_search,
     "Finds users by a part of their names.", .gives = NULL},
    {HTTP_GET, HARBOR "/users/{id}", PERM_PERSON, harbor_user,
     "Shows a user to himself and to administrators.", .gives = NULL},
    {HTTP_PUT, HARBOR "/users/{id}", PERM_PERSON, harbor_user_change,
     "Takes back what was told of a user.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/users/{id}", PERM_USER_MANAGE, harbor_user_delete, "Deletes a user.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/users/{id}/password", PERM_USER_MANAGE, harbor_user_password,
     "Sets the password of a user.", .gives = NULL},
    {HTTP_PUT, HARBOR "/users/{id}/sysadmin", PERM_USER_MANAGE, harbor_user_admin,
     "Makes a user an administrator, or no more.", .gives = NULL},

    {HTTP_GET, HARBOR "/quotas", PERM_SYSTEM_READ, harbor_quotas, "Lists quotas.", .gives = NULL},
    {HTTP_GET, HARBOR "/quotas/{id}", PERM_SYSTEM_READ, harbor_quota, "Shows a quota.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/quotas/{id}", PERM_SYSTEM_MANAGE, harbor_quota_set, "Sets a quota.",
     .gives = NULL},

    {HTTP_GET, HARBOR "/robots", PERM_USER_MANAGE, harbor_robots, "Lists robots.", .gives = NULL},
    {HTTP_POST, HARBOR "/robots", PERM_USER_MANAGE, harbor_robot_add, "Makes a robot.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/robots/{id}", PERM_USER_MANAGE, harbor_robot, "Shows a robot.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/robots/{id}", PERM_USER_MANAGE, harbor_robot_change, "Changes a robot.",
     .gives = NULL},
    {HTTP_PATCH, HARBOR "/robots/{id}", PERM_USER_MANAGE, harbor_robot_secret,
     "Gives a robot another secret.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/robots/{id}", PERM_USER_MANAGE, harbor_robot_delete, "Deletes a robot.",
     .gives = NULL},
    {HTTP_GET, PROJECT "/robots", PERM_PROJECT_MANAGE, harbor_project_robots,
     "Lists the robots of a project.", .gives = NULL},
    {HTTP_POST, PROJECT "/robots", PERM_PROJECT_MANAGE, harbor_project_robot_add,
     "Makes a robot of a project.", .gives = NULL},
    {HTTP_GET, PROJECT "/robots/{id}", PERM_PROJECT_MANAGE, harbor_robot,
     "Shows a robot of a project.", .gives = NULL},
    {HTTP_PUT, PROJECT "/robots/{id}", PERM_PROJECT_MANAGE, harbor_project_robot_change,
     "Disables a robot of a project, or no more.", .gives = NULL},
    {HTTP_DELETE, PROJECT "/robots/{id}", PERM_PROJECT_MANAGE, harbor_robot_delete,
     "Deletes a robot of a project.", .gives = NULL},

    {HTTP_GET, HARBOR "/registries", PERM_SYSTEM_MANAGE, harbor_registries,
     "Lists other registries.", .gives = NULL},
    {HTTP_POST, HARBOR "/registries", PERM_SYSTEM_MANAGE, harbor_registry_add,
     "Adds another registry.", .gives = NULL},
    {HTTP_POST, HARBOR "/registries/ping", PERM_SYSTEM_MANAGE, harbor_registry_ping,
     "Asks another registry whether it answers.", ROUTE_NO_AUDIT, .gives = NULL},
    {HTTP_GET, HARBOR "/registries/{id}", PERM_SYSTEM_MANAGE, harbor_registry,
     "Shows another registry.", .gives = NULL},
    {HTTP_PUT, HARBOR "/registries/{id}", PERM_SYSTEM_MANAGE, harbor_registry_change,
     "Changes another registry.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/registries/{id}", PERM_SYSTEM_MANAGE, harbor_registry_delete,
     "Removes another registry that no policy names.", .gives = NULL},
    {HTTP_GET, HARBOR "/registries/{id}/info", PERM_SYSTEM_MANAGE, harbor_registry_info,
     "What policies may say of a registry.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/adapters", PERM_SYSTEM_MANAGE, harbor_adapters,
     "Which kinds of registries there are.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/policies", PERM_SYSTEM_MANAGE, harbor_policies,
     "Lists policies of replication.", .gives = NULL},
    {HTTP_POST, HARBOR "/replication/policies", PERM_SYSTEM_MANAGE, harbor_policy_add,
     "Makes a policy of replication.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/policies/{id}", PERM_SYSTEM_MANAGE, harbor_policy,
     "Shows a policy of replication.", .gives = NULL},
    {HTTP_PUT, HARBOR "/replication/policies/{id}", PERM_SYSTEM_MANAGE, harbor_policy_change,
     "Changes a policy of replication.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/replication/policies/{id}", PERM_SYSTEM_MANAGE, harbor_policy_delete,
     "Deletes a policy of replication.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/executions", PERM_SYSTEM_MANAGE, harbor_runs,
     "Lists executions of replication.", .gives = NULL},
    {HTTP_POST, HARBOR "/replication/executions", PERM_SYSTEM_MANAGE, harbor_run_start,
     "Runs a policy of replication.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/executions/{id}", PERM_SYSTEM_MANAGE, harbor_run,
     "Shows an execution.", .gives = NULL},
    {HTTP_PUT, HARBOR "/replication/executions/{id}", PERM_SYSTEM_MANAGE, harbor_run_stop,
     "Stops an execution.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/executions/{id}/tasks", PERM_SYSTEM_MANAGE, harbor_run_tasks,
     "What an execution copies.", .gives = NULL},
    {HTTP_GET, HARBOR "/replication/executions/{id}/tasks/{task}/log", PERM_SYSTEM_MANAGE,
     harbor_run_log, "How a copy went.", .gives = NULL},

    {HTTP_GET, HARBOR "/search", PERM_PUBLIC, harbor_search, "Finds projects and repositories.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/usergroups", PERM_USER_MANAGE, harbor_groups, "Lists groups.",
     .gives = NULL},
    {HTTP_POST, HARBOR "/usergroups", PERM_USER_MANAGE, harbor_group_add, "Makes a group.",
     .gives = NULL},
    {HTTP_GET, HARBOR "/usergroups/search", PERM_PERSON, harbor_group_search,
     "Finds groups by a part of their names.", .gives = NULL},
    {HTTP_GET, HARBOR "/usergroups/{id}", PERM_USER_MANAGE, harbor_group, "Shows a group.",
     .gives = NULL},
    {HTTP_PUT, HARBOR "/usergroups/{id}", PERM_USER_MANAGE, harbor_group_change,
     "Takes back what was told of a group.", .gives = NULL},
    {HTTP_DELETE, HARBOR "/usergroups/{id}", PERM_USER_MANAGE, harbor_group_delete,
     "Deletes a group.", .gives = NULL},
    {HTTP_GET, HARBOR "/audit-logs", PERM_AUDIT_READ, harbor_logs, "Lists what was done.",
     .gives = NULL},
    {HTTP_GET, PROJECT "/logs", PERM_MEMBER_READ, harbor_project_logs,
     "Lists what was done in a project.", .gives = NULL},
    {HTTP_GET, HARBOR "/scans/all/metrics", PERM_SYSTEM_READ, harbor_scans_metrics,
     "Counts the scans of all images.", .gives = NULL},
    {HTTP_GET, HARBOR "/scans/schedule/metrics", PERM_SYSTEM_READ, harbor_scans_metrics,
     "Counts the scans of all images.", .gives = NULL},
    {HTTP_GET, HARBOR "/system/CVEAllowlist", PERM_SIGNED_IN, harbor_allowlist,
     "Shows the findings that count in no project without a list of its own.", .gives = NULL},
    {HTTP_PUT, HARBOR "/system/CVEAllowlist", PERM_SYSTEM_MANAGE, harbor_allowlist_set,
     "Says which findings count in no project without a list of its own.", .gives = NULL},
    {HTTP_GET, HARBOR "/system/gc", PERM_SYSTEM_READ, harbor_collections,
     "Lists hours in which collection freed something.", .gives = NULL},
    {HTTP_GET, HARBOR "/system/gc/schedule", PERM_SYSTEM_READ, harbor_collection_schedule,
     "When collection runs.", .gives = NULL},
    {HTTP_POST, HARBOR "/system/gc/schedule", PERM_SYSTEM_MANAGE, harbor_collection_start,
     "Collects now.", .gives = NULL},
    {HTTP_PUT, HARBOR "/system/gc/schedule", PERM_SYSTEM_MANAGE, harbor_collection_change,
     "Collects now, or leaves it as it is.", .gives = NULL},
    {HTTP_GET, HARBOR "/system/gc/{id}", PERM_SYSTEM_READ, harbor_collection,
     "Shows an hour of collection.", .gives = NULL},
    {HTTP_GET, HARBOR "/system/gc/{id}/log", PERM_SYSTEM_READ, harbor_collection_log,
     "What an hour of collection freed.", .gives = NULL},
    {HTTP_GET, HARBOR "/configurations", PERM_SYSTEM_READ, harbor_configurations,
     "Shows the settings.", .gives = NULL},
    {HTTP_PUT, HARBOR "/configurations", PERM_SYSTEM_MANAGE, harbor_configurations_set,
     "Says which settings can be changed, and where.", .gives = NULL},
    {HTTP_GET, HARBOR "/internalconfig", PERM_SYSTEM_READ, harbor_configurations,
     "Shows the settings.", .gives = NULL},
    {HTTP_POST, HARBOR "/ldap/ping", PERM_SYSTEM_MANAGE, harbor_ldap_ping,
     "Says that there is no LDAP.", ROUTE_NO_AUDIT, .gives = NULL},
    {HTTP_GET, HARBOR "/ldap/users/search", PERM_SYSTEM_READ, harbor_ldap_none,
     "Says that there is no LDAP.", .gives = NULL},
    {HTTP_POST, HARBOR "/ldap/users/import", PERM_SYSTEM_MANAGE, harbor_ldap_none,
     "Says that there is no LDAP.", ROUTE_NO_AUDIT, .gives = NULL},
    {HTTP_GET, HARBOR "/ldap/groups/search", PERM_SYSTEM_READ, harbor_ldap_none,
     "Says that there is no LDAP.", .gives = NULL},
    {0},
};

/* --- the style --- */

static const char *code_of_status(int status)
{
    switch (status) {
    case 400:
        return "BAD_REQUEST";
    case 401:
        return "UNAUTHORIZED";
    case 403:
        return "FORBIDDEN";
    case 404:
        return "NOT_FOUND";
    case 405:
        return "METHOD_NOT_ALLOWED";
    case 409:
        return "CONFLICT";
    case 412:
        return "PRECONDITION";
    default:
        return status < 500 ? "BAD_REQUEST" : "UNKNOWN";
    }
}

/* Whoever asks by an id must not learn the name of a project that he may not see. */
static bool is_hidden(const struct http_req *r)
{
    const struct harbor *h = r->ctx;

    return r->route != NULL && r->project.len > 0 && !str_eq(http_path_param(r, "p"), r->project) &&
           access_permissions(h->access, &r->who, r->project) == 0;
}

static void error_body(const struct http_req *r, int status, const struct err *e, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_key(&w, "errors");
    jw_array(&w);
    jw_object(&w);
    jw_kv_c(&w, "code", code_of_status(status));
    jw_kv_c(&w, "message",
            status == 404 && is_hidden(r) ? "there is no project of that id" : e->msg);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
}

/* Clients of Harbor know user and password; a browser's own question for them would be in the way
 * of the console, but no browser comes here. */
static void challenge(struct http_req *r, enum perm perm, struct str project)
{
    (void)perm;
    (void)project;
    http_set_header(r, "WWW-Authenticate", "Basic realm=\"harbor\"");
}

/* A number is an id, unless the header says that it is a name. */
static struct str project_name(struct http_req *r, struct str p)
{
    const struct harbor *h = r->ctx;
    struct str is_name = http_header(r, "X-Is-Resource-Name");
    char name[LIMIT_NAME_BYTES + 1] = "";
    struct err e;
    uint64_t id;

    if (str_eq_nocase(is_name, STR("true")) || str_to_u64(p, &id) < 0 || id > INT64_MAX) {
        return p;
    }
    /* Without one of that id: a name that nothing has. */
    return access_project_name(h->access, (int64_t)id, name, &e) < 0
               ? STR("-")
               : arena_str(&r->arena, name[0] ? str_of(name) : STR("-"));
}

const struct http_style harbor_style = {
    .error_body = error_body, .challenge = challenge, .project = project_name};

/* --- common steps --- */

int harbor_reply_and_free(struct http_req *r, int status, struct buf *b, int result, struct err *e)
{
    if (result == 0) {
        result = http_reply_json(r, status, b, e);
    }
    buf_done(b);
    return result;
}

int harbor_reply_log(struct http_req *r, const struct buf *b, struct err *e)
{
    return b->failed ? err_set(e, ERR_LIMIT, "the log is too long to be told at once")
                     : http_reply(r, 200, "text/plain; charset=utf-8", buf_str(b), e);
}

int harbor_path_id(const struct http_req *r, const char *name, int64_t *id, struct err *e)
{
    struct str text = http_path_param(r, name);
    uint64_t n;

    if (str_to_u64(text, &n) < 0 || n > INT64_MAX) {
        return err_set(e, ERR_NOT_FOUND, "%.*s is no id: give a number",
                       STR_ARG(str_first(text, 64)));
    }
    *id = (int64_t)n;
    return 0;
}

int harbor_row(struct query *q, struct state_db *db, const char *sql, int64_t id,
               const char *missing, struct err *e)
{
    int r = query_open(q, db, e, sql, "i", id) < 0 ? -1 : query_step(q, e);

    return r == 0 ? err_set(e, ERR_NOT_FOUND, "%s", missing) : r < 0 ? -1 : 0;
}

int harbor_project_id(struct http_req *r, int64_t *id, struct err *e)
{
    const struct harbor *h = r->ctx;
    uint32_t id_base;

    return http_path_param(r, "p").p != NULL
               ? access_project_may(h->access, &r->who, r->route->perm, r->project, id, e)
               : access_project(h->access, r->project, id, &id_base, e);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Names hold no '%', so what is still escaped was escaped twice, as Harbor asks for. */
static struct str unescape(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        bool is_escape = s.p[i] == '%' && i + 2 < s.len && hex_digit(s.p[i + 1]) >= 0 &&
                         hex_digit(s.p[i + 2]) >= 0;

        out[n++] = is_escape ? (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2])) : s.p[i];
        i += is_escape ? 2 : 0;
    }
    return str_n(out, n);
}

int harbor_repository_of(struct http_req *r, struct str *out, struct err *e)
{
    struct str name = unescape(&r->arena, http_path_param(r, "r"));

    *out = str_of(
        arena_printf(&r->arena, "%.*s/%.*s", STR_ARG(r->project), STR_ARG(str_first(name, 1024))));
    return name_check(*out, e);
}

struct str harbor_cron(struct arena *a, struct str ours)
{
    static const char *const names[][2] = {{"@hourly", "0 0 * * * *"},
                                           {"@daily", "0 0 0 * * *"},
                                           {"@weekly", "0 0 0 * * 0"},
                                           {"@monthly", "0 0 0 1 * *"},
                                           {"@yearly", "0 0 0 1 1 *"}};
    size_t fields = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(ours, names[i][0])) {
            return str_of(names[i][1]);
        }
    }
    for (size_t i = 0; i < ours.len; i++) {
        fields += ours.p[i] != ' ' && (i == 0 || ours.p[i - 1] == ' ');
    }
    return fields == 5 ? str_of(arena_printf(a, "0 %.*s", STR_ARG(ours))) : ours;
}

int harbor_reply_needed(struct http_req *r, const char *what, struct err *e)
{
    struct buf b = BUF_MAX(8192);
    struct err why = {0};

    (void)err_set(&why, ERR_CONFLICT, "%s", what);
    error_body(r, 412, &why, &b);
    return harbor_reply_and_free(r, 412, &b, 0, e);
}

int harbor_reply_made(struct http_req *r, int64_t id, struct err *e)
{
    struct str rest = r->target;
    struct str path = str_cut(&rest, '?');

    while (path.len > 0 && path.p[path.len - 1] == '/') {
        path.len--;
    }
    http_set_header(r, "Location", "%.*s/%lld", STR_ARG(path), (long long)id);
    return http_reply_empty(r, 201, e);
}

int harbor_reply_created(struct http_req *r, const char *path, int64_t id, struct err *e)
{
    http_set_header(r, "Location", HARBOR "%s/%lld", path, (long long)id);
    return http_reply_empty(r, 201, e);
}
