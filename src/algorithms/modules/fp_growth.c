/* fp_growth - what is bought together: frequent sets of items, and rules from part to part. */
#include "algorithms/modules/fp_growth.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/itemsets.h"
#include "algorithms/modules/modules.h"

#include <math.h>
#include <stdlib.h>

enum { SETS_MAX = 1000000, LENGTH_MAX = 16 };

static const struct port inputs[] = {
    {"table", VALUE_TABLE, 0, "A basket a row, or an item a row with its basket."}, {0}};
static const struct port outputs[] = {
    {"itemsets", VALUE_TABLE, PORT_OPTIONAL, "Frequent sets: items, length, count, support."},
    {"rules", VALUE_TABLE, PORT_OPTIONAL,
     "Rules: antecedent, consequent, count, support, confidence, lift."},
    {0}};
static const struct param params[] = {
    {"items_col", PARAM_COLUMN, NULL, 0, 0, NULL,
     "Text: all items of a basket, or one when basket_col is given."},
    {"basket_col", PARAM_TEXT, "", 0, 0, NULL,
     "Rows with the same value are one basket; empty: each row is one."},
    {"separator", PARAM_TEXT, ",", 0, 0, NULL, "Between the items of a row; blanks around it go."},
    {"min_support", PARAM_REAL, "0.02", 0, 1, NULL,
     "The part of all baskets that must hold a set."},
    {"min_confidence", PARAM_REAL, "0.5", 0, 1, NULL,
     "How often the consequent must come with the antecedent."},
    {"min_lift", PARAM_REAL, "0", 0, 1e9, NULL,
     "How much likelier the antecedent must make the consequent."},
    {"max_len", PARAM_INT, "5", 1, LENGTH_MAX, NULL, "Most items in a set."},
    {0},
};

/* The items whose bits are set, "bread, milk". */
static int put_items(const struct shop *b, const struct itemset *set, uint32_t bits,
                     const struct column *to, size_t row, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(64 * 1024 * 1024);

    for (uint32_t i = 0; i < set->n; i++) {
        if (bits >> i & 1) {
            (void)buf_add(&text, text.len > 0 ? STR(", ") : STR_EMPTY);
            (void)buf_add(&text, dict_text(b->names, b->by_rank[b->sets.items[set->at + i]]));
        }
    }
    return dict_intern(to->dict, buf_str(&text), &to->codes[row], e);
}

static int text_column(struct table *t, struct str name, struct err *e)
{
    struct dict *d = dict_new();

    if (table_add_text(t, name, d, e) == NULL) {
        dict_free(d);
        return -1;
    }
    return 0;
}

static int number_column(struct table *t, struct str name, enum column_as as, struct err *e)
{
    struct column *c = table_add_numbers(t, name, e);

    if (c) {
        c->as = as;
    }
    return c ? 0 : -1;
}

static struct table *itemset_table(size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(n);

    return text_column(t, STR("items"), e) < 0 || number_column(t, STR("length"), AS_INT, e) < 0 ||
                   number_column(t, STR("count"), AS_INT, e) < 0 ||
                   number_column(t, STR("support"), AS_REAL, e) < 0
               ? NULL
               : TAKE(t);
}

static struct table *rule_table(size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(n);

    return text_column(t, STR("antecedent"), e) < 0 || text_column(t, STR("consequent"), e) < 0 ||
                   number_column(t, STR("count"), AS_INT, e) < 0 ||
                   number_column(t, STR("support"), AS_REAL, e) < 0 ||
                   number_column(t, STR("confidence"), AS_REAL, e) < 0 ||
                   number_column(t, STR("lift"), AS_REAL, e) < 0
               ? NULL
               : TAKE(t);
}

static struct table *itemsets(const struct shop *b, struct err *e)
{
    SCOPED(table_freep) struct table *t = itemset_table(b->sets.n, e);

    for (size_t i = 0; t && i < b->sets.n; i++) {
        const struct itemset *set = &b->sets.sets[i];

        if (put_items(b, set, UINT32_MAX, &t->columns[0], i, e) < 0) {
            return NULL;
        }
        t->columns[1].numbers[i] = set->n;
        t->columns[2].numbers[i] = (double)set->count;
        t->columns[3].numbers[i] = (double)set->count / (double)b->n_baskets;
    }
    if (t) {
        dict_seal(t->columns[0].dict);
    }
    return TAKE(t);
}

struct rule {
    uint32_t set, bits; /* of the antecedent */
    double confidence, lift;
};

struct rules {
    struct rule *v;
    size_t n, cap;
};

static int by_confidence(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;

    if (x->confidence != y->confidence) {
        return x->confidence < y->confidence ? 1 : -1;
    }
    if (x->lift != y->lift) {
        return x->lift < y->lift ? 1 : -1;
    }
    return x->set != y->set ? (x->set < y->set ? -1 : 1)
                            : (x->bits > y->bits) - (x->bits < y->bits);
}

/* How many baskets hold the items whose bits are set: a frequent set, as all parts of one are. */
static double count_of(const struct shop *b, const struct map *index, const struct itemset *set,
                       uint32_t bits)
{
    uint32_t items[LENGTH_MAX], n = 0;

    for (uint32_t i = 0; i < set->n; i++) {
        if (bits >> i & 1) {
            items[n++] = b->sets.items[set->at + i];
        }
    }
    return (double)((const struct itemset *)map_get(index,
                                                    str_n((char *)items, n * sizeof(*items))))
        ->count;
}

static int rules_of(const struct step *s, const struct shop *b, const struct map *index,
                    uint32_t at, struct rules *out, struct err *e)
{
    const struct itemset *set = &b->sets.sets[at];
    uint32_t all = (1U << set->n) - 1;

    for (uint32_t bits = 1; set->n > 1 && bits < all; bits++) {
        double confidence = (double)set->count / count_of(b, index, set, bits);
        double lift = confidence * (double)b->n_baskets / count_of(b, index, set, all & ~bits);

        if (confidence < step_real(s, "min_confidence") || lift < step_real(s, "min_lift")) {
            continue;
        }
        if (out->n == out->cap) {
            size_t cap = out->cap ? out->cap * 2 : 256;

            if (out->n >= 4UL * SETS_MAX) {
                return err_set(e, ERR_DATA, "there are more than %zu rules: raise min_confidence",
                               out->n);
            }
            if (big_resize(&out->v, cap, sizeof(*out->v), "the rules", e) < 0) {
                return -1;
            }
            out->cap = cap;
        }
        out->v[out->n++] = (struct rule){at, bits, confidence, lift};
    }
    return 0;
}

static struct table *rule_rows(const struct shop *b, const struct rules *rules, struct err *e)
{
    SCOPED(table_freep) struct table *t = rule_table(rules->n, e);

    for (size_t i = 0; t && i < rules->n; i++) {
        const struct rule *r = &rules->v[i];
        const struct itemset *set = &b->sets.sets[r->set];

        if (put_items(b, set, r->bits, &t->columns[0], i, e) < 0 ||
            put_items(b, set, ~r->bits, &t->columns[1], i, e) < 0) {
            return NULL;
        }
        t->columns[2].numbers[i] = (double)set->count;
        t->columns[3].numbers[i] = (double)set->count / (double)b->n_baskets;
        t->columns[4].numbers[i] = r->confidence;
        t->columns[5].numbers[i] = r->lift;
    }
    if (t) {
        dict_seal(t->columns[0].dict);
        dict_seal(t->columns[1].dict);
    }
    return TAKE(t);
}

static struct table *find_rules(const struct step *s, const struct shop *b, struct err *e)
{
    SCOPED(map_done) struct map index = {0};
    struct rules rules = {0};
    struct table *out = NULL;
    int rc = 0;

    for (size_t i = 0; i < b->sets.n; i++) {
        struct itemset *set = &b->sets.sets[i];

        (void)map_put(&index, str_n((char *)(b->sets.items + set->at), set->n * sizeof(uint32_t)),
                      set);
    }
    for (uint32_t i = 0; rc == 0 && i < b->sets.n; i++) {
        rc = rules_of(s, b, &index, i, &rules, e);
    }
    if (rc == 0) {
        if (rules.n > 0) {
            qsort(rules.v, rules.n, sizeof(*rules.v), by_confidence);
        }
        out = rule_rows(b, &rules, e);
    }
    big_free(rules.v);
    return out;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(shop_done) struct shop b = {0};
    SCOPED(table_freep) struct table *sets = NULL;
    struct table *rules;
    double least;

    if (shop_collect(&b, s, t, e) < 0) {
        return -1;
    }
    if (b.n_baskets == 0) {
        return err_set(e, ERR_DATA, "the table has no rows");
    }
    least = ceil(step_real(s, "min_support") * (double)b.n_baskets - 1e-9);
    least = least < 1 ? 1 : least;
    if (shop_arrange(&b, (uint64_t)least, e) < 0 ||
        itemsets_find(&b.sets, &b.baskets, (uint64_t)least, (uint32_t)step_int(s, "max_len"),
                      SETS_MAX, e) < 0) {
        return -1;
    }
    sets = itemsets(&b, e);
    rules = sets ? find_rules(s, &b, e) : NULL;
    if (rules == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu baskets of %u items: %zu sets in at least %.0f, %zu rules",
                 b.n_baskets, b.names->len, b.sets.n, least, rules->n_rows);
    step_out_table(s, "itemsets", TAKE(sets));
    step_out_table(s, "rules", rules);
    return 0;
}

static void check(struct check *c)
{
    struct err e = {0};

    (void)check_column(c, "table", "items_col", CHECK_ANY);
    if (step_text(&c->step, "basket_col").len > 0) {
        (void)check_column(c, "table", "basket_col", CHECK_ANY);
    }
    check_out_table(c, "itemsets", itemset_table(0, &e), false);
    check_out_table(c, "rules", rule_table(0, &e), false);
}

const struct module module_fp_growth = {
    .name = "fp_growth",
    .title = "FP-growth",
    .description = "Finds sets of items that many baskets hold, and rules of what comes with what.",
    .category = "rules",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .memory = "4*input+8*cells+512Mi",
    .run = run,
    .check = check,
};
