/* join - rows of two tables that have the same keys, side by side. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/gather.h"
#include "algorithms/kernel/keys.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {
    {"left", VALUE_TABLE, 0, "The table whose columns come first."},
    {"right", VALUE_TABLE, 0, "The table whose columns are put beside them."},
    {0},
};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows that belong together."},
                                      {0}};
static const struct param params[] = {
    {"type", PARAM_CHOICE, "inner", 0, 0, "inner|left|right|full|semi|anti",
     "inner: pairs only; left, right, full: also the rows of that side (of both) without a "
     "partner; semi, anti: rows of left that have, or have not, a partner."},
    {"keys", PARAM_TEXT, NULL, 0, 0, NULL,
     "Columns that must be equal: id, day; with other names on the right: id=customer_id."},
    {"suffix", PARAM_TEXT, "_right", 0, 0, NULL,
     "Put behind a column name of right that left has, too."},
    {0},
};

enum join_type { INNER, LEFT, RIGHT, FULL, SEMI, ANTI };
enum { JOIN_KEYS = 32 };

struct join {
    const struct table *t[2];
    uint32_t columns[2][JOIN_KEYS]; /* the keys */
    size_t n_keys;
    struct keys keys;
    uint32_t *order, *start; /* right rows by key: order[start[k]] .. */
    uint32_t *rows[2];       /* of the result; GATHER_NONE */
    size_t n;
};

static void join_done(struct join *j)
{
    keys_done(&j->keys);
    big_free(j->order);
    big_free(j->start);
    big_free(j->rows[0]);
    big_free(j->rows[1]);
}

static int add_key(struct join *j, struct str left, struct str right, struct err *e)
{
    const struct column *a = table_need(j->t[0], left, e), *b;

    if (a == NULL) {
        return err_wrap(e, "keys: left");
    }
    b = table_need(j->t[1], right, e);
    if (b == NULL) {
        return err_wrap(e, "keys: right");
    }
    if (a->kind != b->kind ||
        (a->kind == COLUMN_NUMBER && (a->as >= AS_DATE || b->as >= AS_DATE) && a->as != b->as)) {
        return err_set(e, ERR_INVALID,
                       "keys: column '%s' of left holds %s, and '%s' of right holds %s: make them "
                       "one type with edit_columns",
                       a->name, column_type_name(a), b->name, column_type_name(b));
    }
    if (j->n_keys == JOIN_KEYS) {
        return err_set(e, ERR_INVALID, "keys: at most %d columns", JOIN_KEYS);
    }
    j->columns[0][j->n_keys] = (uint32_t)(a - j->t[0]->columns);
    j->columns[1][j->n_keys++] = (uint32_t)(b - j->t[1]->columns);
    return 0;
}

static int find_keys(struct join *j, struct str spec, struct err *e)
{
    struct str rest = spec;

    while (rest.p) {
        struct str right = str_trim(str_cut(&rest, ','));
        struct str left = str_trim(str_cut(&right, '='));

        if (left.len > 0 && add_key(j, left, right.p ? str_trim(right) : left, e) < 0) {
            return -1;
        }
    }
    return j->n_keys > 0 ? 0 : err_set(e, ERR_INVALID, "keys: name at least one column");
}

/* Rows of one side by key. */
static int index_side(struct join *j, int side, struct err *e)
{
    size_t n_rows = j->t[side]->n_rows;
    const uint32_t *of = j->keys.of_row[side];

    j->start = big_alloc(j->keys.n + 2, sizeof(*j->start), "the index of a join", e);
    j->order = j->start ? big_alloc(n_rows, sizeof(*j->order), "the index of a join", e) : NULL;
    if (j->order == NULL) {
        return -1;
    }
    for (size_t r = 0; r < n_rows; r++) {
        if (of[r] != KEYS_NONE) {
            j->start[of[r] + 2]++;
        }
    }
    for (size_t k = 0; k < j->keys.n; k++) {
        j->start[k + 2] += j->start[k + 1];
    }
    for (size_t r = 0; r < n_rows; r++) {
        if (of[r] != KEYS_NONE) {
            j->order[j->start[of[r] + 1]++] = (uint32_t)r;
        }
    }
    return 0;
}

/* The partners of a row of the outer side: order[*from] .. order[*to - 1]. */
static void partners(const struct join *j, int outer, size_t row, size_t *from, size_t *to)
{
    uint32_t key = j->keys.of_row[outer][row];

    *from = key == KEYS_NONE ? 0 : j->start[key];
    *to = key == KEYS_NONE ? 0 : j->start[key + 1];
}

/* How many rows there will be, and with rows given, which; counting ends where they are too many.
 * Outer rows in their order, then (FULL) rows of the other side that met nobody. */
static size_t pair_rows(const struct join *j, enum join_type type, int outer, unsigned char *met,
                        uint32_t *const rows[2])
{
    size_t n = 0;

    for (size_t r = 0; r < j->t[outer]->n_rows && n <= ML_LIMIT_ROWS; r++) {
        size_t from, to, pairs, first = n;
        bool new_key;

        partners(j, outer, r, &from, &to);
        pairs = type == SEMI || type == ANTI ? 0 : to - from;
        if (pairs > ML_LIMIT_ROWS - n) {
            return ML_LIMIT_ROWS + 1;
        }
        new_key = pairs > 0 && !met[j->order[from]];
        for (size_t i = 0; i < pairs && (rows[0] || new_key); i++) {
            if (rows[0]) {
                rows[outer][n + i] = (uint32_t)r;
                rows[!outer][n + i] = j->order[from + i];
            }
            met[j->order[from + i]] = 1;
        }
        n += pairs;
        if ((from == to && type != INNER && type != SEMI) || (from < to && type == SEMI)) {
            n++;
        }
        if (rows[0] && n == first + 1 && (from == to || type == SEMI)) {
            rows[outer][first] = (uint32_t)r;
            rows[!outer][first] = GATHER_NONE;
        }
    }
    for (size_t r = 0; type == FULL && r < j->t[!outer]->n_rows; r++) {
        if (!met[r]) {
            if (rows[0]) {
                rows[outer][n] = GATHER_NONE;
                rows[!outer][n] = (uint32_t)r;
            }
            n++;
        }
    }
    return n;
}

static int find_pairs(struct join *j, enum join_type type, struct err *e)
{
    int outer = type == RIGHT;
    uint32_t *const none[2] = {NULL, NULL};
    SCOPED(big_freep) unsigned char *met = big_alloc(j->t[!outer]->n_rows, 1, "a join", e);

    if (met == NULL || index_side(j, !outer, e) < 0) {
        return -1;
    }
    j->n = pair_rows(j, type, outer, met, none);
    if (j->n > ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA,
                       "the join would have more than %llu rows: the keys are there too often on "
                       "both sides",
                       ML_LIMIT_ROWS);
    }
    for (int i = 0; i < 2; i++) {
        j->rows[i] = big_alloc(j->n, sizeof(*j->rows[i]), "the rows of a join", e);
        if (j->rows[i] == NULL) {
            return -1;
        }
    }
    (void)pair_rows(j, type, outer, met, j->rows);
    return 0;
}

static int add_left(const struct join *j, enum join_type type, struct table *out, struct err *e)
{
    for (size_t i = 0; i < j->t[0]->n_columns; i++) {
        const struct column *c = &j->t[0]->columns[i], *key = NULL;

        for (size_t k = 0; k < j->n_keys && (type == RIGHT || type == FULL); k++) {
            key = j->columns[0][k] == i ? &j->t[1]->columns[j->columns[1][k]] : key;
        }
        if ((key ? gather_two(out, str_of(c->name), c, j->rows[0], key, j->rows[1], e)
                 : gather_column(out, str_of(c->name), c, j->rows[0], e)) == NULL) {
            return -1;
        }
    }
    return 0;
}

static int add_right(const struct join *j, struct str suffix, struct table *out, struct err *e)
{
    for (size_t i = 0; i < j->t[1]->n_columns; i++) {
        const struct column *c = &j->t[1]->columns[i];
        bool key = false, clash = table_column(j->t[0], str_of(c->name)) != NULL;
        SCOPED(freep)
        char *name = xasprintf("%s%.*s", c->name, clash ? (int)suffix.len : 0, suffix.p);

        for (size_t k = 0; k < j->n_keys; k++) {
            key = key || j->columns[1][k] == i;
        }
        if (!key && gather_column(out, str_of(name), c, j->rows[1], e) == NULL) {
            return clash ? err_wrap(e, "suffix") : -1;
        }
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    enum join_type type = step_choice(s, "type");
    SCOPED(join_done)
    struct join j = {.t = {step_table(s, "left"), step_table(s, "right")}};
    const uint32_t *const columns[2] = {j.columns[0], j.columns[1]};
    SCOPED(table_freep) struct table *out = NULL;

    if (find_keys(&j, step_text(s, "keys"), e) < 0 ||
        keys_of(&j.keys, j.t, columns, j.n_keys, KEYS_MISSING_NEVER, e) < 0 ||
        find_pairs(&j, type, e) < 0) {
        return -1;
    }
    out = table_new(j.n);
    if (add_left(&j, type, out, e) < 0 ||
        (type != SEMI && type != ANTI && add_right(&j, step_text(s, "suffix"), out, e) < 0)) {
        return -1;
    }
    for (size_t i = 0; i < j.t[0]->n_applied; i++) {
        if (table_note_applied(out, j.t[0]->applied[i], e) < 0) {
            return -1;
        }
    }
    progress_say(s->progress, "%zu and %zu rows became %zu", j.t[0]->n_rows, j.t[1]->n_rows, j.n);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

const struct module module_join = {
    .name = "join",
    .title = "Join",
    .description =
        "Puts rows of two tables side by side that are equal in the key columns, in the order of "
        "the left table (of the right one for right). A missing key is equal to nothing.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+20*cells+16*rows+64Mi",
    .run = run,
    .check = check_dry,
};
