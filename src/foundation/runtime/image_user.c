#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fields of a line of passwd(5) or group(5); what is missing is empty. */
static void split(struct str line, struct str *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fields[i] = line.p ? str_cut(&line, ':') : STR_EMPTY;
    }
}

static bool id_of(struct str s, uint32_t *out)
{
    uint64_t v;

    if (str_to_u64(s, &v) < 0 || v >= RUNTIME_IDS) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return s.len > 0;
}

/* Finds by name or, when `wanted` is a number, by number. Fills what the entry says. */
static bool find_passwd(struct str passwd, struct str wanted, struct image_user *u,
                        struct str *name)
{
    bool numeric = all_digits(wanted);

    while (passwd.p) {
        struct str f[6];
        uint32_t uid, gid;

        split(str_cut(&passwd, '\n'), f, ARRAY_LEN(f));
        if (f[0].len == 0 || !id_of(f[2], &uid) || !id_of(f[3], &gid)) {
            continue;
        }
        if (numeric ? uid == u->uid : str_eq(f[0], wanted)) {
            u->uid = uid;
            u->gid = gid;
            *name = f[0];
            if (f[5].len > 0 && f[5].p[0] == '/') {
                (void)!str_copy(f[5], u->home, sizeof(u->home));
            }
            return true;
        }
    }
    return false;
}

static bool is_member(struct str members, struct str name)
{
    while (members.p) {
        if (str_eq(str_cut(&members, ','), name)) {
            return true;
        }
    }
    return false;
}

static bool find_group(struct str group, struct str wanted, uint32_t *gid)
{
    while (group.p) {
        struct str f[3];

        split(str_cut(&group, '\n'), f, ARRAY_LEN(f));
        if (str_eq(f[0], wanted) && id_of(f[2], gid)) {
            return true;
        }
    }
    return false;
}

static void add_groups(struct str group, struct str name, struct image_user *u)
{
    while (group.p && u->n_groups < RUNTIME_GROUPS_MAX) {
        struct str f[4];
        uint32_t gid;

        split(str_cut(&group, '\n'), f, ARRAY_LEN(f));
        if (id_of(f[2], &gid) && gid != u->gid && is_member(f[3], name)) {
            u->groups[u->n_groups++] = gid;
        }
    }
}

static int resolve_group(struct str wanted, struct str group, uint32_t *gid, struct err *e)
{
    if (all_digits(wanted)) {
        return id_of(wanted, gid)
                   ? 0
                   : err_set(e, ERR_INVALID, "group %.*s of the image's user is past %u",
                             STR_ARG(str_first(wanted, 40)), RUNTIME_IDS - 1);
    }
    return find_group(group, wanted, gid)
               ? 0
               : err_set(e, ERR_INVALID, "group %.*s is not in /etc/group of the image",
                         STR_ARG(str_first(wanted, 80)));
}

int image_user_resolve(struct str user, struct str passwd, struct str group, struct image_user *out,
                       struct err *e)
{
    struct image_user u = {.home = "/"};
    struct str named = user, wanted = str_cut(&named, ':'), name = STR_EMPTY;
    bool found;

    if (wanted.len == 0) {
        wanted = STR("0");
    }
    if (all_digits(wanted) && !id_of(wanted, &u.uid)) {
        return err_set(e, ERR_INVALID, "user %.*s of the image is past %u",
                       STR_ARG(str_first(wanted, 40)), RUNTIME_IDS - 1);
    }
    found = find_passwd(passwd, wanted, &u, &name);
    if (!found && !all_digits(wanted)) {
        return err_set(e, ERR_INVALID, "user %.*s is not in /etc/passwd of the image",
                       STR_ARG(str_first(wanted, 80)));
    }
    if (named.p && named.len > 0) {
        if (resolve_group(named, group, &u.gid, e) < 0) {
            return -1;
        }
    } else if (found) {
        add_groups(group, name, &u);
    }
    *out = u;
    return 0;
}

/* The image's own tree: a link in it may point anywhere, so it is resolved as if `rootfs` were the
 * root, and no device or pipe may hold us up. A missing file is an empty one. */
static int read_inside(int rootfs, const char *path, struct buf *out, struct err *e)
{
    SCOPED(closep)
    int fd = fs_open_within(rootfs, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
                            RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    struct stat st;
    char *at;
    ssize_t n = 0;

    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? 0
                   : err_sys(e, "open %s of the image", path);
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s of the image is not a regular file", path);
    }
    if (st.st_size > (off_t)out->max) {
        return err_set(e, ERR_LIMIT, "%s of the image is larger than %zu bytes", path, out->max);
    }
    at = st.st_size > 0 ? buf_reserve(out, (size_t)st.st_size) : NULL;
    if (at != NULL) {
        n = read(fd, at, (size_t)st.st_size);
    }
    if (n < 0) {
        return err_sys(e, "read %s of the image", path);
    }
    out->len += (size_t)n;
    return 0;
}

int image_user_find(int rootfs, const char *user, struct image_user *out, struct err *e)
{
    struct buf passwd = BUF_MAX(RUNTIME_PASSWD_MAX), group = BUF_MAX(RUNTIME_PASSWD_MAX);
    int rc = read_inside(rootfs, "etc/passwd", &passwd, e);

    if (rc == 0) {
        rc = read_inside(rootfs, "etc/group", &group, e);
    }
    if (rc == 0) {
        rc = image_user_resolve(str_of(user), buf_str(&passwd), buf_str(&group), out, e);
    }
    buf_done(&passwd);
    buf_done(&group);
    return rc;
}
