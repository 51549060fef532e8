/* /api/v1/labels and .../projects/{p}/labels, and the labels of an image. */
#include "labels.h"

#include "access/access.h"
#include "registry_priv.h"
#include "store.h"

/* The project of the path; 0 on the routes of global labels. */
static int project_of(struct http_req *req, int64_t *id, struct err *e)
{
    const struct registry *r = req->ctx;
    struct str project = http_path_param(req, "p");

    *id = 0;
    return project.p == NULL
               ? 0
               : access_project_may(r->access, &req->who, req->route->perm, project, id, e);
}

static int key_of(struct http_req *req, struct label_key *k, struct err *e)
{
    *k = (struct label_key){.name = http_path_param(req, "label")};
    return label_name_check(k->name, e) < 0 ? -1 : project_of(req, &k->project_id, e);
}

static int form_of(struct http_req *req, json_t **body, struct label_form *f, struct err *e)
{
    static const char *const keys[] = {"name", "description", "color"};

    *f = (struct label_form){.name = {0}};
    return http_body_json(req, body, e) < 0 ||
                   json_only_keys(*body, keys, ARRAY_LEN(keys), e) < 0 ||
                   json_get_str(*body, "name", &f->name, e) < 0 ||
                   json_get_str(*body, "description", &f->description, e) < 0 ||
                   json_get_str(*body, "color", &f->color, e) < 0
               ? -1
               : 0;
}

static int reply_label(struct http_req *req, int status, const struct label_key *k, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    struct label l;
    int result = store_label_find(req->ctx, &req->arena, k, &l, e);

    if (result == 0) {
        label_write(&w, &l);
        result = http_reply_json(req, status, &b, e);
    }
    buf_done(&b);
    return result;
}

static int write_labels(struct registry *r, const void *of, struct page *p, struct jw *w,
                        struct err *e)
{
    return store_label_rows(r, *(const int64_t *)of, p, w, e);
}

int api_labels(struct http_req *req, struct err *e)
{
    int64_t project_id;

    return project_of(req, &project_id, e) < 0 ? -1 : reply_page(req, write_labels, &project_id, e);
}

int api_label_add(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct label_key k = {.id = 0};
    struct label_form f;

    return project_of(req, &k.project_id, e) < 0 || form_of(req, &body, &f, e) < 0 ||
                   store_label_make(req->ctx, k.project_id, &f, str_of(req->who.name), &k.id, e) < 0
               ? -1
               : reply_label(req, 201, &k, e);
}

int api_label_change(struct http_req *req, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct label_form f;
    struct label_key k;

    if (key_of(req, &k, e) < 0 || form_of(req, &body, &f, e) < 0 ||
        store_label_change(req->ctx, &k, &f, e) < 0) {
        return -1;
    }
    k.name = f.name.p ? f.name : k.name;
    return reply_label(req, 200, &k, e);
}

int api_label_drop(struct http_req *req, struct err *e)
{
    struct label_key k;

    return key_of(req, &k, e) < 0 || store_label_drop(req->ctx, &k, e) < 0
               ? -1
               : http_reply_empty(req, 204, e);
}

/* --- of an image --- */

static int image_of(struct http_req *req, struct reference *ref, int64_t *project_id, struct err *e)
{
    struct str name =
        str_of(arena_printf(&req->arena, "%.*s/%.*s", STR_ARG(http_path_param(req, "p")),
                            STR_ARG(http_path_param(req, "repo"))));

    return name_check(name, e) < 0 || project_of(req, project_id, e) < 0
               ? -1
               : reference_of(name, http_path_param(req, "ref"), ref, e);
}

int api_image_labels(struct http_req *req, struct err *e)
{
    struct buf b = BUF_MAX(256 * KIB);
    struct jw w = JW(&b);
    struct reference ref;
    int64_t project_id;
    int result = image_of(req, &ref, &project_id, e);

    jw_object(&w);
    jw_key(&w, "items");
    if (result == 0) {
        result = store_image_labels(req->ctx, &ref, project_id, &w, e);
    }
    jw_kv_str_or_null(&w, "next", (struct str){0});
    jw_end(&w);
    if (result == 0) {
        result = http_reply_json(req, 200, &b, e);
    }
    buf_done(&b);
    return result;
}

int api_image_label_put(struct http_req *req, struct err *e)
{
    char digest[CONTENT_DIGEST_MAX] = "";
    struct reference ref;
    struct label_key k;
    int64_t project_id;
    bool added = false;

    if (key_of(req, &k, e) < 0 || image_of(req, &ref, &project_id, e) < 0 ||
        store_label_put(req->ctx, &ref, project_id, &k, &added, digest, e) < 0) {
        return -1;
    }
    if (added) {
        registry_emit(req->ctx, ref.repository, STR_EMPTY, digest, "labeled");
    }
    return http_reply_empty(req, 204, e);
}

int api_image_label_take(struct http_req *req, struct err *e)
{
    struct reference ref;
    struct label_key k;
    int64_t project_id;

    if (key_of(req, &k, e) < 0 || image_of(req, &ref, &project_id, e) < 0 ||
        store_label_take(req->ctx, &ref, project_id, &k, e) < 0) {
        return -1;
    }
    registry_emit(req->ctx, ref.repository, STR_EMPTY, "", "labeled");
    return http_reply_empty(req, 204, e);
}
