/* Saved images into the registry: an OCI layout (directory or tar) or what docker save wrote, also
 * compressed. What is read comes from anybody: nothing of it is written to this machine, and names
 * in it only name its own files.
 *
 * The tar is read twice: once to hash its files and to keep those that are small and JSON, once to
 * push those that an image needs and the registry lacks. So no layer is in memory or on disk. */
#include "main/cli/image.h"

#include "base/limits.h"
#include "base/log.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 100000
#define TEXT_MAX (64 * MIB) /* of all that is kept in memory */
#define PART_BYTES 65536
#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"

struct entry {
    char *name;
    char *target; /* of a link, within the archive; or NULL */
    char *text;   /* whole, when small and JSON; or NULL */
    char digest[IMAGE_DIGEST];
    char magic[4];
    int64_t size;
    bool is_hard; /* the target is named from the archive's root */
    bool wanted;
};

struct importing {
    struct cli *c;
    const char *path;
    VEC(struct entry) entries;
    json_t *by_name, *by_digest; /* -> index in entries */
    json_t *seen; /* manifests of this walk: an index may name one many times, and each level so */
    size_t text_bytes;
    json_t *images; /* [{"digest", "names": [...]}] */
    const char *repo;
    int depth;
};

/* One file of the source, while it is its turn. */
struct reader {
    struct importing *m;
    struct archive *tar; /* or */
    int fd;
    struct entry *entry;
    struct meter bar;
    int64_t done;
};

static ssize_t read_some(void *ctx, char *p, size_t n)
{
    struct reader *r = ctx;
    ssize_t got = r->tar ? archive_read_data(r->tar, p, n) : read(r->fd, p, n);

    if (got > 0) {
        r->done += got;
        meter_bytes(&r->bar, r->done, r->entry->size);
    }
    return got;
}

static int read_failed(const struct reader *r, struct err *e)
{
    return r->tar ? err_set(e, ERR_INVALID, "%s: %s: %s", r->m->path, Q(str_of(r->entry->name)),
                            archive_error_string(r->tar))
                  : err_sys(e, "%s: %s", r->m->path, Q(str_of(r->entry->name)));
}

typedef int each_file(struct reader *r, struct err *e);

/* --- walking the source --- */

static int walk_tar_entries(struct importing *m, struct archive *a, each_file *each, struct err *e)
{
    struct archive_entry *en;
    size_t n = 0;
    int status;

    while ((status = archive_read_next_header(a, &en)) >= ARCHIVE_WARN && status != ARCHIVE_EOF) {
        struct entry fresh = {0};
        struct reader r = {.m = m, .tar = a, .fd = -1};
        const char *name = archive_entry_pathname(en), *hard = archive_entry_hardlink(en);
        const char *soft = archive_entry_symlink(en);

        if (name == NULL || strlen(name) > 4096) {
            return err_set(e, ERR_INVALID, "%s holds a file without a usable name", m->path);
        }
        if (m->entries.len <= n) {
            if (n == ENTRIES_MAX) {
                return err_set(e, ERR_LIMIT, "%s holds more than %d files", m->path, ENTRIES_MAX);
            }
            fresh.name = xstrdup(strncmp(name, "./", 2) == 0 ? name + 2 : name);
            fresh.target = hard ? xstrdup(hard) : soft ? xstrdup(soft) : NULL;
            fresh.is_hard = hard != NULL;
            fresh.size = archive_entry_size(en);
            *vec_push(&m->entries) = fresh;
            if (fresh.target) {
                (void)json_object_set_new(m->by_name, fresh.name, json_integer((json_int_t)n));
            }
        }
        r.entry = &m->entries.p[n++];
        if (archive_entry_filetype(en) == AE_IFREG && hard == NULL && each(&r, e) < 0) {
            return -1;
        }
    }
    return status == ARCHIVE_EOF ? 0
                                 : err_set(e, ERR_INVALID, "%s is no tar, or a damaged one: %s",
                                           m->path, archive_error_string(a));
}

static int walk_tar(struct importing *m, each_file *each, struct err *e)
{
    struct archive *a = archive_read_new();
    int rc;

    /* Not _all: that starts programs (lrzip, lzop, grzip) on bytes that come from anybody. */
    (void)archive_read_support_filter_gzip(a);
    (void)archive_read_support_filter_bzip2(a);
    (void)archive_read_support_filter_xz(a);
    (void)archive_read_support_filter_zstd(a);
    (void)archive_read_support_format_tar(a);
    rc = archive_read_open_filename(a, m->path, 1 << 20) != ARCHIVE_OK
             ? err_set(e, ERR_INVALID, "%s is no tar: %s", m->path, archive_error_string(a))
             : walk_tar_entries(m, a, each, e);
    archive_read_free(a);
    return rc;
}

static int add_name(struct importing *m, int dir, char *name, struct err *e)
{
    struct stat st;

    if (m->entries.len == ENTRIES_MAX) {
        free(name);
        return err_set(e, ERR_LIMIT, "%s holds more than %d files", m->path, ENTRIES_MAX);
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
        free(name);
        return 0;
    }
    *vec_push(&m->entries) = (struct entry){.name = name, .size = st.st_size};
    return 0;
}

static int list_dir(struct importing *m, int dir, struct err *e)
{
    int fd = openat(dir, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    int rc = add_name(m, dir, xstrdup("index.json"), e);

    if (d == NULL) {
        closep(&fd);
        return err_set(e, ERR_INVALID, "%s is no OCI layout: it has no blobs/sha256", m->path);
    }
    while (rc == 0 && (ent = readdir(d))) {
        if (strlen(ent->d_name) == SHA256_HEX) {
            rc = add_name(m, dir, xasprintf("blobs/sha256/%s", ent->d_name), e);
        }
    }
    (void)closedir(d);
    return rc;
}

static int walk_dir(struct importing *m, int dir, each_file *each, struct err *e)
{
    if (m->entries.len == 0 && list_dir(m, dir, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < m->entries.len; i++) {
        struct reader r = {.m = m, .entry = &m->entries.p[i]};
        SCOPED(closep)
        int fd = openat(dir, r.entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        r.fd = fd;
        if (fd < 0) {
            return err_sys(e, "%s: %s", m->path, Q(str_of(r.entry->name)));
        }
        if (each(&r, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int walk(struct importing *m, each_file *each, struct err *e)
{
    SCOPED(closep) int dir = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0 && errno != ENOTDIR) {
        return err_sys(e, "%s", m->path);
    }
    return dir >= 0 ? walk_dir(m, dir, each, e) : walk_tar(m, each, e);
}

/* --- first pass --- */

static bool is_kept(const struct importing *m, const struct entry *n)
{
    return (n->magic[0] == '{' || n->magic[0] == '[') && n->size >= 0 &&
           n->size <= (int64_t)LIMIT_MANIFEST_BYTES && m->text_bytes + (size_t)n->size <= TEXT_MAX;
}

static int look_at(struct reader *r, struct err *e)
{
    struct entry *n = r->entry;
    unsigned char sum[SHA256_BYTES];
    char part[PART_BYTES];
    struct sha256 hash;
    int64_t at = 0;
    ssize_t got;

    sha256_init(&hash);
    while ((got = read_some(r, part, sizeof(part))) > 0) {
        if (at == 0) {
            memcpy(n->magic, part, (size_t)got < sizeof(n->magic) ? (size_t)got : sizeof(n->magic));
            if (is_kept(r->m, n)) {
                n->text = xcalloc(1, (size_t)n->size + 1);
                r->m->text_bytes += (size_t)n->size;
            }
        }
        if (n->text && at + got <= n->size) {
            memcpy(n->text + at, part, (size_t)got);
        }
        sha256_add(&hash, part, (size_t)got);
        at += got;
    }
    sha256_final(&hash, sum);
    sha256_done(&hash);
    if (got < 0) {
        return read_failed(r, e);
    }
    if (at != n->size) { /* not what its head said */
        free(TAKE(n->text));
    }
    n->size = at;
    memcpy(n->digest, "sha256:", 7);
    hex_encode(sum, sizeof(sum), n->digest + 7);
    (void)json_object_set_new(r->m->by_name, n->name,
                              json_integer((json_int_t)(n - r->m->entries.p)));
    (void)json_object_set_new(r->m->by_digest, n->digest,
                              json_integer((json_int_t)(n - r->m->entries.p)));
    return 0;
}

static struct entry *entry_in(struct importing *m, const json_t *map, const char *key)
{
    const json_t *at = json_object_get(map, key);

    return at ? &m->entries.p[json_integer_value(at)] : NULL;
}

/* "a/b/layer.tar" -> "../c/layer.tar" is "a/c/layer.tar"; above the archive's root there is
 * nothing. The caller frees it; NULL: points outside. */
static char *resolve_link(const char *from, const char *target)
{
    const char *slash = strrchr(from, '/');
    char *out = slash ? xstrndup(from, (size_t)(slash - from)) : xstrdup("");

    while (strncmp(target, "../", 3) == 0) {
        char *cut = strrchr(out, '/');

        if (out[0] == '\0') {
            free(out);
            return NULL;
        }
        *(cut ? cut : out) = '\0';
        target += 3;
    }
    if (target[0] == '/' || strstr(target, "/../")) {
        free(out);
        return NULL;
    }
    {
        char *joined = xasprintf("%s%s%s", out, out[0] ? "/" : "", target);

        free(out);
        return joined;
    }
}

/* Older docker save wrote a layer once and links to it elsewhere: one step, to a file of its own.
 */
static struct entry *find_file(struct importing *m, const char *name)
{
    struct entry *found = entry_in(m, m->by_name, name);
    SCOPED(freep) char *to = NULL;

    if (found == NULL || found->target == NULL) {
        return found;
    }
    to = found->is_hard ? xstrdup(found->target) : resolve_link(found->name, found->target);
    found = to ? entry_in(m, m->by_name, to) : NULL;
    return found && found->target == NULL ? found : NULL;
}

static json_t *json_of(struct importing *m, const struct entry *n, struct err *e)
{
    if (n->text == NULL) {
        err_set(e, ERR_INVALID, "%s: %s is no JSON of at most 4 MiB", m->path, Q(str_of(n->name)));
        return NULL;
    }
    return json_parse(str_n(n->text, (size_t)n->size), e);
}

/* --- which images, and what they need --- */

static int want_blob(struct importing *m, const char *digest, struct err *e)
{
    struct entry *n = entry_in(m, m->by_digest, digest);

    if (n == NULL) {
        return err_set(e, ERR_INVALID, "%s lacks %s, which an image in it needs", m->path,
                       Q(str_of(digest)));
    }
    n->wanted = true;
    return 0;
}

/* True once for each digest. */
static bool is_new(struct importing *m, const char *digest)
{
    return json_object_get(m->seen, digest) == NULL &&
           json_object_set_new(m->seen, digest, json_true()) == 0;
}

static int want_manifest(struct importing *m, const char *digest, struct err *e)
{
    const struct entry *n = entry_in(m, m->by_digest, digest);
    SCOPED(json_decrefp) json_t *manifest = NULL;
    const json_t *part;
    size_t i;
    int rc = 0;

    if (m->depth == IMAGE_DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "indexes are nested deeper than %d", IMAGE_DEPTH_MAX);
    }
    if (n == NULL) {
        return err_set(e, ERR_INVALID, "%s lacks the manifest %s", m->path, Q(str_of(digest)));
    }
    if (!is_new(m, digest)) {
        return 0;
    }
    if ((manifest = json_of(m, n, e)) == NULL) {
        return err_wrap(e, "manifest %s", digest);
    }
    m->depth++;
    json_array_foreach(json_object_get(manifest, "manifests"), i, part)
    {
        rc = rc < 0 ? -1 : want_manifest(m, json_text(part, "digest"), e);
    }
    m->depth--;
    json_array_foreach(json_object_get(manifest, "layers"), i, part)
    {
        if (rc == 0 && json_array_size(json_object_get(part, "urls")) == 0) {
            rc = want_blob(m, json_text(part, "digest"), e);
        }
    }
    part = json_object_get(manifest, "config");
    return rc == 0 && part ? want_blob(m, json_text(part, "digest"), e) : rc;
}

static void add_image(struct importing *m, const char *digest, json_t *names)
{
    (void)json_array_append_new(m->images,
                                json_pack("{s:s, s:o}", "digest", digest, "names", names));
}

static int plan_oci(struct importing *m, const json_t *index, struct err *e)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(index, "manifests"), i, one)
    {
        const json_t *notes = json_object_get(one, "annotations");
        const char *name = json_text(notes, "io.containerd.image.name");
        const char *ref = json_text(notes, "org.opencontainers.image.ref.name");
        json_t *names = json_array();

        if (name[0] || ref[0]) {
            (void)json_array_append_new(names, json_string(name[0] ? name : ref));
        }
        add_image(m, json_text(one, "digest"), names);
        (void)json_object_clear(m->seen);
        if (want_manifest(m, json_text(one, "digest"), e) < 0) {
            return -1;
        }
    }
    return 0;
}

static json_t *descriptor(const struct entry *n, const char *type)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", n->digest, "size",
                     (json_int_t)n->size);
}

static const char *layer_type(const struct entry *n)
{
    return memcmp(n->magic, "\x1f\x8b", 2) == 0           ? MEDIA_LAYER "+gzip"
           : memcmp(n->magic, "\x28\xb5\x2f\xfd", 4) == 0 ? MEDIA_LAYER "+zstd"
                                                          : MEDIA_LAYER;
}

/* An OCI manifest of what docker save names; it joins the files as one more. */
static int plan_docker_image(struct importing *m, const json_t *image, struct err *e)
{
    struct entry *config = find_file(m, json_text(image, "Config")), made = {0};
    SCOPED(json_decrefp) json_t *manifest = NULL;
    json_t *layers, *names = json_object_get(image, "RepoTags");
    const json_t *name;
    size_t i;

    if (json_array_size(json_object_get(image, "Layers")) > LIMIT_LAYERS) {
        return err_set(e, ERR_LIMIT, "an image in %s has more than %d layers", m->path,
                       LIMIT_LAYERS);
    }
    layers = json_array();
    json_array_foreach(json_object_get(image, "Layers"), i, name)
    {
        struct entry *n = json_is_string(name) ? find_file(m, json_string_value(name)) : NULL;

        if (n == NULL || n->digest[0] == '\0') {
            json_decref(layers);
            return err_set(e, ERR_INVALID, "%s lacks a layer that manifest.json names", m->path);
        }
        n->wanted = true;
        (void)json_array_append_new(layers, descriptor(n, layer_type(n)));
    }
    if (config == NULL || config->text == NULL) {
        json_decref(layers);
        return err_set(e, ERR_INVALID, "%s lacks the configuration that manifest.json names",
                       m->path);
    }
    config->wanted = true;
    manifest = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", MEDIA_MANIFEST,
                         "config", descriptor(config, MEDIA_CONFIG), "layers", layers);
    made.text = json_dumps(manifest, JSON_COMPACT);
    made.name = xstrdup("manifest");
    made.size = (int64_t)strlen(made.text);
    image_digest_of(str_of(made.text), made.digest);
    *vec_push(&m->entries) = made;
    (void)json_object_set_new(m->by_digest, made.digest,
                              json_integer((json_int_t)m->entries.len - 1));
    add_image(m, made.digest, json_is_array(names) ? json_incref(names) : json_array());
    return 0;
}

static int plan(struct importing *m, struct err *e)
{
    const struct entry *index = entry_in(m, m->by_name, "index.json");
    const struct entry *docker = entry_in(m, m->by_name, "manifest.json");
    SCOPED(json_decrefp) json_t *list = NULL;
    const json_t *one;
    size_t i;

    if (index == NULL && docker == NULL) {
        return err_set(e, ERR_INVALID,
                       "%s is no saved image: it has neither index.json nor manifest.json; a root "
                       "file system is pushed by strata image push --tar",
                       m->path);
    }
    if ((list = json_of(m, index ? index : docker, e)) == NULL) {
        return -1;
    }
    if (index) {
        return plan_oci(m, list, e);
    }
    json_array_foreach(list, i, one)
    {
        if (plan_docker_image(m, one, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- pushing --- */

static int ask_registry(struct importing *m, struct err *e)
{
    for (size_t i = 0; i < m->entries.len; i++) {
        struct entry *n = &m->entries.p[i];
        bool has = false;

        if (n->wanted && image_has_blob(m->c, m->repo, n->digest, &has, e) < 0) {
            return -1;
        }
        n->wanted = n->wanted && !has;
    }
    return 0;
}

static int push_wanted(struct reader *r, struct err *e)
{
    struct entry *n = r->entry;
    SCOPED(freep) char *what = xasprintf("%.12s", n->digest + 7);
    int rc;

    if (!n->wanted) {
        return 0;
    }
    n->wanted = false;
    meter_begin(&r->bar, what);
    rc = image_push_blob(r->m->c, r->m->repo, n->digest,
                         &(struct client_request){
                             .body_fd = -1, .body_length = n->size, .source = read_some, .ctx = r},
                         e);
    meter_end(&r->bar);
    return rc;
}

static int push_tree(struct importing *m, const char *digest, const char *as, struct err *e)
{
    const struct entry *n = entry_in(m, m->by_digest, digest);
    SCOPED(json_decrefp) json_t *manifest = json_of(m, n, e);
    const char *type = json_text(manifest, "mediaType");
    const json_t *part;
    size_t i;

    if (manifest == NULL) {
        return -1;
    }
    json_array_foreach(json_object_get(manifest, "manifests"), i, part)
    {
        const char *child = json_text(part, "digest");

        if (is_new(m, child) && push_tree(m, child, child, e) < 0) {
            return -1;
        }
    }
    return image_put_manifest(m->c, m->repo, as,
                              type[0] ? type
                              : json_object_get(manifest, "manifests")
                                  ? "application/vnd.oci.image."
                                    "index.v1+json"
                                  : MEDIA_MANIFEST,
                              str_n(n->text, (size_t)n->size), e);
}

static int push_image(struct importing *m, const char *digest, const char *repo, const char *tag,
                      struct err *e)
{
    m->repo = repo;
    (void)json_object_clear(m->seen);
    if (ask_registry(m, e) < 0 || walk(m, push_wanted, e) < 0 || push_tree(m, digest, tag, e) < 0) {
        return -1;
    }
    if (!m->c->json) {
        print_done(m->c, "%s:%s %.19s...", repo, tag, digest);
    }
    return 0;
}

/* "docker.io/library/alpine:3" -> "alpine" and "3"; "3" alone is a tag. */
static int name_of(const struct importing *m, const char *name, const char *repo, char **to,
                   char **tag, struct err *e)
{
    const char *last = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    const char *colon = strchr(last, ':');

    *tag = xstrdup(colon ? colon + 1 : repo ? last : "latest");
    if (repo) {
        *to = xstrdup(repo);
        return 0;
    }
    if (m->c->project == NULL || (colon == NULL && strchr(name, '/') == NULL)) {
        return err_set(e, ERR_INVALID,
                       "what shall %s be called? write strata image import %s PROJECT/REPOSITORY, "
                       "or -p PROJECT when it has a name of its own",
                       Q(str_of(name)), m->path);
    }
    *to =
        xasprintf("%s/%.*s", m->c->project, colon ? (int)(colon - last) : (int)strlen(last), last);
    return 0;
}

/* What an image needs is wanted again for each name: another repository may lack it. */
static int push_names(struct importing *m, const json_t *image, const char *repo, struct err *e)
{
    const json_t *names = json_object_get(image, "names"), *name;
    size_t i;

    if (json_array_size(names) == 0) {
        return err_set(e, ERR_INVALID,
                       "an image in %s has no name: write strata image import %s "
                       "PROJECT/REPOSITORY:TAG",
                       m->path, m->path);
    }
    json_array_foreach(names, i, name)
    {
        SCOPED(freep) char *to = NULL;
        SCOPED(freep) char *tag = NULL;

        (void)json_object_clear(m->seen);
        if (name_of(m, json_is_string(name) ? json_string_value(name) : "", repo, &to, &tag, e) <
                0 ||
            want_manifest(m, json_text(image, "digest"), e) < 0 ||
            push_image(m, json_text(image, "digest"), to, tag, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int import(struct importing *m, struct err *e)
{
    const char *as = cli_arg(m->c, 1);
    SCOPED(freep) char *repo = NULL;
    SCOPED(freep) char *reference = NULL;
    const json_t *image;
    size_t i;

    if ((as && image_split(m->c, as, &repo, &reference, e) < 0) || walk(m, look_at, e) < 0 ||
        plan(m, e) < 0) {
        return -1;
    }
    if (json_array_size(m->images) == 0) {
        return err_set(e, ERR_INVALID, "%s holds no image", m->path);
    }
    if (as && json_array_size(m->images) == 1) {
        return push_image(m, json_text(json_array_get(m->images, 0), "digest"), repo, reference, e);
    }
    json_array_foreach(m->images, i, image)
    {
        if (push_names(m, image, repo, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int verb_image_import(struct cli *c, struct err *e)
{
    struct importing m = {.c = c,
                          .path = cli_arg(c, 0),
                          .by_name = json_object(),
                          .by_digest = json_object(),
                          .seen = json_object(),
                          .images = json_array()};
    int rc = import(&m, e);

    if (rc == 0) {
        (void)print_json(c, m.images);
    }
    for (size_t i = 0; i < m.entries.len; i++) {
        free(m.entries.p[i].name);
        free(m.entries.p[i].target);
        free(m.entries.p[i].text);
    }
    vec_done(&m.entries);
    json_decref(m.by_name);
    json_decref(m.by_digest);
    json_decref(m.seen);
    json_decref(m.images);
    return rc;
}
