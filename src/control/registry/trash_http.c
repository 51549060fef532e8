/* /api/v1/projects/{p}/trash, and /api/v1/trash for administrators: deleted images that can be had
 * again, also those of projects that are gone. */
#include "registry_priv.h"

#include "accept.h"
#include "access/access.h"
#include "base/json.h"
#include "store.h"

/* The project of the path, 0 on the routes without one; and the number, 0 without. */
static int trash_of(struct http_req *req, int64_t *project_id, int64_t *id, struct err *e)
{
    const struct registry *r = req->ctx;
    struct str project = http_path_param(req, "p"), text = http_path_param(req, "id");
    uint32_t id_base;
    uint64_t n = 0;

    *project_id = 0;
    if (project.p != NULL && access_project(r->access, project, project_id, &id_base, e) < 0) {
        return -1;
    }
    if (text.p != NULL && (str_to_u64(text, &n) < 0 || n == 0 || n > INT64_MAX)) {
        return err_set(e, ERR_NOT_FOUND, "there is nothing of that number in the trash");
    }
    *id = (int64_t)n;
    return 0;
}

static int write_trash(struct registry *r, const void *of, struct page *p, struct jw *w,
                       struct err *e)
{
    uint64_t after = 0;

    if (p->after.len > 0 && (str_to_u64(p->after, &after) < 0 || after > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "after: expected what 'next' said");
    }
    return store_trash_rows(r, *(const int64_t *)of, (int64_t)after, p, w, e);
}

int api_trash(struct http_req *req, struct err *e)
{
    int64_t project_id, id;

    return trash_of(req, &project_id, &id, e) < 0 ? -1
                                                  : reply_page(req, write_trash, &project_id, e);
}

static void tell_restored(const struct http_req *req, const struct restored *x)
{
    struct repo_key to = {
        .name = x->repository, .project_id = x->project_id, .by = str_of(req->who.name)};

    for (const char **digest = x->digests; *digest != NULL; digest++) {
        tell_arrived(req->ctx, &to, *digest);
    }
}

int api_trash_restore(struct http_req *req, struct err *e)
{
    struct restored out = {.tags = 0};
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct str rest;
    int64_t project_id, id;
    int result;

    if (trash_of(req, &project_id, &id, e) < 0 ||
        store_trash_restore(req->ctx, &req->arena, project_id, id, str_of(req->who.name), &out, e) <
            0) {
        return -1;
    }
    registry_emit(req->ctx, out.repository, STR_EMPTY, "", "pushed");
    tell_restored(req, &out);
    rest = out.repository;
    jw_object(&w);
    jw_kv_str(&w, "project", str_cut(&rest, '/'));
    jw_kv_str(&w, "repository", rest);
    jw_kv_i64(&w, "tags", out.tags);
    jw_kv_i64(&w, "kept", out.kept);
    jw_kv_i64(&w, "missing", out.missing);
    jw_end(&w);
    result = http_reply_json(req, 200, &b, e);
    buf_done(&b);
    return result;
}

int api_trash_drop(struct http_req *req, struct err *e)
{
    int64_t project_id, id;

    return trash_of(req, &project_id, &id, e) < 0 ||
                   store_trash_drop(req->ctx, project_id, id, e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}
