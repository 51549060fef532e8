/* content - immutable blobs named by their SHA-256 (and SHA-512), shared by images, models,
 * datasets.
 *
 *   docker push -> control/registry -> content_writer -> blobs/sha256/ab/abcd...
 *
 * Threads: any. A writer belongs to one thread at a time.
 * On disk (docs/formats/content.md): blobs/<alg>/<2 hex>/<hex>, shard directories made in advance;
 * blobs/uploads/<id> while it grows. A blob appears by rename(2) after fsync, so a reader never
 * sees half of one. Reference counting is the business of who refers (registry). */
#pragma once
#include "base/buf.h"

struct content;
struct content_writer;

#define CONTENT_DIGEST_MAX 136 /* "sha512:" + 128 hex + NUL */

/* Opens the store whose directory is `root` ("blobs", relative to the current directory), creating
 * it. */
struct content *content_open(const char *root, struct err *e) MUST_USE;
void content_close(struct content *c);
DEFINE_SCOPED(struct content, content_close)

/* "sha256:<64 hex>" or "sha512:<128 hex>", lower case; copies it with a NUL. The error names the
 * position of the first wrong byte. */
int content_digest_parse(struct str s, char out[CONTENT_DIGEST_MAX], struct err *e) MUST_USE;

/* Digest of bytes in memory; `algorithm` is "sha256" or "sha512". */
int content_digest_of(struct str bytes, struct str algorithm, char out[CONTENT_DIGEST_MAX],
                      struct err *e) MUST_USE;

/* An open blob; the caller closes the fd. ERR_NOT_FOUND. */
int content_blob_open(struct content *c, const char *digest, int *fd, int64_t *size_bytes,
                      struct err *e) MUST_USE;
int content_blob_size(struct content *c, const char *digest, int64_t *size_bytes,
                      struct err *e) MUST_USE;
/* Durable; a missing blob is success. Open fds keep reading. */
int content_blob_delete(struct content *c, const char *digest, struct err *e) MUST_USE;
/* Many at once: each shard is synced once. */
int content_blobs_delete(struct content *c, const char *const *digests, size_t n,
                         struct err *e) MUST_USE;
/* Names the blobs of one of the CONTENT_SHARDS shards that have been there for so long; `each` may
 * delete the one it is given. */
#define CONTENT_SHARDS 256
typedef void content_each(void *ctx, const char *digest);
int content_shard_each(struct content *c, unsigned shard, int64_t older_than_ms, content_each *each,
                       void *ctx, struct err *e) MUST_USE;
/* 1: its bytes have the digest it is named by; 0: not. Reads all of it; *stop (may be NULL) ends
 * that early, with ERR_UNAVAILABLE. */
int content_blob_intact(struct content *c, const char *digest, const _Atomic bool *stop,
                        struct err *e) MUST_USE;
/* Moves a damaged blob to damaged/<hex>, where nothing finds it any more. Durable. */
int content_blob_set_aside(struct content *c, const char *digest, struct err *e) MUST_USE;
/* Whole small blob (manifest, config) up to max bytes. */
int content_blob_read(struct content *c, const char *digest, size_t max, struct buf *out,
                      struct err *e) MUST_USE;
/* Stores bytes under the digest they have; returns it. */
int content_blob_put(struct content *c, struct str bytes, char digest[CONTENT_DIGEST_MAX],
                     struct err *e) MUST_USE;

/* An upload that may be left and found again (also after a restart: the bytes on disk are hashed
 * again when it is next appended to). `id`: [a-z0-9]{1,64}. One writer at a time per id
 * (ERR_CONFLICT). */
struct content_writer *content_writer_new(struct content *c, const char *id,
                                          struct err *e) MUST_USE;
struct content_writer *content_writer_resume(struct content *c, const char *id,
                                             struct err *e) MUST_USE;
int64_t content_writer_offset(const struct content_writer *w);
int content_writer_add(struct content_writer *w, struct str bytes, struct err *e) MUST_USE;
/* Takes back what was added behind `offset`, at most the present one. */
int content_writer_cut(struct content_writer *w, int64_t offset, struct err *e) MUST_USE;
/* Verifies, fsyncs, renames. `want` is the digest it must have (ERR_INVALID and the upload is kept
 * otherwise). The writer is spent on success. */
int content_writer_commit(struct content_writer *w, const char *want, int64_t *size_bytes,
                          struct err *e) MUST_USE;
/* Closes without deleting: the upload can be resumed. */
void content_writer_close(struct content_writer *w);
DEFINE_SCOPED(struct content_writer, content_writer_close)
/* Bytes on disk, also while somebody writes. ERR_NOT_FOUND. */
int content_upload_size(struct content *c, const char *id, int64_t *size_bytes,
                        struct err *e) MUST_USE;
/* What there is of it so far, to read, also while somebody writes; the caller closes the fd, which
 * goes on reading the blob that the upload becomes. ERR_NOT_FOUND. */
int content_upload_open(struct content *c, const char *id, int *fd, struct err *e) MUST_USE;
/* ERR_CONFLICT while somebody writes. */
int content_upload_delete(struct content *c, const char *id, struct err *e) MUST_USE;
/* How many there are, and the bytes they have on disk. */
void content_uploads_count(struct content *c, int64_t *n, int64_t *size_bytes);
/* Deletes uploads not touched for so long; returns how many. */
int content_uploads_sweep(struct content *c, int64_t older_than_ms);
