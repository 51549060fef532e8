/* Help, completion and the man page: all from the table of verbs. */
#include "main/cli/cli.h"

#include "main/main_priv.h"

#include <string.h>

static void print_options(FILE *out, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[64], letter[8] = "    ";

        if (o->letter) {
            (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        }
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
                       o->value ? o->value : "");
        (void)fprintf(out, "  %-30s %s\n", left, o->help);
    }
}

void cli_help(FILE *out, const struct cli_verb *v)
{
    (void)fprintf(out, "strata %s%s%s%s\n\n%s\n", v->words, v->args[0] ? " " : "", v->args,
                  v->options ? " [options]" : "", v->summary);
    if (v->detail) {
        (void)fprintf(out, "\n%s\n", v->detail);
    }
    if (v->options) {
        (void)fprintf(out, "\nOptions:\n");
        print_options(out, v->options);
    }
    (void)fprintf(out, "\nEverywhere:\n");
    print_options(out, cli_global_options);
}

/* "job show" belongs to the group "job"; a verb of one word to itself. */
static struct str group_of(const struct cli_verb *v)
{
    struct str rest = str_of(v->words);

    return str_cut(&rest, ' ');
}

void cli_help_group(FILE *out, struct str group)
{
    (void)fprintf(out, "strata - an AI computing platform in one program\n\n");
    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        char left[64];

        if (group.len > 0 && !str_eq(group, group_of(v))) {
            continue;
        }
        (void)snprintf(left, sizeof(left), "%s %s", v->words, v->args);
        (void)fprintf(out, "  %-36s %s\n", left, v->summary);
    }
    (void)fprintf(out, "\nEverywhere:\n");
    print_options(out, cli_global_options);
    (void)fprintf(out, "\nFirst steps: sudo strata up, strata login --user admin, strata run -f "
                       "job.yaml\nMore on one command: strata help COMMAND\n");
}

/* roff: a backslash, and a dot or quote at the start of a line, mean something. */
static void roff_text(FILE *out, const char *s)
{
    bool at_start = true;

    for (; *s; s++) {
        if (at_start && (*s == '.' || *s == '\'')) {
            (void)fputs("\\&", out);
        }
        if (*s == '\\') {
            (void)fputs("\\e", out);
        } else if (*s == '-') {
            (void)fputs("\\-", out);
        } else {
            (void)fputc(*s, out);
        }
        at_start = *s == '\n';
    }
    (void)fputc('\n', out);
}

static void man_options(FILE *out, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        (void)fputs(".TP\n", out);
        if (o->letter) {
            (void)fprintf(out, ".BR \\-%c \", \" \\-\\-%s%s%s\n", o->letter, o->name,
                          o->value ? " \" \" " : "", o->value ? o->value : "");
        } else {
            (void)fprintf(out, ".BR \\-\\-%s%s%s\n", o->name, o->value ? " \" \" " : "",
                          o->value ? o->value : "");
        }
        roff_text(out, o->help);
    }
}

void cli_man(FILE *out)
{
    (void)fputs(".TH STRATA 1\n.SH NAME\nstrata \\- an AI computing platform in one "
                "program\n.SH SYNOPSIS\n.B strata\n.I command\n[options]\n.SH COMMANDS\n",
                out);
    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        (void)fprintf(out, ".SS strata %s %s\n", v->words, v->args);
        roff_text(out, v->summary);
        if (v->detail) {
            (void)fputs(".PP\n.nf\n", out);
            roff_text(out, v->detail);
            (void)fputs(".fi\n", out);
        }
        man_options(out, v->options);
    }
    (void)fputs(".SH OPTIONS\n", out);
    man_options(out, cli_global_options);
    (void)fputs(
        ".SH ENVIRONMENT\n.TP\n.B STRATA_SERVER\naddress of the server\n.TP\n.B STRATA_TOKEN\n"
        "personal access token\n.TP\n.B STRATA_PROJECT\nproject when none is given\n"
        ".SH EXIT STATUS\n0 done; 64 usage; 65 invalid input or over a limit; 66 not found; 69 "
        "server not reachable or not available; 70 our fault; 73 conflict; 74 input/output, disk "
        "full; 75 try again; 77 not signed in or not allowed.\n"
        ".B strata run\nand\n.B strata job wait\nend with the job's exit code; 128+n for signal n, "
        "124 for its timeout, 130 when cancelled.\n"
        ".SH FILES\n~/.config/strata/credentials.json, /var/lib/strata/strata.yaml\n",
        out);
}

/* Each line "words|options" so that the shell part stays small. */
static void completion_table(FILE *out)
{
    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        (void)fprintf(out, "%s|", v->words);
        for (const struct cli_option *o = v->options; o && o->name; o++) {
            (void)fprintf(out, "--%s ", o->name);
        }
        for (const struct cli_option *o = cli_global_options; o->name; o++) {
            (void)fprintf(out, "--%s ", o->name);
        }
        (void)fputc('\n', out);
    }
}

static const char bash_head[] = "# strata completion for bash: source <(strata completion bash)\n"
                                "_strata_table() { cat <<'END'\n";
static const char bash_tail[] =
    "END\n}\n"
    "_strata() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} words= w i\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        w=${COMP_WORDS[i]}\n"
    "        [[ $w == -* ]] || words+=\"$w \"\n"
    "    done\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(_strata_table | while IFS='|' read -r v o; do\n"
    "            [[ \"$words\" == \"$v \"* ]] && echo \"$o\"; done)\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -W \"$(_strata_table | while IFS='|' read -r v o; do\n"
    "        [[ \"$v \" == \"$words\"* ]] && v=\"$v \" && v=${v#\"$words\"} && echo \"${v%% *}\"; "
    "done)\""
    " -- \"$cur\"))\n"
    "    [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
    "}\n"
    "complete -o filenames -F _strata strata\n";

int cli_completion(FILE *out, const char *shell, struct err *e)
{
    if (strcmp(shell, "zsh") == 0) {
        (void)fputs("autoload -U +X bashcompinit && bashcompinit\n", out);
    } else if (strcmp(shell, "bash") != 0) {
        return err_set(e, ERR_INVALID, "completion is made for bash and zsh, not for '%s'", shell);
    }
    (void)fputs(bash_head, out);
    completion_table(out);
    (void)fputs(bash_tail, out);
    return 0;
}
