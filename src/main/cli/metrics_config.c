/* What is done with files of scraping without a server: their check. */
#include "main/cli/cli.h"

#include "scrape/scrape.h"

/* Each file as promtool prints it; all mistakes with their lines. */
int verb_metrics_check_config(struct cli *c, struct err *e UNUSED)
{
    json_auto_t *all = json_array();

    for (size_t i = 0; cli_arg(c, i) != NULL; i++) {
        struct buf report = BUF_MAX(64 * 1024);
        struct err why;
        int rc = scrape_check(cli_arg(c, i), &report, &why);

        if (!c->json) {
            print_safe(stdout, buf_str(&report));
        }
        c->exit_code = rc < 0 ? 1 : c->exit_code;
        json_array_append_new(
            all, rc < 0 ? json_pack("{s:s, s:s}", "file", cli_arg(c, i), "mistake", why.msg)
                        : json_pack("{s:s, s:n}", "file", cli_arg(c, i), "mistake"));
        buf_done(&report);
    }
    (void)print_json(c, all);
    return 0;
}
