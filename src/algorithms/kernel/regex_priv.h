/* regex_priv - the program that a pattern becomes: regex.c makes it, regex_search.c runs it. */
#pragma once
#include "algorithms/kernel/regex.h"

enum regex_op { OP_SET, OP_NOT_SET, OP_ANY, OP_START, OP_END, OP_SPLIT, OP_FOUND };

/* SET: ranges a .. b - 1. SPLIT: goes on at +a and at +b (equal: one way). */
struct regex_ins {
    enum regex_op op;
    int a, b;
};

struct regex_range {
    uint32_t first, last;
};

struct regex {
    struct regex_ins *ins;
    struct regex_range *ranges;
    int n, n_ranges;
    /* of a search */
    int *now, *next, *stack;
    uint64_t *seen, round;
};
