/* sigv4 - AWS Signature Version 4 of a GET without a body, for S3
 * (docs.aws.amazon.com, "Authenticating Requests: Using the Authorization Header").
 * Pure functions; nothing is kept. */
#pragma once
#include "base/buf.h"

/* SHA-256 of nothing. */
#define SIGV4_NO_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4 {
    const char *access_key, *region;
    struct str secret;
    const char *host;  /* as the header says it, with a port that is not the scheme's */
    const char *path;  /* encoded: sigv4_encode, slashes kept */
    const char *query; /* encoded, names in byte order; "" without */
    const char *date;  /* 20130524T000000Z */
};

/* The value of the header Authorization, which signs host, x-amz-content-sha256 and x-amz-date. */
void sigv4_authorization(const struct sigv4 *s, struct buf *out);
/* RFC 3986 unreserved characters stay, all others become %XX; '/' stays when asked to. */
enum sigv4_slash { SIGV4_SLASH_KEPT, SIGV4_SLASH_ENCODED };
void sigv4_encode(struct str s, enum sigv4_slash slash, struct buf *out);
