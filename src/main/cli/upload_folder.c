/* A folder into a volume, file by file. A file that is there with as many bytes, and not older than
 * ours, is passed over. */
#include "main/cli/upload.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TOLD = 10 };
#define ASK_BYTES (8 * MIB) /* smaller ones are sent again whole */

struct local_file {
    char *path; /* below the folder; "" is the folder itself */
    int64_t size, modified_ns;
    uint64_t inode;
    bool is_dir; /* with nothing in it */
};

struct folder_put {
    struct cli *c;
    const char *local, *volume, *path;
    int root; /* the folder itself: names are looked up in it, whatever comes in its way */
    VEC(struct local_file) files;
    int64_t whole_bytes, sent_bytes, spared_bytes;
    size_t n_sent, n_spared, n_passed;
    char *listed_path; /* the folder whose files `there` has: {"name": {…}} */
    json_t *there;
    struct meter meter;
};

static void put_done(struct folder_put *p)
{
    for (size_t i = 0; i < p->files.len; i++) {
        free(p->files.p[i].path);
    }
    vec_done(&p->files);
    free(p->listed_path);
    json_decref(p->there);
}

/* --- what there is --- */

/* Files before folders: those of a folder are sent one after the other. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
    int folders = ((*a)->fts_info == FTS_D) - ((*b)->fts_info == FTS_D);

    return folders ? folders : strcmp((*a)->fts_name, (*b)->fts_name);
}

static void pass_over(struct folder_put *p, const FTSENT *f)
{
    if (p->n_passed++ < TOLD) {
        print_safe(stderr, str_of(f->fts_path));
        (void)fputs(f->fts_info == FTS_SL || f->fts_info == FTS_SLNONE
                        ? ": a link, which is not followed\n"
                        : ": neither a file nor a folder, left out\n",
                    stderr);
    }
}

static int64_t modified_ns(const struct stat *st)
{
    return st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
}

static void add(struct folder_put *p, const FTSENT *f)
{
    const char *below = f->fts_path + strlen(p->local);
    const struct stat *st = f->fts_statp;
    bool is_dir = f->fts_info == FTS_DP;

    while (*below == '/') {
        below++;
    }
    *vec_push(&p->files) = (struct local_file){.path = xstrdup(below),
                                               .size = is_dir ? 0 : st->st_size,
                                               .modified_ns = modified_ns(st),
                                               .inode = st->st_ino,
                                               .is_dir = is_dir};
    p->whole_bytes += is_dir ? 0 : st->st_size;
}

static int find_files(struct folder_put *p, FTS *walk, struct err *e)
{
    bool is_empty = false; /* the directory that was entered last */

    for (;;) {
        FTSENT *f = (errno = 0, fts_read(walk));

        if (f == NULL) {
            return errno ? err_sys(e, "%s", p->local) : 0;
        }
        switch (f->fts_info) {
        case FTS_D:
            is_empty = true;
            continue;
        case FTS_DP:
            if (is_empty) {
                add(p, f);
            }
            break;
        case FTS_F:
            add(p, f);
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            errno = f->fts_errno;
            return err_sys(e, "%s", f->fts_path);
        default:
            pass_over(p, f);
        }
        is_empty = false;
    }
}

static int walk(struct folder_put *p, struct err *e)
{
    SCOPED(freep) char *root = xasprintf("%s/", p->local); /* a link to a folder that was named */
    char *const roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    int rc = fts ? find_files(p, fts, e) : err_sys(e, "%s", p->local);

    if (fts) {
        (void)fts_close(fts);
    }
    if (p->n_passed > TOLD) {
        (void)fprintf(stderr, "... %zu more are left out\n", p->n_passed - TOLD);
    }
    return rc;
}

/* --- what is there already --- */

static char *place_of(const struct folder_put *p, const char *below)
{
    return p->path[0] && below[0] ? xasprintf("%s/%s", p->path, below)
                                  : xasprintf("%s%s", p->path, below);
}

/* The files of that folder of the volume, once for all files of it. */
static int list_there(struct folder_put *p, const char *folder, struct err *e)
{
    SCOPED(freep) char *url = place_url(p->c, p->volume, "tree", folder);
    SCOPED(json_decrefp) json_t *items = NULL;
    size_t i;
    json_t *one;

    if (p->listed_path && strcmp(p->listed_path, folder) == 0) {
        return 0;
    }
    free(p->listed_path);
    json_decref(p->there);
    p->listed_path = xstrdup(folder);
    p->there = json_object();
    if (list_all(p->c, str_of(url), &items, e) < 0) {
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    json_array_foreach(items, i, one)
    {
        if (strcmp(json_text(one, "type"), "file") == 0) {
            (void)json_object_set(p->there, json_text(one, "name"), one);
        }
    }
    return 0;
}

/* "2026-11-29T00:31:22Z", with or without decimals; 0: it cannot be read. */
static int64_t seconds_of(const char *text)
{
    struct tm tm = {0};

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

/* 1: it is. */
static int is_there(struct folder_put *p, const struct local_file *f, const char *place,
                    struct err *e)
{
    const char *slash = strrchr(place, '/');
    SCOPED(freep) char *folder = slash ? xstrndup(place, (size_t)(slash - place)) : xstrdup("");
    const json_t *one;

    if (list_there(p, folder, e) < 0) {
        return -1;
    }
    one = json_object_get(p->there, slash ? slash + 1 : place);
    return one && json_number(one, "size_bytes") == f->size &&
           seconds_of(json_text(one, "modified_at")) > f->modified_ns / 1000000000;
}

/* --- one after the other --- */

/* Whoever runs the same again goes on with what the server has of a large file. */
static void name_upload(const struct local_file *f, struct upload *u)
{
    char hex[SHA256_HEX + 1];
    SCOPED(freep)
    char *text = xasprintf("%s %lld %lld %llu", u->url, (long long)f->size,
                           (long long)f->modified_ns, (unsigned long long)f->inode);

    if (f->size < (int64_t)ASK_BYTES) {
        random_name(u->id, 24);
        return;
    }
    sha256_hex_of(str_of(text), hex);
    memcpy(u->id, hex, 24);
    u->is_known = true;
}

static int send_file(struct folder_put *p, const struct local_file *f, const char *place,
                     json_t *all, struct err *e)
{
    SCOPED(freep) char *url = place_url(p->c, p->volume, "files", place);
    SCOPED(freep) char *local = xasprintf("%s/%s", p->local, f->path);
    SCOPED(closep)
    int fd = fs_open_within(p->root, f->path, O_RDONLY | O_NONBLOCK, 0,
                            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    struct upload u = {.c = p->c,
                       .url = url,
                       .fd = fd,
                       .size = f->size,
                       .meter = &p->meter,
                       .whole_bytes = p->whole_bytes,
                       .sent_bytes = p->sent_bytes,
                       .spared_bytes = p->spared_bytes};
    json_t *one = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "%s", local);
    }
    if (!S_ISREG(st.st_mode) || st.st_size != f->size || st.st_ino != f->inode ||
        modified_ns(&st) != f->modified_ns) {
        return err_set(e, ERR_CONFLICT, "%s changes while it is read: run it again", local);
    }
    name_upload(f, &u);
    if (upload_file(&u, &one, e) < 0) {
        return err_wrap(e, "%s", local);
    }
    p->sent_bytes += f->size - u.offset;
    p->spared_bytes += u.offset;
    p->n_sent++;
    return json_array_append_new(all, one);
}

static int put_entry(struct folder_put *p, const struct local_file *f, json_t *all, struct err *e)
{
    SCOPED(freep) char *place = place_of(p, f->path);
    SCOPED(freep) char *dirs = place_url(p->c, p->volume, "dirs", place);
    int there;

    if (f->is_dir) {
        return place[0] == '\0' ? 0 : client_call(p->c->client, "POST", NULL, NULL, e, "%s", dirs);
    }
    there = is_there(p, f, place, e);
    if (there <= 0) {
        return there < 0 ? -1 : send_file(p, f, place, all, e);
    }
    p->spared_bytes += f->size;
    p->n_spared++;
    return 0;
}

static void say(const struct folder_put *p)
{
    char size[16];

    if (p->c->json) {
        return;
    }
    print_safe(stdout, str_of(p->local));
    (void)printf(" -> %s/%s: %zu files sent, %s; %zu were there already\n", p->volume, p->path,
                 p->n_sent, str_format_bytes(p->sent_bytes, size), p->n_spared);
}

static char *without_slashes(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    return xstrndup(path, len);
}

int upload_folder(struct cli *c, const char *local, const char *volume, const char *path,
                  json_t *all, struct err *e)
{
    SCOPED(put_done) struct folder_put p = {.c = c, .volume = volume};
    SCOPED(freep) char *folder = without_slashes(local);
    SCOPED(freep) char *place = without_slashes(path);
    SCOPED(closep) int root = -1;
    int rc;

    p.local = folder;
    p.path = place;
    p.root = root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return err_sys(e, "%s", folder);
    }
    rc = walk(&p, e);
    meter_begin(&p.meter, p.local);
    for (size_t i = 0; rc == 0 && i < p.files.len; i++) {
        rc = put_entry(&p, &p.files.p[i], all, e);
    }
    meter_end(&p.meter);
    if (rc < 0 && p.n_sent + p.n_spared > 0) {
        return err_wrap(e, "%zu of %zu are there; run it again to go on", p.n_sent + p.n_spared,
                        p.files.len);
    }
    if (rc == 0) {
        say(&p);
    }
    return rc;
}
