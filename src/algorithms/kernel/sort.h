/* sort - doubles in ascending order, in time that grows with their number alone. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* No NaN. -0 becomes 0. `scratch` holds 2 n numbers. Pure: any thread. */
void sort_f64(double *v, uint64_t *scratch, size_t n);
