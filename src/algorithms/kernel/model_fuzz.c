#include "algorithms/kernel/fuzz_envelope.h"
#include "algorithms/kernel/model.h"
#include "algorithms/modules/forecasting.h"
#include "algorithms/modules/recommending.h"

/* Zeroes, or a category, a text unknown, and one that is missing. */
static bool add_column(struct table *t, const struct features *f, size_t i)
{
    SCOPED(dict_freep) struct dict *d = NULL;
    struct str name = str_of(f->names[i]);
    struct err e = {0};
    struct column *c;
    uint32_t code;

    if (f->categories[i].names == NULL || f->categories[i].numbers) {
        return table_add_numbers(t, name, &e) != NULL;
    }
    d = dict_new();
    if (dict_intern(d, f->categories[i].n ? str_of(f->categories[i].names[0]) : STR("a"), &code,
                    &e) < 0 ||
        dict_intern(d, STR("never seen"), &code, &e) < 0) {
        return false;
    }
    c = table_add_text(t, name, d, &e);
    if (c == NULL) {
        return false;
    }
    (void)TAKE(d);
    c->codes[1] = code;
    c->codes[2] = DICT_MISSING;
    return true;
}

enum { AHEAD = 16, ITEMS_MOST = 4096 };

/* Models that predict no rows. */
static void use_other(const struct model *m)
{
    const struct forecaster *f = forecaster_of(m->type);
    const struct recommender *by = recommender_of(m->type);
    double mean[AHEAD], deviation[AHEAD];
    struct err e = {0};

    if (f) {
        (void)f->forecast(m, AHEAD, mean, deviation, &e);
    }
    if (by && by->known(m)->items.n <= ITEMS_MOST) {
        size_t n = by->known(m)->items.n;
        double *scores = big_alloc(2 * n, sizeof(*scores), "the scores", &e);

        for (uint32_t u = 0; scores && u < by->known(m)->users.n && u < 64; u++) {
            by->score(m, u, scores + n, scores);
        }
        big_free(scores);
    }
}

/* What could be read must also be safe to use. */
static void use(const struct model *m)
{
    SCOPED(threads_closep) struct threads *threads = threads_open(1);
    SCOPED(table_freep) struct table *t = table_new(3);
    struct err e = {0};

    if (m->type->predict == NULL) {
        use_other(m);
        return;
    }
    for (size_t i = 0; i < m->features.n && i < 64; i++) {
        if (!add_column(t, &m->features, i)) {
            return;
        }
    }
    big_free(model_predict(m, t, threads, &e));
    if (m->type->describe) {
        struct buf b = BUF_MAX(16 * MIB);
        struct jw w = JW(&b);

        jw_object(&w);
        m->type->describe(m, &w);
        buf_done(&b);
    }
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
