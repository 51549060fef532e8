#include "algorithms/modules/cluster_plot.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/eigen.h"

#include <math.h>

enum { COLUMNS_MOST = 64, CLUSTERS_MOST = 12 };

/* The plane: what a column is taken less, and how much of it counts in either direction. */
struct plane {
    double mean[COLUMNS_MOST], part[2][COLUMNS_MOST];
};

static void find_means(const struct cluster_plot *p, double *mean, double *deviation)
{
    for (size_t j = 0; j < p->d; j++) {
        double sum = 0, squares = 0;

        for (size_t i = 0; i < p->n; i++) {
            sum += p->x[i * p->d + j];
        }
        mean[j] = sum / (double)p->n;
        for (size_t i = 0; i < p->n; i++) {
            double off = p->x[i * p->d + j] - mean[j];

            squares += off * off;
        }
        deviation[j] = sqrt(squares / (double)p->n);
    }
}

static int find_plane(const struct cluster_plot *p, struct plane *plane, struct err *e)
{
    SCOPED(big_freep) double *a = big_alloc(p->d * p->d, sizeof(*a), "the cluster plot", e);
    double deviation[COLUMNS_MOST], values[COLUMNS_MOST];

    if (a == NULL) {
        return -1;
    }
    find_means(p, plane->mean, deviation);
    for (size_t j = 0; j < p->d; j++) {
        for (size_t k = 0; k < p->d; k++) {
            double sum = 0, both = deviation[j] * deviation[k] * (double)p->n;

            for (size_t i = 0; i < p->n; i++) {
                sum +=
                    (p->x[i * p->d + j] - plane->mean[j]) * (p->x[i * p->d + k] - plane->mean[k]);
            }
            a[j * p->d + k] = both > 0 && isfinite(both) && isfinite(sum) ? sum / both : 0;
        }
    }
    if (eigen_symmetric(p->d, a, values, e) < 0) {
        return -1;
    }
    for (size_t j = 0; j < p->d; j++) {
        for (size_t v = 0; v < 2; v++) {
            plane->part[v][j] = deviation[j] > 0 ? a[v * p->d + j] / deviation[j] : 0;
        }
    }
    return 0;
}

static double along(const struct cluster_plot *p, const struct plane *plane, size_t row, size_t v)
{
    double sum = 0;

    for (size_t j = 0; j < p->d; j++) {
        sum += (p->x[row * p->d + j] - plane->mean[j]) * plane->part[v][j];
    }
    return sum;
}

static void put_points(struct report *r, const struct cluster_plot *p, const struct plane *plane)
{
    bool as_is = p->d == 2;
    size_t points = p->n < REPORT_POINTS ? p->n : REPORT_POINTS;
    double x[REPORT_POINTS], y[REPORT_POINTS];

    report_series_begin(r, &(struct chart){"scatter", "Rows by cluster",
                                           as_is ? p->columns[0] : "component 1",
                                           as_is ? p->columns[1] : "component 2"});
    for (uint32_t c = 0; c < p->k; c++) {
        size_t n = 0;

        for (size_t i = 0; i < points; i++) {
            size_t row = i * p->n / points;

            if (p->cluster[row] == c) {
                x[n] = as_is ? p->x[row * 2] : along(p, plane, row, 0);
                y[n++] = as_is ? p->x[row * 2 + 1] : along(p, plane, row, 1);
            }
        }
        report_series(r, p->clusters[c], x, y, n);
    }
    report_series_end(r);
}

int cluster_plot(struct report *r, const struct cluster_plot *p, struct err *e)
{
    struct plane plane = {0};

    if (p->d < 2 || p->d > COLUMNS_MOST || p->k > CLUSTERS_MOST || p->n < 2) {
        return 0;
    }
    if (p->d > 2 && find_plane(p, &plane, e) < 0) {
        return -1;
    }
    put_points(r, p, &plane);
    return 0;
}
