/* File systems: how full each mount is. One that does not answer (a server that is gone) must not
 * hold up the others: what may hang is asked in a thread of its own, for a few seconds. */
#include "exporter/collect.h"

#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"

enum { ASK_MS = 2000, ASK_MIN_MS = 20, ASK_STACK_BYTES = 64 * 1024 };

static const struct column columns[] = {
    {"node_filesystem_size_bytes", PAGE_GAUGE, "Filesystem size in bytes.", 0},
    {"node_filesystem_free_bytes", PAGE_GAUGE, "Filesystem free space in bytes.", 0},
    {"node_filesystem_avail_bytes", PAGE_GAUGE,
     "Filesystem space available to non-root users in bytes.", 0},
    {"node_filesystem_files", PAGE_GAUGE, "Filesystem total file nodes.", 0},
    {"node_filesystem_files_free", PAGE_GAUGE, "Filesystem total free file nodes.", 0},
    {"node_filesystem_readonly", PAGE_GAUGE, "Filesystem read-only status.", 0},
    {"node_filesystem_device_error", PAGE_GAUGE,
     "Whether an error occurred while getting statistics for the given device.", 0},
};
enum { READONLY = 5, DEVICE_ERROR = 6, COLUMNS = ARRAY_LEN(columns) };

/* One question to a mount. Shared by who asks and the thread: the last of them frees it. */
struct ask {
    struct lock lock;
    int users;  /* guarded by lock */
    bool done;  /* guarded by lock */
    int failed; /* errno */
    struct statvfs is;
    char path[];
};

static void leave(struct ask *a)
{
    bool last;

    lock_take(&a->lock);
    last = --a->users == 0;
    lock_drop(&a->lock);
    if (last) {
        lock_done(&a->lock);
        free(a);
    }
}

static void *ask_main(void *ctx)
{
    struct ask *a = ctx;
    struct statvfs is = {0};
    int failed = statvfs(a->path, &is) < 0 ? errno : 0;

    lock_take(&a->lock);
    a->is = is;
    a->failed = failed;
    a->done = true;
    lock_broadcast(&a->lock);
    lock_drop(&a->lock);
    leave(a);
    return NULL;
}

/* False: it has not come back. */
static bool await(struct ask *a, int64_t patience_ms)
{
    int64_t deadline = clock_mono_ms() + patience_ms;
    struct lock *l = &a->lock;
    WITH_LOCK(l);

    while (!a->done) {
        if (!lock_wait_until(l, deadline)) {
            return false;
        }
    }
    return true;
}

static bool is_done(struct ask *a)
{
    struct lock *l = &a->lock;
    WITH_LOCK(l);

    return a->done;
}

/* Questions of before that have come back, late: their mounts may be asked again. */
static void sweep(struct node *n)
{
    const char *done[LIMIT_NODE_STUCK];
    size_t n_done = 0;
    struct str key;
    void *a;

    for (size_t i = 0; map_next(&n->asking, &i, &key, &a);) {
        if (is_done(a)) {
            done[n_done++] = ((struct ask *)a)->path;
        }
    }
    for (size_t i = 0; i < n_done; i++) {
        leave(map_del(&n->asking, str_of(done[i])));
    }
}

static bool begin(struct ask *a)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, ASK_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, ask_main, a);
    (void)pthread_attr_destroy(&attr);
    return rc == 0;
}

/* A question that is not answered is kept in n->asking with its thread, and not asked again
 * meanwhile; where LIMIT_NODE_STUCK are, no other is asked. Each halves the patience with the next:
 * one dead server is many mounts, and the page waits for them all. */
static bool ask_aside(struct node *n, const char *path, int64_t *patience_ms, struct statvfs *out)
{
    size_t bytes = strlen(path) + 1;
    struct ask *a;
    bool ok;

    if (n->asking.len >= LIMIT_NODE_STUCK || map_get(&n->asking, str_of(path))) {
        return false;
    }
    a = xcalloc(1, sizeof(*a) + bytes);
    lock_init(&a->lock, LOCK_exporter_ask);
    a->users = 2;
    memcpy(a->path, path, bytes);
    if (!begin(a)) {
        a->users = 1;
        leave(a);
        return false;
    }
    if (!await(a, *patience_ms)) {
        (void)map_put(&n->asking, str_of(path), a);
        *patience_ms = *patience_ms / 2 > ASK_MIN_MS ? *patience_ms / 2 : ASK_MIN_MS;
        return false;
    }
    ok = a->failed == 0; /* the thread writes no more */
    *out = a->is;
    leave(a);
    return ok;
}

void filesystem_forget(struct node *n)
{
    struct str key;
    void *a;

    for (size_t i = 0; map_next(&n->asking, &i, &key, &a);) {
        leave(a);
    }
    map_done(&n->asking);
}

/* Those of this machine's own memory and disks answer at once. */
static bool may_hang(const char *type)
{
    static const char *const own[] = {"btrfs",   "ext2",   "ext3",    "ext4",     "f2fs",
                                      "ramfs",   "tmpfs",  "vfat",    "xfs",      "zfs",
                                      "overlay", "exfat",  "erofs",   "squashfs", "efivarfs",
                                      "ntfs3",   "rootfs", "bcachefs"};

    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (strcmp(type, own[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* "\040" of /proc/mounts is a space. */
static char *unescaped(struct node *n, struct str s)
{
    char *out = arena_alloc(&n->arena, s.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\' && i + 3 < s.len && s.p[i + 1] >= '0' && s.p[i + 1] <= '3') {
            out[len++] =
                (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 + (s.p[i + 3] - '0'));
            i += 3;
        } else {
            out[len++] = s.p[i];
        }
    }
    out[len] = '\0';
    return out;
}

static bool has_option(struct str options, const char *want)
{
    while (options.p) {
        if (str_eq_c(str_cut(&options, ','), want)) {
            return true;
        }
    }
    return false;
}

/* Where a mount of the host is for us: --path.rootfs may be a bind of it. */
static const char *seen_at(struct node *n, const char *mount)
{
    const char *root = n->o->rootfs;

    return !root || strcmp(root, "/") == 0 ? mount : arena_printf(&n->arena, "%s%s", root, mount);
}

struct mount {
    const char *device, *at, *type;
    struct str options;
};

static void measure(struct node *n, const struct mount *m, int64_t *patience_ms, double *v)
{
    const char *path = seen_at(n, m->at);
    struct statvfs is;
    bool ok = may_hang(m->type) ? ask_aside(n, path, patience_ms, &is) : statvfs(path, &is) == 0;

    for (size_t i = 0; i < COLUMNS; i++) {
        v[i] = NAN;
    }
    v[DEVICE_ERROR] = !ok;
    if (!ok) {
        return;
    }
    v[0] = (double)is.f_blocks * (double)is.f_frsize;
    v[1] = (double)is.f_bfree * (double)is.f_frsize;
    v[2] = (double)is.f_bavail * (double)is.f_frsize;
    v[3] = (double)is.f_files;
    v[4] = (double)is.f_ffree;
    v[READONLY] = has_option(m->options, "ro") || (is.f_flag & ST_RDONLY);
}

/* Below --path.rootfs the mounts of the host stand with that in front. */
static const char *in_host(const struct node *n, const char *mount)
{
    const char *root = n->o->rootfs;
    size_t len = root ? strlen(root) : 0;

    while (len > 0 && root[len - 1] == '/') {
        len--;
    }
    if (len == 0 || strncmp(mount, root, len) != 0 || (mount[len] != '/' && mount[len] != '\0')) {
        return mount;
    }
    return mount[len] == '\0' ? "/" : mount + len;
}

/* The next mount of the host; false at the end. Views into `text`, strings in the arena. */
static bool next_mount(struct node *n, struct str *text, struct mount *out)
{
    while (text->len > 0) {
        struct str line = text_line(text), device = text_word(&line), at = text_word(&line);
        struct str type = text_word(&line);

        out->options = text_word(&line);
        if (out->options.len > 0) {
            out->device = unescaped(n, device);
            out->at = in_host(n, unescaped(n, at));
            out->type = arena_strdup(&n->arena, type);
            return true;
        }
    }
    return false;
}

static int read_mounts(struct node *n, struct str *out, struct err *e)
{
    struct str text;

    if (node_read(n, NODE_PROC, &text, e, "1/mounts") < 0 &&
        node_read(n, NODE_PROC, &text, e, "mounts") < 0) {
        return -1;
    }
    *out = arena_str(&n->arena, text);
    return 0;
}

size_t filesystem_disks(struct node *n, struct filesystem_disk **out)
{
    SCOPED(map_done) struct map seen = {0};
    VEC(struct filesystem_disk) disks = {0};
    struct mount m;
    struct str text;
    struct err e;

    if (read_mounts(n, &text, &e) < 0) {
        return 0;
    }
    while (disks.len < LIMIT_NODE_NAMES && next_mount(n, &text, &m)) {
        struct statvfs is;

        if (!str_starts(str_of(m.device), STR("/dev/")) || may_hang(m.type) ||
            map_put(&seen, str_of(m.device), n) || statvfs(seen_at(n, m.at), &is) < 0) {
            continue;
        }
        *vec_push(&disks) = (struct filesystem_disk){
            .device = m.device,
            .size = (double)is.f_blocks * (double)is.f_frsize,
            .used = (double)(is.f_blocks - is.f_bfree) * (double)is.f_frsize,
            .files = (double)is.f_files,
            .files_free = (double)is.f_ffree};
    }
    *out = disks.p;
    return disks.len;
}

int collect_filesystem(struct node *n, struct page *p, struct err *e)
{
    SCOPED(map_done) struct map seen = {0};
    VEC(struct row) rows = {0};
    int64_t patience_ms = ASK_MS;
    struct mount m;
    struct str text;

    if (read_mounts(n, &text, e) < 0) {
        return -1;
    }
    sweep(n);
    while (rows.len < LIMIT_NODE_NAMES && next_mount(n, &text, &m)) {
        struct str labels;
        double *v;

        if (node_takes(n, 'm', n->mounts, str_of(m.at)) ||
            node_takes(n, 't', n->types, str_of(m.type))) {
            continue;
        }
        labels = collect_labels(n, "device", m.device, "fstype", m.type, "mountpoint", m.at, NULL);
        if (map_put(&seen, labels, n)) {
            continue; /* mounted over itself */
        }
        v = arena_new_array(&n->arena, double, COLUMNS);
        measure(n, &m, &patience_ms, v);
        *vec_push(&rows) = (struct row){labels, v};
    }
    collect_columns(p, columns, COLUMNS, rows.p, rows.len);
    vec_done(&rows);
    return 0;
}
