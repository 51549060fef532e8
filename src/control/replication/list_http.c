#include "list_http.h"

#include "base/limits.h"

#include <string.h>

bool listing_is_full(struct listing *l)
{
    if (l->n == l->limit) {
        l->next = l->last;
        return true;
    }
    l->n++;
    return false;
}

int list_reply(struct http_req *req, struct state *s, state_fn *fn, void *ctx, struct err *e)
{
    struct buf body = BUF_MAX(16 * MIB);
    struct jw w = JW(&body);
    struct str after = http_query(req, "after");
    struct listing l = {
        .a = &req->arena, .w = &w, .after = after.p ? after : STR_EMPTY, .ctx = ctx};
    int result;

    if (http_query_i64(req, "limit", 100, 1, LIMIT_LIST_ROWS, &l.limit, e) < 0 ||
        http_query_filter(req, &l.q, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = state_read(s, fn, &l, e);
    jw_end(&w);
    jw_kv_str_or_null(&w, "next", l.next);
    jw_end(&w);
    if (result == 0) {
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&body);
    return result;
}

int thing_name_check(struct str name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES && strchr("._-", name.p[0]) == NULL;

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.p[i];

        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             (c != '\0' && strchr("._-", c) != NULL);
    }
    return ok ? 0
              : err_set(e, ERR_INVALID,
                        "name: 1 to %d of a-z 0-9 . _ -, beginning with a letter or a digit",
                        LIMIT_NAME_BYTES);
}

int number_of(struct str text, int64_t def, int64_t *out, struct err *e)
{
    uint64_t n;

    *out = def;
    if (text.p == NULL || text.len == 0) {
        return 0;
    }
    if (str_to_u64(text, &n) < 0 || n > INT64_MAX) {
        return err_set(e, ERR_INVALID, "'%.*s' is no number", STR_ARG(str_first(text, 32)));
    }
    *out = (int64_t)n;
    return 0;
}
