/* What a path names in a volume: a file, or the files of a folder or a pattern, as the modules find
 * them (algorithms/kernel/files.h). */
#include "pipeline/pipeline_priv.h"

#include "algorithms/kernel/files.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/hash.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <stdio.h>
#include <stdlib.h>
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

/* --- a look at what a path names --- */

/* Files that are opened at one look, and how far behind one that is being read. A folder of a
 * hundred thousand is gone through in many looks, and most of its files are opened once. */
enum { OPENED = 1000, AHEAD = 64 };
/* Whose names are in memory at once, of all runs: others wait. */
enum { FOLDERS = 16 };

/* How far it is with a path: of a folder, the files before `at` are within the sums. */
struct path_look {
    struct path_look *next; /* run_node.looks */
    char *path;
    struct files files;
    size_t at;
    struct sha256 hashes, marks;
    int64_t bytes;
    bool is_done, is_folder;
    char hex[65], mark[200];
};

static void path_look_free(struct pipelines *s, struct path_look *p)
{
    if (p->is_folder && !p->is_done) {
        sha256_done(&p->hashes);
        sha256_done(&p->marks);
        s->n_folders--;
    }
    files_done(&p->files);
    free(p->path);
    free(p);
}

void path_looks_done(struct pipelines *s, struct run_node *n)
{
    while (n->looks) {
        struct path_look *p = n->looks;

        n->looks = p->next;
        path_look_free(s, p);
    }
}

static struct path_look *path_look_of(struct run_node *n, const char *path)
{
    struct path_look *p = n->looks;

    while (p && strcmp(p->path, path) != 0) {
        p = p->next;
    }
    if (p == NULL) {
        p = xnew(struct path_look);
        p->path = xstrdup(path);
        p->next = n->looks;
        n->looks = p;
    }
    return p;
}

struct one_file {
    int64_t bytes;
    char hex[65], mark[100];
};

struct look {
    struct pipelines *s;
    const struct run *r;
    bool is_hashing; /* else marks alone */
};

/* As hashes_ask. */
static int look_at_file(const struct look *l, const char *path, struct one_file *out, struct err *e)
{
    struct str rest = str_of(path), volume = str_cut(&rest, ':');
    struct volume_ref ref = {l->r->row.project_id, volume};
    struct volume_file_info f;
    int rc;

    if (volume_file_open(l->s->parts.volumes, &ref, rest.p ? rest : STR_EMPTY,
                         VOLUME_LINKS_FOLLOWED, &f, e) < 0) {
        return -1;
    }
    out->bytes = f.size_bytes;
    (void)snprintf(out->mark, sizeof(out->mark), "%llu %lld %lld %lld", (unsigned long long)f.inode,
                   (long long)f.size_bytes, (long long)f.modified_ns, (long long)f.changed_ns);
    rc = l->is_hashing ? hash_file(l->s, l->r, volume, &f, HASH_READ, out->hex, e) : 1;
    (void)close(f.fd);
    return rc;
}

/* Names and contents in their order: another name is another content. */
static void add_file(const struct look *l, struct path_look *p, const struct one_file *one)
{
    const char *name = files_name(&p->files, p->at);

    sha256_add(&p->hashes, name, strlen(name) + 1);
    sha256_add(&p->hashes, one->hex, l->is_hashing ? 64 : 0);
    sha256_add(&p->marks, name, strlen(name) + 1);
    sha256_add(&p->marks, one->mark, strlen(one->mark) + 1);
    p->bytes = step_bytes(1, p->bytes, one->bytes);
    p->at++;
}

static void end_folder(struct pipelines *s, struct path_look *p)
{
    unsigned char sum[SHA256_BYTES];

    sha256_final(&p->hashes, sum);
    hex_encode(sum, sizeof(sum), p->hex);
    sha256_final(&p->marks, sum);
    hex_encode(sum, sizeof(sum), p->mark);
    sha256_done(&p->hashes);
    sha256_done(&p->marks);
    files_done(&p->files);
    p->files = (struct files){0};
    s->n_folders--;
    p->is_done = true;
}

/* Some behind one that is being read are asked for, so that they are read side by side. */
static int look_at_files(const struct look *l, struct path_look *p, struct err *e)
{
    size_t opened = 0;

    for (size_t i = p->at; i < p->files.n && i < p->at + AHEAD; i++, opened++) {
        struct one_file one;
        int rc;

        if (opened == OPENED) {
            pipelines_on_job(l->s); /* the next look is at once: others had theirs */
            return HASH_PENDING;
        }
        rc = look_at_file(l, p->files.paths[i], &one, e);
        if (rc < 0) {
            return err_wrap(e, "%s", p->files.paths[i]);
        }
        if (i == p->at && rc == 1) {
            add_file(l, p, &one);
        }
    }
    if (p->at < p->files.n) {
        return HASH_PENDING;
    }
    end_folder(l->s, p);
    return 1;
}

/* What ends of files the module takes of a folder is its own affair: all of them count. */
static int look_at_path(const struct look *l, struct path_look *p, struct err *e)
{
    struct volume_lister at = {l->s, l->r->row.project_id};
    struct files_lister lister = folder_lister(&at);
    struct one_file one = {0};
    struct err why = {0};
    int rc;

    if (p->is_done || p->is_folder) {
        return p->is_done ? 1 : look_at_files(l, p, e);
    }
    rc = look_at_file(l, p->path, &one, e);
    if (rc == 1) {
        memcpy(p->hex, one.hex, sizeof(p->hex));
        memcpy(p->mark, one.mark, sizeof(one.mark));
        p->bytes = one.bytes;
        p->is_done = true;
    }
    if (rc > 0 || step_error_passes(e)) {
        return rc;
    }
    if (l->s->n_folders >= FOLDERS) {
        return HASH_PENDING;
    }
    if (files_find(&p->files, &lister, p->path, FILES_ANY, &why) < 0) {
        if (step_error_passes(&why) || files_is_pattern(p->path) || why.kind == ERR_LIMIT) {
            *e = why;
        }
        return -1;
    }
    p->is_folder = true;
    l->s->n_folders++;
    sha256_init(&p->hashes);
    sha256_init(&p->marks);
    return look_at_files(l, p, e);
}

int path_hash(struct pipelines *s, const struct run *r, struct run_node *n, const char *path,
              char hex[65], const char **mark, int64_t *bytes, struct err *e)
{
    const struct look l = {.s = s, .r = r, .is_hashing = true};
    struct path_look *p = path_look_of(n, path);
    int rc = look_at_path(&l, p, e);

    *mark = "";
    if (rc < 0) {
        err_wrap(e, "%s", path);
        path_looks_done(s, n);
        return -1;
    }
    if (rc == 1) {
        *bytes = step_bytes(1, *bytes, p->bytes);
        *mark = arena_strdup(&n->arena, str_of(p->mark));
        memcpy(hex, p->hex, sizeof(p->hex));
    }
    return rc;
}

int path_mark(struct pipelines *s, const struct run *r, struct run_node *n, const char *path,
              const char **mark, struct err *e)
{
    const struct look l = {.s = s, .r = r};
    struct path_look *p = path_look_of(n, path);
    int rc = look_at_path(&l, p, e);

    if (rc < 0) {
        path_looks_done(s, n);
        return -1;
    }
    *mark = arena_strdup(&n->arena, str_of(p->mark));
    return rc;
}
