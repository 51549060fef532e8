/* fixture - a state directory, a real helper in a process of its own, and a canary that no layer
 * may touch. For tests only; needs root and a file system that can map ids. */
#pragma once
#include "rootfs/layer_build.h"
#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/mem.h"
#include "helper/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64]; /* and the current directory */
    pid_t helper;
    struct helper_client *client;
    struct rootfs_helper *mounts; /* ours: rootfs_mount in this process */
};

static inline void serve_helper(int fd)
{
    struct helper_operation ops[4];
    struct err e = {0};
    size_t n = 0;
    struct rootfs_helper *r = rootfs_helper_new(&e);
    struct helper_server *s;

    for (; r && rootfs_operations[n].handle; n++) {
        ops[n] = rootfs_operations[n];
        ops[n].ctx = r;
    }
    s = r ? helper_server_new(fd, ops, n, &e) : NULL;
    if (s == NULL || helper_server_run(s, &e) < 0) {
        (void)fprintf(stderr, "helper: %s\n", e.msg);
        _exit(1);
    }
    helper_server_free(s);
    rootfs_helper_free(r);
    _exit(0);
}

static inline void start_helper(struct fixture *f)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    f->helper = fork();
    assert_true(f->helper >= 0);
    if (f->helper == 0) {
        (void)close(ends[0]);
        serve_helper(ends[1]);
    }
    (void)close(ends[1]);
    f->client = helper_client_new(ends[0], NULL, NULL);
}

static inline void stop_helper(struct fixture *f)
{
    int status = 0;

    helper_client_free(f->client);
    f->client = NULL;
    assert_int_equal(waitpid(f->helper, &status, 0), f->helper);
    assert_int_equal(status, 0);
}

static inline void put_file(const char *path, const char *text, mode_t mode)
{
    SCOPED(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

/* ThreadSanitizer gives every process a thread of its own; such may not change user namespace. */
#ifdef __SANITIZE_THREAD__
#define ONE_THREAD 0
#else
#define ONE_THREAD 1
#endif

/* Once for the whole program: mounts of the tests stay here. False: these tests cannot run. */
static inline bool can_run(void)
{
    static int known = ONE_THREAD ? -1 : 0;

    if (known < 0) {
        known = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    }
    return known == 1;
}

/* In memory where the kernel can map ids there (6.3, with user attributes 6.6): the disk's fsync is
 * not what we test. STRATA_TEST_ON_DISK=1 takes the disk. */
static inline void fixture_dir(struct fixture *f)
{
    struct err e = {0};
    SCOPED(closep) int userns = -1, tree = -1;

    (void)snprintf(f->dir, sizeof(f->dir), "/var/tmp/strata-rootfs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    if (getenv("STRATA_TEST_ON_DISK") == NULL && mount("test", f->dir, "tmpfs", 0, NULL) == 0) {
        userns = idmap_userns(ROOTFS_UNPACK_ID_BASE, &e);
        tree = userns < 0 ? -1 : idmap_clone(AT_FDCWD, f->dir, userns, 0, &e);
        if (tree < 0 || setxattr(f->dir, "user.strata", "", 0, 0) < 0) {
            assert_int_equal(umount2(f->dir, MNT_DETACH), 0);
        }
    }
    assert_int_equal(chdir(f->dir), 0);
}

static inline int fixture_start(void **state)
{
    struct fixture *f = xnew(struct fixture);
    struct err e = {0};

    *state = f;
    if (!can_run()) {
        return 0;
    }
    fixture_dir(f);
    assert_int_equal(mkdir("canary", 0755), 0);
    assert_int_equal(mkdir("jobs", 0755), 0);
    put_file("canary/file", "alive", 0644);
    start_helper(f);
    f->mounts = rootfs_helper_new(&e);
    assert_non_null(f->mounts);
    return 0;
}

static inline int fixture_stop(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};

    if (f->helper > 0) {
        stop_helper(f);
        rootfs_helper_free(f->mounts);
        assert_int_equal(chdir("/"), 0);
        (void)umount2(f->dir, MNT_DETACH);
        if (fs_remove_tree(AT_FDCWD, f->dir, &e) < 0) {
            fail_msg("%s", e.msg);
        }
    }
    free(f);
    return 0;
}

#define NEEDS_ROOT(f)                                                                              \
    do {                                                                                           \
        if ((f)->helper == 0) {                                                                    \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static inline struct str read_small(const char *path, struct buf *b)
{
    struct err e = {0};

    buf_clear(b);
    if (fs_read(AT_FDCWD, path, b, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    return buf_str(b);
}

static inline size_t count_names(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n - 2;
}

/* Nothing beside rootfs/ changed. */
static inline void check_canary(void)
{
    struct buf b = BUF_MAX(1024);
    struct stat st;

    assert_true(str_eq(read_small("canary/file", &b), STR("alive")));
    assert_int_equal(count_names("canary"), 1);
    assert_int_equal(count_names("."), 3 + (access("blob", F_OK) == 0));
    assert_int_equal(stat("canary/file", &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(stat("canary", &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    buf_done(&b);
}

/* Unpacks `blob`, whose tar is `tar`; the layer is its own chain. */
static inline int unpack_blob(struct fixture *f, struct str tar, struct str blob, char chain[65],
                              struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(512);
    SCOPED(closep) int fd = -1;
    char digest[65];
    int rc;

    sha256_hex_of(tar, chain);
    sha256_hex_of(blob, digest);
    assert_int_equal(fs_write_atomic(AT_FDCWD, "blob", blob, 0600, e), 0);
    fd = open("blob", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    wire_put_str(&b, str_n(chain, 64));
    wire_put_str(&b, str_n(chain, 64));
    wire_put_str(&b, str_of(digest));
    rc = helper_call(f->client, HELPER_ROOTFS_UNPACK, buf_str(&b), fd, NULL, NULL, e);
    check_canary();
    if (rc < 0) {
        char path[80];

        (void)snprintf(path, sizeof(path), "rootfs/%s", chain);
        assert_int_equal(access(path, F_OK), -1); /* nothing stays of what failed */
    }
    return rc;
}

static inline int unpack_entries(struct fixture *f, const struct tar_entry *entries, size_t n,
                                 char chain[65], struct err *e)
{
    struct buf tar = tar_of(entries, n);
    int rc = unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, e);

    buf_done(&tar);
    return rc;
}

#define UNPACK(f, entries, chain)                                                                  \
    do {                                                                                           \
        struct err unpack_e = {0};                                                                 \
        if (unpack_entries((f), (entries), ARRAY_LEN(entries), (chain), &unpack_e) < 0) {          \
            fail_msg("%s", unpack_e.msg);                                                          \
        }                                                                                          \
    } while (0)

#define REFUSE(f, entries, want_kind, want_text)                                                   \
    do {                                                                                           \
        struct err refuse_e = {0};                                                                 \
        char refuse_chain[65];                                                                     \
        assert_int_equal(                                                                          \
            unpack_entries((f), (entries), ARRAY_LEN(entries), refuse_chain, &refuse_e), -1);      \
        if (strstr(refuse_e.msg, (want_text)) == NULL) {                                           \
            fail_msg("error is: %s", refuse_e.msg);                                                \
        }                                                                                          \
        assert_int_equal(refuse_e.kind, (want_kind));                                              \
    } while (0)

/* lstat below a layer's directory; false when it is not there. */
static inline bool layer_stat(const char *chain, const char *path, struct stat *st)
{
    char full[4200];

    (void)snprintf(full, sizeof(full), "rootfs/%s/fs/%s", chain, path);
    return lstat(full, st) == 0;
}

static inline void layer_text(const char *chain, const char *path, const char *want)
{
    struct buf b = BUF_MAX(65536);
    char full[4200];

    (void)snprintf(full, sizeof(full), "rootfs/%s/fs/%s", chain, path);
    (void)read_small(full, &b);
    assert_string_equal(b.p ? b.p : "", want);
    buf_done(&b);
}
