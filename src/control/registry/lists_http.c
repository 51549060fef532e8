/* tags/list and _catalog: OCI dist-spec 1.1 "Content Discovery", paging by n and last. */
#include "registry_priv.h"

#include "access/access.h"
#include "base/json.h"
#include "store.h"

#include <stdio.h>

enum { TAGS_PAGE = 10000, CATALOG_PAGE = 1000, CATALOG_STEP = 250, CATALOG_STEPS = 8 };

/* ?n=; more than a page of ours is cut to one, and the Link header goes on. */
static int page_size(struct http_req *req, int64_t max, int64_t *out, struct err *e)
{
    struct str text = http_query(req, "n");
    uint64_t n = (uint64_t)max;

    if (text.p != NULL && str_to_u64(text, &n) < 0) {
        return v2_fail(req, "PAGINATION_NUMBER_INVALID",
                       err_set(e, ERR_INVALID, "n: expected a number"));
    }
    *out = n < (uint64_t)max ? (int64_t)n : max;
    return 0;
}

int v2_tags(struct http_req *req, struct err *e)
{
    struct page page = {.after = http_query(req, "last"), .arena = &req->arena};
    struct buf body = BUF_MAX(4 * MIB);
    struct jw w = JW(&body);
    struct str repository;
    int result;

    if (v2_repository(req, &repository, e) < 0 || page_size(req, TAGS_PAGE, &page.limit, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_str(&w, "name", repository);
    jw_key(&w, "tags");
    jw_array(&w);
    result = store_tag_names(req->ctx, repository, &page, &w, &req->error_code, e);
    jw_end(&w);
    jw_end(&w);
    if (result == 0 && page.last.p != NULL) {
        http_set_header(req, "Link", "</v2/%.*s/tags/list?n=%lld&last=%.*s>; rel=\"next\"",
                        STR_ARG(repository), (long long)page.limit, STR_ARG(page.last));
    }
    if (result == 0) {
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&body);
    return result;
}

/* Where to begin looking for projects: at that of the last name that was shown. */
static struct str first_project(struct str last)
{
    ptrdiff_t slash = str_find_char(last, '/');

    return slash < 0 ? last : str_first(last, (size_t)slash + 1);
}

/* Many projects may hold nothing: after so many of them the answer says where to go on, full or
 * not. */
static int write_catalog(struct http_req *req, struct page *page, struct jw *w, struct err *e)
{
    struct registry *r = req->ctx;
    struct project_refs found = {.arena = &req->arena, .max = CATALOG_STEP};
    struct str from = page->after.p ? first_project(page->after) : STR_EMPTY;

    found.refs = arena_new_array(&req->arena, struct project_ref, found.max);
    for (int step = 0; step < CATALOG_STEPS && page->last.p == NULL; step++) {
        if (access_visible(r->access, &req->who, from, &found, e) < 0 ||
            store_catalog_names(r, &found, page, w, e) < 0) {
            return -1;
        }
        if (found.n < found.max) {
            return 0;
        }
        /* '0' follows '/' */
        from = str_of(arena_printf(&req->arena, "%.*s0", STR_ARG(found.refs[found.n - 1].name)));
    }
    page->last = page->last.p ? page->last : from;
    return 0;
}

int v2_catalog(struct http_req *req, struct err *e)
{
    struct buf body = BUF_MAX(1 * MIB);
    struct jw w = JW(&body);
    struct page page = {.after = http_query(req, "last"), .arena = &req->arena};
    int result = 0;

    if (v2_enter(req, e) < 0 || page_size(req, CATALOG_PAGE, &page.limit, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "repositories");
    jw_array(&w);
    if (page.limit > 0 && req->who.scopes & PERM_BIT(PERM_IMAGE_PULL)) {
        result = write_catalog(req, &page, &w, e);
    }
    jw_end(&w);
    jw_end(&w);
    if (result == 0 && page.last.p != NULL) {
        http_set_header(req, "Link", "</v2/_catalog?n=%lld&last=%.*s>; rel=\"next\"",
                        (long long)page.limit, STR_ARG(page.last));
    }
    if (result == 0) {
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&body);
    return result;
}
