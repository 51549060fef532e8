/* impute - what it learned: docs/formats/model.md. Private to modules. */
#pragma once
#include "algorithms/kernel/table.h"

struct fill {
    enum column_kind kind;
    double number;
    char *text; /* COLUMN_TEXT; without a NUL byte */
};

struct filling {
    char **columns;
    struct fill *fills;
    size_t n;
    unsigned indicator;
};

/* Takes ownership of the names. */
struct filling *filling_new(char **columns, size_t n, unsigned indicator) MUST_USE;
void filling_free(void *body);
