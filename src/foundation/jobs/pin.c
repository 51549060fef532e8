#include "jobs/pin.h"

#include "rootfs/rootfs.h"

#include <string.h>

const char *job_clean_path(struct arena *a, struct str path)
{
    char *out = arena_alloc(a, path.len + 2);
    size_t n = 0;

    while (path.p) {
        struct str part = str_cut(&path, '/');

        if (str_eq_c(part, "..")) {
            while (n > 0 && out[--n] != '/') {
            }
        } else if (part.len > 0 && !str_eq_c(part, ".")) {
            out[n++] = '/';
            memcpy(out + n, part.p, part.len);
            n += part.len;
        }
    }
    if (n == 0) {
        out[n++] = '/';
    }
    out[n] = '\0';
    return out;
}

static void write_list(struct jw *w, const char *key, const char *const *list)
{
    jw_key(w, key);
    jw_array(w);
    for (; list && *list; list++) {
        jw_str(w, str_of(*list));
    }
    jw_end(w);
}

static void write_image(const struct job_image *im, struct jw *w)
{
    jw_kv_c(w, "digest", im->digest);
    jw_key(w, "layers");
    jw_array(w);
    for (size_t i = 0; i < im->n_layers; i++) {
        jw_array(w);
        jw_str(w, str_of(im->layers[i].digest));
        jw_str(w, str_of(im->layers[i].diff_id));
        jw_end(w);
    }
    jw_end(w);
    write_list(w, "entrypoint", im->entrypoint);
    write_list(w, "cmd", im->cmd);
    write_list(w, "env", im->env);
    jw_kv_c(w, "cwd", im->cwd ? im->cwd : "");
    jw_kv_c(w, "user", im->user ? im->user : "");
}

void job_pin_json(const struct job_pin *p, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id_base", p->id_base);
    write_image(&p->image, w);
    jw_end(w);
}

void jobs_image_json(const struct job_image *im, struct jw *w)
{
    jw_object(w);
    write_image(im, w);
    jw_kv_c(w, "architecture", im->architecture ? im->architecture : "");
    jw_kv_c(w, "os", im->os ? im->os : "");
    jw_end(w);
}

static int broken(struct err *e)
{
    return err_set(e, ERR_INTERNAL, "what was pinned for the job cannot be read");
}

static struct str text_of(const json_t *j)
{
    return json_is_string(j) ? str_n(json_string_value(j), json_string_length(j)) : STR_EMPTY;
}

static const char **read_list(struct arena *a, const json_t *root, const char *key)
{
    const json_t *list = json_object_get(root, key);
    size_t n = json_array_size(list);
    const char **out = arena_new_array(a, const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        out[i] = arena_strdup(a, text_of(json_array_get(list, i)));
    }
    return out;
}

static int read_layers(struct arena *a, const json_t *root, struct job_image *im, struct err *e)
{
    const json_t *layers = json_object_get(root, "layers");

    im->n_layers = json_array_size(layers);
    im->layers = arena_new_array(a, struct rootfs_layer, im->n_layers + 1);
    for (size_t i = 0; i < im->n_layers; i++) {
        const json_t *pair = json_array_get(layers, i);
        struct rootfs_layer *l = &im->layers[i];

        if (str_copy(text_of(json_array_get(pair, 0)), l->digest, sizeof(l->digest)) < 0 ||
            str_copy(text_of(json_array_get(pair, 1)), l->diff_id, sizeof(l->diff_id)) < 0) {
            return broken(e);
        }
    }
    return 0;
}

int job_pin_parse(struct arena *a, struct str json, struct job_pin *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *root = json_parse(json, e);
    struct job_image *im = &out->image;

    *out = (struct job_pin){0};
    if (root == NULL) {
        return -1;
    }
    out->id_base = (uint32_t)json_integer_value(json_object_get(root, "id_base"));
    if (str_copy(text_of(json_object_get(root, "digest")), im->digest, sizeof(im->digest)) < 0) {
        return broken(e);
    }
    im->entrypoint = read_list(a, root, "entrypoint");
    im->cmd = read_list(a, root, "cmd");
    im->env = read_list(a, root, "env");
    im->cwd = arena_strdup(a, text_of(json_object_get(root, "cwd")));
    im->user = arena_strdup(a, text_of(json_object_get(root, "user")));
    return read_layers(a, root, im, e);
}

int jobs_image_parse(struct arena *a, struct str json, struct job_image *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *root = json_parse(json, e);
    struct job_pin pin;

    if (root == NULL || job_pin_parse(a, json, &pin, e) < 0) {
        return -1;
    }
    *out = pin.image;
    out->architecture = arena_strdup(a, text_of(json_object_get(root, "architecture")));
    out->os = arena_strdup(a, text_of(json_object_get(root, "os")));
    return 0;
}
