#include "copy_priv.h"

#include "base/json.h"
#include "base/mem.h"
#include "registry_priv.h"
#include "store.h"

#include <string.h>
#include <unistd.h>

/* Smaller ones are sent again after a cut: remembering would cost more. */
enum { KEEP_BYTES = 4 * 1024 * 1024 };

struct push {
    struct copying y;
    struct str from, to;
};

static int push_image(struct push *p, const struct reference *ref, struct str tag, struct err *e);

/* --- a blob --- */

struct sent {
    const struct push *p;
    const char *digest;
    int64_t told;
};

static void tell_sent(void *ctx, int64_t at, int64_t sent)
{
    struct sent *s = ctx;

    copy_tell(&s->p->y, 0, at - s->told, sent);
    s->told = at;
}

static void keep_session(void *ctx, const char *session)
{
    const struct sent *s = ctx;

    s->p->y.c->hooks->session_keep(s->p->y.c->ctx, s->p->to, s->digest, session);
}

static int push_blob(const struct push *p, const struct descriptor *d, struct err *e)
{
    struct registry *r = p->y.c->registry;
    SCOPED(closep) int fd = -1;
    char session[2048] = "";
    struct sent sent = {.p = p, .digest = d->digest};
    struct remote_upload u = {.repository = p->to,
                              .digest = d->digest,
                              .session = session,
                              .progress = tell_sent,
                              .moved = d->size_bytes >= KEEP_BYTES ? keep_session : NULL,
                              .ctx = &sent};
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
    if (u.moved != NULL) {
        p->y.c->hooks->session_find(p->y.c->ctx, p->to, d->digest, session);
    }
    if (remote_blob_put(p->y.c->remote, &u, e) < 0) {
        tell_sent(&sent, 0, 0);
        return -1;
    }
    tell_sent(&sent, d->size_bytes, 0);
    return 0;
}

/* --- a manifest --- */

static int push_digest(struct push *p, const char *digest, struct err *e)
{
    struct reference ref = {.repository = p->from};

    memcpy(ref.digest, digest, sizeof(ref.digest));
    return push_image(p, &ref, (struct str){0}, e);
}

static int push_parts(struct push *p, const struct manifest *m, struct err *e)
{
    copy_tell_total(&p->y, m);
    for (size_t i = 0; i < m->n_children; i++) {
        const struct descriptor *d = &m->children[i];

        if ((copy_is_manifest(d->media_type) ? push_digest(p, d->digest, e) : push_blob(p, d, e)) <
            0) {
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

/* --- what refers to it --- */

/* All pages of our list, as an array of descriptors. */
static json_t *referrers_here(const struct push *p, const char *digest, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(json_decrefp) json_t *all = json_array();
    struct page page = {.limit = LIMIT_LIST_ROWS, .arena = &a};

    do {
        SCOPED(buf_done) struct buf text = BUF_MAX(16 * MIB);
        SCOPED(json_decrefp) json_t *some = NULL;
        struct jw w = JW(&text);

        page.after = page.last;
        page.last = (struct str){0};
        jw_array(&w);
        if (store_referrers(p->y.c->registry, p->from, digest, STR_EMPTY, &page, &w, e) < 0) {
            return NULL;
        }
        jw_end(&w);
        some = json_loadb(text.p, text.len, 0, NULL); /* ours: no need to distrust it */
        if (text.failed || json_array_extend(all, some) < 0) {
            err_set(e, ERR_LIMIT, "the list of referrers of %s is too long", digest);
            return NULL;
        }
    } while (page.last.p != NULL);
    return json_incref(all);
}

static bool lists(const json_t *array, const json_t *descriptor)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_equal(json_object_get(json_array_get(array, i), "digest"),
                       json_object_get(descriptor, "digest"))) {
            return true;
        }
    }
    return false;
}

/* What the tag lists already, or an index without anything. */
static json_t *index_there(const struct push *p, struct str tag, struct err *e)
{
    struct remote_manifest m = {0};
    json_t *index = NULL;

    if (remote_manifest_get(p->y.c->remote, p->to, tag, &m, e) == 0) {
        index = json_parse(buf_str(&m.body), e);
    } else if (e->kind == ERR_NOT_FOUND) {
        index = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX,
                          "manifests");
    }
    buf_done(&m.body);
    return index;
}

/* For a peer without the API: OCI dist-spec 1.1 "Pushing Manifests with Subject". */
static int write_referrers_tag(const struct push *p, const char *digest, const json_t *ours,
                               struct err *e)
{
    char tag[CONTENT_DIGEST_MAX];
    SCOPED(json_decrefp) json_t *index = NULL;
    SCOPED(freep) char *text = NULL;
    json_t *list;
    bool changed = false;

    remote_referrers_tag(digest, tag);
    index = index_there(p, str_of(tag), e);
    if (index == NULL) {
        return -1;
    }
    list = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(ours); i++) {
        if (!lists(list, json_array_get(ours, i))) {
            (void)json_array_append(list, json_array_get(ours, i));
            changed = true;
        }
    }
    text = changed ? json_dumps(index, JSON_COMPACT) : NULL;
    return text == NULL ? 0
                        : remote_manifest_put(p->y.c->remote, p->to, str_of(tag), MEDIA_OCI_INDEX,
                                              str_of(text), e);
}

static int push_referrers(struct push *p, const char *digest, struct err *e)
{
    SCOPED(json_decrefp) json_t *ours = referrers_here(p, digest, e);
    char one[CONTENT_DIGEST_MAX];
    int knows;

    if (ours == NULL) {
        return -1;
    }
    for (size_t i = 0; i < json_array_size(ours); i++) {
        struct str text = STR_EMPTY;

        if (json_need_str(json_array_get(ours, i), "digest", &text, e) < 0 ||
            content_digest_parse(text, one, e) < 0 || push_digest(p, one, e) < 0) {
            return -1;
        }
    }
    if (json_array_size(ours) == 0) {
        return 0;
    }
    knows = remote_knows_referrers(p->y.c->remote, p->to, digest, e);
    return knows < 0 ? -1 : knows > 0 ? 0 : write_referrers_tag(p, digest, ours, e);
}

/* --- the whole --- */

/* 1: there under that reference. What is there has all its parts there. */
static int is_there(const struct push *p, const char *digest, struct str reference, struct err *e)
{
    char found[CONTENT_DIGEST_MAX];

    if (remote_manifest_head(p->y.c->remote, p->to, reference, found, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    return found[0] == '\0' ? str_eq_c(reference, digest) : strcmp(found, digest) == 0;
}

static int send_manifest(struct push *p, struct arena *a, const struct stored_manifest *have,
                         struct str reference, struct err *e)
{
    if (remote_manifest_put(p->y.c->remote, p->to, reference, arena_strdup(a, have->media_type),
                            have->body, e) < 0) {
        return -1;
    }
    p->y.out->changed = true;
    return 0;
}

static int push_whole(struct push *p, struct arena *a, const struct stored_manifest *have,
                      struct str tag, struct err *e)
{
    struct str by_digest = str_of(have->digest);
    struct manifest m;
    int there = is_there(p, have->digest, tag.p ? tag : by_digest, e);

    if (there > 0) {
        return 0;
    }
    if (there < 0 || manifest_parse(a, have->media_type, have->body, &m, e) < 0) {
        return -1;
    }
    if (p->y.depth == 1 && !copy_is_kind(p->y.c->kind, &m)) {
        p->y.out->is_other_kind = true;
        return 1;
    }
    there = tag.p ? is_there(p, have->digest, by_digest, e) : 0; /* only its name is missing */
    if (there < 0 || (there == 0 && push_parts(p, &m, e) < 0)) {
        return -1;
    }
    return send_manifest(p, a, have, tag.p ? tag : by_digest, e);
}

static int push_image(struct push *p, const struct reference *ref, struct str tag, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct stored_manifest have;
    const char *code;
    int result;

    if (store_manifest_get(p->y.c->registry, &a, ref, &have, &code, e) < 0) {
        return -1;
    }
    result = copying_enter(&p->y, have.digest, e);
    if (result <= 0) {
        return result;
    }
    if (p->y.depth == 1) {
        memcpy(p->y.out->digest, have.digest, CONTENT_DIGEST_MAX);
    }
    result = push_whole(p, &a, &have, tag, e);
    if (result == 0 && p->y.c->with_referrers) {
        result = push_referrers(p, have.digest, e);
    }
    copying_leave(&p->y);
    return result < 0 ? -1 : 0;
}

int copy_push(const struct copy *c, struct str from, struct str reference, struct str to,
              struct str tag, struct copy_result *out, struct err *e)
{
    struct push p = {.y = {.c = c, .out = out}, .from = from, .to = to};
    struct reference ref;
    int result;

    *out = (struct copy_result){.changed = false};
    result = reference_of(from, reference, &ref, e) < 0 ? -1 : push_image(&p, &ref, tag, e);
    map_done(&p.y.seen);
    return result;
}
