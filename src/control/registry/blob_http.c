#include "registry_priv.h"

#include "base/mem.h"
#include "store.h"

#include <unistd.h>

static int blob_of(struct http_req *r, struct str *repository, char digest[CONTENT_DIGEST_MAX],
                   struct err *e)
{
    if (v2_repository(r, repository, e) < 0) {
        return -1;
    }
    return v2_fail(r, "DIGEST_INVALID",
                   content_digest_parse(http_path_param(r, "digest"), digest, e));
}

/* "bytes=500-0" is no range that RFC 9110 knows, so the engine would send all; registries are
 * expected to refuse it (OCI conformance, "blob range"). */
static bool range_is_backwards(const struct http_req *r)
{
    struct str value = http_header(r, "Range");
    struct str last = str_from(value, 6), first;
    uint64_t a, b;

    if (!str_starts(value, STR("bytes=")) || str_find_char(last, '-') < 0) {
        return false;
    }
    first = str_cut(&last, '-');
    return str_to_u64(first, &a) == 0 && str_to_u64(last, &b) == 0 && b < a;
}

/* In a cache of another registry it may have to be fetched first. */
static int find_blob(struct http_req *req, struct str repository, const char *digest,
                     struct stored_blob *out, struct err *e)
{
    struct registry *r = req->ctx;
    int fetched;

    if (store_blob_find(r, repository, digest, out, &req->error_code, e) == 0) {
        return 0;
    }
    if (e->kind != ERR_NOT_FOUND) {
        return -1;
    }
    fetched = proxy_blob(r, str_of(req->who.name), repository, digest, &req->error_code, e);
    return fetched <= 0 ? -1 : store_blob_find(r, repository, digest, out, &req->error_code, e);
}

/* HEAD asks whether the file is there and its length; clients do so for each layer they have. */
static int open_blob(struct http_req *req, const char *digest, int *fd, int64_t *size,
                     struct err *e)
{
    struct registry *r = req->ctx;

    return v2_fail(req, "BLOB_UNKNOWN",
                   req->method == HTTP_HEAD ? content_blob_size(r->content, digest, size, e)
                                            : content_blob_open(r->content, digest, fd, size, e));
}

int v2_blob_get(struct http_req *req, struct err *e)
{
    struct registry *r = req->ctx;
    struct str repository;
    char digest[CONTENT_DIGEST_MAX], etag[CONTENT_DIGEST_MAX + 2];
    SCOPED(closep) int fd = -1;
    struct stored_blob blob;
    int64_t size;

    if (blob_of(req, &repository, digest, e) < 0 ||
        find_blob(req, repository, digest, &blob, e) < 0 ||
        open_blob(req, digest, &fd, &size, e) < 0) {
        return -1;
    }
    if (req->method == HTTP_HEAD && blob.is_stale) {
        store_blob_renew(r, repository, digest);
    }
    if (range_is_backwards(req)) {
        http_set_header(req, "Content-Range", "bytes */%lld", (long long)size);
        return err_set(e, ERR_RANGE, "the range ends before it begins");
    }
    http_set_header(req, "Docker-Content-Digest", "%s", digest);
    (void)snprintf(etag, sizeof(etag), "\"%s\"", digest);
    return http_reply_file(
        req,
        &(struct http_file){
            .fd = fd, .size_bytes = size, .type = "application/octet-stream", .etag = etag},
        e);
}

int v2_blob_delete(struct http_req *req, struct err *e)
{
    struct str repository;
    char digest[CONTENT_DIGEST_MAX];

    if (blob_of(req, &repository, digest, e) < 0 ||
        store_blob_unlink(req->ctx, repository, digest, &req->error_code, e) < 0) {
        return -1;
    }
    return http_reply_empty(req, 202, e);
}
