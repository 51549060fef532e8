/* arima_priv - the likelihood of given coefficients: what arima.c searches. */
#pragma once
#include "algorithms/kernel/arima.h"

/* Polynomials multiplied out. */
struct arima_lags {
    size_t r;      /* states */
    double *ar;    /* [r] */
    double *shock; /* [r] 1, ma: what an error does to the states */
};
/* The lags of both factors; both arrays are cleared first. */
void arima_expand(const struct arima_order *o, const double *coef, struct arima_lags *to);

struct arima_filter {
    const struct arima_order *order;
    const double *w; /* differences */
    size_t n;
    double *memory; /* all of the following; big memory */
    struct arima_lags lags;
    double *a, *one;     /* [r] states: of w, and of a series of ones */
    double *p;           /* [r][r] */
    double *system;      /* [r][r + 1] */
    double *errors;      /* [n], or NULL: of each step */
    double mean, ones;   /* of w; ones: information on it */
    double sigma2, logs; /* logs: sum of log of variances / sigma2 */
};
void arima_filter_done(struct arima_filter *f);
int arima_filter_init(struct arima_filter *f, const struct arima_order *o, const double *w,
                      size_t n, struct err *e) MUST_USE;
/* Log likelihood at its best mean and sigma2; -INFINITY where there is none. */
double arima_filter_run(struct arima_filter *f, const double *coef);
/* Differences of y: n - arima_lost() of them; `w` holds n. */
void arima_difference(const struct arima_order *o, const double *y, size_t n, double *w);
/* Coefficients of a stationary, invertible model from free numbers (Jones 1980). */
void arima_bound(const struct arima_order *o, const double *free_numbers, double *coef);
/* Free numbers beyond it belong to a model at the edge of what is stationary and invertible. */
enum { ARIMA_BOUND = 20 };
/* How good an order is, from one start; INFINITY at that edge. */
int arima_aicc(const struct arima_order *o, const double *y, size_t n, double *out,
               struct err *e) MUST_USE;
