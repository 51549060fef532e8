/* An artifact of one repository in another: its blobs are linked, its manifests pushed once more,
 * those of an index and those that belong to it (signatures) too. All that a pull and a push obey
 * holds here. */
#include "images.h"

#include "registry/accept.h"
#include "registry/artifacts.h"
#include "registry/registry.h"
#include "supply/supply.h"

#include <string.h>

/* An index may list others, and one of them many times: a copy is bounded as a whole. */
enum { DEPTH_MAX = 4, MANIFESTS_MAX = 1000, MANIFEST_BYTES_MAX = 32 * 1024 * 1024 };

struct copying {
    struct http_req *r;
    struct str from;
    int64_t from_project;
    struct repo_key to;
    size_t n_manifests, bytes;       /* read so far */
    char digest[CONTENT_DIGEST_MAX]; /* of what was copied */
};

static int link_blobs(const struct copying *c, const struct manifest *m, struct err *e)
{
    const struct harbor *h = c->r->ctx;
    const char **code = &c->r->error_code;

    if (store_blob_mount(h->registry, c->from, &c->to, m->config.digest, code, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        const struct descriptor *d = &m->layers[i];

        if (store_blob_mount(h->registry, c->from, &c->to, d->digest, code, e) < 0 &&
            !(d->foreign && e->kind == ERR_NOT_FOUND)) {
            return -1;
        }
    }
    return 0;
}

static int find_source(const struct copying *c, struct str ref, struct stored_manifest *out,
                       struct err *e)
{
    const struct harbor *h = c->r->ctx;
    struct reference from;

    if (reference_of(c->from, ref, &from, e) < 0 ||
        store_manifest_get(h->registry, &c->r->arena, &from, out, &c->r->error_code, e) < 0) {
        return -1;
    }
    return out->project_id == c->from_project
               ? supply_may_pull(h->supply,
                                 &(struct registry_pull){.who = &c->r->who,
                                                         .repository = c->from,
                                                         .digest = out->digest,
                                                         .project_id = c->from_project},
                                 e)
               : err_set(e, ERR_NOT_FOUND, "from: there is no such project");
}

static void tell(const struct copying *c, struct str tag, const char *digest)
{
    const struct harbor *h = c->r->ctx;

    registry_emit(h->registry, c->to.name, tag.p ? tag : STR_EMPTY, digest, "pushed");
}

/* p == NULL of `tag`: by its digest alone. */
static int copy_manifest(struct copying *c, struct str ref, struct str tag, unsigned depth,
                         struct err *e)
{
    const struct harbor *h = c->r->ctx;
    struct stored_manifest stored;
    struct manifest m;
    struct manifest_put put = {.repository = c->to, .tags = &tag, .n_tags = tag.p ? 1 : 0};

    if (depth > DEPTH_MAX) {
        return err_set(e, ERR_INVALID, "from: indexes are nested deeper than %d", DEPTH_MAX);
    }
    if (find_source(c, ref, &stored, e) < 0) {
        return -1;
    }
    c->bytes += stored.body.len;
    if (++c->n_manifests > MANIFESTS_MAX || c->bytes > MANIFEST_BYTES_MAX) {
        return err_set(e, ERR_INVALID, "from: more than %d manifests or %d bytes of them",
                       MANIFESTS_MAX, MANIFEST_BYTES_MAX);
    }
    if (manifest_parse(&c->r->arena, stored.media_type, stored.body, &m, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < m.n_children; i++) {
        if (copy_manifest(c, str_of(m.children[i].digest), (struct str){0}, depth + 1, e) < 0) {
            return -1;
        }
    }
    put.body = stored.body;
    if ((!m.is_index && link_blobs(c, &m, e) < 0) ||
        accept_manifest(h->registry, &c->r->arena, &put, stored.media_type, stored.digest,
                        &c->r->error_code, e) < 0) {
        return -1;
    }
    tell(c, tag, stored.digest);
    memcpy(c->digest, stored.digest, sizeof(c->digest));
    return 0;
}

/* Signatures and the like; cosign finds its own by their tags. */
static int copy_accessories(struct copying *c, struct err *e)
{
    const struct harbor *h = c->r->ctx;
    struct artifact of;
    struct artifact_list about;

    if (artifact_find(h->registry, &c->r->arena, c->from, str_of(c->digest), &of, e) < 0 ||
        artifacts_about(h->registry, &c->r->arena, &of, &about, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < about.n; i++) {
        struct artifact *one = &about.items[i];
        struct str tag = str_starts(one->tag, STR("sha256-")) ? one->tag : (struct str){0};

        if (copy_manifest(c, str_of(one->digest), tag, 0, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int cache_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct http_req *r = ctx;
    struct project_proxy p;
    int is_cache = access_project_proxy(db, r->project, &p, e);

    return is_cache > 0 ? err_set(e, ERR_UNSUPPORTED,
                                  "the project is a cache of another registry: nothing is put into "
                                  "it by hand")
                        : is_cache;
}

int harbor_refuse_cache(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;

    return state_read(h->state, cache_fn, r, e);
}

/* ?from=project/repository:tag, or @digest */
int harbor_copy(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str text = http_query(r, "from"), ref;
    struct copying c = {.r = r, .to = {.by = str_of(r->who.name)}};
    struct reference from;

    if (text.p == NULL) {
        return err_set(e, ERR_INVALID, "from: say what, as project/repository:tag");
    }
    if (reference_parse(text, &from, e) < 0 || harbor_repository_of(r, &c.to.name, e) < 0 ||
        harbor_project_id(r, &c.to.project_id, e) < 0 || harbor_refuse_cache(r, e) < 0 ||
        access_project_may(h->access, &r->who, PERM_IMAGE_PULL, name_project(from.repository),
                           &c.from_project, e) < 0) {
        return -1;
    }
    c.from = from.repository;
    ref = from.tag.p ? from.tag : str_of(from.digest);
    if (copy_manifest(&c, ref, from.tag, 0, e) < 0 || copy_accessories(&c, e) < 0) {
        return -1;
    }
    http_set_header(r, "Location", "%.*s/%.*s", STR_ARG(r->path), STR_ARG(ref));
    return http_reply_empty(r, 201, e);
}
