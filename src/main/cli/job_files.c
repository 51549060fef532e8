#include "main/cli/cli.h"

#include <stdlib.h>

/* "volume/path", as the data verbs take it. */
static void add_places(json_t *items)
{
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        SCOPED(freep)
        char *place = xasprintf("%s/%s", json_text(item, "volume"), json_text(item, "path"));

        (void)json_object_set_new(item, "place", json_string(place));
    }
}

static void print_rest(const json_t *files)
{
    int64_t shown = (int64_t)json_array_size(json_object_get(files, "items"));
    int64_t found = json_number(files, "found");
    bool complete = json_is_true(json_object_get(files, "complete"));
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(files, "volumes"), i, v)
    {
        if (json_is_true(json_object_get(v, "gone"))) {
            (void)fprintf(stderr, "Volume %s is deleted.\n", json_text(v, "name"));
        }
    }
    if (found > shown || !complete) {
        (void)fprintf(stderr, "%lld of %s%lld files are shown.\n", (long long)shown,
                      complete ? "" : "more than ", (long long)found);
    }
}

int verb_job_files(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"FILE", "place", COLUMN_TEXT},
                                            {"SIZE", "size_bytes", COLUMN_BYTES},
                                            {"CHANGED", "changed_at", COLUMN_AGE}};
    const char *attempt = cli_option(c, "attempt"), *limit = cli_option(c, "limit");
    SCOPED(json_decrefp) json_t *files = NULL;

    if (client_call(c->client, "GET", NULL, &files, e,
                    "/api/v1/projects/%s/jobs/%s/files?limit=%s%s%s", url_segment(c->project),
                    url_segment(cli_arg(c, 0)), limit ? url_segment(limit) : "100",
                    attempt ? "&attempt=" : "", attempt ? url_segment(attempt) : "") < 0) {
        return -1;
    }
    if (!print_json(c, files)) {
        add_places(json_object_get(files, "items"));
        table_print(json_object_get(files, "items"), columns, ARRAY_LEN(columns),
                    json_array_size(json_object_get(files, "volumes")) > 0
                        ? "No file changed in its volumes."
                        : "The job may write to no volume.");
        print_rest(files);
    }
    return 0;
}
