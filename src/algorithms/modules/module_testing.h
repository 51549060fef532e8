/* module_testing - runs one module on tables written as text; for the tests of modules. */
#pragma once
#include "algorithms/kernel/csv.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct value testing_table(const char *csv)
{
    struct csv_options o = {.quote = '"', .null_values = STR("NA")};
    struct csv_report r;
    struct err e = {0};
    struct value v = {.type = VALUE_TABLE, .table = csv_read(str_of(csv), &o, &r, &e)};

    assert_non_null(v.table);
    return v;
}

/* `words` end with NULL, the first is the module; its first input is `in`, its second `in2`. The
 * outputs are in s->out; step_done() frees them. */
static inline int testing_run(struct step *s, const char *const *words, const struct value *in,
                              const struct value *in2, unsigned n_threads, struct err *e)
{
    SCOPED(threads_closep) struct threads *threads = threads_open(n_threads);
    struct progress progress;
    size_t n = 0;

    while (words[n]) {
        n++;
    }
    if (step_parse(s, modules_all, (char *const *)words, n, e) < 0) {
        return -1;
    }
    progress_init(&progress, PROGRESS_NONE);
    progress_begin(&progress, words[0], 1, 1);
    s->threads = threads;
    s->progress = &progress;
    s->in[0] = in;
    s->in[1] = in2;
    return s->module->run(s, e);
}
