/* A file that is not in its volume: what was meant, by the names that are there. */
#include "pipeline/pipeline_priv.h"

#include "volume/volume.h"

enum { LOOKED_AT = 10000 }; /* a larger folder gives no hint */

struct names {
    struct arena *a;
    struct str wanted;
    VEC(const char *) near;
    bool has_it;
};

static void add_name(void *ctx, struct str name, bool is_dir UNUSED)
{
    struct names *n = ctx;

    n->has_it = n->has_it || str_eq(name, n->wanted);
    *vec_push(&n->near) = arena_strdup(n->a, name);
}

/* The first part of the path that is not in its folder. 1: *near is like it. 0: nothing is. */
static int find_near(struct pipelines *s, const struct volume_ref *ref, struct arena *a,
                     struct str path, struct str *folder, const char **near)
{
    struct str rest = path;

    *near = NULL;
    while (rest.p) {
        struct names n = {.a = a, .wanted = str_cut(&rest, '/')};
        struct err e;
        bool is_listed;

        *folder = str_first(path, (size_t)(n.wanted.p - path.p));
        is_listed =
            volume_dir_list(s->parts.volumes, ref,
                            folder->len > 0 ? str_first(*folder, folder->len - 1) : STR_EMPTY,
                            LOOKED_AT, add_name, &n, &e) == 0;
        if (is_listed && !n.has_it) {
            *near = str_nearest(n.wanted, n.near.p, n.near.len);
        }
        vec_done(&n.near);
        if (!is_listed || !n.has_it) {
            break;
        }
    }
    return *near != NULL;
}

int path_missing(struct pipelines *s, const struct volume_ref *ref, struct str path, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct str folder = STR_EMPTY;
    const char *near;

    if (find_near(s, ref, &a, path, &folder, &near)) {
        return err_set(e, ERR_NOT_FOUND, "the volume %.*s has no '%.*s'; did you mean '%.*s%s'?",
                       STR_ARG(ref->name), STR_ARG(str_first(path, 60)),
                       STR_ARG(str_first(folder, 60)), near);
    }
    return err_set(e, ERR_NOT_FOUND, "the volume %.*s has no '%.*s'", STR_ARG(ref->name),
                   STR_ARG(str_first(path, 100)));
}
