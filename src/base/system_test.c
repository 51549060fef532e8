/* err, clock, hash, fs, lock: what deals with the machine. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_error_keeps_its_kind_when_wrapped(void **state UNUSED)
{
    struct err e;

    errno = ENOSPC;
    assert_int_equal(err_sys(&e, "write %s", "x"), -1);
    assert_int_equal(e.kind, ERR_NO_SPACE);
    err_wrap(&e, "upload");
    assert_string_equal(e.msg, "upload: write x: No space left on device");
    assert_int_equal(e.kind, ERR_NO_SPACE);
    assert_int_equal(err_http_status(e.kind), 507);
    assert_int_equal(err_kind_of_http(507), ERR_NO_SPACE);
    assert_int_equal(err_kind_of_http(418), ERR_INVALID);
    err_set(&e, ERR_INVALID, "again: %s", e.msg); /* its own message as argument */
    assert_string_equal(e.msg, "again: upload: write x: No space left on device");
}

static void times_are_written_as_the_standards_say(void **state UNUSED)
{
    char out[32];
    int64_t ms;

    assert_string_equal(clock_format(784111777123, out), "1994-11-06T08:49:37.123Z");
    assert_int_equal(clock_parse(str_of(out), &ms), 0);
    assert_int_equal(ms, 784111777123);
    assert_int_equal(clock_parse(STR("1994-11-06T08:49:37Z"), &ms), 0);
    assert_int_equal(ms, 784111777000);
    assert_int_equal(clock_parse(STR("1994-11-06"), &ms), -1);
    assert_int_equal(clock_parse(STR("1994-11-06T08:49:37.12Z"), &ms), -1);
    assert_int_equal(clock_parse(STR("1994-11-06T08:49:37+02:00"), &ms), -1);
    assert_string_equal(clock_format_http(784111777000, out), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(clock_format_duration(185000, out), "3 min 5 s");
    clock_set_wall_ms(42);
    assert_int_equal(clock_wall_ms(), 42);
    clock_set_wall_ms(0);
    assert_true(clock_wall_ms() > 1600000000000);
}

static void digests_and_encodings_match_the_published_vectors(void **state UNUSED)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(1000);
    char hex[SHA256_HEX + 1];
    unsigned char mac[SHA256_BYTES], raw[2];

    sha256_hex_of(STR("abc"), hex); /* FIPS 180-4 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), mac); /* RFC 4231, case 2 */
    hex_encode(mac, sizeof(mac), hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(hex_decode(STR("ff0"), raw, 2), -1);
    assert_int_equal(hex_decode(STR("FF00"), raw, 2), -1);
    assert_int_equal(hex_decode(STR("ff00"), raw, 2), 0);
    assert_int_equal(base64_add(&b, STR("foob")), 0); /* RFC 4648 */
    assert_string_equal(b.p, "Zm9vYg==");
    buf_clear(&b);
    assert_int_equal(base64url_add(&b, str_n("\xff\xfe", 2)), 0);
    assert_string_equal(b.p, "__4");
    buf_clear(&b);
    assert_int_equal(base64_decode(STR("Zm9vYg=="), &b), 0);
    assert_string_equal(b.p, "foob");
    assert_int_equal(base64_decode(STR("Zm9vYg="), &b), -1);
    assert_int_equal(base64_decode(STR("Zm9vYh=="), &b), -1); /* bits left over */
    assert_int_equal(base64url_decode(STR("a+b"), &b), -1);
    assert_true(secret_eq(STR("a"), STR("a")));
    assert_false(secret_eq(STR("a"), STR("ab")));
}

static void make_tmp(char path[32])
{
    memcpy(path, "/tmp/strata-base-XXXXXX", sizeof("/tmp/strata-base-XXXXXX"));
    assert_non_null(mkdtemp(path));
}

static void a_replaced_file_is_whole_and_has_its_mode(void **state UNUSED)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(10);
    char dir[32];
    struct stat st;
    struct err e;
    int fd;

    make_tmp(dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fs_write_atomic(fd, "f", STR("one"), 0600, &e), 0);
    assert_int_equal(fs_write_atomic(fd, "f", STR("two"), 0600, &e), 0);
    assert_int_equal(fs_read(fd, "f", &b, &e), 0);
    assert_string_equal(b.p, "two");
    assert_int_equal(fstatat(fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fs_write_atomic(fd, "none/f", STR("x"), 0600, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(fs_write_atomic(fd, "f", STR("more than ten bytes"), 0600, &e), 0);
    buf_clear(&b);
    assert_int_equal(fs_read(fd, "f", &b, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
    (void)close(fd);
}

/* `depth` folders inside each other, with a file and a link to /etc in each. */
static void make_deep(const char *dir, int depth)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    for (int i = 0; i < depth; i++) {
        int next;

        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        assert_int_equal(symlinkat("/etc", fd, "link"), 0);
        assert_int_equal(mkdirat(fd, ".removing-0", 0755), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
}

static void removing_a_tree_follows_no_link_and_minds_no_depth(void **state UNUSED)
{
    char dir[32];
    struct err e;

    make_tmp(dir);
    make_deep(dir, 3000);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0); /* not there is success */
}

static void taking_locks_out_of_order_aborts(void **state UNUSED)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct lock outer, inner;

        (void)close(STDERR_FILENO);
        lock_init(&outer, LOCK_jobs);
        lock_init(&inner, LOCK_content);
        lock_take(&inner);
        lock_take(&outer);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
#ifndef NDEBUG
    assert_true(WIFSIGNALED(status));
#endif
}

static void a_wait_ends_at_its_deadline(void **state UNUSED)
{
    struct lock l;
    int64_t began = clock_mono_ms();

    lock_init(&l, LOCK_jobs);
    {
        struct lock *p = &l;

        WITH_LOCK(p);
        while (lock_wait_until(p, began + 20)) {
        }
    }
    assert_true(clock_mono_ms() >= began + 20);
    lock_done(&l);
}

static void quoting_hides_control_bytes(void **state UNUSED)
{
    assert_string_equal(Q(STR("a\"b\n\x1b[0m")), "\"a\\\"b\\x0a\\x1b[0m\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_keeps_its_kind_when_wrapped),
        cmocka_unit_test(times_are_written_as_the_standards_say),
        cmocka_unit_test(digests_and_encodings_match_the_published_vectors),
        cmocka_unit_test(a_replaced_file_is_whole_and_has_its_mode),
        cmocka_unit_test(removing_a_tree_follows_no_link_and_minds_no_depth),
        cmocka_unit_test(taking_locks_out_of_order_aborts),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(quoting_hides_control_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
