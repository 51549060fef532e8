/* model - what training makes and predict reads: label and classes, features in order, the
 * transforms it was trained behind, and the parameters of one kind of model.
 * On disk: docs/formats/model.md. Immutable once made; owned by one value. */
#pragma once
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/linear.h"
#include "algorithms/kernel/net.h"
#include "algorithms/kernel/threads.h"

enum model_kind { MODEL_LINEAR = 1, MODEL_NET = 2 };

struct model {
    enum model_kind kind;
    char *label;
    struct classes classes;
    struct features features;
    struct transform **transforms; /* owned */
    size_t n_transforms;
    struct linear linear; /* MODEL_LINEAR */
    struct net net;       /* MODEL_NET */
};

struct model *model_new(enum model_kind kind, const char *label) MUST_USE;
void model_free(struct model *m);
DEFINE_SCOPED(struct model, model_free)
const char *model_kind_name(enum model_kind kind); /* the module that makes it */

/* Copies the transforms that were applied to the training table. */
int model_note_transforms(struct model *m, const struct table *t, struct err *e) MUST_USE;
/* Probabilities [row][class] for every row of a table that has been through m->transforms. Big
 * memory. ERR_DATA names missing columns and values. */
double *model_predict(const struct model *m, const struct table *t, struct threads *threads,
                      struct err *e) MUST_USE;

int model_save(const struct model *m, const char *path, struct err *e) MUST_USE;
struct model *model_load(const char *path, struct err *e) MUST_USE;
struct model *model_read(struct binr *r, struct err *e) MUST_USE;
