/* Whole saved images. The input lists the files of a tar, each ended by a byte 0x1e:
 *
 *   name LF bytes       a file
 *   name LF 0x1c path   a hard link; 0x1d: a symbolic one
 *
 * "@3" in a file's bytes is the hexadecimal digest of the fourth file: so an index can name what it
 * holds, which no mutation would hit. An input that begins with 0x1e is the tar itself. */
#include "main/cli/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024, FILES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- what the verb calls: a registry that has nothing and takes everything --- */

const char *cli_arg(const struct cli *c, size_t i)
{
    return i < c->args.len ? c->args.p[i] : NULL;
}

bool print_json(const struct cli *c, const json_t *value)
{
    free(json_dumps(value, 0));
    return c->json;
}

void print_done(const struct cli *c, const char *fmt, ...)
{
    va_list ap;

    (void)c;
    va_start(ap, fmt);
    (void)vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
}

const char *json_text(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return s ? s : "";
}

void meter_begin(struct meter *p, const char *what)
{
    p->what = what;
}

void meter_bytes(void *progress, int64_t done, int64_t total)
{
    (void)progress;
    (void)done;
    (void)total;
}

void meter_end(struct meter *p)
{
    p->what = NULL;
}

const char *url_path(const char *s)
{
    return s;
}

const char *url_segment(const char *s)
{
    return s;
}

int client_send(struct client *c, const struct client_request *q, struct client_answer *out,
                struct err *e)
{
    (void)c;
    (void)q;
    (void)out;
    return err_set(e, ERR_UNAVAILABLE, "no server");
}

void client_answer_done(struct client_answer *a)
{
    buf_done(&a->body);
}

int client_error(const struct client_answer *a, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "%d", a->status);
}

int image_has_blob(struct cli *c, const char *repo, const char *digest, bool *has, struct err *e)
{
    (void)c;
    (void)e;
    *has = strlen(repo) == 0 || strlen(digest) == 0;
    return 0;
}

int image_push_blob(struct cli *c, const char *repo, const char *digest,
                    const struct client_request *body, struct err *e)
{
    char part[4096];
    int64_t n = 0;
    ssize_t got;

    (void)c;
    (void)repo;
    while ((got = body->source(body->ctx, part, sizeof(part))) > 0) {
        n += got;
    }
    return got == 0 && n == body->body_length ? 0 : err_set(e, ERR_IO, "%s changed", digest);
}

int image_put_manifest(struct cli *c, const char *repo, const char *reference, const char *type,
                       struct str bytes, struct err *e)
{
    char digest[IMAGE_DIGEST];

    (void)c;
    image_digest_of(bytes, digest);
    return strlen(repo) + strlen(reference) + strlen(type) > 0
               ? 0
               : err_set(e, ERR_INVALID, "%s has no name", digest);
}

/* --- the tar --- */

struct making {
    struct archive *tar;
    char digests[FILES_MAX][IMAGE_DIGEST];
    size_t n;
};

/* "@3" -> the digest of what was added as number 3. */
static void fill_in(const struct making *m, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.p[i] == '@' && i + 1 < in.len && in.p[i + 1] >= '0' &&
            (size_t)(in.p[i + 1] - '0') < m->n) {
            (void)!buf_add(out, str_of(m->digests[in.p[++i] - '0'] + 7));
        } else {
            (void)!buf_add(out, str_n(in.p + i, 1));
        }
    }
}

static void add_file(struct making *m, struct str one)
{
    struct archive_entry *en = archive_entry_new();
    const char *lf = memchr(one.p, '\n', one.len);
    SCOPED(freep) char *name = xstrndup(one.p, lf ? (size_t)(lf - one.p) : one.len);
    struct str in = lf ? str_n(lf + 1, one.len - (size_t)(lf + 1 - one.p)) : STR_EMPTY;
    SCOPED(buf_done) struct buf bytes = BUF_MAX(FILE_MAX);
    SCOPED(buf_done) struct buf said = BUF_MAX(FILE_MAX);

    fill_in(m, str_of(name), &said); /* blobs/sha256/@0 */
    fill_in(m, in, &bytes);
    (void)!buf_add(&said, str_n("", 1));
    archive_entry_set_pathname(en, said.len ? said.p : "");
    archive_entry_set_filetype(en, AE_IFREG);
    archive_entry_set_perm(en, 0600);
    if (in.len > 0 && (in.p[0] == 0x1c || in.p[0] == 0x1d)) {
        SCOPED(freep) char *to = xstrndup(in.p + 1, in.len - 1);

        if (in.p[0] == 0x1c) {
            archive_entry_set_hardlink(en, to);
        } else {
            archive_entry_set_filetype(en, AE_IFLNK);
            archive_entry_set_symlink(en, to);
        }
        bytes.len = 0;
    }
    archive_entry_set_size(en, (int64_t)bytes.len);
    if (m->n < FILES_MAX) {
        image_digest_of(buf_str(&bytes), m->digests[m->n++]);
    }
    if (archive_write_header(m->tar, en) >= ARCHIVE_WARN && bytes.len > 0) {
        (void)!archive_write_data(m->tar, bytes.p, bytes.len);
    }
    archive_entry_free(en);
}

static void make_tar(int fd, struct str in)
{
    struct making m = {.tar = archive_write_new()};

    (void)archive_write_set_format_pax_restricted(m.tar);
    (void)archive_write_open_fd(m.tar, fd);
    while (in.len > 0) {
        const char *end = memchr(in.p, 0x1e, in.len);
        size_t n = end ? (size_t)(end - in.p) : in.len;

        add_file(&m, str_n(in.p, n));
        in = str_n(in.p + n + (end != NULL), in.len - n - (end != NULL));
    }
    archive_write_free(m.tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli c = {.json = true, .project = "p"};
    char path[64];
    struct err e;
    int fd = memfd_create("image", MFD_CLOEXEC);

    if (fd < 0) {
        abort();
    }
    if (size > 0 && data[0] == 0x1e) {
        (void)!write(fd, data + 1, size - 1);
    } else {
        make_tar(fd, str_n((const char *)data, size));
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *vec_push(&c.args) = path;
    (void)!verb_image_import(&c, &e); /* names of their own */
    *vec_push(&c.args) = "p/r:t";
    (void)!verb_image_import(&c, &e);
    vec_done(&c.args);
    (void)close(fd);
    return 0;
}
