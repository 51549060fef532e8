#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/utf8.h"

#include <math.h>
#include <string.h>

const char *const expr_units[] = {"second", "minute", "hour", "day", "week", "month", "year", NULL};

#define RUN(name)                                                                                  \
    static void name(struct eval *v, const struct expr_op *op, const struct vec *a,                \
                     const struct vec *out, size_t n)
#define UNUSED_CONTEXT (void)v, (void)op
static const struct str no_text = {NULL, 0};

/* --- numbers: NaN in, NaN out ----------------------------------------------------------------- */

#define UNARY(name, value)                                                                         \
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = a[0].numbers[i];                                                            \
            out->own_numbers[i] = (value);                                                         \
        }                                                                                          \
    }
#define BINARY(name, value)                                                                        \
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = a[0].numbers[i], y = a[1].numbers[i];                                       \
            out->own_numbers[i] = (value);                                                         \
        }                                                                                          \
    }

BINARY(add, x + y)
BINARY(subtract, x - y)
BINARY(multiply, x *y)
BINARY(divide, y == 0 ? NAN : x / y) /* nothing is there, rather than infinity */
BINARY(modulo, y == 0 ? NAN : x - y * floor(x / y))
BINARY(power, pow(x, y))
UNARY(negate, -x)
UNARY(absolute, fabs(x))
UNARY(sign, isnan(x) ? NAN : (x > 0) - (x < 0))
UNARY(floor_of, floor(x))
UNARY(ceil_of, ceil(x))
UNARY(truncate_of, trunc(x))
UNARY(same, x)
UNARY(square_root, x < 0 ? NAN : sqrt(x))
UNARY(exponential, exp(x))
UNARY(logarithm, x <= 0 ? NAN : log(x))
UNARY(logarithm10, x <= 0 ? NAN : log10(x))

/* Halves away from zero, as people do. */
RUN(round_to)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        double x = a[0].numbers[i], digits = op->n_args > 1 ? a[1].numbers[i] : 0;
        double factor = pow(10, fmin(fmax(trunc(digits), -15), 15)), y = round(x * factor) / factor;

        out->own_numbers[i] = isnan(digits) || isinf(x * factor) ? x : y;
    }
}

/* --- truth: 0, 1 or missing ------------------------------------------------------------------- */

BINARY(and_of, x == 0 || y == 0 ? 0 : isnan(x) || isnan(y) ? NAN : 1)
BINARY(or_of, x == 1 || y == 1 ? 1 : isnan(x) || isnan(y) ? NAN : 0)
UNARY(not_of, isnan(x) ? NAN : x == 0)
UNARY(missing_number, isnan(x))

RUN(missing_text)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = a[0].texts[i].p == NULL;
    }
}

#define COMPARE(name, sign)                                                                        \
    BINARY(name##_numbers, isnan(x) || isnan(y) ? NAN : x sign y)                                  \
    RUN(name##_texts)                                                                              \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            struct str x = a[0].texts[i], y = a[1].texts[i];                                       \
            out->own_numbers[i] = x.p && y.p ? str_cmp(x, y) sign 0 : NAN;                         \
        }                                                                                          \
    }

COMPARE(less, <)
COMPARE(less_equal, <=)
COMPARE(more, >)
COMPARE(more_equal, >=)
BINARY(equal_numbers, isnan(x) || isnan(y) ? NAN : x == y)
BINARY(unequal_numbers, isnan(x) || isnan(y) ? NAN : x != y)

static double equal(struct str x, struct str y)
{
    return x.p && y.p ? x.len == y.len && memcmp(x.p, y.p, x.len) == 0 : NAN;
}

RUN(equal_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = equal(a[0].texts[i], a[1].texts[i]);
    }
}

RUN(unequal_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = 1 - equal(a[0].texts[i], a[1].texts[i]);
    }
}

/* True when one is equal, else missing when one is missing. */
RUN(in_numbers)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        double x = a[0].numbers[i], found = isnan(x) ? NAN : 0;

        for (unsigned k = 1; k < op->n_args && found != 1; k++) {
            double y = a[k].numbers[i];

            found = x == y ? 1 : isnan(y) ? NAN : found;
        }
        out->own_numbers[i] = found;
    }
}

RUN(in_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        double found = a[0].texts[i].p ? 0 : NAN;

        for (unsigned k = 1; k < op->n_args && found != 1; k++) {
            double same_text = equal(a[0].texts[i], a[k].texts[i]);

            found = same_text == 0 ? found : same_text;
        }
        out->own_numbers[i] = found;
    }
}

RUN(between_numbers)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        double x = a[0].numbers[i], low = a[1].numbers[i], high = a[2].numbers[i];

        out->own_numbers[i] = isnan(x) || isnan(low) || isnan(high) ? NAN : x >= low && x <= high;
    }
}

RUN(between_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        struct str x = a[0].texts[i], low = a[1].texts[i], high = a[2].texts[i];

        out->own_numbers[i] =
            x.p && low.p && high.p ? str_cmp(x, low) >= 0 && str_cmp(x, high) <= 0 : NAN;
    }
}

/* --- choosing --------------------------------------------------------------------------------- */

RUN(if_numbers)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        double yes = a[1].numbers[i], no = a[2].numbers[i]; /* both: no branch to foretell */

        out->own_numbers[i] = a[0].numbers[i] == 1 ? yes : no;
    }
}

RUN(if_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = a[a[0].numbers[i] == 1 ? 1 : 2].texts[i];
    }
}

RUN(coalesce_numbers)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        unsigned k = 0;

        while (k + 1 < op->n_args && isnan(a[k].numbers[i])) {
            k++;
        }
        out->own_numbers[i] = a[k].numbers[i];
    }
}

RUN(coalesce_texts)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        unsigned k = 0;

        while (k + 1 < op->n_args && a[k].texts[i].p == NULL) {
            k++;
        }
        out->own_texts[i] = a[k].texts[i];
    }
}

/* Of what is there. */
#define EXTREME(name, sign)                                                                        \
    RUN(name##_numbers)                                                                            \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double best = a[0].numbers[i];                                                         \
            for (unsigned k = 1; k < op->n_args; k++) {                                            \
                double x = a[k].numbers[i];                                                        \
                best = isnan(best) || x sign best ? x : best;                                      \
            }                                                                                      \
            out->own_numbers[i] = best;                                                            \
        }                                                                                          \
    }                                                                                              \
    RUN(name##_texts)                                                                              \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            struct str best = a[0].texts[i];                                                       \
            for (unsigned k = 1; k < op->n_args; k++) {                                            \
                struct str x = a[k].texts[i];                                                      \
                best = best.p == NULL || (x.p && str_cmp(x, best) sign 0) ? x : best;              \
            }                                                                                      \
            out->own_texts[i] = best;                                                              \
        }                                                                                          \
    }

EXTREME(least, <)
EXTREME(most, >)

/* --- text ------------------------------------------------------------------------------------- */

static double characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return (double)n;
}

RUN(length)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = a[0].texts[i].p ? characters(a[0].texts[i]) : NAN;
    }
}

static struct str change_case(struct eval *v, struct str s, uint32_t (*letter)(uint32_t))
{
    char *to = s.p ? eval_text(v, s.len) : NULL;
    size_t used = 0;

    for (size_t at = 0; to && at < s.len;) {
        uint32_t c = 0, other;
        size_t len = utf8_next(str_from(s, at), &c);
        char put[4];

        other = letter(c);
        if (other != c && utf8_put(put, other) == len) {
            memcpy(to + used, put, len);
        } else {
            memcpy(to + used, s.p + at, len);
        }
        used += len;
        at += len;
    }
    return to ? str_n(to, used) : no_text;
}

RUN(lower)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = change_case(v, a[0].texts[i], utf8_lower);
    }
}

RUN(upper)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = change_case(v, a[0].texts[i], utf8_upper);
    }
}

RUN(trim)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];

        while (s.p && s.len > 0 && strchr(" \t\r\n", s.p[0]) && s.p[0]) {
            s = str_n(s.p + 1, s.len - 1);
        }
        while (s.p && s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) && s.p[s.len - 1]) {
            s.len--;
        }
        out->own_texts[i] = s;
    }
}

/* Where character `k` (from 0) begins. */
static size_t offset_of(struct str s, double k)
{
    size_t at = 0;
    uint32_t c;

    while (at < s.len && k >= 1) {
        at += utf8_next(str_from(s, at), &c);
        k--;
    }
    return at;
}

/* From a character (the first is 1) on, all or so many. */
RUN(substr)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];
        double start = a[1].numbers[i], many = op->n_args > 2 ? a[2].numbers[i] : INFINITY;

        if (s.p == NULL || isnan(start) || isnan(many)) {
            out->own_texts[i] = no_text;
            continue;
        }
        s = str_from(s, offset_of(s, start - 1));
        out->own_texts[i] = str_first(s, offset_of(s, fmax(many, 0)));
    }
}

#define TEXT_TEST(name, test)                                                                      \
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            struct str x = a[0].texts[i], y = a[1].texts[i];                                       \
            out->own_numbers[i] = x.p && y.p ? (test) : NAN;                                       \
        }                                                                                          \
    }

TEXT_TEST(contains, y.len == 0 || memmem(x.p, x.len, y.p, y.len) != NULL)
TEXT_TEST(starts_with, str_starts(x, y))
TEXT_TEST(ends_with, str_ends(x, y))

RUN(regex_match)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i];

        out->own_numbers[i] = s.p ? regex_found(op->regex, s) : NAN;
    }
}

static struct str replace_all(struct eval *v, struct str s, struct str from, struct str with)
{
    size_t hits = 0, used = 0, len;
    const char *at = s.p, *end = s.p + s.len, *hit;
    char *to;

    while (from.len > 0 && (hit = memmem(at, (size_t)(end - at), from.p, from.len))) {
        hits++;
        at = hit + from.len;
    }
    len = s.len - hits * from.len + hits * with.len;
    to = hits > 0 ? eval_text(v, len) : NULL;
    if (to == NULL) {
        return hits > 0 ? no_text : s;
    }
    at = s.p;
    while ((hit = memmem(at, (size_t)(end - at), from.p, from.len))) {
        memcpy(to + used, at, (size_t)(hit - at));
        used += (size_t)(hit - at);
        memcpy(to + used, with.p, with.len);
        used += with.len;
        at = hit + from.len;
    }
    memcpy(to + used, at, (size_t)(end - at));
    return str_n(to, len);
}

RUN(replace)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        struct str s = a[0].texts[i], from = a[1].texts[i], with = a[2].texts[i];

        out->own_texts[i] = s.p && from.p && with.p ? replace_all(v, s, from, with) : no_text;
    }
}

RUN(concat)
{
    UNUSED_CONTEXT;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0, used = 0;
        bool whole = true;
        char *to;

        for (unsigned k = 0; k < op->n_args; k++) {
            whole = whole && a[k].texts[i].p;
            len += a[k].texts[i].len;
        }
        to = whole ? eval_text(v, len) : NULL;
        for (unsigned k = 0; to && k < op->n_args; k++) {
            memcpy(to + used, a[k].texts[i].p, a[k].texts[i].len);
            used += a[k].texts[i].len;
        }
        out->own_texts[i] = to ? str_n(to, len) : no_text;
    }
}

RUN(text_of)
{
    for (size_t i = 0; i < n; i++) {
        char text[AS_TEXT_BYTES];
        struct str s = str_of(as_format(op->as[0], a[0].numbers[i], text));
        char *to = isnan(a[0].numbers[i]) ? NULL : eval_text(v, s.len);

        if (to) {
            memcpy(to, s.p, s.len);
        }
        out->own_texts[i] = to ? str_n(to, s.len) : no_text;
    }
}

RUN(same_text)
{
    UNUSED_CONTEXT;
    memcpy(out->own_texts, a[0].texts, n * sizeof(*out->own_texts));
}

/* What is no number, date or time is missing. */
#define PARSE(name, as)                                                                            \
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = 0;                                                                          \
            bool good = a[0].texts[i].p && as_parse(as, str_trim(a[0].texts[i]), &x) == 0;         \
            out->own_numbers[i] = good ? x : NAN;                                                  \
        }                                                                                          \
    }

PARSE(parse_number, AS_REAL)
PARSE(parse_date, AS_DATE)

/* --- dates and times -------------------------------------------------------------------------- */

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
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            out->own_numbers[i] = part_of(a[0].numbers[i], op->as[0], part);                       \
        }                                                                                          \
    }

DATE_PART(year, PART_YEAR)
DATE_PART(month, PART_MONTH)
DATE_PART(day, PART_DAY)
DATE_PART(weekday, PART_WEEKDAY)

#define CLOCK_PART(name, unit_us, wrap)                                                            \
    RUN(name)                                                                                      \
    {                                                                                              \
        UNUSED_CONTEXT;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double us = microseconds(a[0].numbers[i], op->as[0]);                                  \
            double units = floor((us - DAY_US * floor(us / DAY_US)) / (unit_us));                  \
            out->own_numbers[i] = units - (wrap)*floor(units / (wrap));                            \
        }                                                                                          \
    }

CLOCK_PART(hour, 3600e6, 24.0)
CLOCK_PART(minute, 60e6, 60.0)
CLOCK_PART(second, 1e6, 60.0)

RUN(date_of_time)
{
    UNUSED_CONTEXT;
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

RUN(date_diff)
{
    (void)v;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = difference(op, a[1].numbers[i], a[2].numbers[i]);
    }
}

/* --- the table -------------------------------------------------------------------------------- */

const struct expr_fn expr_fns[] = {
    {"+", "nn", 'n', add, NULL},
    {"-", "nn", 'n', subtract, NULL},
    {"*", "nn", 'n', multiply, NULL},
    {"/", "nn", 'r', divide, NULL},
    {"%", "nn", 'n', modulo, NULL},
    {"^", "nn", 'r', power, NULL},
    {"=", "aa", 'b', equal_numbers, equal_texts},
    {"!=", "aa", 'b', unequal_numbers, unequal_texts},
    {"<", "aa", 'b', less_numbers, less_texts},
    {"<=", "aa", 'b', less_equal_numbers, less_equal_texts},
    {">", "aa", 'b', more_numbers, more_texts},
    {">=", "aa", 'b', more_equal_numbers, more_equal_texts},
    {"negate", "n", 'n', negate, NULL},
    {"and", "bb", 'b', and_of, NULL},
    {"or", "bb", 'b', or_of, NULL},
    {"not", "b", 'b', not_of, NULL},
    {"in", "aa+", 'b', in_numbers, in_texts},
    {"between", "aaa", 'b', between_numbers, between_texts},
    {"days between", "dd", 'i', subtract, NULL},
    {"days after", "dn", 'D', add, NULL},
    {"days before", "dn", 'D', subtract, NULL},
    {"is_missing", "a", 'b', missing_number, missing_text},
    {"if", "baa", 'a', if_numbers, if_texts},
    {"coalesce", "a+", 'a', coalesce_numbers, coalesce_texts},
    {"min", "aa+", 'a', least_numbers, least_texts},
    {"max", "aa+", 'a', most_numbers, most_texts},
    {"abs", "n", 'n', absolute, NULL},
    {"sign", "n", 'i', sign, NULL},
    {"floor", "n", 'i', floor_of, NULL},
    {"ceil", "n", 'i', ceil_of, NULL},
    {"round", "nn?", 'r', round_to, NULL},
    {"int", "n", 'i', truncate_of, NULL},
    {"real", "n", 'r', same, NULL},
    {"sqrt", "n", 'r', square_root, NULL},
    {"exp", "n", 'r', exponential, NULL},
    {"log", "n", 'r', logarithm, NULL},
    {"log10", "n", 'r', logarithm10, NULL},
    {"length", "t", 'i', NULL, length},
    {"lower", "t", 't', NULL, lower},
    {"upper", "t", 't', NULL, upper},
    {"trim", "t", 't', NULL, trim},
    {"substr", "tnn?", 't', NULL, substr},
    {"contains", "tt", 'b', NULL, contains},
    {"starts_with", "tt", 'b', NULL, starts_with},
    {"ends_with", "tt", 'b', NULL, ends_with},
    {"regex_match", "tp", 'b', NULL, regex_match},
    {"replace", "ttt", 't', NULL, replace},
    {"concat", "tt+", 't', NULL, concat},
    {"text", "a", 't', text_of, same_text},
    {"number", "t", 'r', NULL, parse_number},
    {"parse_date", "t", 'D', NULL, parse_date},
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
