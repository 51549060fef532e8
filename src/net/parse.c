#include "net/parse.h"

#include "base/limits.h"

#include <string.h>

enum {
    CHUNK_LINE_MAX = 256,         /* size digits and extensions; nobody sends extensions */
    CHUNK_TRAILER_MAX = 4 * 1024, /* dropped anyway */
    CHUNK_SIZE_BITS = 59,         /* before the last digit, so that a size is below 2^63 */
    LENGTH_DIGITS = 18            /* Content-Length below 10^18 */
};

/* RFC 9110 5.6.2 */
static const bool token_char[256] = {
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true};

/* RFC 9110 5.5: visible, space, tab and obs-text */
static const bool value_char[256] = {['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xff] = true};

/* RFC 9112 3.2 sends URIs; we take all visible ASCII but the fragment, which never goes out */
static const bool target_char[256] = {['!' ... '"'] = true, ['$' ... '~'] = true};

/* reg-name and IPv4 of RFC 3986 without percent-encoding and sub-delims */
static const bool host_char[256] = {['0' ... '9'] = true, ['a' ... 'z'] = true,
                                    ['A' ... 'Z'] = true, ['-'] = true,
                                    ['.'] = true,         ['_'] = true};

static bool all_of(struct str s, const bool table[256])
{
    for (size_t i = 0; i < s.len; i++) {
        if (!table[(unsigned char)s.p[i]]) {
            return false;
        }
    }
    return true;
}

static int refuse(int status, const char *text, const char **why)
{
    *why = text;
    return -status;
}

/* --- where the head ends --- */

ssize_t http_head_scan(struct str in, size_t *scanned, const char **why)
{
    if (in.len > 0 && in.p[0] != '\r' && !token_char[(unsigned char)in.p[0]]) {
        return refuse(400, "the request line does not begin with a method (TLS on a plain port?)",
                      why);
    }
    while (*scanned < in.len) {
        const char *lf = memchr(in.p + *scanned, '\n', in.len - *scanned);
        size_t at;

        if (lf == NULL) {
            *scanned = in.len;
            break;
        }
        at = (size_t)(lf - in.p);
        if (at == 0 || in.p[at - 1] != '\r') {
            return refuse(400, "a line ends in a bare LF; lines end in CR LF", why);
        }
        *scanned = at + 1;
        /* RFC 9112 2.2: one empty line before the request line is forgiven */
        if (at >= 2 && in.p[at - 2] == '\n') {
            return at < LIMIT_HEAD_BYTES
                       ? (ssize_t)(at + 1)
                       : refuse(431, "the request head is larger than 32 KiB", why);
        }
    }
    if (in.len >= LIMIT_HEAD_BYTES) {
        return refuse(431, "the request head is larger than 32 KiB", why);
    }
    return 0;
}

/* --- the request line --- */

static enum http_method method_of(struct str s)
{
    for (int m = 0; m < HTTP_METHODS; m++) {
        if (str_eq_c(s, http_method_name((enum http_method)m))) {
            return (enum http_method)m;
        }
    }
    return HTTP_METHODS;
}

static int parse_version(struct str version, struct http_head *h, const char **why)
{
    if (str_eq(version, STR("HTTP/1.1"))) {
        h->minor = 1;
    } else if (str_eq(version, STR("HTTP/1.0"))) {
        h->minor = 0;
    } else if (version.len == 8 && str_starts(version, STR("HTTP/")) && version.p[6] == '.') {
        return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here", why);
    } else {
        return refuse(400, "the request line does not end in a protocol version", why);
    }
    h->keep_alive = h->minor == 1;
    return 0;
}

static int parse_request_line(struct str line, struct http_head *h, const char **why)
{
    struct str rest = line, method = str_cut(&rest, ' '), target = str_cut(&rest, ' ');

    if (rest.p == NULL || method.len == 0 || !all_of(method, token_char)) {
        return refuse(400, "the request line is not METHOD TARGET HTTP/1.1", why);
    }
    if (str_eq(line, STR("PRI * HTTP/2.0"))) {
        return refuse(400, "this is the HTTP/2 preface; HTTP/1.1 is spoken here", why);
    }
    if (target.len > LIMIT_TARGET_BYTES) {
        return refuse(414, "the request target is longer than 8 KiB", why);
    }
    if (target.len == 0 || !all_of(target, target_char)) {
        return refuse(400, "the request target holds a byte that must be percent-encoded", why);
    }
    h->method = method_of(method);
    h->target = target;
    return parse_version(rest, h, why);
}

/* --- header fields --- */

static bool valid_port(struct str port)
{
    uint64_t n;

    return port.len == 0 || (port.len <= 5 && str_to_u64(port, &n) == 0 && n <= 65535);
}

static bool valid_ipv6(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (strchr("0123456789abcdefABCDEF:.", s.p[i]) == NULL || s.p[i] == '\0') {
            return false;
        }
    }
    return s.len >= 2;
}

bool http_host_valid(struct str host)
{
    ptrdiff_t end;

    if (host.len > 0 && host.p[0] == '[') {
        end = str_find_char(host, ']');
        return end > 0 && valid_ipv6(str_n(host.p + 1, (size_t)end - 1)) &&
               (host.len == (size_t)end + 1 ||
                (host.p[end + 1] == ':' && valid_port(str_from(host, (size_t)end + 2))));
    }
    end = str_find_char(host, ':');
    if (end >= 0 && !valid_port(str_from(host, (size_t)end + 1))) {
        return false;
    }
    host = end < 0 ? host : str_first(host, (size_t)end);
    return host.len > 0 && host.len <= 255 && all_of(host, host_char);
}

static int take_host(struct http_head *h, struct str value, const char **why)
{
    if (h->host.p) {
        return refuse(400, "there is more than one Host header", why);
    }
    if (!http_host_valid(value)) {
        return refuse(400, "the Host header is not a host and port", why);
    }
    h->host = value;
    return 0;
}

static int take_length(struct http_head *h, struct str value, const char **why)
{
    uint64_t n;

    if (h->content_length >= 0) {
        return refuse(400, "there is more than one Content-Length header", why);
    }
    if (value.len == 0 || value.len > LENGTH_DIGITS || str_to_u64(value, &n) < 0) {
        return refuse(400, "Content-Length is not a number of bytes", why);
    }
    h->content_length = (int64_t)n;
    return 0;
}

static int take_encoding(struct http_head *h, struct str value, const char **why)
{
    if (h->chunked || !str_eq_nocase(value, STR("chunked"))) {
        return refuse(400, "Transfer-Encoding is not exactly \"chunked\"", why);
    }
    h->chunked = true;
    return 0;
}

static int take_connection(struct http_head *h, struct str value)
{
    struct str rest = value;

    while (rest.p) {
        struct str word = str_trim(str_cut(&rest, ','));

        h->says_close = h->says_close || str_eq_nocase(word, STR("close"));
        h->keep_alive = h->keep_alive || str_eq_nocase(word, STR("keep-alive"));
    }
    h->keep_alive = h->keep_alive && !h->says_close; /* close wins: RFC 9112 9.3 */
    return 0;
}

static int take_expect(struct http_head *h, struct str value, const char **why)
{
    if (!str_eq_nocase(value, STR("100-continue"))) {
        return refuse(417, "Expect is not \"100-continue\"", why);
    }
    h->expects_continue = h->minor == 1; /* RFC 9110 10.1.1: a 1.0 client is not asked */
    return 0;
}

/* The fields that decide framing; the others are for the handlers. */
static int take_field(struct http_head *h, struct str name, struct str value, const char **why)
{
    switch (name.len) {
    case 4:
        return str_eq_nocase(name, STR("host")) ? take_host(h, value, why) : 0;
    case 6:
        return str_eq_nocase(name, STR("expect")) ? take_expect(h, value, why) : 0;
    case 10:
        return str_eq_nocase(name, STR("connection")) ? take_connection(h, value) : 0;
    case 14:
        return str_eq_nocase(name, STR("content-length")) ? take_length(h, value, why) : 0;
    case 17:
        return str_eq_nocase(name, STR("transfer-encoding")) ? take_encoding(h, value, why) : 0;
    default:
        return 0;
    }
}

static int parse_field(struct str line, struct http_head *h, const char **why)
{
    size_t colon = 0;
    struct str name, value;

    while (colon < line.len && token_char[(unsigned char)line.p[colon]]) {
        colon++;
    }
    if (colon == 0 && (line.p[0] == ' ' || line.p[0] == '\t')) {
        return refuse(400, "a header line is folded (begins with white space)", why);
    }
    if (colon == 0 || colon == line.len || line.p[colon] != ':') {
        return refuse(400, "a header line is not \"Name: value\"", why);
    }
    name = str_first(line, colon);
    value = str_trim(str_from(line, colon + 1));
    if (!all_of(value, value_char)) {
        return refuse(400, "a header value holds a control byte", why);
    }
    if (h->n_headers == h->max_headers) {
        return refuse(431, "there are more than 100 header lines", why);
    }
    h->headers[h->n_headers++] = (struct http_header){name, value};
    return take_field(h, name, value, why);
}

/* RFC 9112 6.1 and 6.3: what would let two readers see two different bodies */
static int check_framing(const struct http_head *h, const char **why)
{
    if (h->host.p == NULL && h->minor == 1) {
        return refuse(400, "there is no Host header", why);
    }
    if (h->chunked && h->content_length >= 0) {
        return refuse(400, "Content-Length and Transfer-Encoding exclude each other", why);
    }
    if (h->chunked && h->minor == 0) {
        return refuse(400, "HTTP/1.0 has no Transfer-Encoding", why);
    }
    return 0;
}

/* Without its CR LF, whose presence http_head_scan has seen. */
static struct str next_line(struct str *rest)
{
    const char *lf = memchr(rest->p, '\n', rest->len);
    struct str line = str_n(rest->p, (size_t)(lf - rest->p) - 1);

    *rest = str_from(*rest, line.len + 2);
    return line;
}

int http_head_parse(struct str in, struct http_head *out, const char **why)
{
    struct http_head h = {
        .headers = out->headers, .max_headers = out->max_headers, .content_length = -1};
    struct str rest = in, line;
    int rc;

    if (str_starts(rest, STR("\r\n"))) {
        rest = str_from(rest, 2);
    }
    line = next_line(&rest);
    rc = parse_request_line(line, &h, why);
    while (rc == 0 && rest.len > 2) {
        rc = parse_field(next_line(&rest), &h, why);
    }
    rc = rc == 0 ? check_framing(&h, why) : rc;
    if (rc == 0) {
        *out = h;
    }
    return rc;
}

/* --- chunked bodies, RFC 9112 7.1 --- */

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_byte(struct chunk_decoder *d, unsigned char c)
{
    int digit = hex_value(c);

    if (digit >= 0) {
        if (d->left >> CHUNK_SIZE_BITS) {
            return -1;
        }
        d->left = d->left << 4 | (unsigned)digit;
        d->state = CHUNK_SIZE;
        return 0;
    }
    if (d->state == CHUNK_SIZE_FIRST) {
        return -1;
    }
    d->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    return c == ';' || c == '\r' ? 0 : -1;
}

static int line_feed(struct chunk_decoder *d, unsigned char c, enum chunk_state next)
{
    d->state = next;
    return c == '\n' ? 0 : -1;
}

static int trailer_byte(struct chunk_decoder *d, unsigned char c)
{
    if (++d->trailer_len > CHUNK_TRAILER_MAX) {
        return -1;
    }
    if (d->state == CHUNK_TRAILER_VALUE) {
        d->state = c == '\r' ? CHUNK_TRAILER_LF : CHUNK_TRAILER_VALUE;
        return c == '\r' || value_char[c] ? 0 : -1;
    }
    if (c == '\r' && d->state == CHUNK_TRAILER_FIRST) {
        d->state = CHUNK_LAST_LF;
        return 0;
    }
    if (c == ':' && d->state == CHUNK_TRAILER_NAME) {
        d->state = CHUNK_TRAILER_VALUE;
        return 0;
    }
    d->state = CHUNK_TRAILER_NAME;
    return token_char[c] ? 0 : -1;
}

static int framing_byte(struct chunk_decoder *d, unsigned char c)
{
    switch (d->state) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return ++d->line_len > CHUNK_LINE_MAX ? -1 : size_byte(d, c);
    case CHUNK_EXTENSION:
        d->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return ++d->line_len > CHUNK_LINE_MAX || (c != '\r' && !value_char[c]) ? -1 : 0;
    case CHUNK_SIZE_LF:
        return line_feed(d, c, d->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_FIRST);
    case CHUNK_DATA_CR:
        d->state = CHUNK_DATA_LF;
        return c == '\r' ? 0 : -1;
    case CHUNK_DATA_LF:
        d->line_len = 0;
        return line_feed(d, c, CHUNK_SIZE_FIRST);
    case CHUNK_TRAILER_FIRST:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE:
        return trailer_byte(d, c);
    case CHUNK_TRAILER_LF:
        return line_feed(d, c, CHUNK_TRAILER_FIRST);
    case CHUNK_LAST_LF:
        return line_feed(d, c, CHUNK_DONE);
    case CHUNK_DATA:
    case CHUNK_DONE:
        break;
    }
    return -1;
}

void chunk_took(struct chunk_decoder *d, size_t n)
{
    d->left -= n;
    if (d->left == 0) {
        d->state = CHUNK_DATA_CR;
    }
}

int chunk_next(struct chunk_decoder *d, struct str in, size_t max, size_t *used, struct str *data)
{
    size_t at = 0;

    *data = STR_EMPTY;
    while (at < in.len && d->state != CHUNK_DATA && d->state != CHUNK_DONE) {
        if (framing_byte(d, (unsigned char)in.p[at++]) < 0) {
            return -1;
        }
    }
    if (d->state == CHUNK_DATA && at < in.len) {
        size_t n = in.len - at < max ? in.len - at : max;

        n = n < d->left ? n : (size_t)d->left;
        *data = str_n(in.p + at, n);
        at += n;
        chunk_took(d, n);
    }
    *used = at;
    return 0;
}
