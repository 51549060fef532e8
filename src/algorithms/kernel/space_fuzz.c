#include "algorithms/kernel/space.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct param params[] = {
    {"label_col", PARAM_COLUMN, NULL, 0, 0, NULL, ""},
    {"n", PARAM_INT, "1", 1, 1000000, NULL, ""},
    {"r", PARAM_REAL, "0", -1e300, 1e300, NULL, ""},
    {"c", PARAM_CHOICE, "a", 0, 0, "a|b", ""},
    {"l", PARAM_INTS, "1", 1, 64, NULL, ""},
    {"t", PARAM_TEXT, "", 0, 0, NULL, ""},
    {0},
};
static const struct module module = {.name = "m", .params = params};

static void must_hold(const struct space *s, size_t dimension, char *value)
{
    struct err e = {0};
    int rc = param_check(s->of[dimension].param, str_of(value), &e);

    assert(rc == 0);
    (void)rc;
    free(value);
}

/* What is taken makes values that the parameters take. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct space s;
    struct err e = {0};
    struct rng rng;
    size_t grid;

    if (space_parse(&s, &module, str_n((const char *)data, size), &e) < 0) {
        return 0;
    }
    grid = space_grid(&s, 1000);
    rng_init(&rng, size, 3);
    for (size_t i = 0; i < s.n; i++) {
        for (size_t point = 0; point < grid && point < 64; point++) {
            must_hold(&s, i, space_at(&s, point, i));
        }
        must_hold(&s, i, space_draw(&s, i, &rng));
    }
    space_done(&s);
    return 0;
}
