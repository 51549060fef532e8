#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/calendar.h"

#include <math.h>

const char *const expr_units[] = {"second", "minute", "hour", "day", "week", "month", "year", NULL};

#define DAY_US ((double)CALENDAR_DAY_US)

static double microseconds(double v, enum column_as as)
{
    return as == AS_DATE ? v * DAY_US : v;
}

/* The day of a date or time; false when it has none that people write. */
static bool day_of(double v, enum column_as as, int64_t *day)
{
    double days = as == AS_DATE ? v : floor(v / DAY_US);

    if (!(fabs(days) < 4e6)) {
        return false;
    }
    *day = (int64_t)days;
    return calendar_has_text(*day);
}

enum part { PART_YEAR, PART_MONTH, PART_DAY, PART_WEEKDAY };

static double part_of(double v, enum column_as as, enum part part)
{
    int parts[3];
    int64_t day = 0;

    if (!day_of(v, as, &day)) {
        return NAN;
    }
    if (part == PART_WEEKDAY) { /* 1970-01-01 was a Thursday; Monday is 1 */
        return (double)(((day + 3) % 7 + 7) % 7 + 1);
    }
    calendar_date_of(day, &parts[PART_YEAR], &parts[PART_MONTH], &parts[PART_DAY]);
    return parts[part];
}

#define DATE_PART(name, part)                                                                      \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            out->own_numbers[i] = part_of(a[0].numbers[i], op->as[0], part);                       \
        }                                                                                          \
    }

DATE_PART(year, PART_YEAR)
DATE_PART(month, PART_MONTH)
DATE_PART(day, PART_DAY)
DATE_PART(weekday, PART_WEEKDAY)

#define CLOCK_PART(name, unit_us, wrap)                                                            \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            double us = microseconds(a[0].numbers[i], op->as[0]);                                  \
            double units = floor((us - DAY_US * floor(us / DAY_US)) / (unit_us));                  \
            out->own_numbers[i] = units - (wrap)*floor(units / (wrap));                            \
        }                                                                                          \
    }

CLOCK_PART(hour, 3600e6, 24.0)
CLOCK_PART(minute, 60e6, 60.0)
CLOCK_PART(second, 1e6, 60.0)

EXPR_RUN(date_of_time)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = floor(microseconds(a[0].numbers[i], op->as[0]) / DAY_US);
    }
}

/* Exact in units of fixed length; months and years by the calendar: how often one begins. */
static double difference(const struct expr_op *op, double from, double to)
{
    static const double units[] = {1e6, 60e6, 3600e6, DAY_US, 7 * DAY_US};
    double months;

    if (op->unit < UNIT_MONTH) {
        return (microseconds(to, op->as[2]) - microseconds(from, op->as[1])) / units[op->unit];
    }
    months = 12 * (part_of(to, op->as[2], PART_YEAR) - part_of(from, op->as[1], PART_YEAR)) +
             part_of(to, op->as[2], PART_MONTH) - part_of(from, op->as[1], PART_MONTH);
    return op->unit == UNIT_MONTH
               ? months
               : part_of(to, op->as[2], PART_YEAR) - part_of(from, op->as[1], PART_YEAR);
}

EXPR_RUN(date_diff)
{
    (void)v;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = difference(op, a[1].numbers[i], a[2].numbers[i]);
    }
}

const struct expr_fn expr_date_fns[] = {
    {"date", "d", 'D', date_of_time, NULL},
    {"year", "d", 'i', year, NULL},
    {"month", "d", 'i', month, NULL},
    {"day", "d", 'i', day, NULL},
    {"hour", "d", 'i', hour, NULL},
    {"minute", "d", 'i', minute, NULL},
    {"second", "d", 'i', second, NULL},
    {"weekday", "d", 'i', weekday, NULL},
    {"date_diff", "udd", 'r', date_diff, NULL},
    {0},
};
