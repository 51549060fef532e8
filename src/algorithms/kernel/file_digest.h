/* file_digest - the SHA-256 of a file, by which pipelines know an output again. */
#pragma once
#include "base/str.h"

enum { FILE_DIGEST_TEXT = 65 }; /* hex and a NUL */

int file_digest(const char *path, char hex[FILE_DIGEST_TEXT], uint64_t *bytes,
                struct err *e) MUST_USE;
