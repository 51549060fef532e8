#include "algorithms/kernel/ranking.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/ranks.h"

#include <math.h>

void ranking_done(struct ranking *r)
{
    big_free(r->points);
    *r = (struct ranking){0};
}

int ranking_of(const double *score, size_t stride, const uint32_t *classes, uint32_t positive,
               const double *weights, size_t n, struct ranking *r, struct err *e)
{
    SCOPED(big_freep) uint32_t *order = ranks_order(score, stride, n, e);

    *r = (struct ranking){0};
    r->points = order ? big_alloc(n, sizeof(*r->points), "the ranking", e) : NULL;
    if (r->points == NULL) {
        return -1;
    }
    for (size_t i = n; i-- > 0;) {
        uint32_t row = order[i];
        double w = weights ? weights[row] : 1, v = score[row * stride];

        if (classes[row] == positive) {
            r->positives += w;
        } else {
            r->negatives += w;
        }
        if (r->n == 0 || r->points[r->n - 1].score != v) {
            r->n++;
        }
        r->points[r->n - 1] = (struct ranked){v, r->positives, r->negatives};
    }
    return 0;
}

static bool one_sided(const struct ranking *r)
{
    return !(r->positives > 0) || !(r->negatives > 0);
}

double ranking_auc(const struct ranking *r)
{
    double area = 0, tp = 0, fp = 0;

    for (size_t i = 0; i < r->n; i++) {
        area += (r->points[i].fp - fp) * (r->points[i].tp + tp) / 2;
        tp = r->points[i].tp;
        fp = r->points[i].fp;
    }
    return one_sided(r) ? NAN : area / r->positives / r->negatives;
}

double ranking_precision(const struct ranking *r)
{
    double sum = 0, tp = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct ranked *p = &r->points[i];

        if (p->tp > tp) {
            sum += (p->tp - tp) * p->tp / (p->tp + p->fp);
        }
        tp = p->tp;
    }
    return r->positives > 0 ? sum / r->positives : NAN;
}

double ranking_ks(const struct ranking *r, double *score)
{
    double best = -1;

    *score = NAN;
    if (one_sided(r)) {
        return NAN;
    }
    for (size_t i = 0; i < r->n; i++) {
        double d = r->points[i].tp / r->positives - r->points[i].fp / r->negatives;

        if (d > best) {
            best = d;
            *score = r->points[i].score;
        }
    }
    return best;
}

double ranking_gain(const struct ranking *r, double part)
{
    double want = part * (r->positives + r->negatives), tp = 0, all = 0;

    for (size_t i = 0; i < r->n; i++) {
        double next = r->points[i].tp + r->points[i].fp;

        if (next >= want && next > all) {
            tp += (r->points[i].tp - tp) * (want - all) / (next - all);
            break;
        }
        tp = r->points[i].tp;
        all = next;
    }
    return r->positives > 0 ? tp / r->positives : NAN;
}
