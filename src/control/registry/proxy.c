/* proxy - projects that are caches of another registry.
 *
 *   docker pull -> manifest_http.c, blob_http.c -> proxy_manifest, proxy_blob -> one fetch of each
 *   thing, whoever else asks waits for it -> remote.c, copy_pull.c -> accept.c
 *
 * A tag is asked again by HEAD when it was not for the project's ttl; what is named by its digest
 * is asked for once. A manifest is kept before what it names (the rows of manifest_wants say what
 * is to come): the images of an index and the blobs of an image are fetched when somebody asks for
 * them. When the other registry does not answer, or refuses, what is here is served.
 *
 * Who fetches is the worker of the first who asked; it goes on to the end also when he is gone. */
#include "store_priv.h"

#include "accept.h"
#include "access/access.h"
#include "base/log.h"
#include "base/mem.h"
#include "copy_priv.h"
#include "image.h"
#include "retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCHES_MAX = 16,        /* of one registry at a time */
    FETCHERS_MAX = 128,      /* workers that fetch or wait: the rest serve what is here */
    SLOT_WAIT_MS = 60000,    /* for one of FETCHES_MAX */
    IDLE_MAX = 4,            /* connections and tokens kept of one registry */
    PATIENCE_SEC = 60,       /* for an answer when nothing is here */
    PATIENCE_CACHED_SEC = 5, /* when something is */
    DOWN_MS = 5000,          /* so long one that failed is not asked for what is here */
    REFERRERS_MAX = 200
};

/* Another registry, as long as we run. All guarded by registry.lock. */
struct upstream {
    unsigned busy, generation;
    int64_t down_until_ms; /* monotonic */
    struct remote *idle[IDLE_MAX];
    size_t n_idle;
};

/* One thing that is being fetched. Guarded by registry.lock until it is done. */
struct flight {
    unsigned users;
    bool is_done;
    int result;
    const char *code;
    struct err err;
};

/* One fetch. */
struct fetching {
    struct registry *r;
    struct project_proxy proxy;
    struct repo_key to;
    struct reference ref;
    struct stored_cache have;
    int64_t size_bytes; /* of a blob */
    const char *subject;
    const char *code;
    struct upstream *upstream;
    unsigned generation;
    struct remote *remote;
    struct str from; /* the repository there */
    char name[512];  /* where `from` lies when it is another one than here */
};
typedef int fetch_fn(struct fetching *f, struct err *e);

/* --- other registries --- */

static bool is_stopping(void *ctx)
{
    const struct registry *r = ctx;

    return atomic_load(&r->is_stopping);
}

static struct upstream *upstream_locked(struct registry *r, struct str name)
{
    struct upstream *u = map_get(&r->upstreams, name);

    if (u == NULL) {
        u = xnew(struct upstream);
        (void)map_put(&r->upstreams, name, u);
    }
    return u;
}

static bool is_down(const struct fetching *f)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    return upstream_locked(r, str_of(f->proxy.registry))->down_until_ms > clock_mono_ms();
}

/* Its turn, and a connection that somebody left. */
static int take_turn(struct fetching *f, struct err *e)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    int64_t deadline = clock_mono_ms() + SLOT_WAIT_MS;
    bool in_time = true;

    WITH_LOCK(l);
    f->upstream = upstream_locked(r, str_of(f->proxy.registry));
    while (f->upstream->busy >= FETCHES_MAX && in_time && !is_stopping(r)) {
        in_time = lock_wait_until(l, deadline);
    }
    if (f->upstream->busy >= FETCHES_MAX) {
        f->upstream = NULL;
        return err_set(e, ERR_UNAVAILABLE,
                       "the registry %s is busy with %d other fetches of this cache: try again",
                       f->proxy.registry, FETCHES_MAX);
    }
    f->upstream->busy++;
    f->generation = f->upstream->generation;
    if (f->upstream->n_idle > 0) {
        f->remote = f->upstream->idle[--f->upstream->n_idle];
    }
    return 0;
}

static void end_turn(struct fetching *f)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;

    if (f->upstream == NULL) {
        return;
    }
    lock_take(l);
    f->upstream->busy--;
    if (f->remote != NULL && f->generation == f->upstream->generation &&
        f->upstream->n_idle < IDLE_MAX) {
        f->upstream->idle[f->upstream->n_idle++] = TAKE(f->remote);
    }
    lock_broadcast(l);
    lock_drop(l);
    remote_close(f->remote);
    f->remote = NULL;
    f->upstream = NULL;
}

static int open_upstream(struct fetching *f, unsigned patience_sec, struct err *e)
{
    const struct registry_hooks *h = &f->r->hooks;
    struct str rest = str_from(f->to.name, name_project(f->to.name).len + 1);

    if (take_turn(f, e) < 0) {
        return -1;
    }
    if (f->remote == NULL) {
        f->remote = h->upstream
                        ? h->upstream(h->ctx, str_of(f->proxy.registry), is_stopping, f->r, e)
                        : (err_set(e, ERR_UNSUPPORTED, "no other registries here"), NULL);
    }
    if (f->remote == NULL) {
        return -1;
    }
    remote_set_patience(f->remote, patience_sec);
    f->from = rest;
    if (remote_is_hub(f->remote) && str_find_char(rest, '/') < 0) {
        (void)snprintf(f->name, sizeof(f->name), "library/%.*s", STR_ARG(rest));
        f->from = str_of(f->name);
    }
    return 0;
}

static bool is_outage(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_THROTTLED;
}

static void note_outage(const struct fetching *f, const struct err *e)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    int64_t wait_ms = f->remote ? remote_retry_sec(f->remote) * 1000 : 0;

    if (f->upstream == NULL) {
        return; /* it had no turn: that says nothing of the other registry */
    }
    WITH_LOCK(l);
    if (is_outage(e)) {
        upstream_locked(r, str_of(f->proxy.registry))->down_until_ms =
            clock_mono_ms() + (wait_ms > DOWN_MS ? wait_ms : DOWN_MS);
    }
}

void registry_upstream_changed(struct registry *r, struct str name)
{
    struct remote *old[IDLE_MAX];
    size_t n = 0;
    struct lock *l = &r->lock;
    struct upstream *u;

    atomic_store(&r->has_caches, true);
    if (name.p == NULL) {
        return;
    }
    lock_take(l);
    u = upstream_locked(r, name);
    u->generation++;
    u->down_until_ms = 0;
    while (u->n_idle > 0) {
        old[n++] = u->idle[--u->n_idle];
    }
    lock_drop(l);
    while (n > 0) {
        remote_close(old[--n]);
    }
}

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
    atomic_store(&r->has_caches, project[0] != '\0');
    return 0;
}

void proxy_close(struct registry *r)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&r->upstreams, &i, &key, &value);) {
        struct upstream *u = value;

        while (u->n_idle > 0) {
            remote_close(u->idle[--u->n_idle]);
        }
        free(u);
    }
    map_done(&r->upstreams);
    map_done(&r->flights);
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

static int begin(struct registry *r, struct str by, struct str repository, struct fetching *f,
                 struct err *e)
{
    int is_cache;

    *f = (struct fetching){
        .r = r, .to = {.name = repository, .by = by, .is_cache = true}, .code = NULL};
    is_cache = find_proxy(r, name_project(repository), &f->proxy, e);
    f->to.project_id = f->proxy.project_id;
    return is_cache;
}

/* --- one fetch of a thing at a time --- */

/* The flight of that key, for one more; NULL: too many wait. */
static struct flight *board(struct registry *r, struct str key, bool *is_first)
{
    struct flight *f;
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    if (r->n_fetchers >= FETCHERS_MAX) {
        return NULL;
    }
    r->n_fetchers++;
    f = map_get(&r->flights, key);
    *is_first = f == NULL;
    if (f == NULL) {
        f = xnew(struct flight);
        (void)map_put(&r->flights, key, f);
    }
    f->users++;
    return f;
}

static int leave(struct registry *r, struct flight *f, const char **code, struct err *e)
{
    struct lock *l = &r->lock;
    int result;
    bool is_last;

    lock_take(l);
    while (!f->is_done) {
        lock_wait(l);
    }
    result = f->result;
    if (result < 0) {
        *e = f->err;
        *code = f->code;
    }
    r->n_fetchers--;
    is_last = --f->users == 0;
    lock_drop(l);
    if (is_last) {
        free(f);
    }
    return result;
}

/* What went wrong there, as our client is to hear it: his request was good. */
static void translate(struct fetching *f, struct err *e)
{
    if (e->kind == ERR_NOT_FOUND || e->kind == ERR_THROTTLED || f->code != NULL) {
        return;
    }
    f->code = e->kind == ERR_FORBIDDEN ? "DENIED" : NULL;
    e->kind = e->kind == ERR_FORBIDDEN ? ERR_FORBIDDEN : ERR_UNAVAILABLE;
}

static int fetch_once(struct fetching *f, const char *key, fetch_fn *fetch, const char **code,
                      struct err *e)
{
    struct registry *r = f->r;
    struct lock *l = &r->lock;
    bool is_first = false;
    struct flight *flight = board(r, str_of(key), &is_first);

    if (flight == NULL) {
        return err_set(e, ERR_UNAVAILABLE,
                       "too many wait for other registries already: try again in a moment");
    }
    if (is_first) {
        struct err why;
        int result = fetch(f, &why);

        if (result < 0) {
            note_outage(f, &why);
            translate(f, &why);
            err_wrap(&why, "cache of %s", f->proxy.registry);
        }
        end_turn(f);
        lock_take(l);
        flight->result = result;
        flight->code = f->code;
        if (result < 0) {
            flight->err = why;
        }
        flight->is_done = true;
        (void)map_del(&r->flights, str_of(key));
        lock_broadcast(l);
        lock_drop(l);
    }
    return leave(r, flight, code, e);
}

static char *key_of(const struct fetching *f, const char *what, struct str name)
{
    return xasprintf("%s %lld %.*s %.*s", what, (long long)f->to.project_id,
                     STR_ARG(what[0] == 'b' ? STR_EMPTY : f->to.name), STR_ARG(name));
}

/* --- blobs --- */

static void not_told(void *ctx UNUSED, const struct copy_bytes *more UNUSED) {}

static const struct copy_hooks no_hooks = {.bytes = not_told};

static int get_blob(struct fetching *f, const struct descriptor *d, struct err *e)
{
    struct copy c = {.registry = f->r, .remote = f->remote, .hooks = &no_hooks};

    return copy_pull_blob(&c, f->from, &f->to, d, e);
}

static int fetch_blob(struct fetching *f, struct err *e)
{
    struct descriptor d = {.size_bytes = f->size_bytes};

    memcpy(d.digest, f->ref.digest, sizeof(d.digest));
    return open_upstream(f, PATIENCE_SEC, e) < 0 ? -1 : get_blob(f, &d, e);
}

int proxy_blob(struct registry *r, struct str by, struct str repository, const char *digest,
               const char **code, struct err *e)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    struct err why;
    int is_cache = begin(r, by, repository, &f, &why);

    if (is_cache == 0) {
        return 0;
    }
    if (is_cache < 0) {
        *e = why;
        return -1;
    }
    (void)!str_copy(str_of(digest), f.ref.digest, sizeof(f.ref.digest));
    key = key_of(&f, "b", str_of(digest));
    /* Whoever waited for the fetch of another repository of the project links it then. */
    for (int i = 0; i < 2; i++) {
        struct stored_blob blob;

        if (store_cache_wants(r, repository, digest, &f.size_bytes, &why) < 0) {
            return store_blob_find(r, repository, digest, &blob, code, e) < 0 ? -1 : 1;
        }
        if (fetch_once(&f, key, fetch_blob, code, e) < 0) {
            *code = e->kind == ERR_NOT_FOUND ? "BLOB_UNKNOWN" : *code;
            return -1;
        }
    }
    return 1;
}

/* --- manifests --- */

/* A configuration is small, and tells the platform; whoever pulls asks for it next. */
static void fetch_config(struct fetching *f, const struct manifest *m)
{
    struct err ignored;

    if (!m->is_index && !m->config.foreign && m->config.size_bytes <= IMAGE_CONFIG_BYTES_MAX) {
        (void)!get_blob(f, &m->config, &ignored);
        f->code = NULL;
    }
}

static int keep_manifest(struct fetching *f, const struct remote_manifest *got, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct manifest m;
    struct manifest_put put = {.repository = f->to,
                               .tags = &f->ref.tag,
                               .n_tags = f->ref.tag.p != NULL,
                               .body = buf_str(&got->body)};

    if (manifest_parse(&a, str_of(got->media_type), buf_str(&got->body), &m, e) < 0) {
        return err_wrap(e, "%.*s there", STR_ARG(f->from));
    }
    if (f->subject != NULL && strcmp(m.subject, f->subject) != 0) {
        return err_set(e, ERR_INVALID, "%s refers to something else", got->digest);
    }
    fetch_config(f, &m);
    if (accept_manifest(f->r, &a, &put, str_of(got->media_type), got->digest, &f->code, e) < 0) {
        return -1;
    }
    registry_emit(f->r, f->to.name, f->ref.tag.p ? f->ref.tag : STR_EMPTY, put.digest, "pushed");
    return 0;
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

/* HEAD first where something is here: it costs little, and nothing of the limit of Docker Hub. */
static int refresh_manifest(struct fetching *f, struct err *e)
{
    char digest[CONTENT_DIGEST_MAX] = "";

    if (f->have.is_here) {
        if (remote_manifest_head(f->remote, f->from, f->ref.tag, digest, e) < 0) {
            return -1;
        }
        if (strcmp(digest, f->have.digest) == 0) {
            return store_cache_checked(f->r, &f->ref, e);
        }
        remote_set_patience(f->remote, PATIENCE_SEC);
    }
    return get_manifest(f, e);
}

static int fetch_manifest(struct fetching *f, struct err *e)
{
    return open_upstream(f, f->have.is_here ? PATIENCE_CACHED_SEC : PATIENCE_SEC, e) < 0
               ? -1
               : refresh_manifest(f, e);
}

static bool is_fresh(const struct fetching *f)
{
    int64_t age_ms = clock_wall_ms() - f->have.checked_ms;

    return f->have.is_here &&
           (f->ref.tag.p == NULL || (age_ms >= 0 && age_ms < f->proxy.ttl_sec * 1000));
}

int proxy_manifest(struct registry *r, struct str by, const struct reference *ref,
                   const char **code, struct err *e)
{
    SCOPED(freep) char *key = NULL;
    struct fetching f;
    int is_cache = begin(r, by, ref->repository, &f, e);

    if (is_cache <= 0 || store_cache_look(r, ref, &f.have, e) < 0) {
        return is_cache == 0 ? 0 : -1;
    }
    f.ref = *ref;
    if (is_fresh(&f) || (f.have.is_here && is_down(&f))) {
        return 0;
    }
    key = key_of(&f, "m", ref->tag.p ? ref->tag : str_of(ref->digest));
    if (fetch_once(&f, key, fetch_manifest, code, e) == 0) {
        return 0;
    }
    if (f.have.is_here && e->kind != ERR_NOT_FOUND) {
        log_warn("proxy.stale", "repository=%s tag=%s: %s; serving what is here",
                 Q(ref->repository), Q(ref->tag.p ? ref->tag : STR_EMPTY), e->msg);
        return 0;
    }
    *code = e->kind == ERR_NOT_FOUND ? "MANIFEST_UNKNOWN" : *code;
    return -1;
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
    return result < 0 && !is_outage(e) ? 0 : result; /* lists may be old, or lie */
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

    if (open_upstream(f, PATIENCE_CACHED_SEC, e) < 0 ||
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

    if (begin(r, by, repository, &f, &e) <= 0) {
        return;
    }
    f.ref = (struct reference){.repository = repository};
    (void)!str_copy(str_of(digest), f.ref.digest, sizeof(f.ref.digest));
    if (store_cache_look(r, &f.ref, &f.have, &e) < 0 || is_down(&f)) {
        return;
    }
    age_ms = clock_wall_ms() - f.have.referrers_ms;
    if (f.have.is_here && age_ms >= 0 && age_ms < f.proxy.ttl_sec * 1000) {
        return;
    }
    key = key_of(&f, "r", str_of(digest));
    if (fetch_once(&f, key, fetch_referrers, &ignored, &e) < 0) {
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
