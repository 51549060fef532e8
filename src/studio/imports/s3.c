/* An object of an S3-compatible store: path-style addresses, signed requests. */
#include "imports/imports_priv.h"
#include "imports/listing.h"
#include "imports/sigv4.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PAGES_MAX = 1000, PAGE_BYTES = 4 * 1024 * 1024 };

struct store {
    const struct import_order *order;
    struct fetch *fetch;
    struct str secret;
    char host[300];  /* with the port */
    struct buf base; /* "/bucket", encoded */
};

static void store_done(struct store *s)
{
    fetch_free(s->fetch);
    buf_done(&s->base);
}

static int store_open(struct store *s, struct err *e)
{
    struct str rest = str_of(import_text(s->order, "endpoint")), host;
    bool is_safe = str_starts(rest, STR("https://"));

    rest = str_from(rest, is_safe ? 8 : 7);
    host = str_cut(&rest, '/');
    if (rest.p && rest.len > 0) {
        return err_set(e, ERR_INVALID,
                       "endpoint: '%s' has a path: give host and port, the bucket apart",
                       import_text(s->order, "endpoint"));
    }
    /* As clients write the header: without the port that the scheme has anyway. */
    if (str_ends(host, is_safe ? STR(":443") : STR(":80"))) {
        host.len -= is_safe ? 4 : 3;
    }
    if (str_copy(host, s->host, sizeof(s->host)) < 0) {
        return err_set(e, ERR_INVALID, "endpoint: the host's name is too long");
    }
    s->secret = str_trim(s->order->secret);
    s->base.max = 4 * KIB;
    (void)buf_add_c(&s->base, "/");
    sigv4_encode(str_of(import_text(s->order, "bucket")), SIGV4_SLASH_ENCODED, &s->base);
    s->fetch = import_client(s->order, e);
    return s->fetch ? 0 : -1;
}

static void now(char out[17])
{
    time_t at = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    (void)strftime(out, 17, "%Y%m%dT%H%M%SZ", gmtime_r(&at, &tm));
}

/* One GET; `c` NULL: the answer is kept. */
static int ask(struct store *s, const char *path, const char *query, struct counted *c,
               struct fetch_answer *out, struct err *e)
{
    SCOPED(buf_done) struct buf url = BUF_MAX(64 * KIB);
    SCOPED(buf_done) struct buf authorization = BUF_MAX(4 * KIB);
    struct fetch_request q = {.answer_max = PAGE_BYTES};
    const char *key = import_text(s->order, "access_key");
    char date[17];

    now(date);
    (void)buf_printf(&url, "%s://%s%s%s%s",
                     str_starts(str_of(import_text(s->order, "endpoint")), STR("https")) ? "https"
                                                                                         : "http",
                     s->host, path, *query ? "?" : "", query);
    if (url.failed) {
        return err_set(e, ERR_INVALID, "the key is too long for an address");
    }
    q.url = url.p;
    if (*key) {
        sigv4_authorization(&(struct sigv4){.access_key = key,
                                            .region = import_text(s->order, "region"),
                                            .secret = s->secret,
                                            .host = s->host,
                                            .path = path,
                                            .query = query,
                                            .date = date},
                            &authorization);
        q.headers[q.n_headers++] =
            (struct fetch_header){"Authorization", authorization.p ? authorization.p : ""};
        q.headers[q.n_headers++] = (struct fetch_header){"x-amz-content-sha256", SIGV4_NO_BODY};
        q.headers[q.n_headers++] = (struct fetch_header){"x-amz-date", date};
    }
    return import_get(s->fetch, s->order, c, &q, out, e);
}

/* <Code>NoSuchKey</Code> of an error's document. */
static struct str code_of(const struct fetch_answer *a)
{
    struct str code = listing_element(buf_str(&a->body), "Code");

    for (size_t i = 0; i < code.len; i++) {
        char c = code.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
            return STR_EMPTY;
        }
    }
    return str_first(code, 60);
}

static int status_of(const struct fetch_answer *a, const char *what, struct err *e)
{
    return a->status == 200 ? 0 : import_status(a->status, what, code_of(a), e);
}

/* One page of the keys that begin with `prefix`; `token` goes from page to page. */
static int ask_page(struct store *s, struct str token, struct listing *l, struct err *e)
{
    SCOPED(buf_done) struct buf query = BUF_MAX(32 * KIB);
    struct fetch_answer got;
    int rc;

    if (token.len > 0) {
        (void)buf_add_c(&query, "continuation-token=");
        sigv4_encode(token, SIGV4_SLASH_ENCODED, &query);
        (void)buf_add_c(&query, "&");
    }
    (void)buf_add_c(&query, "encoding-type=url&list-type=2&prefix=");
    sigv4_encode(str_of(import_text(s->order, "prefix")), SIGV4_SLASH_ENCODED, &query);
    rc = query.failed ? err_set(e, ERR_INVALID, "the prefix is too long") : 0;
    if (rc < 0) {
        return -1;
    }
    rc = ask(s, s->base.p, query.p, NULL, &got, e);
    if (rc == 0) {
        rc = status_of(&got, "the bucket", e);
    }
    if (rc == 0) {
        rc = listing_read(buf_str(&got.body), l, e);
    }
    fetch_answer_done(&got);
    return rc;
}

/* The last key of all pages. */
static int find_last(struct store *s, struct listing *l, struct err *e)
{
    for (int page = 0; page < PAGES_MAX; page++) {
        SCOPED(buf_done) struct buf token = BUF_MAX(16 * KIB);

        (void)buf_add(&token, buf_str(&l->token));
        buf_clear(&l->token);
        if (ask_page(s, buf_str(&token), l, e) < 0) {
            return -1;
        }
        if (l->token.len > 0 && str_eq(buf_str(&l->token), buf_str(&token))) {
            return err_set(e, ERR_INVALID,
                           "the store lists the same keys again and again: give 'key' instead of "
                           "'prefix', or look at the store");
        }
        if (l->token.len == 0) {
            return l->last.len > 0
                       ? 0
                       : err_set(e, ERR_NOT_FOUND, "no key of the bucket begins with '%s'",
                                 import_text(s->order, "prefix"));
        }
    }
    return err_set(e, ERR_LIMIT, "more than %d pages of keys begin with '%s': make it longer",
                   PAGES_MAX, import_text(s->order, "prefix"));
}

static int bring_key(struct store *s, struct str key, struct err *e)
{
    SCOPED(buf_done) struct buf path = BUF_MAX(32 * KIB);
    struct counted c = counted_of(s->order);
    struct fetch_answer got;
    char what[200];
    int rc;

    (void)buf_add(&path, buf_str(&s->base));
    (void)buf_add_c(&path, "/");
    sigv4_encode(key, SIGV4_SLASH_KEPT, &path);
    if (path.failed) {
        return err_set(e, ERR_INVALID, "the key is too long");
    }
    (void)snprintf(what, sizeof(what), "%.*s", STR_ARG(str_first(key, sizeof(what) - 1)));
    rc = ask(s, path.p, "", &c, &got, e);
    if (rc == 0) {
        rc = status_of(&got, what, e);
    }
    fetch_answer_done(&got);
    return rc;
}

int s3_bring(const struct import_order *o, struct err *e)
{
    SCOPED(store_done) struct store s = {.order = o};
    SCOPED(listing_done) struct listing l = LISTING;
    const char *key = import_text(o, "key");

    if (store_open(&s, e) < 0) {
        return -1;
    }
    if (*key) {
        return bring_key(&s, str_of(key), e);
    }
    return find_last(&s, &l, e) < 0 ? -1 : bring_key(&s, buf_str(&l.last), e);
}
