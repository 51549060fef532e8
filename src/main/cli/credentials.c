#include "main/cli/cli.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* {"current": "http://...", "servers": {"http://...": {"token": "strata_...", "id": 7}}} */
static char *credentials_path(void)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (base && base[0]) {
        return xasprintf("%s/strata/credentials.json", base);
    }
    return xasprintf("%s/.config/strata/credentials.json", home && home[0] ? home : "/root");
}

static json_t *read_all(void)
{
    SCOPED(freep) char *path = credentials_path();
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_JSON_BODY_BYTES);
    struct err ignored;
    json_t *all = NULL;

    if (fs_read(AT_FDCWD, path, &text, &ignored) == 0) {
        all = json_parse(buf_str(&text), &ignored);
    }
    if (!json_is_object(all)) {
        json_decref(all);
        all = json_object();
    }
    if (!json_is_object(json_object_get(all, "servers"))) {
        (void)json_object_set_new(all, "servers", json_object());
    }
    return all;
}

static int write_all(const json_t *all, struct err *e)
{
    SCOPED(freep) char *path = credentials_path();
    SCOPED(freep) char *text = json_dumps(all, JSON_INDENT(2));

    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (fs_mkdir(AT_FDCWD, path, 0700, e) < 0) {
            return -1;
        }
        *slash = '/';
    }
    return fs_write_atomic(AT_FDCWD, path, str_of(text), 0600, e);
}

void credentials_load(const char *server, char **found_server, char **token)
{
    SCOPED(json_decrefp) json_t *all = read_all();
    const char *name = server ? server : json_text(all, "current");
    const json_t *one = json_object_get(json_object_get(all, "servers"), name);

    *found_server = name[0] ? xstrdup(name) : NULL;
    *token = one ? xstrdup(json_text(one, "token")) : NULL;
}

int credentials_save(const char *server, const char *token, int64_t id, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = read_all();

    (void)json_object_set_new(all, "current", json_string(server));
    (void)json_object_set_new(json_object_get(all, "servers"), server,
                              json_pack("{s:s, s:I}", "token", token, "id", (json_int_t)id));
    return write_all(all, e);
}

int credentials_forget(const char *server, int64_t *id, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = read_all();

    *id = json_number(json_object_get(json_object_get(all, "servers"), server), "id");
    (void)json_object_del(json_object_get(all, "servers"), server);
    if (strcmp(json_text(all, "current"), server) == 0) {
        (void)json_object_del(all, "current");
    }
    return write_all(all, e);
}
