#include "algorithms/kernel/regex_priv.h"

#include "algorithms/kernel/utf8.h"

#include <stdlib.h>
#include <string.h>

/* All instructions that wait for a character from `pc` on; true when the end is among them. */
static bool follow(struct regex *r, int pc, bool start, bool end, int *list, int *n)
{
    int top = 0;

    r->stack[top++] = pc;
    while (top > 0) {
        const struct regex_ins *i;

        pc = r->stack[--top];
        if (r->seen[pc] == r->round) {
            continue;
        }
        r->seen[pc] = r->round;
        i = &r->ins[pc];
        if (i->op == OP_FOUND) {
            return true;
        }
        if (i->op == OP_SPLIT) {
            r->stack[top++] = pc + i->b;
            r->stack[top++] = pc + i->a;
        } else if (i->op == OP_START || i->op == OP_END) {
            if (i->op == OP_START ? start : end) {
                r->stack[top++] = pc + 1;
            }
        } else {
            list[(*n)++] = pc;
        }
    }
    return false;
}

static bool takes(const struct regex *r, const struct regex_ins *i, uint32_t c)
{
    for (int k = i->a; i->op != OP_ANY && k < i->b; k++) {
        if (c >= r->ranges[k].first && c <= r->ranges[k].last) {
            return i->op == OP_SET;
        }
    }
    return i->op == OP_ANY ? c != '\n' : i->op == OP_NOT_SET;
}

bool regex_found(struct regex *r, struct str text)
{
    int n = 0;

    r->round++;
    for (size_t at = 0;;) {
        uint32_t c = 0;
        size_t step = 0;
        int n_next = 0, *swap = r->now;

        if (follow(r, 0, at == 0, at == text.len, r->now, &n)) {
            return true;
        }
        if (at == text.len) {
            return false;
        }
        step = utf8_next(str_from(text, at), &c);
        at += step;
        r->round++;
        for (int k = 0; k < n; k++) {
            const struct regex_ins *i = &r->ins[r->now[k]];

            if (takes(r, i, c) &&
                follow(r, r->now[k] + 1, /* start */ false, at == text.len, r->next, &n_next)) {
                return true;
            }
        }
        r->now = r->next;
        r->next = swap;
        n = n_next;
    }
}
