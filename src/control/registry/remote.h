/* remote - another registry as we use it: OCI dist-spec 1.1 with Docker token authentication.
 *
 *   replication, proxy cache -> remote_* -> fetch -> peer (ours, Harbor, distribution, zot, ...)
 *
 * Threads: a struct remote belongs to one at a time. The peer may lie: digests are checked against
 * the bytes, sizes and answers have limits, tokens are asked for over a way that is as safe as the
 * registry's own. Errors of ERR_UNAVAILABLE, ERR_TIMEOUT and ERR_THROTTLED may be tried again
 * (remote_retry_sec says when). */
#pragma once
#include "content/content.h"
#include "fetch/fetch.h"

struct remote;

struct remote_options {
    const char *url;             /* "https://registry.example:5000"; copied, as all below */
    const char *user, *password; /* NULL or "": anonymous */
    struct fetch_options fetch;
    int64_t rate_bytes; /* of blobs, in a second; 0: no limit */
    fetch_stop *stop;   /* may be NULL */
    void *stop_ctx;
    bool stays; /* no redirect is followed, whereto it leads */
};

struct remote *remote_open(const struct remote_options *o, struct err *e) MUST_USE;
void remote_close(struct remote *r);
DEFINE_SCOPED(struct remote, remote_close)

/* How long an answer that is no blob may last; 0: as long as for work in the background. */
void remote_set_patience(struct remote *r, unsigned answer_sec);
/* Docker Hub: its official images are below library/. */
bool remote_is_hub(const struct remote *r);
/* GET /v2/: it is a registry, and these credentials are taken. */
int remote_ping(struct remote *r, struct err *e) MUST_USE;
/* How long to wait before the next try: what the last answer asked for, else 0. */
int64_t remote_retry_sec(const struct remote *r);

/* -1 ends the list. */
typedef int remote_name(void *ctx, struct str name, struct err *e);
int remote_catalog(struct remote *r, remote_name *each, void *ctx, struct err *e) MUST_USE;
int remote_tags(struct remote *r, struct str repository, remote_name *each, void *ctx,
                struct err *e) MUST_USE;

struct remote_manifest {
    struct buf body; /* the exact bytes; buf_done */
    char media_type[256];
    char digest[CONTENT_DIGEST_MAX]; /* of the bytes */
};
/* By tag or digest. ERR_NOT_FOUND; ERR_INVALID when the bytes are not what the digest says. */
int remote_manifest_get(struct remote *r, struct str repository, struct str reference,
                        struct remote_manifest *out, struct err *e) MUST_USE;
/* What it says of a manifest without giving it; "" and -1 of what it does not say. */
struct remote_head {
    char media_type[256], digest[CONTENT_DIGEST_MAX];
    int64_t size_bytes;
};
int remote_manifest_look(struct remote *r, struct str repository, struct str reference,
                         struct remote_head *out, struct err *e) MUST_USE;
/* The digest alone. ERR_NOT_FOUND, as above. */
int remote_manifest_head(struct remote *r, struct str repository, struct str reference,
                         char digest[CONTENT_DIGEST_MAX], struct err *e) MUST_USE;
int remote_manifest_put(struct remote *r, struct str repository, struct str reference,
                        const char *media_type, struct str body, struct err *e) MUST_USE;
int remote_manifest_delete(struct remote *r, struct str repository, struct str reference,
                           struct err *e) MUST_USE;
/* The digests that refer to one: from the API, or of a peer without it from the tag that stands in
 * for it (OCI dist-spec 1.1 "Referrers Tag Schema"). */
int remote_referrers(struct remote *r, struct str repository, const char *digest, remote_name *each,
                     void *ctx, struct err *e) MUST_USE;
/* 1 it has the API, 0 it does not. */
int remote_knows_referrers(struct remote *r, struct str repository, const char *digest,
                           struct err *e) MUST_USE;
/* That tag: "sha256-<hex>". */
void remote_referrers_tag(const char *digest, char tag[CONTENT_DIGEST_MAX]);

/* The bytes from `offset` on. The peer that does not know ranges gives ERR_RANGE for an offset > 0.
 */
int remote_blob_get(struct remote *r, struct str repository, const char *digest, int64_t offset,
                    fetch_sink *sink, void *ctx, struct err *e) MUST_USE;
/* 1 it is there, 0 it is not. */
int remote_blob_there(struct remote *r, struct str repository, const char *digest,
                      struct err *e) MUST_USE;
struct remote_upload {
    struct str repository;
    const char *digest;
    int64_t size_bytes;
    int fd;                /* read with pread */
    struct str mount_from; /* a repository there that may have it; p == NULL: none */
    /* Where an earlier try left its session (2048 bytes), "" when there is none; kept true. */
    char *session;
    /* `at` bytes have arrived; `sent` more went out for it. May be NULL. */
    void (*progress)(void *ctx, int64_t at, int64_t sent);
    /* The session began or moved; may be NULL. */
    void (*moved)(void *ctx, const char *session);
    void *ctx;
};
/* Asks for it out of u->mount_from, before anything is read: 1: it is there; 0: it is not, and
 * u->session is one that remote_blob_put goes on with. */
int remote_blob_mount(struct remote *r, const struct remote_upload *u, struct err *e) MUST_USE;
/* In one go or, when that is cut, from where the peer says it stands. 1: it was there already. */
int remote_blob_put(struct remote *r, const struct remote_upload *u, struct err *e) MUST_USE;
