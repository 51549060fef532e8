#include "copy.h"

#include "accept.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "manifest.h"
#include "registry_priv.h"

#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 6, BLOB_TRIES = 5, REFERRERS_MAX = 1000 };

/* --- what refers to an image: {"manifests": [{"digest": ...}]} --- */

typedef int each_digest(void *ctx, const char *digest, struct err *e);

static int each_referrer(struct str index, each_digest *each, void *ctx, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = index.len > 0 ? json_parse(index, e) : json_object();
    const json_t *list = json_object_get(doc, "manifests");

    if (doc == NULL) {
        return err_wrap(e, "the list of referrers");
    }
    for (size_t i = 0; i < json_array_size(list) && i < REFERRERS_MAX; i++) {
        char digest[CONTENT_DIGEST_MAX];
        struct str text = STR_EMPTY;

        if (json_need_str(json_array_get(list, i), "digest", &text, e) < 0 ||
            content_digest_parse(text, digest, e) < 0 || each(ctx, digest, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_image(struct str media_type)
{
    return str_eq_c(media_type, MEDIA_OCI_MANIFEST) || str_eq_c(media_type, MEDIA_OCI_INDEX) ||
           str_eq_c(media_type, MEDIA_DOCKER_MANIFEST) || str_eq_c(media_type, MEDIA_DOCKER_LIST);
}

/* --- here --- */

struct pull {
    const struct copy *c;
    struct str from;
    const struct repo_key *to;
    int depth;
};

static int pull_image(struct pull *p, struct str reference, struct str tag,
                      char digest[CONTENT_DIGEST_MAX], struct err *e);

struct receiving {
    const struct pull *p;
    struct content_writer *w;
    const struct descriptor *d;
};

static int receive_piece(void *ctx, struct str piece, struct err *e)
{
    const struct receiving *v = ctx;

    if (content_writer_offset(v->w) + (int64_t)piece.len > v->d->size_bytes) {
        return err_set(e, ERR_INVALID, "%s is longer than the %lld bytes its manifest says",
                       v->d->digest, (long long)v->d->size_bytes);
    }
    if (content_writer_add(v->w, piece, e) < 0) {
        return -1;
    }
    if (v->p->c->progress != NULL) {
        v->p->c->progress(v->p->c->ctx, (int64_t)piece.len);
    }
    return 0;
}

static bool may_go_on(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT;
}

/* From where we stand, as long as each try brings us further. */
static int receive_all(struct receiving *v, struct err *e)
{
    int tries = 0;

    while (content_writer_offset(v->w) < v->d->size_bytes) {
        int64_t from = content_writer_offset(v->w);

        if (remote_blob_get(v->p->c->remote, v->p->from, v->d->digest, from, receive_piece, v, e) ==
            0) {
            return 0;
        }
        if (e->kind == ERR_RANGE && from > 0) {
            if (content_writer_cut(v->w, 0, e) < 0) {
                return -1;
            }
            continue;
        }
        tries = content_writer_offset(v->w) > from ? 0 : tries + 1;
        if (!may_go_on(e) || tries >= BLOB_TRIES) {
            return -1;
        }
    }
    return 0;
}

/* Named after what it will be, so that another try (also after a restart) finds it. */
static void upload_id(const struct repo_key *to, const char *digest, char id[65])
{
    struct buf b = BUF_MAX(1024);
    unsigned char sum[SHA256_BYTES];

    (void)buf_printf(&b, "copy\n%.*s\n%lld\n%s", STR_ARG(to->name), (long long)to->project_id,
                     digest);
    sha256_of(buf_str(&b), sum);
    hex_encode(sum, sizeof(sum), id);
    buf_done(&b);
}

static struct content_writer *open_upload(struct registry *r, const char *id, struct err *e)
{
    struct content_writer *w = content_writer_resume(r->content, id, e);

    return w == NULL && e->kind == ERR_NOT_FOUND ? content_writer_new(r->content, id, e) : w;
}

static int download(const struct pull *p, const struct descriptor *d, struct err *e)
{
    struct registry *r = p->c->registry;
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    char id[2 * SHA256_BYTES + 1];
    const char *code = NULL;
    struct receiving v = {.p = p, .d = d};
    struct err ignored;

    upload_id(p->to, d->digest, id);
    if (store_quota_fits(r, p->to, d->size_bytes, &code, e) < 0 ||
        (w = open_upload(r, id, e)) == NULL) {
        return -1;
    }
    v.w = w;
    if (receive_all(&v, e) < 0) {
        return -1;
    }
    if (accept_blob(r, &w, p->to, d->digest, &code, e) == 0) {
        return 0;
    }
    if (w != NULL && e->kind == ERR_INVALID) { /* wrong bytes: going on would not mend them */
        content_writer_close(TAKE(w));
        (void)!content_upload_delete(r->content, id, &ignored);
    }
    return -1;
}

static int pull_blob(const struct pull *p, const struct descriptor *d, struct err *e)
{
    struct registry *r = p->c->registry;
    struct stored_blob blob;
    const char *code;
    struct err missing;

    if (d->foreign) {
        return 0;
    }
    if (store_blob_find(r, p->to->name, d->digest, &blob, &code, &missing) == 0) {
        if (blob.is_stale) {
            store_blob_renew(r, p->to->name, d->digest);
        }
        return 0;
    }
    if (missing.kind != ERR_NOT_FOUND) {
        *e = missing;
        return -1;
    }
    if (store_blob_mount(r, (struct str){0}, p->to, d->digest, &code, &missing) == 0) {
        return 0;
    }
    if (missing.kind != ERR_NOT_FOUND) {
        *e = missing;
        return -1;
    }
    return download(p, d, e);
}

static int pull_child(struct pull *p, const struct descriptor *d, struct err *e)
{
    char digest[CONTENT_DIGEST_MAX];

    return is_image(d->media_type) ? pull_image(p, str_of(d->digest), (struct str){0}, digest, e)
                                   : pull_blob(p, d, e);
}

static int pull_parts(struct pull *p, const struct manifest *m, struct err *e)
{
    for (size_t i = 0; i < m->n_children; i++) {
        if (pull_child(p, &m->children[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        if (pull_blob(p, &m->layers[i], e) < 0) {
            return -1;
        }
    }
    return m->is_index ? 0 : pull_blob(p, &m->config, e);
}

static int pull_referrer(void *ctx, const char *digest, struct err *e)
{
    char ignored[CONTENT_DIGEST_MAX];

    return pull_image(ctx, str_of(digest), (struct str){0}, ignored, e);
}

static int pull_referrers(struct pull *p, const char *digest, struct err *e)
{
    struct buf index = BUF_MAX(16 * MIB);
    int result = remote_referrers(p->c->remote, p->from, digest, &index, e);

    if (result == 0) {
        result = each_referrer(buf_str(&index), pull_referrer, p, e);
    }
    buf_done(&index);
    return result;
}

static int pull_whole(struct pull *p, struct str reference, struct str tag,
                      struct remote_manifest *got, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    bool by_digest = str_find_char(reference, ':') >= 0;
    struct manifest_put put = {
        .repository = *p->to, .tags = &tag, .n_tags = tag.p != NULL, .body = buf_str(&got->body)};
    struct manifest m;
    const char *code;

    if (manifest_parse(&a, str_of(got->media_type), put.body, &m, e) < 0 ||
        pull_parts(p, &m, e) < 0 ||
        accept_manifest(p->c->registry, &a, &put, str_of(got->media_type),
                        by_digest ? got->digest : "", &code, e) < 0) {
        return -1;
    }
    registry_emit(p->c->registry, p->to->name, tag.p ? tag : STR_EMPTY, put.digest, "pushed");
    return p->c->with_referrers ? pull_referrers(p, put.digest, e) : 0;
}

static int pull_image(struct pull *p, struct str reference, struct str tag,
                      char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    struct remote_manifest got = {0};
    int result;

    if (p->depth == DEPTH_MAX) {
        return err_set(e, ERR_INVALID, "indexes and referrers are nested deeper than %d",
                       DEPTH_MAX);
    }
    p->depth++;
    result = remote_manifest_get(p->c->remote, p->from, reference, &got, e);
    if (result == 0) {
        memcpy(digest, got.digest, CONTENT_DIGEST_MAX);
        result = pull_whole(p, reference, tag, &got, e);
    }
    buf_done(&got.body);
    p->depth--;
    return result;
}

int copy_pull(const struct copy *c, struct str from, struct str reference,
              const struct repo_key *to, struct str tag, char digest[CONTENT_DIGEST_MAX],
              struct err *e)
{
    struct pull p = {.c = c, .from = from, .to = to};

    return pull_image(&p, reference, tag, digest, e);
}

/* --- there --- */

struct push {
    const struct copy *c;
    struct str from, to;
    int depth;
};

static int push_image(struct push *p, const struct reference *ref, struct str tag,
                      char digest[CONTENT_DIGEST_MAX], struct err *e);

struct sent {
    const struct copy *c;
    int64_t told;
};

static void tell_sent(void *ctx, int64_t bytes)
{
    struct sent *s = ctx;

    if (s->c->progress != NULL && bytes > s->told) {
        s->c->progress(s->c->ctx, bytes - s->told);
        s->told = bytes;
    }
}

static int push_blob(const struct push *p, const struct descriptor *d, struct err *e)
{
    struct registry *r = p->c->registry;
    SCOPED(closep) int fd = -1;
    struct sent sent = {.c = p->c};
    struct remote_upload u = {
        .repository = p->to, .digest = d->digest, .progress = tell_sent, .ctx = &sent};
    struct stored_blob blob;
    const char *code;

    if (d->foreign) {
        return 0;
    }
    if (store_blob_find(r, p->from, d->digest, &blob, &code, e) < 0 ||
        content_blob_open(r->content, d->digest, &fd, &u.size_bytes, e) < 0) {
        return -1;
    }
    u.fd = fd;
    return remote_blob_put(p->c->remote, &u, e);
}

static int push_child(struct push *p, const struct descriptor *d, struct err *e)
{
    struct reference ref = {.repository = p->from};
    char digest[CONTENT_DIGEST_MAX];

    memcpy(ref.digest, d->digest, sizeof(ref.digest));
    return is_image(d->media_type) ? push_image(p, &ref, (struct str){0}, digest, e)
                                   : push_blob(p, d, e);
}

static int push_parts(struct push *p, const struct manifest *m, struct err *e)
{
    for (size_t i = 0; i < m->n_children; i++) {
        if (push_child(p, &m->children[i], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        if (push_blob(p, &m->layers[i], e) < 0) {
            return -1;
        }
    }
    return m->is_index ? 0 : push_blob(p, &m->config, e);
}

static int push_referrer(void *ctx, const char *digest, struct err *e)
{
    struct push *p = ctx;
    struct reference ref = {.repository = p->from};
    char ignored[CONTENT_DIGEST_MAX];

    return str_copy(str_of(digest), ref.digest, sizeof(ref.digest)) < 0
               ? err_set(e, ERR_INTERNAL, "a digest is too long")
               : push_image(p, &ref, (struct str){0}, ignored, e);
}

static int push_referrers(struct push *p, const char *digest, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct page page = {.limit = REFERRERS_MAX, .arena = &a};
    struct buf index = BUF_MAX(16 * MIB);
    struct jw w = JW(&index);
    int result;

    jw_object(&w);
    jw_key(&w, "manifests");
    jw_array(&w);
    result = store_referrers(p->c->registry, p->from, digest, STR_EMPTY, &page, &w, e);
    jw_end(&w);
    jw_end(&w);
    if (result == 0) {
        result = each_referrer(buf_str(&index), push_referrer, p, e);
    }
    buf_done(&index);
    return result;
}

/* An image that is there has all its parts there: only its name may be missing. */
static int is_there(const struct push *p, const char *digest, bool *out, struct err *e)
{
    char found[CONTENT_DIGEST_MAX];

    *out = remote_manifest_head(p->c->remote, p->to, str_of(digest), found, e) == 0;
    return *out || e->kind == ERR_NOT_FOUND ? 0 : -1;
}

static int push_whole(struct push *p, struct arena *a, const struct stored_manifest *have,
                      struct str tag, struct err *e)
{
    struct manifest m;
    bool there;

    if (manifest_parse(a, have->media_type, have->body, &m, e) < 0 ||
        is_there(p, have->digest, &there, e) < 0 || (!there && push_parts(p, &m, e) < 0)) {
        return -1;
    }
    if (tag.p != NULL || !there) {
        if (remote_manifest_put(p->c->remote, p->to, tag.p ? tag : str_of(have->digest),
                                arena_strdup(a, have->media_type), have->body, e) < 0) {
            return -1;
        }
    }
    return p->c->with_referrers ? push_referrers(p, have->digest, e) : 0;
}

static int push_image(struct push *p, const struct reference *ref, struct str tag,
                      char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct stored_manifest have;
    const char *code;
    int result;

    if (p->depth == DEPTH_MAX) {
        return err_set(e, ERR_INVALID, "indexes and referrers are nested deeper than %d",
                       DEPTH_MAX);
    }
    p->depth++;
    result = store_manifest_get(p->c->registry, &a, ref, &have, &code, e);
    if (result == 0) {
        memcpy(digest, have.digest, CONTENT_DIGEST_MAX);
        result = push_whole(p, &a, &have, tag, e);
    }
    p->depth--;
    return result;
}

int copy_push(const struct copy *c, struct str from, struct str reference, struct str to,
              struct str tag, char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    struct push p = {.c = c, .from = from, .to = to};
    struct reference ref;

    return reference_of(from, reference, &ref, e) < 0 ? -1 : push_image(&p, &ref, tag, digest, e);
}
