#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SPACE_CHECK_BYTES (64 * MIB)
#define ENTRY_BYTES (4 * KIB)  /* a directory, a long link: a block of the disk */
#define XATTR_BYTES (64 * KIB) /* XATTR_SIZE_MAX */

/* Sanitizers keep a map of the whole address space. */
#ifdef __has_feature
#define UNDER_CLANG_ASAN __has_feature(address_sanitizer)
#else
#define UNDER_CLANG_ASAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || UNDER_CLANG_ASAN
#define MEMORY_BYTES 0
#else
#define MEMORY_BYTES (1 * GIB) /* a zstd window of 128 MiB, a pax head of 1 MiB, names */
#endif

const struct unpack_limits unpack_limits_default = {
    .bytes = LIMIT_LAYER_BYTES,
    .entries = LIMIT_LAYER_ENTRIES,
    .tail_bytes = 64 * MIB, /* tar fills up its last record, of 10 KiB or a little more */
    .opaque_bytes = 8 * MIB,
    .cpu_sec = 7200, /* 80 GB of gzip take about 10 minutes */
    .memory_bytes = MEMORY_BYTES,
    .reserve_bytes = LIMIT_DISK_RESERVE_BYTES,
};

struct extract {
    const struct unpack_limits *limits;
    struct archive *archive;
    struct stream *stream;
    struct err stream_err; /* why the callback failed; libarchive only knows that it did */
    struct tree tree;
    uint64_t entries;
    uint64_t file_bytes; /* sizes that the entries claim, holes and all */
    /* Made since we looked at the disk, and how much may be until we look again. */
    uint64_t charged_bytes, charged_files, allowed_bytes, allowed_files;
};

static void archive_freep(struct archive **a)
{
    (void)archive_read_free(*a);
}

static la_ssize_t on_read(struct archive *a, void *ctx, const void **block)
{
    struct extract *x = ctx;
    ssize_t n = stream_next(x->stream, block, &x->stream_err);

    if (n < 0) {
        archive_set_error(a, EIO, "%s", x->stream_err.msg);
    }
    return n;
}

/* libarchive's word for what is wrong, or the stream's when that was the cause. */
static int archive_err(struct extract *x, struct err *e)
{
    const char *why = archive_error_string(x->archive);

    if (x->stream_err.kind != ERR_NONE) {
        *e = x->stream_err;
        return -1;
    }
    return err_set(e, ERR_INVALID, "broken tar: %s", why ? why : "unknown reason");
}

/* --- the disk's room --- */

/* Never more than half of what is left until the next look: others write too. */
static int look_at_room(struct extract *x, uint64_t bytes, uint64_t files, struct err *e)
{
    struct fs_room room;

    if (fs_room(x->tree.root, x->limits->reserve_bytes, &room, e) < 0) {
        return -1;
    }
    if (room.bytes < bytes || room.files < files) {
        return err_set(e, ERR_NO_SPACE,
                       "the disk is nearly full (%llu MiB left%s): delete images or volumes, or "
                       "give the state directory a larger disk",
                       (unsigned long long)(room.left_bytes / MIB),
                       room.files < files ? ", but no room for more files" : "");
    }
    x->charged_bytes = bytes;
    x->charged_files = files;
    x->allowed_bytes = room.bytes / 2 < SPACE_CHECK_BYTES ? room.bytes / 2 : SPACE_CHECK_BYTES;
    x->allowed_files = room.files / 2;
    return 0;
}

/* Everything that takes room on the disk is charged before it is made. */
static int charge(struct extract *x, uint64_t bytes, uint64_t files, struct err *e)
{
    x->charged_bytes += bytes;
    x->charged_files += files;
    return x->charged_bytes <= x->allowed_bytes && x->charged_files <= x->allowed_files
               ? 0
               : look_at_room(x, bytes, files, e);
}

/* With the parents that it may make. */
static int charge_entry(struct extract *x, struct str name, struct err *e)
{
    uint64_t parts = 1;

    for (size_t i = 0; i < name.len; i++) {
        parts += name.p[i] == '/';
    }
    return charge(x, parts * ENTRY_BYTES, parts, e);
}

/* --- attributes --- */

/* ext4 says "no space" when an attribute does not fit into its block: that is the image's fault,
 * and trying again later would not help. */
static int xattr_failed(struct extract *x, const char *name, size_t size, struct err *e)
{
    int sys = errno;

    if (sys != ENOSPC && sys != E2BIG && sys != ERANGE) {
        return err_sys(e, "set attribute %s", Q(str_of(name)));
    }
    return look_at_room(x, size, 0, e) < 0
               ? -1
               : err_set(e, ERR_LIMIT,
                         "attribute %s of %zu bytes is more than the disk keeps with a file",
                         Q(str_of(name)), size);
}

static int set_xattrs(struct extract *x, int fd, struct archive_entry *ae, struct err *e)
{
    const char *name;
    const void *value;
    size_t size;

    (void)archive_entry_xattr_reset(ae);
    while (archive_entry_xattr_next(ae, &name, &value, &size) == ARCHIVE_OK) {
        if (name == NULL || !entry_xattr_ok(name)) {
            continue; /* labels and marks of the machine that built the image */
        }
        if (size > XATTR_BYTES) {
            return err_set(e, ERR_LIMIT, "attribute %s of %zu bytes", Q(str_of(name)), size);
        }
        if (charge(x, size, 0, e) < 0) {
            return -1;
        }
        if (fsetxattr(fd, name, value, size, 0) < 0) {
            return xattr_failed(x, name, size, e);
        }
    }
    return 0;
}

static void times_of(struct archive_entry *ae, struct timespec times[2])
{
    times[0].tv_sec = archive_entry_mtime(ae);
    times[0].tv_nsec = archive_entry_mtime_nsec(ae);
    if (times[0].tv_nsec < 0 || times[0].tv_nsec > 999999999) {
        times[0].tv_nsec = 0;
    }
    times[1] = times[0];
}

/* chown before chmod and attributes: it takes setuid bits and capabilities away. */
static int set_fd_attributes(struct extract *x, int fd, struct archive_entry *ae, struct err *e)
{
    struct timespec times[2];

    times_of(ae, times);
    if (fchown(fd, (uid_t)archive_entry_uid(ae), (gid_t)archive_entry_gid(ae)) < 0) {
        return err_sys(e, "set the owner");
    }
    if (fchmod(fd, archive_entry_perm(ae)) < 0) {
        return err_sys(e, "set the mode");
    }
    if (set_xattrs(x, fd, ae, e) < 0) {
        return -1;
    }
    return futimens(fd, times) < 0 ? err_sys(e, "set the time") : 0;
}

static int set_name_attributes(int parent, const char *base, struct archive_entry *ae,
                               struct err *e)
{
    struct timespec times[2];

    times_of(ae, times);
    if (fchownat(parent, base, (uid_t)archive_entry_uid(ae), (gid_t)archive_entry_gid(ae),
                 AT_SYMLINK_NOFOLLOW) < 0) {
        return err_sys(e, "set the owner");
    }
    /* We made it a moment ago and nobody else is here: it is no link. */
    if (archive_entry_filetype(ae) != AE_IFLNK &&
        fchmodat(parent, base, archive_entry_perm(ae), 0) < 0) {
        return err_sys(e, "set the mode");
    }
    return utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0 ? err_sys(e, "set the time") : 0;
}

/* --- regular files --- */

static int write_block(struct extract *x, int fd, const char *p, size_t n, off_t at, struct err *e)
{
    if (charge(x, n, 0, e) < 0) {
        return -1;
    }
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, at);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return err_sys(e, "write");
        }
        p += done;
        n -= (size_t)done;
        at += done;
    }
    return 0;
}

/* Holes of sparse files stay holes. */
static int copy_data(struct extract *x, int fd, int64_t size, struct err *e)
{
    int64_t end = 0;

    for (;;) {
        const void *p;
        size_t n;
        la_int64_t at;
        int rc = archive_read_data_block(x->archive, &p, &n, &at);

        if (rc == ARCHIVE_EOF) {
            break;
        }
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) {
            return archive_err(x, e);
        }
        if (at < end || at > size || (uint64_t)(size - at) < n) {
            return err_set(e, ERR_INVALID, "data outside the file's size");
        }
        if (write_block(x, fd, p, n, at, e) < 0) {
            return -1;
        }
        end = at + (int64_t)n;
    }
    if (end < size && ftruncate(fd, size) < 0) {
        return err_sys(e, "set the size");
    }
    return 0;
}

static int create_file(int parent, const char *base, struct err *e)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, base, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (tree_clear(parent, base, e) < 0) {
            return -1;
        }
        fd = openat(parent, base, flags, 0600);
    }
    return fd < 0 ? err_sys(e, "create") : fd;
}

static int make_file(struct extract *x, int parent, const struct entry_name *n,
                     struct archive_entry *ae, struct err *e)
{
    int64_t size = archive_entry_size(ae);
    SCOPED(closep) int fd = -1;

    if (size < 0 || (uint64_t)size > x->limits->bytes ||
        x->file_bytes > x->limits->bytes - (uint64_t)size) {
        return err_set(e, ERR_LIMIT, "files of the layer are larger than %llu bytes",
                       (unsigned long long)x->limits->bytes);
    }
    x->file_bytes += (uint64_t)size;
    fd = create_file(parent, n->base, e);
    if (fd < 0 || copy_data(x, fd, size, e) < 0) {
        return -1;
    }
    return set_fd_attributes(x, fd, ae, e);
}

/* --- other kinds --- */

static int make_dir(struct extract *x, int parent, const struct entry_name *n,
                    struct archive_entry *ae, struct err *e)
{
    SCOPED(closep) int fd = -1;

    if (tree_make_dir(&x->tree, parent, n->base, n->path, strlen(n->path), e) < 0) {
        return -1;
    }
    fd = openat(parent, n->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open the directory") : set_fd_attributes(x, fd, ae, e);
}

static int make_root(struct extract *x, struct archive_entry *ae, struct err *e)
{
    if (archive_entry_filetype(ae) != AE_IFDIR) {
        return err_set(e, ERR_INVALID, "the layer's root is not a directory");
    }
    return tree_leave(&x->tree, e) < 0 ? -1 : set_fd_attributes(x, x->tree.root, ae, e);
}

static int make_symlink(int parent, const struct entry_name *n, struct archive_entry *ae,
                        struct err *e)
{
    const char *target = archive_entry_symlink(ae);

    if (target == NULL || target[0] == '\0' || strlen(target) >= LIMIT_PATH_BYTES) {
        return err_set(e, ERR_INVALID, "symbolic link with an empty or too long target");
    }
    if (symlinkat(target, parent, n->base) < 0) {
        if (errno != EEXIST) {
            return err_sys(e, "make the link");
        }
        if (tree_clear(parent, n->base, e) < 0) {
            return -1;
        }
        if (symlinkat(target, parent, n->base) < 0) {
            return err_sys(e, "make the link");
        }
    }
    return set_name_attributes(parent, n->base, ae, e);
}

static int make_fifo(int parent, const struct entry_name *n, struct archive_entry *ae,
                     struct err *e)
{
    if (tree_clear(parent, n->base, e) < 0) {
        return -1;
    }
    if (mknodat(parent, n->base, S_IFIFO | 0600, 0) < 0) {
        return err_sys(e, "make the fifo");
    }
    return set_name_attributes(parent, n->base, ae, e);
}

static bool same_file(int a_dir, const char *a, int b_dir, const char *b)
{
    struct stat x, y;

    return fstatat(a_dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(b_dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_ino == y.st_ino;
}

/* To a file that came earlier in this layer; resolved inside the root like everything. */
static int make_hard_link(struct extract *x, int parent, const struct entry_name *n,
                          struct archive_entry *ae, struct err *e)
{
    struct entry_name to;
    SCOPED(closep) int dir = -1;

    if (entry_parse_link(str_of(archive_entry_hardlink(ae)), &to, e) < 0) {
        return -1;
    }
    dir = tree_open_dir(&x->tree, to.path, to.parent_len, O_PATH);
    if (dir < 0) {
        return err_set(e, ERR_INVALID, "hard link to %s, which is not in this layer",
                       Q(str_of(to.path)));
    }
    if (linkat(dir, to.base, parent, n->base, 0) == 0 ||
        (errno == EEXIST && same_file(dir, to.base, parent, n->base))) {
        return 0;
    }
    if (errno == EEXIST) {
        if (tree_clear(parent, n->base, e) < 0) {
            return -1;
        }
        if (linkat(dir, to.base, parent, n->base, 0) == 0) {
            return 0;
        }
    }
    if (errno == ENOENT || errno == EPERM || errno == ENOTDIR) {
        return err_set(e, ERR_INVALID, "hard link to %s, which is not a file of this layer",
                       Q(str_of(to.path)));
    }
    return err_sys(e, "make the hard link");
}

/* Nodes under dev/ are left out: a container's /dev is a fresh one, so they could not be seen.
 * Anywhere else they are no honest image's. */
static int refuse_device(const struct entry_name *n, struct err *e)
{
    if (strncmp(n->path, "dev/", 4) == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "device node outside dev/");
}

static int make_plain(struct extract *x, int parent, const struct entry_name *n,
                      struct archive_entry *ae, struct err *e)
{
    if (archive_entry_hardlink(ae) != NULL) {
        return make_hard_link(x, parent, n, ae, e);
    }
    switch (archive_entry_filetype(ae)) {
    case AE_IFREG:
        return make_file(x, parent, n, ae, e);
    case AE_IFDIR:
        return make_dir(x, parent, n, ae, e);
    case AE_IFLNK:
        return make_symlink(parent, n, ae, e);
    case AE_IFIFO:
        return make_fifo(parent, n, ae, e);
    case AE_IFCHR:
    case AE_IFBLK:
        return refuse_device(n, e);
    default:
        return err_set(e, ERR_INVALID, "entry of a kind that images do not have");
    }
}

/* --- the loop --- */

static int check_owner(struct archive_entry *ae, struct err *e)
{
    int64_t uid = archive_entry_uid(ae), gid = archive_entry_gid(ae);

    if (uid < 0 || uid >= ROOTFS_IDS || gid < 0 || gid >= ROOTFS_IDS) {
        return err_set(e, ERR_INVALID, "owner %lld:%lld; images may use ids 0 to %u",
                       (long long)uid, (long long)gid, ROOTFS_IDS - 1);
    }
    return 0;
}

static int extract_named(struct extract *x, struct archive_entry *ae, struct str name,
                         struct err *e)
{
    struct entry_name n;
    int parent;

    if (entry_parse(name, &n, e) < 0) {
        return -1;
    }
    switch (n.kind) {
    case ENTRY_IGNORED:
        return 0;
    case ENTRY_OPAQUE: /* the directory may have no entry of its own: entering makes it */
        return tree_enter(&x->tree, &n, &parent, e) < 0
                   ? -1
                   : tree_mark_opaque(&x->tree, n.path, n.parent_len, e);
    case ENTRY_WHITEOUT:
        return tree_enter(&x->tree, &n, &parent, e) < 0 ? -1
                                                        : tree_whiteout(&x->tree, parent, &n, e);
    case ENTRY_ROOT:
        return check_owner(ae, e) < 0 ? -1 : make_root(x, ae, e);
    case ENTRY_PLAIN:
        break;
    }
    if (check_owner(ae, e) < 0 || tree_enter(&x->tree, &n, &parent, e) < 0) {
        return -1;
    }
    return make_plain(x, parent, &n, ae, e);
}

static int extract_entry(struct extract *x, struct archive_entry *ae, struct err *e)
{
    const char *name = archive_entry_pathname(ae);

    if (++x->entries > x->limits->entries) {
        return err_set(e, ERR_LIMIT, "layer has more than %llu entries",
                       (unsigned long long)x->limits->entries);
    }
    if (name == NULL) {
        return err_set(e, ERR_INVALID, "entry %llu of the layer has a name that cannot be read",
                       (unsigned long long)x->entries);
    }
    if (charge_entry(x, str_of(name), e) < 0 || extract_named(x, ae, str_of(name), e) < 0) {
        return err_wrap(e, "layer entry %s", Q(str_of(name)));
    }
    return 0;
}

static int extract_all(struct extract *x, struct err *e)
{
    struct archive_entry *ae;
    int rc;

    /* Plain tar only: compression was ours, and other formats have no business in an image. */
    if (archive_read_support_format_tar(x->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(x->archive) != ARCHIVE_OK ||
        archive_read_open(x->archive, x, NULL, on_read, NULL) != ARCHIVE_OK) {
        return archive_err(x, e);
    }
    while ((rc = archive_read_next_header(x->archive, &ae)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        if (extract_entry(x, ae, e) < 0) {
            return -1;
        }
    }
    return rc == ARCHIVE_EOF ? tree_leave(&x->tree, e) : archive_err(x, e);
}

/* The diff_id covers all bytes, also those after the two empty blocks that end a tar. */
static int drain(struct extract *x, struct err *e)
{
    uint64_t tail = 0;

    for (;;) {
        const void *block;
        ssize_t n = stream_next(x->stream, &block, e);

        if (n <= 0) {
            return (int)n;
        }
        tail += (uint64_t)n;
        if (tail > x->limits->tail_bytes) {
            return err_set(e, ERR_LIMIT, "layer goes on for %llu bytes after its end",
                           (unsigned long long)x->limits->tail_bytes);
        }
    }
}

int extract_layer(int blob, int root, const struct unpack_limits *l, struct unpack_result *out,
                  struct err *e)
{
    SCOPED(stream_closep) struct stream *stream = stream_open(blob, l->bytes, e);
    SCOPED(archive_freep) struct archive *archive = archive_read_new();
    struct extract x = {.limits = l, .archive = archive, .stream = stream};
    int rc;

    if (stream == NULL) {
        return -1;
    }
    if (archive == NULL) {
        return err_set(e, ERR_INTERNAL, "libarchive cannot start");
    }
    out->opaque = BUF_MAX(l->opaque_bytes);
    x.tree = (struct tree){.root = root, .parent = -1, .opaque = &out->opaque};
    rc = extract_all(&x, e) < 0 ? -1 : drain(&x, e);
    tree_done(&x.tree);
    if (rc == 0) {
        out->bytes = stream_bytes(stream);
        out->entries = x.entries;
        stream_digest(stream, out->diff);
    }
    return rc;
}

int hash_layer(int blob, int root UNUSED, const struct unpack_limits *l, struct unpack_result *out,
               struct err *e)
{
    SCOPED(stream_closep) struct stream *stream = stream_open(blob, l->bytes, e);
    const void *block;
    ssize_t n;

    if (stream == NULL) {
        return -1;
    }
    out->opaque = BUF_MAX(l->opaque_bytes);
    do {
        n = stream_next(stream, &block, e);
    } while (n > 0);
    if (n < 0) {
        return -1;
    }
    out->bytes = stream_bytes(stream);
    stream_digest(stream, out->diff);
    return 0;
}
