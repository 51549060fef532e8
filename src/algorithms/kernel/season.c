#include "algorithms/kernel/season.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <stdint.h>

/* A peak counts from here on, at least so many deviations of chance off, and stands this part as
 * high a season later. */
static const double LEAST = 0.3, BY_CHANCE = 3, AGAIN = 0.5;
/* The first peak nearly as high as the highest: others are its multiples. */
static const double NEARLY = 0.85;

bool season_wanders(const double *w, size_t n)
{
    const double critical = 0.463;
    size_t lags = (size_t)(3 * sqrt((double)n) / 13);
    double mean = 0, sum = 0, walk = 0, variance = 0;

    for (size_t i = 0; i < n; i++) {
        mean += w[i] / (double)n;
    }
    for (size_t lag = 0; lag <= lags && lag < n; lag++) {
        double products = 0;

        for (size_t i = lag; i < n; i++) {
            products += (w[i] - mean) * (w[i - lag] - mean);
        }
        variance += products * (lag == 0 ? 1 : 2 * (1 - (double)lag / (double)(lags + 1)));
    }
    for (size_t i = 0; i < n; i++) {
        sum += w[i] - mean;
        walk += sum * sum;
    }
    return walk > critical * (double)n * variance;
}

/* like[lag] of lags up to `most`; without variation all are 0. */
static void correlate(const double *v, size_t n, double *like, size_t most)
{
    double squares = 0;

    for (size_t i = 0; i < n; i++) {
        squares += v[i] * v[i];
    }
    for (size_t lag = 0; lag <= most; lag++) {
        double sum = 0;

        for (size_t i = lag; i < n; i++) {
            sum += v[i] * v[i - lag];
        }
        like[lag] = squares > 0 && isfinite(squares) ? sum / squares : 0;
    }
}

/* Each sum lacks `lag` of its products, which is made up for here. */
static double at_lag(const double *like, size_t lag, size_t n)
{
    return like[lag] * (double)n / (double)(n - lag);
}

static bool is_peak(const double *like, size_t lag, size_t n)
{
    double here = at_lag(like, lag, n), least = fmax(LEAST, BY_CHANCE / sqrt((double)n));

    return here >= least && here >= at_lag(like, lag - 1, n) && here >= at_lag(like, lag + 1, n) &&
           at_lag(like, 2 * lag, n) >= AGAIN * here;
}

static size_t first_peak(const double *like, size_t longest, size_t n)
{
    double highest = 0;

    for (size_t lag = 2; lag <= longest; lag++) {
        highest = is_peak(like, lag, n) ? fmax(highest, at_lag(like, lag, n)) : highest;
    }
    for (size_t lag = 2; highest > 0 && lag <= longest; lag++) {
        if (is_peak(like, lag, n) && at_lag(like, lag, n) >= NEARLY * highest) {
            return lag;
        }
    }
    return 1;
}

int season_find(const double *y, size_t n, size_t longest, size_t *period, struct err *e)
{
    size_t left = n;
    SCOPED(big_freep) double *v = NULL;
    double mean = 0, *like;

    longest = longest < n / 3 ? longest : n / 3;
    *period = 1;
    if (longest < 2) {
        return 0;
    }
    v = big_alloc(n + 2 * SEASON_LONGEST + 1, sizeof(*v), "the season", e);
    if (v == NULL) {
        return -1;
    }
    like = v + n;
    if (season_wanders(y, n)) {
        left = n - 1;
    }
    for (size_t i = 0; i < left; i++) {
        v[i] = left < n ? y[i + 1] - y[i] : y[i];
        mean += v[i] / (double)left;
    }
    for (size_t i = 0; i < left; i++) {
        v[i] -= mean;
    }
    longest = longest < left / 3 ? longest : left / 3;
    correlate(v, left, like, 2 * longest);
    *period = first_peak(like, longest, left);
    return 0;
}
