/* dict - the different texts of one column, numbered in the order they were first seen.
 *
 *   bytes: "AdelieGentooChinstrap"     ends: 6 12 21     code 1 = "Gentoo"
 *
 * One thread while interning; any number of readers afterwards. Memory is counted (bigmem). */
#pragma once
#include "base/map.h"

#define DICT_MISSING UINT32_MAX

struct dict {
    char *bytes;
    uint64_t *ends;
    uint32_t len;
    size_t bytes_cap, ends_cap;
    struct map index; /* text -> code + 1; only while interning */
    size_t charged;
};

struct dict *dict_new(void) MUST_USE;
void dict_free(struct dict *d);
DEFINE_SCOPED(struct dict, dict_free)

struct str dict_text(const struct dict *d, uint32_t code);
/* The code of a text, a new one when it was not there. ERR_MEMORY, ERR_DATA. */
int dict_intern(struct dict *d, struct str text, uint32_t *code, struct err *e) MUST_USE;
/* The code of a text, or DICT_MISSING. */
uint32_t dict_find(struct dict *d, struct str text);
/* Gives back what only interning needs. */
void dict_seal(struct dict *d);
struct dict *dict_copy(const struct dict *d, struct err *e) MUST_USE;
