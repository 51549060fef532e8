/* logo - the picture of a project: which kind it is and how large, by its own bytes.
 *
 * PNG (RFC 2083 3.2), JPEG (ITU T.81 B.2) and WebP (RFC 9649 2.5 to 2.7). No SVG: it is a program.
 * What a browser makes of the rest of the bytes is its business; it gets them as this type only. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct logo {
    const char *type; /* "image/png", "image/jpeg", "image/webp" */
    unsigned width, height;
};
/* ERR_INVALID says what is wrong: not one of them, cut short, or larger than LIMIT_LOGO_*. */
int logo_read(struct str bytes, struct logo *out, struct err *e) MUST_USE;
