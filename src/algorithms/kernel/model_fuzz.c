#include "algorithms/kernel/fuzz_envelope.h"
#include "algorithms/kernel/model.h"

/* What could be read must also be safe to use. */
static void use(const struct model *m)
{
    SCOPED(threads_closep) struct threads *threads = threads_open(1);
    SCOPED(table_freep) struct table *t = table_new(3);
    struct err e = {0};

    if (m->type->predict == NULL) {
        return;
    }
    for (size_t i = 0; i < m->features.n && i < 64; i++) {
        if (table_add_numbers(t, str_of(m->features.names[i]), &e) == NULL) {
            return;
        }
    }
    big_free(model_predict(m, t, threads, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct binr r = {0};
    struct err e = {0};
    char *file = fuzz_envelope(data, size, BINARY_MODEL);

    if (file && binr_init(&r, str_n(file, size), BINARY_MODEL, &e) == 0) {
        SCOPED(model_freep) struct model *m = model_read(&r, &e);

        if (m) {
            use(m);
        }
    }
    free(file);
    return 0;
}
