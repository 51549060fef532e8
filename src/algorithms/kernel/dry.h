/* dry - check() for modules whose outputs follow from the columns of their inputs alone: run() on
 * tables without rows. So a check cannot say anything else than the run. */
#pragma once
#include "algorithms/kernel/check.h"

/* When all inputs are known for certain; else the outputs stay open. A sentence of run() that
 * begins with "<parameter>: " is a mistake of that parameter. */
void check_dry(struct check *c);
