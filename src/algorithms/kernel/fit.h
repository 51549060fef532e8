/* fit - the end of every module that fits a transform: apply it to the rows it was learned from,
 * and hand out both. */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/vocab.h"

/* Takes ownership of the body; NULL (with the error set) passes through. Outputs "table" and
 * "transform". */
int fit_finish(struct step *s, const struct transform_type *type, void *body,
               struct err *e) MUST_USE;
/* The columns of parameter "cols" of input "table": for free(3). Errors begin with "cols: ". */
uint32_t *fit_columns(const struct step *s, size_t *n, struct err *e) MUST_USE;

extern const struct port fit_inputs[], fit_outputs[];

/* A body of encoders: columns, and what is known of each. */
struct encoding {
    char **columns;
    struct vocab *vocabs;
    size_t n;
    unsigned flag; /* of the module: drop_first, unknown */
};
/* NULL with an error. */
struct encoding *encoding_learn(const struct step *s, const struct vocab_rule *rule, unsigned flag,
                                struct err *e) MUST_USE;
void encoding_write(const void *body, struct binw *w);
void *encoding_read(struct binr *r, struct err *e);
void encoding_free(void *body);
