#include "algorithms/kernel/csv.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the options, the rest is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csv_options o = {.quote = '"', .null_values = STR("NA,?,null")};
    struct csv_report r;
    struct err e = {0};

    if (size == 0) {
        return 0;
    }
    big_set_budget(256 * MIB);
    o.delim = data[0] & 1 ? ',' : 0;
    o.bad_row = (enum csv_bad_row)((data[0] >> 1 & 3) % 3);
    o.header = (enum csv_header)((data[0] >> 3 & 3) % 3);
    o.encoding = data[0] & 32 ? CSV_LATIN1 : CSV_UTF8;
    o.types = data[0] & 128 ? STR("a:time,b:int,x:bool") : STR_EMPTY;
    o.quote = data[0] & 64 ? 0 : '"';
    table_free(csv_read(str_n((const char *)data + 1, size - 1), &o, &r, &e));
    return 0;
}
