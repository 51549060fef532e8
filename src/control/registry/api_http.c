/* /api/v1/projects/{p}/repositories: what the console and the CLI show of the registry. */
#include "registry_priv.h"

#include "base/json.h"
#include "labels.h"
#include "store.h"

/* "<p>/<repo>" of the path, checked. */
static int repository_of(struct http_req *req, struct str *out, struct err *e)
{
    struct str project = http_path_param(req, "p"), rest = http_path_param(req, "repo");
    struct str name =
        str_of(arena_printf(&req->arena, "%.*s/%.*s", STR_ARG(project), STR_ARG(rest)));

    if (name_check(name, e) < 0) {
        return -1;
    }
    *out = name;
    return 0;
}

int reply_page(struct http_req *req, page_writer *write, const void *of, struct err *e)
{
    struct page page = {.after = http_query(req, "after"), .arena = &req->arena};
    struct buf body = BUF_MAX(4 * MIB);
    struct jw w = JW(&body);
    int result;

    if (http_query_i64(req, "limit", 100, 1, LIMIT_LIST_ROWS, &page.limit, e) < 0 ||
        http_query_filter(req, &page.q, e) < 0 ||
        label_names_parse(&req->arena, http_query(req, "label"), &page.labels, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    result = write(req->ctx, of, &page, &w, e);
    jw_end(&w);
    jw_kv_str_or_null(&w, "next", page.last);
    jw_end(&w);
    if (result == 0) {
        result = http_reply_json(req, 200, &body, e);
    }
    buf_done(&body);
    return result;
}

static int write_repositories(struct registry *r, const void *of, struct page *p, struct jw *w,
                              struct err *e)
{
    return store_repository_rows(r, *(const struct str *)of, p, w, e);
}

int api_repositories(struct http_req *req, struct err *e)
{
    struct str project = http_path_param(req, "p");

    return reply_page(req, write_repositories, &project, e);
}

static int write_tags(struct registry *r, const void *of, struct page *p, struct jw *w,
                      struct err *e)
{
    return store_tag_rows(r, *(const struct str *)of, p, w, e);
}

int api_tags(struct http_req *req, struct err *e)
{
    struct str repository;

    if (repository_of(req, &repository, e) < 0) {
        return -1;
    }
    return reply_page(req, write_tags, &repository, e);
}

/* "app/tags/v1" is also a name that a repository may have. */
int api_tag_delete(struct http_req *req, struct err *e)
{
    char digest[CONTENT_DIGEST_MAX];
    struct str repository, tag = http_path_param(req, "tag");

    if (repository_of(req, &repository, e) < 0 || tag_check(tag, e) < 0 ||
        store_tag_or_repository_drop(req->ctx, repository, tag, str_of(req->who.name), digest, e) <
            0) {
        return -1;
    }
    if (digest[0] == '\0') {
        repository =
            str_of(arena_printf(&req->arena, "%.*s/tags/%.*s", STR_ARG(repository), STR_ARG(tag)));
        tag = STR_EMPTY;
    }
    registry_emit(req->ctx, repository, tag, digest, "deleted");
    return http_reply_empty(req, 204, e);
}

int api_repository_delete(struct http_req *req, struct err *e)
{
    struct str repository;

    if (repository_of(req, &repository, e) < 0 ||
        store_repository_drop(req->ctx, repository, str_of(req->who.name), e) < 0) {
        return -1;
    }
    registry_emit(req->ctx, repository, STR_EMPTY, "", "deleted");
    return http_reply_empty(req, 204, e);
}
