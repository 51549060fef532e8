/* range - the two header fields of an upload: Content-Range (RFC 9110 section 14.4, as a request)
 * and Content-Digest / Repr-Digest (RFC 9530, with the structured fields of RFC 8941). */
#pragma once
#include "base/hash.h"

/* "bytes a-b/total". Nothing comes and all is there: "bytes * /total" (without the space), or with
 * a == total and b == total - 1. */
struct volume_range {
    int64_t from;   /* first byte */
    int64_t length; /* bytes in this part; 0 for the second form, and then from == total */
    int64_t total;
};
int volume_range_parse(struct str value, struct volume_range *out, struct err *e) MUST_USE;

/* The sha-256 of the field `header` (named in errors). A field with other algorithms only is an
 * error, so that nobody believes something was checked. */
int volume_digest_parse(const char *header, struct str value, unsigned char out[SHA256_BYTES],
                        struct err *e) MUST_USE;
