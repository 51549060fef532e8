/* url - request targets: which host, which path segments, which query (RFC 3986, and the form
 * encoding of WHATWG URL 5.1). Decoded text lives in the arena; what needs no decoding stays a view
 * of the input. */
#pragma once
#include "net/http.h"

enum { URL_SEGMENTS_MAX = 128, URL_PARAMS_MAX = 256 };

enum url_flags {
    URL_HAS_EMPTY = 1,    /* an empty segment before the last one */
    URL_HAS_DOTS = 2,     /* "." or "..", also when it was percent-encoded */
    URL_HAS_SLASH = 4,    /* %2F inside a segment */
    URL_ENDS_IN_SLASH = 8 /* the last segment is empty */
};

struct url {
    struct str authority; /* of an absolute form; else empty */
    struct str path;      /* decoded, begins with "/" */
    struct str query;     /* raw, without "?" */
    /* The decoded segments, all views into `path`, in order, one "/" between neighbours. */
    struct str *segments;
    size_t n_segments;
    unsigned flags;
};

/* Origin, absolute (http, https) and asterisk form; the last gives path "*" and no segments.
 * ERR_INVALID: bad escapes, %00, too many segments, another scheme, user information. */
int url_parse(struct arena *a, struct str target, struct url *out, struct err *e) MUST_USE;

/* "a=1&b=x%20y+z" in order; at most URL_PARAMS_MAX. */
int url_parse_form(struct arena *a, struct str text, const struct http_param **out, size_t *n,
                   struct err *e) MUST_USE;
