#include "algorithms/kernel/spill.h"

#include "base/attrs.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const char *dir;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int file = -1, open_error;
static _Atomic uint64_t end = PAGE; /* 0 stands for "not spilled" */

/* A file system in memory would only take it by another name. */
static bool is_disk(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}

void spill_set_dir(const char *to)
{
    dir = to && is_disk(to) ? to : NULL;
}

bool spill_is_on(void)
{
    return dir != NULL;
}

/* A file with a name for a moment, where the file system knows none without. */
static int open_and_unlink(void)
{
    SCOPED(freep) char *path = xasprintf("%s/.spill-XXXXXX", dir);
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

static void open_once(void)
{
    file = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        file = open_and_unlink();
    }
    open_error = file < 0 ? errno : 0;
}

static size_t pages_of(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static void give_back(uint64_t at, size_t bytes)
{
    /* only the disk's sake: failing is fine */
    (void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)bytes);
}

static int refuse(size_t bytes, const char *what, int error, struct err *e)
{
    char size[16];

    errno = error;
    return err_sys(e, "%s needs %s in %s, since it is larger than the memory", what,
                   str_format_bytes((int64_t)bytes, size), dir);
}

void *spill_map(size_t bytes, uint64_t *at, const char *what, struct err *e)
{
    size_t len = pages_of(bytes);
    uint64_t from;
    int error;
    void *p;

    (void)pthread_once(&once, open_once);
    if (file < 0) {
        refuse(bytes, what, open_error, e);
        return NULL;
    }
    from = atomic_fetch_add(&end, len);
    error = posix_fallocate(file, (off_t)from, (off_t)len);
    if (error != 0) {
        refuse(bytes, what, error, e);
        return NULL;
    }
    p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)from);
    if (p == MAP_FAILED) {
        refuse(bytes, what, errno, e);
        give_back(from, len);
        return NULL;
    }
    *at = from;
    return p;
}

void spill_trim(void *p, uint64_t at, size_t from, size_t to)
{
    size_t had = pages_of(from), keep = pages_of(to);

    if (had > keep) {
        (void)munmap((char *)p + keep, had - keep);
        give_back(at + keep, had - keep);
    }
}

void spill_unmap(void *p, uint64_t at, size_t bytes)
{
    (void)munmap(p, pages_of(bytes));
    give_back(at, pages_of(bytes));
}
