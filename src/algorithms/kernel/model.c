#include "algorithms/kernel/model.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/transform.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

const char *model_task_name(enum model_task task)
{
    static const char *const names[] = {"none",       "classification", "regression",
                                        "clustering", "anomaly",        "other"};

    return names[task];
}

struct model *model_new(const struct model_type *type, enum model_task task, const char *label)
{
    struct model *m = xnew(struct model);

    m->type = type;
    m->task = task;
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
    if (m->body) {
        m->type->free(m->body);
    }
    free(m);
}

size_t model_width(const struct model *m)
{
    return m->task == TASK_CLASSES ? m->classes.n : m->task == TASK_NUMBER ? 1 : 2;
}

void model_note_transforms(struct model *m, const struct table *t)
{
    m->transforms = xnew_array(struct transform *, t->n_applied + 1);
    for (; m->n_transforms < t->n_applied; m->n_transforms++) {
        m->transforms[m->n_transforms] = transform_ref(t->applied[m->n_transforms]);
    }
}

/* One slice of rows at a time, each with scratch of its worker. */
struct prediction {
    const struct model *m;
    const double *const *columns;
    size_t n_rows, width;
    double *out;
    void **scratch; /* per worker */
};

static void predict_slice(void *ctx, size_t task, unsigned worker)
{
    struct prediction *j = ctx;
    size_t first = task * MODEL_SLICE_ROWS, left = j->n_rows - first;

    j->m->type->predict(j->m, j->columns, first, left < MODEL_SLICE_ROWS ? left : MODEL_SLICE_ROWS,
                        j->scratch[worker], j->out + first * j->width);
}

static int take_scratch(struct prediction *j, unsigned workers, struct err *e)
{
    j->scratch = xnew_array(void *, workers);
    for (unsigned i = 0; j->m->type->scratch && i < workers; i++) {
        j->scratch[i] = j->m->type->scratch(j->m, e);
        if (j->scratch[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static void drop_scratch(struct prediction *j, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        if (j->scratch[i]) {
            j->m->type->scratch_free(j->scratch[i]);
        }
    }
    free(j->scratch);
}

/* Values near the end of their range can overflow on the way through a model. */
static int check_finite(const double *out, size_t n_rows, size_t width, struct err *e)
{
    for (size_t i = 0; i < n_rows * width; i++) {
        if (!isfinite(out[i])) {
            return err_set(e, ERR_DATA, "row %zu: its values are too large for this model",
                           i / width + 1);
        }
    }
    return 0;
}

double *model_predict(const struct model *m, const struct table *t, struct threads *threads,
                      struct err *e)
{
    SCOPED(bound_done) struct bound b = {0};
    SCOPED(big_freep) double *out = NULL;
    struct prediction j = {.m = m, .n_rows = t->n_rows, .width = model_width(m)};
    unsigned workers = threads_count(threads);
    int rc;

    assert(m->type->predict);
    if (features_bind(&m->features, t, m->type->range, &b, e) < 0) {
        return NULL;
    }
    j.columns = b.columns;
    out = j.out = big_alloc(t->n_rows * j.width, sizeof(*out), "the predictions", e);
    if (out == NULL) {
        return NULL;
    }
    rc = take_scratch(&j, workers, e);
    if (rc == 0) {
        threads_each(threads, (t->n_rows + MODEL_SLICE_ROWS - 1) / MODEL_SLICE_ROWS, predict_slice,
                     &j);
    }
    drop_scratch(&j, workers);
    return rc == 0 && check_finite(out, t->n_rows, j.width, e) == 0 ? TAKE(out) : NULL;
}

void model_write(const struct model *m, struct binw *w)
{
    binw_u32(w, m->type->kind);
    binw_u32(w, m->task);
    binw_str(w, str_of(m->label));
    if (m->task == TASK_CLASSES) {
        classes_write(&m->classes, w);
    }
    features_write(&m->features, w);
    transform_write_list(m->transforms, m->n_transforms, w);
    m->type->write(m, w);
}

int model_save(const struct model *m, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open(path, BINARY_MODEL, e);

    if (w == NULL) {
        return -1;
    }
    model_write(m, w);
    return binw_commit(w, e);
}

static const struct model_type *type_of(uint32_t kind)
{
    for (const struct model_type *const *t = model_types; *t; t++) {
        if ((*t)->kind == kind) {
            return *t;
        }
    }
    return NULL;
}

/* Version 1 knew classes only. */
static int read_head(struct model *m, struct binr *r, struct err *e)
{
    uint32_t kind = binr_u32(r), task = r->version == 1 ? TASK_CLASSES : binr_u32(r);
    struct str label = binr_str(r);

    m->type = type_of(kind);
    if (r->bad || m->type == NULL) {
        return err_set(e, ERR_DATA, "model kind %u is not known to this version", kind);
    }
    m->task = (enum model_task)task;
    if (task < TASK_CLASSES || task > TASK_OTHER ||
        (m->type->predict == NULL) != (task == TASK_OTHER)) {
        return err_set(e, ERR_DATA, "damaged: a model for task %u", task);
    }
    if (label.len > ML_LIMIT_NAME_BYTES || str_find_char(label, '\0') >= 0 ||
        (label.len == 0 && task <= TASK_NUMBER)) {
        return err_set(e, ERR_DATA, "damaged: the label has no name");
    }
    m->label = str_dup(label);
    return 0;
}

static int check_features(const struct model *m, struct err *e)
{
    return m->features.n > 0 || m->task == TASK_OTHER
               ? 0
               : err_set(e, ERR_DATA, "damaged: no features");
}

struct model *model_read(struct binr *r, struct err *e)
{
    SCOPED(model_freep) struct model *m = xnew(struct model);

    if (read_head(m, r, e) < 0 ||
        (m->task == TASK_CLASSES && classes_read(r, &m->classes, e) < 0) ||
        features_read(r, &m->features, e) < 0 || check_features(m, e) < 0 ||
        transform_read_list(r, &m->transforms, &m->n_transforms, e) < 0 ||
        m->type->read(m, r, e) < 0) {
        return NULL;
    }
    return binr_end(r, e) == 0 ? TAKE(m) : NULL;
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
