/* tokens - the words of a text: runs of letters and digits of any script in small letters, at
 * least two characters long; of Chinese, Japanese and Korean, where words are not parted, every
 * two characters that stand together (and one that stands alone). */
#pragma once
#include "base/err.h"
#include "base/str.h"

enum { TOKENS_NGRAM = 3, TOKENS_WORD_BYTES = 200 /* longer ones are no words */ };

typedef int (*tokens_fn)(void *ctx, struct str token, struct err *e);

/* Calls for every word, and for every 2 .. ngram_max words in a row with a space between them.
 * Ends with -1 when the function does. */
int tokens_each(struct str text, unsigned ngram_max, tokens_fn fn, void *ctx,
                struct err *e) MUST_USE;
