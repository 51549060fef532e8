/* dbscan - clusters are where points lie close (Ester, Kriegel, Sander, Xu 1996).
 *
 *   core:  its neighbourhood weighs at least min_points      threads, a slice of the tree a task
 *   then:  from each core in the order of rows, all that its neighbourhoods reach     one thread
 *
 * A point is given to a cluster once, and parts of the tree without points left are passed over,
 * so reaching costs little whatever the density. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/kdtree.h"
#include "algorithms/kernel/numbering.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to group."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows with the number of their cluster behind them; -1: noise."},
    {0}};
static const struct param params[] = {
    {"feature_cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "Columns that are coordinates: names, @numeric, @all, -name to leave one out."},
    {"epsilon", PARAM_REAL, "0.5", 0, 1e300, NULL, "Rows are neighbours up to this distance."},
    {"min_points", PARAM_INT, "5", 1, 2147483647, NULL,
     "How many neighbours, itself included, make a row a core of a cluster."},
    {"distance", PARAM_CHOICE, "euclid", 0, 0, "euclid|manhattan|cosine",
     "Straight lines, the sum of differences, or 1 - cos of the angle."},
    {"missing", PARAM_CHOICE, "error", 0, 0, "error|mean",
     "A missing value: an error, or the column's mean in its place."},
    {"cluster_col", PARAM_TEXT, "cluster", 0, 0, NULL, "Name of the column for the cluster."},
    {0},
};

enum { SLICE = 256, STACK = 128 /* a tree of 2^31 points is less deep */ };
enum { NOISE = -1, UNSEEN = -2 };

struct search {
    struct kdtree tree;
    double radius;
    size_t min_points;
    unsigned char *core; /* by place in the tree */
    int32_t *cluster;    /* the same */
    uint32_t *left;      /* of each node: points in no cluster */
    uint32_t *queue;
    size_t n_queue;
};

static void search_done(struct search *f)
{
    kdtree_done(&f->tree);
    big_free(f->core);
    big_free(f->cluster);
    big_free(f->left);
    big_free(f->queue);
}

/* Whether at least min_points lie in the radius. */
static bool is_core(const struct search *f, uint32_t place)
{
    const struct kdtree *t = &f->tree;
    const double *p = t->points + place * t->d;
    uint32_t stack[STACK] = {0};
    size_t n = 1, found = 0;

    while (n > 0 && found < f->min_points) {
        uint32_t node = stack[--n];
        const struct kdnode *at = &t->nodes[node];

        if (kdtree_least(t, node, p) > f->radius) {
            continue;
        }
        if (kdtree_most(t, node, p) <= f->radius) {
            found += at->to - at->from;
        } else if (at->first) {
            stack[n++] = at->second;
            stack[n++] = at->first;
        } else {
            for (uint32_t i = at->from; i < at->to; i++) {
                found += kdtree_distance(t, p, t->points + i * t->d) <= f->radius;
            }
        }
    }
    return found >= f->min_points;
}

static void find_cores(void *ctx, size_t task, unsigned worker)
{
    struct search *f = ctx;
    size_t from = task * SLICE, to = from + SLICE < f->tree.n ? from + SLICE : f->tree.n;

    (void)worker;
    for (size_t i = from; i < to; i++) {
        f->core[i] = is_core(f, (uint32_t)i);
    }
}

/* The point joins; if it is a core, its neighbourhood will be looked at. */
static void join(struct search *f, uint32_t leaf, uint32_t place, int32_t cluster)
{
    f->cluster[place] = cluster;
    if (f->core[place]) {
        f->queue[f->n_queue++] = place;
    }
    for (uint32_t node = leaf;; node = f->tree.nodes[node].parent) {
        f->left[node]--;
        if (node == 0) {
            return;
        }
    }
}

static void reach(struct search *f, uint32_t place, int32_t cluster)
{
    const struct kdtree *t = &f->tree;
    const double *p = t->points + place * t->d;
    uint32_t stack[STACK] = {0};
    size_t n = 1;

    while (n > 0) {
        uint32_t node = stack[--n];
        const struct kdnode *at = &t->nodes[node];

        if (f->left[node] == 0 || kdtree_least(t, node, p) > f->radius) {
            continue;
        }
        if (at->first) {
            stack[n++] = at->second;
            stack[n++] = at->first;
            continue;
        }
        for (uint32_t i = at->from; i < at->to; i++) {
            if (f->cluster[i] == UNSEEN &&
                kdtree_distance(t, p, t->points + i * t->d) <= f->radius) {
                join(f, node, i, cluster);
            }
        }
    }
}

static uint32_t leaf_of(const struct kdtree *t, uint32_t place)
{
    uint32_t node = 0;

    while (t->nodes[node].first) {
        node = place < t->nodes[t->nodes[node].first].to ? t->nodes[node].first
                                                         : t->nodes[node].second;
    }
    return node;
}

/* Numbers clusters by their first core's row; returns how many. */
static int32_t find_clusters(struct search *f)
{
    const struct kdtree *t = &f->tree;
    int32_t clusters = 0;

    for (size_t i = 0; i < t->n_nodes; i++) {
        f->left[i] = t->nodes[i].to - t->nodes[i].from;
    }
    for (size_t i = 0; i < t->n; i++) {
        f->cluster[i] = UNSEEN;
    }
    for (size_t row = 0; row < t->n; row++) {
        uint32_t place = t->place[row];

        if (f->cluster[place] != UNSEEN || !f->core[place]) {
            continue;
        }
        f->n_queue = 0;
        join(f, leaf_of(t, place), place, clusters);
        while (f->n_queue > 0) {
            reach(f, f->queue[--f->n_queue], clusters);
        }
        clusters++;
    }
    return clusters;
}

static int to_directions(double *x, size_t n, size_t d, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (size_t j = 0; j < d; j++) {
            sum += x[i * d + j] * x[i * d + j];
        }
        if (!(sum > 0) || isinf(sum)) {
            return err_set(e, ERR_DATA, "row %zu has no direction: take distance=euclid", i + 1);
        }
        for (size_t j = 0; j < d; j++) {
            x[i * d + j] /= sqrt(sum);
        }
    }
    return 0;
}

/* The coordinates by row; big memory. */
static double *coordinates(const struct step *s, const struct table *t, size_t *d, struct err *e)
{
    SCOPED(features_done) struct features f = {0};
    SCOPED(bound_done) struct bound b = {0};
    SCOPED(big_freep) double *x = NULL;
    struct str asked = step_text(s, "feature_cols");
    SCOPED(freep)
    char *left = numbering_leave_out(t, asked, STR_EMPTY, /* never */ NULL, 0, s->progress);

    if (features_learn(&f, t, left ? str_of(left) : asked, /* never */ NULL, 0, FEATURES_NUMBERS,
                       step_choice(s, "missing") == 1 ? FEATURES_MEAN : FEATURES_ERROR, e) < 0 ||
        features_bind(&f, t, FEATURES_F64, &b, e) < 0) {
        return NULL;
    }
    *d = f.n;
    x = big_alloc(t->n_rows * f.n, sizeof(double), "the coordinates", e);
    if (x == NULL) {
        return NULL;
    }
    features_gather_f64(&f, b.columns, /* rows */ NULL, 0, t->n_rows, x);
    if (step_choice(s, "distance") == 2 && to_directions(x, t->n_rows, f.n, e) < 0) {
        return NULL;
    }
    return TAKE(x);
}

static int search_init(struct search *f, const struct step *s, const struct table *t, struct err *e)
{
    double epsilon = step_real(s, "epsilon");
    size_t d = 0;
    SCOPED(big_freep) double *x = coordinates(s, t, &d, e);

    if (x == NULL || kdtree_init(&f->tree, x, t->n_rows, d, e) < 0) {
        return -1;
    }
    f->tree.manhattan = step_choice(s, "distance") == 1;
    /* 1 - cos is half the squared distance of points at length 1 */
    f->radius = step_choice(s, "distance") == 2 ? 2 * epsilon : kdtree_radius(&f->tree, epsilon);
    f->min_points = (size_t)step_int(s, "min_points");
    f->core = big_alloc(t->n_rows, 1, "the cores", e);
    f->cluster = f->core ? big_alloc(t->n_rows, sizeof(*f->cluster), "the clusters", e) : NULL;
    f->left = f->cluster ? big_alloc(f->tree.n_nodes, sizeof(*f->left), "the clusters", e) : NULL;
    f->queue = f->left ? big_alloc(t->n_rows, sizeof(*f->queue), "the clusters", e) : NULL;
    return f->queue ? 0 : -1;
}

static int output(struct step *s, const struct search *f, int32_t clusters, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_copy(step_table(s, "table"), e);
    struct column *c = out ? table_add_numbers(out, step_text(s, "cluster_col"), e) : NULL;
    size_t noise = 0;

    if (c == NULL) {
        return out ? err_wrap(e, "cluster_col") : -1;
    }
    c->as = AS_INT;
    for (size_t i = 0; i < f->tree.n; i++) {
        int32_t cluster = f->cluster[i] == UNSEEN ? NOISE : f->cluster[i];

        c->numbers[f->tree.rows[i]] = cluster;
        noise += cluster == NOISE;
    }
    progress_say(s->progress, "%zu rows: %d clusters, %zu rows of noise", f->tree.n, clusters,
                 noise);
    progress_result(s->progress,
                    (struct metric[]){{"clusters", clusters}, {"noise", (double)noise}}, 2);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(search_done) struct search f = {0};

    if (t->n_rows == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    if (search_init(&f, s, t, e) < 0) {
        return -1;
    }
    threads_each(s->threads, (t->n_rows + SLICE - 1) / SLICE, find_cores, &f);
    return output(s, &f, find_clusters(&f), e);
}

static void check(struct check *c)
{
    size_t n;
    struct table *out = check_copy(c, "table");

    free(check_columns(c, "table", "feature_cols", CHECK_NUMBERS, NULL, 0, "one_hot", &n));
    check_add_as(c, out, "cluster_col", step_text(&c->step, "cluster_col"), AS_INT);
    check_out_table(c, "table", out, check_open(c, "table"));
}

const struct module module_dbscan = {
    .name = "dbscan",
    .title = "DBSCAN",
    .description = "Groups rows that lie close together into clusters of any shape and number; "
                   "rows alone are noise (-1). Scale the columns first when their units differ.",
    .category = "clustering",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "1*input+24*cells+64*rows+64Mi",
    .run = run,
    .check = check,
};
