#include "main/cli/transfer.h"

#include "base/arena.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "main/cli/cli.h"
#include "registry/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 8,
    MANIFESTS_MAX = 100000, /* that belong to one image */
    TRIES = 5,              /* without progress between them */
    WAIT_SEC_MAX = 60
};

struct transfer {
    struct remote *from, *to;
    int spool;          /* directory, locked */
    struct map where;   /* digest of a blob -> repository of the other side that has it */
    struct arena names; /* those repositories */
    struct transfer_total total;
};

/* One image under way. */
struct moving {
    struct transfer *t;
    struct str from, to;
    const char *to_name; /* as long as the transfer */
    struct map seen;     /* digests of manifests */
    int depth;
    bool changed;
};

/* --- open and close --- */

static int make_dirs(const char *path, struct err *e)
{
    SCOPED(freep) char *copy = xstrdup(path);

    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (fs_mkdir(AT_FDCWD, copy, 0700, e) < 0) {
            return -1;
        }
        *slash = '/';
    }
    return fs_mkdir(AT_FDCWD, copy, 0700, e);
}

struct transfer *transfer_open(const struct transfer_options *o, struct err *e)
{
    SCOPED(transfer_closep) struct transfer *t = xnew(struct transfer);

    t->from = o->from;
    t->to = o->to;
    t->spool = -1;
    if (make_dirs(o->spool, e) < 0) {
        return NULL;
    }
    t->spool = open(o->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->spool < 0) {
        err_sys(e, "%s", o->spool);
        return NULL;
    }
    if (flock(t->spool, LOCK_EX | LOCK_NB) < 0) {
        err_set(e, ERR_CONFLICT, "another command moves images through %s: give this one --spool",
                o->spool);
        return NULL;
    }
    return TAKE(t);
}

void transfer_close(struct transfer *t)
{
    if (t == NULL) {
        return;
    }
    closep(&t->spool);
    map_done(&t->where);
    arena_done(&t->names);
    free(t);
}

void transfer_totals(const struct transfer *t, struct transfer_total *out)
{
    *out = t->total;
}

/* The token stands in for the password. */
struct remote *transfer_here(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *me = NULL;
    struct remote_options o = {.url = client_server(c->client),
                               .password = client_token(c->client)};

    if (client_call(c->client, "GET", NULL, &me, e, "/api/v1/me") < 0) {
        return NULL;
    }
    o.user = json_text(me, "name");
    return remote_open(&o, e);
}

char *transfer_spool(const struct cli *c)
{
    const char *given = cli_option(c, "spool"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    return given             ? xstrdup(given)
           : cache && *cache ? xasprintf("%s/strata/spool", cache)
                             : xasprintf("%s/.cache/strata/spool", home && *home ? home : "/root");
}

/* --- a blob, down --- */

struct arriving {
    struct transfer *t;
    int fd;
    int64_t at, size;
    struct meter bar;
};

static int take_piece(void *ctx, struct str piece, struct err *e)
{
    struct arriving *a = ctx;

    if ((int64_t)piece.len > a->size - a->at) {
        return err_set(e, ERR_INVALID, "more comes than the %lld bytes that its manifest names",
                       (long long)a->size);
    }
    if (fs_write_all(a->fd, piece, e) < 0) {
        return -1;
    }
    a->at += (int64_t)piece.len;
    a->t->total.bytes += (int64_t)piece.len;
    meter_bytes(&a->bar, a->at, a->size);
    return 0;
}

static bool is_passing(enum err_kind kind)
{
    return kind == ERR_UNAVAILABLE || kind == ERR_TIMEOUT || kind == ERR_THROTTLED;
}

static void wait_for(const struct remote *r)
{
    int64_t sec = remote_retry_sec(r);

    (void)sleep((unsigned)(sec < 1 ? 1 : sec > WAIT_SEC_MAX ? WAIT_SEC_MAX : sec));
}

/* From where the file ends, as long as each try brings it further. */
static int fetch_rest(struct arriving *a, struct str from, const char *digest, struct err *e)
{
    int64_t best = a->at;
    int tries = 0;

    while (a->at < a->size) {
        struct remote *r = a->t->from;

        if (lseek(a->fd, a->at, SEEK_SET) < 0) {
            return err_sys(e, "seek");
        }
        if (remote_blob_get(r, from, digest, a->at, take_piece, a, e) == 0) {
            return a->at == a->size
                       ? 0
                       : err_set(e, ERR_INVALID, "it has %lld bytes, its manifest names %lld",
                                 (long long)a->at, (long long)a->size);
        }
        if (e->kind == ERR_RANGE && a->at > 0) { /* it cannot go on in the middle */
            a->at = 0;
        } else if (!is_passing(e->kind)) {
            return -1;
        }
        tries = a->at > best ? 0 : tries + 1;
        best = a->at > best ? a->at : best;
        if (tries == TRIES) {
            return -1;
        }
        wait_for(r);
    }
    return 0;
}

/* *fd: the whole blob. What is there of an earlier run is gone on with. */
static int fetch_blob(struct moving *y, const struct descriptor *d, const char *file, int *fd,
                      struct err *e)
{
    SCOPED(freep) char *what = xasprintf("%.20s from %.*s", d->digest, STR_ARG(y->from));
    struct arriving a = {.t = y->t, .size = d->size_bytes};
    struct stat st;
    int result;

    a.fd = openat(y->t->spool, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    *fd = a.fd;
    if (a.fd < 0 || fstat(a.fd, &st) < 0) {
        return err_sys(e, "the spool: %s", file);
    }
    a.at = st.st_size <= a.size ? st.st_size : 0;
    meter_begin(&a.bar, what);
    result = fetch_rest(&a, y->from, d->digest, e);
    meter_end(&a.bar);
    return result == 0 && ftruncate(a.fd, a.size) < 0 ? err_sys(e, "the spool: %s", file) : result;
}

/* --- a blob, up --- */

struct leaving {
    struct meter bar;
    int64_t size;
};

static void tell_sent(void *ctx, int64_t at, int64_t sent UNUSED)
{
    struct leaving *l = ctx;

    meter_bytes(&l->bar, at, l->size);
}

static int push_blob(struct moving *y, struct remote_upload *u, struct err *e)
{
    SCOPED(freep) char *what = xasprintf("%.20s to %.*s", u->digest, STR_ARG(y->to));
    struct leaving l = {.size = u->size_bytes};
    int result;

    u->progress = tell_sent;
    u->ctx = &l;
    meter_begin(&l.bar, what);
    result = remote_blob_put(y->t->to, u, e);
    meter_end(&l.bar);
    return result < 0 ? -1 : 0;
}

/* A file whose bytes are not what the digest says is of no use to the next run. */
static int carry_blob(struct moving *y, const struct descriptor *d, struct remote_upload *u,
                      struct err *e)
{
    SCOPED(freep) char *file = xasprintf("%s.part", d->digest);
    SCOPED(closep) int fd = -1;
    int result = fetch_blob(y, d, file, &fd, e);

    u->fd = fd;
    result = result < 0 ? -1 : push_blob(y, u, e);
    if (fd >= 0 && (result == 0 || !is_passing(e->kind))) {
        (void)unlinkat(y->t->spool, file, 0);
    }
    y->t->total.blobs += result == 0;
    return result;
}

static int move_blob(struct moving *y, const struct descriptor *d, struct err *e)
{
    struct transfer *t = y->t;
    char session[2048] = "";
    const char *has = map_get(&t->where, str_of(d->digest));
    struct remote_upload u = {.repository = y->to,
                              .digest = d->digest,
                              .size_bytes = d->size_bytes,
                              .fd = -1,
                              .session = session,
                              .mount_from = has ? str_of(has) : (struct str){0}};
    int there = d->foreign ? 1 : remote_blob_there(t->to, y->to, d->digest, e);

    if (there == 0 && has != NULL) {
        there = remote_blob_mount(t->to, &u, e);
        t->total.mounted += there == 1;
    }
    if (there < 0 || (there == 0 && carry_blob(y, d, &u, e) < 0)) {
        return err_wrap(e, "%.20s", d->digest);
    }
    if (!d->foreign) {
        (void)map_put(&t->where, str_of(d->digest), (void *)(uintptr_t)y->to_name);
    }
    return 0;
}

/* --- a manifest --- */

static int move_manifest(struct moving *y, struct str reference, struct remote_manifest *out,
                         struct err *e);

static int move_referrers(struct moving *y, const char *digest, struct err *e);

/* 1: here. */
static int is_here(const struct moving *y, const char *digest, struct err *e)
{
    char ignored[CONTENT_DIGEST_MAX];

    if (remote_manifest_head(y->t->to, y->to, str_of(digest), ignored, e) == 0) {
        return 1;
    }
    return e->kind == ERR_NOT_FOUND ? 0 : -1;
}

/* 1: it is here with all that it lists, as no index is known to be: what refers to its images may
 * be new. */
static int is_settled(const struct moving *y, const char *digest, struct err *e)
{
    struct remote_head head;
    int here = is_here(y, digest, e);

    if (here <= 0) {
        return here;
    }
    return remote_manifest_look(y->t->from, y->from, str_of(digest), &head, e) < 0
               ? -1
               : strcmp(head.media_type, MEDIA_OCI_MANIFEST) == 0 ||
                     strcmp(head.media_type, MEDIA_DOCKER_MANIFEST) == 0;
}

static int move_listed(struct moving *y, const char *digest, struct err *e)
{
    struct remote_manifest m = {0};
    int result;

    if (map_get(&y->seen, str_of(digest)) != NULL) {
        return 0;
    }
    result = y->depth == DEPTH_MAX || y->seen.len == MANIFESTS_MAX ? 0 : is_settled(y, digest, e);
    if (result == 0) {
        result = move_manifest(y, str_of(digest), &m, e);
        buf_done(&m.body);
    } else if (result > 0) {
        (void)map_put(&y->seen, str_of(digest), y);
        y->depth++;
        result = move_referrers(y, digest, e);
        y->depth--;
    }
    return result;
}

/* Of an index that is here its images are looked at too: what refers to them may be new. */
static int move_parts(struct moving *y, const struct manifest *m, bool is_here, struct err *e)
{
    for (size_t i = 0; i < m->n_children; i++) {
        const struct descriptor *d = &m->children[i];
        bool is_manifest = str_eq_c(d->media_type, MEDIA_OCI_MANIFEST) ||
                           str_eq_c(d->media_type, MEDIA_OCI_INDEX) ||
                           str_eq_c(d->media_type, MEDIA_DOCKER_MANIFEST) ||
                           str_eq_c(d->media_type, MEDIA_DOCKER_LIST);

        if (is_manifest ? move_listed(y, d->digest, e) < 0 : !is_here && move_blob(y, d, e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->n_layers && !is_here; i++) {
        if (move_blob(y, &m->layers[i], e) < 0) {
            return -1;
        }
    }
    return m->is_index || is_here ? 0 : move_blob(y, &m->config, e);
}

struct names {
    struct arena a;
    VEC(const char *) v;
};

static int add_name(void *ctx, struct str name, struct err *e)
{
    struct names *n = ctx;

    if (n->v.len == MANIFESTS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d refer to it", MANIFESTS_MAX);
    }
    *vec_push(&n->v) = arena_strdup(&n->a, name);
    return 0;
}

static int move_referrers(struct moving *y, const char *digest, struct err *e)
{
    struct names n = {0};
    int result = remote_referrers(y->t->from, y->from, digest, add_name, &n, e);
    char one[CONTENT_DIGEST_MAX];

    for (size_t i = 0; result == 0 && i < n.v.len; i++) {
        result = content_digest_parse(str_of(n.v.p[i]), one, e) < 0 ? -1 : move_listed(y, one, e);
    }
    arena_done(&n.a);
    vec_done(&n.v);
    return result;
}

static int move_one(struct moving *y, struct remote_manifest *got, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct manifest m;
    int here = is_here(y, got->digest, e);

    if (here < 0 || manifest_parse(&a, str_of(got->media_type), buf_str(&got->body), &m, e) < 0 ||
        move_parts(y, &m, here, e) < 0) {
        return -1;
    }
    (void)!str_copy(str_of(m.media_type), got->media_type, sizeof(got->media_type));
    if (here == 0) {
        if (remote_manifest_put(y->t->to, y->to, str_of(got->digest), m.media_type,
                                buf_str(&got->body), e) < 0) {
            return -1;
        }
        y->changed = true;
        y->t->total.manifests++;
    }
    return move_referrers(y, got->digest, e);
}

static int move_manifest(struct moving *y, struct str reference, struct remote_manifest *out,
                         struct err *e)
{
    int result;

    if (y->depth == DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes and referrers are nested deeper than %d", DEPTH_MAX);
    }
    if (y->seen.len == MANIFESTS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d manifests belong to it", MANIFESTS_MAX);
    }
    if (remote_manifest_get(y->t->from, y->from, reference, out, e) < 0) {
        return -1;
    }
    if (map_put(&y->seen, str_of(out->digest), y) != NULL) {
        return 0;
    }
    y->depth++;
    result = move_one(y, out, e);
    y->depth--;
    return result;
}

int transfer_referrers(struct transfer *t, struct str from, const char *digest, struct str to,
                       struct err *e)
{
    struct moving y = {.t = t, .from = from, .to = to, .to_name = arena_strdup(&t->names, to)};
    int result;

    (void)map_put(&y.seen, str_of(digest), &y);
    result = move_referrers(&y, digest, e);
    map_done(&y.seen);
    return result < 0 ? -1 : !y.changed;
}

int transfer_image(struct transfer *t, struct str from, struct str reference, struct str to,
                   struct remote_manifest *out, struct err *e)
{
    struct moving y = {.t = t, .from = from, .to = to, .to_name = arena_strdup(&t->names, to)};
    int result = move_manifest(&y, reference, out, e);

    map_done(&y.seen);
    return result < 0 ? -1 : !y.changed;
}
