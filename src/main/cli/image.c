/* Push of what needs no builder - a static program or a tar - as an OCI image of one layer
 * (image-spec 1.1). */
#include "main/cli/image.h"

#include "base/fs.h"
#include "base/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"

/* Bytes in a memory file, with the digest they have. */
struct blob {
    int fd;
    int64_t size;
    char digest[8 + SHA256_HEX]; /* "sha256:..." with the NUL */
};

static void blob_done(struct blob *b)
{
    closep(&b->fd);
}

static int digest_of(struct blob *b, struct err *e)
{
    unsigned char sum[SHA256_BYTES], part[65536];
    struct sha256 h;
    ssize_t n;

    b->size = 0;
    sha256_init(&h);
    while ((n = pread(b->fd, part, sizeof(part), b->size)) > 0) {
        sha256_add(&h, part, (size_t)n);
        b->size += n;
    }
    sha256_final(&h, sum);
    sha256_done(&h);
    memcpy(b->digest, "sha256:", 7);
    hex_encode(sum, sizeof(sum), b->digest + 7);
    return n < 0 ? err_sys(e, "read") : 0;
}

static int blob_of_memory(struct blob *b, struct str bytes, struct err *e)
{
    *b = (struct blob){.fd = memfd_create("blob", MFD_CLOEXEC)};
    if (b->fd < 0) {
        return err_sys(e, "memfd");
    }
    return fs_write_all(b->fd, bytes, e) < 0 ? -1 : digest_of(b, e);
}

/* --- a layer --- */

static int archive_error(struct archive *a, const char *what, struct err *e)
{
    return err_set(e, ERR_IO, "%s: %s", what, archive_error_string(a));
}

static int add_entry(struct archive *a, const char *path, int type, unsigned mode, int64_t size,
                     struct err *e)
{
    struct archive_entry *en = archive_entry_new();
    int rc = 0;

    archive_entry_set_pathname(en, path);
    archive_entry_set_filetype(en, (unsigned)type);
    archive_entry_set_perm(en, mode);
    archive_entry_set_size(en, size);
    archive_entry_set_mtime(en, 0, 0); /* the same program gives the same digest */
    if (archive_write_header(a, en) != ARCHIVE_OK) {
        rc = archive_error(a, path, e);
    }
    archive_entry_free(en);
    return rc;
}

static int copy_file(struct archive *a, int fd, struct err *e)
{
    char part[65536];
    ssize_t n;

    while ((n = read(fd, part, sizeof(part))) > 0) {
        if (archive_write_data(a, part, (size_t)n) != n) {
            return archive_error(a, "tar", e);
        }
    }
    return n < 0 ? err_sys(e, "read") : 0;
}

/* Only what needs no loader and no libraries can run alone (ELF, "Program Header": PT_INTERP). */
static int check_static(int fd, const char *path, struct err *e)
{
    Elf64_Ehdr h;
    Elf64_Phdr p;

    if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64) {
        return err_set(e, ERR_INVALID,
                       "%s is no 64-bit program (ELF); for scripts and whole file systems: --tar",
                       path);
    }
    for (unsigned i = 0; i < h.e_phnum; i++) {
        if (pread(fd, &p, sizeof(p), (off_t)(h.e_phoff + (uint64_t)i * h.e_phentsize)) !=
            sizeof(p)) {
            return err_set(e, ERR_INVALID, "%s is a program that was cut short", path);
        }
        if (p.p_type == PT_INTERP) {
            return err_set(e, ERR_INVALID,
                           "%s needs shared libraries: link it with -static, or push a root file "
                           "system that has them (--tar)",
                           path);
        }
    }
    return 0;
}

static int write_program_tar(struct archive *a, const char *path, const char *name, struct err *e)
{
    SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    SCOPED(freep) char *inside = xasprintf("bin/%s", name);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "%s", path);
    }
    if (check_static(fd, path, e) < 0) {
        return -1;
    }
    if (add_entry(a, "bin/", AE_IFDIR, 0755, 0, e) < 0 ||
        add_entry(a, "tmp/", AE_IFDIR, 01777, 0, e) < 0 ||
        add_entry(a, inside, AE_IFREG, 0755, st.st_size, e) < 0) {
        return -1;
    }
    return copy_file(a, fd, e);
}

/* A tar with /bin/<name> and /tmp: all a static program needs. */
static int tar_of_program(struct blob *tar, const char *path, const char *name, struct err *e)
{
    struct archive *a = archive_write_new();
    int rc;

    *tar = (struct blob){.fd = memfd_create("layer", MFD_CLOEXEC)};
    if (tar->fd < 0) {
        archive_write_free(a);
        return err_sys(e, "memfd");
    }
    (void)archive_write_set_format_pax_restricted(a);
    (void)archive_write_add_filter_none(a);
    rc = archive_write_open_fd(a, tar->fd) == ARCHIVE_OK ? write_program_tar(a, path, name, e)
                                                         : archive_error(a, "tar", e);
    if (archive_write_close(a) != ARCHIVE_OK && rc == 0) {
        rc = archive_error(a, "tar", e);
    }
    archive_write_free(a);
    return rc < 0 ? -1 : digest_of(tar, e);
}

/* Opens the file to be read as a tar (then *out is at its first entry), or as whatever bytes it
 * holds when a compression is taken off. */
static struct archive *open_archive(const char *path, bool raw, struct err *e)
{
    struct archive *a = archive_read_new();

    (void)archive_read_support_filter_all(a);
    (void)(raw ? archive_read_support_format_raw(a) : archive_read_support_format_tar(a));
    if (archive_read_open_filename(a, path, 1 << 20) != ARCHIVE_OK) {
        err_set(e, ERR_INVALID, "%s is no tar: %s", path, archive_error_string(a));
        archive_read_free(a);
        return NULL;
    }
    return a;
}

/* A root file system: not just any file, and not an image that was saved. */
static int check_tar(const char *path, bool *packed, struct err *e)
{
    struct archive *a = open_archive(path, false, e);
    struct archive_entry *en;
    size_t n = 0;
    int r = ARCHIVE_EOF, rc = 0;

    if (a == NULL) {
        return -1;
    }
    while (rc == 0 && (r = archive_read_next_header(a, &en)) >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
        const char *name = archive_entry_pathname(en);

        *packed = archive_filter_code(a, 0) != ARCHIVE_FILTER_NONE;
        n++;
        if (name && (strcmp(name, "manifest.json") == 0 || strcmp(name, "oci-layout") == 0)) {
            rc = err_set(e, ERR_INVALID,
                         "%s is an image that was saved (%s-archive), not a root file system: "
                         "strata image import %s IMAGE",
                         path, name[0] == 'm' ? "docker" : "oci", path);
        }
    }
    if (rc == 0 && (r != ARCHIVE_EOF || n == 0)) {
        rc = err_set(e, ERR_INVALID, "%s is no tar: %s", path,
                     archive_error_string(a) ? archive_error_string(a) : "nothing is in it");
    }
    archive_read_free(a);
    return rc;
}

static int unpack_into(int fd, const char *path, struct err *e)
{
    struct archive *a = open_archive(path, true, e);
    struct archive_entry *en;
    char part[65536];
    ssize_t n = -1;
    int rc = 0;

    if (a == NULL) {
        return -1;
    }
    if (archive_read_next_header(a, &en) == ARCHIVE_OK) {
        while (rc == 0 && (n = archive_read_data(a, part, sizeof(part))) > 0) {
            rc = fs_write_all(fd, str_n(part, (size_t)n), e);
        }
    }
    if (rc == 0 && n < 0) {
        rc = archive_error(a, path, e);
    }
    archive_read_free(a);
    return rc;
}

static int open_tar(struct blob *tar, const char *path, struct err *e)
{
    bool packed = false;

    *tar = (struct blob){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (tar->fd < 0) {
        return err_sys(e, "%s", path);
    }
    if (check_tar(path, &packed, e) < 0) {
        return -1;
    }
    if (packed) {
        closep(&tar->fd);
        tar->fd = memfd_create("layer", MFD_CLOEXEC);
        if (tar->fd < 0 || unpack_into(tar->fd, path, e) < 0) {
            return tar->fd < 0 ? err_sys(e, "memfd") : -1;
        }
    }
    return digest_of(tar, e);
}

static int deflate_all(z_stream *z, const struct blob *in, int out_fd, struct err *e)
{
    unsigned char from[65536], to[65536];
    int64_t at = 0;
    int flush = Z_NO_FLUSH;

    while (flush != Z_FINISH) {
        ssize_t n = pread(in->fd, from, sizeof(from), at);

        if (n < 0) {
            return err_sys(e, "read");
        }
        at += n;
        flush = n == 0 ? Z_FINISH : Z_NO_FLUSH;
        z->next_in = from;
        z->avail_in = (unsigned)n;
        do {
            z->next_out = to;
            z->avail_out = sizeof(to);
            (void)deflate(z, flush);
            if (fs_write_all(out_fd, str_n((char *)to, sizeof(to) - z->avail_out), e) < 0) {
                return -1;
            }
        } while (z->avail_out == 0);
    }
    return 0;
}

static int gzip_of(struct blob *out, const struct blob *in, struct err *e)
{
    z_stream z = {0};
    int rc;

    *out = (struct blob){.fd = memfd_create("layer.gz", MFD_CLOEXEC)};
    if (out->fd < 0 || deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return err_sys(e, "gzip");
    }
    rc = deflate_all(&z, in, out->fd, e);
    (void)deflateEnd(&z);
    return rc < 0 ? -1 : digest_of(out, e);
}

/* --- configuration and manifest --- */

static void write_list(struct jw *w, const char *key, struct cli *c, const char *option,
                       const char *first)
{
    const char *one;

    jw_key(w, key);
    jw_array(w);
    if (first) {
        jw_str(w, str_of(first));
    }
    for (size_t i = 0; (one = cli_option_nth(c, option, i)); i++) {
        jw_str(w, str_of(one));
    }
    jw_end(w);
}

static void write_config(struct cli *c, const char *program, const struct blob *tar,
                         struct buf *out)
{
    SCOPED(freep) char *entry = program ? xasprintf("/bin/%s", program) : NULL;
    struct jw w = JW(out);

    jw_object(&w);
    jw_kv_c(&w, "architecture", image_architecture());
    jw_kv_c(&w, "os", "linux");
    jw_key(&w, "config");
    jw_object(&w);
    write_list(&w, "Env", c, "env",
               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    write_list(&w, "Entrypoint", c, "entrypoint",
               cli_option(c, "entrypoint") || cli_option(c, "cmd") ? NULL : entry);
    write_list(&w, "Cmd", c, "cmd", NULL);
    jw_kv_c(&w, "WorkingDir", "/");
    jw_end(&w);
    jw_key(&w, "history"); /* builders that start from this image count its layers here */
    jw_raw(&w,
           STR("[{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"strata image push\"}]"));
    jw_key(&w, "rootfs");
    jw_object(&w);
    jw_kv_c(&w, "type", "layers");
    jw_key(&w, "diff_ids");
    jw_array(&w);
    jw_str(&w, str_of(tar->digest));
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
}

static void write_descriptor(struct jw *w, const char *type, const struct blob *b)
{
    jw_object(w);
    jw_kv_c(w, "mediaType", type);
    jw_kv_c(w, "digest", b->digest);
    jw_kv_i64(w, "size", b->size);
    jw_end(w);
}

static void write_manifest(const struct blob *config, const struct blob *layer, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    jw_kv_i64(&w, "schemaVersion", 2);
    jw_kv_c(&w, "mediaType", MEDIA_MANIFEST);
    jw_key(&w, "config");
    write_descriptor(&w, MEDIA_CONFIG, config);
    jw_key(&w, "layers");
    jw_array(&w);
    write_descriptor(&w, MEDIA_LAYER, layer);
    jw_end(&w);
    jw_end(&w);
}

/* --- pushing (OCI distribution-spec 1.1, "Push") --- */

static int expect(const struct client_answer *a, int status, struct err *e)
{
    if (a->status == status) {
        return 0;
    }
    return a->status >= 400 ? client_error(a, e)
                            : err_set(e, ERR_INTERNAL, "the registry answered %d", a->status);
}

int image_has_blob(struct cli *c, const char *repo, const char *digest, bool *has, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/v2/%s/blobs/%s", url_path(repo), digest);
    SCOPED(client_answer_done) struct client_answer a = {0};

    if (client_send(c->client, &(struct client_request){.method = "HEAD", .path = str_of(path)}, &a,
                    e) < 0) {
        return -1;
    }
    *has = a.status == 200;
    return 0;
}

static int start_upload(struct cli *c, const char *repo, char **location, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/v2/%s/blobs/uploads/", url_path(repo));
    SCOPED(client_answer_done) struct client_answer a = {0};
    const char *at;

    if (client_send(c->client, &(struct client_request){.method = "POST", .path = str_of(path)}, &a,
                    e) < 0 ||
        expect(&a, 202, e) < 0) {
        return -1;
    }
    at = strstr(a.location, "/v2/"); /* absolute or relative */
    if (at == NULL) {
        return err_set(e, ERR_INTERNAL, "the registry gave no upload location");
    }
    *location = xstrdup(at);
    return 0;
}

int image_push_blob(struct cli *c, const char *repo, const char *digest,
                    const struct client_request *body, struct err *e)
{
    SCOPED(freep) char *location = NULL;
    SCOPED(freep) char *path = NULL;
    SCOPED(client_answer_done) struct client_answer a = {0};
    struct client_request q = *body;

    if (start_upload(c, repo, &location, e) < 0) {
        return -1;
    }
    path = xasprintf("%s%cdigest=%s", location, strchr(location, '?') ? '&' : '?',
                     url_segment(digest));
    q.method = "PUT";
    q.path = str_of(path);
    q.type = "application/octet-stream";
    return client_send(c->client, &q, &a, e) < 0 ? -1 : expect(&a, 201, e);
}

static int push_blob(struct cli *c, const char *repo, const char *what, const struct blob *b,
                     struct err *e)
{
    struct meter p;
    bool has = false;
    int rc;

    if (image_has_blob(c, repo, b->digest, &has, e) < 0 || has) {
        return has ? 0 : -1;
    }
    if (lseek(b->fd, 0, SEEK_SET) < 0) {
        return err_sys(e, "seek");
    }
    meter_begin(&p, what);
    rc = image_push_blob(
        c, repo, b->digest,
        &(struct client_request){
            .body_fd = b->fd, .body_length = b->size, .progress = meter_bytes, .ctx = &p},
        e);
    meter_end(&p);
    return rc;
}

int image_put_manifest(struct cli *c, const char *repo, const char *reference, const char *type,
                       struct str bytes, struct err *e)
{
    SCOPED(freep)
    char *path = xasprintf("/v2/%s/manifests/%s", url_path(repo), url_segment(reference));
    SCOPED(client_answer_done) struct client_answer a = {0};

    return client_send(c->client,
                       &(struct client_request){
                           .method = "PUT", .path = str_of(path), .type = type, .body = bytes},
                       &a, e) < 0
               ? -1
               : expect(&a, 201, e);
}

static int push_all(struct cli *c, const char *repo, const char *tag, const char *program,
                    const struct blob *tar, struct buf *manifest, struct err *e)
{
    SCOPED(blob_done) struct blob layer = {.fd = -1};
    SCOPED(blob_done) struct blob config = {.fd = -1};
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_JSON_BODY_BYTES);

    write_config(c, program, tar, &text);
    if (gzip_of(&layer, tar, e) < 0 || blob_of_memory(&config, buf_str(&text), e) < 0 ||
        push_blob(c, repo, "layer", &layer, e) < 0 ||
        push_blob(c, repo, "config", &config, e) < 0) {
        return -1;
    }
    write_manifest(&config, &layer, manifest);
    return image_put_manifest(c, repo, tag, MEDIA_MANIFEST, buf_str(manifest), e);
}

int verb_image_push(struct cli *c, struct err *e)
{
    const char *program_path = cli_option(c, "program"), *tar_path = cli_option(c, "tar");
    const char *program =
        program_path && strrchr(program_path, '/') ? strrchr(program_path, '/') + 1 : program_path;
    SCOPED(freep) char *repo = NULL;
    SCOPED(freep) char *tag = NULL;
    SCOPED(blob_done) struct blob tar = {.fd = -1};
    SCOPED(buf_done) struct buf manifest = BUF_MAX(LIMIT_MANIFEST_BYTES);
    char digest[SHA256_HEX + 1];

    if ((program_path == NULL) == (tar_path == NULL)) {
        const char *server = client_server(c->client);
        bool is_plain = strncmp(server, "http://", 7) == 0;

        return err_set(e, ERR_INVALID,
                       "give --program FILE (a static program) or --tar FILE (a root file system); "
                       "images of others: skopeo copy%s docker-archive:x.tar docker://%s/%s",
                       is_plain ? " --dest-tls-verify=false" : "", strstr(server, "://") + 3,
                       cli_arg(c, 0));
    }
    if (image_split(c, cli_arg(c, 0), &repo, &tag, e) < 0 ||
        (tar_path ? open_tar(&tar, tar_path, e) : tar_of_program(&tar, program_path, program, e)) <
            0 ||
        push_all(c, repo, tag, program, &tar, &manifest, e) < 0) {
        return -1;
    }
    sha256_hex_of(buf_str(&manifest), digest);
    if (c->json) {
        SCOPED(freep) char *reference = xasprintf("%s:%s", repo, tag);
        SCOPED(freep) char *full = xasprintf("sha256:%s", digest);

        print_pairs((const char *const[]){"reference", reference, "digest", full, NULL});
    } else {
        (void)printf("%s:%s sha256:%.12s...\n", repo, tag, digest);
    }
    return 0;
}
