#include "list_http.h"

#include "base/limits.h"

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
