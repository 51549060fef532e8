#include "copy_priv.h"

#include <string.h>

enum { DEPTH_MAX = 6, MANIFESTS_MAX = 20000 };

int copying_enter(struct copying *y, const char *digest, struct err *e)
{
    if (y->depth == DEPTH_MAX) {
        return err_set(e, ERR_INVALID, "indexes and referrers are nested deeper than %d",
                       DEPTH_MAX);
    }
    if (digest[0] != '\0') {
        if (y->seen.len == MANIFESTS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d manifests belong to it", MANIFESTS_MAX);
        }
        if (map_put(&y->seen, str_of(digest), y) != NULL) {
            return 0;
        }
    }
    y->depth++;
    return 1;
}

void copying_leave(struct copying *y)
{
    y->depth--;
}

bool copy_is_manifest(struct str media_type)
{
    return str_eq_c(media_type, MEDIA_OCI_MANIFEST) || str_eq_c(media_type, MEDIA_OCI_INDEX) ||
           str_eq_c(media_type, MEDIA_DOCKER_MANIFEST) || str_eq_c(media_type, MEDIA_DOCKER_LIST);
}

static bool is_image(const struct manifest *m)
{
    return m->is_index ||
           ((str_eq_c(m->config.media_type, MEDIA_OCI_CONFIG) ||
             str_eq_c(m->config.media_type, MEDIA_DOCKER_CONFIG)) &&
            (m->artifact_type.len == 0 || str_eq(m->artifact_type, m->config.media_type)));
}

bool copy_is_kind(enum copy_kind kind, const struct manifest *m)
{
    return kind == COPY_ALL || is_image(m) == (kind == COPY_IMAGES);
}

void copy_tell(const struct copying *y, int64_t total, int64_t done, int64_t moved)
{
    y->c->hooks->bytes(y->c->ctx, &(struct copy_bytes){total, done, moved});
}

void copy_tell_total(const struct copying *y, const struct manifest *m)
{
    int64_t total = m->is_index || m->config.foreign ? 0 : m->config.size_bytes;

    for (size_t i = 0; i < m->n_layers; i++) {
        total += m->layers[i].foreign ? 0 : m->layers[i].size_bytes;
    }
    copy_tell(y, total, 0, 0);
}
