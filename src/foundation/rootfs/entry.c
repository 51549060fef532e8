#include "rootfs/rootfs_priv.h"

#include <string.h>

#define NAME_BYTES 255 /* NAME_MAX */

/* Copies the components of `name` that mean something. */
static int clean(struct str name, struct entry_name *out, struct err *e)
{
    struct str rest = name;
    size_t len = 0;

    while (rest.p != NULL) {
        struct str part = str_cut(&rest, '/');

        if (part.len == 0 || str_eq(part, STR("."))) {
            continue;
        }
        if (str_eq(part, STR(".."))) {
            return err_set(e, ERR_INVALID, "'..' in a name of a layer");
        }
        if (part.len > NAME_BYTES || len + part.len + 2 > sizeof(out->path)) {
            return err_set(e, ERR_LIMIT, "name is longer than %d bytes, or a part of it than %d",
                           (int)sizeof(out->path) - 1, NAME_BYTES);
        }
        out->parent_len = len;
        if (len > 0) {
            out->path[len++] = '/';
        }
        out->base = out->path + len;
        memcpy(out->path + len, part.p, part.len);
        len += part.len;
    }
    out->path[len] = '\0';
    return 0;
}

static int check_bytes(struct str name, struct err *e)
{
    if (name.len > 0 && memchr(name.p, '\0', name.len) != NULL) {
        return err_set(e, ERR_INVALID, "NUL byte in a name of a layer");
    }
    return 0;
}

/* ".wh..wh.plnk/..." and the like, anywhere in the path. */
static bool of_aufs(const char *path)
{
    const char *at = strstr(path, ".wh..wh.");

    while (at != NULL) {
        if (at == path || at[-1] == '/') {
            return true;
        }
        at = strstr(at + 1, ".wh..wh.");
    }
    return false;
}

static int parse_whiteout(struct entry_name *out, struct err *e)
{
    char *name = out->path + (out->base - out->path);
    const char *hidden = name + 4;

    if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0) {
        return err_set(e, ERR_INVALID, "whiteout without a name");
    }
    memmove(name, hidden, strlen(hidden) + 1);
    out->kind = ENTRY_WHITEOUT;
    return 0;
}

int entry_parse(struct str name, struct entry_name *out, struct err *e)
{
    *out = (struct entry_name){.kind = ENTRY_PLAIN};
    out->base = out->path;
    if (check_bytes(name, e) < 0) {
        return -1;
    }
    if (name.len == 0) {
        return err_set(e, ERR_INVALID, "entry without a name");
    }
    if (name.p[0] == '/') {
        return err_set(e, ERR_INVALID, "absolute path in a layer");
    }
    if (clean(name, out, e) < 0) {
        return -1;
    }
    if (out->path[0] == '\0') {
        out->kind = ENTRY_ROOT;
        return 0;
    }
    if (strcmp(out->base, ".wh..wh..opq") == 0) {
        out->path[out->parent_len] = '\0';
        out->base = out->path;
        out->kind = of_aufs(out->path) ? ENTRY_IGNORED : ENTRY_OPAQUE;
        return 0;
    }
    if (of_aufs(out->path)) {
        out->kind = ENTRY_IGNORED;
        return 0;
    }
    return strncmp(out->base, ".wh.", 4) == 0 ? parse_whiteout(out, e) : 0;
}

int entry_parse_link(struct str name, struct entry_name *out, struct err *e)
{
    *out = (struct entry_name){.kind = ENTRY_PLAIN};
    out->base = out->path;
    if (check_bytes(name, e) < 0 || clean(name, out, e) < 0) {
        return -1;
    }
    if (out->path[0] == '\0') {
        return err_set(e, ERR_INVALID, "hard link to the layer's root");
    }
    return 0;
}

bool entry_xattr_ok(const char *name)
{
    return strcmp(name, "security.capability") == 0 ||
           (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0);
}
