#include "algorithms/kernel/files.h"

#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void files_dir_add(struct files_dir *d, struct str name, bool is_dir)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        d->entries = xrealloc(d->entries, d->cap * sizeof(*d->entries));
    }
    d->entries[d->n++] = (struct files_entry){.name = str_dup(name), .is_dir = is_dir};
}

static void dir_done(struct files_dir *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->entries[i].name);
    }
    free(d->entries);
}

void files_done(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->paths[i]);
    }
    free(f->paths);
    *f = (struct files){0};
}

const char *files_name(const struct files *f, size_t i)
{
    return f->paths[i] + f->base;
}

bool files_is_pattern(const char *path)
{
    return strpbrk(path, "*?") != NULL;
}

static void add_path(struct files *f, char *path)
{
    if ((f->n & (f->n - 1)) == 0) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
        f->paths = xrealloc(f->paths, (f->n ? 2 * f->n : 1) * sizeof(*f->paths));
    }
    f->paths[f->n++] = path;
}

void files_of_one(struct files *f, const char *path)
{
    const char *slash = strrchr(path, '/');

    *f = (struct files){.base = slash ? (size_t)(slash - path) + 1 : 0};
    add_path(f, xstrdup(path));
}

/* One part of a path. On a mismatch only the last * takes a character more, so this is no more work
 * than the product of the lengths. */
static bool fits(struct str pattern, const char *name)
{
    size_t i = 0, k = 0, len = strlen(name), star = SIZE_MAX, from = 0;

    if ((name[0] == '.' || name[0] == '_') && !str_starts(pattern, str_n(name, 1))) {
        return false;
    }
    while (k < len) {
        if (i < pattern.len && pattern.p[i] == '*') {
            star = i++;
            from = k;
        } else if (i < pattern.len && (pattern.p[i] == '?' || pattern.p[i] == name[k])) {
            i++;
            k++;
        } else if (star != SIZE_MAX) {
            i = star + 1;
            k = ++from;
        } else {
            return false;
        }
    }
    while (i < pattern.len && pattern.p[i] == '*') {
        i++;
    }
    return i == pattern.len;
}

static bool has_suffix(const char *name, const char *suffixes)
{
    struct str rest = str_of(suffixes), s = str_of(name);

    while (rest.p) {
        struct str one = str_cut(&rest, '|');

        if (s.len > one.len && str_eq_nocase(str_from(s, s.len - one.len), one)) {
            return true;
        }
    }
    return false;
}

/* One walk. `parts` is what is left of a pattern, or p == NULL in a folder. */
struct walk {
    struct files *to;
    const struct files_lister *from;
    const char *suffixes;
    size_t looked_at;
    struct err *e;
};

struct place {
    char *dir;
    struct str parts;
    unsigned depth;
};

struct places {
    struct place *of;
    size_t n, cap;
};

static void push(struct places *p, char *dir, struct str parts, unsigned depth)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->of = xrealloc(p->of, p->cap * sizeof(*p->of));
    }
    p->of[p->n++] = (struct place){dir, parts, depth};
}

static int take_file(struct walk *w, char *path)
{
    if (w->to->n == ML_LIMIT_FILES) {
        free(path);
        return err_set(w->e, ERR_LIMIT, "it names more than %d files", ML_LIMIT_FILES);
    }
    add_path(w->to, path);
    return 0;
}

/* An entry of a folder: a file of the kind, or a folder that says a value. */
static int take_of_folder(struct walk *w, const struct place *at, const struct files_entry *entry,
                          struct places *todo)
{
    const char *name = entry->name;

    if (name[0] == '.' || name[0] == '_') {
        return 0;
    }
    if (!entry->is_dir) {
        return has_suffix(name, w->suffixes) ? take_file(w, xasprintf("%s%s", at->dir, name)) : 0;
    }
    if (strchr(name, '=')) {
        if (at->depth == ML_LIMIT_FOLDERS) {
            return err_set(w->e, ERR_LIMIT, "folders lie deeper than %d below each other",
                           ML_LIMIT_FOLDERS);
        }
        push(todo, xasprintf("%s%s/", at->dir, name), (struct str){0}, at->depth + 1);
    }
    return 0;
}

static int take_of_pattern(struct walk *w, const struct place *at, const struct files_entry *entry,
                           struct places *todo)
{
    struct str parts = at->parts, first = str_cut(&parts, '/');

    if (!fits(first, entry->name) || entry->is_dir != (parts.p != NULL)) {
        return 0;
    }
    if (!entry->is_dir) {
        return take_file(w, xasprintf("%s%s", at->dir, entry->name));
    }
    push(todo, xasprintf("%s%s/", at->dir, entry->name), parts, at->depth + 1);
    return 0;
}

static int walk_one(struct walk *w, const struct place *at, struct places *todo)
{
    struct files_dir d = {0};
    int rc = w->from->list(w->from->ctx, at->dir[0] ? at->dir : ".", &d, w->e);

    w->looked_at += d.n;
    if (rc == 0 && w->looked_at > ML_LIMIT_FOLDER_ENTRIES) {
        rc = err_set(w->e, ERR_LIMIT, "more than %d entries would have to be looked at",
                     ML_LIMIT_FOLDER_ENTRIES);
    }
    for (size_t i = 0; rc == 0 && i < d.n; i++) {
        rc = at->parts.p ? take_of_pattern(w, at, &d.entries[i], todo)
                         : take_of_folder(w, at, &d.entries[i], todo);
    }
    dir_done(&d);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Bytes of the path in front of the first part with a wildcard; the whole folder without one. */
static struct place start_of(const char *path)
{
    size_t len = strcspn(path, "*?");

    if (path[len] == '\0') {
        bool closed = len > 0 && path[len - 1] == '/';

        return (struct place){.dir = xasprintf("%s%s", path, closed || len == 0 ? "" : "/")};
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    return (struct place){.dir = str_dup(str_n(path, len)), .parts = str_of(path + len)};
}

static int none(const char *path, const char *suffixes, struct err *e)
{
    return files_is_pattern(path) ? err_set(e, ERR_NOT_FOUND, "%s: no file fits the pattern", path)
           : suffixes[0] == '\0'
               ? err_set(e, ERR_NOT_FOUND, "%s: the folder has no file", path)
               : err_set(e, ERR_NOT_FOUND, "%s: the folder has no file that ends with %s", path,
                         suffixes);
}

int files_find(struct files *f, const struct files_lister *from, const char *path,
               const char *suffixes, struct err *e)
{
    struct walk w = {.to = f, .from = from, .suffixes = suffixes, .e = e};
    struct places todo = {0};
    struct place first = start_of(path);
    int rc = 0;

    *f = (struct files){.base = strlen(first.dir)};
    push(&todo, first.dir, first.parts, 0);
    while (todo.n > 0) {
        struct place at = todo.of[--todo.n];

        rc = rc == 0 ? walk_one(&w, &at, &todo) : rc;
        free(at.dir);
    }
    free(todo.of);
    if (rc == 0 && f->n == 0) {
        rc = none(path, suffixes, e);
    }
    if (rc < 0) {
        files_done(f);
        return -1;
    }
    qsort(f->paths, f->n, sizeof(*f->paths), by_path);
    return 0;
}

/* --- this machine ----------------------------------------------------------------------------- */

/* Links are followed to files, and to nothing else: no walk goes round. */
static void look_at(int dir, const struct dirent *d, struct files_dir *out)
{
    struct stat st;

    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) {
        return;
    }
    if (fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        files_dir_add(out, str_of(d->d_name), true);
    } else if (fstatat(dir, d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) {
        files_dir_add(out, str_of(d->d_name), false);
    }
}

static int list_here(void *ctx, const char *path, struct files_dir *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *d;

    (void)ctx;
    if (dir == NULL) {
        (void)err_sys(e, "cannot list %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    while (out->n <= ML_LIMIT_FOLDER_ENTRIES &&
           (d = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe) */
        look_at(fd, d, out);
    }
    (void)closedir(dir);
    return 0;
}

const struct files_lister files_here = {.list = list_here};
