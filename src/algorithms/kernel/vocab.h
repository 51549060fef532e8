/* vocab - the different values of one column in a fixed order: the categories that encoders number
 * or give a column of their own. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

struct vocab {
    enum column_kind kind;
    struct dict *texts; /* COLUMN_TEXT; indexed */
    double *values;     /* COLUMN_NUMBER: ascending */
    size_t n;
};

enum vocab_order { VOCAB_BY_VALUE, VOCAB_BY_COUNT }; /* by count: the most frequent first */
struct vocab_rule {
    enum vocab_order order; /* of texts; numbers are always by value */
    size_t most;            /* so many of the most frequent, */
    size_t min_count;       /* of those that occur at least so often */
};

#define VOCAB_MISSING UINT32_MAX
#define VOCAB_UNKNOWN (UINT32_MAX - 1)

/* Equally frequent ones by value. ERR_DATA: more than ML_LIMIT_VOCABULARY. */
int vocab_learn(struct vocab *v, const struct column *c, size_t n_rows,
                const struct vocab_rule *rule, struct err *e) MUST_USE;
void vocab_done(struct vocab *v);
/* Of each row: its place, VOCAB_MISSING or VOCAB_UNKNOWN. The column is of the same kind. Big
 * memory. */
uint32_t *vocab_encode(const struct vocab *v, const struct column *c, size_t n_rows,
                       struct err *e) MUST_USE;
/* As people write it, at most ML_LIMIT_NAME_BYTES. */
struct str vocab_text(const struct vocab *v, size_t i, char number[32]);

void vocab_write(const struct vocab *v, struct binw *w);
int vocab_read(struct binr *r, struct vocab *v, struct err *e) MUST_USE;
