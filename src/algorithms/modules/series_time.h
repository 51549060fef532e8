/* series_time - the times of a series: how far they lie apart, which come next and how many make a
 * season, with the last of what was seen for pictures. Part of models. Private to modules. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

enum { SERIES_PAST = 256 }; /* values kept for pictures */

struct series_time {
    char *name; /* of the column, or "": rows are counted from 1 */
    enum column_as as;
    double last, delta;      /* from one to the next; 0: not known */
    uint32_t months;         /* of dates: so many calendar months each step; 0: delta */
    bool month_ends, uneven; /* month_ends: the last day of each; uneven: delta is the usual one */
    bool logs;               /* the model is of the logarithms of the values */
    double *past_times, *past;
    size_t n_past;
};

void series_time_done(struct series_time *t);
/* What `times`, which rise, and the values say; name and type are set. ERR_MEMORY. */
int series_time_learn(struct series_time *t, const double *times, const double *y, size_t n,
                      struct err *e) MUST_USE;
/* `step` steps (from 1) after the last; NaN: not known. */
double series_time_at(const struct series_time *t, size_t step);
/* Steps of a season as people count such times: monthly 12, daily 7; 0: they say nothing. */
size_t series_time_period(const struct series_time *t);

void series_time_write(const struct series_time *t, struct binw *w);
/* The figures `last` and `delta` stand apart in the models. Models of before end after the name. */
int series_time_read(struct series_time *t, struct binr *r, struct err *e) MUST_USE;
