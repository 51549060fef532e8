#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "helper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RESULT_EXTRA 4096 /* beside the names: figures, hash, error */

/* The privileged process around one unpacker. Its own root becomes the layer's directory, so the
 * descriptors here are all it can reach of the rest. */
struct job {
    const struct unpack_limits *limits;
    const struct layer_id *id;
    int (*read)(int blob, int root, const struct unpack_limits *l, struct unpack_result *out,
                struct err *e); /* extract_layer or hash_layer */
    int blob;
    int base;  /* rootfs/ */
    int layer; /* rootfs/<chain>, mode 0700 */
    int files; /* rootfs/<chain>/fs, as it is on disk */
    int userns;
    int null;
};

static void job_done(struct job *j)
{
    closep(&j->base);
    closep(&j->layer);
    closep(&j->files);
    closep(&j->userns);
    closep(&j->null);
}

/* --- the confined child --- */

static int child_work(struct job *j, int *out, struct unpack_result *r, struct err *e)
{
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int *const keep[] = {&root, &j->blob, out, &j->userns};
    struct pollfd reader;

    if (root < 0) {
        return err_sys(e, "open the layer's root");
    }
    if (confine_fds(j->null, keep, ARRAY_LEN(keep), e) < 0 ||
        confine_self(j->userns, j->limits, e) < 0) {
        return -1;
    }
    closep(&j->userns);
    reader = (struct pollfd){.fd = *out};
    if (poll(&reader, 1, 0) > 0) {
        _exit(1); /* the parent died before we asked to die with it */
    }
    return confine_calls(e) < 0 ? -1 : j->read(j->blob, root, j->limits, r, e);
}

static void child_main(struct job *j, int out)
{
    struct unpack_result r = {0};
    struct buf b = BUF_MAX(j->limits->opaque_bytes + RESULT_EXTRA);
    struct err e = {0};

    if (child_work(j, &out, &r, &e) < 0) {
        wire_put_u64(&b, e.kind);
        wire_put_u64(&b, (uint64_t)e.sys);
        wire_put_str(&b, str_of(e.msg));
    } else {
        wire_put_u64(&b, ERR_NONE);
        wire_put_u64(&b, r.bytes);
        wire_put_u64(&b, r.entries);
        wire_put_str(&b, str_n((const char *)r.diff, SHA256_BYTES));
        wire_put_str(&b, buf_str(&r.opaque));
    }
    _exit(b.failed || fs_write_all(out, buf_str(&b), &e) < 0 ? 1 : 0);
}

/* --- its parent; what the child says is checked like anything from outside --- */

static int read_failure(struct wire_reader *r, uint64_t kind, struct err *e)
{
    int sys = (int)wire_get_u64(r);
    struct str msg = wire_get_str(r);

    if (wire_end(r, e) < 0) {
        return err_wrap(e, "answer of the unpacker");
    }
    err_set(e, kind < ERR_KINDS ? (enum err_kind)kind : ERR_INTERNAL, "%.*s", STR_ARG(msg));
    e->sys = sys;
    return -1;
}

/* `opaque` of the result borrows from `b`. */
static int read_result(const struct buf *b, struct unpack_result *out, struct str *opaque,
                       struct err *e)
{
    struct wire_reader r = {buf_str(b), false};
    uint64_t kind = wire_get_u64(&r);
    struct str diff;

    if (kind != ERR_NONE) {
        return read_failure(&r, kind, e);
    }
    out->bytes = wire_get_u64(&r);
    out->entries = wire_get_u64(&r);
    diff = wire_get_str(&r);
    *opaque = wire_get_str(&r);
    if (wire_end(&r, e) < 0) {
        return err_wrap(e, "answer of the unpacker");
    }
    if (diff.len != SHA256_BYTES) {
        return err_set(e, ERR_INTERNAL, "the unpacker answered without a digest");
    }
    memcpy(out->diff, diff.p, SHA256_BYTES);
    return 0;
}

static int read_all(int fd, struct buf *b, struct err *e)
{
    for (;;) {
        char *at = buf_reserve(b, 4096);
        ssize_t n = at ? read(fd, at, 4096) : -1;

        if (at == NULL) {
            return err_set(e, ERR_INTERNAL, "the unpacker says more than it may");
        }
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return err_sys(e, "read from the unpacker");
        }
        b->len += n > 0 ? (size_t)n : 0;
    }
}

static int check_end(const struct job *j, int status, struct err *e)
{
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    if (sig == SIGSYS) {
        return err_set(e, ERR_INTERNAL, "the unpacker made a system call that it may not make");
    }
    if (sig == SIGKILL || sig == SIGXCPU) {
        return err_set(e, ERR_LIMIT,
                       "the unpacker was killed: the layer takes more than %llu s of CPU time, or "
                       "the machine has no memory left",
                       (unsigned long long)j->limits->cpu_sec);
    }
    return err_set(e, ERR_INTERNAL, "the unpacker ended with %s %d", sig ? "signal" : "code",
                   sig ? sig : WEXITSTATUS(status));
}

/* Runs the child and brings back what it wrote. */
static int run_child(struct job *j, struct buf *b, struct err *e)
{
    int ends[2], status, rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child_main(j, ends[1]);
    }
    (void)close(ends[1]);
    rc = pid < 0 ? err_sys(e, "fork the unpacker") : read_all(ends[0], b, e);
    (void)close(ends[0]);
    if (pid < 0) {
        return -1;
    }
    if (rc < 0) {
        (void)kill(pid, SIGKILL);
    }
    if (waitpid(pid, &status, 0) < 0) {
        return err_sys(e, "wait for the unpacker");
    }
    return rc < 0 ? -1 : check_end(j, status, e);
}

/* A mount namespace with nothing in it but the layer's directory, seen through the unpacker's ids;
 * nothing in it is executable. No network, no other process. */
static int isolate(const struct job *j, const char *path, struct err *e)
{
    SCOPED(closep) int tree = -1;

    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return err_sys(e, "namespaces for the unpacker");
    }
    tree = idmap_clone(AT_FDCWD, path, j->userns,
                       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    if (tree < 0) {
        return -1;
    }
    if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 || chdir(path) < 0) {
        return err_sys(e, "mount %s for the unpacker", path);
    }
    /* The old root ends up on top of the new one and is taken away. */
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
        return err_sys(e, "pivot_root to %s", path);
    }
    return 0;
}

/* trusted.* attributes are ours to set: the child has no power in the machine's namespace. Its
 * names are resolved inside the layer again; one that is gone or replaced needs no mark. */
static int mark_opaque(const struct job *j, struct str names, struct err *e)
{
    const struct tree t = {.root = j->files};
    struct wire_reader r = {names, false};

    while (r.rest.len > 0 && !r.failed) {
        struct str name = wire_get_str(&r);
        SCOPED(closep) int fd = tree_open_dir(&t, name.p, name.len, O_RDONLY);

        if (fd >= 0 && fsetxattr(fd, ROOTFS_OPAQUE_XATTR, "y", 1, 0) < 0) {
            return err_sys(e, "mark %s opaque", Q(name));
        }
    }
    return wire_end(&r, e);
}

static int check_diff(const struct unpack_result *r, const char *want, struct err *e)
{
    char got[SHA256_HEX + 1];

    hex_encode(r->diff, SHA256_BYTES, got);
    if (strcmp(got, want) != 0) {
        return err_set(e, ERR_INVALID,
                       "the layer unpacks to sha256:%s, but the image's configuration says "
                       "sha256:%s",
                       got, want);
    }
    return 0;
}

void layer_stamp_name(const struct layer_id *id, char out[ROOTFS_STAMP_BYTES])
{
    (void)snprintf(out, ROOTFS_STAMP_BYTES, "blob-%s", id->blob);
}

/* From now on images with this blob have the layer. */
static int stamp(const struct job *j, struct err *e)
{
    char name[ROOTFS_STAMP_BYTES];

    layer_stamp_name(j->id, name);
    return fs_write_atomic(j->layer, name, STR_EMPTY, 0600, e);
}

/* Everything of the layer is on the disk before `done` is. */
static int finish(const struct job *j, const struct unpack_result *r, struct err *e)
{
    char text[256];
    int n = snprintf(text, sizeof(text),
                     "strata-layer 1\ndiff_id sha256:%s\ntar_bytes %llu\nentries %llu\n",
                     j->id->diff, (unsigned long long)r->bytes, (unsigned long long)r->entries);

    if (syncfs(j->files) < 0) {
        return err_sys(e, "sync the layer");
    }
    if (stamp(j, e) < 0 || fs_write_atomic(j->layer, "done", str_n(text, (size_t)n), 0600, e) < 0) {
        return -1;
    }
    return fsync(j->base) < 0 ? err_sys(e, "fsync rootfs") : 0;
}

/* The child reads the blob, with the directory `path` as its root, and finds the diff_id of `id`.
 * *opaque borrows from `b`. */
static int read_blob(struct job *j, const char *path, struct buf *b, struct unpack_result *r,
                     struct str *opaque, struct err *e)
{
    j->userns = idmap_userns(ROOTFS_UNPACK_ID_BASE, e);
    if (j->userns < 0 || isolate(j, path, e) < 0 || run_child(j, b, e) < 0 ||
        read_result(b, r, opaque, e) < 0) {
        return -1;
    }
    return check_diff(r, j->id->diff, e);
}

static int work(struct job *j, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(j->limits->opaque_bytes + RESULT_EXTRA);
    struct unpack_result r = {0};
    struct str opaque = STR_EMPTY;
    char path[128];

    (void)snprintf(path, sizeof(path), "rootfs/%s/fs", j->id->chain);
    if (read_blob(j, path, &b, &r, &opaque, e) < 0 || mark_opaque(j, opaque, e) < 0) {
        return -1;
    }
    return finish(j, &r, e);
}

/* Before the root changes. */
static int prepare(struct job *j, struct err *e)
{
    (void)umask(0);
    /* A locale must not come from the layer. This one is built in; names in pax heads are UTF-8. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        return err_set(e, ERR_INTERNAL, "the C library has no C.UTF-8 locale");
    }
    j->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    j->base = open("rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return j->null < 0 || j->base < 0 ? err_sys(e, "open /dev/null and rootfs") : 0;
}

static int open_layer(struct job *j, struct err *e)
{
    j->layer = openat(j->base, j->id->chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return j->layer < 0 ? err_sys(e, "open rootfs/%s", j->id->chain) : 0;
}

static int make_place(struct job *j, struct err *e)
{
    const char *chain = j->id->chain;

    /* Images have setuid files of root: nobody else may enter. */
    if (fs_remove_tree(j->base, chain, e) < 0 || fs_mkdir(j->base, chain, 0700, e) < 0 ||
        open_layer(j, e) < 0 || fs_mkdir(j->layer, "fs", 0755, e) < 0) {
        return -1;
    }
    j->files = openat(j->layer, "fs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return j->files < 0 ? err_sys(e, "open rootfs/%s/fs", chain) : 0;
}

int unpack_layer(int blob, const struct layer_id *id, const struct unpack_limits *l, struct err *e)
{
    SCOPED(job_done) struct job j = {l, id, extract_layer, blob, -1, -1, -1, -1, -1};

    if (prepare(&j, e) < 0) {
        return -1;
    }
    if (make_place(&j, e) < 0 || work(&j, e) < 0) {
        struct err also;

        if (fs_remove_tree(j.base, id->chain, &also) < 0) {
            return err_wrap(e, "%s; and what was unpacked could not be removed", also.msg);
        }
        return -1;
    }
    return 0;
}

/* An empty directory is the child's root: it does not see the layer that it may not have. */
static int compare(struct job *j, const char *empty, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(j->limits->opaque_bytes + RESULT_EXTRA);
    struct unpack_result r = {0};
    struct str opaque;
    char path[64];

    (void)snprintf(path, sizeof(path), "rootfs/%s", empty);
    if (open_layer(j, e) < 0 || read_blob(j, path, &b, &r, &opaque, e) < 0) {
        return -1;
    }
    return stamp(j, e);
}

int compare_layer(int blob, const struct layer_id *id, const struct unpack_limits *l, struct err *e)
{
    SCOPED(job_done) struct job j = {l, id, hash_layer, blob, -1, -1, -1, -1, -1};
    char empty[32];
    int rc;

    (void)snprintf(empty, sizeof(empty), ".comparing-%d", (int)getpid());
    if (prepare(&j, e) < 0 || fs_mkdir(j.base, empty, 0700, e) < 0) {
        return -1;
    }
    rc = compare(&j, empty, e);
    (void)unlinkat(j.base, empty, AT_REMOVEDIR); /* else the sweep at the next start */
    return rc;
}
