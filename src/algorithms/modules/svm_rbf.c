/* svm_rbf - support vectors with the kernel exp(-gamma |x - y|^2): each class against each other,
 * and every pair votes. A pair of classes is one task. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/simd.h"
#include "algorithms/kernel/smo.h"
#include "algorithms/kernel/standard.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

/* f(a,b) > 0: class a. Support vectors lie class by class; each has a weight for each other class.
 */
struct rbf {
    double gamma;
    size_t d, k, pairs, n;
    double *shift, *factor; /* of features */
    uint32_t *first;        /* [class]: its support vectors begin there; then n */
    double *rho;            /* [pair]: 0-1, 0-2, ..., 1-2, ... */
    double *rows;           /* [vector][feature], less shift, times factor; big memory */
    double *squares;        /* [vector] |x|^2 */
    double *weights;        /* [vector][k - 1] */
};

static void rbf_free(void *body)
{
    struct rbf *b = body;

    big_free(b->shift);
    big_free(b->factor);
    big_free(b->first);
    big_free(b->rho);
    big_free(b->rows);
    big_free(b->squares);
    big_free(b->weights);
    free(b);
}

/* Room for n vectors. */
static int rbf_vectors(struct rbf *b, size_t n, struct err *e)
{
    b->n = n;
    if (n * (b->d + b->k) > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA,
                       "%zu support vectors x %zu features are more than the %llu numbers of a "
                       "model: take a sample, or svm_linear",
                       n, b->d, ML_LIMIT_PARAMETERS);
    }
    b->rows = big_alloc(n * b->d, sizeof(double), "the support vectors", e);
    b->squares = b->rows ? big_alloc(n, sizeof(double), "the support vectors", e) : NULL;
    b->weights =
        b->squares ? big_alloc(n * (b->k - 1), sizeof(double), "the support vectors", e) : NULL;
    return b->weights ? 0 : -1;
}

static int rbf_init(struct rbf *b, const struct model *m, struct err *e)
{
    b->d = m->features.n;
    b->k = m->classes.n;
    b->pairs = b->k * (b->k - 1) / 2;
    b->shift = big_alloc(b->d, sizeof(double), "the model", e);
    b->factor = b->shift ? big_alloc(b->d, sizeof(double), "the model", e) : NULL;
    b->first = b->factor ? big_alloc(b->k + 1, sizeof(uint32_t), "the model", e) : NULL;
    b->rho = b->first ? big_alloc(b->pairs, sizeof(double), "the model", e) : NULL;
    return b->rho ? 0 : -1;
}

static void find_squares(struct rbf *b)
{
    for (size_t i = 0; i < b->n; i++) {
        b->squares[i] = simd_get()->dot_f64(b->d, b->rows + i * b->d, b->rows + i * b->d);
    }
}

enum { GROUP = 32 }; /* rows predicted together */

struct scratch {
    double *x, *kernel, *sums, *rows;
};

static void scratch_free(void *p)
{
    struct scratch *w = p;

    big_free(w->x);
    big_free(w->kernel);
    big_free(w->sums);
    free(w);
}

static void *scratch(const struct model *m, struct err *e)
{
    const struct rbf *b = m->body;
    struct scratch *w = xnew(struct scratch);

    w->x = big_alloc(b->d, MODEL_SLICE_ROWS * sizeof(double), "prediction", e);
    w->kernel = w->x ? big_alloc(b->n, GROUP * sizeof(double), "prediction", e) : NULL;
    w->sums = w->kernel ? big_alloc(b->k * (b->k - 1), sizeof(double), "prediction", e) : NULL;
    if (w->sums == NULL) {
        scratch_free(w);
        return NULL;
    }
    return w;
}

/* kernel[row][vector] of up to GROUP rows. */
static void kernel_of(const struct rbf *b, const double *x, size_t rows, double *kernel)
{
    memset(kernel, 0, rows * b->n * sizeof(*kernel));
    simd_get()->gemm_f64(&(struct gemm_f64){.m = rows,
                                            .n = b->n,
                                            .k = b->d,
                                            .a = x,
                                            .a_row = b->d,
                                            .a_col = 1,
                                            .b = b->rows,
                                            .b_row = 1,
                                            .b_col = b->d,
                                            .c = kernel,
                                            .c_row = b->n});
    for (size_t i = 0; i < rows; i++) {
        double own = simd_get()->dot_f64(b->d, x + i * b->d, x + i * b->d);

        for (size_t j = 0; j < b->n; j++) {
            double far = own + b->squares[j] - 2 * kernel[i * b->n + j];

            kernel[i * b->n + j] = far > 0 ? -b->gamma * far : 0;
        }
    }
    simd_get()->exp_f64(kernel, rows * b->n);
}

static double logistic(double z)
{
    double t = exp(-fabs(z));

    return z >= 0 ? 1 / (1 + t) : t / (1 + t);
}

/* The class with most votes wins; of equals the one whose votes are clearest. */
static void vote(const struct rbf *b, const double *sums, double *out)
{
    double all = 0, sure = 1 / (double)b->k;
    const double *rho = b->rho;

    memset(out, 0, b->k * sizeof(*out));
    for (size_t i = 0; i < b->k; i++) {
        for (size_t j = i + 1; j < b->k; j++) {
            double f = sums[i * (b->k - 1) + j - 1] + sums[j * (b->k - 1) + i] - *rho++;
            double p = logistic(f);

            if (b->k == 2) {
                out[0] = p;
                out[1] = logistic(-f);
                return;
            }
            out[i] += p * sure + (f > 0);
            out[j] += (1 - p) * sure + !(f > 0);
        }
    }
    for (size_t i = 0; i < b->k; i++) {
        all += out[i];
    }
    for (size_t i = 0; i < b->k; i++) {
        out[i] /= all;
    }
}

static void answer(const struct rbf *b, const double *kernel, double *sums, double *out)
{
    memset(sums, 0, b->k * (b->k - 1) * sizeof(*sums));
    for (size_t c = 0; c < b->k; c++) {
        simd_get()->rows_add(b->first[c + 1] - b->first[c], b->k - 1,
                             b->weights + b->first[c] * (b->k - 1), kernel + b->first[c],
                             sums + c * (b->k - 1));
    }
    vote(b, sums, out);
}

static void scale_rows(const struct rbf *b, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < b->d; j++) {
            x[i * b->d + j] = (x[i * b->d + j] - b->shift[j]) * b->factor[j];
        }
    }
}

static void model_rows(const struct model *m, const double *const *columns, size_t first, size_t n,
                       void *p, double *out)
{
    const struct rbf *b = m->body;
    struct scratch *w = p;

    features_gather_f64(&m->features, columns, /* rows */ NULL, first, n, w->x);
    scale_rows(b, n, w->x);
    for (size_t at = 0; at < n; at += GROUP) {
        size_t rows = n - at < GROUP ? n - at : GROUP;

        kernel_of(b, w->x + at * b->d, rows, w->kernel);
        for (size_t i = 0; i < rows; i++) {
            answer(b, w->kernel + i * b->n, w->sums, out + (at + i) * b->k);
        }
    }
}

static void model_body(const struct model *m, struct binw *w)
{
    const struct rbf *b = m->body;

    binw_f64(w, b->gamma);
    binw_f64s(w, b->shift, b->d);
    binw_f64s(w, b->factor, b->d);
    binw_u32s(w, b->first, b->k + 1);
    binw_f64s(w, b->rho, b->pairs);
    binw_f64s(w, b->rows, b->n * b->d);
    binw_f64s(w, b->weights, b->n * (b->k - 1));
}

static int check_numbers(const double *v, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            return err_set(e, ERR_DATA, "damaged: number %zu of the vectors is not finite", i);
        }
    }
    return 0;
}

static int read_vectors(struct rbf *b, struct binr *r, struct err *e)
{
    size_t n = b->first[b->k];

    assert(b->k > 1);
    for (size_t c = 0; c < b->k; c++) {
        if (b->first[0] != 0 || b->first[c] > b->first[c + 1]) {
            return err_set(e, ERR_DATA, "damaged: the support vectors are not in order");
        }
    }
    if (n > r->left / sizeof(double) / (b->d + b->k - 1)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the support vectors");
    }
    if (rbf_vectors(b, n, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->rows, n * b->d);
    binr_f64s(r, b->weights, n * (b->k - 1));
    find_squares(b);
    return check_numbers(b->squares, n, e) < 0 ? -1 : check_numbers(b->weights, n * (b->k - 1), e);
}

static int model_from(struct model *m, struct binr *r, struct err *e)
{
    struct rbf *b = m->body = xnew(struct rbf);
    size_t k = m->classes.n, d = m->features.n;

    b->gamma = binr_f64(r);
    if (r->bad || m->task != TASK_CLASSES || !(b->gamma >= 0) || isinf(b->gamma)) {
        return err_set(e, ERR_DATA, "damaged: a kernel of width %g", b->gamma);
    }
    if (2 * d + k * (k - 1) / 2 > r->left / sizeof(double)) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the support vectors");
    }
    if (rbf_init(b, m, e) < 0) {
        return -1;
    }
    binr_f64s(r, b->shift, d);
    binr_f64s(r, b->factor, d);
    binr_u32s(r, b->first, k + 1);
    binr_f64s(r, b->rho, b->pairs);
    if (check_numbers(b->shift, d, e) < 0 || check_numbers(b->factor, d, e) < 0 ||
        check_numbers(b->rho, b->pairs, e) < 0) {
        return -1;
    }
    return read_vectors(b, r, e);
}

const struct model_type model_svm_rbf = {
    .kind = 24,
    .module = "svm_rbf",
    .range = FEATURES_F64,
    .scratch = scratch,
    .scratch_free = scratch_free,
    .predict = model_rows,
    .write = model_body,
    .read = model_from,
    .free = rbf_free,
};

static const struct training_wants wants = {
    .type = &model_svm_rbf, .task = TASK_CLASSES, .kinds = FEATURES_NUMBERS};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {
    {"train", VALUE_TABLE, 0, "Rows with their labels; scale them first (standard_scaler)."}, {0}};
static const struct port outputs[] = {{"model", VALUE_MODEL, 0, "For predict."}, {0}};
static const struct param params[] = {
    TRAINING_PARAMS,
    {"C", PARAM_REAL, "1", 1e-9, 1e9, NULL, "How much a row on the wrong side costs, at most."},
    {"gamma", PARAM_TEXT, "scale", 0, 0, NULL,
     "How fast likeness falls with distance: a number, scale (1 / (features x variance)) or auto "
     "(1 / features)."},
    {"standardize", PARAM_BOOL, "false", 0, 0, NULL,
     "Scale features to mean 0 and deviation 1 first, so that their units do not matter."},
    {"max_iter", PARAM_INT, "10000000", 1, 9007199254740992, NULL,
     "Most steps for each pair of classes."},
    {"epsilon", PARAM_REAL, "0.001", 1e-12, 1, NULL,
     "Done when no row violates its condition by more."},
    {0},
};

enum { CACHE_BYTES = 128 * MIB }; /* of all workers together */

/* Scratch of one worker that has pairs to solve: the rows of a pair, and what smo needs. */
struct pair {
    const struct rbf *b;
    double *x, *squares, *c, *row;
    int8_t *y;
    uint32_t *of; /* row of the table */
    struct smo smo;
};

struct fit {
    struct training *t;
    struct step *s;
    struct rbf *b;
    size_t n;
    double *x;          /* [row][feature] */
    uint32_t *sorted;   /* rows by class; those that weigh nothing are left out */
    size_t *first;      /* [class] of sorted; then all */
    double *alpha;      /* [row][k - 1] times y */
    struct pair *pairs; /* one for each worker that takes part, in the order in which they come */
    unsigned n_pairs;   /* no more than tasks */
    atomic_uint came;
    unsigned *pair_of;  /* [worker] of pairs, from 1; 0: it has not come yet */
    uint8_t *converged; /* [pair] */
};

static void fit_done(struct fit *f)
{
    for (unsigned i = 0; f->pairs && i < f->n_pairs; i++) {
        struct pair *p = &f->pairs[i];

        big_free(p->x);
        big_free(p->squares);
        big_free(p->c);
        big_free(p->row);
        big_free(p->y);
        big_free(p->of);
        smo_done(&p->smo);
    }
    free(f->pairs);
    free(f->pair_of);
    free(f->first);
    free(f->converged);
    big_free(f->x);
    big_free(f->sorted);
    big_free(f->alpha);
}

static void kernel_row(void *ctx, size_t i, float *to)
{
    struct pair *p = ctx;
    size_t d = p->b->d, n = p->smo.n;

    simd_get()->rows_dot(n, d, p->x, p->x + i * d, p->row);
    for (size_t j = 0; j < n; j++) {
        double far = p->squares[i] + p->squares[j] - 2 * p->row[j];

        p->row[j] = far > 0 ? -p->b->gamma * far : 0;
    }
    simd_get()->exp_f64(p->row, n);
    for (size_t j = 0; j < n; j++) {
        to[j] = (float)p->row[j];
    }
    to[i] = 1;
}

/* The rows of a class to the end of the pair. */
static void gather_class(struct fit *f, struct pair *p, size_t class, int8_t y)
{
    double c = step_real(f->s, "C");
    size_t d = f->b->d;

    for (size_t i = f->first[class]; i < f->first[class + 1]; i++) {
        size_t at = p->smo.n++;
        uint32_t row = f->sorted[i];

        memcpy(p->x + at * d, f->x + row * d, d * sizeof(double));
        p->squares[at] = simd_get()->dot_f64(d, f->x + row * d, f->x + row * d);
        p->c[at] = c * (f->t->weights ? f->t->weights[row] : 1);
        p->y[at] = y;
        p->of[at] = row;
    }
}

static struct pair *scratch_of(struct fit *f, unsigned worker)
{
    if (f->pair_of[worker] == 0) {
        f->pair_of[worker] = atomic_fetch_add(&f->came, 1) + 1;
    }
    return &f->pairs[f->pair_of[worker] - 1];
}

static void solve_pair(void *ctx, size_t task, unsigned worker)
{
    struct fit *f = ctx;
    struct pair *p = scratch_of(f, worker);
    size_t k = f->b->k, a = 0, b = task;

    while (b >= k - 1 - a) { /* the pairs of class a come before those of a + 1 */
        b -= k - 1 - a;
        a++;
    }
    b += a + 1;
    p->smo.n = 0;
    gather_class(f, p, a, 1);
    gather_class(f, p, b, -1);
    p->smo.y = p->y;
    p->smo.c = p->c;
    p->smo.row = kernel_row;
    p->smo.ctx = p;
    p->smo.epsilon = step_real(f->s, "epsilon");
    p->smo.max_iter = (uint64_t)step_int(f->s, "max_iter");
    smo_solve(&p->smo);
    f->converged[task] = p->smo.converged;
    f->b->rho[task] = p->smo.n > 0 ? p->smo.rho : 0;
    for (size_t i = 0; i < p->smo.n; i++) {
        f->alpha[p->of[i] * (k - 1) + (p->y[i] > 0 ? b - 1 : a)] = p->smo.alpha[i] * p->y[i];
    }
    if (worker == 0) {
        progress_update(f->s->progress, (double)task / (double)f->b->pairs, NULL, 0,
                        "pair %zu of %zu", task + 1, f->b->pairs);
    }
}

/* Rows by class; the two largest together are the largest pair. */
static int sort_rows(struct fit *f, size_t *largest, struct err *e)
{
    size_t one = 0, two = 0, at = 0;

    f->sorted = big_alloc(f->n, sizeof(uint32_t), "the support vectors", e);
    f->first = xnew_array(size_t, f->b->k + 1);
    if (f->sorted == NULL) {
        return -1;
    }
    for (size_t i = 0; i < f->n; i++) {
        f->first[f->t->classes[i] + 1] += f->t->weights == NULL || f->t->weights[i] > 0;
    }
    for (size_t c = 0; c < f->b->k; c++) {
        size_t n = f->first[c + 1];

        two = n > one ? one : n > two ? n : two;
        one = n > one ? n : one;
        f->first[c + 1] += f->first[c];
    }
    *largest = one + two;
    for (size_t i = 0; i < f->n; i++) {
        uint32_t c = f->t->classes[i];

        if (f->t->weights == NULL || f->t->weights[i] > 0) {
            f->sorted[f->first[c]++] = (uint32_t)i;
        }
    }
    for (size_t c = 0; c <= f->b->k; c++) { /* back from the ends to the beginnings */
        size_t end = c < f->b->k ? f->first[c] : at;

        f->first[c] = at;
        at = end;
    }
    return 0;
}

static int take_memory(struct fit *f, struct err *e)
{
    unsigned workers = threads_count(f->s->threads);
    size_t d = f->b->d, most;

    if (f->n * (f->b->k - 1) > ML_LIMIT_PARAMETERS) {
        return err_set(e, ERR_DATA,
                       "%zu rows x %zu classes are more than %llu numbers: take a sample", f->n,
                       f->b->k, ML_LIMIT_PARAMETERS);
    }
    f->converged = xnew_array(uint8_t, f->b->pairs);
    f->alpha = big_alloc(f->n * (f->b->k - 1), sizeof(double), "the support vectors", e);
    if (f->alpha == NULL || sort_rows(f, &most, e) < 0) {
        return -1;
    }
    f->n_pairs = workers < f->b->pairs ? workers : (unsigned)f->b->pairs;
    f->pair_of = xnew_array(unsigned, workers);
    f->pairs = xnew_array(struct pair, f->n_pairs);
    for (unsigned i = 0; i < f->n_pairs; i++) {
        struct pair *p = &f->pairs[i];

        p->b = f->b;
        p->x = big_alloc(most * d, sizeof(double), "the rows of two classes", e);
        p->squares = p->x ? big_alloc(most, sizeof(double), "the rows of two classes", e) : NULL;
        p->c = p->squares ? big_alloc(most, sizeof(double), "the rows of two classes", e) : NULL;
        p->row = p->c ? big_alloc(most, sizeof(double), "the rows of two classes", e) : NULL;
        p->y = p->row ? big_alloc(most, 1, "the rows of two classes", e) : NULL;
        p->of = p->y ? big_alloc(most, sizeof(uint32_t), "the rows of two classes", e) : NULL;
        if (p->of == NULL || smo_init(&p->smo, most, CACHE_BYTES / f->n_pairs, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Rows with a weight in some pair are the support vectors. */
static bool supports(const struct fit *f, uint32_t row)
{
    for (size_t k = 0; k + 1 < f->b->k; k++) {
        if (f->alpha[row * (f->b->k - 1) + k] != 0) {
            return true;
        }
    }
    return false;
}

static int keep(struct fit *f, struct err *e)
{
    struct rbf *b = f->b;
    size_t n = 0, d = b->d, others = b->k - 1;

    for (size_t i = 0; i < f->first[b->k]; i++) {
        n += supports(f, f->sorted[i]);
    }
    if (rbf_vectors(b, n, e) < 0) {
        return -1;
    }
    n = 0;
    for (size_t c = 0; c < b->k; c++) {
        b->first[c] = (uint32_t)n;
        for (size_t i = f->first[c]; i < f->first[c + 1]; i++) {
            uint32_t row = f->sorted[i];

            if (supports(f, row)) {
                memcpy(b->rows + n * d, f->x + row * d, d * sizeof(double));
                memcpy(b->weights + n * others, f->alpha + row * others, others * sizeof(double));
                n++;
            }
        }
    }
    b->first[b->k] = (uint32_t)n;
    find_squares(b);
    return 0;
}

/* "scale", "auto" or a number. */
static int parse_gamma(const struct step *s, double *out, struct err *e)
{
    struct str text = step_text(s, "gamma");

    *out = str_eq(text, STR("scale")) ? -1 : -2;
    if (*out == -1 || str_eq(text, STR("auto"))) {
        return 0;
    }
    if (number_parse(text, out) < 0 || !(*out > 0) || isinf(*out)) {
        return err_set(e, ERR_INVALID, "parameter gamma: write scale, auto or a number above 0");
    }
    return 0;
}

/* The variance of all numbers of the matrix together, as scikit-learn has it. */
static int find_gamma(struct fit *f, struct err *e)
{
    size_t n = f->n * f->b->d;
    double mean = 0, variance = 0;

    if (parse_gamma(f->s, &f->b->gamma, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        mean += f->x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        variance += (f->x[i] - mean) * (f->x[i] - mean) / (double)n;
    }
    if (!isfinite(variance)) {
        return err_set(e, ERR_DATA, "the values are too large for distances: scale the columns");
    }
    if (f->b->gamma < 0) {
        variance = f->b->gamma == -2 || !(variance > 0) ? 1 : variance;
        f->b->gamma = 1 / ((double)f->b->d * variance);
    }
    return isfinite(f->b->gamma)
               ? 0
               : err_set(e, ERR_DATA, "the features hardly differ: scale them (standard_scaler)");
}

static int fit(struct fit *f, struct err *e)
{
    struct training *t = f->t;
    struct rbf *b = f->b;
    size_t open = 0;

    if (rbf_init(b, t->model, e) < 0) {
        return -1;
    }
    f->x = big_alloc(f->n * b->d, sizeof(double), "the matrix of features", e);
    if (f->x == NULL) {
        return -1;
    }
    features_gather_f64(&t->model->features, t->columns, /* rows */ NULL, 0, f->n, f->x);
    if (step_true(f->s, "standardize")) {
        standardise(f->x, f->n, b->d, t->weights, t->weight_sum, /* centre */ true, b->shift,
                    b->factor);
    }
    for (size_t j = 0; j < b->d; j++) {
        b->factor[j] = b->factor[j] > 0 ? b->factor[j] : 1;
    }
    if (find_gamma(f, e) < 0 || take_memory(f, e) < 0) {
        return -1;
    }
    threads_each(f->s->threads, b->pairs, solve_pair, f);
    if (keep(f, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < b->pairs; i++) {
        open += !f->converged[i];
    }
    progress_say(f->s->progress,
                 "%zu rows, %zu features, %zu classes: %zu support vectors, gamma "
                 "%.6g%s",
                 f->n, b->d, b->k, b->n, b->gamma,
                 open ? ", not converged: scale the features or raise max_iter" : "");
    return 0;
}

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct fit f = {.t = &t, .s = s};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.b = t.model->body = xnew(struct rbf);
    f.n = t.table->n_rows;
    rc = fit(&f, e);
    if (rc == 0) {
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    struct err e = {0};
    double gamma;

    training_check(c, &wants);
    if (parse_gamma(&c->step, &gamma, &e) < 0) {
        check_mistake(c, NULL, "gamma", NULL, "%s", e.msg);
    }
}

const struct module module_svm_rbf = {
    .name = "svm_rbf",
    .title = "Support vectors with RBF kernel (SVM)",
    .description = "Learns two or more classes from numbers, with borders of any shape: every pair "
                   "of classes has support vectors of its own, and votes.",
    .category = "classification",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+24*cells+64*rows+512Mi",
    .run = run,
    .check = check,
};
