/* folder - for modules that read a file, a folder or a pattern of files into one table.
 *
 *   folder_open() -> a table a file -> folder_stack()          the run
 *   folder_look() -> columns of the first file -> folder_gives()   the check before it */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/files.h"
#include "algorithms/modules/source.h"

/* Rows for the module's table of parameters; SOURCE_INPUT is for its inputs. */
#define FOLDER_PARAM_PATH                                                                          \
    {                                                                                              \
        "path", PARAM_PATH, "", 0, 0, NULL,                                                        \
            "The file to read, a folder of files, or a pattern such as sales/*.csv, unless a "     \
            "step before brings a file."                                                           \
    }
#define FOLDER_PARAM_FILE                                                                          \
    {                                                                                              \
        "file_col", PARAM_TEXT, "", 0, 0, NULL,                                                    \
            "A column of this name gets the name of the file of each row; empty: none."            \
    }
#define FOLDER_PARAM_OTHERS                                                                        \
    {                                                                                              \
        "on_other_columns", PARAM_CHOICE, "error", 0, 0, "error|fill",                             \
            "A file of a folder with other columns than the first: stop, or fill what is missing." \
    }

struct folder {
    struct files files;
    struct table *each; /* what paths say, a row a file; NULL: nothing */
};

void folder_done(struct folder *f);

/* What "path" names, or the file that a step before brings. `suffixes`: those of files in a folder.
 */
int folder_open(struct folder *f, const struct step *s, const char *suffixes,
                struct err *e) MUST_USE;
/* One table of all. Empties the parts; they stay the caller's. ERR_DATA names the file. */
struct table *folder_stack(const struct folder *f, struct table *const *parts, const struct step *s,
                           struct err *e) MUST_USE;
/* The same columns as those of the first file? ERR_DATA says how to mend it. */
int folder_same_columns(const struct folder *f, const struct table *first, const struct table *t,
                        size_t i, struct err *e) MUST_USE;
/* The first n files are enough. */
void folder_cut(struct folder *f, size_t n);
/* "12 files of sales" or "sales.csv": for log lines; for free(3). */
char *folder_text(const struct folder *f, const struct step *s) MUST_USE;

/* Before a run: opens the first file; *size is its length. -1: a mistake is kept, or the file comes
 * with the run. */
int folder_look(struct folder *f, struct check *c, const char *suffixes, uint64_t *size) MUST_USE;
/* Takes ownership of the first file's table, of which the columns count (NULL: they are not
 * known). `open`: a run may find
 * more of them. */
void folder_gives(const struct folder *f, struct check *c, struct table *columns, bool open);
