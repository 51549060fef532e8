/* Images that are in the registry: list, show, delete. */
#include "main/cli/cli.h"

#include <stdlib.h>
#include <string.h>

const char *image_within_project(struct cli *c, const char *name, struct err *e)
{
    size_t n = c->project ? strlen(c->project) : 0;
    const char *slash = strchr(name, '/');

    if (c->project) {
        return strncmp(name, c->project, n) == 0 && name[n] == '/' ? name + n + 1 : name;
    }
    if (slash == NULL) {
        err_set(e, ERR_INVALID, "which project? write PROJECT/%s, or -p NAME", name);
        return NULL;
    }
    free(c->spec_project);
    c->spec_project = xstrndup(name, (size_t)(slash - name));
    c->project = c->spec_project;
    return slash + 1;
}

int verb_image_list(struct cli *c, struct err *e)
{
    static const struct column repos[] = {{"REPOSITORY", "name", COLUMN_TEXT},
                                          {"TAGS", "tags", COLUMN_NUMBER},
                                          {"SIZE", "size_bytes", COLUMN_BYTES},
                                          {"CHANGED", "updated_at", COLUMN_AGE},
                                          {"PULLED", "pulled_at", COLUMN_AGE}};
    static const struct column tags[] = {
        {"TAG", "tag", COLUMN_TEXT},           {"DIGEST", "digest", COLUMN_TEXT},
        {"PLATFORM", "platform", COLUMN_TEXT}, {"SIZE", "size_bytes", COLUMN_BYTES},
        {"PUSHED", "pushed_at", COLUMN_AGE},   {"PULLED", "pulled_at", COLUMN_AGE}};
    const char *repo = cli_arg(c, 0), *label = cli_option(c, "label");
    SCOPED(freep) char *path = NULL;
    SCOPED(json_decrefp) json_t *items = NULL;

    if (repo && (repo = image_within_project(c, repo, e)) == NULL) {
        return -1;
    }
    if (c->project == NULL) {
        return err_set(e, ERR_INVALID, "which project? -p NAME, or STRATA_PROJECT");
    }
    path = repo ? xasprintf("/api/v1/projects/%s/repositories/%s/tags", url_segment(c->project),
                            url_path(repo))
                : xasprintf("/api/v1/projects/%s/repositories", url_segment(c->project));
    if (label) {
        char *all = path;

        path = xasprintf("%s?label=%s", all, url_segment(label));
        free(all);
    }
    if (list_all(c, str_of(path), &items, e) < 0) {
        return -1;
    }
    if (!print_json(c, items)) {
        table_print(
            items, repo ? tags : repos, repo ? ARRAY_LEN(tags) : ARRAY_LEN(repos),
            empty_text(c, "No images yet: docker push, skopeo copy, or strata image push."));
    }
    return 0;
}

/* "app/tool:1" -> "app/tool" and "1". `name` is as image_within_project gives it. */
static char *cut_tag(const struct cli *c, const char *name, const char **tag, struct err *e)
{
    const char *colon = strrchr(name, ':');

    if (colon == NULL || strchr(colon, '/')) {
        err_set(e, ERR_INVALID, "which tag? write %s:TAG", cli_arg(c, 0));
        return NULL;
    }
    *tag = colon + 1;
    return xstrndup(name, (size_t)(colon - name));
}

/* An image has layers, an index has the images of platforms. */
static void print_manifest(const char *name, const json_t *manifest)
{
    static const struct column columns[] = {{"DIGEST", "digest", COLUMN_TEXT},
                                            {"SIZE", "size", COLUMN_BYTES},
                                            {"TYPE", "mediaType", COLUMN_TEXT}};
    const json_t *parts = json_object_get(manifest, "manifests");

    print_safe(stdout, str_of(name));
    (void)printf("\n\n");
    table_print(parts ? parts : json_object_get(manifest, "layers"), columns, ARRAY_LEN(columns),
                "It has no layers.");
}

int verb_image_show(struct cli *c, struct err *e)
{
    const char *name = image_within_project(c, cli_arg(c, 0), e);
    const char *tag;
    SCOPED(freep) char *repo = name ? cut_tag(c, name, &tag, e) : NULL;
    SCOPED(freep) char *full = NULL;
    SCOPED(json_decrefp) json_t *manifest = NULL;

    if (repo == NULL ||
        client_call(c->client, "GET", NULL, &manifest, e, "/v2/%s/%s/manifests/%s",
                    url_segment(c->project), url_path(repo), url_segment(tag)) < 0) {
        return -1;
    }
    if (!print_json(c, manifest)) {
        full = xasprintf("%s/%s", c->project, name);
        print_manifest(full, manifest);
    }
    return 0;
}

static int delete_repository(struct cli *c, const char *name, struct err *e)
{
    if (strrchr(name, ':')) {
        return err_set(e, ERR_INVALID, "--all deletes every tag: name the repository alone");
    }
    if (ask_sure(c, e, "%s/%s goes, with all its tags.", c->project, name) < 0) {
        return -1;
    }
    return client_call(c->client, "DELETE", NULL, NULL, e, "/api/v1/projects/%s/repositories/%s",
                       url_segment(c->project), url_path(name));
}

static int delete_tag(struct cli *c, const char *name, struct err *e)
{
    const char *tag;
    SCOPED(freep) char *repo = cut_tag(c, name, &tag, e);

    return repo == NULL ? -1
                        : client_call(c->client, "DELETE", NULL, NULL, e,
                                      "/api/v1/projects/%s/repositories/%s/tags/%s",
                                      url_segment(c->project), url_path(repo), url_segment(tag));
}

int verb_image_delete(struct cli *c, struct err *e)
{
    const char *name = image_within_project(c, cli_arg(c, 0), e);

    if (name == NULL ||
        (cli_option(c, "all") ? delete_repository(c, name, e) : delete_tag(c, name, e)) < 0) {
        return -1;
    }
    print_done(c, "%s/%s is deleted.", c->project, name);
    return 0;
}
