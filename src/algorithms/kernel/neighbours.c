#include "algorithms/kernel/neighbours.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/simd.h"

#include <float.h>
#include <math.h>
#include <string.h>

void neighbours_done(struct neighbours *b)
{
    big_free(b->rows);
    big_free(b->centre);
    big_free(b->near);
    big_free(b->norms);
    *b = (struct neighbours){0};
}

static double squares(const double *x, size_t d)
{
    return simd_get()->dot_f64(d, x, x);
}

/* To length 1; zeroes stay. */
static void normalise(double *x, size_t d)
{
    double length = sqrt(squares(x, d));

    for (size_t j = 0; length > 0 && j < d; j++) {
        x[j] /= length;
    }
}

/* The mean of the rows; for cosines the origin. */
static void find_centre(struct neighbours *b)
{
    for (size_t i = 0; b->distance == DISTANCE_EUCLID && i < b->n; i++) {
        for (size_t j = 0; j < b->d; j++) {
            b->centre[j] += b->rows[i * b->d + j] / (double)b->n;
        }
    }
}

static double centred_square(const struct neighbours *b, const double *x)
{
    double sum = 0;

    for (size_t j = 0; j < b->d; j++) {
        double v = x[j] - b->centre[j];

        sum += v * v;
    }
    return sum;
}

/* One row as the product takes it. */
static void to_near(const struct neighbours *b, const double *x, double factor, float *to)
{
    for (size_t j = 0; j < b->d; j++) {
        to[j] = (float)((x[j] - b->centre[j]) * factor);
    }
}

static int fill(struct neighbours *b, struct err *e)
{
    double longest = 0, farthest = 0;

    for (size_t i = 0; i < b->n; i++) {
        if (b->distance == DISTANCE_COSINE) {
            normalise(b->rows + i * b->d, b->d);
        }
        farthest = fmax(farthest, squares(b->rows + i * b->d, b->d));
    }
    find_centre(b);
    for (size_t i = 0; i < b->n; i++) {
        longest = fmax(longest, centred_square(b, b->rows + i * b->d));
    }
    if (!(longest < 1e300 && farthest < 1e300)) {
        return err_set(e, ERR_DATA, "the values are too large for distances: scale the columns");
    }
    b->scale = longest > 1e-200 ? 1 / sqrt(longest) : 1;
    b->offset = sqrt(farthest) * b->scale;
    for (size_t i = 0; i < b->n; i++) {
        const double *row = b->rows + i * b->d;

        to_near(b, row, b->scale, b->near + i * b->d);
        b->norms[i] = b->distance == DISTANCE_COSINE
                          ? 1
                          : (float)(centred_square(b, row) * b->scale * b->scale);
    }
    return 0;
}

int neighbours_init(struct neighbours *b, double *rows, size_t n, size_t d, enum distance distance,
                    struct err *e)
{
    *b = (struct neighbours){.distance = distance, .n = n, .d = d, .rows = rows};
    b->centre = big_alloc(d, sizeof(double), "the rows to compare with", e);
    b->near = b->centre ? big_alloc(n * d, sizeof(float), "the rows to compare with", e) : NULL;
    b->norms = b->near ? big_alloc(n, sizeof(float), "the rows to compare with", e) : NULL;
    return b->norms ? fill(b, e) : -1;
}

int neighbours_work_init(struct neighbours_work *w, const struct neighbours *b, size_t k,
                         struct err *e)
{
    size_t more = k + k / 4 + 16, q = NEIGHBOURS_QUERIES;

    *w = (struct neighbours_work){.k = k, .candidates = more < b->n ? more : b->n};
    w->x = big_alloc(q * b->d, sizeof(float), "prediction", e);
    w->products = w->x ? big_alloc(q * NEIGHBOURS_TILE, sizeof(float), "prediction", e) : NULL;
    w->lengths = w->products ? big_alloc(q, sizeof(double), "prediction", e) : NULL;
    w->heaps = w->lengths ? big_alloc(q * w->candidates, sizeof(*w->heaps), "prediction", e) : NULL;
    w->queries = w->heaps ? big_alloc(q * b->d, sizeof(double), "prediction", e) : NULL;
    return w->queries ? 0 : -1;
}

void neighbours_work_done(struct neighbours_work *w)
{
    big_free(w->x);
    big_free(w->products);
    big_free(w->lengths);
    big_free(w->heaps);
    big_free(w->queries);
    *w = (struct neighbours_work){0};
}

/* --- candidates ------------------------------------------------------------------------------- */

/* The farthest is on top; the one put on top sinks. */
static void sink(struct near_heap *h, size_t n, struct near_heap v)
{
    size_t at = 0, child = 1;

    while (child < n) {
        child += child + 1 < n && h[child + 1].distance > h[child].distance;
        if (h[child].distance <= v.distance) {
            break;
        }
        h[at] = h[child];
        at = child;
        child = 2 * at + 1;
    }
    h[at] = v;
}

/* Products of one query with n rows: those below the farthest candidate replace it. */
static void take(struct near_heap *h, size_t candidates, const float *v, size_t n, uint32_t first)
{
    enum { BLOCK = 16 };

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;
        unsigned closer = 0;

        for (size_t j = i; j < end; j++) {
            closer += v[j] < h[0].distance;
        }
        for (size_t j = i; closer > 0 && j < end; j++) {
            if (v[j] < h[0].distance) {
                sink(h, candidates, (struct near_heap){v[j], first + (uint32_t)j});
            }
        }
    }
}

/* |y|^2 - 2 x y of all queries with all rows, by tiles of rows. */
static void compare(const struct neighbours *b, size_t m, struct neighbours_work *w)
{
    for (size_t i = 0; i < m * w->candidates; i++) {
        w->heaps[i] = (struct near_heap){INFINITY, 0};
    }
    for (size_t first = 0; first < b->n; first += NEIGHBOURS_TILE) {
        size_t n = b->n - first < NEIGHBOURS_TILE ? b->n - first : NEIGHBOURS_TILE;

        for (size_t i = 0; i < m; i++) {
            memcpy(w->products + i * n, b->norms + first, n * sizeof(float));
        }
        simd_get()->gemm_f32(&(struct gemm_f32){.m = m,
                                                .n = n,
                                                .k = b->d,
                                                .a = w->x,
                                                .a_row = b->d,
                                                .a_col = 1,
                                                .b = b->near + first * b->d,
                                                .b_row = 1,
                                                .b_col = b->d,
                                                .c = w->products,
                                                .c_row = n});
        for (size_t i = 0; i < m; i++) {
            take(w->heaps + i * w->candidates, w->candidates, w->products + i * n, n,
                 (uint32_t)first);
        }
    }
}

/* --- exactly ---------------------------------------------------------------------------------- */

static double distance_to(const struct neighbours *b, const double *x, size_t row)
{
    const double *y = b->rows + row * b->d;
    double s[8] = {0};
    size_t j = 0;

    if (b->distance == DISTANCE_COSINE) {
        return 2 - 2 * simd_get()->dot_f64(b->d, x, y);
    }
    for (; j + 8 <= b->d; j += 8) {
        for (size_t l = 0; l < 8; l++) {
            s[l] += (x[j + l] - y[j + l]) * (x[j + l] - y[j + l]);
        }
    }
    for (size_t l = 0; j < b->d; j++, l++) {
        s[l] += (x[j] - y[j]) * (x[j] - y[j]);
    }
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static bool nearer(struct neighbour a, struct neighbour b)
{
    return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

/* Into a list of the k nearest, sorted; *n of them are there. */
static void insert(struct neighbour *list, size_t *n, size_t k, struct neighbour v)
{
    size_t low = 0, high = *n;

    if (*n == k && !nearer(v, list[k - 1])) {
        return;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (nearer(list[middle], v)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *n += *n < k;
    memmove(list + low + 1, list + low, (*n - 1 - low) * sizeof(*list));
    list[low] = v;
}

/* How far the product can be off: d + 8 roundings of numbers no larger than the lengths, and what
 * centring loses. `length` and the result in lengths of the longest row. */
static double error_of(const struct neighbours *b, double length, double raw)
{
    return ((double)b->d + 8) * (double)FLT_EPSILON * (1 + length) * (1 + length) +
           16 * DBL_EPSILON * (b->offset + raw) * (1 + length);
}

/* Whether no row that is not among the candidates can be as near as the last of `out`. */
static bool certain(const struct neighbours *b, const struct neighbours_work *w, size_t query,
                    const double *x, const struct neighbour *out)
{
    double square = w->lengths[query] * b->scale * b->scale, length = sqrt(square);
    double last = out[w->k - 1].distance * b->scale * b->scale;
    double limit = (double)w->heaps[query * w->candidates].distance;

    if (w->candidates == b->n) {
        return true;
    }
    square = b->distance == DISTANCE_COSINE ? 1 : square;
    return length < 1e12 &&
           last < limit + square - error_of(b, length, sqrt(squares(x, b->d)) * b->scale);
}

static void find_one(const struct neighbours *b, const double *x, size_t query,
                     struct neighbours_work *w, struct neighbour *out)
{
    const struct near_heap *h = w->heaps + query * w->candidates;
    size_t n = 0;

    for (size_t i = 0; i < w->candidates && isfinite(h[0].distance); i++) {
        insert(out, &n, w->k, (struct neighbour){distance_to(b, x, h[i].row), h[i].row});
    }
    if (n == w->k && certain(b, w, query, x, out)) {
        return;
    }
    n = 0;
    for (size_t i = 0; i < b->n; i++) {
        insert(out, &n, w->k, (struct neighbour){distance_to(b, x, i), (uint32_t)i});
    }
}

void neighbours_find(const struct neighbours *b, const double *rows, size_t m,
                     struct neighbours_work *w, struct neighbour *out)
{
    double *x = w->queries;

    memcpy(x, rows, m * b->d * sizeof(*x));
    for (size_t i = 0; i < m; i++) {
        if (b->distance == DISTANCE_COSINE) {
            normalise(x + i * b->d, b->d);
        }
        w->lengths[i] = centred_square(b, x + i * b->d);
        to_near(b, x + i * b->d, -2 * b->scale, w->x + i * b->d);
    }
    compare(b, m, w);
    for (size_t i = 0; i < m; i++) {
        find_one(b, x + i * b->d, i, w, out + i * w->k);
        for (size_t k = 0; k < w->k; k++) {
            double v = out[i * w->k + k].distance;

            v = v > 0 ? v : 0;
            out[i * w->k + k].distance = b->distance == DISTANCE_COSINE ? v / 2 : sqrt(v);
        }
    }
}
