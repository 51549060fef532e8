/* smoothing - a series as level, trend and season that follow the data (Holt 1957, Winters 1960;
 * equations as in Hyndman, Athanasopoulos, Forecasting, 2021, chapter 8).
 *
 *   level   l' = a (y - s) + (1 - a)(l + p b)        or y / s, l b^p where things multiply
 *   trend   b' = b* (l' - l) + (1 - b*) p b
 *   season  s' = g (y - l - p b) + (1 - g) s */
#pragma once
#include "algorithms/kernel/progress.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum smoothing_kind { SMOOTHING_NONE, SMOOTHING_ADD, SMOOTHING_MUL };

struct smoothing {
    enum smoothing_kind trend, season;
    bool damped;
    size_t period;                  /* 1 without a season */
    double alpha, beta, gamma, phi; /* what is not used: 0, phi 1 */
    double level, slope;            /* at the end of what was seen */
    double *seasons;                /* [period], the next step's first; big memory */
    double sigma;                   /* standard deviation of one step's error */
    double sse;
};

void smoothing_done(struct smoothing *m);
/* Finds smoothing parameters and first states with the least sum of squared errors; `fitted` gets
 * what was expected one step ahead. The kinds and the period are set. Of a season of more than 50
 * steps the first states are taken from the first period. ERR_DATA, ERR_MEMORY. */
int smoothing_fit(struct smoothing *m, const double *y, size_t n, double *fitted,
                  struct progress *progress, struct err *e) MUST_USE;
/* The next h values and the standard deviations of their errors. */
int smoothing_forecast(const struct smoothing *m, size_t h, double *mean, double *deviation,
                       struct err *e) MUST_USE;
