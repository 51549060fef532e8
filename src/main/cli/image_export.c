/* Images out of the registry as an OCI layout: a directory (image pull) or a tar (image export).
 * The tar also has docker's manifest.json, whose paths are those of the layout: so one file is read
 * by docker load, podman load and skopeo (oci-archive, docker-archive).
 *
 * Each blob streams from the registry to its place and is hashed on its way; only manifests are in
 * memory. */
#include "main/cli/image.h"

#include "base/fs.h"
#include "base/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct exporting {
    struct cli *c;
    struct archive *tar; /* or */
    int dir;
    const char *repo; /* of the image at hand */
    json_t *done;     /* digests that are written: a set */
    json_t *index, *docker;
    int depth;
};

/* --- where bytes go --- */

static int tar_header(struct exporting *x, const char *name, int64_t size, struct err *e)
{
    struct archive_entry *en = archive_entry_new();
    int rc;

    archive_entry_set_pathname(en, name);
    archive_entry_set_filetype(en, AE_IFREG);
    archive_entry_set_perm(en, 0644);
    archive_entry_set_size(en, size);
    archive_entry_set_mtime(en, 0, 0); /* the same image gives the same file */
    rc = archive_write_header(x->tar, en);
    archive_entry_free(en);
    return rc == ARCHIVE_OK ? 0 : err_set(e, ERR_IO, "%s", archive_error_string(x->tar));
}

static int tar_data(struct exporting *x, struct str bytes, struct err *e)
{
    return archive_write_data(x->tar, bytes.p, bytes.len) == (la_ssize_t)bytes.len
               ? 0
               : err_set(e, ERR_IO, "%s", archive_error_string(x->tar));
}

static int put_file(struct exporting *x, const char *name, struct str bytes, struct err *e)
{
    return x->tar ? (tar_header(x, name, (int64_t)bytes.len, e) < 0 ? -1 : tar_data(x, bytes, e))
                  : fs_write_atomic(x->dir, name, bytes, 0644, e);
}

/* --- one blob --- */

struct stream {
    struct exporting *x;
    int fd; /* -1: the tar */
    struct sha256 hash;
    int64_t size, done;
    struct meter bar;
    struct err e;
};

static int stream_add(void *ctx, struct str bytes)
{
    struct stream *s = ctx;

    if (s->done + (int64_t)bytes.len > s->size) {
        return err_set(&s->e, ERR_IO, "the registry sent more than the %lld bytes it said",
                       (long long)s->size);
    }
    sha256_add(&s->hash, bytes.p, bytes.len);
    s->done += (int64_t)bytes.len;
    meter_bytes(&s->bar, s->done, s->size);
    return s->fd < 0 ? tar_data(s->x, bytes, &s->e) : fs_write_all(s->fd, bytes, &s->e);
}

/* What an earlier pull left of it is hashed, and only the rest asked for. */
static int stream_resume(struct stream *s, struct err *e)
{
    char part[65536];
    ssize_t n;

    while ((n = pread(s->fd, part, sizeof(part), s->done)) > 0 && s->done + n <= s->size) {
        sha256_add(&s->hash, part, (size_t)n);
        s->done += n;
    }
    if (n > 0) { /* longer than the blob: not a part of it */
        sha256_done(&s->hash);
        sha256_init(&s->hash);
        s->done = 0;
    }
    return n < 0 || ftruncate(s->fd, s->done) < 0 || lseek(s->fd, s->done, SEEK_SET) < 0
               ? err_sys(e, "what an earlier pull left")
               : 0;
}

static int stream_get(struct stream *s, const char *digest, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/blobs/%s", url_path(s->x->repo), url_segment(digest));
    SCOPED(freep) char *range = xasprintf("Range: bytes=%lld-", (long long)s->done);
    SCOPED(client_answer_done) struct client_answer a = {0};
    int status = s->done > 0 ? 206 : 200;

    if (s->done == s->size && s->size > 0) {
        return 0;
    }
    if (client_send(s->x->c->client,
                    &(struct client_request){.method = "GET",
                                             .path = str_of(path),
                                             .headers = {s->done > 0 ? range : NULL},
                                             .sink = stream_add,
                                             .ctx = s},
                    &a, e) < 0) {
        if (s->e.msg[0] != '\0') {
            *e = s->e;
        }
        return -1;
    }
    return a.status == status ? 0
           : a.status >= 400  ? client_error(&a, e)
                              : err_set(e, ERR_INTERNAL, "the registry answered %d", a.status);
}

static int stream_end(struct stream *s, const char *digest, struct err *e)
{
    unsigned char sum[SHA256_BYTES];
    char hex[SHA256_HEX + 1];

    sha256_final(&s->hash, sum);
    hex_encode(sum, sizeof(sum), hex);
    if (s->done != s->size || strcmp(hex, digest + 7) != 0) {
        return err_set(e, ERR_IO, "the registry sent %lld bytes of digest sha256:%s for %s of %lld",
                       (long long)s->done, hex, digest, (long long)s->size);
    }
    return 0;
}

static int run_stream(struct stream *s, const char *digest, struct err *e)
{
    SCOPED(freep) char *what = xasprintf("%.12s", digest + 7);
    int rc;

    meter_begin(&s->bar, what);
    rc = stream_get(s, digest, e);
    meter_end(&s->bar);
    return rc < 0 ? -1 : stream_end(s, digest, e);
}

static int blob_to_dir(struct stream *s, const char *name, const char *digest, struct err *e)
{
    SCOPED(freep) char *part = xasprintf("%s.part", name);
    SCOPED(closep) int fd = -1;
    struct stat st;

    if (fstatat(s->x->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == s->size) {
        return 0; /* got its name when its digest was right */
    }
    fd = openat(s->x->dir, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return err_sys(e, "%s", part);
    }
    s->fd = fd;
    if (stream_resume(s, e) < 0) {
        return -1;
    }
    if (run_stream(s, digest, e) < 0) {
        if (s->done == s->size) { /* all of it is there, and wrong */
            (void)unlinkat(s->x->dir, part, 0);
        }
        return -1;
    }
    return fsync(fd) < 0 || renameat(s->x->dir, part, s->x->dir, name) < 0 ? err_sys(e, "%s", name)
                                                                           : 0;
}

static bool is_new(struct exporting *x, const char *digest)
{
    bool known = json_object_get(x->done, digest) != NULL;

    return !known && json_object_set_new(x->done, digest, json_true()) == 0;
}

static int put_blob(struct exporting *x, const json_t *d, struct err *e)
{
    const char *digest = json_text(d, "digest");
    struct stream s = {.x = x, .fd = -1, .size = json_number(d, "size")};
    SCOPED(freep) char *name = NULL;
    int rc;

    if (image_digest_check(digest, e) < 0 || s.size < 0) {
        return s.size < 0 ? err_set(e, ERR_INVALID, "%s has a negative size", digest) : -1;
    }
    if (!is_new(x, digest)) {
        return 0;
    }
    name = xasprintf("blobs/sha256/%s", digest + 7);
    sha256_init(&s.hash);
    rc = x->tar ? tar_header(x, name, s.size, e) : blob_to_dir(&s, name, digest, e);
    if (rc == 0 && x->tar) {
        rc = run_stream(&s, digest, e);
    }
    sha256_done(&s.hash);
    return rc;
}

/* --- one image --- */

static int put_manifest(struct exporting *x, const char *reference, json_t **manifest,
                        char digest[IMAGE_DIGEST], int64_t *size, struct err *e);

static int put_parts(struct exporting *x, const json_t *manifest, struct err *e)
{
    const json_t *part;
    size_t i;

    json_array_foreach(json_object_get(manifest, "manifests"), i, part)
    {
        SCOPED(json_decrefp) json_t *child = NULL;
        char digest[IMAGE_DIGEST];
        int64_t size;

        if (image_digest_check(json_text(part, "digest"), e) < 0 ||
            put_manifest(x, json_text(part, "digest"), &child, digest, &size, e) < 0) {
            return -1;
        }
    }
    json_array_foreach(json_object_get(manifest, "layers"), i, part)
    {
        if (json_array_size(json_object_get(part, "urls")) == 0 && put_blob(x, part, e) < 0) {
            return -1;
        }
    }
    part = json_object_get(manifest, "config");
    return part ? put_blob(x, part, e) : 0;
}

static int put_manifest(struct exporting *x, const char *reference, json_t **manifest,
                        char digest[IMAGE_DIGEST], int64_t *size, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_MANIFEST_BYTES);
    SCOPED(freep) char *name = NULL;
    int rc;

    if (x->depth == IMAGE_DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes are nested deeper than %d", IMAGE_DEPTH_MAX);
    }
    if (image_manifest(x->c, x->repo, reference, &bytes, manifest, e) < 0) {
        return -1;
    }
    image_digest_of(buf_str(&bytes), digest);
    *size = (int64_t)bytes.len;
    name = xasprintf("blobs/sha256/%s", digest + 7);
    if (is_new(x, digest) && put_file(x, name, buf_str(&bytes), e) < 0) {
        return -1;
    }
    x->depth++;
    rc = put_parts(x, *manifest, e);
    x->depth--;
    return rc;
}

/* The place of a blob in a layout; the caller of json_pack takes it. */
static json_t *place_of(const json_t *descriptor)
{
    const char *digest = json_text(descriptor, "digest");

    return json_sprintf("blobs/sha256/%s", strlen(digest) > 7 ? digest + 7 : "");
}

/* What docker load reads: an image of one platform, of an index that for this machine. */
static void add_docker(struct exporting *x, const json_t *manifest, const char *name)
{
    json_t *layers = json_array();
    const json_t *part;
    size_t i;

    json_array_foreach(json_object_get(manifest, "layers"), i, part)
    {
        (void)json_array_append_new(layers, place_of(part));
    }
    (void)json_array_append_new(x->docker, json_pack("{s:o, s:[s], s:o}", "Config",
                                                     place_of(json_object_get(manifest, "config")),
                                                     "RepoTags", name, "Layers", layers));
}

static int add_docker_of(struct exporting *x, const json_t *manifest, const char *name,
                         struct err *e)
{
    const json_t *list = json_object_get(manifest, "manifests"), *one;
    const char *type = json_text(json_object_get(manifest, "config"), "mediaType");
    size_t i;

    if (list == NULL) {
        if (strstr(type, "image.config") || strstr(type, "container.image")) {
            add_docker(x, manifest, name);
        }
        return 0;
    }
    json_array_foreach(list, i, one)
    {
        const json_t *p = json_object_get(one, "platform");
        SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_MANIFEST_BYTES);
        SCOPED(json_decrefp) json_t *child = NULL;

        if (strcmp(json_text(p, "os"), "linux") == 0 &&
            strcmp(json_text(p, "architecture"), image_architecture()) == 0) {
            if (image_manifest(x->c, x->repo, json_text(one, "digest"), &bytes, &child, e) < 0) {
                return -1;
            }
            if (json_object_get(child, "layers")) {
                add_docker(x, child, name);
            }
            return 0;
        }
    }
    return 0;
}

static int export_one(struct exporting *x, const char *image, struct err *e)
{
    SCOPED(freep) char *repo = NULL;
    SCOPED(freep) char *reference = NULL;
    SCOPED(freep) char *name = NULL;
    SCOPED(json_decrefp) json_t *manifest = NULL;
    char digest[IMAGE_DIGEST];
    json_t *entry;
    int64_t size;

    if (image_split(x->c, image, &repo, &reference, e) < 0) {
        return -1;
    }
    x->repo = repo;
    if (put_manifest(x, reference, &manifest, digest, &size, e) < 0) {
        return -1;
    }
    entry = json_pack("{s:s, s:s, s:I}", "mediaType",
                      json_text(manifest, "mediaType")[0] ? json_text(manifest, "mediaType")
                      : json_object_get(manifest, "manifests")
                          ? "application/vnd.oci.image.index.v1+json"
                          : "application/vnd.oci.image.manifest.v1+json",
                      "digest", digest, "size", (json_int_t)size);
    (void)json_array_append_new(x->index, entry);
    if (strchr(reference, ':')) { /* by digest: it has no name */
        return 0;
    }
    name = xasprintf("%s:%s", repo, reference);
    (void)json_object_set_new(entry, "annotations",
                              json_pack("{s:s, s:s}", "org.opencontainers.image.ref.name",
                                        reference, "io.containerd.image.name", name));
    return add_docker_of(x, manifest, name, e);
}

static int put_json(struct exporting *x, const char *name, const json_t *value, struct err *e)
{
    SCOPED(freep) char *text = json_dumps(value, JSON_COMPACT);

    return put_file(x, name, str_of(text), e);
}

static int export_all(struct exporting *x, size_t first, size_t end, struct err *e)
{
    SCOPED(json_decrefp) json_t *index = NULL;
    int rc = put_file(x, "oci-layout", STR(LAYOUT), e);

    x->done = json_object();
    x->index = json_array();
    x->docker = json_array();
    index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
                      "application/vnd.oci.image.index.v1+json", "manifests", x->index);
    for (size_t i = first; i < end && rc == 0; i++) {
        rc = export_one(x, cli_arg(x->c, i), e);
    }
    if (rc == 0) {
        rc = put_json(x, "index.json", index, e);
    }
    if (rc == 0 && x->tar && json_array_size(x->docker) > 0) {
        rc = put_json(x, "manifest.json", x->docker, e);
    }
    json_decref(x->done);
    json_decref(x->index);
    json_decref(x->docker);
    return rc;
}

int verb_image_pull(struct cli *c, struct err *e)
{
    size_t last = c->args.len - 1;
    const char *to = cli_arg(c, last);
    struct exporting x = {.c = c};
    SCOPED(closep) int dir = -1;

    if (fs_mkdir(AT_FDCWD, to, 0755, e) < 0) {
        return -1;
    }
    dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_sys(e, "%s", to);
    }
    x.dir = dir;
    if (fs_mkdir(dir, "blobs", 0755, e) < 0 || fs_mkdir(dir, "blobs/sha256", 0755, e) < 0 ||
        export_all(&x, 0, last, e) < 0) {
        return -1;
    }
    print_done(c, "%s holds %zu image%s.", to, last, last == 1 ? "" : "s");
    return 0;
}

static int write_tar(struct cli *c, struct exporting *x, int fd, size_t last, struct err *e)
{
    int rc;

    x->tar = archive_write_new();
    (void)archive_write_set_format_pax_restricted(x->tar);
    (void)archive_write_add_filter_none(x->tar);
    rc = archive_write_open_fd(x->tar, fd) != ARCHIVE_OK
             ? err_set(e, ERR_IO, "%s", archive_error_string(x->tar))
             : export_all(x, 0, last, e);
    if (archive_write_close(x->tar) != ARCHIVE_OK && rc == 0) {
        rc = err_set(e, ERR_IO, "%s: %s", cli_arg(c, last), archive_error_string(x->tar));
    }
    archive_write_free(x->tar);
    return rc;
}

/* The name appears when the file is whole. */
int verb_image_export(struct cli *c, struct err *e)
{
    size_t last = c->args.len - 1;
    const char *to = cli_arg(c, last);
    SCOPED(freep) char *part = xasprintf("%s.part", to);
    struct exporting x = {.c = c, .dir = -1};
    SCOPED(closep) int fd = -1;

    if (strcmp(to, "-") == 0) {
        return write_tar(c, &x, STDOUT_FILENO, last, e);
    }
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return err_sys(e, "%s", part);
    }
    if (write_tar(c, &x, fd, last, e) < 0) {
        (void)unlink(part);
        return -1;
    }
    if (fsync(fd) < 0 || rename(part, to) < 0) {
        return err_sys(e, "%s", to);
    }
    print_done(c, "%s holds %zu image%s.", to, last, last == 1 ? "" : "s");
    return 0;
}
