/* exposition: any page gives samples or an error. */
#include "scrape/exposition.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exposition x;
    struct err e;
    int kind;

    if (size == 0) {
        return 0;
    }
    exposition_init(&x, str_n((const char *)data + 1, size - 1),
                    data[0] & 1 ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT);
    while ((kind = exposition_next(&x, &e)) > 0) {
        if (kind == EXPOSITION_SAMPLE) {
            x.expected = data[0] & 2 ? x.series : STR_EMPTY; /* the same line again, or another */
            struct arena a = {0};
            struct labels s;

            if (exposition_labels(x.series, &a, &s, &e) == 0 && s.len == 0) {
                abort();
            }
            arena_done(&a);
        }
    }
    return 0;
}
