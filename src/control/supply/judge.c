/* Is it signed, is it clean enough: what the rules of a project come to for one image. */
#include "supply_priv.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/registry.h"

#include <stdlib.h>
#include <string.h>

enum {
    VERIFIED_MAX = 4096, /* about 300 bytes each */
    ABOVE_DEPTH = 3,     /* an index may list an index */
    ABOVE_MAX = 200      /* looked at for one image: each costs two looks into the database */
};

/* --- what was verified: "<accessory> <image>" with its project -> the key's name, or "" --- */

static void forget_locked(struct supply *s)
{
    struct str key;
    void *value;

    for (size_t i = 0; map_next(&s->verified, &i, &key, &value);) {
        free(value);
    }
    map_done(&s->verified);
}

void judge_forget(struct supply *s)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    s->generation++;
    forget_locked(s);
}

uint64_t judge_generation(struct supply *s)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    return s->generation;
}

static bool recall(struct supply *s, struct arena *a, struct str key, struct str *name)
{
    struct lock *l = &s->lock;
    const char *known;

    WITH_LOCK(l);
    known = map_get(&s->verified, key);
    if (known != NULL) {
        *name = arena_str(a, str_of(known));
    }
    return known != NULL;
}

/* Not when a key has changed since those were read. */
static void remember(struct supply *s, struct str key, struct str name, uint64_t generation)
{
    struct lock *l = &s->lock;

    WITH_LOCK(l);
    if (s->generation != generation) {
        return;
    }
    if (s->verified.len >= VERIFIED_MAX) {
        forget_locked(s);
    }
    free(map_put(&s->verified, key, str_dup(name)));
}

/* --- one signature --- */

int inspection_begin(struct supply *s, struct arena *a, int64_t project_id, struct inspection *out,
                     struct err *e)
{
    *out = (struct inspection){.layers = LIMIT_JUDGED_LAYERS,
                               .bytes = LIMIT_JUDGED_BYTES,
                               .until_ms = clock_mono_ms() + LIMIT_JUDGED_MS};
    return keys_read(s, a, project_id, &out->keys, e);
}

static bool is_used_up(struct inspection *x)
{
    x->is_cut = x->is_cut || x->layers <= 0 || x->bytes <= 0 || clock_mono_ms() >= x->until_ms;
    return x->is_cut;
}

struct proof {
    struct str text, signature;
    size_t cost; /* bytes that were read for it */
};

/* What one layer proves about the digest. -1: nothing; 1: it cannot be read now. */
static int proof_of_layer(struct supply *s, struct arena *a, const struct artifact *of,
                          enum accessory_kind kind, const struct signed_layer *l, struct proof *out)
{
    const char *digest = of->digest;
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_SIGNATURE_BYTES);
    SCOPED(buf_done) struct buf signature = BUF_MAX(8 * KIB);
    struct dsse dsse;
    struct err ignored;

    *out = (struct proof){.cost = 0};
    registry_fetch_blob(s->registry, of->repository, l->digest, LIMIT_SIGNATURE_BYTES);
    if (content_blob_read(s->content, l->digest, LIMIT_SIGNATURE_BYTES, &text, &ignored) < 0) {
        return ignored.kind == ERR_LIMIT ? -1 : 1; /* what is too large is no proof, ever */
    }
    out->cost = text.len;
    if (kind == ACCESSORY_BUNDLE) {
        if (bundle_parse(a, buf_str(&text), digest, &dsse, &ignored) < 0) {
            return -1;
        }
        out->text = dsse.signed_text;
        out->signature = dsse.signature;
        return 0;
    }
    if (payload_check(buf_str(&text), digest, &ignored) < 0 ||
        base64_decode(l->signature, &signature) < 0) {
        return -1;
    }
    out->text = arena_str(a, buf_str(&text));
    out->signature = arena_str(a, buf_str(&signature));
    return 0;
}

static struct str key_that_verifies(const struct trust_keys *keys, const struct proof *p)
{
    struct err ignored;

    for (size_t i = 0; i < keys->n; i++) {
        EVP_PKEY *key = key_of_pem(keys->items[i].pem, &ignored);
        bool good = key != NULL && key_verifies(key, p->text, p->signature);

        EVP_PKEY_free(key);
        if (good) {
            return keys->items[i].name;
        }
    }
    return STR_EMPTY;
}

void accessory_signer(struct supply *s, struct inspection *x, const struct artifact *of,
                      const struct artifact *about, const struct accessory *a, struct str *name,
                      struct arena *arena)
{
    struct str key = str_of(
        arena_printf(arena, "%lld %s %s", (long long)of->project_id, about->digest, of->digest));
    bool is_whole = true;

    *name = STR_EMPTY;
    if (a->n_layers == 0 || x->keys.n == 0 || recall(s, arena, key, name)) {
        return;
    }
    for (size_t i = 0; i < a->n_layers && name->len == 0; i++) {
        struct proof p;
        int r;

        if (is_used_up(x)) {
            return;
        }
        r = proof_of_layer(s, arena, of, a->kind, &a->layers[i], &p);
        x->layers--;
        x->bytes -= (int64_t)p.cost;
        is_whole = is_whole && r <= 0;
        if (r == 0) {
            *name = key_that_verifies(&x->keys, &p);
        }
    }
    if (is_whole || name->len > 0) {
        remember(s, key, *name, x->keys.generation);
    }
}

/* A page of what may be its signatures; *before is where the next one begins, 0 after the last. */
static int signer_in_page(struct supply *s, struct arena *keep, struct inspection *x,
                          const struct artifact *of, int64_t *before, struct str *name,
                          struct err *e)
{
    SCOPED(arena_done) struct arena a = {0}; /* pages hold bodies: one at a time */
    struct artifact_list page;

    if (artifacts_signatures(s->registry, &a, of, *before, &page, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < page.n && name->len == 0 && !x->is_cut; i++) {
        struct accessory one;

        accessory_parse(&a, page.items[i].artifact_type, page.items[i].body, &one);
        accessory_signer(s, x, of, &page.items[i], &one, name, &a);
    }
    *name = arena_str(keep, *name);
    *before = page.n < ARTIFACTS_LIST_MAX ? 0 : page.items[page.n - 1].id;
    return 0;
}

static int signer_here(struct supply *s, struct arena *a, struct inspection *x,
                       const struct artifact *of, struct str *name, struct err *e)
{
    int64_t before = 0;

    for (int seen = 0; seen < LIMIT_SIGNATURES; seen += ARTIFACTS_LIST_MAX) {
        if (signer_in_page(s, a, x, of, &before, name, e) < 0) {
            return -1;
        }
        if (name->len > 0 || before == 0 || x->is_cut) {
            return 0;
        }
    }
    return 0;
}

/* In a cache of another registry a signature counts also when no client has asked for it yet. */
static int signer_of_one(struct supply *s, struct arena *a, struct inspection *x,
                         const struct artifact *of, struct str *name, struct err *e)
{
    if (signer_here(s, a, x, of, name, e) < 0) {
        return -1;
    }
    if (name->len > 0 || x->is_cut || !registry_is_cache(s->registry, of->repository)) {
        return 0;
    }
    registry_fetch_referrers(s->registry, of->repository, of->digest);
    return signer_here(s, a, x, of, name, e);
}

/* An image, the indexes that list it, those that list them: each once. */
struct above {
    struct artifact items[ABOVE_MAX]; /* without their bodies */
    int depth[ABOVE_MAX];
    size_t n;
};

static bool is_among(const struct above *all, int64_t id)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->items[i].id == id) {
            return true;
        }
    }
    return false;
}

static int add_above(struct supply *s, struct above *all, size_t of, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct artifact_list list;

    if (all->depth[of] == ABOVE_DEPTH) {
        return 0;
    }
    if (artifacts_above(s->registry, &a, &all->items[of], &list, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < list.n && all->n < ABOVE_MAX; i++) {
        struct artifact one = list.items[i];

        one.media_type = one.artifact_type = one.tag = one.body = STR_EMPTY;
        if (!is_among(all, one.id)) {
            all->depth[all->n] = all->depth[of] + 1;
            all->items[all->n++] = one;
        }
    }
    return 0;
}

/* Who signs an index signs what it lists. */
int artifact_signer(struct supply *s, struct arena *a, const struct artifact *of,
                    struct inspection *x, struct str *name, struct err *e)
{
    struct above *all = arena_new(a, struct above);

    *name = STR_EMPTY;
    if (inspection_begin(s, a, of->project_id, x, e) < 0) {
        return -1;
    }
    all->items[all->n++] = *of;
    for (size_t i = 0; i < all->n && x->keys.n > 0 && !x->is_cut; i++) {
        if (signer_of_one(s, a, x, &all->items[i], name, e) < 0) {
            return -1;
        }
        if (name->len > 0) {
            return 0;
        }
        if (add_above(s, all, i, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the rules --- */

static int judge_signature(struct supply *s, struct arena *a, const struct artifact *of,
                           struct err *e)
{
    struct inspection x;
    struct str name;

    if (artifact_signer(s, a, of, &x, &name, e) < 0) {
        return -1;
    }
    if (name.len == 0 && x.is_cut) {
        return err_set(
            e, ERR_FORBIDDEN,
            "%.*s@%s has too many signatures for one look, and none so far is by a key of "
            "the project: try again (what was seen is remembered), or delete some",
            STR_ARG(of->repository), of->digest);
    }
    return name.len > 0 ? 0
                        : err_set(e, ERR_FORBIDDEN,
                                  "%.*s@%s is not signed with a key of the project, which takes "
                                  "only signed images: sign it (cosign sign --key), or ask a "
                                  "maintainer to add the public key",
                                  STR_ARG(of->repository), of->digest);
}

static int judge_one_report(struct supply *s, struct arena *a, const struct artifact *of,
                            const struct trust_policy *p, struct err *e)
{
    struct finding worst = {.id = STR_EMPTY};
    int r = findings_judge(s, a, of, p, &worst, e);

    if (r < 0) {
        return -1;
    }
    if (r == 0 && p->blocks_unscanned) {
        return err_set(e, ERR_FORBIDDEN,
                       "%.*s@%s was not scanned for vulnerabilities, and the project takes only "
                       "images that were: give it a report (strata image scan)",
                       STR_ARG(of->repository), of->digest);
    }
    if (worst.id.len == 0) {
        return 0;
    }
    return err_set(e, ERR_FORBIDDEN,
                   "%.*s@%s has %.*s (%s) in %.*s, and the project takes no images with findings "
                   "of severity %s or worse: update it and scan the new image, or ask a maintainer "
                   "to allow this finding",
                   STR_ARG(of->repository), of->digest, STR_ARG(str_first(worst.id, 64)),
                   severity_name(worst.severity), STR_ARG(str_first(worst.package, 64)),
                   severity_name(p->severity));
}

/* An index is as bad as the worst of what it lists. */
static int judge_reports(struct supply *s, struct arena *a, const struct artifact *of,
                         const struct trust_policy *p, struct err *e)
{
    struct artifact_list below;
    struct trust_policy lenient = *p;
    size_t images = 0;

    if (artifacts_below(s->registry, a, of, &below, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < below.n; i++) {
        struct accessory one;

        accessory_parse(a, below.items[i].artifact_type, below.items[i].body, &one);
        if (one.kind != ACCESSORY_OTHER) {
            continue;
        }
        images++;
        if (judge_one_report(s, a, &below.items[i], p, e) < 0) {
            return -1;
        }
    }
    lenient.blocks_unscanned = p->blocks_unscanned && images == 0;
    return judge_one_report(s, a, of, &lenient, e);
}

int artifact_judge(struct supply *s, struct arena *a, const struct artifact *of,
                   const struct trust_policy *p, enum judged what, struct err *e)
{
    struct accessory self;
    bool signs = p->need == NEED_PULL_AND_RUN || (p->need == NEED_PULL && what == JUDGED_PULL);

    if (!signs && !p->blocks && !p->blocks_unscanned) {
        return 0;
    }
    if (what == JUDGED_PULL) { /* whoever verifies an image pulls its signatures */
        accessory_parse(a, of->artifact_type, of->body, &self);
        if (self.kind != ACCESSORY_OTHER) {
            return 0;
        }
    }
    if (signs && judge_signature(s, a, of, e) < 0) {
        return -1;
    }
    return p->blocks || p->blocks_unscanned ? judge_reports(s, a, of, p, e) : 0;
}

static int judge(struct supply *s, int64_t project_id, struct str repository, const char *digest,
                 enum judged what, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct trust_policy p;
    struct artifact of;

    if (trust_policy_read(s, &a, project_id, &p, e) < 0) {
        return -1;
    }
    if (p.need == NEED_OFF && !p.blocks && !p.blocks_unscanned) {
        return 0;
    }
    return artifact_find(s->registry, &a, repository, str_of(digest), &of, e) < 0
               ? -1
               : artifact_judge(s, &a, &of, &p, what, e);
}

int supply_may_pull(struct supply *s, const struct registry_pull *p, struct err *e)
{
    return p->may_push ? 0 /* what is read to be signed */
                       : judge(s, p->project_id, p->repository, p->digest, JUDGED_PULL, e);
}

int supply_may_run(struct supply *s, int64_t project_id, struct str repository, const char *digest,
                   struct err *e)
{
    return judge(s, project_id, repository, digest, JUDGED_RUN, e);
}
