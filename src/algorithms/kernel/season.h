/* season - how many steps a series takes to repeat, told from its values alone: the first high peak
 * of its autocorrelation that stands again one season later.
 * Pure: any thread. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { SEASON_LONGEST = 400 };

/* Of seasons up to `longest` (at most SEASON_LONGEST). 1: it does not repeat. ERR_MEMORY. */
int season_find(const double *y, size_t n, size_t longest, size_t *period, struct err *e) MUST_USE;
/* Whether the level wanders, so that differences are looked at: KPSS at 5 %. */
bool season_wanders(const double *y, size_t n);
