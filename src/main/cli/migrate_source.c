/* The Harbor that is left: GET requests of its API v2.0, page after page. */
#include "main/cli/migrate.h"

#include "base/hash.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE_ROWS = 100, /* the most that Harbor gives */
    PAGE_BYTES_MAX = 32 * MIB,
    ROWS_MAX = 1000000, /* of one list: a Harbor of 90,000 tags in a repository is known */
    LIST_BYTES_MAX = 1024 * MIB,
    ANSWER_SEC = 300
};

struct source {
    struct fetch *fetch;
    char *url, *basic; /* no slash at the end; basic: header value or NULL */
};

struct source *source_open(const struct source_options *o, struct err *e)
{
    SCOPED(source_closep) struct source *s = xnew(struct source);
    SCOPED(buf_done) struct buf pair = BUF_MAX(16 * KIB);
    struct buf value = BUF_MAX(32 * KIB);

    s->url = xstrdup(o->url);
    if (o->user != NULL) {
        (void)buf_printf(&pair, "%s:%s", o->user, o->password);
        (void)buf_add_c(&value, "Basic ");
        (void)base64_add(&value, buf_str(&pair));
        s->basic = buf_take(&value);
        if (pair.len > 0) {
            explicit_bzero(pair.p, pair.len);
        }
    }
    s->fetch = fetch_new(&o->fetch, e);
    return s->fetch ? TAKE(s) : NULL;
}

void source_close(struct source *s)
{
    if (s == NULL) {
        return;
    }
    fetch_free(s->fetch);
    free(s->url);
    if (s->basic) {
        explicit_bzero(s->basic, strlen(s->basic));
    }
    free(s->basic);
    free(s);
}

/* The sentence that Harbor gives: {"errors":[{"code","message"}]}. */
static int refuse(const char *path, const struct fetch_answer *a, struct err *e)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *doc = json_parse(buf_str(&a->body), &ignored);
    const char *why = json_text(json_array_get(json_object_get(doc, "errors"), 0), "message");
    enum err_kind kind = a->status < 400 ? ERR_INVALID : err_kind_of_http(a->status);

    return err_set(e, kind, "the Harbor answers %d to GET %.200s%s%.200s%s", a->status, path,
                   why[0] ? ": " : "", why,
                   a->status == 401   ? " (is this its user and password?)"
                   : a->status == 403 ? " (an administrator of it may)"
                   : a->status >= 300 && a->status < 400
                       ? " (it leads to another address: name that one)"
                       : "");
}

static int ask(struct source *s, const char *path, struct fetch_answer *a, struct err *e)
{
    SCOPED(freep) char *url = xasprintf("%s/api/v2.0%s", s->url, path);
    struct fetch_request q = {.method = "GET",
                              .url = url,
                              .headers = {{"Accept", "application/json"}},
                              .n_headers = 1,
                              .answer_max = PAGE_BYTES_MAX,
                              .total_sec = ANSWER_SEC};

    if (str_starts(str_of(path), STR("/projects/"))) { /* a project may be called 2026 */
        q.headers[q.n_headers++] = (struct fetch_header){"X-Is-Resource-Name", "true"};
    }
    if (s->basic != NULL) {
        q.headers[q.n_headers++] = (struct fetch_header){"Authorization", s->basic};
    }
    if (fetch_do(s->fetch, &q, a, e) < 0) {
        return -1;
    }
    return a->status == 200 ? 0 : refuse(path, a, e);
}

static json_t *parse(const char *path, const struct fetch_answer *a, struct err *e)
{
    json_t *doc = json_parse(buf_str(&a->body), e);

    if (doc == NULL) {
        (void)err_wrap(e, "the Harbor's answer to %.200s", path);
    }
    return doc;
}

int source_get(struct source *s, const char *path, json_t **out, struct err *e)
{
    SCOPED(fetch_answer_done) struct fetch_answer a = {0};

    if (ask(s, path, &a, e) < 0) {
        return -1;
    }
    *out = parse(path, &a, e);
    return *out == NULL ? -1
           : json_is_object(*out)
               ? 0
               : err_set(e, ERR_INVALID, "the Harbor's answer to %.200s is no object", path);
}

static int each_row(const json_t *page, source_row *each, void *ctx, struct err *e)
{
    const json_t *row;
    size_t i;

    json_array_foreach(page, i, row)
    {
        if (json_is_object(row) && each(ctx, row, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* How many rows there are as it says; -1: it does not. */
static int64_t total_of(const struct fetch_answer *a)
{
    struct str text = fetch_answer_header(a, "X-Total-Count");
    uint64_t n;

    return text.p != NULL && str_to_u64(text, &n) == 0 && n <= INT64_MAX ? (int64_t)n : -1;
}

int source_each(struct source *s, const char *path, source_row *each, void *ctx, struct err *e)
{
    SCOPED(buf_done) struct buf before = BUF_MAX(PAGE_BYTES_MAX);
    int64_t seen = 0, bytes = 0;

    for (int page = 1;; page++) {
        SCOPED(freep)
        char *one = xasprintf("%s%cpage=%d&page_size=%d", path, strchr(path, '?') ? '&' : '?', page,
                              PAGE_ROWS);
        SCOPED(fetch_answer_done) struct fetch_answer a = {0};
        SCOPED(json_decrefp) json_t *rows = NULL;
        int64_t total;

        if (ask(s, one, &a, e) < 0 || (rows = parse(one, &a, e)) == NULL) {
            return -1;
        }
        if (json_array_size(rows) == 0) {
            return json_is_array(rows) || json_is_null(rows)
                       ? 0
                       : err_set(e, ERR_INVALID, "the Harbor's answer to %.200s is no list", one);
        }
        if (page > 1 && str_eq(buf_str(&before), buf_str(&a.body))) {
            return err_set(e, ERR_INVALID, "the Harbor gives the same page of %.200s again", path);
        }
        seen += (int64_t)json_array_size(rows);
        bytes += (int64_t)a.body.len;
        if (seen > ROWS_MAX || bytes > LIST_BYTES_MAX) {
            return err_set(e, ERR_LIMIT,
                           "the Harbor's list %.200s is longer than %d rows or %d MiB", path,
                           ROWS_MAX, (int)(LIST_BYTES_MAX / MIB));
        }
        if (each_row(rows, each, ctx, e) < 0) {
            return -1;
        }
        total = total_of(&a);
        if (total >= 0 ? seen >= total : json_array_size(rows) < PAGE_ROWS) {
            return 0;
        }
        buf_clear(&before);
        (void)buf_add(&before, buf_str(&a.body));
    }
}
