#include "algorithms/kernel/table_file.h"

#include "algorithms/kernel/checksum.h"
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
    SCOPED(freep) char *path = path_of("t.stbl");
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

/* A file with any byte changed or cut short is refused; nothing crashes. */
static void damaged_files_are_refused(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(freep) char *path = path_of("damaged.stbl");
    struct buf b = BUF_MAX(4096);
    struct err e = {0};

    (void)state;
    assert_int_equal(table_save(t, path, &e), 0);
    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    for (size_t i = 0; i < b.len; i++) {
        struct binr r = {0};

        if (i >= 12 && i < 16) {
            continue; /* zero, not looked at */
        }
        b.p[i] ^= 0x40;
        assert_int_equal(binr_init(&r, buf_str(&b), BINARY_TABLE, &e), -1);
        b.p[i] ^= 0x40;
        assert_int_equal(binr_init(&r, str_first(buf_str(&b), i), BINARY_TABLE, &e), -1);
    }
    buf_done(&b);
}

/* With the checksum made right again: what is inside is not believed either. */
static void forged_contents_are_refused(void **state)
{
    SCOPED(table_freep) struct table *t = sample();
    SCOPED(freep) char *path = path_of("forged.stbl");
    struct buf b = BUF_MAX(4096);
    struct err e = {0};

    (void)state;
    assert_int_equal(table_save(t, path, &e), 0);
    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    for (size_t i = BINARY_HEAD_BYTES; i < b.len; i++) {
        struct binr r = {0};
        uint64_t sum;

        b.p[i] ^= (char)0xff;
        sum = checksum_of(b.p + BINARY_HEAD_BYTES, b.len - BINARY_HEAD_BYTES);
        memcpy(b.p + 24, &sum, 8);
        assert_int_equal(binr_init(&r, buf_str(&b), BINARY_TABLE, &e), 0);
        table_free(table_read(&r, &e)); /* refused, or other values: never a crash */
        b.p[i] ^= (char)0xff;
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
    assert_null(table_load("/nonexistent/t.stbl", &e));
    assert_int_equal(failure_exit_code(e.kind), EXIT_USER);
}

static void an_unwritten_table_leaves_nothing_behind(void **state)
{
    SCOPED(freep) char *path = path_of("gone.stbl");
    SCOPED(freep) char *tmp = NULL;
    struct err e = {0};
    struct binw *w = binw_open(path, BINARY_TABLE, &e);

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
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(forged_contents_are_refused),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(an_unwritten_table_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
