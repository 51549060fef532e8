#include "algorithms/kernel/as.h"

#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)AS_TEXT_BYTES >= (int)NUMBER_TEXT_BYTES &&
                   (int)AS_TEXT_BYTES >= (int)CALENDAR_TEXT_BYTES,
               "one buffer for all");

const char *as_name(enum column_as as)
{
    static const char *const names[] = {"real", "int", "bool", "date", "time"};

    return names[as];
}

bool as_holds(enum column_as as, double v)
{
    bool whole;

    if (as == AS_REAL || isnan(v)) {
        return true;
    }
    whole = v == floor(v) && fabs(v) <= AS_LARGEST && !(v == 0 && signbit(v));
    switch (as) {
    case AS_BOOL:
        return whole && (v == 0 || v == 1);
    case AS_DATE:
        return whole && calendar_has_text((int64_t)v);
    case AS_TIME:
        return whole && calendar_has_text((int64_t)floor(v / (double)CALENDAR_DAY_US));
    default:
        return whole;
    }
}

char *as_format(enum column_as as, double v, char out[AS_TEXT_BYTES])
{
    if (isnan(v) || !as_holds(as, v)) {
        return number_format(v, out);
    }
    switch (as) {
    case AS_BOOL:
        memcpy(out, v == 0 ? "false" : "true", v == 0 ? 6 : 5);
        return out;
    case AS_DATE:
        return calendar_format_date((int64_t)v, out);
    case AS_TIME:
        return calendar_format_time((int64_t)v, out);
    case AS_INT:
        (void)snprintf(out, AS_TEXT_BYTES, "%lld", (long long)v);
        return out;
    default:
        return number_format(v, out);
    }
}

static int parse_bool(struct str s, double *v)
{
    *v = str_eq_nocase(s, STR("true"));
    return *v == 1 || str_eq_nocase(s, STR("false")) ? 0 : -1;
}

int as_parse(enum column_as as, struct str s, double *v)
{
    int64_t n = 0;

    switch (as) {
    case AS_BOOL:
        return parse_bool(s, v);
    case AS_DATE:
        if (calendar_parse_date(s, &n) < 0) {
            return -1;
        }
        break;
    case AS_TIME:
        if (calendar_parse_time(s, &n) < 0) {
            return -1;
        }
        break;
    default:
        return number_parse(s, v) == 0 && as_holds(as, *v) ? 0 : -1;
    }
    *v = (double)n;
    return as_holds(as, *v) && (int64_t)*v == n ? 0 : -1;
}
