#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/expr.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A column of every type, with something missing in each. */
static struct table *columns(void)
{
    static const char *const names[] = {"r", "i", "b", "d", "t"};
    static const double values[] = {-0.5, 7, 1, 19782, 1.7e15};
    SCOPED(table_freep) struct table *t = table_new(3);
    struct err e = {0};
    struct dict *dict = dict_new();
    uint32_t code;
    struct column *c;

    for (size_t i = 0; i < 5; i++) {
        c = table_add_numbers(t, str_of(names[i]), &e);
        if (c) {
            c->as = (enum column_as)i;
            c->numbers[0] = values[i];
            c->numbers[1] = NAN;
        }
    }
    if (dict_intern(dict, STR("a \xe5\x8f\xb0 \xff"), &code, &e) < 0) {
        abort();
    }
    c = table_add_text(t, STR("s"), dict, &e);
    if (c) {
        c->codes[1] = DICT_MISSING;
    }
    return TAKE(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n((const char *)data, size);
    SCOPED(table_freep) struct table *t = NULL;
    struct err e = {0};
    int more = 1;

    big_set_budget(256 * MIB);
    t = columns();
    while (more > 0 && t->n_columns < 16) {
        SCOPED(freep) char *name = NULL;
        struct str source = STR_EMPTY;

        more = expr_next_assignment(&rest, &name, &source, &e);
        if (more > 0) {
            SCOPED(table_freep) struct table *out = table_new(3);
            SCOPED(expr_freep) struct expr *x = expr_parse(source, t, &e);
            size_t n = 0;

            if (x && !expr_is_text(x) && expr_as(x) == AS_BOOL) {
                big_free(expr_rows(x, &n, &e));
            }
            if (x && expr_add_column(x, out, str_of(name), &e) == 0) {
                (void)!table_add_copy(t, &out->columns[0], &e);
            }
        }
    }
    return 0;
}
