#include "main/cli/cli.h"

#include <string.h>

const struct cli_option cli_global_options[] = {
    {"server", 0, "URL", "Strata server (STRATA_SERVER; else the one signed in to last)"},
    {"token", 0, "TOKEN", "personal access token (STRATA_TOKEN; else the one of strata login)"},
    {"project", 'p', "NAME", "project (STRATA_PROJECT)"},
    {"json", 0, NULL, "print JSON for programs"},
    {"help", 'h', NULL, "help on this command"},
    {0},
};

/* Other names of the last words of verbs, as other programs have them. */
static bool is_word(struct str word, const char *given, bool by_other_names)
{
    static const char *const other_names[][2] = {
        {"ls", "list"}, {"rm", "delete"},  {"remove", "delete"}, {"cp", "copy"},
        {"mv", "move"}, {"export", "get"}, {"import", "put"}};

    for (size_t i = 0; by_other_names && i < ARRAY_LEN(other_names); i++) {
        if (strcmp(given, other_names[i][0]) == 0 && str_eq_c(word, other_names[i][1])) {
            return true;
        }
    }
    return str_eq_c(word, given);
}

/* How many words of argv name the verb, or 0. */
static size_t words_match(const struct cli_verb *v, int argc, char **argv, bool by_other_names)
{
    struct str rest = str_of(v->words);
    size_t n = 0;

    while (rest.p) {
        struct str word = str_cut(&rest, ' ');

        if (n == (size_t)argc || !is_word(word, argv[n], by_other_names)) {
            return 0;
        }
        n++;
    }
    return n;
}

static const struct cli_option *find_in(const struct cli_option *o, struct str name, char letter)
{
    for (; o && o->name; o++) {
        if (letter ? o->letter == letter : str_eq_c(name, o->name)) {
            return o;
        }
    }
    return NULL;
}

static const struct cli_option *find_option(const struct cli *c, struct str name, char letter)
{
    const struct cli_option *o = c->verb ? find_in(c->verb->options, name, letter) : NULL;

    return o ? o : find_in(cli_global_options, name, letter);
}

static int unknown_option(const struct cli *c, const char *arg, struct err *e)
{
    const char *names[64];
    size_t n = 0;
    struct str name = str_of(arg);
    const char *near;

    for (const struct cli_option *o = c->verb ? c->verb->options : NULL; o && o->name; o++) {
        names[n++] = o->name;
    }
    for (const struct cli_option *o = cli_global_options; o->name; o++) {
        names[n++] = o->name;
    }
    name = str_cut(&name, '=');
    near = str_nearest(str_from(name, 2), names, n);
    return err_set(e, ERR_INVALID, "there is no option %.*s%s%s%s", STR_ARG(name),
                   near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* One argument that begins with a dash; *i moves on when the value is the next one. */
static int take_option(struct cli *c, int argc, char **argv, int *i, struct err *e)
{
    char *arg = argv[*i];
    bool is_long = arg[1] == '-';
    struct str rest = str_of(arg + 2);
    struct str name = is_long ? str_cut(&rest, '=') : STR_EMPTY;
    const struct cli_option *o = find_option(c, name, is_long ? 0 : arg[1]);
    const char *value = is_long ? rest.p : arg[2] ? arg + 2 : NULL;

    if (o == NULL) {
        return unknown_option(c, arg, e);
    }
    if (o->value == NULL) {
        if (value) {
            return err_set(e, ERR_INVALID, "--%s takes no value", o->name);
        }
        value = "";
    } else if (value == NULL) {
        if (*i + 1 == argc) {
            return err_set(e, ERR_INVALID, "--%s needs a value: --%s %s", o->name, o->name,
                           o->value);
        }
        value = argv[++*i];
    }
    *vec_push(&c->given) = (struct cli_given){o, value};
    return 0;
}

static int count_args(const struct cli *c, struct err *e)
{
    struct str rest = str_of(c->verb->args);
    size_t least = 0, most = 0;

    while (rest.p && rest.len > 0) {
        struct str word = str_cut(&rest, ' ');

        least += word.p[0] != '[';
        most = str_find(word, STR("...")) >= 0 ? SIZE_MAX : most + (most != SIZE_MAX);
    }
    if (c->args.len < least || c->args.len > most) {
        return err_set(e, ERR_INVALID, "usage: strata %s%s%s", c->verb->words,
                       c->verb->args[0] ? " " : "", c->verb->args);
    }
    return 0;
}

/* Options may stand before, between and after the words of the verb: the words are what is left. */
static int split(struct cli *c, int argc, char **argv, struct err *e)
{
    bool only_args = false;

    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            if (take_option(c, argc, argv, &i, e) < 0) {
                return -1;
            }
        } else {
            *vec_push(&c->args) = argv[i];
        }
    }
    return 0;
}

/* The longest fit of the leading words that are no options; of two, the one by its own name. */
static const struct cli_verb *find_verb(int argc, char **argv, size_t *n_words)
{
    const struct cli_verb *best = NULL;

    *n_words = 0;
    for (int by_other_names = 0; by_other_names < 2; by_other_names++) {
        for (const struct cli_verb *v = cli_verbs; v->words; v++) {
            size_t n = words_match(v, argc, argv, by_other_names);

            if (n > *n_words) {
                *n_words = n;
                best = v;
            }
        }
    }
    return best;
}

/* "strata job" or "strata job shwo": which one? */
static int group_alone(const char *group, const char *given, struct err *e)
{
    struct buf list = BUF_MAX(1024);
    const char *names[64], *near;
    size_t n = 0;
    int rc = 0;

    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        struct str rest = str_of(v->words);

        if (str_eq_c(str_cut(&rest, ' '), group) && rest.p) {
            buf_printf(&list, "%s%.*s", list.len ? ", " : "", STR_ARG(rest));
            names[n] = rest.p;
            n += n + 1 < ARRAY_LEN(names);
        }
    }
    near = given && given[0] != '-' ? str_nearest(str_of(given), names, n) : NULL;
    if (near) {
        rc = err_set(e, ERR_INVALID, "strata %s has no '%.60s': did you mean '%s'?", group, given,
                     near);
    } else if (list.len > 0) {
        rc = err_set(e, ERR_INVALID, "strata %s needs one of: %s", group, list.p);
    }
    buf_done(&list);
    return rc;
}

static int no_such_verb(const char *word, const char *next, struct err *e)
{
    char groups[256][32];
    const char *names[ARRAY_LEN(groups)];
    size_t n = 0;
    const char *near;

    if (group_alone(word, next, e) < 0) {
        return -1;
    }
    for (const struct cli_verb *v = cli_verbs; v->words && n < ARRAY_LEN(names); v++) {
        struct str rest = str_of(v->words);

        if (str_copy(str_cut(&rest, ' '), groups[n], sizeof(groups[n])) == 0) {
            names[n] = groups[n];
            n++;
        }
    }
    near = str_nearest(str_of(word), names, n);
    return err_set(e, ERR_INVALID, "there is no command '%.60s'%s%s%s; see strata help", word,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int cli_parse(struct cli *c, int argc, char **argv, struct err *e)
{
    size_t n_words;
    int skip = 0;

    /* Global options before the verb. */
    while (skip < argc && argv[skip][0] == '-' && argv[skip][1] && strcmp(argv[skip], "--") != 0) {
        if (take_option(c, argc, argv, &skip, e) < 0) {
            return -1;
        }
        skip++;
    }
    if (skip == argc) {
        return 0;
    }
    c->verb = find_verb(argc - skip, argv + skip, &n_words);
    if (c->verb == NULL) {
        *vec_push(&c->args) = argv[skip];
        return no_such_verb(argv[skip], argv[skip + 1], e);
    }
    if (split(c, argc - skip - (int)n_words, argv + skip + n_words, e) < 0) {
        return -1;
    }
    return cli_option(c, "help") ? 0 : count_args(c, e);
}

const char *cli_option_nth(const struct cli *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->given.len; i++) {
        if (strcmp(c->given.p[i].option->name, name) == 0 && n-- == 0) {
            return c->given.p[i].value;
        }
    }
    return NULL;
}

const char *cli_option(const struct cli *c, const char *name)
{
    const char *last = NULL;

    for (size_t i = 0; i < c->given.len; i++) {
        if (strcmp(c->given.p[i].option->name, name) == 0) {
            last = c->given.p[i].value;
        }
    }
    return last;
}

const char *cli_arg(const struct cli *c, size_t i)
{
    return i < c->args.len ? c->args.p[i] : NULL;
}
