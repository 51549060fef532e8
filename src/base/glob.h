/* glob - patterns over names with slashes, as the selectors of registries write them.
 *
 *   *      any run without a slash          **     any run; "**" + "/" also stands for nothing
 *   ?      one byte, no slash               [a-z]  one of them; [!a-z] or [^a-z] none of them
 *   {a,b}  one of these patterns            \x     x itself
 *
 * Source: doublestar (the selectors of Harbor's rules), less what only file systems need.
 * A pattern is compiled to a non-deterministic automaton whose states are looked at together: time
 * is length of the name times length of the pattern, whatever the pattern. */
#pragma once
#include "base/str.h"

enum { GLOB_BYTES_MAX = 256, GLOB_DEPTH_MAX = 8 };

/* A whole pattern, on the stack. Read-only after glob_compile: any thread may match. */
struct glob {
    unsigned n; /* states */
    struct glob_state {
        unsigned char what, byte;
        unsigned short to, or ; /* next states; `or` only of a fork */
        unsigned short set;     /* of a class: its first byte in `text` */
    } states[3 * GLOB_BYTES_MAX + 8];
    char text[GLOB_BYTES_MAX];
};

/* ERR_INVALID names the position (bytes, from 1) of what is wrong; also when it is too long or
 * nested too deep. */
int glob_compile(struct glob *out, struct str pattern, struct err *e) MUST_USE;
/* The whole of `name` must match. */
bool glob_match(const struct glob *g, struct str name);
