/* What an image is made of: an index, its platforms, their layers, and what refers to them. */
#include "main/cli/image.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct tree {
    struct cli *c;
    const char *repo;
    int depth;
};

static void line(const struct tree *t, const char *what, const char *digest, int64_t size,
                 const char *more)
{
    char text[16];

    (void)printf("%*s%s ", 2 * t->depth, "", what);
    print_safe(stdout, str_of(digest));
    if (size >= 0) {
        (void)printf("  %s", str_format_bytes(size, text));
    }
    if (more[0]) {
        (void)printf("  ");
        print_safe(stdout, str_of(more));
    }
    (void)putchar('\n');
}

static int show(struct tree *t, const char *what, const char *reference, const char *more,
                json_t *node, struct err *e);

/* Adds the tree of a descriptor to the list `key` of `node`. */
static int add(struct tree *t, const char *what, const json_t *d, const char *key, json_t *node,
               struct err *e)
{
    SCOPED(freep) char *platform = image_platform(d);
    const char *type = json_text(d, "artifactType");
    json_t *list = json_object_get(node, key), *child = json_object();

    if (list == NULL) {
        (void)json_object_set_new(node, key, list = json_array());
    }
    (void)json_array_append_new(list, child);
    (void)json_object_set_new(child, "platform", json_string(platform));
    return show(t, what, json_text(d, "digest"), platform[0] ? platform : type, child, e);
}

static int show_parts(struct tree *t, const json_t *manifest, json_t *node, struct err *e)
{
    const json_t *layers = json_object_get(manifest, "layers"), *part;
    size_t i;

    json_array_foreach(json_object_get(manifest, "manifests"), i, part)
    {
        if (add(t, "image", part, "images", node, e) < 0) {
            return -1;
        }
    }
    if (layers) {
        (void)json_object_set(node, "layers", (json_t *)(uintptr_t)layers);
    }
    json_array_foreach(layers, i, part)
    {
        if (!t->c->json) {
            line(t, "layer", json_text(part, "digest"), json_number(part, "size"),
                 json_text(part, "mediaType"));
        }
    }
    return 0;
}

static int show_referrers(struct tree *t, const char *digest, json_t *node, struct err *e)
{
    SCOPED(json_decrefp) json_t *list = NULL;
    const json_t *one;
    size_t i;

    if (client_call(t->c->client, "GET", NULL, &list, e, "/v2/%s/referrers/%s", url_path(t->repo),
                    url_segment(digest)) < 0) {
        return -1;
    }
    json_array_foreach(json_object_get(list, "manifests"), i, one)
    {
        if (add(t, "referrer", one, "referrers", node, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int show(struct tree *t, const char *what, const char *reference, const char *more,
                json_t *node, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_MANIFEST_BYTES);
    SCOPED(json_decrefp) json_t *manifest = NULL;
    char digest[IMAGE_DIGEST];
    int rc;

    if (t->depth == IMAGE_DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes are nested deeper than %d", IMAGE_DEPTH_MAX);
    }
    if (image_manifest(t->c, t->repo, reference, &bytes, &manifest, e) < 0) {
        if (t->depth == 0 || e->kind != ERR_NOT_FOUND) {
            return -1;
        }
        if (!t->c->json) {
            line(t, "missing", reference, -1, more);
        }
        return json_object_set_new(node, "missing", json_string(reference));
    }
    image_digest_of(buf_str(&bytes), digest);
    (void)json_object_set_new(node, "digest", json_string(digest));
    (void)json_object_set_new(node, "media_type", json_string(json_text(manifest, "mediaType")));
    if (!t->c->json) {
        line(t, json_object_get(manifest, "manifests") ? "index" : what, digest, (int64_t)bytes.len,
             more);
    }
    t->depth++;
    rc = show_parts(t, manifest, node, e) < 0 ? -1 : show_referrers(t, digest, node, e);
    t->depth--;
    return rc;
}

int verb_image_tree(struct cli *c, struct err *e)
{
    SCOPED(freep) char *repo = NULL;
    SCOPED(freep) char *reference = NULL;
    SCOPED(json_decrefp) json_t *root = json_object();
    struct tree t = {.c = c};

    if (image_split(c, cli_arg(c, 0), &repo, &reference, e) < 0) {
        return -1;
    }
    t.repo = repo;
    if (show(&t, "image", reference, cli_arg(c, 0), root, e) < 0) {
        return -1;
    }
    (void)print_json(c, root);
    return 0;
}

/* --- inspect --- */

/* The image of an index for this machine, else its first. */
static const char *pick(const json_t *index)
{
    const json_t *list = json_object_get(index, "manifests"), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        const json_t *p = json_object_get(one, "platform");

        if (strcmp(json_text(p, "os"), "linux") == 0 &&
            strcmp(json_text(p, "architecture"), image_architecture()) == 0) {
            return json_text(one, "digest");
        }
    }
    return json_text(json_array_get(list, 0), "digest");
}

/* The manifest's digest and its configuration, as skopeo inspect and docker inspect show them. */
static int inspect(struct cli *c, const char *repo, const char *reference, json_t *out,
                   struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_MANIFEST_BYTES);
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_MANIFEST_BYTES);
    SCOPED(json_decrefp) json_t *manifest = NULL;
    json_t *config, *layers = json_array();
    const json_t *layer;
    char digest[IMAGE_DIGEST];
    size_t i;

    (void)json_object_set_new(out, "Layers", layers);
    if (image_manifest(c, repo, reference, &bytes, &manifest, e) < 0) {
        return -1;
    }
    if (json_object_get(manifest, "manifests")) {
        const char *child = pick(manifest);

        return image_digest_check(child, e) < 0 || strcmp(child, reference) == 0
                   ? err_set(e, ERR_INVALID, "%s is an index without an image", reference)
                   : inspect(c, repo, child, out, e);
    }
    if (image_small_blob(c, repo, json_text(json_object_get(manifest, "config"), "digest"), &text,
                         e) < 0 ||
        (config = json_parse(buf_str(&text), e)) == NULL) {
        return -1;
    }
    image_digest_of(buf_str(&bytes), digest);
    (void)json_object_set_new(out, "Name", json_string(repo));
    (void)json_object_set_new(out, "Digest", json_string(digest));
    (void)json_object_set_new(out, "Architecture", json_string(json_text(config, "architecture")));
    (void)json_object_set_new(out, "Os", json_string(json_text(config, "os")));
    (void)json_object_set_new(out, "Created", json_string(json_text(config, "created")));
    json_array_foreach(json_object_get(manifest, "layers"), i, layer)
    {
        (void)json_array_append_new(layers, json_string(json_text(layer, "digest")));
    }
    return json_object_set_new(out, "Config", config);
}

int verb_image_inspect(struct cli *c, struct err *e)
{
    SCOPED(freep) char *repo = NULL;
    SCOPED(freep) char *reference = NULL;
    SCOPED(json_decrefp) json_t *out = json_object();

    if (image_split(c, cli_arg(c, 0), &repo, &reference, e) < 0 ||
        inspect(c, repo, reference, out, e) < 0) {
        return -1;
    }
    (void)json_dumpf(out, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    return 0;
}
