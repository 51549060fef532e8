/* arima - a series as its own past and past errors, after differences (Box, Jenkins 1970):
 *
 *   w = (1 - B)^d (1 - B^s)^D y - mean
 *   (1 - ar1 B - ...)(1 - sar1 B^s - ...) w = (1 + ma1 B + ...)(1 + sma1 B^s + ...) error
 *
 * Coefficients are those of the greatest exact likelihood of the differences, by a Kalman filter
 * (Harvey 1989, 3.3): state i is what the past says of w, i steps ahead.
 * One thread. */
#pragma once
#include "algorithms/kernel/progress.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ARIMA_LAGS_MAX = 12,       /* p, q */
    ARIMA_SEASONAL_MAX = 4,    /* P, Q */
    ARIMA_DIFFERENCES_MAX = 2, /* d, D */
    ARIMA_COEFS = 2 * (ARIMA_LAGS_MAX + ARIMA_SEASONAL_MAX),
    ARIMA_STATES_MAX = 400,
    ARIMA_PERIOD_MAX = 10000,
};

struct arima_order {
    unsigned p, d, q, sp, sd, sq; /* s: of the season */
    unsigned period;              /* 1: no season */
    bool constant;                /* a mean; with a difference, a drift */
};
/* How many. */
unsigned arima_coefs(const struct arima_order *o);
/* Values that the differences use up. */
size_t arima_lost(const struct arima_order *o);
/* Length of the state: how far the past reaches. */
size_t arima_states(const struct arima_order *o);

struct arima {
    struct arima_order order;
    double coef[ARIMA_COEFS];  /* p, q, P, Q of them */
    double error[ARIMA_COEFS]; /* standard errors; NaN: not known (at a bound) */
    double mean, mean_error;   /* of the differences */
    double sigma2, loglik, aic, aicc, bic;
    size_t n;       /* differences */
    double *state;  /* [arima_states] expected of the steps to come; big memory */
    double *spread; /* [states][states] its covariance / sigma2; big memory */
    double *last;   /* [arima_lost] values of the series; big memory */
};

void arima_done(struct arima *m);
/* m->order is set. `fitted` gets what was expected one step ahead, NaN for values that differences
 * use up. ERR_DATA: too short, or without variation. */
int arima_fit(struct arima *m, const double *y, size_t n, double *fitted, struct progress *progress,
              struct err *e) MUST_USE;
/* Finds the order, whose period is set: differences by tests (KPSS 1992, strength of the season),
 * the rest by stepwise search of the least AICc (Hyndman, Khandakar 2008). */
int arima_order_find(struct arima_order *o, const double *y, size_t n, struct progress *progress,
                     struct err *e) MUST_USE;
/* Whether logarithms of the values follow a plain model of that period (IMA(1,1), seasons too) far
 * better than the values do: by likelihood, 20 to 1 or more. False where one is not above 0.
 * ERR_MEMORY. */
int arima_logs(size_t period, const double *y, size_t n, bool *out, struct err *e) MUST_USE;
/* The next h values and the standard deviations of their errors. */
int arima_forecast(const struct arima *m, size_t h, double *mean, double *deviation,
                   struct err *e) MUST_USE;
/* Room for state, spread and last. */
int arima_memory(struct arima *m, struct err *e) MUST_USE;
