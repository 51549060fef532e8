/* What a path names in a volume: a file, or the files of a folder or a pattern, as the modules find
 * them (algorithms/kernel/files.h). */
#include "pipeline/pipeline_priv.h"

#include "algorithms/kernel/files.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/hash.h"
#include "volume/volume.h"

#include <string.h>
#include <unistd.h>

static void add_entry(void *ctx, struct str name, bool is_dir)
{
    files_dir_add(ctx, name, is_dir);
}

/* "data:tables/" or "data:" */
static int list_volume(void *ctx, const char *path, struct files_dir *out, struct err *e)
{
    const struct volume_lister *l = ctx;
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {l->project_id, volume};

    if (rest.p == NULL) {
        return err_set(e, ERR_INVALID, "'%.100s' names no volume: write VOLUME:path", path);
    }
    if (rest.len > 0 && rest.p[rest.len - 1] == '/') {
        rest.len--;
    }
    return volume_dir_list(l->s->parts.volumes, &ref, rest, ML_LIMIT_FOLDER_ENTRIES, add_entry, out,
                           e) < 0
               ? err_wrap(e, "%s", path)
               : 0;
}

struct files_lister folder_lister(struct volume_lister *of)
{
    return (struct files_lister){.list = list_volume, .ctx = of};
}

static const char *mark_of(struct arena *a, const struct volume_file_info *f)
{
    return arena_printf(a, "%llu %lld %lld %lld", (unsigned long long)f->inode,
                        (long long)f->size_bytes, (long long)f->modified_ns,
                        (long long)f->changed_ns);
}

/* --- one pass over what a path names --- */

struct look {
    struct pipelines *s;
    const struct run *r; /* NULL: marks alone */
    int64_t project_id;
    struct arena *a;
    int64_t bytes;
    char hex[65];
    const char *mark;
};

/* As hashes_ask. */
static int look_at_file(struct look *l, const char *path, struct err *e)
{
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {l->project_id, volume};
    struct volume_file_info f;
    int rc;

    if (volume_file_open(l->s->parts.volumes, &ref, rest.p ? rest : STR_EMPTY,
                         VOLUME_LINKS_FOLLOWED, &f, e) < 0) {
        return -1;
    }
    l->bytes = step_bytes(1, l->bytes, f.size_bytes);
    l->mark = mark_of(l->a, &f);
    rc = l->r ? hash_file(l->s, l->r, volume, &f, l->hex, e) : 1;
    (void)close(f.fd);
    return rc;
}

/* Names and contents in their order: another name is another content. All are asked for, so that
 * they are read side by side. */
static int look_at_files(struct look *l, const struct files *files, struct err *e)
{
    SCOPED(arena_done) struct arena scratch = {0};
    struct look one = *l;
    struct sha256 hashes, marks;
    unsigned char sum[SHA256_BYTES];
    int all = 1;

    one.a = &scratch;
    sha256_init(&hashes);
    sha256_init(&marks);
    for (size_t i = 0; all >= 0 && i < files->n; i++) {
        const char *name = files_name(files, i);
        int rc = look_at_file(&one, files->paths[i], e);

        all = rc < 0 ? err_wrap(e, "%s", files->paths[i]) : rc == 1 ? all : rc;
        if (all == 1) {
            sha256_add(&hashes, name, strlen(name) + 1);
            sha256_add(&hashes, one.hex, l->r ? 64 : 0);
            sha256_add(&marks, name, strlen(name) + 1);
            sha256_add(&marks, one.mark, strlen(one.mark) + 1);
        }
        arena_done(&scratch);
    }
    if (all == 1) {
        char hex[65];

        sha256_final(&hashes, sum);
        hex_encode(sum, sizeof(sum), l->hex);
        sha256_final(&marks, sum);
        hex_encode(sum, sizeof(sum), hex);
        l->mark = arena_strdup(l->a, str_of(hex));
        l->bytes = one.bytes;
    }
    sha256_done(&hashes);
    sha256_done(&marks);
    return all;
}

/* What ends of files the module takes of a folder is its own affair: all of them count. */
static int look_at_path(struct look *l, const char *path, struct err *e)
{
    struct volume_lister at = {l->s, l->project_id};
    struct files_lister lister = folder_lister(&at);
    struct files files = {0};
    struct err why = {0};
    int rc = look_at_file(l, path, e);

    if (rc > 0 || step_error_passes(e)) {
        return rc;
    }
    if (files_find(&files, &lister, path, FILES_ANY, &why) < 0) {
        if (step_error_passes(&why) || files_is_pattern(path) || why.kind == ERR_LIMIT) {
            *e = why;
        }
        return -1;
    }
    rc = look_at_files(l, &files, e);
    files_done(&files);
    return rc;
}

int path_hash(struct pipelines *s, const struct run *r, struct arena *a, const char *path,
              char hex[65], const char **mark, int64_t *bytes, struct err *e)
{
    struct look l = {
        .s = s, .r = r, .project_id = r->row.project_id, .a = a, .bytes = *bytes, .mark = ""};
    int rc = look_at_path(&l, path, e);

    if (rc < 0) {
        return err_wrap(e, "%s", path);
    }
    *bytes = l.bytes;
    *mark = l.mark;
    memcpy(hex, l.hex, sizeof(l.hex));
    return rc;
}

const char *path_mark(struct pipelines *s, int64_t project_id, const char *path, struct arena *a,
                      struct err *e)
{
    struct look l = {.s = s, .project_id = project_id, .a = a};

    return look_at_path(&l, path, e) < 0 ? NULL : l.mark;
}
