#include "algorithms/kernel/rows.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows_report r;
    struct err e = {0};

    big_set_budget(256 * MIB);
    table_free(rows_read(str_n((const char *)data, size), &r, &e));
    return 0;
}
