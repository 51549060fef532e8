/* Names of tar entries: whatever they are, the clean path leads down and not out. */
#include "rootfs/rootfs_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const struct entry_name *n)
{
    struct str rest = str_of(n->path);

    if (n->path[0] == '/' || n->parent_len > rest.len) {
        abort();
    }
    while (rest.p != NULL && rest.len > 0) {
        struct str part = str_cut(&rest, '/');

        if (part.len == 0 || part.len > 255 || str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
            abort();
        }
    }
    if ((n->kind == ENTRY_PLAIN || n->kind == ENTRY_WHITEOUT) &&
        (n->base[0] == '\0' || strchr(n->base, '/') != NULL || n->base < n->path ||
         n->base + strlen(n->base) != n->path + strlen(n->path))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str name = str_n((const char *)data, size);
    struct entry_name n;
    struct err e;

    if (entry_parse(name, &n, &e) == 0) {
        check_path(&n);
    }
    if (entry_parse_link(name, &n, &e) == 0) {
        check_path(&n);
    }
    return 0;
}
