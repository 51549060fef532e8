#include "algorithms/modules/folder.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/partitions.h"
#include "algorithms/kernel/stack.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_done(struct folder *f)
{
    files_done(&f->files);
    table_free(f->each);
    f->each = NULL;
}

static int read_paths(struct folder *f, const struct step *s, struct err *e)
{
    f->each = partitions_of(&f->files, step_text(s, "file_col"), e);
    if (f->each && f->each->n_columns == 0) {
        table_free(f->each);
        f->each = NULL;
        return 0;
    }
    return f->each ? 0 : -1;
}

int folder_open(struct folder *f, const struct step *s, const char *suffixes, struct err *e)
{
    const char *path = source_path(s, e);
    struct stat st;
    bool is_stream = path && strcmp(path, "-") == 0;
    bool is_there = path && stat(path, &st) == 0;

    *f = (struct folder){0};
    if (path == NULL) {
        return -1;
    }
    if (!is_stream &&
        ((is_there && S_ISDIR(st.st_mode)) || (!is_there && files_is_pattern(path)))) {
        if (files_find(&f->files, &files_here, path, suffixes, e) < 0) {
            return -1;
        }
    } else {
        files_of_one(&f->files, path);
    }
    return read_paths(f, s, e);
}

void folder_cut(struct folder *f, size_t n)
{
    while (f->files.n > n) {
        free(f->files.paths[--f->files.n]);
    }
}

char *folder_text(const struct folder *f, const struct step *s)
{
    const char *path = step_text(s, "path").p;

    return f->files.n == 1 ? xstrdup(f->files.paths[0])
                           : xasprintf("%zu files of %s", f->files.n, path);
}

/* --- several tables --------------------------------------------------------------------------- */

static int lacks(const struct folder *f, size_t has, size_t has_not, const char *column,
                 struct err *e)
{
    return err_set(e, ERR_DATA,
                   "%s has a column '%s', and %s has not; on_other_columns=fill makes it missing "
                   "there",
                   files_name(&f->files, has), column, files_name(&f->files, has_not));
}

int folder_same_columns(const struct folder *f, const struct table *first, const struct table *t,
                        size_t i, struct err *e)
{
    for (size_t k = 0; k < first->n_columns; k++) {
        if (table_column(t, str_of(first->columns[k].name)) == NULL) {
            return lacks(f, 0, i, first->columns[k].name, e);
        }
    }
    for (size_t k = 0; k < t->n_columns; k++) {
        if (table_column(first, str_of(t->columns[k].name)) == NULL) {
            return lacks(f, i, 0, t->columns[k].name, e);
        }
    }
    return 0;
}

struct table *folder_stack(const struct folder *f, struct table *const *parts, const struct step *s,
                           struct err *e)
{
    size_t n = f->files.n;
    struct stack_clash clash;

    for (size_t i = 1; i < n && step_choice(s, "on_other_columns") == 0; i++) {
        if (folder_same_columns(f, parts[0], parts[i], i, e) < 0) {
            return NULL;
        }
    }
    if (n > 1 && stack_find_clash(parts, n, /* known */ NULL, &clash)) {
        (void)err_set(e, ERR_DATA, "column '%s' holds text in %s, and numbers in %s", clash.column,
                      files_name(&f->files, clash.text), files_name(&f->files, clash.number));
        return NULL;
    }
    return stack_tables(parts, n, f->each, e);
}

/* --- before a run ----------------------------------------------------------------------------- */

static int find(struct folder *f, struct check *c, const char *suffixes, struct err *e)
{
    const char *path = step_text(&c->step, "path").p;
    struct err why = {0};
    int fd = c->open_file(c->ctx, path, e);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))) {
        files_of_one(&f->files, path);
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (c->lister == NULL || files_find(&f->files, c->lister, path, suffixes, &why) < 0) {
        if (fd >= 0 || files_is_pattern(path) || why.kind == ERR_LIMIT) {
            *e = why;
        }
        return -1;
    }
    return c->open_file(c->ctx, f->files.paths[0], e);
}

int folder_look(struct folder *f, struct check *c, const char *suffixes, uint64_t *size)
{
    struct err e = {0};
    struct stat st;
    int fd;

    *f = (struct folder){0};
    if (!source_is_there(c)) {
        return -1;
    }
    fd = find(f, c, suffixes, &e);
    if (fd < 0) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s", e.msg);
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: not a regular file",
                      f->files.paths[0]);
        (void)close(fd);
        return -1;
    }
    if (read_paths(f, &c->step, &e) < 0) {
        check_mistake(c, /* port */ NULL, e.kind == ERR_INVALID ? "file_col" : "path",
                      /* column */ NULL, "%s", e.msg);
        (void)close(fd);
        return -1;
    }
    *size = (uint64_t)st.st_size;
    return fd;
}

void folder_gives(const struct folder *f, struct check *c, struct table *columns, bool open)
{
    bool may_fill = f->files.n > 1 && step_has(&c->step, "on_other_columns") &&
                    step_choice(&c->step, "on_other_columns") == 1;
    SCOPED(table_freep) struct table *t = columns;
    struct value v = {.type = VALUE_TABLE, .table = t};
    struct schema s = {0};
    struct err e = {0};

    if (t == NULL || schema_of(&s, &v, &e) < 0) {
        schema_done(&s);
        c->out[0].open = true;
        return;
    }
    for (size_t i = 0; f->each && i < f->each->n_columns; i++) {
        const struct column *of = &f->each->columns[i];

        if (of->kind == COLUMN_NUMBER) {
            check_add_as(c, s.table, "file_col", str_of(of->name), of->as);
        } else {
            check_add_column(c, s.table, "file_col", str_of(of->name), COLUMN_TEXT);
        }
    }
    check_out_table(c, "table", s.table, open || may_fill);
}
