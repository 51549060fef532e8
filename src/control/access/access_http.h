/* access_http - the handlers behind routes.c; each runs on a worker after the permission of its
 * row was checked. */
#pragma once
#include "access_priv.h"
#include "base/json.h"
#include "net/http.h"

/* One page of 1,000 audit entries with paths of 1 KiB, each byte escaped. */
enum { REPLY_MAX = 8 * 1024 * 1024 };

/* ?limit=, ?after= and ?q= */
int access_http_page(const struct http_req *r, struct buf *out, struct page *page,
                     struct err *e) MUST_USE;
/* A list of names of permissions, at least one; `key` is for errors. */
int access_http_permissions_of(const json_t *list, const char *key, uint64_t *out,
                               struct err *e) MUST_USE;
/* "expires_in_seconds": a time from now, or null: never (0). `given`: whether it is there. */
int access_http_expiry(const json_t *body, bool *given, int64_t *expires_ms,
                       struct err *e) MUST_USE;
/* Answers and frees the buffer. */
int access_http_json(struct http_req *r, int status, struct buf *json, struct err *e);

http_handler access_http_login, access_http_logout, access_http_me, access_http_password;
http_handler access_http_tokens, access_http_token_add, access_http_token_delete;
http_handler access_http_users, access_http_user_add, access_http_user, access_http_user_change,
    access_http_user_delete;
http_handler access_http_projects, access_http_project_add, access_http_project,
    access_http_project_change, access_http_project_delete;
http_handler access_http_logo, access_http_logo_put, access_http_logo_delete;
http_handler access_http_members, access_http_member_put, access_http_member_delete,
    access_http_group_member_put, access_http_group_member_delete;
http_handler access_http_robots, access_http_robot_add, access_http_robot, access_http_robot_change,
    access_http_robot_rotate, access_http_robot_delete;
http_handler access_http_groups, access_http_group_add, access_http_group, access_http_group_change,
    access_http_group_delete, access_http_group_user_put, access_http_group_user_drop;
http_handler access_http_secrets, access_http_secret_put, access_http_secret_delete;
http_handler access_http_audit, access_http_audit_export, access_http_permissions;
