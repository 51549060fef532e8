/* Uploads of blobs.
 *
 *   POST uploads/            -> 202, a session              PATCH ... -> 202, more bytes
 *   POST uploads/?digest=    -> 201, all in one             PUT ?digest= -> 201, the end
 *   POST uploads/?mount=&from= -> 201, or a session when that cannot be
 *
 * A session is a file in the content store and nothing else. Its id carries a signature over the
 * repository it belongs to, so nothing about it needs to be written down.
 * Source: OCI dist-spec 1.1 "Pushing Blobs". */
#include "registry_priv.h"

#include "accept.h"
#include "access/access.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

enum { ID_RANDOM = 20, ID_SIGNATURE = 32, ID_LEN = ID_RANDOM + ID_SIGNATURE, CHUNK = 131072 };

/* --- session ids --- */

static void sign_id(const struct registry *r, const struct repo_key *to, struct str random,
                    char out[2 * SHA256_BYTES + 1])
{
    struct buf b = BUF_MAX(512);
    unsigned char sum[SHA256_BYTES];

    (void)buf_printf(&b, "%.*s\n%.*s\n%lld", STR_ARG(random), STR_ARG(to->name),
                     (long long)to->project_id);
    hmac_sha256(str_n((const char *)r->upload_secret, sizeof(r->upload_secret)), buf_str(&b), sum);
    hex_encode(sum, sizeof(sum), out);
    buf_done(&b);
}

static void new_id(const struct registry *r, const struct repo_key *to, char id[ID_LEN + 1])
{
    char signature[2 * SHA256_BYTES + 1];

    random_name(id, ID_RANDOM);
    sign_id(r, to, str_n(id, ID_RANDOM), signature);
    memcpy(id + ID_RANDOM, signature, ID_SIGNATURE);
    id[ID_LEN] = '\0';
}

/* The session of the path, which must be one of this repository. */
static int session_of(struct http_req *req, struct repo_key *to, char id[ID_LEN + 1], struct err *e)
{
    struct str text = http_path_param(req, "id");
    char signature[2 * SHA256_BYTES + 1];

    if (v2_key(req, to, e) < 0) {
        return -1;
    }
    if (text.len == ID_LEN) {
        sign_id(req->ctx, to, str_first(text, ID_RANDOM), signature);
    }
    if (text.len != ID_LEN ||
        !secret_eq(str_from(text, ID_RANDOM), str_n(signature, ID_SIGNATURE))) {
        return v2_fail(
            req, "BLOB_UPLOAD_UNKNOWN",
            err_set(e, ERR_NOT_FOUND, "repository %.*s has no such upload", STR_ARG(to->name)));
    }
    return str_copy(text, id, ID_LEN + 1);
}

/* --- answers --- */

static int reply_session(struct http_req *req, int status, struct str repository, const char *id,
                         int64_t size, struct err *e)
{
    http_set_header(req, "Location", "/v2/%.*s/blobs/uploads/%s", STR_ARG(repository), id);
    http_set_header(req, "Docker-Upload-UUID", "%s", id);
    /* Inclusive, so nothing and one byte look the same: as the reference implementation does. */
    http_set_header(req, "Range", "0-%lld", (long long)(size > 0 ? size - 1 : 0));
    return http_reply_empty(req, status, e);
}

static int reply_created(struct http_req *req, struct str repository, const char *digest,
                         struct err *e)
{
    http_set_header(req, "Location", "/v2/%.*s/blobs/%s", STR_ARG(repository), digest);
    http_set_header(req, "Docker-Content-Digest", "%s", digest);
    return http_reply_empty(req, 201, e);
}

/* --- bytes --- */

/* The body. What cannot fit into the project any more is not waited for: a body may not say how
 * long it is. */
static int receive(struct http_req *req, struct content_writer *w, const struct repo_key *to,
                   int64_t room, struct err *e)
{
    SCOPED(freep) char *chunk = NULL;

    if (http_body_length(req) == 0) {
        return 0;
    }
    chunk = xcalloc(1, CHUNK);
    for (;;) {
        ssize_t n = http_body_read(req, chunk, CHUNK, e);

        if (n <= 0) {
            return n < 0 ? v2_fail(req, "BLOB_UPLOAD_INVALID", -1) : 0;
        }
        if (content_writer_offset(w) + n > room &&
            store_quota_room(req->ctx, to, content_writer_offset(w) + n, &room, &req->error_code,
                             e) < 0) {
            return -1;
        }
        if (content_writer_add(w, str_n(chunk, (size_t)n), e) < 0) {
            return -1;
        }
    }
}

static int check_chunk_size(struct http_req *req, int64_t said, int64_t bytes, struct err *e)
{
    if (said == bytes) {
        return 0;
    }
    return v2_fail(req, "SIZE_INVALID",
                   err_set(e, ERR_INVALID, "Content-Range names %lld bytes, the body has %lld",
                           (long long)said, (long long)bytes));
}

/* Chunks come in order; the answer to one that does not tells where to go on. */
static int check_chunk_range(struct http_req *req, struct str repository, const char *id,
                             int64_t offset, int64_t *chunk, struct err *e)
{
    struct str value = http_header(req, "Content-Range");
    int64_t first, last, length = http_body_length(req);

    *chunk = length;
    if (value.p == NULL) {
        return 0;
    }
    if (v2_fail(req, "BLOB_UPLOAD_INVALID", chunk_range_parse(value, &first, &last, e)) < 0) {
        return -1;
    }
    if (first != offset) {
        http_set_header(req, "Location", "/v2/%.*s/blobs/uploads/%s", STR_ARG(repository), id);
        http_set_header(req, "Range", "0-%lld", (long long)(offset > 0 ? offset - 1 : 0));
        return v2_fail(req, "BLOB_UPLOAD_INVALID",
                       err_set(e, ERR_RANGE,
                               "the chunk begins at byte %lld, but the upload is at byte %lld",
                               (long long)first, (long long)offset));
    }
    *chunk = last - first + 1;
    return length < 0 ? 0 : check_chunk_size(req, *chunk, length, e);
}

/* Bytes that cannot fit into the project need not be received at all. What comes together with
 * others is found too large when it is committed. */
static int check_room(struct http_req *req, const struct repo_key *to, int64_t offset,
                      int64_t *room, struct err *e)
{
    int64_t length = http_body_length(req);

    return store_quota_room(req->ctx, to, offset + (length > 0 ? length : 0), room,
                            &req->error_code, e);
}

/* The next chunk, whole and as long as it said, or nothing of it; what a cut connection leaves is
 * kept, as the client cannot know how much that is and asks. */
static int receive_chunk(struct http_req *req, struct content_writer *w, const struct repo_key *to,
                         const char *id, struct err *e)
{
    int64_t chunk, room, offset = content_writer_offset(w);
    struct err failed;

    if (check_chunk_range(req, to->name, id, offset, &chunk, e) < 0 ||
        check_room(req, to, offset, &room, e) < 0 || receive(req, w, to, room, e) < 0) {
        return -1;
    }
    if (chunk < 0 || check_chunk_size(req, chunk, content_writer_offset(w) - offset, e) == 0) {
        return 0;
    }
    if (content_writer_cut(w, offset, &failed) < 0) {
        *e = failed;
    }
    return -1;
}

static int digest_param(struct http_req *req, const char *name, char out[CONTENT_DIGEST_MAX],
                        struct err *e)
{
    struct str value = http_query(req, name);

    if (value.p == NULL) {
        return v2_fail(req, "DIGEST_INVALID",
                       err_set(e, ERR_INVALID, "the query parameter %s is missing", name));
    }
    return v2_fail(req, "DIGEST_INVALID", content_digest_parse(value, out, e));
}

/* --- start --- */

/* May the client read `from` with the credentials of this very request? Rights are those of a
 * project: who may read and write one repository of it may mount from all of them, also with a
 * token that names the target only. */
static bool may_pull(struct http_req *req, struct str from, const struct repo_key *to)
{
    struct registry *r = req->ctx;
    struct principal who = req->who;

    if (!str_eq(name_project(from), name_project(to->name))) {
        who.scopes = request_scopes(r, req, from);
    }
    return access_permissions(r->access, &who, name_project(from)) & PERM_BIT(PERM_IMAGE_PULL);
}

/* 1 and an answer when the blob was mounted; 0: upload it. Whatever speaks against it (no such
 * blob, no right to read it, no valid digest) looks the same, and never is an error. Without
 * `from` (anonymous mount) the target's project is searched. */
static int try_mount(struct http_req *req, const struct repo_key *to, struct err *e)
{
    struct registry *r = req->ctx;
    struct str from = http_query(req, "from");
    char digest[CONTENT_DIGEST_MAX];
    const char *code;
    struct err ignored;
    int64_t size;

    if (http_query(req, "mount").p == NULL || (from.p && name_check(from, &ignored) < 0) ||
        content_digest_parse(http_query(req, "mount"), digest, &ignored) < 0 ||
        !may_pull(req, from.p ? from : to->name, to) ||
        content_blob_size(r->content, digest, &size, &ignored) < 0 ||
        store_blob_mount(r, from, to, digest, &code, &ignored) < 0) {
        return 0; /* also when its file was lost: then it is pushed again */
    }
    return reply_created(req, to->name, digest, e) < 0 ? -1 : 1;
}

static int upload_at_once(struct http_req *req, const struct repo_key *to, const char *id,
                          struct err *e)
{
    struct registry *r = req->ctx;
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    char digest[CONTENT_DIGEST_MAX];
    struct err ignored;
    int64_t room;
    int result;

    if (digest_param(req, "digest", digest, e) < 0 || check_room(req, to, 0, &room, e) < 0) {
        return -1;
    }
    w = content_writer_new(r->content, id, e);
    if (w == NULL) {
        return -1;
    }
    result =
        receive(req, w, to, room, e) < 0 ? -1 : accept_blob(r, &w, to, digest, &req->error_code, e);
    if (result < 0) { /* nobody knows its id, so nobody could go on with it */
        content_writer_close(TAKE(w));
        (void)!content_upload_delete(r->content, id, &ignored);
        return -1;
    }
    return reply_created(req, to->name, digest, e);
}

int v2_upload_start(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    char id[ID_LEN + 1];
    struct repo_key to;
    int mounted;

    if (v2_key(req, &to, e) < 0) {
        return -1;
    }
    mounted = try_mount(req, &to, e);
    if (mounted != 0) {
        return mounted < 0 ? -1 : 0;
    }
    new_id(r, &to, id);
    if (http_query(req, "digest").p != NULL) {
        return upload_at_once(req, &to, id, e);
    }
    w = content_writer_new(r->content, id, e);
    if (w == NULL) {
        return -1;
    }
    content_writer_close(TAKE(w)); /* before the answer: the client may go on at once */
    return reply_session(req, 202, to.name, id, 0, e);
}

/* --- go on --- */

/* What could not be written to a full disk would keep it full for a day, and what the quota refused
 * can never be committed: give the space back. The content store itself would have kept it. */
static int drop_if_full(struct http_req *req, struct content_writer **w, const char *id,
                        struct err *e)
{
    struct registry *r = req->ctx;
    struct err ignored;

    if ((e->kind == ERR_NO_SPACE || e->kind == ERR_FORBIDDEN) && *w != NULL) {
        content_writer_close(TAKE(*w));
        (void)!content_upload_delete(r->content, id, &ignored);
    }
    return -1;
}

int v2_upload_status(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    char id[ID_LEN + 1];
    struct repo_key to;
    int64_t size;

    if (session_of(req, &to, id, e) < 0 ||
        v2_fail(req, "BLOB_UPLOAD_UNKNOWN", content_upload_size(r->content, id, &size, e)) < 0) {
        return -1;
    }
    return reply_session(req, 204, to.name, id, size, e);
}

static struct content_writer *resume(struct http_req *req, const char *id, struct err *e)
{
    struct registry *r = req->ctx;
    struct content_writer *w = content_writer_resume(r->content, id, e);

    if (w == NULL) {
        req->error_code = e->kind == ERR_NOT_FOUND ? "BLOB_UPLOAD_UNKNOWN" : "BLOB_UPLOAD_INVALID";
    }
    return w;
}

int v2_upload_patch(struct http_req *req, struct err *e)
{
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    char id[ID_LEN + 1];
    struct repo_key to;
    int64_t size;

    if (session_of(req, &to, id, e) < 0 || (w = resume(req, id, e)) == NULL) {
        return -1;
    }
    if (receive_chunk(req, w, &to, id, e) < 0) {
        return drop_if_full(req, &w, id, e);
    }
    size = content_writer_offset(w);
    content_writer_close(TAKE(w)); /* before the answer: the client may go on at once */
    return reply_session(req, 202, to.name, id, size, e);
}

/* The last bytes of a PUT with a wrong digest: kept, they would be there twice when it is tried
 * again. */
static void take_back(const struct http_req *req, struct content_writer *w, int64_t offset)
{
    struct err ignored; /* the client is told of the digest; it sees the offset when it goes on */

    if (w && req->error_code && strcmp(req->error_code, "DIGEST_INVALID") == 0) {
        (void)!content_writer_cut(w, offset, &ignored);
    }
}

int v2_upload_finish(struct http_req *req, struct err *e)
{
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    char id[ID_LEN + 1], digest[CONTENT_DIGEST_MAX];
    struct repo_key to;
    int64_t offset;

    if (session_of(req, &to, id, e) < 0 || digest_param(req, "digest", digest, e) < 0 ||
        (w = resume(req, id, e)) == NULL) {
        return -1;
    }
    offset = content_writer_offset(w);
    if (receive_chunk(req, w, &to, id, e) < 0 ||
        accept_blob(req->ctx, &w, &to, digest, &req->error_code, e) < 0) {
        take_back(req, w, offset);
        return drop_if_full(req, &w, id, e);
    }
    return reply_created(req, to.name, digest, e);
}

int v2_upload_cancel(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    char id[ID_LEN + 1];
    struct repo_key to;

    if (session_of(req, &to, id, e) < 0 ||
        v2_fail(req, "BLOB_UPLOAD_UNKNOWN", content_upload_delete(r->content, id, e)) < 0) {
        return -1;
    }
    return http_reply_empty(req, 204, e);
}
