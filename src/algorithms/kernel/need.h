/* need - how much memory a step will take, from what is known before it runs: the formula of its
 * module, such as "1*input+8*rows*k+64Mi".
 *
 *   module->memory ─┐
 *   parameters ─────┼─> need_bytes() ─> the limit of the job, or a refusal before it starts
 *   rows, columns ──┘
 *
 * A formula is a sum of products of numbers (with Ki, Mi or Gi), the words below, and names of the
 * module's parameters that are numbers (ints: their sum). Formulas are ours, never the user's.
 * Any thread. Who calls: the engine of pipelines and `strata-ml --schema-only`. */
#pragma once
#include "algorithms/kernel/step.h"

struct need {
    int64_t input;         /* bytes of all files it reads */
    int64_t rows, columns; /* of the table of the first port, or of the file that it reads */
    int64_t all_rows;      /* of all tables */
    int64_t cells;         /* rows times columns of all tables */
    int64_t cpus;
};

/* A table more, of the first port or of another. rows < 0: not known, told from its bytes. */
void need_table(struct need *n, int64_t bytes, int64_t rows, int64_t columns);
/* Capped at INT64_MAX. `formula` NULL: that of modules that say nothing. ERR_INTERNAL: it is no
 * formula. */
int need_bytes(const struct step *s, const char *formula, const struct need *n, int64_t *bytes,
               struct err *e) MUST_USE;

#define NEED_DEFAULT "1*input+8*cells+64Mi"
