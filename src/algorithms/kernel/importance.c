#include "algorithms/kernel/importance.h"

#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <stdlib.h>

enum { IMPORTANCE_MOST = 200 };

struct one {
    double size;
    size_t at;
};

static int larger_first(const void *a, const void *b)
{
    const struct one *x = a, *y = b;

    if (x->size != y->size) {
        return x->size > y->size ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

void importance_json(const struct features *f, const double *size, struct jw *w)
{
    SCOPED(freep) struct one *all = xnew_array(struct one, f->n + 1);
    double sum = 0;

    for (size_t j = 0; j < f->n; j++) {
        all[j] = (struct one){size[j], j};
        sum += size[j];
    }
    qsort(all, f->n, sizeof(*all), larger_first);
    jw_key(w, "importance");
    jw_array(w);
    for (size_t j = 0; j < f->n && j < IMPORTANCE_MOST; j++) {
        jw_array(w);
        jw_str(w, str_of(f->names[all[j].at]));
        number_json(w, sum > 0 ? all[j].size / sum : 0);
        jw_end(w);
    }
    jw_end(w);
}
