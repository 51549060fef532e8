#include "algorithms/kernel/binary.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie");

enum { BLOCK_BYTES = 1 << 18 };

static void make_head(char head[BINARY_HEAD_BYTES], char kind, uint64_t len, uint64_t sum)
{
    static const char magic[8] = {(char)0x89, 'S', 'T', 'R', 0, '\r', '\n', 0x1a};
    uint32_t version = BINARY_VERSION;

    memset(head, 0, BINARY_HEAD_BYTES);
    memcpy(head, magic, sizeof(magic));
    head[4] = kind;
    memcpy(head + 8, &version, 4);
    memcpy(head + 16, &len, 8);
    memcpy(head + 24, &sum, 8);
}

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

int binw_check(const char *path, struct err *e)
{
    struct stat st;

    if (!is_standard(path) && lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID,
                       "%s is a %s: an output is a regular file, written beside its name and "
                       "renamed onto it",
                       path,
                       S_ISLNK(st.st_mode)   ? "symbolic link"
                       : S_ISDIR(st.st_mode) ? "directory"
                                             : "device, fifo or socket");
    }
    return 0;
}

/* Standard output: nothing is renamed, and w->tmp stays NULL. */
static struct binw *open_standard(struct err *e)
{
    SCOPED(binw_closep) struct binw *w = xnew(struct binw);

    w->path = xstrdup("standard output");
    w->block = xcalloc(1, BLOCK_BYTES);
    checksum_init(&w->sum);
    w->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    if (w->fd < 0) {
        err_sys(e, "standard output");
        return NULL;
    }
    return TAKE(w);
}

static struct binw *open_writer(const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = xnew(struct binw);

    w->path = xstrdup(path);
    w->tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
    if (binw_check(path, e) < 0) {
        return NULL;
    }
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (w->fd < 0) {
        err_sys(e, "cannot write %s", path);
        return NULL;
    }
    w->block = xcalloc(1, BLOCK_BYTES);
    checksum_init(&w->sum);
    return TAKE(w);
}

struct binw *binw_open(const char *path, enum binary_kind kind, struct err *e)
{
    struct binw *w = open_writer(path, e);
    char head[BINARY_HEAD_BYTES];

    if (w == NULL) {
        return NULL;
    }
    w->kind = (char)kind;
    make_head(head, w->kind, 0, 0); /* the real one comes with the commit */
    binw_bytes(w, head, sizeof(head));
    checksum_init(&w->sum); /* of what follows the head */
    return w;
}

struct binw *binw_open_text(const char *path, struct err *e)
{
    return is_standard(path) ? open_standard(e) : open_writer(path, e);
}

static int make_folder(const char *dir, struct err *e)
{
    SCOPED(freep) char *parent = NULL;

    if (mkdir(dir, 0755) < 0) {
        return 0; /* it is there, or who opens the file says why not */
    }
    parent = xstrdup(dir);
    return fs_sync_dir(AT_FDCWD, dirname(parent), e);
}

/* The folders that a path goes through. */
static int make_folders(const char *path, struct err *e)
{
    SCOPED(freep) char *dir = xstrdup(path);

    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_folder(dir, e) < 0) {
            return -1;
        }
        *slash = '/';
    }
    return 0;
}

struct binw *binw_open_named(const char *path, struct err *e)
{
    if (!is_standard(path) && make_folders(path, e) < 0) {
        return NULL;
    }
    return binw_open_text(path, e);
}

struct binw *binw_open_memory(struct buf *to)
{
    struct binw *w = xnew(struct binw);

    w->fd = -1;
    w->memory = to;
    w->block = xcalloc(1, BLOCK_BYTES);
    checksum_init(&w->sum);
    return w;
}

void binw_close(struct binw *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        (void)close(w->fd);
        (void)(w->tmp && unlink(w->tmp)); /* after a commit the name is gone already */
    }
    free(w->path);
    free(w->tmp);
    free(w->block);
    free(w);
}

static void flush(struct binw *w)
{
    if (w->path == NULL) {
        (void)(w->memory && buf_add(w->memory, str_n(w->block, w->block_len)));
    } else if (!w->failed && fs_write_all(w->fd, str_n(w->block, w->block_len), &w->err) < 0) {
        w->failed = true;
    }
    w->block_len = 0;
}

void binw_bytes(struct binw *w, const void *p, size_t len)
{
    const char *from = p;

    if (len == 0) { /* `p` may be NULL */
        return;
    }
    w->len += len;
    checksum_add(&w->sum, p, len);
    while (len > 0) {
        size_t room = BLOCK_BYTES - w->block_len, n = len < room ? len : room;

        memcpy(w->block + w->block_len, from, n);
        w->block_len += n;
        from += n;
        len -= n;
        if (w->block_len == BLOCK_BYTES) {
            flush(w);
        }
    }
}

static int put_head(struct binw *w, struct err *e)
{
    char head[BINARY_HEAD_BYTES];

    if (w->kind == 0) {
        return 0;
    }
    make_head(head, w->kind, w->len - sizeof(head), checksum_value(&w->sum));
    return pwrite(w->fd, head, sizeof(head), 0) == sizeof(head) ? 0 : err_sys(e, "write");
}

int binw_commit_beside(struct binw *w, struct err *e)
{
    flush(w);
    if (w->path == NULL) {
        return w->memory && w->memory->failed ? err_set(e, ERR_MEMORY, "too large") : 0;
    }
    if (w->failed) {
        *e = w->err;
        return err_wrap(e, "%s", w->path);
    }
    if (w->tmp == NULL) {
        return 0;
    }
    if (put_head(w, e) < 0 || (fsync(w->fd) < 0 && err_sys(e, "fsync") < 0)) {
        return err_wrap(e, "%s", w->path);
    }
    return rename(w->tmp, w->path) < 0 ? err_sys(e, "rename to %s", w->path) : 0;
}

int binw_commit(struct binw *w, struct err *e)
{
    SCOPED(freep) char *parent = w->tmp ? xstrdup(w->path) : NULL;

    if (binw_commit_beside(w, e) < 0) {
        return -1;
    }
    return parent ? fs_sync_dir(AT_FDCWD, dirname(parent), e) : 0;
}

void binw_u32(struct binw *w, uint32_t v)
{
    binw_bytes(w, &v, sizeof(v));
}

void binw_u64(struct binw *w, uint64_t v)
{
    binw_bytes(w, &v, sizeof(v));
}

void binw_f64(struct binw *w, double v)
{
    binw_bytes(w, &v, sizeof(v));
}

void binw_str(struct binw *w, struct str s)
{
    binw_u32(w, (uint32_t)s.len);
    binw_bytes(w, s.p, s.len);
}

void binw_f64s(struct binw *w, const double *v, size_t n)
{
    binw_bytes(w, v, n * sizeof(*v));
}

void binw_f32s(struct binw *w, const float *v, size_t n)
{
    binw_bytes(w, v, n * sizeof(*v));
}

void binw_u32s(struct binw *w, const uint32_t *v, size_t n)
{
    binw_bytes(w, v, n * sizeof(*v));
}

static const char *kind_name(int kind)
{
    return kind == BINARY_MODEL ? "model" : "transform";
}

/* Whether the first bytes are ours; names the likely mistake when not. */
static int check_magic(struct str bytes, enum binary_kind kind, struct err *e)
{
    char head[BINARY_HEAD_BYTES];

    make_head(head, bytes.len > 4 ? bytes.p[4] : 0, 0, 0);
    if (bytes.len < sizeof(head) || memcmp(bytes.p, head, 8) != 0) {
        return err_set(e, ERR_DATA, "%s Strata %s",
                       str_starts(bytes, STR("ARROW1")) ? "a table, and not a" : "not a",
                       kind_name((int)kind));
    }
    if (bytes.p[4] != (char)kind) {
        return err_set(e, ERR_DATA, "a Strata %s, and a %s is needed here", kind_name(bytes.p[4]),
                       kind_name((int)kind));
    }
    return 0;
}

int binr_init(struct binr *r, struct str bytes, enum binary_kind kind, struct err *e)
{
    struct str body = str_from(bytes, BINARY_HEAD_BYTES);
    uint32_t version;
    uint64_t len, sum;

    if (check_magic(bytes, kind, e) < 0) {
        return -1;
    }
    memcpy(&version, bytes.p + 8, 4);
    memcpy(&len, bytes.p + 16, 8);
    memcpy(&sum, bytes.p + 24, 8);
    if (version < 1 || version > BINARY_VERSION) {
        return err_set(e, ERR_DATA, "version %u of the format: this program reads 1 to %d", version,
                       BINARY_VERSION);
    }
    if (len != body.len) {
        return err_set(e, ERR_DATA, "damaged: %zu bytes of %llu are there", body.len,
                       (unsigned long long)len);
    }
    if (checksum_of(body.p, body.len) != sum) {
        return err_set(e, ERR_DATA, "damaged: its checksum is wrong");
    }
    *r = (struct binr){.p = body.p, .left = body.len, .version = version};
    return 0;
}

static int copy_input(int to, struct err *e)
{
    SCOPED(freep) char *block = xcalloc(1, BLOCK_BYTES);
    ssize_t n;

    while ((n = read(STDIN_FILENO, block, BLOCK_BYTES)) != 0) {
        if (n < 0 && errno != EINTR) {
            return err_sys(e, "standard input");
        }
        if (n > 0 && fs_write_all(to, str_n(block, (size_t)n), e) < 0) {
            return err_wrap(e, "standard input");
        }
    }
    return 0;
}

/* All of standard input in memory, as a file that can be mapped. */
static int spool(struct err *e)
{
    int fd = memfd_create("stdin", MFD_CLOEXEC);

    if (fd < 0) {
        return err_sys(e, "standard input");
    }
    if (copy_input(fd, e) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int map_file(const char *path, void **map, size_t *len, struct err *e)
{
    /* A fifo would wait for a writer, a terminal become ours. */
    SCOPED(closep)
    int fd =
        is_standard(path) ? spool(e) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 && is_standard(path)) {
        return -1;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "cannot read %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s is not a regular file", path);
    }
    *len = (size_t)st.st_size;
    *map = NULL;
    if (*len > 0) {
        *map = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (*map == MAP_FAILED) {
        return err_sys(e, "cannot map %s", path);
    }
    return 0;
}

void unmap_file(void *map, size_t len)
{
    if (map) {
        (void)munmap(map, len);
    }
}

void map_rest(const char *from, const char *to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
              first = ((uintptr_t)from + page - 1) & ~(page - 1),
              last = (uintptr_t)to & ~(page - 1);

    if (first < last) {
        (void)madvise((void *)first, last - first, MADV_DONTNEED);
    }
}

int binr_open(struct binr *r, const char *path, enum binary_kind kind, struct err *e)
{
    void *map;
    size_t len;

    if (map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    if (binr_init(r, str_n(map ? map : "", len), kind, e) < 0) {
        unmap_file(map, len);
        return err_wrap(e, "%s", path);
    }
    r->map = map;
    r->map_len = len;
    return 0;
}

void binr_done(struct binr *r)
{
    unmap_file(r->map, r->map_len);
    *r = (struct binr){0};
}

void binr_bytes(struct binr *r, void *to, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        memset(to, 0, len);
        return;
    }
    if (len > 0) {
        memcpy(to, r->p, len);
    }
    r->p += len;
    r->left -= len;
}

uint32_t binr_u32(struct binr *r)
{
    uint32_t v;

    binr_bytes(r, &v, sizeof(v));
    return v;
}

uint64_t binr_u64(struct binr *r)
{
    uint64_t v;

    binr_bytes(r, &v, sizeof(v));
    return v;
}

double binr_f64(struct binr *r)
{
    double v;

    binr_bytes(r, &v, sizeof(v));
    return v;
}

struct str binr_str(struct binr *r)
{
    uint32_t len = binr_u32(r);
    struct str s = str_n(r->p, len);

    if (r->bad || len > r->left) {
        r->bad = true;
        return STR_EMPTY;
    }
    r->p += len;
    r->left -= len;
    return s;
}

char *binr_name(struct binr *r)
{
    struct str s = binr_str(r);

    if (s.len == 0 || s.len > ML_LIMIT_NAME_BYTES || str_find_char(s, '\0') >= 0) {
        r->bad = true;
        return NULL;
    }
    return str_dup(s);
}

void binr_f64s(struct binr *r, double *v, size_t n)
{
    binr_bytes(r, v, n * sizeof(*v));
}

void binr_f32s(struct binr *r, float *v, size_t n)
{
    binr_bytes(r, v, n * sizeof(*v));
}

void binr_u32s(struct binr *r, uint32_t *v, size_t n)
{
    binr_bytes(r, v, n * sizeof(*v));
}

int binr_end(const struct binr *r, struct err *e)
{
    if (r->bad || r->left > 0) {
        return err_set(e, ERR_DATA, "damaged: %s",
                       r->bad ? "it ends early" : "bytes are left over");
    }
    return 0;
}
