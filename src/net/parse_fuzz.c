/* Heads and chunked bodies. Beyond not crashing: bytes that come one at a time mean the same as
 * bytes that come together, and payload never exceeds what came in. */
#include "base/limits.h"
#include "net/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t scan_bytewise(struct str in)
{
    const char *why;
    size_t scanned = 0;

    for (size_t n = 1; n <= in.len; n++) {
        ssize_t rc = http_head_scan(str_first(in, n), &scanned, &why);

        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static size_t decode(struct str in, size_t step, char *out, int *rc)
{
    struct chunk_decoder d = {0};
    size_t at = 0, len = 0, used;

    *rc = 0;
    while (at < in.len && d.state != CHUNK_DONE && *rc == 0) {
        struct str data;

        *rc = chunk_next(&d, str_first(str_from(in, at), step), step, &used, &data);
        if (*rc == 0) {
            memcpy(out + len, data.p, data.len);
            len += data.len;
            at += used;
        }
    }
    *rc = *rc < 0 ? -1 : (int)d.state;
    return len;
}

static void check_chunks(struct str in)
{
    char *whole = malloc(in.len + 1), *single = malloc(in.len + 1);
    int rc_whole, rc_single;
    size_t n = decode(in, SIZE_MAX, whole, &rc_whole), m = decode(in, 1, single, &rc_single);

    if (rc_whole != rc_single || n > in.len ||
        (rc_whole >= 0 && (n != m || memcmp(whole, single, n) != 0))) {
        abort();
    }
    free(whole);
    free(single);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_header headers[LIMIT_HEADERS];
    struct http_head h = {.headers = headers, .max_headers = LIMIT_HEADERS};
    struct str in = str_n((const char *)data, size);
    const char *why = NULL;
    size_t scanned = 0;
    ssize_t len = http_head_scan(in, &scanned, &why);

    if (size < 4096 && scan_bytewise(in) != len) {
        abort();
    }
    if (len > 0) {
        int rc = http_head_parse(str_first(in, (size_t)len), &h, &why);

        if (rc < 0 ? why == NULL : (h.chunked && h.content_length >= 0)) {
            abort();
        }
        in = str_from(in, (size_t)len);
    }
    check_chunks(in);
    return 0;
}
