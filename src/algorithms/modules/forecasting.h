/* forecasting - what the learners of series and the module forecast share. Private to modules. */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/modules/series_time.h"

struct model;
struct model_type;

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

/* What learners of series have in common: ports, and rows for their tables. */
extern const struct port series_inputs[], series_outputs[];
#define SERIES_VALUE                                                                               \
    {                                                                                              \
        "value_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column to forecast."                     \
    }
#define SERIES_TIME                                                                                \
    {                                                                                              \
        "time_col", PARAM_TEXT, "", 0, 0, NULL,                                                    \
            "Rows are taken in its order; empty: in the order of the table."                       \
    }
#define SERIES_PERIOD(most)                                                                        \
    {                                                                                              \
        "period", PARAM_INT, "0", 0, most, NULL,                                                   \
            "Steps of one season; 1: none; 0: by the times (months 12, quarters 4, days 7, hours " \
            "24), or else where the values repeat."                                                \
    }
#define SERIES_FITTED                                                                              \
    {                                                                                              \
        "fitted_col", PARAM_TEXT, "fitted", 0, 0, NULL,                                            \
            "Name of the column for what was expected one step ahead."                             \
    }

/* A table as a series: rows in the order of `time_col`. */
struct series {
    uint32_t *rows;      /* big memory */
    double *y;           /* of `value_col`, in that order, all finite; big memory */
    double *fitted;      /* what was expected; room, within y */
    const double *times; /* rising, within y */
    size_t n;
    size_t period; /* 1: no season */
};
/* Learns `body`, a new body (calloc) for a model of the type, of which `time` is a part: reads the
 * series, finds its season (of `longest` steps at most, unless the times say so), calls `fit`, and
 * gives the outputs. Takes ownership of the body. ERR_DATA names row and column of what is missing
 * or there twice. */
int series_learn(struct step *s, const struct model_type *type, void *body,
                 struct series_time *time, size_t longest,
                 int (*fit)(struct step *s, void *body, struct series *v, struct err *e),
                 struct err *e) MUST_USE;
/* Of a season that is asked for, and is none in `v`. */
int series_no_season(const struct step *s, struct err *e);
void series_check(struct check *c);
