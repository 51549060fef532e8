/* A whole layer, unpacked into a directory in this process; nothing beside it may appear. */
#include "rootfs/rootfs_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct unpack_limits limits = {
    .bytes = 8 * MIB, .entries = 1000, .tail_bytes = 1 * MIB, .opaque_bytes = 64 * KIB};
static char place[] = "/tmp/strata-layer-fuzz-XXXXXX";
static int place_fd = -1;

static void leave(void)
{
    struct err e;

    if (fs_remove_tree(AT_FDCWD, place, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
    }
}

static void start(void)
{
    if (mkdtemp(place) == NULL || setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        abort();
    }
    place_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)atexit(leave);
}

static size_t count_names(void)
{
    DIR *d = opendir(place);
    size_t n = 0;

    while (d && readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(closep) int blob = memfd_create("layer", MFD_CLOEXEC);
    SCOPED(closep) int root = -1;
    struct unpack_result r = {0};
    struct err e = {0};

    if (place_fd < 0) {
        start();
    }
    if (fs_write_all(blob, str_n((const char *)data, size), &e) < 0 ||
        fs_mkdir(place_fd, "layer", 0755, &e) < 0) {
        abort();
    }
    root = openat(place_fd, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (extract_layer(blob, root, &limits, &r, &e) < 0 && e.kind == ERR_NONE) {
        abort(); /* a failure without a reason */
    }
    buf_done(&r.opaque);
    if (count_names() != 3 || fs_remove_tree(place_fd, "layer", &e) < 0) {
        abort();
    }
    return 0;
}
