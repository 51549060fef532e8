#include "algorithms/chain.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "base/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/strata-ml-chain-XXXXXX";

/* Runs lines that end with NULL; the memory that is counted is all given back. */
static int run(const char *const *lines, struct err *e)
{
    SCOPED(threads_closep) struct threads *threads = threads_open(2);
    struct progress progress;
    size_t n = 0;
    int rc;

    while (lines[n]) {
        n++;
    }
    progress_init(&progress, PROGRESS_NONE);
    rc = chain_run(modules_all, (char *const *)lines, n, threads, &progress, e);
    assert_int_equal(big_in_use(), 0);
    return rc;
}

static void assert_refused(const char *const *lines, const char *sentence)
{
    struct err e = {0};

    assert_int_equal(run(lines, &e), -1);
    if (strstr(e.msg, sentence) == NULL) {
        print_error("'%s' is not in '%s'\n", sentence, e.msg);
    }
    assert_non_null(strstr(e.msg, sentence));
    assert_int_equal(failure_exit_code(e.kind), EXIT_USER);
}

static void values_pass_in_memory_and_files(void **state)
{
    static const char *const lines[] = {
        "# comment",
        "read_csv --param path=x.csv --out table=t --out table=./copy.arrow",
        "  split --in table=t --param fraction=0.5\t--out train='t' --out \"test=u\"",
        "logistic_regression --in train=t --param label_col=label --out model=./m.smdl",
        "predict --in model=./m.smdl --in table=./copy.arrow --out table=./pred.csv --out table=p",
        "evaluate_multiclass --in table=p --param label_col=label --out report=./r.json",
        NULL};
    struct err e = {0};

    (void)state;
    assert_int_equal(run(lines, &e), 0);
    assert_int_equal(access("pred.csv", R_OK), 0);
    assert_int_equal(access("r.json", R_OK), 0);
}

static void plans_are_checked_before_anything_runs(void **state)
{
#define READ "read_csv --param path=x.csv --out table=t"
    static const char *const unknown_module[] = {READ, "splitt --in table=t", NULL};
    static const char *const unknown_value[] = {READ, "split --in table=u --out train=a", NULL};
    static const char *const later[] = {"split --in table=t --out train=a", READ, NULL};
    static const char *const type[] = {READ, "predict --in model=t --in table=t --out table=p",
                                       NULL};
    static const char *const param[] = {READ, "split --in table=t --out train=a --param sed=1",
                                        NULL};
    static const char *const value[] = {READ, "split --in table=t --out train=a --param seed=x",
                                        NULL};
    static const char *const range[] = {
        READ, "split --in table=t --out train=a --param fraction=1.5", NULL};
    static const char *const port[] = {READ, "split --in tabel=t --out train=a", NULL};
    static const char *const missing[] = {READ, "split --out train=a", NULL};
    static const char *const required[] = {READ, "logistic_regression --in train=t --out model=m",
                                           NULL};
    static const char *const useless[] = {READ, "split --in table=t", NULL};
    static const char *const quote[] = {"read_csv --param 'path=x.csv --out table=t", NULL};
    static const char *const twice[] = {READ " --param path=y.csv", NULL};
    static const char *const same[] = {READ, "split --in table=t --out train=a --out test=a", NULL};
    static const char *const word[] = {READ " --parm x=y", NULL};
    static const char *const half[] = {READ " --param", NULL};
    static const char *const nothing[] = {"", "# x", NULL};
    static const char *const choice[] = {READ " --param delim=colon", NULL};

    (void)state;
    assert_refused(unknown_module, "did you mean 'split'");
    assert_refused(unknown_value, "no step before makes 'u'");
    assert_refused(later, "no step before makes 't'");
    assert_refused(type, "input model is a model, and 't' is a table made by step 1");
    assert_refused(param, "no parameter 'sed': did you mean 'seed'");
    assert_refused(value, "parameter seed: 'x' is not a whole number");
    assert_refused(range, "parameter fraction: 1.5 is not between 0 and 1");
    assert_refused(port, "did you mean 'table'");
    assert_refused(missing, "split needs --in table=");
    assert_refused(required, "needs --param label_col=");
    assert_refused(useless, "nothing would be kept");
    assert_refused(quote, "a quote is opened");
    assert_refused(twice, "parameter path is given twice");
    assert_refused(same, "two outputs go to 'a'");
    assert_refused(word, "'--parm' is no option");
    assert_refused(half, "write --param NAME=VALUE");
    assert_refused(nothing, "chain needs steps");
    assert_refused(choice, "'colon' is none of auto|comma");
}

static void failures_name_the_step(void **state)
{
    static const char *const lines[] = {
        READ, "logistic_regression --in train=t --param label_col=lable --out model=m", NULL};

    (void)state;
    assert_refused(lines, "step 2, logistic_regression: label_col: the table has no column 'lable'"
                          ": did you mean 'label'?");
}

static void what_does_not_fit_the_budget_is_said(void **state)
{
    static const char *const lines[] = {READ, NULL};
    struct err e = {0};

    (void)state;
    big_set_budget(1024);
    assert_int_equal(run(lines, &e), -1);
    big_set_budget(0);
    assert_int_equal(failure_exit_code(e.kind), EXIT_MEMORY);
    assert_non_null(strstr(e.msg, "not enough memory for the"));
}

static int enter(void **state)
{
    struct buf b = BUF_MAX(1 << 16);
    struct err e = {0};
    int rc;

    (void)state;
    (void)buf_add_c(&b, "x,label\n");
    for (int i = 0; i < 100; i++) {
        (void)buf_printf(&b, "%d,%s\n", i, i < 50 ? "low" : "high");
    }
    rc = mkdtemp(dir) && chdir(dir) == 0 &&
                 fs_write_atomic(AT_FDCWD, "x.csv", buf_str(&b), 0600, &e) == 0
             ? 0
             : -1;
    buf_done(&b);
    return rc;
}

static int leave(void **state)
{
    struct err e = {0};

    (void)state;
    return chdir("/") == 0 ? fs_remove_tree(AT_FDCWD, dir, &e) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_pass_in_memory_and_files),
        cmocka_unit_test(plans_are_checked_before_anything_runs),
        cmocka_unit_test(failures_name_the_step),
        cmocka_unit_test(what_does_not_fit_the_budget_is_said),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
