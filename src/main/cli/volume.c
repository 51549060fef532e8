#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int verb_volume_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "name", cli_arg(c, 0));
    SCOPED(json_decrefp) json_t *made = NULL;
    int rc = client_call(c->client, "POST", body, &made, e, "/api/v1/projects/%s/volumes",
                         url_segment(c->project));

    if (rc < 0 && e->kind == ERR_CONFLICT && cli_option(c, "if-missing")) {
        print_done(c, "Volume %s is there already.", cli_arg(c, 0));
        return 0;
    }
    if (rc == 0 && !print_json(c, made)) {
        (void)printf("Volume %s made. Put files in: strata data put FILE %s/ -p %s\n",
                     cli_arg(c, 0), cli_arg(c, 0), c->project);
    }
    return rc;
}

int verb_volume_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"FILES", "files", COLUMN_NUMBER},
                                            {"SIZE", "size_bytes", COLUMN_BYTES},
                                            {"AGE", "created_at", COLUMN_AGE}};
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/volumes", url_segment(c->project));
    SCOPED(json_decrefp) json_t *items = NULL;

    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(items, columns, ARRAY_LEN(columns),
                    empty_text(c, "No volumes yet: strata volume create NAME makes one."));
    }
    return 0;
}

int verb_volume_delete(struct cli *c, struct err *e)
{
    if (ask_sure(c, e, "Volume %s goes, with all its files.", cli_arg(c, 0)) < 0 ||
        client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/volumes/%s",
                    url_segment(c->project), url_segment(cli_arg(c, 0))) < 0) {
        return -1;
    }
    print_done(c, "Volume %s is deleted.", cli_arg(c, 0));
    return 0;
}

/* --- files --- */

int place_split(const char *place, char **volume, const char **path, struct err *e)
{
    const char *slash = strchr(place, '/');

    if (place[0] == '\0' || slash == place) {
        return err_set(e, ERR_INVALID, "'%s': write VOLUME/PATH", place);
    }
    *volume = slash ? xstrndup(place, (size_t)(slash - place)) : xstrdup(place);
    *path = slash ? slash + 1 : "";
    return 0;
}

char *place_url(const struct cli *c, const char *volume, const char *what, const char *path)
{
    return xasprintf("/api/v1/projects/%s/volumes/%s/%s%s%s", url_segment(c->project),
                     url_segment(volume), what, path[0] ? "/" : "", url_path(path));
}

int verb_data_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"TYPE", "type", COLUMN_TEXT},
                                            {"SIZE", "size_bytes", COLUMN_BYTES},
                                            {"CHANGED", "modified_at", COLUMN_AGE}};
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *url = NULL;
    SCOPED(json_decrefp) json_t *items = NULL;
    const char *path;

    if (place_split(cli_arg(c, 0), &volume, &path, e) < 0) {
        return -1;
    }
    url = place_url(c, volume, "tree", path);
    if (list_all(c, str_of(url), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(
            items, columns, ARRAY_LEN(columns),
            empty_text(c, "Nothing here yet: strata data put FILE VOLUME/ uploads a file."));
    }
    return 0;
}

int verb_data_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *url = NULL;
    const char *path;

    if (place_split(cli_arg(c, 0), &volume, &path, e) < 0) {
        return -1;
    }
    url = place_url(c, volume, "files", path);
    if (client_call(c->client, "DELETE", NULL, NULL, e, "%s%s", url,
                    cli_option(c, "recursive") ? "?recursive=1" : "") < 0) {
        return -1;
    }
    print_done(c, "%s is deleted.", cli_arg(c, 0));
    return 0;
}

int verb_data_mkdir(struct cli *c, struct err *e)
{
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *url = NULL;
    const char *path;

    if (place_split(cli_arg(c, 0), &volume, &path, e) < 0) {
        return -1;
    }
    if (path[0] == '\0') {
        return err_set(e, ERR_INVALID, "'%s' names no folder: write VOLUME/PATH", cli_arg(c, 0));
    }
    url = place_url(c, volume, "dirs", path);
    if (client_call(c->client, "POST", NULL, NULL, e, "%s", url) < 0) {
        return -1;
    }
    print_done(c, "%s is there.", cli_arg(c, 0));
    return 0;
}

int verb_data_move(struct cli *c, struct err *e)
{
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *other = NULL;
    SCOPED(json_decrefp) json_t *body = NULL;
    const char *from, *to;

    if (place_split(cli_arg(c, 0), &volume, &from, e) < 0 ||
        place_split(cli_arg(c, 1), &other, &to, e) < 0) {
        return -1;
    }
    if (strcmp(volume, other) != 0) {
        return err_set(e, ERR_INVALID, "from %s to %s: files move within one volume", volume,
                       other);
    }
    body = json_pack("{s:s, s:s, s:b}", "from", from, "to", to, "replace",
                     cli_option(c, "replace") != NULL);
    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the names must be UTF-8");
    }
    if (client_call(c->client, "POST", body, NULL, e, "/api/v1/projects/%s/volumes/%s/rename",
                    url_segment(c->project), url_segment(volume)) < 0) {
        return -1;
    }
    print_done(c, "%s is %s now.", cli_arg(c, 0), cli_arg(c, 1));
    return 0;
}

enum { UPLOAD_TRIES = 8, RETRY_MS = 1000 };

struct upload {
    struct cli *c;
    const char *url;
    int fd;
    int64_t size;
    char id[25];
    bool began; /* the server has taken bytes: worth waiting for */
    struct meter progress;
};

static void upload_moved(void *ctx, int64_t done, int64_t total)
{
    struct upload *u = ctx;

    u->began |= done > 0;
    meter_bytes(&u->progress, done, total);
}

/* What the server has of this upload; 0 when it knows none. */
static int ask_offset(struct upload *u, int64_t *offset, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(freep) char *path = xasprintf("%s?upload=%s", u->url, u->id);
    struct client_request q = {.method = "HEAD", .path = str_of(path)};
    uint64_t n = 0;

    if (client_send(u->c->client, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    if (a.upload_offset[0] && (str_to_u64(str_of(a.upload_offset), &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "the server sent a wrong Upload-Offset");
    }
    if ((int64_t)n >= u->size) { /* all bytes came, the end did not: nothing is left to send */
        random_name(u->id, 24);
        n = 0;
    }
    *offset = (int64_t)n;
    return 0;
}

/* Worth another try: the server is away or stuck, or has more bytes than we knew. */
static bool may_go_on(const struct client_answer *a)
{
    return a->status == 503 || a->status == 408 || (a->status == 409 && a->upload_offset[0]);
}

static int send_from(struct upload *u, int64_t offset, struct client_answer *a, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("%s?upload=%s", u->url, u->id);
    SCOPED(freep)
    char *range = xasprintf("Content-Range: bytes %lld-%lld/%lld", (long long)offset,
                            (long long)u->size - 1, (long long)u->size);
    struct client_request q = {.method = "PUT",
                               .path = str_of(u->size > 0 ? path : u->url),
                               .type = "application/octet-stream",
                               .body_fd = u->fd,
                               .body_length = u->size - offset,
                               .headers = {u->size > 0 ? range : NULL},
                               .progress = upload_moved,
                               .ctx = u};

    if (lseek(u->fd, offset, SEEK_SET) < 0) {
        return err_sys(e, "seek");
    }
    u->progress.base_bytes = offset;
    return client_send(u->c->client, &q, a, e);
}

/* A connection that breaks is taken up again where the server stopped. */
static int upload_file(struct upload *u, json_t **out, struct err *e)
{
    int64_t offset = 0;

    for (int tries = 0;; tries++) {
        SCOPED(client_answer_done) struct client_answer a = {0};

        if (tries > 0 && ask_offset(u, &offset, e) < 0) {
            /* still away: the wait below and the next try */
        } else if (send_from(u, offset, &a, e) == 0) {
            if (a.status >= 400 && !may_go_on(&a)) {
                return client_error(&a, e);
            }
            u->began |= may_go_on(&a);
            if (a.status < 400) {
                *out = json_parse(buf_str(&a.body), e);
                return *out ? 0 : -1;
            }
            (void)client_error(&a, e);
        }
        if (tries == UPLOAD_TRIES || !u->began) {
            return tries > 0 ? err_wrap(e, "gave up after %d tries", tries) : -1;
        }
        if (u->progress.on_terminal) {
            (void)fputc('\n', stderr);
        }
        print_safe(stderr, str_of(e->msg));
        (void)fprintf(stderr, "; going on in a moment\n");
        (void)usleep(RETRY_MS * 1000);
    }
}

static int put_one(struct cli *c, const char *local, const char *place, json_t **out, struct err *e)
{
    struct upload u = {.c = c, .fd = -1};
    SCOPED(closep) int fd = open(local, O_RDONLY | O_CLOEXEC);
    SCOPED(freep) char *volume = NULL;
    SCOPED(freep) char *url = NULL;
    SCOPED(freep) char *full = NULL;
    const char *base = strrchr(local, '/');
    const char *path;
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "%s", local);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s is no file: give files one by one", local);
    }
    if (place_split(place, &volume, &path, e) < 0) {
        return -1;
    }
    base = base ? base + 1 : local;
    full = path[0] == '\0' || path[strlen(path) - 1] == '/' ? xasprintf("%s%s", path, base)
                                                            : xstrdup(path);
    url = place_url(c, volume, "files", full);
    u.url = url;
    u.fd = fd;
    u.size = st.st_size;
    random_name(u.id, 24);
    meter_begin(&u.progress, base);
    rc = upload_file(&u, out, e);
    meter_end(&u.progress);
    return rc < 0 ? err_wrap(e, "%s", local) : 0;
}

int verb_data_put(struct cli *c, struct err *e)
{
    const char *place = cli_arg(c, c->args.len - 1);
    SCOPED(json_decrefp) json_t *all = json_array();

    if (c->args.len > 2 && strchr(place, '/') && place[strlen(place) - 1] != '/') {
        return err_set(e, ERR_INVALID, "several files go into a folder: write %s/", place);
    }
    for (size_t i = 0; i + 1 < c->args.len; i++) {
        json_t *one = NULL;

        if (put_one(c, cli_arg(c, i), place, &one, e) < 0) {
            return -1;
        }
        (void)json_array_append_new(all, one);
        if (!c->json) {
            char size[16];

            (void)printf("%s -> %.*s/%s (%s, sha256 %.12s...)\n", cli_arg(c, i),
                         (int)strcspn(place, "/"), place, json_text(one, "path"),
                         str_format_bytes(json_number(one, "size_bytes"), size),
                         json_text(one, "sha256"));
        }
    }
    (void)print_json(c, all);
    return 0;
}
