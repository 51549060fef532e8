#include "algorithms/kernel/model.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/transform.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { SLICE_ROWS = 256 };

struct model *model_new(enum model_kind kind, const char *label)
{
    struct model *m = xnew(struct model);

    m->kind = kind;
    m->label = xstrdup(label);
    return m;
}

void model_free(struct model *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->n_transforms; i++) {
        transform_free(m->transforms[i]);
    }
    free(m->transforms);
    free(m->label);
    classes_done(&m->classes);
    features_done(&m->features);
    linear_done(&m->linear);
    net_done(&m->net);
    free(m);
}

const char *model_kind_name(enum model_kind kind)
{
    return kind == MODEL_LINEAR ? "logistic_regression" : "mlp";
}

int model_note_transforms(struct model *m, const struct table *t, struct err *e)
{
    m->transforms = xnew_array(struct transform *, t->n_applied + 1);
    for (; m->n_transforms < t->n_applied; m->n_transforms++) {
        m->transforms[m->n_transforms] = transform_copy(t->applied[m->n_transforms], e);
        if (m->transforms[m->n_transforms] == NULL) {
            return -1;
        }
    }
    return 0;
}

/* One slice of rows at a time, each with scratch of its worker. */
struct prediction {
    const struct model *m;
    const double *const *columns;
    size_t n_rows;
    double *p;
    struct net_work *nets; /* per worker */
    double *x, *z;         /* per worker: SLICE_ROWS x features, x scores */
};

static void predict_slice(void *ctx, size_t task, unsigned worker)
{
    struct prediction *j = ctx;
    const struct model *m = j->m;
    size_t first = task * SLICE_ROWS, left = j->n_rows - first;
    size_t rows = left < SLICE_ROWS ? left : SLICE_ROWS, k = m->classes.n;
    double *p = j->p + first * k;

    if (m->kind == MODEL_LINEAR) {
        double *x = j->x + worker * SLICE_ROWS * m->features.n;
        double *z = j->z + worker * SLICE_ROWS * m->linear.n_scores;

        features_gather_f64(&m->features, j->columns, /* rows */ NULL, first, rows, x);
        linear_predict(&m->linear, x, rows, z, p);
        return;
    }
    features_gather_f32(&m->features, j->columns, /* rows */ NULL, first, rows,
                        j->nets[worker].a[0]);
    net_forward(&m->net, &j->nets[worker], rows);
    for (size_t i = 0; i < rows * k; i++) {
        p[i] = (double)j->nets[worker].a[m->net.n_layers][i];
    }
}

static int take_scratch(struct prediction *j, unsigned workers, struct err *e)
{
    const struct model *m = j->m;

    if (m->kind == MODEL_LINEAR) {
        j->x = big_alloc(workers * m->features.n, SLICE_ROWS * sizeof(double), "prediction", e);
        j->z = j->x ? big_alloc(workers * m->linear.n_scores, SLICE_ROWS * sizeof(double),
                                "prediction", e)
                    : NULL;
        return j->z ? 0 : -1;
    }
    j->nets = xnew_array(struct net_work, workers);
    for (unsigned i = 0; i < workers; i++) {
        if (net_work_init(&j->nets[i], &m->net, SLICE_ROWS, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void drop_scratch(struct prediction *j, unsigned workers)
{
    for (unsigned i = 0; j->nets && i < workers; i++) {
        net_work_done(&j->nets[i]);
    }
    free(j->nets);
    big_free(j->x);
    big_free(j->z);
}

/* Values near the end of their range can overflow on the way through a model. */
static int check_finite(const double *p, size_t n_rows, size_t n_classes, struct err *e)
{
    for (size_t i = 0; i < n_rows * n_classes; i++) {
        if (!isfinite(p[i])) {
            return err_set(e, ERR_DATA, "row %zu: its values are too large for this model",
                           i / n_classes + 1);
        }
    }
    return 0;
}

double *model_predict(const struct model *m, const struct table *t, struct threads *threads,
                      struct err *e)
{
    enum features_range range = m->kind == MODEL_NET ? FEATURES_F32 : FEATURES_F64;
    SCOPED(freep) const double **columns = features_bind(&m->features, t, range, e);
    SCOPED(big_freep) double *p = NULL;
    struct prediction j = {.m = m, .columns = columns, .n_rows = t->n_rows};
    unsigned workers = threads_count(threads);
    int rc;

    if (columns == NULL) {
        return NULL;
    }
    p = j.p = big_alloc(t->n_rows * m->classes.n, sizeof(*p), "the probabilities", e);
    rc = p ? take_scratch(&j, workers, e) : -1;
    if (rc == 0) {
        threads_each(threads, (t->n_rows + SLICE_ROWS - 1) / SLICE_ROWS, predict_slice, &j);
    }
    drop_scratch(&j, workers);
    return rc == 0 && check_finite(p, t->n_rows, m->classes.n, e) == 0 ? TAKE(p) : NULL;
}

int model_save(const struct model *m, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open(path, BINARY_MODEL, e);

    if (w == NULL) {
        return -1;
    }
    binw_u32(w, m->kind);
    binw_str(w, str_of(m->label));
    classes_write(&m->classes, w);
    features_write(&m->features, w);
    transform_write_list(m->transforms, m->n_transforms, w);
    if (m->kind == MODEL_LINEAR) {
        linear_write(&m->linear, w);
    } else {
        net_write(&m->net, w);
    }
    return binw_commit(w, e);
}

struct model *model_read(struct binr *r, struct err *e)
{
    SCOPED(model_freep) struct model *m = xnew(struct model);
    uint32_t kind = binr_u32(r);
    int rc;

    if (r->bad || (kind != MODEL_LINEAR && kind != MODEL_NET)) {
        err_set(e, ERR_DATA, "model kind %u is not known to this version", kind);
        return NULL;
    }
    m->kind = (enum model_kind)kind;
    m->label = binr_name(r);
    if (m->label == NULL) {
        err_set(e, ERR_DATA, "damaged: the label has no name");
        return NULL;
    }
    if (classes_read(r, &m->classes, e) < 0 || features_read(r, &m->features, e) < 0 ||
        transform_read_list(r, &m->transforms, &m->n_transforms, e) < 0) {
        return NULL;
    }
    rc = m->kind == MODEL_LINEAR ? linear_read(r, &m->linear, m->features.n, m->classes.n, e)
                                 : net_read(r, &m->net, m->features.n, m->classes.n, e);
    return rc == 0 && binr_end(r, e) == 0 ? TAKE(m) : NULL;
}

struct model *model_load(const char *path, struct err *e)
{
    struct binr r = {0};
    struct model *m;

    if (binr_open(&r, path, BINARY_MODEL, e) < 0) {
        return NULL;
    }
    m = model_read(&r, e);
    binr_done(&r);
    if (m == NULL) {
        err_wrap(e, "%s", path);
    }
    return m;
}
