#include "volume/upload.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http.h"
#include "volume/commit.h"
#include "volume/path.h"
#include "volume/range.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (256 * 1024)        /* fits the second-level cache: hashed while it is warm */
#define RESERVE_FROM_BYTES (256 * 1024) /* smaller files are not worth a reservation */
/* Space is reserved for about as much as has come, so that nobody takes the disk by promises. */
#define RESERVE_MIN_BYTES (1 * MIB)
#define RESERVE_MAX_BYTES (64 * MIB)
#define TURN_MS 15000 /* longer than net waits for bytes of a broken connection */

enum upload_flag {
    UPLOAD_RESUMABLE = 1,
    UPLOAD_CHECK_CONTENT = 2, /* Content-Digest: of the bytes of this request */
    UPLOAD_CHECK_REPR = 4,    /* Repr-Digest: of the whole file */
};

struct upload {
    struct volume_store *v;
    const struct volume_info *info;
    struct http_req *r;
    struct str path;
    char name[101]; /* in the hidden directory */
    unsigned flags;
    int64_t from;    /* where this request begins */
    int64_t length;  /* of its body, -1 unknown */
    int64_t total;   /* of the file, -1 unknown */
    int64_t offset;  /* bytes in the file and in `hash` */
    int64_t room_to; /* up to here the disk was asked, and gave blocks when the length is known */
    int fd;
    uint64_t inode;
    bool entered; /* nobody else works on this upload */
    struct sha256 hash, part;
    unsigned char content_digest[SHA256_BYTES], repr_digest[SHA256_BYTES];
    unsigned char whole[SHA256_BYTES]; /* the outcome */
};

static void upload_done(struct upload *u)
{
    closep(&u->fd);
    sha256_done(&u->hash);
    sha256_done(&u->part);
    if (u->entered) {
        volume_active_leave(u->v, u->info->id, u->name);
    }
}

static int ask(const struct upload *u, const struct volume_request *q, struct volume_reply *reply,
               int *fd, struct err *e)
{
    struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    int rc = volume_ask(u->v, u->info, q, &packet, reply, fd, e);

    buf_done(&packet);
    return rc;
}

/* --- what is asked for --- */

static int check_id(struct str id, struct err *e)
{
    bool ok = id.len >= 8 && id.len <= 64;

    for (size_t i = 0; ok && i < id.len; i++) {
        ok = (id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= '0' && id.p[i] <= '9');
    }
    return ok ? 0 : err_set(e, ERR_INVALID, "?upload=%s must be 8 to 64 of a-z and 0-9", Q(id));
}

/* The id belongs to one path: the same id for another file is another upload. */
static int name_of(struct str id, struct str path, char out[101], struct err *e)
{
    char hex[SHA256_HEX + 1];

    if (check_id(id, e) < 0) {
        return -1;
    }
    sha256_hex_of(path, hex);
    (void)snprintf(out, 101, "%.*s-%.16s", STR_ARG(id), hex);
    return 0;
}

static int read_digest(struct upload *u, const char *header, unsigned flag, unsigned char *out,
                       struct err *e)
{
    struct str value = http_header(u->r, header);

    if (value.p == NULL) {
        return 0;
    }
    u->flags |= flag;
    return volume_digest_parse(header, value, out, e);
}

static int plan_part(struct upload *u, struct str id, struct str range, struct err *e)
{
    struct volume_range part;

    u->flags |= UPLOAD_RESUMABLE;
    if (name_of(id, u->path, u->name, e) < 0) {
        return -1;
    }
    if (range.p == NULL) {
        return err_set(e, ERR_INVALID,
                       "a part of an upload needs Content-Range: bytes FIRST-LAST/TOTAL");
    }
    if (volume_range_parse(range, &part, e) < 0) {
        return -1;
    }
    if (u->length >= 0 && u->length != part.length) {
        return err_set(e, ERR_INVALID,
                       "the body has %lld bytes and Content-Range says that there are %lld",
                       (long long)u->length, (long long)part.length);
    }
    u->from = part.from;
    u->length = part.length;
    u->total = part.total;
    return 0;
}

static int plan(struct upload *u, struct err *e)
{
    struct str id = http_query(u->r, "upload"), range = http_header(u->r, "Content-Range");

    u->length = http_body_length(u->r);
    u->total = u->length;
    if (read_digest(u, "Content-Digest", UPLOAD_CHECK_CONTENT, u->content_digest, e) < 0 ||
        read_digest(u, "Repr-Digest", UPLOAD_CHECK_REPR, u->repr_digest, e) < 0) {
        return -1;
    }
    if (id.p != NULL) {
        return plan_part(u, id, range, e);
    }
    if (range.p != NULL) { /* RFC 9110 14.5: else a part would be taken for the whole */
        return err_set(e, ERR_INVALID,
                       "Content-Range needs ?upload=ID, so that parts find together");
    }
    memcpy(u->name, "put-", 4);
    random_name(u->name + 4, 20);
    return 0;
}

/* --- the temporary file --- */

static int open_temporary(struct upload *u, struct err *e)
{
    struct volume_request q = {.op = VOLUME_AGENT_UPLOAD_OPEN,
                               .flags = VOLUME_CREATE,
                               .path = STR_EMPTY,
                               .other = str_of(u->name)};
    struct volume_reply reply;

    if (u->flags & UPLOAD_RESUMABLE) {
        u->entered = volume_active_enter(u->v, u->info->id, u->name, clock_mono_ms() + TURN_MS);
        if (!u->entered) {
            return err_set(
                e, ERR_UNAVAILABLE,
                "another request is sending a part of this upload; try again when it ends");
        }
    }
    if (ask(u, &q, &reply, &u->fd, e) < 0) {
        return -1;
    }
    if (u->fd < 0) {
        return err_set(e, ERR_INTERNAL, "the files agent sent no descriptor");
    }
    u->inode = reply.file.inode;
    return 0;
}

static int hash_file(struct upload *u, struct err *e)
{
    SCOPED(freep) char *block = xcalloc(1, BLOCK_BYTES);
    int64_t at = 0;

    while (at < u->offset) {
        size_t want = u->offset - at < BLOCK_BYTES ? (size_t)(u->offset - at) : BLOCK_BYTES;
        ssize_t n = pread(u->fd, block, want, at);

        if (n <= 0) {
            return n < 0 ? err_sys(e, "read the unfinished upload")
                         : err_set(e, ERR_CONFLICT, "a job has shortened the unfinished upload");
        }
        sha256_add(&u->hash, block, (size_t)n);
        at += n;
    }
    return 0;
}

/* The part must begin where the file ends. */
static int find_offset(struct upload *u, struct err *e)
{
    struct stat st;

    if (fstat(u->fd, &st) < 0) {
        return err_sys(e, "look at the unfinished upload");
    }
    u->offset = st.st_size;
    if (u->from == u->offset) {
        return 0;
    }
    http_set_header(u->r, "Upload-Offset", "%lld", (long long)u->offset);
    return err_set(e, ERR_CONFLICT,
                   "the part begins at byte %lld and %lld are there; go on from Upload-Offset",
                   (long long)u->from, (long long)u->offset);
}

static int begin_hash(struct upload *u, struct err *e)
{
    if (u->flags & UPLOAD_CHECK_CONTENT && u->flags & UPLOAD_RESUMABLE) {
        sha256_init(&u->part);
    }
    if (u->offset > 0 && volume_hash_take(u->v, u->info->id, u->name, u->offset, &u->hash)) {
        return 0;
    }
    sha256_init(&u->hash);
    return hash_file(u, e);
}

/* --- room for the bytes --- */

/* A full disk is told before the bytes are sent, not after. */
static int check_room(const struct upload *u, struct err *e)
{
    struct fs_room room;

    if (u->length <= 0) {
        return 0;
    }
    if (fs_room(u->fd, LIMIT_DISK_RESERVE_BYTES, &room, e) < 0) {
        return -1;
    }
    return (uint64_t)u->length <= room.bytes
               ? 0
               : err_set(e, ERR_NO_SPACE,
                         "not enough space on the disk for %lld bytes, it takes %llu; remove "
                         "something and try again",
                         (long long)u->length, (unsigned long long)room.bytes);
}

static int disk_full(const struct upload *u, struct err *e)
{
    return err_set(e, ERR_NO_SPACE, "the disk is full after %lld bytes; remove something and %s",
                   (long long)u->offset,
                   u->flags & UPLOAD_RESUMABLE ? "go on from Upload-Offset"
                                               : "send the file again");
}

/* As much as has come in this request, and not more than is still to come. */
static uint64_t next_step(const struct upload *u, size_t n)
{
    uint64_t step = (uint64_t)(u->offset - u->from), coming = UINT64_MAX;

    if (u->length >= 0) {
        coming = (uint64_t)(u->from + u->length - u->offset);
    }
    step = step < RESERVE_MIN_BYTES ? RESERVE_MIN_BYTES : step;
    step = step > RESERVE_MAX_BYTES ? RESERVE_MAX_BYTES : step;
    step = step > coming ? coming : step;
    return step < n ? n : step;
}

/* Before `n` bytes are written. */
static int make_room(struct upload *u, size_t n, struct err *e)
{
    uint64_t step = next_step(u, n);
    struct fs_room room;

    if (u->offset + (int64_t)n <= u->room_to) {
        return 0;
    }
    if (fs_room(u->fd, LIMIT_DISK_RESERVE_BYTES, &room, e) < 0) {
        return -1;
    }
    if (room.bytes < n) {
        return disk_full(u, e);
    }
    step = step > room.bytes ? room.bytes : step;
    u->room_to = u->offset + (int64_t)step; /* also when it gets only some of them */
    if (u->length >= (int64_t)RESERVE_FROM_BYTES &&
        fallocate(u->fd, FALLOC_FL_KEEP_SIZE, u->offset, (off_t)step) < 0 &&
        (errno == ENOSPC || errno == EDQUOT)) {
        return disk_full(u, e);
    }
    return 0;
}

/* However the bytes ended, blocks behind them are nobody's. */
static void give_back_room(const struct upload *u)
{
    if (u->offset < u->room_to && u->length >= (int64_t)RESERVE_FROM_BYTES) {
        (void)!ftruncate(u->fd, u->offset);
    }
}

/* --- the bytes --- */

static int store(struct upload *u, struct str bytes, struct err *e)
{
    if (bytes.len > 0 && make_room(u, bytes.len, e) < 0) {
        return -1;
    }
    while (bytes.len > 0) {
        ssize_t n = pwrite(u->fd, bytes.p, bytes.len, u->offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            err_sys(e, "write %s", Q(u->path));
            return e->kind == ERR_NO_SPACE ? disk_full(u, e) : -1;
        }
        sha256_add(&u->hash, bytes.p, (size_t)n);
        if (u->part.ctx != NULL) {
            sha256_add(&u->part, bytes.p, (size_t)n);
        }
        u->offset += n;
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

/* Fills the block as far as there are bytes: 1 full, 0 the end, -1 cut (what came is in *have). */
static int fill(struct upload *u, char *block, size_t size, size_t *have, struct err *e)
{
    *have = 0;
    while (*have < size) {
        ssize_t n = http_body_read(u->r, block + *have, size - *have, e);

        if (n <= 0) {
            return (int)n;
        }
        *have += (size_t)n;
    }
    return 1;
}

static int receive(struct upload *u, struct err *e)
{
    size_t size = u->length >= 0 && u->length < BLOCK_BYTES ? (size_t)u->length + 1 : BLOCK_BYTES;
    SCOPED(freep) char *block = xcalloc(1, size);
    struct err cut;
    size_t have;
    int rc;

    do {
        rc = fill(u, block, size, &have, &cut);
        if (u->length >= 0 && u->offset + (int64_t)have > u->from + u->length) {
            return err_set(e, ERR_INVALID, "the body is longer than Content-Range says");
        }
        if (store(u, str_n(block, have), e) < 0) {
            return -1;
        }
    } while (rc > 0);
    if (rc < 0) {
        *e = cut;
        return -1;
    }
    if (u->length >= 0 && u->offset < u->from + u->length) {
        return err_set(e, ERR_INVALID, "the body is shorter than Content-Range says");
    }
    return 0;
}

/* --- the end --- */

static bool same(const unsigned char *a, const unsigned char *b)
{
    return memcmp(a, b, SHA256_BYTES) == 0;
}

static bool is_complete(const struct upload *u)
{
    return u->total < 0 || u->offset == u->total;
}

static int wrong_digest(const struct upload *u, const char *header, const unsigned char *got,
                        struct err *e)
{
    char hex[SHA256_HEX + 1];

    hex_encode(got, SHA256_BYTES, hex);
    return err_set(
        e, ERR_INVALID,
        "the bytes of %s that arrived do not have the digest of %s: they have sha-256 %s; "
        "send them again",
        Q(u->path), header, hex);
}

/* Content-Digest is about the body of this request (RFC 9530 section 2). For the last part the
 * digest of the whole file is taken too, which says no less. */
static int check_content(struct upload *u, struct err *e)
{
    unsigned char part[SHA256_BYTES];

    if (!(u->flags & UPLOAD_CHECK_CONTENT) || same(u->content_digest, u->whole)) {
        return 0;
    }
    if (u->part.ctx == NULL) {
        return wrong_digest(u, "Content-Digest", u->whole, e);
    }
    sha256_final(&u->part, part);
    return same(u->content_digest, part) ? 0 : wrong_digest(u, "Content-Digest", part, e);
}

static int drop(const struct upload *u, struct err *e)
{
    struct volume_request q = {
        .op = VOLUME_AGENT_UPLOAD_DROP, .path = STR_EMPTY, .other = str_of(u->name)};
    struct volume_reply reply;

    return ask(u, &q, &reply, NULL, e);
}

static int commit(struct upload *u, unsigned *created, struct err *e)
{
    const struct volume_whole whole = {u->path, u->name, u->inode, (uint64_t)u->offset,
                                       .of_user = true};

    if (fdatasync(u->fd) < 0) {
        return err_sys(e, "write %s to disk", Q(u->path));
    }
    return volume_commit(u->v, u->info, &whole, created, e);
}

/* Back to where this request began, so that it can be sent again. Not if it may be in its place. */
static void undo_part(struct upload *u)
{
    if (volume_commit_undone(u->v, u->info, u->name, u->inode)) {
        (void)!ftruncate(u->fd, u->from);
    }
}

static int answer_complete(struct upload *u, unsigned created, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    char hex[SHA256_HEX + 1];
    int rc;

    hex_encode(u->whole, SHA256_BYTES, hex);
    jw_object(&w);
    volume_json_name(&w, "path", u->path);
    jw_kv_i64(&w, "size_bytes", u->offset);
    jw_kv_c(&w, "sha256", hex);
    jw_end(&w);
    rc = http_reply_json(u->r, created ? 201 : 200, &b, e);
    buf_done(&b);
    return rc;
}

static int finish_whole(struct upload *u, struct err *e)
{
    unsigned created = 0;
    struct err ignored;

    sha256_final(&u->hash, u->whole);
    if (u->flags & UPLOAD_CHECK_REPR && !same(u->repr_digest, u->whole)) {
        (void)!drop(u, &ignored); /* which part was wrong cannot be known */
        return wrong_digest(u, "Repr-Digest", u->whole, e);
    }
    if (check_content(u, e) < 0 || commit(u, &created, e) < 0) {
        undo_part(u);
        return -1;
    }
    volume_changed(u->v, u->r->project, u->info);
    return answer_complete(u, created, e);
}

static int finish_part(struct upload *u, struct err *e)
{
    if (check_content(u, e) < 0) {
        undo_part(u);
        return -1;
    }
    if (fdatasync(u->fd) < 0) {
        return err_sys(e, "write %s to disk", Q(u->path));
    }
    volume_hash_keep(u->v, u->info->id, u->name, u->offset, &u->hash);
    http_set_header(u->r, "Upload-Offset", "%lld", (long long)u->offset);
    return http_reply_empty(u->r, 202, e);
}

/* What a failed request leaves: a whole PUT nothing, a part the bytes that came. */
static void clean_up(struct upload *u)
{
    struct err ignored;

    if (!(u->flags & UPLOAD_RESUMABLE)) {
        (void)!drop(u, &ignored);
        return;
    }
    if (u->offset > u->from) {
        volume_hash_keep(u->v, u->info->id, u->name, u->offset, &u->hash);
    }
    http_set_header(u->r, "Upload-Offset", "%lld", (long long)u->offset);
}

static int receive_or_give_back(struct upload *u, struct err *e)
{
    int rc = receive(u, e);

    give_back_room(u);
    return rc;
}

static int run(struct upload *u, struct err *e)
{
    if (plan(u, e) < 0 || open_temporary(u, e) < 0) {
        return -1;
    }
    if (find_offset(u, e) < 0) {
        return -1;
    }
    if (begin_hash(u, e) < 0 || check_room(u, e) < 0 || receive_or_give_back(u, e) < 0) {
        clean_up(u);
        return -1;
    }
    if (is_complete(u)) {
        if (finish_whole(u, e) < 0) {
            if (!(u->flags & UPLOAD_RESUMABLE)) {
                clean_up(u);
            }
            return -1;
        }
        return 0;
    }
    return finish_part(u, e);
}

int volume_upload_put(struct volume_store *v, const struct volume_info *i, struct str path,
                      struct http_req *r, struct err *e)
{
    SCOPED(upload_done)
    struct upload u = {.v = v, .info = i, .r = r, .path = path, .fd = -1};

    return run(&u, e);
}

/* --- the offset, and giving up --- */

int volume_upload_offset(struct volume_store *v, const struct volume_info *i, struct str path,
                         struct str id, int64_t *offset, struct err *e)
{
    SCOPED(upload_done) struct upload u = {.v = v, .info = i, .path = path, .fd = -1};
    struct volume_request q = {.op = VOLUME_AGENT_UPLOAD_OPEN, .path = STR_EMPTY};
    struct volume_reply reply;

    if (name_of(id, path, u.name, e) < 0) {
        return -1;
    }
    q.other = str_of(u.name);
    if (ask(&u, &q, &reply, &u.fd, e) < 0) {
        *offset = 0;
        return e->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    *offset = (int64_t)reply.file.size_bytes;
    return 0;
}

int volume_upload_drop(struct volume_store *v, const struct volume_info *i, struct str path,
                       struct str id, struct err *e)
{
    SCOPED(upload_done) struct upload u = {.v = v, .info = i, .path = path, .fd = -1};

    return name_of(id, path, u.name, e) < 0 ? -1 : drop(&u, e);
}
