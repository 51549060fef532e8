#include "runtime/runtime_priv.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void a_shim_record_comes_back_as_it_was_written(void **state)
{
    static const struct shim_record in = {"0b5f", 4711, 123456, 4712, 123460, 1700000000123};
    struct shim_record out;
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err e;

    (void)state;
    shim_record_put(&b, &in);
    assert_int_equal(shim_record_parse(buf_str(&b), &out, &e), 0);
    assert_memory_equal(&in, &out, sizeof(in));
    buf_done(&b);
}

static void a_shim_record_before_the_start_has_no_init(void **state)
{
    struct shim_record out;
    struct err e;

    (void)state;
    assert_int_equal(shim_record_parse(STR("strata-shim 1\nboot x\npid 7\nstart 9\n"), &out, &e),
                     0);
    assert_int_equal(out.init, 0);
    assert_int_equal(out.pid, 7);
}

static void half_a_shim_record_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "strata-shim 2\nboot x\npid 7\nstart 9\n",
                                      "strata-shim 1\n",
                                      "strata-shim 1\nboot x\npid 7\n",
                                      "strata-shim 1\nboot x\npid -7\nstart 9\n",
                                      "strata-shim 1\nboot x\npid 99999999999\nstart 9\n",
                                      "strata-shim 1\nboot\npid 7\nstart 9\n",
                                      "strata-shim 1\nboot x\npid 7\nstart 99999999999999999999\n"};
    struct shim_record out;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(shim_record_parse(str_of(bad[i]), &out, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void an_exit_record_comes_back_as_it_was_written(void **state)
{
    static const struct runtime_status in = {.id = "j-1",
                                             .end = RUNTIME_SIGNALED,
                                             .code = 15,
                                             .started_ms = 5,
                                             .ended_ms = 7,
                                             .memory_peak_bytes = 1 << 20,
                                             .cpu_usec = 99,
                                             .detail = "two words"};
    struct runtime_status out = {.id = "j-1"};
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err e;

    (void)state;
    exit_record_put(&b, &in);
    assert_true(str_starts(buf_str(&b), STR("signal 15\n")));
    assert_int_equal(exit_record_parse(buf_str(&b), &out, &e), 0);
    assert_memory_equal(&in, &out, sizeof(in));
    buf_done(&b);
}

static void a_line_break_in_a_detail_does_not_break_the_record(void **state)
{
    struct runtime_status in = {.end = RUNTIME_LOST, .detail = "a\nexit 0"}, out = {0};
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err e;

    (void)state;
    exit_record_put(&b, &in);
    assert_int_equal(exit_record_parse(buf_str(&b), &out, &e), 0);
    assert_string_equal(out.detail, "a exit 0");
    assert_int_equal(out.end, RUNTIME_LOST);
    buf_done(&b);
}

static void exit_records_of_later_versions_are_read(void **state)
{
    struct runtime_status out = {0};
    struct err e;

    (void)state;
    assert_int_equal(exit_record_parse(STR("exit 3\nio_bytes many\n\ncpu_usec 5"), &out, &e), 0);
    assert_int_equal(out.code, 3);
    assert_int_equal(out.cpu_usec, 5);
}

static void a_broken_exit_record_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "exit",
                                      "exit x\n",
                                      "exit 256\n",
                                      "gone 1\n",
                                      "exit 1\ncpu_usec -1\n",
                                      "exit 1\nended_ms\n"};
    struct runtime_status out = {0};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(exit_record_parse(str_of(bad[i]), &out, &e), -1);
    }
}

static void the_name_of_a_process_cannot_pretend_to_be_its_state(void **state)
{
    static const char text[] =
        "42 (a) R 1 (x)) Z 7 42 41 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 1 0 987654 10 20 "
        "18446744073709551615 1 1\n";
    struct process_stat st;
    struct err e;

    (void)state;
    assert_int_equal(process_stat_parse(str_of(text), &st, &e), 0);
    assert_int_equal(st.state, 'Z');
    assert_int_equal(st.parent, 7);
    assert_int_equal(st.session, 41);
    assert_int_equal(st.flags, 4194368);
    assert_int_equal(st.start, 987654);
}

static void what_is_no_stat_line_is_refused(void **state)
{
    static const char *const bad[] = {"", "1", "1 (a", "1 (a) R", "1 (a) R x 1 1 1 1 1", "1 (a)"};
    struct process_stat st;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(process_stat_parse(str_of(bad[i]), &st, &e), -1);
    }
}

static void a_process_is_opened_only_with_its_start_time(void **state)
{
    struct process_stat st;
    struct err e;
    int fd;

    (void)state;
    assert_int_equal(process_stat_of(getpid(), &st, &e), 0);
    fd = process_open(getpid(), st.start);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(process_open(getpid(), st.start + 1), -1);
    assert_int_equal(process_open(0x7fffffff, 1), -1);
}

static void an_answer_of_the_shim_is_a_record_or_an_error(void **state)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct shim_record out;
    struct err e = {0};

    (void)state;
    wire_put_u64(&b, ERR_NONE);
    wire_put_str(&b, STR("strata-shim 1\nboot x\npid 7\nstart 9\n"));
    assert_int_equal(shim_answer_parse(buf_str(&b), &out, &e), 0);
    buf_clear(&b);
    wire_put_u64(&b, ERR_INVALID);
    wire_put_u64(&b, 2);
    wire_put_str(&b, STR("no such command"));
    assert_int_equal(shim_answer_parse(buf_str(&b), &out, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(e.sys, 2);
    assert_string_equal(e.msg, "no such command");
    assert_int_equal(shim_answer_parse(STR_EMPTY, &out, &e), -1);
    assert_int_equal(e.kind, ERR_INTERNAL);
    buf_done(&b);
}

static void ooms_before_the_first_signal_are_kept(void **state)
{
    char dir[] = "/tmp/strata-record-XXXXXX";
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(fs_mkdir(AT_FDCWD, "jobs", 0700, &e), 0);
    assert_int_equal(fs_mkdir(AT_FDCWD, "jobs/j-1", 0700, &e), 0);
    assert_int_equal(ooms_before_signal("j-1"), 0);
    ooms_before_signal_note("j-1", 3);
    ooms_before_signal_note("j-1", 4);
    assert_int_equal(ooms_before_signal("j-1"), 3);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shim_record_comes_back_as_it_was_written),
        cmocka_unit_test(a_shim_record_before_the_start_has_no_init),
        cmocka_unit_test(half_a_shim_record_is_refused),
        cmocka_unit_test(an_exit_record_comes_back_as_it_was_written),
        cmocka_unit_test(a_line_break_in_a_detail_does_not_break_the_record),
        cmocka_unit_test(exit_records_of_later_versions_are_read),
        cmocka_unit_test(a_broken_exit_record_is_refused),
        cmocka_unit_test(the_name_of_a_process_cannot_pretend_to_be_its_state),
        cmocka_unit_test(what_is_no_stat_line_is_refused),
        cmocka_unit_test(a_process_is_opened_only_with_its_start_time),
        cmocka_unit_test(an_answer_of_the_shim_is_a_record_or_an_error),
        cmocka_unit_test(ooms_before_the_first_signal_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
