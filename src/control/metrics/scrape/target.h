/* target - what a discovered address becomes: labels after relabeling, and where to ask. Private to
 * scrape. Memory: the arena. */
#pragma once
#include "scrape/config.h"

struct target {
    struct labels discovered; /* with __address__, __meta_*, ..., before relabeling */
    struct labels labels;     /* that its series have */
    struct str url;
    int64_t interval_ms, timeout_ms;
    uint64_t hash; /* of labels, address and times */
};

/* 1, 0: dropped by relabeling (only `discovered` is filled), -1: it makes no target. */
int target_make(struct arena *a, const struct scrape_config *c, struct labels group,
                struct labels one, struct target *out, struct err *e);
/* Deep, for a loop that outlives the arena. */
struct target target_copy(struct arena *a, const struct target *t);
/* What series of a page get beside their own: collisions become exported_*, or are left alone
 * (honor_labels). The result may be unsorted. */
struct labels target_merge(struct arena *a, struct labels series, struct labels target,
                           bool honor_labels);
