/* words - the filter of every list (?q=, --filter): words with spaces between, each of which must
 * occur in the text, upper and lower case alike.
 *
 * Case is that of single characters (Latin, Greek, Cyrillic, Armenian and what is like them), by a
 * table of ours: no locale, so that server, files agent and tests agree. Accents count, and bytes
 * that are no UTF-8 are looked for as they are. No pattern: '%', '_' and '*' are characters. */
#pragma once
#include "base/buf.h"
#include "base/limits.h"

struct words {
    char folded[2 * LIMIT_FILTER_BYTES + 8];
    struct str words[LIMIT_FILTER_WORDS]; /* in `folded` */
    size_t n;                             /* 0: everything fits */
    struct buf text;                      /* memory for what is looked at */
};

/* ERR_INVALID: too long, or too many words. `q` may be empty (p == NULL too). words_done. Not to be
 * moved: it points into itself. */
int words_init(struct words *w, struct str q, struct err *e) MUST_USE;
void words_done(struct words *w);

/* Looks at one text of several parts: a word may be in any of them, not across two. */
void words_begin(struct words *w);
void words_add(struct words *w, struct str part);
bool words_fit(const struct words *w);
/* The three for a text of one part. */
bool words_match(struct words *w, struct str text);
