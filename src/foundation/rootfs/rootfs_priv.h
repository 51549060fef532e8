/* rootfs_priv - the parts of unpacking and mounting.
 *
 *   ops.c (helper) -> fork -> unpack.c: own namespaces, root is the target
 *                               -> fork -> confine.c: no powers, few system calls
 *                                            -> extract.c <- libarchive <- stream.c <- blob
 *                                                 entry.c (names), tree.c (places)
 *                          -> opaque marks, syncfs, `done`
 *   runtime -> mount.c -> idmap.c */
#pragma once
#include "rootfs/rootfs.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"

#include <sys/types.h>
#include <time.h>

#define ROOTFS_IDS 65536U /* ids of an image: 0..65535 */
/* The unpacker works as these host ids, which no project gets: they are the last whole block below
 * the one that holds (uid_t)-1. */
#define ROOTFS_UNPACK_ID_BASE 0xfffe0000U
#define ROOTFS_OPAQUE_XATTR "trusted.overlay.opaque"

/* What bounds one layer. */
struct unpack_limits {
    uint64_t bytes;         /* of the tar, and of the files in it with their holes */
    uint64_t entries;       /* files */
    uint64_t tail_bytes;    /* after the end of the archive */
    uint64_t opaque_bytes;  /* names of opaque directories */
    uint64_t cpu_sec;       /* of the unpacker */
    uint64_t memory_bytes;  /* address space of the unpacker; 0: not limited */
    uint64_t reserve_bytes; /* left free on the disk for the others, or 5 % when that is less */
};
extern const struct unpack_limits unpack_limits_default;

/* --- stream.c: gzip, zstd or plain bytes of a blob, hashed and counted --- */
struct stream;
/* `fd` stays the caller's and is read from its start. Looks at the first bytes. */
struct stream *stream_open(int fd, uint64_t max_bytes, struct err *e) MUST_USE;
void stream_close(struct stream *s);
DEFINE_SCOPED(struct stream, stream_close)
/* The next block, valid until the next call; 0 bytes at the end, -1 on error. */
ssize_t stream_next(struct stream *s, const void **block, struct err *e) MUST_USE;
uint64_t stream_bytes(const struct stream *s);
void stream_digest(struct stream *s, unsigned char out[SHA256_BYTES]);

/* --- entry.c: what the name of a tar entry means --- */
enum entry_kind {
    ENTRY_ROOT,     /* "./": the layer's root directory */
    ENTRY_PLAIN,    /* a file */
    ENTRY_WHITEOUT, /* ".wh.name": `name` of the layers below is gone */
    ENTRY_OPAQUE,   /* ".wh..wh..opq": nothing of the layers below shows in this directory */
    ENTRY_IGNORED   /* other ".wh..wh." names: bookkeeping of aufs */
};
struct entry_name {
    enum entry_kind kind;
    char path[LIMIT_PATH_BYTES]; /* clean: no "", ".", ".." components; OPAQUE: the directory */
    size_t parent_len;           /* path[0..parent_len) is the parent, 0 for the root */
    const char *base;            /* last component, in path */
};
/* OCI image-spec 1.1, layer.md "Whiteouts". */
int entry_parse(struct str name, struct entry_name *out, struct err *e) MUST_USE;
/* The target of a hard link: a leading slash means the layer's root; no whiteout names. */
int entry_parse_link(struct str name, struct entry_name *out, struct err *e) MUST_USE;
/* Which extended attributes an image may bring: security.capability and user.*, never overlay's. */
bool entry_xattr_ok(const char *name);

/* --- tree.c: places in the layer's directory --- */
struct tree {
    int root;
    int parent; /* the directory of the last entry, open; -1 */
    char parent_path[LIMIT_PATH_BYTES];
    size_t parent_len;
    struct timespec parent_times[2]; /* put back when we leave it: its files changed them */
    struct buf *opaque;              /* strings of wire_put_str */
};
/* Opens the parent directory of `n`, making what is missing. The fd stays the tree's. */
int tree_enter(struct tree *t, const struct entry_name *n, int *fd, struct err *e) MUST_USE;
int tree_leave(struct tree *t, struct err *e) MUST_USE;
void tree_done(struct tree *t);
/* Opens a directory inside the root without leaving it. */
int tree_open_dir(const struct tree *t, const char *path, size_t len, int flags);
/* Removes what is at `base`, whatever it is. */
int tree_clear(int parent, const char *base, struct err *e) MUST_USE;
/* Makes or finds the directory `path` whose last component is `base` in `parent`. */
int tree_make_dir(struct tree *t, int parent, const char *base, const char *path, size_t len,
                  struct err *e) MUST_USE;
int tree_whiteout(struct tree *t, int parent, const struct entry_name *n, struct err *e) MUST_USE;
int tree_mark_opaque(struct tree *t, const char *path, size_t len, struct err *e) MUST_USE;

/* --- extract.c: a tar into a directory --- */
struct unpack_result {
    uint64_t bytes; /* of the tar */
    uint64_t entries;
    unsigned char diff[SHA256_BYTES]; /* of the tar, to its last byte */
    struct buf opaque;                /* directories as wire strings */
};
/* A layer by the names it has. */
struct layer_id {
    char chain[SHA256_HEX + 1];
    char diff[SHA256_HEX + 1]; /* of the tar */
    char blob[SHA256_HEX + 1]; /* of the blob that it is said to come from */
};
int extract_layer(int blob, int root, const struct unpack_limits *l, struct unpack_result *out,
                  struct err *e) MUST_USE;
/* Only reads, counts and hashes. */
int hash_layer(int blob, int root, const struct unpack_limits *l, struct unpack_result *out,
               struct err *e) MUST_USE;

/* --- confine.c --- */
/* Descriptors 0-2 become `null_fd`, those in keep[] get the numbers 3, 4, ..., all others close. */
int confine_fds(int null_fd, int *const *keep, size_t n, struct err *e) MUST_USE;
/* Into the user namespace with no powers but those over files; limits; ends with its parent. */
int confine_self(int userns, const struct unpack_limits *l, struct err *e) MUST_USE;
/* The list of system calls. What is not on it kills the process. */
int confine_calls(struct err *e) MUST_USE;

/* --- unpack.c --- */
/* Unpacks into rootfs/<chain>, durably; on failure nothing of it stays. Changes this process's
 * root, namespaces and umask: only for a child that ends afterwards. */
int unpack_layer(int blob, const struct layer_id *id, const struct unpack_limits *l,
                 struct err *e) MUST_USE;
/* The layer is there: is it what this blob unpacks to? Then that is written down beside it. Makes
 * no file of the blob; else like unpack_layer. */
int compare_layer(int blob, const struct layer_id *id, const struct unpack_limits *l,
                  struct err *e) MUST_USE;
/* The file in rootfs/<chain> that says so. */
#define ROOTFS_STAMP_BYTES (SHA256_HEX + 6)
void layer_stamp_name(const struct layer_id *id, char out[ROOTFS_STAMP_BYTES]);

/* --- idmap.c --- */
/* A user namespace that maps 0..65535 to id_base.. on the host, kept alive by the descriptor. */
int idmap_userns(uint32_t id_base, struct err *e) MUST_USE;
/* A detached copy of the mount at `path`, seen through `userns`; attributes as MOUNT_ATTR_*. */
int idmap_clone(int dirfd, const char *path, int userns, uint64_t attributes,
                struct err *e) MUST_USE;

/* --- ops.c --- */
struct rootfs_helper {
    pid_t owner; /* a forked child has other descriptors: the cache is its parent's alone */
    struct {
        uint32_t id_base;
        int fd;
    } userns[64];
    size_t n_userns, next_userns;
    char (*busy)[65]; /* chains being unpacked or removed */
    size_t n_busy;
};
int rootfs_helper_userns(struct rootfs_helper *r, uint32_t id_base, int *fd,
                         struct err *e) MUST_USE;
bool rootfs_chain_ok(struct str chain);
