#include "algorithms/kernel/libsvm.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the options, the rest is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct libsvm_options o = {.label = STR("label")};
    struct err e = {0};

    if (size == 0) {
        return 0;
    }
    big_set_budget(256 * MIB);
    o.index = (enum libsvm_index)((data[0] & 3) % 3);
    o.features = data[0] & 4 ? 12 : 0;
    table_free(libsvm_read(str_n((const char *)data + 1, size - 1), &o, &e));
    return 0;
}
