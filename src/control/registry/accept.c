#include "accept.h"

#include "base/buf.h"
#include "image.h"
#include "registry_priv.h"

#include <string.h>

/* File and row appear under the digest's pin, so that the collector cannot come between. */
int accept_blob(struct registry *r, struct content_writer **w, const struct repo_key *to,
                const char *digest, const char **code, struct err *e)
{
    int64_t size;
    int result;

    registry_pin(r, digest);
    result = content_writer_commit(*w, digest, &size, e);
    if (result == 0) {
        *w = NULL;
        result = store_blob_link(r, to, digest, size, code, e);
        if (result < 0) {
            registry_drop_orphan(r, digest);
        }
    } else if (e->kind == ERR_INVALID) {
        *code = "DIGEST_INVALID";
    }
    registry_unpin(r, digest);
    return result;
}

/* "linux/amd64" out of an image's configuration; "" when it has none that we can read. */
static struct str platform_of_image(struct registry *r, struct arena *a, struct str repository,
                                    const struct manifest *m)
{
    struct buf text = BUF_MAX(IMAGE_CONFIG_BYTES_MAX);
    struct str platform = STR_EMPTY;
    struct image_config config;
    struct stored_blob blob;
    const char *code;
    struct err ignored;

    if ((str_eq_c(m->config.media_type, MEDIA_OCI_CONFIG) ||
         str_eq_c(m->config.media_type, MEDIA_DOCKER_CONFIG)) &&
        store_blob_find(r, repository, m->config.digest, &blob, &code, &ignored) == 0 &&
        content_blob_read(r->content, m->config.digest, IMAGE_CONFIG_BYTES_MAX, &text, &ignored) ==
            0 &&
        image_config_parse(a, buf_str(&text), &config, &ignored) == 0 && config.os[0] != '\0') {
        platform = str_of(arena_printf(a, "%.40s/%.40s", config.os, config.architecture));
    }
    buf_done(&text);
    return platform;
}

static struct str platform_of_index(struct arena *a, const struct manifest *m)
{
    struct buf list = BUF_MAX(256); /* the rest of a long list is left out */
    struct str out;

    for (size_t i = 0; i < m->n_children; i++) {
        const struct descriptor *d = &m->children[i];

        if (d->os.len > 0 && !str_eq_c(d->os, "unknown")) { /* attestations are "unknown" */
            buf_printf(&list, "%s%.*s/%.*s", list.len ? "," : "", STR_ARG(str_first(d->os, 40)),
                       STR_ARG(str_first(d->architecture, 40)));
        }
    }
    out = arena_str(a, buf_str(&list));
    buf_done(&list);
    return out;
}

static int digest_of(struct str body, const char *want, char *out, const char **code, struct err *e)
{
    struct str rest = str_of(want);

    if (want[0] == '\0') {
        return content_digest_of(body, STR("sha256"), out, e);
    }
    if (content_digest_of(body, str_cut(&rest, ':'), out, e) < 0) {
        return -1;
    }
    if (strcmp(out, want) == 0) {
        return 0;
    }
    *code = "DIGEST_INVALID";
    return err_set(e, ERR_INVALID, "the manifest has the digest %s, not %s", out, want);
}

void tell_arrived(const struct registry *r, const struct repo_key *to, const char *digest)
{
    if (r->hooks.arrived != NULL) {
        r->hooks.arrived(r->hooks.ctx, &(struct registry_arrival){.repository = to->name,
                                                                  .by = to->by,
                                                                  .digest = digest,
                                                                  .project_id = to->project_id});
    }
}

int accept_manifest(struct registry *r, struct arena *a, struct manifest_put *put,
                    struct str content_type, const char *want, const char **code, struct err *e)
{
    struct manifest *m = arena_new(a, struct manifest);
    char *digest = arena_new_array(a, char, CONTENT_DIGEST_MAX);

    if (manifest_parse(a, content_type, put->body, m, e) < 0) {
        *code = "MANIFEST_INVALID";
        return -1;
    }
    if (digest_of(put->body, want, digest, code, e) < 0) {
        return -1;
    }
    put->digest = digest;
    put->manifest = m;
    put->platform =
        m->is_index ? platform_of_index(a, m) : platform_of_image(r, a, put->repository.name, m);
    if (store_manifest_put(r, put, code, e) < 0) {
        return -1;
    }
    atomic_fetch_add(&r->pushes, 1);
    tell_arrived(r, &put->repository, digest);
    return 0;
}
