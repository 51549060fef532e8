/* evaluate_clustering - how compact and far from each other clusters are, and with a label, how
 * much they agree with it.
 *
 * Silhouette (Rousseeuw 1987) of a sample: each row of it is one task, against all others of it.
 * Davies-Bouldin (1979), Calinski-Harabasz (1974), adjusted Rand (Hubert, Arabie 1985) and
 * normalised mutual information (by the arithmetic mean) of all rows. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/modules/cluster_plot.h"
#include "algorithms/modules/judging.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "Rows with their clusters."}, {0}};
static const struct port outputs[] = {
    {"report", VALUE_REPORT, PORT_OPTIONAL,
     "Figures, the size of each cluster, and the rows on a plane."},
    {0}};
static const struct param params[] = {
    {"cluster_col", PARAM_TEXT, "", 0, 0, NULL,
     "The column with the cluster; empty: prediction, or cluster where that is not there."},
    {"feature_cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "What distances are measured by; never the cluster or the label."},
    {"label_col", PARAM_TEXT, "", 0, 0, NULL, "A column with the truth, to compare with."},
    {"sample", PARAM_INT, "5000", 2, 100000, NULL,
     "From so many rows the silhouette is computed; the time grows with the square."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL, "Which chance: of the sample."},
    JUDGING_NAME,
    {0},
};

enum { CHART_CLASSES = 64 };

struct evaluation {
    const struct table *t;
    struct classes clusters, labels;
    uint32_t *of_row, *truth; /* big memory; truth NULL: no label */
    struct features features;
    struct bound bound;
    size_t d, k;
    double *centres, *sizes; /* [k][d], [k]; big memory */
    uint32_t *sample;        /* rows, rising; big memory */
    size_t m;
    double *x, *silhouettes, *sums; /* [m][d], [m], [worker][k]; big memory */
    double *sample_sizes;           /* [k]; big memory */
    double silhouette, davies_bouldin, calinski_harabasz, inertia, ari, nmi, purity;
};

static void evaluation_done(struct evaluation *v)
{
    classes_done(&v->clusters);
    classes_done(&v->labels);
    big_free(v->of_row);
    big_free(v->truth);
    features_done(&v->features);
    bound_done(&v->bound);
    big_free(v->centres);
    big_free(v->sizes);
    big_free(v->sample);
    big_free(v->x);
    big_free(v->silhouettes);
    big_free(v->sums);
    big_free(v->sample_sizes);
}

/* --- distances -------------------------------------------------------------------------------- */

static double to_centre(const struct evaluation *v, size_t row, size_t cluster)
{
    double sum = 0;

    for (size_t j = 0; j < v->d; j++) {
        double d = v->bound.columns[j][row] - v->centres[cluster * v->d + j];

        sum += d * d;
    }
    return sum;
}

static int find_centres(struct evaluation *v, struct err *e)
{
    v->centres = big_alloc(v->k * v->d, sizeof(double), "the centres", e);
    v->sizes = v->centres ? big_alloc(v->k, sizeof(double), "the centres", e) : NULL;
    if (v->sizes == NULL) {
        return -1;
    }
    for (size_t r = 0; r < v->t->n_rows; r++) {
        v->sizes[v->of_row[r]]++;
    }
    for (size_t j = 0; j < v->d; j++) {
        for (size_t r = 0; r < v->t->n_rows; r++) {
            v->centres[v->of_row[r] * v->d + j] += v->bound.columns[j][r];
        }
        for (size_t c = 0; c < v->k; c++) {
            v->centres[c * v->d + j] /= v->sizes[c];
        }
    }
    return 0;
}

/* Mean over clusters of the worst (spread a + spread b) / distance. */
static double davies_bouldin(const struct evaluation *v, const double *spread)
{
    double sum = 0;

    for (size_t a = 0; a < v->k; a++) {
        double worst = 0;

        for (size_t b = 0; b < v->k; b++) {
            double d = 0;

            for (size_t j = 0; a != b && j < v->d; j++) {
                double x = v->centres[a * v->d + j] - v->centres[b * v->d + j];

                d += x * x;
            }
            if (d > 0) {
                worst = fmax(worst, (spread[a] + spread[b]) / sqrt(d));
            }
        }
        sum += worst;
    }
    return sum / (double)v->k;
}

static int by_centres(struct evaluation *v, struct err *e)
{
    SCOPED(big_freep) double *spread = big_alloc(v->k, sizeof(*spread), "the centres", e);
    double n = (double)v->t->n_rows, k = (double)v->k, between = 0;

    if (spread == NULL || find_centres(v, e) < 0) {
        return -1;
    }
    for (size_t r = 0; r < v->t->n_rows; r++) {
        double d = to_centre(v, r, v->of_row[r]);

        v->inertia += d;
        spread[v->of_row[r]] += sqrt(d) / v->sizes[v->of_row[r]];
    }
    for (size_t j = 0; j < v->d; j++) {
        double mean = 0;

        for (size_t c = 0; c < v->k; c++) {
            mean += v->centres[c * v->d + j] * v->sizes[c] / n;
        }
        for (size_t c = 0; c < v->k; c++) {
            double x = v->centres[c * v->d + j] - mean;

            between += v->sizes[c] * x * x;
        }
    }
    v->davies_bouldin = v->k > 1 ? davies_bouldin(v, spread) : NAN;
    v->calinski_harabasz =
        v->k > 1 && n > k && v->inertia > 0 ? between / v->inertia * (n - k) / (k - 1) : NAN;
    return 0;
}

/* --- silhouette ------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int take_sample(struct evaluation *v, const struct step *s, struct err *e)
{
    size_t n = v->t->n_rows, want = (size_t)step_int(s, "sample");
    struct rng rng;

    v->m = n < want ? n : want;
    v->sample = big_alloc(n, sizeof(*v->sample), "the sample", e);
    v->x = v->sample ? big_alloc(v->m * v->d, sizeof(double), "the sample", e) : NULL;
    v->silhouettes = v->x ? big_alloc(v->m, sizeof(double), "the sample", e) : NULL;
    v->sums = v->silhouettes
                  ? big_alloc(v->k * threads_count(s->threads), sizeof(double), "the sample", e)
                  : NULL;
    v->sample_sizes = v->sums ? big_alloc(v->k, sizeof(double), "the sample", e) : NULL;
    if (v->sample_sizes == NULL) {
        return -1;
    }
    for (size_t r = 0; r < n; r++) {
        v->sample[r] = (uint32_t)r;
    }
    rng_init(&rng, (uint64_t)step_int(s, "seed"), 4);
    if (v->m < n) {
        rng_shuffle(&rng, v->sample, n);
        qsort(v->sample, v->m, sizeof(*v->sample), by_number);
    }
    features_gather_f64(&v->features, v->bound.columns, v->sample, 0, v->m, v->x);
    for (size_t i = 0; i < v->m; i++) {
        v->sample_sizes[v->of_row[v->sample[i]]]++;
    }
    return 0;
}

static void one_row(void *ctx, size_t i, unsigned worker)
{
    struct evaluation *v = ctx;
    double *sums = v->sums + worker * v->k, near = INFINITY, own;
    const double *a = v->x + i * v->d;
    uint32_t mine = v->of_row[v->sample[i]];

    memset(sums, 0, v->k * sizeof(*sums));
    for (size_t r = 0; r < v->m; r++) {
        const double *b = v->x + r * v->d;
        double sum = 0;

        for (size_t j = 0; j < v->d; j++) {
            sum += (a[j] - b[j]) * (a[j] - b[j]);
        }
        sums[v->of_row[v->sample[r]]] += sqrt(sum);
    }
    for (uint32_t c = 0; c < v->k; c++) {
        if (c != mine && v->sample_sizes[c] > 0) {
            near = fmin(near, sums[c] / v->sample_sizes[c]);
        }
    }
    own = v->sample_sizes[mine] > 1 ? sums[mine] / (v->sample_sizes[mine] - 1) : NAN;
    v->silhouettes[i] = isnan(own) || fmax(own, near) == 0 ? 0 : (near - own) / fmax(own, near);
}

static int silhouette(struct evaluation *v, const struct step *s, struct err *e)
{
    size_t clusters = 0;
    double sum = 0;

    if (take_sample(v, s, e) < 0) {
        return -1;
    }
    for (size_t c = 0; c < v->k; c++) {
        clusters += v->sample_sizes[c] > 0;
    }
    v->silhouette = NAN;
    if (clusters < 2) {
        return 0;
    }
    threads_each(s->threads, v->m, one_row, v);
    for (size_t i = 0; i < v->m; i++) {
        sum += v->silhouettes[i];
    }
    v->silhouette = sum / (double)v->m;
    return 0;
}

/* --- the truth -------------------------------------------------------------------------------- */

static double pairs(double n)
{
    return n * (n - 1) / 2;
}

static double entropy(const double *counts, size_t k, double n)
{
    double h = 0;

    for (size_t i = 0; i < k; i++) {
        h -= counts[i] > 0 ? counts[i] / n * log(counts[i] / n) : 0;
    }
    return h;
}

static int compare_truth(struct evaluation *v, struct err *e)
{
    size_t l = v->labels.n;
    SCOPED(big_freep) double *both = big_alloc(v->k * l, sizeof(*both), "the comparison", e);
    SCOPED(big_freep) double *of = both ? big_alloc(l, sizeof(*of), "the comparison", e) : NULL;
    double n = (double)v->t->n_rows, same = 0, a = 0, b = 0, mutual = 0, most = 0, mean;

    if (of == NULL) {
        return -1;
    }
    for (size_t r = 0; r < v->t->n_rows; r++) {
        both[v->of_row[r] * l + v->truth[r]]++;
        of[v->truth[r]]++;
    }
    for (size_t c = 0; c < v->k; c++) {
        double largest = 0;

        for (size_t i = 0; i < l; i++) {
            double x = both[c * l + i];

            same += pairs(x);
            largest = fmax(largest, x);
            mutual += x > 0 ? x / n * log(x * n / (v->sizes[c] * of[i])) : 0;
        }
        a += pairs(v->sizes[c]);
        most += largest;
    }
    for (size_t i = 0; i < l; i++) {
        b += pairs(of[i]);
    }
    mean = n > 1 ? a * b / pairs(n) : 0;
    v->ari = (a + b) / 2 == mean ? 1 : (same - mean) / ((a + b) / 2 - mean);
    mean = (entropy(v->sizes, v->k, n) + entropy(of, l, n)) / 2;
    v->nmi = v->k == 1 && l == 1 ? 1 : mean > 0 ? fmax(mutual, 0) / mean : 0;
    v->purity = most / n;
    return 0;
}

/* --- what comes out --------------------------------------------------------------------------- */

static int put_plot(struct report *r, const struct evaluation *v, struct err *e)
{
    SCOPED(big_freep) uint32_t *of = big_alloc(v->m, sizeof(*of), "the cluster plot", e);

    if (of == NULL) {
        return -1;
    }
    for (size_t i = 0; i < v->m; i++) {
        of[i] = v->of_row[v->sample[i]];
    }
    return cluster_plot(r,
                        &(struct cluster_plot){v->x, v->m, v->d,
                                               (const char *const *)v->features.names, of,
                                               (const char *const *)v->clusters.names, v->k},
                        e);
}

static int put_report(struct step *s, const struct evaluation *v, struct err *e)
{
    const struct metric m[] = {{"silhouette", v->silhouette},
                               {"davies_bouldin", v->davies_bouldin},
                               {"calinski_harabasz", v->calinski_harabasz},
                               {"inertia", v->inertia},
                               {"clusters", (double)v->k},
                               {"silhouette_rows", (double)v->m},
                               {"ari", v->ari},
                               {"nmi", v->nmi},
                               {"purity", v->purity}};
    size_t n = v->truth ? ARRAY_LEN(m) : ARRAY_LEN(m) - 3;
    struct report r;

    judging_begin(&r, "clustering", s, v->t->n_rows);
    report_metrics(&r, m, n);
    report_charts(&r);
    if (put_plot(&r, v, e) < 0) {
        report_done(&r);
        return -1;
    }
    if (v->k <= CHART_CLASSES) {
        report_bars(&r, &(struct chart){"bars", "Clusters", "cluster", "rows"},
                    (const char *const *)v->clusters.names, v->sizes, v->k);
    }
    report_tables(&r);
    report_table(&r, "Clusters", "cluster|rows");
    for (size_t c = 0; c < v->k; c++) {
        report_row(&r);
        report_text(&r, v->clusters.names[c]);
        report_number(&r, v->sizes[c]);
        report_row_end(&r);
    }
    report_table_end(&r);
    if (judging_end(&r, s, m, n, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%.*s %zu clusters, silhouette %.4f of %zu rows",
                 STR_ARG(step_text(s, "name")), v->k, v->silhouette, v->m);
    return 0;
}

/* What predict calls the column, or what a module that groups does. */
static struct str cluster_name(const struct step *s, const struct table *t)
{
    struct str given = step_text(s, "cluster_col"), usual = STR("prediction"),
               other = STR("cluster");

    return given.len > 0                                       ? given
           : table_column(t, usual) || !table_column(t, other) ? usual
                                                               : other;
}

static int take_classes(const struct table *t, struct str name, const char *param,
                        struct classes *c, uint32_t **of_row, struct err *e)
{
    const struct column *col = table_need(t, name, e);

    if (col == NULL || classes_of(col, t->n_rows, c, of_row, e) < 0) {
        return err_wrap(e, "%s", param);
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        if ((*of_row)[r] == CLASS_MISSING) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is missing", col->name,
                           r + 1);
        }
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str cluster = cluster_name(s, t), label = step_text(s, "label_col");
    const char *never[] = {cluster.p, label.p};
    bool labelled = label.len > 0;
    SCOPED(evaluation_done) struct evaluation v = {.t = t};

    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (take_classes(t, cluster, "cluster_col", &v.clusters, &v.of_row, e) < 0 ||
        (labelled && take_classes(t, label, "label_col", &v.labels, &v.truth, e) < 0) ||
        features_learn(&v.features, t, step_text(s, "feature_cols"), never, ARRAY_LEN(never),
                       FEATURES_NUMBERS, FEATURES_ERROR, e) < 0 ||
        features_bind(&v.features, t, FEATURES_F64, &v.bound, e) < 0) {
        return -1;
    }
    v.d = v.features.n;
    v.k = v.clusters.n;
    if (by_centres(&v, e) < 0 || silhouette(&v, s, e) < 0 ||
        (labelled && compare_truth(&v, e) < 0)) {
        return -1;
    }
    return put_report(s, &v, e);
}

static void check(struct check *c)
{
    const struct table *t = check_table(c, "table");
    struct str cluster = t ? cluster_name(&c->step, t) : STR("prediction");
    const char *never[] = {cluster.p, step_text(&c->step, "label_col").p};
    struct err e = {0};
    size_t n;

    if (step_text(&c->step, "cluster_col").len > 0) {
        (void)check_column(c, "table", "cluster_col", CHECK_ANY);
    } else if (t && !check_open(c, "table") && table_need(t, cluster, &e) == NULL) {
        check_mistake(c, "table", "cluster_col", NULL, "%s", e.msg);
    }
    (void)check_column(c, "table", "label_col", CHECK_ANY);
    free(check_columns(c, "table", "feature_cols", CHECK_NUMBERS, never, ARRAY_LEN(never),
                       "one_hot", &n));
    check_out_report(c, "report");
}

const struct module module_evaluate_clustering = {
    .name = "evaluate_clustering",
    .title = "Evaluate clusters",
    .description = "How compact and separate clusters are (silhouette, Davies-Bouldin, "
                   "Calinski-Harabasz), and how much they agree with a label (adjusted Rand, "
                   "mutual information, purity).",
    .category = "evaluation",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+16*cells+32*rows+64Mi",
    .run = run,
    .check = check,
};
