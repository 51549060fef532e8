#include "images.h"

#include "registry/accept.h"
#include "supply/rows.h"

#include <string.h>

#define ARTIFACT_COLUMNS                                                                           \
    "m.id, r.project_id, r.id, r.name, m.digest, m.media_type, m.artifact_type, m.total_bytes,"    \
    " m.pushed_ms, (SELECT pulled_ms FROM manifest_pulls WHERE manifest_id = m.id), m.platform,"   \
    " m.annotations, r.created_ms"
/* As Harbor lists them: not the parts of an index, and not what belongs to another (by its subject,
 * or by the tags that cosign gives to signatures), unless they have a tag. ?1 the repository, ?2
 * "*", or "nil" for those without a tag, or a tag; NULL: all. ?3 the digest, ?4 a part of a tag, ?5
 * the project, ?6 a JSON array of the ids of labels that it has. */
#define TAGGED                                                                                     \
    "EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id"                                      \
    " AND t.name NOT GLOB 'sha256-????????????????????????????????*.sig'"
#define UNTAGGED "NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)"
#define LACKS_A_LABEL                                                                              \
    "EXISTS (SELECT 1 FROM json_each(?6) w WHERE NOT EXISTS (SELECT 1 FROM manifest_labels x"      \
    " JOIN labels l ON l.id = x.label_id WHERE x.manifest_id = m.id AND x.label_id = w.value"      \
    " AND l.gone = 0))"
#define FROM_ARTIFACTS                                                                             \
    " FROM manifests m JOIN repositories r ON r.id = m.repository_id"                              \
    " WHERE r.name = ?1 AND r.project_id = ?5 AND (" TAGGED                                        \
    ") OR (m.subject IS NULL AND " UNTAGGED " AND NOT EXISTS (SELECT 1 FROM manifest_children c"   \
    " WHERE c.repository_id = m.repository_id AND c.digest = m.digest)))"                          \
    " AND CASE WHEN ?2 IS NULL THEN 1 WHEN ?2 = '*' THEN " TAGGED                                  \
    ") WHEN ?2 = 'nil' THEN " UNTAGGED " ELSE " TAGGED " AND t.name = ?2) END"                     \
    " AND (?3 IS NULL OR m.digest = ?3) AND (?4 = '' OR " TAGGED " AND instr(t.name, ?4)))"        \
    " AND NOT " LACKS_A_LABEL

static struct str short_name(struct str repository)
{
    (void)str_cut(&repository, '/');
    return repository;
}

static void write_pull_time(struct jw *w, const struct artifacts *of,
                            const struct pulled_thing *what, int64_t written_ms)
{
    const struct harbor *h = of->list.r->ctx;
    struct pulled now = store_pulled(h->registry, what, (struct pulled){.last_ms = written_ms});

    if (now.last_ms != 0) {
        jw_kv_time(w, "pull_time", now.last_ms);
    }
}

static void write_tag(struct jw *w, const struct query *q, const struct artifacts *of)
{
    jw_object(w);
    jw_kv_i64(w, "repository_id", query_i64(q, 2));
    jw_kv_i64(w, "artifact_id", query_i64(q, 3));
    jw_kv_str(w, "name", query_str(q, 0));
    jw_kv_time(w, "push_time", query_i64(q, 1));
    write_pull_time(w, of,
                    &(struct pulled_thing){query_i64(q, 2), query_i64(q, 5), query_str(q, 6)},
                    query_i64(q, 4));
    jw_kv_bool(w, "immutable",
               policy_immutable(&of->policy, short_name(of->repository), query_str(q, 0)) != NULL);
    jw_end(w);
}

#define FROM_TAGS                                                                                  \
    " FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.manifest_id = ?1"               \
    " AND (?2 IS NULL OR t.name = ?2) AND instr(t.name, ?3)"
#define SELECT_TAGS                                                                                \
    "SELECT t.name, t.pushed_ms, t.repository_id, m.id,"                                           \
    " (SELECT pulled_ms FROM manifest_pulls WHERE manifest_id = m.id),"                            \
    " (SELECT created_ms FROM repositories WHERE id = m.repository_id), m.digest" FROM_TAGS

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

static const char *type_of(struct str media, struct str artifact_type)
{
    return is_image(media, artifact_type)                              ? "IMAGE"
           : str_find(artifact_type, STR("vnd.cncf.helm.config")) >= 0 ? "CHART"
                                                                       : "UNKNOWN";
}

static bool is_index(struct str media)
{
    return str_find(media, STR("index")) >= 0 || str_find(media, STR("manifest.list")) >= 0;
}

/* Names hold nothing that has to be escaped but the slash. */
static void write_link(struct jw *w, const struct artifacts *of, struct str digest,
                       const char *addition)
{
    SCOPED(buf_done) struct buf href = BUF_MAX(4096);
    struct str name = short_name(of->repository);

    buf_printf(&href, HARBOR "/projects/%.*s/repositories/", STR_ARG(name_project(of->repository)));
    for (size_t i = 0; i < name.len; i++) {
        buf_printf(&href, name.p[i] == '/' ? "%%252F" : "%c", name.p[i]);
    }
    buf_printf(&href, "/artifacts/%.*s/additions/%s", STR_ARG(digest), addition);
    jw_key(w, addition);
    jw_object(w);
    jw_kv_bool(w, "absolute", false);
    jw_kv_str(w, "href", buf_str(&href));
    jw_end(w);
}

static void write_links(struct jw *w, const struct artifacts *of, struct str digest, bool built)
{
    jw_key(w, "addition_links");
    jw_object(w);
    write_link(w, of, digest, "vulnerabilities");
    if (built) {
        write_link(w, of, digest, "build_history");
    }
    jw_end(w);
}

/* --- accessories: what names this artifact as its subject, or cosign's tags --- */

#define FROM_ABOUT                                                                                 \
    " FROM manifests m WHERE m.id IN (SELECT x.id FROM manifests s JOIN manifests x"               \
    " ON x.repository_id = s.repository_id AND x.subject = s.digest WHERE s.id = ?1"               \
    " UNION SELECT t.manifest_id FROM manifests s JOIN tags t"                                     \
    " ON t.repository_id = s.repository_id AND t.name IN (replace(s.digest, ':', '-') || '.sig',"  \
    " replace(s.digest, ':', '-') || '.att', replace(s.digest, ':', '-') || '.sbom')"              \
    " WHERE s.id = ?1)"

static const char *accessory_type(struct arena *a, struct str artifact_type, struct str body)
{
    struct artifact one = {.artifact_type = artifact_type, .body = body};

    switch (accessory_kind_of(a, &one)) {
    case ACCESSORY_COSIGN:
    case ACCESSORY_BUNDLE:
        return "signature.cosign";
    case ACCESSORY_NOTATION:
        return "signature.notation";
    default:
        return "subject.accessory";
    }
}

static int write_accessories(struct state_db *db, int64_t subject, struct str digest,
                             struct artifacts *of, int64_t limit, int64_t offset, struct jw *w,
                             struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT m.id, m.digest, m.artifact_type, m.total_bytes, m.pushed_ms,"
                   " CASE WHEN length(m.body) <= 131072 THEN m.body END" FROM_ABOUT
                   " ORDER BY m.id LIMIT ?2 OFFSET ?3",
                   "iii", subject, limit, offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(w);
        jw_kv_i64(w, "id", query_i64(&q, 0));
        jw_kv_i64(w, "artifact_id", query_i64(&q, 0));
        jw_kv_i64(w, "subject_artifact_id", subject);
        jw_kv_str(w, "subject_artifact_digest", digest);
        jw_kv_str(w, "subject_artifact_repo", of->repository);
        jw_kv_str(w, "digest", query_str(&q, 1));
        jw_kv_c(w, "type", accessory_type(&of->list.r->arena, query_str(&q, 2), query_str(&q, 5)));
        jw_kv_i64(w, "size", query_i64(&q, 3));
        jw_kv_c(w, "icon", "");
        jw_kv_time(w, "creation_time", query_i64(&q, 4));
        jw_end(w);
    }
    return r;
}

/* --- artifacts --- */

/* What was asked for beside the artifact itself. */
static int write_more(struct state_db *db, const struct query *q, struct artifacts *of,
                      struct jw *w, struct err *e)
{
    int64_t id = query_i64(q, 0);
    int r = 0;

    if (!of->without_tags && write_tags(db, id, of, w, e) < 0) {
        return -1;
    }
    if (of->with_accessories) {
        jw_key(w, "accessories");
        jw_array(w);
        r = write_accessories(db, id, query_str(q, 4), of, LIMIT_LIST_ROWS, 0, w, e);
        jw_end(w);
    }
    return r < 0 || (of->with_overview && scan_overview_write(db, id, of->report_type, w, e) < 0)
               ? -1
               : write_references(db, id, w, e);
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
    jw_kv_c(w, "type", type_of(media, type));
    jw_kv_str(w, "media_type", type);
    jw_kv_str(w, "artifact_type", type);
    jw_kv_str(w, "manifest_media_type", media);
    jw_kv_i64(w, "size", query_i64(q, 7));
    jw_kv_time(w, "push_time", query_i64(q, 8));
    write_pull_time(w, of,
                    &(struct pulled_thing){query_i64(q, 2), query_i64(q, 12), query_str(q, 4)},
                    query_i64(q, 9));
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
    write_links(w, of, query_str(q, 4), is_image(media, type) && !is_index(media));
    if (write_more(db, q, of, w, e) < 0 ||
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
    struct str part = harbor_list_part(l, "tags");
    struct str labels = harbor_list_exact(l, "labels");
    int r;

    if ((labels.p != NULL && ids_of(&l->r->arena, labels, &labels, e) < 0) ||
        state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_ARTIFACTS, "ssssis",
                      of->repository, tag, digest, part, of->project_id, labels) < 0 ||
        query_open(&q, db, e,
                   "SELECT " ARTIFACT_COLUMNS FROM_ARTIFACTS
                   " ORDER BY CASE ?7 WHEN 'push_time' THEN m.pushed_ms"
                   "   WHEN 'size' THEN m.total_bytes WHEN '-size' THEN -m.total_bytes"
                   "   ELSE -m.pushed_ms END, m.id DESC LIMIT ?8 OFFSET ?9",
                   "ssssissii", of->repository, tag, digest, part, of->project_id, labels, l->sort,
                   l->size, l->offset) < 0) {
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

    return harbor_project_id(r, &out->project_id, e) < 0 ||
                   harbor_repository_of(r, &out->repository, e) < 0
               ? -1
               : store_policy_get(h->registry, &r->arena, out->project_id, &out->policy, e);
}

int artifact_of(struct http_req *r, struct artifacts *of, struct stored_manifest *m, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct reference ref;

    if (artifacts_of(r, of, e) < 0 ||
        reference_of(of->repository, http_path_param(r, "ref"), &ref, e) < 0 ||
        store_manifest_get(h->registry, &r->arena, &ref, m, &r->error_code, e) < 0) {
        return -1;
    }
    if (m->project_id != of->project_id) { /* of another one that got its name meanwhile */
        return err_set(e, ERR_NOT_FOUND, "there is no such project");
    }
    of->manifest_id = m->id;
    of->digest = m->digest;
    return 0;
}

static bool is_asked(const struct http_req *r, const char *parameter)
{
    return str_eq_nocase(http_query(r, parameter), STR("true"));
}

static void read_asked(struct http_req *r, struct artifacts *of)
{
    of->without_tags = str_eq_nocase(http_query(r, "with_tag"), STR("false"));
    of->with_overview = is_asked(r, "with_scan_overview");
    of->with_accessories = is_asked(r, "with_accessory");
    of->report_type = report_type_of(r);
}

int harbor_artifacts(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"tags", "digest", "labels", NULL};
    struct artifacts of = {.with_label = wants_labels(r)};

    read_asked(r, &of);

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

    of.list.r = r;
    of.list.w = JW(&b);
    read_asked(r, &of);
    return artifact_of(r, &of, &m, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, artifact_fn, &of, e), e);
}

int harbor_artifact_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct stored_manifest m;
    struct artifacts of = {0};
    struct reference ref;

    if (artifact_of(r, &of, &m, e) < 0 ||
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

    return harbor_list_begin(&of.list, r, keys, e) < 0 || artifact_of(r, &of, &m, e) < 0
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
        tag_check(tag, e) < 0 || artifact_of(r, &of, &m, e) < 0 || harbor_refuse_cache(r, e) < 0) {
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

    if (artifact_of(r, &of, &m, e) < 0 || tag_check(tag, e) < 0 ||
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

static int fill_accessories(struct state_db *db, void *ctx, struct err *e)
{
    struct artifacts *of = ctx;
    struct list *l = &of->list;

    return state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_ABOUT, "i", of->manifest_id) <
                   0
               ? -1
               : write_accessories(db, of->manifest_id, str_of(of->digest), of, l->size, l->offset,
                                   &l->w, e);
}

int harbor_accessories(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct artifacts of = {0};
    struct stored_manifest m;

    return harbor_list_begin(&of.list, r, keys, e) < 0 || artifact_of(r, &of, &m, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_accessories, e);
}
