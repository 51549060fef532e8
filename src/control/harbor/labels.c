/* Labels by their ids: global ones (scope g), those of projects (scope p), and those of artifacts.
 */
#include "registry/labels.h"

#include "harbor_priv.h"
#include "registry/store.h"

#define LABEL_COLUMNS                                                                              \
    "l.id, l.name, l.description, l.color, l.project_id, l.created_ms, l.updated_ms"

static void write_label(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "name", query_str(q, 1));
    jw_kv_str(w, "description", query_str(q, 2));
    jw_kv_str(w, "color", query_str(q, 3));
    jw_kv_c(w, "scope", query_i64(q, 4) == 0 ? "g" : "p");
    jw_kv_i64(w, "project_id", query_i64(q, 4));
    jw_kv_time(w, "creation_time", query_i64(q, 5));
    jw_kv_time(w, "update_time", query_i64(q, 6));
    jw_end(w);
}

/* Asked for a thing that the path names by a number: whoever may not is told that there is none,
 * unless he can see the project. Project 0 is the system. */
static int authorize(struct http_req *r, int64_t project_id, enum perm of_project,
                     enum perm of_system, struct err *e)
{
    const struct harbor *h = r->ctx;
    char name[NAME_SIZE] = "";

    if (project_id == 0) {
        return access_authorize(h->access, r, of_system, STR_EMPTY, e);
    }
    if (access_project_name(h->access, project_id, name, e) < 0) {
        return -1;
    }
    if (access_permissions(h->access, &r->who, str_of(name)) == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no label or project of that id");
    }
    r->project = arena_str(&r->arena, str_of(name)); /* for the audit too */
    return access_authorize(h->access, r, of_project, r->project, e);
}

/* --- lists --- */

struct labels {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t project_id, id;
};

#define FROM_LABELS                                                                                \
    " FROM labels l WHERE l.project_id = ?1 AND l.gone = 0 AND (?2 IS NULL OR l.name = ?2)"        \
    " AND instr(l.name, ?3)"

static int fill_labels(struct state_db *db, void *ctx, struct err *e)
{
    struct labels *x = ctx;
    struct list *l = &x->list;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = http_query(l->r, "name");
    int r;

    part = part.p ? part : harbor_list_part(l, "name");
    if (state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_LABELS, "iss", x->project_id,
                      name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " LABEL_COLUMNS FROM_LABELS
                   " ORDER BY CASE ?4 WHEN 'creation_time' THEN l.created_ms"
                   "   WHEN '-creation_time' THEN -l.created_ms END,"
                   " iif(?4 = '-name', l.name, '') DESC, l.name LIMIT ?5 OFFSET ?6",
                   "isssii", x->project_id, name, part, l->sort, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_label(&l->w, &q);
    }
    return r;
}

/* Without a scope: the global ones. */
static int scope_of(struct str scope, int64_t asked_id, int64_t *project_id, struct err *e)
{
    if (scope.len == 0 || str_eq_c(scope, "g")) {
        *project_id = 0;
        return 0;
    }
    if (!str_eq_c(scope, "p")) {
        return err_set(e, ERR_INVALID, "scope: g for global labels, p for those of a project");
    }
    *project_id = asked_id;
    return asked_id > 0 ? 0
                        : err_set(e, ERR_INVALID,
                                  "project_id: give that of the project, with "
                                  "scope p");
}

int harbor_labels(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct str scope = http_query(r, "scope");
    struct labels x = {.id = 0};
    int64_t asked;

    return http_query_i64(r, "project_id", 0, 0, INT64_MAX, &asked, e) < 0 ||
                   scope_of(scope.p ? scope : STR_EMPTY, asked, &x.project_id, e) < 0 ||
                   authorize(r, x.project_id, PERM_IMAGE_PULL, PERM_SIGNED_IN, e) < 0 ||
                   harbor_list_begin(&x.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&x.list, fill_labels, e);
}

/* --- one --- */

static int form_of(const json_t *body, struct label_form *f, struct err *e)
{
    *f = (struct label_form){.name = {0}};
    if (json_get_str(body, "name", &f->name, e) < 0 ||
        json_get_str(body, "description", &f->description, e) < 0 ||
        json_get_str(body, "color", &f->color, e) < 0) {
        return -1;
    }
    f->color = f->color.len > 0 ? f->color : (struct str){0}; /* "": no wish */
    return 0;
}

int harbor_label_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str scope = STR_EMPTY;
    struct label_form f;
    int64_t asked = 0, project_id, id;

    return http_body_json(r, &body, e) < 0 || json_get_str(body, "scope", &scope, e) < 0 ||
                   json_get_i64(body, "project_id", &asked, e) < 0 ||
                   scope_of(scope, asked, &project_id, e) < 0 ||
                   authorize(r, project_id, PERM_PROJECT_MANAGE, PERM_SYSTEM_MANAGE, e) < 0 ||
                   form_of(body, &f, e) < 0 ||
                   store_label_make(h->registry, project_id, &f, str_of(r->who.name), &id, e) < 0
               ? -1
               : harbor_reply_created(r, "/labels", id, e);
}

/* The label of the path, of which `who` may do this. One of a project that he does not see is not
 * there, in the same words. */
static int label_of(struct http_req *r, const char *param, enum perm of_project,
                    enum perm of_system, struct label_key *k, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct label l;

    *k = (struct label_key){.id = 0};
    if (harbor_path_id(r, param, &k->id, e) < 0) {
        return -1;
    }
    if (k->id > 0 && store_label_find(h->registry, &r->arena, k, &l, e) == 0 &&
        authorize(r, l.project_id, of_project, of_system, e) == 0) {
        return 0;
    }
    return k->id == 0 || e->kind == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND, "there is no label of the id %lld", (long long)k->id)
               : -1;
}

static int label_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct labels *x = ctx;
    SCOPED(query_done) struct query q = {0};

    if (harbor_row(&q, db, "SELECT " LABEL_COLUMNS " FROM labels l WHERE l.id = ?", x->id,
                   "there is no label of that id", e) < 0) {
        return -1;
    }
    write_label(&x->list.w, &q);
    return 0;
}

int harbor_label(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(16 * 1024);
    struct labels x = {.list = {.w = JW(&b)}};
    struct label_key k;

    if (label_of(r, "id", PERM_IMAGE_PULL, PERM_SIGNED_IN, &k, e) < 0) {
        return -1;
    }
    x.id = k.id;
    return harbor_reply_and_free(r, 200, &b, state_read(h->state, label_fn, &x, e), e);
}

int harbor_label_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct label_form f;
    struct label_key k;

    return label_of(r, "id", PERM_PROJECT_MANAGE, PERM_SYSTEM_MANAGE, &k, e) < 0 ||
                   http_body_json(r, &body, e) < 0 || form_of(body, &f, e) < 0 ||
                   store_label_change(h->registry, &k, &f, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

int harbor_label_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct label_key k;

    return label_of(r, "id", PERM_PROJECT_MANAGE, PERM_SYSTEM_MANAGE, &k, e) < 0 ||
                   store_label_drop(h->registry, &k, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- of an artifact --- */

int harbor_write_labels(struct state_db *db, int64_t manifest, struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " LABEL_COLUMNS " FROM manifest_labels x JOIN labels l"
                   " ON l.id = x.label_id WHERE x.manifest_id = ? AND l.gone = 0"
                   " ORDER BY l.name, l.id",
                   "i", manifest) < 0) {
        return -1;
    }
    jw_key(w, "labels");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        write_label(w, &q);
    }
    jw_end(w);
    return r;
}

static int artifact_of(struct http_req *r, struct reference *ref, int64_t *project_id,
                       struct err *e)
{
    struct str repository;

    return harbor_project_id(r, project_id, e) < 0 || harbor_repository_of(r, &repository, e) < 0
               ? -1
               : reference_of(repository, http_path_param(r, "ref"), ref, e);
}

/* Only the id of the body counts. */
int harbor_artifact_label_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    char digest[CONTENT_DIGEST_MAX] = "";
    struct label_key k = {.name = STR_EMPTY};
    struct reference ref;
    int64_t project_id;
    bool added = false;

    if (http_body_json(r, &body, e) < 0 || json_get_i64(body, "id", &k.id, e) < 0) {
        return -1;
    }
    if (k.id <= 0) {
        return err_set(e, ERR_INVALID, "id: give that of a label");
    }
    if (artifact_of(r, &ref, &project_id, e) < 0 ||
        store_label_put(h->registry, &ref, project_id, &k, &added, digest, e) < 0) {
        return -1;
    }
    if (!added) {
        return err_set(e, ERR_CONFLICT, "the artifact has this label already");
    }
    registry_emit(h->registry, ref.repository, STR_EMPTY, digest, "labeled");
    return http_reply_empty(r, 200, e);
}

int harbor_artifact_label_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct label_key k = {.name = STR_EMPTY};
    struct reference ref;
    int64_t project_id;

    if (harbor_path_id(r, "label", &k.id, e) < 0 || artifact_of(r, &ref, &project_id, e) < 0) {
        return -1;
    }
    if (k.id == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no label of the id 0");
    }
    if (store_label_take(h->registry, &ref, project_id, &k, e) < 0) {
        return -1;
    }
    registry_emit(h->registry, ref.repository, STR_EMPTY, "", "labeled");
    return http_reply_empty(r, 200, e);
}
