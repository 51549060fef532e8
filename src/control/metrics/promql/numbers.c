#include "promql/numbers.h"

#include "base/attrs.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* --- functions of one number --- */

static double fn_sgn(double v, double a UNUSED, double b UNUSED)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double fn_rad(double v, double a UNUSED, double b UNUSED)
{
    return v * M_PI / 180;
}

static double fn_deg(double v, double a UNUSED, double b UNUSED)
{
    return v * 180 / M_PI;
}

/* As Go's math.Max and math.Min: infinite wins over what is no number, and that over the rest. */
static double larger(double a, double b)
{
    double infinite = (double)INFINITY;

    return a == infinite || b == infinite ? infinite
           : isnan(a) || isnan(b)         ? (double)NAN
           : a > b                        ? a
                                          : b;
}

static double smaller(double a, double b)
{
    return -larger(-a, -b);
}

static double fn_clamp(double v, double a, double b)
{
    return larger(a, smaller(b, v));
}

static double fn_clamp_min(double v, double a, double b UNUSED)
{
    return larger(a, v);
}

static double fn_clamp_max(double v, double a, double b UNUSED)
{
    return smaller(a, v);
}

static double fn_round(double v, double a, double b UNUSED)
{
    double inverse = 1 / a;

    return floor(v * inverse + 0.5) / inverse;
}

#define OF_LIBM(name)                                                                              \
    static double fn_##name(double v, double a UNUSED, double b UNUSED)                            \
    {                                                                                              \
        return name(v);                                                                            \
    }
OF_LIBM(fabs)
OF_LIBM(ceil)
OF_LIBM(floor)
OF_LIBM(exp)
OF_LIBM(log)
OF_LIBM(log2)
OF_LIBM(log10)
OF_LIBM(sqrt)
OF_LIBM(sin)
OF_LIBM(cos)
OF_LIBM(tan)
OF_LIBM(asin)
OF_LIBM(acos)
OF_LIBM(atan)
OF_LIBM(sinh)
OF_LIBM(cosh)
OF_LIBM(tanh)
OF_LIBM(asinh)
OF_LIBM(acosh)
OF_LIBM(atanh)

/* --- functions of a moment, UTC --- */

struct moment {
    int64_t year;
    int month, day, weekday, yearday, hour, minute;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Years of any size: what cannot be a number of seconds (NaN, infinities, 1e30) is the moment that
 * Go makes of it, in the year 292277026596. */
static struct moment moment(double v)
{
    bool fits = v > -9.2233719e18 && v < 9223372036854775808.0;
    int64_t t = fits ? (int64_t)v : 0, days = fits ? floor_div(t, 86400) : 106751991167300;
    int64_t seconds = fits ? t - days * 86400 : 55808;
    int64_t shifted = days + 719468; /* from 1 March of the year 0: leap days come last */
    int64_t era = floor_div(shifted, 146097), of_era = shifted - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int month = (int)(5 * of_year + 2) / 153; /* 0: March */
    struct moment m = {.year = years + era * 400 + (month >= 10),
                       .month = month < 10 ? month + 3 : month - 9,
                       .day = (int)(of_year - (153 * month + 2) / 5) + 1,
                       .weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7),
                       .hour = (int)(seconds / 3600),
                       .minute = (int)(seconds / 60 % 60)};

    m.yearday = (int)(month >= 10 ? of_year - 305 : of_year + 60 + is_leap(m.year));
    return m;
}

static double fn_minute(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).minute;
}

static double fn_hour(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).hour;
}

static double fn_day_of_week(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).weekday;
}

static double fn_day_of_month(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).day;
}

static double fn_day_of_year(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).yearday;
}

static double fn_days_in_month(double v, double a UNUSED, double b UNUSED)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct moment m = moment(v);

    return days[m.month - 1] + (m.month == 2 && is_leap(m.year));
}

static double fn_month(double v, double a UNUSED, double b UNUSED)
{
    return moment(v).month;
}

static double fn_year(double v, double a UNUSED, double b UNUSED)
{
    return (double)moment(v).year;
}

static const struct promql_number functions[] = {
    {"abs", fn_fabs, false},
    {"ceil", fn_ceil, false},
    {"floor", fn_floor, false},
    {"exp", fn_exp, false},
    {"ln", fn_log, false},
    {"log2", fn_log2, false},
    {"log10", fn_log10, false},
    {"sqrt", fn_sqrt, false},
    {"sin", fn_sin, false},
    {"cos", fn_cos, false},
    {"tan", fn_tan, false},
    {"asin", fn_asin, false},
    {"acos", fn_acos, false},
    {"atan", fn_atan, false},
    {"sinh", fn_sinh, false},
    {"cosh", fn_cosh, false},
    {"tanh", fn_tanh, false},
    {"asinh", fn_asinh, false},
    {"acosh", fn_acosh, false},
    {"atanh", fn_atanh, false},
    {"sgn", fn_sgn, false},
    {"rad", fn_rad, false},
    {"deg", fn_deg, false},
    {"clamp", fn_clamp, true},
    {"clamp_min", fn_clamp_min, false},
    {"clamp_max", fn_clamp_max, false},
    {"round", fn_round, false},
    {"minute", fn_minute, false},
    {"hour", fn_hour, false},
    {"day_of_week", fn_day_of_week, false},
    {"day_of_month", fn_day_of_month, false},
    {"day_of_year", fn_day_of_year, false},
    {"days_in_month", fn_days_in_month, false},
    {"month", fn_month, false},
    {"year", fn_year, false},
};

const struct promql_number *promql_number(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}
