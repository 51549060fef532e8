#include "algorithms/kernel/arrow.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy in memory of our own, as aligned as a mapped file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct shared *keep;
    struct table *t;
    char *copy;

    big_set_budget(256 * MIB);
    copy = big_alloc(size, 1, "the input", &e);
    if (copy == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    keep = shared_of_big(copy);
    t = arrow_read(str_n(copy, size), keep, ARROW_SKIP_CHECKSUM, &e);
    shared_unref(keep);
    for (size_t i = 0; t && i < t->n_columns; i++) { /* every value is readable */
        const struct column *c = &t->columns[i];
        volatile double sum = 0;

        for (size_t r = 0; r < t->n_rows; r++) {
            if (c->kind == COLUMN_NUMBER) {
                sum = sum + c->numbers[r];
            } else if (c->codes[r] != DICT_MISSING) {
                sum = sum + (double)dict_text(c->dict, c->codes[r]).len;
            }
        }
    }
    table_free(t);
    return 0;
}
