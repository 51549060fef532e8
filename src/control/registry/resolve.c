/* An image reference -> what a job needs to run it. */
#include "registry_priv.h"

#include "base/buf.h"
#include "image.h"
#include "manifest.h"
#include "store.h"

#include <string.h>

/* What rootfs can unpack; image-spec "layer.md" and Docker's own name. */
static const char *const layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

static int read_manifest(struct registry *r, struct arena *a, const struct reference *ref,
                         struct str by, char digest[CONTENT_DIGEST_MAX], struct manifest *out,
                         struct err *e)
{
    struct stored_manifest stored;
    const char *code;

    if (proxy_manifest(r, by, ref, &code, e) < 0 ||
        store_manifest_get(r, a, ref, &stored, &code, e) < 0) {
        return -1;
    }
    memcpy(digest, stored.digest, CONTENT_DIGEST_MAX);
    registry_note_pull(r, &stored);
    return manifest_parse(a, stored.media_type, stored.body, out, e);
}

static int no_child(const struct manifest *index, const char *architecture, struct err *e)
{
    struct buf list = BUF_MAX(256);

    for (size_t i = 0; i < index->n_children; i++) {
        buf_printf(&list, "%s%.*s/%.*s", list.len ? ", " : "", STR_ARG(index->children[i].os),
                   STR_ARG(index->children[i].architecture));
    }
    err_set(e, ERR_INVALID, "it has nothing for linux/%s, only: %s", architecture,
            list.len ? list.p : "nothing at all");
    buf_done(&list);
    return -1;
}

/* The first entry for this platform. A variant ("v3" of amd64) must be asked for, so one without
 * is taken before one with. */
static const struct descriptor *choose_child(const struct manifest *index, const char *architecture)
{
    const struct descriptor *with_variant = NULL;

    for (size_t i = 0; i < index->n_children; i++) {
        const struct descriptor *d = &index->children[i];

        if (!str_eq_c(d->os, "linux") || !str_eq_c(d->architecture, architecture)) {
            continue;
        }
        if (d->variant.len == 0) {
            return d;
        }
        with_variant = with_variant ? with_variant : d;
    }
    return with_variant;
}

enum { INDEX_DEPTH = 4 }; /* an index may list an index */

static int find_image(struct registry *r, struct arena *a, struct reference ref,
                      const char *architecture, struct str by, char digest[CONTENT_DIGEST_MAX],
                      struct manifest *out, struct err *e)
{
    for (int depth = 0; depth < INDEX_DEPTH; depth++) {
        const struct descriptor *child;

        if (read_manifest(r, a, &ref, by, digest, out, e) < 0) {
            return -1;
        }
        if (!out->is_index) {
            return 0;
        }
        child = choose_child(out, architecture);
        if (child == NULL) {
            return no_child(out, architecture, e);
        }
        ref.tag = (struct str){0};
        memcpy(ref.digest, child->digest, sizeof(ref.digest));
    }
    return err_set(e, ERR_INVALID, "indexes are nested deeper than %d", INDEX_DEPTH);
}

static int read_config(struct registry *r, struct arena *a, const struct manifest *m,
                       struct image_config *out, struct err *e)
{
    struct buf text = BUF_MAX(IMAGE_CONFIG_BYTES_MAX);
    int result;

    if (!str_eq_c(m->config.media_type, MEDIA_OCI_CONFIG) &&
        !str_eq_c(m->config.media_type, MEDIA_DOCKER_CONFIG)) {
        return err_set(e, ERR_INVALID, "it is no container image, its type is %.*s",
                       STR_ARG(str_first(m->config.media_type, 100)));
    }
    result = content_blob_read(r->content, m->config.digest, IMAGE_CONFIG_BYTES_MAX, &text, e) < 0
                 ? -1
                 : image_config_parse(a, buf_str(&text), out, e);
    buf_done(&text);
    return result;
}

static int check_layers(const struct manifest *m, const struct image_config *c, struct err *e)
{
    if (m->n_layers != c->n_diff_ids) {
        return err_set(e, ERR_INVALID, "the manifest has %zu layers, the configuration %zu",
                       m->n_layers, c->n_diff_ids);
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        struct str type = m->layers[i].media_type;
        bool known = false;

        for (size_t t = 0; t < ARRAY_LEN(layer_types); t++) {
            known = known || str_eq_c(type, layer_types[t]);
        }
        if (!known) {
            return err_set(e, ERR_INVALID,
                           "layer %zu is of type %.*s: tar, tar+gzip and tar+zstd can be run",
                           i + 1, STR_ARG(str_first(type, 100)));
        }
    }
    return 0;
}

static int check_platform(const struct image_config *c, const char *architecture, struct err *e)
{
    if (strcmp(c->os, "linux") == 0 && strcmp(c->architecture, architecture) == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "it is for %s/%s, this machine runs linux/%s", c->os,
                   c->architecture, architecture);
}

/* Foreign layers may be missing. */
static int check_stored(struct registry *r, const struct manifest *m, struct err *e)
{
    for (size_t i = 0; i < m->n_layers; i++) {
        int64_t size;

        if (content_blob_size(r->content, m->layers[i].digest, &size, e) < 0) {
            return err_wrap(e, "layer %zu", i + 1);
        }
    }
    return 0;
}

/* What a job runs from has to be here before it starts. */
static int fetch_missing(struct registry *r, struct str repository, struct str by,
                         const struct manifest *m, struct err *e)
{
    for (size_t i = 0; i <= m->n_layers; i++) {
        const struct descriptor *d = i < m->n_layers ? &m->layers[i] : &m->config;
        const char *code;
        struct stored_blob blob;

        if (d->foreign || store_blob_find(r, repository, d->digest, &blob, &code, e) == 0) {
            continue;
        }
        if (e->kind != ERR_NOT_FOUND || proxy_blob(r, by, repository, d->digest, &code, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void fill(struct arena *a, const struct manifest *m, const struct image_config *c,
                 struct registry_image *out)
{
    out->n_layers = m->n_layers;
    out->layer_digests = arena_alloc(a, (m->n_layers + 1) * sizeof(*out->layer_digests));
    out->diff_ids = c->diff_ids;
    for (size_t i = 0; i < m->n_layers; i++) {
        memcpy(out->layer_digests[i], m->layers[i].digest, CONTENT_DIGEST_MAX);
    }
    out->entrypoint = c->entrypoint;
    out->cmd = c->cmd;
    out->env = c->env;
    out->cwd = c->cwd;
    out->user = c->user;
    out->architecture = c->architecture;
    out->os = c->os;
}

int registry_resolve(struct registry *r, struct str reference, const char *architecture,
                     struct str by, struct arena *a, struct registry_image *out, struct err *e)
{
    struct reference ref;
    struct manifest m = {0};
    struct image_config config = {.os = "", .architecture = ""};

    if (reference_parse(reference, &ref, e) < 0) {
        return -1;
    }
    if (find_image(r, a, ref, architecture, by, out->digest, &m, e) < 0 ||
        fetch_missing(r, ref.repository, by, &m, e) < 0 || read_config(r, a, &m, &config, e) < 0 ||
        check_platform(&config, architecture, e) < 0 || check_layers(&m, &config, e) < 0 ||
        check_stored(r, &m, e) < 0) {
        return err_wrap(e, "image %.*s", STR_ARG(str_first(reference, 300)));
    }
    fill(a, &m, &config, out);
    return 0;
}

int registry_repository_of(struct str reference, struct str *out, struct err *e)
{
    struct reference ref;

    if (reference_parse(reference, &ref, e) < 0) {
        return -1;
    }
    *out = ref.repository;
    return 0;
}
