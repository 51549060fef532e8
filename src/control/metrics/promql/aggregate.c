/* aggregate - sum, avg, ... by labels. Those whose groups need only a few numbers take one series
 * after the other; topk, quantile and the like keep all of them. */
#include "promql/eval.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a group holds of a step. */
struct cell {
    double count; /* 0: no series has a value */
    union {
        struct promql_sum sum;
        struct promql_mean mean;
        double value; /* min, max */
        struct {
            double mean, squares;
        } spread;
    };
};

struct group {
    struct labels labels;
    struct cell *cells;
};

struct aggregating {
    struct eval *ev;
    const struct promql_node *node;
    VEC(struct group) groups;
    struct map by_labels;
};

enum { CELL_NUMBERS = sizeof(struct cell) / sizeof(double) };

static struct labels group_labels(const struct eval *ev, const struct promql_node *n,
                                  struct labels s)
{
    return n->without ? eval_without(ev->query->arena, s, &n->grouping)
                      : eval_only(ev->query->arena, s, &n->grouping);
}

/* The number of the group, from 1: that of its labels, or `next` when they are new. */
static size_t group_of(struct map *by_labels, struct labels s, size_t next)
{
    struct buf key =
        BUF_MAX(LIMIT_SERIES_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES));
    struct str k = eval_key(s, &key);
    size_t index = (size_t)(uintptr_t)map_get(by_labels, k);

    if (index == 0 && next > 0) {
        index = next;
        (void)map_put(by_labels, k, (void *)(uintptr_t)index);
    }
    buf_done(&key);
    return index;
}

static void add(enum promql_aggregation a, struct cell *c, double v)
{
    double delta;

    c->count++;
    switch (a) {
    case PROMQL_SUM:
        promql_sum_add(&c->sum, v);
        break;
    case PROMQL_AVG:
        promql_mean_add(&c->mean, v);
        break;
    case PROMQL_MIN:
        c->value = c->count == 1 || v < c->value || isnan(c->value) ? v : c->value;
        break;
    case PROMQL_MAX:
        c->value = c->count == 1 || v > c->value || isnan(c->value) ? v : c->value;
        break;
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
        delta = v - c->spread.mean;
        c->spread.mean += delta / c->count;
        c->spread.squares += delta * (v - c->spread.mean);
        break;
    default:
        break;
    }
}

static double of_cell(enum promql_aggregation a, const struct cell *c)
{
    if (c->count == 0) {
        return tsdb_stale();
    }
    switch (a) {
    case PROMQL_SUM:
        return promql_sum_of(&c->sum);
    case PROMQL_AVG:
        return promql_mean_of(&c->mean);
    case PROMQL_COUNT:
        return c->count;
    case PROMQL_GROUP:
        return 1;
    case PROMQL_STDDEV:
        return sqrt(c->spread.squares / c->count);
    case PROMQL_STDVAR:
        return c->spread.squares / c->count;
    default:
        return c->value;
    }
}

static int add_series(void *ctx, struct labels labels, const double *v, struct err *e)
{
    struct aggregating *g = ctx;
    struct labels s = group_labels(g->ev, g->node, labels);
    size_t index = group_of(&g->by_labels, s, g->groups.len + 1);
    struct cell *cells;

    if (index > g->groups.len) {
        double *room = eval_hold_labels(g->ev, s, e) < 0
                           ? NULL
                           : eval_take(g->ev, g->ev->steps * CELL_NUMBERS, e);

        if (room == NULL) {
            return -1;
        }
        *vec_push(&g->groups) = (struct group){labels_copy(g->ev->query->arena, s), (void *)room};
    }
    cells = g->groups.p[index - 1].cells;
    for (size_t k = 0; k < g->ev->steps; k++) {
        if (!tsdb_is_stale(v[k])) {
            add(g->node->aggregation, &cells[k], v[k]);
        }
    }
    return 0;
}

static int tell_groups(struct aggregating *g, struct eval_sink out, struct err *e)
{
    double *v = eval_take(g->ev, g->ev->steps, e);
    int result = v == NULL ? -1 : 0;

    for (size_t i = 0; result == 0 && i < g->groups.len; i++) {
        for (size_t k = 0; k < g->ev->steps; k++) {
            v[k] = of_cell(g->node->aggregation, &g->groups.p[i].cells[k]);
        }
        result = out.fn(out.ctx, g->groups.p[i].labels, v, e);
    }
    eval_give(g->ev, v, g->ev->steps);
    return result;
}

static int running(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                   struct err *e)
{
    struct aggregating g = {.ev = ev, .node = n};
    int result = eval_vector(ev, n->children[0], (struct eval_sink){add_series, &g}, e);

    result = result < 0 ? -1 : tell_groups(&g, out, e);
    for (size_t i = 0; i < g.groups.len; i++) {
        eval_give(ev, (double *)g.groups.p[i].cells, ev->steps * CELL_NUMBERS);
    }
    vec_done(&g.groups);
    map_done(&g.by_labels);
    return result;
}

/* --- those that need all values of a step --- */

struct ranked {
    double v;
    size_t series;
};

struct choosing {
    struct eval *ev;
    const struct promql_node *node;
    struct eval_table all;
    size_t *group; /* of each series, from 1 */
    size_t n_groups;
    struct labels *labels; /* of each group */
    double *parameter;
};

static void sort_series(struct choosing *c)
{
    struct map by_labels = {0};

    c->group = xnew_array(size_t, c->all.len + 1);
    c->labels = arena_new_array(c->ev->query->arena, struct labels, c->all.len + 1);
    for (size_t i = 0; i < c->all.len; i++) {
        struct labels s = group_labels(c->ev, c->node, c->all.p[i].labels);

        c->group[i] = group_of(&by_labels, s, c->n_groups + 1);
        if (c->group[i] > c->n_groups) {
            c->labels[c->n_groups++] = s;
        }
    }
    map_done(&by_labels);
}

/* Largest first; what is no number last. */
static int larger_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (isnan(x->v) || isnan(y->v)) {
        return isnan(x->v) != isnan(y->v) ? isnan(x->v) - isnan(y->v)
               : x->series < y->series    ? -1
                                          : 1;
    }
    return x->v > y->v ? -1 : x->v < y->v ? 1 : x->series < y->series ? -1 : x->series > y->series;
}

static int smaller_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (isnan(x->v) || isnan(y->v)) {
        return isnan(x->v) != isnan(y->v) ? isnan(x->v) - isnan(y->v)
               : x->series < y->series    ? -1
                                          : 1;
    }
    return x->v < y->v ? -1 : x->v > y->v ? 1 : x->series < y->series ? -1 : x->series > y->series;
}

/* How many of a group stay; -1 with an error for a number that is none. */
static int how_many(double k, size_t *out, struct err *e)
{
    if (isnan(k)) {
        return err_set(e, ERR_INVALID, "Parameter value is NaN");
    }
    if (k > 9.2e18 || k < -9.2e18) {
        char text[NUMBER_TEXT_MAX];

        return err_set(e, ERR_INVALID, "Scalar value %.*s overflows int64",
                       (int)number_short(k, text), text);
    }
    *out = k < 1 ? 0 : (size_t)k;
    return 0;
}

/* Takes away the values of the step that are not among the first k of their group. */
static int choose_step(struct choosing *c, size_t step, struct ranked *room, size_t *taken,
                       struct err *e)
{
    size_t n = 0, k;

    if (how_many(c->parameter[step], &k, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < c->all.len; i++) {
        if (!tsdb_is_stale(c->all.p[i].v[step])) {
            room[n++] = (struct ranked){c->all.p[i].v[step], i};
        }
    }
    qsort(room, n, sizeof(*room),
          c->node->aggregation == PROMQL_TOPK ? larger_first : smaller_first);
    memset(taken, 0, (c->n_groups + 1) * sizeof(size_t));
    for (size_t i = 0; i < n; i++) {
        if (taken[c->group[room[i].series]]++ >= k) {
            c->all.p[room[i].series].v[step] = tsdb_stale();
        }
    }
    return 0;
}

/* One moment is told in the order of the values, group by group. */
static int tell_chosen(struct choosing *c, const struct ranked *order, struct eval_sink out,
                       struct err *e)
{
    for (size_t g = 1; c->ev->steps == 1 && g <= c->n_groups; g++) {
        for (size_t i = 0; i < c->all.len; i++) {
            const struct eval_series *s = &c->all.p[order[i].series];

            if (c->group[order[i].series] == g && !tsdb_is_stale(s->v[0]) &&
                out.fn(out.ctx, s->labels, s->v, e) < 0) {
                return -1;
            }
        }
    }
    for (size_t i = 0; c->ev->steps != 1 && i < c->all.len; i++) {
        bool any = false;

        for (size_t k = 0; k < c->ev->steps && !any; k++) {
            any = !tsdb_is_stale(c->all.p[i].v[k]);
        }
        if (any && out.fn(out.ctx, c->all.p[i].labels, c->all.p[i].v, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int choose(struct choosing *c, struct eval_sink out, struct err *e)
{
    struct ranked *room = xnew_array(struct ranked, c->all.len + 1);
    size_t *taken = xnew_array(size_t, c->n_groups + 1);
    int result = 0;

    for (size_t k = 0; result == 0 && k < c->ev->steps; k++) {
        result = choose_step(c, k, room, taken, e);
    }
    if (result == 0 && c->ev->steps == 1) { /* all, those without a value too */
        for (size_t i = 0; i < c->all.len; i++) {
            room[i] = (struct ranked){c->all.p[i].v[0], i};
        }
        qsort(room, c->all.len, sizeof(*room),
              c->node->aggregation == PROMQL_TOPK ? larger_first : smaller_first);
    }
    result = result < 0 ? -1 : tell_chosen(c, room, out, e);
    free(room);
    free(taken);
    return result;
}

static int quantiles(struct choosing *c, struct eval_sink out, struct err *e)
{
    double *room = eval_take(c->ev, c->all.len, e), *v = eval_take(c->ev, c->ev->steps, e);
    int result = room == NULL || v == NULL ? -1 : 0;

    for (size_t k = 0; result == 0 && k < c->ev->steps; k++) {
        if (!(c->parameter[k] >= 0 && c->parameter[k] <= 1)) {
            eval_warn_of_quantile(c->ev, c->node->children[1], c->parameter[k]);
            break;
        }
    }
    for (size_t g = 1; result == 0 && g <= c->n_groups; g++) {
        for (size_t k = 0; k < c->ev->steps; k++) {
            size_t n = 0;

            for (size_t i = 0; i < c->all.len; i++) {
                if (c->group[i] == g && !tsdb_is_stale(c->all.p[i].v[k])) {
                    room[n++] = c->all.p[i].v[k];
                }
            }
            v[k] = n > 0 ? promql_quantile(c->parameter[k], room, n) : tsdb_stale();
        }
        result = out.fn(out.ctx, c->labels[g - 1], v, e);
    }
    eval_give(c->ev, room, c->all.len);
    eval_give(c->ev, v, c->ev->steps);
    return result;
}

/* count_values: each value that occurs becomes a label, before the labels are chosen. */
struct counting {
    struct eval *ev;
    const struct promql_node *node;
    struct str name;
    struct eval_table counts;
    double *none;
    struct arena arena; /* of one value */
};

static int count_value(struct counting *c, struct labels labels, size_t step, double v,
                       struct err *e)
{
    const struct promql_node *n = c->node;
    char text[NUMBER_TEXT_MAX];
    struct labels s;
    size_t index;
    double *cell;

    arena_reset(&c->arena);
    s = eval_with(&c->arena, labels, c->name, str_n(text, number_plain(v, text)));
    if (n->without) {
        s = eval_without(&c->arena, s, &n->grouping);
    } else {
        struct promql_names names = {arena_new_array(&c->arena, struct str, n->grouping.len + 1),
                                     n->grouping.len + 1};

        for (size_t i = 0; i < n->grouping.len; i++) {
            names.p[i] = n->grouping.p[i];
        }
        names.p[n->grouping.len] = c->name;
        s = eval_only(&c->arena, s, &names);
    }
    index = group_of(&c->counts.by_labels, s, 0);
    if (index == 0) {
        if (eval_table_tell(&c->counts, s, c->none, e) < 0) {
            return -1;
        }
        index = c->counts.len;
    }
    cell = &c->counts.p[index - 1].v[step];
    *cell = tsdb_is_stale(*cell) ? 1 : *cell + 1;
    return 0;
}

static int count_all(struct counting *c, const struct eval_table *all, struct err *e)
{
    for (size_t i = 0; i < all->len; i++) {
        if (eval_go_on(c->ev, e) < 0) {
            return -1;
        }
        for (size_t k = 0; k < c->ev->steps; k++) {
            if (!tsdb_is_stale(all->p[i].v[k]) &&
                count_value(c, all->p[i].labels, k, all->p[i].v[k], e) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int count_values(struct choosing *chosen, struct eval_sink out, struct err *e)
{
    struct eval *ev = chosen->ev;
    const struct promql_node *text = chosen->node->children[1];
    struct counting c = {
        .ev = ev, .node = chosen->node, .counts = {.ev = ev}, .none = eval_take(ev, ev->steps, e)};
    int result = c.none == NULL ? -1 : 0;

    while (text->kind == PROMQL_PAREN) {
        text = text->children[0];
    }
    c.name = text->text;
    if (result == 0 && !label_name_is_valid(c.name)) {
        result = err_set(e, ERR_INVALID, "invalid label name \"%.*s\"", STR_ARG(c.name));
    }
    for (size_t k = 0; result == 0 && k < ev->steps; k++) {
        c.none[k] = tsdb_stale();
    }
    result = result < 0 || count_all(&c, &chosen->all, e) < 0
                 ? -1
                 : eval_table_tell_all(&c.counts, out, e);
    eval_table_done(&c.counts);
    arena_done(&c.arena);
    eval_give(ev, c.none, ev->steps);
    return result;
}

static int choosing(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                    struct err *e)
{
    struct choosing c = {.ev = ev, .node = n, .parameter = eval_take(ev, ev->steps, e)};
    int result = c.parameter == NULL ? -1 : 0;

    if (result == 0 && n->aggregation != PROMQL_COUNT_VALUES) {
        result = eval_scalar(ev, n->children[1], c.parameter, e);
    }
    c.all.ev = ev;
    result = result < 0 ? -1 : eval_table_fill(ev, n->children[0], &c.all, e);
    if (result == 0) {
        sort_series(&c);
        result = n->aggregation == PROMQL_QUANTILE       ? quantiles(&c, out, e)
                 : n->aggregation == PROMQL_COUNT_VALUES ? count_values(&c, out, e)
                                                         : choose(&c, out, e);
    }
    free(c.group);
    eval_table_done(&c.all);
    eval_give(ev, c.parameter, ev->steps);
    return result;
}

int eval_aggregate(struct eval *ev, const struct promql_node *n, struct eval_sink out,
                   struct err *e)
{
    return promql_aggregation_takes(n->aggregation) ? choosing(ev, n, out, e)
                                                    : running(ev, n, out, e);
}
