#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/expr_priv.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Texts made on the way live in blocks, until the next rows. */
struct block {
    struct block *next;
    size_t used, cap;
    char bytes[];
};

enum { BLOCK_BYTES = 256 * 1024 };

struct eval {
    const struct expr *x;
    struct vec *made;  /* of every op: its own memory, and constants filled in */
    struct vec *stack; /* values in flight */
    struct block *blocks;
    struct err err;
    bool failed;
};

static void drop_blocks(struct eval *v, bool all)
{
    while (v->blocks && (all || v->blocks->next)) {
        struct block *next = v->blocks->next;

        big_free(v->blocks);
        v->blocks = next;
    }
    if (v->blocks) {
        v->blocks->used = 0;
    }
}

static void eval_done(struct eval *v)
{
    for (size_t i = 0; v->made && i < v->x->n_ops; i++) {
        big_free(v->made[i].own_numbers);
        big_free(v->made[i].own_texts);
    }
    drop_blocks(v, /* all */ true);
    free(v->made);
    free(v->stack);
}

char *eval_text(struct eval *v, size_t len)
{
    struct block *b = v->blocks;
    size_t cap = len > BLOCK_BYTES ? len : BLOCK_BYTES;

    if (v->failed) {
        return NULL;
    }
    if (len > ML_LIMIT_CELL_BYTES) {
        v->failed = true;
        (void)err_set(&v->err, ERR_DATA, "a text would have %zu bytes, and at most %llu are taken",
                      len, ML_LIMIT_CELL_BYTES);
        return NULL;
    }
    if (b == NULL || b->cap - b->used < len) {
        b = big_alloc(sizeof(*b) + cap, 1, "texts of an expression", &v->err);
        if (b == NULL) {
            v->failed = true;
            return NULL;
        }
        b->cap = cap;
        b->next = v->blocks;
        v->blocks = b;
    }
    b->used += len;
    return b->bytes + b->used - len;
}

static void fill_constant(const struct expr_op *op, struct vec *to)
{
    for (size_t i = 0; i < EXPR_ROWS; i++) {
        if (to->own_numbers) {
            to->own_numbers[i] = op->number;
        }
        if (to->own_texts) {
            to->own_texts[i] = op->op == OP_TEXT ? str_of(op->text) : (struct str){NULL, 0};
        }
    }
}

/* Memory for what each op makes: numbers of a column are read where they are. */
static int eval_init(struct eval *v, const struct expr *x, struct err *e)
{
    *v = (struct eval){.x = x,
                       .made = xnew_array(struct vec, x->n_ops),
                       .stack = xnew_array(struct vec, x->depth + 1)};
    for (size_t i = 0; i < x->n_ops; i++) {
        const struct expr_op *op = &x->ops[i];
        struct vec *m = &v->made[i];
        bool any = op->op == OP_NUMBER; /* `missing` is of every type */

        if (op->type.kind == COLUMN_TEXT || any) {
            m->own_texts = big_alloc(EXPR_ROWS, sizeof(*m->own_texts), "an expression", e);
        }
        if (op->type.kind != COLUMN_TEXT && op->op != OP_COLUMN) {
            m->own_numbers = big_alloc(EXPR_ROWS, sizeof(*m->own_numbers), "an expression", e);
        }
        if ((op->type.kind == COLUMN_TEXT || any) && m->own_texts == NULL) {
            return -1;
        }
        if (op->type.kind != COLUMN_TEXT && op->op != OP_COLUMN && m->own_numbers == NULL) {
            return -1;
        }
        m->numbers = m->own_numbers;
        m->texts = m->own_texts;
        if (op->op == OP_NUMBER || op->op == OP_TEXT) {
            fill_constant(op, m);
        }
    }
    return 0;
}

static void read_column(const struct column *c, size_t first, size_t n, struct vec *to)
{
    if (c->kind == COLUMN_NUMBER) {
        to->numbers = c->numbers + first;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t code = c->codes[first + i];

        to->own_texts[i] = code == DICT_MISSING ? (struct str){NULL, 0} : dict_text(c->dict, code);
    }
}

/* The value of rows first .. first + n - 1. */
static int eval_rows(struct eval *v, size_t first, size_t n, struct vec *out, struct err *e)
{
    size_t top = 0;

    drop_blocks(v, /* all */ false);
    for (size_t i = 0; i < v->x->n_ops; i++) {
        const struct expr_op *op = &v->x->ops[i];

        if (op->op == OP_COLUMN) {
            read_column(op->column, first, n, &v->made[i]);
        } else if (op->op == OP_CALL) {
            top -= op->n_args;
            op->run(v, op, v->stack + top, &v->made[i], n);
        }
        v->stack[top++] = v->made[i];
    }
    *out = v->stack[0];
    if (v->failed) {
        *e = v->err;
        return err_wrap(e, "rows %zu to %zu", first + 1, first + n);
    }
    return 0;
}

static size_t rows_from(size_t first, size_t n_rows)
{
    return n_rows - first < EXPR_ROWS ? n_rows - first : EXPR_ROWS;
}

uint32_t *expr_rows(const struct expr *x, size_t *n, struct err *e)
{
    size_t n_rows = x->table->n_rows;
    SCOPED(eval_done) struct eval v;
    int ready = eval_init(&v, x, e);
    SCOPED(big_freep)
    uint32_t *rows = ready < 0 ? NULL : big_alloc(n_rows, sizeof(*rows), "the rows to keep", e);
    struct vec out;

    *n = 0;
    for (size_t first = 0; rows && first < n_rows; first += EXPR_ROWS) {
        size_t many = rows_from(first, n_rows);

        if (eval_rows(&v, first, many, &out, e) < 0) {
            return NULL;
        }
        for (size_t i = 0; i < many; i++) {
            rows[*n] = (uint32_t)(first + i);
            *n += out.numbers[i] == 1;
        }
    }
    return TAKE(rows);
}

static int keep_numbers(const struct expr_op *last, struct column *to, const struct vec *values,
                        size_t first, size_t n, struct err *e)
{
    if (last->type.as == AS_REAL) {
        memcpy(to->numbers + first, values->numbers, n * sizeof(double));
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        double v = values->numbers[i];

        if (!as_holds(last->type.as, v)) {
            return err_set(e, ERR_DATA, "row %zu: %g is no %s; real(...) takes any number",
                           first + i + 1, v, as_name(last->type.as));
        }
        to->numbers[first + i] = v;
    }
    return 0;
}

static int keep_texts(struct dict *dict, struct column *to, const struct vec *values, size_t first,
                      size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        to->codes[first + i] = DICT_MISSING;
        if (values->texts[i].p &&
            dict_intern(dict, values->texts[i], &to->codes[first + i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

int expr_add_column(const struct expr *x, struct table *to, struct str name, struct err *e)
{
    const struct expr_op *last = &x->ops[x->n_ops - 1];
    SCOPED(eval_done) struct eval v;
    int ready = eval_init(&v, x, e);
    SCOPED(dict_freep) struct dict *dict = expr_is_text(x) ? dict_new() : NULL;
    SCOPED(table_freep) struct table *one = table_new(to->n_rows);
    struct column *c;
    struct vec out;

    if (ready < 0) {
        return -1;
    }
    c = dict ? table_add_text(one, name, dict_ref(dict), e) : table_add_numbers(one, name, e);
    if (c == NULL) {
        dict_free(dict); /* the reference that was not taken */
        return -1;
    }
    c->as = dict ? AS_REAL : last->type.as;
    if (dict) { /* interning is for the only reader */
        dict_free(c->dict);
        c->dict = NULL;
    }
    for (size_t first = 0; first < to->n_rows; first += EXPR_ROWS) {
        size_t n = rows_from(first, to->n_rows);

        if (eval_rows(&v, first, n, &out, e) < 0 ||
            (dict ? keep_texts(dict, c, &out, first, n, e)
                  : keep_numbers(last, c, &out, first, n, e)) < 0) {
            return -1;
        }
    }
    if (dict) {
        dict_seal(dict);
        c->dict = TAKE(dict);
    }
    return table_add_as(to, name, c, e) ? 0 : -1;
}
