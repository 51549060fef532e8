/* tags/list and _catalog: OCI dist-spec 1.1 "Content Discovery", paging by n and last. */
#include "registry_priv.h"

#include "access/access.h"
#include "base/json.h"
#include "store.h"

#include <stdio.h>

enum { TAGS_PAGE = 10000, CATALOG_PAGE = 1000, CATALOG_STEP = 500 };

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

struct catalog {
    struct http_req *req;
    struct jw w;
    int64_t limit, n;
    struct str last; /* written */
    bool more;
};

/* Writes those of `names` he may pull. Returns where to go on: behind the last one looked at, or
 * behind the whole project when he may not see it. */
static struct str add_names(struct catalog *c, const struct str *names, size_t n)
{
    struct registry *r = c->req->ctx;
    struct arena *a = &c->req->arena;
    struct str next = STR_EMPTY;

    for (size_t i = 0; i < n; i++) {
        struct str project = name_project(names[i]);

        if (!(access_permissions(r->access, &c->req->who, project) & PERM_BIT(PERM_IMAGE_PULL))) {
            return str_of(arena_printf(a, "%.*s0", STR_ARG(project))); /* '0' follows '/' */
        }
        if (c->n == c->limit) {
            c->more = true;
            return next;
        }
        jw_str(&c->w, names[i]);
        c->n++;
        c->last = names[i];
        next =
            str_of(arena_printf(a, "%.*s!", STR_ARG(names[i]))); /* '!' is before all that follow */
    }
    return next;
}

static int write_catalog(struct catalog *c, struct str from, struct err *e)
{
    struct str *names = arena_new_array(&c->req->arena, struct str, CATALOG_STEP);
    size_t n = CATALOG_STEP;

    while (c->limit > 0 && !c->more && n > 0) {
        if (store_repository_names(c->req->ctx, &c->req->arena, from, CATALOG_STEP, names, &n, e) <
            0) {
            return -1;
        }
        from = add_names(c, names, n);
    }
    return 0;
}

int v2_catalog(struct http_req *req, struct err *e)
{
    struct buf body = BUF_MAX(1 * MIB);
    struct catalog c = {.req = req, .w = JW(&body)};
    struct str last = http_query(req, "last");
    int result;

    if (v2_enter(req, e) < 0 || page_size(req, CATALOG_PAGE, &c.limit, e) < 0) {
        return -1;
    }
    jw_object(&c.w);
    jw_key(&c.w, "repositories");
    jw_array(&c.w);
    result = write_catalog(
        &c, last.len > 0 ? str_of(arena_printf(&req->arena, "%.*s!", STR_ARG(last))) : STR_EMPTY,
        e);
    jw_end(&c.w);
    jw_end(&c.w);
    if (result == 0 && c.more) {
        http_set_header(req, "Link", "</v2/_catalog?n=%lld&last=%.*s>; rel=\"next\"",
                        (long long)c.limit, STR_ARG(c.last));
    }
    if (result == 0) {
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&body);
    return result;
}
