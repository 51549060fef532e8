/* shared - who frees the memory that columns and dictionaries read: a piece of big memory, or a
 * mapped file.
 *
 * Counted references, because no parent would do: a selection, an append and a file that is read
 * give one column to several tables, and any of them may be the last. Whoever wants to write takes
 * a copy first (table_own_numbers, dict_own). Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct shared;

/* Each takes ownership, for the one reference it returns. */
struct shared *shared_of_big(void *big);
struct shared *shared_of_map(void *map, size_t len);
struct shared *shared_ref(struct shared *s); /* returns it; NULL stays NULL */
void shared_unref(struct shared *s);
/* Whether the holder of a reference may write: nobody else reads it, and it is no file. */
bool shared_is_mine(const struct shared *s);
/* These bytes are not needed for a while: the pages of a mapped file leave our memory, and come
 * back when they are read. Nothing happens to big memory. */
void shared_rest(const struct shared *s, const void *p, size_t len);
