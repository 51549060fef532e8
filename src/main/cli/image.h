/* image - what the verbs about images share: names, manifests and blobs over OCI distribution 1.1.
 */
#pragma once
#include "main/cli/cli.h"

#include "base/hash.h"

#define IMAGE_DIGEST (8 + SHA256_HEX) /* "sha256:..." with the NUL */
#define IMAGE_ACCEPT                                                                               \
    "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json," \
    " application/vnd.docker.distribution.manifest.v2+json,"                                       \
    " application/vnd.docker.distribution.manifest.list.v2+json"
enum { IMAGE_DEPTH_MAX = 4 };

/* "project/repo:tag" or "project/repo@sha256:..." -> its halves, with -p also "repo:tag"; the
 * reference is `latest` when none is given. The caller frees both. */
int image_split(const struct cli *c, const char *name, char **repo, char **reference,
                struct err *e) MUST_USE;
/* The manifest and its very bytes. */
int image_manifest(struct cli *c, const char *repo, const char *reference, struct buf *bytes,
                   json_t **manifest, struct err *e) MUST_USE;
/* The whole small blob, checked against its digest. */
int image_small_blob(struct cli *c, const char *repo, const char *digest, struct buf *bytes,
                     struct err *e) MUST_USE;
void image_digest_of(struct str bytes, char digest[IMAGE_DIGEST]);
/* "sha256:" and 64 hexadecimal digits. */
int image_digest_check(const char *digest, struct err *e) MUST_USE;
/* Go's name of this machine's architecture. */
const char *image_architecture(void);
/* "linux/arm64/v8" of an index entry, "" without; the caller frees it. */
char *image_platform(const json_t *descriptor);

/* --- image.c: pushing --- */
int image_has_blob(struct cli *c, const char *repo, const char *digest, bool *has,
                   struct err *e) MUST_USE;
/* `body` says where the bytes come from and how many there are. */
int image_push_blob(struct cli *c, const char *repo, const char *digest,
                    const struct client_request *body, struct err *e) MUST_USE;
int image_put_manifest(struct cli *c, const char *repo, const char *reference, const char *type,
                       struct str bytes, struct err *e) MUST_USE;
