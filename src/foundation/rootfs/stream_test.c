#include "rootfs/layer_build.h"
#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int file_of(struct str bytes)
{
    struct err e = {0};
    int fd = memfd_create("blob", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes, &e), 0);
    return fd;
}

/* Reads all of `blob` and compares bytes and hash with `want`; on failure the kind in *e. */
static int read_back(struct str blob, struct str want, struct err *e)
{
    SCOPED(closep) int fd = file_of(blob);
    SCOPED(stream_closep) struct stream *s = stream_open(fd, 32 * MIB, e);
    SCOPED(buf_done) struct buf all = BUF_MAX(64 * MIB);
    unsigned char got[SHA256_BYTES], hash[SHA256_BYTES];
    const void *block;
    ssize_t n;

    if (s == NULL) {
        return -1;
    }
    while ((n = stream_next(s, &block, e)) > 0) {
        (void)buf_add(&all, str_n(block, (size_t)n));
    }
    if (n < 0) {
        return -1;
    }
    stream_digest(s, got);
    sha256_of(want, hash);
    assert_true(str_eq(buf_str(&all), want));
    assert_memory_equal(got, hash, sizeof(hash));
    assert_int_equal(stream_bytes(s), want.len);
    return 0;
}

/* Larger than both buffers, and not too regular. */
static struct buf sample(void)
{
    struct buf b = BUF_MAX(4 * MIB);

    for (unsigned i = 0; b.len < 2 * MIB + 77; i++) {
        (void)buf_printf(&b, "%u:%x ", i * 2654435761U, i);
    }
    return b;
}

static void all_three_forms_give_the_same_bytes(void **state UNUSED)
{
    struct buf s = sample(), gz = gzip_of(buf_str(&s)), zst = zstd_of(buf_str(&s));
    struct err e = {0};

    assert_int_equal(read_back(buf_str(&s), buf_str(&s), &e), 0);
    assert_int_equal(read_back(buf_str(&gz), buf_str(&s), &e), 0);
    assert_int_equal(read_back(buf_str(&zst), buf_str(&s), &e), 0);
    assert_int_equal(read_back(STR_EMPTY, STR_EMPTY, &e), 0);
    buf_done(&s);
    buf_done(&gz);
    buf_done(&zst);
}

static void several_members_and_frames_are_one_stream(void **state UNUSED)
{
    struct buf s = sample(), twice = BUF_MAX(16 * MIB), gz = gzip_of(buf_str(&s)),
               zst = zstd_of(buf_str(&s)), many = BUF_MAX(16 * MIB);
    struct err e = {0};

    (void)buf_add(&twice, buf_str(&s));
    (void)buf_add(&twice, buf_str(&s));
    (void)buf_add(&many, buf_str(&gz));
    (void)buf_add(&many, buf_str(&gz));
    assert_int_equal(read_back(buf_str(&many), buf_str(&twice), &e), 0);
    buf_clear(&many);
    (void)buf_add(&many, buf_str(&zst));
    (void)buf_add(&many, STR("\x50\x2a\x4d\x18\x03\0\0\0abc")); /* a skippable frame between */
    (void)buf_add(&many, buf_str(&zst));
    assert_int_equal(read_back(buf_str(&many), buf_str(&twice), &e), 0);
    buf_done(&s);
    buf_done(&twice);
    buf_done(&gz);
    buf_done(&zst);
    buf_done(&many);
}

static void cut_off_data_is_refused_wherever_it_is_cut(void **state UNUSED)
{
    struct buf s = sample(), gz = gzip_of(buf_str(&s)), zst = zstd_of(buf_str(&s));

    for (size_t i = 1; i < 40; i++) {
        size_t in_gz = i < 20 ? gz.len - i : gz.len * i / 40;
        size_t in_zst = i < 20 ? zst.len - i : zst.len * i / 40;
        struct err e = {0};

        assert_int_equal(read_back(str_first(buf_str(&gz), in_gz), STR_EMPTY, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_int_equal(read_back(str_first(buf_str(&zst), in_zst), STR_EMPTY, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    buf_done(&s);
    buf_done(&gz);
    buf_done(&zst);
}

static void changed_bytes_are_noticed(void **state UNUSED)
{
    struct buf s = sample(), gz = gzip_of(buf_str(&s));
    struct err e = {0};

    gz.p[gz.len / 2] ^= 0x55;
    assert_int_equal(read_back(buf_str(&gz), STR_EMPTY, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    buf_done(&s);
    buf_done(&gz);
}

static void other_compressions_are_named(void **state UNUSED)
{
    struct err e = {0};

    assert_int_equal(read_back(STR("\xfd"
                                   "7zXZ\0\0\4"),
                               STR_EMPTY, &e),
                     -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_string_equal(e.msg, "layer is compressed with xz; push it as plain tar, gzip or zstd");
    assert_int_equal(read_back(STR("BZh91AY"), STR_EMPTY, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void a_bomb_ends_at_the_limit(void **state UNUSED)
{
    struct buf zeros = BUF_MAX(64 * MIB), gz, zst;
    struct err e = {0};

    memset(buf_reserve(&zeros, 48 * MIB), 0, 48 * MIB);
    zeros.len = 48 * MIB;
    gz = gzip_of(buf_str(&zeros));
    zst = zstd_of(buf_str(&zeros));
    assert_int_equal(read_back(buf_str(&gz), STR_EMPTY, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    e = (struct err){0};
    assert_int_equal(read_back(buf_str(&zst), STR_EMPTY, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    buf_done(&zeros);
    buf_done(&gz);
    buf_done(&zst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_three_forms_give_the_same_bytes),
        cmocka_unit_test(several_members_and_frames_are_one_stream),
        cmocka_unit_test(cut_off_data_is_refused_wherever_it_is_cut),
        cmocka_unit_test(changed_bytes_are_noticed),
        cmocka_unit_test(other_compressions_are_named),
        cmocka_unit_test(a_bomb_ends_at_the_limit),
    };

    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
