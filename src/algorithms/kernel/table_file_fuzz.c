#include "algorithms/kernel/fuzz_envelope.h"
#include "algorithms/kernel/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct binr r = {0};
    struct err e = {0};
    char *file = fuzz_envelope(data, size, BINARY_TABLE);

    if (binr_init(&r, str_n((const char *)data, size), BINARY_TABLE, &e) == 0) {
        table_free(table_read(&r, &e));
    }
    if (file && binr_init(&r, str_n(file, size), BINARY_TABLE, &e) == 0) {
        table_free(table_read(&r, &e));
    }
    free(file);
    return 0;
}
