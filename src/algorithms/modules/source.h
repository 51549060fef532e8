/* source - for modules that read a file: looking at it before a run. Mistakes are kept and name the
 * parameter "path". */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/ml_limits.h"

/* Metadata longer than this is not looked at before a run: its columns stay unknown. */
#define SOURCE_BYTES (16 * MIB)

/* The rows that such a module puts first into its tables: a file comes from a step before (an
 * import step, a container), or lies where `path` says. */
#define SOURCE_INPUT                                                                               \
    {                                                                                              \
        "file", VALUE_FILE, PORT_OPTIONAL,                                                         \
            "The file, when a step before brings it; else give path."                              \
    }
#define SOURCE_PATH                                                                                \
    {                                                                                              \
        "path", PARAM_PATH, "", 0, 0, NULL, "The file to read, unless a step before brings it."    \
    }

/* The file to read in a run. NULL: ERR_INVALID. */
const char *source_path(const struct step *s, struct err *e) MUST_USE;
/* Whether there is a file to look at now. False: it comes with the run, or a mistake is kept. */
bool source_is_there(struct check *c);
/* Opens what "path" names; *size is its length. -1: a mistake is kept. */
int source_head_open(struct check *c, uint64_t *size) MUST_USE;
/* n bytes from `at` on, for free(3); NULL: a mistake is kept. */
char *source_head_read(struct check *c, int fd, uint64_t at, size_t n) MUST_USE;
/* What the file would give: takes ownership of the columns; NULL: `e` says what is wrong with it.
 */
void source_gives(struct check *c, struct table *columns, const struct err *e);
