#include "algorithms/kernel/parquet.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct threads *threads; /* of one: the caller */
    struct parquet_options o = {.columns = STR_EMPTY};
    struct parquet_report r = {0};
    struct err e = {0};

    if (threads == NULL) {
        threads = threads_open(1);
    }
    big_set_budget(256 * MIB);
    table_free(parquet_read(str_n((const char *)data, size), &o, threads, &r, &e));
    buf_done(&r.names);
    return 0;
}
