/* str - a borrowed view of bytes: pointer and length, no NUL, never freed. */
#pragma once
#include "base/attrs.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct str {
    const char *p;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_EMPTY ((struct str){"", 0})
/* For printf: "%.*s" takes STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).p

struct str str_of(const char *cstr); /* NULL gives the empty view */
struct str str_n(const char *p, size_t len);
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII */
int str_cmp(struct str a, struct str b);        /* bytewise, then by length */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_from(struct str s, size_t offset); /* clamped */
struct str str_first(struct str s, size_t n);     /* clamped */
struct str str_trim(struct str s);                /* spaces and tabs, both ends */
/* Position of a byte or of a sub-string, or -1. */
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
/* Cuts *rest at the first `sep`: the part before is returned, *rest goes on after it. When there is
 * no `sep`, all of it is returned and *rest is empty with p == NULL. Loop: while (rest.p) ... */
struct str str_cut(struct str *rest, char sep);
/* Decimal digits only, no sign, no space. */
int str_to_u64(struct str s, uint64_t *out) MUST_USE;
/* A copy with a NUL, for free(3). Data-sized input: check a limit first. */
char *str_dup(struct str s) MUST_USE;
/* Copies with a NUL into `out`; -1 when it does not fit or holds a NUL byte. */
int str_copy(struct str s, char *out, size_t out_size) MUST_USE;
/* The name in `names` nearest to `s` (edit distance <= 3), or NULL: for "did you mean". */
const char *str_nearest(struct str s, const char *const *names, size_t n);
/* "250m", "1.5": thousandths. "512Mi", "1GiB", "1G", "1024": bytes. "90s", "15m", "2h", "7d":
 * seconds. The error says which forms are taken. */
int str_parse_milli(struct str s, int64_t *out, struct err *e) MUST_USE;
int str_parse_bytes(struct str s, int64_t *out, struct err *e) MUST_USE;
int str_parse_seconds(struct str s, int64_t *out, struct err *e) MUST_USE;
/* "1.0 GiB", at most 16 bytes with the NUL. Returns `out`. */
char *str_format_bytes(int64_t bytes, char out[16]);
/* Length of the UTF-8 sequence at p (RFC 3629), 0 when it is none. */
size_t str_utf8_len(const unsigned char *p, size_t left);
bool str_is_utf8(struct str s);
