/* strata data put: files and folders into a volume. */
#include "main/cli/upload.h"

#include "base/fs.h"
#include "base/hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "a/b/" -> "b"; "" of ".", ".." and "/", which give their contents alone. */
static char *base_of(const char *local)
{
    size_t len = strlen(local), from;

    while (len > 0 && local[len - 1] == '/') {
        len--;
    }
    for (from = len; from > 0 && local[from - 1] != '/'; from--) {
    }
    return str_eq(str_n(local + from, len - from), STR(".")) ||
                   str_eq(str_n(local + from, len - from), STR(".."))
               ? xstrdup("")
               : xstrndup(local + from, len - from);
}

static int put_file(struct cli *c, const char *volume, const char *path, int fd, int64_t size,
                    json_t *all, struct err *e)
{
    SCOPED(freep) char *url = place_url(c, volume, "files", path);
    struct meter meter;
    struct upload u = {
        .c = c, .url = url, .fd = fd, .size = size, .meter = &meter, .whole_bytes = size};
    json_t *one = NULL;
    int rc;

    random_name(u.id, 24);
    meter_begin(&meter, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    rc = upload_file(&u, &one, e);
    meter_end(&meter);
    return rc < 0 ? -1 : json_array_append_new(all, one);
}

static void show_file(const struct cli *c, const char *local, const char *volume, const json_t *one)
{
    char size[16];

    if (!c->json) {
        (void)printf("%s -> %s/%s (%s, sha256 %.12s...)\n", local, volume, json_text(one, "path"),
                     str_format_bytes(json_number(one, "size_bytes"), size),
                     json_text(one, "sha256"));
    }
}

static int put_one(struct cli *c, const char *local, const char *place, json_t *all, struct err *e)
{
    SCOPED(closep) int fd = open(local, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *base = base_of(local);
    SCOPED(freep) char *full = NULL;
    const char *path;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "%s", local);
    }
    if (place_split(place, &volume, &path, e) < 0) {
        return -1;
    }
    full = path[0] == '\0' || path[strlen(path) - 1] == '/' ? xasprintf("%s%s", path, base)
                                                            : xstrdup(path);
    if (S_ISDIR(st.st_mode)) {
        return upload_folder(c, local, volume, full, all, e);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s is neither a file nor a folder", local);
    }
    if (put_file(c, volume, full, fd, st.st_size, all, e) < 0) {
        return err_wrap(e, "%s", local);
    }
    show_file(c, local, volume, json_array_get(all, json_array_size(all) - 1));
    return 0;
}

int verb_data_put(struct cli *c, struct err *e)
{
    const char *place = cli_arg(c, c->args.len - 1);
    SCOPED(json_decrefp) json_t *all = json_array();

    if (c->args.len > 2 && strchr(place, '/') && place[strlen(place) - 1] != '/') {
        return err_set(e, ERR_INVALID, "several files go into a folder: write %s/", place);
    }
    for (size_t i = 0; i + 1 < c->args.len; i++) {
        if (put_one(c, cli_arg(c, i), place, all, e) < 0) {
            return -1;
        }
    }
    (void)print_json(c, all);
    return 0;
}
