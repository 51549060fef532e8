#include "algorithms/kernel/module.h"
#include "algorithms/kernel/number.h"

#include <math.h>
#include <string.h>

const char *param_type_name(enum param_type type)
{
    static const char *const names[] = {"int",  "real", "bool",   "text",    "choice",
                                        "ints", "path", "column", "columns", "code"};

    return names[type];
}

static int check_number(const struct param *p, struct str text, struct err *e)
{
    bool whole = p->type != PARAM_REAL;
    double v;

    if (number_parse(text, &v) < 0 || !isfinite(v) || (whole && v != floor(v))) {
        return err_set(e, ERR_INVALID, "parameter %s: '%.*s' is not a %snumber", p->name,
                       STR_ARG(str_first(text, 60)), whole ? "whole " : "");
    }
    if (v < p->min || v > p->max) {
        char low[NUMBER_TEXT_BYTES], high[NUMBER_TEXT_BYTES];

        return err_set(e, ERR_INVALID, "parameter %s: %.*s is not between %s and %s", p->name,
                       STR_ARG(text), number_format(p->min, low), number_format(p->max, high));
    }
    return 0;
}

static int check_ints(const struct param *p, struct str text, struct err *e)
{
    while (text.p && text.len > 0) {
        if (check_number(p, str_trim(str_cut(&text, ',')), e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_choice(const struct param *p, struct str text, struct err *e)
{
    struct str rest = str_of(p->choices);

    while (rest.p) {
        if (str_eq(str_cut(&rest, '|'), text)) {
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "parameter %s: '%.*s' is none of %s", p->name,
                   STR_ARG(str_first(text, 60)), p->choices);
}

int param_check(const struct param *p, struct str text, struct err *e)
{
    switch (p->type) {
    case PARAM_INT:
    case PARAM_REAL:
        return check_number(p, text, e);
    case PARAM_INTS:
        return check_ints(p, text, e);
    case PARAM_CHOICE:
        return check_choice(p, text, e);
    case PARAM_BOOL:
        if (!str_eq(text, STR("true")) && !str_eq(text, STR("false"))) {
            return err_set(e, ERR_INVALID, "parameter %s: '%.*s' is neither true nor false",
                           p->name, STR_ARG(str_first(text, 60)));
        }
        return 0;
    case PARAM_PATH:
    case PARAM_COLUMN:
        if (text.len == 0 && (p->type == PARAM_COLUMN || p->def == NULL || *p->def)) {
            return err_set(e, ERR_INVALID, "parameter %s is empty", p->name);
        }
        return 0;
    case PARAM_TEXT:
    case PARAM_COLUMNS:
    case PARAM_CODE:
        break;
    }
    return 0;
}
