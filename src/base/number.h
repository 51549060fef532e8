/* number - floating point as text, the shortest that reads back as the same number: 0.1, not
 * 0.1000000000000000055. Not a number: "NaN", "+Inf", "-Inf". */
#pragma once
#include <stddef.h>

enum { NUMBER_TEXT_MAX = 360 }; /* 1e308 without an exponent, the sign and the NUL */

/* Without an exponent, ever: how Prometheus' HTTP API writes samples. Returns the length. */
size_t number_plain(double v, char out[NUMBER_TEXT_MAX]);
/* With an exponent below 1e-4 and from 1e6: how Go prints a float64. */
size_t number_short(double v, char out[NUMBER_TEXT_MAX]);
/* Always with an exponent, 1e+00: how the API of Prometheus writes values of alerts. */
size_t number_exponent(double v, char out[NUMBER_TEXT_MAX]);
