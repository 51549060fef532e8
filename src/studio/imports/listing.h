/* listing - the answer of S3's ListObjectsV2 with encoding-type=url, and errors: the few elements
 * that are asked for, found as text. Hostile input; nothing is recursive. */
#pragma once
#include "base/buf.h"

enum { LISTING_KEY_BYTES = 4096 };

struct listing {
    struct buf last;  /* the largest key in byte order so far, decoded */
    struct buf token; /* of the next page; empty: this was the last */
};
#define LISTING                                                                                    \
    {                                                                                              \
        .last = BUF_MAX(LISTING_KEY_BYTES), .token = BUF_MAX(LISTING_KEY_BYTES)                    \
    }

void listing_done(struct listing *l);
/* ERR_INVALID: it is no listing. */
int listing_read(struct str xml, struct listing *l, struct err *e) MUST_USE;
/* The text of the first element of that name without children; empty without. */
struct str listing_element(struct str xml, const char *name);
