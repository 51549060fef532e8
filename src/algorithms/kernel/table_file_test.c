#include "algorithms/kernel/table_file.h"

#include "algorithms/kernel/arrow.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/transform.h"
#include "base/fs.h"
#include "base/mem.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/strata-ml-table-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

/* x -> (x - 0) x 2 of column n, as the file of a scaler has it. */
static struct transform *doubling(void)
{
    struct buf bytes = BUF_MAX(1024);
    SCOPED(binw_closep) struct binw *w = binw_open_memory(&bytes);
    struct binr r;
    struct transform *x;
    struct err e = {0};

    binw_u32(w, 1);
    binw_u32(w, 1);
    binw_str(w, STR("n"));
    binw_f64(w, 0);
    binw_f64(w, 2);
    assert_int_equal(binw_commit(w, &e), 0);
    r = (struct binr){.p = bytes.p, .left = bytes.len, .version = BINARY_VERSION};
    x = transform_read(&r, &e);
    assert_non_null(x);
    buf_done(&bytes);
    return x;
}

static struct table *sample(void)
{
    struct table *t = table_new(3);
    struct dict *d = dict_new();
    struct err e = {0};
    struct column *c = table_add_numbers(t, STR("n"), &e);
    uint32_t code;
    struct transform *x = doubling();

    c->numbers[0] = 1.5;
    c->numbers[1] = NAN;
    c->numbers[2] = -INFINITY;
    assert_int_equal(dict_intern(d, STR("a \"b\", c"), &code, &e), 0);
    assert_int_equal(dict_intern(d, STR(""), &code, &e), 0);
    c = table_add_text(t, STR("text, with comma"), d, &e);
    c->codes[0] = 0;
    c->codes[1] = DICT_MISSING;
    c->codes[2] = 1;
    assert_int_equal(table_note_applied(t, x, &e), 0);
    transform_free(x);
    return t;
}

static void tables_come_back_as_they_were(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(freep) char *path = path_of("t.arrow");
    SCOPED(table_freep) struct table *again = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(table_save(t, path, &e), 0);
    again = table_load(path, &e);
    assert_non_null(again);
    assert_int_equal(again->n_rows, 3);
    assert_memory_equal(again->columns[0].numbers, t->columns[0].numbers, 24);
    assert_memory_equal(again->columns[1].codes, t->columns[1].codes, 12);
    assert_true(str_eq_c(dict_text(again->columns[1].dict, 0), "a \"b\", c"));
    assert_int_equal(again->n_applied, 1);
    assert_true(transform_id(again->applied[0]) == transform_id(t->applied[0]));
}

static void every_type_comes_back(void **state)
{
    static const struct {
        enum column_as as, want;
        double values[3];
    } rows[] = {
        {AS_REAL, AS_REAL, {0.1, NAN, -INFINITY}}, {AS_INT, AS_INT, {-5, NAN, 9007199254740992}},
        {AS_BOOL, AS_BOOL, {1, NAN, 0}},           {AS_DATE, AS_DATE, {-1, 0, 2932896}},
        {AS_TIME, AS_TIME, {1e15, NAN, -1}},       {AS_INT, AS_REAL, {1, 0.5, NAN}},
        {AS_BOOL, AS_REAL, {1, 2, NAN}},           {AS_DATE, AS_REAL, {1e300, 0, NAN}},
    };
    SCOPED(freep) char *path = path_of("types.arrow");
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SCOPED(table_freep) struct table *t = table_new(3);
        SCOPED(table_freep) struct table *again = NULL;
        struct column *c = table_add_numbers(t, STR("c"), &e);

        c->as = rows[i].as;
        memcpy(c->numbers, rows[i].values, sizeof(rows[i].values));
        assert_int_equal(table_save(t, path, &e), 0);
        again = table_load(path, &e);
        assert_non_null(again);
        assert_int_equal(again->columns[0].as, rows[i].want);
        for (int k = 0; k < 3; k++) {
            double want = rows[i].values[k], got = again->columns[0].numbers[k];

            assert_true(got == want || (isnan(got) && isnan(want)));
        }
    }
}

static void empty_tables_come_back(void **state)
{
    SCOPED(freep) char *path = path_of("empty.arrow");
    SCOPED(table_freep) struct table *no_rows = table_new(0);
    SCOPED(table_freep) struct table *no_columns = table_new(0);
    SCOPED(table_freep) struct table *missing = table_new(2);
    struct dict *d = dict_new();
    struct table *again;
    struct column *c;
    struct err e = {0};

    (void)state;
    assert_non_null(table_add_numbers(no_rows, STR("a"), &e));
    assert_non_null(table_add_text(no_rows, STR("b"), dict_ref(d), &e));
    c = table_add_text(missing, STR("all"), d, &e);
    c->codes[0] = c->codes[1] = DICT_MISSING;
    for (int i = 0; i < 3; i++) {
        const struct table *t = i == 0 ? no_rows : i == 1 ? no_columns : missing;

        assert_int_equal(table_save(t, path, &e), 0);
        again = table_load(path, &e);
        assert_non_null(again);
        assert_int_equal(again->n_columns, t->n_columns);
        assert_int_equal(again->n_rows, t->n_rows);
        if (i == 2) {
            assert_int_equal(again->columns[0].codes[1], DICT_MISSING);
        }
        table_free(again);
    }
}

/* Numbers, codes and texts without gaps are used where they lie in the mapped file. */
static void columns_lie_in_the_file(void **state)
{
    SCOPED(table_freep) struct table *t = table_new(10000);
    SCOPED(table_freep) struct table *again = NULL;
    SCOPED(freep) char *path = path_of("mapped.arrow");
    struct dict *d = dict_new();
    struct err e = {0};
    struct column *c = table_add_numbers(t, STR("n"), &e);
    uint64_t before;
    uint32_t code;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        c->numbers[i] = i % 7 == 0 ? NAN : i + 0.5;
    }
    assert_int_equal(dict_intern(d, STR("x"), &code, &e), 0);
    dict_seal(d);
    assert_non_null(table_add_text(t, STR("s"), d, &e));
    assert_int_equal(table_save(t, path, &e), 0);
    before = big_in_use();
    again = table_load(path, &e);
    assert_non_null(again);
    assert_int_equal(big_in_use(), before);
    assert_memory_equal(again->columns[0].numbers, t->columns[0].numbers, 80000);
    c = table_own_numbers(again, STR("n"), &e); /* the file cannot be written: a copy */
    c->numbers[0] = 1;
    assert_true(big_in_use() > before);
}

static void csv_quotes_what_needs_it(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(freep) char *path = path_of("t.csv");
    struct buf b = BUF_MAX(4096);
    struct err e = {0};

    (void)state;
    assert_int_equal(table_save(t, path, &e), 0);
    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    assert_string_equal(b.p, "n,\"text, with comma\"\n1.5,\"a \"\"b\"\", c\"\n,\n-inf,\"\"\n");
    buf_done(&b);
}

static struct table *read_bytes(struct str bytes, enum arrow_trust trust, struct err *e)
{
    char *copy = big_alloc(bytes.len, 1, "a copy", e); /* aligned, and its end is watched */
    struct shared *keep = shared_of_big(copy);
    struct table *t;

    memcpy(copy, bytes.p, bytes.len);
    t = arrow_read(str_n(copy, bytes.len), keep, trust, e);
    shared_unref(keep);
    return t;
}

/* A file with any byte changed or cut short is refused; nothing crashes. */
static void damaged_files_are_refused(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(freep) char *path = path_of("damaged.arrow");
    struct buf b = BUF_MAX(65536);
    struct err e = {0};

    (void)state;
    assert_int_equal(table_save(t, path, &e), 0);
    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] ^= 0x40;
        if (read_bytes(buf_str(&b), ARROW_CHECK, &e)) {
            fail_msg("byte %zu of %zu may be any", i, b.len);
        }
        assert_int_equal(e.kind, ERR_DATA);
        table_free(read_bytes(buf_str(&b), ARROW_SKIP_CHECKSUM, &e)); /* no crash */
        b.p[i] ^= 0x40;
        assert_null(read_bytes(str_first(buf_str(&b), i), ARROW_CHECK, &e));
    }
    buf_done(&b);
}

static void other_files_are_told_apart(void **state)
{
    SCOPED(freep) char *path = path_of("x.csv");
    struct err e = {0};

    (void)state;
    assert_int_equal(
        fs_write_atomic(AT_FDCWD, path, STR("a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n11,12\n"), 0600, &e),
        0);
    assert_null(table_load(path, &e));
    assert_int_equal(e.kind, ERR_DATA);
    assert_non_null(strstr(e.msg, "read_csv"));
    assert_null(table_load("/nonexistent/t.arrow", &e));
    assert_int_equal(failure_exit_code(e.kind), EXIT_USER);
}

static void an_unwritten_table_leaves_nothing_behind(void **state)
{
    SCOPED(freep) char *path = path_of("gone.smdl");
    SCOPED(freep) char *tmp = NULL;
    struct err e = {0};
    struct binw *w = binw_open(path, BINARY_MODEL, &e);

    (void)state;
    assert_non_null(w);
    tmp = xstrdup(w->tmp);
    binw_close(w);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(tmp, F_OK), -1);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct err e = {0};

    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_come_back_as_they_were),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(empty_tables_come_back),
        cmocka_unit_test(columns_lie_in_the_file),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(an_unwritten_table_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
