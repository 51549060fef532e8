#include "algorithms/kernel/expr_priv.h"

#include "algorithms/kernel/calendar.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/utf8.h"

#include <math.h>
#include <string.h>

/* --- numbers: NaN in, NaN out ----------------------------------------------------------------- */

#define UNARY(name, value)                                                                         \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = a[0].numbers[i];                                                            \
            out->own_numbers[i] = (value);                                                         \
        }                                                                                          \
    }
#define BINARY(name, value)                                                                        \
    EXPR_RUN(name)                                                                                 \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
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
EXPR_RUN(round_to)
{
    EXPR_UNUSED;
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

EXPR_RUN(missing_text)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = a[0].texts[i].p == NULL;
    }
}

#define COMPARE(name, sign)                                                                        \
    BINARY(name##_numbers, isnan(x) || isnan(y) ? NAN : x sign y)                                  \
    EXPR_RUN(name##_texts)                                                                         \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
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

EXPR_RUN(equal_texts)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = equal(a[0].texts[i], a[1].texts[i]);
    }
}

EXPR_RUN(unequal_texts)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_numbers[i] = 1 - equal(a[0].texts[i], a[1].texts[i]);
    }
}

/* True when one is equal, else missing when one is missing. */
EXPR_RUN(in_numbers)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        double x = a[0].numbers[i], found = isnan(x) ? NAN : 0;

        for (unsigned k = 1; k < op->n_args && found != 1; k++) {
            double y = a[k].numbers[i];

            found = x == y ? 1 : isnan(y) ? NAN : found;
        }
        out->own_numbers[i] = found;
    }
}

EXPR_RUN(in_texts)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        double found = a[0].texts[i].p ? 0 : NAN;

        for (unsigned k = 1; k < op->n_args && found != 1; k++) {
            double same_text = equal(a[0].texts[i], a[k].texts[i]);

            found = same_text == 0 ? found : same_text;
        }
        out->own_numbers[i] = found;
    }
}

EXPR_RUN(between_numbers)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        double x = a[0].numbers[i], low = a[1].numbers[i], high = a[2].numbers[i];

        out->own_numbers[i] = isnan(x) || isnan(low) || isnan(high) ? NAN : x >= low && x <= high;
    }
}

EXPR_RUN(between_texts)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        struct str x = a[0].texts[i], low = a[1].texts[i], high = a[2].texts[i];

        out->own_numbers[i] =
            x.p && low.p && high.p ? str_cmp(x, low) >= 0 && str_cmp(x, high) <= 0 : NAN;
    }
}

/* --- choosing --------------------------------------------------------------------------------- */

EXPR_RUN(if_numbers)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        double yes = a[1].numbers[i], no = a[2].numbers[i]; /* both: no branch to foretell */

        out->own_numbers[i] = a[0].numbers[i] == 1 ? yes : no;
    }
}

EXPR_RUN(if_texts)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        out->own_texts[i] = a[a[0].numbers[i] == 1 ? 1 : 2].texts[i];
    }
}

EXPR_RUN(coalesce_numbers)
{
    EXPR_UNUSED;
    for (size_t i = 0; i < n; i++) {
        unsigned k = 0;

        while (k + 1 < op->n_args && isnan(a[k].numbers[i])) {
            k++;
        }
        out->own_numbers[i] = a[k].numbers[i];
    }
}

EXPR_RUN(coalesce_texts)
{
    EXPR_UNUSED;
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
    EXPR_RUN(name##_numbers)                                                                       \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            double best = a[0].numbers[i];                                                         \
            for (unsigned k = 1; k < op->n_args; k++) {                                            \
                double x = a[k].numbers[i];                                                        \
                best = isnan(best) || x sign best ? x : best;                                      \
            }                                                                                      \
            out->own_numbers[i] = best;                                                            \
        }                                                                                          \
    }                                                                                              \
    EXPR_RUN(name##_texts)                                                                         \
    {                                                                                              \
        EXPR_UNUSED;                                                                               \
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

/* --- the table -------------------------------------------------------------------------------- */

static const struct expr_fn number_fns[] = {
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
    {0},
};

const struct expr_fn *const expr_fns[] = {number_fns, expr_text_fns, expr_date_fns, NULL};
