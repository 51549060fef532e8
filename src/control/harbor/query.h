/* query - what a list is asked for in Harbor's way: ?q=, ?page=, ?page_size=. */
#pragma once
#include "base/err.h"
#include "base/str.h"

enum { HARBOR_TERMS_MAX = 8 };

/* "name=ada" or "name=~ad" (somewhere in it). */
struct harbor_term {
    struct str key, value;
    bool is_fuzzy;
};
/* q is "key=value,key=~value"; views into `text`. */
int harbor_terms(struct str text, struct harbor_term out[HARBOR_TERMS_MAX], size_t *n,
                 struct err *e) MUST_USE;
