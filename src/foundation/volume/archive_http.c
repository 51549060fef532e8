/* A folder as a tar (format: docs/formats/volume.md, "Archives").
 *
 *   walk.c -> each entry: its head, and the bytes of a file through a descriptor of the agent ->
 *   128 KiB at a time to the client, who sets the pace
 *
 * A head says how long its file is, so what is cut short meanwhile is filled up with zeros: the
 * archive stays one. Whoever reads it is told twice: in the note at its end, and by a connection
 * that is cut after it instead of ending. */
#include "volume/archive_http.h"

#include "base/mem.h"
#include "volume/path.h"
#include "volume/tar.h"
#include "volume/walk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (128 * KIB)
#define OUT_BYTES (2 * FLUSH_BYTES + 64 * KIB) /* and the heads of one entry */
#define NOTE_TRIES 100

struct archive {
    struct volume_store *v;
    const struct volume_info *info;
    struct http_req *req;
    struct str folder;
    struct buf out, packet;
    struct buf note; /* a line for each entry that is not here as it is there */
    uint64_t n_noted, n_unnamed;
    uint64_t n_spoiled; /* files that are not whole */
};

/* --- what goes out --- */

static int flush(struct archive *a, struct err *e)
{
    int rc = a->out.failed ? err_set(e, ERR_INTERNAL, "a head of the archive is too large")
                           : http_stream_write(a->req, buf_str(&a->out), e);

    buf_clear(&a->out);
    return rc;
}

static int flush_some(struct archive *a, struct err *e)
{
    return a->out.len >= FLUSH_BYTES ? flush(a, e) : 0;
}

static void note(struct archive *a, struct str rel, const char *why)
{
    struct buf line = BUF_MAX(4 * LIMIT_VOLUME_PATH_BYTES);

    a->n_noted++;
    (void)volume_percent_add(&line, rel.len > 0 ? rel : STR("."));
    (void)buf_printf(&line, ": %s\n", why);
    if (line.failed || buf_add(&a->note, buf_str(&line)) < 0) {
        a->note.failed = false;
        a->n_unnamed++;
    }
    buf_done(&line);
}

static void spoil(struct archive *a, struct str rel, const char *why)
{
    a->n_spoiled++;
    note(a, rel, why);
}

static int put_zeros(struct archive *a, uint64_t n, struct err *e)
{
    while (n > 0) {
        size_t part = n < FLUSH_BYTES ? (size_t)n : (size_t)FLUSH_BYTES;
        char *to = buf_reserve(&a->out, part);

        if (to == NULL) {
            return err_set(e, ERR_INTERNAL, "the buffer of an archive is too small");
        }
        memset(to, 0, part);
        a->out.len += part;
        n -= part;
        if (flush_some(a, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* As many bytes as the head says, whatever happens to the file. */
static int put_bytes(struct archive *a, struct str rel, int fd, uint64_t size, struct err *e)
{
    uint64_t left = size;

    while (left > 0) {
        size_t part = left < FLUSH_BYTES ? (size_t)left : (size_t)FLUSH_BYTES;
        char *to = buf_reserve(&a->out, part);
        ssize_t n = to ? pread(fd, to, part, (off_t)(size - left)) : -1;

        if (n < 0 && to && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            spoil(a, rel,
                  n == 0 ? "became shorter while it was read: its end is zeros here"
                         : "could not be read to its end: that is zeros here");
            break;
        }
        a->out.len += (size_t)n;
        left -= (uint64_t)n;
        if (flush_some(a, e) < 0) {
            return -1;
        }
    }
    return put_zeros(a, left, e) < 0 ? -1 : 0;
}

/* --- entries --- */

/* The agent's answer about one path. 1: what was there is so no more, which is noted. */
static int ask(struct archive *a, struct str path, struct str rel, enum volume_agent_op op,
               unsigned flags, struct volume_reply *reply, int *fd, struct err *e)
{
    struct volume_request q = {.op = op, .flags = flags, .path = path, .other = STR_EMPTY};

    if (volume_ask(a->v, a->info, &q, &a->packet, reply, fd, e) == 0) {
        return 0;
    }
    if (!volume_is_about_path(e)) {
        return -1;
    }
    note(a, rel,
         e->kind == ERR_FORBIDDEN ? "belongs to a user outside this project"
                                  : "went away while the archive was made");
    return 1;
}

static int put_link(struct archive *a, struct str path, struct tar_entry *t, struct err *e)
{
    struct volume_reply reply;
    int rc = ask(a, path, t->name, VOLUME_AGENT_READ_LINK, 0, &reply, NULL, e);

    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }
    t->link = reply.rows;
    (void)tar_head(&a->out, t);
    return 0;
}

static int put_file(struct archive *a, struct str path, struct tar_entry *t, struct err *e)
{
    SCOPED(closep) int fd = -1;
    struct volume_reply reply;
    int rc = ask(a, path, t->name, VOLUME_AGENT_OPEN_READ, VOLUME_NO_FOLLOW, &reply, &fd, e);

    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }
    if (fd < 0) {
        return err_set(e, ERR_INTERNAL, "the files agent sent no descriptor");
    }
    t->size_bytes = reply.file.size_bytes;
    t->modified_ns = reply.file.modified_ns;
    t->mode = reply.file.mode;
    (void)tar_head(&a->out, t);
    if (put_bytes(a, t->name, fd, t->size_bytes, e) < 0) {
        return -1;
    }
    return put_zeros(a, tar_padding(t->size_bytes), e);
}

static int put_entry(void *ctx, struct str path, struct str rel, const struct volume_file *f,
                     struct err *e)
{
    struct archive *a = ctx;
    struct tar_entry t = {
        .name = rel, .link = STR_EMPTY, .modified_ns = f->modified_ns, .mode = f->mode};
    int rc = 0;

    switch (f->type) {
    case VOLUME_DIR:
        t.kind = TAR_DIR;
        (void)tar_head(&a->out, &t);
        break;
    case VOLUME_LINK:
        t.kind = TAR_LINK;
        rc = put_link(a, path, &t, e);
        break;
    case VOLUME_FILE:
        t.kind = TAR_FILE;
        rc = put_file(a, path, &t, e);
        break;
    default:
        note(a, rel, "is a socket, a named pipe or a device");
        break;
    }
    return rc < 0 ? -1 : flush_some(a, e);
}

static void on_skipped(void *ctx, struct str rel, const struct err *why)
{
    note(ctx, rel,
         why->kind == ERR_FORBIDDEN ? "belongs to a user outside this project"
         : why->kind == ERR_INVALID ? "what is in it has paths that are too long, or lies on "
                                      "another file system"
                                    : "went away while the archive was made");
}

/* --- the end --- */

/* A name in the folder that nothing has, so that the note replaces nothing where it is unpacked. */
static int note_name(struct archive *a, char out[64], struct err *e)
{
    for (int n = 1; n <= NOTE_TRIES; n++) {
        SCOPED(buf_done) struct buf path = BUF_MAX(LIMIT_VOLUME_PATH_BYTES + 64);
        struct volume_request q = {.op = VOLUME_AGENT_STAT, .other = STR_EMPTY};
        struct volume_reply reply;
        char number[16] = "";

        if (n > 1) {
            (void)snprintf(number, sizeof(number), "-%d", n);
        }
        (void)snprintf(out, 64, "strata-left-out%s.txt", number);
        (void)buf_printf(&path, "%.*s%s%s", STR_ARG(a->folder), a->folder.len > 0 ? "/" : "", out);
        q.path = buf_str(&path);
        if (q.path.len > LIMIT_VOLUME_PATH_BYTES) {
            return 0; /* then nothing can be there */
        }
        if (volume_ask(a->v, a->info, &q, &a->packet, &reply, NULL, e) < 0) {
            return volume_is_about_path(e) ? 0 : -1;
        }
    }
    return err_set(e, ERR_CONFLICT, "every name for the note is taken");
}

static int put_note(struct archive *a, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_LEFT_OUT_BYTES + 4 * KIB);
    char name[64];
    struct tar_entry t = {.kind = TAR_FILE, .mode = 0644, .link = STR_EMPTY};

    if (a->n_noted == 0) {
        return 0;
    }
    if (note_name(a, name, e) < 0) {
        return -1;
    }
    (void)buf_printf(&text,
                     "Not in this archive, or not as it was in the volume: %llu of what is there.\n"
                     "Paths are percent-encoded, as in a URL.\n\n",
                     (unsigned long long)a->n_noted);
    (void)buf_add(&text, buf_str(&a->note));
    if (a->n_unnamed > 0) {
        (void)buf_printf(&text, "and %llu more\n", (unsigned long long)a->n_unnamed);
    }
    t.name = str_of(name);
    t.size_bytes = text.len;
    (void)tar_head(&a->out, &t);
    (void)buf_add(&a->out, buf_str(&text));
    return put_zeros(a, tar_padding(text.len), e);
}

static int put_all(struct archive *a, struct err *e)
{
    static const struct volume_walk_ops ops = {.entry = put_entry, .skipped = on_skipped};

    if (volume_walk(a->v, a->info, a->folder, &ops, a, e) < 0 || flush(a, e) < 0 ||
        put_note(a, e) < 0) {
        return -1;
    }
    (void)tar_end(&a->out);
    if (flush(a, e) < 0) {
        return -1;
    }
    return a->n_spoiled == 0 ? 0
                             : err_set(e, ERR_CONFLICT, "%llu files changed while they were read",
                                       (unsigned long long)a->n_spoiled);
}

/* An error that the client shall get as one, before the first byte. */
static int check_folder(struct archive *a, struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_READ_DIR, .path = a->folder, .other = STR_EMPTY};
    struct volume_reply reply;

    return volume_ask(a->v, a->info, &q, &a->packet, &reply, NULL, e);
}

static int send_all(struct archive *a, struct err *e)
{
    struct str last = str_from(a->folder, (size_t)(str_rfind_char(a->folder, '/') + 1));
    struct str name = last.len > 0 ? last : str_of(a->info->name);
    struct http_req *r = a->req;

    if (check_folder(a, e) < 0) {
        return -1;
    }
    http_set_attachment(r, arena_printf(&r->arena, "%.*s.tar", STR_ARG(name)));
    http_set_header(r, "Cache-Control", "no-store");
    if (http_stream_begin(r, 200, "application/x-tar", e) < 0) {
        return -1;
    }
    return r->method == HTTP_HEAD ? 0 : put_all(a, e);
}

int volume_archive_send(struct volume_store *v, const struct volume_info *i, struct str folder,
                        struct http_req *r, struct err *e)
{
    struct archive a = {.v = v,
                        .info = i,
                        .req = r,
                        .folder = folder,
                        .out = BUF_MAX(OUT_BYTES),
                        .packet = BUF_MAX(VOLUME_PACKET_MAX),
                        .note = BUF_MAX(LIMIT_LEFT_OUT_BYTES)};
    int rc;

    if (volume_walk_enter(v, r->who.user_id, e) < 0) {
        return -1;
    }
    rc = send_all(&a, e);
    volume_walk_leave(v, r->who.user_id);
    buf_done(&a.out);
    buf_done(&a.packet);
    buf_done(&a.note);
    return rc;
}
