/* column: any bytes are an error or numbers, which come back when they are written again. */
#include "tsdb/column.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void values(struct str in, size_t n)
{
    static double v[COLUMN_MAX], back[COLUMN_MAX];
    struct buf b = BUF_MAX(1 << 20);
    struct err e;

    if (column_get_values(&in, v, n, &e) == 0) {
        column_put_values(v, n, &b);
        in = buf_str(&b);
        if (column_get_values(&in, back, n, &e) < 0 || in.len != 0 || memcmp(v, back, n * 8) != 0) {
            abort();
        }
    }
    buf_done(&b);
}

static void times(struct str in, size_t n)
{
    static int64_t ms[COLUMN_MAX], back[COLUMN_MAX];
    struct buf b = BUF_MAX(1 << 20);
    struct err e;

    if (column_get_times(&in, ms, n, &e) == 0) {
        column_put_times(ms, n, &b);
        in = buf_str(&b);
        if (column_get_times(&in, back, n, &e) < 0 || in.len != 0 || memcmp(ms, back, n * 8) != 0) {
            abort();
        }
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);
    size_t n;

    if (size < 3) {
        return 0;
    }
    n = (data[0] | (size_t)data[1] << 8) % COLUMN_MAX + 1;
    (data[2] & 1 ? times : values)(str_from(in, 3), n);
    return 0;
}
