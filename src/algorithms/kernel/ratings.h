/* ratings - who rated what: users and items numbered, and the ratings by user.
 *
 *   entries of user u: entry[start[u]] .. entry[start[u + 1] - 1], items rising */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

/* The different values of a column: texts in byte order, numbers rising. */
struct ids {
    char *column;
    enum column_kind kind;
    enum column_as as;
    char **names; /* numbers as as_format() writes them */
    size_t n;
};

struct rating {
    uint32_t other; /* item or user */
    double value;
};

struct ratings {
    struct ids users, items;
    size_t *start;        /* [users.n + 1]; big memory */
    struct rating *entry; /* big memory */
    size_t n;
};

void ratings_done(struct ratings *r);
/* From columns; `value` NULL: each row counts 1. What is there twice is added up, or averaged. A
 * row where something is missing is an error. */
int ratings_of(struct ratings *r, const struct table *t, const struct column *user,
               const struct column *item, const struct column *value, bool add_up,
               struct err *e) MUST_USE;
/* The same by item; *start and *entry are big memory. */
int ratings_by_item(const struct ratings *r, size_t **start, struct rating **entry,
                    struct err *e) MUST_USE;
void ratings_write(const struct ratings *r, struct binw *w);
int ratings_read(struct ratings *r, struct binr *from, struct err *e) MUST_USE;
