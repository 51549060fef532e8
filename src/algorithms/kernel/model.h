/* model - what training makes and predict reads: what it predicts, features in order, the
 * transforms it was trained behind, and the parameters of one kind of model.
 *
 * Each kind is one row of functions in the file of the module that trains it; modules/modules.c
 * lists them. On disk: docs/formats/model.md. Immutable once made; owned by one value. */
#pragma once
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/threads.h"
#include "base/json.h"

/* What a row of model_predict() holds. */
enum model_task {
    TASK_CLASSES = 1, /* a probability per class */
    TASK_NUMBER,      /* one number */
    TASK_CLUSTERS,    /* number of the cluster (from 0), distance to its centre */
    TASK_ANOMALY,     /* score (larger is stranger), 1 when it counts as an anomaly */
    TASK_OTHER,       /* not for predict: forecasts and recommenders have modules of their own */
};
const char *model_task_name(enum model_task task); /* "classification", "regression", ... */

struct model;

enum { MODEL_SLICE_ROWS = 256 };

struct model_type {
    uint32_t kind;      /* in files; a number is never given twice */
    const char *module; /* that trains it */
    enum features_range range;
    /* Scratch of one thread for slices of MODEL_SLICE_ROWS rows; NULL functions: none is needed. */
    void *(*scratch)(const struct model *m, struct err *e);
    void (*scratch_free)(void *scratch);
    /* out[row][model_width(m)] for rows first .. first + n - 1, n <= MODEL_SLICE_ROWS. Any thread.
     * NULL for TASK_OTHER. */
    void (*predict)(const struct model *m, const double *const *columns, size_t first, size_t n,
                    void *scratch, double *out);
    /* The body. read() gets a model whose other fields are read already, and hostile bytes. */
    void (*write)(const struct model *m, struct binw *w);
    int (*read)(struct model *m, struct binr *r, struct err *e);
    void (*free)(void *body);
    /* Keys of the preview: "importance", "tree", "figures" (docs/formats/preview.md); or NULL. */
    void (*describe)(const struct model *m, struct jw *w);
};

extern const struct model_type *const model_types[]; /* ends with NULL */

struct model {
    const struct model_type *type;
    enum model_task task;
    char *label;            /* "" when nothing was told: clusters, anomalies */
    struct classes classes; /* TASK_CLASSES */
    struct features features;
    struct transform **transforms; /* references */
    size_t n_transforms;
    void *body;
};

struct model *model_new(const struct model_type *type, enum model_task task,
                        const char *label) MUST_USE;
void model_free(struct model *m);
DEFINE_SCOPED(struct model, model_free)
size_t model_width(const struct model *m);

/* Takes references to the transforms that were applied to the training table. */
void model_note_transforms(struct model *m, const struct table *t);
/* Numbers [row][model_width(m)] for every row of a table that has been through m->transforms. Big
 * memory. ERR_DATA names missing columns and values. */
double *model_predict(const struct model *m, const struct table *t, struct threads *threads,
                      struct err *e) MUST_USE;

void model_write(const struct model *m, struct binw *w);
int model_save(const struct model *m, const char *path, struct err *e) MUST_USE;
struct model *model_load(const char *path, struct err *e) MUST_USE;
struct model *model_read(struct binr *r, struct err *e) MUST_USE;
