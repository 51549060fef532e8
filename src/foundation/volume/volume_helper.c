/* The operations that need root: make a volume's directory, take it away, start a files agent in
 * it. The current directory is the state directory; nothing is believed but ids and id ranges that
 * pass the checks below. */
#include "volume/volume.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "helper/helper.h"
#include "volume/agent.h"
#include "volume/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELETED "volumes/.deleted" /* what is being removed */
#define ID_RANGE 65536U

static int get_id(struct wire_reader *r, char id[65], struct err *e)
{
    wire_get_name(r, id, 65);
    if (r->failed || !volume_id_ok(str_of(id))) {
        return err_set(e, ERR_INVALID, "bad id of a volume");
    }
    return 0;
}

/* Never the ids of the host's own users. */
static int get_id_base(struct wire_reader *r, uint32_t *out, struct err *e)
{
    uint64_t base = wire_get_u64(r);

    if (wire_end(r, e) < 0) {
        return -1;
    }
    if (base < ID_RANGE || base > UINT32_MAX - 2 * ID_RANGE) {
        return err_set(e, ERR_INVALID, "bad first id of a project's range");
    }
    *out = (uint32_t)base;
    return 0;
}

/* The directory of a volume; its owner must be in the range, else the message mixes two projects.
 */
static int open_volume(const char *id, uint32_t id_base, struct err *e)
{
    char path[80];
    SCOPED(closep) int fd = -1;
    struct stat st;

    (void)snprintf(path, sizeof(path), "volumes/%s", id);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "open %s", path);
    }
    if (st.st_uid < id_base || st.st_uid - id_base >= ID_RANGE) {
        return err_set(e, ERR_CONFLICT, "%s belongs to user %u, not to the project (%u...)", path,
                       st.st_uid, id_base);
    }
    return TAKE_FD(fd);
}

static int make_volume(const char *id, uint32_t id_base, struct err *e)
{
    char path[80];
    SCOPED(closep) int fd = -1;

    (void)snprintf(path, sizeof(path), "volumes/%s", id);
    if (mkdir(path, 0700) < 0) {
        return err_sys(e, "mkdir %s", path);
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, "open %s", path);
    }
    if (volume_hidden_make(fd, id_base, e) < 0) {
        return -1;
    }
    if (fchown(fd, id_base, id_base) < 0 || fchmod(fd, 0770) < 0 || fsync(fd) < 0) {
        return err_sys(e, "make %s the project's", path);
    }
    return fs_sync_dir(AT_FDCWD, "volumes", e);
}

static int handle_create(void *ctx UNUSED, struct helper_request *q, struct str payload,
                         int fd UNUSED, struct err *e)
{
    struct wire_reader r = {.rest = payload};
    char id[65], path[80];
    uint32_t id_base = 0;

    if (get_id(&r, id, e) < 0 || get_id_base(&r, &id_base, e) < 0) {
        return -1;
    }
    if (make_volume(id, id_base, e) < 0) {
        struct err ignored;

        (void)snprintf(path, sizeof(path), "volumes/%s", id);
        if (e->sys != EEXIST) {
            (void)!fs_remove_tree(AT_FDCWD, path, &ignored);
        }
        return -1;
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static bool is_empty(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    size_t n = 0;

    if (d == NULL) {
        closep(&fd);
        return true;
    }
    while (n == 0 && (ent = readdir(d))) {
        n += strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0;
    }
    (void)closedir(d);
    return n == 0;
}

/* Detached. One at a time: two would trip over each other, and processes that wait would pile up.
 * So one that finds another at work leaves, and that one looks again after it has let go. */
static void remove_deleted(void *ctx UNUSED, int fd UNUSED)
{
    SCOPED(closep) int trash = open(DELETED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct err e = {0};
    int rc;

    do {
        if (trash < 0 || flock(trash, LOCK_EX | LOCK_NB) < 0) {
            return;
        }
        do {
            rc = volume_trash_sweep(trash, 100000, &e);
        } while (rc > 0);
        (void)flock(trash, LOCK_UN);
    } while (rc == 0 && !is_empty(trash));
    if (rc < 0) {
        log_warn("volume.remove_failed",
                 "dir=%s error=%s; trying again at the next deletion or start", DELETED,
                 Q(str_of(e.msg)));
    }
}

static int move_to_deleted(const char *id, struct err *e)
{
    char from[80], to[160], tail[13];

    random_name(tail, 12);
    (void)snprintf(from, sizeof(from), "volumes/%s", id);
    (void)snprintf(to, sizeof(to), DELETED "/%s-%s", id, tail);
    if (fs_mkdir(AT_FDCWD, DELETED, 0700, e) < 0) {
        return -1;
    }
    if (rename(from, to) < 0 && errno != ENOENT) {
        return err_sys(e, "rename %s", from);
    }
    return fs_sync_dir(AT_FDCWD, "volumes", e);
}

/* An empty id only goes on with what a crash has left. A volume that is gone already is success. */
static int handle_delete(void *ctx UNUSED, struct helper_request *q, struct str payload,
                         int fd UNUSED, struct err *e)
{
    struct wire_reader r = {.rest = payload};
    char id[65];

    wire_get_name(&r, id, sizeof(id));
    if (wire_end(&r, e) < 0) {
        return -1;
    }
    if (id[0] != '\0' && !volume_id_ok(str_of(id))) {
        return err_set(e, ERR_INVALID, "bad id of a volume");
    }
    if (id[0] != '\0' && move_to_deleted(id, e) < 0) {
        return -1;
    }
    if (volume_detach(remove_deleted, NULL, -1, e) < 0) {
        return -1;
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static int handle_agent(void *ctx UNUSED, struct helper_request *q, struct str payload,
                        int fd UNUSED, struct err *e)
{
    struct wire_reader r = {.rest = payload};
    SCOPED(closep) int volume = -1;
    char id[65];
    uint32_t id_base = 0;
    int pair[2], rc;

    if (get_id(&r, id, e) < 0 || get_id_base(&r, &id_base, e) < 0) {
        return -1;
    }
    volume = open_volume(id, id_base, e);
    if (volume < 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return err_sys(e, "socketpair");
    }
    rc = volume_confine_launch(id, id_base, pair[1], e);
    (void)close(pair[1]);
    if (rc == 0) {
        helper_answer(q, STR_EMPTY, pair[0]);
    }
    (void)close(pair[0]);
    return rc;
}

const struct helper_operation volume_operations[] = {
    {HELPER_VOLUME_CREATE, handle_create, NULL},
    {HELPER_VOLUME_DELETE, handle_delete, NULL},
    {HELPER_VOLUME_AGENT, handle_agent, NULL},
    {0},
};
