/* harbor_priv - what the files of this module share. */
#pragma once
#include "access/access.h"
#include "access/rows.h"
#include "base/json.h"
#include "base/limits.h"
#include "harbor/harbor.h"
#include "query.h"
#include "state/state.h"

#define HARBOR "/api/v2.0"

/* A page of a list: begin reads what is asked for, a read of the state fills it, end answers with
 * X-Total-Count and Link. */
struct list {
    struct http_req *r;
    struct harbor *h;
    int64_t page, size, offset, total;
    struct str sort; /* "name", "-name", "creation_time", ...; may be empty */
    struct harbor_term terms[HARBOR_TERMS_MAX];
    size_t n_terms;
    struct buf body;
    struct jw w;
};
/* `keys`: what q may ask for, NULL-terminated. */
int harbor_list_begin(struct list *l, struct http_req *r, const char *const *keys,
                      struct err *e) MUST_USE;
/* Reads with `fill` (ctx is the list) and answers. */
int harbor_list_reply(struct list *l, state_fn *fill, struct err *e);
/* The condition on `key`: all of it (p == NULL: none), or a part of it ("": none). */
struct str harbor_list_exact(const struct list *l, const char *key);
struct str harbor_list_part(const struct list *l, const char *key);

int harbor_reply_and_free(struct http_req *r, int status, struct buf *b, int result, struct err *e);
/* A log as plain text; ERR_LIMIT when it did not fit. */
int harbor_reply_log(struct http_req *r, const struct buf *b, struct err *e);
/* {id} of the path as a number: ERR_NOT_FOUND when it is none. */
int harbor_path_id(const struct http_req *r, const char *name, int64_t *id, struct err *e) MUST_USE;
/* The one row of `sql`, whose only ? is `id`; ERR_NOT_FOUND says `missing`. */
struct query;
struct state_db;
int harbor_row(struct query *q, struct state_db *db, const char *sql, int64_t id,
               const char *missing, struct err *e) MUST_USE;
/* The id of the project that the path names, where the right was asked for in the same look: what
 * is read by it is not that of another project that got its name meanwhile. */
int harbor_project_id(struct http_req *r, int64_t *id, struct err *e) MUST_USE;
/* The {r...} of the path: "project/name", also when it was escaped twice. */
int harbor_repository_of(struct http_req *r, struct str *out, struct err *e) MUST_USE;
/* A schedule as Harbor writes it, with seconds. */
struct str harbor_cron(struct arena *a, struct str ours);
/* 412: something else has to be done first. */
int harbor_reply_needed(struct http_req *r, const char *what, struct err *e);
/* 201 with Location: what was asked for, and this id. */
int harbor_reply_made(struct http_req *r, int64_t id, struct err *e);
/* 201 with Location: HARBOR `path` and this id. */
int harbor_reply_created(struct http_req *r, const char *path, int64_t id, struct err *e);

/* Whether users may create projects, by the settings. */
bool harbor_everyone_creates(const struct harbor *h);

/* "labels" of a manifest, into an open object. */
int harbor_write_labels(struct state_db *db, int64_t manifest, struct jw *w,
                        struct err *e) MUST_USE;

http_handler harbor_ping, harbor_health, harbor_systeminfo, harbor_statistics;
http_handler harbor_projects, harbor_project_head, harbor_project_add, harbor_project,
    harbor_project_change, harbor_project_delete, harbor_project_deletable, harbor_project_summary,
    harbor_metadatas, harbor_metadata, harbor_metadata_add, harbor_metadata_set,
    harbor_metadata_delete, harbor_allowlist, harbor_allowlist_set;
http_handler harbor_members, harbor_member, harbor_member_add, harbor_member_change,
    harbor_member_delete;
http_handler harbor_immutables, harbor_immutable_add, harbor_immutable_change,
    harbor_immutable_delete;
http_handler harbor_retention_add, harbor_retention, harbor_retention_change,
    harbor_retention_delete, harbor_retention_runs, harbor_retention_run, harbor_retention_stop,
    harbor_retention_tasks, harbor_retention_log, harbor_retention_kinds;
http_handler harbor_hooks, harbor_hook, harbor_hook_add, harbor_hook_change, harbor_hook_delete,
    harbor_hook_last, harbor_hook_jobs, harbor_hook_events;
http_handler harbor_registries, harbor_registry, harbor_registry_add, harbor_registry_change,
    harbor_registry_delete, harbor_registry_ping, harbor_registry_info, harbor_adapters;
http_handler harbor_policies, harbor_policy, harbor_policy_add, harbor_policy_change,
    harbor_policy_delete, harbor_runs, harbor_run, harbor_run_start, harbor_run_stop,
    harbor_run_tasks, harbor_run_log;
http_handler harbor_search, harbor_groups, harbor_group, harbor_group_add, harbor_group_change,
    harbor_group_delete, harbor_logs, harbor_project_logs, harbor_collections, harbor_collection,
    harbor_collection_log, harbor_collection_schedule, harbor_collection_start,
    harbor_collection_change;
http_handler harbor_user_search, harbor_group_search, harbor_configurations,
    harbor_configurations_set, harbor_ldap_ping, harbor_ldap_none;
http_handler harbor_repositories, harbor_all_repositories, harbor_repository,
    harbor_repository_change, harbor_repository_delete;
http_handler harbor_artifacts, harbor_artifact, harbor_artifact_delete, harbor_copy, harbor_tags,
    harbor_tag_add, harbor_tag_delete, harbor_accessories;
http_handler harbor_vulnerabilities, harbor_addition, harbor_scan, harbor_scan_stop,
    harbor_scan_log, harbor_scans_metrics;
http_handler harbor_scanners, harbor_scanner, harbor_scanner_add, harbor_scanner_delete,
    harbor_scanner_change, harbor_scanner_default, harbor_scanner_ping, harbor_scanner_metadata,
    harbor_project_scanner, harbor_project_scanner_set;
http_handler harbor_labels, harbor_label, harbor_label_add, harbor_label_change,
    harbor_label_delete, harbor_artifact_label_add, harbor_artifact_label_delete;
http_handler harbor_users, harbor_user, harbor_user_current, harbor_user_add, harbor_user_delete,
    harbor_user_change, harbor_user_password, harbor_user_admin, harbor_permissions;
http_handler harbor_quotas, harbor_quota, harbor_quota_set;
http_handler harbor_robots, harbor_project_robots, harbor_robot, harbor_robot_add,
    harbor_robot_change, harbor_robot_secret, harbor_robot_delete, harbor_project_robot_add,
    harbor_project_robot_change;
