/* dict - the different texts of one column, numbered in the order they were first seen.
 *
 *   bytes: "AdelieGentooChinstrap"     ends: 6 12 21     code 1 = "Gentoo"
 *
 * One thread while interning; any number of readers afterwards. Columns share dictionaries:
 * dict_ref() and dict_free() count, and who wants to intern into one that others may read says
 * dict_own() first. Memory is counted (bigmem), or that of a mapped file. */
#pragma once
#include "algorithms/kernel/shared.h"
#include "base/map.h"

#define DICT_MISSING UINT32_MAX

struct dict {
    _Atomic size_t refs;
    struct shared *keep; /* bytes and ends lie in it; NULL: they are big memory of its own */
    char *bytes;
    uint64_t *ends;
    uint32_t len;
    size_t bytes_cap, ends_cap;
    struct map index; /* text -> code + 1; only while interning */
    size_t charged;
};

struct dict *dict_new(void) MUST_USE;
/* `len` texts that lie in `keep`, which gets a reference; they differ, or interning goes wrong. */
struct dict *dict_of(struct shared *keep, const char *bytes, const uint64_t *ends,
                     uint32_t len) MUST_USE;
struct dict *dict_ref(struct dict *d); /* returns it */
void dict_free(struct dict *d);        /* the last reference frees */
DEFINE_SCOPED(struct dict, dict_free)

struct str dict_text(const struct dict *d, uint32_t code);
/* The code of a text, a new one when it was not there. ERR_MEMORY, ERR_DATA. */
int dict_intern(struct dict *d, struct str text, uint32_t *code, struct err *e) MUST_USE;
/* The code of a text, or DICT_MISSING. */
uint32_t dict_find(struct dict *d, struct str text);
/* Gives back what only interning needs. */
void dict_seal(struct dict *d);
struct dict *dict_copy(const struct dict *d, struct err *e) MUST_USE;
/* Makes *d one that nobody else reads: itself, or a copy in its place. */
int dict_own(struct dict **d, struct err *e) MUST_USE;
/* Whether no text is there twice: 1 or 0, -1 on ERR_MEMORY. */
int dict_is_distinct(const struct dict *d, struct err *e) MUST_USE;
