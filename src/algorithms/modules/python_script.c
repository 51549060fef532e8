/* python_script - a program of the user on an image of his. The platform runs it
 * (pipeline/script.h); here are its ports, its form, and what it promises. */
#include "algorithms/kernel/check.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {
    {"in1", VALUE_TABLE, PORT_OPTIONAL, "inputs['in1']."},
    {"in2", VALUE_TABLE, PORT_OPTIONAL, "inputs['in2']."},
    {"in3", VALUE_TABLE, PORT_OPTIONAL, "inputs['in3']."},
    {0},
};

static const struct port outputs[] = {
    {"table", VALUE_TABLE, PORT_OPTIONAL, "outputs['table']: a DataFrame or a list of dicts."},
    {"file", VALUE_FILE, PORT_OPTIONAL, "outputs['file']: bytes, or the path of a file."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "outputs['report']: what becomes JSON."},
    {0},
};

static const struct param params[] = {
    {"code", PARAM_CODE, NULL, 0, 0, NULL,
     "Python: reads the tables inputs['in1'] to inputs['in3'], sets outputs['table'], "
     "outputs['file'], outputs['report']."},
    {"image", PARAM_TEXT, NULL, 0, 0, NULL,
     "An image of the registry with python3, such as demo/python:3; with pandas in it tables are "
     "DataFrames."},
    {"columns", PARAM_TEXT, "", 0, 0, NULL,
     "The columns that the table will have, as name:type with real, int, bool, date, time or text, "
     "comma-separated: then the steps behind are checked before a run, and another table is an "
     "error."},
    {"cpu", PARAM_TEXT, "1", 0, 0, NULL, "CPUs, such as 2 or 500m."},
    {"memory", PARAM_TEXT, "1Gi", 0, 0, NULL, "Memory, such as 512Mi or 4Gi."},
    {"gpu", PARAM_INT, "0", 0, 64, NULL, "GPUs."},
    {0},
};

static bool kind_of(struct str type, enum column_as *as)
{
    for (int i = AS_REAL; i <= AS_TIME; i++) {
        if (str_eq_c(type, as_name((enum column_as)i))) {
            *as = (enum column_as)i;
            return true;
        }
    }
    return false;
}

/* "age:int,city:text". A name may hold colons. */
static void promise(struct check *c, struct str rest)
{
    struct table *t = table_new(0);

    while (rest.p && rest.len > 0) {
        struct str one = str_trim(str_cut(&rest, ','));
        ptrdiff_t at = str_rfind_char(one, ':');
        struct str type = at > 0 ? str_from(one, (size_t)at + 1) : STR_EMPTY;
        enum column_as as = AS_REAL;

        if (kind_of(type, &as)) {
            check_add_as(c, t, "columns", str_first(one, (size_t)at), as);
        } else if (str_eq_c(type, "text")) {
            check_add_column(c, t, "columns", str_first(one, (size_t)at), COLUMN_TEXT);
        } else {
            check_mistake(c, NULL, "columns", NULL,
                          "'%.*s' is no column: write name:type with real, int, bool, date, time "
                          "or text",
                          STR_ARG(str_first(one, 100)));
        }
    }
    check_out_table(c, "table", t, /* open */ false);
}

static void check(struct check *c)
{
    struct str columns = step_text(&c->step, "columns");
    struct err e = {0};
    int64_t n = 0;

    if (str_parse_milli(step_text(&c->step, "cpu"), &n, &e) < 0) {
        check_mistake(c, NULL, "cpu", NULL, "%s", e.msg);
    }
    if (str_parse_bytes(step_text(&c->step, "memory"), &n, &e) < 0) {
        check_mistake(c, NULL, "memory", NULL, "%s", e.msg);
    }
    if (columns.len > 0) {
        promise(c, columns);
    } else {
        check_out_table(c, "table", NULL, /* open */ true);
    }
}

static int run(struct step *s, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s runs on an image of yours: run it in a pipeline",
                   s->module->name);
}

const struct module module_python_script = {
    .name = "python_script",
    .title = "Python script",
    .description = "Runs Python of yours on an image of yours, as a container without a network. "
                   "Tables are DataFrames where the image has pandas, else lists of dicts; what it "
                   "prints is in the log, and an error is told with its line.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_SCRIPT,
    .run = run,
    .check = check,
};
