#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "helper/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- chains in work --- */

bool rootfs_chain_ok(struct str chain)
{
    unsigned char ignored[SHA256_BYTES];

    return chain.len == SHA256_HEX && hex_decode(chain, ignored, sizeof(ignored)) == 0;
}

static bool busy_find(const struct rootfs_helper *r, const char *chain, size_t *at)
{
    for (size_t i = 0; i < r->n_busy; i++) {
        if (strcmp(r->busy[i], chain) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

static int busy_add(struct rootfs_helper *r, const char *chain, struct err *e)
{
    size_t at;

    if (busy_find(r, chain, &at)) {
        return err_set(e, ERR_CONFLICT, "layer %.12s is being unpacked or removed", chain);
    }
    r->busy = xrealloc(r->busy, (r->n_busy + 1) * sizeof(*r->busy));
    (void)snprintf(r->busy[r->n_busy++], sizeof(*r->busy), "%s", chain);
    return 0;
}

static void busy_del(struct rootfs_helper *r, const char *chain)
{
    size_t at;

    if (busy_find(r, chain, &at)) {
        memcpy(r->busy[at], r->busy[--r->n_busy], sizeof(*r->busy));
    }
}

/* --- operations --- */

struct layer_job {
    struct rootfs_helper *helper;
    struct layer_id id;
};

static void layer_job_free(void *ctx)
{
    struct layer_job *j = ctx;

    busy_del(j->helper, j->id.chain);
    free(j);
}

static struct layer_job *layer_job_new(struct rootfs_helper *r, const struct layer_id *id,
                                       struct err *e)
{
    struct layer_job *j;

    if (!rootfs_chain_ok(str_of(id->chain)) || !rootfs_chain_ok(str_of(id->diff)) ||
        !rootfs_chain_ok(str_of(id->blob))) {
        err_set(e, ERR_INVALID, "a layer's id is 64 hexadecimal digits");
        return NULL;
    }
    if (busy_add(r, id->chain, e) < 0) {
        return NULL;
    }
    j = xnew(struct layer_job);
    j->helper = r;
    j->id = *id;
    return j;
}

static bool has(const struct layer_id *id, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "rootfs/%s/%s", id->chain, name);
    return access(path, F_OK) == 0;
}

static int unpack_work(void *ctx, int fd, struct buf *reply UNUSED, struct err *e)
{
    const struct layer_job *j = ctx;

    return unpack_layer(fd, &j->id, &unpack_limits_default, e);
}

static int compare_work(void *ctx, int fd, struct buf *reply UNUSED, struct err *e)
{
    const struct layer_job *j = ctx;

    return compare_layer(fd, &j->id, &unpack_limits_default, e);
}

/* The chain id comes from an image's configuration, which anybody can write: a layer that is there
 * is only given to those who have a blob of it. */
static int unpack_or_compare(struct layer_job *j, struct helper_request *q, int fd, struct err *e)
{
    char stamp[ROOTFS_STAMP_BYTES];

    layer_stamp_name(&j->id, stamp);
    if (!has(&j->id, "done")) {
        return helper_fork(q, fd, unpack_work, NULL, j, layer_job_free, e);
    }
    if (!has(&j->id, stamp)) {
        return helper_fork(q, fd, compare_work, NULL, j, layer_job_free, e);
    }
    layer_job_free(j);
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static int op_unpack(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    struct wire_reader r = {payload, false};
    struct layer_id id;
    struct layer_job *j;

    wire_get_name(&r, id.chain, sizeof(id.chain));
    wire_get_name(&r, id.diff, sizeof(id.diff));
    wire_get_name(&r, id.blob, sizeof(id.blob));
    if (wire_end(&r, e) < 0 || helper_fd_check(fd, e) < 0) {
        return -1;
    }
    j = layer_job_new(ctx, &id, e);
    return j == NULL ? -1 : unpack_or_compare(j, q, fd, e);
}

static int remove_work(void *ctx, int fd UNUSED, struct buf *reply UNUSED, struct err *e)
{
    const struct layer_job *j = ctx;
    SCOPED(closep) int base = open("rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char done[128];

    if (base < 0) {
        return err_sys(e, "open rootfs");
    }
    /* `done` goes first and durably: what is left after a crash is swept. */
    (void)snprintf(done, sizeof(done), "%s/done", j->id.chain);
    if (unlinkat(base, done, 0) == 0 && fs_sync_dir(base, j->id.chain, e) < 0) {
        return -1;
    }
    if (fs_remove_tree(base, j->id.chain, e) < 0) {
        return -1;
    }
    return fsync(base) < 0 ? err_sys(e, "fsync rootfs") : 0;
}

static int op_remove(void *ctx, struct helper_request *q, struct str payload, int fd UNUSED,
                     struct err *e)
{
    struct wire_reader r = {payload, false};
    struct layer_id id;
    struct layer_job *j;

    wire_get_name(&r, id.chain, sizeof(id.chain));
    if (wire_end(&r, e) < 0) {
        return -1;
    }
    memcpy(id.diff, id.chain, sizeof(id.diff)); /* what it came from does not matter */
    memcpy(id.blob, id.chain, sizeof(id.blob));
    j = layer_job_new(ctx, &id, e);
    return j == NULL ? -1 : helper_fork(q, -1, remove_work, NULL, j, layer_job_free, e);
}

const struct helper_operation rootfs_operations[] = {
    {HELPER_ROOTFS_UNPACK, op_unpack, NULL},
    {HELPER_ROOTFS_REMOVE, op_remove, NULL},
    {0},
};

/* --- the sweep at start --- */

typedef VEC(char *) name_vec;

/* Whole layers stay; all else is renamed out of the way, so that it can be unpacked anew at once.
 */
static int find_leftovers(DIR *d, name_vec *out, struct err *e)
{
    struct dirent *ent;

    while ((ent = readdir(d))) {
        char done[NAME_MAX + 8];
        char *aside;

        (void)snprintf(done, sizeof(done), "%s/done", ent->d_name);
        if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0 ||
            (rootfs_chain_ok(str_of(ent->d_name)) && faccessat(dirfd(d), done, F_OK, 0) == 0)) {
            continue;
        }
        aside = xasprintf(".removing-%d-%zu", (int)getpid(), out->len);
        if (renameat(dirfd(d), ent->d_name, dirfd(d), aside) < 0) {
            err_sys(e, "rename rootfs/%s", ent->d_name);
            free(aside);
            return -1;
        }
        *vec_push(out) = aside;
    }
    return 0;
}

/* In a process of its own, whom nobody waits for: a layer may have a million files. */
static void remove_aside(int base, const name_vec *names)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct err e;

        if (fork() != 0) {
            _exit(0);
        }
        /* Not the helper's socket, nor the state directory's lock: we may outlive both. */
        base = dup2(base, 3);
        (void)close_range(4, ~0U, 0);
        for (size_t i = 0; i < names->len; i++) {
            if (fs_remove_tree(base, names->p[i], &e) < 0) {
                log_warn("rootfs.sweep_failed", "%s, trying again at the next start", e.msg);
            }
        }
        _exit(0);
    }
    if (pid > 0) {
        (void)waitpid(pid, NULL, 0);
    }
}

static int sweep(struct err *e)
{
    int fd = open("rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    name_vec names = {0};
    int rc;

    if (d == NULL) {
        return err_sys(e, "open rootfs");
    }
    rc = find_leftovers(d, &names, e);
    if (rc == 0 && names.len > 0) {
        log_info("rootfs.sweep", "leftovers=%zu", names.len);
        remove_aside(dirfd(d), &names);
    }
    for (size_t i = 0; i < names.len; i++) {
        free(names.p[i]);
    }
    vec_done(&names);
    (void)closedir(d);
    return rc;
}

/* --- the helper's part --- */

struct rootfs_helper *rootfs_helper_new(struct err *e)
{
    SCOPED(rootfs_helper_freep) struct rootfs_helper *r = xnew(struct rootfs_helper);
    unsigned char ignored[SHA256_BYTES];

    r->owner = getpid();
    if (fs_mkdir(AT_FDCWD, "rootfs", 0750, e) < 0 || sweep(e) < 0) {
        return NULL;
    }
    sha256_of(STR_EMPTY, ignored); /* OpenSSL reads its files now, not in a layer's root */
    return TAKE(r);
}

void rootfs_helper_free(struct rootfs_helper *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n_userns && r->owner == getpid(); i++) {
        closep(&r->userns[i].fd);
    }
    free(r->busy);
    free(r);
}

/* The oldest makes room: a namespace that mounts use stays without us. */
int rootfs_helper_userns(struct rootfs_helper *r, uint32_t id_base, int *fd, struct err *e)
{
    size_t at;
    int made;

    if (r->owner != getpid()) {
        r->owner = getpid(); /* we are a child whose descriptors were closed */
        r->n_userns = r->next_userns = 0;
    }
    for (size_t i = 0; i < r->n_userns; i++) {
        if (r->userns[i].id_base == id_base) {
            *fd = r->userns[i].fd;
            return 0;
        }
    }
    made = idmap_userns(id_base, e);
    if (made < 0) {
        return -1;
    }
    at = r->next_userns;
    r->next_userns = (at + 1) % ARRAY_LEN(r->userns);
    if (r->n_userns < ARRAY_LEN(r->userns)) {
        r->n_userns++;
    } else {
        closep(&r->userns[at].fd);
    }
    r->userns[at].id_base = id_base;
    *fd = r->userns[at].fd = made;
    return 0;
}
