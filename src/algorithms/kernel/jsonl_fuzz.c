#include "algorithms/kernel/jsonl.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the options, the rest is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jsonl_options o = {0};
    struct jsonl_report r = {0};
    struct cells *c;
    struct err e = {0};

    if (size == 0) {
        return 0;
    }
    big_set_budget(256 * MIB);
    o.bad_row = (enum jsonl_bad_row)((data[0] & 3) % 3);
    o.nested = data[0] & 4 ? JSONL_NESTED_REFUSED : JSONL_NESTED_TEXT;
    o.text_columns = data[0] & 8 ? STR("a,b") : STR_EMPTY;
    c = cells_new();
    if (jsonl_read(c, str_n((const char *)data + 1, size - 1), &o, &r, &e) == 0 &&
        jsonl_check_names(c, &o, &e) == 0) {
        table_free(cells_table(c, &e));
    }
    cells_free(c);
    return 0;
}
