/* strata-exporter - what `strata exporter` becomes: the exporter without the libraries of the rest.
 * It is given the same words. */
#include "main/cli/cli.h"

#include <sysexits.h>

const struct cli_verb cli_verbs[] = {
    {"exporter", "", "", NULL, exporter_options, verb_exporter, 0},
    {0},
};

int main(int argc, char **argv)
{
    struct cli c = {0};
    struct err e = {0};
    int code = 0;

    if (cli_parse(&c, argc - 1, argv + 1, &e) < 0 || !c.verb) {
        (void)fprintf(stderr, "strata-exporter is started by strata exporter\n");
        code = EX_USAGE;
    } else if (verb_exporter(&c, &e) < 0) {
        c.json = cli_option(&c, "json") != NULL;
        cli_print_error(&c, &e);
        code = err_exit_code(e.kind);
    }
    vec_done(&c.args);
    vec_done(&c.given);
    return fflush(stdout) == 0 ? code : EX_IOERR;
}
