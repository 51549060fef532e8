/* proxy - projects that are caches of another registry.
 *
 *   docker pull -> manifest_http.c -> proxy.c      -> one fetch of each thing (proxy_flight.c)
 *               -> blob_http.c     -> proxy_blob.c -> remote.c, copy_pull.c -> accept.c
 *
 * A tag is asked again by HEAD when it was not for the project's ttl; what is named by its digest
 * is asked for once. A manifest is kept before what it names (the rows of manifest_wants say what
 * is to come): the images of an index and the blobs of an image are fetched when somebody asks for
 * them. When the other registry does not answer, or refuses, what is here is served.
 *
 * HEAD is answered with what the other registry says of the manifest, which is not fetched for it,
 * except from one that knows no HEAD or does not say enough. What it said of a tag is remembered
 * for its ttl, so that the manifest that is then asked for by its digest gets that tag. A tag that
 * names something else there, which is here already, is moved by HEAD too.
 *
 * Who fetches a manifest is the worker of the first who asked; it goes on to the end also when he
 * is gone. */
#include "proxy_priv.h"

#include "accept.h"
#include "base/log.h"
#include "base/mem.h"
#include "copy_priv.h"
#include "image.h"
#include "retention.h"

#include <stdlib.h>
#include <string.h>

enum {
    REFERRERS_MAX = 200,
    NOTES_MAX = 1024, /* of tags that were looked at */
    NOTE_MS = 60000   /* at least so long they are remembered for who asks by digest */
};

void registry_stop(struct registry *r)
{
    struct lock *l = r ? &r->lock : NULL;

    if (r == NULL) {
        return;
    }
    atomic_store(&r->is_stopping, true);
    lock_take(l);
    lock_broadcast(l);
    lock_drop(l);
    retention_stop(r); /* it tells others, who are about to go, what it deletes */
}

static int any_cache_fn(struct state_db *db, void *ctx, struct err *e)
{
    return access_proxy_of(db, (struct str){0}, ctx, e);
}

int proxy_open(struct registry *r, struct err *e)
{
    char project[65];

    if (state_read(r->state, any_cache_fn, project, e) < 0) {
        return -1;
    }
    proxy_fetchers_open(r);
    atomic_store(&r->has_caches, project[0] != '\0');
    return 0;
}

static void forget_notes(struct map *notes)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(notes, &i, &key, &value);) {
        free(value);
    }
    map_done(notes);
}

void proxy_close(struct registry *r)
{
    proxy_fetchers_close(r);
    proxy_upstreams_close(r);
    map_done(&r->flights);
    forget_notes(&r->notes);
}

/* --- which project is one --- */

struct find_op {
    struct str project;
    struct project_proxy *out;
    int found;
};

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct find_op *op = ctx;

    op->found = access_project_proxy(db, op->project, op->out, e);
    return op->found < 0 ? -1 : 0;
}

/* 1: it is a cache. */
static int find_proxy(struct registry *r, struct str project, struct project_proxy *out,
                      struct err *e)
{
    struct find_op op = {project, out, 0};

    if (!atomic_load(&r->has_caches)) {
        return 0;
    }
    return state_read(r->state, find_fn, &op, e) < 0 ? -1 : op.found;
}

int proxy_refuse(struct registry *r, struct str project, struct err *e)
{
    struct project_proxy p;
    int is_cache = find_proxy(r, project, &p, e);

    return is_cache <= 0 ? is_cache : err_is_cache(project, &p, e);
}

int proxy_begin(struct registry *r, struct str by, struct str repository, struct fetching *f,
                struct err *e)
{
    int is_cache;

    *f = (struct fetching){
        .r = r, .to = {.name = repository, .by = by, .is_cache = true}, .code = NULL};
    is_cache = find_proxy(r, name_project(repository), &f->proxy, e);
    f->to.project_id = f->proxy.project_id;
    return is_cache;
}

/* --- tags that were looked at --- */

struct note {
    struct remote_head head;
    int64_t checked_ms;
};

static char *note_key(const struct fetching *f, struct str tag)
{
    return xasprintf("%lld %.*s:%.*s", (long long)f->to.project_id, STR_ARG(f->to.name),
                     STR_ARG(tag));
}

static void keep_note(const struct fetching *f)
{
    SCOPED(freep) char *key = note_key(f, f->ref.tag);
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    struct note *n = xnew(struct note);

    *n = (struct note){f->head, clock_wall_ms()};
    WITH_LOCK(l);
    if (r->notes.len >= NOTES_MAX) {
        forget_notes(&r->notes);
    }
    free(map_put(&r->notes, str_of(key), n));
}

/* It was looked at within the project's ttl. */
static bool find_note(const struct fetching *f, struct remote_head *out)
{
    SCOPED(freep) char *key = note_key(f, f->ref.tag);
    struct lock *l = &f->r->lock;
    const struct note *n;
    int64_t age_ms;

    WITH_LOCK(l);
    n = map_get(&f->r->notes, str_of(key));
    age_ms = n ? clock_wall_ms() - n->checked_ms : -1;
    if (age_ms < 0 || age_ms >= f->proxy.ttl_sec * 1000) {
        return false;
    }
    *out = n->head;
    return true;
}

/* The tag that somebody looked at before he asked for this digest, for who frees it; or NULL. */
static char *take_noted_tag(const struct fetching *f, const char *digest)
{
    SCOPED(freep) char *prefix = note_key(f, STR_EMPTY);
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    char *tag = NULL;
    struct str key;
    void *value;

    WITH_LOCK(l);
    for (size_t i = 0; tag == NULL && map_next(&r->notes, &i, &key, &value);) {
        const struct note *n = value;

        int64_t age_ms = clock_wall_ms() - n->checked_ms;

        if (age_ms >= 0 && (age_ms < NOTE_MS || age_ms < f->proxy.ttl_sec * 1000) &&
            strcmp(n->head.digest, digest) == 0 && str_starts(key, str_of(prefix))) {
            key = str_from(key, strlen(prefix));
            tag = xstrndup(key.p, key.len);
        }
    }
    return tag;
}

static void drop_note(const struct fetching *f, struct str tag)
{
    SCOPED(freep) char *key = note_key(f, tag);
    struct lock *l = &f->r->lock;

    WITH_LOCK(l);
    free(map_del(&f->r->notes, str_of(key)));
}

/* --- manifests --- */

static void not_told(void *ctx UNUSED, const struct copy_bytes *more UNUSED) {}

static const struct copy_hooks no_hooks = {.bytes = not_told};

/* A configuration is small, and tells the platform; whoever pulls asks for it next. */
static void fetch_config(struct fetching *f, const struct manifest *m)
{
    struct copy c = {.registry = f->r, .remote = f->remote, .hooks = &no_hooks};
    struct err ignored;

    if (!m->is_index && !m->config.foreign && m->config.size_bytes <= IMAGE_CONFIG_BYTES_MAX) {
        (void)!copy_pull_blob(&c, f->from, &f->to, &m->config, &ignored);
    }
}

/* As `tag` (p == NULL: by its digest alone). */
static int accept(struct fetching *f, struct str tag, struct str media_type, struct str body,
                  const char *digest, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct manifest_put put = {
        .repository = f->to, .tags = &tag, .n_tags = tag.p != NULL, .body = body};

    if (accept_manifest(f->r, &a, &put, media_type, digest, &f->code, e) < 0) {
        return -1;
    }
    registry_emit(f->r, f->to.name, tag.p ? tag : STR_EMPTY, put.digest, "pushed");
    if (tag.p != NULL) {
        drop_note(f, tag);
    }
    return 0;
}

static int keep_manifest(struct fetching *f, const struct remote_manifest *got, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(freep) char *noted = f->ref.tag.p ? NULL : take_noted_tag(f, got->digest);
    struct manifest m;

    if (manifest_parse(&a, str_of(got->media_type), buf_str(&got->body), &m, e) < 0) {
        return err_wrap(e, "%.*s there", STR_ARG(f->from));
    }
    if (f->subject != NULL && strcmp(m.subject, f->subject) != 0) {
        return err_set(e, ERR_INVALID, "%s refers to something else", got->digest);
    }
    fetch_config(f, &m);
    if (noted != NULL) {
        if (accept(f, str_of(noted), str_of(got->media_type), buf_str(&got->body), got->digest,
                   e) == 0) {
            return 0;
        }
        if (e->kind != ERR_CONFLICT) {
            return -1;
        }
        f->code = NULL; /* the tag is immutable here; the digest was asked for */
    }
    return accept(f, f->ref.tag, str_of(got->media_type), buf_str(&got->body), got->digest, e);
}

static int get_manifest(struct fetching *f, struct err *e)
{
    struct remote_manifest got = {0};
    struct str reference = f->ref.tag.p ? f->ref.tag : str_of(f->ref.digest);
    int result = remote_manifest_get(f->remote, f->from, reference, &got, e);

    result = result < 0 ? -1 : keep_manifest(f, &got, e);
    buf_done(&got.body);
    return result;
}

/* 1: what the tag now names there is here already, and here it names it too. */
static int move_tag(struct fetching *f, const char *digest, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct reference ref = {.repository = f->to.name};
    struct stored_manifest m;
    const char *code;

    if (digest[0] == '\0') {
        return 0;
    }
    if (strcmp(digest, f->have.digest) == 0) {
        return store_cache_checked(f->r, &f->ref, e) < 0 ? -1 : 1;
    }
    (void)!str_copy(str_of(digest), ref.digest, sizeof(ref.digest));
    if (store_manifest_get(f->r, &a, &ref, &m, &code, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    return accept(f, f->ref.tag, m.media_type, m.body, digest, e) < 0 ? -1 : 1;
}

/* A registry that knows no HEAD says nothing. */
static int look(struct fetching *f, struct err *e)
{
    struct str reference = f->ref.tag.p ? f->ref.tag : str_of(f->ref.digest);

    f->head = (struct remote_head){.size_bytes = -1};
    return remote_manifest_look(f->remote, f->from, reference, &f->head, e) == 0 ||
                   e->kind == ERR_UNSUPPORTED
               ? 0
               : -1;
}

static int take_turn(struct fetching *f, struct err *e)
{
    return proxy_take_turn(f, f->have.is_here ? PROXY_PATIENCE_CACHED_SEC : PROXY_PATIENCE_SEC, e);
}

/* HEAD first where something is here: it costs little, and nothing of the limit of Docker Hub. */
static int refresh_manifest(struct fetching *f, struct err *e)
{
    int result = 0;

    if (f->have.is_here) {
        result = look(f, e) < 0 ? -1 : move_tag(f, f->head.digest, e);
        remote_set_patience(f->remote, PROXY_PATIENCE_SEC);
    }
    return result < 0 ? -1 : result > 0 ? 0 : get_manifest(f, e);
}

/* What HEAD says is enough to answer one. */
static bool says_enough(const struct fetching *f)
{
    const struct remote_head *h = &f->head;

    return h->digest[0] != '\0' && copy_is_manifest(str_of(h->media_type)) && h->size_bytes > 0 &&
           h->size_bytes <= (int64_t)LIMIT_MANIFEST_BYTES &&
           (f->ref.tag.p != NULL || strcmp(h->digest, f->ref.digest) == 0);
}

/* f->head.size_bytes < 0 after it: the manifest was fetched. */
static int look_manifest(struct fetching *f, struct err *e)
{
    int result = take_turn(f, e) < 0 ? -1 : look(f, e);

    if (result == 0 && f->ref.tag.p != NULL) {
        result = move_tag(f, f->head.digest, e);
    }
    if (result == 0 && says_enough(f)) {
        if (f->ref.tag.p != NULL) {
            keep_note(f);
        }
        return 0;
    }
    f->head.size_bytes = -1;
    return result < 0 ? -1 : result > 0 ? 0 : get_manifest(f, e);
}

static int fetch_manifest(struct fetching *f, struct err *e)
{
    return take_turn(f, e) < 0 ? -1 : refresh_manifest(f, e);
}

static bool is_fresh(const struct fetching *f)
{
    int64_t age_ms = clock_wall_ms() - f->have.checked_ms;

    return f->have.is_here &&
           (f->ref.tag.p == NULL || (age_ms >= 0 && age_ms < f->proxy.ttl_sec * 1000));
}

/* 1: the other registry is to be asked for it. */
static int must_ask(struct registry *r, struct str by, const struct reference *ref,
                    struct fetching *f, struct err *e)
{
    int is_cache = proxy_begin(r, by, ref->repository, f, e);

    if (is_cache <= 0 || store_cache_look(r, ref, &f->have, e) < 0) {
        return is_cache == 0 ? 0 : -1;
    }
    f->ref = *ref;
    return is_fresh(f) || (f->have.is_here && proxy_is_down(f)) ? 0 : 1;
}

/* 0: what is here is served though the other registry failed. */
static int after_failure(const struct fetching *f, const char **code, const struct err *e)
{
    if (f->have.is_here && e->kind != ERR_NOT_FOUND) {
        log_warn("proxy.stale", "repository=%s tag=%s: %s; serving what is here",
                 Q(f->ref.repository), Q(f->ref.tag.p ? f->ref.tag : STR_EMPTY), e->msg);
        return 0;
    }
    *code = e->kind == ERR_NOT_FOUND ? "MANIFEST_UNKNOWN" : *code;
    return -1;
}

int proxy_manifest(struct registry *r, struct str by, const struct reference *ref,
                   const char **code, struct err *e)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    int asks = must_ask(r, by, ref, &f, e);

    if (asks <= 0) {
        return asks;
    }
    key = proxy_key(&f, "m", ref->tag.p ? ref->tag : str_of(ref->digest));
    return proxy_fetch_once(&f, key, fetch_manifest, code, e) == 0 ? 0 : after_failure(&f, code, e);
}

int proxy_manifest_look(struct registry *r, struct str by, const struct reference *ref,
                        struct remote_head *out, const char **code, struct err *e)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    int asks = must_ask(r, by, ref, &f, e);

    if (asks <= 0) {
        return asks;
    }
    if (ref->tag.p != NULL && find_note(&f, out)) {
        return 1;
    }
    key = proxy_key(&f, "lm", ref->tag.p ? ref->tag : str_of(ref->digest));
    if (proxy_fetch_once(&f, key, look_manifest, code, e) < 0) {
        return after_failure(&f, code, e);
    }
    *out = f.head;
    return f.head.size_bytes < 0 ? 0 : 1;
}

/* --- what refers to a manifest --- */

struct referrers {
    struct fetching *f;
    const char *subject;
    int n;
};

static int note_referrer(void *ctx, struct str name, struct err *e)
{
    struct referrers *l = ctx;
    struct fetching *f = l->f;
    struct stored_cache have;
    int result;

    if (l->n++ >= REFERRERS_MAX) {
        return 0;
    }
    f->ref = (struct reference){.repository = f->to.name};
    if (content_digest_parse(name, f->ref.digest, e) < 0 ||
        store_cache_look(f->r, &f->ref, &have, e) < 0) {
        return -1;
    }
    if (have.is_here) {
        return 0;
    }
    f->subject = l->subject;
    result = get_manifest(f, e);
    f->subject = NULL;
    return result < 0 && !proxy_is_outage(e) ? 0 : result; /* lists may be old, or lie */
}

/* "sha256-<hex>.sig": no list names what cosign puts there. Most images have none. */
static int fetch_cosign_tag(struct fetching *f, const char *subject, struct err *e)
{
    char stem[CONTENT_DIGEST_MAX], tag[CONTENT_DIGEST_MAX + 4];
    int result;

    remote_referrers_tag(subject, stem);
    (void)snprintf(tag, sizeof(tag), "%s.sig", stem);
    f->ref = (struct reference){.repository = f->to.name, .tag = str_of(tag)};
    if (store_cache_look(f->r, &f->ref, &f->have, e) < 0) {
        return -1;
    }
    result = refresh_manifest(f, e);
    f->ref.tag = (struct str){0};
    return result < 0 && e->kind != ERR_NOT_FOUND ? -1 : 0;
}

static int fetch_referrers(struct fetching *f, struct err *e)
{
    struct reference subject = f->ref;
    struct referrers l = {f, subject.digest, 0};

    if (proxy_take_turn(f, PROXY_PATIENCE_CACHED_SEC, e) < 0 ||
        remote_referrers(f->remote, f->from, subject.digest, note_referrer, &l, e) < 0 ||
        fetch_cosign_tag(f, subject.digest, e) < 0) {
        return -1;
    }
    return store_cache_referrers_checked(f->r, &subject, e);
}

void proxy_referrers(struct registry *r, struct str by, struct str repository, const char *digest)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    const char *ignored;
    struct err e;
    int64_t age_ms;

    if (proxy_begin(r, by, repository, &f, &e) <= 0) {
        return;
    }
    f.ref = (struct reference){.repository = repository};
    (void)!str_copy(str_of(digest), f.ref.digest, sizeof(f.ref.digest));
    if (store_cache_look(r, &f.ref, &f.have, &e) < 0 || proxy_is_down(&f)) {
        return;
    }
    age_ms = clock_wall_ms() - f.have.referrers_ms;
    if (f.have.is_here && age_ms >= 0 && age_ms < f.proxy.ttl_sec * 1000) {
        return;
    }
    key = proxy_key(&f, "r", str_of(digest));
    if (proxy_fetch_once(&f, key, fetch_referrers, &ignored, &e) < 0) {
        log_warn("proxy.referrers", "repository=%s digest=%s: %s; serving what is here",
                 Q(repository), digest, e.msg);
    }
}

bool registry_is_cache(struct registry *r, struct str repository)
{
    struct project_proxy p;
    struct err ignored;

    return find_proxy(r, name_project(repository), &p, &ignored) > 0;
}

void registry_fetch_referrers(struct registry *r, struct str repository, const char *digest)
{
    proxy_referrers(r, STR_EMPTY, repository, digest);
}

void registry_fetch_blob(struct registry *r, struct str repository, const char *digest, int64_t max)
{
    const char *code;
    struct err e;
    int64_t size;

    if (registry_is_cache(r, repository) &&
        store_cache_wants(r, repository, digest, &size, &e) == 0 && size <= max &&
        proxy_blob(r, STR_EMPTY, repository, digest, &code, &e) < 0) {
        log_warn("proxy.signature", "repository=%s digest=%s: %s", Q(repository), digest, e.msg);
    }
}
