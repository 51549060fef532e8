/* write_csv - a table to a text file. */
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/csv_write.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to write."}, {0}};

static const struct param params[] = {
    {"path", PARAM_PATH, NULL, 0, 0, NULL, "The file to write; it appears whole or not at all."},
    {"delim", PARAM_CHOICE, "comma", 0, 0, "comma|semicolon|tab|pipe", "What separates cells."},
    {"header", PARAM_BOOL, "true", 0, 0, NULL, "Whether the first line names the columns."},
    {"null_text", PARAM_TEXT, "", 0, 0, NULL,
     "What stands for a missing value; a text that is the same is quoted."},
    {"quote", PARAM_CHOICE, "needed", 0, 0, "needed|text|all",
     "Which cells stand in double quotes: those that must, all texts, or all but missing values."},
    {0},
};

/* A text for missing values that would look like two cells, or like a quoted one. */
static int check_null(struct str s, char delim, struct err *e)
{
    if (str_find_char(s, delim) >= 0 || str_find_char(s, '"') >= 0 || str_find_char(s, '\n') >= 0 ||
        str_find_char(s, '\r') >= 0) {
        return err_set(e, ERR_INVALID,
                       "null_text: it may hold no delimiter, no quote and no line break");
    }
    return 0;
}

static int options_of(const struct step *s, struct csv_write_options *o, struct err *e)
{
    static const char delims[] = {',', ';', '\t', '|'};

    *o = (struct csv_write_options){
        .delim = delims[step_choice(s, "delim")],
        .no_header = !step_true(s, "header"),
        .null_text = step_text(s, "null_text"),
        .quoting = (enum csv_quoting)step_choice(s, "quote"),
    };
    return check_null(o->null_text, o->delim, e);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const char *path = step_text(s, "path").p;
    struct csv_write_options o;
    SCOPED(binw_closep) struct binw *w = NULL;

    if (options_of(s, &o, e) < 0) {
        return -1;
    }
    w = binw_open_named(path, e);
    if (w == NULL) {
        return -1;
    }
    csv_write(t, &o, w);
    if (binw_commit(w, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu rows, %zu columns to %s, %llu bytes", t->n_rows, t->n_columns,
                 path, (unsigned long long)w->len);
    return 0;
}

static void check(struct check *c)
{
    struct csv_write_options o;
    struct err e = {0};

    if (options_of(&c->step, &o, &e) < 0) {
        check_mistake(c, /* port */ NULL, "null_text", /* column */ NULL, "%s", e.msg);
    }
}

const struct module module_write_csv = {
    .name = "write_csv",
    .title = "Write CSV",
    .description = "Writes a table as delimited text (RFC 4180, UTF-8, line ends LF). Numbers read "
                   "back as the same bits; dates and times are ISO 8601.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = (const struct port[]){{0}},
    .params = params,
    .flags = MODULE_LIGHT | MODULE_WRITES,
    .run = run,
    .check = check,
};
