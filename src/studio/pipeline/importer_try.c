#include "pipeline/importer_priv.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "secrets/secrets.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool task_must_stop(void *ctx)
{
    struct task *t = ctx;

    return atomic_load(&t->stop) || atomic_load(&t->im->stopping);
}

static void note_bytes(struct task *t)
{
    struct lock *l = &t->im->lock;

    WITH_LOCK(l);
    t->look.bytes = t->written;
}

static void note_rows(void *ctx, int64_t rows)
{
    struct task *t = ctx;
    struct lock *l = &t->im->lock;

    WITH_LOCK(l);
    t->look.rows = rows;
}

static int check_room(const struct task *t, size_t n, struct err *e)
{
    struct fs_room room;

    if (fs_room(t->file.fd, LIMIT_DISK_RESERVE_BYTES, &room, e) < 0) {
        return -1;
    }
    return room.bytes >= n ? 0
                           : err_set(e, ERR_NO_SPACE,
                                     "the disk is full after %lld bytes; remove something and "
                                     "try again",
                                     (long long)t->written);
}

static int take_piece(void *ctx, struct str piece, struct err *e)
{
    struct task *t = ctx;

    if (task_must_stop(t)) {
        return err_set(e, ERR_CONFLICT, "stopped");
    }
    if (check_room(t, piece.len, e) < 0) {
        return -1;
    }
    sha256_add(&t->hash, piece.p, piece.len);
    while (piece.len > 0) {
        ssize_t n = pwrite(t->file.fd, piece.p, piece.len, t->written);

        if (n < 0 && errno != EINTR) {
            return err_sys(e, "write what comes");
        }
        t->written += n > 0 ? n : 0;
        piece = str_from(piece, n > 0 ? (size_t)n : 0);
    }
    note_bytes(t);
    return 0;
}

const char *task_value(const struct task *t, const char *name)
{
    for (size_t i = 0; i < t->n_values; i++) {
        if (strcmp(t->values[i].name, name) == 0) {
            return t->values[i].text;
        }
    }
    return "";
}

static int bring(struct task *t, struct err *e)
{
    const struct importer_parts *parts = &t->im->parts;
    struct buf secret = BUF_MAX(LIMIT_SECRET_BYTES + 1);
    const char *name = task_value(t, "secret");
    struct import_order o = {.module = t->module,
                             .values = t->values,
                             .n_values = t->n_values,
                             .denied = parts->denied,
                             .n_denied = parts->n_denied,
                             .sink = take_piece,
                             .rows = note_rows,
                             .stop = task_must_stop,
                             .ctx = t};
    int rc = 0;

    if (*name) {
        rc = secrets_get(parts->secrets, t->project_id, str_of(name), &secret, e);
        rc = rc < 0 ? err_wrap(e, "secret %.64s", name) : 0;
    }
    o.secret = secret.p ? buf_str(&secret) : STR_EMPTY;
    rc = rc == 0 ? import_bring(&o, e) : -1;
    if (secret.p) {
        explicit_bzero(secret.p, secret.cap);
    }
    buf_done(&secret);
    return rc;
}

/* What was promised, if something was. */
static int check_sum(const struct task *t, const char *hex, struct err *e)
{
    const char *promised = task_value(t, "sha256");

    return *promised == '\0' || strcmp(promised, hex) == 0
               ? 0
               : err_set(
                     e, ERR_INVALID,
                     "the file has the SHA-256 %s, and the step promises %s: it has changed, or "
                     "another file lies there",
                     hex, promised);
}

static int keep(struct task *t, char hex[SHA256_HEX + 1], struct err *e)
{
    struct volume_ref ref = {t->project_id, str_of(t->volume)};
    unsigned char sum[SHA256_BYTES];

    sha256_final(&t->hash, sum);
    hex_encode(sum, sizeof(sum), hex);
    return check_sum(t, hex, e) < 0 ? -1
                                    : volume_file_keep(t->im->parts.volumes, &ref, &t->file,
                                                       str_of(t->path), (uint64_t)t->written, e);
}

int task_try(struct task *t, char hex[SHA256_HEX + 1], struct err *e)
{
    struct volume_ref ref = {t->project_id, str_of(t->volume)};
    int rc;

    t->written = 0;
    note_bytes(t);
    if (volume_file_new(t->im->parts.volumes, &ref, &t->file, e) < 0) {
        return -1;
    }
    sha256_init(&t->hash);
    rc = bring(t, e) < 0 ? -1 : keep(t, hex, e);
    sha256_done(&t->hash);
    if (rc < 0) {
        volume_file_drop(t->im->parts.volumes, &ref, &t->file);
    }
    volume_file_done(&t->file);
    return rc;
}
