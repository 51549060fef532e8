#include "registry_priv.h"

#include "accept.h"
#include "access/access.h"
#include "base/buf.h"
#include "base/json.h"
#include "manifest.h"
#include "remote.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

/* The manifest that the path names. A tag that cannot be is one that is not there. */
static int reference_of_path(struct http_req *req, struct str repository, struct reference *out,
                             struct err *e)
{
    struct str ref = http_path_param(req, "ref");

    if (reference_of(repository, ref, out, e) == 0) {
        return 0;
    }
    if (str_find_char(ref, ':') >= 0) {
        return v2_fail(req, "DIGEST_INVALID", -1);
    }
    if (req->method != HTTP_PUT) {
        e->kind = ERR_NOT_FOUND;
        return v2_fail(req, "MANIFEST_UNKNOWN", -1);
    }
    return v2_fail(req, "TAG_INVALID", -1);
}

static bool may_push(const struct registry *r, const struct principal *who, struct str repository)
{
    return (access_permissions(r->access, who, name_project(repository)) &
            PERM_BIT(PERM_IMAGE_PUSH)) != 0;
}

/* Whoever signs reads the image first. A token says with what it was given: for pulling alone it
 * pulls what anybody pulls, whoever has it. Passwords and personal tokens do not say what somebody
 * is about to do: there the tool does, which tokens for pushing spare. */
static bool is_about_to_push(const struct http_req *req, struct str repository)
{
    return may_push(req->ctx, &req->who, repository) &&
           (request_has_jwt(req) || request_is_signing_tool(req));
}

/* A tool that signs, whose token is for pulling alone although its user could have a larger one:
 * 401 tells it which (v2.c), 403 would be the end. */
static bool needs_larger_token(const struct http_req *req, struct str repository)
{
    struct principal who = req->who;

    who.scopes = PERM_ALL;
    return request_has_jwt(req) && request_is_signing_tool(req) &&
           !may_push(req->ctx, &req->who, repository) && may_push(req->ctx, &who, repository);
}

/* HEAD is how clients look for a manifest before they push, sign or scan it. */
static int may_pull(struct http_req *req, struct str repository, const struct stored_manifest *m,
                    struct err *e)
{
    struct registry *r = req->ctx;
    struct registry_pull p = {.who = &req->who,
                              .may_push = is_about_to_push(req, repository),
                              .repository = repository,
                              .digest = m->digest,
                              .project_id = m->project_id};

    if (req->method != HTTP_GET || r->hooks.may_pull == NULL || request_scans(r, req, repository)) {
        return 0;
    }
    if (r->hooks.may_pull(r->hooks.ctx, &p, e) == 0) {
        return 0;
    }
    if (e->kind == ERR_FORBIDDEN && needs_larger_token(req, repository)) {
        e->kind = ERR_UNAUTHENTICATED;
    }
    return v2_fail(req, "DENIED", -1);
}

/* A HEAD in a cache of another registry: what that one says, unless it is here. 1: answered. */
static int look_elsewhere(struct http_req *req, const struct reference *ref, struct err *e)
{
    struct remote_head head;
    int result =
        proxy_manifest_look(req->ctx, str_of(req->who.name), ref, &head, &req->error_code, e);

    if (result <= 0) {
        return result;
    }
    http_set_header(req, "Docker-Content-Digest", "%s", head.digest);
    http_set_header(req, "ETag", "\"%s\"", head.digest);
    http_set_header(req, "Content-Length", "%lld", (long long)head.size_bytes);
    return http_reply(req, 200, arena_strdup(&req->arena, str_of(head.media_type)), STR_EMPTY, e) <
                   0
               ? -1
               : 1;
}

/* What a cache has to ask for first. 1: answered. */
static int ask_elsewhere(struct http_req *req, const struct reference *ref, struct err *e)
{
    int result = req->method == HTTP_HEAD
                     ? look_elsewhere(req, ref, e)
                     : proxy_manifest(req->ctx, str_of(req->who.name), ref, &req->error_code, e);

    if (result < 0 && e->kind == ERR_THROTTLED) {
        v2_pause(req, ref->repository);
    }
    return result;
}

static void note_pull(struct http_req *req, const struct reference *ref,
                      const struct stored_manifest *m)
{
    struct registry_artifact one = {.tag = ref->tag, .digest = str_of(m->digest)};

    registry_note_pull(req->ctx, m);
    registry_tell_pull(req->ctx,
                       &(struct registry_change){.what = REGISTRY_PULLED,
                                                 .project_id = m->project_id,
                                                 .repository = ref->repository,
                                                 .repository_created_ms = m->repository_created_ms,
                                                 .by = str_of(req->who.name),
                                                 .artifacts = &one,
                                                 .n_artifacts = 1});
}

/* Accept is not a filter here: clients that cannot use what is stored say so themselves, with a
 * better message than ours, and old ones send no Accept at all. */
int v2_manifest_get(struct http_req *req, struct err *e)
{
    char etag[CONTENT_DIGEST_MAX + 2];
    struct reference ref;
    struct stored_manifest m;
    struct str repository;
    int answered;

    if (v2_repository(req, &repository, e) < 0 || reference_of_path(req, repository, &ref, e) < 0 ||
        (answered = ask_elsewhere(req, &ref, e)) < 0) {
        return -1;
    }
    if (answered > 0) {
        return 0;
    }
    if (store_manifest_get(req->ctx, &req->arena, &ref, &m, &req->error_code, e) < 0 ||
        may_pull(req, repository, &m, e) < 0) {
        return -1;
    }
    (void)snprintf(etag, sizeof(etag), "\"%s\"", m.digest);
    http_set_header(req, "Docker-Content-Digest", "%s", m.digest);
    http_set_header(req, "ETag", "%s", etag);
    if (http_not_modified(req, etag)) {
        return http_reply_empty(req, 304, e);
    }
    /* HEAD is how clients ask whether there is something new; a scanner is nobody who needs it. */
    if (req->method == HTTP_GET && !request_scans(req->ctx, req, repository)) {
        note_pull(req, &ref, &m);
    }
    return http_reply(req, 200, arena_strdup(&req->arena, m.media_type), m.body, e);
}

/* --- put --- */

enum { PUSH_TAGS_MAX = 64 };

/* The names that a push gives: its own tag or, by digest, each ?tag= of the query (dist-spec 1.2,
 * "Pushing manifests with tags"). */
static int tags_of_push(struct http_req *req, const struct reference *ref, struct str *tags,
                        size_t *n, struct err *e)
{
    *n = 0;
    if (ref->tag.p != NULL) {
        tags[(*n)++] = ref->tag;
        return 0;
    }
    for (size_t i = 0; i < req->n_query; i++) {
        if (!str_eq_c(req->query[i].name, "tag")) {
            continue;
        }
        if (*n == PUSH_TAGS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d tags: push the manifest again for the rest",
                           PUSH_TAGS_MAX);
        }
        if (v2_fail(req, "TAG_INVALID", tag_check(req->query[i].value, e)) < 0) {
            return -1;
        }
        tags[(*n)++] = req->query[i].value;
    }
    return 0;
}

int v2_manifest_put(struct http_req *req, struct err *e)
{
    struct str tags[PUSH_TAGS_MAX];
    struct manifest_put put = {.tags = tags};
    struct reference ref;

    if (v2_key(req, &put.repository, e) < 0 ||
        reference_of_path(req, put.repository.name, &ref, e) < 0 ||
        tags_of_push(req, &ref, tags, &put.n_tags, e) < 0 ||
        http_body_all(req, LIMIT_MANIFEST_BYTES, &put.body, e) < 0 ||
        accept_manifest(req->ctx, &req->arena, &put, http_header(req, "Content-Type"), ref.digest,
                        &req->error_code, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < put.n_tags; i++) {
        registry_emit(req->ctx, ref.repository, tags[i], put.digest, "pushed");
        if (ref.tag.p == NULL) {
            http_set_header(req, "OCI-Tag", "%.*s", STR_ARG(tags[i]));
        }
    }
    if (put.n_tags == 0) {
        registry_emit(req->ctx, ref.repository, STR_EMPTY, put.digest, "pushed");
    }
    http_set_header(req, "Location", "/v2/%.*s/manifests/%s", STR_ARG(ref.repository), put.digest);
    http_set_header(req, "Docker-Content-Digest", "%s", put.digest);
    if (put.manifest->subject[0] != '\0') {
        http_set_header(req, "OCI-Subject", "%s", put.manifest->subject);
    }
    return http_reply_empty(req, 201, e);
}

int v2_manifest_delete(struct http_req *req, struct err *e)
{
    struct reference ref;
    struct str repository;

    if (v2_repository(req, &repository, e) < 0 || reference_of_path(req, repository, &ref, e) < 0 ||
        store_manifest_delete(req->ctx, &ref, str_of(req->who.name), &req->error_code, e) < 0) {
        return -1;
    }
    registry_emit(req->ctx, ref.repository, ref.tag, ref.digest, "deleted");
    return http_reply_empty(req, 202, e);
}

/* --- referrers: OCI dist-spec 1.1 "Listing Referrers" --- */

enum { REFERRERS_PAGE = 1000 };

int v2_referrers(struct http_req *req, struct err *e)
{
    struct str repository, type = http_query(req, "artifactType");
    struct page page = {
        .after = http_query(req, "last"), .limit = REFERRERS_PAGE, .arena = &req->arena};
    struct buf body = BUF_MAX(16 * MIB);
    struct jw w = JW(&body);
    char digest[CONTENT_DIGEST_MAX];
    int result;

    if (v2_repository(req, &repository, e) < 0 ||
        v2_fail(req, "DIGEST_INVALID",
                content_digest_parse(http_path_param(req, "digest"), digest, e)) < 0) {
        return -1;
    }
    proxy_referrers(req->ctx, str_of(req->who.name), repository, digest);
    jw_object(&w);
    jw_kv_i64(&w, "schemaVersion", 2);
    jw_kv_c(&w, "mediaType", MEDIA_OCI_INDEX);
    jw_key(&w, "manifests");
    jw_array(&w);
    result = store_referrers(req->ctx, repository, digest, type, &page, &w, e);
    jw_end(&w);
    jw_end(&w);
    if (result == 0 && type.len > 0) {
        http_set_header(req, "OCI-Filters-Applied", "artifactType");
    }
    if (result == 0 && page.last.p != NULL) {
        struct buf link = BUF_MAX(8192);

        buf_printf(&link, "</v2/%.*s/referrers/%s?last=%.*s", STR_ARG(repository), digest,
                   STR_ARG(page.last));
        for (size_t i = 0; i < type.len; i++) {
            buf_printf(&link, "%s%%%02X", i == 0 ? "&artifactType=" : "", (unsigned char)type.p[i]);
        }
        buf_add_c(&link, ">; rel=\"next\"");
        http_set_header(req, "Link", "%s", link.p);
        buf_done(&link);
    }
    if (result == 0) {
        result = body.failed ? err_set(e, ERR_LIMIT, "the list of referrers is too long")
                             : http_reply(req, 200, MEDIA_OCI_INDEX, buf_str(&body), e);
    }
    buf_done(&body);
    return result;
}
