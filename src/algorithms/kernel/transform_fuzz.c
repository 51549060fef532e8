#include "algorithms/kernel/fuzz_envelope.h"
#include "algorithms/kernel/transform.h"

#include <math.h>
#include <stdlib.h>

/* Columns by the names of the corpus. */
static struct table *columns(void)
{
    SCOPED(table_freep) struct table *t = table_new(3);
    struct dict *dict = dict_new();
    struct err e = {0};
    uint32_t code;
    struct column *c = table_add_numbers(t, STR("a"), &e);

    if (c) {
        c->numbers[0] = 2.5;
        c->numbers[1] = NAN;
    }
    if (dict_intern(dict, STR("Taipei 台北"), &code, &e) < 0) {
        abort();
    }
    c = table_add_text(t, STR("s"), dict, &e);
    if (c) {
        c->codes[1] = DICT_MISSING;
    }
    return TAKE(t);
}

/* What could be read must also be safe to use, and to write. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct binr r = {0};
    struct err e = {0};
    char *file = fuzz_envelope(data, size, BINARY_TRANSFORM);

    if (file && binr_init(&r, str_n(file, size), BINARY_TRANSFORM, &e) == 0) {
        SCOPED(transform_freep) struct transform *x = transform_read(&r, &e);

        if (x) {
            SCOPED(table_freep) struct table *t = columns();

            table_free(transform_apply(x, t, &e));
        }
    }
    free(file);
    return 0;
}
