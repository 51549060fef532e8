/* The routes of volumes. Permissions are in the table at the end. */
#include "volume/volume.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/http.h"
#include "volume/archive_http.h"
#include "volume/path.h"
#include "volume/store.h"
#include "volume/upload.h"

#include <stdio.h>
#include <string.h>

#define MEASURE_MS 250       /* a request waits for figures at most so long */
#define EMPTY_TRASH_MS 30000 /* a removal waits for the disk at most so long */
#define TREE_BYTES (8 * MIB) /* 1,000 names of 255 bytes, escaped, twice */

static void buf_donep(struct buf *b)
{
    buf_done(b);
}

void volume_json_name(struct jw *w, const char *key, struct str name)
{
    SCOPED(buf_donep) struct buf raw = BUF_MAX(3 * LIMIT_VOLUME_PATH_BYTES + 8);
    char raw_key[32];

    jw_kv_str(w, key, name);
    if (volume_is_utf8(name)) {
        return;
    }
    (void)volume_percent_add(&raw, name);
    (void)snprintf(raw_key, sizeof(raw_key), "%s_raw", key);
    jw_kv_str(w, raw_key, buf_str(&raw));
}

/* --- which volume, which path --- */

static int find_volume(struct http_req *r, struct volume_info *out, struct err *e)
{
    struct volume_store *v = r->ctx;
    int64_t project_id;
    uint32_t id_base;

    if (v->hooks.project(v->hooks.ctx, r->project, &project_id, &id_base, e) < 0) {
        return -1;
    }
    return volume_row_find(v, project_id, http_path_param(r, "v"), out, e);
}

/* The volume and the path of the request; both checked. */
static int find_place(struct http_req *r, struct volume_info *out, struct str *path, struct err *e)
{
    *path = http_path_param(r, "path");
    if (path->p == NULL) {
        *path = STR_EMPTY;
    } else if (volume_path_check(*path, VOLUME_PATH_BELOW_ROOT, e) < 0) {
        return -1;
    }
    return find_volume(r, out, e);
}

/* --- volumes --- */

static void put_volume(struct jw *w, const struct volume_info *i)
{
    jw_object(w);
    jw_kv_c(w, "name", i->name);
    jw_kv_c(w, "id", i->id);
    jw_kv_time(w, "created_at", i->created_ms);
    jw_kv_i64(w, "files", i->files);
    jw_kv_i64(w, "size_bytes", i->size_bytes);
    jw_end(w);
}

static int reply_volume(struct http_req *r, int status, const struct volume_info *i, struct err *e)
{
    SCOPED(buf_donep) struct buf b = BUF_MAX(64 * KIB);
    struct jw w = JW(&b);

    put_volume(&w, i);
    return http_reply_json(r, status, &b, e);
}

static int list_volumes(struct http_req *r, struct err *e)
{
    struct volume_store *v = r->ctx;
    SCOPED(freep) struct volume_info *rows = NULL;
    SCOPED(buf_donep) struct buf b = BUF_MAX(MIB);
    struct jw w = JW(&b);
    struct str after = http_query(r, "after"), q;
    int64_t project_id, limit, deadline = clock_mono_ms() + MEASURE_MS;
    uint32_t id_base;
    size_t n;

    if (http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &limit, e) < 0 ||
        http_query_filter(r, &q, e) < 0 ||
        v->hooks.project(v->hooks.ctx, r->project, &project_id, &id_base, e) < 0 ||
        volume_row_list(v, project_id, q, after.p ? after : STR_EMPTY, limit + 1, &rows, &n, e) <
            0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    for (size_t i = 0; i < n && i < (size_t)limit; i++) {
        volume_measure(v, &rows[i], deadline);
        put_volume(&w, &rows[i]);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", n > (size_t)limit ? rows[limit - 1].name : NULL);
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}

static int make_volume(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name"};
    struct volume_store *v = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct volume_info i;
    struct str name = STR_EMPTY;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_need_str(body, "name", &name, e) < 0 ||
        volume_create(v, r->project, name, &i, e) < 0) {
        return -1;
    }
    return reply_volume(r, 201, &i, e);
}

static int show_volume(struct http_req *r, struct err *e)
{
    struct volume_info i;

    if (find_volume(r, &i, e) < 0) {
        return -1;
    }
    volume_measure(r->ctx, &i, clock_mono_ms() + MEASURE_MS);
    return reply_volume(r, 200, &i, e);
}

static int delete_volume(struct http_req *r, struct err *e)
{
    struct volume_info i;

    if (find_volume(r, &i, e) < 0 || volume_delete(r->ctx, r->project, &i, e) < 0) {
        return -1;
    }
    return http_reply_empty(r, 204, e);
}

/* --- tree --- */

static void put_row(struct jw *w, const struct volume_row *row)
{
    static const char *const types[VOLUME_FILE_TYPES] = {[VOLUME_FILE] = "file",
                                                         [VOLUME_DIR] = "dir",
                                                         [VOLUME_LINK] = "link",
                                                         [VOLUME_OTHER] = "other"};
    char mode[8];

    (void)snprintf(mode, sizeof(mode), "%04o", row->file.mode);
    jw_object(w);
    volume_json_name(w, "name", row->name);
    jw_kv_c(w, "type", types[row->file.type]);
    jw_kv_i64(w, "size_bytes", (int64_t)row->file.size_bytes);
    jw_kv_time(w, "modified_at", row->file.modified_ns / 1000000);
    jw_kv_c(w, "mode", mode);
    jw_end(w);
}

/* A page, of one or several packets. */
struct page {
    struct jw *w;
    int64_t left;
    unsigned flags; /* VOLUME_BY_*, VOLUME_DESC */
    struct str words;
    char last[256]; /* name of the last row */
    int64_t key;    /* what it is sorted by, when that is not the name alone */
    bool more;
};

static int put_rows(struct page *p, struct str rows, struct err *e)
{
    struct volume_row row;
    int rc;

    while ((rc = volume_row_next(&rows, &row, e)) > 0) {
        put_row(p->w, &row);
        p->left--;
        p->key = p->flags & VOLUME_BY_SIZE   ? (int64_t)row.file.size_bytes
                 : p->flags & VOLUME_BY_TIME ? row.file.modified_ns
                                             : 0;
        if (str_copy(row.name, p->last, sizeof(p->last)) < 0) {
            return err_set(e, ERR_INTERNAL, "the files agent sent a name that is too long");
        }
    }
    return rc;
}

static int put_page(struct volume_store *v, const struct volume_info *i, struct str path,
                    struct page *p, struct err *e)
{
    SCOPED(buf_donep) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);

    do {
        struct volume_request q = {.op = VOLUME_AGENT_LIST,
                                   .flags = p->flags,
                                   .number = (uint64_t)p->left,
                                   .path = path,
                                   .other = str_of(p->last),
                                   .key = p->key,
                                   .words = p->words};
        struct volume_reply reply;

        if (volume_ask(v, i, &q, &packet, &reply, NULL, e) < 0 || put_rows(p, reply.rows, e) < 0) {
            return -1;
        }
        p->more = (reply.flags & VOLUME_MORE) != 0 && reply.rows.len > 0;
    } while (p->more && p->left > 0);
    return 0;
}

/* ?sort= and ?desc= */
static int read_sort(struct http_req *r, unsigned *flags, struct err *e)
{
    static const struct {
        const char *name;
        unsigned flags;
    } sorts[] = {{"name", 0}, {"size", VOLUME_BY_SIZE}, {"time", VOLUME_BY_TIME}};
    struct str sort = http_query(r, "sort"), desc = http_query(r, "desc");

    *flags = desc.p && str_eq_c(desc, "1") ? VOLUME_DESC : 0;
    if (sort.p == NULL) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
        if (str_eq_c(sort, sorts[i].name)) {
            *flags |= sorts[i].flags;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "?sort= is name, size or time");
}

#define KEY_BYTES 8

/* The cursor is the last name in base64url: names may be any bytes. Before it stands what it is
 * sorted by, when that is not the name. */
static int write_cursor(const struct page *p, struct buf *out)
{
    SCOPED(buf_donep) struct buf b = BUF_MAX(KEY_BYTES + 256);
    char key[KEY_BYTES];

    for (int i = 0; i < KEY_BYTES; i++) {
        key[i] = (char)((uint64_t)p->key >> (56 - 8 * i));
    }
    if (p->flags & (VOLUME_BY_SIZE | VOLUME_BY_TIME)) {
        (void)buf_add(&b, str_n(key, KEY_BYTES));
    }
    (void)buf_add_c(&b, p->last);
    return base64url_add(out, buf_str(&b));
}

static int read_cursor(struct http_req *r, struct page *p, struct err *e)
{
    SCOPED(buf_donep) struct buf b = BUF_MAX(KEY_BYTES + 256);
    struct str after = http_query(r, "after"), name;
    size_t key_len = p->flags & (VOLUME_BY_SIZE | VOLUME_BY_TIME) ? KEY_BYTES : 0;
    uint64_t key = 0;

    if (after.p == NULL) {
        return 0;
    }
    if (base64url_decode(after, &b) < 0 || b.len < key_len) {
        return err_set(e, ERR_INVALID, "?after= is not a cursor of an earlier answer");
    }
    for (size_t i = 0; i < key_len; i++) {
        key = key << 8 | (unsigned char)b.p[i];
    }
    p->key = (int64_t)key;
    name = str_from(buf_str(&b), key_len);
    return str_copy(name, p->last, sizeof(p->last)) < 0 || (key_len > 0 && name.len == 0)
               ? err_set(e, ERR_INVALID, "?after= is not a cursor of an earlier answer")
               : 0;
}

static int show_tree(struct http_req *r, struct err *e)
{
    SCOPED(buf_donep) struct buf b = BUF_MAX(TREE_BYTES);
    SCOPED(buf_donep) struct buf cursor = BUF_MAX(512);
    struct jw w = JW(&b);
    struct page page = {.w = &w};
    struct volume_info i;
    struct str path;

    if (http_query_i64(r, "limit", 100, 1, LIMIT_LIST_ROWS, &page.left, e) < 0 ||
        http_query_filter(r, &page.words, e) < 0 || read_sort(r, &page.flags, e) < 0 ||
        read_cursor(r, &page, e) < 0 || find_place(r, &i, &path, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    if (put_page(r->ctx, &i, path, &page, e) < 0) {
        return -1;
    }
    jw_end(&w);
    if (page.more) {
        (void)write_cursor(&page, &cursor);
    }
    jw_kv_c(&w, "next", page.more ? buf_str(&cursor).p : NULL);
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}

/* --- files --- */

/* Nothing that a browser would run: HTML, SVG and XML are bytes like any others. */
static const char *type_of(struct str name)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".txt", "text/plain; charset=utf-8"},
        {".log", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".csv", "text/csv; charset=utf-8"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_ends(name, str_of(types[i].suffix))) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static int reply_bytes(struct http_req *r, struct str path, const struct volume_file *file, int fd,
                       struct err *e)
{
    struct str name = str_from(path, (size_t)(str_rfind_char(path, '/') + 1));
    struct http_file f = {
        .fd = fd,
        .size_bytes = (int64_t)file->size_bytes,
        .type = type_of(name),
        .etag = arena_printf(&r->arena, "\"%llx-%llx-%llx-%llx\"", (unsigned long long)file->inode,
                             (unsigned long long)file->size_bytes,
                             (unsigned long long)file->modified_ns,
                             (unsigned long long)file->changed_ns),
        .modified_ms = file->modified_ns / 1000000,
        .filename = arena_strdup(&r->arena, name),
    };

    return http_reply_file(r, &f, e);
}

static int reply_offset(struct http_req *r, const struct volume_info *i, struct str path,
                        struct err *e)
{
    int64_t offset;

    if (r->method != HTTP_HEAD) {
        return err_set(e, ERR_INVALID,
                       "an unfinished upload cannot be read; HEAD tells its offset");
    }
    if (volume_upload_offset(r->ctx, i, path, http_query(r, "upload"), &offset, e) < 0) {
        return -1;
    }
    http_set_header(r, "Upload-Offset", "%lld", (long long)offset);
    http_set_header(r, "Cache-Control", "no-store");
    return http_reply_empty(r, 200, e);
}

static int read_file(struct http_req *r, struct err *e)
{
    SCOPED(buf_donep) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    SCOPED(closep) int fd = -1;
    struct volume_request q = {.op = VOLUME_AGENT_OPEN_READ, .other = STR_EMPTY};
    struct volume_reply reply;
    struct volume_info i;

    if (find_place(r, &i, &q.path, e) < 0) {
        return -1;
    }
    if (http_query(r, "upload").p != NULL) {
        return reply_offset(r, &i, q.path, e);
    }
    if (volume_ask(r->ctx, &i, &q, &packet, &reply, &fd, e) < 0) {
        return -1;
    }
    if (fd < 0) {
        return err_set(e, ERR_INTERNAL, "the files agent sent no descriptor");
    }
    return reply_bytes(r, q.path, &reply.file, fd, e);
}

static int send_archive(struct http_req *r, struct err *e)
{
    struct volume_info i;
    struct str path;

    return find_place(r, &i, &path, e) < 0 ? -1 : volume_archive_send(r->ctx, &i, path, r, e);
}

static int write_file(struct http_req *r, struct err *e)
{
    struct volume_info i;
    struct str path;

    return find_place(r, &i, &path, e) < 0 ? -1 : volume_upload_put(r->ctx, &i, path, r, e);
}

static int remove_file(struct http_req *r, struct err *e)
{
    SCOPED(buf_donep) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_request q = {.op = VOLUME_AGENT_REMOVE, .other = STR_EMPTY};
    struct str upload = http_query(r, "upload"), recursive = http_query(r, "recursive");
    struct volume_reply reply;
    struct volume_info i;

    if (find_place(r, &i, &q.path, e) < 0) {
        return -1;
    }
    if (upload.p != NULL) {
        return volume_upload_drop(r->ctx, &i, q.path, upload, e) < 0 ? -1
                                                                     : http_reply_empty(r, 204, e);
    }
    q.flags = recursive.p && str_eq_c(recursive, "1") ? VOLUME_RECURSIVE : 0;
    if (volume_ask(r->ctx, &i, &q, &packet, &reply, NULL, e) < 0) {
        return -1;
    }
    volume_changed(r->ctx, r->project, &i);
    if (reply.flags & VOLUME_MORE &&
        volume_empty_trash(r->ctx, &i, clock_mono_ms() + EMPTY_TRASH_MS, e) < 0) {
        return err_wrap(e, "the directory is gone from the volume, its space is not yet free");
    }
    return http_reply_empty(r, 204, e);
}

static int make_dir(struct http_req *r, struct err *e)
{
    SCOPED(buf_donep) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    SCOPED(buf_donep) struct buf b = BUF_MAX(64 * KIB);
    struct volume_request q = {.op = VOLUME_AGENT_MAKE_DIR, .other = STR_EMPTY};
    struct volume_reply reply;
    struct volume_info i;
    struct jw w = JW(&b);

    if (find_place(r, &i, &q.path, e) < 0 ||
        volume_ask(r->ctx, &i, &q, &packet, &reply, NULL, e) < 0) {
        return -1;
    }
    if (reply.flags & VOLUME_CREATED) {
        volume_changed(r->ctx, r->project, &i);
    }
    jw_object(&w);
    volume_json_name(&w, "path", q.path);
    jw_end(&w);
    return http_reply_json(r, reply.flags & VOLUME_CREATED ? 201 : 200, &b, e);
}

/* "from" as it is, or "from_raw" percent-encoded for names that are no UTF-8. In the arena. */
static int get_path(struct http_req *r, const json_t *body, const char *key, struct str *out,
                    struct err *e)
{
    SCOPED(buf_donep) struct buf decoded = BUF_MAX(LIMIT_VOLUME_PATH_BYTES);
    struct str raw = {NULL, 0};
    char raw_key[16];

    (void)snprintf(raw_key, sizeof(raw_key), "%s_raw", key);
    if (json_get_str(body, raw_key, &raw, e) < 0) {
        return -1;
    }
    if (raw.p == NULL) {
        if (json_need_str(body, key, out, e) < 0) {
            return -1;
        }
    } else {
        if (volume_percent_decode(raw, &decoded, e) < 0) {
            return err_wrap(e, "%s", raw_key);
        }
        *out = arena_str(&r->arena, buf_str(&decoded));
    }
    return volume_path_check(*out, VOLUME_PATH_BELOW_ROOT, e) < 0 ? err_wrap(e, "%s", key) : 0;
}

static int rename_file(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"from", "to", "from_raw", "to_raw", "replace"};
    SCOPED(buf_donep) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    SCOPED(json_decrefp) json_t *body = NULL;
    struct volume_request q = {.op = VOLUME_AGENT_RENAME};
    struct volume_reply reply;
    struct volume_info i;
    bool replace = false;

    if (http_body_json(r, &body, e) < 0 || json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        get_path(r, body, "from", &q.path, e) < 0 || get_path(r, body, "to", &q.other, e) < 0 ||
        json_get_bool(body, "replace", &replace, e) < 0 || find_volume(r, &i, e) < 0) {
        return -1;
    }
    q.flags = VOLUME_OF_USER | (replace ? VOLUME_REPLACE : 0U);
    if (volume_ask(r->ctx, &i, &q, &packet, &reply, NULL, e) < 0) {
        return -1;
    }
    volume_changed(r->ctx, r->project, &i);
    return http_reply_empty(r, 204, e);
}

#define VOLUMES "/api/v1/projects/{p}/volumes"

const struct route volume_routes[] = {
    {HTTP_GET, VOLUMES, PERM_VOLUME_READ, list_volumes, "Volumes of a project, by name.",
     .query = "q limit after", .gives = "200 [Volume]"},
    {HTTP_POST, VOLUMES, PERM_VOLUME_MANAGE, make_volume, "Makes a volume.", .takes = "VolumeNew",
     .gives = "201 Volume"},
    {HTTP_GET, VOLUMES "/{v}", PERM_VOLUME_READ, show_volume, "A volume with its size.",
     .gives = "200 Volume"},
    {HTTP_DELETE, VOLUMES "/{v}", PERM_VOLUME_MANAGE, delete_volume,
     "Deletes a volume and all that is in it.", .gives = "204"},
    {HTTP_GET, VOLUMES "/{v}/tree", PERM_VOLUME_READ, show_tree, "Entries of the root directory.",
     .query = "q sort desc limit after", .gives = "200 [TreeEntry]"},
    {HTTP_GET, VOLUMES "/{v}/tree/{path...}", PERM_VOLUME_READ, show_tree,
     "Entries of a directory, by name, size or time.", .query = "q sort desc limit after",
     .gives = "200 [TreeEntry]"},
    {HTTP_GET, VOLUMES "/{v}/archive", PERM_VOLUME_READ, send_archive,
     "Everything in the volume as a tar.", .gives = "200 application/x-tar"},
    {HTTP_GET, VOLUMES "/{v}/archive/{path...}", PERM_VOLUME_READ, send_archive,
     "Everything in a folder as a tar.", .gives = "200 application/x-tar"},
    {HTTP_GET, VOLUMES "/{v}/files/{path...}", PERM_VOLUME_READ, read_file,
     "Bytes of a file; with HEAD and ?upload=ID, how far an upload is.", .query = "upload",
     .gives = "200 */*, 206 */*"},
    {HTTP_PUT, VOLUMES "/{v}/files/{path...}", PERM_VOLUME_WRITE, write_file,
     "Writes a file, whole or with ?upload=ID in parts.", .query = "upload",
     .takes = "application/octet-stream", .gives = "200 FileWritten, 201 FileWritten, 202"},
    {HTTP_DELETE, VOLUMES "/{v}/files/{path...}", PERM_VOLUME_WRITE, remove_file,
     "Removes a file, a directory with ?recursive=1, or an unfinished upload with ?upload=ID.",
     .query = "recursive upload", .gives = "204"},
    {HTTP_POST, VOLUMES "/{v}/dirs/{path...}", PERM_VOLUME_WRITE, make_dir,
     "Makes a directory and its parents.", .gives = "200 DirMade, 201 DirMade"},
    {HTTP_POST, VOLUMES "/{v}/rename", PERM_VOLUME_WRITE, rename_file,
     "Renames a file or directory.", .takes = "Rename", .gives = "204"},
    {0},
};

/* name_raw, path_raw, from_raw, to_raw: percent-encoded, for names that are no UTF-8. */
const struct http_schema volume_schemas[] = {
    {"Volume", "{name: string, id: string, created_at: time, files: integer, size_bytes: integer}"},
    {"VolumeNew", "{name: string}"},
    {"VolumeEvent", "{project: string, name: string, action: 'created' | 'deleted' | 'changed'}"},
    {"TreeEntry", "{name: string, name_raw?: string, type: 'file' | 'dir' | 'link' | 'other',"
                  " size_bytes: integer, modified_at: time | null, mode: string}"},
    {"FileWritten", "{path: string, path_raw?: string, size_bytes: integer, sha256: string}"},
    {"DirMade", "{path: string, path_raw?: string}"},
    {"Rename", "{from?: string, from_raw?: string, to?: string, to_raw?: string,"
               " replace?: boolean}"},
    {0},
};
