/* Files as answers: conditions (RFC 9110 13), one range (14), sendfile. */
#include "net/net_priv.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct range {
    int64_t first, len;
};

enum range_kind { RANGE_NONE, RANGE_ONE, RANGE_BAD };

/* --- conditions --- */

/* Weak comparison of one entity tag with a list: RFC 9110 8.8.3.2. */
static bool etag_in_list(struct str list, struct str etag)
{
    while (list.p) {
        struct str tag = str_trim(str_cut(&list, ','));

        if (str_eq(tag, STR("*"))) {
            return true;
        }
        if (str_starts(tag, STR("W/"))) {
            tag = str_from(tag, 2);
        }
        if (str_eq(tag, etag)) {
            return true;
        }
    }
    return false;
}

/* IMF-fixdate only; the obsolete forms count as "not given". Seconds, or -1. */
static int64_t parse_date(struct str s)
{
    struct tm tm = {0};
    char text[40];
    const char *end;

    if (str_copy(s, text, sizeof(text)) < 0) {
        return -1;
    }
    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return end && *end == '\0' ? (int64_t)timegm(&tm) : -1;
}

bool http_not_modified(const struct http_req *r, const char *etag)
{
    struct str none_match = http_header(r, "If-None-Match");

    return none_match.p && etag_in_list(none_match, str_of(etag));
}

static bool not_modified(const struct http_req *r, const struct http_file *f)
{
    struct str since = http_header(r, "If-Modified-Since");

    if (http_header(r, "If-None-Match").p) {
        return f->etag && http_not_modified(r, f->etag);
    }
    return since.p && f->modified_ms > 0 && parse_date(since) >= f->modified_ms / 1000;
}

/* RFC 9110 13.1.1 (strong comparison) and 13.1.4: a download that goes on must not mix two files.
 */
static bool precondition_holds(const struct http_req *r, const struct http_file *f)
{
    struct str list = http_header(r, "If-Match");
    struct str since = http_header(r, "If-Unmodified-Since");

    if (list.p == NULL) {
        return since.p == NULL || f->modified_ms == 0 || parse_date(since) < 0 ||
               f->modified_ms / 1000 <= parse_date(since);
    }
    while (list.p) {
        struct str tag = str_trim(str_cut(&list, ','));

        if (str_eq_c(tag, "*") || (f->etag && str_eq_c(tag, f->etag))) {
            return true;
        }
    }
    return false;
}

/* If-Range: only the very same representation may be continued (strong comparison). */
static bool range_applies(const struct http_req *r, const struct http_file *f)
{
    struct str condition = http_header(r, "If-Range");

    if (condition.p == NULL) {
        return true;
    }
    if (condition.len > 0 && condition.p[0] == '"') {
        return f->etag && str_eq_c(condition, f->etag);
    }
    return f->modified_ms > 0 && parse_date(condition) == f->modified_ms / 1000;
}

/* --- ranges --- */

/* "first-last", "first-", "-suffix". Several ranges, other units and what we cannot read are
 * ignored, as RFC 9110 14.2 allows: the whole file is a right answer. */
static enum range_kind parse_range(struct str value, int64_t size, struct range *out)
{
    struct str last, first;
    uint64_t a = 0, b = INT64_MAX;

    if (!str_eq_nocase(str_first(value, 6), STR("bytes="))) {
        return RANGE_NONE;
    }
    last = str_trim(str_from(value, 6));
    if (str_find_char(last, ',') >= 0 || str_find_char(last, '-') < 0) {
        return RANGE_NONE;
    }
    first = str_cut(&last, '-');
    if ((first.len > 0 && str_to_u64(first, &a) < 0) ||
        (last.len > 0 && str_to_u64(last, &b) < 0) || (first.len == 0 && last.len == 0) ||
        (first.len > 0 && last.len > 0 && b < a)) {
        return RANGE_NONE;
    }
    if (first.len == 0) {
        a = b >= (uint64_t)size ? 0 : (uint64_t)size - b; /* "-0" asks for nothing: 416 */
        a = b == 0 ? (uint64_t)size : a;
        b = INT64_MAX;
    }
    if (a >= (uint64_t)size) {
        return RANGE_BAD;
    }
    b = b >= (uint64_t)size ? (uint64_t)size - 1 : b;
    *out = (struct range){(int64_t)a, (int64_t)(b - a + 1)};
    return RANGE_ONE;
}

/* --- headers --- */

static bool plain_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("._-+ ()=@,", c));
}

/* RFC 6266 with RFC 8187: the exact name in UTF-8, and a plain one for old clients. */
void http_set_attachment(struct http_req *r, const char *filename)
{
    struct buf plain = BUF_MAX(1024), exact = BUF_MAX(4096);

    for (const char *p = filename; *p; p++) {
        bool is_attr_char = plain_name_char(*p) && strchr(" ()=@,", *p) == NULL;

        (void)buf_add(&plain, plain_name_char(*p) ? str_n(p, 1) : STR("_"));
        if (is_attr_char) {
            (void)buf_add(&exact, str_n(p, 1));
        } else {
            (void)buf_printf(&exact, "%%%02X", (unsigned char)*p);
        }
    }
    if (!plain.failed && !exact.failed) {
        http_set_header(r, "Content-Disposition",
                        "attachment; filename=\"%s\"; filename*=UTF-8''%s", plain.p ? plain.p : "",
                        exact.p ? exact.p : "");
    }
    buf_done(&plain);
    buf_done(&exact);
}

static void set_file_headers(struct http_req *r, const struct http_file *f)
{
    char date[32];

    if (f->etag) {
        http_set_header(r, "ETag", "%s", f->etag);
    }
    if (f->modified_ms > 0) {
        http_set_header(r, "Last-Modified", "%s", clock_format_http(f->modified_ms, date));
    }
    if (f->filename) {
        http_set_attachment(r, f->filename);
    }
    http_set_header(r, "Accept-Ranges", "bytes");
}

static int send_grown(struct http_conn *c, const struct http_file *f, struct range part,
                      struct pace *pace, struct err *e)
{
    int64_t at = part.first, end = part.first + part.len;

    while (at < end) {
        int64_t to = f->grown(f->ctx, at, end, e);

        if (to < 0 || conn_send_file(c, f->fd, at, to - at, pace, e) < 0) {
            return -1;
        }
        at = to;
    }
    return 0;
}

static int send_part(struct http_req *r, int status, const struct http_file *f, struct range part,
                     struct err *e)
{
    struct exchange *x = r->conn->x;
    struct pace pace = {NET_STALL_MS}; /* of the whole answer, however many pieces it comes in */
    struct iovec iov;
    bool with_body;

    if (reply_head(x, status, f->type, part.len, e) < 0) {
        return -1;
    }
    with_body = !x->reply.no_body && part.len > 0;
    iov = (struct iovec){x->out.p, x->out.len};
    if (conn_send_all(x->conn, &iov, 1, with_body && !f->grown ? MSG_MORE : 0, e) < 0) {
        return -1;
    }
    if (with_body &&
        (f->grown ? send_grown(x->conn, f, part, &pace, e)
                  : conn_send_file(x->conn, f->fd, part.first, part.len, &pace, e)) < 0) {
        return -1;
    }
    x->reply.state = REPLY_SENT;
    return 0;
}

int http_reply_file(struct http_req *r, const struct http_file *f, struct err *e)
{
    struct str value = http_header(r, "Range");
    struct range part = {0, f->size_bytes};
    enum range_kind kind = RANGE_NONE;

    if (!precondition_holds(r, f)) {
        return http_reply_empty(r, 412, e);
    }
    if (not_modified(r, f)) {
        set_file_headers(r, f);
        return http_reply_empty(r, 304, e);
    }
    /* RFC 9110 14.2: ranges are defined for GET; HEAD answers as without one */
    if (value.p && r->method == HTTP_GET && range_applies(r, f)) {
        kind = parse_range(value, f->size_bytes, &part);
    }
    if (kind == RANGE_BAD) {
        http_set_header(r, "Content-Range", "bytes */%lld", (long long)f->size_bytes);
        return err_set(e, ERR_RANGE, "the range \"%.*s\" lies outside the %lld bytes there are",
                       STR_ARG(str_first(value, 64)), (long long)f->size_bytes);
    }
    set_file_headers(r, f);
    if (kind == RANGE_NONE) {
        return send_part(r, 200, f, part, e);
    }
    http_set_header(r, "Content-Range", "bytes %lld-%lld/%lld", (long long)part.first,
                    (long long)(part.first + part.len - 1), (long long)f->size_bytes);
    return send_part(r, 206, f, part, e);
}
