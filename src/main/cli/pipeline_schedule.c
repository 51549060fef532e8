/* Pipelines by the clock. */
#include "main/cli/pipeline.h"

#include <stdlib.h>
#include <string.h>

static char *schedule_path(const struct cli *c)
{
    SCOPED(freep) char *at = pipeline_path(c, cli_arg(c, 0));

    return xasprintf("%s/schedule", at);
}

int verb_pipeline_schedule_set(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "cron", cli_arg(c, 1));
    SCOPED(json_decrefp) json_t *made = NULL;
    SCOPED(freep) char *path = schedule_path(c);
    const char *zone = cli_option(c, "timezone");

    if (body == NULL) {
        return err_set(e, ERR_INVALID, "the schedule must be UTF-8");
    }
    if (pipeline_read_params(c, body, e) < 0) {
        return -1;
    }
    if (zone) {
        (void)json_object_set_new(body, "timezone", json_string(zone));
    }
    if (cli_option(c, "disabled")) {
        (void)json_object_set_new(body, "enabled", json_false());
    }
    if (client_json(c->client, "PUT", str_of(path), body, &made, e) < 0) {
        return -1;
    }
    if (!print_json(c, json_object_get(made, "schedule"))) {
        (void)printf(cli_option(c, "disabled") ? "The schedule of %s is kept, and off.\n"
                                               : "%s runs by the clock.\n",
                     cli_arg(c, 0));
    }
    return 0;
}

int verb_pipeline_schedule_show(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = pipeline_path(c, cli_arg(c, 0));
    SCOPED(json_decrefp) json_t *pipeline = NULL;
    SCOPED(freep) char *params = NULL;
    const json_t *s;

    if (client_json(c->client, "GET", str_of(path), NULL, &pipeline, e) < 0) {
        return -1;
    }
    s = json_object_get(pipeline, "schedule");
    if (print_json(c, s)) {
        return 0;
    }
    if (!json_is_object(s)) {
        (void)printf("%s does not run by the clock: strata pipeline schedule set %s CRON\n",
                     cli_arg(c, 0), cli_arg(c, 0));
        return 0;
    }
    params = pipeline_params_text(json_object_get(s, "params"));
    print_facts((const char *const[]){"cron", json_text(s, "cron"), "timezone",
                                      json_text(s, "timezone"), "params", params, "state",
                                      json_is_true(json_object_get(s, "enabled")) ? "on" : "off",
                                      "by", json_text(s, "by"), NULL});
    return 0;
}

int verb_pipeline_schedule_delete(struct cli *c, struct err *e)
{
    SCOPED(freep) char *path = schedule_path(c);
    SCOPED(freep) char *done = xasprintf("%s runs by the clock no more.", cli_arg(c, 0));

    return cli_change(c, "DELETE", NULL, path, done, e);
}
