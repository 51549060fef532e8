#include "main/cli/cli.h"

#include <stdlib.h>
#include <string.h>

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
