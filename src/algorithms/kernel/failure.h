/* failure - how a failed run of strata-ml ends: the kind of error decides the exit code, so that
 * the platform can tell a wrong parameter from wrong data without reading the sentence.
 *
 *   0 done   1 our fault or the machine's (disk, input/output)   2 the user's words: parameter,
 *   column, port, file name   3 the data: line, row, column   4 not enough memory */
#pragma once
#include "base/err.h"

/* Two kinds that base does not have; their numbers are borrowed from kinds we never use. */
#define ERR_DATA ERR_CONFLICT
#define ERR_MEMORY ERR_UNAVAILABLE

enum failure_exit { EXIT_DONE, EXIT_OURS, EXIT_USER, EXIT_DATA, EXIT_MEMORY };

int failure_exit_code(enum err_kind kind);
const char *failure_name(enum err_kind kind); /* "usage", "data", "memory", "internal" */
