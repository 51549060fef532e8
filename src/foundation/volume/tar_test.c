#include "volume/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"

#define FILE_ENTRY .kind = TAR_FILE, .link = STR_EMPTY, .mode = 0644

static struct buf head(const struct tar_entry *t)
{
    struct buf b = BUF_MAX(MIB);

    assert_int_equal(tar_head(&b, t), 0);
    assert_int_equal(b.len % TAR_BLOCK, 0);
    return b;
}

/* The pax records before the last block, or NULL. */
static const char *records(const struct buf *b)
{
    return b->len > TAR_BLOCK ? b->p + TAR_BLOCK : NULL;
}

static const char *ustar(const struct buf *b)
{
    return b->p + b->len - TAR_BLOCK;
}

static void what_fits_the_old_head_needs_no_record(void **state UNUSED)
{
    struct buf b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("a/b.txt"), .size_bytes = 10,
                                            .modified_ns = 1700000000LL * 1000000000});

    assert_int_equal(b.len, TAR_BLOCK);
    assert_string_equal(ustar(&b), "a/b.txt");
    assert_string_equal(ustar(&b) + 100, "0000644");
    assert_string_equal(ustar(&b) + 124, "00000000012");
    assert_int_equal(strtoll(ustar(&b) + 136, NULL, 8), 1700000000);
    assert_int_equal(ustar(&b)[156], '0');
    assert_memory_equal(ustar(&b) + 257, "ustar\00000", 8);
    buf_done(&b);
}

static void the_sum_is_that_of_the_block(void **state UNUSED)
{
    struct buf b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("x")});
    unsigned sum = 0;

    for (int i = 0; i < TAR_BLOCK; i++) {
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)b.p[i];
    }
    assert_int_equal(strtol(b.p + 148, NULL, 8), sum);
    buf_done(&b);
}

static void a_record_counts_its_own_length(void **state UNUSED)
{
    /* around every length where a digit is added */
    for (size_t n = 101; n < 1100; n++) {
        char name[1200];
        struct buf b;
        char *end;
        size_t len;

        memset(name, 'n', sizeof(name));
        b = head(&(struct tar_entry){FILE_ENTRY, .name = str_n(name, n)});
        len = strtoul(records(&b), &end, 10);
        assert_int_equal(strtoul(b.p + 124, NULL, 8), len); /* of the head before */
        assert_memory_equal(end, " path=", 6);
        assert_int_equal(records(&b)[len - 1], '\n');
        assert_ptr_equal(records(&b) + len - 1, end + 6 + n);
        buf_done(&b);
    }
}

static void large_sizes_and_odd_times_stand_in_records(void **state UNUSED)
{
    struct buf b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("big"), .size_bytes = 8 * GIB,
                                            .modified_ns = 1234567890123456789});

    assert_non_null(strstr(records(&b), " size=8589934592\n"));
    assert_non_null(strstr(records(&b), " mtime=1234567890.123456789\n"));
    buf_done(&b);
    b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("max"), .size_bytes = 8 * GIB - 1});
    assert_int_equal(b.len, TAR_BLOCK);
    assert_string_equal(ustar(&b) + 124, "77777777777");
    buf_done(&b);
    b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("old"), .modified_ns = -1500000000});
    assert_non_null(strstr(records(&b), " mtime=-1.500000000\n"));
    buf_done(&b);
    b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("older"), .modified_ns = INT64_MIN});
    assert_non_null(strstr(records(&b), " mtime=-9223372036.854775808\n"));
    buf_done(&b);
}

static void names_of_any_bytes_are_marked(void **state UNUSED)
{
    struct buf b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("\xff\n")});

    assert_non_null(strstr(records(&b), "21 hdrcharset=BINARY\n"));
    assert_non_null(strstr(records(&b), " path=\xff\n\n"));
    buf_done(&b);
    b = head(&(struct tar_entry){FILE_ENTRY, .name = STR("\xe5\x9c\x96")});
    assert_null(strstr(records(&b), "hdrcharset"));
    assert_non_null(strstr(records(&b), " path=\xe5\x9c\x96\n"));
    buf_done(&b);
}

static void folders_and_links_say_what_they_are(void **state UNUSED)
{
    struct buf b = head(&(struct tar_entry){
        .kind = TAR_DIR, .name = STR("d"), .link = STR_EMPTY, .mode = 06755 | 01000});
    char target[300];

    assert_string_equal(ustar(&b), "d/");
    assert_string_equal(ustar(&b) + 100, "0001755"); /* set-user-id and set-group-id are gone */
    assert_int_equal(ustar(&b)[156], '5');
    buf_done(&b);
    memset(target, 't', sizeof(target));
    b = head(&(struct tar_entry){
        .kind = TAR_LINK, .name = STR("l"), .link = str_n(target, sizeof(target)), .mode = 0777});
    assert_non_null(strstr(records(&b), " linkpath=ttt"));
    assert_int_equal(ustar(&b)[156], '2');
    buf_done(&b);
}

static void files_end_with_a_block(void **state UNUSED)
{
    struct buf b = BUF_MAX(KIB);

    assert_int_equal(tar_padding(0), 0);
    assert_int_equal(tar_padding(1), 511);
    assert_int_equal(tar_padding(512), 0);
    assert_int_equal(tar_padding(8 * GIB + 511), 1);
    assert_int_equal(tar_end(&b), 0);
    assert_int_equal(b.len, 1024);
    assert_int_equal(tar_end(&b), -1); /* past its ceiling */
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_the_old_head_needs_no_record),
        cmocka_unit_test(the_sum_is_that_of_the_block),
        cmocka_unit_test(a_record_counts_its_own_length),
        cmocka_unit_test(large_sizes_and_odd_times_stand_in_records),
        cmocka_unit_test(names_of_any_bytes_are_marked),
        cmocka_unit_test(folders_and_links_say_what_they_are),
        cmocka_unit_test(files_end_with_a_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
