#include "rootfs/rootfs_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define IN_BYTES (128 * KIB)
#define OUT_BYTES (256 * KIB)

struct stream {
    int fd;
    const struct filter *filter;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    bool inside; /* a gzip member or zstd frame has begun and not ended */
    bool ended;  /* the blob has been read to its end */
    uint64_t max_bytes, bytes;
    size_t in_len, in_at;
    struct sha256 hash;
    unsigned char *in, *out;
};

/* One row a compression, found by the first bytes. `next` fills out[] with up to OUT_BYTES. */
struct filter {
    const char *name;
    const char *magic;
    size_t magic_len;
    int (*begin)(struct stream *s, struct err *e);
    ssize_t (*next)(struct stream *s, struct err *e);
};

/* Refills in[] when it is used up. */
static int fill(struct stream *s, struct err *e)
{
    ssize_t n;

    if (s->in_at < s->in_len || s->ended) {
        return 0;
    }
    do {
        n = read(s->fd, s->in, IN_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_sys(e, "read the layer's blob");
    }
    s->ended = n == 0;
    s->in_at = 0;
    s->in_len = (size_t)n;
    return 0;
}

static ssize_t plain_next(struct stream *s, struct err *e)
{
    size_t n;

    if (fill(s, e) < 0) {
        return -1;
    }
    n = s->in_len - s->in_at;
    memcpy(s->out, s->in + s->in_at, n);
    s->in_at = s->in_len;
    return (ssize_t)n;
}

static int gzip_begin(struct stream *s, struct err *e)
{
    /* 15: the largest window; +16: gzip heads and checksums, nothing else. */
    if (inflateInit2(&s->gzip, 15 + 16) != Z_OK) {
        return err_set(e, ERR_INTERNAL, "zlib cannot start");
    }
    return 0;
}

/* A gzip file may have several members, one after the other (RFC 1952 section 2.2). */
static ssize_t gzip_next(struct stream *s, struct err *e)
{
    s->gzip.next_out = s->out;
    s->gzip.avail_out = OUT_BYTES;
    while (s->gzip.avail_out > 0) {
        int rc;

        if (fill(s, e) < 0) {
            return -1;
        }
        if (s->in_at == s->in_len) {
            break;
        }
        s->inside = true;
        s->gzip.next_in = s->in + s->in_at;
        s->gzip.avail_in = (unsigned)(s->in_len - s->in_at);
        rc = inflate(&s->gzip, Z_NO_FLUSH);
        s->in_at = s->in_len - s->gzip.avail_in;
        if (rc == Z_STREAM_END) {
            s->inside = false;
            (void)inflateReset(&s->gzip);
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return err_set(e, ERR_INVALID, "broken gzip: %s", s->gzip.msg ? s->gzip.msg : "?");
        }
    }
    return (ssize_t)(OUT_BYTES - s->gzip.avail_out);
}

static int zstd_begin(struct stream *s, struct err *e)
{
    s->zstd = ZSTD_createDCtx();
    return s->zstd ? 0 : err_set(e, ERR_INTERNAL, "zstd cannot start");
}

/* Frames follow each other, skippable ones too (RFC 8878 section 3). */
static ssize_t zstd_next(struct stream *s, struct err *e)
{
    ZSTD_outBuffer out = {s->out, OUT_BYTES, 0};

    while (out.pos < out.size) {
        ZSTD_inBuffer in;
        size_t rc, before = out.pos;

        if (fill(s, e) < 0) {
            return -1;
        }
        if (s->in_at == s->in_len && !s->inside) {
            break;
        }
        in = (ZSTD_inBuffer){s->in, s->in_len, s->in_at};
        rc = ZSTD_decompressStream(s->zstd, &out, &in);
        if (ZSTD_isError(rc)) {
            return err_set(e, ERR_INVALID, "broken zstd: %s", ZSTD_getErrorName(rc));
        }
        s->inside = rc != 0;
        if (in.pos == s->in_at && out.pos == before) {
            break; /* no input left and nothing held back */
        }
        s->in_at = in.pos;
    }
    return (ssize_t)out.pos;
}

static int refuse_begin(struct stream *s, struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "layer is compressed with %s; push it as plain tar, gzip or zstd",
                   s->filter->name);
}

static const struct filter filters[] = {
    {"gzip", "\x1f\x8b", 2, gzip_begin, gzip_next},
    {"zstd", "\x28\xb5\x2f\xfd", 4, zstd_begin, zstd_next},
    {"zstd", "\x50\x2a\x4d\x18", 4, zstd_begin, zstd_next}, /* a skippable frame comes first */
    {"xz",
     "\xfd"
     "7zXZ",
     5, refuse_begin, NULL},
    {"bzip2", "BZh", 3, refuse_begin, NULL},
};
static const struct filter plain = {"tar", "", 0, NULL, plain_next};

static int find_filter(struct stream *s, struct err *e)
{
    if (fill(s, e) < 0) {
        return -1;
    }
    s->filter = &plain;
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (s->in_len >= filters[i].magic_len &&
            memcmp(s->in, filters[i].magic, filters[i].magic_len) == 0) {
            s->filter = &filters[i];
            return s->filter->begin(s, e);
        }
    }
    return 0;
}

struct stream *stream_open(int fd, uint64_t max_bytes, struct err *e)
{
    SCOPED(stream_closep) struct stream *s = xnew(struct stream);

    s->fd = fd;
    s->max_bytes = max_bytes;
    s->in = xcalloc(1, IN_BYTES);
    s->out = xcalloc(1, OUT_BYTES);
    sha256_init(&s->hash);
    if (lseek(fd, 0, SEEK_SET) < 0) {
        err_sys(e, "seek in the layer's blob");
        return NULL;
    }
    if (find_filter(s, e) < 0) {
        return NULL;
    }
    return TAKE(s);
}

void stream_close(struct stream *s)
{
    if (s == NULL) {
        return;
    }
    if (s->filter && s->filter->begin == gzip_begin) {
        (void)inflateEnd(&s->gzip);
    }
    (void)ZSTD_freeDCtx(s->zstd);
    sha256_done(&s->hash);
    free(s->in);
    free(s->out);
    free(s);
}

ssize_t stream_next(struct stream *s, const void **block, struct err *e)
{
    ssize_t n = s->filter->next(s, e);

    if (n < 0) {
        return -1;
    }
    if (n == 0 && s->inside) {
        return err_set(e, ERR_INVALID, "the %s data is cut off", s->filter->name);
    }
    s->bytes += (uint64_t)n;
    if (s->bytes > s->max_bytes) {
        return err_set(e, ERR_LIMIT, "layer is larger than %llu bytes unpacked",
                       (unsigned long long)s->max_bytes);
    }
    sha256_add(&s->hash, s->out, (size_t)n);
    *block = s->out;
    return n;
}

uint64_t stream_bytes(const struct stream *s)
{
    return s->bytes;
}

void stream_digest(struct stream *s, unsigned char out[SHA256_BYTES])
{
    sha256_final(&s->hash, out);
}
