#include "content_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The rename into the shard is the last change of the inode, so ctime says how long the name has
 * been there; mtime would say when the last byte came. */
static bool is_older(int dir, const char *name, int64_t before_ms)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (int64_t)st.st_ctim.tv_sec * 1000 < before_ms;
}

static int walk(struct content *c, const char *alg, unsigned shard, int64_t before_ms,
                content_each *each, void *ctx, struct err *e)
{
    char path[16], name[300], digest[CONTENT_DIGEST_MAX];
    struct err no_blob;
    struct dirent *ent;
    int fd;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%02x", alg, shard);
    fd = openat(c->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        err_sys(e, "open shard %s", path);
        closep(&fd);
        return -1;
    }
    while ((ent = readdir(d))) {
        (void)snprintf(name, sizeof(name), "%s:%s", alg, ent->d_name);
        if (content_digest_parse(str_of(name), digest, &no_blob) == 0 &&
            is_older(fd, ent->d_name, before_ms)) {
            each(ctx, digest);
        }
    }
    (void)closedir(d);
    return 0;
}

int content_shard_each(struct content *c, unsigned shard, int64_t older_than_ms, content_each *each,
                       void *ctx, struct err *e)
{
    int64_t before_ms = clock_wall_ms() - older_than_ms;

    return walk(c, "sha256", shard, before_ms, each, ctx, e) < 0
               ? -1
               : walk(c, "sha512", shard, before_ms, each, ctx, e);
}
