/* list_http - a page of a list by name or number: ?q, ?limit, ?after. */
#pragma once
#include "net/http.h"
#include "state/state.h"

struct listing {
    struct arena *a;
    struct jw *w;
    struct str after, q; /* empty when not given */
    int64_t limit, n;
    struct str last, next; /* of the rows so far; where to go on (p == NULL: that was all) */
    void *ctx;
};

/* Before a row is written; true: it belongs to the next page. */
bool listing_is_full(struct listing *l);
/* `fn` reads with a struct listing as its ctx. */
int list_reply(struct http_req *req, struct state *s, state_fn *fn, void *ctx, struct err *e);
/* rules.c: a page of rules. */
int rules_page(struct state_db *db, struct listing *l, struct err *e) MUST_USE;
/* A number in a path or ?after; `def` when it is missing. */
int number_of(struct str text, int64_t def, int64_t *out, struct err *e) MUST_USE;
