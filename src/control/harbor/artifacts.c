#include "harbor_priv.h"

#include "registry/accept.h"
#include "registry/policy.h"
#include "registry/store.h"

#define ARTIFACT_COLUMNS                                                                           \
    "m.id, r.project_id, r.id, r.name, m.digest, m.media_type, m.artifact_type, m.total_bytes,"    \
    " m.pushed_ms, m.pulled_ms, m.platform, m.annotations"
/* As Harbor lists them: not the parts of an index, and not what refers to another, unless they
 * have a tag. ?1 the repository, ?2 "*", or "nil" for those without a tag, or a tag; NULL: all; ?4
 * a JSON array of the ids of labels that it has. */
#define FROM_ARTIFACTS                                                                             \
    " FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE r.name = ?1"            \
    " AND (EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id) OR (m.subject IS NULL"         \
    " AND NOT EXISTS (SELECT 1 FROM manifest_children c"                                           \
    " WHERE c.repository_id = m.repository_id AND c.digest = m.digest)))"                          \
    " AND CASE WHEN ?2 IS NULL THEN 1"                                                             \
    " WHEN ?2 = '*' THEN EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)"                 \
    " WHEN ?2 = 'nil' THEN NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)"           \
    " ELSE EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id AND t.name = ?2) END"           \
    " AND (?3 IS NULL OR m.digest = ?3)"                                                           \
    " AND NOT EXISTS (SELECT 1 FROM json_each(?4) w WHERE NOT EXISTS (SELECT 1 FROM"               \
    " manifest_labels x JOIN labels l ON l.id = x.label_id WHERE x.manifest_id = m.id"             \
    " AND x.label_id = w.value AND l.gone = 0))"

struct artifacts {
    struct list list; /* first: harbor_list_reply hands it over */
    struct str repository;
    struct policy policy; /* which tags are immutable */
    int64_t manifest_id;
    const char *digest;
    bool with_label;
};

static struct str short_name(struct str repository)
{
    (void)str_cut(&repository, '/');
    return repository;
}

static void write_tag(struct jw *w, const struct query *q, const struct artifacts *of)
{
    jw_object(w);
    jw_kv_i64(w, "repository_id", query_i64(q, 2));
    jw_kv_i64(w, "artifact_id", query_i64(q, 3));
    jw_kv_str(w, "name", query_str(q, 0));
    jw_kv_time(w, "push_time", query_i64(q, 1));
    if (query_i64(q, 4) != 0) {
        jw_kv_time(w, "pull_time", query_i64(q, 4));
    }
    jw_kv_bool(w, "immutable",
               policy_immutable(&of->policy, short_name(of->repository), query_str(q, 0)) != NULL);
    jw_end(w);
}

#define FROM_TAGS                                                                                  \
    " FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.manifest_id = ?1"               \
    " AND (?2 IS NULL OR t.name = ?2) AND instr(t.name, ?3)"
#define SELECT_TAGS "SELECT t.name, t.pushed_ms, t.repository_id, m.id, m.pulled_ms" FROM_TAGS

static int write_tags(struct state_db *db, int64_t manifest, struct artifacts *of, struct jw *w,
                      struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, SELECT_TAGS " ORDER BY t.name LIMIT ?4", "issi", manifest,
                   (struct str){NULL, 0}, STR_EMPTY, (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    jw_key(w, "tags");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        write_tag(w, &q, of);
    }
    jw_end(w);
    return r;
}

/* The parts of an index. */
static int write_references(struct state_db *db, int64_t manifest, struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT m.id, m.digest, m.platform FROM manifest_children c JOIN manifests m"
                   " ON m.repository_id = c.repository_id AND m.digest = c.digest"
                   " WHERE c.manifest_id = ? ORDER BY m.digest LIMIT ?",
                   "ii", manifest, (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    jw_key(w, "references");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        struct str arch = query_str(&q, 2), os = str_cut(&arch, '/');

        jw_object(w);
        jw_kv_i64(w, "parent_id", manifest);
        jw_kv_i64(w, "child_id", query_i64(&q, 0));
        jw_kv_str(w, "child_digest", query_str(&q, 1));
        jw_key(w, "platform");
        jw_object(w);
        jw_kv_str(w, "os", os);
        jw_kv_str(w, "architecture", arch.p ? arch : STR_EMPTY);
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
    return r;
}

static bool is_image(struct str media, struct str artifact_type)
{
    return artifact_type.len == 0 || str_find(artifact_type, STR("container.image")) >= 0 ||
           str_find(artifact_type, STR("oci.image.config")) >= 0 ||
           str_find(media, STR("manifest.list")) >= 0;
}

static int write_artifact(struct state_db *db, const struct query *q, struct artifacts *of,
                          struct jw *w, struct err *e)
{
    struct str media = query_str(q, 5), type = query_str(q, 6);
    struct str arch = query_str(q, 10), os = str_cut(&arch, '/');

    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_i64(w, "project_id", query_i64(q, 1));
    jw_kv_i64(w, "repository_id", query_i64(q, 2));
    jw_kv_str(w, "repository_name", query_str(q, 3));
    jw_kv_str(w, "digest", query_str(q, 4));
    jw_kv_c(w, "type", is_image(media, type) ? "IMAGE" : "UNKNOWN");
    jw_kv_str(w, "media_type", type);
    jw_kv_str(w, "artifact_type", type);
    jw_kv_str(w, "manifest_media_type", media);
    jw_kv_i64(w, "size", query_i64(q, 7));
    jw_kv_time(w, "push_time", query_i64(q, 8));
    if (query_i64(q, 9) != 0) {
        jw_kv_time(w, "pull_time", query_i64(q, 9));
    }
    jw_key(w, "extra_attrs");
    jw_object(w);
    if (os.len > 0) {
        jw_kv_str(w, "os", os);
        jw_kv_str(w, "architecture", arch.p ? arch : STR_EMPTY);
    }
    jw_end(w);
    if (!query_is_null(q, 11)) {
        jw_key(w, "annotations");
        jw_raw(w, query_str(q, 11));
    }
    if (write_tags(db, query_i64(q, 0), of, w, e) < 0 ||
        write_references(db, query_i64(q, 0), w, e) < 0 ||
        (of->with_label && harbor_write_labels(db, query_i64(q, 0), w, e) < 0)) {
        return -1;
    }
    jw_end(w);
    return 0;
}

/* "(1 2)", as Harbor writes a list of which all are meant, or "1". */
static int ids_of(struct arena *a, struct str text, struct str *out, struct err *e)
{
    struct buf b = BUF_MAX(1024);
    struct jw w = JW(&b);
    uint64_t id;
    int result = 0;

    if (text.len > 1 && text.p[0] == '(' && text.p[text.len - 1] == ')') {
        text = str_n(text.p + 1, text.len - 2);
    }
    jw_array(&w);
    for (size_t n = 0; result == 0 && text.len > 0; n++) {
        struct str one = str_cut(&text, ' ');

        if (n == LIMIT_LABELS_ASKED || str_to_u64(one, &id) < 0 || id > INT64_MAX) {
            result = err_set(e, ERR_INVALID, "q: labels: give at most %d ids, as in labels=(1 2)",
                             LIMIT_LABELS_ASKED);
        } else {
            jw_i64(&w, (int64_t)id);
        }
    }
    jw_end(&w);
    *out = arena_str(a, buf_str(&b));
    buf_done(&b);
    return result;
}

static bool wants_labels(const struct http_req *r)
{
    return str_eq_c(http_query(r, "with_label"), "true");
}

static int fill_artifacts(struct state_db *db, void *ctx, struct err *e)
{
    struct artifacts *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str tag = harbor_list_exact(l, "tags"), digest = harbor_list_exact(l, "digest");
    struct str labels = harbor_list_exact(l, "labels");
    int r;

    if ((labels.p != NULL && ids_of(&l->r->arena, labels, &labels, e) < 0) ||
        state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_ARTIFACTS, "ssss",
                      of->repository, tag, digest, labels) < 0 ||
        query_open(&q, db, e,
                   "SELECT " ARTIFACT_COLUMNS FROM_ARTIFACTS
                   " ORDER BY CASE ?5 WHEN 'push_time' THEN m.pushed_ms"
                   "   WHEN 'size' THEN m.total_bytes WHEN '-size' THEN -m.total_bytes"
                   "   ELSE -m.pushed_ms END, m.id DESC LIMIT ?6 OFFSET ?7",
                   "sssssii", of->repository, tag, digest, labels, l->sort, l->size,
                   l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (write_artifact(db, &q, of, &l->w, e) < 0) {
            return -1;
        }
    }
    return r;
}

/* The repository of the path, and what its project decided about tags. */
static int artifacts_of(struct http_req *r, struct artifacts *out, struct err *e)
{
    const struct harbor *h = r->ctx;
    int64_t id;

    return harbor_project_id(r, &id, e) < 0 || harbor_repository_of(r, &out->repository, e) < 0
               ? -1
               : store_policy_get(h->registry, &r->arena, id, &out->policy, e);
}

/* What {ref} means: a tag or a digest. */
static int find_artifact(struct http_req *r, struct artifacts *of, struct stored_manifest *m,
                         struct err *e)
{
    const struct harbor *h = r->ctx;
    struct reference ref;

    if (artifacts_of(r, of, e) < 0 ||
        reference_of(of->repository, http_path_param(r, "ref"), &ref, e) < 0 ||
        store_manifest_get(h->registry, &r->arena, &ref, m, &r->error_code, e) < 0) {
        return -1;
    }
    of->manifest_id = m->id;
    of->digest = m->digest;
    return 0;
}

int harbor_artifacts(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"tags", "digest", "labels", NULL};
    struct artifacts of = {.with_label = wants_labels(r)};

    return harbor_list_begin(&of.list, r, keys, e) < 0 || artifacts_of(r, &of, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_artifacts, e);
}

static int artifact_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct artifacts *of = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " ARTIFACT_COLUMNS
                   " FROM manifests m JOIN repositories r ON r.id = m.repository_id"
                   " WHERE m.id = ?",
                   "i", of->manifest_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? err_set(e, ERR_NOT_FOUND, "the artifact was deleted meanwhile")
                  : write_artifact(db, &q, of, &of->list.w, e);
}

int harbor_artifact(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct stored_manifest m;
    struct artifacts of = {.with_label = wants_labels(r)};
    struct buf b = BUF_MAX(4 * MIB);

    of.list.w = JW(&b);
    return find_artifact(r, &of, &m, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, artifact_fn, &of, e), e);
}

int harbor_artifact_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct stored_manifest m;
    struct artifacts of = {0};
    struct reference ref;

    if (find_artifact(r, &of, &m, e) < 0 ||
        reference_of(of.repository, str_of(m.digest), &ref, e) < 0 ||
        store_manifest_delete(h->registry, &ref, str_of(r->who.name), &r->error_code, e) < 0) {
        return -1;
    }
    registry_emit(h->registry, of.repository, STR_EMPTY, m.digest, "deleted");
    return http_reply_empty(r, 200, e);
}

/* --- tags --- */

static int fill_tags(struct state_db *db, void *ctx, struct err *e)
{
    struct artifacts *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_TAGS, "iss", of->manifest_id,
                      name, part) < 0 ||
        query_open(&q, db, e, SELECT_TAGS " ORDER BY t.name LIMIT ?4 OFFSET ?5", "issii",
                   of->manifest_id, name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_tag(&l->w, &q, of);
    }
    return r;
}

int harbor_tags(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct artifacts of = {0};
    struct stored_manifest m;

    return harbor_list_begin(&of.list, r, keys, e) < 0 || find_artifact(r, &of, &m, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_tags, e);
}

/* The same manifest is pushed once more under another name: all that a push obeys holds here. */
int harbor_tag_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct stored_manifest m;
    struct artifacts of = {0};
    struct str tag;
    struct manifest_put put = {.tags = &tag, .n_tags = 1};

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "name", &tag, e) < 0 ||
        tag_check(tag, e) < 0 || find_artifact(r, &of, &m, e) < 0) {
        return -1;
    }
    put.body = m.body;
    put.repository.name = of.repository;
    put.repository.by = str_of(r->who.name);
    if (access_project_may(h->access, &r->who, PERM_IMAGE_PUSH, r->project,
                           &put.repository.project_id, e) < 0 ||
        accept_manifest(h->registry, &r->arena, &put, m.media_type, m.digest, &r->error_code, e) <
            0) {
        return -1;
    }
    registry_emit(h->registry, of.repository, tag, m.digest, "pushed");
    http_set_header(r, "Location", "%.*s/%.*s", STR_ARG(r->path), STR_ARG(tag));
    return http_reply_empty(r, 201, e);
}

int harbor_tag_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str tag = http_path_param(r, "tag");
    struct stored_manifest m, named;
    struct artifacts of = {0};
    struct reference ref;

    if (find_artifact(r, &of, &m, e) < 0 || tag_check(tag, e) < 0 ||
        reference_of(of.repository, tag, &ref, e) < 0 ||
        store_manifest_get(h->registry, &r->arena, &ref, &named, &r->error_code, e) < 0) {
        return -1;
    }
    if (named.id != m.id) {
        return err_set(e, ERR_NOT_FOUND, "the tag %.*s belongs to another artifact", STR_ARG(tag));
    }
    if (store_manifest_delete(h->registry, &ref, str_of(r->who.name), &r->error_code, e) < 0) {
        return -1;
    }
    registry_emit(h->registry, of.repository, tag, m.digest, "deleted");
    return http_reply_empty(r, 200, e);
}

/* --- accessories: what names this artifact as its subject --- */

static int fill_accessories(struct state_db *db, void *ctx, struct err *e)
{
    struct artifacts *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str digest = str_of(of->digest);
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM manifests m JOIN repositories r ON"
                      " r.id = m.repository_id WHERE r.name = ? AND m.subject = ?",
                      "ss", of->repository, digest) < 0 ||
        query_open(&q, db, e,
                   "SELECT m.id, m.digest, m.artifact_type, length(m.body), m.total_bytes,"
                   " m.pushed_ms FROM manifests m JOIN repositories r ON r.id = m.repository_id"
                   " WHERE r.name = ? AND m.subject = ? ORDER BY m.id LIMIT ? OFFSET ?",
                   "ssii", of->repository, digest, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(&l->w);
        jw_kv_i64(&l->w, "id", query_i64(&q, 0));
        jw_kv_i64(&l->w, "artifact_id", query_i64(&q, 0));
        jw_kv_i64(&l->w, "subject_artifact_id", of->manifest_id);
        jw_kv_str(&l->w, "subject_artifact_digest", digest);
        jw_kv_str(&l->w, "subject_artifact_repo", of->repository);
        jw_kv_str(&l->w, "digest", query_str(&q, 1));
        jw_kv_str(&l->w, "type", query_str(&q, 2));
        jw_kv_i64(&l->w, "size", query_i64(&q, 4));
        jw_kv_time(&l->w, "creation_time", query_i64(&q, 5));
        jw_end(&l->w);
    }
    return r;
}

int harbor_accessories(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct artifacts of = {0};
    struct stored_manifest m;

    return harbor_list_begin(&of.list, r, keys, e) < 0 || find_artifact(r, &of, &m, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_accessories, e);
}
