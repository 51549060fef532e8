/* Verbs about this machine and this program; none needs a server. */
#include "main/cli/cli.h"

#include "main/main_priv.h"
#include "main/openapi.h"
#include "net/http.h"
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The caller frees o->set. */
static void up_options(struct cli *c, struct up_options *o)
{
    VEC(const char *) set = {0};
    const char *one;

    for (size_t i = 0; (one = cli_option_nth(c, "set", i)); i++) {
        *vec_push(&set) = one;
    }
    *o = (struct up_options){.state_dir = cli_option(c, "state"),
                             .config = cli_option(c, "config"),
                             .listen = cli_option(c, "listen"),
                             .set = set.p,
                             .n_set = set.len};
}

int verb_up(struct cli *c, struct err *e UNUSED)
{
    struct up_options o;

    up_options(c, &o);
    o.reset_admin = cli_option(c, "reset-admin") != NULL;
    c->exit_code = up_run(&o);
    free((void *)o.set);
    return 0;
}

int verb_config(struct cli *c, struct err *e)
{
    SCOPED(cfg_freep) struct cfg *cfg = NULL;
    SCOPED(buf_done) struct buf text = BUF_MAX(1024 * 1024);
    struct up_options o;
    int rc;

    up_options(c, &o);
    rc = up_load_config(&o, &cfg, e);
    free((void *)o.set);
    if (rc < 0) {
        return -1;
    }
    cfg_print(cfg, &text);
    (void)fputs(text.p, stdout);
    return 0;
}

/* --- doctor --- */

struct doctor {
    json_t *rows;
};

static void add_row(void *ctx, const char *check, enum doctor_level level, const char *found,
                    const char *mend)
{
    static const char *const names[] = {"ok", "mended", "warn", "fail"};
    struct doctor *d = ctx;

    (void)json_array_append_new(d->rows, json_pack("{s:s, s:s, s:s, s:s}", "check", check, "level",
                                                   names[level], "found", found, "mend", mend));
}

static void print_row(const json_t *row)
{
    static const char *const marks[][2] = {
        {"ok", "\033[32m✓"}, {"mended", "\033[36m✓"}, {"warn", "\033[33m!"}, {"fail", "\033[31m✗"}};
    bool colour = isatty(STDOUT_FILENO) == 1;

    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (strcmp(json_text(row, "level"), marks[i][0]) == 0) {
            (void)printf("%s%s %-18s %s\n", colour ? marks[i][1] : marks[i][1] + 5,
                         colour ? "\033[0m" : "", json_text(row, "check"), json_text(row, "found"));
        }
    }
    if (json_text(row, "mend")[0]) {
        (void)printf("  -> %s\n", json_text(row, "mend"));
    }
}

int verb_doctor(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *rows = json_array();
    struct doctor d = {rows};
    const char *state = cli_option(c, "state");
    size_t i;
    const json_t *row;
    int failed;

    if (geteuid() != 0) {
        return err_set(e, ERR_FORBIDDEN, "the checks need root: sudo strata doctor");
    }
    /* The checks try the file system of the state directory; before the first start, of its parent.
     */
    if (chdir(state ? state : STRATA_DEFAULT_STATE) < 0 && chdir("/var/lib") < 0) {
        return err_sys(e, "enter the state directory");
    }
    failed = runtime_doctor(cli_option(c, "mend") ? DOCTOR_MEND : DOCTOR_LOOK, add_row, &d);
    c->exit_code = failed > 0 ? err_exit_code(ERR_UNAVAILABLE) : 0;
    if (print_json(c, rows)) {
        return 0;
    }
    json_array_foreach(rows, i, row)
    {
        print_row(row);
    }
    (void)printf(failed > 0 ? "%d to mend before containers run here.\n" : "This host is ready.\n",
                 failed);
    return 0;
}

int verb_version(struct cli *c, struct err *e UNUSED)
{
    (void)printf(c->json ? "{\"version\": \"%s\", \"commit\": \"%s\"}\n" : "strata %s (%s)\n",
                 STRATA_VERSION, STRATA_COMMIT);
    return 0;
}

static bool is_group(struct str word)
{
    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        struct str rest = str_of(v->words);

        if (str_eq(str_cut(&rest, ' '), word)) {
            return true;
        }
    }
    return false;
}

static int help_json(struct cli *c)
{
    SCOPED(json_decrefp) json_t *all = json_array();

    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        json_t *options = json_array();

        for (const struct cli_option *o = v->options; o && o->name; o++) {
            (void)json_array_append_new(options, json_pack("{s:s, s:s?, s:s}", "name", o->name,
                                                           "value", o->value, "help", o->help));
        }
        (void)json_array_append_new(all,
                                    json_pack("{s:s, s:s, s:s, s:o}", "command", v->words, "args",
                                              v->args, "summary", v->summary, "options", options));
    }
    (void)print_json(c, all);
    return 0;
}

int verb_help(struct cli *c, struct err *e)
{
    SCOPED(buf_done) struct buf words = BUF_MAX(4096);

    if (c->json) {
        return help_json(c);
    }

    for (size_t i = 0; i < c->args.len; i++) {
        buf_printf(&words, "%s%s", i ? " " : "", c->args.p[i]);
    }
    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        if (words.len > 0 && str_eq_c(buf_str(&words), v->words)) {
            cli_help(stdout, v);
            return 0;
        }
    }
    if (words.len > 0 && !is_group(buf_str(&words))) {
        return err_set(e, ERR_NOT_FOUND, "there is no command '%.60s'; strata help lists them all",
                       words.p);
    }
    cli_help_group(stdout, buf_str(&words));
    return 0;
}

int verb_man(struct cli *c UNUSED, struct err *e UNUSED)
{
    cli_man(stdout);
    return 0;
}

int verb_completion(struct cli *c, struct err *e)
{
    return cli_completion(stdout, cli_arg(c, 0), e);
}

int verb_debug_routes(struct cli *c, struct err *e UNUSED)
{
    static const struct column columns[] = {{"METHOD", "method", COLUMN_TEXT},
                                            {"PATH", "path", COLUMN_TEXT},
                                            {"PERMISSION", "permission", COLUMN_TEXT},
                                            {"WHAT", "summary", COLUMN_TEXT}};
    SCOPED(json_decrefp) json_t *rows = json_array();

    for (const struct openapi_part *p = openapi_parts; p->routes; p++) {
        for (const struct route *r = p->routes; r->pattern; r++) {
            json_t *row =
                json_pack("{s:s, s:s, s:s, s:s}", "method", http_method_name(r->method), "path",
                          r->pattern, "permission", perm_name(r->perm), "summary", r->summary);

            if (r->also != PERM_PUBLIC) {
                (void)json_object_set_new(row, "also", json_string(perm_name(r->also)));
            }
            (void)json_array_append_new(rows, row);
        }
    }
    if (!print_json(c, rows)) {
        table_print(rows, columns, ARRAY_LEN(columns), "");
    }
    return 0;
}

int verb_debug_openapi(struct cli *c UNUSED, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(1024 * 1024);

    if (openapi_write(&text, e) < 0) {
        return -1;
    }
    (void)puts(text.p);
    return 0;
}
