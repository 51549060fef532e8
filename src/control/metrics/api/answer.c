#include "metrics_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/number.h"
#include "promql/promql.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 64 * 1024, GZIP_FROM = 1024, GZIP_LEVEL = 1, GZIP_WINDOW = 15 + 16 };

static const char *truncated[] = {LIMIT_WARNING};
const struct promql_notes notes_truncated = {.warnings = truncated, .n_warnings = 1};

/* --- pieces of JSON --- */

void put_text(struct buf *out, struct str s)
{
    struct jw w = JW(out);

    jw_str(&w, s);
}

void put_labels(struct buf *out, struct labels s)
{
    (void)buf_add(out, STR("{"));
    for (size_t i = 0; i < s.len; i++) {
        if (i > 0) {
            (void)buf_add(out, STR(","));
        }
        put_text(out, s.p[i].name);
        (void)buf_add(out, STR(":"));
        put_text(out, s.p[i].value);
    }
    (void)buf_add(out, STR("}"));
}

void put_time(struct buf *out, int64_t ms)
{
    uint64_t abs = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;

    (void)buf_printf(out, abs % 1000 ? "%s%llu.%03u" : "%s%llu", ms < 0 ? "-" : "",
                     (unsigned long long)(abs / 1000), (unsigned)(abs % 1000));
}

void put_value(struct buf *out, double v)
{
    char text[NUMBER_TEXT_MAX];
    bool plain = v == 0 || !isfinite(v) || (fabs(v) >= 1e-6 && fabs(v) < 1e21);
    size_t n = plain ? number_plain(v, text) : number_short(v, text);

    (void)buf_add(out, STR("\""));
    (void)buf_add(out, str_n(text, n));
    (void)buf_add(out, STR("\""));
}

/* How Prometheus writes times of its own: with all digits of Go. */
void kv_time(struct jw *w, const char *key, int64_t ms)
{
    char when[32];

    jw_kv_c(w, key, ms == 0 ? "0001-01-01T00:00:00Z" : clock_format(ms, when));
}

void kv_duration(struct jw *w, const char *key, int64_t ms)
{
    char text[32];

    (void)snprintf(text, sizeof(text), ms % 1000 ? "%lldms" : "%llds",
                   (long long)(ms % 1000 ? ms : ms / 1000));
    jw_kv_c(w, key, text);
}

void kv_labels(struct jw *w, const char *key, struct labels s)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES);

    put_labels(&text, s);
    jw_key(w, key);
    jw_raw(w, buf_str(&text));
}

/* --- sending --- */

void answer_init(struct answer *a, struct http_req *req, const char *type)
{
    *a = (struct answer){.req = req,
                         .type = type,
                         .buf = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES),
                         .packed = BUF_MAX(LIMIT_ANSWER_PIECE_BYTES),
                         .gzip = http_takes(req, "Accept-Encoding", "gzip")};
}

void answer_done(struct answer *a)
{
    if (a->has_z) {
        (void)deflateEnd(&a->z);
        a->has_z = false;
    }
    buf_done(&a->buf);
    buf_done(&a->packed);
}

/* The buffer as gzip into `packed`. */
static int pack(struct answer *a, int flush, struct err *e)
{
    if (!a->has_z) {
        if (deflateInit2(&a->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
            return err_set(e, ERR_INTERNAL, "zlib cannot start");
        }
        a->has_z = true;
    }
    buf_clear(&a->packed);
    a->z.next_in = (Bytef *)a->buf.p;
    a->z.avail_in = (uInt)a->buf.len;
    do {
        char *room = buf_reserve(&a->packed, PIECE_BYTES);

        if (room == NULL) {
            return err_set(e, ERR_LIMIT, "a piece of the answer is too large");
        }
        a->z.next_out = (Bytef *)room;
        a->z.avail_out = PIECE_BYTES;
        (void)deflate(&a->z, flush);
        a->packed.len += PIECE_BYTES - a->z.avail_out;
    } while (a->z.avail_out == 0);
    return 0;
}

static int check(const struct answer *a, struct err *e)
{
    return a->buf.failed ? err_set(e, ERR_LIMIT, "one series of the answer takes more than %d MiB",
                                   (int)(LIMIT_ANSWER_PIECE_BYTES / MIB))
                         : 0;
}

static int send_piece(struct answer *a, int flush, struct err *e)
{
    if (check(a, e) < 0) {
        return -1;
    }
    if (!a->began) {
        a->began = true;
        http_set_header(a->req, "Vary", "Accept-Encoding");
        if (a->gzip) {
            http_set_header(a->req, "Content-Encoding", "gzip");
        }
        if (http_stream_begin(a->req, 200, a->type, e) < 0) {
            return -1;
        }
    }
    if (a->gzip && pack(a, flush, e) < 0) {
        return -1;
    }
    if (http_stream_write(a->req, buf_str(a->gzip ? &a->packed : &a->buf), e) < 0) {
        return -1;
    }
    buf_clear(&a->buf);
    return 0;
}

int answer_more(struct answer *a, struct err *e)
{
    return a->buf.len < PIECE_BYTES && !a->buf.failed ? 0 : send_piece(a, Z_NO_FLUSH, e);
}

int answer_end(struct answer *a, struct err *e)
{
    if (a->began) {
        return send_piece(a, Z_FINISH, e);
    }
    if (check(a, e) < 0) {
        return -1;
    }
    http_set_header(a->req, "Vary", "Accept-Encoding");
    if (!a->gzip || a->buf.len < GZIP_FROM) {
        return http_reply(a->req, 200, a->type, buf_str(&a->buf), e);
    }
    if (pack(a, Z_FINISH, e) < 0) {
        return -1;
    }
    http_set_header(a->req, "Content-Encoding", "gzip");
    return http_reply(a->req, 200, a->type, buf_str(&a->packed), e);
}

/* --- the envelope --- */

void answer_json(struct answer *a, struct http_req *req)
{
    answer_init(a, req, "application/json");
    (void)buf_add(&a->buf, STR("{\"status\":\"success\",\"data\":"));
}

static void add_notes(struct buf *out, const char *name, const char *const *notes, size_t n)
{
    if (n == 0) {
        return;
    }
    (void)buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        (void)buf_add(out, i > 0 ? STR(",") : STR_EMPTY);
        put_text(out, str_of(notes[i]));
    }
    (void)buf_add(out, STR("]"));
}

int answer_json_end(struct answer *a, const struct promql_notes *notes, struct err *e)
{
    if (notes != NULL) {
        add_notes(&a->buf, "warnings", notes->warnings, notes->n_warnings);
        add_notes(&a->buf, "infos", notes->infos, notes->n_infos);
    }
    (void)buf_add(&a->buf, STR("}"));
    return answer_end(a, e);
}

/* --- refusals --- */

static void write_error(struct buf *out, const char *type, const char *msg)
{
    (void)buf_printf(out, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", type);
    put_text(out, str_of(msg));
    (void)buf_add(out, STR("}"));
}

/* As Prometheus has them; the first three are of the way to a handler. */
static void error_body(const struct http_req *r UNUSED, int status, const struct err *e,
                       struct buf *out)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {{401, "unauthorized"}, {403, "forbidden"},   {413, "bad_data"},
                 {400, "bad_data"},     {404, "not_found"},   {405, "bad_data"},
                 {422, "execution"},    {503, "unavailable"}, {507, "unavailable"}};
    const char *type = "internal";

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        type = types[i].status == status ? types[i].type : type;
    }
    write_error(out, type, e->msg);
}

const struct http_style metrics_style = {.error_body = error_body};

int answer_refuse(struct http_req *req, const struct patience *p, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(8 * KIB);
    bool gone = p != NULL && p->why == CLIENT_IS_GONE;
    bool late = e->kind == ERR_TIMEOUT;

    if (e->kind == ERR_IO || e->kind == ERR_INTERNAL || e->kind == ERR_UNAVAILABLE) {
        return -1;
    }
    if (gone || late) {
        write_error(&b, gone ? "canceled" : "timeout",
                    gone ? "query was canceled in expression evaluation"
                    : p != NULL && p->why == TIME_IS_OVER
                        ? "query timed out in expression evaluation"
                        : e->msg);
    } else {
        write_error(&b, "execution", e->msg);
    }
    return http_reply(req, gone || late ? 503 : 422, "application/json", buf_str(&b), e);
}

int answer_ask(struct http_req *req, int (*how)(struct ask *a, struct answer *out, struct err *e),
               struct err *e)
{
    struct ask a = {0};
    struct answer out = {0};
    int result = ask_init(&a, req, e);

    if (result == 0) {
        answer_json(&out, req);
        result = how(&a, &out, e);
    }
    if (result == 0) {
        result = answer_json_end(&out, NULL, e);
    }
    answer_done(&out);
    ask_done(&a);
    return result;
}
