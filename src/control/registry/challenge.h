/* challenge - WWW-Authenticate of another registry (RFC 9110 11.6.1, Docker token authentication).
 */
#pragma once
#include "base/arena.h"

struct challenge {
    bool is_bearer, is_basic;         /* both false: a scheme that we do not know */
    struct str realm, service, scope; /* in the arena; p == NULL when missing */
};

/* The first challenge that we can answer. ERR_INVALID when the header cannot be read. */
int challenge_parse(struct arena *a, struct str header, struct challenge *out,
                    struct err *e) MUST_USE;
