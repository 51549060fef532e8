#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/cart_count.h"
#include "base/limits.h"

static const size_t cells_bytes_max = 1 * MIB;
static const char what[] = "the histograms of a tree";

static int init_cells(struct cart_finder *f, struct err *e)
{
    size_t bytes = cart_lane_bytes(f) * CART_BINS;

    f->batch = cells_bytes_max / bytes;
    f->batch = f->batch > CART_BATCH_MAX ? CART_BATCH_MAX : f->batch < 1 ? 1 : f->batch;
    f->batch = f->batch > f->o->max_features ? f->o->max_features : f->batch;
    f->cells = big_alloc(f->batch, bytes, what, e);
    return f->cells ? 0 : -1;
}

static int init_sorted(struct cart_finder *f, size_t most, struct err *e)
{
    f->sorted.rows = big_alloc(most, sizeof(*f->sorted.rows), what, e);
    f->sorted.present =
        f->sorted.rows ? big_alloc(f->data->n_classes, sizeof(*f->sorted.present), what, e) : NULL;
    return f->sorted.present ? 0 : -1;
}

int cart_finder_init(struct cart_finder *f, const struct cart_data *data,
                     const struct cart_options *o, struct err *e)
{
    size_t d = data->bins->n_features, n = data->bins->n_rows;
    size_t sorted = cart_sorted_rows(data->n_classes, n);

    *f = (struct cart_finder){.data = data, .o = o, .counted = o->min_leaf > 1, .batch = 1};
    f->stride = data->n_classes + f->counted;
    if ((sorted > 0 && init_sorted(f, sorted, e) < 0) ||
        (!cart_sorts(data->n_classes, n) && init_cells(f, e) < 0)) {
        return -1;
    }
    f->order = big_alloc(d, sizeof(*f->order), what, e);
    f->left = f->order ? big_alloc(data->n_classes, 2 * sizeof(uint64_t), what, e) : NULL;
    if (f->left == NULL) {
        return -1;
    }
    f->total = f->left + data->n_classes;
    return 0;
}

void cart_finder_start(struct cart_finder *f)
{
    for (size_t j = 0; j < f->data->bins->n_features; j++) {
        f->order[j] = (uint32_t)j;
    }
}

void cart_finder_done(struct cart_finder *f)
{
    big_free(f->cells);
    big_free(f->sorted.rows);
    big_free(f->sorted.present);
    big_free(f->order);
    big_free(f->left);
}
