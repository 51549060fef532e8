#include "pipeline/image.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "content/content.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAR_BLOCK = 512, CHUNK = 256 * 1024 };
#define UPLOAD_ID "strataml"

/* POSIX.1-2001 ustar: one file, root's, everybody may run it, of no time. */
static void tar_head(int64_t size, char h[TAR_BLOCK])
{
    unsigned sum = 0;

    memset(h, 0, TAR_BLOCK);
    (void)snprintf(h, 100, "%s", &STEP_PROGRAM[1]);
    memcpy(h + 100, "0000755", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    (void)snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    memcpy(h + 136, "00000000000", 12);
    memcpy(h + 148, "        ", 8);
    h[156] = '0';
    memcpy(h + 257, "ustar", 6);
    memcpy(h + 263, "00", 2);
    for (int i = 0; i < TAR_BLOCK; i++) {
        sum += (unsigned char)h[i];
    }
    (void)snprintf(h + 148, 8, "%06o", sum);
}

typedef int take_fn(void *ctx, struct str bytes, struct err *e);

static int take_hash(void *ctx, struct str bytes, struct err *e UNUSED)
{
    sha256_add(ctx, bytes.p, bytes.len);
    return 0;
}

static int take_blob(void *ctx, struct str bytes, struct err *e)
{
    return content_writer_add(ctx, bytes, e);
}

/* The layer, piece by piece. */
static int write_tar(int fd, take_fn *take, void *ctx, struct err *e)
{
    static const char zeros[2 * TAR_BLOCK];
    SCOPED(freep) char *chunk = xcalloc(1, CHUNK);
    char head[TAR_BLOCK];
    struct stat st;
    int64_t at = 0;

    if (fstat(fd, &st) < 0) {
        return err_sys(e, "strata-ml");
    }
    tar_head(st.st_size, head);
    if (take(ctx, str_n(head, TAR_BLOCK), e) < 0) {
        return -1;
    }
    while (at < st.st_size) {
        int64_t left = st.st_size - at;
        ssize_t n = pread(fd, chunk, (size_t)(left < CHUNK ? left : CHUNK), at);

        if (n <= 0) {
            return err_sys(e, "read strata-ml");
        }
        if (take(ctx, str_n(chunk, (size_t)n), e) < 0) {
            return -1;
        }
        at += n;
    }
    if (at % TAR_BLOCK > 0 &&
        take(ctx, str_n(zeros, (size_t)(TAR_BLOCK - at % TAR_BLOCK)), e) < 0) {
        return -1;
    }
    return take(ctx, str_n(zeros, sizeof(zeros)), e);
}

static int digest_of(int fd, char out[136], struct err *e)
{
    struct sha256 hash;
    unsigned char sum[SHA256_BYTES];
    int rc;

    sha256_init(&hash);
    rc = write_tar(fd, take_hash, &hash, e);
    if (rc == 0) {
        sha256_final(&hash, sum);
        memcpy(out, "sha256:", 7);
        hex_encode(sum, sizeof(sum), out + 7);
    }
    sha256_done(&hash);
    return rc;
}

static int keep(struct content *c, int fd, const char *digest, struct err *e)
{
    struct content_writer *w;
    struct err none;
    int64_t size;

    if (content_blob_size(c, digest, &size, &none) == 0) {
        return 0;
    }
    (void)!content_upload_delete(c, UPLOAD_ID, &none); /* of a start that was interrupted */
    w = content_writer_new(c, UPLOAD_ID, e);
    if (w == NULL) {
        return -1;
    }
    if (write_tar(fd, take_blob, w, e) < 0 || content_writer_commit(w, digest, &size, e) < 0) {
        content_writer_close(w);
        return -1;
    }
    return 0;
}

int step_image_make(struct content *c, int fd, struct step_image *out, struct err *e)
{
    static const char *none[] = {NULL};
    char digest[136];

    if (digest_of(fd, digest, e) < 0 || keep(c, fd, digest, e) < 0) {
        return err_wrap(e, "the image of strata-ml");
    }
    *out =
        (struct step_image){.image = {.n_layers = 1, .entrypoint = none, .cmd = none, .env = none}};
    memcpy(out->layer.digest, digest, sizeof(digest));
    memcpy(out->layer.diff_id, digest, sizeof(digest));
    memcpy(out->image.digest, digest, sizeof(digest));
    return 0;
}
