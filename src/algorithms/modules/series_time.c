#include "algorithms/modules/series_time.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/sort.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US ((double)CALENDAR_DAY_US)
#define HOUR_US (DAY_US / 24)
#define MINUTE_US (HOUR_US / 60)

enum { MONTH_ENDS = 1, UNEVEN = 2, LOGS = 4, MONTHS_MOST = 1200, PERIOD_LONGEST = 1000 };

void series_time_done(struct series_time *t)
{
    free(t->name);
    big_free(t->past_times);
    *t = (struct series_time){0};
}

static int keep_past(struct series_time *t, size_t n, struct err *e)
{
    t->past_times = big_alloc(n, 2 * sizeof(double), "the past", e);
    t->past = t->past_times ? t->past_times + n : NULL;
    t->n_past = t->past ? n : 0;
    return t->past ? 0 : -1;
}

/* --- steps of calendar months ------------------------------------------------------------------
 */

struct month {
    int64_t count; /* since the year 0 */
    int day;
    bool is_last;
    double rest; /* of the day, microseconds */
};

static bool month_of(enum column_as as, double time, struct month *m)
{
    double days = as == AS_TIME ? floor(time / DAY_US) : time;
    int year, month;

    if (!(fabs(days) < 1e7) || days != floor(days) || !calendar_has_text((int64_t)days)) {
        return false;
    }
    calendar_date_of((int64_t)days, &year, &month, &m->day);
    m->count = (int64_t)year * 12 + month;
    m->is_last = calendar_month_on((int64_t)days, 0, 31) == (int64_t)days;
    m->rest = as == AS_TIME ? time - days * DAY_US : 0;
    return true;
}

/* The same number of months between all, on the same day or always the last one. */
static void find_months(struct series_time *t, const double *times, size_t n)
{
    struct month first, before, m;
    bool same = true, ends = true;
    int64_t step = 0;

    if ((t->as != AS_DATE && t->as != AS_TIME) || n < 3 || !month_of(t->as, times[0], &first)) {
        return;
    }
    before = first;
    ends = first.is_last;
    for (size_t i = 1; i < n; i++) {
        if (!month_of(t->as, times[i], &m)) {
            return;
        }
        step = i == 1 ? m.count - before.count : step;
        same = same && m.day == first.day;
        ends = ends && m.is_last;
        if (step < 1 || step > MONTHS_MOST || m.count - before.count != step ||
            m.rest != first.rest || !(same || ends)) {
            return;
        }
        before = m;
    }
    t->months = (uint32_t)step;
    t->month_ends = !same;
}

/* --- steps of the same length ------------------------------------------------------------------
 */

/* What is within a tenth of the mean is rounding where times are fractions: 1949.083. */
static int find_delta(struct series_time *t, const double *times, size_t n, struct err *e)
{
    double mean = n > 1 ? (times[n - 1] - times[0]) / (double)(n - 1) : 0;
    double off = t->as == AS_REAL ? 0.1 * mean : 0;
    SCOPED(big_freep) double *steps = NULL;

    t->last = n > 0 ? times[n - 1] : 0;
    t->delta = mean;
    for (size_t i = 1; i < n; i++) {
        t->uneven = t->uneven || fabs(times[i] - times[i - 1] - mean) > off;
    }
    if (!t->uneven) {
        return 0;
    }
    steps = big_alloc(n - 1, 3 * sizeof(double), "the steps of time", e);
    if (steps == NULL) {
        return -1;
    }
    for (size_t i = 1; i < n; i++) {
        steps[i - 1] = times[i] - times[i - 1];
    }
    sort_f64(steps, (uint64_t *)(steps + n - 1), n - 1);
    t->delta = steps[(n - 1) / 2];
    return 0;
}

int series_time_learn(struct series_time *t, const double *times, const double *y, size_t n,
                      struct err *e)
{
    size_t kept = n < SERIES_PAST ? n : SERIES_PAST;

    if (find_delta(t, times, n, e) < 0 || keep_past(t, kept, e) < 0) {
        return -1;
    }
    find_months(t, times, n);
    t->uneven = t->uneven && t->months == 0;
    for (size_t i = 0; i < kept; i++) {
        t->past_times[i] = times[n - kept + i];
        t->past[i] = y[n - kept + i];
    }
    return 0;
}

/* --- seasons -----------------------------------------------------------------------------------
 */

/* How many steps of `delta` make `whole`, or 0. */
static size_t steps_in(double whole, double delta)
{
    double n = round(whole / delta);

    return n >= 2 && fabs(n * delta - whole) < 0.01 * whole ? (size_t)n : 0;
}

/* Hours make a day, days a week, weeks a year; shorter ones an hour or minute. */
static size_t period_of_length(double us)
{
    return us >= 7 * DAY_US       ? steps_in(365.25 * DAY_US, us)
           : us >= DAY_US         ? steps_in(7 * DAY_US, us)
           : us >= 15 * MINUTE_US ? steps_in(DAY_US, us)
           : us >= MINUTE_US      ? steps_in(HOUR_US, us)
                                  : steps_in(MINUTE_US, us);
}

/* Of times like 1949.083: how many make a year; 0: they are no such times. */
static size_t parts_of_year(const struct series_time *t)
{
    bool of_years = t->as == AS_REAL && t->last >= 1000 && t->last <= 3000;

    size_t parts = of_years && !t->uneven && t->delta < 1 ? steps_in(1, t->delta) : 0;

    return parts == 4 || parts == 12 || parts == 52 ? parts : 0;
}

size_t series_time_period(const struct series_time *t)
{
    if (!*t->name || t->uneven || !(t->delta > 0)) {
        return 0;
    }
    if (t->months > 0) {
        return 12 % t->months == 0 ? 12 / t->months : 1;
    }
    if (t->as == AS_DATE || t->as == AS_TIME) {
        size_t period = period_of_length(t->as == AS_DATE ? t->delta * DAY_US : t->delta);

        return period <= PERIOD_LONGEST ? period : 0; /* milliseconds: the values tell */
    }
    return parts_of_year(t);
}

/* --- times ahead -------------------------------------------------------------------------------
 */

/* Missing where no date can be written any more. */
static double date_or_none(const struct series_time *t, double time)
{
    double day = t->as == AS_TIME ? floor(time / DAY_US) : time;

    return fabs(day) < 1e7 && calendar_has_text((int64_t)day) ? time : NAN;
}

double series_time_at(const struct series_time *t, size_t step)
{
    double parts = (double)parts_of_year(t);
    struct month m;

    if (parts > 0) {
        double at = t->last * parts, whole = round(at);

        return ((fabs(at - whole) < 0.1 ? whole : at) + (double)step) / parts;
    }
    if (t->months > 0 && month_of(t->as, t->last, &m)) {
        double day = t->as == AS_TIME ? floor(t->last / DAY_US) : t->last;
        int64_t on = calendar_month_on((int64_t)day, (int64_t)(t->months * step),
                                       t->month_ends ? 31 : m.day);

        return date_or_none(t, t->as == AS_TIME ? (double)on * DAY_US + m.rest : (double)on);
    }
    if (!(t->delta > 0)) {
        return NAN;
    }
    return t->as == AS_DATE || t->as == AS_TIME ? date_or_none(t, t->last + (double)step * t->delta)
                                                : t->last + (double)step * t->delta;
}

/* --- in models: docs/formats/model.md ----------------------------------------------------------
 */

void series_time_write(const struct series_time *t, struct binw *w)
{
    binw_u32(w, t->as);
    binw_str(w, str_of(t->name));
    binw_u32(w, t->months);
    binw_u32(w, (t->month_ends ? MONTH_ENDS : 0) | (t->uneven ? UNEVEN : 0) | (t->logs ? LOGS : 0));
    binw_u32(w, (uint32_t)t->n_past);
    binw_f64s(w, t->past_times, t->n_past);
    binw_f64s(w, t->past, t->n_past);
}

static int read_past(struct series_time *t, struct binr *r, struct err *e)
{
    uint32_t flags, n;

    t->months = binr_u32(r);
    flags = binr_u32(r);
    n = binr_u32(r);
    t->month_ends = flags & MONTH_ENDS;
    t->uneven = flags & UNEVEN;
    t->logs = flags & LOGS;
    if (r->bad || t->months > MONTHS_MOST || flags > (MONTH_ENDS | UNEVEN | LOGS) ||
        n > SERIES_PAST) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a series");
    }
    if (keep_past(t, n, e) < 0) {
        return -1;
    }
    binr_f64s(r, t->past_times, n);
    binr_f64s(r, t->past, n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(t->past_times[i]) || !isfinite(t->past[i])) {
            return err_set(e, ERR_DATA, "damaged: a figure of the series is not finite");
        }
    }
    return 0;
}

int series_time_read(struct series_time *t, struct binr *r, struct err *e)
{
    uint32_t as = binr_u32(r);
    struct str name = binr_str(r);

    if (r->bad || as > AS_TIME || name.len > ML_LIMIT_NAME_BYTES ||
        str_find_char(name, '\0') >= 0) {
        return err_set(e, ERR_DATA, "damaged: it ends inside a series");
    }
    t->as = (enum column_as)as;
    t->name = str_dup(name);
    return r->left > 0 ? read_past(t, r, e) : 0;
}
