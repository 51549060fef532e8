/* regex - whether a pattern is found in a text, in time that grows with their lengths only
 * (Thompson 1968: all ways at once, never back).
 *
 *   a . [a-z] [^a-z] \d \w \s (and \D \W \S)   ab a|b (a)   a* a+ a? a{2} a{2,} a{2,5}   ^ $
 *
 * A character is a code point; \ in front of a sign takes its meaning away. One thread each. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct regex;

/* ERR_INVALID says where. */
struct regex *regex_new(struct str pattern, struct err *e) MUST_USE;
void regex_free(struct regex *r);
DEFINE_SCOPED(struct regex, regex_free)
/* Anywhere in the text, unless ^ and $ say otherwise. */
bool regex_found(struct regex *r, struct str text);
