/* What is done with files of scraping without a server: their check. */
#include "main/cli/cli.h"

#include "scrape/scrape.h"

/* As promtool prints it: all mistakes with their lines, those of its rule files too. 0, or how the
 * program ends. */
static int check_config(const struct cli *c, const char *path, unsigned lints, json_t *all,
                        struct err *e)
{
    json_auto_t *rules = json_array();
    struct buf report = BUF_MAX(64 * 1024);
    SCOPED(arena_done) struct arena a = {0};
    struct scrape_checked found = {0};
    int worst = scrape_check(path, &report, &a, &found, e) < 0;

    if (!(lints & LINT_INTERVALS)) {
        err_list_done(&found.slow);
    }
    if (worst == 0 && found.slow.len > 0 && cli_option(c, "lint-fatal")) {
        worst = LINT_EXIT;
    }
    if (!c->json) {
        print_safe(stdout, buf_str(&report));
        if (found.slow.len > 0) {
            (void)printf("  %zu too long scrape interval(s) found:\n", found.slow.len);
            print_mistakes(&found.slow);
        }
    }
    json_array_append_new(
        all, worst == 1 ? json_pack("{s:s, s:s}", "file", path, "mistake", e->msg)
                        : json_pack("{s:s, s:n, s:o, s:O}", "file", path, "mistake", "intervals",
                                    mistakes_json(&found.slow), "rule_files", rules));
    for (size_t i = 0; worst >= 0 && i < found.n_rules; i++) {
        int result = check_rule_file(c, found.rules[i].p, lints, rules, e);

        worst = result < 0 ? -1 : worst == 1 || result == 0 ? worst : result;
    }
    err_list_done(&found.slow);
    buf_done(&report);
    return worst;
}

int verb_metrics_check_config(struct cli *c, struct err *e)
{
    json_auto_t *all = json_array();
    unsigned lints;

    if (lints_of(c, LINT_DUPLICATES | LINT_INTERVALS, &lints, e) < 0) {
        return -1;
    }
    for (size_t i = 0; cli_arg(c, i) != NULL; i++) {
        int result = check_config(c, cli_arg(c, i), lints, all, e);

        if (result < 0) {
            return -1;
        }
        c->exit_code = result == 0 || c->exit_code == 1 ? c->exit_code : result;
    }
    (void)print_json(c, all);
    return 0;
}
