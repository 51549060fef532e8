#include "algorithms/kernel/season.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <stdint.h>

/* A peak counts from here on, at least so many deviations of chance off, and stands this part as
 * high a season later. */
static const double LEAST = 0.3, BY_CHANCE = 3, AGAIN = 0.5;
/* The first peak nearly as high as the highest: others are its multiples. */
static const double NEARLY = 0.85;
enum { MULTIPLES = 4 };

/* Kwiatkowski, Phillips, Schmidt, Shin 1992: how far sums of what is off the mean wander. */
static double wandering(const double *w, size_t n)
{
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
    return variance > 0 ? walk / ((double)n * variance) : 0;
}

bool season_wanders(const double *w, size_t n)
{
    return wandering(w, n) > 0.463;
}

/* Less its straight line, of least squares. */
static void level(const double *y, size_t n, double *v)
{
    double middle = (double)(n - 1) / 2, mean = 0, slope = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        mean += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double x = (double)i - middle;

        slope += x * (y[i] - mean);
        squares += x * x;
    }
    slope = squares > 0 ? slope / squares : 0;
    for (size_t i = 0; i < n; i++) {
        v[i] = y[i] - mean - slope * ((double)i - middle);
    }
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

/* The mean of a lag and its multiples: those of a neighbour of the season fall out of step. */
static double in_step(const double *like, size_t lag, size_t most, size_t n)
{
    size_t k = 1;
    double sum = 0;

    for (; k <= MULTIPLES && k * lag <= most; k++) {
        sum += at_lag(like, k * lag, n);
    }
    return sum / (double)(k - 1);
}

static bool is_peak(const double *like, size_t lag, size_t most, size_t n)
{
    double here = in_step(like, lag, most, n), least = fmax(LEAST, BY_CHANCE / sqrt((double)n));

    return here >= least && here >= in_step(like, lag - 1, most, n) &&
           here >= in_step(like, lag + 1, most, n) &&
           at_lag(like, 2 * lag, n) >= AGAIN * at_lag(like, lag, n);
}

static size_t first_peak(const double *like, size_t longest, size_t n)
{
    double highest = 0;

    for (size_t lag = 2; lag <= longest; lag++) {
        highest = is_peak(like, lag, 2 * longest, n)
                      ? fmax(highest, in_step(like, lag, 2 * longest, n))
                      : highest;
    }
    for (size_t lag = 2; highest > 0 && lag <= longest; lag++) {
        if (is_peak(like, lag, 2 * longest, n) &&
            in_step(like, lag, 2 * longest, n) >= NEARLY * highest) {
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
    level(y, n, v);
    left -= wandering(v, n) > 0.146; /* of what has lost its line */
    for (size_t i = 0; i < left; i++) {
        v[i] = left < n ? v[i + 1] - v[i] : v[i];
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
