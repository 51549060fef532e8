/* tar - heads of a POSIX pax archive (IEEE Std 1003.1-2017, pax, "pax Interchange Format").
 *
 * What the old head (ustar) cannot hold - names that are long or not ASCII, sizes from 8 GiB, times
 * with their nanoseconds - stands in a pax record before it. Names of any bytes are kept; ones that
 * are no UTF-8 are marked hdrcharset=BINARY. Everything belongs to root (0:0) without a name. Pure
 * functions: nothing is read or written. */
#pragma once
#include "base/buf.h"

#define TAR_BLOCK 512

enum tar_kind { TAR_FILE, TAR_DIR, TAR_LINK };

struct tar_entry {
    enum tar_kind kind;
    struct str name;     /* no slash at the end, also of directories */
    struct str link;     /* what a link says */
    uint64_t size_bytes; /* of a file: so many bytes follow, then tar_padding() zeros */
    int64_t modified_ns;
    unsigned mode; /* set-user-id and set-group-id are left out: owners are not kept */
};

/* Appends the blocks before the bytes. -1: `out` is too small. */
int tar_head(struct buf *out, const struct tar_entry *t);
/* Zeros after `size_bytes` bytes of a file, up to the end of a block. */
size_t tar_padding(uint64_t size_bytes);
/* Two blocks of zeros. */
int tar_end(struct buf *out);
