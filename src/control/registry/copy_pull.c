#include "copy_priv.h"

#include "accept.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry_priv.h"
#include "store.h"

#include <string.h>

enum {
    BLOB_TRIES = 3,           /* without progress between them */
    MIN_PROGRESS = 256 * 1024 /* less is none: a peer that gives a byte a time is given up */
};

struct pull {
    struct copying y;
    struct str from;
    const struct repo_key *to;
};

/* What is asked for next. */
struct wanted {
    struct str reference, tag;
    const char *subject; /* what it must refer to, or NULL */
};

static int pull_image(struct pull *p, const struct wanted *w, struct err *e);

/* --- a blob --- */

struct receiving {
    const struct pull *p;
    struct content_writer *w;
    const struct descriptor *d;
};

static int receive_piece(void *ctx, struct str piece, struct err *e)
{
    const struct receiving *v = ctx;

    if (content_writer_offset(v->w) + (int64_t)piece.len > v->d->size_bytes) {
        return err_set(e, ERR_INVALID,
                       "%s is longer than the %lld bytes that its manifest says: the registry is "
                       "broken, or it lies",
                       v->d->digest, (long long)v->d->size_bytes);
    }
    if (content_writer_add(v->w, piece, e) < 0) {
        return -1;
    }
    copy_tell(&v->p->y, 0, (int64_t)piece.len, (int64_t)piece.len);
    return 0;
}

static bool may_go_on(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT;
}

/* One request, from where we stand. */
static int receive_some(struct receiving *v, struct err *e)
{
    int64_t from = content_writer_offset(v->w);

    if (remote_blob_get(v->p->y.c->remote, v->p->from, v->d->digest, from, receive_piece, v, e) <
        0) {
        if (e->kind != ERR_RANGE || from == 0) {
            return -1;
        }
        copy_tell(&v->p->y, 0, -from, 0);
        return content_writer_cut(v->w, 0, e);
    }
    return content_writer_offset(v->w) < v->d->size_bytes
               ? err_set(e, ERR_UNAVAILABLE, "%s ends after %lld of %lld bytes", v->d->digest,
                         (long long)content_writer_offset(v->w), (long long)v->d->size_bytes)
               : 0;
}

/* As long as each try brings us further. */
static int receive_all(struct receiving *v, struct err *e)
{
    int64_t best = content_writer_offset(v->w);
    int tries = 0;

    while (content_writer_offset(v->w) < v->d->size_bytes) {
        if (receive_some(v, e) < 0 && (!may_go_on(e) || ++tries > BLOB_TRIES)) {
            return -1;
        }
        if (content_writer_offset(v->w) >= best + MIN_PROGRESS) {
            best = content_writer_offset(v->w);
            tries = 0;
        }
    }
    return 0;
}

void copy_upload_id(const struct repo_key *to, const char *digest, char id[COPY_UPLOAD_ID])
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

    if (w == NULL && e->kind == ERR_NOT_FOUND) {
        w = content_writer_new(r->content, id, e);
    }
    if (w == NULL && e->kind == ERR_CONFLICT) { /* the same for another rule: soon it is there */
        err_set(e, ERR_UNAVAILABLE, "the same blob is being copied by another run");
    }
    return w;
}

static int receive_blob(struct receiving *v, const char *id, struct err *e)
{
    struct registry *r = v->p->y.c->registry;
    const char *code = NULL;
    struct err ignored;

    if (content_writer_offset(v->w) > v->d->size_bytes && content_writer_cut(v->w, 0, e) < 0) {
        return -1;
    }
    copy_tell(&v->p->y, 0, content_writer_offset(v->w), 0);
    if (receive_all(v, e) == 0 && accept_blob(r, &v->w, v->p->to, v->d->digest, &code, e) == 0) {
        return 0;
    }
    if (v->w == NULL || may_go_on(e) || e->kind == ERR_CONFLICT || e->kind == ERR_THROTTLED) {
        return -1;
    }
    /* Wrong bytes, or no room: what is here would only be in the way. */
    copy_tell(&v->p->y, 0, -content_writer_offset(v->w), 0);
    content_writer_close(TAKE(v->w));
    (void)!content_upload_delete(r->content, id, &ignored);
    return -1;
}

static int download(const struct pull *p, const struct descriptor *d, struct err *e)
{
    struct registry *r = p->y.c->registry;
    char id[COPY_UPLOAD_ID];
    const char *code = NULL;
    struct receiving v = {.p = p, .d = d};
    int64_t had, room;
    int result;

    copy_upload_id(p->to, d->digest, id);
    if (store_quota_room(r, p->to, d->size_bytes, &room, &code, e) < 0 ||
        (v.w = open_upload(r, id, e)) == NULL) {
        return -1;
    }
    had = content_writer_offset(v.w);
    result = receive_blob(&v, id, e);
    if (result < 0 && e->kind == ERR_INVALID && had > 0 && v.w == NULL) {
        /* What was here came from elsewhere or before a change there: once more, all of it. */
        v.w = open_upload(r, id, e);
        result = v.w ? receive_blob(&v, id, e) : -1;
    }
    content_writer_close(v.w);
    if (result < 0 && e->kind == ERR_INVALID) {
        err_wrap(e, "%.*s there", STR_ARG(p->from));
    }
    return result;
}

/* 1: the repository has it now; 0: it does not. */
static int blob_is_here(const struct pull *p, const char *digest, struct err *e)
{
    struct registry *r = p->y.c->registry;
    struct stored_blob blob;
    const char *code;

    if (store_blob_find(r, p->to->name, digest, &blob, &code, e) == 0) {
        if (blob.is_stale) {
            store_blob_renew(r, p->to->name, digest);
        }
        return 1;
    }
    if (e->kind != ERR_NOT_FOUND) {
        return -1;
    }
    if (store_blob_mount(r, (struct str){0}, p->to, digest, &code, e) == 0) {
        return 1;
    }
    return e->kind == ERR_NOT_FOUND ? 0 : -1;
}

static int pull_blob(const struct pull *p, const struct descriptor *d, struct err *e)
{
    int here = d->foreign ? 1 : blob_is_here(p, d->digest, e);

    if (here > 0 && !d->foreign) {
        copy_tell(&p->y, 0, d->size_bytes, 0);
    }
    return here < 0 ? -1 : here > 0 ? 0 : download(p, d, e);
}

int copy_pull_blob(const struct copy *c, struct str from, const struct repo_key *to,
                   const struct descriptor *d, struct err *e)
{
    struct copy_result ignored;
    struct pull p = {.y = {.c = c, .out = &ignored}, .from = from, .to = to};

    return pull_blob(&p, d, e);
}

/* --- a manifest --- */

static int pull_parts(struct pull *p, const struct manifest *m, struct err *e)
{
    copy_tell_total(&p->y, m);
    for (size_t i = 0; i < m->n_children; i++) {
        const struct descriptor *d = &m->children[i];
        struct wanted w = {.reference = str_of(d->digest)};

        if ((copy_is_manifest(d->media_type) ? pull_image(p, &w, e) : pull_blob(p, d, e)) < 0) {
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

struct referrers {
    struct pull *p;
    const char *subject;
};

static int pull_referrer(void *ctx, struct str name, struct err *e)
{
    const struct referrers *f = ctx;
    char digest[CONTENT_DIGEST_MAX];
    struct wanted w = {.subject = f->subject};

    if (content_digest_parse(name, digest, e) < 0) {
        return err_wrap(e, "the list of referrers");
    }
    w.reference = str_of(digest);
    if (pull_image(f->p, &w, e) == 0 || e->kind == ERR_NOT_FOUND) { /* lists may be old */
        return 0;
    }
    return -1;
}

static int store_manifest(struct pull *p, const struct wanted *w, struct arena *a,
                          const struct remote_manifest *got, struct err *e)
{
    struct registry *r = p->y.c->registry;
    struct manifest_put put = {.repository = *p->to,
                               .tags = &w->tag,
                               .n_tags = w->tag.p != NULL,
                               .body = buf_str(&got->body)};
    const char *code;

    if (accept_manifest(r, a, &put, str_of(got->media_type), got->digest, &code, e) < 0) {
        return -1;
    }
    p->y.out->changed = true;
    registry_emit(r, p->to->name, w->tag.p ? w->tag : STR_EMPTY, put.digest, "pushed");
    return 0;
}

/* 1: it is not what was meant; *e is not filled. */
static int take_manifest(struct pull *p, const struct wanted *w, const struct remote_manifest *got,
                         struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct manifest m;

    if (manifest_parse(&a, str_of(got->media_type), buf_str(&got->body), &m, e) < 0) {
        return err_wrap(e, "%.*s there", STR_ARG(p->from));
    }
    if (w->subject != NULL && strcmp(m.subject, w->subject) != 0) {
        return 1;
    }
    if (p->y.depth == 1 && !copy_is_kind(p->y.c->kind, &m)) {
        p->y.out->is_other_kind = true;
        return 1;
    }
    return pull_parts(p, &m, e) < 0 ? -1 : store_manifest(p, w, &a, got, e);
}

/* 1: here, under that tag too. */
static int is_here(const struct pull *p, const char *digest, struct str tag, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct reference ref = {.repository = p->to->name, .tag = tag};
    struct stored_manifest have;
    const char *code;

    if (tag.p == NULL) {
        (void)!str_copy(str_of(digest), ref.digest, sizeof(ref.digest));
    }
    if (store_manifest_get(p->y.c->registry, &a, &ref, &have, &code, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    return strcmp(have.digest, digest) == 0;
}

static int fetch_image(struct pull *p, const struct wanted *w, char digest[CONTENT_DIGEST_MAX],
                       struct err *e)
{
    struct remote_manifest got = {0};
    int result = remote_manifest_get(p->y.c->remote, p->from,
                                     digest[0] ? str_of(digest) : w->reference, &got, e);

    if (result == 0) {
        memcpy(digest, got.digest, CONTENT_DIGEST_MAX);
        result = is_here(p, digest, w->tag, e); /* a peer that does not say digests beforehand */
        result = result < 0 ? -1 : result > 0 ? 0 : take_manifest(p, w, &got, e);
    }
    buf_done(&got.body);
    return result;
}

/* `digest`: "" when the peer does not say. */
static int pull_one(struct pull *p, const struct wanted *w, char digest[CONTENT_DIGEST_MAX],
                    struct err *e)
{
    int here = digest[0] ? is_here(p, digest, w->tag, e) : 0;
    int result = here < 0 ? -1 : here > 0 ? 0 : fetch_image(p, w, digest, e);

    if (p->y.depth == 1) {
        memcpy(p->y.out->digest, digest, CONTENT_DIGEST_MAX);
    }
    if (result == 0 && p->y.c->with_referrers) {
        struct referrers f = {p, digest};

        return remote_referrers(p->y.c->remote, p->from, digest, pull_referrer, &f, e);
    }
    return result < 0 ? -1 : 0;
}

static int pull_image(struct pull *p, const struct wanted *w, struct err *e)
{
    char digest[CONTENT_DIGEST_MAX];
    int result;

    if (content_digest_parse(w->reference, digest, e) < 0 &&
        remote_manifest_head(p->y.c->remote, p->from, w->reference, digest, e) < 0) {
        return -1;
    }
    result = copying_enter(&p->y, digest, e);
    if (result > 0) {
        result = pull_one(p, w, digest, e);
        copying_leave(&p->y);
    }
    return result;
}

int copy_pull(const struct copy *c, struct str from, struct str reference,
              const struct repo_key *to, struct str tag, struct copy_result *out, struct err *e)
{
    struct pull p = {.y = {.c = c, .out = out}, .from = from, .to = to};
    struct wanted w = {.reference = reference, .tag = tag};
    int result;

    *out = (struct copy_result){.changed = false};
    result = pull_image(&p, &w, e);
    map_done(&p.y.seen);
    return result;
}

int copy_delete_here(struct registry *r, struct str repository, struct str tag, struct str by,
                     struct err *e)
{
    char digest[CONTENT_DIGEST_MAX];

    if (store_tag_drop(r, repository, tag, by, digest, e) < 0) {
        return -1;
    }
    registry_emit(r, repository, tag, digest, "deleted");
    return 0;
}
