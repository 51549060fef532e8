/* grouping - what the files of group_by share. Private to modules. */
#pragma once
#include "algorithms/kernel/keys.h"

enum { GROUP_AGGS = 256 };
enum group_agg_kind {
    GROUP_COUNT,
    GROUP_SUM,
    GROUP_MEAN,
    GROUP_MIN,
    GROUP_MAX,
    GROUP_STD,
    GROUP_MEDIAN,
    GROUP_FIRST,
    GROUP_LAST,
    GROUP_DISTINCT
};

struct group_agg {
    char *name;
    enum group_agg_kind kind;
    const struct column *column; /* NULL: count() */
};

struct grouping {
    const struct table *t;
    struct keys keys;
    uint32_t *first; /* a row of each group */
    uint32_t *ends;  /* for medians; made when one is asked for */
    struct group_agg aggs[GROUP_AGGS];
    size_t n_aggs;
};

/* Figures as they are written: "total = sum(price), count()". */
int group_read_aggs(struct grouping *g, struct str spec, struct err *e) MUST_USE;
/* A figure of every group, a new column of `out`. */
int group_add_agg(struct grouping *g, const struct group_agg *a, struct table *out,
                  struct err *e) MUST_USE;
