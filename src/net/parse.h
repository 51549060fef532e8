/* parse - the strict half of HTTP/1.1: heads and chunked framing, as pure functions over bytes.
 *
 *   bytes -> http_head_scan (where does the head end?) -> http_head_parse (what does it say?)
 *   bytes -> chunk_next (framing away, payload out)
 *
 * Two readers of one stream must never disagree about where a request ends (request smuggling), so
 * whatever RFC 9112 lets a recipient mend is refused here. Nothing is copied: all views point into
 * the input. Sources: RFC 9112 sections 2 to 7, RFC 9110 section 5. */
#pragma once
#include "net/http.h"

struct http_head {
    enum http_method method; /* HTTP_METHODS: a token that we do not know */
    struct str target;       /* as sent */
    unsigned minor;          /* HTTP/1.0 or HTTP/1.1 */
    struct http_header *headers;
    size_t n_headers;
    size_t max_headers;     /* of `headers`: both set by the caller */
    struct str host;        /* empty only in HTTP/1.0 */
    int64_t content_length; /* -1: none */
    bool chunked;
    bool keep_alive, says_close;
    bool expects_continue;
};

/* Looks for the end of a head. `*scanned` starts at 0 and is kept by the caller between calls with
 * a growing input, so that no byte is looked at twice. Returns the length of the head with its
 * empty line, 0 when more bytes are needed, or minus the status to refuse with; *why then says it.
 */
ssize_t http_head_scan(struct str in, size_t *scanned, const char **why);

/* `in` is a whole head as found by http_head_scan. 0, or minus the status to refuse with. */
int http_head_parse(struct str in, struct http_head *out, const char **why);

/* host [":" port] as in RFC 9110 7.2, without user information. */
bool http_host_valid(struct str host);

enum chunk_state {
    CHUNK_SIZE_FIRST, /* the zero value: before the first digit */
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_DONE
};

struct chunk_decoder {
    enum chunk_state state;
    uint64_t left;        /* payload bytes to come in this chunk */
    unsigned line_len;    /* of the size line */
    unsigned trailer_len; /* of all trailers */
};

/* Goes over framing up to the next run of payload, of which at most `max` bytes become *data (empty
 * when there is none yet). *used counts all bytes eaten, payload included. 0, or -1: bad framing.
 * The end is d->state == CHUNK_DONE. */
int chunk_next(struct chunk_decoder *d, struct str in, size_t max, size_t *used, struct str *data);
/* n payload bytes were taken past the decoder (straight from the socket); n <= d->left. */
void chunk_took(struct chunk_decoder *d, size_t n);
