/* tfidf - how much each word says about each text: a column of weights for every word. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/tokens.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct param params[] = {
    {"col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column of text."},
    {"ngram_max", PARAM_INT, "1", 1, TOKENS_NGRAM, NULL,
     "Also so many words in a row count as one: 2 takes pairs."},
    {"min_df", PARAM_INT, "1", 1, 1e9, NULL, "Words in fewer texts are left out."},
    {"max_df", PARAM_REAL, "1", 0, 1, NULL, "Words in a larger part of the texts are left out."},
    {"max_features", PARAM_INT, "1000", 1, 60000, NULL,
     "So many words at most: those that occur most often."},
    {"norm", PARAM_CHOICE, "l2", 0, 0, "l2|l1|none",
     "The weights of a text are scaled to length 1, to sum 1, or not."},
    {"drop_col", PARAM_BOOL, "true", 0, 0, NULL, "Leave the column of text out of the result."},
    {0},
};

enum { NORM_L2, NORM_L1, NORM_NONE };

/* idf = ln((1 + texts) / (1 + texts with the word)) + 1, as scikit-learn smooths it. */
struct words {
    char *column;
    struct vocab vocab; /* in the order of their bytes */
    double *idf;
    unsigned ngram_max, norm, drop;
};

static void words_free(void *body)
{
    struct words *x = body;

    if (x) {
        free(x->column);
        vocab_done(&x->vocab);
        free(x->idf);
        free(x);
    }
}

static void words_freep(struct words **x)
{
    words_free(*x);
}

/* --- the transform ---------------------------------------------------------------------------- */

struct row {
    const struct words *x;
    double *counts; /* of every word */
};

static int count_word(void *ctx, struct str word, struct err *e)
{
    struct row *row = ctx;
    uint32_t code = row->x->vocab.n > 0 ? dict_find(row->x->vocab.texts, word) : DICT_MISSING;

    (void)e;
    if (code != DICT_MISSING) {
        row->counts[code]++;
    }
    return 0;
}

/* The weights of one text, from counts. */
static void weigh(const struct words *x, double *v)
{
    double sum = 0;

    for (size_t k = 0; k < x->vocab.n; k++) {
        v[k] *= x->idf[k];
        sum += x->norm == NORM_L2 ? v[k] * v[k] : v[k];
    }
    sum = x->norm == NORM_L2 ? sqrt(sum) : sum;
    for (size_t k = 0; k < x->vocab.n && sum > 0 && x->norm != NORM_NONE; k++) {
        v[k] /= sum;
    }
}

/* The weights of each different text, put where it stands. */
static int fill_rows(const struct words *x, const struct column *c, struct table *out, size_t first,
                     struct err *e)
{
    SCOPED(big_freep)
    double *v = big_alloc(x->vocab.n, sizeof(*v), "the weights of a text", e);

    for (size_t r = 0; v && r < out->n_rows; r++) {
        struct row row = {x, v};

        if (c->codes[r] == DICT_MISSING) {
            continue;
        }
        memset(v, 0, x->vocab.n * sizeof(*v));
        if (tokens_each(dict_text(c->dict, c->codes[r]), x->ngram_max, count_word, &row, e) < 0) {
            return -1;
        }
        weigh(x, v);
        for (size_t k = 0; k < x->vocab.n; k++) {
            out->columns[first + k].numbers[r] = v[k];
        }
    }
    return v ? 0 : -1;
}

static struct table *words_apply(const void *body, const struct table *t, struct err *e)
{
    const struct words *x = body;
    const struct column *c = fitted_need(t, x->column, COLUMN_TEXT, e);
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    size_t first;

    for (size_t i = 0; c && i < t->n_columns; i++) {
        if (!(x->drop && &t->columns[i] == c) && table_add_copy(out, &t->columns[i], e) < 0) {
            return NULL;
        }
    }
    first = out->n_columns;
    for (size_t k = 0; c && k < x->vocab.n; k++) {
        SCOPED(freep)
        char *name =
            xasprintf("%s_%.*s", x->column, STR_ARG(dict_text(x->vocab.texts, (uint32_t)k)));

        if (table_add_numbers(out, str_of(name), e) == NULL) {
            return NULL;
        }
    }
    return c && fill_rows(x, c, out, first, e) == 0 ? TAKE(out) : NULL;
}

static void words_write(const void *body, struct binw *w)
{
    const struct words *x = body;

    binw_str(w, str_of(x->column));
    binw_u32(w, x->ngram_max);
    binw_u32(w, x->norm);
    binw_u32(w, x->drop);
    vocab_write(&x->vocab, w);
    binw_f64s(w, x->idf, x->vocab.n);
}

static void *words_read(struct binr *r, struct err *e)
{
    SCOPED(words_freep) struct words *x = xnew(struct words);

    x->column = binr_name(r);
    x->ngram_max = binr_u32(r);
    x->norm = binr_u32(r);
    x->drop = binr_u32(r);
    if (r->bad || x->column == NULL || x->ngram_max < 1 || x->ngram_max > TOKENS_NGRAM ||
        x->norm > NORM_NONE || x->drop > 1) {
        err_set(e, ERR_DATA, "damaged: a tfidf of no column");
        return NULL;
    }
    if (vocab_read(r, &x->vocab, e) < 0) {
        return NULL;
    }
    x->idf = xnew_array(double, x->vocab.n + 1);
    binr_f64s(r, x->idf, x->vocab.n);
    for (size_t k = 0; k < x->vocab.n; k++) {
        r->bad = r->bad || !isfinite(x->idf[k]) || x->idf[k] < 0;
    }
    if (r->bad || x->vocab.kind != COLUMN_TEXT) {
        err_set(e, ERR_DATA, "damaged: a tfidf without weights");
        return NULL;
    }
    return TAKE(x);
}

const struct transform_type transform_tfidf = {
    .kind = 55,
    .module = "tfidf",
    .apply = words_apply,
    .write = words_write,
    .read = words_read,
    .free = words_free,
};

/* --- fitting ---------------------------------------------------------------------------------- */

struct count {
    uint32_t word, texts;
    uint64_t times;
    size_t last; /* text that it was last seen in, + 1 */
};

struct counting {
    struct dict *words;
    struct count *counts; /* big memory */
    size_t cap, text;
};

static int learn_word(void *ctx, struct str word, struct err *e)
{
    struct counting *c = ctx;
    uint32_t code = 0;

    if (dict_intern(c->words, word, &code, e) < 0) {
        return -1;
    }
    if (code == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 1024;

        if (big_resize(&c->counts, cap, sizeof(*c->counts), "the words of a column", e) < 0) {
            return -1;
        }
        memset(c->counts + c->cap, 0, (cap - c->cap) * sizeof(*c->counts));
        c->cap = cap;
    }
    c->counts[code].word = code;
    c->counts[code].times++;
    if (c->counts[code].last != c->text + 1) {
        c->counts[code].last = c->text + 1;
        c->counts[code].texts++;
    }
    return 0;
}

static int by_times(const void *a, const void *b, void *dict)
{
    const struct count *x = a, *y = b;

    if (x->times != y->times) {
        return x->times > y->times ? -1 : 1;
    }
    return str_cmp(dict_text(dict, x->word), dict_text(dict, y->word));
}

static int by_word(const void *a, const void *b, void *dict)
{
    const struct count *x = a, *y = b;

    return str_cmp(dict_text(dict, x->word), dict_text(dict, y->word));
}

/* Which words are kept, in the order of their bytes, at the front of c->counts. */
static size_t choose_words(const struct step *s, struct counting *c, size_t n_texts)
{
    size_t least = (size_t)step_int(s, "min_df"), n = 0;
    size_t most = (size_t)step_int(s, "max_features");
    double largest = step_real(s, "max_df") * (double)n_texts;

    for (uint32_t i = 0; c->counts && i < c->words->len; i++) {
        if (c->counts[i].texts >= least && (double)c->counts[i].texts <= largest) {
            c->counts[n++] = c->counts[i];
        }
    }
    if (c->counts && n > 0) {
        qsort_r(c->counts, n, sizeof(*c->counts), by_times, c->words);
        n = n < most ? n : most;
        qsort_r(c->counts, n, sizeof(*c->counts), by_word, c->words);
    }
    return n;
}

static int learn_words(const struct step *s, const struct column *col, size_t n_rows,
                       struct counting *c, struct words *x, struct err *e)
{
    size_t n_texts = 0, n;
    uint32_t code;

    for (size_t r = 0; r < n_rows; r++) {
        c->text = r;
        if (col->codes[r] == DICT_MISSING) {
            continue;
        }
        n_texts++;
        if (tokens_each(dict_text(col->dict, col->codes[r]), x->ngram_max, learn_word, c, e) < 0) {
            return -1;
        }
    }
    n = choose_words(s, c, n_texts);
    if (n == 0 && n_rows > 0) {
        return err_set(e, ERR_DATA, "column '%s' has no words left: lower min_df or raise max_df",
                       col->name);
    }
    x->idf = xnew_array(double, n + 1);
    for (; x->vocab.n < n; x->vocab.n++) {
        const struct count *k = &c->counts[x->vocab.n];

        x->idf[x->vocab.n] = log((1 + (double)n_texts) / (1 + (double)k->texts)) + 1;
        if (dict_intern(x->vocab.texts, dict_text(c->words, k->word), &code, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static struct words *learn(const struct step *s, const struct column *c, size_t n_rows,
                           struct err *e)
{
    SCOPED(words_freep) struct words *x = xnew(struct words);
    SCOPED(dict_freep) struct dict *words = dict_new();
    struct counting counting = {.words = words};
    int rc;

    *x = (struct words){.column = xstrdup(c->name),
                        .vocab = {.kind = COLUMN_TEXT, .texts = dict_new()},
                        .ngram_max = (unsigned)step_int(s, "ngram_max"),
                        .norm = step_choice(s, "norm"),
                        .drop = step_true(s, "drop_col")};
    rc = learn_words(s, c, n_rows, &counting, x, e);
    big_free(counting.counts);
    return rc < 0 ? NULL : TAKE(x);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct column *c = table_need(t, step_text(s, "col"), e);
    struct words *x;
    size_t n;

    if (c == NULL) {
        return err_wrap(e, "col");
    }
    if (c->kind != COLUMN_TEXT) {
        return err_set(e, ERR_DATA, "column '%s' holds numbers, and text is needed here", c->name);
    }
    x = learn(s, c, t->n_rows, e);
    n = x ? x->vocab.n : 0;
    if (fit_finish(s, &transform_tfidf, x, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu words of column '%s'", n, c->name);
    return 0;
}

/* Which words come, only the run knows. */
static void check(struct check *c)
{
    const struct column *col = check_column(c, "table", "col", CHECK_TEXT);
    const struct table *t = check_table(c, "table");
    bool drop = step_true(&c->step, "drop_col");
    SCOPED(freep) uint32_t *kept = NULL;
    size_t n = 0;

    check_out_transform(c, "transform");
    if (col == NULL) {
        return;
    }
    kept = xnew_array(uint32_t, t->n_columns + 1);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (!drop || &t->columns[i] != col) {
            kept[n++] = i;
        }
    }
    check_out_table(c, "table", check_some(c, "table", kept, n), /* open */ true);
}

const struct module module_tfidf = {
    .name = "tfidf",
    .title = "TF-IDF of text",
    .description =
        "Makes a column of weights for every word of a column of text: how often it is in the "
        "text, and how rare it is in others. Words are runs of letters and digits of any script; "
        "Chinese, Japanese and Korean count as pairs of characters. A model trained on the result "
        "applies the same to new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = fit_inputs,
    .outputs = fit_outputs,
    .params = params,
    .memory = "4*input+8*rows*max_features+128Mi",
    .memory_spilled = "4*input+8*rows+128Mi",
    .run = run,
    .check = check,
};
