/* The trash of a project: what was deleted and can be had again. */
#include "main/cli/cli.h"

#include <stdlib.h>

int verb_trash_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"NUMBER", "id", COLUMN_NUMBER},           {"PROJECT", "project", COLUMN_TEXT},
        {"REPOSITORY", "repository", COLUMN_TEXT}, {"TAG", "tag", COLUMN_TEXT},
        {"TAGS", "tags", COLUMN_NUMBER},           {"SIZE", "size_bytes", COLUMN_BYTES},
        {"DELETED BY", "deleted_by", COLUMN_TEXT}, {"AGE", "deleted_at", COLUMN_AGE}};
    SCOPED(freep)
    char *path = c->project ? xasprintf("/api/v1/projects/%s/trash", url_segment(c->project))
                            : xstrdup("/api/v1/trash");

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns), "Nothing is in the trash.",
                         e);
}

/* Without -p of all projects, also of those that are gone: for administrators. */
static char *item_path(struct cli *c, const char *tail)
{
    return c->project ? xasprintf("/api/v1/projects/%s/trash/%s%s", url_segment(c->project),
                                  url_segment(cli_arg(c, 0)), tail)
                      : xasprintf("/api/v1/trash/%s%s", url_segment(cli_arg(c, 0)), tail);
}

int verb_trash_restore(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = item_path(c, "/restore");
    SCOPED(json_decrefp) json_t *back = NULL;
    int64_t kept, missing;

    if (client_json(c->client, "POST", str_of(path), NULL, &back, e) < 0) {
        return -1;
    }
    kept = json_number(back, "kept");
    missing = json_number(back, "missing");
    if (!print_json(c, back)) {
        print_done(c, "%s/%s is back, with %lld tag%s.", json_text(back, "project"),
                   json_text(back, "repository"), (long long)json_number(back, "tags"),
                   json_number(back, "tags") == 1 ? "" : "s");
    }
    if (kept > 0 && !c->json) {
        (void)printf("Not given back, as another image has the name by now: %lld tag%s.\n",
                     (long long)kept, kept == 1 ? "" : "s");
    }
    if (missing > 0 && !c->json) {
        (void)printf("%lld images that it lists are gone for good: push them again.\n",
                     (long long)missing);
    }
    return 0;
}

int verb_trash_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = item_path(c, "");

    return ask_sure(c, e, "%s goes for good.", cli_arg(c, 0)) < 0
               ? -1
               : cli_change(c, "DELETE", NULL, path, "It is deleted for good.", e);
}

int verb_trash_empty(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/api/v1/projects/%s/trash", url_segment(c->project));

    return ask_sure(c, e, "All that is in the trash of %s goes for good.", c->project) < 0
               ? -1
               : cli_change(c, "DELETE", NULL, path, "The trash is empty.", e);
}
