#include "content/content.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_512                                                                                  \
    "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7"                      \
    "2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"

static char dir[64];
static struct err e;

static int setup(void **state)
{
    *state = content_open(dir, &e);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const ids[] = {"u1", "u2", "idle", "busy"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        (void)!content_upload_delete(*state, ids[i], &e);
    }
    assert_int_equal(content_blob_delete(*state, HELLO, &e), 0);
    content_close(*state);
    return 0;
}

/* The store has 512 directories: one for all tests. */
static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/strata-content-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static int upload(struct content *c, const char *id, struct str bytes, const char *want)
{
    SCOPED(content_writer_closep) struct content_writer *w = content_writer_new(c, id, &e);
    int64_t size;

    if (w == NULL || content_writer_add(w, bytes, &e) < 0 ||
        content_writer_commit(w, want, &size, &e) < 0) {
        return -1;
    }
    w = NULL;
    assert_int_equal(size, bytes.len);
    return 0;
}

static void read_back(struct content *c, const char *digest, const char *text)
{
    struct buf b = BUF_MAX(4096);

    assert_int_equal(content_blob_read(c, digest, 4096, &b, &e), 0);
    assert_string_equal(b.p, text);
    buf_done(&b);
}

static unsigned files_in_uploads(void)
{
    char cmd_path[128];
    struct stat st;

    (void)snprintf(cmd_path, sizeof(cmd_path), "%s/uploads/u1", dir);
    return stat(cmd_path, &st) == 0;
}

static void digests_are_parsed_exactly(void **state)
{
    char out[CONTENT_DIGEST_MAX];

    (void)state;
    assert_int_equal(content_digest_parse(STR(HELLO), out, &e), 0);
    assert_string_equal(out, HELLO);
    assert_int_equal(content_digest_parse(STR(HELLO_512), out, &e), 0);
    assert_int_equal(content_digest_parse(STR(""), out, &e), -1);
    assert_int_equal(content_digest_parse(STR("sha256"), out, &e), -1);
    assert_int_equal(content_digest_parse(STR("sha256:"), out, &e), -1);
    assert_int_equal(content_digest_parse(STR("md5:00"), out, &e), -1);
    assert_int_equal(content_digest_parse(STR(HELLO "0"), out, &e), -1);
    assert_int_equal(content_digest_parse(STR("sha256:../../../../../../etc/passwd"), out, &e), -1);
}

static void upper_case_hex_is_refused_with_its_position(void **state)
{
    char out[CONTENT_DIGEST_MAX];

    (void)state;
    assert_int_equal(content_digest_parse(STR("sha256:2Cf2"), out, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "position 9"));
}

static void a_blob_put_is_found_under_its_digest(void **state)
{
    struct content *c = *state;
    char digest[CONTENT_DIGEST_MAX];
    SCOPED(closep) int fd = -1;
    int64_t size = 0;

    assert_int_equal(content_blob_put(c, STR("hello"), digest, &e), 0);
    assert_string_equal(digest, HELLO);
    assert_int_equal(content_blob_open(c, digest, &fd, &size, &e), 0);
    assert_int_equal(size, 5);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    read_back(c, digest, "hello");
    assert_int_equal(content_blob_put(c, STR("hello"), digest, &e), 0); /* twice is once */
}

static void a_missing_blob_is_not_found(void **state)
{
    int64_t size;
    int fd;

    assert_int_equal(content_blob_size(*state, HELLO, &size, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(content_blob_open(*state, HELLO, &fd, &size, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(content_blob_delete(*state, HELLO, &e), 0);
}

static void a_deleted_blob_is_gone_but_open_files_read_on(void **state)
{
    char digest[CONTENT_DIGEST_MAX], text[6] = {0};
    SCOPED(closep) int fd = -1;
    int64_t size;

    assert_int_equal(content_blob_put(*state, STR("hello"), digest, &e), 0);
    assert_int_equal(content_blob_open(*state, digest, &fd, &size, &e), 0);
    assert_int_equal(content_blob_delete(*state, digest, &e), 0);
    assert_int_equal(content_blob_size(*state, digest, &size, &e), -1);
    assert_int_equal(read(fd, text, 5), 5);
    assert_string_equal(text, "hello");
}

static void a_blob_larger_than_asked_for_is_refused(void **state)
{
    char digest[CONTENT_DIGEST_MAX];
    struct buf b = BUF_MAX(4096);

    assert_int_equal(content_blob_put(*state, STR("hello"), digest, &e), 0);
    assert_int_equal(content_blob_read(*state, digest, 4, &b, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    buf_done(&b);
}

static void an_upload_appears_when_committed(void **state)
{
    int64_t size;

    assert_int_equal(upload(*state, "u1", STR("hello"), HELLO), 0);
    read_back(*state, HELLO, "hello");
    assert_int_equal(files_in_uploads(), 0);
    assert_int_equal(content_upload_size(*state, "u1", &size, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void sha512_is_verified_too(void **state)
{
    assert_int_equal(upload(*state, "u1", STR("hello"), HELLO_512), 0);
    read_back(*state, HELLO_512, "hello");
    assert_int_equal(upload(*state, "u2", STR("hullo"), HELLO_512), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void a_wrong_digest_keeps_the_upload(void **state)
{
    struct content *c = *state;
    SCOPED(content_writer_closep) struct content_writer *w = NULL;
    int64_t size;

    assert_int_equal(upload(c, "u1", STR("hel"), HELLO), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "not " HELLO));
    assert_int_equal(content_blob_size(c, HELLO, &size, &e), -1);
    w = content_writer_resume(c, "u1", &e);
    assert_non_null(w);
    assert_int_equal(content_writer_offset(w), 3);
    assert_int_equal(content_writer_add(w, STR("lo"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    w = NULL;
    read_back(c, HELLO, "hello");
}

static void an_upload_is_continued_in_the_same_process(void **state)
{
    struct content *c = *state;
    struct content_writer *w = content_writer_new(c, "u1", &e);
    int64_t size;

    assert_int_equal(content_writer_add(w, STR("he"), &e), 0);
    content_writer_close(w);
    assert_int_equal(content_upload_size(c, "u1", &size, &e), 0);
    assert_int_equal(size, 2);
    w = content_writer_resume(c, "u1", &e);
    assert_int_equal(content_writer_add(w, STR("llo"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
}

static void an_upload_is_read_while_it_grows_and_after_it_is_a_blob(void **state)
{
    struct content *c = *state;
    struct content_writer *w = content_writer_new(c, "u1", &e);
    SCOPED(closep) int fd = -1;
    char got[8] = "";
    int64_t size;

    assert_int_equal(content_writer_add(w, STR("he"), &e), 0);
    assert_int_equal(content_upload_open(c, "u1", &fd, &e), 0);
    assert_int_equal(pread(fd, got, 5, 0), 2);
    assert_int_equal(content_writer_add(w, STR("llo"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    assert_int_equal(pread(fd, got, 5, 0), 5);
    assert_string_equal(got, "hello");
    assert_int_equal(content_upload_open(c, "u1", &fd, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(content_upload_open(c, "../u1", &fd, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void an_upload_is_continued_after_a_restart(void **state)
{
    struct content_writer *w = content_writer_new(*state, "u1", &e);
    int64_t size;

    assert_int_equal(content_writer_add(w, STR("hel"), &e), 0);
    content_writer_close(w);
    content_close(*state);
    *state = content_open(dir, &e);
    assert_non_null(*state);
    w = content_writer_resume(*state, "u1", &e);
    assert_non_null(w);
    assert_int_equal(content_writer_offset(w), 3);
    assert_int_equal(content_writer_add(w, STR("lo"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    assert_int_equal(size, 5);
    read_back(*state, HELLO, "hello");
}

static void an_upload_complete_before_a_restart_is_committed_after_it(void **state)
{
    struct content_writer *w = content_writer_new(*state, "u1", &e);
    int64_t size;

    assert_int_equal(content_writer_add(w, STR("hello"), &e), 0);
    content_writer_close(w);
    content_close(*state);
    *state = content_open(dir, &e);
    w = content_writer_resume(*state, "u1", &e);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    read_back(*state, HELLO, "hello");
}

static void only_one_writer_holds_an_upload(void **state)
{
    struct content *c = *state;
    struct content_writer *w = content_writer_new(c, "u1", &e);

    assert_null(content_writer_resume(c, "u1", &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(content_upload_delete(c, "u1", &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    content_writer_close(w);
    assert_int_equal(content_upload_delete(c, "u1", &e), 0);
    assert_null(content_writer_resume(c, "u1", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void strange_upload_ids_are_refused(void **state)
{
    static const char *const ids[] = {
        "",
        ".",
        "..",
        "a/b",
        "A",
        "a.b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_null(content_writer_new(*state, ids[i], &e));
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void idle_uploads_beyond_the_cache_are_hashed_again(void **state)
{
    struct content *c = *state;
    char id[16];
    int64_t size;

    for (unsigned i = 0; i < 300; i++) {
        struct content_writer *w;

        (void)snprintf(id, sizeof(id), "u%u", i);
        w = content_writer_new(c, id, &e);
        assert_int_equal(content_writer_add(w, STR("hel"), &e), 0);
        content_writer_close(w);
    }
    for (unsigned i = 0; i < 300; i += 299) {
        struct content_writer *w;

        (void)snprintf(id, sizeof(id), "u%u", i);
        w = content_writer_resume(c, id, &e);
        assert_int_equal(content_writer_add(w, STR("lo"), &e), 0);
        assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    }
    for (unsigned i = 1; i < 299; i++) {
        (void)snprintf(id, sizeof(id), "u%u", i);
        assert_int_equal(content_upload_delete(c, id, &e), 0);
    }
}

static void old_uploads_are_swept_and_busy_ones_are_not(void **state)
{
    struct content *c = *state;
    struct content_writer *idle = content_writer_new(c, "idle", &e);
    struct content_writer *busy = content_writer_new(c, "busy", &e);

    content_writer_close(idle);
    assert_int_equal(content_uploads_sweep(c, 3600 * 1000), 0);
    clock_set_wall_ms(clock_wall_ms() + 7200 * 1000);
    assert_int_equal(content_uploads_sweep(c, 3600 * 1000), 1);
    clock_set_wall_ms(0);
    assert_null(content_writer_resume(c, "idle", &e));
    content_writer_close(busy);
    busy = content_writer_resume(c, "busy", &e);
    assert_non_null(busy);
    content_writer_close(busy);
}

/* RLIMIT_FSIZE stands in for a full disk: write(2) takes a part, then fails. */
static void a_failed_write_leaves_an_upload_that_can_go_on(void **state)
{
    struct content *c = *state;
    struct rlimit old, small = {65536, RLIM_INFINITY};
    struct content_writer *w = content_writer_new(c, "u1", &e);
    SCOPED(freep) char *big = xcalloc(1, 100000);
    char want[CONTENT_DIGEST_MAX];
    int64_t size;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(content_digest_of(str_n(big, 100000), STR("sha256"), want, &e), 0);
    assert_int_equal(content_writer_add(w, str_n(big, 1000), &e), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(content_writer_add(w, str_n(big, 99000), &e), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(content_writer_offset(w), 1000);
    assert_int_equal(content_upload_size(c, "u1", &size, &e), 0);
    assert_int_equal(size, 1000);
    assert_int_equal(content_writer_add(w, str_n(big, 99000), &e), 0);
    assert_int_equal(content_writer_commit(w, want, &size, &e), 0);
}

static void a_large_upload_in_uneven_chunks_keeps_its_digest(void **state)
{
    struct content *c = *state;
    struct content_writer *w = content_writer_new(c, "big", &e);
    SCOPED(freep) char *bytes = xcalloc(1, 20 << 20);
    char want[CONTENT_DIGEST_MAX];
    int64_t size;
    size_t at = 0;

    for (size_t i = 0; i < (20 << 20); i++) {
        bytes[i] = (char)(i * 2654435761U >> 13);
    }
    assert_int_equal(content_digest_of(str_n(bytes, 20 << 20), STR("sha256"), want, &e), 0);
    for (size_t n = 1; at < (20 << 20); n = n * 3 + 1) {
        size_t step = n > 1000003 ? 1000003 : n;

        step = step > (20 << 20) - at ? (20 << 20) - at : step;
        assert_int_equal(content_writer_add(w, str_n(bytes + at, step), &e), 0);
        at += step;
    }
    assert_int_equal(content_writer_commit(w, want, &size, &e), 0);
    assert_int_equal(size, 20 << 20);
}

static void an_upload_is_cut_back_and_goes_on(void **state)
{
    SCOPED(content_writer_closep) struct content_writer *w = content_writer_new(*state, "u1", &e);
    int64_t size;

    assert_non_null(w);
    assert_int_equal(content_writer_add(w, STR("hel"), &e), 0);
    assert_int_equal(content_writer_add(w, STR("p me"), &e), 0);
    assert_int_equal(content_writer_cut(w, 3, &e), 0);
    assert_int_equal(content_writer_offset(w), 3);
    assert_int_equal(content_upload_size(*state, "u1", &size, &e), 0);
    assert_int_equal(size, 3);
    assert_int_equal(content_writer_add(w, STR("xx"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), -1);
    assert_int_equal(content_writer_cut(w, 3, &e), 0); /* also after a digest was taken */
    assert_int_equal(content_writer_add(w, STR("lo"), &e), 0);
    assert_int_equal(content_writer_commit(w, HELLO, &size, &e), 0);
    w = NULL;
    read_back(*state, HELLO, "hello");
}

static void count_hello(void *ctx, const char *digest)
{
    *(int *)ctx += strcmp(digest, HELLO) == 0;
}

static int hellos(struct content *c, unsigned shard, int64_t older_than_ms)
{
    int n = 0;

    assert_int_equal(content_shard_each(c, shard, older_than_ms, count_hello, &n, &e), 0);
    return n;
}

static void a_shard_names_its_old_blobs(void **state)
{
    char digest[CONTENT_DIGEST_MAX], stray[160];
    FILE *f;

    assert_int_equal(content_blob_put(*state, STR("hello"), digest, &e), 0);
    (void)snprintf(stray, sizeof(stray), "%s/sha256/2c/stray", dir);
    f = fopen(stray, "w");
    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(hellos(*state, 0x2c, 3600000), 0);
    assert_int_equal(hellos(*state, 0x2c, -60000), 1);
    assert_int_equal(hellos(*state, 0x2d, -60000), 0);
    clock_set_wall_ms(clock_wall_ms() + 7200000);
    assert_int_equal(hellos(*state, 0x2c, 3600000), 1);
    clock_set_wall_ms(0);
    (void)unlink(stray);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_parsed_exactly),
        cmocka_unit_test(upper_case_hex_is_refused_with_its_position),
        T(a_blob_put_is_found_under_its_digest),
        T(a_missing_blob_is_not_found),
        T(a_deleted_blob_is_gone_but_open_files_read_on),
        T(a_shard_names_its_old_blobs),
        T(a_blob_larger_than_asked_for_is_refused),
        T(an_upload_appears_when_committed),
        T(sha512_is_verified_too),
        T(a_wrong_digest_keeps_the_upload),
        T(an_upload_is_cut_back_and_goes_on),
        T(an_upload_is_continued_in_the_same_process),
        T(an_upload_is_read_while_it_grows_and_after_it_is_a_blob),
        T(an_upload_is_continued_after_a_restart),
        T(an_upload_complete_before_a_restart_is_committed_after_it),
        T(only_one_writer_holds_an_upload),
        T(strange_upload_ids_are_refused),
        T(idle_uploads_beyond_the_cache_are_hashed_again),
        T(old_uploads_are_swept_and_busy_ones_are_not),
        T(a_failed_write_leaves_an_upload_that_can_go_on),
        T(a_large_upload_in_uneven_chunks_keeps_its_digest),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
