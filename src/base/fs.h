/* fs - small file work that must be durable or safe. Paths are relative to a directory fd
 * (AT_FDCWD for the current one). Every fd is born O_CLOEXEC. */
#pragma once
#include "base/buf.h"

#include <sys/stat.h>
#include <sys/types.h>

/* openat2(2), O_CLOEXEC, `resolve` of RESOLVE_*; `mode` counts with O_CREAT alone. A rename
 * anywhere on the machine makes the kernel give up on "..": tried again, but not for ever (EAGAIN).
 * -1: errno. */
int fs_open_within(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve) MUST_USE;

/* Reads a whole file into `out` up to its ceiling (ERR_LIMIT past it). */
int fs_read(int dirfd, const char *path, struct buf *out, struct err *e) MUST_USE;
/* The rest of what `fd` is open on; `name` is for the error. */
int fs_read_fd(int fd, const char *name, struct buf *out, struct err *e) MUST_USE;
/* Durable replace: temporary file beside it, fsync, rename, fsync of the directory. */
int fs_write_atomic(int dirfd, const char *path, struct str bytes, mode_t mode,
                    struct err *e) MUST_USE;
/* What a disk still takes without its last `reserve_bytes`, or 5 % when that is less; and likewise
 * how many files (UINT64_MAX: it does not count them). */
struct fs_room {
    uint64_t bytes, files;
    uint64_t left_bytes; /* with the reserve */
};
int fs_room(int fd, uint64_t reserve_bytes, struct fs_room *out, struct err *e) MUST_USE;
int fs_write_all(int fd, struct str bytes, struct err *e) MUST_USE;
/* mkdir; being there already is success. */
int fs_mkdir(int dirfd, const char *path, mode_t mode, struct err *e) MUST_USE;
/* fsync of the directory `path` itself. */
int fs_sync_dir(int dirfd, const char *path, struct err *e) MUST_USE;
/* Removes a tree without following links or crossing mounts; a missing one is success. */
int fs_remove_tree(int dirfd, const char *path, struct err *e) MUST_USE;
