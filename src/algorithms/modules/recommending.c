#include "algorithms/modules/recommending.h"

#include "algorithms/modules/modules.h"

const struct recommender *recommender_of(const struct model_type *type)
{
    static const struct recommender *const all[] = {&recommender_als, &recommender_item_cf};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i]->type == type) {
            return all[i];
        }
    }
    return NULL;
}

void offers_keep(struct offer *best, uint32_t *found, size_t n, struct offer o)
{
    size_t at = *found;

    if (at == n && !(o.score > best[n - 1].score)) {
        return;
    }
    at = at < n ? (*found)++ : n - 1;
    for (; at > 0 && o.score > best[at - 1].score; at--) {
        best[at] = best[at - 1];
    }
    best[at] = o;
}
