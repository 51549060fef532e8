#include "image.h"

#include "base/json.h"
#include "base/limits.h"
#include "manifest.h"

#include <string.h>

/* A string of the document for execve(2): no NUL inside. */
static const char *copy_string(struct arena *a, const json_t *j, struct err *e)
{
    struct str s = str_n(json_string_value(j), json_string_length(j));

    if (!json_is_string(j) || memchr(s.p, '\0', s.len) != NULL) {
        err_set(e, ERR_INVALID, "expected a string without NUL");
        return NULL;
    }
    return arena_strdup(a, s);
}

/* A list of strings; missing and null are the empty list. */
static int copy_list(struct arena *a, const json_t *obj, const char *key, const char ***out,
                     struct err *e)
{
    const json_t *list = json_object_get(obj, key);
    size_t n = json_array_size(list);

    if (list != NULL && !json_is_null(list) && !json_is_array(list)) {
        return err_set(e, ERR_INVALID, "%s: expected a list", key);
    }
    if (n > IMAGE_ARGS_MAX) {
        return err_set(e, ERR_INVALID, "%s: %zu entries, more than %d", key, n, IMAGE_ARGS_MAX);
    }
    *out = arena_new_array(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = copy_string(a, json_array_get(list, i), e);
        if ((*out)[i] == NULL) {
            return err_wrap(e, "%s[%zu]", key, i);
        }
    }
    return 0;
}

/* A string; missing and null are "". */
static int copy_field(struct arena *a, const json_t *obj, const char *key, const char **out,
                      struct err *e)
{
    const json_t *j = json_object_get(obj, key);

    *out = j == NULL || json_is_null(j) ? "" : copy_string(a, j, e);
    return *out ? 0 : err_wrap(e, "%s", key);
}

static int parse_rootfs(struct arena *a, const json_t *doc, struct image_config *c, struct err *e)
{
    const json_t *rootfs = json_object_get(doc, "rootfs");
    const json_t *ids = json_object_get(rootfs, "diff_ids");
    size_t n = json_array_size(ids);

    if (!json_is_object(rootfs) || (!json_is_array(ids) && !json_is_null(ids))) {
        return err_set(e, ERR_INVALID, "rootfs.diff_ids: expected a list");
    }
    if (n > LIMIT_LAYERS) {
        return err_set(e, ERR_LIMIT, "rootfs.diff_ids: %zu layers, more than %d", n, LIMIT_LAYERS);
    }
    c->diff_ids = arena_alloc(a, (n + 1) * sizeof(*c->diff_ids));
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_string(id) ||
            content_digest_parse(str_n(json_string_value(id), json_string_length(id)),
                                 c->diff_ids[i], e) < 0) {
            return err_set(e, ERR_INVALID, "rootfs.diff_ids[%zu]: expected a digest", i);
        }
    }
    c->n_diff_ids = n;
    return 0;
}

static int parse_process(struct arena *a, const json_t *doc, struct image_config *c, struct err *e)
{
    const json_t *config = json_object_get(doc, "config");

    if (config != NULL && !json_is_null(config) && !json_is_object(config)) {
        return err_set(e, ERR_INVALID, "config: expected an object");
    }
    return copy_list(a, config, "Entrypoint", &c->entrypoint, e) < 0 ||
                   copy_list(a, config, "Cmd", &c->cmd, e) < 0 ||
                   copy_list(a, config, "Env", &c->env, e) < 0 ||
                   copy_field(a, config, "WorkingDir", &c->cwd, e) < 0 ||
                   copy_field(a, config, "User", &c->user, e) < 0
               ? err_wrap(e, "config")
               : 0;
}

int image_config_parse(struct arena *a, struct str text, struct image_config *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct image_config c = {0};

    if (text.len > IMAGE_CONFIG_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "image configuration has %zu bytes, more than %d", text.len,
                       IMAGE_CONFIG_BYTES_MAX);
    }
    if (json_count_check(text, e) < 0) {
        return err_wrap(e, "image configuration");
    }
    doc = json_parse(text, e);
    if (doc == NULL || !json_is_object(doc)) {
        return doc ? err_set(e, ERR_INVALID, "image configuration: expected a JSON object")
                   : err_wrap(e, "image configuration");
    }
    if (copy_field(a, doc, "os", &c.os, e) < 0 ||
        copy_field(a, doc, "architecture", &c.architecture, e) < 0 ||
        copy_field(a, doc, "variant", &c.variant, e) < 0 || parse_rootfs(a, doc, &c, e) < 0 ||
        parse_process(a, doc, &c, e) < 0) {
        return err_wrap(e, "image configuration");
    }
    *out = c;
    return 0;
}
