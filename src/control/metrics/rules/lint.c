/* lint - rules that are the same as another: both write the same series, or keep the same alerts.
 */
#include "rules/rules.h"

#include <stdlib.h>

struct named {
    const struct rule *rule;
};

static int by_name(const void *a, const void *b)
{
    const struct rule *x = ((const struct named *)a)->rule, *y = ((const struct named *)b)->rule;
    int order = str_cmp(x->name, y->name);

    order = order != 0 ? order : labels_cmp(x->labels, y->labels);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

size_t rules_duplicates(const struct rule_file *f, struct arena *a, struct err_list *out)
{
    struct named *all;
    size_t n = 0, found = 0;

    for (size_t i = 0; i < f->n_groups; i++) {
        n += f->groups[i].n_rules;
    }
    all = arena_new_array(a, struct named, n + 1);
    n = 0;
    for (size_t i = 0; i < f->n_groups; i++) {
        for (size_t k = 0; k < f->groups[i].n_rules; k++) {
            all[n++].rule = &f->groups[i].rules[k];
        }
    }
    qsort(all, n, sizeof(*all), by_name);
    for (size_t i = 1; i < n; i++) {
        const struct rule *before = all[i - 1].rule, *r = all[i].rule;

        if (str_eq(before->name, r->name) && labels_eq(before->labels, r->labels)) {
            err_list_add(out, r->line, 0, NULL,
                         "\"%.*s\" with the same labels is at line %u already",
                         STR_ARG(str_first(r->name, 100)), before->line);
            found++;
        }
    }
    return found;
}
