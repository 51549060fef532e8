/* What is done with files of rules without a server: their check, and the tests written for them.
 */
#include "main/cli/cli.h"

#include "base/fs.h"
#include "base/limits.h"
#include "rules/rules.h"

#include <fcntl.h>
#include <string.h>

json_t *mistakes_json(const struct err_list *l)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->len; i++) {
        json_array_append_new(list,
                              json_pack("{s:i, s:i, s:s}", "line", (int)l->items[i].line, "column",
                                        (int)l->items[i].column, "message", l->items[i].msg));
    }
    return list;
}

void print_mistakes(const struct err_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        (void)printf(l->items[i].line > 0 ? "  line %u: " : "  ", l->items[i].line);
        print_safe(stdout, str_of(l->items[i].msg));
        (void)putchar('\n');
    }
    if (l->dropped > 0) {
        (void)printf("  and %zu more\n", l->dropped);
    }
}

static const struct {
    const char *word;
    unsigned lints;
} lint_words[] = {{"all", LINT_DUPLICATES | LINT_INTERVALS},
                  {"duplicate-rules", LINT_DUPLICATES},
                  {"too-long-scrape-interval", LINT_INTERVALS},
                  {"none", 0}};

int lints_of(const struct cli *c, unsigned known, unsigned *out, struct err *e)
{
    struct str rest = str_of(cli_option(c, "lint") ? cli_option(c, "lint") : "duplicate-rules");

    *out = 0;
    while (rest.p) {
        struct str word = str_cut(&rest, ',');
        size_t i = 0;

        while (i < ARRAY_LEN(lint_words) && !str_eq_c(word, lint_words[i].word)) {
            i++;
        }
        if (i == ARRAY_LEN(lint_words) ||
            (lint_words[i].lints != 0 && (lint_words[i].lints & known) == 0)) {
            return err_set(e, ERR_INVALID, "there is no --lint=%.*s: all, duplicate-rules%s, none",
                           STR_ARG(word),
                           known & LINT_INTERVALS ? ", too-long-scrape-interval" : "");
        }
        *out |= lint_words[i].lints & known;
        if (lint_words[i].lints == 0) {
            *out = 0;
            return 0; /* whatever else is said */
        }
    }
    return 0;
}

static int check_text(const struct cli *c, const char *path, struct str text, unsigned lints,
                      json_t *all)
{
    struct err_list errors = {0}, twice = {0};
    struct rule_file file;
    struct arena a = {0};
    size_t n = 0;
    int result = rules_parse(&a, text, &file, &errors) < 0;

    for (size_t i = 0; i < file.n_groups; i++) {
        n += file.groups[i].n_rules;
    }
    if (result == 0 && (lints & LINT_DUPLICATES) && rules_duplicates(&file, &a, &twice) > 0 &&
        cli_option(c, "lint-fatal") != NULL) {
        result = LINT_EXIT;
    }
    if (!c->json) {
        (void)printf("Checking %s\n", path);
        print_mistakes(&errors);
        if (twice.len > 0) {
            (void)printf("  %zu duplicate rule(s) found:\n", twice.len);
            print_mistakes(&twice);
        }
        if (errors.len == 0) {
            (void)printf("  SUCCESS: %zu rule%s found\n", n, n == 1 ? "" : "s");
        }
    }
    json_array_append_new(all, json_pack("{s:s, s:I, s:o, s:o}", "file", path, "rules",
                                         (json_int_t)n, "mistakes", mistakes_json(&errors),
                                         "duplicates", mistakes_json(&twice)));
    err_list_done(&errors);
    err_list_done(&twice);
    arena_done(&a);
    return result;
}

int check_rule_file(const struct cli *c, const char *path, unsigned lints, json_t *all,
                    struct err *e)
{
    struct buf text = BUF_MAX(LIMIT_SPEC_BYTES);
    int result = fs_read(AT_FDCWD, path, &text, e);

    result = result < 0 ? -1 : check_text(c, path, buf_str(&text), lints, all);
    buf_done(&text);
    return result;
}

int verb_metrics_check_rules(struct cli *c, struct err *e)
{
    json_auto_t *all = json_array();
    unsigned lints;

    if (lints_of(c, LINT_DUPLICATES, &lints, e) < 0) {
        return -1;
    }
    for (size_t i = 0; cli_arg(c, i) != NULL; i++) {
        int result = check_rule_file(c, cli_arg(c, i), lints, all, e);

        if (result < 0) {
            return -1;
        }
        c->exit_code = result == 0 || c->exit_code == 1 ? c->exit_code : result;
    }
    (void)print_json(c, all);
    return 0;
}

int verb_metrics_test(struct cli *c, struct err *e)
{
    json_auto_t *all = json_array();

    for (size_t i = 0; cli_arg(c, i) != NULL; i++) {
        const char *path = cli_arg(c, i);
        struct buf report = BUF_MAX(LIMIT_RULE_REPORT_BYTES);
        int failed = rules_test(path, &report, e);

        if (failed < 0) {
            buf_done(&report);
            return -1;
        }
        c->exit_code = failed > 0 ? 1 : c->exit_code;
        if (!c->json) {
            (void)printf("Unit Testing: %s\n", path);
            print_safe(stdout, buf_str(&report));
            (void)printf(failed > 0 ? "  %d of its tests failed\n" : "  SUCCESS\n", failed);
        }
        json_array_append_new(all, json_pack("{s:s, s:i, s:s%}", "file", path, "failed", failed,
                                             "report", report.len > 0 ? report.p : "", report.len));
        buf_done(&report);
    }
    (void)print_json(c, all);
    return 0;
}
