#include "algorithms/kernel/npy.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_n((const char *)data, size);
    struct err e = {0};
    uint64_t rows;
    size_t head;

    big_set_budget(256 * MIB);
    table_free(npy_read(bytes, &e));
    head = npy_head(bytes, &e);
    if (head > 0) {
        table_free(npy_columns(str_first(bytes, head), &rows, &e));
    }
    return 0;
}
