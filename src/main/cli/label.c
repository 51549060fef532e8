/* Labels: global ones, those of a project, and those of an image. */
#include "main/cli/cli.h"

#include <stdlib.h>

/* Without -p: the global ones. */
static char *labels_path(struct cli *c, const char *name)
{
    SCOPED(freep)
    char *of = c->project ? xasprintf("/api/v1/projects/%s/labels", url_segment(c->project))
                          : xstrdup("/api/v1/labels");

    return name ? xasprintf("%s/%s", of, url_segment(name)) : TAKE(of);
}

int verb_label_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"LABEL", "name", COLUMN_TEXT},
                                            {"SCOPE", "scope", COLUMN_TEXT},
                                            {"COLOR", "color", COLUMN_TEXT},
                                            {"DESCRIPTION", "description", COLUMN_TEXT}};
    SCOPED(freep) char *path = labels_path(c, NULL);

    return cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                         "No labels yet: strata label create.", e);
}

static int label_body(struct cli *c, json_t *body, struct err *e)
{
    static const char *const options[] = {"name", "description", "color"};

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *value = cli_option(c, options[i]);

        if (value && json_object_set_new(body, options[i], json_string(value)) < 0) {
            return err_set(e, ERR_INVALID, "--%s is no UTF-8", options[i]);
        }
    }
    return 0;
}

int verb_label_create(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "name", cli_arg(c, 0));
    SCOPED(freep) char *path = labels_path(c, NULL);

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the name must be UTF-8");
    }
    return label_body(c, body, e) < 0 ? -1
                                      : cli_change(c, "POST", body, path, "The label is made.", e);
}

int verb_label_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    SCOPED(freep) char *path = labels_path(c, cli_arg(c, 0));

    return label_body(c, body, e) < 0
               ? -1
               : cli_change(c, "PATCH", body, path, "The label is changed.", e);
}

int verb_label_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = labels_path(c, cli_arg(c, 0));

    return ask_sure(c, e, "The label %s goes from all images.", cli_arg(c, 0)) < 0
               ? -1
               : cli_change(c, "DELETE", NULL, path, "The label is deleted.", e);
}

/* --- of an image --- */

int verb_image_label_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"LABEL", "name", COLUMN_TEXT},
                                            {"SCOPE", "scope", COLUMN_TEXT},
                                            {"COLOR", "color", COLUMN_TEXT}};
    SCOPED(freep) char *url = image_url(c, cli_arg(c, 0), e);
    SCOPED(freep) char *path = url ? xasprintf("%s/labels", url) : NULL;

    return url == NULL ? -1
                       : cli_show_list(c, str_of(path), columns, ARRAY_LEN(columns),
                                       "The image has no labels.", e);
}

static int each_label(struct cli *c, const char *method, const char *done, struct err *e)
{
    SCOPED(freep) char *url = image_url(c, cli_arg(c, 0), e);

    if (url == NULL) {
        return -1;
    }
    for (size_t i = 1; cli_arg(c, i) != NULL; i++) {
        if (client_call(c->client, method, NULL, NULL, e, "%s/labels/%s", url,
                        url_segment(cli_arg(c, i))) < 0) {
            return err_wrap(e, "%s", cli_arg(c, i));
        }
    }
    print_done(c, "%s", done);
    return 0;
}

int verb_image_label_add(struct cli *c, struct err *e)
{
    return each_label(c, "PUT", "The image has it.", e);
}

int verb_image_label_remove(struct cli *c, struct err *e)
{
    return each_label(c, "DELETE", "The image has it no more.", e);
}
