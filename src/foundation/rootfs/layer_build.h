/* layer_build - tars by hand, also such as no tar program would write. For tests only. */
#pragma once
#include "base/buf.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define TAR_MAX (64U << 20)

/* One row a tar entry; what is not given is 0 or a sensible default. */
struct tar_entry {
    const char *name;
    char type; /* ustar typeflag: 0 file, 1 hard link, 2 symlink, 3 char, 4 block, 5 dir, 6 fifo */
    const char *link;
    const char *data;
    unsigned mode; /* 0: 0644, directories 0755 */
    unsigned uid, gid;
    long mtime;
    size_t size;      /* 0: strlen(data) */
    const char *pax;  /* "key=value", one record for this entry */
    const char *pax2; /* another */
};

static inline void tar_header(struct buf *b, const struct tar_entry *t, size_t size)
{
    char h[512] = {0};
    unsigned sum = 0;
    unsigned mode = t->mode ? t->mode : t->type == '5' ? 0755 : 0644;

    memcpy(h, t->name, strnlen(t->name, 100));
    (void)snprintf(h + 100, 8, "%07o", mode);
    (void)snprintf(h + 108, 8, "%07o", t->uid);
    (void)snprintf(h + 116, 8, "%07o", t->gid);
    (void)snprintf(h + 124, 12, "%011zo", size);
    (void)snprintf(h + 136, 12, "%011lo", t->mtime);
    memset(h + 148, ' ', 8);
    h[156] = t->type ? t->type : '0';
    if (t->link) {
        memcpy(h + 157, t->link, strnlen(t->link, 100));
    }
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    if (t->type == '3' || t->type == '4') {
        (void)snprintf(h + 329, 8, "%07o", 1U); /* like /dev/null */
        (void)snprintf(h + 337, 8, "%07o", 3U);
    }
    for (size_t i = 0; i < sizeof(h); i++) {
        sum += (unsigned char)h[i];
    }
    (void)snprintf(h + 148, 8, "%06o", sum);
    (void)buf_add(b, str_n(h, sizeof(h)));
}

static inline void tar_body(struct buf *b, struct str data)
{
    static const char zeros[512];

    (void)buf_add(b, data);
    (void)buf_add(b, str_n(zeros, (512 - data.len % 512) % 512));
}

static inline void pax_record(struct buf *out, const char *record)
{
    size_t len = strlen(record) + 2, digits = 1;

    for (size_t total = len + digits; total >= 10; total /= 10) {
        digits++;
    }
    if ((size_t)snprintf(NULL, 0, "%zu", len + digits) != digits) {
        digits = (size_t)snprintf(NULL, 0, "%zu", len + digits);
    }
    (void)buf_printf(out, "%zu %s\n", len + digits, record);
}

static inline void tar_add(struct buf *b, const struct tar_entry *t)
{
    size_t size = t->size ? t->size : t->data ? strlen(t->data) : 0;

    if (t->pax) {
        struct buf x = BUF_MAX(1 << 20);

        pax_record(&x, t->pax);
        if (t->pax2) {
            pax_record(&x, t->pax2);
        }
        tar_header(b, &(struct tar_entry){.name = "pax", .type = 'x'}, x.len);
        tar_body(b, buf_str(&x));
        buf_done(&x);
    }
    tar_header(b, t, size);
    if (t->data) {
        tar_body(b, str_n(t->data, size));
    }
}

static inline void tar_end(struct buf *b)
{
    static const char zeros[1024];

    (void)buf_add(b, str_n(zeros, sizeof(zeros)));
}

static inline struct buf tar_of(const struct tar_entry *entries, size_t n)
{
    struct buf b = BUF_MAX(TAR_MAX);

    for (size_t i = 0; i < n; i++) {
        tar_add(&b, &entries[i]);
    }
    tar_end(&b);
    return b;
}

static inline struct buf gzip_of(struct str s)
{
    struct buf out = BUF_MAX(TAR_MAX);
    z_stream z = {0};

    (void)deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (unsigned char *)s.p;
    z.avail_in = (unsigned)s.len;
    z.avail_out = (unsigned)deflateBound(&z, s.len) + 64;
    z.next_out = (unsigned char *)buf_reserve(&out, z.avail_out);
    (void)deflate(&z, Z_FINISH);
    out.len = z.total_out;
    (void)deflateEnd(&z);
    return out;
}

static inline struct buf zstd_of(struct str s)
{
    struct buf out = BUF_MAX(TAR_MAX);
    size_t room = ZSTD_compressBound(s.len);

    out.len = ZSTD_compress(buf_reserve(&out, room), room, s.p, s.len, 3);
    return out;
}
