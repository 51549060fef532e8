/* Images: every artifact of every repository, the oldest first, so that rules about what was pushed
 * last find the same order here. */
#include "main/cli/migrate.h"

#include "base/arena.h"
#include "base/limits.h"
#include "main/cli/transfer.h"
#include "registry/manifest.h"
#include "registry/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARTIFACTS_MAX = 500000 /* of a repository */, TAGS_MAX = 500000 };

struct tag {
    const char *name, *pushed;
};
struct label {
    int64_t id; /* here */
    const char *name;
};
struct artifact {
    const char *reference; /* a digest, or a tag that the list does not have */
    const char *pushed;    /* RFC 3339, or "" */
    bool is_image;         /* the list says so: nothing but layers belongs to it */
    bool is_told;          /* the list says what refers to it */
    VEC(struct tag) tags;
    VEC(struct label) labels;
    VEC(const char *) accessories, parts; /* parts: of an index, when they are told */
};
struct repository {
    struct migration *m;
    const struct project *p;
    const char *from, *to; /* with their projects */
    struct arena a;
    VEC(struct artifact) artifacts;
    struct map tags; /* names of those that the list has */
    size_t n_tags;
    /* Of the list here, from before: digests; tag -> digest; "digest label-id". What it does not
     * have is asked for one by one. */
    struct map here, here_tags, here_labels;
};

static const char *keep(struct repository *r, const char *s)
{
    return arena_strdup(&r->a, str_of(s));
}

/* --- what there is --- */

static int take_tags(struct repository *r, struct artifact *a, const json_t *tags, struct err *e)
{
    const json_t *tag;
    size_t i;

    json_array_foreach(tags, i, tag)
    {
        struct tag t = {keep(r, json_text(tag, "name")), keep(r, json_text(tag, "push_time"))};

        if (++r->n_tags > TAGS_MAX) {
            return err_set(e, ERR_LIMIT, "%s has more than %d tags", r->from, TAGS_MAX);
        }
        *vec_push(&a->tags) = t;
        (void)map_put(&r->tags, str_of(t.name), r);
    }
    return 0;
}

static void take_labels(struct repository *r, struct artifact *a, const json_t *labels)
{
    const json_t *label;
    size_t i;

    json_array_foreach(labels, i, label)
    {
        int64_t id = migrate_label_id(r->m, r->p, label);

        if (id != 0) {
            *vec_push(&a->labels) = (struct label){id, keep(r, json_text(label, "name"))};
        }
    }
}

/* Lists below a row have as many rows as a page has room for. */
static void take_belongings(struct repository *r, struct artifact *a, const json_t *row)
{
    const char *media = json_text(row, "manifest_media_type");
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(row, "accessories"), i, one)
    {
        if (json_text(one, "digest")[0]) {
            *vec_push(&a->accessories) = keep(r, json_text(one, "digest"));
        }
    }
    json_array_foreach(json_object_get(row, "references"), i, one)
    {
        *vec_push(&a->parts) = keep(r, json_text(one, "child_digest"));
    }
    a->is_told = json_object_get(row, "accessories") != NULL;
    a->is_image =
        strcmp(media, MEDIA_OCI_MANIFEST) == 0 || strcmp(media, MEDIA_DOCKER_MANIFEST) == 0;
}

static int take_artifact(void *ctx, const json_t *row, struct err *e)
{
    struct repository *r = ctx;
    struct artifact *a;

    if (r->artifacts.len == ARTIFACTS_MAX) {
        return err_set(e, ERR_LIMIT, "%s has more than %d artifacts", r->from, ARTIFACTS_MAX);
    }
    a = vec_push(&r->artifacts);
    *a = (struct artifact){.reference = keep(r, json_text(row, "digest")),
                           .pushed = keep(r, json_text(row, "push_time"))};
    take_belongings(r, a, row);
    take_labels(r, a, json_object_get(row, "labels"));
    return take_tags(r, a, json_object_get(row, "tags"), e);
}

static const char *label_key(struct repository *r, const char *digest, int64_t id)
{
    return arena_printf(&r->a, "%s %lld", digest, (long long)id);
}

static int take_here(void *ctx, const json_t *row, struct err *e UNUSED)
{
    struct repository *r = ctx;
    const char *digest = keep(r, json_text(row, "digest"));
    const json_t *one;
    size_t i;

    (void)map_put(&r->here, str_of(digest), r);
    json_array_foreach(json_object_get(row, "tags"), i, one)
    {
        (void)map_put(&r->here_tags, str_of(json_text(one, "name")), (void *)(uintptr_t)digest);
    }
    json_array_foreach(json_object_get(row, "labels"), i, one)
    {
        (void)map_put(&r->here_labels, str_of(label_key(r, digest, json_number(one, "id"))), r);
    }
    return 0;
}

/* Tags of signatures stand in no list of artifacts. */
static int take_other_tag(void *ctx, struct str name, struct err *e)
{
    struct repository *r = ctx;

    if (map_get(&r->tags, name) != NULL) {
        return 0;
    }
    if (tag_check(name, e) < 0) {
        return err_wrap(e, "the tags of %s", r->from);
    }
    if (r->artifacts.len == ARTIFACTS_MAX) {
        return err_set(e, ERR_LIMIT, "%s has more than %d artifacts", r->from, ARTIFACTS_MAX);
    }
    (void)map_put(&r->tags, name, r);
    *vec_push(&r->artifacts) =
        (struct artifact){.reference = arena_strdup(&r->a, name), .pushed = ""};
    return 0;
}

static int by_time(const void *a, const void *b)
{
    return strcmp(((const struct artifact *)a)->pushed, ((const struct artifact *)b)->pushed);
}

static int tag_by_time(const void *a, const void *b)
{
    return strcmp(((const struct tag *)a)->pushed, ((const struct tag *)b)->pushed);
}

/* Harbor wants the slashes of a name escaped twice. */
static char *artifacts_path(const char *project, const char *repository)
{
    return xasprintf("/projects/%s/repositories/%s/artifacts?with_tag=true&with_label=true"
                     "&with_accessory=true&sort=push_time",
                     url_segment(project), url_segment(url_segment(strchr(repository, '/') + 1)));
}

/* Tags in the order of their pushes; one that is in no list has only its own name. */
static void sort_all(struct repository *r, size_t listed)
{
    for (size_t i = 0; i < r->artifacts.len; i++) {
        struct artifact *a = &r->artifacts.p[i];

        if (a->tags.len > 1) {
            qsort(a->tags.p, a->tags.len, sizeof(a->tags.p[0]), tag_by_time);
        }
        if (i >= listed) {
            *vec_push(&a->tags) = (struct tag){a->reference, ""};
        }
    }
}

static int look_here(struct repository *r, struct err *e)
{
    char id[24];
    SCOPED(freep) char *path = NULL;

    if (r->p->id == 0) {
        return 0;
    }
    (void)snprintf(id, sizeof(id), "%lld", (long long)r->p->id);
    path = artifacts_path(id, r->to);
    return here_each(r->m, path, take_here, r, e) < 0 && e->kind != ERR_NOT_FOUND ? -1 : 0;
}

static int look(struct repository *r, struct err *e)
{
    SCOPED(freep) char *path = artifacts_path(r->p->name, r->from);
    size_t listed;

    if (source_each(r->m->from, path, take_artifact, r, e) < 0) {
        return -1;
    }
    if (r->artifacts.len > 1) {
        qsort(r->artifacts.p, r->artifacts.len, sizeof(r->artifacts.p[0]), by_time);
    }
    listed = r->artifacts.len;
    if (remote_tags(r->m->images_from, str_of(r->from), take_other_tag, r, e) < 0 &&
        e->kind != ERR_NOT_FOUND) {
        return -1;
    }
    sort_all(r, listed);
    return look_here(r, e);
}

static void done(struct repository *r)
{
    for (size_t i = 0; i < r->artifacts.len; i++) {
        vec_done(&r->artifacts.p[i].tags);
        vec_done(&r->artifacts.p[i].labels);
        vec_done(&r->artifacts.p[i].accessories);
        vec_done(&r->artifacts.p[i].parts);
    }
    vec_done(&r->artifacts);
    map_done(&r->tags);
    map_done(&r->here);
    map_done(&r->here_tags);
    map_done(&r->here_labels);
    arena_done(&r->a);
}

/* --- tags --- */

/* What the tag is here: 1 that image, 0 nothing, 2 an image that is there too (it was moved there
 * since), 3 one that only is here. */
static int standing(struct repository *r, const char *tag, const char *digest, struct err *e)
{
    char have[CONTENT_DIGEST_MAX], ignored[CONTENT_DIGEST_MAX];

    if (r->p->id == 0) {
        return 0;
    }
    if (remote_manifest_head(r->m->images_to, str_of(r->to), str_of(tag), have, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    if (strcmp(have, digest) == 0) {
        return 1;
    }
    if (remote_manifest_head(r->m->images_from, str_of(r->from), str_of(have), ignored, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 3 : -1;
    }
    return 2;
}

static int put_tag(struct repository *r, const char *tag, const char *name,
                   const struct remote_manifest *got, struct err *e)
{
    int is;

    if (tag_check(str_of(tag), e) < 0 || (is = standing(r, tag, got->digest, e)) < 0) {
        return -1;
    }
    if (is == 1) {
        migrate_note(r->m, THERE, "tag", name, "%s", "");
    } else if (is == 3) {
        migrate_note(r->m, SKIPPED, "tag", name,
                     "it is another image here, which the Harbor does not have: delete the tag "
                     "here, and the next run brings it");
    } else if (r->m->is_dry) {
        migrate_note(r->m, WOULD, "tag", name, "%s", got->digest);
    } else if (remote_manifest_put(r->m->images_to, str_of(r->to), str_of(tag), got->media_type,
                                   buf_str(&got->body), e) < 0) {
        return -1;
    } else {
        migrate_note(r->m, BROUGHT, "tag", name, "%s", got->digest);
    }
    return 0;
}

/* It is told as it is, not as it came: no further run finds it otherwise. */
static bool is_final(enum err_kind kind)
{
    return kind == ERR_INVALID || kind == ERR_UNSUPPORTED || kind == ERR_NOT_FOUND;
}

static void tell_failed(struct repository *r, const char *kind, const char *name,
                        const struct err *why)
{
    if (is_final(why->kind)) {
        migrate_never(r->m, kind, name, why->msg);
    } else {
        migrate_note(r->m, FAILED, kind, name, "%s", why->msg);
    }
}

static bool is_passing(enum err_kind kind)
{
    return kind == ERR_UNAVAILABLE || kind == ERR_TIMEOUT || kind == ERR_THROTTLED;
}

/* -1: neither this one nor the next. */
static int bring_tag(struct repository *r, const char *tag, const struct remote_manifest *got,
                     struct err *e)
{
    SCOPED(freep) char *name = xasprintf("%s:%.200s", r->to, tag);
    struct err why = {0};

    if (put_tag(r, tag, name, got, &why) == 0) {
        return 0;
    }
    if (is_passing(why.kind) || why.kind == ERR_NO_SPACE) {
        *e = why;
        return err_wrap(e, "%.200s", tag);
    }
    tell_failed(r, "tag", name, &why);
    return 0;
}

/* --- an artifact --- */

/* In a dry run only its name is asked for. */
static int get(struct repository *r, const struct artifact *a, struct remote_manifest *got,
               struct err *e)
{
    int there;

    if (!r->m->is_dry) {
        return transfer_image(r->m->transfer, str_of(r->from), str_of(a->reference), str_of(r->to),
                              got, e);
    }
    if (content_digest_parse(str_of(a->reference), got->digest, e) < 0 &&
        remote_manifest_head(r->m->images_from, str_of(r->from), str_of(a->reference), got->digest,
                             e) < 0) {
        return -1;
    }
    there = r->p->id == 0 ? 0 : standing(r, got->digest, got->digest, e);
    return there;
}

/* What would come along with an image. */
static int would_bring(void *ctx, struct str digest, struct err *e)
{
    struct repository *r = ctx;
    SCOPED(freep) char *name = xasprintf("%s@%.*s", r->to, STR_ARG(digest));
    char one[CONTENT_DIGEST_MAX];
    int is;

    if (content_digest_parse(digest, one, e) < 0 || (is = standing(r, one, one, e)) < 0) {
        return -1;
    }
    migrate_note(r->m, is == 1 ? THERE : WOULD, "image", name, "%s", "");
    return 0;
}

/* --- labels --- */

/* The list here may not have this artifact, which then has the label already all the same. */
static void put_label(struct repository *r, const char *path, const char *name, const json_t *body)
{
    struct err e = {0};

    if (r->m->is_dry) {
        migrate_note(r->m, WOULD, "label", name, "%s", "");
    } else if (client_call(r->m->c->client, "POST", body, NULL, &e, "/api/v2.0%s", path) == 0) {
        migrate_note(r->m, BROUGHT, "label", name, "%s", "");
    } else if (e.kind == ERR_CONFLICT) {
        migrate_note(r->m, THERE, "label", name, "%s", "");
    } else {
        migrate_refused(r->m, "label", name, &e);
    }
}

static void bring_labels(struct repository *r, const struct artifact *a, const char *digest)
{
    SCOPED(freep)
    char *path =
        xasprintf("/projects/%lld/repositories/%s/artifacts/%s/labels", (long long)r->p->id,
                  url_segment(url_segment(strchr(r->to, '/') + 1)), digest);

    for (size_t i = 0; i < a->labels.len; i++) {
        const struct label *l = &a->labels.p[i];
        SCOPED(freep) char *name = xasprintf("%s@%.71s: %s", r->to, digest, l->name);
        SCOPED(json_decrefp) json_t *body = json_pack("{s:I}", "id", (json_int_t)l->id);

        if (map_get(&r->here_labels, str_of(label_key(r, digest, l->id))) != NULL) {
            migrate_note(r->m, THERE, "label", name, "%s", "");
        } else {
            put_label(r, path, name, body);
        }
    }
}

/* --- what is here as it is there --- */

/* Both lists say so: not a manifest is asked for, which would count as a pull there. */
static bool is_same(const struct repository *r, const struct artifact *a)
{
    if (map_get(&r->here, str_of(a->reference)) == NULL || !(a->is_image || a->parts.len > 0)) {
        return false;
    }
    for (size_t i = 0; i < a->tags.len; i++) {
        const char *digest = map_get(&r->here_tags, str_of(a->tags.p[i].name));

        if (digest == NULL || strcmp(digest, a->reference) != 0) {
            return false;
        }
    }
    return true;
}

/* What refers to it may be new. 1: nothing was. */
static int bring_referrers(struct repository *r, const char *digest, struct err *e)
{
    char one[CONTENT_DIGEST_MAX];

    if (content_digest_parse(str_of(digest), one, e) < 0) {
        return -1;
    }
    return r->m->is_dry
               ? remote_referrers(r->m->images_from, str_of(r->from), one, would_bring, r, e)
               : transfer_referrers(r->m->transfer, str_of(r->from), one, str_of(r->to), e);
}

static int bring_rest(struct repository *r, const struct artifact *a, struct err *e)
{
    SCOPED(freep) char *name = xasprintf("%s@%.71s", r->to, a->reference);
    int same = 1;

    if (!a->is_told || a->accessories.len > 0) {
        same = bring_referrers(r, a->reference, e);
    }
    for (size_t i = 0; same >= 0 && i < a->parts.len; i++) {
        int part = bring_referrers(r, a->parts.p[i], e);

        same = part > 0 ? same : part;
    }
    if (same < 0) {
        return -1;
    }
    migrate_note(r->m, same || r->m->is_dry ? THERE : BROUGHT, "image", name, "%s", "");
    for (size_t i = 0; i < a->tags.len; i++) {
        migrate_note(r->m, THERE, "tag", a->tags.p[i].name, "%s", "");
    }
    bring_labels(r, a, a->reference);
    return 0;
}

static int bring_whole(struct repository *r, const struct artifact *a, struct err *e)
{
    struct remote_manifest got = {0};
    int result = get(r, a, &got, e);
    SCOPED(freep) char *name = xasprintf("%s@%.71s", r->to, got.digest);

    if (result >= 0) {
        migrate_note(r->m,
                     result > 0     ? THERE
                     : r->m->is_dry ? WOULD
                                    : BROUGHT,
                     "image", name, "%s", "");
        bring_labels(r, a, got.digest);
    }
    for (size_t i = 0; result >= 0 && i < a->tags.len; i++) {
        result = bring_tag(r, a->tags.p[i].name, &got, e);
    }
    buf_done(&got.body);
    if (result >= 0 && r->m->is_dry) {
        result =
            remote_referrers(r->m->images_from, str_of(r->from), got.digest, would_bring, r, e);
    }
    for (size_t i = 0; result >= 0 && i < a->accessories.len && !r->m->is_dry; i++) {
        struct remote_manifest other = {0};

        result = transfer_image(r->m->transfer, str_of(r->from), str_of(a->accessories.p[i]),
                                str_of(r->to), &other, e);
        buf_done(&other.body);
    }
    return result < 0 ? -1 : 0;
}

static int bring(struct repository *r, const struct artifact *a, struct err *e)
{
    return is_same(r, a) ? bring_rest(r, a, e) : bring_whole(r, a, e);
}

/* One that fails does not hold up the others, as long as both sides answer. */
static int after_failure(struct repository *r, const char *reference, const struct err *why,
                         struct err *e)
{
    SCOPED(freep) char *name = xasprintf("%s@%.80s", r->from, reference);

    tell_failed(r, "image", name, why);
    if (why->kind == ERR_NO_SPACE) {
        *e = *why;
        return -1;
    }
    if (!is_passing(why->kind)) {
        return 0;
    }
    return remote_ping(r->m->images_from, e) < 0 || remote_ping(r->m->images_to, e) < 0 ? -1 : 0;
}

static int bring_all(struct repository *r, struct err *e)
{
    for (size_t i = 0; i < r->artifacts.len; i++) {
        const struct artifact *a = &r->artifacts.p[i];
        struct err why = {0};

        if (bring(r, a, &why) < 0 && after_failure(r, a->reference, &why, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- a repository --- */

struct repositories {
    struct migration *m;
    const struct project *p;
};

static int bring_repository(void *ctx, const json_t *row, struct err *e)
{
    const struct repositories *of = ctx;
    const char *from = json_text(row, "name"), *to = migrate_map(of->m, from);
    struct str rest = str_of(from), project = str_cut(&rest, '/');
    SCOPED(freep) char *own = to ? xstrdup(to) : xasprintf("%s/%.*s", of->p->to, STR_ARG(rest));
    struct repository r = {.m = of->m, .p = of->p, .from = from, .to = own};
    struct err why = {0};
    int result = 0;

    if (!str_eq_c(project, of->p->name) || rest.p == NULL) {
        (void)err_set(&why, ERR_INVALID, "it is none of the project %s", of->p->name);
        migrate_never(of->m, "repository", from, why.msg);
        return 0;
    }
    if (name_check(str_of(own), &why) < 0) {
        SCOPED(freep)
        char *text = xasprintf("%s; give it another name: --map %s=%s/NAME", why.msg,
                               shell_word(from), shell_word(of->p->to));

        migrate_never(of->m, "repository", from, text);
        return 0;
    }
    if (!str_eq_c(name_project(str_of(own)), of->p->to)) { /* who sees it is of the project */
        migrate_note(of->m, FAILED, "repository", from,
                     "--map puts it into another project than %s: map the project", of->p->to);
        return 0;
    }
    if (look(&r, &why) < 0) {
        migrate_note(of->m, FAILED, "repository", from, "%s", why.msg);
    } else {
        result = bring_all(&r, e);
    }
    done(&r);
    return result;
}

int migrate_images(struct migration *m, const struct project *p, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/projects/%s/repositories", url_segment(p->name));
    struct repositories of = {m, p};

    return source_each(m->from, path, bring_repository, &of, e);
}
