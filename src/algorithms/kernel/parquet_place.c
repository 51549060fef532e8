/* Where the values of columns come to lie: small columns share pieces that are large enough for
 * huge pages. A column of 200,000 numbers takes 400 faults by itself, more time than its values. */
#include "algorithms/kernel/parquet_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/shared.h"

enum { PIECE_BYTES = 16 << 20, ALIGNMENT = 64 };

/* A column of text has codes; one of numbers may become text, whose codes are smaller. */
static size_t bytes_of(const struct parquet_build *b)
{
    uint64_t bytes =
        b->file->n_rows * (b->column->text ? sizeof(uint32_t) : sizeof(double)); /* < 2^63 */

    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* How many columns from the first on lie in one piece: at least one. */
static size_t how_many(const struct parquet_build *builds, size_t n, size_t *bytes)
{
    size_t i = 1;

    *bytes = bytes_of(&builds[0]);
    while (i < n && *bytes + bytes_of(&builds[i]) <= PIECE_BYTES) {
        *bytes += bytes_of(&builds[i++]);
    }
    return i;
}

int parquet_places(struct parquet_build *builds, size_t n, struct err *e)
{
    for (size_t i = 0; i < n;) {
        size_t bytes, m = how_many(builds + i, n - i, &bytes);
        char *piece = big_alloc_column(bytes, 1, "the table", e);
        struct shared *data = piece ? shared_of_big(piece) : NULL;

        if (data == NULL) {
            return -1;
        }
        for (size_t k = 0; k < m; k++, i++) {
            builds[i].place = piece;
            builds[i].data = shared_ref(data);
            piece += bytes_of(&builds[i]);
        }
        shared_unref(data);
    }
    return 0;
}
