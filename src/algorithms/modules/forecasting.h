/* forecasting - what the learners of series and the module forecast share. Private to modules. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

struct model;
struct model_type;
struct step;

/* The times of a series. */
struct series_time {
    char *name; /* of the column, or "" when steps have no time */
    enum column_as as;
    double last, delta; /* the last time, and from one to the next; delta 0: they differ */
};

/* A kind of model that forecasts: forecasting.c lists them. */
struct forecaster {
    const struct model_type *type;
    const struct series_time *(*time)(const struct model *m);
    /* The next h values and the standard deviations of their errors. */
    int (*forecast)(const struct model *m, size_t h, double *mean, double *deviation,
                    struct err *e);
};
extern const struct forecaster forecaster_holt_winters, forecaster_arima;
/* NULL: it does not forecast. */
const struct forecaster *forecaster_of(const struct model_type *type);

/* A table as a series: rows in the order of `time_col`. */
struct series {
    uint32_t *rows; /* big memory */
    double *y;      /* of `value_col`, in that order, all finite; big memory */
    double *fitted; /* what was expected; room, within y */
    size_t n;
};
void series_done(struct series *s);
/* ERR_DATA names row and column of what is missing or there twice. */
int series_of(struct series *s, const struct step *step, const struct column *value,
              struct series_time *time, struct err *e) MUST_USE;
/* The rows in order with the column `fitted_col`. */
struct table *series_fitted(const struct series *s, const struct step *step,
                            struct err *e) MUST_USE;
