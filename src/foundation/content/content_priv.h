/* content_priv - what the files of the content store share. */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "content/content.h"

#define UPLOAD_ID_MAX 65     /* 64 letters and digits, NUL */
#define UPLOADS_IDLE_MAX 256 /* hash states kept between two requests; ~400 bytes each */
#define COPY_BYTES 131072    /* one read while hashing what is on disk */

struct content {
    int root;    /* directory of sha256/, sha512/ and uploads/ */
    int uploads; /* root/uploads */
    struct lock lock;
    struct map writers; /* id -> struct content_writer, busy or idle; guarded by lock */
    struct list idle;   /* writers nobody holds, oldest first; guarded by lock */
    size_t n_idle;
};

struct content_writer {
    struct list link; /* in content.idle */
    struct content *c;
    char id[UPLOAD_ID_MAX];
    int fd;             /* -1 while idle */
    int64_t size_bytes; /* of the file */
    int64_t hashed;     /* how much of it `hash` has seen */
    int64_t flushed;    /* up to here the kernel was asked to start writing */
    struct sha256 hash;
};

/* "sha256/ab/abcd..." under the root; `digest` is checked. */
int content_path(const char *digest, char out[160], struct err *e) MUST_USE;
/* Makes the rename into (or the unlink from) the shard of `path` durable. */
int content_sync_shard(struct content *c, const char *path, struct err *e) MUST_USE;
/* Puts the finished, open file uploads/<name> under its digest. On success the name is gone. */
int content_publish(struct content *c, const char *name, int fd, int64_t size_bytes,
                    const char *digest, struct err *e) MUST_USE;
/* Digest of a whole open file, by the algorithm that `want` names; stop as in content_blob_intact.
 */
int content_file_digest(int fd, const char *want, const _Atomic bool *stop,
                        char out[CONTENT_DIGEST_MAX], struct err *e) MUST_USE;
void content_writer_free(struct content_writer *w);
