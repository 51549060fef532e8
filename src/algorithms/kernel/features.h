/* features - which columns a model reads, in which order, and what stands in for a missing value.
 * Learned on the training table, saved with the model, demanded of every table at prediction.
 *
 * A feature of text becomes the number of its category (texts in byte order, from 0). A text that
 * training never saw counts as missing. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

/* The different texts of one feature, in byte order; n = 0: the feature is a number. */
struct categories {
    char **names;
    size_t n;
};

struct features {
    char **names;
    double *fill; /* put for a missing value; NaN: none is */
    struct categories *categories;
    bool missing_kept; /* the model knows what to do with NaN; else it is an error */
    size_t n;
};

enum features_missing { FEATURES_ERROR, FEATURES_MEAN, FEATURES_KEPT };
enum features_kinds { FEATURES_NUMBERS, FEATURES_WITH_TEXT };
/* What values a model can take: any finite one, or those of single precision. */
enum features_range { FEATURES_F64, FEATURES_F32 };

void features_done(struct features *f);
/* From a column selector (select.h), without the columns in `never`. Text columns (unless
 * FEATURES_WITH_TEXT) and values that are missing (with FEATURES_ERROR) or infinite are errors that
 * name the column. */
int features_learn(struct features *f, const struct table *t, struct str spec,
                   const char *const *never, size_t n_never, enum features_kinds kinds,
                   enum features_missing missing, struct err *e) MUST_USE;

/* Whether all columns are there; the error lists those that are not. For callers that do something
 * with the table before features_bind(). */
int features_present(const struct features *f, const struct table *t, struct err *e) MUST_USE;

/* The columns of a table in the order of the model, checked value by value, so that gathering
 * cannot fail. Points into the table. */
struct bound {
    const double **columns;
    double **owned;             /* numbers of categories; big memory, NULL entries */
    const struct shared **data; /* what the others lie in; borrowed of the table */
    size_t n, n_rows;
};
int features_bind(const struct features *f, const struct table *t, enum features_range range,
                  struct bound *b, struct err *e) MUST_USE;
void bound_done(struct bound *b);
/* These rows were read and are not needed for a while (shared_rest()). Any thread. */
void bound_rest(const struct bound *b, size_t first, size_t n);
void bound_rest_column(const struct bound *b, size_t j);

/* All rows as a dense matrix; the table rests behind it. */
void features_gather_all_f64(const struct features *f, const struct bound *b, double *out);
void features_gather_all_f32(const struct features *f, const struct bound *b, float *out);
/* Rows as a dense matrix. `rows` NULL: first .. first + n - 1; else rows[first ..]. */
void features_gather_f64(const struct features *f, const double *const *columns,
                         const uint32_t *rows, size_t first, size_t n, double *out);
void features_gather_f32(const struct features *f, const double *const *columns,
                         const uint32_t *rows, size_t first, size_t n, float *out);

void features_write(const struct features *f, struct binw *w);
int features_read(struct binr *r, struct features *f, struct err *e) MUST_USE;
