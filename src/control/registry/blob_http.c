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

/* What a request is answered with. */
struct found {
    int fd;
    int64_t size_bytes;
    struct proxy_follow follow; /* a blob that is being fetched */
};

static void found_done(struct found *v)
{
    if (v->follow.flight == NULL) {
        closep(&v->fd);
    }
    proxy_follow_end(&v->follow);
}

/* In a cache of another registry it may have to be fetched first. 1: it is here now; 2: *out is
 * what there is of it. */
static int ask_elsewhere(struct http_req *req, struct str repository, const char *digest,
                         struct found *out, struct err *e)
{
    struct registry *r = req->ctx;
    struct str by = str_of(req->who.name);
    int result;

    if (req->method == HTTP_HEAD) {
        result = proxy_blob_look(r, by, repository, digest, &out->size_bytes, &req->error_code, e);
        return result == 1 ? 2 : result == 2 ? 1 : result;
    }
    result = proxy_blob_follow(r, by, repository, digest, &out->follow, &req->error_code, e);
    if (result == 2) {
        out->fd = out->follow.fd;
        out->size_bytes = out->follow.size_bytes;
    }
    return result;
}

static int open_blob(struct http_req *req, struct str repository, const char *digest,
                     struct found *out, struct err *e)
{
    struct registry *r = req->ctx;
    struct stored_blob blob = {0};
    int result = store_blob_find(r, repository, digest, &blob, &req->error_code, e);

    if (result < 0 && e->kind == ERR_NOT_FOUND) {
        result = ask_elsewhere(req, repository, digest, out, e);
        if (result < 0 && e->kind == ERR_THROTTLED) {
            v2_pause(req, repository);
        }
        if (result <= 0 || result == 2) {
            return result == 2 ? 0 : -1;
        }
        result = store_blob_find(r, repository, digest, &blob, &req->error_code, e);
    }
    if (result < 0) {
        return -1;
    }
    if (req->method == HTTP_HEAD && blob.is_stale) {
        store_blob_renew(r, repository, digest);
    }
    /* HEAD asks only whether it is there, and its length: clients do so for each layer they have.
     */
    return v2_fail(req, "BLOB_UNKNOWN",
                   req->method == HTTP_HEAD
                       ? content_blob_size(r->content, digest, &out->size_bytes, e)
                       : content_blob_open(r->content, digest, &out->fd, &out->size_bytes, e));
}

int v2_blob_get(struct http_req *req, struct err *e)
{
    struct str repository;
    char digest[CONTENT_DIGEST_MAX], etag[CONTENT_DIGEST_MAX + 2];
    SCOPED(found_done) struct found found = {.fd = -1, .follow = {.fd = -1}};

    if (blob_of(req, &repository, digest, e) < 0 ||
        open_blob(req, repository, digest, &found, e) < 0) {
        return -1;
    }
    if (range_is_backwards(req)) {
        http_set_header(req, "Content-Range", "bytes */%lld", (long long)found.size_bytes);
        return err_set(e, ERR_RANGE, "the range ends before it begins");
    }
    http_set_header(req, "Docker-Content-Digest", "%s", digest);
    (void)snprintf(etag, sizeof(etag), "\"%s\"", digest);
    return http_reply_file(
        req,
        &(struct http_file){.fd = found.fd,
                            .size_bytes = found.size_bytes,
                            .type = "application/octet-stream",
                            .etag = etag,
                            .grown = found.follow.flight ? proxy_follow_grown : NULL,
                            .ctx = &found.follow},
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
