/* strata data get: a file, or a folder as it lies there. Either appears under its name only when
 * all of it has come. */
#include "main/cli/cli.h"

#include "base/fs.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct download {
    int fd;
    int64_t done, total;
    struct meter progress;
    struct err *e;
};

static int take_bytes(void *ctx, struct str bytes)
{
    struct download *d = ctx;

    d->done += (int64_t)bytes.len;
    if (d->total > 0) {
        meter_bytes(&d->progress, d->done, d->total);
    }
    return fs_write_all(d->fd, bytes, d->e);
}

static int download_to(struct cli *c, const char *url, const char *name, int fd, struct err *e)
{
    struct download d = {.fd = fd, .e = e};
    SCOPED(client_answer_done) struct client_answer a = {0};
    struct client_request q = {.method = "GET", .path = str_of(url), .sink = take_bytes, .ctx = &d};
    int rc;

    meter_begin(&d.progress, name);
    rc = client_send(c->client, &q, &a, e);
    meter_end(&d.progress);
    if (rc < 0) {
        return -1;
    }
    return a.status >= 400 ? client_error(&a, e) : 0;
}

/* Where it goes: `local`, or into that folder, or here. The caller frees it. */
static char *target_of(const char *local, const char *base)
{
    struct stat st;

    if (local == NULL) {
        return xstrdup(base);
    }
    return stat(local, &st) == 0 && S_ISDIR(st.st_mode) ? xasprintf("%s/%s", local, base)
                                                        : xstrdup(local);
}

static void print_got(const struct cli *c, const char *target)
{
    if (c->json) {
        print_pairs((const char *const[]){"path", target, NULL});
    } else {
        (void)printf("%s -> %s\n", cli_arg(c, 0), target);
    }
}

/* --- a file --- */

static int get_file(struct cli *c, const char *url, const char *base, const char *local,
                    struct err *e)
{
    SCOPED(freep) char *target = target_of(local, base);
    SCOPED(freep) char *part = xasprintf("%s.part", target);
    SCOPED(closep) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0) {
        return err_sys(e, "create %s", part);
    }
    if (download_to(c, url, base, fd, e) < 0) {
        (void)unlink(part);
        return -1;
    }
    if (rename(part, target) < 0) {
        return err_sys(e, "rename to %s", target);
    }
    print_got(c, target);
    return 0;
}

/* --- a folder: the server's tar, unpacked by a child while it comes --- */

enum { END_ZEROS = 1024, NOTE_EXIT = 3 };

static const char note_prefix[] = "strata-left-out";

static int unpack_error(struct archive *a, const char *name)
{
    (void)fputs("strata: cannot unpack ", stderr);
    print_safe(stderr, str_of(name));
    (void)fprintf(stderr, ": %s\n", archive_error_string(a) ? archive_error_string(a) : "?");
    return EXIT_FAILURE;
}

static int unpack_data(struct archive *in, struct archive *out)
{
    const void *block;
    size_t size;
    la_int64_t offset;
    int r;

    while ((r = archive_read_data_block(in, &block, &size, &offset)) == ARCHIVE_OK) {
        if (archive_write_data_block(out, block, size, offset) < ARCHIVE_OK) {
            return ARCHIVE_FATAL;
        }
    }
    return r;
}

/* Into the current directory and nowhere else, whatever the server sends. Exit code. */
static int unpack(struct archive *in, struct archive *out)
{
    char last[sizeof(note_prefix)] = "";
    struct archive_entry *entry;
    int r;

    while ((r = archive_read_next_header(in, &entry)) >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
        const char *name = archive_entry_pathname(entry);

        if (name == NULL || archive_write_header(out, entry) < ARCHIVE_WARN) {
            return unpack_error(out, name ? name : "a name");
        }
        r = archive_entry_size(entry) > 0 ? unpack_data(in, out) : ARCHIVE_EOF;
        if (r != ARCHIVE_EOF || archive_write_finish_entry(out) < ARCHIVE_WARN) {
            return unpack_error(r == ARCHIVE_FATAL && archive_errno(in) ? in : out, name);
        }
        (void)snprintf(last, sizeof(last), "%s", name);
    }
    if (r != ARCHIVE_EOF) {
        return unpack_error(in, "what the server sent");
    }
    if (archive_write_close(out) != ARCHIVE_OK) {
        return unpack_error(out, "the folder");
    }
    return strcmp(last, note_prefix) == 0 ? NOTE_EXIT : EXIT_SUCCESS;
}

static void unpack_and_exit(const char *dir, int fd)
{
    struct archive *in = archive_read_new();
    struct archive *out = archive_write_disk_new();

    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* names are bytes */
    if (chdir(dir) < 0) {
        perror(dir);
        _exit(EXIT_FAILURE);
    }
    (void)archive_read_support_format_tar(in);
    (void)archive_write_disk_set_options(
        out, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                 ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
    if (archive_read_open_fd(in, fd, 64 * 1024) != ARCHIVE_OK) {
        _exit(unpack_error(in, "what the server sent"));
    }
    _exit(unpack(in, out));
}

struct unpacking {
    int fd; /* to the child */
    pid_t child;
    int64_t done;
    size_t zeros; /* at the end of what came */
    struct meter progress;
};

static int take_tar(void *ctx, struct str bytes)
{
    struct unpacking *u = ctx;
    struct err ignored;
    size_t zeros = 0;

    while (zeros < bytes.len && bytes.p[bytes.len - 1 - zeros] == '\0') {
        zeros++;
    }
    u->zeros = zeros == bytes.len ? u->zeros + zeros : zeros;
    u->done += (int64_t)bytes.len;
    meter_bytes(&u->progress, u->done, 0);
    return fs_write_all(u->fd, bytes, &ignored);
}

static int unpacking_begin(struct unpacking *u, const char *dir, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    (void)signal(SIGPIPE, SIG_IGN); /* the child may give up first */
    u->child = fork();
    if (u->child < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return err_sys(e, "fork");
    }
    if (u->child == 0) {
        (void)close(ends[1]);
        unpack_and_exit(dir, ends[0]);
    }
    (void)close(ends[0]);
    u->fd = ends[1];
    return 0;
}

/* How the child ended: its exit code. */
static int unpacking_end(struct unpacking *u)
{
    int status;

    closep(&u->fd);
    while (waitpid(u->child, &status, 0) < 0) {
        if (errno != EINTR) {
            return EXIT_FAILURE;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED,
                      struct FTW *at UNUSED)
{
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *dir)
{
    (void)nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Into the empty folder `part`. When the server has cut the connection after a whole archive, files
 * changed while it read them: what came is kept then, and said. */
static int fetch_folder(struct cli *c, const char *url, const char *part, const char *base,
                        struct err *e)
{
    struct unpacking u = {.fd = -1};
    SCOPED(client_answer_done) struct client_answer a = {0};
    struct client_request q = {.method = "GET", .path = str_of(url), .sink = take_tar, .ctx = &u};
    int rc, code;

    if (unpacking_begin(&u, part, e) < 0) {
        return -1;
    }
    meter_begin(&u.progress, base);
    rc = client_send(c->client, &q, &a, e);
    meter_end(&u.progress);
    code = unpacking_end(&u);
    if (rc == 0 && a.status >= 400) {
        rc = client_error(&a, e);
    } else if (rc == 0 && code != EXIT_SUCCESS && code != NOTE_EXIT) {
        rc = err_set(e, ERR_IO, "%s could not be unpacked", base);
    } else if (rc < 0 && code == NOTE_EXIT && u.zeros >= END_ZEROS) {
        return err_set(e, ERR_IO,
                       "files changed while they were read: %s-*.txt in %s names them; all else "
                       "is there",
                       note_prefix, part);
    }
    if (rc < 0) {
        remove_tree(part);
        return -1;
    }
    if (code == NOTE_EXIT) {
        (void)fprintf(stderr,
                      "Not everything could be fetched: %s.txt in the folder names what "
                      "is missing.\n",
                      note_prefix);
    }
    return 0;
}

static bool is_empty_dir(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    while (d && n < 3 && readdir(d)) {
        n++;
    }
    if (d) {
        (void)closedir(d);
    }
    return d != NULL && n < 3;
}

static int get_folder(struct cli *c, const char *url, const char *base, const char *local,
                      struct err *e)
{
    SCOPED(freep) char *target = target_of(local, base);
    SCOPED(freep) char *part = xasprintf("%s.part-XXXXXX", target);
    struct stat st;
    mode_t mask = umask(0);

    (void)umask(mask);
    if (lstat(target, &st) == 0 && !is_empty_dir(target)) {
        return err_set(e, ERR_CONFLICT, "%s is there already: name another place", target);
    }
    if (mkdtemp(part) == NULL) {
        return err_sys(e, "make %s", part);
    }
    if (fetch_folder(c, url, part, base, e) < 0) {
        return -1;
    }
    (void)chmod(part, 0777 & ~mask); /* mkdtemp(3) makes it 0700 */
    if (rename(part, target) < 0) {
        return err_sys(e, "rename %s to %s", part, target);
    }
    print_got(c, target);
    return 0;
}

/* --- either --- */

static int get_path(struct cli *c, const char *volume, const char *path, const char *local,
                    struct err *e)
{
    SCOPED(freep) char *file = place_url(c, volume, "files", path);
    SCOPED(freep) char *folder = place_url(c, volume, "archive", path);
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path[0] ? path : volume;
    bool to_stdout = local && strcmp(local, "-") == 0;
    struct err why;

    if (path[0]) {
        int rc = to_stdout ? download_to(c, file, base, STDOUT_FILENO, e)
                           : get_file(c, file, base, local, e);

        if (rc == 0 || e->kind != ERR_CONFLICT) {
            return rc;
        }
        why = *e; /* it is no file */
    }
    if (to_stdout ? download_to(c, folder, base, STDOUT_FILENO, e) == 0
                  : get_folder(c, folder, base, local, e) == 0) {
        return 0;
    }
    if (path[0] && e->kind == ERR_CONFLICT && strstr(e->msg, "names a file")) {
        *e = why; /* nor a folder: a pipe, a device */
    }
    return -1;
}

int verb_data_get(struct cli *c, struct err *e)
{
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *path = NULL;
    const char *given;

    if (place_split(cli_arg(c, 0), &volume, &given, e) < 0) {
        return -1;
    }
    path = xstrdup(given);
    while (path[0] && path[strlen(path) - 1] == '/') {
        path[strlen(path) - 1] = '\0'; /* as shells complete folders */
    }
    return get_path(c, volume, path, cli_arg(c, 1), e);
}
