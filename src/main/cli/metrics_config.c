/* What is done with files of scraping without a server: their check. */
#include "main/cli/cli.h"

#include "scrape/scrape.h"

/* As promtool prints it: all mistakes with their lines, those of its rule files too. 0, or how the
 * program ends. */
static int check_config(const struct cli *c, const char *path, json_t *all, struct err *e)
{
    json_auto_t *rules = json_array();
    struct buf report = BUF_MAX(64 * 1024);
    struct arena a = {0};
    struct str *files;
    size_t n = 0;
    int worst = scrape_check(path, &report, &a, &files, &n, e) < 0;

    if (!c->json) {
        print_safe(stdout, buf_str(&report));
    }
    json_array_append_new(all, worst > 0 ? json_pack("{s:s, s:s}", "file", path, "mistake", e->msg)
                                         : json_pack("{s:s, s:n, s:O}", "file", path, "mistake",
                                                     "rule_files", rules));
    for (size_t i = 0; worst >= 0 && i < n; i++) {
        int result = check_rule_file(c, files[i].p, rules, e);

        worst = result < 0 ? -1 : worst == 1 || result == 0 ? worst : result;
    }
    arena_done(&a);
    buf_done(&report);
    return worst;
}

int verb_metrics_check_config(struct cli *c, struct err *e)
{
    json_auto_t *all = json_array();

    for (size_t i = 0; cli_arg(c, i) != NULL; i++) {
        int result = check_config(c, cli_arg(c, i), all, e);

        if (result < 0) {
            return -1;
        }
        c->exit_code = result == 0 || c->exit_code == 1 ? c->exit_code : result;
    }
    (void)print_json(c, all);
    return 0;
}
