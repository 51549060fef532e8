/* relabel - rules that change, choose and drop label sets: Prometheus' eleven actions.
 *
 *   discovery --> relabel_configs --> targets        page --> metric_relabel_configs --> series
 *                                                    store --> write_relabel_configs --> peers
 *
 * Threads: a rule is used by one thread at a time (its regular expression is); relabel_copy() makes
 * others. Memory: the arena that is given. Limits: LIMIT_RELABEL_RULES, LIMIT_RELABEL_LABELS.
 * Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config
 */
#pragma once
#include "labels/labels.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_ACTIONS
};

/* As it stands in a file; p == NULL: it does not stand there, and the default counts. */
struct relabel_rule {
    enum relabel_action action;
    struct str *source_labels;
    size_t n_source_labels;
    struct str separator, regex, replacement, target_label;
    uint64_t modulus;
    struct label_regex *compiled; /* relabel_init() */
};

struct relabel {
    struct relabel_rule *p;
    size_t len;
};

/* "replace", ...; -1: it is none of them. */
int relabel_action_of(struct str name, enum relabel_action *out) MUST_USE;
const char *relabel_action_name(enum relabel_action a);
/* Puts defaults in, checks what belongs together, compiles. Views are kept. */
int relabel_init(struct relabel_rule *r, struct arena *a, struct err *e) MUST_USE;
/* The same rules for another thread. */
struct relabel relabel_copy(struct arena *a, struct relabel from);

/* Applies all of them. 1: *s is the result, sorted, without empty labels. 0: dropped. -1: a regular
 * expression needs too many steps, or there are too many labels. */
int relabel_apply(struct relabel rules, struct arena *a, struct labels *s, struct err *e);
