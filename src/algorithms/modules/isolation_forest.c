/* isolation_forest - rows that few random questions set apart (Liu, Ting, Zhou 2008).
 *
 *   score = 2 ^ (-(mean depth of the row's leaves) / (mean depth in a random tree of as many rows))
 *
 * A leaf that still holds n rows counts as deep as a random tree of n rows would go on. Trees see
 * some hundred rows only, so they grow on one thread; scoring uses all. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/sort.h"
#include "algorithms/kernel/trees.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/training.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model: docs/formats/model.md --------------------------------------------------------- */

struct isolation {
    struct trees trees; /* outputs: depth */
    double usual;       /* depth in a random tree */
    double limit;       /* a larger score is an anomaly */
};

static void isolation_free(void *body)
{
    struct isolation *f = body;

    trees_done(&f->trees);
    free(f);
}

static void isolation_predict(const struct model *m, const double *const *columns, size_t first,
                              size_t n, void *scratch, double *out)
{
    const struct isolation *f = m->body;
    uint32_t leaves[TREES_SLICE];

    (void)scratch;
    memset(out, 0, 2 * n * sizeof(*out));
    for (size_t t = 0; t < f->trees.n_trees; t++) {
        trees_walk(&f->trees, t, columns, /* rows */ NULL, first, n, leaves);
        for (size_t i = 0; i < n; i++) {
            out[2 * i] += f->trees.nodes[leaves[i]].value;
        }
    }
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = exp2(-out[2 * i] / ((double)f->trees.n_trees * f->usual));
        out[2 * i + 1] = out[2 * i] > f->limit;
    }
}

static void isolation_write(const struct model *m, struct binw *w)
{
    const struct isolation *f = m->body;

    binw_f64(w, f->usual);
    binw_f64(w, f->limit);
    trees_write(&f->trees, w);
}

static int isolation_read(struct model *m, struct binr *r, struct err *e)
{
    struct isolation *f = m->body = xnew(struct isolation);

    f->usual = binr_f64(r);
    f->limit = binr_f64(r);
    if (m->task != TASK_ANOMALY || !(f->usual > 0) || !isfinite(f->usual) || !isfinite(f->limit)) {
        return err_set(e, ERR_DATA, "damaged: an isolation forest without a usual depth");
    }
    if (trees_read(r, &f->trees, &m->features, /* width */ 1, e) < 0) {
        return -1;
    }
    return f->trees.n_trees > 0 ? 0 : err_set(e, ERR_DATA, "damaged: a forest without trees");
}

static void isolation_describe(const struct model *m, struct jw *w)
{
    const struct isolation *f = m->body;

    jw_key(w, "figures");
    jw_object(w);
    jw_kv_i64(w, "trees", (int64_t)f->trees.n_trees);
    jw_key(w, "limit");
    jw_double(w, f->limit);
    jw_end(w);
}

const struct model_type model_isolation_forest = {
    .kind = 14,
    .module = "isolation_forest",
    .range = FEATURES_F64,
    .predict = isolation_predict,
    .write = isolation_write,
    .read = isolation_read,
    .free = isolation_free,
    .describe = isolation_describe,
};

static const struct training_wants wants = {.type = &model_isolation_forest,
                                            .task = TASK_ANOMALY,
                                            .kinds = FEATURES_NUMBERS,
                                            .missing_kept = true};

/* --- training --------------------------------------------------------------------------------- */

static const struct port inputs[] = {{"train", VALUE_TABLE, 0, "Rows, most of them usual."}, {0}};
static const struct port outputs[] = {
    {"model", VALUE_MODEL, 0, "For predict, which says score and whether it is an anomaly."}, {0}};
static const struct param params[] = {
    TRAINING_FEATURES("@numeric"),
    {"num_trees", PARAM_INT, "100", 1, 100000, NULL, "How many trees."},
    {"subsample", PARAM_INT, "256", 2, 1e9, NULL,
     "Rows that each tree sees; all when there are "
     "fewer."},
    {"contamination", PARAM_REAL, "0", 0, 0.5, NULL,
     "Share of the training rows that count as anomalies; 0: those with a score above 0.5."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992.0, NULL, "Start of everything random."},
    {0},
};

struct open {
    uint32_t node;
    unsigned depth;
    size_t first, n;
};

struct fit {
    struct step *s;
    struct training *t;
    struct isolation *f;
    size_t n, size; /* rows of the table, of a tree */
    unsigned max_depth;
    uint32_t *rows, *scratch; /* [size] */
    unsigned char *drawn;     /* [n] */
    uint32_t *features;
    struct open *open; /* [size]: the leaves of a binary tree with as many */
    size_t n_open;
};

/* Mean depth of an unsuccessful search in a random tree of n values. */
static double usual_depth(size_t n)
{
    static const double euler = 0.57721566490153286;
    double m = (double)n;

    return n < 2 ? 0 : n == 2 ? 1 : 2 * (log(m - 1) + euler) - 2 * (m - 1) / m;
}

/* Different rows (Floyd 1987). */
static void draw_rows(struct fit *f, struct rng *rng)
{
    for (size_t i = 0; i < f->size; i++) {
        size_t last = f->n - f->size + i, r = rng_below(rng, last + 1);

        r = f->drawn[r] ? last : r;
        f->drawn[r] = 1;
        f->rows[i] = (uint32_t)r;
    }
    for (size_t i = 0; i < f->size; i++) {
        f->drawn[f->rows[i]] = 0;
    }
}

static bool range_of(const struct fit *f, uint32_t feature, const struct open *o, double *low,
                     double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = o->first; i < o->first + o->n; i++) {
        double v = f->t->columns[feature][f->rows[i]];

        *low = v < *low ? v : *low;
        *high = v > *high ? v : *high;
    }
    return *low < *high;
}

/* One of the features that are not constant here; false: all are. */
static bool choose(struct fit *f, const struct open *o, struct rng *rng, uint32_t *feature,
                   double *value)
{
    size_t d = f->t->model->features.n;
    double low, high;

    for (size_t i = 0; i < d; i++) {
        size_t k = i + rng_below(rng, d - i);
        uint32_t t = f->features[i];

        *feature = f->features[i] = f->features[k];
        f->features[k] = t;
        if (range_of(f, *feature, o, &low, &high)) {
            *value = low + rng_unit(rng) * (high - low);
            *value = isfinite(*value) && *value < high ? *value : low;
            return true;
        }
    }
    return false;
}

/* How many go left; `missing_left`: what is missing, too. */
static size_t divide(struct fit *f, const struct open *o, uint32_t feature, double value,
                     bool missing_left)
{
    uint32_t *rows = f->rows + o->first;
    size_t l = 0, rest = 0;

    for (size_t i = 0; i < o->n; i++) {
        double v = f->t->columns[feature][rows[i]];
        uint32_t r = rows[i];

        if (v <= value || (missing_left && isnan(v))) {
            rows[l++] = r;
        } else {
            f->scratch[rest++] = r;
        }
    }
    memcpy(rows + l, f->scratch, rest * sizeof(*rows));
    return l;
}

static int split(struct fit *f, const struct open *o, struct rng *rng, struct err *e)
{
    struct trees *t = &f->f->trees;
    uint32_t feature, child;
    double value;
    bool missing_left;
    size_t l;

    if (o->n < 2 || o->depth >= f->max_depth || !choose(f, o, rng, &feature, &value)) {
        t->nodes[o->node].value = o->depth + usual_depth(o->n);
        return 0;
    }
    missing_left = rng_u64(rng) >> 63;
    l = divide(f, o, feature, value, missing_left);
    if (trees_split(t, o->node, feature | (missing_left ? TREE_MISSING_LEFT : 0), value, NULL, e) <
        0) {
        return -1;
    }
    child = t->nodes[o->node].child;
    f->open[f->n_open++] = (struct open){child + 1, o->depth + 1, o->first + l, o->n - l};
    f->open[f->n_open++] = (struct open){child, o->depth + 1, o->first, l};
    return 0;
}

static int grow(struct fit *f, size_t tree, struct err *e)
{
    struct rng rng;
    uint32_t root;

    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), tree + 1);
    draw_rows(f, &rng);
    if (trees_add_root(&f->f->trees, &root, e) < 0) {
        return -1;
    }
    f->open[0] = (struct open){root, 0, 0, f->size};
    f->n_open = 1;
    while (f->n_open > 0) {
        struct open o = f->open[--f->n_open];

        if (split(f, &o, &rng, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int make_room(struct fit *f, struct err *e)
{
    static const char what[] = "the rows of a tree";

    f->rows = big_alloc(f->size, sizeof(*f->rows), what, e);
    f->scratch = f->rows ? big_alloc(f->size, sizeof(*f->scratch), what, e) : NULL;
    f->open = f->scratch ? big_alloc(f->size + 2, sizeof(*f->open), what, e) : NULL;
    f->drawn = f->open ? big_alloc(f->n, 1, what, e) : NULL;
    f->features = xnew_array(uint32_t, f->t->model->features.n);
    for (size_t j = 0; j < f->t->model->features.n; j++) {
        f->features[j] = (uint32_t)j;
    }
    return f->drawn ? trees_init(&f->f->trees, f->t->model->features.n, 1, NULL, NULL, e) : -1;
}

static void fit_done(struct fit *f)
{
    big_free(f->rows);
    big_free(f->scratch);
    big_free(f->open);
    big_free(f->drawn);
    free(f->features);
}

/* The score above which that share of the training rows lies (numpy's percentile of the others). */
static int learn_limit(struct fit *f, double share, struct err *e)
{
    SCOPED(big_freep) double *p = model_predict(f->t->model, f->t->table, f->s->threads, e);
    SCOPED(big_freep) uint64_t *scratch = NULL;
    double at = (1 - share) * (double)(f->n - 1), part = at - floor(at);
    size_t low = (size_t)at, high = low + 1 < f->n ? low + 1 : low;

    scratch = p ? big_alloc(f->n, 2 * sizeof(*scratch), "the scores in order", e) : NULL;
    if (scratch == NULL) {
        return -1;
    }
    for (size_t i = 0; i < f->n; i++) {
        p[i] = p[2 * i];
    }
    sort_f64(p, scratch, f->n);
    f->f->limit = p[low] + part * (p[high] - p[low]);
    return 0;
}

static int fit(struct fit *f, struct err *e)
{
    size_t trees = (size_t)step_int(f->s, "num_trees");
    double share = step_real(f->s, "contamination");

    if (make_room(f, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < trees; i++) {
        struct metric m = {"trees", (double)(i + 1)};

        if (grow(f, i, e) < 0) {
            return -1;
        }
        progress_update(f->s->progress, (double)(i + 1) / (double)trees, &m, 1, "tree %zu of %zu",
                        i + 1, trees);
    }
    f->f->usual = usual_depth(f->size);
    f->f->limit = 0.5;
    return share > 0 ? learn_limit(f, share, e) : 0;
}

static int run(struct step *s, struct err *e)
{
    struct training t;
    struct fit f = {.s = s, .t = &t};
    int rc;

    if (training_init(&t, s, &wants, e) < 0) {
        return -1;
    }
    f.n = t.table->n_rows;
    f.size = (size_t)step_int(s, "subsample") < f.n ? (size_t)step_int(s, "subsample") : f.n;
    f.max_depth = (unsigned)ceil(log2((double)(f.size > 2 ? f.size : 2)));
    f.f = t.model->body = xnew(struct isolation);
    rc = f.n < 2 ? err_set(e, ERR_DATA,
                           "one row alone is neither usual nor strange: at least two "
                           "are needed")
                 : fit(&f, e);
    if (rc == 0) {
        progress_say(s->progress, "%zu trees of %zu rows: anomalies score above %.4f",
                     f.f->trees.n_trees, f.size, f.f->limit);
        step_out_model(s, "model", TAKE(t.model));
    }
    fit_done(&f);
    training_done(&t);
    return rc;
}

static void check(struct check *c)
{
    training_check(c, &wants);
}

const struct module module_isolation_forest = {
    .name = "isolation_forest",
    .title = "Isolation forest",
    .description = "Finds rows unlike the others, without labels: few random questions set them "
                   "apart. predict says a score from 0 to 1 and 1 for an anomaly.",
    .category = "anomaly",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+8*cells+24*rows+64*num_trees*subsample+64Mi",
    .run = run,
    .check = check,
};
