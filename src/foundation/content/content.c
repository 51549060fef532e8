#include "content_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int content_path(const char *digest, char out[160], struct err *e)
{
    char checked[CONTENT_DIGEST_MAX];
    const char *hex;

    if (content_digest_parse(str_of(digest), checked, e) < 0) {
        return -1;
    }
    hex = strchr(checked, ':') + 1;
    (void)snprintf(out, 160, "%.*s/%.2s/%s", (int)(hex - checked) - 1, checked, hex, hex);
    return 0;
}

/* The 256 shards of one algorithm; made once, so that a push only syncs one directory. Synced at
 * each start, as a kill may have come between their making and the sync: it costs nothing then. */
static int make_shards(int root, const char *alg, struct err *e)
{
    char path[16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/ff", alg);
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return fs_sync_dir(root, alg, e); /* the last one made is there */
    }
    if (fs_mkdir(root, alg, 0700, e) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof(path), "%s/%02x", alg, i);
        if (fs_mkdir(root, path, 0700, e) < 0) {
            return -1;
        }
    }
    return fs_sync_dir(root, alg, e);
}

static int make_tree(struct content *c, struct err *e)
{
    if (make_shards(c->root, "sha256", e) < 0 || make_shards(c->root, "sha512", e) < 0 ||
        fs_mkdir(c->root, "uploads", 0700, e) < 0 || fs_sync_dir(c->root, ".", e) < 0) {
        return -1;
    }
    c->uploads = openat(c->root, "uploads", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return c->uploads < 0 ? err_sys(e, "open uploads") : 0;
}

struct content *content_open(const char *root, struct err *e)
{
    SCOPED(content_closep) struct content *c = xnew(struct content);

    c->root = c->uploads = -1;
    lock_init(&c->lock, LOCK_content);
    list_init(&c->idle);
    if (fs_mkdir(AT_FDCWD, root, 0700, e) < 0) {
        return NULL;
    }
    c->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->root < 0) {
        err_sys(e, "open %s", root);
        return NULL;
    }
    if (make_tree(c, e) < 0) {
        err_wrap(e, "content store %s", root);
        return NULL;
    }
    return TAKE(c);
}

void content_close(struct content *c)
{
    if (c == NULL) {
        return;
    }
    list_each(it, &c->idle)
    {
        content_writer_free(list_entry(it, struct content_writer, link));
    }
    map_done(&c->writers);
    closep(&c->uploads);
    closep(&c->root);
    lock_done(&c->lock);
    free(c);
}

int content_blob_open(struct content *c, const char *digest, int *fd, int64_t *size_bytes,
                      struct err *e)
{
    char path[160];
    SCOPED(closep) int f = -1;
    struct stat st;

    if (content_path(digest, path, e) < 0) {
        return -1;
    }
    f = openat(c->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (f < 0 && errno == ENOENT) {
        return err_set(e, ERR_NOT_FOUND, "blob %.23s... is not stored here", digest);
    }
    if (f < 0 || fstat(f, &st) < 0) {
        return err_sys(e, "open blob %s", digest);
    }
    *fd = TAKE_FD(f);
    *size_bytes = st.st_size;
    return 0;
}

int content_blob_size(struct content *c, const char *digest, int64_t *size_bytes, struct err *e)
{
    char path[160];
    struct stat st;

    if (content_path(digest, path, e) < 0) {
        return -1;
    }
    if (fstatat(c->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT
                   ? err_set(e, ERR_NOT_FOUND, "blob %.23s... is not stored here", digest)
                   : err_sys(e, "stat blob %s", digest);
    }
    *size_bytes = st.st_size;
    return 0;
}

int content_sync_shard(struct content *c, const char *path, struct err *e)
{
    char shard[160];

    (void)snprintf(shard, sizeof(shard), "%.*s", (int)(strrchr(path, '/') - path), path);
    return fs_sync_dir(c->root, shard, e);
}

int content_blob_delete(struct content *c, const char *digest, struct err *e)
{
    char path[160];

    if (content_path(digest, path, e) < 0) {
        return -1;
    }
    if (unlinkat(c->root, path, 0) < 0 && errno != ENOENT) {
        return err_sys(e, "delete blob %s", digest);
    }
    return content_sync_shard(c, path, e);
}

int content_blobs_delete(struct content *c, const char *const *digests, size_t n, struct err *e)
{
    const char *touched[2][256] = {{NULL}}; /* a digest of the shard; by algorithm */
    char path[160];

    for (size_t i = 0; i < n; i++) {
        unsigned long shard;

        if (content_path(digests[i], path, e) < 0) {
            return -1;
        }
        if (unlinkat(c->root, path, 0) < 0 && errno != ENOENT) {
            return err_sys(e, "delete blob %s", digests[i]);
        }
        shard = strtoul(strchr(path, '/') + 1, NULL, 16);
        touched[str_starts(str_of(digests[i]), STR("sha512:"))][shard & 255] = digests[i];
    }
    for (size_t i = 0; i < 512; i++) {
        const char *one = touched[i / 256][i % 256];

        if (one != NULL && (content_path(one, path, e) < 0 || content_sync_shard(c, path, e) < 0)) {
            return -1;
        }
    }
    return 0;
}

int content_blob_intact(struct content *c, const char *digest, const _Atomic bool *stop,
                        struct err *e)
{
    char have[CONTENT_DIGEST_MAX];
    SCOPED(closep) int fd = -1;
    int64_t size;

    return content_blob_open(c, digest, &fd, &size, e) < 0 ||
                   content_file_digest(fd, digest, stop, have, e) < 0
               ? -1
               : strcmp(have, digest) == 0;
}

int content_blob_set_aside(struct content *c, const char *digest, struct err *e)
{
    char path[160], aside[160];

    if (content_path(digest, path, e) < 0 || fs_mkdir(c->root, "damaged", 0700, e) < 0) {
        return -1;
    }
    (void)snprintf(aside, sizeof(aside), "damaged/%s", strchr(digest, ':') + 1);
    if (renameat(c->root, path, c->root, aside) < 0) {
        return err_sys(e, "move of the damaged blob %s", digest);
    }
    return fs_sync_dir(c->root, "damaged", e) < 0 || fs_sync_dir(c->root, ".", e) < 0
               ? -1
               : content_sync_shard(c, path, e);
}

int content_blob_read(struct content *c, const char *digest, size_t max, struct buf *out,
                      struct err *e)
{
    char path[160];
    int64_t size = 0;

    if (content_path(digest, path, e) < 0 || content_blob_size(c, digest, &size, e) < 0) {
        return -1;
    }
    if ((uint64_t)size > max) {
        return err_set(e, ERR_LIMIT, "blob %.23s... has %lld bytes, more than %zu", digest,
                       (long long)size, max);
    }
    return fs_read(c->root, path, out, e);
}

/* The data is synced before the name appears, the name before success: two syncs. A blob that is
 * there already was synced before its rename, but a kill may have come before its shard's sync. */
int content_publish(struct content *c, const char *name, int fd, int64_t size_bytes,
                    const char *digest, struct err *e)
{
    char path[160];
    struct stat st;

    if (content_path(digest, path, e) < 0) {
        return -1;
    }
    if (fstatat(c->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == size_bytes) {
        (void)unlinkat(c->uploads, name, 0);
        return content_sync_shard(c, path, e);
    }
    if (fdatasync(fd) < 0) {
        err_sys(e, "sync of blob %s", digest);
        (void)unlinkat(c->uploads, name,
                       0); /* a second sync would lie: what failed counts as clean */
        return -1;
    }
    if (renameat(c->uploads, name, c->root, path) < 0) {
        return err_sys(e, "rename to blob %s", digest);
    }
    if (content_sync_shard(c, path, e) < 0) {
        (void)unlinkat(c->root, path, 0);
        return -1;
    }
    return 0;
}

int content_blob_put(struct content *c, struct str bytes, char digest[CONTENT_DIGEST_MAX],
                     struct err *e)
{
    char name[UPLOAD_ID_MAX] = "put";
    SCOPED(closep) int fd = -1;

    if (content_digest_of(bytes, STR("sha256"), digest, e) < 0) {
        return -1;
    }
    random_name(name + 3, 24);
    fd = openat(c->uploads, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "create uploads/%s", name);
    }
    if (fs_write_all(fd, bytes, e) < 0 ||
        content_publish(c, name, fd, (int64_t)bytes.len, digest, e) < 0) {
        (void)unlinkat(c->uploads, name, 0);
        return -1;
    }
    return 0;
}
