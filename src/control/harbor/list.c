#include "harbor_priv.h"

#include <stdlib.h>

enum { PAGE_DEFAULT = 10, PAGE_MAX = 100, LIST_BYTES_MAX = 8 * 1024 * 1024 };

static int check_terms(const struct list *l, const char *const *keys, struct err *e)
{
    for (size_t i = 0; i < l->n_terms; i++) {
        size_t k = 0;

        while (keys[k] != NULL && !str_eq_c(l->terms[i].key, keys[k])) {
            k++;
        }
        if (keys[k] == NULL) {
            return err_set(e, ERR_INVALID, "q: this list cannot be asked for \"%.*s\"%s%s",
                           STR_ARG(str_first(l->terms[i].key, 64)), keys[0] ? ", but for " : "",
                           keys[0] ? keys[0] : "");
        }
    }
    return 0;
}

int harbor_list_begin(struct list *l, struct http_req *r, const char *const *keys, struct err *e)
{
    *l = (struct list){
        .r = r, .h = r->ctx, .sort = http_query(r, "sort"), .body = BUF_MAX(LIST_BYTES_MAX)};
    l->w = JW(&l->body);
    if (l->sort.p == NULL) {
        l->sort = STR_EMPTY;
    }
    if (http_query_i64(r, "page", 1, 1, INT32_MAX, &l->page, e) < 0 ||
        http_query_i64(r, "page_size", PAGE_DEFAULT, 1, PAGE_MAX, &l->size, e) < 0 ||
        harbor_terms(http_query(r, "q"), l->terms, &l->n_terms, e) < 0) {
        return -1;
    }
    l->offset = (l->page - 1) * l->size;
    return check_terms(l, keys, e);
}

struct str harbor_list_exact(const struct list *l, const char *key)
{
    for (size_t i = 0; i < l->n_terms; i++) {
        if (str_eq_c(l->terms[i].key, key) && !l->terms[i].is_fuzzy) {
            return l->terms[i].value;
        }
    }
    return (struct str){NULL, 0};
}

struct str harbor_list_part(const struct list *l, const char *key)
{
    for (size_t i = 0; i < l->n_terms; i++) {
        if (str_eq_c(l->terms[i].key, key) && l->terms[i].is_fuzzy) {
            return l->terms[i].value;
        }
    }
    return STR_EMPTY;
}

static void add_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
    }
}

/* RFC 8288: the same question for the page beside this one. */
static void add_link(struct list *l, struct buf *b, int64_t page, const char *rel)
{
    struct str rest = l->r->target;
    struct str path = str_cut(&rest, '?');

    buf_printf(b, "%s<%.*s?", b->len > 0 ? " , " : "", STR_ARG(path));
    for (size_t i = 0; i < l->r->n_query; i++) {
        const struct http_param *p = &l->r->query[i];

        if (!str_eq_c(p->name, "page") && !str_eq_c(p->name, "page_size")) {
            add_escaped(b, p->name);
            buf_add_c(b, "=");
            add_escaped(b, p->value);
            buf_add_c(b, "&");
        }
    }
    buf_printf(b, "page=%lld&page_size=%lld>; rel=\"%s\"", (long long)page, (long long)l->size,
               rel);
}

static void set_paging(struct list *l)
{
    SCOPED(buf_done) struct buf link = BUF_MAX(16 * 1024);

    http_set_header(l->r, "X-Total-Count", "%lld", (long long)l->total);
    if (l->page > 1) {
        add_link(l, &link, l->page - 1, "prev");
    }
    if (l->offset + l->size < l->total) {
        add_link(l, &link, l->page + 1, "next");
    }
    if (link.len > 0 && !link.failed) {
        http_set_header(l->r, "Link", "%.*s", STR_ARG(buf_str(&link)));
    }
}

int harbor_list_reply(struct list *l, state_fn *fill, struct err *e)
{
    int result;

    jw_array(&l->w);
    result = state_read(l->h->state, fill, l, e);
    jw_end(&l->w);
    if (result == 0) {
        set_paging(l);
    }
    return harbor_reply_and_free(l->r, 200, &l->body, result, e);
}
