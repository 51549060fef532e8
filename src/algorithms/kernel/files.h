/* files - the files that a path names: those of a folder, or those that a pattern fits.
 *
 *   sales            every file of the folder with one of the suffixes, and those below folders
 *                    that say a value: sales/year=2024/month=1/a.csv
 *   sales/2024-*.csv  * and ? in any part; a leading dot or _ must be written
 *
 * Files come in the order of their paths, byte by byte. Names that begin with a dot or _ are passed
 * over: Spark's _SUCCESS. Whoever asks says how a directory is listed, since the server has volumes
 * and a job has a disk. Any thread. */
#pragma once
#include "base/str.h"

struct files_entry {
    char *name;
    bool is_dir; /* else something that can be opened */
};

struct files_dir {
    struct files_entry *entries;
    size_t n, cap;
};

/* For listers. */
void files_dir_add(struct files_dir *d, struct str name, bool is_dir);

struct files_lister {
    /* Adds what lies in a directory. */
    int (*list)(void *ctx, const char *path, struct files_dir *out, struct err *e);
    void *ctx;
};

struct files {
    char **paths;
    size_t n;
    size_t base; /* bytes of each path in front of what names it: "sales/" */
};

#define FILES_ANY ""

void files_done(struct files *f);
const char *files_name(const struct files *f, size_t i);
/* Whether a path is a pattern, when no file has that name. */
bool files_is_pattern(const char *path);
/* `suffixes`: ".csv|.tsv", or FILES_ANY; a pattern needs none. ERR_NOT_FOUND: none fits; ERR_LIMIT
 * past ML_LIMIT_FILES; else what the lister says. */
int files_find(struct files *f, const struct files_lister *from, const char *path,
               const char *suffixes, struct err *e) MUST_USE;
/* One file, by its own path. */
void files_of_one(struct files *f, const char *path);

/* Lists directories of this machine. */
extern const struct files_lister files_here;
